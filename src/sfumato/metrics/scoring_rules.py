"""Proper scores of predicted laws, and whether the laws are calibrated. Rows with a truth y say.

A proper score is least in the mean for the true law, whatever that is: Gneiting & Raftery (2007).

    (1)  CRPS         E|x - y| - E|x - x'|/2,  x and x' from the law; their eq. 21
    (2)  pinball      (y - q)(tau - [y < q]),  q the law's quantile of tau; their eq. 40
    (3)  log score    -log p(y), in nats; their section 3.1
    (4)  Brier        the sum over categories of (p_k - [y = k])²; of two categories half of it,
                      which is the square of either

A law is calibrated if what it says with probability p comes about so often.

    (5)  coverage     the share of true values inside the interval from one quantile to another
    (6)  PIT          F(y) is uniform. Where F jumps at y, the row is spread over the jump evenly:
                      the nonrandomised PIT of Czado, Gneiting & Held (2009), their eq. 2
    (7)  reliability  among rows in which an event has a probability near p, it comes about in a
                      share p, up to the binomial law of so many rows: Broecker & Smith (2007). The
                      event is the rarer of two categories; of more categories, that the most
                      probable one is right (Guo et al. 2017)

Limits of chance hold 99 % of what a right law shows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sfumato.metrics.classifier import area_under_roc

PIT_BINS, _MOST_BINS, _LEAST_IN_BIN = 20, 10, 20
RARE = 0.01
"""Chance takes a right law outside of its limits so often, on both sides together."""

# A smaller probability counts as this one in the log score, so that one row does not decide it.
_LEAST_PROBABILITY = 1e-15


def pinball(quantiles: np.ndarray, levels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Eq. (2) of each row and level, `(n, levels)`."""
    over = truth[:, None] - quantiles
    return np.asarray(over * (levels - (over < 0)))


def crps_of_values(values: np.ndarray, weights: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Eq. (1) of weighted values in rising order, `(n, m)` each, `(n,)`."""
    error = (weights * abs(values - truth[:, None])).sum(1)
    # E|x - x'| is the integral of 2 F (1 - F) between the values.
    below = weights.cumsum(1)[:, :-1]
    spread = (2 * below * (1 - below) * np.diff(values)).sum(1)
    return np.asarray(error - spread / 2)


def log_score(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Eq. (3) of each row in nats, `(n,)`; a probability below 1e-15 counts as that."""
    of_truth = np.take_along_axis(probabilities, truth[:, None], 1)[:, 0]
    return np.asarray(-np.log(of_truth.clip(_LEAST_PROBABILITY)))


def brier(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Eq. (4) of each row, `(n,)`."""
    off = probabilities - np.eye(probabilities.shape[1])[truth]
    return np.asarray((off**2).sum(1) / (2 if off.shape[1] == 2 else 1))


def area(score: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Terms `(n,)` whose mean is the area under the ROC curve, and their spread its error's.

    The area is the chance that the score of a row with the event is above that of one without;
    the terms are its influence function: DeLong, DeLong & Clarke-Pearson (1988).

    Args:
        score: `(n,)`.
        happened: whether the event did, in some rows and not in all.
    """
    with_it, without = np.sort(score[happened]), np.sort(score[~happened])
    other = np.where(happened, len(without), len(with_it))
    beyond = np.empty(len(score))
    for some, among in ((happened, without), (~happened, with_it)):
        sides = [np.searchsorted(among, score[some], side) for side in ("left", "right")]
        beyond[some] = (sides[0] + sides[1]) / 2
    share = beyond / other
    share = np.where(happened, share, 1 - share)
    found = share[happened].mean()
    return np.asarray(found + (share - found) * len(score) / (len(score) - other))


def areas(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """As `area`, each category against the others, weighted by how common it is."""
    terms, weights = [], []
    for k in range(probabilities.shape[1]):
        happened = truth == k
        if happened.any() and not happened.all():
            terms.append(area(probabilities[:, k], happened))
            weights.append(happened.mean())
    return np.average(terms, axis=0, weights=weights)


def roc(score: np.ndarray, happened: np.ndarray) -> tuple[np.ndarray, float]:
    """Shares of false and of true alarms at every threshold, `(2, k)`, and the area under them."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    alarms = [
        np.append(0, each[order].cumsum()[last] / each.sum()) for each in (~happened, happened)
    ]
    return np.stack(alarms), area_under_roc(happened, score)


def pit_shares(below: np.ndarray, upto: np.ndarray, bins: int = PIT_BINS) -> np.ndarray:
    """Eq. (6): the share of the rows in each of equal bins, `(bins,)`.

    Args:
        below: the law's probability of less than the truth, `(n,)`.
        upto: of no more than it.
        bins: how many.
    """
    return np.diff(_pit_cdf(below, upto, np.linspace(0, 1, bins + 1)))


def pit_distance(below: np.ndarray, upto: np.ndarray) -> float:
    """The largest distance of the law of eq. (6) from the uniform one, to a thousandth."""
    places = np.linspace(0, 1, 1001)
    return float(abs(_pit_cdf(below, upto, places) - places).max())


def _pit_cdf(below: np.ndarray, upto: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The mean over rows of the law that is even between the two, `(places,)`."""
    jumps = upto > below
    low, high = below[jumps], upto[jumps]
    spread = [float(((u - low) / (high - low)).clip(0, 1).sum()) for u in places]
    sharp = np.searchsorted(np.sort(below[~jumps]), places, "right")
    sharp[0] = 0  # a truth at the very end of its law lies in the first bin
    return np.asarray((np.array(spread) + sharp) / len(below))


def binomial_limits(chance: Any, rows: Any) -> tuple[Any, Any]:
    """Between which shares of so many rows an event of this chance lies in 99 of 100 cases."""
    from scipy.stats import binom

    return binom.ppf(RARE / 2, rows, chance) / rows, binom.ppf(1 - RARE / 2, rows, chance) / rows


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Rows by the probability of an event, and how often it came about; `(bins,)` each.

    Args:
        rows: how many.
        claimed: mean probability.
        observed: share in which the event came about.
        low: the least share that a right law shows.
        high: the largest.
    """

    rows: np.ndarray
    claimed: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def reliability(probability: np.ndarray, happened: np.ndarray) -> Bins:
    """Eq. (7) in up to ten bins of about as many rows; equal probabilities are in one.

    Args:
        probability: of an event, `(n,)`.
        happened: whether it did.
    """
    place = _bins_of(probability)
    rows = np.bincount(place)
    claimed, observed = (np.bincount(place, each) / rows for each in (probability, happened))
    low, high = binomial_limits(claimed, rows)
    return Bins(rows, claimed, observed, low, high)


def _bins_of(probability: np.ndarray) -> np.ndarray:
    """In which of the bins each row is, none of them empty, `(n,)`."""
    count = int(np.clip(len(probability) // _LEAST_IN_BIN, 1, _MOST_BINS))
    inner = np.quantile(probability, np.arange(1, count) / count)
    return np.unique(np.searchsorted(inner, probability, "left"), return_inverse=True)[1]


def calibration_error(bins: Bins) -> float:
    """The mean over rows of |observed - claimed| of their bin: Guo et al. (2017), eq. 3."""
    return float(np.average(abs(bins.observed - bins.claimed), weights=bins.rows))


def calibration_limit(probability: np.ndarray) -> float:
    """What the error of a right law stays below in 99 of 100 cases, by drawing the events."""
    rng, place = np.random.default_rng(0), _bins_of(probability)
    found = [
        abs(np.bincount(place, (rng.random(len(place)) < probability) - probability)).sum()
        for _ in range(1000)
    ]
    return float(np.quantile(found, 1 - RARE)) / len(place)
