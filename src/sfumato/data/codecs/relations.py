"""Numbers that rules bind to each other, held by a change of variables.

Every rule of several columns is one linear equation; an order has a slack of its own:

    (1)  sum_k c_k x_k = constant              total - a - b = 0
         sum_k c_k x_k - s = constant, s >= 0  end - start - s = 0

The slacks are columns to the network like the others. In a row where the rules R hold, as many of
the columns, the dependent ones, are left out: neither known nor noisy, as a missing value is. The
rest are free coordinates, and what is left out is computed from them at the end,

    (2)  x_D = A_D^-1 (constant - A_F x_F),   A = (c_k), D left out, F free

so that (1) holds in every row, and the density of a row is that of its free coordinates; |det A_D|
is 1 where the columns left out have coefficient 1. Which are left out depends on what is known:
what is known already determines some (a and total give b), which are then known too; of what is
still unknown columns are left out first, and slacks stay, since a drawn slack is never negative.

Where what is known bounds a free coordinate from the other side (a <= b <= c, given a and c), (2)
may leave the range of a column or make a slack negative; the free ones are then moved as little as
puts it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.data.codecs.columns import NumericCodec, digits_of
from sfumato.data.codecs.rules import MOST_BOUND, Relation, chained, unit_of
from sfumato.data.io.forms import in_digits
from sfumato.data.table import Column
from sfumato.errors import ArgumentError

ABSENT, KNOWN, FREE = 0, 1, 2
"""What a column is in a row: missing or left out, known, to be drawn."""

# Rounds in which free coordinates are moved, for the ranges of columns and then for slacks.
_ROUNDS = 8

# Of numbers that should be integers, and of ranges.
_NEAR = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Pattern:
    """What becomes of the slots of a group, where these are missing and those are known.

    Args:
        roles: of each slot, see `ABSENT`.
        determined: slots that the known columns determine.
        from_known: `(determined, slots)`, and what is added.
        dependent: slots that are left out.
        from_free: `(dependent, slots)`, and what is added.
    """

    roles: np.ndarray
    determined: np.ndarray
    from_known: tuple[np.ndarray, np.ndarray]
    dependent: np.ndarray
    from_free: tuple[np.ndarray, np.ndarray]


class Group:
    """Columns that rules bind together, directly or through others: eq. (1) of them.

    Args:
        columns: their places among the numeric columns.
        slacks: places of their slacks among all slots.
        matrix: `(rules, columns and slacks)`.
        unless: columns beside which a rule says nothing new, `(rules, columns)`.
        constants: `(rules,)`.
        derived: the column that each rule computes, by its place in the group.
        steps: of the grid of each slot; 0 where it has none.
        ranges: the least and the largest value of each slot, `(2, slots)`.
        least: below what no slot may come, whatever is known, `(slots,)`.
        counted: the steps that a density is divided by: as `steps`, but 0 of dates.
    """

    def __init__(
        self,
        columns: np.ndarray,
        slacks: np.ndarray,
        matrix: np.ndarray,
        unless: np.ndarray,
        constants: np.ndarray,
        derived: Sequence[int],
        steps: np.ndarray,
        ranges: np.ndarray,
        least: np.ndarray,
        counted: np.ndarray,
    ) -> None:
        self.columns, self.slacks = columns, slacks
        self.slots = np.concatenate([columns, slacks])
        self.matrix, self.unless, self.constants = matrix, unless, constants
        self.steps, self.ranges, self.least, self.counted = steps, ranges, least, counted
        rest = sorted(
            set(range(len(columns))) - set(derived),
            key=lambda k: bool((np.abs(matrix[:, k]) > 1).any()),
        )
        self.columns_first = [*dict.fromkeys(derived), *rest]
        self._slacks = list(range(len(columns), len(self.slots)))
        self._patterns: dict[int, _Pattern] = {}

    def patterns(self, state: np.ndarray) -> list[tuple[np.ndarray, _Pattern]]:
        """The rows `(k,)` of each pattern that occurs in `state`, `(n, columns)`."""
        code = state.astype(np.int64) @ 3 ** np.arange(state.shape[1], dtype=np.int64)
        found, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        for k, each in enumerate(found.tolist()):
            if each not in self._patterns:
                self._patterns[each] = self._pattern(state[first[k]])
        rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
        every = [self._patterns[each] for each in found.tolist()]
        return list(zip(rows, every, strict=False))  # no rows have no pattern

    def _pattern(self, state: np.ndarray) -> _Pattern:
        """Eq. (2) of the rules whose columns are all there."""
        count = len(self.columns)
        bound, absent = self.matrix[:, :count] != 0, state == ABSENT
        active = ~((bound & absent) | (self.unless & ~absent)).any(1)
        a, c = self.matrix[active], self.constants[active]
        there = (a != 0).any(0)
        there[:count] = state != ABSENT
        known = np.zeros(len(there), bool)
        known[:count] = state == KNOWN
        open_ = np.flatnonzero(there & ~known)
        # A slot is determined where its unit vector is a combination of the equations.
        inverse = np.linalg.pinv(a[:, open_])
        certain = np.isclose(np.diag(inverse @ a[:, open_]), 1, atol=1e-9)
        determined = open_[certain]
        given = a * known
        from_known = _exact(-inverse[certain] @ given), inverse[certain] @ c
        known[determined] = True
        dependent, from_free = self._dependent(a, c, there, known)
        roles = np.where(known, KNOWN, np.where(there, FREE, ABSENT))
        roles[dependent] = ABSENT
        return _Pattern(roles, determined, from_known, dependent, from_free)

    def _dependent(
        self, a: np.ndarray, c: np.ndarray, there: np.ndarray, known: np.ndarray
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """What is left out, unknown ones first, and eq. (2).

        The first choice that keeps all grids; where unknown columns do not, slacks among them.
        """
        first: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | None = None
        columns, slacks = self.columns_first, self._slacks
        for order in ([*columns, *slacks], [columns[0], *slacks, *columns[1:]]):
            chosen: list[int] = []
            for k in sorted((k for k in order if there[k]), key=lambda k: bool(known[k])):
                if len(chosen) < len(a) and _rank(a[:, [*chosen, k]]) > len(chosen):
                    chosen.append(k)
            dependent = np.array(chosen, np.int64)
            left = a.copy()
            left[:, dependent] = 0
            solve = np.linalg.inv(a[:, dependent])
            found = dependent, (_exact(-solve @ (left * there)), solve @ c)
            first = first or found
            drawn = there & ~known
            if self._on_grids(dependent, found[1][0], drawn if drawn.any() else there):
                return found
        assert first is not None
        return first

    def log_volume(self, pattern: _Pattern, asked: np.ndarray) -> float:
        """From the density of a pattern's free slots to that of the columns asked for, nats.

        Args:
            pattern: of which the columns asked for are not known.
            asked: their places, `(columns,)`.
        """
        free = np.flatnonzero(pattern.roles == FREE)
        moves = np.zeros((len(self.slots), len(free)))
        moves[free] = np.eye(len(free))
        moves[pattern.dependent] = pattern.from_free[0][:, free]
        chosen: list[int] = []
        for k in sorted(asked.tolist(), key=lambda k: k not in free):
            if _rank(moves[[*chosen, k]]) > len(chosen):
                chosen.append(k)
        certain = [self.counted[k] for k in asked if k not in chosen and self.counted[k]]
        of_free, of_chosen = self.counted[free], self.counted[chosen]
        if of_free.all() and of_chosen.all():
            volume = np.log(of_free).sum() - np.log(of_chosen).sum()
        else:
            volume = -np.linalg.slogdet(moves[chosen])[1]
        return float(volume - np.log(certain).sum())

    def _on_grids(self, dependent: np.ndarray, matrix: np.ndarray, free: np.ndarray) -> bool:
        """Whether steps of the free slots are steps of the dependent ones."""
        for k, row in zip(dependent, matrix, strict=True):
            used = (row != 0) & free
            if self.steps[k]:
                steps = row[used] * self.steps[used] / self.steps[k]
                if not self.steps[used].all() or (np.abs(steps - np.round(steps)) > _NEAR).any():
                    return False
        return True


def _rank(matrix: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(matrix))


def _exact(matrix: np.ndarray) -> np.ndarray:
    """With integers where only rounding is between."""
    whole = np.round(matrix)
    return np.where(np.abs(matrix - whole) < 1e-9, whole, matrix)


def _applied(of: tuple[np.ndarray, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Matrix times rows and what is added, one slot after another, so that sums are monotone."""
    matrix, constant = of
    total = np.tile(constant, (len(x), 1))
    for k in np.flatnonzero(matrix.any(0)):
        total = total + matrix[:, k] * x[:, k, None]
    return total


class Relations:
    """The numeric columns of a table and the slacks of its rules: the slots of the network.

    Args:
        parts: codecs of the numeric columns.
        rules: those of numbers.

    Raises:
        ArgumentError: if rules bind too many columns together, or leave one nothing to compute.
    """

    def __init__(self, parts: Sequence[NumericCodec], rules: Sequence[Relation]) -> None:
        self.parts = tuple(parts)
        self.rules = tuple(rule for rule in rules if len(rule.names) > 1)
        self.slacks = tuple(rule.slack for rule in self.rules if rule.slack is not None)
        self._place = {part.name: k for k, part in enumerate(parts)}
        self.origins = np.zeros(len(parts), np.int64)
        self._members = [[self._place[name] for name in rule.names] for rule in self.rules]
        self.groups = [self._group(of) for of in self._connected()]
        self.bound = frozenset(name for rule in self.rules for name in rule.names)
        alone = [rule for rule in rules if len(rule.names) == 1]
        # All that what is known may contradict: those of one column and those that follow too.
        self.implied = (*self.rules, *alone, *chained(self.rules))

    def __bool__(self) -> bool:
        """Whether there is a rule."""
        return bool(self.rules)

    def _connected(self) -> list[list[int]]:
        """The rules of each group."""
        groups: list[tuple[set[int], list[int]]] = []
        for k, members in enumerate(self._members):
            bound, of = set(members), [k]
            apart = []
            for columns, rules in groups:
                if columns & bound:
                    bound, of = bound | columns, [*rules, *of]
                else:
                    apart.append((columns, rules))
            groups = [*apart, (bound, sorted(of))]
        for columns, of in groups:
            if len(columns) > MOST_BOUND:
                raise ArgumentError(
                    f"the rule {self.rules[of[0]].text!r} and others bind {len(columns)} columns "
                    f"together; {MOST_BOUND} are the most that can be held. Leave some rules out."
                )
        return [of for _, of in groups]

    def _group(self, of: list[int]) -> Group:
        rules = [self.rules[k] for k in of]
        columns = sorted({place for k in of for place in self._members[k]})
        slack_rules = [k for k in of if self.rules[k].slack is not None]
        numbered = [k for k, rule in enumerate(self.rules) if rule.slack is not None]
        slacks = [len(self.parts) + numbered.index(k) for k in slack_rules]
        own = {place: k for k, place in enumerate(columns)}
        matrix = np.zeros((len(of), len(columns) + len(slacks)))
        unless = np.zeros((len(of), len(columns)), bool)
        for row, k in enumerate(of):
            matrix[row, [own[place] for place in self._members[k]]] = self.rules[k].coefficients
            unless[row, [own[self._place[name]] for name in self.rules[k].unless]] = True
            if k in slack_rules:
                matrix[row, len(columns) + slack_rules.index(k)] = -1
        if any(self.parts[place].kind == "date" for place in columns):
            self.origins[columns] = min(int(self.parts[place].low) for place in columns)
        parts = [self.parts[place] for place in columns]
        codecs = [*parts, *(rule.slack for rule in rules if rule.slack is not None)]
        origins = np.array([*self.origins[columns], *(0 for _ in slacks)])
        lows, highs = (
            np.array([getattr(codec, end) for codec in codecs]) - origins for end in ("low", "high")
        )
        return Group(
            np.array(columns),
            np.array(slacks, np.int64),
            matrix,
            unless,
            np.array([rule.constant for rule in rules]),
            [own[self._place[rule.derived]] for rule in rules],
            np.array([codec.grid_step for codec in codecs], np.float64),
            np.stack([lows, highs]).astype(np.float64),
            np.array(
                [-np.inf] * len(parts)
                + [
                    low if rule.strict else 0.0
                    for rule, low in zip(
                        (self.rules[k] for k in slack_rules), lows[len(parts) :], strict=True
                    )
                ]
            ),
            np.array([0.0 if codec.kind == "date" else codec.grid_step for codec in codecs]),
        )

    # ------------------------------------------------------------------------------ in training

    def present(self, there: np.ndarray) -> np.ndarray:
        """Which slots are there, `(n, slots)`, where those columns are, `(n, columns)`."""
        of_slacks = [self.active(rule, there) for rule in self.rules if rule.slack is not None]
        return np.column_stack([there, *of_slacks])

    def active(self, rule: Relation, there: np.ndarray) -> np.ndarray:
        """In which rows a rule of several columns binds those, `(n,)`; arguments as above."""
        members, unless = ([self._place[n] for n in names] for names in (rule.names, rule.unless))
        return np.asarray(there[:, members].all(1) & ~there[:, unless].any(1))

    def roles(self, state: np.ndarray) -> np.ndarray:
        """Of each slot whether it is absent, known or free, `(n, slots)`.

        Args:
            state: the same of the columns alone, `(n, columns)`, as they are there and known.
        """
        slacks = np.zeros((len(state), len(self.slacks)), state.dtype)
        found = np.concatenate([state, slacks], axis=1)
        for group in self.groups:
            for rows, pattern in group.patterns(state[:, group.columns]):
                found[np.ix_(rows, group.slots)] = pattern.roles
        return found

    # -------------------------------------------------------------------------------- of values

    def numbers(self, columns: Sequence[Column]) -> np.ndarray:
        """Values of the numeric columns as float64, `(n, columns)`; NaN where missing."""
        found = np.empty((len(columns[0].values), len(columns)))
        for k, column in enumerate(columns):
            values = column.values
            if values.dtype.kind == "M":
                values = values.astype(np.int64) - self.origins[k]
            found[:, k] = np.where(column.missing, np.nan, values)
        return found

    def breaks(self, rule: Relation, x: np.ndarray) -> np.ndarray:
        """In which rows of such values a rule does not hold, `(n,)`; NaN breaks nothing."""
        places = [self._place[name] for name in rule.names]
        values = [x[:, k] + (self.origins[k] if len(places) == 1 else 0) for k in places]
        step = unit_of(self.parts[self._place[rule.derived]]) if rule.equal else 0.0
        return np.asarray(rule.broken(values, step))

    def completed(self, x: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Known values, and those that they determine, of all slots `(n, slots)`; NaN elsewhere.

        Args:
            x: values of the columns, `(n, columns)`; NaN where not known.
            state: see `roles`.
        """
        found = np.concatenate([x, np.full((len(x), len(self.slacks)), np.nan)], axis=1)
        for group in self.groups:
            for rows, pattern in group.patterns(state[:, group.columns]):
                if len(pattern.determined):
                    known = np.nan_to_num(found[np.ix_(rows, group.slots)])
                    values = _applied(pattern.from_known, known)
                    found[np.ix_(rows, group.slots[pattern.determined])] = values
        for k, part in enumerate(self.parts):
            new = np.isnan(x[:, k]) & np.isfinite(found[:, k])
            found[new, k] = self._on_grid(part, found[new, k], k, 0)
        return found

    def dependent(self, x: np.ndarray, state: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Eq. (2): the columns `(n, columns)`, those that are left out computed from the others.

        Args:
            x: values of all slots, `(n, slots)`; what stands where one is left out is not read.
            state: see `roles`.
            known: values of the columns that are known as they are, `(n, columns)`; NaN elsewhere.
        """
        found = np.where(np.isnan(x), 0.0, x)
        for group in self.groups:
            for rows, pattern in group.patterns(state[:, group.columns]):
                if not len(pattern.dependent):
                    continue
                of = np.ix_(rows, group.slots)
                values = self._moved(group, pattern, found[of])
                for k in pattern.dependent[pattern.dependent < len(group.columns)]:
                    place = group.columns[k]
                    values[:, k] = self._on_grid(
                        self.parts[place], values[:, k], place, self._sense(place)
                    )
                found[of] = values
        found = found[:, : len(self.parts)]
        return np.where(np.isfinite(known), known, found)

    def _moved(self, group: Group, pattern: _Pattern, x: np.ndarray) -> np.ndarray:
        """Eq. (2), free slots moved where a column would leave its range or a slack be negative."""
        free = np.flatnonzero(pattern.roles == FREE)
        ranges = group.ranges, (group.least, np.full_like(group.least, np.inf))
        matrix = pattern.from_free[0]
        x = x.copy()
        x[:, pattern.dependent] = _applied(pattern.from_free, x)
        for least, most in ranges:
            for _ in range(_ROUNDS):
                moved = False
                for row, k in enumerate(pattern.dependent):
                    if not matrix[row, free].any():
                        continue
                    gap = x[:, k].clip(least[k], most[k]) - x[:, k]
                    for j in free[matrix[row, free] != 0]:
                        off = np.abs(gap) > _NEAR * 1e-3 * (1 + np.abs(x[:, k]))
                        if not off.any():
                            break
                        want = gap[off] / matrix[row, j]
                        if step := group.steps[j]:  # whole steps, rather too far
                            want = np.sign(want) * np.ceil(np.abs(want) / step - _NEAR) * step
                        shift = (x[off, j] + want).clip(least[j], most[j]) - x[off, j]
                        x[off, j] += shift
                        gap[off] -= shift * matrix[row, j]
                        moved = True
                    x[:, pattern.dependent] = _applied(pattern.from_free, x)
                if not moved:
                    break
        return x

    def _sense(self, place: int) -> int:
        """Up or down, to the side where a rule's slack grows; 0 where equations bind the column."""
        senses = {
            int(np.sign(c))
            for rule, members in zip(self.rules, self._members, strict=True)
            for k, c in zip(members, rule.coefficients, strict=True)
            if k == place and rule.slack is not None
        }
        return senses.pop() if len(senses) == 1 else 0

    def _on_grid(self, part: NumericCodec, x: np.ndarray, place: int, sense: int) -> np.ndarray:
        """The nearest values on a column's grid; away from the rule's other side if far from it."""
        values = x
        if part.grid_step:
            at = (x - (part.low - self.origins[place])) / part.grid_step
            near = np.round(at)
            if sense:
                off = np.abs(at - near) > _NEAR
                near = np.where(off, np.ceil(at) if sense > 0 else np.floor(at), near)
            values = near * part.grid_step + (part.low - self.origins[place])
            digits = digits_of(part.grid_step) if part.kind != "date" else None
            values = values if digits is None else np.round(values, digits)
        return in_digits(part.form, values, sense) if sense else np.asarray(values)

    def columns(self, x: np.ndarray) -> list[np.ndarray]:
        """Values `(n, columns)` in the columns' own types."""
        found: list[np.ndarray] = []
        for k, part in enumerate(self.parts):
            values = x[:, k]
            if part.kind == "date":
                moments = (np.round(values).astype(np.int64) + self.origins[k]).clip(*_MOMENTS)
                found.append(moments.astype("datetime64[us]"))
            else:
                found.append(
                    (values if part.dtype == "float64" else np.round(values)).astype(part.dtype)
                )
        return found

    def log_volume(self, rule: Relation) -> float:
        """What an order's slack, or an equation, adds to a row's log density, nats.

        The slack counts as its rule's derived column would; a column that an equation computes has
        its value with certainty, and on a grid that counts over the grid's step.
        """
        part = self.parts[self._place[rule.derived]]
        step = 0.0 if part.kind == "date" else part.grid_step
        if rule.slack is None:
            return -float(np.log(step)) if step else 0.0
        own = 0.0 if rule.slack.kind == "date" else rule.slack.grid_step
        if step and own:
            return float(np.log(own / step))
        return float(np.log(abs(rule.coefficients[rule.names.index(rule.derived)])))

    def log_volumes(self, state: np.ndarray, broken: np.ndarray) -> np.ndarray:
        """From the density of each row's free slots to that of its free columns, nats, `(n,)`.

        As `log_volume`: what follows from the others with certainty counts over its grid's step.

        Args:
            state: see `roles`.
            broken: in which rows each rule is broken, `(n, rules)`; there it adds nothing.
        """
        found = np.zeros(len(state))
        for group, of in zip(self.groups, self._connected(), strict=True):
            own, sound = state[:, group.columns], np.logical_not(broken[:, of].any(axis=1))
            for rows, pattern in group.patterns(own):
                volume = group.log_volume(pattern, np.flatnonzero(own[rows[0]] == FREE))
                found[rows] += np.where(sound[rows], volume, 0.0)
        return found


# Of the years 1 to 9999, in microseconds.
_MOMENTS = (
    int(np.datetime64("0001-01-01", "us").astype(np.int64)),
    int(np.datetime64("9999-12-31T23:59:59.999999", "us").astype(np.int64)),
)
