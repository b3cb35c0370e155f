"""The rows of a run: where they come from, of what kind they are, and which it never sees.

A toy set gives fresh rows to everyone who asks; of anything else a share is kept out of training,
to evaluate on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np

from sfumato.config import DataSettings, Settings
from sfumato.data.codecs.rules import Rule
from sfumato.data.images import Images
from sfumato.data.io.memory import Container
from sfumato.data.points import Points, refuse_rules
from sfumato.data.source import Rows, read_source, take_source
from sfumato.data.table import ColumnType, DataTable
from sfumato.data.toy import TOY_SETS, draw, toy_set
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics.evaluation import LEAST_ROWS

LogDensity = Callable[[np.ndarray], np.ndarray]
R = TypeVar("R", Points, Images, DataTable)

Source = Any
"""A toy set's name, a file or folder, or rows in Python, see `data.io.memory`."""

# Real sets that make up the floor of an evaluation.
FLOOR_SETS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Dataset(Generic[R]):
    """The rows that a run learns from, and real rows that it never sees.

    Args:
        train: rows to learn from.
        heldout: rows kept out of training; None for a toy set, which has a fresh draw for
            everyone who asks.
        settings: where they came from.
        seed: of the run.
        container: what they came in, to give others back in the same.
        types: of a table, what each column is.
        rules: of a table, those that the settings state.
        template: of points from a data frame, its columns without rows.
    """

    train: R
    heldout: R | None
    settings: DataSettings
    seed: int
    container: Container = ""
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    template: DataTable | None = None

    @property
    def kind(self) -> str:
        """points, images or table."""
        return self.train.kind

    @property
    def is_toy(self) -> bool:
        """Whether the rows are of a toy set."""
        return self.settings.source in TOY_SETS

    def fresh(self, k: int, n: int) -> np.ndarray:
        """The k-th independent set of `n` real rows of a toy set, none of them seen in training."""
        points = draw(
            self.settings.source, n, seed=self.seed, stream=f"fresh-{k}", noise=self.settings.noise
        )
        return points.values

    def log_density(self) -> LogDensity | None:
        """The true log density in nats, where the source has one in closed form."""
        if not self.is_toy:
            return None
        known = toy_set(self.settings.source)
        noise = known.noise if self.settings.noise is None else self.settings.noise
        density = known.log_density
        return None if density is None or noise == 0 else lambda values: density(values, noise)


@dataclass(frozen=True, slots=True)
class RealSets(Generic[R]):
    """Real rows to measure generated ones by.

    Args:
        reference: rows that were not used in training.
        others: further real sets of as many rows, for the floors.
        train: the rows learned from; None where they cannot be had.
        log_density: of the source, where it is known.
    """

    reference: R
    others: Sequence[R]
    train: R | None
    log_density: LogDensity | None = None


def real_sets(data: Dataset[R], n: int) -> RealSets[R]:
    """The real rows of a run's own data: up to `n` in each set.

    Raises:
        DataError: if there are too few.
    """
    if data.heldout is None:
        names = toy_set(data.settings.source).columns
        drawn: list[Any] = [Points(data.fresh(k, n), names) for k in range(FLOOR_SETS + 1)]
        return RealSets(drawn[0], drawn[1:], data.train, data.log_density())
    m = min(n, len(data.heldout), len(data.train) // FLOOR_SETS)
    if m < LEAST_ROWS:
        raise DataError(
            f"at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows or pictures are needed to measure "
            f"against; there are {len(data.train) + len(data.heldout)}. Compare with other real "
            "ones (--against)."
        )
    order = np.random.default_rng(data.seed + 1).permutation(len(data.train))
    sets = [data.train.take(rows) for rows in parts(order, FLOOR_SETS, m)]
    return RealSets(data.heldout.take(np.arange(m)), sets, data.train)


def sets_of(rows: R, train: R | None, n: int, seed: int, where: str) -> RealSets[R]:
    """Parts of other real rows: up to `n` in each set.

    Raises:
        DataError: if there are too few.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    sets = [rows.take(part) for part in parts(order, FLOOR_SETS + 1, n)]
    if len(sets[0]) < LEAST_ROWS:
        raise DataError(
            f"{where} needs at least {(FLOOR_SETS + 1) * LEAST_ROWS} rows or pictures to measure "
            f"against; it has {len(rows)}."
        )
    return RealSets(sets[0], sets[1:], train)


def parts(rows: np.ndarray, count: int, most: int) -> list[np.ndarray]:
    """`count` disjoint parts of equal size, at most `most` rows each."""
    size = min(len(rows) // count, most)
    return [rows[k * size : (k + 1) * size] for k in range(count)]


# ------------------------------------------------------------------------------- where from


def load(settings: Settings) -> Dataset[Any]:
    """The rows that the settings name: a toy set's, or those of a file or folder.

    Raises:
        ArgumentError: if the source is neither a toy set nor looks like a file.
        DataError: if the file cannot be used, or is not the one that the run began with.
    """
    data = settings.data
    if data.source in TOY_SETS:
        refuse_rules(data.rules)
        points = draw(data.source, data.rows, seed=settings.seed, noise=data.noise)
        return Dataset(points, None, data, settings.seed)
    rows, mark = read_source(data)
    if data.sha256 is not None and mark != data.sha256:
        raise DataError(
            f"{data.source} is not what this run began with (its SHA-256 has changed); put the "
            "old data back, or start a new run.",
            code="data-changed",
            file=data.source,
        )
    return replace(split(rows, settings), settings=data.model_copy(update={"sha256": mark}))


def take(source: Source, settings: Settings, *, keep_all: bool = False) -> Dataset[Any]:
    """The rows that were handed over in Python.

    Args:
        source: see `Source`.
        settings: of the run.
        keep_all: keep no rows out of training.

    Raises:
        DataError: if they cannot be learned from.
    """
    rows, container, template = take_source(source, settings.data)
    found = whole(rows, settings) if keep_all else split(rows, settings)
    return replace(found, container=container, template=template)


# ---------------------------------------------------------------------------- what is kept out


def split(rows: Rows, settings: Settings) -> Dataset[Any]:
    """Keep a share of the rows, chosen by the seed, out of training.

    Raises:
        ArgumentError: if a column of a table cannot be of the type that the settings say, or a rule
            cannot be read.
        DataError: if there are fewer than three rows, rows break a rule, or as `refuse_extremes` or
            `column_types_of`.
    """
    if len(rows) < 3 and isinstance(rows, Images):
        raise DataError(
            f"{settings.data.source} has {len(rows)} picture{'' if len(rows) == 1 else 's'}; at "
            "least 3 are needed, 2 to learn from and 1 to evaluate on."
        )
    if len(rows) < 3:
        raise DataError(
            f"{settings.data.source} has {len(rows)} row{'' if len(rows) == 1 else 's'} of data; "
            "at least 3 rows are needed, 2 to learn from and 1 to evaluate on.",
            code="few-rows",
            rows=len(rows),
        )
    found = whole(rows, settings)
    # Enough to evaluate on, where there are rows to spare.
    least = min(LEAST_ROWS, len(rows) // (FLOOR_SETS + 1))
    kept = min(max(1, round(len(rows) * settings.data.holdout), least), len(rows) - 2)
    order = rows.side_by_side(np.random.default_rng(settings.seed).permutation(len(rows)))
    train, heldout = (rows.take(np.sort(part)) for part in (order[kept:], order[:kept]))
    return replace(found, train=train, heldout=heldout)


def whole(rows: Rows, settings: Settings) -> Dataset[Any]:
    """All rows to learn from, none kept out.

    Raises:
        ArgumentError: as `split`.
        DataError: as `split`.
    """
    refuse_extremes(rows, settings.data.source)
    nothing = rows.take(np.arange(0))
    texts = settings.data.rules
    types = rows.column_types(settings.data.columns, texts)
    rules = rows.stated_rules(texts, types)
    return Dataset(rows, nothing, settings.data, settings.seed, types=types, rules=rules)


_OF_PICTURES = ("size", "labels", "background", "skip_bad", "range", "frames", "channels")


def refuse_settings_of_pictures(kind: str, data: DataSettings) -> None:
    """Nothing that a user asks for is left undone without a word.

    Args:
        kind: of the data.
        data: what was asked for.

    Raises:
        ArgumentError: naming the first setting that is for pictures alone, if the data are none.
    """
    for name in _OF_PICTURES if kind != "images" else ():
        if getattr(data, name) != DataSettings.model_fields[name].default:
            raise ArgumentError(
                f"data.{name} is for pictures, and {data.source} holds none; leave it out."
            )


def refuse_extremes(rows: Rows, where: str) -> None:
    """Refuse numbers whose squares a 64-bit float cannot hold: distances would be lost.

    Args:
        rows: points or a table; pictures are bytes.
        where: where they are from, for the message.

    Raises:
        DataError: naming the first such column.
    """
    for name, values in rows.decimals():
        if not len(values):
            continue
        low, high = values.min(), values.max()
        # By halves: the difference may overflow.
        narrow = high > low and high / 2 - low / 2 < 1e-100
        if narrow or max(-low, high) > 1e100:
            raise DataError(
                f"{where}: the column {name!r} goes from {low:g} to {high:g}, beyond what can be "
                "measured (1e-100 to 1e100); take another unit.",
                code="beyond-measure",
                column=name,
            )
