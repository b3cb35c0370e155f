"""Rules that hold in all rows of a table, found where they are no accident and are of use.

equation      columns that others determine to the last digit, with coefficients of few digits
order         of two columns of dates or numbers on one grid, whose ranges mix, where one is never
              below the other and rows lie near the bound: elsewhere no model would cross it
combination   a column that another decides (each city has one country), where that is no chance
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from sfumato.data.codecs.rules import (
    Combination,
    Relation,
    Rule,
    grid_of,
    has_codes,
    keeps_values,
    numbers_of,
    rounded_to,
    slack_column,
)
from sfumato.data.stored import most_rows
from sfumato.data.table import Column, ColumnType, DataTable

# Rows with all values that a rule must be seen in.
_LEAST_ROWS = 50

# Of wider tables only combinations are looked for.
_MOST_NUMERIC = 100

# Columns that found rules of numbers may bind together.
_MOST_BOUND = 8

# An order must be broken in such a share of shuffled rows, and in so many; and in such a share of
# the rows the slack must be this small beside its deviation.
_BROKEN, _BROKEN_ROWS = 0.01, 20
_NEAR, _NEAR_ROWS = 0.1, 0.01

# Of equations: columns, decimals of the coefficients, rows that they are looked for in.
_MOST_TERMS, _MOST_DECIMALS, _SOUGHT = 6, 4, 2000
# What a sum of so few terms may be off by rounding, beside its largest term.
_ROUNDING = 16 * np.finfo(np.float64).eps

# A combination that would come about by chance with exp(-this) is none.
_CHANCE = 30.0

# Rows of which pairs of columns must be free of a contradiction first.
_FIRST_ROWS, _AT_FIRST = 512, 32


def found_in(
    table: DataTable, types: Mapping[str, ColumnType], known: Sequence[Rule] = ()
) -> tuple[Rule, ...]:
    """The rules of a table beside those that are known.

    Args:
        table: rows to learn from.
        types: what each column is.
        known: rules that are stated.
    """
    numbers = [c for c in table if types[c.name] in ("continuous", "integer")]
    dates = [c for c in table if types[c.name] == "date"]
    found: list[Rule] = list(known)
    if len(numbers) + len(dates) <= _MOST_NUMERIC:
        for rule in equations(numbers):
            _add(found, rule)
        for rule in (*orders(dates), *orders(numbers)):
            _add(found, rule)
    together = [set(rule.names) for rule in found if isinstance(rule, Combination)]
    with_categories = [c for c in table if types[c.name] in ("categorical", "ordinal", "boolean")]
    found += [
        rule
        for rule in combinations(with_categories)
        if not any(set(rule.names) <= names for names in together)
    ]
    return tuple(found[len(known) :])


def _add(found: list[Rule], rule: Relation) -> None:
    """Add a rule unless others bind its columns already, or would bind too many together."""
    bound, own = set(rule.names), {rule.derived}
    for each in found:
        if not isinstance(each, Relation) or len(each.names) == 1:
            continue
        if set(rule.names) <= set(each.names) or each.derived in own:
            return
    grown = True
    while grown:
        grown = False
        for each in found:
            if isinstance(each, Relation) and set(each.names) & bound and set(each.names) - bound:
                bound, grown = bound | set(each.names), True
    if len(bound) <= _MOST_BOUND:
        found.append(rule)


# --------------------------------------------------------------------------------- equations


def equations(columns: Sequence[Column]) -> list[Relation]:
    """Columns that are a sum of others, exactly, of few terms with coefficients of few digits."""
    columns, rows = _with_rows_in_common(columns)
    if len(columns) < 2:
        return []
    some = [column.take(rows) for column in columns]
    x = np.stack([numbers_of(column) for column in some], axis=1)
    x -= x.mean(0)
    scale = x.std(0)
    units = [rounded_to(column) for column in some]
    basis: list[int] = []
    directions = np.empty((len(x), 0))
    found: list[Relation] = []
    for j in np.flatnonzero(scale > 0):
        of_j = x[:, j] / scale[j]
        rest = of_j - directions @ (directions.T @ of_j)
        rest -= directions @ (directions.T @ rest)
        if np.abs(rest).max() * scale[j] > 2 * units[j] + 1e-7 * scale[j] or not basis:
            basis.append(int(j))
            directions = np.column_stack([directions, rest / np.linalg.norm(rest)])
        elif (rule := _equation(columns, x, basis, int(j))) is not None:
            found.append(rule)
    return found


def _with_rows_in_common(columns: Sequence[Column]) -> tuple[list[Column], np.ndarray]:
    """Those with the fewest missing values, as long as rows have all of them, and such rows."""
    there = np.ones(len(columns[0].values) if columns else 0, bool)
    kept: list[str] = []
    for column in sorted(columns, key=lambda c: int(c.missing.sum())):
        both = there & ~column.missing
        if both.sum() >= max(_LEAST_ROWS, 4 * (len(kept) + 1)):
            there, kept = both, [*kept, column.name]
    rows = np.random.default_rng(0).permutation(np.flatnonzero(there))[:_SOUGHT]
    return [column for column in columns if column.name in kept], rows


def _equation(
    columns: Sequence[Column], x: np.ndarray, basis: Sequence[int], j: int
) -> Relation | None:
    """Column j as a sum of some of the basis, if it is one in all rows.

    Args:
        columns: of all rows.
        x: some rows, centred.
        basis: columns that no others determine.
        j: a column that these determine in those rows.
    """
    scale = x.std(0)
    support = list(basis)
    for least in (1e-4, 1e-3):  # a second time without those that were there by rounding alone
        weights = np.linalg.lstsq(x[:, support], x[:, j], rcond=None)[0]
        large = np.abs(weights) * scale[support] > least * scale[j]
        support = [k for k, keep in zip(support, large, strict=True) if keep]
    if not 1 <= len(support) < _MOST_TERMS:
        return None
    weights = np.linalg.lstsq(x[:, support], x[:, j], rcond=None)[0]
    members, equation = [columns[k] for k in (j, *support)], np.array([1.0, *-weights])
    values = np.stack([numbers_of(column) for column in members], axis=1)
    values = values[np.isfinite(values).all(1)]
    units = np.array([rounded_to(column) for column in members])
    for left in range(len(members)):
        for decimals in range(_MOST_DECIMALS + 1):
            c = np.round(equation / equation[left], decimals)
            constant = _constant(values, units, c) if (c != 0).all() else None
            if constant is not None:
                return _stated(members, c, constant, left)
    return None


def _constant(values: np.ndarray, units: np.ndarray, c: np.ndarray) -> float | None:
    """What the columns times c sum up to, if each column follows from the others to its unit."""
    sums = values @ c
    decimals = max((int(np.ceil(-np.log10(unit))) for unit in units if unit), default=9)
    constant = float(np.round(np.median(sums), decimals))
    off, rounding = np.abs(sums - constant).max(), _ROUNDING * np.abs(values * c).max()
    half = np.where(units > 0, 0.5 * units * np.abs(c), 0.0)
    return constant if off <= half.min() + rounding else None


def _stated(members: Sequence[Column], c: np.ndarray, constant: float, left: int) -> Relation:
    names, weights = [column.name for column in members], [float(each) for each in c]
    rest = [(n, -w) for k, (n, w) in enumerate(zip(names, weights, strict=True)) if k != left]
    text = f"{named(names[left])} = {_sum_text(rest, constant)}"
    return Relation(
        text,
        tuple(names),
        tuple(weights),
        constant,
        equal=True,
        derived=names[left],
        found=True,
    )


def named(name: str) -> str:
    """A column's name as a rule has it: in quotes where it holds more than word characters."""
    quote = '"' if '"' not in name else "'"
    return name if name.isidentifier() else f"{quote}{name}{quote}"


def _sum_text(terms: Sequence[tuple[str, float]], constant: float) -> str:
    parts = []
    for name, weight in sorted(terms, key=lambda term: term[1] < 0):
        size = "" if abs(weight) == 1 else f"{abs(weight):.15g} "
        parts.append(f"{'-' if weight < 0 else '+'} {size}{named(name)}")
    if constant:
        parts.append(f"{'-' if constant < 0 else '+'} {abs(constant):.15g}")
    text = " ".join(parts)
    return text.removeprefix("+ ") if text.startswith("+ ") else f"-{text.removeprefix('- ')}"


# ------------------------------------------------------------------------------------ orders


def orders(columns: Sequence[Column]) -> list[Relation]:
    """Pairs of columns, the first never above the second; chains without shortcuts."""
    if len(columns) < 2:
        return []
    rows = np.random.default_rng(0).permutation(len(columns[0].values))[:_FIRST_ROWS]
    below = _never_above(np.stack([_ranked(column.take(rows)) for column in columns], axis=1))
    np.fill_diagonal(below, val=False)
    found: dict[tuple[int, int], Relation] = {}
    for low, high in zip(*np.nonzero(below), strict=True):
        if (rule := _order(columns[low], columns[high])) is not None:
            found[int(low), int(high)] = rule
    return [
        rule
        for (low, high), rule in found.items()
        if not any((low, k) in found and (k, high) in found for k in range(len(columns)))
    ]


def _ranked(column: Column) -> np.ndarray:
    """Values as floats in the same order; dates in microseconds from 2000."""
    return numbers_of(column, int(np.datetime64("2000-01-01", "us").astype(np.int64)))


def _never_above(x: np.ndarray) -> np.ndarray:
    """`(columns, columns)`, whether the first is above the second in none of the rows `x`."""
    found = np.ones((x.shape[1], x.shape[1]), bool)
    with np.errstate(invalid="ignore"):
        for k in range(x.shape[1]):
            found[k] = ~(x[:, k, None] > x).any(0)
    return found


def _order(low: Column, high: Column) -> Relation | None:
    """`high >= low`, if that is no accident, of use, and leaves both columns their values."""
    both = ~(low.missing | high.missing)
    a, b = _ranked(low)[both], _ranked(high)[both]
    if len(a) < _LEAST_ROWS or (a > b).any() or grid_of(low) != grid_of(high):
        return None
    if has_codes(low) or has_codes(high):
        return None
    broken = (a > np.random.default_rng(0).permutation(b)).mean()
    if broken < _BROKEN or broken * len(a) < _BROKEN_ROWS:
        return None
    derived = next((c.name for c in (high, low) if not keeps_values(c)), None)
    strict = bool((b > a).all())
    sign = ">" if strict else ">="
    rule = Relation(
        f"{named(high.name)} {sign} {named(low.name)}",
        (high.name, low.name),
        (1.0, -1.0),
        0.0,
        equal=False,
        strict=strict,
        derived=derived or "",
        found=True,
    )
    slack = numbers_of(slack_column(rule, (high, low)))[both]
    step = max(grid_of(high), 0.0)
    near = (slack <= step + _NEAR * slack.std()).mean() >= _NEAR_ROWS
    return rule if derived and (near or (slack == slack[0]).all()) else None


# ------------------------------------------------------------------------------ combinations


def combinations(columns: Sequence[Column]) -> list[Combination]:
    """Columns that another decides; columns that decide each other stand together once."""
    if len(columns) < 2:
        return []
    rows = np.random.default_rng(0).permutation(columns[0].count)[:_FIRST_ROWS]
    few = np.stack([_codes(column.take(rows)) for column in columns], axis=1)
    varied = [k for k in range(len(columns)) if _varies(few[:, k])]
    pairs = [
        (a, b)
        for a in range(len(columns))
        for b in np.intersect1d(varied, np.flatnonzero(_decided(few, a))).tolist()
        if a != b
    ]
    # A column is in several pairs; of those of a large table few are in memory at once.
    codes = lru_cache(max(2, most_rows(1) // columns[0].count))(lambda k: _codes(columns[k]))
    decides = {(a, b) for a, b in pairs if _decides(codes(a), codes(b))}
    found = []
    for a, b in sorted(decides):
        mutual = (b, a) in decides
        through = any((a, k) in decides and (k, b) in decides and (k, a) not in decides
                      for k in range(len(columns)))  # fmt: skip
        if (not mutual or a < b) and not through:
            text = f"{named(columns[a].name)}, {named(columns[b].name)}"
            found.append(Combination(text, (columns[a].name, columns[b].name), found=True))
    return found


def _codes(column: Column) -> np.ndarray:
    """A number for each value, as they come; -1 where one is missing."""
    known: dict[object, int] = {}
    found = [known.setdefault(value, len(known)) for value in column.values.tolist()]
    return np.where(column.missing, np.int32(-1), np.array(found, np.int32))


def _varies(codes: np.ndarray) -> bool:
    """Whether two values come more than once or twice."""
    return bool((np.bincount(codes[codes >= 0]) > 2).sum() > 1)


def _decided(codes: np.ndarray, a: int) -> np.ndarray:
    """Which columns are equal wherever column a is, in rows that have both; none if a differs."""
    order = np.argsort(codes[:, a], kind="stable")
    own = codes[order, a]
    same = np.flatnonzero((own[1:] == own[:-1]) & (own[1:] >= 0))
    found = np.full(codes.shape[1], len(same) >= _BROKEN_ROWS)
    for some in (same[:_AT_FIRST], same[_AT_FIRST:]):  # most columns differ at once
        left = np.flatnonzero(found)
        before, after = (codes[np.ix_(order[some + k], left)] for k in (0, 1))
        found[left] = ~((before != after) & (before >= 0) & (after >= 0)).any(0)
    return found


def _decides(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a decides b, and would hardly do so if b were shuffled.

    By chance all rows of each value of a have one b with the probability prod_a sum_b p(b)^n(a).
    """
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    if len(a) < _LEAST_ROWS or not _decided(np.stack([a, b], 1), 0)[1]:
        return False
    counts, shares = np.bincount(a), np.bincount(b) / len(b)
    sizes, times = np.unique(counts[counts > 0], return_counts=True)
    if times.sum() > len(a) / 2:
        return False
    log_shares = np.log(shares[shares > 0])
    chance = sum(
        float(t * np.logaddexp.reduce(n * log_shares)) for n, t in zip(sizes, times, strict=True)
    )
    return chance < -_CHANCE
