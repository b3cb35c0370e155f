"""A run that learned a table, and its folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import parallel
from sfumato.config import Settings
from sfumato.data.columns import Numbers
from sfumato.data.table import Column, DataTable, stacked
from sfumato.errors import RunError
from sfumato.process.random import CHUNK
from sfumato.progress import ProgressLine
from sfumato.source import ARRAY, TableData, load_data
from sfumato.table_model import TableModel

# Draws that a hole's best guess is taken from.
GUESSES = 20


@dataclass(frozen=True, slots=True, eq=False)
class TableRun:
    """A fitted model of tables together with the folder it lives in, if it has one.

    Args:
        model: the model.
        folder: the run's folder; None when only a model file was opened.
        data: the rows, when they are still in memory.
    """

    model: TableModel
    folder: Path | None
    data: TableData | None = None

    @property
    def settings(self) -> Settings:
        """The settings that made it."""
        return self.model.settings

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Mapping[str, Any] | None = None,
        quiet: bool = True,
        **sampling: Any,
    ) -> DataTable:
        """See `TableModel.sample`: `n` rows. With `quiet=False` a progress line is shown."""
        rows = [self.model.nothing()]
        with (
            ProgressLine("sample", n, "rows", quiet=quiet) as line,
            threads_of(self.settings),
        ):
            done = 0
            for chunk in self.model.sample_chunks(
                n, seed=seed, first=first, given=given, **sampling
            ):
                rows.append(chunk)
                line.advance_to(done := done + len(chunk))
        return stacked(rows)
