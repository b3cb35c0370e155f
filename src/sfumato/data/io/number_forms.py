"""Numbers and amounts as people write them: read, and written back so."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from sfumato.data.io.cells import LARGEST_EXACT
from sfumato.data.io.date_forms import MONTHS
from sfumato.data.io.formed import Ambiguous, Formed, matches

_SIGNS = r"[$€£¥₹]|USD|EUR|GBP|CHF|JPY|CNY|INR"
# Letters without a space before them may be part of a code, such as 12A.
_GLUED = r"°[CF]?|(?:kg|g|km|m|cm|mm|l|ml|h|s|min)[²³]?"
_NO_UNITS = MONTHS | {"sept", "am", "pm"}
_UNIT = re.compile(rf"(?: ?(?:%|{_SIGNS}|{_GLUED})| [^\W\d_]{{1,10}}[²³]?)?")
_SUFFIX = r" ?(?:[Bb]n|[KkMmBbT]|CR|Cr|cr|DR|Dr|dr)(?![^\W\d_])"
NUMBER = re.compile(
    rf"(?P<open>\(?)(?P<minus>-?)(?P<before>(?:(?:{_SIGNS}) ?)?)"
    rf"(?P<body>[0-9](?:[0-9.,' \u00a0\u202f]*[0-9])?)"
    rf"(?P<suffix>{_SUFFIX}|)(?P<after>{_UNIT.pattern})(?P<close>\)?)"
)
_POWERS = {"": 0, "k": 3, "m": 6, "b": 9, "t": 12}
_BOOKED = {"CR", "Cr", "cr", "DR", "Dr", "dr"}
_THOUSANDS = ("", ",", ".", " ", "'", "\u00a0", "\u202f")
_PATTERN = re.compile(r"(?P<before>[^0-9]*)1(?P<sep>[^0-9]?)234(?P<rest>.*)", re.DOTALL)
_FRACTION = re.compile(r"(?P<mark>[.,])(?P<digits>0+|#+)(?P<after>.*)", re.DOTALL)
_SUFFIXED = re.compile(r"(?P<number>[^{}]*)\{(?P<tails>[^{}]*)\}(?P<after>[^{}]*)")
_DECIMALS = re.compile(r"^[.,](?:0+|#+)")

# What a user writes to settle how numbers are meant.
MARKS = {"1,234.5": ".", "1.234,5": ","}
_MARKED = {mark: form for form, mark in MARKS.items()}


class _Cells(NamedTuple):
    """What `NUMBER` finds in each cell of a column."""

    opened: Sequence[str]
    minus: Sequence[str]
    before: Sequence[str]
    bodies: Sequence[str]
    suffixes: Sequence[str]
    after: Sequence[str]
    closed: Sequence[str]


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
    if _PATTERN.fullmatch(form) is None:
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


def _meant(cells: _Cells) -> dict[str, tuple[str, int]] | Ambiguous:
    """What the suffixes of a column say, where that is clear; else nothing."""
    scales = _scales(set(cells.suffixes))
    names = {each.strip() for each in scales} - {""}
    if not names:
        return {}
    around = cells.before[0] + cells.after[0]
    numbers = list(zip(cells.suffixes, cells.bodies, strict=True))
    bare = next((body for suffix, body in numbers if not suffix and body.strip("0.,")), "")
    whole = names - {suffix.strip() for suffix, body in numbers if re.search("[.,]", body)}
    if names & _BOOKED:
        if any(cells.minus) or any(cells.opened):
            return {}
        if len(names) == 2:
            return Ambiguous(bare, *_UNMARKED) if bare else scales
        # Beside bare numbers 12 Dr may be a drive, 3 CR those of a course, 2.5 Cr crores of rupees.
        is_money = names <= {"CR", "DR"} and not whole and not _RUPEES.search(around)
        return scales if bare and is_money else {}
    powers = sorted({power for _, power in scales.values()} - {0})
    if 12 in powers and 9 not in powers:
        return {}  # a German T is a thousand
    if re.search(_SIGNS, around):
        return scales
    # Without a currency m may be a metre, b, or a B without decimals, a byte, 12K and 3M codes.
    if whole == names or "B" in whole or not names.isdisjoint("mb"):
        return {}
    several = len(powers) > 1 and powers == list(range(powers[0], powers[-1] + 3, 3))
    return scales if several or (powers == [3] and bare) else {}


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


def read_numbers(cells: Sequence[str], form: str) -> Formed | Ambiguous | None:
    """Numbers that are not plain, by a form or by a user's marks where one is given."""
    if form and not _ways(form):
        return None
    if not (found := matches(NUMBER, cells)):
        return None
    parts = _Cells(*([match[k] for match in found] for k in range(1, NUMBER.groups + 1)))
    bodies, suffixes, before, after = parts.bodies, parts.suffixes, parts.before[0], parts.after[0]
    below = any(parts.opened)  # zero, as accountants write it
    if set(parts.before) != {before} or set(parts.after) != {after} or (below and any(parts.minus)):
        return None
    if list(map(len, parts.opened)) != list(map(len, parts.closed)):
        return None
    if form and form not in MARKS:
        return _as_given(parts, form)
    scales = _meant(parts)
    if isinstance(scales, Ambiguous):
        return scales
    if not scales:  # what stands behind them all is their unit
        after = suffixes[0] + after
        if len(set(suffixes)) > 1 or not _UNIT.fullmatch(after):
            return None
    if after.strip().lower() in _NO_UNITS or all(body.count(".") == 3 for body in bodies):
        return None  # days of months, times of the day, and addresses of the internet
    signed = _signed(parts, scales or {suffixes[0]: ("", 0)})
    ways = _by_marks(signed, MARKS[form] if form else ".,")
    if not ways:
        return None
    if any(not np.array_equal(ways[0][2], way[2]) for way in ways):
        return two_marks(next(match.string for match in found if "," in match["body"]))
    mark, sep, values = ways[0]
    counts = _decimals(parts, mark)
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
    fractions = {suffix: decimals_of(of, mark) for suffix, of in counts.items()}
    tails = fractions[suffixes[0]]
    if scales:
        tails = f"{{{'|'.join(fractions[suffix] + suffix for suffix in sorted(scales))}}}"
    made = f"{'(' * below}{before}1{sep}234{tails}{after}"
    words = _called(scales) if scales else "numbers"
    return Formed(made, words, values.astype(np.int64) if whole else values)


_TWICE = re.compile(".* .* ").match


def _by_marks(signed: Sequence[str], marks: str) -> list[tuple[str, str, np.ndarray]]:
    """Under which decimal mark and mark of thousands all are numbers, and under these which."""
    ways = []
    for mark in marks:
        for sep in _THOUSANDS:
            if sep != mark and (not sep or any(sep in each for each in signed)):
                values = _values(signed, sep, mark)
                if values is not None:
                    ways.append((mark, sep, values))
    # A point alone is a decimal point, as everywhere in a text file.
    return [way for way in ways if way[:2] == (".", "")] or ways


def _decimals(cells: _Cells, mark: str) -> dict[str, set[int]]:
    """How many decimals the numbers with each suffix have."""
    counts: dict[str, set[int]] = {suffix: set() for suffix in cells.suffixes}
    for suffix, body in zip(cells.suffixes, cells.bodies, strict=True):
        counts[suffix].add(len(body.partition(mark)[2]) if mark else 0)
    return counts


def decimals_of(counts: Collection[int], mark: str) -> str:
    """Decimals in a form: zeros if numbers have so many, signs if so many at most."""
    most = max(counts)
    return mark * bool(most) + most * ("0" if len(counts) == 1 else "#")


def _signed(cells: _Cells, scales: Mapping[str, tuple[str, int]]) -> list[str]:
    """The numbers of cells, with a minus if they are below zero: `-1,234.5e3`."""
    numbers = zip(cells.opened, cells.minus, cells.suffixes, cells.bodies, strict=True)
    signs = {suffix: sign for suffix, (sign, _) in scales.items()}
    powers = {suffix: f"e{power}" * bool(power) for suffix, (_, power) in scales.items()}
    return [
        f"{'-' if a or b or (signs[suffix] and body.strip('0.,')) else ''}{body}{powers[suffix]}"
        for a, b, suffix, body in numbers
    ]


def _as_given(cells: _Cells, form: str) -> Formed | None:
    """Numbers of just this form; without decimals if it has none."""
    ways, (sep, mark) = _ways(form), _marks_of(form)
    before, below = _parts_of(form)[0], form.startswith("(")
    no_minus = below or any(way.sign for way in ways)
    if (any(cells.opened) and not below) or (any(cells.minus) and no_minus):
        return None
    of_tail = {_parts_of(way.form)[4]: (way.sign, way.power) for way in ways}
    tails = {each: each + cells.after[0] for each in set(cells.suffixes)}
    if cells.before[0] != before.removeprefix("(") or not of_tail.keys() >= set(tails.values()):
        return None
    scales = {each: of_tail[tail] for each, tail in tails.items()}
    signed = _signed(cells, scales)
    values = _values(signed, sep, mark)
    if values is None or not _are_exact(signed, values, sep, mark):
        return None
    counts = _decimals(cells, mark)
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


def number_writer(form: str) -> Callable[[Any], str]:
    """From a number to its cell."""
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


def by_mark(
    found: Formed | Ambiguous | None, cells: Sequence[str], mark: str
) -> Formed | Ambiguous | None:
    """What was found, settled by the decimal mark of the file's other columns."""
    if isinstance(found, Ambiguous):
        by_mark = mark in _MARKED and set(MARKS) <= set(found.settling)
        return read_numbers(cells, _MARKED[mark]) if by_mark else found
    may_be_thousands = found is None or _marks_of(found.form) == ("", ".")
    if "," in mark and may_be_thousands and matches(NUMBER, cells):
        points = [cell for cell in cells if "." in cell]
        if points and all(map(_ONE_POINT.fullmatch, points)):
            other = read_numbers(cells, _MARKED[","]) if mark == "," else None
            return other or two_marks(points[0])
    return found


# Such a point may be the decimal mark, or set thousands apart.
_ONE_POINT = re.compile(r"[^0-9]*[1-9][0-9]{0,2}\.[0-9]{3}[^0-9]*")


def two_marks(cell: str) -> Ambiguous:
    """A cell in which a mark may set thousands apart, or decimals."""
    ways = ("thousands and more", f"a number with a decimal {'comma' if ',' in cell else 'point'}")
    return Ambiguous(cell, ways, tuple(f"continuous:{each}" for each in MARKS))


def shown_mark(form: str, cells: Iterable[str]) -> str:
    """The decimal mark that cells of a form show; none if it may set thousands apart."""
    sep, mark = _marks_of(form)
    if not mark:  # what sets thousands apart is not the decimal mark
        return {",": ".", ".": ","}.get(sep, "")
    points = (cell for cell in cells if "." in cell)
    return "" if mark == "." and all(map(_ONE_POINT.fullmatch, points)) else mark


def are_numbers(form: str) -> bool:
    """Whether it is a form of numbers."""
    return bool(_ways(form))


def numbers_in_words(form: str) -> str:
    """Each way in which a form writes numbers: `€1234 or €1234K`."""
    return re.sub("#+", "5", " or ".join(way.form for way in _ways(form)) or form)


def in_digits_of_amounts(form: str, values: np.ndarray, sense: int) -> np.ndarray:
    """See `in_digits`."""
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
