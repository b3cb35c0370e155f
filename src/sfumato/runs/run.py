"""A fitted run of points or pictures, and opening a run of any kind."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import distributed
from sfumato.config import Settings
from sfumato.data.codecs.points import AnyCodec, Codec, ImageCodec
from sfumato.data.images import Images
from sfumato.data.io.points import read_array, read_points
from sfumato.errors import ArgumentError, DataError, RunError, SfumatoError
from sfumato.metrics.evaluation import LEAST_ROWS, Evaluation, evaluate
from sfumato.metrics.features import train_classifier
from sfumato.metrics.images import evaluate_images
from sfumato.models.diffusers import is_pipeline, read_pipeline
from sfumato.models.file import load_any_model
from sfumato.models.gaussian import Model
from sfumato.models.table import TableModel
from sfumato.process.streams import chunk_size
from sfumato.progress import ProgressLine, tracked
from sfumato.runs.data import (
    ARRAY,
    FLOOR_SETS,
    LogDensity,
    RunData,
    load_data,
    parts,
    refuse_extremes,
)
from sfumato.runs.folder import CONFIG, METRICS, MODEL, SNAPSHOTS, read_records, resume_command
from sfumato.runs.table_run import TableRun

SNAPSHOT_FRAMES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A fitted model together with the folder it lives in, if it has one.

    Args:
        model: the model.
        folder: the run's folder; None when only a model file was opened.
        data: the rows, when they are still in memory.
    """

    model: Model
    folder: Path | None
    data: RunData | None = None

    @property
    def settings(self) -> Settings:
        """The settings that made it."""
        return self.model.settings

    def sample(
        self, n: int, *, seed: int = 0, first: int = 0, quiet: bool = True, **sampling: Any
    ) -> np.ndarray:
        """See `Model.sample`: `n` rows in the data's own units, `(n, columns)`, or pictures.

        With `quiet=False` a progress line is shown.
        """
        rows = [self.model.nothing()]
        # Of several processes each draws a part; together they have them all.
        shares = distributed.shares(n, chunk_size(self.model.codec.event), first)
        first, n = shares[distributed.number()]
        with (
            ProgressLine("sample", n, "rows", quiet=quiet or not distributed.is_first()) as line,
            distributed.threads(self.settings.threads),
        ):
            done = 0
            for chunk in self.model.sample_chunks(n, seed=seed, first=first, **sampling):
                rows.append(chunk)
                line.advance_to(done := done + len(chunk))
        return distributed.gathered(np.concatenate(rows), [length for _, length in shares])

    def edit(
        self,
        rows: np.ndarray,
        start: float,
        *,
        seed: int = 0,
        quiet: bool = True,
        **sampling: Any,
    ) -> np.ndarray:
        """See `Model.edit`: rows like the given ones, `(n, columns)`.

        With `quiet=False` a progress line is shown.
        """
        edited = [rows[:0]]
        with (
            ProgressLine("edit", len(rows), "rows", quiet=quiet) as line,
            distributed.threads(self.settings.threads),
        ):
            done = 0
            for chunk in self.model.edit_chunks(rows, start, seed=seed, **sampling):
                edited.append(chunk)
                line.advance_to(done := done + len(chunk))
        return np.concatenate(edited)

    def log_prob(self, rows: np.ndarray, *, quiet: bool = True, **options: Any) -> np.ndarray:
        """Log density of rows in nats, in the data's own units, `(n,)`; see `Model.log_prob`.

        Args:
            rows: `(n, columns)`.
            quiet: show no progress.
            **options: steps, tol, probes, seed.

        Raises:
            ArgumentError: if an option is out of its range.
            DataError: if the rows do not fit the model.
        """
        found = [np.empty(0)]
        with (
            ProgressLine("score", len(rows), "rows", quiet=quiet) as line,
            distributed.threads(self.settings.threads),
        ):
            done = 0
            for chunk in self.model.log_prob(rows, **options):
                found.append(chunk.nats.numpy())
                line.advance_to(done := done + len(chunk.nats))
        return np.concatenate(found)

    def evaluate(
        self,
        *,
        against: str | os.PathLike[str] | None = None,
        n: int = 10_000,
        seed: int = 0,
        sample: np.ndarray | None = None,
        quiet: bool = True,
    ) -> Evaluation:
        """Measure the distance to real rows, beside its floor between real rows.

        A toy set is compared with fresh draws; a file with its held-out rows, the floor being
        parts of the training rows of that size; `against` with parts of the file given. Of several
        processes each draws its share; the first measures, and the others return no measures.

        Args:
            against: a file of real rows that were not used in training.
            n: how many rows at most.
            seed: of the samples.
            sample: rows to measure, instead of drawing fresh ones.
            quiet: show no progress.

        Raises:
            ArgumentError: if n is too small or negative.
            DataError: if there are too few real rows, or other columns.
            RunError: if the real rows cannot be had.
        """
        if n < LEAST_ROWS:
            raise ArgumentError(f"`n` must be at least {LEAST_ROWS} to measure anything; got {n}.")
        if isinstance(self.model.codec, ImageCodec):
            if against is not None:
                raise ArgumentError("pictures are measured against held-out ones; leave --against.")
            return self._evaluate_pictures(n, seed, quiet=quiet)
        reference, real, train, log_density = self._real_sets(against, n)
        if sample is None:
            sample = self.sample(len(reference), seed=seed, quiet=quiet)
        if not distributed.is_first():
            return Evaluation((), len(reference))
        if len(sample) < len(reference):
            raise DataError(f"{len(reference)} rows are needed to measure; got {len(sample)}.")
        sample = sample[: len(reference)]
        total = 5 + (log_density is not None) - (train is None)
        measured = evaluate(
            sample,
            reference,
            real,
            train,
            log_density=log_density,
            seed=seed % 2**32,  # all that scikit-learn takes
        )
        measures = tuple(tracked(measured, "evaluate", total, "measures", quiet=quiet))
        return Evaluation(measures, len(reference))

    def _evaluate_pictures(self, n: int, seed: int, *, quiet: bool) -> Evaluation:
        """Fresh samples beside held-out pictures, by a classifier of the training pictures."""
        data = self.load_data()
        train, heldout = data.train, data.heldout
        assert isinstance(train, Images)
        assert heldout is not None
        m = min(n, len(heldout.values), len(train.values) // FLOOR_SETS)
        if m < LEAST_ROWS:
            raise DataError(
                f"at least {(FLOOR_SETS + 1) * LEAST_ROWS} pictures are needed to measure; there "
                f"are {len(train.values) + len(heldout.values)}."
            )
        sample = self.sample(m, seed=seed, quiet=quiet)
        if not distributed.is_first():
            return Evaluation((), m)
        order = np.random.default_rng(self.settings.seed + 1).permutation(len(train.values))
        with distributed.threads(self.settings.threads):
            classifier = train_classifier(
                train.values, train.labels, len(train.classes), seed=self.settings.seed % 2**32
            )
            measured = evaluate_images(
                sample,
                heldout.values[:m],
                [train.values[np.sort(rows)] for rows in parts(order, FLOOR_SETS, m)],
                train.values,
                classifier=classifier,
                asked=self.model.labels(m, seed=seed),
                seed=seed % 2**32,
            )
            total = 7 + (train.labels is not None)
            measures = tuple(tracked(measured, "evaluate", total, "measures", quiet=quiet))
        return Evaluation(measures, m, classifier.name)

    def _real_sets(
        self, against: str | os.PathLike[str] | None, n: int
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray | None, LogDensity | None]:
        """Reference, sets for the floor, training rows and true density, where there are any."""
        if against is not None:
            points = read_points(Path(against))
            assert isinstance(self.model.codec, Codec)
            if points.columns != self.model.codec.columns:
                raise DataError(
                    f"{against} has the columns {', '.join(points.columns)}; this run's are "
                    f"{', '.join(self.model.codec.columns)}."
                )
            refuse_extremes(points, str(against))
            order = np.random.default_rng(self.settings.seed).permutation(len(points.values))
            sets = parts(points.values[order], FLOOR_SETS + 1, n)
            if len(sets[0]) < LEAST_ROWS:
                raise DataError(
                    f"{against} needs at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows to measure "
                    f"against; it has {len(points.values)}."
                )
            train = self.load_data().train.values if self._has_data() else None
            return sets[0], sets[1:], train, None
        data = self.load_data()
        if data.heldout is None:
            real = [data.fresh(k, n) for k in range(FLOOR_SETS + 1)]
            return real[0], real[1:], data.train.values, data.log_density()
        train = data.train.values
        m = min(n, len(data.heldout.values), len(train) // FLOOR_SETS)
        if m < LEAST_ROWS:
            raise DataError(
                f"a file of at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows is needed to measure "
                "against itself; compare with other real rows (--against FILE)."
            )
        order = np.random.default_rng(self.settings.seed + 1).permutation(len(train))
        return data.heldout.values[:m], parts(train[order], FLOOR_SETS, m), train, None

    def known_log_density(self) -> LogDensity | None:
        """The true log density of the rows' source in nats, where it is known."""
        return self.load_data().log_density() if self._has_data() else None

    def _has_data(self) -> bool:
        try:
            self.load_data()
        except SfumatoError:
            return False
        return True

    def summary(self) -> dict[str, Any]:
        """What it is, for `sfumato info`: sizes, how far training went, all settings."""
        model, settings = self.model, self.settings
        weights = sum(each.numel() for each in model.denoiser.network.parameters())
        records = self.records()
        levels = f"{settings.process.num_levels} levels" if settings.process.num_levels else ""
        facts: dict[str, Any] = {
            "source": settings.data.source,
            **_shape(model.codec),
            "model": f"{settings.network.name}, {weights:,} weights, "
            f"predicts {settings.network.parameterisation}",
            "process": f"{settings.process.schedule} {levels or 'in continuous time'}",
            "sampler": f"{settings.sampling.sampler}, {settings.sampling.steps} steps",
        }
        if records:
            last = records[-1]
            facts["training"] = (
                f"step {last['step']:,} of {last['num_steps']:,}, loss {last['loss']:.4f}, "
                f"{last['seconds']:.1f} s"
            )
        return facts | {"settings": settings.to_dict()}

    def load_data(self) -> RunData:
        """The rows it was fitted to, drawn or read again where they are not in memory.

        Raises:
            RunError: if they were given as an array, which no file can bring back.
            DataError: if the file is gone or changed.
        """
        if self.data is not None:
            return self.data
        if self.settings.data.source == ARRAY:
            raise RunError(
                "this run was fitted to an array in memory; give real rows to compare with "
                "(--against FILE)."
            )
        return load_data(self.settings)

    def records(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl; none for a lone model file.

        Raises:
            RunError: if one is damaged.
        """
        return read_records(self.folder / METRICS) if self.folder else []

    def snapshots(self) -> list[tuple[int, np.ndarray]]:
        """Samples drawn while training: step and `(SNAPSHOT_FRAMES, n, columns)` each.

        Raises:
            RunError: if one is damaged.
        """
        paths = (self.folder / SNAPSHOTS).glob("step-*.npy") if self.folder else ()
        found = [self._snapshot(path) for path in paths]
        return sorted(found, key=lambda snapshot: snapshot[0])

    def _snapshot(self, path: Path) -> tuple[int, np.ndarray]:
        try:
            step, stack = int(path.stem.removeprefix("step-")), read_array(path)
            nothing = self.model.nothing()
            frames, row = stack.shape[0], stack.shape[2:]
            if (frames, row) != (SNAPSHOT_FRAMES, nothing.shape[1:]):
                raise ValueError
            return step, stack.astype(nothing.dtype, casting="safe")
        except (DataError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged; delete it.") from error


def _shape(codec: AnyCodec) -> dict[str, str]:
    """What a row is, for a person."""
    if isinstance(codec, Codec):
        return {"columns": ", ".join(codec.columns)}
    kind = "grey" if codec.channels == 1 else "colour"
    size = {"pictures": f"{codec.width} x {codec.height} pixels, {kind}"}
    return size | ({"classes": ", ".join(codec.classes)} if codec.classes else {})


def open_any_run(path: str | os.PathLike[str]) -> Run | TableRun:
    """Open a run folder, a lone model file, or a folder of diffusers.

    Raises:
        RunError: if it is neither, or is damaged.
    """
    place = Path(path)
    if is_pipeline(place):
        return Run(read_pipeline(place), None)
    if place.is_dir():
        if not (place / MODEL).is_file():
            begun = (place / CONFIG).is_file()
            raise RunError(
                f"{place} has no model yet; go on with `{resume_command(place)}`."
                if begun
                else f"{place} is not a run folder: it has no {MODEL}."
            )
    elif not place.exists():
        raise RunError(f"there is no run folder or model file {place}.")
    elif place.suffix.lower() != Path(MODEL).suffix:
        raise RunError(f"{place} is not a model; give a run folder or its {MODEL}.")
    model = load_any_model(place / MODEL if place.is_dir() else place)
    folder = place if place.is_dir() else None
    return TableRun(model, folder) if isinstance(model, TableModel) else Run(model, folder)


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run of points or pictures.

    Raises:
        ArgumentError: if it learned a table, for what tables have not.
        RunError: as `open_any_run`.
    """
    run = open_any_run(path)
    if isinstance(run, TableRun):
        raise ArgumentError(
            f"{path} learned a table, and this is for points and pictures; of tables there are "
            "sample, impute, score, evaluate, plot, report and info."
        )
    return run


def open_table_run(path: str | os.PathLike[str]) -> TableRun:
    """Open a run that learned a table.

    Raises:
        ArgumentError: if it learned points or pictures.
        RunError: as `open_any_run`.
    """
    run = open_any_run(path)
    if isinstance(run, Run):
        raise ArgumentError(
            f"{path} learned points or pictures, and this is for tables; fit a file with "
            "--set data.kind=table."
        )
    return run
