"""How the cells of a file are to be read, as far as a user says, and all faults of a file at once.

Reading(missing=(".", "-999"), forms={"born": "day.month.year"})
"""

import codecs
import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sfumato.data.table import Column, DataTable
from sfumato.errors import UNSHOWN, DataError, FaultsError, shown

# Texts that often stand for a missing value, in small letters.
MARKER = re.compile(
    r"[^\w\s]+|#?n[./]?a\.?|k\.a\.|none|nil|missing|unknown|not available|-9+|#[a-z/0]+[!?]|#n/a"
    r"|\.[a-z]|\\n"
)

# Of a number as it may stand in `missing`.
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the cells of a file are to be read.

    Args:
        text: columns whose cells are text, whatever they look like.
        missing: cells that are missing values in every column; of plain numbers any of that value.
        forms: how the dates or numbers of a column are written, see `data.io.forms`.
        identifiers: columns that only name the rows, whose cells may be anything.
        verbatim: columns of text where nothing but an empty cell is a missing value, so that `NA`
            is text.
    """

    text: Collection[str] = ()
    missing: Sequence[str] = ()
    forms: Mapping[str, str] = field(default_factory=dict)
    identifiers: Collection[str] = ()
    verbatim: Collection[str] = ()

    @classmethod
    def declared(cls, columns: Mapping[str, str], missing: Sequence[str]) -> "Reading":
        """Of the settings: types by column, each perhaps with a form (`date:day.month.year`)."""
        parts = {name: each.partition(":") for name, each in columns.items()}
        text, names = (
            [name for name, (kind, _, _) in parts.items() if kind in of]
            for of in (("categorical",), ("identifier", "dropped"))
        )
        forms = {name: form for name, (_, _, form) in parts.items() if form}
        return cls(text, tuple(missing), forms, names)


AS_IT_IS = Reading()


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a column cannot be read.

    Args:
        text: where, what stands there, and what to do.
        options: of the command line, that take the column all the same.
        code: as of an error.
        values: as of an error.
        lines: where its odd cells stand, if each stands in one line alone.
    """

    text: str
    options: tuple[str, ...]
    code: str = ""
    values: Mapping[str, str | int] = field(default_factory=dict)
    lines: tuple[int, ...] = ()


def short(text: object) -> str:
    """One line of at most 40 characters, for a message."""
    line = " ".join(str(text).split())
    return line if len(line) <= 40 else f"{line[:37]}..."


def refuse(path: Path | str, faults: Sequence[Fault]) -> None:
    """All faults of a file, one a line, and what takes it.

    Raises:
        DataError: if there is one.
        FaultsError: if there are several.
    """
    if not faults:
        return
    options = " ".join(dict.fromkeys(each for fault in faults for each in fault.options))
    if len(faults) == 1:
        said = "" if options in faults[0].text else f" ({options})"
        raise DataError(f"{faults[0].text}{said}.", code=faults[0].code, **faults[0].values)
    lines = [fault.text.removeprefix(str(path)).lstrip(",: ") for fault in faults]
    alone = faults[0].lines if len({fault.lines for fault in faults}) == 1 else ()
    if alone:
        places = f"line{'s' * (len(alone) > 1)} {', '.join(map(str, alone))}"
        lines.append(
            f"All these cells are in {places}; if they are units or questions, take them away"
        )
    raise FaultsError(
        f"{path} has {len(faults)} columns that cannot be read as they are:\n"
        + "".join(f"{line}.\n" for line in lines)
        + f"Mend the cells, or take it with: sfumato fit {quoted(str(path))} {options}",
        code="odd-columns",
        columns=len(faults),
    )


def option(name: str, kind: str) -> str:
    """`--column NAME=TYPE` as a shell takes it, on one line."""
    return f"--column {quoted(f'{name}={kind}')}"


def missing_option(cell: str) -> str:
    """`--missing CELL` as a shell takes it, on one line."""
    return f"--missing {quoted(cell)}"


def quoted(text: str) -> str:
    r"""A text as a shell takes it, on one line: `'a b'`, or `$'6.2\x1a'` as bash and zsh have it.

    A message has its spaces joined and its control characters escaped.
    """
    if shown(text) == text == " ".join(text.split()):
        return shlex.quote(text)
    return f"$'{_ESCAPED.sub(_escape, text)}'"


# What a message, or a shell within $'...', does not leave as it is.
_ESCAPED = re.compile(rf"[\\']|[^\S ]|(?<=\s) |^ | $|{UNSHOWN.pattern}")


def _escape(found: re.Match[str]) -> str:
    if found[0] in "\\'":
        return f"\\{found[0]}"
    is_byte = "\udc80" <= found[0] <= "\udcff"  # of a name that is no UTF-8
    written = os.fsencode(found[0]) if is_byte else found[0].encode(errors="surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in written)


SPACED = (".txt", ".dat", ".data")
"""Endings of text files in which a space may stand between cells of text."""


def by_shell(path: Path, command: str, *, is_above: bool = False) -> str:
    """How a shell does it, if the file is plain text and a shell sees its lines as Python does.

    Args:
        path: of the file; what the command writes has another name.
        command: reads the file and writes to standard output.
        is_above: whether it puts something above all, where a byte order mark stands first.
    """
    if path.suffix.lower() not in (".csv", ".tsv", *SPACED):
        return ""
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    if _OTHER_LINES.match(start) or (is_above and start.startswith(codecs.BOM_UTF8)):
        return ""
    new = "newer" if path.stem == "new" else "new"
    return f" ({command} {quoted(str(path))} > {new}{path.suffix})"


# Bytes of a file that are looked at for the ends of its lines.
_LOOKED_AT = 2**16

# UTF-16, and carriage returns alone.
_OTHER_LINES = re.compile(rb"\xff\xfe|\xfe\xff|.*\r(?!\n|\Z)", re.DOTALL)


def mark_missing(table: DataTable, missing: Sequence[str]) -> DataTable:
    """The table with these values missing, in every column: text as it stands, numbers by value.

    Numbers of a form are left: what is missing among them was so by their cells' text.
    """
    if not missing:
        return table
    texts = {each.strip() for each in missing}
    numbers = [float(each) for each in texts if _NUMBER.fullmatch(each)]
    return DataTable(tuple(_marked(column, texts, numbers) for column in table))


def _marked(column: Column, texts: set[str], numbers: Sequence[float]) -> Column:
    values, kind = column.values, column.values.dtype.kind
    if kind in "fi" and not column.form:
        gone = np.isin(values, numbers)
    elif kind == "O":
        gone = np.array([value.strip() in texts for value in values], bool)
    elif kind == "M":
        gone = np.isin(np.datetime_as_string(values, unit="D"), list(texts))
        gone &= values.astype("datetime64[D]") == values
    else:
        return column
    if not gone.any():
        return column
    empty = np.zeros(1, values.dtype) if kind != "O" else np.array([""], object)
    kept = column.categories and tuple(k for k in column.categories if k.strip() not in texts)
    return replace(
        column,
        values=np.where(gone, empty, values),
        missing=column.missing | gone,
        categories=kept,
    )


def strip_text(table: DataTable) -> DataTable:
    """The table without the spaces around its texts, and a note where there were some."""
    columns = []
    for column in table:
        if column.values.dtype == object:
            bare = np.array([value.strip() for value in column.values], dtype=object)
            if (bare != column.values).any():
                note = "spaces around its texts taken off"
                column = replace(column, values=bare, note=note)
        columns.append(column)
    return DataTable(tuple(columns))
