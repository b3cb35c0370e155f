"""Are the predicted laws of a column right, and how much do they say? Rows with a truth say.

The unconditional law is calibrated and says nothing of a row, so calibration is not enough: scores
(`scoring_rules`) of that and of a linear model stand beside the model's own. Limits of chance hold
99 % of what a right law shows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np

from sfumato.metrics.scoring_rules import (
    PIT_BINS,
    RARE,
    Bins,
    areas,
    binomial_limits,
    brier,
    calibration_error,
    calibration_limit,
    log_score,
    pinball,
    pit_distance,
    pit_shares,
    reliability,
    roc,
)

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Of the levels, those between which an interval lies, and the share that it claims to hold.
SHARES = {0.5: (1, 3), 0.9: (0, 4)}

TITLES = {
    "model": "this model",
    "linear": "linear model",
    "unconditional": "unconditional",
}
"""Laws that are judged beside each other."""


class Laws(Protocol):
    """A law of numbers for each of n rows."""

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """Numbers that the row is below with these probabilities, `(n, levels)`."""
        ...

    def crps(self, truth: np.ndarray) -> np.ndarray:
        """Eq. (1) of each row, `(n,)`."""
        ...

    def cdf(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of less than each row's point and of no more than it, `(n,)` each."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of the model's laws and of those beside it.

    Args:
        name: short, for scripts.
        title: in plain words.
        values: by the names of `TITLES`; not of a law whose value is unknown.
        errors: standard errors of the values; none where there is no simple one.
        chance: between which values a right law lies in 99 of 100 cases; none where unknown.
        leads: how much better the model is than each other, and the standard error of that, from
            the differences row by row.
        better: which values are better; neither where only the limits of chance count.
        is_share: whether values are shares of one.
    """

    name: str
    title: str
    values: Mapping[str, float]
    errors: Mapping[str, float]
    chance: Mapping[str, tuple[float, float]]
    leads: Mapping[str, tuple[float, float]]
    better: Literal["less", "more", ""] = "less"
    is_share: bool = False

    def said(self, value: float, digits: int = 4) -> str:
        """A value of it as text."""
        return _plain(value * self._whole, digits) + self._unit

    def cell(self, law: str) -> str:
        """The value, with its standard error where it says something; empty where unknown."""
        if law not in self.values:
            return ""
        value, error = self.values[law], self.errors.get(law, 0.0)
        if error <= 1e-6 * abs(value) or self.chance:
            return self.said(value)
        value, error = value * self._whole, error * self._whole
        # As many places as two digits of the error have, and no more than four digits need.
        places = 1 - math.floor(math.log10(error))
        if value:
            places = min(places, max(3 - math.floor(math.log10(abs(value))), 0))
        if not 0 < places < 7:
            return f"{_plain(value, 3)} ± {_plain(error, 2)}{self._unit}"
        off = f"{error:.{places}f}"
        return f"{value:.{places}f} ± {off if float(off) else _plain(error, 1)}{self._unit}"

    @property
    def by_chance(self) -> str:
        """Between which values the model would lie if its laws were right; empty if unknown."""
        if "model" not in self.chance:
            return ""
        low, high = (_plain(each * self._whole, 3) for each in self.chance["model"])
        return (f"{low} to {high}" if self.chance["model"][0] else f"up to {high}") + self._unit

    @property
    def _whole(self) -> float:
        return 100.0 if self.is_share else 1.0

    @property
    def _unit(self) -> str:
        return " %" if self.is_share else ""

    @property
    def lead(self) -> str:
        """How much better or worse the model is than the others, in words; empty if alone."""
        return ", ".join(self._against(law, *self.leads[law]) for law in self.leads)

    def _against(self, law: str, lead: float, error: float) -> str:
        whole = abs(self.values[law]) or 1.0
        name = {"linear": "linear model", "unconditional": "unconditional law"}[law]
        share, chance = 100 * lead / whole, 200 * error / whole
        if abs(lead) <= 2 * error:
            return f"within chance (± {chance:.2g} %) of that of the {name}"
        how = "better" if lead > 0 else "worse"
        return f"{abs(share):.3g} ± {chance / 2:.2g} % {how} than that of the {name}"


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """The law of one row, to be drawn.

    Args:
        why: it was chosen.
        values: `(m,)` in rising order.
        weights: of each, `(m,)`.
        is_mass: which are point masses, `(m,)`.
        truth: what stands in the row.
    """

    why: str
    values: np.ndarray
    weights: np.ndarray
    is_mass: np.ndarray
    truth: float


@dataclass(frozen=True, slots=True, eq=False)
class NumberPicture:
    """What is drawn of predicted numbers.

    Args:
        truth: of each row, `(n,)`.
        quantiles: of `LEVELS`, `(n, levels)`.
        pit: share of the rows in each of equal bins of eq. (6), `(bins,)`.
        pit_chance: between which shares a bin of a right law lies.
        step: of the grid that the column lies on, 0 if on none.
        densities: of some rows.
    """

    truth: np.ndarray
    quantiles: np.ndarray
    pit: np.ndarray
    pit_chance: tuple[float, float]
    step: float = 0.0
    densities: tuple[Density, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CategoryPicture:
    """What is drawn of predicted categories.

    Args:
        event: whose probability is looked at, in words.
        probability: of each row, `(n,)`.
        bins: eq. (7).
        curves: share of false against share of true alarms at every threshold, `(2, k)`, and the
            area under it, by category.
    """

    event: str
    probability: np.ndarray
    bins: Bins
    curves: Mapping[str, tuple[np.ndarray, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """How good the predictions of a column are.

    Args:
        target: the column.
        rows: how many rows were predicted.
        unit: of the scores, where it is not the column's own.
        scores: each of the model's laws and of those beside it.
        picture: what is drawn of the model's.
        notes: what else is to be known, in sentences.
    """

    target: str
    rows: int
    unit: str
    scores: tuple[Score, ...]
    picture: NumberPicture | CategoryPicture
    notes: tuple[str, ...] = ()

    @property
    def laws(self) -> tuple[str, ...]:
        """Names of the laws that were judged."""
        return tuple(self.scores[0].values)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the scores say, in plain words."""
        said = []
        for score in self.scores:
            if score.name in ("crps", "brier") and score.lead:
                said.append(f"{score.title}: {score.lead}.")
            if "model" in score.chance and score.name != "coverage_50":
                value = score.said(score.values["model"], 3)
                found = (
                    f"{score.title} {value}"
                    if score.better
                    else f"{value} of the true values are {score.title}"
                )
                said.append(
                    f"{found}, of right laws it would be {score.by_chance}: {_judged(score)}."
                )
        return (*said, *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        picture: dict[str, Any] = {}
        if isinstance(self.picture, NumberPicture):
            picture["pit"] = {
                "shares": self.picture.pit.tolist(),
                "chance": list(self.picture.pit_chance),
            }
        else:
            bins = asdict(self.picture.bins)
            picture["reliability"] = {"event": self.picture.event} | {
                name: values.tolist() for name, values in bins.items()
            }
        return {
            "target": self.target,
            "rows": self.rows,
            **({"unit": self.unit} if self.unit else {}),
            "scores": [asdict(score) for score in self.scores],
            **picture,
            "sentences": list(self.sentences),
        }


def _plain(value: float, digits: int) -> str:
    """So many digits of a number, 170 and not 1.7e+02."""
    return f"{float(f'{value:.{digits}g}'):.12g}"


def _judged(score: Score) -> str:
    """Whether chance explains how far off the model is."""
    value, (low, high) = score.values["model"], score.chance["model"]
    if low <= value <= high:
        return "as it should be, as far as so many rows can tell"
    if score.better:
        return "not calibrated"
    return "too narrow" if value < low else "too wide"


def judged_numbers(
    laws: Mapping[str, Laws],
    truth: np.ndarray,
    step: float,
    scale: float = 1.0,
    *,
    log_scores: Mapping[str, np.ndarray] | None = None,
) -> tuple[tuple[Score, ...], NumberPicture]:
    """Scores of predicted numbers, and what is drawn of the model's.

    Args:
        laws: by the names of `TITLES`; of the model, and of what it is compared with.
        truth: `(n,)`.
        step: of the grid that the column lies on, 0 if on none: a value then stands for its cell.
        scale: what one of the unit of the scores is, in the column's.
        log_scores: eq. (3) of each row, `(n,)`, of those laws whose densities are known.
    """
    rows, half = len(truth), step / 2
    quantiles = {name: floats(law.quantiles(LEVELS)) for name, law in laws.items()}
    crps = {name: law.crps(truth) / scale for name, law in laws.items()}
    losses = {
        name: pinball(each, np.array(LEVELS), truth).mean(1) / scale
        for name, each in quantiles.items()
    }
    scores = [
        averaged("crps", "CRPS", crps),
        averaged("pinball", "pinball loss", losses),
    ]
    if log_scores:
        scores.append(averaged("log_score", "log score, nats", log_scores))
    for share, (low, high) in SHARES.items():
        inside, chance = {}, {}
        for name, law in laws.items():
            ends = quantiles[name][:, [low, high]].T
            inside[name] = ((ends[0] <= truth) & (truth <= ends[1])).astype(float)
            # On a grid an interval with its ends holds more than its share.
            claimed = law.cdf(ends[1] + half)[1] - law.cdf(ends[0] - half)[0]
            chance[name] = _pair(binomial_limits(float(claimed.mean()), rows))
        scores.append(
            Score(
                f"coverage_{100 * share:.0f}", f"in {100 * share:.0f} % intervals",
                {name: float(each.mean()) for name, each in inside.items()},
                {name: _standard_error(each) for name, each in inside.items()},
                chance, {}, "", is_share=True,
            )
        )  # fmt: skip
    low, high = SHARES[0.9]
    widths = {name: (each[:, high] - each[:, low]) / scale for name, each in quantiles.items()}
    scores.append(averaged("width_90", "width, 90 %", widths, better=""))
    jumps = {
        name: (law.cdf(truth - half)[0], law.cdf(truth + half)[1]) for name, law in laws.items()
    }
    scores.append(_pit_score(jumps, rows))
    shares = pit_shares(*jumps["model"])
    limits = _pair(binomial_limits(1 / PIT_BINS, rows))
    picture = NumberPicture(truth / scale, quantiles["model"] / scale, shares, limits)
    return tuple(scores), picture


def floats(values: np.ndarray) -> np.ndarray:
    """Numbers, or dates in microseconds, as float64."""
    return (values.astype(np.int64) if values.dtype.kind == "M" else values).astype(np.float64)


def _pit_score(jumps: Mapping[str, tuple[np.ndarray, np.ndarray]], rows: int) -> Score:
    from scipy.stats import kstwo

    limit = float(kstwo.ppf(1 - RARE, rows))
    found = {name: pit_distance(*each) for name, each in jumps.items()}
    chance = dict.fromkeys(found, (0.0, limit))
    return Score("pit", "PIT off uniform", found, {}, chance, {})


def averaged(
    name: str,
    title: str,
    values: Mapping[str, np.ndarray],
    better: Literal["less", "more", ""] = "less",
    *,
    is_share: bool = False,
) -> Score:
    """The mean over rows, with its standard error; and that of the differences from the model.

    Args:
        name: short.
        title: in plain words.
        values: of each law, `(n,)`.
        better: which values are.
        is_share: whether they are shares of one.
    """
    sign = {"less": 1, "more": -1, "": 0}[better]
    leads = {}
    for law, each in values.items():
        if law != "model" and sign:
            ahead = sign * (each - values["model"])
            leads[law] = float(ahead.mean()), _standard_error(ahead)
    return Score(
        name, title, {law: float(each.mean()) for law, each in values.items()},
        {law: _standard_error(each) for law, each in values.items()}, {}, leads, better, is_share,
    )  # fmt: skip


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def _pair(limits: tuple[Any, Any]) -> tuple[float, float]:
    return float(limits[0]), float(limits[1])


def chosen_rows(
    values: np.ndarray,
    weights: np.ndarray,
    widths: np.ndarray,
    below: np.ndarray,
    upto: np.ndarray,
) -> dict[int, str]:
    """Rows whose laws are worth a look, and why: six, the next one where one is chosen already.

    Args:
        values: of each row's law, `(n, m)` in rising order.
        weights: of them.
        widths: of an interval, `(n,)`.
        below: the law's probability of less than the truth, `(n,)`.
        upto: of no more than it.
    """
    size, humps = widths.argsort(kind="stable"), two_parts(values, weights)
    typical = abs(np.arange(len(size)) - len(size) // 2).argsort(kind="stable")
    best_first = {
        "narrowest interval": size,
        "typical width": size[typical],
        "widest interval": size[::-1],
        "most like two humps": (-humps).argsort(kind="stable"),
        "truth lowest in its law": upto.argsort(kind="stable"),
        "truth highest in its law": (-below).argsort(kind="stable"),
    }
    found: dict[int, str] = {}
    for why, rows in best_first.items():
        row = next((int(k) for k in rows if int(k) not in found), None)
        if row is not None:
            found[row] = why
    return found


def two_parts(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The largest share of a law's variance that lies between two parts of it, `(n,)`.

    Otsu (1979), eq. 18: 1 for two points, 3/4 for an even law, 2/π for a normal one.
    """
    mean = (values * weights).sum(1, keepdims=True)
    centred = values - mean
    variance = (weights * centred**2).sum(1)
    below, moment = weights.cumsum(1)[:, :-1], (weights * centred).cumsum(1)[:, :-1]
    between = moment**2 / np.maximum(below * (1 - below), 1e-300)
    share = np.where(below * (1 - below) > 0, between, 0).max(1)
    return np.asarray(np.where(variance > 0, share / np.where(variance > 0, variance, 1), 0))


def judged_categories(
    laws: Mapping[str, np.ndarray], truth: np.ndarray, names: Sequence[str]
) -> tuple[tuple[Score, ...], CategoryPicture]:
    """Scores of predicted categories, and what is drawn of the model's.

    Args:
        laws: probabilities `(n, categories)` by the names of `TITLES`.
        truth: which category each row has, `(n,)`; two or more are there.
        names: of the categories.
    """
    rarer = int(np.bincount(truth, minlength=2)[1] * 2 <= len(truth))
    two = len(names) == 2

    def event(law: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if two:
            return law[:, rarer], truth == rarer
        return law.max(1), law.argmax(1) == truth

    events = {name: event(law) for name, law in laws.items()}
    bins = {name: reliability(*each) for name, each in events.items()}
    scores = (
        averaged("brier", "Brier score", {name: brier(law, truth) for name, law in laws.items()}),
        averaged(
            "log_score", "log score, nats",
            {name: log_score(law, truth) for name, law in laws.items()},
        ),
        averaged(
            "auc", "area under ROC",
            {name: areas(law, truth) for name, law in laws.items()}, "more",
        ),
        averaged(
            "accuracy", "predicted right",
            {name: (law.argmax(1) == truth).astype(float) for name, law in laws.items()}, "more",
            is_share=True,
        ),
        Score(
            "calibration", "calibration error",
            {name: calibration_error(each) for name, each in bins.items()}, {},
            {name: (0.0, calibration_limit(each)) for name, (each, _) in events.items()}, {},
        ),
    )  # fmt: skip
    what = f"{names[rarer]}" if two else "the most probable category"
    counts = np.bincount(truth, minlength=len(names))
    drawn = [rarer] if two else np.argsort(-counts, kind="stable")[:5].tolist()
    curves = {
        names[k]: roc(laws["model"][:, k], truth == k) for k in drawn if 0 < counts[k] < len(truth)
    }
    return scores, CategoryPicture(what, events["model"][0], bins["model"], curves)
