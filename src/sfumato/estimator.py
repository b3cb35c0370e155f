"""scikit-learn's face: a density estimator and an imputer for tables.

    from sfumato import DiffusionModel
    model = DiffusionModel().fit(frame)
    model.sample(1000, given={"sex": "F"})

Arrays of numbers with NaN for holes go in and out as arrays, data frames of pandas, polars and
pyarrow as frames of the same kind. Nothing is written but by `save`, and that is safetensors.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sfumato import config, distributed
from sfumato.config import LARGEST_SEED
from sfumato.data.column_types import column_types_of
from sfumato.data.io.cells import LARGEST_EXACT
from sfumato.data.io.frames import backend_of, from_frame, to_frame
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.models.file import load_any_model, save_model
from sfumato.models.table import TableModel
from sfumato.progress import ProgressLine
from sfumato.runs.data import ARRAY, TableData
from sfumato.runs.fit import prepare
from sfumato.runs.table_run import TableRun
from sfumato.training.loop import train

# What a column may hold so that it can be measured.
_LARGEST = 1e100

# What `random_state` may be: None, a seed, or NumPy's.
RandomState = int | np.random.RandomState | None


class DiffusionModel(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A diffusion model of a table: draws rows, fills holes, tells how probable rows are.

    Args:
        columns: what columns are, by name, where it is not what their values suggest:
            "continuous", "integer", "ordinal", "categorical", "boolean", "date" or "dropped".
            Columns of an array are x0, x1, ...
        steps: of training; chosen for the table where not given.
        width: of the network; chosen for the table where not given.
        settings: other changes to the recipe, `{"training.batch_size": 256}`.
        random_state: decides the fit. None: a fit of its own each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `TableModel`.
        n_features_in_: how many columns there were.
        feature_names_in_: their names, where the data had some.
        kinds_: what each column was taken for.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        steps: int | None = None,
        width: int | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.columns = columns
        self.steps = steps
        self.width = width
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Learn the rows of a table.

        Args:
            X: a data frame, or an array `(n, columns)`; NaN, None and NA are holes.
            y: not looked at.

        Raises:
            ValueError: if X cannot be learned from, or a parameter is wrong.
            DivergedError: if training meets a loss that is not finite.
        """
        table = self._table(X, reset=True)
        told = dict(self.columns or {})
        kinds = column_types_of(table, told)
        own: dict[str, Any] = {"training.steps": self.steps, "network.width": self.width}
        changes = {name: value for name, value in own.items() if value is not None}
        settings = config.resolve(
            config.suited_to_table(len(table), len(table.columns)),
            config.nested({**changes, **(self.settings or {})}),
            {"data": {"source": ARRAY, "columns": told}, "seed": _seed(self.random_state)},
        )
        data = TableData(table, table.take(np.arange(0)), kinds, settings.data, settings.seed)
        training, model = prepare(settings, data)
        quiet = not self.verbose
        with (
            ProgressLine("fit", training.num_steps, "steps", quiet=quiet) as line,
            distributed.threads(settings.threads),
        ):
            for record in train(training):
                line.advance_to(record.step, f"loss {record.loss:.4f}")
        self.model_ = model.with_network(training.average.network)
        self.kinds_ = kinds
        return self

    def sample(
        self,
        n_samples: int = 1,
        random_state: RandomState = None,
        given: Mapping[str, Any] | None = None,
    ) -> Any:
        """Draw rows, of the kind that was fitted.

        Args:
            n_samples: how many.
            random_state: an int gives the same rows each time, the first of a longer draw.
            given: values of some columns that all rows are to have; None for a hole.

        Raises:
            ValueError: if n_samples is negative, a column is unknown, or a value was never seen.
        """
        table = self._run().sample(
            n_samples, seed=_seed(random_state), given=given, quiet=not self.verbose
        )
        return self._like_fitted(table)

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803
        """Log density of each row in nats, `(n,)`; see `TableModel.log_prob`."""
        run = self._run()
        return run.log_prob(self._table(X), quiet=not self.verbose)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002, N803
        """The mean log density of rows in nats; larger is better.

        Args:
            X: rows.
            y: not looked at.
        """
        return float(self.score_samples(X).mean())

    def impute(self, X: Any, draws: int | None = None, random_state: RandomState = 0) -> Any:  # noqa: N803
        """Fill the holes of rows; what is there stays.

        Args:
            X: rows.
            draws: how many filled tables to draw, each plausible; not given, one table of best
                guesses (of numbers the mean, of levels the most frequent of 40 draws).
            random_state: of the draws.

        Returns:
            A table like X, or a list of `draws` of them.

        Raises:
            ValueError: if the rows do not fit, or there are no draws.
        """
        run, table, seed = self._run(), self._table(X), _seed(random_state)
        if draws is None:
            return self._like(X, run.impute(table, seed=seed, quiet=not self.verbose))
        filled = run.impute_draws(table, draws, seed=seed, quiet=not self.verbose)
        return [self._like(X, each) for each in filled]

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a safetensors file, which `load` and `sfumato` read.

        Raises:
            OSError: if it cannot be written.
        """
        check_is_fitted(self)
        save_model(self.model_, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model in a file; draws come as frames of pandas.

        Raises:
            RunError: if it is missing or damaged, or is no model of a table.
        """
        model = load_any_model(Path(path))
        if not isinstance(model, TableModel):
            raise RunError(f"{path} is a model of points or pictures; open it with open_run.")
        settings, names = model.settings, model.codec.names
        found = cls(
            columns=settings.data.columns or None,
            steps=settings.training.steps,
            width=settings.network.width,
            random_state=settings.seed,
        )
        found.model_, found.n_features_in_ = model, len(names)
        dropped: dict[str, ColumnType] = dict.fromkeys(names, "dropped")
        found.kinds_ = dropped | model.codec.kinds
        of_array = names == _array_names(len(names))
        found.backend_ = None if of_array else "pandas"
        if not of_array:
            found.feature_names_in_ = np.array(names, dtype=object)
        return found

    def _run(self) -> TableRun:
        check_is_fitted(self)
        return TableRun(self.model_, None)

    def _table(self, X: Any, *, reset: bool = False) -> DataTable:  # noqa: N803
        """The rows as a table of the columns that were fitted, checked as scikit-learn does."""
        backend = None if isinstance(X, np.ndarray) else backend_of(X)
        if backend is not None:
            table = from_frame(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            if reset and len(table) < 2:
                raise DataError("found a table with 1 sample; at least 2 rows are needed.")
        else:
            if getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M"):
                raise DataError("dates come in data frames; an array of them is not read.")
            values = validate_data(
                self,
                X,
                reset=reset,
                dtype=None,
                ensure_all_finite="allow-nan",
                ensure_min_samples=2 if reset else 1,
            )
            table = _from_array(values)
        if reset:
            self.backend_ = backend
            return table
        named = hasattr(self, "feature_names_in_")
        if named == (backend is not None):
            self._warn_beyond(table)
            return table
        # A frame after an array, or the other way round: by place, as scikit-learn goes on.
        names = self.feature_names_in_ if named else _array_names(len(table.columns))
        table = DataTable(
            tuple(replace(each, name=str(n)) for each, n in zip(table, names, strict=True))
        )
        self._warn_beyond(table)
        return table

    def _warn_beyond(self, table: DataTable) -> None:
        for each in self.model_.codec.out_of_range(table):
            warnings.warn(f"{each}; the model knows nothing there", UserWarning, stacklevel=4)

    def _like_fitted(self, table: DataTable) -> Any:
        return _to_array(table) if self.backend_ is None else to_frame(table, self.backend_)

    def _like(self, X: Any, table: DataTable) -> Any:  # noqa: N803
        """A table with X's own names, as a frame with its index or as an array."""
        backend = None if isinstance(X, np.ndarray) else backend_of(X)
        if backend is None:
            return _to_array(table)
        own = DataTable(
            tuple(replace(each, name=str(n)) for each, n in zip(table, X.columns, strict=True))
            if backend == "pandas"
            else table.columns
        )
        frame = to_frame(own, backend)
        if backend == "pandas":
            frame.index = X.index
        return frame


class DiffusionImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills holes by a diffusion model of the table; takes IterativeImputer's place.

    Args:
        columns: see `DiffusionModel`.
        steps: see `DiffusionModel`.
        sample_posterior: fill with one draw, which keeps the spread, and not with best guesses.
        random_state: decides fit and draws. None: others each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel`.
        n_features_in_: how many columns there were.
        feature_names_in_: their names, where the data had some.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        steps: int | None = None,
        sample_posterior: bool = False,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.columns = columns
        self.steps = steps
        self.sample_posterior = sample_posterior
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Learn the rows of a table, holes and all.

        Args:
            X: a data frame, or an array `(n, columns)`.
            y: not looked at.

        Raises:
            ValueError: if X cannot be learned from.
        """
        self.seed_ = _seed(self.random_state)
        self.model_ = DiffusionModel(
            columns=self.columns, steps=self.steps, random_state=self.seed_, verbose=self.verbose
        ).fit(X)
        self.n_features_in_ = self.model_.n_features_in_
        if hasattr(self.model_, "feature_names_in_"):
            self.feature_names_in_ = self.model_.feature_names_in_
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """The rows with their holes filled, of the kind that was given.

        Raises:
            ValueError: if the rows do not fit.
        """
        check_is_fitted(self)
        if not self.sample_posterior:
            return self.model_.impute(X, random_state=self.seed_)
        (filled,) = self.model_.impute(X, draws=1, random_state=self.seed_)
        return filled


def _seed(random_state: RandomState) -> int:
    if isinstance(random_state, int | np.integer):
        if not 0 <= random_state <= LARGEST_SEED:
            raise ArgumentError(f"`random_state` must not be negative; got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _array_names(count: int) -> tuple[str, ...]:
    return tuple(f"x{k}" for k in range(count))


def _from_array(values: np.ndarray) -> DataTable:
    """Columns x0, x1, ... of an array; NaN, None and NA are holes."""
    names = _array_names(values.shape[1])
    return DataTable(tuple(map(_array_column, names, values.T)))


def _array_column(name: str, values: np.ndarray) -> Column:
    """A column by the types of its cells; numbers are refused as those of frames are.

    Raises:
        DataError: if a number is infinite, or a whole one beyond 2^53.
    """
    if values.dtype.kind in "US":
        return Column(name, values.astype(str).astype(object), np.zeros(len(values), bool))
    missing = np.zeros(len(values), bool)
    if values.dtype.kind in "Of":
        cells = values.tolist()
        missing = np.array([each is None or not _is(each) for each in cells])
        kinds = {type(each) for each, hole in zip(cells, missing, strict=True) if not hole}
        if not kinds <= {bool, int, float, np.float64, np.int64, np.bool_}:
            return Column(name, np.where(missing, "", values).astype(str).astype(object), missing)
        whole = kinds <= {int, np.int64} and bool(kinds) and values.dtype.kind == "O"
        truths = kinds <= {bool, np.bool_} and bool(kinds)
        filled = [0 if hole else each for each, hole in zip(cells, missing, strict=True)]
        if whole and max(map(abs, filled)) > LARGEST_EXACT:
            raise DataError(f"the column {name} holds whole numbers beyond 2^53; scale them.")
        values = np.array(filled, dtype=bool if truths else np.int64 if whole else np.float64)
    if values.dtype.kind == "b":
        return Column(name, values, missing)
    if values.dtype.kind in "iu":
        if np.abs(values.astype(np.float64)).max(initial=0) > LARGEST_EXACT:
            raise DataError(f"the column {name} holds whole numbers beyond 2^53; scale them.")
        return Column(name, values.astype(np.int64), missing)
    extreme = np.abs(values) > _LARGEST
    if extreme.any():
        row = int(np.flatnonzero(extreme)[0])
        raise DataError(
            f"the column {name} holds {values[row]:g} in row {row + 1}, beyond what can be "
            "measured (1e100); leave the row out, or take another unit."
        )
    return Column(name, values.astype(np.float64), missing)


def _is(value: Any) -> bool:
    """Whether a cell holds anything: NaN differs from itself, and NA does not say."""
    try:
        return bool(value == value)
    except TypeError:
        return False


def _to_array(table: DataTable) -> np.ndarray:
    """The inverse: numbers as float64 with NaN for holes, or all as objects if there are words."""
    words = any(column.values.dtype.kind in "OM" for column in table)
    kind: Any = object if words else np.float64
    hole: Any = None if words else np.nan
    return np.stack([np.where(c.missing, hole, c.values.astype(kind)) for c in table], axis=1)
