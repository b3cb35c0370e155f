"""A training in its folder: stoppable and resumable at any moment.

Whatever moment it is stopped at, the folder holds its last checkpoint and the model made from it.
"""

import json
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import numpy as np

from sfumato import atomic, distributed
from sfumato.data.source import IN_MEMORY
from sfumato.errors import SfumatoError
from sfumato.models.file import save_model
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model, supports
from sfumato.models.registry import OWN
from sfumato.process.streams import chunk_size
from sfumato.runs.data import Dataset
from sfumato.runs.folder import (
    CHECKPOINT,
    METRICS,
    MODEL,
    SNAPSHOTS,
    read_records,
    resume_command,
)
from sfumato.runs.run import SNAPSHOT_FRAMES, SNAPSHOT_STEPS
from sfumato.training import checkpoint
from sfumato.training.loop import StepRecord, Training, train

# Pictures of a snapshot: the first whole chunks, more than a figure shows.
_SNAPSHOT_PICTURES = 16


class Stopped(SfumatoError):  # noqa: N818 - not an error, but a way to leave
    """SIGINT or SIGTERM arrived; the step was finished and everything is saved.

    The exit code is 128 and the signal's number, as a shell gives it.
    """

    def __init__(self, signum: int, step: int, job: "Job") -> None:
        settings = job.model.settings
        made = settings.data.source, settings.network.name, settings.process.schedule
        resumable = IN_MEMORY not in made and OWN not in made
        command = job.go_on or resume_command(job.folder)
        go_on = f" Go on with: {command}" if resumable else ""
        super().__init__(f"stopped at step {step}; saved.{go_on}")
        self.exit_code = 128 + signum


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A run being fitted, whose folder is held for writing.

    Args:
        training: where it stands.
        model: the model whose network is trained.
        data: the rows.
        folder: the run's folder.
        go_on: what to type to go on with it, if not what a fit is gone on with.
        draws: whether what is being learned is a model to draw with, and kept as one.
        notes: what a person should know of it before it goes on, a line each.
    """

    training: Training
    model: Model
    data: Dataset[Any]
    folder: Path
    go_on: str = ""
    draws: bool = True
    notes: tuple[str, ...] = ()


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


def sampling_model(job: Job) -> Model:
    """The model with the weights that samples are to be drawn with."""
    last = job.model.settings.sampling.weights == "last"
    return job.model.with_network(job.training.drawing_network(last=last))


def _save(job: Job) -> None:
    tensors, model = job.training.tensors(), sampling_model(job)
    if distributed.is_first():
        checkpoint.save(job.folder / CHECKPOINT, tensors, job.training.numbers())
        if job.draws:
            save_model(model, job.folder / MODEL)


def _take_snapshot(job: Job) -> None:
    """Rows of one chunk, or a few pictures, at SNAPSHOT_FRAMES levels on their way, noise first."""
    model = sampling_model(job)
    if not distributed.is_first() or not supports(model, "snapshots"):
        return
    assert isinstance(model, GaussianModel)
    event = model.codec.event
    n = chunk_size(event) if len(event) == 1 else _SNAPSHOT_PICTURES
    frames = model.pictured_frames(n, SNAPSHOT_FRAMES, steps=SNAPSHOT_STEPS)
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


def fitting(
    job: Job, *, quiet: bool = True, stoppable: bool = True
) -> Generator[StepRecord, None, None]:
    """Train to the end in a run's folder, saving on the way; yields as `train` does.

    Args:
        job: from `begin` or `resume`.
        quiet: do not tell that a signal has been heard.
        stoppable: finish the step and save at SIGINT and SIGTERM; otherwise they do what they do
            elsewhere, as is right where the caller's own code runs between records.

    Raises:
        Stopped: after SIGINT or SIGTERM, when all is saved.
        DivergedError: if the loss is no longer finite; the last checkpoint stays.
        RunError: if metrics.jsonl is damaged.
        OSError: if the folder cannot be written.
    """
    training, settings = job.training, job.training.settings
    snapshots = _snapshot_steps(training.num_steps, settings.log_every, settings.snapshots)
    with _signals(quiet=quiet) if stoppable else nullcontext(list[int]()) as received:
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
                try:
                    yield record
                except GeneratorExit:  # who asked for records has enough
                    if saved != record.step:
                        _save(job)
                    raise
                if distributed.any_of(bool(received)) and not last:
                    if saved != record.step:
                        _save(job)
                    raise Stopped(received[0] if received else signal.SIGTERM, record.step, job)
