"""The floor: what a sample of a toy set cannot be better than, being no more than real rows are."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sfumato.data.toy import draw, toy_set
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import PairMeans, energy, median_bandwidth, pair_means

ROWS = 10_000
_PAIRWISE = 4000  # rows of an energy distance, which costs their square
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
            and not self.gap > LARGEST_GAP  # a gap that is not known is nan
            and self.energy <= self.largest_energy
        )

    @property
    def cells(self) -> tuple[str, str, str]:
        """For a table."""
        gap = "unknown" if np.isnan(self.gap) else f"{self.gap:.3f}"
        return f"{self.auc:.4f}", gap, f"{self.energy:.1e} ({self.largest_energy:.1e})"


class Floor:
    """Real rows of a toy set that no model has seen, and how far they are from each other.

    Args:
        name: of the set.
        known: its log density, `(n, d)` to `(n,)`, if it is not the toy set's own.
        fresh: `(n, seed)` to rows, if not the toy set's own.
    """

    def __init__(
        self,
        name: str,
        known: Callable[[np.ndarray], np.ndarray] | None = None,
        fresh: Callable[[int, int], np.ndarray] | None = None,
    ) -> None:
        if fresh is None:
            chosen = toy_set(name)
            if chosen.log_density is not None:
                density = chosen.log_density
                known = lambda rows: density(rows, chosen.noise)  # noqa: E731
            fresh = lambda n, seed: draw(name, n, seed=seed, stream="floor").values  # noqa: E731
        self.known = known
        self.reference = fresh(ROWS, 1000)
        self.truth = np.nan if known is None else float(known(fresh(20 * ROWS, 1001)).mean())
        scale = self.reference.std(0)
        self._scaled = [fresh(_PAIRWISE, 1002 + k) / scale for k in range(5)]
        self._scale, self._bandwidth = scale, median_bandwidth(self._scaled[0])
        self._within = [pair_means(x, x, self._bandwidth) for x in self._scaled]
        self.largest_energy = max(
            self._energy(x, self._within[j], self._scaled[k], self._within[k])
            for (j, x), (k, _) in combinations(enumerate(self._scaled), 2)
        )

    def _energy(self, x: np.ndarray, xx: PairMeans, y: np.ndarray,
                yy: PairMeans) -> float:  # fmt: skip
        return energy(pair_means(x, y, self._bandwidth), xx, yy)

    def distance(self, sample: np.ndarray) -> Distance:
        """How far `sample` `(ROWS, d)` is from the reference."""
        few = sample[:_PAIRWISE] / self._scale
        within = pair_means(few, few, self._bandwidth)
        gap = np.nan if self.known is None else abs(float(self.known(sample).mean()) - self.truth)
        return Distance(
            auc=classifier_auc(self.reference, sample),
            gap=gap,
            energy=self._energy(self._scaled[0], self._within[0], few, within),
            largest_energy=self.largest_energy,
        )
