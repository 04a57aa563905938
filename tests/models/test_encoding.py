"""Columns as numbers, the same tomorrow as today, whatever stands in them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.feature import Feature
from features.problem import Problem
from models.encoding import Encoder, Style

SOURCE = Feature("source", "category", "source", "source: {value}")
TITLE = Feature("title", "text", "job title", "job title: {value}")
VISITS = Feature("visits", "number", "visits", "{value} visits")
MET = Feature("met", "flag", "met us", "met us: {value}")
LEADS = 120
STYLES = [Style(categories, texts) for categories in ("levels", "native", "target") for texts in ("words", "hashed", "topics")]


def _examples(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"lead_id": [f"L{n}" for n in range(LEADS)], **columns})


def _split(one: object, other: object, first: int = 60) -> list[object]:
    return [one] * first + [other] * (LEADS - first)


def _names(encoder: Encoder) -> list[str]:
    return [column.name for column in encoder.columns]


def test_numbers_flags_categories_and_texts_become_columns_in_the_order_of_the_features() -> None:
    frame = _examples(source=_split("web", "ads"), title=_split("Head of IT", "IT manager"), visits=range(LEADS), met=_split(1.0, 0.0, 20))
    encoder = Encoder.fit(frame, (VISITS, SOURCE, MET, TITLE))
    assert _names(encoder) == ["visits", "source = ads", "source = web", "met", "title ~ head", "title ~ manager", "title ~ of"]
    assert encoder.transform(frame.iloc[[0, 119]]).tolist() == [[0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0], [119.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]


@pytest.mark.parametrize("strange", ["never seen", "", "web ", "WEB", "=1+1", "\x00", None, np.nan, pd.NA])
def test_an_unknown_category_at_scoring_is_no_known_one(strange: object) -> None:
    encoder = Encoder.fit(_examples(source=_split("web", "ads")), (SOURCE,))
    tonight = pd.DataFrame({"source": pd.Series([strange, "web"], dtype=object)})
    assert encoder.transform(tonight).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_a_night_on_which_nobody_has_a_source_is_all_zeros() -> None:
    encoder = Encoder.fit(_examples(source=_split("web", "ads")), (SOURCE,))
    assert encoder.transform(pd.DataFrame({"source": [None, None]})).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert encoder.transform(pd.DataFrame({"source": pd.Series([], dtype=object)})).shape == (0, 2)


def test_a_hundred_thousand_categories_become_the_thirty_most_frequent() -> None:
    often = [f"C{n:02}" for n in range(40) for _ in range(60 - n)]
    values = often + [f"once {n}" for n in range(100_000)]
    frame = pd.DataFrame({"lead_id": np.arange(len(values)).astype(str), "source": values})
    encoder = Encoder.fit(frame, (SOURCE,))
    assert _names(encoder) == [f"source = C{n:02}" for n in range(30)]
    assert encoder.transform(frame).sum() == sum(60 - n for n in range(30))


def test_endless_texts_become_the_forty_most_frequent_words() -> None:
    values = [f"w{n:02} unique{row}" for n in range(50) for row in range(n * 100, n * 100 + 80 - n)]
    frame = pd.DataFrame({"lead_id": np.arange(len(values)).astype(str), "title": values})
    assert _names(Encoder.fit(frame, (TITLE,))) == [f"title ~ w{n:02}" for n in range(40)]


def test_a_level_counts_leads_and_not_snapshots() -> None:
    # One lead of a hundred snapshots is one lead; twenty leads are enough.
    ids = [f"L{n}" for n in range(20)] + ["many"] * 100 + [f"M{n}" for n in range(19)]
    frame = pd.DataFrame({"lead_id": ids, "source": ["web"] * 20 + ["chatty"] * 100 + ["rare"] * 19})
    assert _names(Encoder.fit(frame, (SOURCE,))) == ["source = web"]


def test_constant_and_empty_columns_are_dropped() -> None:
    constant = _examples(source="web", title="IT", visits=3.0, met=1.0)
    empty = _examples(source=pd.Series([None] * LEADS, dtype=object), title=pd.Series([None] * LEADS, dtype=object), visits=np.nan, met=np.nan)
    for frame in (constant, empty):
        encoder = Encoder.fit(frame, (SOURCE, TITLE, VISITS, MET))
        assert encoder.columns == ()
        assert encoder.transform(frame).shape == (LEADS, 0)


def test_what_half_the_leads_do_not_have_is_not_constant() -> None:
    frame = _examples(source=_split("web", None), title=_split("IT", None), visits=_split(3.0, None))
    encoder = Encoder.fit(frame, (SOURCE, TITLE, VISITS))
    assert _names(encoder) == ["source = web", "title ~ it", "visits"]
    assert np.array_equal(encoder.transform(frame.iloc[[0, 119]]), [[1.0, 1.0, 3.0], [0.0, 0.0, np.nan]], equal_nan=True)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, None, pd.NA])
def test_a_number_that_is_none_is_missing(value: object) -> None:
    encoder = Encoder.fit(_examples(visits=range(LEADS)), (VISITS,))
    assert np.isnan(encoder.transform(pd.DataFrame({"visits": pd.Series([value], dtype=object)}))).all()


def test_a_missing_column_is_a_problem_that_names_it() -> None:
    encoder = Encoder.fit(_examples(source=_split("web", "ads"), visits=range(LEADS), met=1.0), (SOURCE, VISITS, MET))
    with pytest.raises(Problem) as caught:
        encoder.transform(pd.DataFrame({"lead_id": ["L1"]}))
    assert str(caught.value) == ("The model needs the columns source, visits, which are missing tonight: extract again, or retrain without them.")
    # A column that told nothing in training is not missed, and one that is new is not looked at.
    assert encoder.transform(pd.DataFrame({"source": ["ads"], "visits": [2], "new": ["?"]})).tolist() == [[1.0, 0.0, 2.0]]


def test_words_are_found_in_any_case_script_and_punctuation() -> None:
    frame = _examples(title=_split("Leiter/Einkauf – MÜNCHEN", "経営 IT_Leiter!"))
    encoder = Encoder.fit(frame, (TITLE,))
    assert _names(encoder) == ["title ~ einkauf", "title ~ it", "title ~ münchen", "title ~ 経営"]
    tonight = pd.DataFrame({"title": ["(münchen) it", "einkaufsleiter", "", None]})
    assert encoder.transform(tonight).tolist() == [[0.0, 1.0, 1.0, 0.0], [0.0] * 4, [0.0] * 4, [0.0] * 4]


def test_it_comes_back_from_json_the_same() -> None:
    frame = _examples(source=_split("wéb", '"ads"'), title=_split("Head", "Boss"), visits=np.arange(LEADS) / 3, met=_split(1.0, 0.0))
    encoder = Encoder.fit(frame, (SOURCE, TITLE, VISITS, MET))
    back = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), ensure_ascii=False)))
    assert back == encoder
    assert back.transform(frame).tolist() == encoder.transform(frame).tolist()


@settings(max_examples=40, deadline=None)
@given(tonight=st.lists(st.tuples(st.sampled_from(["web", "ads", "new"]) | st.none(), st.none() | st.floats()), min_size=1, max_size=12))
def test_a_row_is_encoded_the_same_whoever_else_is_scored(tonight: list[tuple[str | None, float | None]]) -> None:
    encoder = Encoder.fit(_examples(source=_split("web", "ads"), visits=range(LEADS)), (SOURCE, VISITS))
    frame = pd.DataFrame(tonight, columns=["source", "visits"])
    together = encoder.transform(frame)
    alone = np.vstack([encoder.transform(frame.iloc[[at]]) for at in range(len(frame))])
    assert np.array_equal(together, alone, equal_nan=True)


def _mixed() -> pd.DataFrame:
    """Four snapshots each of 120 leads of six sources and a few titles."""
    titles = ["Vertriebsleiter", "Einkaufsleiterin", "Praktikant", None]
    once = _examples(source=[f"S{n % 6}" for n in range(LEADS)], title=[titles[n % 4] for n in range(LEADS)], visits=range(LEADS), weight=1.0)
    return pd.concat([once.assign(converted=[n % 6 < 2 and n % 5 > 0 for n in range(LEADS)])] * 4, ignore_index=True)


def test_every_style_makes_columns_of_its_own() -> None:
    names = {style: _names(Encoder.fit(_mixed(), (SOURCE, TITLE, VISITS), style)) for style in STYLES}
    levels, words = [f"source = S{n}" for n in range(6)], [f"title ~ {word}" for word in ("einkaufsleiterin", "praktikant", "vertriebsleiter")]
    hashes, topics = [f"title: hash {n:02}" for n in range(30)], ["title: topic 00", "title: topic 01"]
    assert names[Style()] == [*levels, *words, "visits"]
    assert names[Style("native", "hashed")] == ["source: code", *hashes, "visits"]
    assert names[Style("target", "topics")] == ["source: rate", *topics, "visits"]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_every_style_comes_back_from_json_the_same(style: Style) -> None:
    frame = _mixed()
    encoder = Encoder.fit(frame, (SOURCE, TITLE, VISITS), style)
    back = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), ensure_ascii=False)))
    strange = pd.DataFrame({"source": ["new", None], "title": [None, "Leiter"], "visits": [np.inf, 1.0]})
    for rows in (frame, strange, frame.head(0)):
        assert np.array_equal(back.transform(rows), encoder.transform(rows), equal_nan=True)
    assert back == encoder


def test_an_encoder_of_an_older_version_is_read() -> None:
    stored = {"columns": [{"name": "source = web", "feature": "source", "level": "web"}], "kinds": {"source": "category"}}
    assert Encoder.from_dict(stored).transform(pd.DataFrame({"source": ["web", "ads"]})).tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_only_rates_are_learned_with_other_numbers_than_tonight_has(style: Style) -> None:
    frame = _mixed()
    encoder, values = Encoder.fit_transform(frame, (SOURCE, TITLE, VISITS), style)
    same = (values == encoder.transform(frame)) | np.isnan(values)
    assert encoder == Encoder.fit(frame, (SOURCE, TITLE, VISITS), style)
    assert [column.name for column, alike in zip(encoder.columns, same.all(axis=0), strict=True) if not alike] == (
        ["source: rate"] if style.categories == "target" else []
    )


def test_only_codes_have_no_order() -> None:
    assert [(style.categories, Encoder.fit(_mixed(), (VISITS, SOURCE), style).categorical) for style in STYLES[::3]] == [
        ("levels", []),
        ("native", [1]),
        ("target", []),
    ]
