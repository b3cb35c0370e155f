"""Fortran's numbers of double precision, `1.25D+03`: read, and written back so."""

import re
from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np

from sfumato.data.io.formed import Formed, matches
from sfumato.data.io.number_forms import decimals_of

FORTRAN = re.compile(
    r"-?(?P<whole>0|[1-9][0-9]*|(?=\.[0-9]))\.(?P<decimals>[0-9]*)(?P<letter>[Dd])"
    r"[+-](?P<power>[0-9]{1,3})"
)
_FORM = re.compile(r"(?P<whole>[10]?)\.(?P<decimals>0*|#+)(?P<letter>[Dd])\+(?P<power>0{1,3})")


def read_fortran(cells: Sequence[str], form: str) -> Formed | None:
    """Numbers of double precision, with a D for the exponent."""
    given = _FORM.fullmatch(form)
    if (form and not given) or not (found := matches(FORTRAN, cells)):
        return None
    letters = {match["letter"] for match in found}
    values = np.array([float(match.string.replace(match["letter"], "e")) for match in found])
    vanished = [v == 0 and bool(re.match("-?[0.]*[1-9]", m.string))
                for v, m in zip(values.tolist(), found, strict=True)]  # fmt: skip
    if len(letters) > 1 or not np.isfinite(values).all() or any(vanished):
        return None
    if given:
        return Formed(form, "numbers", values) if given["letter"] in letters else None
    wholes = {match["whole"] for match in found}
    whole = wholes.pop() if wholes in ({"0"}, {""}) else "1"
    counts = {len(match["decimals"]) for match in found}
    power = "0" * min(len(match["power"]) for match in found)
    made = f"{whole}{decimals_of(counts, '.') or '.'}{letters.pop()}+{power}"
    return Formed(made, "numbers", values)


def is_fortran(form: str) -> bool:
    """Whether it is a form of such numbers."""
    return _FORM.fullmatch(form) is not None


def fortran_writer(form: str) -> Callable[[Any], str]:
    """From a number to its cell."""
    shape = _FORM.fullmatch(form)
    assert shape is not None
    whole, decimals, letter, width = shape.groups()
    places = max(0, len(decimals) - (whole != "1"))

    def write(value: Any) -> str:
        number = float(value)
        text = f"{abs(number):.{places}e}"
        if float(text) != abs(number):
            text = f"{Decimal(repr(abs(number))).normalize():e}"
        mantissa, _, exponent = text.partition("e")
        power, digits = int(exponent), mantissa.replace(".", "")
        first, rest = digits[0], digits[1:]
        if whole != "1":
            first, rest, power = whole, digits, power + (number != 0)
        if decimals.startswith("#"):
            rest = rest.rstrip("0") or "0"
        sign = "-" * (number < 0)
        return f"{sign}{first}.{rest}{letter}{'-' if power < 0 else '+'}{abs(power):0{len(width)}}"

    return write


def in_fortran_digits(form: str, values: np.ndarray, sense: int) -> np.ndarray:
    """See `in_digits`."""
    shape = _FORM.fullmatch(form)
    assert shape is not None
    digits = len(shape["decimals"]) + (shape["whole"] == "1")
    mode = (ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_CEILING)[sense + 1]
    rounded = Context(max(1, digits), mode).create_decimal
    found = [float(rounded(repr(value))) for value in values.ravel().tolist()]
    return np.array(found, values.dtype).reshape(values.shape)
