"""A hazard in stretches: how readily a lead is won in each part of the horizon, given that it was not won before.

A classifier waits until a night is ripe; a hazard learns from every stretch that has passed, so that the newest weeks count too, and it answers for
any horizon. Its price is one more thing to learn: how a lead's chances move after the night. Which of the two is believed is for the backtest to say.

night |--stretch--|--stretch--|----stretch----|------stretch------| horizon
      won in the third: two stretches without a win, one with; seen until here ^ : nothing is said of the rest
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from models.backtest import held_out
from models.baseline import by_feature, relative_weight
from models.calibration import carried
from models.encoding import Encoder
from models.shapley import shapley_values
from models.trees import Lesson, directed, grown, settings_of

Floats = NDArray[np.float64]
_SHARES = (0.08, 0.2, 0.4, 0.7, 1.0)
_MOST = 120_000
_FEWEST_EXPECTED, _MOST_EXPECTED = 1e-12, 500.0


@dataclass(frozen=True)
class AtLeastOne:
    """From the logarithm of how many wins are expected to the log-odds of one at least, or of none.

    >>> float(AtLeastOne().apply(np.log(np.log([2.0])))[0])
    0.0
    """

    absence: bool = False

    def apply(self, expected: Floats) -> Floats:
        """Log-odds of one win or more: the chance of none is exp(-expected)."""
        odds = np.log(np.expm1(np.clip(np.exp(expected), _FEWEST_EXPECTED, _MOST_EXPECTED)))
        return np.asarray(-odds if self.absence else odds)


@dataclass(frozen=True)
class HazardModel:
    """Trees that say the logarithm of a daily rate for each stretch of the horizon.

    Parameters
    ----------
    ends : where the stretches end, in days after the night; the last is the horizon.
    base : the average logarithm of the daily rate in each stretch, from which the trees start.
    absence : whether what is predicted is that nothing comes, such as a customer who leaves.
    """

    encoder: Encoder
    booster: lgb.Booster
    ends: tuple[float, ...]
    base: tuple[float, ...]
    absence: bool = False
    name: str = "hazard"

    def log_odds(self, frame: pd.DataFrame, horizon_days: float | None = None) -> Floats:
        """One number an example.

        Parameters
        ----------
        horizon_days : another horizon than the one it was learned for; beyond that one, the last stretch goes on.
        """
        values, lengths = self.encoder.transform(frame), self._lengths(horizon_days)
        rates = [np.asarray(self.booster.predict(_in_stretch(values, n), raw_score=True)) + base for n, base in enumerate(self.base)]
        return AtLeastOne(self.absence).apply(np.log(np.exp(np.column_stack(rates)) @ lengths))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"; rows sum to `log_odds`.

        A stretch counts by its share of the wins that are expected. When in the horizon they are expected is nobody's reason, and part of the bias.
        """
        values, lengths = self.encoder.transform(frame), self._lengths(None)
        told = np.array([self._told(values, n) for n in range(len(self.ends))])
        expected = np.exp(told.sum(axis=2)) * lengths[:, None]
        share = expected / expected.sum(axis=0)
        each = np.einsum("sn,snc->nc", share, told[:, :, :-1])
        bias = np.log(expected.sum(axis=0)) - each.sum(axis=1)
        return carried(by_feature(each, self.encoder, bias, frame.index), AtLeastOne(self.absence))

    def _told(self, values: Floats, stretch: int) -> Floats:
        """Shapley values in one stretch, whose own value is the same for everybody in it: it goes to the last column, the bias."""
        told = shapley_values([self.booster], _in_stretch(values, stretch))
        return np.column_stack([told[:, :-2], told[:, -2] + told[:, -1] + self.base[stretch]])

    def _lengths(self, horizon_days: float | None) -> Floats:
        ends = np.array(self.ends)
        if horizon_days is not None:
            ends = np.append(np.minimum(ends[:-1], horizon_days), horizon_days)
        return np.diff(ends, prepend=0.0)

    def save(self, folder: Path) -> None:
        """Write model.lgb and encoder.json."""
        (folder / "model.lgb").write_text(self.booster.model_to_string(), encoding="utf-8")
        stored = {"encoder": self.encoder.to_dict(), "ends": self.ends, "base": self.base, "absence": self.absence}
        (folder / "encoder.json").write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        stored = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        booster = lgb.Booster(model_str=(folder / "model.lgb").read_text(encoding="utf-8"))
        return cls(Encoder.from_dict(stored["encoder"]), booster, tuple(stored["ends"]), tuple(stored["base"]), stored["absence"])


def _in_stretch(values: Floats, stretch: Any) -> Floats:
    return np.column_stack([values, np.broadcast_to(np.asarray(stretch, dtype=float), len(values))])


def stretches(past: pd.DataFrame, horizon_days: float, seed: int) -> pd.DataFrame:
    """What is learned from: of every example the stretch in which it was won, and one other that it was followed into, drawn at random.

    Parameters
    ----------
    past : examples with `happened` and `followed_days`, see `features.labels.as_known`.

    Returns
    -------
    row (in `past`), stretch, days (followed within it), won, times (how many stretches the drawn one stands for).
    """
    ends = np.array([0.0, *_SHARES]) * horizon_days
    followed = past["followed_days"].to_numpy(dtype=float)
    won = past["happened"].to_numpy(dtype=bool) & (followed < horizon_days)
    followed = np.minimum(followed, horizon_days)
    last = np.maximum(np.searchsorted(ends, followed, side="left") - 1, 0)
    last = np.where(won, np.searchsorted(ends, followed, side="right") - 1, last)
    others = last + ~won
    drawn = np.floor(np.random.default_rng(seed).random(len(past)) * others).astype(int)
    row = np.arange(len(past))
    parts = [(row[won], last[won], np.ones(int(won.sum())), True), (row[others > 0], drawn[others > 0], others[others > 0].astype(float), False)]
    table = pd.concat([pd.DataFrame({"row": r, "stretch": s, "times": t, "won": w}) for r, s, t, w in parts], ignore_index=True)
    start, end = ends[table["stretch"]], ends[table["stretch"] + 1]
    return table.assign(days=np.maximum(np.minimum(end, followed[table["row"]]) - start, 1e-3))


def fit_hazard(
    past: pd.DataFrame,
    features: Sequence[Feature],
    horizon_days: float,
    absence: bool = False,
    seed: int = 7,
    params: dict[str, Any] | None = None,
    monotone: Mapping[str, int] | None = None,
) -> HazardModel:
    """Learn it from everybody who was followed, however short, ripe or not.

    Every stretch that an example was followed into is a Poisson count of wins over the days it was followed there, which makes a piecewise
    exponential model of survival (Friedman 1982; discrete-time hazards: Tutz and Schmid 2016) whose rate is grown by LightGBM. Of more than 120,000
    examples so many are drawn at random: each says two things here, and trees of a whole large company would take minutes. A stretch that nobody was
    followed into starts from the average rate.

    Parameters
    ----------
    past : examples as known, see `features.labels.as_known`.
    absence : see `HazardModel`.
    params : LightGBM parameters over the defaults.
    monotone : see `models.trees.fit_boosted`.
    """
    seen = past if len(past) <= _MOST else past.sample(_MOST, random_state=seed).sort_index()
    encoder, table = Encoder.fit(seen, features), stretches(seen, horizon_days, seed)
    row, stretch = table["row"].to_numpy(), table["stretch"].to_numpy()
    values = _in_stretch(encoder.transform(seen)[row], stretch)
    won, days = table["won"].to_numpy(dtype=float), table["days"].to_numpy()
    weight = table["times"].to_numpy() * relative_weight(seen)[row]
    wins, lived = (np.bincount(stretch, each * weight, len(_SHARES)) for each in (won, days))
    base = np.log((wins + 1) / (lived + lived.sum() / (wins.sum() + 1)))
    settings = {**settings_of(params, len(seen), seed), "objective": "poisson", **_bound(encoder, monotone, absence)}
    lesson = Lesson(values, won, weight, held_out(seen["lead_id"])[row], base[stretch] + np.log(days))
    ends = tuple(float(share * horizon_days) for share in _SHARES)
    return HazardModel(encoder, grown(lesson, settings), ends, tuple(float(rate) for rate in base), absence)


def _bound(encoder: Encoder, monotone: Mapping[str, int] | None, absence: bool) -> dict[str, Any]:
    """What may only raise the chance that nothing comes may only lower the rate at which it comes; the stretch itself is free."""
    found = directed(encoder, {name: -sign if absence else sign for name, sign in (monotone or {}).items()})
    return {**found, "monotone_constraints": [*found["monotone_constraints"], 0]} if found else {}
