"""Titles are near each other where their letters are, and what is stored of them names no person."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from features.feature import Feature
from features.problem import Problem
from models.encoding import Style
from models.texts import TextHashes, TextTopics, fit_hashes, fit_topics
from models.trees import fit_boosted

Fit = Callable[[pd.Series], TextHashes | TextTopics | None]
TITLE = Feature("title", "text", "job title", "job title: {value}")
TEAMS = (
    "Vertriebs",
    "Einkaufs",
    "Marketing",
    "Personal",
    "Produktions",
    "Finanz",
    "Entwicklungs",
    "Logistik",
    "Service",
    "Projekt",
    "Rechts",
    "Export",
)
LEADING, HELPING = ("leiter", "leiterin", "direktor", "chef"), ("assistent", "assistentin", "sachbearbeiter", "praktikant")
STRANGE = pd.Series(["", " ", "\x00", "=1+1", "経営", "x", None, pd.NA], dtype=object)
MANY = pd.Series([f"{team}{role}" for team in TEAMS for role in LEADING + HELPING] * 5)


def _mistyped(word: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(1, len(word) - 1))
    return [word[:at] + word[at + 1 :], word[:at] + word[at - 1 :], word[:at] + word[at + 1] + word[at] + word[at + 2 :]][rng.integers(3)]


def _people(seed: int, leads: int = 2_000) -> pd.DataFrame:
    """Compound titles, three in ten mistyped; who leads a team converts, whichever team it is."""
    rng = np.random.default_rng(seed)
    role = rng.choice(LEADING + HELPING, leads)
    titles = [team + each for team, each in zip(rng.choice(TEAMS, leads), role, strict=True)]
    titles = [_mistyped(title, rng) if rng.random() < 0.3 else title for title in titles]
    pull = np.where(np.isin(role, LEADING), 0.7, -1.7)
    won = rng.random(leads) < 1 / (1 + np.exp(-pull))
    return pd.DataFrame({"lead_id": [f"{seed}-{n}" for n in range(leads)], "title": titles, "converted": won, "weight": 1.0})


def test_titles_that_mean_something_in_their_parts_are_read_by_letters_and_not_by_words() -> None:
    past, later = _people(1), _people(2)
    loss = {}
    for texts in ("words", "hashed", "topics"):
        said = fit_boosted(past, (TITLE,), style=Style(texts=texts)).log_odds(later)
        loss[texts] = float(np.mean(np.logaddexp(0, said) - later["converted"].to_numpy(dtype=float) * said))
    # The truth would reach 0.54.
    assert loss["words"] > 0.66
    assert loss["hashed"] < 0.58
    assert loss["topics"] < 0.58


@pytest.mark.parametrize("fit", [fit_hashes, fit_topics])
def test_near_titles_are_near_and_others_far(fit: Fit) -> None:
    coder = fit(MANY)
    said = coder.transform(pd.Series(["Vertriebsleiterin", "vertriebsleiterinn", "Einkaufspraktikant"]))
    same = [float(np.isclose(said[0], other, atol=0.2).mean()) for other in said[1:]]
    assert same[0] > 0.55
    assert same[0] > same[1] + 0.1


@pytest.mark.parametrize("fit", [fit_hashes, fit_topics])
def test_strange_and_missing_titles_are_harmless(fit: Fit) -> None:
    coder = fit(MANY)
    said = coder.transform(STRANGE)
    assert np.isfinite(said[:6]).all()
    assert np.isnan(said[6:]).all()
    assert coder.transform(STRANGE[6:]).shape == (2, 30)
    assert coder.transform(pd.Series([], dtype=object)).shape == (0, 30)


@pytest.mark.parametrize("fit", [fit_hashes, fit_topics])
def test_a_title_is_read_the_same_whoever_else_is_scored(fit: Fit) -> None:
    coder = fit(MANY)
    together = coder.transform(MANY[:40])
    alone = np.vstack([coder.transform(MANY[at : at + 1]) for at in range(40)])
    assert together.tolist() == alone.tolist()


def test_nothing_is_learned_from_titles_that_are_all_the_same_or_missing() -> None:
    for values in (["IT"] * 100, [None] * 100):
        assert fit_hashes(pd.Series(values, dtype=object)) is None
        assert fit_topics(pd.Series(values, dtype=object)) is None
    # Neither from titles of no letters, nor from those that share no letters with twenty leads.
    assert fit_topics(pd.Series(["", " ", "!"] * 30)) is None
    assert fit_topics(pd.Series([f"{n:05}" for n in range(10_000, 10_015)])) is None


def test_few_titles_have_few_topics() -> None:
    topics = fit_topics(pd.Series(["Leiter", "Chef", "Praktikant"] * 30))
    assert topics is not None
    assert topics.marks == ["topic 00", "topic 01"]


def test_what_fewer_than_twenty_leads_have_is_not_stored() -> None:
    topics = fit_topics(pd.concat([MANY, pd.Series(["Zbigniew Quux"] * 19)]))
    assert topics is not None
    assert not [gram for gram in topics.grams if "zbi" in gram or "quu" in gram]
    assert "leit" in topics.grams
    assert isinstance(topics, TextTopics)


def test_hashes_are_those_of_every_version_so_far() -> None:
    hashes = fit_hashes(MANY)
    assert hashes is not None
    assert hashes.transform(pd.Series(["Leiter"]))[0, :2].tolist() == [-2085421184.0, -2039850624.0]


def test_another_version_of_the_library_is_found_out() -> None:
    with pytest.raises(Problem, match=r"^The model was learned with another version of skrub, which reads texts otherwise: install that one, or"):
        TextHashes(30, example=1.0).transform(MANY)
