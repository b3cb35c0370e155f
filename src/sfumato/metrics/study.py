"""A generated table beside real ones: what is worked out once, to be measured and to be drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sfumato.data.table import CATEGORICAL, NUMERIC, ColumnType, DataTable, concatenate
from sfumato.errors import DataError
from sfumato.metrics.association import associations
from sfumato.metrics.coded import coded
from sfumato.metrics.evaluation import Measure
from sfumato.metrics.intervals import Imputer, Intervals, intervals
from sfumato.metrics.likelihoods import Likelihoods, likelihoods
from sfumato.metrics.privacy import FEW, distances_to, some_rows
from sfumato.metrics.support import support_names
from sfumato.metrics.tables import column_measures, evaluate_table


@dataclass(frozen=True, eq=False)
class TableStudy:
    """Generated rows, as many real ones, and what their model says of them.

    Args:
        sample: generated rows.
        reference: as many real rows that were not used in training.
        real: further real sets of as many rows, for the floors.
        train: the rows learned from; None where they cannot be had.
        kinds: of every column.
        log_prob: log densities of rows `(n,)`, in nats.
        impute: a table with missing values and how many draws to that many filled tables.
        seed: of splits, trees and what is hidden.
    """

    sample: DataTable
    reference: DataTable
    real: Sequence[DataTable]
    train: DataTable | None
    kinds: Mapping[str, ColumnType]
    log_prob: Callable[[DataTable], np.ndarray]
    impute: Imputer
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that vary, in the table's order."""
        return tuple(n for n in self.reference.names if self.kinds[n] in NUMERIC + CATEGORICAL)

    @cached_property
    def columns(self) -> Mapping[str, Measure]:
        """The distance of each column that varies, beside its floor."""
        found = column_measures(self.sample, self.reference, self.real, kinds=self.kinds)
        return {measure.name: measure for measure in found}

    @cached_property
    def likelihoods(self) -> Likelihoods:
        """Log densities of rows of three kinds.

        Raises:
            DataError: if the rows learned from cannot be had.
        """
        return likelihoods(self.log_prob, self.sample, self.reference, self._train, seed=self.seed)

    @cached_property
    def intervals(self) -> Mapping[str, Intervals]:
        """Where hidden values lie among those imputed, of "numbers" and of "categories"."""
        return intervals(self.impute, self.reference, self.kinds, seed=self.seed)

    @property
    def _train(self) -> DataTable:
        if self.train is None:
            raise DataError("the rows that this run learned from cannot be had.")
        return self.train

    def dependence(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Names of the columns that vary, and their associations, real and generated `(k, k)`."""
        reference, sample = coded([self.reference, self.sample], self.kinds)
        order = [reference.names.index(name) for name in self.names]
        real, generated = (associations(x)[np.ix_(order, order)] for x in (reference, sample))
        return self.names, real, generated

    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """How far generated and held-out rows are from the nearest learned from, `(n,)` each."""
        tables = [self.reference, self.sample, self._train]
        reference, sample, train = coded(tables, self.kinds)
        learned = some_rows(train, np.random.default_rng(self.seed))
        generated, heldout = distances_to(learned, sample[:FEW], reference[:FEW])
        return generated, heldout

    def measures(self, target: str | None = None) -> Iterator[Measure]:
        """All of them, one at a time; see `evaluate_table`.

        Raises:
            DataError: as `evaluate_table`.
        """
        return evaluate_table(
            self.sample,
            self.reference,
            self.real,
            self.train,
            kinds=self.kinds,
            scores=None if self.train is None else self.likelihoods,
            filled=self.intervals,
            target=target,
            seed=self.seed,
        )

    @property
    def number_of_measures(self) -> int:
        """How many `measures` there will be; some need categories, or a second column."""
        known = concatenate(self.real) if self.train is None else self.train
        categorical = sum(self.kinds[name] in CATEGORICAL for name in self.reference.names)
        return (
            9
            + 4 * (len(self.names) > 1)
            + len(support_names(coded([self.reference, known], self.kinds)[1]))
            + (categorical > 0) + (categorical > 1)
            + 6 * (self.train is not None)
            + len(self.intervals)
        )  # fmt: skip
