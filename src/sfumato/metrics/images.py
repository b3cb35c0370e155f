"""Distances between sets of pictures, in the features of a network, each beside its floor.

    (1)  Fréchet distance: |m_a - m_b|² + tr(C_a + C_b - 2 (C_a^½ C_b C_a^½)^½)
         of the Gaussians with the features' means and covariances: Heusel et al. (2017)
    (2)  kernel distance: squared maximum mean discrepancy, unbiased, with the kernel
         (a·b/f + 1)³: Binkowski et al. (2018)
    (3)  with balls about each real feature that reach its k-th nearest real one:
         density   balls that hold a sample, over k, mean over samples
         coverage  share of the balls that hold a sample at all: Naeem et al. (2020)
         precision share of the samples in some ball
         recall    the same with the sets exchanged: Kynkaanniemi et al. (2019)

A Fréchet distance is large between two small real sets, and each of these depends on the network
and on the number of pictures; only the floor beside it makes it a number to go by.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from sfumato.errors import DataError
from sfumato.metrics.evaluation import LEAST_ROWS, Measure, judged
from sfumato.metrics.features import Classifier
from sfumato.metrics.memorisation import nearer_share, nearest_distances

_NEIGHBOURS = 5


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Eq. (1) between two sets of features, `(n, f)` and `(m, f)`, two rows or more each."""
    apart = a.mean(0) - b.mean(0)
    of_a, of_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = _root(of_a)
    cross = np.linalg.eigvalsh(root @ of_b @ root).clip(min=0)
    trace = np.trace(of_a) + np.trace(of_b) - 2 * np.sqrt(cross).sum()
    return float(apart @ apart + trace)


def _root(symmetric: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors * np.sqrt(values.clip(min=0)) @ vectors.T)


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Eq. (2) between two sets of features; around 0 for sets of one distribution."""
    n, m, f = len(a), len(b), a.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray((x @ y.T / f + 1) ** 3)

    within_a, within_b = kernel(a, a), kernel(b, b)
    own = (within_a.sum() - np.trace(within_a)) / (n * (n - 1))
    other = (within_b.sum() - np.trace(within_b)) / (m * (m - 1))
    return float(own + other - 2 * kernel(a, b).mean())


def manifold(sample: np.ndarray, real: np.ndarray, k: int = _NEIGHBOURS) -> dict[str, float]:
    """Eq. (3): precision, recall, density and coverage of a sample, more than k rows each."""
    from scipy.spatial.distance import cdist

    def radii(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.partition(cdist(x, x), k, axis=1)[:, k])  # the 0th is itself

    apart = cdist(real, sample)
    held = apart <= radii(real)[:, None]
    return {
        "precision": float(held.any(0).mean()),
        "recall": float((apart <= radii(sample)[None]).any(1).mean()),
        "density": float(held.sum(0).mean() / k),
        "coverage": float(held.any(1).mean()),
    }


def evaluate_images(
    sample: np.ndarray,
    reference: np.ndarray,
    real: Sequence[np.ndarray],
    train: np.ndarray,
    *,
    classifier: Classifier,
    asked: np.ndarray | None = None,
    seed: int = 0,
) -> Iterator[Measure]:
    """Measure a sample of pictures, one figure at a time; larger is worse in all of them.

    Args:
        sample: generated pictures, bytes `(m, height, width, channels)`.
        reference: real ones that were not trained on, as many.
        real: two or more further sets of as many real ones.
        train: the pictures that the model learned from.
        classifier: gives the features.
        asked: the classes that the samples were asked to be of, if the classifier knows them.
        seed: of splits.

    Raises:
        DataError: if there are too few, or their shapes do not agree.
    """
    rows = len(sample)
    if rows < LEAST_ROWS:
        raise DataError(f"at least {LEAST_ROWS} pictures of each kind are needed; got {rows}.")
    if len({part.shape for part in (sample, reference, *real)}) > 1 or len(real) < 2:
        raise DataError("the sample and the real sets must be as many pictures of one size.")
    base, own = classifier(reference), classifier(sample)
    others = [classifier(part) for part in real]

    # Small: half as far again as real pictures are from each other.
    value, *floor = (frechet_distance(base, part) for part in (own, *others))
    yield judged("frechet", "Fréchet distance", value, floor, 1.5 * float(np.mean(floor)), rows)
    value, *floor = (kernel_distance(base, part) for part in (own, *others))
    yield judged("kernel", "kernel distance", value, floor, 3 * float(np.std(floor)), rows)
    found = [manifold(part, base) for part in (own, *others)]
    for name in ("precision", "recall", "density", "coverage"):
        value, *floor = (1 - each[name] for each in found)
        small = float(np.mean(floor)) + 0.05  # a twentieth of the pictures
        # A density has no upper end; the others are shares.
        worst = None if name == "density" else 1
        yield judged(name, f"1 - {name}", value, floor, small, rows, worst=worst)

    learned = classifier(train)
    held = nearest_distances(base, learned)
    value = nearer_share(nearest_distances(own, learned), held)
    halves = [np.random.default_rng((seed, k)).permutation(held) for k in range(len(real))]
    floor = [nearer_share(half[: rows // 2], half[rows // 2 :]) for half in halves]
    title = "nearer to training pictures than real"
    yield judged("memorisation", title, value, floor, 0.55, rows, worst=1)
    if asked is not None:
        wrong = float((classifier.classify(sample) != asked).mean())
        # As often as it misjudges real pictures, give or take what chance does with so few.
        error = 1 - classifier.accuracy
        floor = list(np.random.default_rng(seed).binomial(rows, error, len(real)) / rows)
        title = "read as another class than asked"
        yield judged("label_errors", title, wrong, floor, 0.03, rows, worst=1)
