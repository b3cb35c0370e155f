"""The one session that all pages of an explorer see: one model, and one fit at a time.

What is fitted or drawn is so by the worker, a process of its own. Nothing here waits for a page:
each has an outbox in which what is newer takes the place of what was not sent yet.

One draw runs at a time, and of each page one waits at most: a newer request takes its place. Pages
take turns in the order of their requests. The page of a file is made in such a turn, too, but no
draw takes its place.
"""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sfumato.errors import ArgumentError, RunError, SfumatoError
from sfumato.runs.explorer import messages
from sfumato.runs.explorer.messages import (
    Advanced,
    Asked,
    Begin,
    Begun,
    Drawing,
    Ended,
    Event,
    Failed,
    GivenUp,
    GiveUp,
    Halt,
    MakePage,
    Open,
    Opened,
    Order,
    Perform,
    Progress,
    Reached,
    Ready,
    Reason,
    Refusal,
    Refused,
    Resume,
    State,
)

# Seconds that the worker is given to save a fit, and then to end.
_TO_SAVE, _TO_END = 10.0, 5.0


_Answer = Literal["drawn", "page"]
_Kind = Literal["state", "progress", "payload", "drawing"] | _Answer


def _answers(asked: Asked) -> _Answer:
    """What a request is answered by; a newer one of a page takes the place of one of its own."""
    return "page" if isinstance(asked, MakePage) else "drawn"


def _fitting() -> ArgumentError:
    return ArgumentError("a fit is running; stop it first.", code="fitting")


class Outbox:
    """What is to be sent to one page: of state, progress, payload and answers only the newest.

    Refusals are all sent, up to the last `_MOST_REFUSALS` of a page that does not read.
    """

    _MOST_REFUSALS = 8

    def __init__(self) -> None:
        self._waiting: dict[str | int, str | bytes] = {}  # in the order of sending
        self._refused = 0
        self._filled = asyncio.Event()

    def put(self, kind: _Kind, content: str | bytes) -> None:
        """Send it after what is there, and instead of what is there of its kind."""
        self._add(kind, content)

    def refuse(self, error: SfumatoError, request: int | None = None) -> None:
        """Send why something was not done; of a draw, which one."""
        self._refused += 1
        refusal = Refusal(reason=Reason.of(error), request=request)
        self._add(self._refused, refusal.model_dump_json())
        self._waiting.pop(self._refused - self._MOST_REFUSALS, None)

    def _add(self, key: str | int, content: str | bytes) -> None:
        self._waiting.pop(key, None)
        self._waiting[key] = content
        self._filled.set()

    async def next(self) -> str | bytes:
        """The next to send, as soon as there is one."""
        await self._filled.wait()
        content = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._filled.clear()
        return content


@dataclass(frozen=True, slots=True)
class _Running:
    """The draw that the worker has; its page is None once nobody waits for it."""

    number: int
    page: Outbox | None
    asked: Asked


class Session:
    """What is fitted, and who sees it; to be used within one event loop."""

    def __init__(self) -> None:
        self.pages: set[Outbox] = set()
        self.state: State = "empty"
        self.folder: str | None = None
        self.command: str | None = None
        self.reached: Reached | None = None  # of a run that is not being fitted
        self._run: str | None = None  # where the run lies that all see
        self._waiting: dict[tuple[Outbox, _Answer], Asked] = {}  # in the order of their turns
        self._running: _Running | None = None
        self._draws = 0
        self._progress: str | None = None
        self._payload: bytes | None = None
        self._before: State = "empty"  # a fit that is refused
        self._begun = False
        self._worker: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._leaving = False
        self._said = ""

    # --------------------------------------------------------------------------- from within

    async def start(self, run: Path | None) -> None:
        """Start the worker, and wait until it has opened the run, if there is one.

        Raises:
            SfumatoError: if it cannot be opened or shown.
        """
        if run is None:
            await self._start_worker()
            return
        self._opened = asyncio.get_running_loop().create_future()
        await self._start_worker()
        self._run = str(run)
        self._order(Open(path=self._run))
        await self._opened

    async def close(self) -> str:
        """Save what is being fitted and end the worker; what to say of it."""
        self._leaving = True
        said = ""
        if self.state == "fitting":
            self._order(Halt())
            try:
                await asyncio.wait_for(self._at_rest.wait(), _TO_SAVE)
                said = self._said
            except TimeoutError:
                said = "the fit did not stop in time; its last checkpoint stays."
        if self._worker is not None:
            assert self._worker.stdin is not None
            self._worker.stdin.close()
            await _ended(self._worker)
        if self._listening is not None:
            await self._listening
        return said

    # ---------------------------------------------------------------------------- from a page

    def join(self) -> Outbox:
        """A new page: it is told how things stand."""
        outbox = Outbox()
        outbox.put("state", self._described())
        if self._payload is not None:
            outbox.put("payload", self._payload)
        if self.state == "fitting" and self._progress is not None:
            outbox.put("progress", self._progress)
        self.pages.add(outbox)
        return outbox

    def leave(self, outbox: Outbox) -> None:
        """A page is gone."""
        self.pages.discard(outbox)
        self._withdraw(outbox, "drawn")
        self._withdraw(outbox, "page")

    async def hear(self, text: str, page: Outbox) -> None:
        """Do what a page asks for.

        Raises:
            ArgumentError: if it cannot be done now, or is not understood.
        """
        asked = messages.request(text)
        match asked:
            case messages.Stop():
                if self.state != "fitting":
                    raise ArgumentError("nothing is being fitted.", code="not-fitting")
                self._order(Halt())
            case messages.GoOn():
                if self.state != "stopped" or self.folder is None:
                    raise ArgumentError(
                        "there is no stopped fit to go on with.", code="not-stopped"
                    )
                await self._begin(Resume(folder=self.folder))
            case messages.Cancel():
                self._withdraw(page, "drawn")
            case messages.FitDrawn() | messages.FitToy() | messages.FitCsv():
                if self.state == "fitting":
                    raise _fitting()
                await self._begin(Begin(fit=asked))
            case _:
                self._withdraw(page, _answers(asked))
                if self.state == "fitting":
                    page.refuse(_fitting(), asked.request)
                elif self._run is None:
                    none = ArgumentError("there is no run to draw from yet.", code="no-run")
                    page.refuse(none, asked.request)
                else:
                    self._waiting[page, _answers(asked)] = asked
                    self._next_draw()

    async def _begin(self, order: Begin | Resume) -> None:
        self._refuse_draws(_fitting())
        self._before, self._begun = self.state, False
        self._at_rest.clear()
        self._change("fitting")
        await self._start_worker()
        self._order(order)

    # ---------------------------------------------------------------------------------- draws

    def _next_draw(self) -> None:
        """Order the next draw, if the worker has none and one waits."""
        if self._running is not None or not self._waiting:
            return
        page, of = next(iter(self._waiting))
        asked = self._waiting.pop((page, of))
        assert self._run is not None
        self._draws += 1
        self._running = _Running(self._draws, page, asked)
        self._order(Perform(number=self._draws, path=self._run, asked=asked))

    def _withdraw(self, page: Outbox, of: _Answer) -> None:
        """Nothing of a kind is to be drawn or made for a page any more."""
        self._waiting.pop((page, of), None)
        running = self._running
        if running is not None and running.page is page and _answers(running.asked) == of:
            self._give_up(running)

    def _give_up(self, running: _Running) -> None:
        self._running = replace(running, page=None)
        self._order(GiveUp(number=running.number))

    def _refuse_draws(self, error: SfumatoError) -> None:
        """Say why to all who wait for a draw."""
        if self._running is not None and self._running.page is not None:
            self._running.page.refuse(error, self._running.asked.request)
            self._give_up(self._running)
        for (page, _), asked in self._waiting.items():
            page.refuse(error, asked.request)
        self._waiting.clear()

    def _advanced(self, event: Advanced) -> None:
        """How far a draw is, for who still waits for it."""
        running = self._running
        if running is not None and running.number == event.number and running.page is not None:
            drawing = Drawing(
                request=running.asked.request, done=event.done, of=event.of, left=event.left
            )
            running.page.put("drawing", drawing.model_dump_json())

    def _drawn(self, number: int, answer: bytes | SfumatoError | None) -> None:
        """A draw has ended: its answer, or why there is none, goes to who still waits for it."""
        running = self._running
        if running is None or running.number != number:
            return
        if running.page is not None and isinstance(answer, bytes):
            running.page.put(_answers(running.asked), answer)
        elif running.page is not None and isinstance(answer, SfumatoError):
            running.page.refuse(answer, running.asked.request)
        self._running = None
        self._next_draw()

    # ------------------------------------------------------------------------ from the worker

    async def _start_worker(self) -> None:
        """Start it, unless it is there."""
        # In a group of its own, Ctrl-C in a terminal is the server's alone to hear.
        apart: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        async with self._starting:
            if self._worker is not None:
                return
            try:
                self._worker = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "sfumato.runs.explorer.worker",
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    **apart,
                )
            except OSError as error:
                reason = f"the process that fits cannot be started: {error.strerror}."
                self._fail(RunError(reason, code="no-worker", how=str(error.strerror)))
                return
            self._listening = asyncio.create_task(self._listen(self._worker))

    def _order(self, order: Order) -> None:
        if self._worker is not None:
            assert self._worker.stdin is not None
            self._worker.stdin.write(order.model_dump_json().encode() + b"\n")

    async def _listen(self, worker: asyncio.subprocess.Process) -> None:
        assert worker.stdout is not None
        was_ready = False
        try:
            while True:
                letter, length = messages.HEAD.unpack(
                    await worker.stdout.readexactly(messages.HEAD.size)
                )
                content = await worker.stdout.readexactly(length)
                if letter == messages.PAYLOAD:
                    self._payload = content
                    self._to_all("payload", content)
                elif letter == messages.ANSWER:
                    size = messages.NUMBER.size
                    self._drawn(messages.NUMBER.unpack(content[:size])[0], content[size:])
                else:
                    event = messages.EVENTS.validate_json(content)
                    was_ready = was_ready or isinstance(event, Ready)
                    self._take(event, content.decode())
        except (asyncio.IncompleteReadError, ValueError):  # it is gone, or says what it never does
            code = await _ended(worker)
        self._worker = None
        if self.state == "fitting" or not self._leaving:
            self._lost(code)
        if was_ready and not self._leaving:  # the next would die as this one did, if it never was
            await self._start_worker()

    def _take(self, event: Event, text: str) -> None:
        match event:
            case Progress():
                self._progress = text
                self._to_all("progress", text)
            case Begun(folder=folder, command=command):
                self._begun, self._progress, self._payload = True, None, None
                self._run = self.folder = folder
                self.command = command or self.command
                self.reached = None
                self._change("fitting")
            case Ended(state=state, message=message, reached=reached):
                self._said, self.reached = message, reached
                self._change(state)
            case Opened(state=state, folder=folder, command=command, reached=reached):
                self.folder, self.command, self.reached = folder, command, reached
                self._change(state)
                self._answer(None)
            case Advanced():
                self._advanced(event)
            case GivenUp(number=number):
                self._drawn(number, None)
            case Refused(number=number, reason=reason):
                self._drawn(number, _error(reason))
            case Failed(reason=reason, exit_code=exit_code):
                error = _error(reason)
                error.exit_code = exit_code
                self._fail(error)

    def _lost(self, code: int) -> None:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        error = RunError(
            f"the process that fits has ended unexpectedly ({how}).", code="worker-ended", how=how
        )
        self._refuse_draws(error)
        self._running = None
        self._fail(error)

    def _fail(self, error: SfumatoError) -> None:
        """Nothing is being fitted any more; a run that was begun can be gone on with."""
        self._said = str(error)
        if self.state == "fitting":
            self._change("stopped" if self._begun else self._before)
        for page in self.pages:
            page.refuse(error)
        self._answer(error)

    def _answer(self, error: SfumatoError | None) -> None:
        if self._opened is None or self._opened.done():
            return
        if error is None:
            self._opened.set_result(None)
        else:
            self._opened.set_exception(error)

    # --------------------------------------------------------------------------- to the pages

    def _change(self, state: State) -> None:
        self.state = state
        if state != "fitting":
            self._at_rest.set()
        self._to_all("state", self._described())

    def _described(self) -> str:
        return messages.Session(
            state=self.state, folder=self.folder, command=self.command, reached=self.reached
        ).model_dump_json()

    def _to_all(self, kind: _Kind, content: str | bytes) -> None:
        for page in self.pages:
            page.put(kind, content)


def _error(reason: Reason) -> SfumatoError:
    """The mistake that a worker has told."""
    return SfumatoError(reason.message, code=reason.code, **reason.values)


async def _ended(worker: asyncio.subprocess.Process) -> int:
    """The exit code of a process that is to end by itself; what stays is killed.

    To kill one that has just ended would take its exit code from who waits for it.
    """
    with suppress(TimeoutError):
        return await asyncio.wait_for(worker.wait(), _TO_END)
    with suppress(ProcessLookupError):
        worker.kill()
    return await worker.wait()
