"""A density estimator: fit a table or points, draw rows, fill in what is missing, score."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sfumato import config, distributed
from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.io.arrays import to_array
from sfumato.data.io.frames import backend_of, from_frame, to_frame
from sfumato.data.io.memory import accept
from sfumato.data.source import IN_MEMORY
from sfumato.data.table import ColumnType, DataTable, default_names
from sfumato.errors import ArgumentError, RunError, unknown
from sfumato.estimator.base import RandomState, TableEstimator, seed_of
from sfumato.models.file import load_model, save_model
from sfumato.models.model import Model, supports, unsupported
from sfumato.models.predictive import PredictedCategories, PredictedNumbers
from sfumato.progress import ProgressLine
from sfumato.runs.data import refuse_settings_of_pictures, take
from sfumato.runs.fit import prepare
from sfumato.runs.kinds import KINDS
from sfumato.runs.predict import remarks
from sfumato.runs.run import Run
from sfumato.training.loop import train


def _predicts(model: "DiffusionModel") -> bool:
    """Whether a model can predict a column, as far as is known before it is fitted.

    Raises:
        AttributeError: saying why it cannot.
    """
    if hasattr(model, "model_") and not supports(model.model_, "predict"):
        raise AttributeError(str(unsupported("predict")))
    return True


def _predicts_categories(model: "DiffusionModel") -> bool:
    """As `_predicts`, of a column of categories."""
    if _predicts(model) and hasattr(model, "model_") and not model._varying(CategoricalCodec):
        raise AttributeError("no column is of categories; use predict_quantiles.")
    return True


class DiffusionModel(DensityMixin, TableEstimator):  # type: ignore[misc]
    """A diffusion model of a table: draws rows, fills missing values, scores how probable rows are.

    Args:
        columns: what columns are, by name, where it is not what their values suggest:
            "continuous", "integer", "ordinal", "categorical", "boolean", "date", "identifier" (it
            only names the rows) or "dropped".
            Columns of an array are x0, x1, ...
        steps: of training; chosen for the table where not given.
        width: of the network; chosen for the table where not given.
        settings: other changes to the recipe, `{"training.batch_size": 256}`.
        random_state: decides the fit. None: a fit of its own each time.
        verbose: show progress.

    Attributes:
        model_: the fitted model.
        n_features_in_: how many columns there were.
        feature_names_in_: their names, where the data had some.
        kinds_: what each column was taken for.
    """

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Learn the rows of a table.

        Args:
            X: a data frame, or an array `(n, columns)`; NaN, None and NA are missing values.
            y: not looked at.

        Raises:
            ValueError: if X cannot be learned from, or a parameter is wrong.
            DivergedError: if training meets a loss that is not finite.
        """
        return self.fit_table(self._read(X, reset=True))

    def fit_table(self, table: DataTable) -> Self:
        """As `fit`, of rows that were read already."""
        types = dict(self.columns or {})
        own: dict[str, Any] = {"training.steps": self.steps, "network.width": self.width}
        changes = {name: value for name, value in own.items() if value is not None}
        layers = (
            config.nested({**changes, **(self.settings or {})}),
            {"data": {"source": IN_MEMORY, "columns": types}, "seed": seed_of(self.random_state)},
        )
        asked = config.resolve(*layers)
        if asked.sampling.few:
            raise ArgumentError(
                "a few-step map (sampling.few) lies in a run's folder; fit with sfumato.fit, or "
                "leave it out."
            )
        refuse_settings_of_pictures("table", asked.data)
        taken = take(table, asked, keep_all=True)
        data = replace(taken, container=getattr(self, "backend_", None) or "array")
        settings = config.resolve(KINDS[data.kind].recipe(data, asked), *layers)
        training, model = prepare(settings, data)
        quiet = not self.verbose
        with (
            ProgressLine("fit", training.num_steps, "steps", quiet=quiet) as line,
            distributed.threads(settings.threads),
        ):
            for record in train(training):
                line.advance_to(record.step, f"loss {record.loss:.4f}")
        self.model_: Model = model.with_network(training.average.network)
        self.kinds_: dict[str, ColumnType] = dict(data.types) or dict.fromkeys(
            table.names, "continuous"
        )
        return self

    def sample(
        self,
        n_samples: int = 1,
        random_state: RandomState = None,
        given: Any = None,
    ) -> Any:
        """Draw rows, of the kind that was fitted.

        Args:
            n_samples: how many.
            random_state: an int gives the same rows each time, the first of a longer draw.
            given: values of some columns that all rows are to have, None for a missing value; or a
                frame of conditions, each row of which is drawn `n_samples` times in a row, missing
                where nothing is known.

        Raises:
            ValueError: if n_samples is negative, a column is unknown, or a value was never seen.
        """
        run = self._run()
        rows = run.draw(n_samples, seed=seed_of(random_state), given=given, quiet=not self.verbose)
        return self._like_fitted(_as_table(run, rows))

    def score_samples(self, X: Any, target: str | Sequence[str] | None = None) -> np.ndarray:  # noqa: N803
        """Log density of each row in nats, `(n,)`; see `Run.log_prob`.

        Args:
            X: rows.
            target: a column or several: log p(target | the rest of the row).

        Raises:
            ValueError: if the rows do not fit, or there is no such column that varies.
        """
        run = self._run()
        return run.log_prob(self._table(X), target=target, quiet=not self.verbose)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002, N803
        """The mean log density of rows in nats; larger is better.

        Args:
            X: rows.
            y: not looked at.
        """
        return float(self.score_samples(X).mean())

    def impute(self, X: Any, draws: int | None = None, random_state: RandomState = 0) -> Any:  # noqa: N803
        """Fill the missing values of rows; what is known stays.

        Args:
            X: rows.
            draws: how many filled tables to draw, each plausible; not given, one table of best
                guesses (of numbers the mean, of categories the most frequent of 40 draws).
            random_state: of the draws.

        Returns:
            A table like X, or a list of `draws` of them.

        Raises:
            ValueError: if the rows do not fit, or there are no draws.
        """
        check_is_fitted(self)
        filled = self._filled(self._table(X), draws, seed_of(random_state))
        return self._like(X, filled[0]) if draws is None else [self._like(X, f) for f in filled]

    @available_if(_predicts)  # type: ignore[untyped-decorator]
    def predict(self, X: Any, target: str | None = None) -> np.ndarray:  # noqa: N803
        """Of one column given the others the mean, or the most probable category, `(n,)`.

        Args:
            X: rows; what stands in the target is not looked at, and a frame need not have it.
            target: the column's name; the last column that varies where not given.

        Raises:
            ValueError: if there is no such column that varies, or the rows do not fit.
        """
        check_is_fitted(self)
        found = self._predicted(X, target or self._varying()[-1])
        return found.mean() if isinstance(found, PredictedNumbers) else found.most_probable()

    @available_if(_predicts_categories)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, target: str | None = None) -> np.ndarray:  # noqa: N803
        """Of one column of categories given the others their probabilities, `(n, categories)`.

        In the order of `categories(target)`.

        Args:
            X: as for `predict`.
            target: the column's name; the last column of categories where not given.

        Raises:
            ValueError: as `predict`, or if the column is one of numbers.
        """
        check_is_fitted(self)
        if target in self._varying(NumericCodec):
            raise ArgumentError(f"the column {target!r} is of numbers; use predict_quantiles.")
        found = self._predicted(X, target or self._varying(CategoricalCodec)[-1])
        assert isinstance(found, PredictedCategories)
        return found.probabilities

    def predict_quantiles(self, X: Any, levels: Sequence[float], target: str) -> np.ndarray:  # noqa: N803
        """Of one column of numbers given the others its quantiles, `(n, levels)`.

        Args:
            X: as for `predict`.
            levels: above 0 and below 1.
            target: the column's name.

        Raises:
            ValueError: as `predict`, or if the column is one of categories or a level is wrong.
        """
        return self._predicted_numbers(X, target).quantiles(levels)

    def predict_interval(self, X: Any, share: float, target: str) -> np.ndarray:  # noqa: N803
        """Of one column of numbers given the others where the middle share lies, `(n, 2)`.

        Raises:
            ValueError: as `predict_quantiles`.
        """
        return self._predicted_numbers(X, target).interval(share)

    def categories(self, target: str) -> np.ndarray:
        """The values of a column of categories, in the order of `predict_proba`.

        Raises:
            ValueError: if there is no such column.
        """
        check_is_fitted(self)
        if target not in (known := self._varying(CategoricalCodec)):
            raise unknown("column of categories", target, known)
        part = {part.name: part for part in self.model_.codec.parts}[target]
        return np.array(part.categories, part.dtype)

    def _varying(self, kind: type | None = None) -> list[str]:
        """Columns of a table that vary, of a kind of codec."""
        parts = getattr(self.model_.codec, "parts", ())
        return [
            part.name
            for part in parts
            if part.kind != "constant" and (kind is None or isinstance(part, kind))
        ]

    def _predicted(self, X: Any, target: str) -> PredictedNumbers | PredictedCategories:  # noqa: N803
        run, backend = self._run(), None if isinstance(X, np.ndarray) else backend_of(X)
        rows = self._read(X) if backend is None else from_frame(X)
        quiet = not self.verbose
        found = run.predict(rows, target, seed=seed_of(self.random_state or 0), quiet=quiet)
        like = run.kind.read_like(run.model, rows, missing=True, partial=True)
        for each in remarks(run, like, target, "X"):
            warnings.warn(each, UserWarning, stacklevel=3)
        return found

    def _predicted_numbers(self, X: Any, target: str) -> PredictedNumbers:  # noqa: N803
        check_is_fitted(self)
        if target in self._varying(CategoricalCodec):
            raise ArgumentError(f"the column {target!r} is of categories; use predict_proba.")
        found = self._predicted(X, target)
        assert isinstance(found, PredictedNumbers)
        return found

    def _filled(self, table: DataTable, draws: int | None, seed: int) -> list[DataTable]:
        """The one table of best guesses, or so many draws; see `impute`."""
        run = self._run()
        like = run.kind.read_like(run.model, table, missing=True)
        return [
            like.give(each)
            for each in run.filled(like.rows, draws, seed=seed, quiet=not self.verbose)
        ]

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a safetensors file, which `load` and `sfumato` read.

        Raises:
            OSError: if it cannot be written.
        """
        check_is_fitted(self)
        save_model(self.model_, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model in a file; draws come in what it was fitted to; of a file, in frames of pandas.

        Raises:
            RunError: if it is missing or damaged, or is a model of pictures.
        """
        model = load_model(Path(path))
        if model.codec.kind == "images":
            raise RunError(f"{path} is a model of pictures; open it with sfumato.open.")
        settings = model.settings
        names = model.codec.names
        found = cls(
            columns=settings.data.columns or None,
            steps=settings.training.steps,
            width=settings.network.width,
            random_state=settings.seed,
        )
        found.model_, found.n_features_in_ = model, len(names)
        aside = {each.name: "identifier" for each in getattr(model.codec, "identifiers", ())}
        found.kinds_ = dict.fromkeys(names, "dropped") | aside | model.codec.kinds
        container = getattr(model.codec, "container", "")
        if not container:  # a file's, or from before it was kept
            container = "array" if names == default_names(len(names)) else "pandas"
        found.backend_ = None if container == "array" else container
        found._names = names
        if found.backend_:
            found.feature_names_in_ = np.array(names, dtype=object)
        return found

    def _run(self) -> Run:
        check_is_fitted(self)
        return Run(self.model_, None)

    def _table(self, X: Any) -> DataTable:  # noqa: N803
        """Rows of the columns that were fitted, with a warning of what was never seen."""
        table = self._read(X)
        self._warn_of_unseen(table)
        return table

    def _warn_of_unseen(self, table: DataTable) -> None:
        run = self._run()
        rows = run.kind.read_like(run.model, table, missing=True).rows
        for each in run.kind.unseen(run.model, rows):
            warnings.warn(f"{each}; the model knows nothing there", UserWarning, stacklevel=4)

    def _like_fitted(self, table: DataTable) -> Any:
        return to_array(table) if self.backend_ is None else to_frame(table, self.backend_)

    def _like(self, X: Any, table: DataTable, kept: np.ndarray | None = None) -> Any:  # noqa: N803
        """A table with X's own names, as a frame with its index or as an array.

        Args:
            X: as it was given.
            table: its columns, filled.
            kept: which of them to give; all if None.
        """
        backend = None if isinstance(X, np.ndarray) else backend_of(X)
        names = X.columns if backend == "pandas" else table.names
        own = DataTable(
            tuple(
                replace(each, name=str(name))
                for k, (each, name) in enumerate(zip(table, names, strict=True))
                if kept is None or kept[k]
            )
        )
        if backend is None:
            return to_array(own)
        frame = to_frame(own, backend)
        if backend == "pandas":
            frame.index = X.index
        return frame


def _as_table(run: Run, rows: Any) -> DataTable:
    """Rows of the model as a table, whatever it learned."""
    table = accept(run.kind.container(run.model, rows))[0]
    assert isinstance(table, DataTable)
    return table
