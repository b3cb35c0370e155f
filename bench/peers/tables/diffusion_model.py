"""Sfumato itself: `DiffusionModel` with its defaults on a data frame."""

from dataclasses import dataclass

import numpy as np

from bench.peers.tables import TablePeer
from bench.table_sets import TableSet
from sfumato import DiffusionModel


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    model: DiffusionModel
    learned: TableSet

    def sample(self, n: int, seed: int) -> np.ndarray:
        return self.learned.array(self.model.sample(n, random_state=seed))

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        return self.model.score_samples(self.learned.frame(rows))

    def impute(self, rows: np.ndarray) -> np.ndarray:
        return self.learned.array(self.model.impute(self.learned.frame(rows)))


def _fit(learn: TableSet, seed: int) -> _Model:
    return _Model(DiffusionModel(random_state=seed).fit(learn.frame(learn.rows)), learn)


PEER = TablePeer(
    name="Sfumato",
    recipe="`DiffusionModel` with its defaults; `DiffusionImputer` is the same model",
    fit=_fit,
    can=("sample", "log_prob", "impute"),
)
