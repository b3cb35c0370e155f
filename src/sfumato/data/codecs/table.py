"""Between a table and what a network can learn: numeric values near normal, and categories.

Each column has a numeric value, a category or both (see `data.codecs.columns`). A row is its
numeric values `(C,)` and its categories `(D,)`; a numeric value is there only where its column's
category, if it has one, says so. Rules bind some of them to each other (see `data.codecs.rules`).
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.codecs.columns import (
    MOST_MASSES,
    CategoricalCodec,
    ColumnCodec,
    Encoded,
    NumericCodec,
    plain,
    within,
)
from sfumato.data.codecs.combinations import Combinations
from sfumato.data.codecs.correlations import correlations
from sfumato.data.codecs.identifiers import IdentifierCodec
from sfumato.data.codecs.relations import ABSENT, FREE, KNOWN, Relations
from sfumato.data.codecs.repeats import (
    Repeat,
    as_repeats,
    has_value,
    in_order,
    may_repeat,
    nearest,
    repeated,
    repeating,
)
from sfumato.data.codecs.repeats import found_in as repeats_in
from sfumato.data.codecs.rules import (
    Combination,
    Relation,
    Rule,
    chained,
    numbers_of,
    slack_column,
    unit_of,
    with_codes,
    with_slack,
)
from sfumato.data.codecs.units import Unit
from sfumato.data.codecs.units import found_in as units_in
from sfumato.data.io.arrow import is_zone, zone_of
from sfumato.data.io.cells import LARGEST_EXACT, sort
from sfumato.data.io.date_forms import is_elapsed
from sfumato.data.io.elapsed import elapsed_of
from sfumato.data.io.forms import is_form, value_in
from sfumato.data.scratch import ScratchFile
from sfumato.data.stored import fits, in_blocks, most_rows
from sfumato.data.table import Column, ColumnType, DataTable, concatenate
from sfumato.errors import ArgumentError, DataError, RunError, unknown


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTable:
    """Rows as the network sees them.

    Args:
        numeric: `(n, C)` float32, of the columns and then of the rules' slacks; NaN where there is
            none, or it is not known.
        categories: `(n, D)` int64; -1 where it is not known.
        log_width: `(n,)` float64, nats: added to a log density of numeric values and categories it
            is in the columns' own units.
        unseen: `(n, columns)`, True where a category, a missing value or a number in a gap was not
            in the training data.
        broken: `(n, rules)`, True where a rule does not hold.
        exact: `(n, columns)`, the numbers themselves where rules bind some, see
            `data.codecs.relations`; NaN where there is none, or it is not known.
    """

    numeric: Tensor
    categories: Tensor
    log_width: np.ndarray
    unseen: np.ndarray
    broken: np.ndarray
    exact: np.ndarray

    def __len__(self) -> int:
        """How many rows."""
        return len(self.numeric)

    def take(self, rows: Tensor) -> "EncodedTable":
        """The rows at the indices `rows`, `(k,)`."""
        index = rows.numpy()
        return EncodedTable(
            self.numeric[rows],
            self.categories[rows],
            self.log_width[index],
            self.unseen[index],
            self.broken[index],
            self.exact[index],
        )


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """Rows of a table as the network learns them.

    Args:
        numeric: `(n, C)` float32; 0 where a number is missing.
        categories: codes, `(n, D)` int64.
    """

    numeric: Tensor
    categories: Tensor

    def __len__(self) -> int:
        """How many."""
        return len(self.numeric)


@dataclass(frozen=True, slots=True, eq=False)
class TableCells:
    """Rows of a table to learn from, their numeric values as cells of z.

    Args:
        low: where the cells begin, `(n, C)` float32; 0 where a number is missing.
        high: where they end; a value that has no cell is its own end.
        categories: codes, `(n, D)` int64.
    """

    low: Tensor
    high: Tensor
    categories: Tensor

    def __len__(self) -> int:
        """How many."""
        return len(self.low)

    def __getitem__(self, index: Tensor) -> "TableCells":
        """The rows at `index`, `(k,)`."""
        return TableCells(self.low[index], self.high[index], self.categories[index])

    def drawn(self, share: Tensor) -> TableRows:
        """Each value at a place in its cell that has this share of the cell's mass below it.

        Args:
            share: 0 ... 1, `(n, C)`.
        """
        cells = self.low < self.high
        ends = (end[cells].double().numpy() for end in (self.low, self.high, share))
        numeric = self.low.clone()
        numeric[cells] = torch.from_numpy(within(*ends)[0]).float()
        return TableRows(numeric, self.categories)


class StoredCells:
    """The cells of a table that is too large for memory: on disk, row by row.

    Args:
        blocks: the cells of the rows, one block after another.
        row: what one row is there: the ends of the cells of its numbers, and its codes.
    """

    def __init__(self, blocks: Iterable[TableCells], row: np.dtype[Any]) -> None:
        self._file, self._row, self._count = ScratchFile(), row, 0
        for block in blocks:
            rows = np.empty(len(block), row)
            rows["low"], rows["high"] = block.low.numpy(), block.high.numpy()
            rows["codes"] = block.categories.numpy()
            self._file.append(rows)
            self._count += len(rows)

    def __len__(self) -> int:
        """How many rows."""
        return self._count

    def __getitem__(self, index: Tensor) -> TableCells:
        """The rows at `index`, `(k,)`."""
        places, size = index.tolist(), self._row.itemsize
        rows = np.empty(len(places), self._row)
        for k, place in enumerate(places):
            rows[k] = self._file.read(place * size, 1, self._row)[0]
        low, high = (torch.from_numpy(rows[name].copy()) for name in ("low", "high"))
        return TableCells(low, high, torch.from_numpy(rows["codes"].astype(np.int64)))


@dataclass(frozen=True, slots=True)
class TableCodec:
    """Of tables: a codec for each column.

    Args:
        parts: of the columns, in their order.
        rows: how many it was made from.
        names: of all columns of the table, those that were dropped too.
        container: what the table came in: "pandas", "polars", "pyarrow", "array"; empty if that is
            not known.
        identifiers: of the columns that only name the rows: set aside in all but what is drawn.
        correlations: of the numeric values, `(C, C)`; empty where they are not used.
        units: the numeric columns whose values are compared; none where correlations are not used.
        rules: what the columns are to each other in every row.
        relations: the numeric columns and the slacks of rules, bound by these.
        combinations: the categories that may stand together.
    """

    kind: ClassVar[Literal["table"]] = "table"
    classes: ClassVar[tuple[str, ...]] = ()
    bin_width: ClassVar[float | None] = None

    parts: tuple[ColumnCodec, ...]
    rows: int
    names: tuple[str, ...]
    container: str = ""
    identifiers: tuple[IdentifierCodec, ...] = ()
    correlations: tuple[tuple[float, ...], ...] = ()
    units: tuple[Unit, ...] = ()
    rules: tuple[Rule, ...] = ()
    relations: Relations = field(init=False, repr=False, compare=False)
    combinations: Combinations = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bound = [rule for rule in self.rules if isinstance(rule, Relation)]
        numeric = [part for part in self.parts if isinstance(part, NumericCodec)]
        object.__setattr__(self, "relations", Relations(numeric, bound))
        together = [
            (self._places_of(rule), rule.codes)
            for rule in self.rules
            if isinstance(rule, Combination)
        ]
        object.__setattr__(self, "combinations", Combinations(together, self.sizes))

    def _places_of(self, rule: Combination) -> tuple[int, ...]:
        """The places of a rule's columns among those with categories."""
        with_categories = [part.name for part in self.parts if part.sizes]
        return tuple(with_categories.index(name) for name in rule.names)

    @classmethod
    def fit(
        cls,
        table: DataTable,
        kinds: Mapping[str, ColumnType],
        heldout: DataTable | None = None,
        rules: Sequence[Rule] = (),
    ) -> Self:
        """The codecs of columns of these kinds; those that are dropped are left out.

        Args:
            table: rows to learn from.
            kinds: what each column is.
            heldout: further rows of the same file, whose keys must not be drawn either, and whose
                combinations of categories may be.
            rules: that hold in these rows.

        Raises:
            ArgumentError: if the rules bind too many columns together.
            DataError: if there are fewer than two rows, or nothing varies.
        """
        if len(table) < 2:
            raise DataError(f"at least 2 rows are needed to learn from; got {len(table)}.")
        relations = [rule for rule in rules if isinstance(rule, Relation) and len(rule.names) > 1]
        bound = {name for rule in relations for name in rule.names}
        learned = [c for c in table if kinds[c.name] not in ("dropped", "identifier")]
        every = [_codec_of(column, kinds[column.name], bound) for column in learned]
        numeric = {part.name: part for part in every if isinstance(part, NumericCodec)}
        others = repeats_in(learned, numeric, bound)
        parts = tuple(
            replace(numeric[part.name], repeats=others[part.name]) if part.name in others else part
            for part in every
        )
        whole = table if heldout is None else concatenate([table, heldout])
        identifiers = tuple(
            IdentifierCodec.fit(each) for each in whole if kinds[each.name] == "identifier"
        )
        codec = cls(parts, len(table), table.names, identifiers=identifiers)
        codec = replace(codec, rules=codec._fitted(rules, table, whole))
        if not codec.dimension:
            aside = " or only names the rows" * bool(identifiers)
            raise DataError(
                f"every column is constant{aside}; there is nothing to learn.", code="constant"
            )
        return codec

    def _fitted(
        self, rules: Sequence[Rule], table: DataTable, whole: DataTable
    ) -> tuple[Rule, ...]:
        """The rules with what they need of the rows; those of constants are left out.

        Args:
            rules: that hold.
            table: rows to learn from.
            whole: all rows of the file, whose combinations may be drawn.
        """
        parts, found = {part.name: part for part in self.parts}, list[Rule]()
        for rule in rules:
            if any(parts[name].kind == "constant" for name in rule.names):
                continue
            if isinstance(rule, Combination):
                found.append(with_codes(rule, self._codes(whole, rule.names)))
            elif rule.equal or len(rule.names) == 1:
                found.append(rule)
            else:
                found.append(with_slack(rule, table))
        # Where a column in the middle of a chain may be missing, its ends are bound to each other.
        relations = [rule for rule in found if isinstance(rule, Relation)]
        ends = [r for r in chained(relations) if any(parts[name].has_missing for name in r.unless)]
        learned = {name: table[name] for rule in relations for name in rule.names}
        found += [with_slack(r, table) for r in ends if not self._breaks(r, learned).any()]
        return tuple(found)

    def correlated(self, cells: TableCells | StoredCells, source: torch.Generator) -> Self:
        """The same codec with the correlations of rows, if the numeric values are 2 to 32.

        And with the units of the columns that no rule binds: what is between those a slack tells.

        Args:
            cells: of the rows; of those on disk some are taken at random, see `rows_correlated`.
            source: draws these, and the place of each value in its cell.
        """
        count = self.event[0]
        if not 2 <= count <= _MOST_CORRELATED:
            return self
        if isinstance(cells, StoredCells):
            some = torch.randperm(len(cells), generator=source)[: self.rows_correlated]
            z = torch.cat([self._drawn(cells[rows], source) for rows in some.split(_ROWS_DRAWN)])
        else:
            z = self._drawn(cells, source)
        # What rules leave out follows from the others, and says nothing of how much is chance.
        whole = np.full((1, len(self.states)), KNOWN)
        free = torch.from_numpy(np.flatnonzero(self.relations.roles(whole)[0] == KNOWN))
        found = correlations(z, source, free if len(free) < count else None)
        of_parts = zip(self.numeric_parts, z.double().numpy().T, strict=False)
        own = [(part, at) for part, at in of_parts if part.name not in self.relations.bound]
        values = [part.value_at(at) for part, at in own]
        units = units_in(_side_by_side(values, len(z), np.float64), [part for part, _ in own])
        return replace(self, correlations=tuple(map(tuple, found.tolist())), units=units)

    def _drawn(self, cells: TableCells, source: torch.Generator) -> Tensor:
        """Each numeric value at a place in its cell, `(n, C)`; NaN where there is none."""
        z = cells.drawn(torch.rand(cells.low.shape, generator=source)).numeric
        return torch.where(self.present(cells.categories), z, math.nan)

    @property
    def rows_correlated(self) -> int:
        """Of how many rows at most the correlations are, where the table lies on disk."""
        return most_rows(_COPIES_CORRELATED * max(1, self.event[0]))

    def named(self, drawn: DataTable, seed: int, first: int = 0) -> DataTable:
        """Drawn rows with the columns that name them, in the order of the table's.

        Args:
            drawn: rows of the learned columns.
            seed: that they were drawn with.
            first: the place of the first of them among all rows of that seed.
        """
        made = {column.name: column for column in drawn}
        for each in self.identifiers:
            made[each.name] = each.make(first, len(drawn), seed)
        return DataTable(tuple(made[name] for name in self.drawn))

    @property
    def drawn(self) -> tuple[str, ...]:
        """Names of the columns of what is drawn: those learned and those that name the rows."""
        known = {*self.columns, *(each.name for each in self.identifiers)}
        return tuple(name for name in self.names if name in known)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(part.name for part in self.parts)

    @property
    def kinds(self) -> dict[str, ColumnType]:
        """What each column is."""
        return {part.name: part.kind for part in self.parts}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of categories of each column that has some, `(D,)`."""
        return tuple(size for part in self.parts for size in part.sizes)

    @property
    def states(self) -> tuple[int, ...]:
        """For each numeric column the category that says if it is there, by index; -1: always."""
        found, place = [], 0
        for part in self.parts:
            if isinstance(part, NumericCodec):
                found.append(place if part.sizes else -1)
            place += len(part.sizes)
        return tuple(found)

    @property
    def missing_categories(self) -> tuple[int, ...]:
        """For each column with categories the one that means missing; -1 where none does."""
        return tuple(
            size - 1 if part.has_missing else -1 for part in self.parts for size in part.sizes
        )

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The columns that repeat others, each before the one that it repeats."""
        parts = {part.name: part for part in self.parts if isinstance(part, NumericCodec)}
        found = []
        for part in reversed(in_order(list(parts.values()))):
            other = parts[part.repeats]
            open_ = (0, other.repeat_code) if other.repeats else (0,)
            places = self.places(part.name), self.places(other.name)
            found.append(Repeat(*places[0], part.repeat_code, *places[1], open_))
        return tuple(found)

    def places(self, name: str) -> tuple[int, int]:
        """Where a column stands among the numeric values and among the categories; -1: nowhere.

        Raises:
            ArgumentError: if there is no such column that varies.
        """
        varying = {part.name: k for k, part in enumerate(self.parts) if part.kind != "constant"}
        if name not in varying:
            for names, why in (
                ([each.name for each in self.identifiers], "only names the rows"),
                (self.columns, "is the same in every row of training"),
                (self.names, "was dropped when the model was fitted"),
            ):
                if name in names:
                    raise ArgumentError(
                        f"the column {name!r} {why}; take one of {', '.join(sorted(varying))}."
                    )
            raise unknown("column that varies", name, varying)
        before, part = self.parts[: varying[name]], self.parts[varying[name]]
        number = sum(each.is_numeric for each in before) if part.is_numeric else -1
        return number, sum(len(each.sizes) for each in before) if part.sizes else -1

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a row's numeric values, which a process noises."""
        return (len(self.states) + len(self.relations.slacks),)

    @property
    def dimension(self) -> int:
        """Numeric values and categories of a row."""
        return self.event[0] + len(self.sizes)

    @property
    def can_be_unseen(self) -> np.ndarray:
        """Which columns may hold something that was not in the training data, `(columns,)`.

        False for constant columns, and for numeric columns without gaps that may be missing.
        """
        certain = (
            part.kind == "constant"
            or (isinstance(part, NumericCodec) and part.has_missing and not part.has_gaps)
            for part in self.parts
        )
        return ~np.fromiter(certain, bool)

    @property
    def z_range(self) -> np.ndarray:
        """The least and the largest z of each numeric value in the training data, `(2, C)`."""
        slots = (*self.relations.parts, *self.relations.slacks)
        found = [(each.heights[0], each.heights[-1]) for each in slots]
        return np.array(found).reshape(-1, 2).T

    def out_of_range(self, table: DataTable) -> list[str]:
        """One sentence for each column with more than a few values unlike the training data.

        New rows of the same distribution have a value or two out of range too.
        """
        sentences = []
        for part in self.parts:
            column = as_learned(table[part.name], part)
            present = column.present
            if isinstance(part, NumericCodec) and len(present):
                if part.kind == "date":
                    present = present.astype(np.int64)
                in_gap = part.encode(column, None).unseen[~column.missing]
                count = int((in_gap | (present < part.low) | (present > part.high)).sum())
                low, high = (plain(end) for end in part.nearest(np.array([part.low, part.high])))
                what = f"lie beyond {low} to {high}" + " or between known values" * part.has_gaps
            else:
                unseen = part.encode(column, None).unseen & ~column.missing
                count, what = int(unseen.sum()), "were never seen"
            if count * _MANY > len(present):
                of = f"{count:,} of {len(present):,} values"
                sentences.append(f"{part.name!r}: {of} {what}, in what was learned")
        return sentences

    def present(self, categories: Tensor) -> Tensor:
        """Which numeric values are there, `(n, C)`, as the categories `(n, D)` say."""
        there = torch.ones(len(categories), len(self.states), dtype=torch.bool)
        for place, state in enumerate(self.states):
            if state >= 0:
                there[:, place] = categories[:, state] == 0
        return torch.from_numpy(self.relations.present(there.numpy())) if self.relations else there

    def free(
        self, known: EncodedTable, categories: Tensor, asked: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the network is told of the numbers of rows, and which of them it is to draw.

        Args:
            known: what is known of them.
            categories: all of them, or a column's number of categories where it is not known.
            asked: of the numeric columns those that may be drawn; others that are not known count
                as missing. All where not given.

        Returns:
            `(n, C)` float64, NaN where a number is not known or is left out (see
            `data.codecs.relations`), and which are to be drawn.
        """
        numeric, there = known.numeric.double(), self.present(categories)
        if not self.relations:
            drawn = there & ~numeric.isfinite()
            return numeric, drawn if asked is None else drawn & torch.from_numpy(asked)
        open_ = torch.zeros_like(there)
        for each in self.repeats:
            open_[:, each.number] = self.undecided(known, each)
        state = self._state(known, categories, asked)
        roles, z = self.relations.roles(state), numeric.numpy().copy()
        values = self.relations.completed(np.where(state == KNOWN, known.exact, np.nan), state)
        told = self._z_of(values)
        low, high = self.z_range
        z = np.where(np.isnan(z), told.clip(low, high), z)
        return (
            torch.from_numpy(np.where((roles == KNOWN) | open_.numpy(), z, np.nan)),
            torch.from_numpy(roles == FREE),
        )

    def _state(
        self, known: EncodedTable, categories: Tensor, asked: np.ndarray | None
    ) -> np.ndarray:
        """What the numeric columns are in each row, see `data.codecs.relations`; args as `free`."""
        there = self.present(categories)[:, : len(self.states)].numpy()
        drawn = FREE if asked is None else np.where(asked, FREE, ABSENT)
        return np.where(there, np.where(np.isfinite(known.exact), KNOWN, drawn), ABSENT)

    def _z_of(self, values: np.ndarray) -> np.ndarray:
        """The middle of each value's cell in z, of columns and slacks `(n, C)`; NaN where NaN."""
        found, count = np.full(values.shape, np.nan), len(self.states)
        columns = self.relations.columns(np.nan_to_num(values[:, :count]))
        for k, part in enumerate((*self.relations.parts, *self.relations.slacks)):
            some = np.isfinite(values[:, k])
            if k < count:
                own = columns[k]
            elif part.kind == "date":
                own = np.round(np.nan_to_num(values[:, k])).astype("int64").astype("datetime64[us]")
            else:
                own = np.nan_to_num(values[:, k]).astype(part.dtype)
            column = Column(part.name, own, ~some)
            z = part.encode(column, None).z
            assert z is not None
            found[:, k] = np.where(some, z, np.nan)
        return found

    def to_fill(self, table: DataTable) -> DataTable:
        """The table with columns of types that can hold what the model fills in.

        Where values are missing, a frame's categories get those of the model, and a column without
        any value gets the model's type if its own could not hold the model's values.

        Raises:
            DataError: if a column's categories are in an order in which the model's have no place,
                or it holds no text and the model fills in text.
        """
        parts = {part.name: part for part in self.parts}
        return DataTable(
            tuple(
                _to_fill(column, parts[column.name])
                if column.name in parts and column.missing.any()
                else column
                for column in table
            )
        )

    def encode(
        self,
        table: DataTable,
        rng: np.random.Generator | None = None,
        known: np.ndarray | None = None,
    ) -> EncodedTable:
        """Rows as the network sees them; a category that training never had is not known.

        A number in a gap is at the gap's edge.

        Args:
            table: of these columns, in any order.
            rng: spreads values on a grid over their cell; in its middle if None.
            known: which values are told, `(n, columns)`: whether a number repeats one that is not
                is open, see `undecided`. All are where not given.

        Raises:
            DataError: if a column is missing or of another type.
        """
        encoded = self._encoded(table, rng, known)
        of_numbers = [each for each in encoded if each.z is not None]
        categories = [each.category for each in encoded if each.category is not None]
        bound = self._bound(table, of_numbers, rng)
        numeric = [each.z.astype(np.float32) for each in (*of_numbers, *bound.slacks)]  # type: ignore[union-attr]
        codes = torch.from_numpy(_side_by_side(categories, len(table), np.int64))
        return EncodedTable(
            torch.from_numpy(_side_by_side(numeric, len(table), np.float32)),
            codes,
            sum((each.log_width for each in encoded), np.zeros(len(table))) + bound.log_width,
            np.stack([each.unseen for each in encoded], axis=1) & ~bound.not_read,
            bound.broken | self._broken_together(codes, bound.broken),
            bound.exact,
        )

    def _encoded(
        self,
        table: DataTable,
        rng: np.random.Generator | None = None,
        known: np.ndarray | None = None,
    ) -> list[Encoded]:
        """Each column of the table, see `encode`."""
        encoded = [_encoded(part, table, rng) for part in self.parts]
        places = {part.name: k for k, part in enumerate(self.parts)}
        for name, k in places.items():
            part = self.parts[k]
            if isinstance(part, NumericCodec) and part.repeats:
                own, other = (
                    as_learned(table[each], self.parts[places[each]])
                    for each in (name, part.repeats)
                )
                rows = repeating(own, other, part)
                if known is not None:
                    told, codec = known[:, places[part.repeats]], self.parts[places[part.repeats]]
                    assert isinstance(codec, NumericCodec)
                    category = encoded[k].category
                    assert category is not None
                    open_ = ~told & (category == 0) & has_value(codec, own)
                    category = np.where(open_, -1, category)
                    encoded[k], rows = replace(encoded[k], category=category), rows & told
                encoded[k] = as_repeats(encoded[k], rows, part)
        return encoded

    def undecided(self, known: EncodedTable, each: Repeat) -> Tensor:
        """In which rows it is open whether a number that is known repeats the other, `(n,)`."""
        return (known.categories[:, each.category] < 0) & known.numeric[:, each.number].isfinite()

    def value_repeated(self, known: EncodedTable, each: Repeat) -> Column:
        """The other's values in rows where the number that is known repeats it."""
        own, other = self.numeric_parts[each.number], self.numeric_parts[each.other_number]
        z = known.numeric[:, each.number].double().nan_to_num().numpy()
        return nearest(own.decode(z, None, len(z)), other)

    def decided(self, known: EncodedTable, each: Repeat, same: Tensor) -> EncodedTable:
        """What is known where a number that is known does, or does not, repeat the other.

        Args:
            known: of rows.
            each: which repeats which.
            same: whether it does, where that is undecided, `(n,)`.
        """
        open_ = self.undecided(known, each)
        does = open_ & same
        numeric, categories, exact = known.numeric.clone(), known.categories.clone(), known.exact
        categories[open_, each.category] = 0
        categories[does, each.category] = each.code
        numeric[does, each.number] = math.nan
        values = self.value_repeated(known, each)
        other = self.numeric_parts[each.other_number].encode(values, None)
        assert other.z is not None
        numeric[does, each.other_number] = torch.from_numpy(other.z).to(numeric)[does]
        if each.other_category >= 0:
            assert other.category is not None
            codes = torch.from_numpy(other.category)
            # Whether the other repeats a third in turn is open.
            if any(third.number == each.other_number for third in self.repeats):
                codes = torch.where(codes == 0, -1, codes)
            categories[does, each.other_category] = codes[does]
        if exact.size:  # no rule binds it: it is enough that it is known
            exact = exact.copy()
            exact[does.numpy(), each.other_number] = 0.0
        # What has the same value as a number that does not repeat the other does not either.
        for more in self.repeats:
            if more.other_number == each.other_number and more != each:
                alike = self.value_repeated(known, more).values == values.values
                neither = open_ & ~same & self.undecided(known, more) & torch.from_numpy(alike)
                categories[neither, more.category] = 0
        found = replace(known, numeric=numeric, categories=categories, exact=exact)
        return self._compared(found, does)

    def _compared(self, known: EncodedTable, rows: Tensor) -> EncodedTable:
        """What is open in some rows, `(n,)`, though both are known: whether they are equal."""
        for each in self.repeats:
            z = known.numeric[:, each.other_number]
            told = z.isfinite()
            if each.other_category >= 0:
                told |= known.categories[:, each.other_category] > 0
            both = self.undecided(known, each) & told & rows
            if not both.any():
                continue
            own = self.value_repeated(known, each)
            part, codes = self.numeric_parts[each.other_number], None
            if each.other_category >= 0:
                codes = known.categories[:, each.other_category].clamp(min=0).numpy()
            other = part.decode(z.double().numpy(), codes, len(z))
            equal = torch.from_numpy(repeating(own, other, replace(part, point_masses=())))
            numeric, categories = known.numeric.clone(), known.categories.clone()
            categories[both, each.category] = torch.where(equal, each.code, 0)[both]
            numeric[both & equal, each.number] = math.nan
            known = replace(known, numeric=numeric, categories=categories)
        return known

    @property
    def numeric_parts(self) -> list[NumericCodec]:
        """Of the numeric columns."""
        return [part for part in self.parts if isinstance(part, NumericCodec)]

    def log_width_of(
        self,
        table: DataTable,
        targets: Collection[str],
        whole: EncodedTable,
        known: EncodedTable,
        categories: Tensor,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What makes a log density of targets, given the rest of rows, one in their own units.

        Args:
            table: of these columns.
            targets: of which columns.
            whole: the same rows, encoded.
            known: the same without the targets.
            categories: all of them, as for `free`.

        Returns:
            Nats, `(n,)`, and which targets hold what was not in the training data, `(n, columns)`:
            as `EncodedTable` has them of whole rows.
        """
        asked = np.array([part.name in targets for part in self.parts if part.is_numeric], bool)
        drawn = self.free(known, categories, asked)[1].numpy()
        nats, unseen = np.zeros(len(table)), np.zeros((len(table), len(self.parts)), bool)
        place, encoded = 0, self._encoded(table)
        for k, part in enumerate(self.parts):
            if part.name in targets:
                each = encoded[k]
                # A number that follows from others by a rule is not read.
                read = True if each.z is None else drawn[:, place] | ~np.isfinite(each.z)
                nats += np.where(read, each.log_width, 0.0)
                unseen[:, k] = each.unseen & read
            place += part.is_numeric
        if not self.relations:
            return nats, unseen
        own = {part.name: as_learned(table[part.name], part) for part in self.relations.parts}
        drawn &= whole.numeric.isfinite().numpy()
        for place, rule in enumerate(
            (rule for rule in self.relations.rules if rule.slack is not None), len(self.states)
        ):
            assert rule.slack is not None
            slack = slack_column(rule, [own[name] for name in rule.names])
            nats += np.where(drawn[:, place], rule.slack.encode(slack, None).log_width, 0.0)
        bound = [rule in self.relations.rules for rule in self.rules]
        state = self._state(known, categories, asked)
        return nats + self.relations.log_volumes(state, whole.broken[:, bound]), unseen

    def _bound(
        self, table: DataTable, encoded: Sequence[Encoded], rng: np.random.Generator | None
    ) -> "_Bound":
        """What rules make of rows whose columns' numeric values are encoded already."""
        rows, relations = len(table), self.relations
        columns = {each.name: each for each in self.parts}
        learned = {
            name: as_learned(table[name], columns[name])
            for rule in self.rules
            for name in rule.names
        }
        broken = np.zeros((rows, len(self.rules)), bool)
        for k, rule in enumerate(self.rules):
            broken[:, k] = self._breaks(rule, learned)
        found = _Bound([], np.zeros(rows), broken, np.empty((rows, 0)), np.zeros((rows, 1), bool))
        if not relations.implied:
            return found
        own = [as_learned(table[part.name], part) for part in relations.parts]
        exact = relations.numbers(own)
        if not relations:
            return replace(found, exact=exact)
        roles = relations.roles(np.where(np.isfinite(exact), KNOWN, ABSENT))
        left_out = (roles[:, : len(own)] == ABSENT) & np.isfinite(exact)
        widths = np.stack([each.log_width for each in encoded], axis=1)
        log_width = -np.where(left_out, widths, 0.0).sum(1)
        for k, rule in enumerate(self.rules):
            if not isinstance(rule, Relation) or len(rule.names) == 1:
                continue
            there = relations.active(rule, np.isfinite(exact))
            broken[:, k] &= there
            if rule.slack is not None:
                slack = slack_column(rule, [learned[name] for name in rule.names])
                each = rule.slack.encode(slack, None if rng is None else rng.random(rows))
                broken[:, k] |= there & each.unseen
                assert each.z is not None
                z = np.where(there & ~broken[:, k], each.z, np.nan)
                log_width += np.where(np.isfinite(z), each.log_width, 0.0)
                found.slacks.append(replace(each, z=z))
            log_width += np.where(there & ~broken[:, k], relations.log_volume(rule), 0.0)
        not_read = np.zeros((rows, len(self.parts)), bool)
        not_read[:, [part.is_numeric for part in self.parts]] = left_out
        return replace(found, log_width=log_width, exact=exact, not_read=not_read)

    def _breaks(self, rule: Rule, columns: Mapping[str, Column]) -> np.ndarray:
        """In which rows a rule does not hold, as far as its columns' values are known ones."""
        parts = {part.name: part for part in self.parts}
        if isinstance(rule, Combination):
            codes = [parts[name].encode(columns[name], None).category for name in rule.names]
            rows = np.stack([each for each in codes if each is not None], axis=1)
            seen = set(rule.codes)
            unlike = np.array([tuple(row) not in seen for row in rows.tolist()], bool)
            return np.asarray(unlike & (rows >= 0).all(1))
        step = 0.0
        if rule.equal:
            part = parts[rule.derived]
            assert isinstance(part, NumericCodec)
            step = unit_of(part)
        origin = min(
            (int(parts[name].low) for name in rule.names if parts[name].kind == "date"),  # type: ignore[union-attr]
            default=0,
        )
        numbers = [
            numbers_of(columns[name], origin if len(rule.names) > 1 else 0) for name in rule.names
        ]
        return rule.broken(numbers, step)

    def contradicted(
        self, known: EncodedTable, *, found_too: bool = True
    ) -> tuple[int, Rule] | None:
        """The first row whose known values break a rule, and that rule; None if there is none.

        Args:
            known: what is known of rows.
            found_too: look at rules that were found and not stated, too.
        """
        first = [
            (int(np.flatnonzero(rows)[0]), rule)
            for rule, rows in self.broken_rules(known)
            if found_too or not rule.found
        ]
        return min(first, key=lambda each: each[0], default=None)

    def broken_rules(self, known: EncodedTable) -> list[tuple[Rule, np.ndarray]]:
        """The rules that known values break, and in which rows, `(n,)`.

        Args:
            known: what is known of rows.
        """
        found: list[tuple[Rule, np.ndarray]] = [
            (rule, self.relations.breaks(rule, known.exact)) for rule in self.relations.implied
        ]
        combinations = [rule for rule in self.rules if isinstance(rule, Combination)]
        if combinations:
            sizes = torch.tensor(self.sizes, dtype=torch.int64)
            codes = torch.where(known.categories < 0, sizes, known.categories)
            impossible = ~self.combinations.possible(codes).numpy()
            own, whole = [], []
            for rule in combinations:
                places = list(self._places_of(rule))
                seen, of_rule = set(rule.codes), codes[:, places].tolist()
                unseen = np.array([tuple(row) not in seen for row in of_rule], dtype=bool)
                own.append(impossible & unseen)
                whole.append(own[-1] & (codes[:, places] < sizes[places]).all(1).numpy())
            # What only several rules together exclude is laid to those with unknown columns.
            of_several = impossible & ~np.any(whole, axis=0)
            pairs = zip(combinations, own, whole, strict=True)
            found += [(rule, alone | (part & of_several)) for rule, part, alone in pairs]
        return [(rule, rows) for rule, rows in found if rows.any()]

    def _broken_together(self, categories: Tensor, broken: np.ndarray) -> np.ndarray:
        """Which combinations an unseen category breaks though none does alone, `(n, rules)`.

        Those of its column, where no category that was seen goes with what they bind it to.
        """
        found = np.zeros_like(broken)
        some = np.flatnonzero((categories < 0).any(1).numpy())
        if not (self.combinations and len(some)):
            return found
        sizes = torch.tensor(self.sizes, dtype=torch.int64)
        codes = torch.where(categories[some] < 0, sizes, categories[some])
        impossible = ~self.combinations.possible(self.hide_broken(codes, broken[some])).numpy()
        for k, rule in enumerate(self.rules):
            if isinstance(rule, Combination):
                unseen = (categories[some][:, list(self._places_of(rule))] < 0).any(1).numpy()
                found[some, k] = impossible & unseen
        return found

    def hide_broken(self, categories: Tensor, broken: np.ndarray) -> Tensor:
        """Codes with those hidden, as not known, whose combination was not in the training data.

        Args:
            categories: `(n, D)`; a column's number of categories where its category is not known.
            broken: see `EncodedTable`.
        """
        found = categories.clone()
        for k, rule in enumerate(self.rules):
            if isinstance(rule, Combination):
                for place in self._places_of(rule):
                    found[torch.from_numpy(broken[:, k]), place] = self.sizes[place]
        return found

    def to_learn(self, table: DataTable) -> TableCells | StoredCells:
        """Rows to learn from; on disk where the table does not fit into memory.

        Raises:
            DataError: as `encode`.
        """
        blocks = map(self._cells, in_blocks(table))
        if fits(len(table), len(table.columns)):
            return next(blocks)
        return StoredCells(blocks, self.row)

    @property
    def row(self) -> np.dtype[Any]:
        """A row of `StoredCells`."""
        numbers, code = (np.float32, self.event), np.min_scalar_type(max(self.sizes, default=1))
        return np.dtype(
            [("low", *numbers), ("high", *numbers), ("codes", code, (len(self.sizes),))]
        )

    def _cells(self, table: DataTable) -> TableCells:
        """The cells of rows in memory."""
        encoded = self.encode(table)
        learned = {part.name: as_learned(table[part.name], part) for part in self.parts}
        cells = [part.cell(learned[part.name]) for part in self.relations.parts]
        cells += [
            rule.slack.cell(slack_column(rule, [learned[name] for name in rule.names]))
            for rule in self.relations.rules
            if rule.slack is not None
        ]
        there = encoded.numeric.isfinite()
        # Of what repeats another, too: where that is not known the number is shown.
        for each in self.repeats:
            there[:, each.number] |= encoded.categories[:, each.category] == each.code
        low, high = (
            torch.where(there, torch.from_numpy(_side_by_side(ends, len(table), np.float32)), 0.0)
            for ends in ([cell[end].astype(np.float32) for cell in cells] for end in (0, 1))
        )
        return TableCells(low, high, encoded.categories)

    def decode(
        self, numeric: Tensor, categories: Tensor, exact: np.ndarray | None = None
    ) -> DataTable:
        """The inverse, of rows whose categories are all known.

        Args:
            numeric: see `EncodedTable`; what rules leave out is computed from the others.
            categories: codes.
            exact: see `EncodedTable`.
        """
        z, k = numeric.double().numpy(), categories.numpy()
        columns, i, j = [], 0, 0
        for part in self.parts:
            of_z = z[:, i] if isinstance(part, NumericCodec) else None
            of_k = k[:, j] if part.sizes else None
            columns.append(part.decode(of_z, of_k, len(z)))
            i += of_z is not None
            j += of_k is not None
        found = {each.name: each for each in self._held(columns, z, categories, exact)}
        for part in in_order([part for part in self.parts if isinstance(part, NumericCodec)]):
            rows = k[:, self.places(part.name)[1]] == part.repeat_code
            other = found[part.repeats]
            found[part.name] = repeated(found[part.name], other, rows, part)
        return DataTable(tuple(found.values()))

    def _held(
        self, columns: list[Column], z: np.ndarray, categories: Tensor, exact: np.ndarray | None
    ) -> list[Column]:
        """The columns with those that rules leave out computed from the others."""
        relations, count = self.relations, len(self.states)
        if not relations:
            return columns
        numeric = [k for k, part in enumerate(self.parts) if part.is_numeric]
        slacks = [
            slack.decode(z[:, count + k], None, len(z)) for k, slack in enumerate(relations.slacks)
        ]
        x = np.column_stack(
            [
                relations.numbers([columns[k] for k in numeric]),
                *(numbers_of(each) for each in slacks),
            ]
        )
        there = self.present(categories)[:, :count].numpy()
        known = np.full(there.shape, np.nan) if exact is None else np.where(there, exact, np.nan)
        state = np.where(there, np.where(np.isfinite(known), KNOWN, FREE), ABSENT)
        x[:, :count] = np.where(np.isfinite(known), known, x[:, :count])
        completed = relations.completed(known, state)
        x = np.where(np.isfinite(completed), completed, x)
        values = relations.columns(relations.dependent(x, state, known))
        for k, place in enumerate(numeric):
            part, column = relations.parts[k], columns[place]
            if part.name in relations.bound:
                new = np.where(there[:, k], values[k], column.values)
                columns[place] = replace(column, values=new.astype(column.values.dtype))
        return columns

    def held(self, guess: DataTable, drawn: DataTable, draws: int, rows: DataTable) -> DataTable:
        """Guesses of columns one by one, made to keep the rules.

        Args:
            guess: whole rows.
            drawn: of each row so many draws, one after another.
            draws: how many.
            rows: what is known of each, missing values elsewhere.
        """
        found = {column.name: column for column in guess}
        for names in self._together():
            likely = drawn.take(self._most_frequent(drawn, names, draws))
            found |= {name: likely[name] for name in names}
        if not self.relations:
            return DataTable(tuple(found.values()))
        first = drawn.take(np.arange(len(rows)) * draws)
        for part in self.relations.parts:
            if part.name in self.relations.bound:
                guessed, missing = found[part.name], rows[part.name].missing
                values = np.where(missing, guessed.values, first[part.name].values)
                found[part.name] = replace(guessed, values=values)
        exact = self.relations.numbers([found[part.name] for part in self.relations.parts])
        known = np.stack([~rows[part.name].missing for part in self.relations.parts], axis=1)
        known &= np.isfinite(exact)
        state = np.where(known, KNOWN, np.where(np.isfinite(exact), FREE, ABSENT))
        slacks = [  # guesses on two grids may have crossed
            numbers_of(slack_column(rule, [found[name] for name in rule.names])).clip(
                rule.slack.low, rule.slack.high
            )
            for rule in self.relations.rules
            if rule.slack is not None
        ]
        x, given = np.column_stack([exact, *slacks]), np.where(known, exact, np.nan)
        values_of = self.relations.columns(self.relations.dependent(x, state, given))
        for part, values in zip(self.relations.parts, values_of, strict=True):
            if part.name in self.relations.bound:
                column = found[part.name]
                held = np.where(column.missing, column.values, values)
                found[part.name] = replace(column, values=held.astype(column.values.dtype))
        return DataTable(tuple(found.values()))

    def _together(self) -> list[tuple[str, ...]]:
        """Names of the columns whose categories stand together, rule by rule where they share."""
        with_categories = [part.name for part in self.parts if part.sizes]
        return [
            tuple(with_categories[place] for place in places) for places in self.combinations.places
        ]

    def _codes(self, table: DataTable, names: Sequence[str]) -> np.ndarray:
        """The categories of some columns, `(n, columns)`; -1 where one is unseen."""
        parts = {part.name: part for part in self.parts}
        codes = [_encoded(parts[name], table, None).category for name in names]
        return np.stack([each for each in codes if each is not None], axis=1)

    def _most_frequent(self, drawn: DataTable, names: Sequence[str], draws: int) -> np.ndarray:
        """Of each row the place of the first draw with its most frequent combination, `(n,)`."""
        _, kind = np.unique(self._codes(drawn, names), axis=0, return_inverse=True)
        same = kind.reshape(-1, draws, 1) == kind.reshape(-1, 1, draws)
        return np.asarray(same.sum(2).argmax(1) + np.arange(len(same)) * draws)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, exact through JSON."""
        parts = [{_NAMES[type(part)]: asdict(part)} for part in self.parts]
        names = list(self.names)
        identifiers = [asdict(each) for each in self.identifiers]
        rest = {"rows": self.rows, "names": names, "container": self.container}
        together = {"identifiers": identifiers, "correlations": [*map(list, self.correlations)]}
        units = [asdict(unit) for unit in self.units]
        rules = [{_RULES[type(rule)]: asdict(rule)} for rule in self.rules]
        return {"table": parts, **rest, **together, "units": units, "rules": rules}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; the values may come from a stranger's file.

        Raises:
            RunError: if they do not describe a codec.
        """
        try:
            names = tuple(_field(plain, "names", list))
            codec = cls(
                tuple(_part(each) for each in _field(plain, "table", list)),
                _field(plain, "rows", int),
                names,
                str(plain.get("container", "")),
                tuple(IdentifierCodec.from_dict(each) for each in plain.get("identifiers", ())),
                tuple(tuple(row) for row in plain.get("correlations", ())),
                tuple(map(_unit, plain.get("units", ()))),
            )
            rules = tuple(_rule(each, codec) for each in plain.get("rules", ()))
            codec = replace(codec, rules=rules)
            columns = (*codec.columns, *(each.name for each in codec.identifiers))
            sound = len(set(columns)) == len(columns) and codec.dimension > 0 < codec.rows
            sound = sound and set(columns) <= set(names) and _all(names, str)
            sound = sound and codec.container in _CONTAINERS and _are_correlations(codec)
            sound = sound and _are_repeats(codec) and _are_units(codec)
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise RunError("the model's description of its columns is damaged.") from error
        if not sound:
            raise RunError("the model's description of its columns is damaged.")
        for part in (*codec.parts, *codec.identifiers):
            if (zone := zone_of(part.frame_dtype)) and not is_zone(zone):
                raise RunError(
                    f"the model's column {part.name!r} is of times in the zone {zone!r}, which is "
                    "not known here; is the tz database (the package tzdata) installed?"
                )
        return codec


# Of more numbers than these their posterior would cost more than the network.
_MOST_CORRELATED = 32

# Numbers in memory for each one that is correlated; and rows that are drawn at once.
_COPIES_CORRELATED, _ROWS_DRAWN = 8, 4096

# One in so many is more than a few.
_MANY = 20

_RULES = {Relation: "relation", Combination: "combination"}

_NAMES = {CategoricalCodec: "categorical", NumericCodec: "numeric"}

# Dates are of the years 1 to 9999.
_FIRST_DAY, _END_OF_DAYS = np.array(["0001-01-01", "10000-01-01"], "datetime64[us]")

_CONTAINERS = ("", "array", "pandas", "polars", "pyarrow")


@dataclass(frozen=True, slots=True, eq=False)
class _Bound:
    """What rules add to rows that are encoded column by column.

    Args:
        slacks: of the rules, `(n,)` each.
        log_width: what is to be added, `(n,)`.
        broken: see `EncodedTable`.
        exact: see `EncodedTable`.
        not_read: values that are left out, `(n, columns)`: what is unseen in them does not count.
    """

    slacks: list[Encoded]
    log_width: np.ndarray
    broken: np.ndarray
    exact: np.ndarray
    not_read: np.ndarray


def _codec_of(column: Column, kind: ColumnType, bound: Collection[str]) -> ColumnCodec:
    if kind not in ("continuous", "integer", "date"):
        return CategoricalCodec.fit(column, kind)
    present = column.present
    if not (present != present[:1]).any():  # it varies in rows that are kept out alone
        return CategoricalCodec.fit(column, "constant")
    return NumericCodec.fit(column, kind, point_masses=column.name not in bound)


def _encoded(part: ColumnCodec, table: DataTable, rng: np.random.Generator | None) -> Encoded:
    """A column of the table, brought to the type that its codec knows."""
    if part.name not in table.names:
        raise DataError(
            f"the column {part.name!r}, which the model learned, is not there; the columns are "
            f"{', '.join(table.names[:8])}{', ...' * (len(table.names) > 8)}."
        )
    return part.encode(
        as_learned(table[part.name], part), None if rng is None else rng.random(len(table))
    )


def refuse_others(table: DataTable, parts: Sequence[ColumnCodec], where: str) -> None:
    """Refuse a table whose columns do not hold what was learned from.

    Args:
        table: with a column for each of the parts.
        parts: what was learned.
        where: the table's file, for the message.

    Raises:
        DataError: naming all such columns.
    """
    told = []
    for part in parts:
        try:
            as_learned(table[part.name], part)
        except DataError as error:
            told.append(str(error).removesuffix("."))
    if told:
        raise DataError(f"{where}: {'; and '.join(told)}.")


def as_learned(column: Column, part: ColumnCodec) -> Column:
    """The column with values of the codec's type, if they can be.

    Raises:
        DataError: if they cannot.
    """
    values, want = column.values, np.dtype(part.dtype)
    # A file's times are read as minutes or seconds; a frame's are seconds.
    alike = part.form or (":ss" in column.form and elapsed_of(part.frame_dtype))
    if is_elapsed(column.form) and not alike:
        raise DataError(
            f"the column {part.name!r} holds times or durations ({column.form}); the model learned "
            f"{_NOUNS[want.kind]} there."
        )
    if values.dtype.kind == want.kind:
        return Column(column.name, values.astype(want), column.missing)
    if column.missing.all():
        return Column(column.name, np.zeros(len(values), want), column.missing)
    converted = None
    if want.kind in "fi" and values.dtype.kind in "fib":
        if want.kind == "i" and np.abs(column.present.astype(np.float64)).max() > LARGEST_EXACT:
            raise DataError(
                f"the column {part.name!r} holds numbers beyond 2^53; the model learned integers "
                "there."
            )
        converted = np.where(column.missing, 0, values).astype(want)
        whole = np.where(column.missing, 0, values).astype(np.float64)
        if want.kind == "i" and not np.array_equal(np.round(whole), whole):
            row = int(np.flatnonzero(np.round(whole) != whole)[0])
            raise DataError(
                f"row {row + 1}, column {part.name!r}: {whole[row]:g} is no integer, and the model "
                "learned integers there."
            )
    elif want.kind == "O":
        converted = values.astype(str).astype(object)
    elif want.kind == "b" and values.dtype.kind in "fi" and np.isin(column.present, (0, 1)).all():
        converted = values.astype(bool)
    if converted is None:
        raise DataError(
            f"the column {part.name!r} holds {_NOUNS[values.dtype.kind]}{_such_as(column, part)}; "
            f"the model learned {_NOUNS[want.kind]} there."
        )
    return Column(column.name, converted, column.missing)


def _such_as(column: Column, part: ColumnCodec) -> str:
    """Of text, the first value that is none of the codec's type or form, and its row."""
    if column.values.dtype.kind != "O":
        return ""
    family = {"b": "boolean", "M": "date"}.get(np.dtype(part.dtype).kind, "number")
    for row in np.flatnonzero(~column.missing):
        value = str(column.values[row])
        of_form = part.form and value_in(part.form, value) is not None
        if not of_form and sort(value.strip()).family != family:
            return f", such as {value!r} in row {row + 1}"
    return ""


def _to_fill(column: Column, part: ColumnCodec) -> Column:
    """A column with missing values, so that it can hold those of the codec; see `to_fill`."""
    want, kind = np.dtype(part.dtype), column.values.dtype.kind
    text = part.categories if isinstance(part, CategoricalCodec) and want.kind == "O" else ()
    if part.kind == "constant" and not (isinstance(part, CategoricalCodec) and part.categories):
        return column  # nothing is filled in
    if column.missing.all() and (part.form or not _can_hold(column, want)):
        empty = np.zeros(len(column.values), want)
        if column.dtype == "object":  # of pandas, which holds anything
            return replace(column, values=empty)
        declared, ordered = (
            (part.declared, part.ordered) if isinstance(part, CategoricalCodec) else (None, False)
        )
        frame = declared, ordered, part.frame_dtype
        return Column(column.name, empty, column.missing, *frame, form=part.form)
    if text and kind != "O":
        raise DataError(
            f"the column {column.name!r} holds {_NOUNS[kind]}, and the model fills in text, such "
            f"as {text[0]!r}; make the column text."
        )
    return _with_categories(
        column, text, part.declared if isinstance(part, CategoricalCodec) else None
    )


def _can_hold(column: Column, want: np.dtype[Any]) -> bool:
    """Whether a column without any value can hold values of a type."""
    if column.dtype.lower().startswith("null") or column.categories == ():
        return False
    kinds = column.values.dtype.kind, want.kind
    return kinds[0] == kinds[1] or set(kinds) <= set("fib")


def _with_categories(column: Column, text: Sequence[str], declared: Sequence[str] | None) -> Column:
    """The frame's categories and those of the model, in the model's order if that is theirs too."""
    if column.categories is None or set(text) <= set(column.categories):
        return column
    if (
        declared is not None
        and tuple(k for k in declared if k in column.categories) == column.categories
    ):
        return replace(column, categories=tuple(declared))
    new = [each for each in text if each not in column.categories]
    if column.ordered and not column.dtype.startswith("Enum"):  # an Enum always has an order
        raise DataError(
            f"the column {column.name!r} has categories in an order, without {new[0]!r}, which the "
            "model may fill in; add it to them in its place."
        )
    return replace(column, categories=(*column.categories, *new))


_NOUNS = {"f": "numbers", "i": "integers", "b": "booleans", "O": "text", "M": "dates"}


def _side_by_side(arrays: list[np.ndarray], rows: int, dtype: Any) -> np.ndarray:
    return np.stack(arrays, axis=1) if arrays else np.empty((rows, 0), dtype)


def _are_correlations(codec: TableCodec) -> bool:
    """Whether its correlations are some: symmetric, positive definite, 1 on the diagonal."""
    found, count = codec.correlations, codec.event[0]
    if not found:
        return True
    if not 2 <= len(found) == count <= _MOST_CORRELATED or any(len(row) != count for row in found):
        return False
    if not all(_all(row, int, float) for row in found):
        return False
    matrix = np.array(found, np.float64)
    if not np.isfinite(matrix).all() or not np.array_equal(matrix, matrix.T):
        return False
    return bool((np.diagonal(matrix) == 1).all() and np.linalg.eigvalsh(matrix)[0] > 0)


def _are_repeats(codec: TableCodec) -> bool:
    """Whether its columns repeat others of their kind; raises what `from_dict` catches."""
    numeric = {part.name: part for part in codec.parts if isinstance(part, NumericCodec)}
    return not any(
        not may_repeat(part, numeric[part.repeats])
        or {part.name, part.repeats} & codec.relations.bound
        for part in in_order(list(numeric.values()))
    )


def _unit(plain: Mapping[str, Any]) -> Unit:
    """A unit from plain values; raises what `from_dict` catches."""
    names, corners, pairs, scales = (
        tuple(_field(plain, name, list)) for name in ("names", "corners", "pairs", "scales")
    )
    pairs = tuple(map(tuple, pairs))
    places = all(_all(pair, int) for pair in pairs)
    if not (len(plain) == 4 and places and _all(names, str) and _all(corners + scales, int, float)):
        raise TypeError
    return Unit(names, corners, pairs, scales)


def _are_units(codec: TableCodec) -> bool:
    """Whether its units are some, of numeric columns that correlate, each in one at most.

    And whether each column that repeats another is of that one's unit, if both are of some.
    """
    unit_of = {name: unit for unit in codec.units for name in unit.names}
    numeric = {part.name for part in codec.numeric_parts} - codec.relations.bound
    return (
        all(unit.is_sound for unit in codec.units)
        and len(unit_of) == sum(len(unit.names) for unit in codec.units)
        and unit_of.keys() <= numeric
        and bool(codec.correlations or not unit_of)
        and all(
            len(part.point_masses) <= MOST_MASSES
            for part in codec.numeric_parts
            if part.name in unit_of
        )
        and all(
            unit_of[part.name] is unit_of[part.repeats]
            for part in in_order(codec.numeric_parts)
            if {part.name, part.repeats} <= unit_of.keys()
        )
    )


def _field(plain: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a field, of a type; raises what `from_dict` catches."""
    value = plain[name]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise TypeError
    return value


def _all(values: Iterable[Any], *kinds: type) -> bool:
    return all(isinstance(each, kinds) and not isinstance(each, bool) for each in values)


def _part(plain: Mapping[str, Any]) -> ColumnCodec:
    """A column's codec from plain values; raises what `from_dict` catches."""
    ((name, values),) = plain.items()
    kind = {v: k for k, v in _NAMES.items()}[name]
    before: dict[str, Any] = {"form": "", **({"repeats": ""} if kind is NumericCodec else {})}
    values = {**before, **values}  # of a model of before there were any
    if set(values) != {field.name for field in fields(kind)}:
        raise ValueError
    part = kind(
        **{k: tuple(each) if isinstance(each, list) else each for k, each in values.items()}
    )
    for text in ("name", "kind", "dtype", "frame_dtype", *before):
        _field(values, text, str)
    _field(values, "has_missing", bool)
    if not _all([part.grid_step], int, float) or not 0 <= float(part.grid_step) < math.inf:
        raise ValueError
    if not is_form(part.form, part.dtype):
        raise ValueError
    return _sound_categorical(part) if isinstance(part, CategoricalCodec) else _sound_numeric(part)


def _rule(plain: Mapping[str, Any], codec: TableCodec) -> Rule:
    """A rule from plain values; raises what `from_dict` catches."""
    ((name, values),) = plain.items()
    kind = {v: k for k, v in _RULES.items()}[name]
    parts = {part.name: part for part in codec.parts}
    if set(values) != {field.name for field in fields(kind)}:
        raise ValueError
    _field(values, "text", str)
    _field(values, "found", bool)
    names = tuple(_field(values, "names", list))
    if not names or len(set(names)) < len(names):
        raise ValueError
    of = [parts[each] for each in names]
    if kind is Combination:
        codes = tuple(tuple(each) for each in _field(values, "codes", list))
        sizes = [part.sizes[0] for part in of]
        for row in codes:
            inside = len(row) == len(sizes) and _all(row, int)
            if not inside or not all(0 <= c < size for c, size in zip(row, sizes, strict=True)):
                raise ValueError
        if not codes or not all(isinstance(part, CategoricalCodec) for part in of):
            raise ValueError
        return Combination(values["text"], names, codes, values["found"])
    coefficients, constant = tuple(_field(values, "coefficients", list)), values["constant"]
    numbers = (*coefficients, constant)
    if not _all(numbers, int, float) or not all(map(math.isfinite, numbers)):
        raise ValueError
    if len(coefficients) != len(names) or not all(coefficients):
        raise ValueError
    slack, several, equal = values["slack"], len(names) > 1, _field(values, "equal", bool)
    massless = not several or not any(getattr(part, "point_masses", ()) for part in of)
    if not massless or not all(isinstance(part, NumericCodec) for part in of):
        raise ValueError
    if (slack is None) != (equal or not several) or (equal and not several):
        raise ValueError
    if values["derived"] not in (names if several else ("",)):
        raise ValueError
    unless = tuple(_field(values, "unless", list))
    if not all(isinstance(parts[each], NumericCodec) for each in unless) or (equal and unless):
        raise ValueError
    codec_of_slack = None if slack is None else _part({"numeric": slack})
    if isinstance(codec_of_slack, NumericCodec) and (
        codec_of_slack.low < 0 or codec_of_slack.sizes
    ):
        raise ValueError
    return Relation(
        values["text"],
        names,
        coefficients,
        constant,
        equal,
        _field(values, "strict", bool),
        values["derived"],
        codec_of_slack,  # type: ignore[arg-type]
        values["found"],
        unless,
    )


def _sound_categorical(part: CategoricalCodec) -> CategoricalCodec:
    kinds = {"object": str, "int64": int, "float64": float, "bool": bool, "datetime64[us]": str}
    of = kinds[part.dtype]
    texts = part.declared is None or (isinstance(part.declared, tuple) and _all(part.declared, str))
    if part.kind not in ("categorical", "ordinal", "boolean", "constant") or not texts:
        raise ValueError
    if not isinstance(part.categories, tuple) or not all(
        type(each) is of for each in part.categories
    ):
        raise TypeError
    values = np.array(part.categories, dtype=part.dtype)
    if len(set(values.tolist())) != len(part.categories):
        raise ValueError
    if part.dtype == "float64" and not np.isfinite(values).all():
        raise ValueError
    if part.dtype == "datetime64[us]":
        exact = all(
            plain(value) == each for value, each in zip(values, part.categories, strict=True)
        )
        if not exact or not ((values >= _FIRST_DAY) & (values < _END_OF_DAYS)).all():
            raise ValueError
    if not isinstance(part.ordered, bool):
        raise TypeError
    return part


def _sound_numeric(part: NumericCodec) -> NumericCodec:
    types = {"continuous": ("float64", "int64"), "integer": ("int64", "float64"),
             "date": ("datetime64[us]",)}  # fmt: skip
    if part.dtype not in types[part.kind]:
        raise ValueError
    every = (part.low, part.high, *part.point_masses, *part.knots, *part.heights)
    if not _all(every, int, float) or not all(map(math.isfinite, every)):
        raise ValueError
    held = (part.low, part.high, *part.point_masses)
    if part.dtype != "float64" and not _all(held, int):
        raise ValueError
    # Floats may be as large as they are finite; integers are exact as floats.
    least, most = (-LARGEST_EXACT, LARGEST_EXACT)
    if part.kind == "date":
        least, most = _FIRST_DAY.astype(int), _END_OF_DAYS.astype(int) - 1
    if not all(isinstance(each, float) or least <= each <= most for each in held):
        raise ValueError
    # The difference of two decimals may be a little less than their grid's step.
    step = part.grid_step / 2 if part.dtype == "float64" else part.grid_step
    if not step <= part.high - part.low < math.inf:
        raise ValueError
    if len(part.knots) != len(part.heights) or len(part.knots) < 2 or not part.low < part.high:
        raise ValueError
    rising = all(
        b > a or (b == a and d > c)  # level, or a jump
        for (a, c), (b, d) in [*pairwise(zip(part.knots, part.heights, strict=True)),
                               *pairwise(zip(part.heights, part.knots, strict=True))]
    )  # fmt: skip
    if not rising or part.knots[0] == part.knots[-1] or part.heights[0] == part.heights[-1]:
        raise ValueError
    if any(a >= b for a, b in pairwise(part.point_masses)):
        raise ValueError
    return part
