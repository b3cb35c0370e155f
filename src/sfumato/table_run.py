"""A run that learned a table, and its folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import parallel
from sfumato.config import Settings
from sfumato.data.columns import ColumnCodec, Numbers
from sfumato.data.table import DataTable, stacked
from sfumato.errors import DataError, RunError
from sfumato.folder import METRICS, read_records
from sfumato.metrics.evaluation import LEAST_ROWS, Evaluation, Measure
from sfumato.progress import ProgressLine, tracked
from sfumato.source import ARRAY, FLOOR_SETS, TableData, load_any_data, parts
from sfumato.table_model import TableModel, completed

# Draws that a hole's best guess is taken from.
GUESSES = 20


@dataclass(frozen=True, slots=True, eq=False)
class RealTables:
    """What a generated table is measured beside, sets of as many rows each.

    Args:
        reference: rows that were kept out of training.
        real: parts of the training rows.
        train: all rows that were learned from.
    """

    reference: DataTable
    real: Sequence[DataTable]
    train: DataTable


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
        if not parallel.is_first():
            n = 0  # one process draws all: it is not what takes long
        chunks = self.model.sample_chunks(n, seed=seed, first=first, given=given, **sampling)
        return stacked([self.model.nothing(), *self._shown(chunks, "sample", n, quiet)])

    def impute(
        self, table: DataTable, *, seed: int = 0, quiet: bool = True, **sampling: Any
    ) -> DataTable:
        """The table with the best guess in each hole, of `GUESSES` draws.

        Of numbers their mean, on the column's grid; of levels the most frequent. See
        `impute_draws` for the draws themselves, which hold what is uncertain.

        Raises:
            DataError: if the rows do not fit the model.
        """
        rows, drawn = self._filled(table, GUESSES, seed, quiet, sampling)
        if not len(rows):
            return table
        there = np.zeros(len(rows), bool)
        guesses = [
            replace(column, values=_best(column.values.reshape(-1, GUESSES), part), missing=there)
            for column, part in zip(drawn, self.model.codec.parts, strict=True)
        ]
        return completed(table, rows, DataTable(tuple(guesses)))

    def impute_draws(
        self, table: DataTable, draws: int, *, seed: int = 0, quiet: bool = True, **sampling: Any
    ) -> list[DataTable]:
        """The table with its holes filled, `draws` times, each a draw given what is there.

        What row k becomes depends on itself, the seed, the draws, and how many rows with holes
        come before it. What is there stays as it is.

        Raises:
            ArgumentError: if there are no draws, or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        rows, drawn = self._filled(table, draws, seed, quiet, sampling)
        every = np.arange(len(rows)) * draws
        return [completed(table, rows, drawn.chosen(every + k)) for k in range(draws)]

    def _filled(
        self, table: DataTable, draws: int, seed: int, quiet: bool, sampling: Mapping[str, Any]
    ) -> tuple[np.ndarray, DataTable]:
        """Which rows have holes, and each of them filled so often, one after another."""
        own = self.model.own(table)
        rows = np.flatnonzero(np.stack([column.missing for column in own]).any(0))
        chunks = self.model.impute_chunks(own.chosen(rows), draws, seed=seed, **sampling)
        found = self._shown(chunks, "impute", len(rows) * draws, quiet)
        return rows, stacked([self.model.nothing(), *found])

    def log_prob(self, table: DataTable, *, quiet: bool = True, **options: Any) -> np.ndarray:
        """Log density of rows in nats, `(n,)`; see `TableModel.log_prob`.

        Raises:
            DataError: if the rows do not fit the model.
        """
        chunks = self.model.log_prob(table, **options)
        found = self._shown(chunks, "score", len(table), quiet)
        return np.concatenate([np.empty(0), *found])

    def _shown(self, chunks: Iterator[Any], title: str, total: int, quiet: bool) -> list[Any]:
        """The chunks, with a progress line that counts their rows."""
        found = []
        with (
            ProgressLine(title, total, "rows", quiet=quiet or not parallel.is_first()) as line,
            parallel.threads(self.settings.threads),
        ):
            done = 0
            for chunk in chunks:
                found.append(chunk)
                line.advance_to(done := done + len(chunk))
        return found

    def real_tables(self, n: int) -> RealTables:
        """Real rows to measure beside, at most `n` a set.

        Raises:
            DataError: if there are too few.
            RunError: if they cannot be had.
        """
        data = self.load_data()
        m = min(n, len(data.heldout), len(data.train) // FLOOR_SETS)
        if m < LEAST_ROWS:
            raise DataError(
                f"a table of at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows is needed to measure "
                f"against itself; this one has {len(data.train) + len(data.heldout)}."
            )
        order = np.random.default_rng(self.settings.seed + 1).permutation(len(data.train))
        return RealTables(
            data.heldout.chosen(np.arange(m)),
            [data.train.chosen(rows) for rows in parts(order, FLOOR_SETS, m)],
            data.train,
        )

    def evaluate(
        self,
        *,
        n: int = 10_000,
        seed: int = 0,
        target: str | None = None,
        sample: DataTable | None = None,
        quiet: bool = True,
    ) -> Evaluation:
        """Measure quality and privacy, each figure beside its floor between real rows.

        Args:
            n: how many rows at most.
            seed: of the samples.
            target: column to foretell from the others; up to three where not given.
            sample: rows to measure, instead of drawing fresh ones.
            quiet: show no progress.

        Raises:
            ArgumentError: if n is negative.
            DataError: if there are too few real rows.
            RunError: if the real rows cannot be had.
        """
        from sfumato.metrics.tables import evaluate_table  # scikit-learn takes a second

        real = self.real_tables(n)
        m = len(real.reference)
        sample = self.sample(m, seed=seed, quiet=quiet) if sample is None else sample
        if not parallel.is_first():
            return Evaluation((), m)
        measured = evaluate_table(
            sample.chosen(np.arange(m)),
            real.reference,
            real.real,
            real.train,
            kinds=self.model.codec.kinds,
            log_prob=self.log_prob,
            impute=self.impute_draws,
            target=target,
            seed=seed % 2**32,  # all that scikit-learn takes
        )
        with parallel.threads(self.settings.threads):
            return Evaluation(tuple(tracked(measured, "evaluate", 20, "measures", quiet=quiet)), m)

    def column_measures(self, sample: DataTable, n: int = 10_000) -> list[Measure]:
        """How far each column of a sample is from the real one."""
        from sfumato.metrics.tables import column_measures

        real = self.real_tables(n)
        m = len(real.reference)
        return column_measures(
            sample.chosen(np.arange(m)), real.reference, real.real, kinds=self.model.codec.kinds
        )

    def load_data(self) -> TableData:
        """The rows it was fitted to, read again where they are not in memory.

        Raises:
            RunError: if they were given in memory, from where nothing can bring them back.
            DataError: if the file is gone or changed.
        """
        if self.data is not None:
            return self.data
        if self.settings.data.source == ARRAY:
            raise RunError("this run was fitted to a table in memory, which is gone.")
        data = load_any_data(self.settings)
        assert isinstance(data, TableData)
        return data

    def records(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl; none for a lone model file.

        Raises:
            RunError: if one is damaged.
        """
        return read_records(self.folder / METRICS) if self.folder else []

    def summary(self) -> dict[str, Any]:
        """What it is, for `sfumato info`: columns and their kinds, how far training went."""
        model, settings, records = self.model, self.settings, self.records()
        weights = sum(each.numel() for each in model.denoiser.network.parameters())
        facts: dict[str, Any] = {
            "source": settings.data.source,
            "columns": ", ".join(f"{name} ({kind})" for name, kind in model.codec.kinds.items()),
            "model": f"{settings.network.name}, {weights:,} weights",
            "process": f"{settings.process.schedule} in continuous time for "
            f"{model.codec.event[0]} numbers; {len(model.codec.sizes)} columns by level",
            "sampler": f"{settings.sampling.sampler}, {settings.sampling.steps} steps",
        }
        if records:
            last = records[-1]
            facts["training"] = (
                f"step {last['step']:,} of {last['num_steps']:,}, loss {last['loss']:.4f}, "
                f"{last['seconds']:.1f} s"
            )
        return facts | {"settings": settings.to_dict()}


def _best(drawn: np.ndarray, part: ColumnCodec) -> np.ndarray:
    """The best guess of each row's draws, `(rows, draws)`."""
    if isinstance(part, Numbers):
        kind = np.int64 if drawn.dtype.kind == "M" else drawn.dtype
        return part.nearest(drawn.astype(kind).astype(np.float64).mean(1)).astype(drawn.dtype)
    values, places = np.unique(
        drawn.astype(str) if drawn.dtype == object else drawn, return_inverse=True
    )
    counts = np.zeros((len(drawn), len(values)), np.int64)
    np.add.at(counts, (np.arange(len(drawn))[:, None], places.reshape(drawn.shape)), 1)
    return np.asarray(values[counts.argmax(1)].astype(drawn.dtype))
