"""A fitted run: a model, the folder that it lives in, and what can be asked of it."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import nn

from sfumato import distributed
from sfumato.config import Settings, TrainingPart, TrainingSettings
from sfumato.data.io.rows import read_array
from sfumato.data.source import IN_MEMORY
from sfumato.errors import ArgumentError, DataError, ForeignWarning, RunError, SfumatoError
from sfumato.metrics.evaluation import LEAST_ROWS, Evaluation
from sfumato.models.diffusers import read_pipeline, write_pipeline
from sfumato.models.diffusers_files import is_pipeline
from sfumato.models.file import load_model, save_model
from sfumato.models.model import Model, require, supports
from sfumato.models.onnx import write_onnx
from sfumato.models.predictive import (
    QUANTILES,
    STEPS,
    PredictedCategories,
    PredictedNumbers,
    joined,
    predict_chunks,
)
from sfumato.models.table import TableModel
from sfumato.process.process import Process
from sfumato.process.schedules import Schedule
from sfumato.progress import collected
from sfumato.runs.data import (
    Dataset,
    LogDensity,
    RealSets,
    load,
    real_sets,
    refuse_extremes,
    sets_of,
)
from sfumato.runs.folder import CONFIG, METRICS, MODEL, SNAPSHOTS, read_records, resume_command
from sfumato.runs.kinds import KINDS, Kind
from sfumato.runs.kinds.table import unknown_columns
from sfumato.samplers.driver import Stepper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sfumato.runs.explorer.page import Page

# Of a snapshot: moments on the way, and the steps of its walk, of which there are equally many
# between two moments. Even in time, they are enough for the default sampler (bench/calls_to_floor);
# in half of them the first, from pure noise, leads to points that are too close together.
SNAPSHOT_FRAMES, SNAPSHOT_STEPS = 10, 18


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A fitted model together with the folder it lives in, if it has one.

    Rows go in as anything that `sfumato.fit` takes and come out as what the model learned from:
    arrays, data frames, pictures as bytes, or a `DataTable` of a table that was read from a file.

    Args:
        model: the model.
        folder: the run's folder; None when only a model file was opened.
        data: the rows, when they are still in memory.
    """

    model: Model
    folder: Path | None
    data: Dataset[Any] | None = None

    @property
    def settings(self) -> Settings:
        """The settings that made it."""
        return self.model.settings

    @property
    def kind(self) -> Kind:
        """What kind of data it learned."""
        return KINDS[self.model.codec.kind]

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Any = None,
        sampler: str | Stepper[Any] | None = None,
        quiet: bool = True,
        **sampling: Any,
    ) -> Any:
        """Draw `n` rows or pictures, in the data's own units.

        Row k depends on the seed and k alone: `sample(100)` is the start of `sample(1000)`, and
        `sample(500, first=500)` its second half.

        Args:
            n: how many.
            seed: names an endless list of samples.
            first: where in that list to begin.
            given: values that all of them are to have: of a table's or points' columns
                (`{"age": 40}`, None for a missing value), of pictures the class
                (`{"class": "cat"}`). Of a table also rows, as a frame or a file, each with
                conditions of its own, missing where nothing is known: then each is drawn `n`
                times in a row.
            sampler: its name (`sfumato compare samplers` shows all), or a `Stepper` of your own.
            quiet: show no progress.
            **sampling: changes to the settings under `[sampling]`: steps, grid, options, guidance.

        Raises:
            ArgumentError: if n, seed or first is negative, a name is unknown, a value given was
                never seen in its column, values given break a rule, or a sampling setting is wrong.
            DataError: if rows of conditions do not fit the model, or break a rule.
        """
        rows = self.draw(
            n, seed=seed, first=first, given=given, sampler=sampler, quiet=quiet, **sampling
        )
        return self.kind.give(self.model, rows, self.data)

    def draw(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Any = None,
        sampler: str | Stepper[Any] | None = None,
        quiet: bool = True,
        **sampling: Any,
    ) -> Any:
        """As `sample`, rows as the model gives them: arrays, or a `DataTable`."""
        sampling = sampling if sampler is None else {**sampling, "sampler": sampler}
        if given is not None and not isinstance(given, Mapping):
            return self._drawn_given(given, n, seed, first, quiet, sampling)
        shares = self.kind.shares(self.model, n, first)
        start, own = shares[distributed.number()]
        chunks = self.model.sample_chunks(own, seed=seed, first=start, given=given, **sampling)
        found = self._collected(chunks, "sample", own, quiet)
        drawn = self.kind.joined([self.model.empty(), *found], [length for _, length in shares])
        return self.kind.named(self.model, drawn, seed, first)

    def _drawn_given(
        self, given: Any, n: int, seed: int, first: int, quiet: bool, sampling: Mapping[str, Any]
    ) -> Any:
        """Each row of conditions `n` times; what is given stands as it was given."""
        require(self.model, "predict")
        assert isinstance(self.model, TableModel)
        if first:
            raise ArgumentError("`first` is for samples under one condition; leave it out.")
        like = self.kind.read_like(self.model, given, missing=True, partial=True)
        if more := unknown_columns(self.model, like.source):
            said = (
                f"the conditions have {', '.join(map(repr, more))}, unknown to the model: not used"
            )
            warnings.warn(said, UserWarning, stacklevel=4)
        # As of other samples of a table, the first process draws all.
        every = np.arange(len(like.rows) if distributed.is_first() else 0)
        conditions = self.kind.take(like.rows, every)
        chunks = self.model.conditional_chunks(conditions, draws=n, seed=seed, **sampling)
        total = len(conditions) * n
        found = self._collected(chunks, "sample", total, quiet)
        drawn = self.kind.joined([self.model.empty(), *found], [total])
        repeated = self.kind.take(conditions, every.repeat(n))
        rows = self.kind.put_back(repeated, np.arange(total), drawn)
        return self.kind.named(self.model, rows, seed, 0)

    def edit(
        self, rows: Any, start: float, *, seed: int = 0, quiet: bool = True, **sampling: Any
    ) -> Any:
        """Noise rows to an intermediate time and sample from there: like them, but not them.

        Meng et al. (2022), SDEdit. Row k depends on itself, the seed and k alone.

        Args:
            rows: rows or pictures, or a file of them.
            start: the time to go back to, above 0 (all is kept) to 1 (nothing is).
            seed: of the noise.
            quiet: show no progress.
            **sampling: as for `sample`.

        Raises:
            ArgumentError: if the start is not in (0, 1], or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        like = self.kind.read_like(self.model, rows)
        chunks = self.model.edit_chunks(like.rows, start, seed=seed, **sampling)
        found = self._collected(chunks, "edit", len(like.rows), quiet)
        return like.give(self.kind.joined([self.model.empty(), *found], [len(like.rows)]))

    def complete(
        self,
        rows: Any,
        known: np.ndarray | None = None,
        *,
        draws: int | None = None,
        seed: int = 0,
        quiet: bool = True,
        **sampling: Any,
    ) -> Any:
        """Fill in what is not known; what is known stays as it is, exactly.

        Args:
            rows: with missing values (NaN, None), or pictures; or a file of them.
            known: of pictures, True where their pixels are known, shaped like them.
            draws: fill each so many times, with draws of what may have stood there; not given, of
                columns one best guess (the mean of numbers, the most frequent category of 40
                draws), of pictures one draw.
            seed: of the draws.
            quiet: show no progress.
            **sampling: as for `sample`; of points and pictures also `times`, how often each step
                is taken.

        Returns:
            Rows like those given, or a list of `draws` of them.

        Raises:
            ArgumentError: if there are no draws, or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        like = self.kind.read_like(self.model, rows, missing=True)
        filled = self.filled(like.rows, draws, known=known, seed=seed, quiet=quiet, **sampling)
        given = [like.give(each) for each in filled]
        return given[0] if draws is None else given

    def filled(
        self,
        rows: Any,
        draws: int | None,
        *,
        known: np.ndarray | None = None,
        seed: int = 0,
        quiet: bool = True,
        **sampling: Any,
    ) -> list[Any]:
        """As `complete`, of rows as the model takes them: a list of filled ones."""
        if draws is not None and draws < 1:
            raise ArgumentError(f"`draws` must be at least 1; got {draws}.")
        kind, count = self.kind, draws or self.kind.guesses
        rows = kind.to_fill(self.model, rows)
        index = kind.incomplete(rows, known)
        chunks = self.model.complete_chunks(
            kind.take(rows, index),
            None if known is None else known[index],
            draws=count,
            seed=seed,
            **sampling,
        )
        found = self._collected(chunks, "complete", len(index) * count, quiet, "draws")
        drawn = kind.joined([self.model.empty(), *found], [len(index) * count])
        if draws is None:
            some = kind.take(rows, index)
            guess = kind.best_guess(self.model, drawn, count, some) if len(index) else drawn
            return [kind.put_back(rows, index, guess)]
        every = np.arange(len(index)) * draws
        return [kind.put_back(rows, index, kind.take(drawn, every + k)) for k in range(draws)]

    def predict(
        self,
        rows: Any,
        target: str,
        *,
        seed: int = 0,
        values: int = QUANTILES,
        steps: int = STEPS,
        quiet: bool = True,
    ) -> PredictedNumbers | PredictedCategories:
        """The law of one column given the others, for each row.

        Of numbers it has a mean, quantiles, intervals and the CRPS; of categories probabilities.
        See `models.predictive`; what stands in the target is not looked at.

        Args:
            rows: of a table's columns, or a file of them; what is missing in them, whole columns
                too, is not known.
            target: the column's name.
            seed: of what is drawn where more than the target is missing.
            values: how many equally likely ones stand for the law of a number.
            steps: of the solver that takes them there; a law much narrower than the target's own
                spread needs more.
            quiet: show no progress.

        Raises:
            ArgumentError: if there is no such column that varies, a number is out of its range, or
                the run learned no table.
            DataError: if the rows do not fit the model.
        """
        require(self.model, "predict")
        assert isinstance(self.model, TableModel)
        like = self.kind.read_like(self.model, rows, missing=True, partial=True)
        options: dict[str, int] = {"seed": seed, "values": values, "steps": steps}
        chunks = predict_chunks(self.model, like.rows, target, **options)
        return joined(self._collected(chunks, "predict", len(like.rows), quiet))

    def interpolate(
        self,
        first: int,
        last: int,
        n: int,
        *,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> np.ndarray:
        """From one sample of a seed to another; see `GaussianModel.interpolate`.

        Raises:
            ArgumentError: if a number is out of its range, a sampling setting is wrong, or the
                run learned a table.
        """
        require(self.model, "interpolate")
        with distributed.threads(self.settings.threads):
            return self.model.interpolate(first, last, n, seed=seed, given=given, **sampling)

    def log_prob(
        self,
        rows: Any,
        *,
        target: str | Sequence[str] | None = None,
        quiet: bool = True,
        **options: Any,
    ) -> np.ndarray:
        """Log density of rows in nats, in the data's own units, `(n,)`.

        See `GaussianModel.log_prob_chunks` and `TableModel.log_prob_chunks`.

        Args:
            rows: rows or pictures, or a file of them.
            target: of a table, a column or several: log p(target | the rest of the row).
            quiet: show no progress.
            **options: steps, probes, seed; of points and pictures also tol.

        Raises:
            ArgumentError: if an option is out of its range, or there is no such target.
            DataError: if the rows do not fit the model.
        """
        if target is not None:
            require(self.model, "predict")
            options["target"] = target
        like = self.kind.read_like(self.model, rows)
        chunks = self.model.log_prob_chunks(like.rows, **options)
        found = self._collected(chunks, "score", len(like.rows), quiet)
        return np.concatenate([np.empty(0), *(chunk.nats.numpy() for chunk in found)])

    def _collected(
        self, chunks: "Iterator[Any]", title: str, total: int, quiet: bool, unit: str = ""
    ) -> list[Any]:
        """The chunks, computed with the run's threads; the first process shows a progress line."""
        quiet = quiet or not distributed.is_first()
        with distributed.threads(self.settings.threads):
            return collected(chunks, title, total, unit or self.kind.unit, quiet=quiet)

    def evaluate(
        self,
        *,
        against: Any = None,
        n: int = 10_000,
        seed: int = 0,
        sample: Any = None,
        labels: np.ndarray | None = None,
        target: str | None = None,
        quiet: bool = True,
    ) -> Evaluation:
        """Measure the distance to real rows, beside its floor between real rows.

        A toy set is compared with fresh draws; anything else with its held-out rows, the floor
        being parts of the training rows of that size; `against` with parts of the rows given. Of
        several processes each draws its share; the first measures, and the others return no
        measures.

        Args:
            against: real rows that were not used in training, or a file of them.
            n: how many rows at most.
            seed: of the samples.
            sample: rows to measure, instead of drawing fresh ones.
            labels: of pictures given as `sample`, the numbers of the classes that they were asked
                to be of, `(n,)`; not given, it is not measured whether they are.
            target: of a table, the column to predict from the others: the evaluation then has
                `predictions`, too. Where not given, `efficacy` is of up to three.
            quiet: show no progress.

        Raises:
            ArgumentError: if n is too small, there is no such column to predict, or the labels are
                not as many as the pictures.
            DataError: if there are too few real rows, or other columns.
            RunError: if the real rows cannot be had.
        """
        if target is not None:
            self._check_target(target)
        real = self.real_sets(against, n)
        drawn = (
            self.draw(len(real.reference), seed=seed, quiet=quiet)
            if sample is None
            else self.kind.read_like(self.model, sample).rows
        )
        labels = self.model.labels(len(drawn), seed=seed) if sample is None else labels
        if labels is not None and len(labels) != len(drawn):
            raise ArgumentError(f"`labels` are of {len(labels)} pictures; {len(drawn)} are given.")
        if not distributed.is_first():
            return Evaluation((), len(real.reference))
        with distributed.threads(self.settings.threads):
            return self.kind.evaluate(
                self.model,
                real,
                drawn,
                log_prob=self.log_prob,
                complete=self.filled,
                target=target,
                seed=seed % 2**32,  # all that scikit-learn takes
                labels=labels,
                quiet=quiet,
            )

    def _check_target(self, target: str) -> None:
        """Refuse before anything is drawn what cannot be predicted.

        Raises:
            ArgumentError: if there is no such column that varies, or the run learned no table.
        """
        if not supports(self.model, "predict"):
            raise ArgumentError("--target is for tables; leave it out.")
        assert isinstance(self.model, TableModel)
        self.model.codec.places(target)

    def real_sets(self, against: Any = None, n: int = 10_000) -> RealSets[Any]:
        """Real rows to measure by: the run's own, or parts of others.

        Raises:
            ArgumentError: if n is too small.
            DataError: if there are too few, or other columns.
            RunError: if they cannot be had.
        """
        if n < LEAST_ROWS:
            raise ArgumentError(f"`n` must be at least {LEAST_ROWS} to measure anything; got {n}.")
        if against is None:
            return real_sets(self.load_data(), n)
        rows = self.kind.container(self.model, self.kind.read_like(self.model, against).rows)
        known = self.known_data()
        where = str(against) if isinstance(against, str | os.PathLike) else "the real data"
        refuse_extremes(rows, where)
        return sets_of(rows, None if known is None else known.train, n, self.settings.seed, where)

    def known_log_density(self) -> LogDensity | None:
        """The true log density of the rows' source in nats, where it is known."""
        known = self.known_data()
        return None if known is None else known.log_density()

    def known_data(self) -> Dataset[Any] | None:
        """The rows that it was fitted to, as `load_data`; None where they cannot be had."""
        try:
            return self.load_data()
        except SfumatoError:
            return None

    def load_data(self) -> Dataset[Any]:
        """The rows it was fitted to, drawn or read again where they are not in memory.

        Raises:
            RunError: if they were given in Python, and no file can bring them back.
            DataError: if the file is gone or changed.
        """
        if self.data is not None:
            return self.data
        if self.settings.data.source == IN_MEMORY:
            raise RunError(
                "this run was fitted to rows in memory, which are gone; give real ones to compare "
                "with (--against FILE).",
                code="rows-gone",
            )
        return load(self.settings)

    def summary(self) -> dict[str, Any]:
        """What it is, for `sfumato info`: sizes, how far training went, all settings."""
        model, settings, records = self.model, self.settings, self.records()
        weights = sum(each.numel() for each in model.denoiser.network.parameters())
        levels = settings.process.num_levels
        facts: dict[str, Any] = {
            "source": settings.data.source,
            **self.kind.summary(model),
            "model": f"{settings.network.name}, {weights:,} weights, "
            f"predicts {settings.network.parameterisation}",
            "process": settings.process.schedule
            + (f", {levels} levels" if levels else " in continuous time"),
            "sampler": f"{settings.sampling.sampler}, {settings.sampling.steps} steps",
        }
        if model.few is not None:
            calls = ", ".join(map(str, sorted(model.few.times)))
            drawing = settings.sampling.few
            facts["map"] = f"few-step map of {calls} calls" + (
                f"; `sample` draws with {drawing}" if drawing else ""
            )
        if (reached := self.reached()) is not None:
            last = records[-1]
            facts["training"] = (
                f"step {reached[0]:,} of {reached[1]:,}, loss {last['loss']:.4f}, "
                f"{last['seconds']:.1f} s"
            )
        if settings.start.path:
            facts["start"] = f"the weights of {settings.start.path}"
        if settings.training.past:
            facts["trained on"] = _courses(settings.training)
        return facts | {"settings": settings.to_dict()}

    def _repr_html_(self) -> str:
        """What it is as a table, for notebooks."""
        facts = {"folder": self.folder or "none: a lone model file", **self.summary()}
        del facts["settings"]
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
            for name, value in facts.items()
        )
        return f"<table>{rows}</table>"

    def explore(self, to: str | os.PathLike[str] | None = None, *, quiet: bool = True) -> "Page":
        """The explorer's page of this run, which needs no server: a notebook shows it.

        It draws with the run's own network, in the browser. Of a table or pictures whose model it
        cannot draw with, or not soon enough, it holds rows or pictures drawn beforehand, and says
        why.

        Args:
            to: a file to keep it in, .html, which opens anywhere.
            quiet: show no progress.

        Raises:
            ArgumentError: if the run has none (of points, one to three columns have to vary), the
                file's name does not end in .html, or its folder is missing.
            OSError: if the file cannot be written.
        """
        # The page is built on runs, so that it is imported when it is asked for.
        from sfumato.runs.explorer.offline import offline_page

        return offline_page(self, None if to is None else Path(to), quiet=quiet)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file, which `sfumato.open` reads.

        Raises:
            OSError: if it cannot be written.
        """
        save_model(self.model, Path(path))

    def export(
        self,
        to: Literal["diffusers", "onnx"],
        folder: str | os.PathLike[str],
        *,
        given: Mapping[str, Any] | None = None,
        classes: bool = False,
    ) -> None:
        """Write the model for other software.

        Args:
            to: diffusers, a DDPMPipeline for Hugging Face's library; onnx, the denoiser and the
                levels to sample at.
            folder: to be made.
            given: with diffusers, the class that the pipeline is to draw.
            classes: with diffusers, keep all classes, as a network that takes class_labels.

        Raises:
            ArgumentError: if the model cannot be written so.
            MissingDependencyError: if a package that this needs is not installed.
            RunError: if the folder is there already, or cannot be written.
        """
        if to == "diffusers":
            write_pipeline(self.model, Path(folder), given=given, classes=classes)
        elif given or classes:
            raise ArgumentError(
                "an ONNX file takes the class as an input; leave `given` and `classes` out."
            )
        else:
            write_onnx(self.model, Path(folder))
        if self.model.few is not None:
            warnings.warn(
                f"{folder}: the few-step map is not part of it; it holds the network that the map "
                "was learned from",
                ForeignWarning,
                stacklevel=1,
            )

    def records(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl; none for a lone model file.

        Raises:
            RunError: if one is damaged.
        """
        return read_records(self.folder / METRICS) if self.folder else []

    def is_finished(self) -> bool:
        """Whether it was trained for all the steps that it is to be; a lone model file is.

        Raises:
            RunError: if metrics.jsonl is damaged.
        """
        reached = self.reached()
        return self.folder is None if reached is None else reached[0] >= reached[1]

    def reached(self) -> tuple[int, int] | None:
        """The last training step on record, and how many there are to be; None without records.

        Raises:
            RunError: if metrics.jsonl is damaged.
        """
        records, training = self.records(), self.settings.training
        if not records:
            return None
        # The last line may have been written before the run was to be trained on.
        steps = training.steps if training.past else records[-1]["num_steps"]
        return int(records[-1]["step"]), int(steps)

    def snapshots(self) -> list[tuple[int, np.ndarray]]:
        """Samples drawn while training: step and `(SNAPSHOT_FRAMES, n, columns)` each.

        Raises:
            RunError: if one is damaged.
        """
        paths: Iterable[Path] = (self.folder / SNAPSHOTS).glob("step-*.npy") if self.folder else ()
        return sorted((self._snapshot(path) for path in paths), key=lambda snapshot: snapshot[0])

    def _snapshot(self, path: Path) -> tuple[int, np.ndarray]:
        try:
            step, stack = int(path.stem.removeprefix("step-")), read_array(path)
            empty = self.model.empty()
            frames, row = stack.shape[0], stack.shape[2:]
            if (frames, row) != (SNAPSHOT_FRAMES, empty.shape[1:]):
                raise ValueError
            return step, stack.astype(empty.dtype, casting="safe")
        except (DataError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged; delete it.") from error


def _courses(training: TrainingSettings) -> str:
    """From which step to which a training went at which rate, of one that was gone on with."""
    parts: list[TrainingPart | TrainingSettings] = [*training.past, training]
    ends = [*(part.until for part in training.past), training.steps]
    said = []
    for first, last, part in zip([0, *ends], ends, parts, strict=False):
        stopped = f" (of {part.steps:,})" if last < part.steps else ""
        rate = f"learning rate {part.learning_rate:g}, {part.decay}"
        said.append(f"steps {first + 1:,} to {last:,}{stopped} at {rate}")
    return "; ".join(said)


def open_run(
    path: str | os.PathLike[str],
    *,
    network: nn.Module | None = None,
    process: Schedule | Process | None = None,
) -> Run:
    """Open a run folder, a lone model file, or a folder that diffusers wrote.

    Args:
        path: where it is.
        network: of a run that was fitted with a network of its own: one of the same shape, whose
            weights are replaced by the run's.
        process: of a run that was fitted with a schedule of its own: the same.

    Raises:
        ArgumentError: if `path` is no path.
        RunError: if it is none of these, is damaged, or needs a network or process that is not
            given.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"a run is opened by its path; got {path!r}.")
    place = Path(path)
    if is_pipeline(place):
        return Run(read_pipeline(place), None)
    if place.is_dir():
        if not (place / MODEL).is_file():
            begun = (place / CONFIG).is_file()
            raise RunError(
                f"{place} has no model yet; go on with `{resume_command(place)}`."
                if begun
                else f"{place} is not a run folder: it has no {MODEL}.",
                code="no-model",
                folder=str(place),
            )
    elif not place.exists():
        raise RunError(
            f"there is no run folder or model file {place}.",
            code="no-run-folder",
            folder=str(place),
        )
    elif place.suffix.lower() != Path(MODEL).suffix:
        raise RunError(f"{place} is not a model; give a run folder or its {MODEL}.")
    file = place / MODEL if place.is_dir() else place
    model = load_model(file, network=network, process=process)
    return Run(model, place if place.is_dir() else None)
