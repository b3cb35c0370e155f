"""A run that learned a table, and its folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfumato import distributed
from sfumato.config import Settings
from sfumato.data.codecs.columns import ColumnCodec, NumericCodec
from sfumato.data.table import DataTable, stacked
from sfumato.errors import ArgumentError, DataError, RunError, unknown
from sfumato.metrics.evaluation import LEAST_ROWS, Evaluation
from sfumato.models.table import TableModel, completed
from sfumato.progress import ProgressLine, tracked
from sfumato.runs.data import ARRAY, FLOOR_SETS, TableData, load_any_data, parts
from sfumato.runs.folder import METRICS, read_records

if TYPE_CHECKING:
    from sfumato.metrics.study import TableStudy

# Of the flow, for the law of log densities: a mean is within 0.001 nats of that of 30 steps.
_STEPS = 10

# Draws that a hole's best guess is taken from.
GUESSES = 40


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
        if not distributed.is_first():
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
        guesses = [
            replace(
                column,
                values=_best(column.values.reshape(-1, GUESSES), part),
                missing=column.missing[::GUESSES],
            )
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
        return [completed(table, rows, drawn.take(every + k)) for k in range(draws)]

    def _filled(
        self, table: DataTable, draws: int, seed: int, quiet: bool, sampling: Mapping[str, Any]
    ) -> tuple[np.ndarray, DataTable]:
        """Which rows have holes, and each of them filled so often, one after another."""
        own = self.model.own(table)
        rows = np.flatnonzero(np.stack([column.missing for column in own]).any(0))
        chunks = self.model.impute_chunks(own.take(rows), draws, seed=seed, **sampling)
        found = self._shown(chunks, "impute", len(rows) * draws, quiet, "draws")
        return rows, stacked([self.model.nothing(), *found])

    def log_prob(self, table: DataTable, *, quiet: bool = True, **options: Any) -> np.ndarray:
        """Log density of rows in nats, `(n,)`; see `TableModel.log_prob`.

        Raises:
            DataError: if the rows do not fit the model.
        """
        chunks = self.model.log_prob(table, **options)
        found = self._shown(chunks, "score", len(table), quiet)
        return np.concatenate([np.empty(0), *found])

    def _shown(
        self, chunks: Iterator[Any], title: str, total: int, quiet: bool, unit: str = "rows"
    ) -> list[Any]:
        """The chunks, with a progress line that counts their rows."""
        found = []
        with (
            ProgressLine(title, total, unit, quiet=quiet or not distributed.is_first()) as line,
            distributed.threads(self.settings.threads),
        ):
            done = 0
            for chunk in chunks:
                found.append(chunk)
                line.advance_to(done := done + len(chunk))
        return found

    def can_be_measured(self) -> bool:
        """Whether there are rows enough to measure generated ones against.

        Raises:
            DataError: as `load_data`.
            RunError: as `load_data`.
        """
        return self._measurable(LEAST_ROWS) == LEAST_ROWS

    def _measurable(self, most: int) -> int:
        """How many rows of each kind there are to measure with."""
        data = self.load_data()
        return min(most, len(data.heldout), len(data.train) // FLOOR_SETS)

    def study(
        self,
        *,
        n: int = 10_000,
        seed: int = 0,
        sample: DataTable | None = None,
        quiet: bool = True,
    ) -> "TableStudy":
        """Generated rows beside real ones, to measure and to draw.

        Args:
            n: how many rows at most.
            seed: of the samples.
            sample: generated rows, instead of fresh ones.
            quiet: show no progress.

        Raises:
            ArgumentError: if n is too small.
            DataError: if there are too few real rows.
            RunError: if the real rows cannot be had.
        """
        from sfumato.metrics.study import TableStudy  # SciPy's statistics take a second

        if n < LEAST_ROWS:
            raise ArgumentError(f"`n` must be at least {LEAST_ROWS} to measure anything; got {n}.")
        data, m = self.load_data(), self._measurable(n)
        if m < LEAST_ROWS:
            raise DataError(
                f"a table of at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows is needed to measure "
                f"against itself; this one has {len(data.train) + len(data.heldout)}."
            )
        sample = self.sample(m, seed=seed, quiet=quiet) if sample is None else sample
        order = np.random.default_rng(self.settings.seed + 1).permutation(len(data.train))
        train = self.model.own(data.train)
        return TableStudy(
            sample.take(np.arange(min(m, len(sample)))),
            self.model.own(data.heldout).take(np.arange(m)),
            [train.take(rows) for rows in parts(order, FLOOR_SETS, m)],
            train,
            self.model.codec.kinds,
            partial(self.log_prob, steps=_STEPS, quiet=quiet),
            partial(self.impute_draws, quiet=quiet),
            seed % 2**32,  # all that scikit-learn takes
        )

    def evaluate(
        self,
        *,
        n: int = 10_000,
        seed: int = 0,
        target: str | None = None,
        quiet: bool = True,
    ) -> Evaluation:
        """Measure quality and privacy, each figure beside its floor between real rows.

        Args:
            n: how many rows at most.
            seed: of the samples.
            target: column to foretell from the others; up to three where not given.
            quiet: show no progress.

        Raises:
            ArgumentError: if n is too small, or there is no such column to foretell.
            DataError: if there are too few real rows.
            RunError: if the real rows cannot be had.
        """
        varying = [part.name for part in self.model.codec.parts if part.kind != "constant"]
        if target is not None and target not in varying:
            raise unknown("column that varies", target, varying)
        return self.evaluate_study(self.study(n=n, seed=seed, quiet=quiet), target, quiet=quiet)

    def evaluate_study(
        self, study: "TableStudy", target: str | None = None, *, quiet: bool = True
    ) -> Evaluation:
        """Measure rows that were drawn already; see `evaluate`. Of several processes the first."""
        rows = len(study.reference)
        if not distributed.is_first():
            return Evaluation((), rows)
        with distributed.threads(self.settings.threads):
            measures, count = study.measures(target), study.number_of_measures
            told = tracked(measures, "evaluate", count, "measures", quiet=quiet)
            return Evaluation(tuple(told), rows)

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
    if isinstance(part, NumericCodec):
        kind = np.int64 if drawn.dtype.kind == "M" else drawn.dtype
        return part.nearest(drawn.astype(kind).astype(np.float64).mean(1)).astype(drawn.dtype)
    values, places = np.unique(
        drawn.astype(str) if drawn.dtype == object else drawn, return_inverse=True
    )
    counts = np.zeros((len(drawn), len(values)), np.int64)
    np.add.at(counts, (np.arange(len(drawn))[:, None], places.reshape(drawn.shape)), 1)
    return np.asarray(values[counts.argmax(1)].astype(drawn.dtype))
