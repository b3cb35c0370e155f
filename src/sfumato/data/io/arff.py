"""Weka's files (.arff): a header that declares the columns, and rows with commas below it.

The format: waikato.github.io/weka-wiki/formats_and_processing/arff_stable. `?` is a missing value.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sfumato.data.io.header import Row, even
from sfumato.data.io.reading import short
from sfumato.data.table import refuse_repeated
from sfumato.errors import DataError

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|\S+)\s+(\{{.*\}}|\w+)(?:\s+.*)?", re.IGNORECASE)
_CELL = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(,|$)")
_ESCAPED = re.compile(r"\\(.)")


def declared_text(path: Path) -> list[str]:
    """The columns that the header declares to be text or of a few values.

    Raises:
        DataError: if it is no such file.
    """
    declared, _ = _header(path)
    return [name for name, kind in declared if kind[0] == "{" or kind == "string"]


@contextmanager
def arff_rows(path: Path) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """The names of the columns, and the rows.

    Raises:
        DataError: if it is no such file, or a row has another length.
    """
    declared, rows = _header(path)
    names = [name for name, _ in declared]
    yield names, even(rows, names, path, is_row=False)


def _header(path: Path) -> tuple[list[tuple[str, str]], Iterator[Row]]:
    """Name and type of each column, and the rows below."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; save it in UTF-8.") from error
    declared: list[tuple[str, str]] = []
    for place, line in enumerate(map(str.strip, lines), 1):
        if line.lower().startswith("@attribute"):
            match = _ATTRIBUTE.fullmatch(line)
            if match is None:
                raise DataError(f"{path}, line {place}: {short(line)!r} declares no column.")
            declared.append((_bare(match[1]), match[2].lower()))
        elif line.lower() == "@data":
            refuse_repeated(str(path), [name for name, _ in declared])
            if declared:
                return declared, _rows(path, lines, place)
            break
        elif line and not line.startswith("%") and not line.lower().startswith("@relation"):
            raise DataError(f"{path}, line {place}: {short(line)!r} is no part of an ARFF header.")
    raise DataError(f"{path} has no columns and rows (@attribute, @data) as an ARFF file has.")


def _rows(path: Path, lines: list[str], header: int) -> Iterator[Row]:
    for place, line in enumerate(lines[header:], header + 1):
        if not line.strip() or line.startswith("%"):
            continue
        if line.lstrip().startswith("{"):
            raise DataError(f"{path}, line {place}: sparse rows are not read; write every cell.")
        cells, at = [], 0
        while match := _CELL.match(line, at):
            cells.append("" if match[1] == "?" else _bare(match[1]))
            at = match.end()
            if match[2] != ",":
                break
        yield place, cells


def _bare(text: str) -> str:
    """Without the quotes around it."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if text[:1] in ("'", '"') and len(text) > 1 else text
