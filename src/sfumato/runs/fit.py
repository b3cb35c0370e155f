"""Fitting: from settings and rows to a run folder, stoppable and resumable at any moment.

`fit` is the whole of it in one call. Whatever moment a run is stopped at, its folder holds its
last checkpoint and the model made from it.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TextIO, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from sfumato import atomic, config, distributed
from sfumato.config import Settings
from sfumato.data.codecs.points import AnyCodec, Codec, EncodedImages, ImageCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, DataError, RunError, SfumatoError
from sfumato.models.file import AnyModel, save_model, untrained
from sfumato.models.gaussian import Model
from sfumato.models.registry import device_of
from sfumato.models.table import TableModel
from sfumato.process.streams import DEQUANTISING, chunk_size
from sfumato.progress import ProgressLine
from sfumato.runs.data import (
    ARRAY,
    RunData,
    Source,
    TableData,
    load_any_data,
    settings_for,
    settings_for_any,
)
from sfumato.runs.folder import (
    CHECKPOINT,
    CONFIG,
    METRICS,
    MODEL,
    SNAPSHOTS,
    locked,
    new_folder,
    read_records,
    resume_command,
)
from sfumato.runs.run import SNAPSHOT_FRAMES, Run
from sfumato.runs.table_run import TableRun
from sfumato.training import checkpoint
from sfumato.training.loop import Objective, Rows, StepRecord, Training, train
from sfumato.training.masking import masking
from sfumato.training.regression import regression


class Stopped(SfumatoError):  # noqa: N818 - not an error, but a way to leave
    """SIGINT or SIGTERM arrived; the step was finished and everything is saved.

    The exit code is 128 and the signal's number, as a shell gives it.
    """

    def __init__(self, signum: int, step: int, job: "AnyJob") -> None:
        resumable = job.data.settings.source != ARRAY
        go_on = f" Go on with: {resume_command(job.folder)}" if resumable else ""
        super().__init__(f"stopped at step {step}; saved.{go_on}")
        self.exit_code = 128 + signum


M = TypeVar("M", bound=Model | TableModel, covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[M]):
    """A run being fitted, whose folder is held for writing.

    Args:
        training: where it stands.
        model: the model whose network is trained.
        data: the rows.
        folder: the run's folder.
    """

    training: Training
    model: M
    data: RunData | TableData
    folder: Path


AnyJob = Job[Model | TableModel]


@contextmanager
def _signals(*, quiet: bool) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; only the main thread can."""
    received: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        if not quiet and len(received) == 1:
            # A line that cannot be shown is no reason not to save.
            with suppress(OSError, RuntimeError):
                print("stopping after this group of steps; saving ...", file=sys.stderr, flush=True)

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


def _sampling_model(job: AnyJob) -> AnyModel:
    """The model with the weights that samples are to be drawn with."""
    model, training = job.model, job.training
    last = model.settings.sampling.weights == "last"
    network = training.network if last else training.average.network
    if training.sharded:  # no process holds it whole
        weights = {name: distributed.whole(value) for name, value in network.state_dict().items()}
        network = untrained(model.settings, model.codec).denoiser.network
        network.load_state_dict(weights)
    if isinstance(model, TableModel):
        return model.with_network(network)
    return replace(model, denoiser=replace(model.denoiser, network=network))


def _save(job: AnyJob) -> None:
    tensors, model = job.training.tensors(), _sampling_model(job)
    if distributed.is_first():
        checkpoint.save(job.folder / CHECKPOINT, tensors, job.training.numbers())
        save_model(model, job.folder / MODEL)


def _take_snapshot(job: AnyJob) -> None:
    """One chunk of samples at SNAPSHOT_FRAMES levels of its way, noise first."""
    model = _sampling_model(job)
    if not distributed.is_first() or isinstance(model, TableModel):
        return
    frames = model.pictured_frames(chunk_size(model.codec.event), SNAPSHOT_FRAMES)
    folder = job.folder / SNAPSHOTS
    folder.mkdir(exist_ok=True)
    with atomic.replacing(folder / f"step-{job.training.step:07d}.npy") as path:
        np.save(path, np.stack([x for _, x in frames]), allow_pickle=False)


def _begin_metrics(path: Path, step: int) -> float:
    """Drop lines after `step`, which resuming will write again; seconds that were spent so far."""
    kept = [record for record in read_records(path) if record["step"] <= step]
    if distributed.is_first():
        atomic.write_bytes(path, "".join(f"{json.dumps(record)}\n" for record in kept).encode())
    return kept[-1]["seconds"] if kept else 0.0


def _appending(path: Path) -> AbstractContextManager[TextIO]:
    """The file to append to; nothing, in a process that does not write."""
    return path.open("a", encoding="utf-8") if distributed.is_first() else nullcontext(StringIO())


def fitting(job: AnyJob, *, quiet: bool = True) -> Iterator[StepRecord]:
    """Train to the end in a run's folder, saving on the way; yields as `train` does.

    Args:
        job: from `begin` or `resume`.
        quiet: do not tell that a signal has been heard.

    Raises:
        Stopped: after SIGINT or SIGTERM, when all is saved.
        DivergedError: if the loss is no longer finite; the last checkpoint stays.
        RunError: if metrics.jsonl is damaged.
        OSError: if the folder cannot be written.
    """
    training, settings = job.training, job.training.settings
    snapshots = _snapshot_steps(training.num_steps, settings.log_every, settings.snapshots)
    with _signals(quiet=quiet) as received:
        spent = _begin_metrics(job.folder / METRICS, training.step)
        saved = training.step
        if saved == 0:
            _save(job)
        started = time.monotonic()
        with _appending(job.folder / METRICS) as metrics:
            for record in train(training):
                seconds = round(spent + time.monotonic() - started, 3)
                metrics.write(json.dumps(asdict(record) | {"seconds": seconds}) + "\n")
                metrics.flush()
                if record.step in snapshots:
                    _take_snapshot(job)
                last = record.step == training.num_steps
                if last or record.step - saved >= settings.checkpoint_every:
                    _save(job)
                    saved = record.step
                yield record
                if distributed.any_of(bool(received)) and not last:
                    if saved != record.step:
                        _save(job)
                    raise Stopped(received[0] if received else signal.SIGTERM, record.step, job)


@overload
def prepare(settings: Settings, data: RunData) -> tuple[Training, Model]: ...
@overload
def prepare(settings: Settings, data: TableData) -> tuple[Training, TableModel]: ...


def prepare(settings: Settings, data: RunData | TableData) -> tuple[Training, Model | TableModel]:
    """Put together all that fitting needs; nothing is written.

    Raises:
        ArgumentError: if a setting names something unknown.
        DataError: if the rows cannot be encoded.
    """
    try:
        codec, rows, labels = _encoded(settings, data)
    except DataError as error:
        raise DataError(f"{settings.data.source}: among the rows to learn from, {error}") from error
    model = untrained(settings, codec)
    device = device_of(settings, codec)
    if settings.device == "cuda" and device.type != "cuda":
        raise ArgumentError("device=cuda asks for a GPU, and PyTorch sees none here; take auto.")
    model.denoiser.network.to(device)
    model.check_sampling()  # refuses wrong sampling settings now, not after the training
    recipe = settings.training
    objective: Objective
    if isinstance(model, TableModel):
        objective = masking(
            model.denoiser, model.process, recipe, model.codec.sizes, model.codec.states
        )
    else:
        objective = regression(
            model.denoiser,
            model.process,
            recipe,
            model.codec.event,
            class_labels=model.class_labels,
            labels=labels,
        )
    return Training(model.denoiser, objective, rows, recipe, seed=settings.seed), model


def _encoded(
    settings: Settings, data: RunData | TableData
) -> tuple[AnyCodec | TableCodec, Rows[Any], Tensor | None]:
    """The codec of the rows, the rows as the network sees them, and their labels if learned."""
    if isinstance(data, TableData):
        of_table = TableCodec.fit(data.train, data.kinds)
        spread = np.random.SeedSequence(settings.seed, spawn_key=(DEQUANTISING,))
        return of_table, of_table.to_learn(data.train, np.random.default_rng(spread)), None
    if isinstance(data.train, Points):
        codec = Codec.fit(data.train, standardise=settings.data.standardise)
        return codec, codec.encode(data.train.values), None
    of_pictures = ImageCodec.fit(data.train)
    labels = data.train.labels
    return (
        of_pictures,
        EncodedImages(of_pictures, data.train.values),
        None if labels is None else torch.from_numpy(labels),
    )


@overload
def begin(
    settings: Settings,
    data: RunData,
    out: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
) -> AbstractContextManager[Job[Model]]: ...
@overload
def begin(
    settings: Settings,
    data: TableData,
    out: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
) -> AbstractContextManager[Job[TableModel]]: ...


def begin(
    settings: Settings,
    data: RunData | TableData,
    out: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
) -> AbstractContextManager[AnyJob]:
    """`prepare`, then make the run's folder, hold it, and write its settings.

    Args:
        settings: resolved.
        data: the rows.
        out: the folder; the next free runs/NAME-NNN where not given.
        name: the NAME; the source's where not given.

    Raises:
        RunError: if the folder is taken or cannot be written, and as `prepare`.
    """
    return _begun(settings, data, out, name)


@contextmanager
def _begun(
    settings: Settings,
    data: RunData | TableData,
    out: str | os.PathLike[str] | None,
    name: str | None,
) -> Iterator[AnyJob]:
    training, model = prepare(settings, data)
    if not distributed.is_first():
        yield Job(training, model, data, Path(out or ""))
        return
    with new_folder(out, name or Path(settings.data.source).stem) as folder:
        atomic.write_bytes(folder / CONFIG, settings.to_toml().encode())
        yield Job(training, model, data, folder)


@contextmanager
def resume(folder: Path, source: str | None = None) -> Iterator[AnyJob]:
    """Take up a run where its checkpoint stands, and hold its folder.

    Args:
        folder: the run's.
        source: what it must have been fitted to, if that is known.

    Raises:
        ArgumentError: if it was fitted to another source.
        RunError: if the folder is not a run's or is in use, or its checkpoint is missing or
            damaged.
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
    if source not in (None, settings.data.source):
        raise ArgumentError(f"{folder} was fitted to {settings.data.source!r}, not to {source!r}.")
    with locked(folder) if distributed.is_first() else nullcontext():
        data = load_any_data(settings)
        training, model = prepare(settings, data)
        job = Job(training, model, data, folder)
        # A run that was killed before its first save was whole begins anew.
        if (folder / MODEL).exists() or any((folder / CHECKPOINT).glob("*.json")):
            training.restore(*checkpoint.load(folder / CHECKPOINT))
            restored = _sampling_model(job)
            if distributed.is_first():
                save_model(restored, folder / MODEL)  # a kill may have left it behind
        yield job


def fit(
    source: Source = "s-curve",
    *,
    out: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Run:
    """Fit a diffusion model to points or pictures, in a run folder of its own.

    Args:
        source: a toy set's name, a file (.csv, .npy, .npz, .parquet), an array `(n, d)`; for
            pictures a folder, an archive, or bytes `(n, height, width, channels)`.
        out: the run's folder; runs/NAME-001 and so on where not given.
        settings: changes to the defaults, e.g. `{"training.steps": 500}`.
        seed: decides every draw.
        quiet: show no progress.

    Raises:
        ArgumentError: if a setting or the source is unknown, or the source is a table.
        DataError: if the rows cannot be used.
        RunError: if the folder is taken.
        DivergedError: if training meets a loss that is not finite.
        KeyboardInterrupt: after SIGINT or SIGTERM, when all is saved.
    """
    resolved, data = settings_for(source, {"seed": seed, **(settings or {})})
    with begin(resolved, data, out) as job:
        return _finished(job, quiet)


def fit_table(
    source: Source,
    *,
    out: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> TableRun:
    """Fit a diffusion model to a table, in a run folder of its own; see `DiffusionModel` for one.

    Args:
        source: a file (.csv, .tsv, .csv.gz, .parquet) or a data frame.
        out: the run's folder; runs/NAME-001 and so on where not given.
        settings: changes to the recipe, e.g. `{"data.columns": {"zip": "categorical"}}`.
        seed: decides every draw.
        quiet: show no progress.

    Raises:
        ArgumentError: if a setting is unknown, or the source is no table.
        DataError: if the rows cannot be used.
        RunError: if the folder is taken.
        DivergedError: if training meets a loss that is not finite.
        KeyboardInterrupt: after SIGINT or SIGTERM, when all is saved.
    """
    resolved, data = settings_for_any(
        source, {"seed": seed, "data.kind": "table", **(settings or {})}
    )
    if isinstance(data, RunData):
        raise ArgumentError("this source is no table; take sfumato.fit.")
    with begin(resolved, data, out) as job:
        return _finished(job, quiet)


@overload
def _finished(job: Job[Model], quiet: bool) -> Run: ...
@overload
def _finished(job: Job[TableModel], quiet: bool) -> TableRun: ...


def _finished(job: AnyJob, quiet: bool) -> Run | TableRun:
    """As `finish`, for Python, where a stop is an interrupt."""
    try:
        return finish(job, quiet=quiet)
    except Stopped as stopped:
        raise KeyboardInterrupt(str(stopped)) from stopped


@overload
def finish(job: Job[Model], *, quiet: bool = False) -> Run: ...
@overload
def finish(job: Job[TableModel], *, quiet: bool = False) -> TableRun: ...
@overload
def finish(job: AnyJob, *, quiet: bool = False) -> Run | TableRun: ...


def finish(job: AnyJob, *, quiet: bool = False) -> Run | TableRun:
    """Train to the end, showing how it goes; the fitted run."""
    with (
        ProgressLine(
            "fit", job.training.num_steps, "steps", quiet=quiet or not distributed.is_first()
        ) as line,
        distributed.threads(job.model.settings.threads),
    ):
        for record in fitting(job, quiet=quiet):
            line.advance_to(record.step, f"loss {record.loss:.4f}")
    model = _sampling_model(job)
    if isinstance(model, TableModel):
        assert isinstance(job.data, TableData)
        return TableRun(model, job.folder, job.data)
    assert isinstance(job.data, RunData)
    return Run(model, job.folder, job.data)
