"""Log densities of the rows that a model learned from, of held-out and of generated ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfumato.data.table import DataTable
from sfumato.errors import DataError

# Densities cost far more than any other figure; a law is seen in so many rows.
_ROWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Likelihoods:
    """Log densities in nats, up to 1,000 rows of each kind.

    Args:
        learned: of rows learned from, `(l,)`.
        heldout: of rows that were not, `(n,)`.
        generated: of samples, `(n,)`.
    """

    learned: np.ndarray
    heldout: np.ndarray
    generated: np.ndarray


def likelihoods(
    log_prob: Callable[[DataTable], np.ndarray],
    sample: DataTable,
    reference: DataTable,
    train: DataTable,
    *,
    seed: int = 0,
) -> Likelihoods:
    """Score rows of three kinds.

    Args:
        log_prob: of rows `(n,)`, in nats.
        sample: generated rows.
        reference: as many real rows that were not used in training.
        train: the rows that the model learned from.
        seed: of which of those are looked at.

    Raises:
        DataError: if a density is not finite.
    """
    some = np.random.default_rng(seed).permutation(len(train))[:_ROWS]
    first = np.arange(min(len(sample), len(reference), _ROWS))
    parts = train.take(some), reference.take(first), sample.take(first)
    return Likelihoods(*(_finite(np.asarray(log_prob(part), dtype=float)) for part in parts))


def _finite(found: np.ndarray) -> np.ndarray:
    bad = len(found) - int(np.isfinite(found).sum())
    if bad:
        raise DataError(f"{bad} of {len(found)} log densities are NaN or infinite.")
    return found
