"""Fillers of plain numbers on tables: unit scale, an axis for each level, the highest one wins."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.table_sets import TableSet


@dataclass(frozen=True, slots=True, eq=False)
class Filler:
    """One of scikit-learn's imputers.

    Args:
        imputer: fitted to the axes.
        learned: the rows it was fitted to.
        mean: of each column, `(d,)`; 0 for categories.
        scale: likewise; 1 for categories.
        first: how many levels have no axis: with 1 no axis follows from the others.
    """

    imputer: Any
    learned: TableSet
    mean: np.ndarray
    scale: np.ndarray
    first: int

    @classmethod
    def fit(cls, imputer: Any, learn: TableSet, *, first: int = 0) -> "Filler":
        """Fit it to rows."""
        mean = np.where(learn.is_category, 0, np.nanmean(learn.rows, axis=0))
        scale = np.where(learn.is_category, 1, np.nanstd(learn.rows, axis=0))
        made = cls(imputer, learn, mean, scale, first)
        imputer.fit(np.hstack(made._axes(learn.rows)))
        return made

    def _axes(self, rows: np.ndarray) -> list[np.ndarray]:
        blocks = []
        for k, category in enumerate(self.learned.is_category):
            values = rows[:, k]
            if category:
                hot = values[:, None] == np.unique(self.learned.rows[:, k])[self.first :]
                blocks.append(np.where(np.isnan(values)[:, None], np.nan, hot))
            else:
                blocks.append(((values - self.mean[k]) / self.scale[k])[:, None])
        return blocks

    def impute(self, rows: np.ndarray) -> np.ndarray:
        """Fill the holes of rows, `(n, d)`."""
        blocks = self._axes(rows)
        edges = np.cumsum([block.shape[1] for block in blocks])[:-1]
        filled = np.split(self.imputer.transform(np.hstack(blocks)), edges, axis=1)
        found = np.empty_like(rows)
        for k, block in enumerate(filled):
            if self.learned.is_category[k]:
                rest = np.repeat(1 - block.sum(1, keepdims=True), self.first, axis=1)
                best = np.hstack([rest, block]).argmax(1)
                found[:, k] = np.unique(self.learned.rows[:, k])[best]
            else:
                found[:, k] = block[:, 0] * self.scale[k] + self.mean[k]
        return np.where(np.isnan(rows), found, rows)
