"""CTGAN 0.2.1, the last release on PyPI under the MIT licence that this Python installs."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import ctgan.transformer
import numpy as np
import torch
from ctgan import CTGANSynthesizer
from sklearn.mixture import BayesianGaussianMixture
from sklearn.preprocessing import OneHotEncoder

from bench.peers.tables import TablePeer
from bench.table_sets import TableSet

# Arguments of scikit-learn's have other names since, or must be named.
ctgan.transformer.OneHotEncoder = lambda sparse: OneHotEncoder(sparse_output=sparse)
ctgan.transformer.BayesianGaussianMixture = lambda size, **others: BayesianGaussianMixture(
    n_components=size, **others
)


@dataclass(frozen=True, slots=True, eq=False)
class _Gan:
    model: Any
    learned: TableSet
    holed: np.ndarray

    def sample(self, n: int, seed: int) -> np.ndarray:
        _seed(seed)
        found = np.asarray(self.model.sample(n), dtype=float)
        rows, holes = np.split(found, [len(self.learned.kinds)], axis=1)
        for k, kind in enumerate(self.learned.kinds):
            if kind == "integer":
                rows[:, k] = np.round(rows[:, k])
        for k, place in enumerate(self.holed):
            rows[holes[:, k] > 0, place] = np.nan
        return rows


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's own state


def _fit(learn: TableSet, seed: int) -> _Gan:
    hole = np.isnan(learn.rows)
    holed = np.flatnonzero(hole.any(0))
    rows = np.where(hole, np.nanmean(learn.rows, 0), learn.rows)
    rows = np.column_stack([rows, hole[:, holed]])
    discrete = [*np.flatnonzero(learn.is_category), *range(len(learn.kinds), rows.shape[1])]
    model = CTGANSynthesizer()
    _seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(rows, tuple(discrete))
    return _Gan(model, learn, holed)


PEER = TablePeer(
    name="CTGAN",
    recipe="version 0.2.1 with its defaults, 300 epochs; missing values, which it does not know, are "
    "filled by means beside a category that says so, integers are rounded; one seed",
    fit=_fit,
    can=("sample",),
    seeds=1,
)
