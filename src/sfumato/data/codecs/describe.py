"""What a column was taken for, in a few words."""

from typing import Any

import numpy as np

from sfumato.data.codecs.columns import ColumnCodec, NumericCodec, plain

# Categories that are named, and characters of each.
_NAMED, _LONG = 5, 20


def described(part: ColumnCodec) -> str:
    """Range or categories: `18 to 90`, `2 categories: F, M`, on one line."""
    if isinstance(part, NumericCodec):
        low, high = part.nearest(np.array([part.low, part.high]))
        masses = np.array(part.point_masses)
        often = masses.astype(np.int64).astype(part.dtype) if part.kind == "date" else masses
        return f"{_text(low)} to {_text(high)}" + (
            f"; often {', '.join(map(_text, often))}" if part.point_masses else ""
        )
    values = [" ".join(str(value).split()) or repr(value) for value in part.categories]
    short = [v if len(v) <= _LONG else f"{v[: _LONG - 3]}..." for v in values[:_NAMED]]
    if any("," in v for v in short):  # or two would read as three
        short = [f'"{v}"' for v in short]
    shown = ", ".join(short) + ", ..." * (len(values) > _NAMED)
    if len(values) == 1:
        return f"always {shown}"
    return f"{len(values)} categories: {shown}" if values else "missing values only"


def _text(value: Any) -> str:
    value = plain(value)
    return f"{value:.8g}" if isinstance(value, float) else str(value)
