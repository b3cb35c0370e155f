"""What a person sees while something takes time: a live bar, sparse lines, or nothing.

All of it goes to standard error, so that results on standard output stay clean.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")


def _pace(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{_pace(speed)} {task.fields['unit']}/s")


class ProgressLine:
    """One stage's progress, as a context: `advance_to(done, note)` while it lasts.

    On a terminal a live bar with rate and time left; elsewhere a plain line every
    `_LINE_SECONDS`, if the stage lasts that long; with `quiet` nothing.

    Args:
        title: what is being done.
        total: how many units there are.
        unit: their name in the plural.
        quiet: show nothing.
    """

    _LINE_SECONDS = 10.0

    def __init__(self, title: str, total: int, unit: str, *, quiet: bool = False) -> None:
        self.title, self.total, self.unit, self.quiet = title, total, unit, quiet
        self.bar: Progress | None = None
        self.started = self.last_line = time.monotonic()

    def __enter__(self) -> Self:
        console = Console(file=sys.stderr)
        if console.is_terminal and not self.quiet:
            self.bar = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(bar_width=28),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
                _Rate(),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                TextColumn("{task.fields[note]}"),
                console=console,
            )
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=self.total, unit=self.unit, note="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.bar:
            self.bar.stop()

    def advance_to(self, done: int, note: str = "") -> None:
        """Show that `done` of the total are done, with a word beside it."""
        if self.bar:
            self.bar.update(self.task, completed=done, note=note)
            return
        now = time.monotonic()
        if self.quiet or now - self.last_line < self._LINE_SECONDS:
            return
        self.last_line = now
        rate = done / (now - self.started)
        left = (self.total - done) / rate if rate else float("inf")
        line = (
            f"{self.title} {done:,}/{self.total:,} {self.unit}, {_pace(rate)}/s, {left:.0f} s left"
        )
        print(f"{line}, {note}" if note else line, file=sys.stderr, flush=True)


def tracked(
    items: Iterable[T], title: str, total: int, unit: str, *, quiet: bool = False
) -> Iterator[T]:
    """The items, with a progress line that counts them."""
    with ProgressLine(title, total, unit, quiet=quiet) as line:
        for done, item in enumerate(items, start=1):
            yield item
            line.advance_to(done)


def collected(
    chunks: Iterable[T], title: str, total: int, unit: str, *, quiet: bool = False
) -> list[T]:
    """The chunks, with a progress line that counts what they hold."""
    found, done = [], 0
    with ProgressLine(title, total, unit, quiet=quiet) as line:
        for chunk in chunks:
            found.append(chunk)
            line.advance_to(done := done + len(chunk))  # type: ignore[arg-type]
    return found
