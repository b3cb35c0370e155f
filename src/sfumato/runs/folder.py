"""A run's folder, which holds everything that it is.

runs/NAME/
config.toml          the whole resolved settings
model.safetensors    the weights to sample with; enough alone
checkpoint/          what resuming needs
metrics.jsonl        a line per group of steps
snapshots/           samples drawn on the way
few/                 what resuming the learning of a few-step map needs
README.md            the model card
report.html          with samples, evaluation.json and figures/
before/              of a run that was trained on: models and reports of earlier steps
"""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sfumato import config
from sfumato.config import Settings
from sfumato.errors import ArgumentError, RunError

CONFIG, MODEL, CHECKPOINT = "config.toml", "model.safetensors", "checkpoint"
METRICS, SNAPSHOTS, FEW, LOCK = "metrics.jsonl", "snapshots", "few", ".lock"
REPORT, EVALUATION, FIGURES, BEFORE = "report.html", "evaluation.json", "figures", "before"
CARD = "README.md"


# What is read of a line of metrics.jsonl.
_RECORDED = ("step", "num_steps", "epoch", "loss", "seconds")


def read_records(path: Path) -> list[dict[str, float]]:
    """The whole lines of a metrics.jsonl, none where there is no file.

    What stands after the last line's end was being written when the process died, and is left out.

    Raises:
        RunError: if a line is damaged.
    """
    if not path.is_file():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            if not all(isinstance(record[name], int | float) for name in _RECORDED):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(f"line {number} of {path} is damaged; delete that line.") from error
        records.append(record)
    return records


def read_settings(folder: Path) -> Settings:
    """The settings that a run was begun with.

    Raises:
        RunError: if the folder is not a run's, or they are damaged.
    """
    if not (folder / CONFIG).is_file():
        raise RunError(
            f"{folder} is not a run folder: it has no {CONFIG}.",
            code="no-run-folder",
            folder=str(folder),
        )
    try:
        return config.resolve(config.current(config.load_toml(folder / CONFIG)))
    except ArgumentError as error:
        raise RunError(f"the settings of {folder} are damaged: {error}") from error


def resume_command(folder: Path) -> str:
    """What to type to go on with a run, quoted for the shell."""
    return f"sfumato fit --resume --out {shlex.quote(str(folder))}"


def _numbered_folder(name: str) -> Path:
    """Make runs/NAME-001, or the first number after the highest that is taken."""
    runs = Path("runs")
    runs.mkdir(exist_ok=True)
    head = f"{name}-"
    ends = [path.name.removeprefix(head) for path in runs.iterdir() if path.name.startswith(head)]
    number = 1 + max((int(end) for end in ends if end.isdecimal()), default=0)
    while True:
        folder = runs / f"{head}{number:03d}"
        try:
            folder.mkdir()
        except FileExistsError:  # another process took it in the meantime
            number += 1
        else:
            return folder


def _refuse_taken(folder: Path) -> None:
    if folder.is_dir() and all(path.name == LOCK for path in folder.iterdir()):
        return
    if folder.exists():
        begun = (folder / CONFIG).is_file()
        go_on = f", or go on with `{resume_command(folder)}`" if begun else ""
        raise RunError(
            f"{folder} is already there and is never overwritten; choose another --out{go_on}."
        )


@contextmanager
def new_folder(out: str | os.PathLike[str] | None, name: str) -> Iterator[Path]:
    """Make the run's folder, `out` or the next free number under runs/, and hold it for writing.

    A folder that was made here and that nothing was written to is removed in the end.

    Raises:
        RunError: if it is already there with something in it, is in use, or cannot be made.
    """
    there = out is not None and Path(out).exists()
    try:
        if out is None:
            folder = _numbered_folder(name)
        else:
            _refuse_taken(folder := Path(out))
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot write to {error.filename}: {error.strerror}; choose another --out."
        ) from error
    with locked(folder):
        _refuse_taken(folder)  # another process may have filled and left it in the meantime
        try:
            yield folder
        finally:
            if not there:
                _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """Remove a folder that holds its lock alone, while that is held."""
    with suppress(OSError):
        if all(path.name == LOCK for path in folder.iterdir()):
            (folder / LOCK).unlink()
            folder.rmdir()


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
            f"{folder} is in use by another process; wait until it ends, or choose another --out.",
            code="in-use",
            folder=str(folder),
        ) from None
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()
