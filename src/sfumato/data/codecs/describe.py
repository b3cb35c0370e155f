"""What a column was taken for, in a few words."""

from typing import Any

import numpy as np

from sfumato.data.codecs.columns import ColumnCodec, NumericCodec, plain, stand_apart
from sfumato.data.codecs.identifiers import IdentifierCodec
from sfumato.data.io.reading import MARKER, missing_option, option
from sfumato.data.table import Column

# Categories that are named, and characters of each.
_NAMED, _LONG = 5, 20


def described(part: ColumnCodec) -> str:
    """Range or categories: `18 to 90`, `2 categories: F, M`, on one line."""
    if isinstance(part, NumericCodec):
        low, high = part.nearest(np.array([part.low, part.high]))
        masses = np.array(part.point_masses)
        often = masses.astype(np.int64).astype(part.dtype) if part.kind == "date" else masses
        return (
            f"{_text(low)} to {_text(high)}"
            + (f"; often {_first(list(map(_text, often)))}" if part.point_masses else "")
            + (f"; often as {part.repeats!r}" if part.repeats else "")
            + _codes(part, often)
        )
    values = [" ".join(str(value).split()) or repr(value) for value in part.categories]
    short = [v if len(v) <= _LONG else f"{v[: _LONG - 3]}..." for v in values]
    if any("," in v for v in short[:_NAMED]):  # or two would read as three
        short = [f'"{v}"' for v in short]
    shown = _first(short)
    if len(values) == 1:
        return f"always {shown}"
    marks = [v for v in part.categories if isinstance(v, str) and MARKER.fullmatch(v.lower())]
    may = "".join(f"; {v!r} may mean missing ({missing_option(v)})" for v in marks[:2])
    return f"{len(values)} categories: {shown}{may}" if values else "missing values only"


def _first(texts: list[str]) -> str:
    return ", ".join(texts[:_NAMED]) + ", ..." * (len(texts) > _NAMED)


def _codes(part: NumericCodec, often: np.ndarray) -> str:
    """That a frequent value far from all others may mean a missing one, and what says so."""
    masses = np.array(part.point_masses, dtype=np.float64)
    every = np.unique(np.concatenate([masses, np.array(part.knots) + float(part.low)]))
    apart = set(every[stand_apart(every)].tolist())
    texts = [_text(value).partition("T")[0] for value in often[np.isin(masses, list(apart))]]
    return "".join(f"; {text} may mean missing ({missing_option(text)})" for text in texts)


def set_aside(part: IdentifierCodec, column: Column) -> str:
    """Why a column is set aside, what becomes of it, and how it is taken as data instead."""
    values = column.present
    whole = values.dtype.kind in "fi"
    what = {"f": "numbers", "i": "numbers", "O": "texts", "M": "dates"}.get(values.dtype.kind, "")
    why = {
        "number": f"numbers the rows from {part.first}; set aside, numbered anew",
        "key": f"keys such as {_short(values)}; set aside, new ones of this shape",
        "empty": f"{len(set(values.tolist())):,} different {what}; set aside, left empty",
    }[part.form]
    as_data = option(column.name, "integer" if whole else "categorical")
    return f"{why} in what is drawn (as data: {as_data})"


def _short(values: np.ndarray) -> str:
    first = " ".join(str(plain(values[0])).split()) if len(values) else ""
    return first if len(first) <= _LONG else f"{first[: _LONG - 3]}..."


def _text(value: Any) -> str:
    value = plain(value)
    return f"{value:.8g}" if isinstance(value, float) else str(value)
