"""Rules of a table: what its columns are to each other in every row.

    end >= start               an order; also <=, >, <, and chains: 0 <= discount <= price
    total = a + b              an equation; also 2 a + b - 3, 1.8 * celsius + 32
    city, country              only combinations that occur

A name that holds spaces or signs stands in quotes where it could be read otherwise. An order of one
column and a constant (0 <= discount) is checked on the data, and holds in what is drawn because a
column never leaves the range that was seen. How the others are held is in `data.codecs.relations`
and in `samplers.unmasking`.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sfumato.data.codecs.columns import (
    NumericCodec,
    digits_of,
    grid_step_of,
    has_heavy_value,
    stand_apart,
)
from sfumato.data.io.reading import option
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import ArgumentError, DataError, unknown

# Alone, it says that no rule is to be found in the data.
NONE = "none"

# Columns that rules may bind together, so that a row's pattern of known values is one integer.
MOST_BOUND = 39

# Combinations of categories that one rule may have.
_MOST_COMBINATIONS = 100_000

# Where such a share of a grid is taken, sums of steps are as good as its values.
_TAKEN, _RECURS = 0.2, 5

# Of a sum of floats: so many times the rounding of its largest term.
_ROUNDING = 16 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True)
class Relation:
    """Numbers or dates: sum of coefficient times column = constant, or >= constant.

    Args:
        text: as it was stated, or as it would be.
        names: of the columns.
        coefficients: of each.
        constant: of dates in microseconds.
        equal: whether it is an equation.
        strict: of an order, whether both sides always differ.
        derived: the column that is computed from the others; empty for an order of one column.
        slack: the codec of what the sum is above the constant, of an order of several columns.
        found: whether it was found in the data, and not stated.
        unless: columns beside which it says nothing new: b, of a <= c that follows from a <= b and
            b <= c.
    """

    text: str
    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    constant: float
    equal: bool
    strict: bool = False
    derived: str = ""
    slack: NumericCodec | None = None
    found: bool = False
    unless: tuple[str, ...] = ()

    def difference(self, values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The sum less the constant, and how far floats may be off, `(n,)` each."""
        terms = [c * x for c, x in zip(self.coefficients, values, strict=True)]
        largest = np.abs([*terms, np.full_like(terms[0], self.constant)]).max(0)
        total = np.asarray(sum(terms[1:], terms[0] - self.constant))
        return total, _ROUNDING * len(terms) * largest

    def broken(self, values: Sequence[np.ndarray], step: float = 0.0) -> np.ndarray:
        """In which rows it does not hold; NaN, a missing value, breaks nothing.

        Args:
            values: of its columns, `(n,)` each.
            step: of the derived column's grid, which an equation is rounded to.
        """
        difference, rounding = self.difference(values)
        if self.equal:
            half = 0.5 * step * abs(self.coefficients[self.names.index(self.derived)])
            return np.asarray(np.abs(difference) > half + rounding)
        return np.asarray(difference <= 0 if self.strict else difference < -rounding)


@dataclass(frozen=True, slots=True)
class Combination:
    """Categories of which only the combinations that were seen are drawn.

    Args:
        text: as it was stated, or as it would be.
        names: of the columns.
        codes: the categories of each column, combination by combination.
        found: whether it was found in the data, and not stated.
    """

    text: str
    names: tuple[str, ...]
    codes: tuple[tuple[int, ...], ...] = ()
    found: bool = False


Rule = Relation | Combination


def numbers_of(column: Column, origin: int = 0) -> np.ndarray:
    """A column's values as float64, dates in microseconds from the origin; NaN where missing."""
    values = column.values
    exact = values.astype(np.int64) - origin if values.dtype.kind == "M" else values
    return np.where(column.missing, np.nan, exact.astype(np.float64))


def unit_of(part: NumericCodec) -> float:
    """As `rounded_to`, of a column's codec."""
    if part.kind == "date":
        return 0.0
    if part.dtype == "int64":
        return 1.0
    digits = digits_of(part.grid_step) if part.grid_step else None
    return 0.0 if digits is None else 10.0**-digits


def rounded_to(column: Column) -> float:
    """The unit of the last digit of a column's numbers: 1, 0.01; 0 of dates and where it has none.

    A number that is written with so many digits was rounded to them.
    """
    if column.values.dtype.kind == "M":
        return 0.0
    if column.values.dtype.kind == "i":
        return 1.0
    present = column.present
    digits = next((d for d in range(7) if np.array_equal(np.round(present, d), present)), None)
    return 0.0 if digits is None else 10.0**-digits


def has_codes(column: Column) -> bool:
    """Whether a frequent value stands apart, as 9999-12-31 among other days."""
    exact = _exact_values(column)
    values, counts = np.unique(exact, return_counts=True)
    return bool((stand_apart(values.astype(np.float64)) & (counts >= _RECURS)).any())


def _exact_values(column: Column) -> np.ndarray:
    values = column.present
    return values.astype(np.int64) if values.dtype.kind == "M" else values


def grid_of(column: Column) -> float:
    """Width of the grid that a column's values lie on; 0 where there is none."""
    exact = _exact_values(column)
    if len(exact) < 2 or exact.min() == exact.max():
        return 0.0
    return grid_step_of(exact, "date" if column.values.dtype.kind == "M" else "continuous")


def keeps_values(column: Column) -> bool:
    """Whether a column has values of its own that sums of others would not hit.

    A frequent value, or values that recur and leave most of their grid free.
    """
    exact, step = _exact_values(column), grid_of(column)
    if has_heavy_value(exact):
        return True
    distinct, width = len(np.unique(exact)), float(exact.max() - exact.min())
    taken = bool(step) and distinct * step >= _TAKEN * (width + step)
    return not taken and len(exact) >= _RECURS * distinct


# ------------------------------------------------------------------------------------ stated


def stated(
    texts: Sequence[str], table: DataTable, types: Mapping[str, ColumnType]
) -> tuple[Rule, ...]:
    """The rules of a user, checked on all rows.

    Args:
        texts: one each; `none` among them is passed over.
        table: all rows.
        types: what each column is.

    Raises:
        ArgumentError: if one cannot be read, names an unknown column, or one that it cannot be of.
        DataError: if rows break one, with how many and the first.
    """
    rules = [each for text in texts if text.strip() != NONE for each in _read(text, table, types)]
    relations = [rule for rule in rules if isinstance(rule, Relation)]
    for rule in (*relations, *chained(relations)):
        _refuse_broken(rule, table)
    return tuple(rules)


def chained(rules: Sequence[Relation]) -> list[Relation]:
    """The orders that follow from chains: a <= c of a <= b and b <= c, where b is missing."""
    stated = {
        (rule.names[rule.coefficients.index(-1.0)], rule.names[rule.coefficients.index(1.0)]): rule
        for rule in rules
        if not rule.equal and sorted(rule.coefficients) == [-1.0, 1.0]
    }
    above, grown = dict(stated), True
    while grown:
        grown = False
        for (a, b), first in list(above.items()):
            for (c, d), second in list(above.items()):
                if b == c and (a, d) not in above and a != d:
                    strict = first.strict or second.strict
                    above[a, d] = Relation(
                        f"{d} {'>' if strict else '>='} {a}",
                        (d, a),
                        (1.0, -1.0),
                        first.constant + second.constant,
                        equal=False,
                        strict=strict,
                        derived=second.derived if second.derived == d else a,
                        found=first.found and second.found,
                    )
                    grown = True
    names = {name for pair in above for name in pair}
    return [
        replace(rule, unless=tuple(k for k in sorted(names) if {(a, k), (k, d)} <= above.keys()))
        for (a, d), rule in above.items()
        if (a, d) not in stated
    ]


def _refuse_broken(rule: Relation, table: DataTable) -> None:
    columns = [table[name] for name in rule.names]
    origin = _origin(columns) if len(columns) > 1 else 0
    step = rounded_to(table[rule.derived]) if rule.derived else 0.0
    broken = rule.broken([numbers_of(column, origin) for column in columns], step)
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        raise DataError(
            f"the rule {rule.text!r} does not hold in {int(broken.sum()):,} of {len(table):,} "
            f"rows, first in row {first + 1} ({told(columns, first)}); mend the rows, or leave the "
            "rule out."
        )


def told(columns: Sequence[Column], row: int) -> str:
    """What stands in a row: `end 2024-03-01, start 2024-04-01`, `city 'Rome', country missing`."""
    return ", ".join(
        f"{column.name} {'missing' if column.missing[row] else _text(column.values[row])}"
        for column in columns
    )


def broken_by(rule: Rule, columns: Sequence[Column], row: int) -> str:
    """Which rule it is, why it must hold, and the values of a row that break it.

    Args:
        rule: that is broken.
        columns: those of its columns that are known.
        row: where.
    """
    if isinstance(rule, Relation) and rule.unless:
        why = "which follows from the other rules"
    elif isinstance(rule, Combination):
        why = "of which only the combinations that were learned are drawn"
    else:
        why = f"which {'holds in all rows that were learned' if rule.found else 'was stated'}"
    return f"the rule {rule.text!r}, {why}: {told(columns, row)}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="auto"))
    return f"{value:.15g}" if isinstance(value, float | np.floating) else str(value)


def _origin(columns: Sequence[Column]) -> int:
    """Where dates are counted from, so that floats hold their differences exactly."""
    dates = [c.present.astype(np.int64) for c in columns if c.values.dtype.kind == "M"]
    return min((int(each.min()) for each in dates if len(each)), default=0)


_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*'|`[^`]*`)
    |(?P<date>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?![\w.]))
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    |(?P<sign><=|>=|==|[<>=+*,-])
    |(?P<word>[^\s<>=+*,"'`-]+))""",
    re.VERBOSE,
)

Token = tuple[str, str]
"""Its sort (name, date, number, sign) and its text."""


def _tokens(text: str, names: Sequence[str]) -> list[Token]:
    """The parts of a rule; the longest name of a column that stands somewhere is meant there.

    Raises:
        ArgumentError: if something is neither a name, a number nor a sign.
    """
    found: list[Token] = []
    longest = sorted(names, key=len, reverse=True)
    place = 0
    while place < len(text.rstrip()):
        place += len(text[place:]) - len(text[place:].lstrip())
        here = next((name for name in longest if _stands(name, text, place)), None)
        if here is not None:
            found.append(("name", here))
            place += len(here)
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unreadable(text)
        sort = str(match.lastgroup)
        part = match[sort]
        if sort in ("quoted", "word"):
            name = part[1:-1] if sort == "quoted" else part
            if name not in names:
                raise unknown(f"column in the rule {text!r}:", name, names)
            sort, part = "name", name
        found.append((sort, part))
        place = match.end()
    return found


def _stands(name: str, text: str, place: int) -> bool:
    """Whether a name that is no number begins here, and ends where a word may end."""
    end = place + len(name)
    if not name.strip() or _number(name) or not text.startswith(name, place):
        return False
    inside = (name[-1].isalnum() or name[-1] in "_.") and text[end : end + 1]
    return not (inside and (text[end].isalnum() or text[end] in "_."))


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _unreadable(text: str) -> ArgumentError:
    return ArgumentError(
        f"the rule {text!r} cannot be read; rules are 'end >= start', '0 <= discount <= price', "
        "'total = a + b', 'city, country', and names of several words stand in quotes."
    )


def _read(text: str, table: DataTable, types: Mapping[str, ColumnType]) -> list[Rule]:
    """The rules that a text states: one, or one for each sign of a chain.

    Raises:
        ArgumentError: as `stated`.
    """
    tokens = _tokens(text, table.names)
    signs = [part for sort, part in tokens if sort == "sign" and part in _ORDERS]
    if not signs:
        return [_combination(text, tokens, types)]
    sides: list[list[Token]] = [[]]
    for token in tokens:
        if token[0] == "sign" and token[1] in _ORDERS:
            sides.append([])
        else:
            sides[-1].append(token)
    directions = {sign[0] for sign in signs}
    if len(directions) > 1 or (directions == {"="} and len(signs) > 1):
        raise _unreadable(text)
    sums = [_sum(side, text, table, types) for side in sides]
    return [
        _relation(text, left, sign, right, table)
        for left, sign, right in zip(sums, signs, sums[1:], strict=False)
    ]


_ORDERS = ("<=", ">=", "<", ">", "=", "==")


class _Sum(NamedTuple):
    """The coefficient of each column, a constant, and whether a date stands in it as such."""

    of: dict[str, float]
    constant: float
    dated: bool


def _sum(
    tokens: Sequence[Token], text: str, table: DataTable, types: Mapping[str, ColumnType]
) -> _Sum:
    """`2 a + b - 3`, signs between products; a column that never varies is its value.

    Raises:
        ArgumentError: if it is no such sum.
    """
    rest, of, constant, dated = list(tokens), dict[str, float](), 0.0, False
    while rest or not (of or constant):
        signs = []
        while rest and rest[0] in (("sign", "+"), ("sign", "-")):
            signs.append(rest.pop(0)[1])
        product, name, factors = -1.0 if signs.count("-") % 2 else 1.0, "", 0
        while rest and rest[0] not in (("sign", "+"), ("sign", "-")):
            if factors and rest[0] == ("sign", "*"):
                rest.pop(0)
            if not rest or rest[0][0] == "sign":
                raise _unreadable(text)
            sort, part = rest.pop(0)
            value = _value(sort, part, text, table, types)
            dated |= sort == "date" or (
                sort == "name" and not isinstance(value, str) and _holds_dates(table[part])
            )
            if isinstance(value, str) and name:
                raise _unreadable(text)
            product, name = (product, value) if isinstance(value, str) else (product * value, name)
            factors += 1
        if not factors:
            raise _unreadable(text)
        if name:
            of[name] = of.get(name, 0.0) + product
        constant += 0.0 if name else product
        if not rest:
            break
    return _Sum(of, constant, dated)


def _holds_dates(column: Column) -> bool:
    return column.values.dtype.kind == "M"


def _value(
    sort: str, part: str, text: str, table: DataTable, types: Mapping[str, ColumnType]
) -> str | float:
    """The name of a column that varies, or a number; of a date microseconds since 1970.

    Raises:
        ArgumentError: if the column is not of numbers or dates.
    """
    if sort == "number":
        return float(part)
    if sort == "date":
        return float(np.datetime64(part.replace(" ", "T"), "us").astype(np.int64))
    kind, column = types[part], table[part]
    if kind in _SET_ASIDE:
        raise _aside(text, part, kind)
    if column.values.dtype.kind not in "fiM":
        what = "true or false" if column.values.dtype.kind == "b" else "text"
        raise ArgumentError(
            f"the rule {text!r} compares numbers or dates, and the column {part!r} holds {what}."
        )
    if kind in ("ordinal", "categorical"):
        raise ArgumentError(
            f"the rule {text!r} compares numbers or dates, and the column {part!r} is declared "
            f"{kind}; leave {option(part, kind)} out."
        )
    if kind != "constant" or not len(column.present):
        return part
    return float(numbers_of(column)[~column.missing][0])


def _aside(text: str, name: str, kind: str) -> ArgumentError:
    return ArgumentError(
        f"the rule {text!r} is of the column {name!r}, which is {_SET_ASIDE[kind]}; leave the "
        f"rule out, or take the column as data ({option(name, 'TYPE')})."
    )


_SET_ASIDE = {"identifier": "set aside, as it only names the rows", "dropped": "left out"}


def _relation(text: str, left: _Sum, sign: str, right: _Sum, table: DataTable) -> Relation:
    """`left sign right` as a sum that is 0, or at least 0.

    Raises:
        ArgumentError: if it says nothing of a column, or compares dates with numbers.
    """
    (upper, lower) = (right, left) if sign[0] == "<" else (left, right)
    names = dict.fromkeys([*upper.of, *lower.of])
    of = {name: upper.of.get(name, 0.0) - lower.of.get(name, 0.0) for name in names}
    of = {name: c for name, c in of.items() if c}
    equal = sign[0] == "="
    if not of or (equal and len(of) == 1):
        raise ArgumentError(
            f"the rule {text!r} says nothing that varies; name two columns, or one column that has "
            "several values and a bound (0 <= discount)."
        )
    dates = {_holds_dates(table[name]) for name in of}
    alike = list(of.values()) in ([1.0], [-1.0]) if len(of) == 1 else not sum(of.values())
    dated = left.dated or right.dated
    if dates == {True}:
        wrong = (
            not alike
            or dated != (len(of) == 1)
            or bool(len(of) > 1 and upper.constant - lower.constant)
        )
    else:
        wrong = dated or len(dates) > 1
    if wrong:
        raise ArgumentError(
            f"the rule {text!r} is of dates, and those are compared with dates alone "
            "(end >= start, start >= 2020-01-31)."
        )
    constant = lower.constant - upper.constant
    # Of an equation the left side is computed, of an order the upper.
    first = [*left.of, *right.of] if equal else [*upper.of, *lower.of]
    derived = _derived(first, of, table, equal=equal) if len(of) > 1 else ""
    return Relation(
        text, tuple(of), tuple(of.values()), constant, equal, sign in ("<", ">"), derived
    )


def _derived(
    names: Sequence[str], of: Mapping[str, float], table: DataTable, *, equal: bool
) -> str:
    """The first column that needs no division and, of an order, has no values of its own."""
    whole = [name for name in names if abs(of.get(name, 0)) == 1] or list(of)
    plain = whole if equal else [name for name in whole if not keeps_values(table[name])]
    return (plain or whole)[0]


def _combination(
    text: str, tokens: Sequence[Token], types: Mapping[str, ColumnType]
) -> Combination:
    """`city, country`.

    Raises:
        ArgumentError: if it is no list of columns with categories.
    """
    parts = tokens[::2]
    between = tokens[1::2]
    names = tuple(part for _, part in parts)
    names_only = all(sort == "name" for sort, _ in parts) and len(tokens) == 2 * len(parts) - 1
    if len(names) < 2 or not names_only or any(part != "," for _, part in between):
        raise _unreadable(text)
    if len(set(names)) < len(names):
        raise _unreadable(text)
    for name in names:
        kind = types[name]
        if kind in _SET_ASIDE:
            raise _aside(text, name, kind)
        if kind not in ("categorical", "ordinal", "boolean", "constant"):
            raise ArgumentError(
                f"the rule {text!r} is of categories, and the column {name!r} holds "
                f"{'dates' if kind == 'date' else 'numbers'}; make it categories "
                f"({option(name, 'ordinal')}), or leave it out."
            )
    return Combination(text, names)


def numeric_where_compared(
    types: Mapping[str, ColumnType],
    table: DataTable,
    texts: Sequence[str],
    declared: Collection[str],
) -> dict[str, ColumnType]:
    """The types, with ordinal numbers that rules compare as integers or continuous numbers.

    Args:
        types: what each column is.
        table: all rows.
        texts: rules, one each.
        declared: columns whose type the user says; these stay.

    Raises:
        ArgumentError: if a text cannot be read or names an unknown column.
    """
    found = dict(types)
    for text in texts:
        tokens = [] if text.strip() == NONE else _tokens(text, table.names)
        if any(sort == "sign" and part in _ORDERS for sort, part in tokens):
            for name in (part for sort, part in tokens if sort == "name"):
                kind = table[name].values.dtype.kind
                if found[name] == "ordinal" and kind in "fi" and name not in declared:
                    found[name] = "integer" if kind == "i" else "continuous"
    return found


# ------------------------------------------------------------------------------------ fitted


def with_slack(rule: Relation, table: DataTable) -> Relation:
    """An order with the codec of its slack; one whose slack never varies is an equation.

    Args:
        rule: an order of several columns that holds.
        table: rows to learn from.

    Raises:
        DataError: if no row has all of its columns.
    """
    slack = slack_column(rule, [table[name] for name in rule.names])
    if not len(slack.present):
        raise DataError(f"the rule {rule.text!r}: no row has all of its columns.")
    if (slack.present == slack.present[0]).all():
        constant = rule.constant + float(numbers_of(slack)[~slack.missing][0])
        return replace(rule, equal=True, constant=constant)
    kind: ColumnType = {"M": "date", "i": "integer"}.get(slack.values.dtype.kind, "continuous")  # type: ignore[assignment]
    codec = NumericCodec.fit(slack, kind, point_masses=False)
    return replace(rule, slack=replace(codec, has_missing=False))


def slack_column(rule: Relation, columns: Sequence[Column]) -> Column:
    """How far each row's sum is above the constant, as a column; missing where a member is.

    Of dates it is a date, as far from 1970 as they are apart: so it counts as they do.
    """
    missing = np.any([column.missing for column in columns], axis=0)
    origin = _origin(columns)
    difference, rounding = rule.difference([numbers_of(each, origin) for each in columns])
    difference = np.where(missing, 0.0, difference)
    difference = np.where(np.abs(difference) <= rounding, 0.0, difference)
    kinds = {column.values.dtype.kind for column in columns}
    if kinds == {"M"}:
        values = np.round(difference).astype(np.int64).astype("datetime64[us]")
        return Column(rule.text, values, missing)
    whole = all(float(c).is_integer() for c in (*rule.coefficients, rule.constant))
    if kinds == {"i"} and whole:
        return Column(rule.text, np.round(difference).astype(np.int64), missing)
    digits = [None if (unit := rounded_to(column)) == 0 else digits_of(unit) for column in columns]
    more = [_decimals(c) for c in rule.coefficients]
    if None not in digits and None not in more:
        most = max(a + b for a, b in zip(digits, more, strict=True))  # type: ignore[operator]
        difference = np.round(difference, max(most, _decimals(rule.constant) or 0))
    return Column(rule.text, difference, missing)


def _decimals(value: float) -> int | None:
    """How many decimals a number has, up to six."""
    return next((d for d in range(7) if round(value, d) == value), None)


def with_codes(rule: Combination, codes: np.ndarray) -> Combination:
    """A combination with those that occur among the codes `(n, columns)`; -1 is none.

    Raises:
        DataError: if there are too many.
    """
    unique = np.unique(codes[(codes >= 0).all(1)], axis=0)
    if len(unique) > _MOST_COMBINATIONS:
        raise DataError(
            f"the rule {rule.text!r} has {len(unique):,} combinations, more than the "
            f"{_MOST_COMBINATIONS:,} that can be held; leave it out."
        )
    return replace(rule, codes=tuple(tuple(row) for row in unique.tolist()))
