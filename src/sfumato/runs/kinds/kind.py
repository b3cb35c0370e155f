"""What a kind of data must know, so that nobody else asks what kind it is.

A kind is a module with these functions; `KINDS` holds them by the name that a model's codec gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sfumato.config import Settings
from sfumato.metrics.evaluation import Evaluation
from sfumato.models.model import Model
from sfumato.runs.data import Dataset, RealSets
from sfumato.training.loop import Objective


@dataclass(frozen=True, slots=True)
class Prepared:
    """What training needs of the rows.

    Args:
        codec: between rows in the data's own units and the network's.
        rows: encoded, to learn from.
        objective: makes what is minimised, for the process of the run.
    """

    codec: Any
    rows: Any
    objective: Callable[[Any, Any], Objective]


@dataclass(frozen=True, slots=True, eq=False)
class RowsLike:
    """Rows of a model's columns, and how others like them are given back.

    Args:
        rows: as the model takes them.
        give: rows of the model to the container, index and columns of those that were given.
        source: of a table the whole of what was given, of points the names of the columns.
    """

    rows: Any
    give: Callable[[Any], Any]
    source: Any = None


class Kind(Protocol):
    """A kind of data."""

    name: str
    unit: str
    """What one is called in the plural: rows, pictures."""
    sampled: int
    """How many are drawn where nobody says how many."""
    sample_file: str
    """The name of the file of samples in a report."""
    example: tuple[str, str]
    """How many to draw and the file to write, in the command that a fit suggests."""

    def recipe(self, data: Dataset[Any], asked: Settings) -> dict[str, Any]:
        """The settings that suit these rows, as changes to the defaults.

        Args:
            data: the rows.
            asked: the settings that a person gave, on top of the defaults.
        """
        ...

    def prepare(self, settings: Settings, data: Dataset[Any], codec: Any = None) -> Prepared:
        """Codec, encoded rows and objective.

        Args:
            settings: of the run.
            data: its rows.
            codec: that of a run that goes on; made from the rows where not given.
        """
        ...

    def start_layer(self, model: Model) -> dict[str, Any]:
        """The settings `data` of a fit that starts from a model: how rows like its own are read."""
        ...

    def adopt(self, model: Model, data: Dataset[Any]) -> tuple[Any, list[str]]:
        """The codec of a fit that starts from a model, and what to say of it, a line each.

        Raises:
            DataError: if the rows are not what the model's network takes.
        """
        ...

    def describe(self, data: Dataset[Any], model: Model) -> list[str]:
        """What was inferred of the data, for a person, before the training begins."""
        ...

    def summary(self, model: Model) -> dict[str, str]:
        """What a fitted model holds, by its headings."""
        ...

    def read_like(
        self, model: Model, source: Any, *, missing: bool = False, partial: bool = False
    ) -> RowsLike:
        """A file or rows in Python, as rows of the model's columns.

        Args:
            model: whose rows they are to be.
            source: a path, or anything that `data.io.memory` takes.
            missing: whether values may be missing.
            partial: of a table, whether columns may be: all their values then are.
        """
        ...

    def give(self, model: Model, rows: Any, data: Dataset[Any] | None) -> Any:
        """Rows that the model drew, in the container of the rows that it learned from."""
        ...

    def named(self, model: Model, rows: Any, seed: int, first: int) -> Any:
        """Drawn rows with the columns that only name them, made anew; the rows themselves."""
        ...

    def container(self, model: Model, rows: Any) -> Any:
        """Rows of the model as Points, Images or a DataTable."""
        ...

    def rows(self, container: Any) -> Any:
        """The inverse of `container`."""
        ...

    def check_target(self, path: Path, model: Model) -> None:
        """Refuse early what `write` of rows of the model could not do late."""
        ...

    def write(
        self,
        path: Path,
        rows: Any,
        model: Model,
        labels: np.ndarray | None = None,
        *,
        in_a_row: bool = False,
    ) -> None:
        """Write rows as the model gives them; the ending of the path decides how.

        Args:
            path: where to.
            rows: of the model, or a `DataTable` with other columns beside the model's.
            model: whose they are.
            labels: of pictures, their classes.
            in_a_row: put all pictures of a sheet side by side.
        """
        ...

    def check_scored(self, path: Path, like: RowsLike) -> None:
        """Refuse early what `write_scored` could not do late."""
        ...

    def write_scored(self, path: Path, like: RowsLike, model: Model, nats: np.ndarray) -> None:
        """Write rows with a column log_prob beside their own."""
        ...

    def unseen(self, model: Model, rows: Any) -> list[str]:
        """What of these rows the model has learned nothing of, a sentence for each column."""
        ...

    def unfilled(self, rows: Any) -> list[str]:
        """Columns of filled rows that still have missing values: they had no value in training."""
        ...

    def count_missing(self, rows: Any) -> int:
        """How many cells of the rows are missing."""
        ...

    def shares(self, model: Model, n: int, first: int) -> list[tuple[int, int]]:
        """`(first, n)` of what each process draws of `n` rows from `first` on."""
        ...

    def joined(self, chunks: Sequence[Any], lengths: list[int]) -> Any:
        """Chunks in one, those of all processes together."""
        ...

    guesses: int
    """How many draws a best guess of what is missing is made from."""

    def take(self, rows: Any, index: np.ndarray) -> Any:
        """Those of the model's rows at `index`, `(k,)`."""
        ...

    def to_fill(self, model: Model, rows: Any) -> Any:
        """Rows of types that can hold what the model fills in."""
        ...

    def incomplete(self, rows: Any, known: np.ndarray | None) -> np.ndarray:
        """Which rows are not wholly known, `(k,)`."""
        ...

    def best_guess(self, model: Model, drawn: Any, draws: int, rows: Any) -> Any:
        """Of each row one, from `draws` of them that follow each other."""
        ...

    def put_back(self, rows: Any, index: np.ndarray, filled: Any) -> Any:
        """Rows with those at `index` filled; what was known stays as it was."""
        ...

    def evaluate(
        self,
        model: Model,
        real: RealSets[Any],
        sample: Any,
        *,
        log_prob: Callable[..., np.ndarray],
        complete: Callable[..., list[Any]],
        target: str | None,
        seed: int,
        labels: np.ndarray | None,
        quiet: bool,
    ) -> Evaluation:
        """Measure a sample beside real rows.

        Args:
            model: that drew it.
            real: real rows.
            sample: rows as the model gives them.
            log_prob: log densities of rows in nats, `(n,)`, with the options of the model's.
            complete: rows with missing values and a number of draws to as many filled sets.
            target: of a table, the column to predict from the others.
            seed: of splits and directions.
            labels: of pictures, the classes that the samples were to be of.
            quiet: show no progress.
        """
        ...
