"""What draws, scores and fills tables beside Sfumato: one module a method.

As with the other peers each is used as its own documentation says, and imported only when it is
measured. Rows are one array: categories numbered from 0, NaN for a hole (see `bench.table_sets`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from bench.table_sets import TableSet


class FittedTable(Protocol):
    """What a method has learned; it may lack any of these."""

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw `n` rows, `(n, d)`."""
        ...

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Nats per row, `(n,)`: density of numbers, probability over step of those on a grid."""
        ...

    def impute(self, rows: np.ndarray) -> np.ndarray:
        """Fill the holes of rows with best guesses, `(n, d)`."""
        ...


@dataclass(frozen=True, slots=True)
class TablePeer:
    """A method for tables.

    Args:
        name: of the distribution on PyPI, with the model where it has several.
        recipe: how it is used, in a sentence.
        fit: `(learn, seed)` to what was learned.
        can: which of "sample", "log_prob" and "impute" it does.
        seeds: of how many it is measured; all if None.
        sets: names of those that it is measured on; all if None.
    """

    name: str
    recipe: str
    fit: Callable[[TableSet, int], Any]
    can: tuple[str, ...]
    seeds: int | None = None
    left_out: tuple[str, ...] = ()


NAMES = (
    "diffusion_model",
    "forest_diffusion",
    "ctgan",
    "gaussian_mixture",
    "kernel_density",
    "iterative_imputer",
    "nearest_neighbours",
    "mean_and_mode",
)


def table_peer(name: str) -> TablePeer:
    """The method of one of NAMES.

    Raises:
        ImportError: if its library is not installed.
    """
    made: TablePeer = import_module(f"bench.peers.tables.{name}").PEER
    return made
