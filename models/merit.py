"""Merit: how readily leads of a profile become customers, whatever they have done so far.

Tens of campaigns and industries with a few customers each are too many for trees to tell apart one by one; a line that adds up what every level
is worth, each held as tightly as its field deserves, tells them well. It learns from every lead that was followed, however short: an open lead
is no lost one, but it does say that it has not been won *so far*, so that a new campaign counts before its first night is ripe.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import PoissonRegressor

from features.feature import Feature
from models.backtest import Fit, quarter_of
from models.baseline import by_feature
from models.encoding import Encoder

Floats = NDArray[np.float64]
MERIT = Feature("merit", "number", "profile", "profile")
_FEWEST_WINS = 20
_STEPS = 6
_FIRST_SPREAD, _LEAST_SPREAD = 0.1, 1e-4
_BLOCK = 100_000
_MOST_CHANGED = 0.1


@dataclass(frozen=True)
class Merit:
    """What each level of a profile adds to the logarithm of the rate at which leads are won.

    Parameters
    ----------
    spread : per field, how far apart its levels lie (a variance): what holds a level that few leads have.
    centre : per field, what it adds on average.
    """

    encoder: Encoder
    weights: Floats
    spread: dict[str, float]
    centre: dict[str, float]

    def of(self, frame: pd.DataFrame) -> Floats:
        """One number an example; zero is an average lead."""
        return self.shares(frame).sum(axis=1).to_numpy()

    def shares(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each field of the profile adds to it."""
        codes, distinct = _profiles(frame, list(self.centre))
        blocks = [distinct.iloc[at : at + _BLOCK] for at in range(0, max(len(distinct), 1), _BLOCK)]
        each = np.concatenate([self.encoder.transform(block) for block in blocks]) * self.weights
        summed = by_feature(each, self.encoder, np.zeros(len(each)), distinct.index).drop(columns="bias") - pd.Series(self.centre)
        return summed.iloc[codes].set_axis(frame.index)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"encoder": self.encoder.to_dict(), "weights": self.weights.tolist(), "spread": self.spread, "centre": self.centre}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Merit:
        """What `to_dict` wrote."""
        return cls(Encoder.from_dict(stored["encoder"]), np.array(stored["weights"], dtype=float), stored["spread"], stored["centre"])


def fit_merit(leads: pd.DataFrame, features: Sequence[Feature], spread: dict[str, float] | None = None) -> Merit | None:
    """Learn it from leads followed so far; None where profiles or customers are too few to learn from.

    A proportional hazard of being won at a given age, fitted as a Poisson rate over the cumulative hazard that each lead lived through
    (Holford 1980). A field's levels share a normal prior whose variance is estimated from the same leads (empirical Bayes; MacKay 1992): a field
    that says nothing shrinks to nothing by itself.

    Parameters
    ----------
    leads : one row a lead, its first: lead_age_days, happened, followed_days (see `features.labels.as_known`), and its profile.
    features : the profile, see `steady`.
    spread : take these variances instead of estimating them.
    """
    if not features or int(leads["happened"].sum()) < _FEWEST_WINS:
        return None
    encoder = Encoder.in_detail(leads, features)
    field = np.array([column.feature for column in encoder.columns], dtype=object)
    if not len(field):
        return None
    design = sparse.csr_array(encoder.transform(leads))
    wins, entered, left = (leads[name].to_numpy(dtype=float) for name in ("happened", "lead_age_days", "followed_days"))
    left = entered + np.maximum(left, 1e-3)
    found, rate = {name: (spread or {}).get(name, _FIRST_SPREAD) for name in dict.fromkeys(field)}, np.ones(len(leads))
    for _ in range(_STEPS):
        weights, sure, rate = _weights(design, wins, hazard_lived(entered, left, wins > 0, rate), field, found)
        if spread is None:
            found = {name: max(_LEAST_SPREAD, float(np.mean((weights**2 + sure)[field == name]))) for name in found}
    centre = {name: float((design[:, field == name] @ weights[field == name]).mean()) for name in found}
    return Merit(encoder, weights, found, centre)


def steady(examples: pd.DataFrame, features: Sequence[Feature]) -> list[Feature]:
    """The fields that say who a lead is: of its profile, and the same on its first night as on its last for all but a tenth of the leads.

    A stage that moves on as the lead does is no profile, wherever the CRM keeps it.
    """
    first, last = (examples.drop_duplicates("lead_id", keep=end) for end in ("first", "last"))

    def changed(name: str) -> float:
        before, after = (side[name].astype("object").to_numpy() for side in (first, last))
        return float(np.mean((before != after) & ~(pd.isna(before) & pd.isna(after))))

    return [f for f in features if f.profile and changed(f.name) <= _MOST_CHANGED]


def _weights(
    design: sparse.csr_array, wins: Floats, lived: Floats, field: NDArray[np.object_], spread: dict[str, float]
) -> tuple[Floats, Floats, Floats]:
    """The most likely weights under a prior, the variance that each is left with, and every lead's rate beside the average one."""
    scale = np.sqrt(np.array([spread[name] for name in field]))
    scaled = sparse.csr_array(design * scale)
    line = PoissonRegressor(alpha=1 / lived.sum(), solver="newton-cholesky", max_iter=100).fit(scaled, wins / lived, sample_weight=lived)
    rate = line.predict(scaled)
    curvature = (scaled.T @ (scaled * (lived * rate)[:, None])).toarray() + np.eye(len(scale))
    return line.coef_ * scale, np.diag(np.linalg.inv(curvature)) * scale**2, rate


def hazard_lived(entered: Floats, left: Floats, won: NDArray[np.bool_], rate: Floats) -> Floats:
    """How much of the average lead's chance to be won each lead lived through while it was followed (Breslow 1974, with late entries).

    Parameters
    ----------
    entered, left : between which ages it was followed; won leads leave by being won.
    rate : how readily each is won beside the average lead: of readily won ones, fewer wins say that much less about the rest.

    Two leads are won at ages 2 and 4; a third is followed from age 3 to 5:

    >>> hazard_lived(np.array([0.0, 0.0, 3.0]), np.array([2.0, 4.0, 5.0]), np.array([True, True, False]), np.ones(3)).tolist()
    [0.5, 1.0, 0.5]
    """
    ages = np.sort(left[won])
    at_risk = _total(entered, rate, ages) - _total(left, rate, ages)
    cumulative = np.concatenate([[0.0], np.cumsum(1 / np.maximum(at_risk, rate.min()))])
    until, since = (cumulative[np.searchsorted(ages, age, side="right")] for age in (left, entered))
    return np.asarray(np.maximum(until - since, 1e-6))


def _total(ages: Floats, rate: Floats, before: Floats) -> Floats:
    """The rates of everybody whose age lies before each of some ages, summed."""
    order = np.argsort(ages, kind="stable")
    return np.asarray(np.concatenate([[0.0], np.cumsum(rate[order])])[np.searchsorted(ages[order], before, side="left")])


def _profiles(frame: pd.DataFrame, names: list[str]) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """The distinct profiles, and which of them each row has: a lead's nights mostly share one."""
    groups = frame.groupby(names, dropna=False, sort=False, observed=True)
    codes = groups.ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    return codes, frame.iloc[first]


@dataclass(frozen=True)
class MeritedModel:
    """A model that sees merit as one more number; what merit contributes is told by the fields it is made of."""

    merit: Merit
    model: Any

    @property
    def name(self) -> str:
        """The model's own."""
        return str(self.model.name)

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        return np.asarray(self.model.log_odds(_beside(frame, self.merit.of(frame))))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"; rows sum to `log_odds`."""
        shares = self.merit.shares(frame)
        each = self.model.contributions(_beside(frame, shares.sum(axis=1).to_numpy()))
        if MERIT.name not in each:
            return pd.DataFrame(each)
        parts = divided(each[MERIT.name].to_numpy(), shares)
        return pd.DataFrame(each.drop(columns=MERIT.name).add(parts, fill_value=0.0)[self._ordered(each, parts)])

    def _ordered(self, each: pd.DataFrame, parts: pd.DataFrame) -> list[str]:
        return list(dict.fromkeys([*each.columns.drop([MERIT.name, "bias"]), *parts.columns, "bias"]))

    @classmethod
    def load(cls, folder: Path, model: Any) -> Any:
        """The model with the merit that `save` wrote beside it, or as it is where there is none."""
        stored = folder / "merit.json"
        return cls(Merit.from_dict(json.loads(stored.read_text(encoding="utf-8"))), model) if stored.is_file() else model

    def save(self, folder: Path) -> None:
        """Write merit.json and the model's own files."""
        self.model.save(folder)
        (folder / "merit.json").write_text(json.dumps(self.merit.to_dict(), ensure_ascii=False), encoding="utf-8")


def _beside(frame: pd.DataFrame, merit: Floats) -> pd.DataFrame:
    """Examples with their merit as one more column."""
    return frame.assign(**{MERIT.name: merit})


def divided(whole: Floats, shares: pd.DataFrame) -> pd.DataFrame:
    """What merit contributed, divided among its fields: those that pull the same way have their part of it.

    >>> divided(np.array([1.0]), pd.DataFrame({"source": [0.6], "industry": [0.2], "title": [-0.3]})).round(2).to_numpy().tolist()
    [[0.75, 0.25, 0.0]]
    """
    values = shares.to_numpy()
    along = np.where(np.sign(values) == np.sign(whole)[:, None], np.abs(values), 0.0)
    along = np.where(along.sum(axis=1, keepdims=True) > 0, along, np.abs(values) + 1e-12)
    return pd.DataFrame(along / along.sum(axis=1, keepdims=True) * whole[:, None], columns=shares.columns, index=shares.index)


def crossed_merit(past: pd.DataFrame, features: Sequence[Feature], without: Container[str] = ()) -> tuple[Merit | None, Floats]:
    """Merit, and that of the past's own examples as other leads tell it; None and zeros where there is none.

    A lead's own outcome never has a say in the merit it is learned with: merit is crossed over quarters of the leads.

    Parameters
    ----------
    without : features that merit is not made of.
    """
    leads = past.drop_duplicates("lead_id", keep="first")
    profile, crossed = [f for f in steady(past, features) if f.name not in without], np.zeros(len(past))
    merit = fit_merit(leads, profile)
    if merit is None:
        return None, crossed
    quarter, own = quarter_of(leads["lead_id"], cut=2), quarter_of(past["lead_id"], cut=2)
    for each in np.unique(own):
        others = fit_merit(leads[quarter != each], profile, merit.spread)
        if others is not None:
            crossed[own == each] = others.of(past[own == each])
    return merit, crossed


def with_merit(fits: Mapping[str, Fit], without: Container[str] = ()) -> dict[str, Fit]:
    """Racers that also learn merit, once for all of them where they learn from the same past.

    Parameters
    ----------
    without : features that merit is not made of. A number that may only raise a score must have no second way to it, by which it could lower it.
    """
    last: list[tuple[pd.DataFrame, tuple[Merit | None, Floats]]] = []

    def merited(fit: Fit, past: pd.DataFrame, features: Sequence[Feature]) -> Any:
        if not last or last[0][0] is not past:
            last[:] = [(past, crossed_merit(past, features, without))]
        merit, crossed = last[0][1]
        if merit is None:
            return fit(past, features)
        return MeritedModel(merit, fit(_beside(past, crossed), (*features, MERIT)))

    return {name: partial(merited, fit) for name, fit in fits.items()}
