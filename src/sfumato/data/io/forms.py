"""Numbers and dates as people write them: read where a whole column agrees, and written back so.

A form says how the cells of a column are written:

    dates    strftime's codes, `%-d` without a leading zero: `%d.%m.%Y`, `%-m/%-d/%y %-H:%M`
    elapsed  `h:mm`, `hh:mm:ss`, ...: hours, minutes and seconds, in units of the last; with AM or
             am behind, after a space or none: a time of a day of two halves
    numbers  one thousand two hundred thirty-four as it stands: `$1,234.00`, `1234%`, `1.234,##`
    amounts  the same, and in braces what may follow, with its decimals: `€1234{|K|.#M}` for the
             number itself, thousands and millions; `1,234{.00 CR|.00 DR}` for credits and debits
    Fortran  one, with its decimals and digits of the exponent: `1.0000D+00`, `0.####D+00`

A form is taken if every cell has it, is written back in it as it was (but for zeros that end its
decimals, and 1000K, which is 1M), and no other form gives other values. Of two orders of day and
month the one is taken in which the dates begin evenly spaced months. What else may be read in two
ways is left to the user, and a form that the user or a model gives is followed exactly.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.data.io.cells import LARGEST_EXACT
from sfumato.data.io.elapsed import elapsed_of
from sfumato.data.io.reading import Fault, Reading, missing_option, option, refuse, short
from sfumato.data.table import Column, DataTable

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join((*_NAMES, *_MONTHS))
_TIME = (
    r"(?P<gap>T| |, )(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?Z| ?UTC| ?[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_DATES = [
    re.compile(rf"(?P<a>[0-9]{{4}}|[0-9]{{1,2}})(?P<s>[-/. ])(?P<b>[0-9]{{1,2}})(?P<t>(?P=s))"
               rf"(?P<c>[0-9]{{4}}|[0-9]{{1,2}})(?:{_TIME})?"),
    re.compile(rf"(?P<a>[0-9]{{1,2}})(?P<s>\.? |-|/)(?P<b>(?i:{_MONTH}))(?P<t>[.,]? |-|/)"
               rf"(?P<c>[0-9]{{2}}|[0-9]{{4}})(?:{_TIME})?"),
    re.compile(rf"(?P<a>(?i:{_MONTH}))(?P<s>\.? |-)(?P<b>[0-9]{{1,2}})(?P<t>,? |-)"
               rf"(?P<c>[0-9]{{4}})(?:{_TIME})?"),
]  # fmt: skip
_ELAPSED = re.compile(r"([0-9]{1,16}):([0-5][0-9])(?::([0-5][0-9]))?( ?(?:[AP]M|[ap]m))?")
_SIGNS = r"[$€£¥₹]|USD|EUR|GBP|CHF|JPY|CNY|INR"
# Letters without a space before them may be part of a code, such as 12A.
_GLUED = r"°[CF]?|(?:kg|g|km|m|cm|mm|l|ml|h|s|min)[²³]?"
_NO_UNITS = frozenset((*_NAMES, *_MONTHS, "sept", "am", "pm"))
_UNIT = re.compile(rf"(?: ?(?:%|{_SIGNS}|{_GLUED})| [^\W\d_]{{1,10}}[²³]?)?")
_SUFFIX = r" ?(?:[Bb]n|[KkMmBbT]|CR|Cr|cr|DR|Dr|dr)(?![^\W\d_])"
_NUMBER = re.compile(
    rf"(?P<open>\(?)(?P<minus>-?)(?P<before>(?:(?:{_SIGNS}) ?)?)"
    rf"(?P<body>[0-9](?:[0-9.,' \u00a0\u202f]*[0-9])?)"
    rf"(?P<suffix>{_SUFFIX}|)(?P<after>{_UNIT.pattern})(?P<close>\)?)"
)
_POWERS = {"": 0, "k": 3, "m": 6, "b": 9, "t": 12}
_BOOKED = {"CR", "Cr", "cr", "DR", "Dr", "dr"}
_FORTRAN = re.compile(
    r"-?(?P<whole>0|[1-9][0-9]*|(?=\.[0-9]))\.(?P<decimals>[0-9]*)(?P<letter>[Dd])"
    r"[+-](?P<power>[0-9]{1,3})"
)
_THOUSANDS = ("", ",", ".", " ", "'", "\u00a0", "\u202f")
_PATTERN = re.compile(r"(?P<before>[^0-9]*)1(?P<sep>[^0-9]?)234(?P<rest>.*)", re.DOTALL)
_FRACTION = re.compile(r"(?P<mark>[.,])(?P<digits>0+|#+)(?P<after>.*)", re.DOTALL)
_SUFFIXED = re.compile(r"(?P<number>[^{}]*)\{(?P<tails>[^{}]*)\}(?P<after>[^{}]*)")
_DECIMALS = re.compile(r"^[.,](?:0+|#+)")
_FORTRAN_FORM = re.compile(
    r"(?P<whole>[10]?)\.(?P<decimals>0*|#+)(?P<letter>[Dd])\+(?P<power>0{1,3})"
)

# What a user writes to settle how numbers are meant.
_MARKS = {"1,234.5": ".", "1.234,5": ","}
_MARKED = {mark: form for form, mark in _MARKS.items()}

# Cells that are looked at for their shape before a whole column is.
_FIRST = 20

# Different cells that spoil a column at most, and those of a form that are more than its markers.
_MOST_ODD, _LEAST_FORMED = 3, 10


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


def read_form(column: Column, form: str = "", mark: str = "") -> Column | Fault | None:
    """The column of dates or numbers that a column of text is, if it is one.

    Args:
        column: of text, as it stands in the file.
        form: as the user says (`day.month.year`, `1.234,5`), or that of a model's column.
        mark: the decimal mark of the file, where other columns show it.
    """
    known: dict[str, int] = {}
    present = column.present
    codes = (known.setdefault(cell, len(known)) for cell in present)
    place = np.fromiter(codes, np.int64, len(present))
    texts = [cell.strip() for cell in known]
    found = formed(texts, form) if texts else None
    if texts and not form:
        found = _by_mark(found, texts, mark)
    if form and texts and not isinstance(found, Formed):
        odd = next((cell for cell in texts if value_in(form, cell) is None), texts[0])
        where = (
            f"the column {column.name!r} is not written as {form!r} says in all cells, one of them "
            f"is {short(odd)!r}: "
        )
        if is_form(form) and not is_words(form):  # a model's columns are what they are
            return Fault(f"{where}write all of them so", ())
        return Fault(
            f"{where}say day.month.year in its order for dates, 1,234.5 or 1.234,5 for numbers, or "
            "declare the column categorical",
            (option(column.name, "categorical"),),
        )
    if found is None:
        return None
    if isinstance(found, Ambiguous):
        return _unsettled(column.name, found)
    values = np.zeros(len(column.values), found.values.dtype)
    values[~column.missing] = found.values[place]
    first = int(place[0])
    note = f"read as {found.words}: {texts[first]} is {_plain(found.values[first])}"
    return replace(column, values=values, form=found.form, note=note)


def _unsettled(name: str, found: "Ambiguous") -> Fault:
    return Fault(
        f"the column {name!r} holds {found.cell!r}, which may be {' or '.join(found.ways)}; "
        f"{found.remedy}: {' or '.join(option(name, each) for each in found.options)}",
        (option(name, found.options[0]),),
    )


def doubted(read: Column, text: Column) -> Column | Fault:
    """A column of a file that may hold numbers and not their text: is 1.234 one, or thousands?"""
    if "1.234" in read.form:
        for cell in map(str.strip, text.present):
            if re.fullmatch(r"-?[1-9][0-9]{0,2}\.[0-9]{3}", cell):
                return _unsettled(read.name, _two_marks(cell))
    return read


def _by_mark(
    found: "Formed | Ambiguous | None", cells: Sequence[str], mark: str
) -> "Formed | Ambiguous | None":
    """What was found, settled by the decimal mark of the file's other columns."""
    if isinstance(found, Ambiguous):
        by_mark = mark in _MARKED and set(_MARKS) <= set(found.settling)
        return formed(cells, _MARKED[mark]) if by_mark else found
    may_be_thousands = found is None or _marks_of(found.form) == ("", ".")
    if "," in mark and may_be_thousands and _matches(_NUMBER, cells):
        points = [cell for cell in cells if "." in cell]
        if points and all(map(_ONE_POINT.fullmatch, points)):
            other = formed(cells, _MARKED[","]) if mark == "," else None
            return other or _two_marks(points[0])
    return found


# Such a point may be the decimal mark, or set thousands apart.
_ONE_POINT = re.compile(r"[^0-9]*[1-9][0-9]{0,2}\.[0-9]{3}[^0-9]*")


def _two_marks(cell: str) -> "Ambiguous":
    ways = ("thousands and more", f"a number with a decimal {'comma' if ',' in cell else 'point'}")
    return Ambiguous(cell, ways, tuple(f"continuous:{each}" for each in _MARKS))


def formed(cells: Sequence[str], form: str = "") -> Formed | Ambiguous | None:
    """Distinct cells read by the one form that they have, or the one that is given."""
    for read in (_dates, _elapsed, _fortran, _numbers):
        if made := read(cells, form):
            return made
    return None


def _matches(pattern: re.Pattern[str], cells: Iterable[str]) -> list[re.Match[str]] | None:
    found = []
    for cell in cells:
        if (match := pattern.fullmatch(cell)) is None:
            return None
        found.append(match)
    return found


def _comes_back(cells: Iterable[str], values: np.ndarray, form: str) -> bool:
    """Whether each cell is what its value is written as."""
    write = writer(form)
    return all(write(value) == cell for value, cell in zip(values.tolist(), cells, strict=True))


def spoilt_form(column: Column, path: Path) -> Fault | None:
    """The few cells that spoil a column of text whose others are dates or numbers of a form."""
    present = column.present
    counts = Counter(str(cell).strip() for cell in present)
    if len(counts) <= _LEAST_FORMED:
        return None
    for looks in (*_DATES, _ELAPSED, _FORTRAN, _NUMBER):
        odd = [cell for cell in islice(counts, _FIRST) if not looks.fullmatch(cell)]
        if len(odd) > _MOST_ODD:
            continue
        alike = {cell: _around(match) for cell in counts if (match := looks.fullmatch(cell))}
        often = Counter(alike.values())
        many = {cell: around for cell, around in alike.items() if often[around] > _MOST_ODD}
        alone = dict.fromkeys(cell for cell in alike if formed([cell]) is not None)
        for rest in (alike, many, alone):  # 9 and 1.2K have a form together, $5 by itself
            odd = [cell for cell in counts if cell not in rest]
            few = 0 < len(odd) <= _MOST_ODD and len(rest) > _LEAST_FORMED
            if not few or not (found := formed(list(rest))):
                continue
            share, like = sum(counts[cell] for cell in odd) / len(present), next(iter(rest))
            ways = found.options[:1] if isinstance(found, Ambiguous) else ()
            return Fault(
                f"{path}: the column {column.name!r} holds {', '.join(map(repr, odd))} in "
                f"{share:.1%} of its cells, and all others are written as {like!r}: declare "
                "the column categorical, or say that it is a missing value",
                (*map(missing_option, odd), *(option(column.name, way) for way in ways)),
            )
    return None


def _around(match: re.Match[str]) -> tuple[str | None, ...]:
    """What stands around a number; nothing for a date."""
    parts = match.groupdict()
    return tuple(parts.get(part) for part in ("before", "suffix", "after"))


# ------------------------------------------------------------------------------------- dates


def _dates(cells: Sequence[str], form: str) -> Formed | Ambiguous | None:
    if form and not _is_date(form) and not _order(form):
        return None
    for pattern in _DATES:
        if found := _matches(pattern, cells):
            return _agreed(found, pattern is _DATES[0], form)
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
            made = form if _is_date(form) else _form_of(parts, order)
            follows = not _is_date(form) or _comes_back(cells, values, form)
            if follows and (not form or _same_order(made, form)):
                ways.append((made, values))
    if not ways:
        return None
    if any(not np.array_equal(ways[0][1], values) for _, values in ways):
        ways = [way for way in ways if _begin_months(way[1])] or ways
    if any(not np.array_equal(ways[0][1], values) for _, values in ways):
        words = tuple(_order_in_words(made) for made, _ in ways)
        return Ambiguous(cells[0], words, tuple(f"date:{each}" for each in words))
    made, values = ways[0]
    return Formed(made, in_words(made), values) if _comes_back(cells, values, made) else None


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
    """The codes of dates that are written in one way."""
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


def in_words(form: str) -> str:
    """A form as a person reads it: `day.month.year`, `1,234.5`."""
    if not _is_date(form):
        return re.sub("#+", "5", " or ".join(way.form for way in _ways(form)) or form)
    words = _CODE.sub(lambda code: _WORDS[code[0][-1]], form.replace("T%", " %"))
    return str(words)


def _order_in_words(form: str) -> str:
    """Day, month and year as a user settles their order: `day.month.year`."""
    return in_words(re.split(r"(?:T| |, )%-?[HI]", form)[0])


def _order(words: str) -> list[str]:
    return re.findall("day|month|year", words)


def _same_order(form: str, given: str) -> bool:
    """Whether a user's words or a model's form have day, month and year in the same order."""
    return _order(in_words(given)) == _order(in_words(form))


def _is_date(form: str) -> bool:
    return "%d" in form or "%-d" in form


def _write_date(form: str) -> Callable[[Any], str]:
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


# ----------------------------------------------------------------------------------- elapsed


_ELAPSED_FORM = re.compile(r"(hh?:mm(?::ss)?)( ?(?:AM|am))?")
_TO_AM, _TO_PM = str.maketrans("Pp", "Aa"), str.maketrans("Aa", "Pp")


def _elapsed(cells: Sequence[str], form: str) -> Formed | None:
    """Clock times and durations, in units of their last part."""
    if form and not is_elapsed(form):
        return None
    found = _matches(_ELAPSED, cells)
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
    if not _comes_back(cells, counts, made):
        return None
    return Formed(made, f"{'minutes' if to_minutes else 'seconds'} of {made}", counts)


def _write_elapsed(form: str) -> Callable[[Any], str]:
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


# ----------------------------------------------------------------------------------- numbers


@dataclass(frozen=True, slots=True)
class _Way:
    """One way in which numbers of a form are written.

    Args:
        form: of 1234 written so.
        sign: a minus if they are below zero.
        power: of ten that they are multiplied by.
    """

    form: str
    sign: str = ""
    power: int = 0

    @property
    def decimals(self) -> int:
        """How many there are at most."""
        return len(_parts_of(self.form)[3])


def _ways(form: str) -> tuple[_Way, ...]:
    """In which ways a form writes numbers, by rising powers; none if it is not one of numbers."""
    if _is_date(form) or _PATTERN.fullmatch(form) is None:
        return ()
    if not (found := _SUFFIXED.fullmatch(form)):
        return (_Way(form),)
    tails = found["tails"].split("|")
    scales = _scales([_DECIMALS.sub("", tail) for tail in tails])
    of_tails = zip(tails, scales.values(), strict=False)  # none if they say nothing
    ways = [_Way(f"{found['number']}{tail}{found['after']}", *scale) for tail, scale in of_tails]
    return tuple(sorted(ways, key=lambda way: way.power))


def _scales(suffixes: Collection[str]) -> dict[str, tuple[str, int]]:
    """Sign and power of ten of each suffix; empty where two say the same, or one says nothing.

    A debit is negative, as on a bank's statement. Where nothing is called a debit, a bare number is
    what it looks like, and a credit beside it the opposite.
    """
    names = {each: each.strip().lower().removesuffix("n") for each in suffixes}
    said = set(names.values())
    meant = {name: ("", power) for name, power in _POWERS.items()}
    if len(said) > 1 and said & {"cr", "dr"}:
        meant = {"": ("", 0), "cr": ("" if "dr" in said else "-", 0), "dr": ("-", 0)}
    if len(said) < len(suffixes) or not said <= meant.keys():
        return {}
    return {each: meant[name] for each, name in names.items()}


def _meant(
    bodies: Sequence[str], suffixes: Sequence[str], around: str, below: bool
) -> "dict[str, tuple[str, int]] | Ambiguous":
    """What the suffixes of a column say, where that is clear; else nothing.

    Args:
        bodies: the numbers that they stand behind.
        suffixes: of each cell.
        around: what else stands around all of them.
        below: whether some are marked as below zero.
    """
    scales = _scales(set(suffixes))
    names = {each.strip() for each in scales} - {""}
    if not names:
        return {}
    cells = list(zip(suffixes, bodies, strict=True))
    bare = next((body for suffix, body in cells if not suffix and body.strip("0.,")), "")
    if names & _BOOKED:
        if below:
            return {}
        if len(names) == 2:
            return Ambiguous(bare, *_UNMARKED) if bare else scales
        # Beside bare numbers 12 Dr may be a drive, and 2 Cr are ten millions of rupees.
        return scales if bare and names <= {"CR", "DR"} and not _RUPEES.search(around) else {}
    powers = sorted({power for _, power in scales.values()} - {0})
    if 12 in powers and 9 not in powers:
        return {}  # a German T is a thousand
    if re.search(_SIGNS, around):
        return scales
    # Without a currency m may be a metre, and b, or a B without decimals, a byte.
    whole = names - {suffix.strip() for suffix, body in cells if re.search("[.,]", body)}
    neighbours = powers == list(range(powers[0], powers[-1] + 3, 3))
    several = len(powers) > 1 and neighbours and "B" not in whole
    thousands = powers == [3] and bare and not whole
    return scales if names.isdisjoint("mb") and (several or thousands) else {}


_RUPEES = re.compile("₹|INR")
_UNMARKED = (
    ("a credit", "a debit"),
    ("categorical",),
    "write CR or DR behind it as behind the others, or keep them as text",
)


def _called(scales: Mapping[str, tuple[str, int]]) -> str:
    """What is said of numbers with these suffixes: `amounts in K and M`."""
    names = {suffix.strip(): scale for suffix, scale in scales.items() if suffix}
    if names.keys() & _BOOKED:
        signed = [f"{n} {'negative' if sign else 'positive'}" for n, (sign, _) in names.items()]
        return f"amounts, {' and '.join(sorted(signed))}"
    *some, last = sorted(names, key=names.__getitem__)
    return f"amounts in {', '.join(some)}{' and ' * bool(some)}{last}"


def _numbers(cells: Sequence[str], form: str) -> Formed | Ambiguous | None:
    if form and not _ways(form):
        return None
    if not (found := _matches(_NUMBER, cells)):
        return None
    parts = [[match[k] for match in found] for k in range(1, _NUMBER.groups + 1)]
    opened, minus, befores, bodies, suffixes, afters, closed = parts
    around = set(zip(befores, afters, strict=True))
    below = any(opened)  # zero, as accountants write it
    if len(around) != 1 or list(map(len, opened)) != list(map(len, closed)):
        return None
    if below and any(minus):
        return None
    if form and form not in _MARKS:
        return _as_given(parts, form)
    ((before, after),) = around
    scales = _meant(bodies, suffixes, before + after, any(minus) or below)
    if isinstance(scales, Ambiguous):
        return scales
    if not scales:  # what stands behind them all is their unit
        after = suffixes[0] + after
        if len(set(suffixes)) > 1 or not _UNIT.fullmatch(after):
            return None
    if after.strip().lower() in _NO_UNITS or all(body.count(".") == 3 for body in bodies):
        return None  # days of months, times of the day, and addresses of the internet
    signed = _signed(parts, scales or {suffixes[0]: ("", 0)})
    ways = []
    for mark in _MARKS[form] if form else ".,":
        for sep in _THOUSANDS:
            if sep != mark and (not sep or any(sep in each for each in signed)):
                values = _values(signed, sep, mark)
                if values is not None:
                    ways.append((mark, sep, values))
    # A point alone is a decimal point, as everywhere in a text file.
    ways = [way for way in ways if way[:2] == (".", "")] or ways
    if not ways:
        return None
    if any(not np.array_equal(ways[0][2], way[2]) for way in ways):
        return _two_marks(next(match.string for match in found if "," in match["body"]))
    mark, sep, values = ways[0]
    counts = _decimals(bodies, suffixes, mark)
    whole = all(max(of) <= (scales[suffix][1] if scales else 0) for suffix, of in counts.items())
    is_plain = not (scales or before or after)
    if not form and is_plain and sep == " " and whole and not any(map(_TWICE, signed)):
        return Ambiguous(
            next(match.string for match in found if " " in match["body"]),
            ("a number with its thousands set apart", "digits of a code"),
            (f"continuous:{_MARKED['.']}", "categorical"),
        )
    if is_plain and not (sep or below) and mark == ".":
        return None  # plain numbers need no form
    if not _are_exact(signed, values, sep, mark):
        return None
    fractions = {suffix: _fraction(of, mark) for suffix, of in counts.items()}
    tails = fractions[suffixes[0]]
    if scales:
        tails = f"{{{'|'.join(fractions[suffix] + suffix for suffix in sorted(scales))}}}"
    made = f"{'(' * below}{before}1{sep}234{tails}{after}"
    words = _called(scales) if scales else "numbers"
    return Formed(made, words, values.astype(np.int64) if whole else values)


_TWICE = re.compile(".* .* ").match


def _decimals(bodies: Sequence[str], suffixes: Sequence[str], mark: str) -> dict[str, set[int]]:
    """How many decimals the numbers with each suffix have."""
    counts: dict[str, set[int]] = {suffix: set() for suffix in suffixes}
    for suffix, body in zip(suffixes, bodies, strict=True):
        counts[suffix].add(len(body.partition(mark)[2]) if mark else 0)
    return counts


def _fraction(counts: Collection[int], mark: str) -> str:
    """Decimals in a form: zeros if numbers have so many, signs if so many at most."""
    most = max(counts)
    return mark * bool(most) + most * ("0" if len(counts) == 1 else "#")


def _signed(parts: Sequence[Sequence[str]], scales: Mapping[str, tuple[str, int]]) -> list[str]:
    """The numbers of cells, with a minus if they are below zero: `-1,234.5e3`."""
    opened, minus, _, bodies, suffixes, *_ = parts
    signs = {suffix: sign for suffix, (sign, _) in scales.items()}
    powers = {suffix: f"e{power}" * bool(power) for suffix, (_, power) in scales.items()}
    return [
        f"{'-' if a or b or (signs[suffix] and body.strip('0.,')) else ''}{body}{powers[suffix]}"
        for a, b, suffix, body in zip(opened, minus, suffixes, bodies, strict=True)
    ]


def _as_given(parts: Sequence[Sequence[str]], form: str) -> Formed | None:
    """Numbers of just this form; without decimals if it has none."""
    opened, minus, befores, bodies, suffixes, afters, _ = parts
    ways, (sep, mark) = _ways(form), _marks_of(form)
    before, below = _parts_of(form)[0], form.startswith("(")
    no_minus = below or any(way.sign for way in ways)
    if (any(opened) and not below) or (any(minus) and no_minus):
        return None
    of_tail = {_parts_of(way.form)[4]: (way.sign, way.power) for way in ways}
    tails = {each: each + afters[0] for each in set(suffixes)}
    if befores[0] != before.removeprefix("(") or not of_tail.keys() >= set(tails.values()):
        return None
    scales = {each: of_tail[tail] for each, tail in tails.items()}
    signed = _signed(parts, scales)
    values = _values(signed, sep, mark)
    if values is None or not _are_exact(signed, values, sep, mark):
        return None
    counts = _decimals(bodies, suffixes, mark)
    whole = all(max(counts[suffix]) <= power for suffix, (_, power) in scales.items())
    return Formed(form, "numbers", values.astype(np.int64) if whole else values)


def _parts_of(form: str) -> tuple[str, str, str, str, str]:
    """What is before a number, between thousands, before decimals, for decimals, and after it."""
    pattern = _PATTERN.fullmatch(form)
    assert pattern is not None
    fraction = _FRACTION.fullmatch(pattern["rest"])
    mark, digits, after = fraction.groups() if fraction else ("", "", pattern["rest"])
    return pattern["before"], pattern["sep"], mark, digits, after


def _marks_of(form: str) -> tuple[str, str]:
    """What is between thousands and before decimals, of any way; nothing if it is no number."""
    parts = [_parts_of(way.form) for way in _ways(form)]
    found = [(sep, mark) for _, sep, mark, *_ in parts]
    return next((each for each in found if each[1]), (*found, ("", ""))[0])


def _values(signed: Iterable[str], sep: str, mark: str) -> np.ndarray | None:
    """Numbers with these marks; None if one is not written so. A leading 0 makes a code."""
    groups = rf"[1-9][0-9]{{0,2}}(?:{re.escape(sep)}[0-9]{{3}})+|" if sep else ""
    decimals = rf"(?:{re.escape(mark)}[0-9]+)?" if mark else ""
    form = re.compile(rf"-?(?:{groups}0|[1-9][0-9]*){decimals}(?:e[0-9]+)?")
    made = []
    for each in signed:
        if not form.fullmatch(each):
            return None
        made.append(float(_digits(each, sep, mark)))
    return np.array(made)


def _digits(number: str, sep: str, mark: str) -> str:
    bare = number.replace(sep, "") if sep else number
    return bare.replace(mark, ".") if mark else bare


def _are_exact(signed: Iterable[str], values: np.ndarray, sep: str, mark: str) -> bool:
    """Whether numbers keep all their digits, and all thousands of them are set apart."""
    long = re.compile(r"-?[0-9]{4}") if sep else None
    return all(
        Decimal(repr(value)) == Decimal(_digits(each, sep, mark))
        and not (value.is_integer() and abs(value) >= LARGEST_EXACT)
        and not (long and long.match(each))
        for each, value in zip(signed, values.tolist(), strict=True)
    )


def _write_number(form: str) -> Callable[[Any], str]:
    ways = _ways(form)
    writers = {way: _write_way(way.form) for way in ways}
    first, of_sign = writers[ways[0]], {way.sign: writers[way] for way in ways}

    def write_signed(value: Any) -> str:
        number = float(value)
        if number == 0:
            return first(number)
        return of_sign["-" if number < 0 else ""](abs(number))  # a marked one before a bare one

    def write_scaled(value: Any) -> str:
        """In the largest unit that has no more decimals than others, or else in the largest."""
        number = Decimal(repr(float(value)))
        shifted = {way: number.scaleb(-way.power) for way in ways}
        below = [way for way in ways if abs(shifted[way]) >= 1] or [ways[0]]
        short = (way for way in reversed(below) if _has_decimals(shifted[way], way.decimals))
        way = next(short, below[-1])
        return writers[way](shifted[way])

    if "-" in of_sign:
        return write_signed
    if any(way.power for way in ways):
        return write_scaled
    return lambda value: first(float(value))


def _write_way(form: str) -> Callable[[float | Decimal], str]:
    before, sep, mark, digits, after = _parts_of(form)
    is_below, before = before.startswith("("), before.removeprefix("(")
    fixed = None if digits.startswith("#") else len(digits)

    def write(number: float | Decimal) -> str:
        exact = fixed is not None and _has_decimals(number, fixed)
        size: Any = abs(number)
        text = f"{size:,.{fixed}f}" if exact else _shortest(size)
        whole, _, rest = text.partition(".")
        whole = whole.replace(",", sep)
        text = f"{before}{whole}{(mark or '.') * bool(rest)}{rest}{after}"
        if number >= 0:
            return text
        return f"({text})" if is_below else f"-{text}"

    return write


def _shortest(number: float | Decimal) -> str:
    """The shortest exact digits without an exponent, thousands set apart."""
    exact = Decimal(repr(number)) if isinstance(number, float) else number
    return f"{exact.normalize():,f}"


def _has_decimals(number: float | Decimal, count: int) -> bool:
    """Whether a number has so many decimals at most."""
    if isinstance(number, float):
        return round(number, count) == number
    return -int(number.normalize().as_tuple().exponent) <= count


# ----------------------------------------------------------------------------------- Fortran


def _fortran(cells: Sequence[str], form: str) -> Formed | None:
    """Numbers of double precision, with a D for the exponent."""
    given = _FORTRAN_FORM.fullmatch(form)
    if (form and not given) or not (found := _matches(_FORTRAN, cells)):
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
    made = f"{whole}{_fraction(counts, '.') or '.'}{letters.pop()}+{power}"
    return Formed(made, "numbers", values)


def _write_fortran(form: str) -> Callable[[Any], str]:
    shape = _FORTRAN_FORM.fullmatch(form)
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


# ----------------------------------------------------------------------------------- writing


def writer(form: str) -> Callable[[Any], str]:
    """From a value to its cell in a form; dates as `datetime`."""
    if _is_date(form):
        return _write_date(form)
    if _FORTRAN_FORM.fullmatch(form):
        return _write_fortran(form)
    return _write_elapsed(form) if form.lstrip("h").startswith(":mm") else _write_number(form)


def in_digits(form: str, values: np.ndarray, sense: int = 0) -> np.ndarray:
    """Values that were drawn, with no more digits than the cells of a form have.

    Each magnitude has its own: beside 950K, 19.23M becomes 19.2M.

    Args:
        form: of a column's cells; in most forms the column's grid has the digits already.
        values: numbers, `(n,)` or of any other shape.
        sense: 1 or -1: never down, never up; 0: to the nearest.
    """
    if shape := _FORTRAN_FORM.fullmatch(form):
        digits = len(shape["decimals"]) + (shape["whole"] == "1")
        mode = (ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_CEILING)[sense + 1]
        rounded = Context(max(1, digits), mode).create_decimal
        found = [float(rounded(repr(value))) for value in values.ravel().tolist()]
        return np.array(found, values.dtype).reshape(values.shape)
    ways = _ways(form)
    if not any(way.power for way in ways):
        return values
    made, ends = values.copy(), [10.0**way.power for way in ways[1:]]
    of = np.searchsorted(ends, np.abs(values), side="right")
    for k, way in enumerate(ways):
        digits = way.decimals - way.power
        near = np.round(values[of == k], digits)
        off = sense * (values[of == k] - near) > 0
        made[of == k] = np.round(near + off * sense * 10.0**-digits, digits)
    return made


def typed(
    table: DataTable, reading: Reading, where: str, *, strict: bool = False, dtype: str = ""
) -> DataTable:
    """A table with types whose columns of text are dates or amounts where all of them are.

    A column keeps the name of its type, so that `as_text` gives its text back.

    Args:
        table: its rows.
        reading: what the user says of them.
        where: what they stand in, for messages.
        strict: refuse text that may be read in two ways, which else stays text.
        dtype: the type of text that has no name for it.

    Raises:
        DataError: for such text, and for what is not written as the user says.
    """
    found = []
    for column in table:
        form, read = reading.forms.get(column.name, ""), None
        is_text = column.values.dtype == object and column.categories is None
        if is_text and column.name not in (*reading.text, *reading.identifiers):
            read = read_form(column, form)
        if isinstance(read, Fault) and not (strict or form):
            read = None
        if isinstance(read, Column):
            read = replace(read, dtype=column.dtype or dtype)
        found.append(read or column)
    refuse(where, [each for each in found if isinstance(each, Fault)])
    return DataTable(tuple(each for each in found if isinstance(each, Column)))


def as_text(column: Column) -> Column:
    """The text that a column of a frame's was read from; another column as it is."""
    if not (column.form and column.dtype) or elapsed_of(column.dtype):
        return column
    write = writer(column.form)
    cells = zip(column.values.tolist(), column.missing, strict=True)
    texts = np.array([*("" if gone else write(value) for value, gone in cells), None], object)[:-1]
    return Column(column.name, texts, column.missing, dtype=column.dtype)


def is_form(form: str, dtype: str = "") -> bool:
    """Whether a text is a form that can be written; a model's may come from a stranger's file.

    Args:
        form: of a column's cells; empty if it has none.
        dtype: of its values, which the form must fit; any if empty.
    """
    if form == "":
        return True
    if len(form) >= 100:
        return False
    if _is_date(form):
        codes = re.fullmatch(r"(?:[^%]|%(?:[-^]?[dmbByYHIMSpP]|[1-6]f))*", form)
        return codes is not None and dtype in ("", "datetime64[us]")
    if form.lstrip("h").startswith(":mm"):
        return is_elapsed(form) and dtype in ("", "int64")
    if _FORTRAN_FORM.fullmatch(form):
        return dtype in ("", "float64")
    return bool(_ways(form)) and dtype in ("", "int64", "float64")


def is_elapsed(form: str) -> bool:
    """Whether it is a form of clock times and durations, counted in minutes or seconds."""
    return _ELAPSED_FORM.fullmatch(form) is not None


def shown_mark(form: str, cells: Iterable[str]) -> str:
    """The decimal mark that cells of a form show; none if it may set thousands apart."""
    sep, mark = _marks_of(form)
    if not mark:  # what sets thousands apart is not the decimal mark
        return {",": ".", ".": ","}.get(sep, "")
    points = (cell for cell in cells if "." in cell)
    return "" if mark == "." and all(map(_ONE_POINT.fullmatch, points)) else mark


def is_words(form: str) -> bool:
    """Whether a form is a user's: the order of a date, or how marks are meant."""
    return form in _MARKS or (bool(_order(form)) and not _is_date(form))


def is_plain(column: Column, form: str) -> bool:
    """Whether plain cells are what a form says: ISO 8601 has the year first, numbers a point."""
    kind = column.values.dtype.kind
    return (kind == "M" and _same_order("%Y-%m-%d", form)) or (
        kind in "fi" and _MARKS.get(form) == "."
    )


def value_in(form: str, cell: str) -> Any | None:
    """The value of one cell in a form, for what a user gives; None if it is not written so."""
    found = formed([cell.strip()], form)
    return found.values[0] if isinstance(found, Formed) else None


def _plain(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="auto"))
    return f"{float(value):.15g}"
