"""All measures of a sample, each with its floor and a verdict in plain words.

The floor of a measure is the same figure with a real set in the sample's place. One real set
of `m` rows is the reference; the sample and each of k further real sets, all of `m` rows, are
compared with it. Were the model perfect, its value would be one more draw from where the k
floor values came from, so with their mean and standard deviation s

    limit = mean + t_{0.99, k-1} s sqrt(1 + 1/k)

is passed once in a hundred times by chance if the values are normal. Energy distance and MMD
lean to the right and pass it about 3.5 times in a hundred; memorisation, whose floor comes from
half as many rows, about 0.3 times. Taken together, one perfect model in 23 is beyond some limit
(measured on 700 times 100 rows of the S-curve).

Up to the limit the sample `cannot be told apart`. Beyond it the sample is `close` while the value
is below what counts as small (stated with each measure) or no farther from the floor's mean than
twice the limit is, and `apart` above both. Where more is better all of this is mirrored. A measure
whose limit lies halfway to the worst possible value has `no power`: with so few rows it would pass
samples that are half wrong, so that passing it says nothing. Distances have no worst value.

Shares of values that lie where none should be have a floor of one set of fresh real rows, and
binomial limits in the place of t's; see `judged_share`.

Distances are measured with every column divided by its standard deviation in the reference, so
that units do not matter; columns that are constant there are left out of the distances. MMD's
bandwidth comes from the reference too, the same for the value and its floor.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal

import numpy as np

from sfumato.errors import DataError
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import (
    energy,
    median_bandwidth,
    mmd,
    pair_means,
    sliced_wasserstein_2,
)
from sfumato.metrics.memorisation import nearer_share, nearest_distances
from sfumato.metrics.predictions import Predictions

Verdict = Literal["cannot be told apart", "close", "apart", "no power"]
_ORDER: tuple[Verdict, ...] = ("no power", "cannot be told apart", "close", "apart")

LEAST_ROWS = 20
# Pairwise distances cost the square of the rows; this many keep an evaluation within seconds.
_PAIRWISE_ROWS = 3000
_TRAIN_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure, its floor, and what they mean.

    Args:
        name: short, for scripts.
        title: in plain words.
        value: of the sample against the reference.
        floor: of each further real set against the reference.
        limit: beyond this the value is not chance.
        small: beyond this the difference matters, unless chance alone comes near it.
        rows: rows of each set.
        verdict: in words.
        detail: what else there is to know of it, in words.
        higher_is_better: whether worse values are below the limit, not above it.
    """

    name: str
    title: str
    value: float
    floor: tuple[float, ...]
    limit: float
    small: float
    rows: int
    verdict: Verdict
    detail: str = ""
    higher_is_better: bool = False

    @property
    def sentence(self) -> str:
        """The number as a sentence."""
        mean = sum(self.floor) / len(self.floor)
        reaches = "down to" if self.higher_is_better else "up to"
        return (
            f"{self.title} {self.value:.3g}; two real sets {mean:.3g} on average, by chance "
            f"{reaches} {self.limit:.3g}: {self.verdict}.{self.detail and f' ({self.detail}.)'}"
        )

    @property
    def beyond_chance(self) -> bool:
        """Whether the value is worse than the limit."""
        return self.value < self.limit if self.higher_is_better else self.value > self.limit


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All measures, and what they say together.

    Args:
        measures: each beside its floor.
        rows: rows of each set.
        features: what network's features pictures were measured by.
        predictions: of a column of a table, if one was to be predicted.
    """

    measures: tuple[Measure, ...]
    rows: int
    features: str | None = None
    predictions: Predictions | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of the measures; no power where none sees anything and a quarter cannot."""
        worst = max((measure.verdict for measure in self.measures), key=_ORDER.index)
        blind = 4 * len(self.without_power) >= len(self.measures)
        return "no power" if blind and worst == "cannot be told apart" else worst

    @property
    def without_power(self) -> tuple[Measure, ...]:
        """Measures that would pass samples that are half wrong."""
        return tuple(each for each in self.measures if each.verdict == "no power")

    @property
    def note(self) -> str:
        """Which measures have no power, in a line; empty if all have."""
        titles = ", ".join(each.title for each in self.without_power)
        return titles and (
            f"No power with {self.rows:,} rows of each: {titles}. By chance alone they would be "
            "halfway to the worst possible; keep out more rows, or measure --against others."
        )

    def _repr_html_(self) -> str:
        """The measures as a table, for notebooks."""
        rows = "".join(
            f"<tr><td>{escape(each.title)}</td><td>{each.value:.4g}</td>"
            f"<td>{sum(each.floor) / len(each.floor):.4g}</td><td>{each.limit:.4g}</td>"
            f"<td>{escape(each.verdict)}</td></tr>"
            for each in self.measures
        )
        return (
            f"<p><b>{escape(self.verdict)}</b>, {self.rows:,} rows of each. {escape(self.note)}</p>"
            "<table><tr><th>measure</th><th>generated</th><th>real against real, mean</th>"
            f"<th>chance reaches</th><th>verdict</th></tr>{rows}</table>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "rows": self.rows,
            **({"features": self.features} if self.features else {}),
            **({"note": self.note} if self.note else {}),
            "measures": [asdict(m) | {"sentence": m.sentence} for m in self.measures],
            **({"predictions": self.predictions.to_dict()} if self.predictions else {}),
        }


def chance_reaches(count: int) -> float:
    """How many deviations of `count` values between real sets one more reaches over their mean.

    In 1 case of 100: Student's t for a single further value.
    """
    from scipy.special import stdtrit  # scipy.stats would take half a second to load

    return float(stdtrit(count - 1, 0.99)) * math.sqrt(1 + 1 / count)


def judged(
    name: str,
    title: str,
    value: float,
    floor: Sequence[float],
    small: float,
    rows: int,
    detail: str = "",
    *,
    higher_is_better: bool = False,
    worst: float | None = None,
) -> Measure:
    """A measure with its limit and verdict.

    Args:
        name: short name.
        title: in plain words.
        value: of the sample.
        floor: two or more values between real sets.
        small: up to this a difference beyond chance always counts as close.
        rows: rows of each set.
        detail: what else there is to know of it, in words.
        higher_is_better: whether larger values are better; else they are worse.
        worst: the worst possible value; the measure has power by definition where it is not given.
    """
    sign = -1 if higher_is_better else 1
    mean, spread = float(np.mean(floor)), float(np.std(floor, ddof=1))
    reach = chance_reaches(len(floor)) * spread
    limit = mean + sign * reach
    verdict = _verdict(sign * value, sign * limit, max(sign * small, sign * mean + 2 * reach))
    if verdict == "cannot be told apart" and worst is not None and reach >= abs(worst - mean) / 2:
        verdict = "no power"
    return Measure(
        name, title, value, tuple(floor), limit, small, rows, verdict, detail, higher_is_better
    )


def judged_share(
    name: str,
    title: str,
    found: tuple[int, int],
    fresh: tuple[int, int],
    small: float,
    rows: int,
    detail: str = "",
    *,
    higher_is_better: bool = False,
) -> Measure:
    """A share of values that are amiss, or of those that are not, beside that of fresh real values.

    The limit is the 99 % quantile of the binomial law of the upper limit, one in a hundred, that
    Clopper & Pearson (1934) give for the chance of a fresh value to be amiss. What lies beyond it
    and is not small is apart: no reach of chance excuses a value where none can be.

    Args:
        name: short name.
        title: in plain words.
        found: how many drawn values are amiss, of how many.
        fresh: likewise of real values that were not used in training.
        small: up to this share a difference beyond chance always counts as close.
        rows: rows of each set.
        detail: what else there is to know of it, in words.
        higher_is_better: show the shares of values that are as they should be.
    """
    from scipy.stats import beta, binom

    amiss, values = found
    of_fresh, known = fresh
    chance = 1.0 if of_fresh >= known else float(beta.ppf(0.99, of_fresh + 1, known - of_fresh))
    shares = [amiss / max(values, 1), of_fresh / max(known, 1)]
    limit = float(binom.ppf(0.99, values, chance)) / values if values else 0.0
    verdict = _verdict(shares[0], limit, small)
    if verdict == "cannot be told apart" and values and limit - shares[1] >= 0.25:
        verdict = "no power"
    value, floor, limit, small = (
        1 - each if higher_is_better else each for each in (*shares, limit, small)
    )
    return Measure(
        name, title, value, (floor,), limit, small, rows, verdict, detail, higher_is_better
    )


def _verdict(value: float, limit: float, small: float) -> Verdict:
    """Of a value for which larger is worse."""
    if value <= limit:
        return "cannot be told apart"
    return "close" if value <= small else "apart"


def evaluate(
    sample: np.ndarray,
    reference: np.ndarray,
    real: Sequence[np.ndarray],
    train: np.ndarray | None,
    *,
    log_density: Callable[[np.ndarray], np.ndarray] | None = None,
    seed: int = 0,
) -> Iterator[Measure]:
    """Measure a sample, one figure at a time.

    Args:
        sample: generated rows, `(m, d)`.
        reference: real rows that were not used in training, `(m, d)`.
        real: two or more further real sets, `(m, d)` each.
        train: the rows that the model learned from, to see whether it copies them; None where
            they are not known. The floor of that measure is between random halves of the
            reference.
        log_density: the true log density in nats, where known.
        seed: of directions and splits.

    Raises:
        DataError: if there are too few rows, columns do not agree, values are not finite, or no
            column of the reference varies.
    """
    rows = len(sample)
    if rows < LEAST_ROWS:
        raise DataError(f"at least {LEAST_ROWS} rows of each kind are needed; got {rows}.")
    if len({part.shape for part in (sample, reference, *real)}) > 1 or len(real) < 2:
        raise DataError("the sample and the real sets must have the same rows and columns.")

    bad = int(sample.size - np.isfinite(sample).sum())
    if bad:
        raise DataError(f"{bad} of the sample's values are NaN or infinite; it cannot be measured.")

    # Not std > 0: rounding gives equal values a standard deviation of some 1e-17.
    varies = reference.max(0) > reference.min(0)
    if not varies.any():
        raise DataError("every column of the real rows is constant; there is nothing to measure.")
    centre, scale = reference[:, varies].mean(0), reference[:, varies].std(0)

    def scaled(values: np.ndarray) -> np.ndarray:
        return np.asarray((values[:, varies] - centre) / scale)

    rng = np.random.default_rng(seed)
    base, own, others = scaled(reference), scaled(sample), [scaled(part) for part in real]

    auc, *auc_floor = (classifier_auc(base, part, seed=seed) for part in (own, *others))
    title = "classifier two-sample AUC"
    yield judged("classifier_auc", title, auc, auc_floor, 0.55, rows, worst=1)

    few = min(rows, _PAIRWISE_ROWS)
    bandwidth = median_bandwidth(base)
    within = pair_means(first := base[:few], first, bandwidth)
    means = [
        (pair_means(first, part, bandwidth), within, pair_means(part, part, bandwidth))
        for part in (part[:few] for part in (own, *others))
    ]
    # Small: what a shift by a tenth of its deviation makes of a Gaussian column alone.
    value, *floor = (energy(*three) for three in means)
    yield judged("energy_distance", "energy distance", value, floor, 0.0056, few)
    value, *floor = (mmd(*three) for three in means)
    yield judged("mmd", "maximum mean discrepancy, squared", value, floor, 0.0019, few)

    value, *floor = (sliced_wasserstein_2(base, part, seed=seed) for part in (own, *others))
    yield judged("sliced_wasserstein", "sliced Wasserstein-2 distance", value, floor, 0.1, rows)

    if train is not None:
        known = scaled(train[:_TRAIN_ROWS])
        held = nearest_distances(base, known)
        value = nearer_share(nearest_distances(own, known), held)
        halves = (rng.permutation(held) for _ in others)
        floor = [nearer_share(half[: rows // 2], half[rows // 2 :]) for half in halves]
        title = "nearer to training rows than real"
        yield judged("memorisation", title, value, floor, 0.55, rows, worst=1)

    if log_density is not None:
        truth = float(log_density(reference).mean())
        value, *floor = (abs(float(log_density(x).mean()) - truth) for x in (sample, *real))
        yield judged(
            "log_density_gap", "gap in mean true log density, nats", value, floor, 0.05, rows
        )
