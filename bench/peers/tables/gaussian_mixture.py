"""scikit-learn's Gaussian mixture, its size and the form of its covariances by BIC."""

from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from bench.peers.tables import TablePeer
from bench.peers.tables.states import Factored, factored
from bench.table_sets import TableSet

_SIZES, _ROWS = (1, 2, 3, 5, 8, 12, 20), 20  # rows that each component must have at least


def _density(x: np.ndarray, seed: int) -> Any:
    made = [
        GaussianMixture(size, covariance_type=form, random_state=seed, reg_covar=1e-3).fit(x)
        for form in ("full", "diag")
        for size in _SIZES
        if size * _ROWS <= len(x)
    ]
    return min(made, key=lambda mixture: mixture.bic(x))


def _draw(mixture: Any, n: int, seed: int) -> np.ndarray:
    mixture.random_state = seed
    return np.asarray(mixture.sample(n)[0])


def _fit(learn: TableSet, seed: int) -> Factored:
    return factored(learn, seed, _density, _draw)


PEER = TablePeer(
    name="Gaussian mixture",
    recipe=f"scikit-learn's, of {', '.join(map(str, _SIZES))} components with full or diagonal "
    "covariances, by BIC; one for each state (see above)",
    fit=_fit,
    can=("sample", "log_prob"),
)
