"""The floor: what a sample of a toy set cannot be better than, being no more than real rows are."""

from dataclasses import dataclass

import numpy as np

from sfumato.data.toy import draw, toy_set
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import energy, median_bandwidth, pair_means

ROWS = 10_000
_PAIRWISE = 4000  # rows of an energy distance, which costs their square
_REAL_SETS = 20
LARGEST_AUC, LARGEST_GAP = 0.515, 0.03


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a sample is from real rows, in three figures."""

    auc: float
    gap: float
    energy: float
    largest_energy: float

    @property
    def at_floor(self) -> bool:
        """Whether all three are what real rows reach."""
        return (
            self.auc <= LARGEST_AUC
            and self.gap <= LARGEST_GAP
            and self.energy <= self.largest_energy
        )

    @property
    def cells(self) -> tuple[str, str, str]:
        """For a table."""
        return (
            f"{self.auc:.4f}",
            f"{self.gap:.3f}",
            f"{self.energy:.1e} ({self.largest_energy:.1e})",
        )


class Floor:
    """Real rows of a toy set that no model has seen, and how far they are from each other.

    Args:
        name: of the set, whose density must be known.
    """

    def __init__(self, name: str) -> None:
        chosen = toy_set(name)

        def fresh(n: int, seed: int) -> np.ndarray:
            return draw(name, n, seed=seed, stream="floor").values

        def known(rows: np.ndarray) -> np.ndarray:
            assert chosen.log_density is not None
            return chosen.log_density(rows, chosen.noise)

        self.known = known
        self.reference = fresh(ROWS, 1000)
        self.truth = float(known(fresh(20 * ROWS, 1001)).mean())
        scale = self.reference.std(0)
        self._scale = scale
        self._real = self.reference[:_PAIRWISE] / scale
        self._bandwidth = median_bandwidth(self._real)
        self._within = pair_means(self._real, self._real, self._bandwidth)
        self.largest_energy = max(
            self._energy(fresh(_PAIRWISE, 1002 + k) / scale) for k in range(_REAL_SETS)
        )

    def _energy(self, x: np.ndarray) -> float:
        within = pair_means(x, x, self._bandwidth)
        return energy(pair_means(self._real, x, self._bandwidth), self._within, within)

    def distance(self, sample: np.ndarray) -> Distance:
        """How far `sample` `(ROWS, d)` is from the reference."""
        return Distance(
            auc=classifier_auc(self.reference, sample),
            gap=abs(float(self.known(sample).mean()) - self.truth),
            energy=self._energy(sample[:_PAIRWISE] / self._scale),
            largest_energy=self.largest_energy,
        )
