"""What a user's mistake raises, and the exit code that a script sees.

Every error is one line that says what was wrong, what was got, and what to do; several faults of
one file are a line each. The command line prints that line and leaves with the code; Python callers
get the exception.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class SfumatoError(Exception):
    """A mistake that the user can mend; never a bug of the package.

    Args:
        message: what was wrong, what was got, and what to do.
        code: a name for this mistake, by which a page says it in another language; only the
            frequent ones have one.
        values: of this case, what such a sentence needs: a line, a column.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, code: str = "", **values: str | int) -> None:
        super().__init__(shown(message))
        self.code = code
        self.values: Mapping[str, str | int] = values


class ArgumentError(SfumatoError, ValueError):
    """An argument or setting is unknown or out of its range (exit code 2).

    Values that are given as a condition are arguments, too.
    """

    exit_code = 2


class DataError(SfumatoError, ValueError):
    """The data cannot be used as they are (exit code 3)."""

    exit_code = 3


class FaultsError(DataError):
    """Several faults of one file, one a line (exit code 3)."""


class RunError(SfumatoError):
    """A run folder or a model file is missing, in use, damaged or foreign (exit code 4)."""

    exit_code = 4


class RenamedWarning(FutureWarning):
    """A setting is given under the name that it had in earlier versions."""


class ForeignWarning(UserWarning):
    """A model of another library is read or drawn otherwise than that library does it."""


class PictureWarning(UserWarning):
    """Of a picture only a part is used, or in another size: its middle, or the first of several."""


class TableWarning(UserWarning):
    """Of a text file something is left out or taken for names: comments, a column of nothing."""


class DivergedError(SfumatoError):
    """Training met a loss that is not finite; the last checkpoint is as it was (exit code 1)."""


class MissingDependencyError(SfumatoError, ImportError):
    """The environment lacks something that was asked for (exit code 5)."""

    exit_code = 5


UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, changes its colours, turns text round or cannot be printed."""


def shown(text: str) -> str:
    r"""A text as a terminal may show it, whatever file it is from: `\x1b` for an escape.

    Line feeds and tabs stay.
    """
    return UNSHOWN.sub(lambda found: repr(found[0])[1:-1], text)


def unknown(kind: str, name: str, known: Iterable[str]) -> ArgumentError:
    """An error for a name that is not there, offering the nearest one that is.

    Args:
        kind: what was looked for, in words ("schedule").
        name: what was given.
        known: the names that exist.
    """
    names = sorted(known)
    nearest = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    guess = f"did you mean {nearest[0]!r}? Known" if nearest else "known"
    return ArgumentError(f"unknown {kind} {name!r}; {guess}: {', '.join(names)}.")
