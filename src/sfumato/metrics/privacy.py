"""Does a generated table give away the rows that it was learned from?

    copies           share of generated rows that are, value by value, a row learned from; two
                     tables of few levels share rows by chance, and the floor says how many
    memorisation     P(a generated row is nearer to the rows learned from than a held-out row is)
    distance_attack  AUC of guessing that the rows nearest to a generated one were learned from,
                     among as many rows learned from and held out: Chen et al. (2020)
    density_attack   the same, of guessing those of the highest log density

What this does not show: that nobody can be recognised. Attacks that know more (who was likely to
be asked, the model's weights, other releases) do better than these, a single person may be exposed
while the average is not, and a table without copies may still tell a secret of a group.
"""

from collections.abc import Iterator

import numpy as np

from sfumato.metrics.coded import Coded, coordinates
from sfumato.metrics.evaluation import Measure, judged
from sfumato.metrics.likelihoods import Likelihoods
from sfumato.metrics.memorisation import nearer_share, nearest_distances
from sfumato.metrics.shuffling import SHUFFLES, shuffled

# The measures of this module, by name.
PRIVACY = ("copies", "memorisation", "distance_attack", "density_attack")

LIMITS = (
    "These attacks are simple ones and these figures are averages: they can show that a table "
    "gives rows away, never that it does not."
)

# Distances cost rows times rows times axes.
FEW = 1500
_KNOWN = 5_000_000


def evaluate_privacy(
    sample: Coded,
    reference: Coded,
    train: Coded,
    *,
    scores: Likelihoods | None = None,
    seed: int = 0,
) -> Iterator[Measure]:
    """Measure what gives rows away, one figure at a time.

    Args:
        sample: generated rows.
        reference: real rows that were not used in training.
        train: the rows learned from.
        scores: log densities of rows, where they are known.
        seed: of which training rows are looked at, and of the floors.
    """
    rng = np.random.default_rng(seed)
    known = set(_rows(train))
    value, held = (float(np.mean([r in known for r in _rows(x)])) for x in (sample, reference))
    detail = f"of held-out rows {held:.3g}"
    yield judged(
        "copies", "share of exact copies of training rows", value, _again(held, len(sample)),
        held + 0.005, len(sample), detail,
    )  # fmt: skip

    learned = some_rows(train, rng)
    fresh = reference[:FEW]
    own, base = distances_to(learned, sample[:FEW], fresh)
    yield judged(
        "memorisation", "nearer to training rows than real", nearer_share(own, base),
        shuffled(nearer_share, own, base, rng), 0.55, len(base),
        worst=1,
    )  # fmt: skip
    members, others = distances_to(sample, learned[:FEW], fresh)
    yield judged(
        "distance_attack", "training rows recognised by their distance, AUC",
        nearer_share(members, others), shuffled(nearer_share, members, others, rng), 0.55,
        len(others), LIMITS.rstrip("."), worst=1,
    )  # fmt: skip
    if scores is not None:
        unlikely = -scores.learned, -scores.heldout
        yield judged(
            "density_attack", "training rows recognised by their density, AUC",
            nearer_share(*unlikely), shuffled(nearer_share, *unlikely, rng), 0.55,
            len(scores.heldout), worst=1,
        )  # fmt: skip


def some_rows(train: Coded, rng: np.random.Generator) -> Coded:
    """As many random rows as distances can be measured to within seconds."""
    axes = coordinates([train[:FEW]])[0].shape[1]
    return train[rng.permutation(len(train))[: max(FEW, _KNOWN // axes)]]


def distances_to(known: Coded, *sets: Coded) -> list[np.ndarray]:
    """From each row of some sets to the nearest of the known ones, by whose ranks all are placed.

    None of the sets has a say in where its rows lie, so that they can be compared.
    """
    points, *others = coordinates([known, *sets])
    return [nearest_distances(each, points) for each in others]


def _again(share: float, rows: int) -> list[float]:
    """Shares that may be found in as many rows again, of equal chances (Laplace's prior)."""
    from scipy.stats import betabinom

    found, quantiles = share * rows, (np.arange(SHUFFLES) + 0.5) / SHUFFLES
    law = betabinom(rows, found + 1, rows - found + 1)
    return [float(x) for x in law.ppf(quantiles) / rows]


def _rows(table: Coded) -> list[bytes]:
    """Each row as one thing to compare."""
    whole = np.ascontiguousarray(np.hstack([table.numeric + 0.0, table.categories]))  # -0 is 0
    return [row.tobytes() for row in whole]
