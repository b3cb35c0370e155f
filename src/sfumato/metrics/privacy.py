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
from sfumato.metrics.memorisation import nearer_share, nearest_distances
from sfumato.metrics.shuffling import SHUFFLES, shuffled

LIMITS = (
    "These attacks are simple ones and these figures are averages: they can show that a table "
    "gives rows away, never that it does not."
)

# Distances cost rows times rows times axes.
FEW = 2000
_KNOWN = 5_000_000


def evaluate_privacy(
    sample: Coded,
    reference: Coded,
    train: Coded,
    *,
    log_prob: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> Iterator[Measure]:
    """Measure what gives rows away, one figure at a time.

    Args:
        sample: generated rows.
        reference: real rows that were not used in training.
        train: the rows learned from.
        log_prob: of some training rows and of some held-out rows, where it is known.
        seed: of which training rows are looked at, and of the floors.
    """
    rng = np.random.default_rng(seed)
    known = set(_rows(train))
    value, held = (float(np.mean([r in known for r in _rows(x)])) for x in (sample, reference))
    # How many copies another such set would have, after what the held-out rows had (Jeffreys).
    n, count = len(reference), held * len(reference)
    likely = rng.beta(count + 0.5, n - count + 0.5, SHUFFLES)
    floor = list(rng.binomial(len(sample), likely) / len(sample))
    detail = f"of held-out rows {held:.3g}"
    yield judged(
        "copies", "share of exact copies of training rows", value, floor, held + 0.005, n, detail
    )

    near, *_ = coordinates([reference[:FEW]])
    learned = train[rng.permutation(len(train))[: max(FEW, _KNOWN // near.shape[1])]]
    base, own, known_rows = coordinates([reference[:FEW], sample, learned])
    to_train = nearest_distances(own[:FEW], known_rows), nearest_distances(base, known_rows)
    yield judged(
        "memorisation", "nearer to training rows than real", nearer_share(*to_train),
        shuffled(nearer_share, *to_train, rng), 0.55, len(base),
    )  # fmt: skip
    to_sample = nearest_distances(known_rows[:FEW], own), nearest_distances(base, own)
    yield judged(
        "distance_attack", "training rows told by their distance, AUC", nearer_share(*to_sample),
        shuffled(nearer_share, *to_sample, rng), 0.55, len(base), LIMITS.rstrip("."),
    )  # fmt: skip
    if log_prob is not None:
        unlikely = -log_prob[0], -log_prob[1]
        yield judged(
            "density_attack", "training rows told by their density, AUC", nearer_share(*unlikely),
            shuffled(nearer_share, *unlikely, rng), 0.55, len(log_prob[1]),
        )  # fmt: skip


def _rows(table: Coded) -> list[bytes]:
    """Each row as one thing to compare."""
    whole = np.ascontiguousarray(np.hstack([table.numbers + 0.0, table.levels]))  # -0 is 0
    return [row.tobytes() for row in whole]
