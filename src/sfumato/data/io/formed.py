"""What the cells of a column are by the one form that they have, or why that is not clear."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Formed:
    """The distinct cells of a column, read.

    Args:
        form: how they are written.
        words: the same for people.
        values: of each cell.
    """

    form: str
    words: str
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Cells that may be read in several ways: what stands there, and what says which."""

    cell: str
    ways: tuple[str, ...]
    options: tuple[str, ...]
    remedy: str = "say which"

    @property
    def settling(self) -> tuple[str, ...]:
        """The forms alone, of which each settles it."""
        return tuple(each.partition(":")[2] for each in self.options)


def matches(pattern: re.Pattern[str], cells: Iterable[str]) -> list[re.Match[str]] | None:
    """What a pattern finds in each cell; None if it does not fit one."""
    found = []
    for cell in cells:
        if (match := pattern.fullmatch(cell)) is None:
            return None
        found.append(match)
    return found
