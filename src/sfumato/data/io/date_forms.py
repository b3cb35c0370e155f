"""Dates, clock times and durations as people write them: read, and written back so."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from sfumato.data.io.cells import LARGEST_EXACT
from sfumato.data.io.formed import Ambiguous, Formed, matches

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
MONTHS = frozenset((*_NAMES, *_MONTHS))
_MONTH = "|".join((*_NAMES, *_MONTHS))
_TIME = (
    r"(?P<gap>T| |, )(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?Z| ?UTC| ?[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
DATES = [
    re.compile(rf"(?P<a>[0-9]{{4}}|[0-9]{{1,2}})(?P<s>[-/. ])(?P<b>[0-9]{{1,2}})(?P<t>(?P=s))"
               rf"(?P<c>[0-9]{{4}}|[0-9]{{1,2}})(?:{_TIME})?"),
    re.compile(rf"(?P<a>[0-9]{{1,2}})(?P<s>\.? |-|/)(?P<b>(?i:{_MONTH}))(?P<t>[.,]? |-|/)"
               rf"(?P<c>[0-9]{{2}}|[0-9]{{4}})(?:{_TIME})?"),
    re.compile(rf"(?P<a>(?i:{_MONTH}))(?P<s>\.? |-)(?P<b>[0-9]{{1,2}})(?P<t>,? |-)"
               rf"(?P<c>[0-9]{{4}})(?:{_TIME})?"),
]  # fmt: skip
ELAPSED = re.compile(r"([0-9]{1,16}):([0-5][0-9])(?::([0-5][0-9]))?( ?(?:[AP]M|[ap]m))?")


def read_dates(cells: Sequence[str], form: str) -> Formed | Ambiguous | None:
    """Dates, by a form or by a user's words where one is given."""
    if form and not is_date(form) and not order_of(form):
        return None
    for pattern in DATES:
        if found := matches(pattern, cells):
            return _agreed(found, pattern is DATES[0], form)
    return None


def _agreed(found: Sequence[re.Match[str]], numeric: bool, form: str) -> Formed | Ambiguous | None:
    """The dates, if all are written in one way."""
    parts = [match.groupdict() for match in found]
    shapes = {
        (p["s"], p["t"], p["gap"], p["S"] is None, len(p["f"] or ""), p["half"] is None, p["zone"],
         len(p["a"]) == 4, len(p["c"]) == 4)
        for p in parts
    }  # fmt: skip
    if len(shapes) != 1:
        return None
    orders = ["dmy"] if parts[0]["b"][0].isalpha() else ["mdy"]
    if numeric:
        first, last = len(parts[0]["a"]) == 4, len(parts[0]["c"]) == 4
        orders = ["ymd"] * (not last) + ["dmy", "mdy"] * (not first)
        orders = sorted(orders)
    cells = [match.string for match in found]
    ways = []
    for order in orders:
        if (values := _moments(parts, order)) is not None:
            made = form if is_date(form) else _form_of(parts, order)
            follows = not is_date(form) or _come_back(cells, values, date_writer(form))
            if follows and (not form or same_order(made, form)):
                ways.append((made, values))
    if not ways:
        return None
    if any(not np.array_equal(ways[0][1], values) for _, values in ways):
        ways = [way for way in ways if _begin_months(way[1])] or ways
    if any(not np.array_equal(ways[0][1], values) for _, values in ways):
        words = tuple(_order_in_words(made) for made, _ in ways)
        return Ambiguous(cells[0], words, tuple(f"date:{each}" for each in words))
    made, values = ways[0]
    return (
        Formed(made, date_in_words(made), values)
        if _come_back(cells, values, date_writer(made))
        else None
    )


def _begin_months(values: np.ndarray) -> bool:
    """Whether dates are the first days of evenly spaced months of more than a year.

    With day and month the other way round they would all lie in the Januaries of some years.
    """
    months = np.unique(values.astype("datetime64[M]"))
    steps = np.diff(months.astype(np.int64))
    return bool(
        (values == values.astype("datetime64[M]")).all()
        and steps.sum() >= 12
        and (steps == steps[0]).all()
    )


def _moments(parts: Sequence[dict[str, Any]], order: str) -> np.ndarray | None:
    """The dates in an order of day, month and year; None if one is no date."""
    made = []
    try:
        for part in parts:
            at = dict(zip(order, (part["a"], part["b"], part["c"]), strict=True))
            year, month = int(at["y"]), at["m"].lower()
            if len(at["y"]) not in (2, 4):
                return None
            if len(at["y"]) == 2:  # as POSIX has it
                year += 1900 if year >= 69 else 2000
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
            hour = int(part["H"] or 0)
            if part["half"]:
                if not 1 <= hour <= 12:
                    return None
                hour = hour % 12 + 12 * (part["half"].strip().lower() == "pm")
            micro = int((part["f"] or "0").ljust(6, "0"))
            minute, second = int(part["M"] or 0), int(part["S"] or 0)
            made.append(datetime(year, number, int(at["d"]), hour, minute, second, micro))
    except ValueError:
        return None
    return np.array(made, "datetime64[us]")


def _form_of(parts: Sequence[dict[str, Any]], order: str) -> str:
    """The codes of read_dates that are written in one way."""
    first = parts[0]

    def code(letter: str, group: str) -> str:
        texts = [part[group] for part in parts]
        if letter == "y":
            return "%Y" if len(texts[0]) == 4 else "%y"
        if letter == "m" and texts[0][0].isalpha():
            whole = any(len(text) > 3 for text in texts)
            upper = all(text.isupper() for text in texts)
            return ("%B" if whole else "%b") if not upper else "%^B" if whole else "%^b"
        padded = any(text[0] == "0" for text in texts) or all(len(text) == 2 for text in texts)
        return f"%{'' if padded else '-'}{letter}"

    codes = [code(letter, group) for letter, group in zip(order, "abc", strict=True)]
    form: str = f"{codes[0]}{first['s']}{codes[1]}{first['t']}{codes[2]}"
    if first["gap"] is None:
        return form
    form += first["gap"] + code("I" if first["half"] else "H", "H") + ":%M"
    form += ":%S" * (first["S"] is not None) + (f".%{len(first['f'])}f" if first["f"] else "")
    if first["half"]:
        form += " " * (first["half"][0] == " ") + ("%p" if first["half"][-1] == "M" else "%P")
    form += first["zone"] or ""
    return form


_CODE = re.compile(r"%[-^]?(?:[0-9]f|[a-zA-Z])")
_WORDS = {"d": "day", "m": "month", "b": "month", "B": "month", "y": "year", "Y": "year",
          "H": "hour", "I": "hour", "M": "minute", "S": "second", "f": "fraction", "p": "AM",
          "P": "am"}  # fmt: skip


def date_in_words(form: str) -> str:
    """A form of dates as a person reads it: `day.month.year`."""
    words = _CODE.sub(lambda code: _WORDS.get(code[0][-1], code[0]), form.replace("T%", " %"))
    return str(words)


def _order_in_words(form: str) -> str:
    """Day, month and year as a user settles their order: `day.month.year`."""
    return date_in_words(re.split(r"(?:T| |, )%-?[HI]", form)[0])


def order_of(words: str) -> list[str]:
    """Of day, month and year, as words have it; nothing if they name none."""
    return re.findall("day|month|year", words)


def same_order(form: str, given: str) -> bool:
    """Whether a user's words or a model's form have day, month and year in the same order."""
    return order_of(date_in_words(given)) == order_of(date_in_words(form))


def is_date(form: str) -> bool:
    """Whether it is a form of dates."""
    return "%d" in form or "%-d" in form


def date_writer(form: str) -> Callable[[Any], str]:
    """From a `datetime` to its cell."""

    def write(value: datetime) -> str:
        half = "PM" if value.hour >= 12 else "AM"
        numbers = {"d": value.day, "m": value.month, "H": value.hour, "M": value.minute,
                   "S": value.second, "I": (value.hour + 11) % 12 + 1,
                   "y": value.year % 100}  # fmt: skip
        texts = {"b": _MONTHS[value.month - 1].title(), "B": _NAMES[value.month - 1].title(),
                 "Y": f"{value.year:04}", "p": half, "P": half.lower()}  # fmt: skip

        def text(code: re.Match[str]) -> str:
            letter, flag = code[0][-1], code[0][1]
            if letter == "f":
                return f"{value.microsecond:06}"[: int(flag)]
            if letter in texts:
                return texts[letter].upper() if flag == "^" else texts[letter]
            return str(numbers[letter]) if flag == "-" else f"{numbers[letter]:02}"

        return str(_CODE.sub(text, form))

    return write


def _come_back(cells: Iterable[str], values: np.ndarray, write: Callable[[Any], str]) -> bool:
    """Whether each cell is what its value is written as."""
    return all(write(value) == cell for value, cell in zip(values.tolist(), cells, strict=True))


# ---------------------------------------------------------------------------------------- elapsed


_ELAPSED_FORM = re.compile(r"(hh?:mm(?::ss)?)( ?(?:AM|am))?")
_TO_AM, _TO_PM = str.maketrans("Pp", "Aa"), str.maketrans("Aa", "Pp")


def read_elapsed(cells: Sequence[str], form: str) -> Formed | None:
    """Clock times and durations, in units of their last part."""
    if form and not is_elapsed(form):
        return None
    found = matches(ELAPSED, cells)
    if not found:
        return None
    shapes = {(m[3] is None, (m[4] or "").translate(_TO_AM)) for m in found}
    if len(shapes) != 1:
        return None
    ((to_minutes, half),) = shapes
    hours = [int(m[1]) for m in found]
    if half:
        if not all(1 <= hour <= 12 for hour in hours):
            return None
        hours = [h % 12 + 12 * ("p" in m[4].lower()) for h, m in zip(hours, found, strict=True)]
    padded = any(len(m[1]) > 1 and m[1][0] == "0" for m in found)
    padded |= all(len(m[1]) == 2 for m in found)
    values = [60 * hour + int(m[2]) for hour, m in zip(hours, found, strict=True)]
    if not to_minutes:
        values = [60 * v + int(m[3]) for v, m in zip(values, found, strict=True)]
    if max(values) > LARGEST_EXACT:
        return None
    made = form or f"{'hh' if padded else 'h'}:mm{'' if to_minutes else ':ss'}{half}"
    counts = np.array(values, np.int64)
    if not _come_back(cells, counts, elapsed_writer(made)):
        return None
    return Formed(made, f"{'minutes' if to_minutes else 'seconds'} of {made}", counts)


def elapsed_writer(form: str) -> Callable[[Any], str]:
    """From a count of minutes or seconds to its cell."""
    shape = _ELAPSED_FORM.fullmatch(form)
    assert shape is not None
    pattern, half = shape.groups("")

    def write(value: Any) -> str:
        rest, parts = int(value), []
        for _ in range(pattern.count(":")):
            rest, part = divmod(rest, 60)
            parts.append(f"{part:02}")
        told = half.translate(_TO_PM) if rest % 24 >= 12 else half
        hour = (rest + 11) % 12 + 1 if half else rest
        first = f"{hour:02}" if form.startswith("hh") else str(hour)
        return ":".join([first, *reversed(parts)]) + told

    return write


def is_elapsed(form: str) -> bool:
    """Whether it is a form of clock times and durations, counted in minutes or seconds."""
    return _ELAPSED_FORM.fullmatch(form) is not None
