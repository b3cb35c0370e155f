"""The process that fits for the explorer, so that its server never waits for PyTorch.

    python -m sfumato.runs.explorer.worker

It takes orders on its standard input and answers on its standard output, see `messages`. It ends
when its input does, which is when the server is gone for whatever reason, and saves before.
"""

import errno
import gc
import itertools
import os
import queue
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from sfumato import distributed
from sfumato.data.io.rows import write_rows
from sfumato.data.points import Points
from sfumato.data.source import IN_MEMORY
from sfumato.errors import DataError, SfumatoError
from sfumato.models.registry import OWN
from sfumato.runs.card import write_card
from sfumato.runs.explorer import messages
from sfumato.runs.explorer.calls import Abandoned
from sfumato.runs.explorer.messages import (
    Advanced,
    Begin,
    Begun,
    Ended,
    Event,
    Failed,
    FitCsv,
    FitDrawn,
    FitToy,
    GivenUp,
    GiveUp,
    Halt,
    MakePage,
    Opened,
    Order,
    Perform,
    Progress,
    Reached,
    Ready,
    Reason,
    Refused,
    Resume,
)
from sfumato.runs.explorer.offline import made_page
from sfumato.runs.explorer.payload import drawn, payload
from sfumato.runs.fit import begin, resolve, resume
from sfumato.runs.folder import CONFIG
from sfumato.runs.job import Job, Stopped, fitting, sampling_model
from sfumato.runs.run import Run, open_run

# Seconds between two payloads, and between two words of progress. Payloads take no more than
# this share of the time.
_PAYLOADS, _PROGRESS, _SHARE = 0.5, 0.1, 0.3

# A fit is stopped between two groups of steps, which are slow of a table: so many make one.
_TABLE_STEPS = 10

_ENDINGS = (".csv", ".tsv", ".txt")


class Worker:
    """One order after the other; *halt* and *give up* reach the one at hand.

    Args:
        orders: lines of JSON.
        events: where frames go.
    """

    def __init__(self, orders: BinaryIO, events: BinaryIO) -> None:
        self.orders, self.events = orders, events
        self.waiting: queue.Queue[Order | None] = queue.Queue()
        self.halted = threading.Event()
        self.given_up = 0  # the number up to which draws are
        self.opened: tuple[str, Run] | None = None  # where, and what is there

    def run(self) -> None:
        """Until there are no more orders."""
        threading.Thread(target=self._listen, daemon=True).start()
        self._tell(Ready())
        while (order := self.waiting.get()) is not None:
            try:
                self._obey(order)
            except SfumatoError as error:
                self._tell(Failed(reason=Reason.of(error), exit_code=error.exit_code))
            except OSError as error:
                self._tell(Failed(reason=_reason(error), exit_code=5))

    def _listen(self) -> None:
        for line in self.orders:
            order = messages.ORDERS.validate_json(line)
            if isinstance(order, Halt):
                self.halted.set()
            elif isinstance(order, GiveUp):
                self.given_up = order.number
            else:
                self.halted.clear()
                self.waiting.put(order)
        self.halted.set()
        self.waiting.put(None)

    def _tell(self, content: Event | bytes, number: int | None = None) -> None:
        try:
            self.events.write(messages.frame(content, number))
            self.events.flush()
        except OSError:  # nobody listens any more: save, and end
            self.halted.set()

    def _obey(self, order: Order) -> None:
        match order:
            case messages.Open(path=path):
                self._open(path)
            case Perform():
                self._perform(order)
            case Begin(fit=FitToy(name=name, noise=noise, steps=steps)):
                changes = {} if noise is None else {"data.noise": noise}
                self._fit(name, changes | _of_steps(steps))
            case Begin(fit=FitDrawn(points=points, steps=steps)):
                values = np.array(points)
                with _file("drawn", ".csv", "the points") as (file, kept):
                    write_rows(file, Points(values, ("x", "y", "z")[: values.shape[1]]))
                    self._fit(file, _of_steps(steps), kept)
            case Begin(fit=FitCsv(name=name, text=text, steps=steps)):
                stem, ending = _named(name)
                with _file(stem, ending, name) as (file, kept):
                    file.write_bytes(text.encode())
                    self._fit(file, _of_steps(steps), kept)
            case Resume(folder=folder):
                self._go(resume(Path(folder)), None)

    def _open(self, path: str) -> None:
        run = self._opened(path)
        reached = run.reached()
        self._tell(payload(run))
        self._tell(
            Opened(
                state="done" if run.is_finished() else "stopped",
                folder=None if run.folder is None else str(run.folder),
                command=_made_by(run),
                reached=None if reached is None else Reached(step=reached[0], steps=reached[1]),
            )
        )

    def _opened(self, path: str) -> Run:
        """The run that lies there, with its rows where they can be had."""
        if self.opened is None or self.opened[0] != path:
            run = open_run(path)
            self.opened = path, replace(run, data=run.known_data())
        return self.opened[1]

    def _perform(self, order: Perform) -> None:
        """Draw or make what is asked for, unless nobody waits for it any more."""
        began, last = time.monotonic(), 0.0

        def progress(done: int, of: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done and now >= last + _PROGRESS:
                last, left = now, (now - began) * (of - done) / done
                self._tell(Advanced(number=order.number, done=done, of=of, left=left))

        def is_given_up() -> bool:
            return order.number <= self.given_up

        try:
            run = self._opened(order.path)
            if isinstance(order.asked, MakePage):
                answer = made_page(run, order.asked, is_given_up)
            else:
                answer = drawn(run, order.asked, is_given_up, progress)
        except Abandoned:
            self._tell(GivenUp(number=order.number))
        except SfumatoError as error:
            self._tell(Refused(number=order.number, reason=Reason.of(error)))
        except OSError as error:
            self._tell(Refused(number=order.number, reason=_reason(error)))
        else:
            self._tell(answer, order.number)

    def _fit(
        self, source: str | Path, changes: Mapping[str, Any], kept: ExitStack | None = None
    ) -> None:
        settings, data = resolve(source, changes)
        if data.kind == "table":
            every = {"log_every": _TABLE_STEPS}
            training = settings.training.model_copy(update=every)
            settings = settings.model_copy(update={"training": training})
            changes = {**changes, "training.log_every": _TABLE_STEPS}
        out = source.with_suffix("") if isinstance(source, Path) else None
        said = "".join(f" --set {name}={value}" for name, value in changes.items())
        command = f"sfumato fit {shlex.quote(str(source))}{said}"
        self._go(begin(settings, data, out), command, kept)

    def _go(
        self,
        beginning: AbstractContextManager[Job],
        command: str | None,
        kept: ExitStack | None = None,
    ) -> None:
        with beginning as job, distributed.threads(job.model.settings.threads):
            self.opened = None  # to be read again when it has been trained
            if kept is not None:
                kept.pop_all()
            self._tell(Begun(folder=str(job.folder), command=command))
            state: Literal["stopped", "done"]
            try:
                self._train(job)
            except Stopped as stopped:
                state, said = "stopped", str(stopped)
            else:
                write_card(_run_of(job))
                state, said = "done", f"done: {job.folder}"
        reached = Reached(step=job.training.step, steps=job.training.num_steps)
        self._tell(
            Ended(state=state, message=said, reached=reached)
        )  # all is saved, and the folder is free
        self._tell(_shown(job))

    def _train(self, job: Job) -> None:
        """Train to the end, or until *halt*.

        Raises:
            Stopped: then, when all is saved.
        """
        first, steps = job.training.step, job.training.num_steps
        next_payload, next_word = self._shown_until_next(job), 0.0
        started = time.monotonic()
        for record in fitting(job):
            now = time.monotonic()
            if now >= next_word or record.step == steps:
                rate = (record.step - first) / max(now - started, 1e-3)
                left = (steps - record.step) / rate
                self._tell(
                    Progress(step=record.step, steps=steps, loss=record.loss, rate=rate, left=left)
                )
                next_word = now + _PROGRESS
            if now >= next_payload and record.step < steps:
                next_payload = self._shown_until_next(job)
            if self.halted.is_set():  # heard by `fitting`, whatever the system
                signal.raise_signal(signal.SIGTERM)

    def _shown_until_next(self, job: Job) -> float:
        """Send what there is so far; when to send again."""
        began = time.monotonic()
        with suppress(Abandoned):
            self._tell(_shown(job, self.halted.is_set))
        now = time.monotonic()
        return max(began + _PAYLOADS, now + (now - began) * (1 - _SHARE) / _SHARE)


def _shown(job: Job, is_given_up: Callable[[], bool] = lambda: False) -> bytes:
    """What there is so far, with the weights of the moment, averaged and last."""
    last = job.model.settings.sampling.weights == "last"
    return payload(_run_of(job), job.training.drawing_network(last=not last), is_given_up)


def _of_steps(steps: int | None) -> dict[str, Any]:
    return {} if steps is None else {"training.steps": steps}


def _reason(error: OSError) -> Reason:
    where = f"{error.filename}: " if error.filename else ""
    said = f"{where}{error.strerror or error}"
    if error.errno == errno.ENOSPC:
        return Reason(message=f"{said}.", code="disk-full")
    return Reason(message=f"{said}.", code="from-system", values={"said": said})


def _run_of(job: Job) -> Run:
    return Run(sampling_model(job), job.folder, job.data)


def _made_by(run: Run) -> str | None:
    """The command that makes a run anew; None where it needs what is in no file."""
    made = run.settings.data.source, run.settings.network.name, run.settings.process.schedule
    if run.folder is None or IN_MEMORY in made or OWN in made:
        return None
    return f"sfumato fit --config {shlex.quote(str(run.folder / CONFIG))}"


def _named(name: str) -> tuple[str, str]:
    """A stem that is no path, and the ending, of a file that is called `name` elsewhere.

    Raises:
        DataError: if it has another ending than a text file of rows.
    """
    stem, dot, ending = name.rpartition(".")
    if f"{dot}{ending.lower()}" not in _ENDINGS:
        endings = ", ".join(_ENDINGS)
        raise DataError(
            f"{name} is not a file of rows; give one of {endings}.",
            code="ending",
            file=name,
            endings=endings,
        )
    return re.sub(r"[^\w-]+", "-", stem)[:40].strip("-") or "points", f".{ending.lower()}"


@contextmanager
def _file(stem: str, ending: str, known_as: str) -> Iterator[tuple[Path, ExitStack]]:
    """The next free file runs/STEM-NNN.ENDING, for rows that a run runs/STEM-NNN is to be of.

    It is deleted at the end, unless the stack is emptied; a fault of it is one of the file that
    the user knows.
    """
    runs = Path("runs")
    runs.mkdir(exist_ok=True)
    taken = {path.name.partition(".")[0] for path in runs.iterdir()}
    numbered = (f"{stem}-{number:03d}" for number in itertools.count(1))
    path = runs / f"{next(each for each in numbered if each not in taken)}{ending}"
    path.touch(exist_ok=False)
    with ExitStack() as kept:
        kept.callback(path.unlink)
        try:
            yield path, kept
        except DataError as error:
            said, values = str(error).replace(str(path), known_as), {"file": known_as}
            raise type(error)(said, code=error.code, **{**error.values, **values}) from error


def main() -> None:
    """Run a worker; what anything else prints goes to standard error."""
    orders, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(sys.stderr.fileno(), 1)
    Worker(orders, events).run()
    gc.freeze()  # as of a command: Python need not look through all that was imported


if __name__ == "__main__":
    main()
