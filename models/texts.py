"""Short texts such as job titles as a few numbers that are near each other where the letters are: typos and compound words are read, too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from features.problem import Problem
from models.categories import FEWEST_LEADS, distinct

Floats = NDArray[np.float64]
_HASHES, _TOPICS, _MOST_GRAMS = 30, 30, 2_000
_GRAMS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (3, 4)}
_EXAMPLE = "geschäftsführerin"


@dataclass(frozen=True)
class TextHashes:
    """Smallest hashes of a text's letter groups: two texts agree in as many of them as they share groups of letters. Nothing is learned.

    Source: Cerda and Varoquaux (2022), "Encoding high-cardinality string categorical variables", as skrub's MinHashEncoder.

    Parameters
    ----------
    columns : how many hashes.
    example : what one text was hashed to in training, so that another version of the library is found out.
    """

    columns: int
    example: float

    @property
    def marks(self) -> list[str]:
        """What its columns are called."""
        return [f"hash {number:02}" for number in range(self.columns)]

    def transform(self, values: pd.Series) -> Floats:
        """One row a value, one column a hash; missing is NaN.

        Raises
        ------
        Problem : the installed library hashes otherwise than the one that the model learned with.
        """
        if self.example != _example(self.columns):
            raise Problem("The model was learned with another version of skrub, which reads texts otherwise: install that one, or train again.")
        codes, texts = distinct(values)
        return _spread(_hashed([text.lower() for text in texts], self.columns), codes)


def fit_hashes(per_lead: pd.Series) -> TextHashes | None:
    """Hashes; None where all leads have the same text.

    Parameters
    ----------
    per_lead : the text of each lead, once.
    """
    return TextHashes(_HASHES, _example(_HASHES)) if per_lead.nunique(dropna=False) > 1 else None


@cache
def _example(columns: int) -> float:
    return float(_hashed([_EXAMPLE], columns).mean())


def _hashed(texts: list[str], columns: int) -> Floats:
    # Importing it takes seconds, and only this style needs it.
    from skrub import MinHashEncoder

    column = pd.Series(texts, dtype="str", name="text")
    return np.asarray(MinHashEncoder(n_components=columns).fit_transform(column), dtype=float) if texts else np.empty((0, columns))


@dataclass(frozen=True)
class TextTopics:
    """How much a text is about each of a few topics, which are groups of letters that come together.

    Stored is what a topic is made of, as plain numbers, and only groups of letters that twenty leads have: no text of a person can be read there.

    Parameters
    ----------
    grams : the groups of letters.
    rarity : per group, how much it tells (inverse document frequency).
    topics : per group, how much it belongs to each topic.
    """

    grams: list[str]
    rarity: list[float]
    topics: list[list[float]]

    @property
    def marks(self) -> list[str]:
        """What its columns are called."""
        return [f"topic {number:02}" for number in range(len(self.topics[0]))]

    def transform(self, values: pd.Series) -> Floats:
        """One row a value, one column a topic; missing is NaN, and a text without a known group of letters is about nothing."""
        codes, texts = distinct(values)
        if not texts:
            return np.full((len(values), len(self.topics[0])), np.nan)
        reader = TfidfVectorizer(vocabulary=self.grams, **_GRAMS)
        reader.idf_ = np.array(self.rarity)
        return _spread(reader.transform(texts) @ np.array(self.topics), codes)


def fit_topics(per_lead: pd.Series) -> TextTopics | None:
    """Topics of the distinct texts; None where they are too few to have any.

    Source: latent semantic analysis (Deerwester et al. 1990) of letter groups, as skrub's StringEncoder.

    Parameters
    ----------
    per_lead : the text of each lead, once.
    """
    codes, texts = distinct(per_lead)
    grams = _common_grams(texts, np.bincount(codes[codes >= 0], minlength=len(texts)))
    topics = min(_TOPICS, len(texts) - 1, len(grams) - 1)
    if topics < 1:
        return None
    from skrub import StringEncoder

    encoder = StringEncoder(topics, random_state=7, vocabulary=grams, ngram_range=_GRAMS["ngram_range"], analyzer=_GRAMS["analyzer"])
    # Texts that are all alike to it leave no variance to explain.
    with np.errstate(invalid="ignore", divide="ignore"):
        encoder.fit_transform(pd.Series(texts, dtype="str", name="text"))
    shares = np.asarray(encoder.tsvd_.components_.T / encoder.scaling_factor_, dtype=float)
    return TextTopics(grams, _rounded(encoder.vectorizer_.idf_), _rounded(shares))


def _common_grams(texts: list[str], leads: NDArray[np.int64]) -> list[str]:
    """The letter groups that most leads have, by as many leads as a word needs."""
    try:
        counter = CountVectorizer(binary=True, **_GRAMS)
        has = counter.fit_transform(texts)
    except ValueError:  # No text has a letter.
        return []
    counts, names = has.T @ leads, counter.get_feature_names_out()
    order = np.lexsort((names, -counts))[:_MOST_GRAMS]
    return sorted(str(names[at]) for at in order if counts[at] >= FEWEST_LEADS)


def _rounded(numbers: NDArray[Any]) -> list[Any]:
    """Short to write down, and what is written down is what is used."""
    listed: list[Any] = np.round(numbers.astype(float), 5).tolist()
    return listed


def _spread(each: Floats, codes: NDArray[np.int64]) -> Floats:
    """The numbers of the distinct texts for every row; the last line is that of the missing ones."""
    return np.vstack([each, np.full((1, each.shape[1]), np.nan)])[codes]
