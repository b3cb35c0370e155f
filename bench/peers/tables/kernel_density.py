"""scikit-learn's kernel density, its bandwidth by cross-validation."""

from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from bench.peers.tables import TablePeer
from bench.peers.tables.states import Factored, factored
from bench.table_sets import TableSet

_BANDWIDTHS = np.geomspace(0.05, 1.0, 10)


def _density(x: np.ndarray, seed: int) -> Any:  # noqa: ARG001
    search = GridSearchCV(KernelDensity(), {"bandwidth": _BANDWIDTHS}, cv=min(5, len(x)))
    return search.fit(x).best_estimator_


def _draw(density: Any, n: int, seed: int) -> np.ndarray:
    return np.asarray(density.sample(n, random_state=seed))


def _fit(learn: TableSet, seed: int) -> Factored:
    return factored(learn, seed, _density, _draw)


PEER = TablePeer(
    name="kernel density",
    recipe=f"scikit-learn's, the best of {len(_BANDWIDTHS)} bandwidths by five-fold "
    "cross-validation; one for each state (see above)",
    fit=_fit,
    can=("sample", "log_prob"),
)
