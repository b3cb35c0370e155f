"""scikit-learn's kernel density, its bandwidth chosen on a tenth of the rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.neighbors import KernelDensity

from bench.peers import Fitted, Peer
from bench.peers.points import scaled

_BANDWIDTHS = np.geomspace(0.01, 1.0, 10)


@dataclass(frozen=True, slots=True, eq=False)
class _Density:
    density: Any
    mean: np.ndarray
    scale: np.ndarray

    def sample(self, n: int, seed: int) -> np.ndarray:
        return np.asarray(self.density.sample(n, random_state=seed) * self.scale + self.mean)

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        scores = self.density.score_samples((rows - self.mean) / self.scale)
        return np.asarray(scores - np.log(self.scale).sum())


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:  # noqa: ARG001
    data, mean, scale = scaled(rows)
    x = np.random.default_rng(seed).permutation(data.double().numpy())
    held, learned = x[: len(x) // 10], x[len(x) // 10 :]
    best = max(
        _BANDWIDTHS,
        key=lambda width: KernelDensity(bandwidth=width, rtol=1e-4).fit(learned).score(held),
    )
    return _Density(KernelDensity(bandwidth=best, rtol=1e-4).fit(x), mean, scale)


PEER = Peer(
    name="kernel density",
    recipe="scikit-learn's, the best of 10 bandwidths on held-out rows",
    steps=1,
    fit=_fit,
)
