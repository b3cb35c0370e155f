"""Paired timings, and the page that a measurement becomes.

Machines are shared and noisy, so that only what was measured side by side is compared: every round
times each candidate once, in turn, and a ratio is the median of the rounds' ratios.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one candidate, a number each round."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the wall seconds."""
        return statistics.median(self.wall)


def side_by_side(
    candidates: Mapping[str, Callable[[], object]], rounds: int = 15, calls: int = 1
) -> dict[str, Timing]:
    """Time each candidate once a round, after one round that does not count.

    Args:
        candidates: what to time, by name.
        rounds: how often.
        calls: of a candidate in one timing, for those that are over at once.
    """
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(1 + rounds):
        for name, call in candidates.items():
            began, used = time.perf_counter(), time.process_time()
            for _ in range(calls):
                call()
            if turn:
                wall[name].append((time.perf_counter() - began) / calls)
                cpu[name].append((time.process_time() - used) / calls)
    return {name: Timing(tuple(wall[name]), tuple(cpu[name])) for name in candidates}


def ratio(one: Timing, other: Timing) -> float:
    """How long `one` takes beside `other`: the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(one.wall, other.wall, strict=True))


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


@dataclass(frozen=True, slots=True)
class Page:
    """What a benchmark found.

    Args:
        title: what was asked.
        parts: paragraphs and tables, in Markdown.
        figure: a picture of it.
    """

    title: str
    parts: Sequence[str]
    figure: Figure | None = field(default=None, compare=False)
