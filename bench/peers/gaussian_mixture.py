"""scikit-learn's Gaussian mixture, its size chosen on a tenth of the rows that it does not see."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from bench.peers import Fitted, Peer
from bench.peers.points import scaled

_SIZES = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    mixture: Any
    mean: np.ndarray
    scale: np.ndarray

    def sample(self, n: int, seed: int) -> np.ndarray:
        self.mixture.random_state = seed
        rows = self.mixture.sample(n)[0]
        # It draws component by component.
        return np.asarray(np.random.default_rng(seed).permutation(rows) * self.scale + self.mean)

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        scores = self.mixture.score_samples((rows - self.mean) / self.scale)
        return np.asarray(scores - np.log(self.scale).sum())


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:  # noqa: ARG001
    data, mean, scale = scaled(rows)
    x = np.random.default_rng(seed).permutation(data.double().numpy())
    held, learned = x[: len(x) // 10], x[len(x) // 10 :]
    made = [
        GaussianMixture(size, random_state=seed, reg_covar=1e-5).fit(learned) for size in _SIZES
    ]
    return _Mixture(max(made, key=lambda mixture: mixture.score(held)), mean, scale)


PEER = Peer(
    name="Gaussian mixture",
    recipe=f"scikit-learn's, the best of {', '.join(map(str, _SIZES))} components on held-out rows",
    steps=1,
    fit=_fit,
)
