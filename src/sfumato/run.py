"""A run: its data, its folder, and the fitting that fills the folder.

    runs/NAME/
      config.toml          the whole resolved settings
      model.safetensors    the weights to sample with; enough alone
      checkpoint/          what resuming needs
      metrics.jsonl        a line per group of steps
      snapshots/           samples drawn on the way

`fit` is the whole of it in one call. Everything is written so that a run can be stopped at any
moment: the folder then holds its last checkpoint and the model made from it.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from sfumato import config, storage
from sfumato.config import Settings
from sfumato.data.codec import Codec
from sfumato.data.files import read_points
from sfumato.data.points import Points
from sfumato.data.toy import TOY_SETS, draw, toy_set
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.errors import ArgumentError, DataError, RunError, SfumatoError
from sfumato.metrics.evaluation import LEAST_ROWS, Evaluation, evaluate
from sfumato.model import Model, build_denoiser, build_process, load_model
from sfumato.process.random import CHUNK
from sfumato.progress import ProgressLine, tracked
from sfumato.training import checkpoint
from sfumato.training.loop import StepRecord, Training, train

CONFIG, MODEL, CHECKPOINT = "config.toml", "model.safetensors", "checkpoint"
METRICS, SNAPSHOTS, LOCK = "metrics.jsonl", "snapshots", ".lock"

SNAPSHOT_FRAMES = 10

# Real sets that make up the floor of an evaluation.
FLOOR_SETS = 6

LogDensity = Callable[[np.ndarray], np.ndarray]
Source = str | os.PathLike[str] | np.ndarray | Points


# ---------------------------------------------------------------------------------- data


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """The rows that a run learns from, and real rows that it never sees.

    Args:
        train: rows to learn from.
        heldout: rows of a file kept out of training; None for a toy set, which has a fresh draw
            for everyone who asks.
        settings: where they came from.
        seed: of the run.
    """

    train: Points
    heldout: Points | None
    settings: config.DataSettings
    seed: int

    def fresh(self, k: int, n: int) -> np.ndarray:
        """The k-th independent set of `n` real rows of a toy set, none of them seen in training."""
        points = draw(
            self.settings.source, n, seed=self.seed, stream=f"fresh-{k}", noise=self.settings.noise
        )
        return points.values

    def log_density(self) -> LogDensity | None:
        """The true log density in nats, where the source has one in closed form."""
        if self.heldout is not None:
            return None
        known = toy_set(self.settings.source)
        noise = known.noise if self.settings.noise is None else self.settings.noise
        density = known.log_density
        return None if density is None else lambda values: density(values, noise)


def load_data(settings: Settings) -> RunData:
    """Draw the toy set or read the file that the settings name.

    Raises:
        ArgumentError: if the source is neither a toy set nor looks like a file.
        DataError: if the file cannot be used, or is not the one that the run began with.
    """
    data = settings.data
    if data.source in TOY_SETS:
        points = draw(data.source, data.size, seed=settings.seed, noise=data.noise)
        return RunData(points, None, data, settings.seed)
    path = Path(data.source)
    if not path.suffix and not path.exists():
        toy_set(data.source)  # raises, naming the toy set that may have been meant
    points = read_points(path)
    if data.sha256 is not None and storage.sha256(path) != data.sha256:
        raise DataError(
            f"{path} is not the file that this run began with (its SHA-256 has changed); put the "
            "old file back, or start a new run."
        )
    return split(points, settings)


def split(points: Points, settings: Settings) -> RunData:
    """Keep a share of the rows, chosen by the seed, out of training.

    Raises:
        DataError: if fewer than two rows would be left to learn from.
    """
    rows = len(points.values)
    # Enough to evaluate on, where there are rows to spare.
    kept = max(1, round(rows * settings.data.holdout), min(LEAST_ROWS, rows // (FLOOR_SETS + 1)))
    if rows - kept < 2:
        raise DataError(f"at least 3 rows are needed, 2 to learn from and 1 kept; got {rows}.")
    order = np.random.default_rng(settings.seed).permutation(rows)
    train, heldout = np.sort(order[kept:]), np.sort(order[:kept])
    return RunData(
        Points(points.values[train], points.columns),
        Points(points.values[heldout], points.columns),
        settings.data,
        settings.seed,
    )


# ------------------------------------------------------------------------------- the run


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
        """See `Model.sample`: `n` rows in the data's own units, `(n, columns)`.

        With `quiet=False` a progress line is shown.
        """
        rows = [np.empty((0, len(self.model.codec.columns)))]
        with ProgressLine("sample", n, "rows", quiet=quiet) as line:
            done = 0
            for chunk in self.model.sample_chunks(n, seed=seed, first=first, **sampling):
                rows.append(chunk)
                line.advance_to(done := done + len(chunk))
        return np.concatenate(rows)

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
        parts of the training rows of that size; `against` with parts of the file given.

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
        reference, real, train, log_density = self._real_sets(against, n)
        if sample is None:
            sample = self.sample(len(reference), seed=seed, quiet=quiet)
        if len(sample) < len(reference):
            raise DataError(f"{len(reference)} rows are needed to measure; got {len(sample)}.")
        sample = sample[: len(reference)]
        total = 5 + (log_density is not None) - (train is None)
        measured = evaluate(sample, reference, real, train, log_density=log_density, seed=seed)
        measures = tuple(tracked(measured, "evaluate", total, "measures", quiet=quiet))
        return Evaluation(measures, len(reference))

    def _real_sets(
        self, against: str | os.PathLike[str] | None, n: int
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray | None, LogDensity | None]:
        """Reference, sets for the floor, training rows and true density, where there are any."""
        if against is not None:
            points = read_points(Path(against))
            if points.columns != self.model.codec.columns:
                raise DataError(
                    f"{against} has the columns {', '.join(points.columns)}; this run's are "
                    f"{', '.join(self.model.codec.columns)}."
                )
            order = np.random.default_rng(self.settings.seed).permutation(len(points.values))
            parts = _parts(points.values[order], FLOOR_SETS + 1, n)
            if len(parts[0]) < LEAST_ROWS:
                raise DataError(
                    f"{against} needs at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows to measure "
                    f"against; it has {len(points.values)}."
                )
            train = self.load_data().train.values if self._has_data() else None
            return parts[0], parts[1:], train, None
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
        return data.heldout.values[:m], _parts(train[order], FLOOR_SETS, m), train, None

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
            "columns": ", ".join(model.codec.columns),
            "model": f"{settings.network.name}, {weights:,} weights, "
            f"predicts {settings.network.target}",
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
        """The lines of metrics.jsonl; none for a lone model file."""
        path = self.folder / METRICS if self.folder else None
        if path is None or not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def snapshots(self) -> list[tuple[int, np.ndarray]]:
        """Samples drawn while training: step and `(SNAPSHOT_FRAMES, n, columns)` each."""
        folder = self.folder / SNAPSHOTS if self.folder else None
        if folder is None or not folder.is_dir():
            return []
        return [
            (int(path.stem.removeprefix("step-")), np.load(path, allow_pickle=False))
            for path in sorted(folder.glob("step-*.npy"))
        ]


ARRAY = "array"


def _parts(rows: np.ndarray, count: int, most: int) -> list[np.ndarray]:
    """`count` disjoint parts of equal size, at most `most` rows each."""
    size = min(len(rows) // count, most)
    return [rows[k * size : (k + 1) * size] for k in range(count)]


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder or a lone model file.

    Raises:
        RunError: if it is neither, or is damaged.
    """
    place = Path(path)
    if place.is_dir():
        if not (place / MODEL).is_file():
            begun = (place / CONFIG).is_file()
            raise RunError(
                f"{place} has no model yet; go on with `sfumato fit --resume --out {place}`."
                if begun
                else f"{place} is not a run folder: it has no {MODEL}."
            )
    elif not place.exists():
        raise RunError(f"there is no run folder or model file {place}.")
    model = load_model(place / MODEL if place.is_dir() else place)
    _use_threads(model.settings)
    return Run(model, place if place.is_dir() else None)


def _next_folder(name: str) -> Path:
    """runs/NAME-001, or the first number after the highest that is taken."""
    taken = [
        int(path.name.removeprefix(f"{name}-"))
        for path in Path("runs").glob(f"{name}-*")
        if path.name.removeprefix(f"{name}-").isdecimal()
    ]
    return Path("runs") / f"{name}-{max(taken, default=0) + 1:03d}"


def new_folder(out: str | os.PathLike[str] | None, name: str) -> Path:
    """Make the run's folder: `out`, or the next free number under runs/.

    Raises:
        RunError: if it is already there with something in it, or cannot be made.
    """
    folder = Path(out) if out is not None else _next_folder(name)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(
                f"{folder} is already there and is never overwritten; choose another --out, or go "
                f"on with `sfumato fit --resume --out {folder}`."
            )
        folder.mkdir(parents=True, exist_ok=True)
        with storage.replacing(folder / ".writable"):
            pass
        (folder / ".writable").unlink()
    except OSError as error:
        raise RunError(
            f"cannot write to {folder}: {error.strerror}; choose another --out."
        ) from error
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder for writing; the lock falls with the process that holds it.

    Raises:
        RunError: if another process holds it, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"{folder} is in use by another process; wait until it ends, or choose another --out."
        ) from None
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


# ------------------------------------------------------------------------------- fitting


class Stopped(SfumatoError):  # noqa: N818 - not an error, but a way to leave
    """SIGINT or SIGTERM arrived; the step was finished and everything is saved.

    The exit code is 128 and the signal's number, as a shell gives it.
    """

    def __init__(self, signum: int, step: int, folder: Path) -> None:
        super().__init__(
            f"stopped at step {step}; saved. Go on with: sfumato fit --resume --out {folder}"
        )
        self.exit_code = 128 + signum


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; only the main thread can."""
    received: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)

    try:
        before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread
        yield received
        return
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _snapshot_steps(num_steps: int, every: int, count: int) -> set[int]:
    """`count` steps where a record falls, evenly in the logarithm, the last one among them."""
    if count == 0:
        return set()
    groups = max(1, num_steps // every)
    chosen = {max(1, round(groups ** (k / count))) * every for k in range(count)}
    return {min(step, num_steps) for step in chosen} | {num_steps}


def _sampling_model(training: Training, model: Model) -> Model:
    """The model with the weights that samples are to be drawn with."""
    if model.settings.sampling.weights == "last":
        return model
    denoiser = NetworkDenoiser(
        training.average.network, model.denoiser.parameterisation, model.denoiser.conditioning
    )
    return Model(model.settings, model.codec, model.process, denoiser)


def _save(training: Training, model: Model, folder: Path) -> None:
    checkpoint.save(folder / CHECKPOINT, training.tensors(), training.numbers())
    _sampling_model(training, model).save(folder / MODEL)


def _take_snapshot(training: Training, model: Model, folder: Path) -> None:
    """One chunk of samples at SNAPSHOT_FRAMES levels of its way, noise first."""
    frames = _sampling_model(training, model).pictured_frames(CHUNK, SNAPSHOT_FRAMES)
    (folder / SNAPSHOTS).mkdir(exist_ok=True)
    with storage.replacing(folder / SNAPSHOTS / f"step-{training.step:07d}.npy") as path:
        np.save(path, np.stack([x for _, x in frames]), allow_pickle=False)


def _begin_metrics(folder: Path, step: int) -> float:
    """Drop lines after `step`, which resuming will write again; seconds that were spent so far."""
    path = folder / METRICS
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    storage.write_bytes(path, "".join(kept).encode())
    return float(json.loads(kept[-1])["seconds"]) if kept else 0.0


def fitting(training: Training, model: Model, folder: Path) -> Iterator[StepRecord]:
    """Train to the end in a run's folder, saving on the way; yields as `train` does.

    Raises:
        Stopped: after SIGINT or SIGTERM, when all is saved.
        DivergedError: if the loss is no longer finite; the last checkpoint stays.
        RunError: if the folder is in use or cannot be written.
    """
    settings = training.settings
    snapshots = _snapshot_steps(training.num_steps, settings.log_every, settings.snapshots)
    with locked(folder), _signals() as received:
        spent = _begin_metrics(folder, training.step)
        saved = training.step
        if saved == 0:
            _save(training, model, folder)
        started = time.monotonic()
        with (folder / METRICS).open("a", encoding="utf-8") as metrics:
            for record in train(training):
                seconds = round(spent + time.monotonic() - started, 3)
                metrics.write(json.dumps(asdict(record) | {"seconds": seconds}) + "\n")
                metrics.flush()
                if record.step in snapshots:
                    _take_snapshot(training, model, folder)
                last = record.step == training.num_steps
                if last or record.step - saved >= settings.checkpoint_every:
                    _save(training, model, folder)
                    saved = record.step
                yield record
                if received and not last:
                    if saved != record.step:
                        _save(training, model, folder)
                    raise Stopped(received[0], record.step, folder)


def _use_threads(settings: Settings) -> None:
    """As many threads as the settings say, for fitting and sampling alike.

    With another number, sums may round differently.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)


def prepare(settings: Settings, data: RunData) -> tuple[Training, Model]:
    """Put together all that fitting needs; nothing is written.

    Raises:
        ArgumentError: if a setting names something unknown.
        DataError: if the rows cannot be encoded.
    """
    _use_threads(settings)
    codec = Codec.fit(data.train, standardise=settings.data.standardise)
    process = build_process(settings.process)
    denoiser = build_denoiser(settings, codec.dimension, process)
    model = Model(settings, codec, process, denoiser)
    model.sample(0)  # refuses wrong sampling settings now, not after the training
    rows = codec.encode(data.train.values)
    return Training(denoiser, process, rows, settings.training, seed=settings.seed), model


def begin(
    settings: Settings,
    data: RunData,
    out: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
) -> tuple[Training, Model, Path]:
    """`prepare`, then make the run's folder and write its settings.

    Args:
        settings: resolved.
        data: the rows.
        out: the folder; the next free runs/NAME-NNN where not given.
        name: the NAME; the source's where not given.

    Raises:
        RunError: if the folder is taken or cannot be written, and as `prepare`.
    """
    training, model = prepare(settings, data)
    folder = new_folder(out, name or Path(settings.data.source).stem)
    storage.write_bytes(folder / CONFIG, settings.to_toml().encode())
    return training, model, folder


def resume(folder: Path) -> tuple[Training, Model, RunData]:
    """Take up a run where its checkpoint stands.

    Raises:
        RunError: if the folder is not a run's, or its checkpoint is missing or damaged.
        DataError: if its file is gone or changed.
    """
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder} is not a run folder: it has no {CONFIG}.")
    try:
        settings = config.resolve(config.load_toml(folder / CONFIG))
    except ArgumentError as error:
        raise RunError(f"the settings of {folder} are damaged: {error}") from error
    if settings.data.source == ARRAY:
        raise RunError("a run that was fitted to an array in memory cannot be resumed.")
    data = load_data(settings)
    training, model = prepare(settings, data)
    if (folder / CHECKPOINT).exists():
        training.restore(*checkpoint.load(folder / CHECKPOINT))
    return training, model, data


def settings_for(
    source: Source, changes: Mapping[str, Any], *layers: Mapping[str, Any]
) -> tuple[Settings, RunData]:
    """Resolve the settings of a run on `source` and load its rows.

    Args:
        source: a toy set's name, a file, or rows in memory `(n, d)`.
        changes: nested (`{"training": {"steps": 500}}`) or dotted (`{"training.steps": 500}`).
        layers: settings that come before the changes, such as a preset.

    Raises:
        ArgumentError: if a setting is wrong or the source is unknown.
        DataError: if the rows cannot be used.
    """
    nested: dict[str, Any] = {}
    for name, value in changes.items():
        for key in reversed(name.split(".")):
            value = {key: value}
        nested = config.merged(nested, value)
    if isinstance(source, Points | np.ndarray):
        settings = config.resolve(*layers, nested, {"data": {"source": ARRAY}})
        return settings, split(_as_points(source), settings)
    named = {"data": {"source": os.fspath(source)}}
    settings = config.resolve(*layers, nested, named)
    data = load_data(settings)
    if data.heldout is not None:
        named["data"]["sha256"] = storage.sha256(Path(settings.data.source))
    return config.resolve(settings.to_dict(), named), data


def _as_points(rows: Points | np.ndarray) -> Points:
    if isinstance(rows, Points):
        return rows
    try:
        values = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the rows must be numbers; got an array of {rows.dtype}.") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise DataError(f"the rows must be an array (n, columns); got shape {values.shape}.")
    if not np.isfinite(values).all():
        bad = int(np.size(values) - np.isfinite(values).sum())
        raise DataError(f"{bad} of the values are NaN or infinite; drop or fill them.")
    return Points(values, tuple(f"x{k}" for k in range(values.shape[1])))


def fit(
    source: Source = "s-curve",
    *,
    out: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Run:
    """Fit a diffusion model to points, in a run folder of its own.

    Args:
        source: a toy set's name, a file (.csv, .npy, .npz, .parquet), or an array `(n, d)`.
        out: the run's folder; runs/NAME-001 and so on where not given.
        settings: changes to the defaults, e.g. `{"training.steps": 500}`.
        seed: decides every draw.
        quiet: show no progress.

    Raises:
        ArgumentError: if a setting or the source is unknown.
        DataError: if the rows cannot be used.
        RunError: if the folder is taken.
        DivergedError: if training meets a loss that is not finite.
        KeyboardInterrupt: after SIGINT or SIGTERM, when all is saved.
    """
    resolved, data = settings_for(source, {"seed": seed, **(settings or {})})
    training, model, folder = begin(resolved, data, out)
    try:
        return finish(training, model, data, folder, quiet=quiet)
    except Stopped as stopped:
        raise KeyboardInterrupt(str(stopped)) from stopped


def finish(
    training: Training, model: Model, data: RunData, folder: Path, *, quiet: bool = False
) -> Run:
    """Train to the end, showing how it goes; the fitted run."""
    with ProgressLine("fit", training.num_steps, "steps", quiet=quiet) as line:
        for record in fitting(training, model, folder):
            line.advance_to(record.step, f"loss {record.loss:.4f}")
    return Run(_sampling_model(training, model), folder, data)
