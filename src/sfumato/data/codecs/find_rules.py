"""Rules that hold in all rows of a table, found where they are no accident and are of use.

equation      columns that others determine to the last digit, with coefficients of few digits
order         of two columns of dates or numbers on one grid, whose ranges mix, where one is never
              below the other and rows lie near the bound: elsewhere no model would cross it
combination   a column that another decides (each city has one country), where that is no chance
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sfumato.data.codecs.columns import CategoricalCodec
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

# A combination that would come about by chance with exp(-this) is none.
_CHANCE = 30.0

# Rows of which pairs of columns must be free of a contradiction first.
_FIRST_ROWS = 256


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
        for rule in combinations(with_categories, types)
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
    columns = _with_rows_in_common(columns)
    if len(columns) < 2:
        return []
    every = np.stack([numbers_of(column) for column in columns], axis=1)
    whole = every[np.isfinite(every).all(1)]
    rows = np.random.default_rng(0).permutation(len(whole))[:_SOUGHT]
    x = whole[rows] - whole[rows].mean(0)
    scale = x.std(0)
    units = np.array([rounded_to(column) for column in columns])
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
        elif (rule := _equation(columns, every, x, units, basis, int(j))) is not None:
            found.append(rule)
    return found


def _with_rows_in_common(columns: Sequence[Column]) -> list[Column]:
    """Those with the fewest missing values, as long as there are rows that have all of them."""
    there = np.ones(len(columns[0].values) if columns else 0, bool)
    kept: list[str] = []
    for column in sorted(columns, key=lambda c: int(c.missing.sum())):
        both = there & ~column.missing
        if both.sum() >= max(_LEAST_ROWS, 4 * (len(kept) + 1)):
            there, kept = both, [*kept, column.name]
    return [column for column in columns if column.name in kept]


def _equation(
    columns: Sequence[Column],
    every: np.ndarray,
    x: np.ndarray,
    units: np.ndarray,
    basis: Sequence[int],
    j: int,
) -> Relation | None:
    """Column j as a sum of some of the basis, if it is one in all rows."""
    scale = x.std(0)
    support = list(basis)
    for least in (1e-4, 1e-3):  # a second time without those that were there by rounding alone
        weights = np.linalg.lstsq(x[:, support], x[:, j], rcond=None)[0]
        large = np.abs(weights) * scale[support] > least * scale[j]
        support = [k for k, keep in zip(support, large, strict=True) if keep]
    if not 1 <= len(support) < _MOST_TERMS:
        return None
    weights = np.linalg.lstsq(x[:, support], x[:, j], rcond=None)[0]
    members, equation = [j, *support], np.array([1.0, *-weights])
    for left in range(len(members)):
        for decimals in range(_MOST_DECIMALS + 1):
            c = np.round(equation / equation[left], decimals)
            if (c != 0).all() and (rule := _exact(columns, every, units, members, c, left)):
                return rule
    return None


def _exact(
    columns: Sequence[Column],
    every: np.ndarray,
    units: np.ndarray,
    members: Sequence[int],
    c: np.ndarray,
    left: int,
) -> Relation | None:
    """The equation of these coefficients, if each of its columns follows from the others."""
    values = every[:, members]
    values = values[np.isfinite(values).all(1)]
    sums = values @ c
    own = units[members]
    decimals = max((int(np.ceil(-np.log10(unit))) for unit in own if unit), default=9)
    constant = float(np.round(np.median(sums), decimals))
    off = np.abs(sums - constant).max()
    rounding = 1e-12 * np.abs(values * c).max()
    half = np.where(own > 0, 0.5 * own * np.abs(c), 0.0)
    if off > half.min() + rounding or len(values) < _LEAST_ROWS:
        return None
    names = [columns[k].name for k in members]
    coefficients = [float(each) for each in c]
    rest = [(n, -w) for k, (n, w) in enumerate(zip(names, coefficients, strict=True)) if k != left]
    text = f"{named(names[left])} = {_sum_text(rest, constant)}"
    return Relation(
        text,
        tuple(names),
        tuple(coefficients),
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
    x = np.stack([_ranked(column) for column in columns], axis=1)
    few = np.random.default_rng(0).permutation(len(x))[:_FIRST_ROWS]
    below = _never_above(x[few])
    found: dict[tuple[int, int], Relation] = {}
    apart = {k for k, column in enumerate(columns) if has_codes(column)}
    for low, high in zip(*np.nonzero(below), strict=True):
        pair = columns[low], columns[high]
        if low == high or {low, high} & apart:
            continue
        with np.errstate(invalid="ignore"):
            holds = not (x[:, low] > x[:, high]).any()
        if holds and (rule := _order(*pair)) is not None:
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
    if both.sum() < _LEAST_ROWS or grid_of(low) != grid_of(high):
        return None
    a, b = _ranked(low)[both], _ranked(high)[both]
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


def combinations(columns: Sequence[Column], types: Mapping[str, ColumnType]) -> list[Combination]:
    """Columns that another decides; columns that decide each other stand together once."""
    if len(columns) < 2:
        return []
    codes = np.stack([_codes(column, types[column.name]) for column in columns], axis=1)
    sizes = codes.max(0) + 1
    few = codes[np.random.default_rng(0).permutation(len(codes))[:_FIRST_ROWS]]
    pairs = [
        (a, int(b))
        for a in range(len(columns))
        for b in np.flatnonzero(_decided(few, a) & (sizes <= sizes[a]))
        if a != b
    ]
    decides = {(a, b) for a, b in pairs if _decides(codes[:, a], codes[:, b])}
    found = []
    for a, b in sorted(decides):
        mutual = (b, a) in decides
        through = any((a, k) in decides and (k, b) in decides and (k, a) not in decides
                      for k in range(len(columns)))  # fmt: skip
        if (not mutual or a < b) and not through:
            text = f"{named(columns[a].name)}, {named(columns[b].name)}"
            found.append(Combination(text, (columns[a].name, columns[b].name), found=True))
    return found


def _codes(column: Column, kind: ColumnType) -> np.ndarray:
    """The category of each value; -1 where one is missing."""
    category = CategoricalCodec.fit(column, kind).encode(column, None).category
    assert category is not None
    return np.where(column.missing, -1, category)


def _decided(codes: np.ndarray, a: int) -> np.ndarray:
    """Which columns are equal wherever column a is, in rows that have both."""
    ordered = codes[np.argsort(codes[:, a], kind="stable")]
    same = (ordered[1:, a] == ordered[:-1, a]) & (ordered[1:, a] >= 0)
    unlike = (ordered[1:] != ordered[:-1]) & (ordered[1:] >= 0) & (ordered[:-1] >= 0)
    return np.asarray(~(same[:, None] & unlike).any(0))


def _decides(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a decides b, and would hardly do so if b were shuffled.

    By chance all rows of each value of a have one b with the probability prod_a sum_b p(b)^n(a).
    """
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    if len(a) < _LEAST_ROWS or not _decided(np.stack([a, b], 1), 0)[1]:
        return False
    counts, shares = np.bincount(a), np.bincount(b) / len(b)
    if len(counts) > len(a) / 2:
        return False
    sizes, times = np.unique(counts[counts > 0], return_counts=True)
    with np.errstate(divide="ignore"):
        log_shares = np.log(shares[shares > 0])
    chance = sum(
        float(t * np.logaddexp.reduce(n * log_shares)) for n, t in zip(sizes, times, strict=True)
    )
    return chance < -_CHANCE
