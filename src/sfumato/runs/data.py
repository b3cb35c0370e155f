"""The rows of a run: where they come from, and which of them it never sees.

A toy set gives fresh rows to everyone who asks; of a file, a folder or an array a share is kept
out of training, to evaluate on. Rows are points, pictures, or those of a table.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import atomic, config
from sfumato.config import Settings
from sfumato.data.column_types import column_types_of
from sfumato.data.images import Images, as_images, digits, fingerprint
from sfumato.data.io.frames import backend_of, from_frame
from sfumato.data.io.images import holds_images, read_images
from sfumato.data.io.points import read_points
from sfumato.data.io.tables import ENDINGS, read_table
from sfumato.data.points import Points
from sfumato.data.table import ColumnType, DataTable
from sfumato.data.toy import TOY_SETS, draw, toy_set
from sfumato.errors import ArgumentError, DataError, unknown
from sfumato.metrics.evaluation import LEAST_ROWS

LogDensity = Callable[[np.ndarray], np.ndarray]
Data = Points | Images
Source = Any
"""A toy set's name, a file or folder, an array `(n, d)`, pictures `(n, height, width, channels)` as
bytes, a data frame, or what these are read to."""

# The settings' name for rows that were given in memory.
ARRAY = "array"

# Pictures that come with scikit-learn.
PICTURE_SETS: Mapping[str, Callable[[], Images]] = {"digits": digits}

# Columns of points in space; what has more is a table.
_SPACE = 3

# Real sets that make up the floor of an evaluation.
FLOOR_SETS = 6


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """The rows that a run learns from, and real rows that it never sees.

    Args:
        train: rows to learn from.
        heldout: rows of a file kept out of training; None for a toy set, which has a fresh draw
            for everyone who asks.
        settings: where they came from.
        seed: of the run.
    """

    train: Data
    heldout: Data | None
    settings: config.DataSettings
    seed: int

    @property
    def points(self) -> Points:
        """The rows to learn from, which are points.

        Raises:
            DataError: if they are pictures.
        """
        if not isinstance(self.train, Points):
            raise DataError("this is for points, and the run learned from pictures.")
        return self.train

    def fresh(self, k: int, n: int) -> np.ndarray:
        """The k-th independent set of `n` real rows of a toy set, none of them seen in training."""
        points = draw(
            self.settings.source, n, seed=self.seed, stream=f"fresh-{k}", noise=self.settings.noise
        )
        return points.values

    def log_density(self) -> LogDensity | None:
        """The true log density in nats, where the source has one in closed form."""
        if self.heldout is not None:
            return None
        known = toy_set(self.settings.source)
        noise = known.noise if self.settings.noise is None else self.settings.noise
        density = known.log_density
        return None if density is None or noise == 0 else lambda values: density(values, noise)


@dataclass(frozen=True, slots=True, eq=False)
class TableData:
    """The rows of a table that a run learns from, and those that it never sees.

    Args:
        train: rows to learn from.
        heldout: rows kept out of training.
        kinds: of each column of the table.
        settings: where they came from.
        seed: of the run.
    """

    train: DataTable
    heldout: DataTable
    kinds: Mapping[str, ColumnType]
    settings: config.DataSettings
    seed: int


def load_data(settings: Settings) -> RunData:
    """The points or pictures that the settings name.

    Raises:
        ArgumentError: as `load_any_data`, or if they name a table.
        DataError: as `load_any_data`.
    """
    return _no_table(load_any_data(settings))


def _no_table(data: RunData | TableData) -> RunData:
    if isinstance(data, TableData):
        raise ArgumentError(
            f"{data.settings.source} is a table; take sfumato.fit_table or DiffusionModel, or "
            "data.kind=points if it is points in space."
        )
    return data


def load_any_data(settings: Settings) -> RunData | TableData:
    """Draw the toy set or read the file that the settings name.

    Raises:
        ArgumentError: if the source is neither a toy set nor looks like a file.
        DataError: if the file cannot be used, or is not the one that the run began with.
    """
    data = settings.data
    if data.source in TOY_SETS:
        points = draw(data.source, data.rows, seed=settings.seed, noise=data.noise)
        return RunData(points, None, data, settings.seed)
    read, mark = _read(settings)
    if data.sha256 is not None and mark != data.sha256:
        raise DataError(
            f"{data.source} is not what this run began with (its SHA-256 has changed); put the "
            "old data back, or start a new run."
        )
    return replace(split(read, settings), settings=data.model_copy(update={"sha256": mark}))


def _read(settings: Settings) -> tuple[Data | DataTable, str]:
    """What a file or folder holds, and its fingerprint."""
    data = settings.data
    path = Path(data.source)
    if data.source in PICTURE_SETS:
        pictures = PICTURE_SETS[data.source]()
    elif not path.suffix and not os.path.exists(path):  # noqa: PTH110 - Path's raises at a long name
        known = {*TOY_SETS, *PICTURE_SETS}
        raise unknown("toy set", data.source, known)
    elif holds_images(path):
        pictures = read_images(
            path,
            size=data.size,
            labels=data.labels,
            background=data.background,
            skip_bad=data.skip_bad,
        )
    elif data.kind == "table" or (data.kind == "auto" and path.name.lower().endswith(ENDINGS)):
        words = [name for name, kind in data.columns.items() if kind == "categorical"]
        return _as_points_if_few(read_table(path, words), settings), atomic.sha256(path)
    else:
        return read_points(path), atomic.sha256(path)
    return _labelled(pictures, settings), fingerprint(pictures)


def _as_points_if_few(table: DataTable, settings: Settings) -> Points | DataTable:
    """A table; but points in space if all it has is up to three columns of decimal numbers."""
    plain = all(c.values.dtype == np.float64 and not c.missing.any() for c in table)
    if settings.data.kind == "table" or settings.data.columns or not plain:
        return table
    if len(table.columns) > _SPACE:
        return table
    return Points(np.stack([column.values for column in table], axis=1), table.names)


def _labelled(pictures: Images, settings: Settings) -> Images:
    """The pictures with their labels if these are to be learned.

    Raises:
        DataError: if they are, and there are none.
    """
    if not settings.data.labels:
        return replace(pictures, labels=None, classes=())
    if pictures.labels is None:
        raise DataError(
            f"{settings.data.source} has no classes to learn: put the pictures of each into a "
            "folder of its name, or leave data.labels out."
        )
    return pictures


def refuse_extremes(points: Points, name: str) -> None:
    """Refuse numbers whose squares a 64-bit float cannot hold: distances would be lost.

    Args:
        points: the rows.
        name: where they are from, for the message.

    Raises:
        DataError: naming the first such column.
    """
    for column, low, high in zip(
        points.columns, points.values.min(0), points.values.max(0), strict=True
    ):
        _refuse_extreme(name, column, low, high)


def _refuse_extreme(name: str, column: str, low: float, high: float) -> None:
    narrow = high > low and high / 2 - low / 2 < 1e-100  # by halves: the difference may overflow
    if narrow or max(-low, high) > 1e100:
        raise DataError(
            f"{name}: the column {column!r} goes from {low:g} to {high:g}, beyond what can be "
            "measured (1e-100 to 1e100); take another unit."
        )


def split(data: Data | DataTable, settings: Settings) -> RunData | TableData:
    """Keep a share of the rows, chosen by the seed, out of training.

    Raises:
        ArgumentError: if a column of a table cannot be of the kind that the settings say.
        DataError: if there are fewer than three rows, or as `refuse_extremes` or `column_types_of`.
    """
    rows = len(data.values if isinstance(data, Points | Images) else data)
    if rows < 3:
        raise DataError(
            f"{settings.data.source} has {rows} row{'s' * (rows != 1)} of data; at least 3 rows "
            "are needed, 2 to learn from and 1 to evaluate on."
        )
    if isinstance(data, Points):
        refuse_extremes(data, settings.data.source)
    # Enough to evaluate on, where there are rows to spare.
    kept = max(1, round(rows * settings.data.holdout), min(LEAST_ROWS, rows // (FLOOR_SETS + 1)))
    kept = min(kept, rows - 2)
    order = np.random.default_rng(settings.seed).permutation(rows)
    train, heldout = np.sort(order[kept:]), np.sort(order[:kept])
    if isinstance(data, DataTable):
        for column in data:
            if column.values.dtype.kind == "f" and len(present := column.present):
                _refuse_extreme(settings.data.source, column.name, present.min(), present.max())
        kinds = column_types_of(data, settings.data.columns)
        parts = data.take(train), data.take(heldout)
        return TableData(*parts, kinds, settings.data, settings.seed)
    return RunData(_chosen(data, train), _chosen(data, heldout), settings.data, settings.seed)


def _chosen(data: Data, rows: np.ndarray) -> Data:
    if isinstance(data, Points):
        return Points(data.values[rows], data.columns)
    return data.take(rows)


def parts(rows: np.ndarray, count: int, most: int) -> list[np.ndarray]:
    """`count` disjoint parts of equal size, at most `most` rows each."""
    size = min(len(rows) // count, most)
    return [rows[k * size : (k + 1) * size] for k in range(count)]


def settings_for(
    source: Source, changes: Mapping[str, Any], *layers: Mapping[str, Any]
) -> tuple[Settings, RunData]:
    """As `settings_for_any`, of points or pictures.

    Raises:
        ArgumentError: as `settings_for_any`, or if the source is a table.
        DataError: as `settings_for_any`.
    """
    settings, data = settings_for_any(source, changes, *layers)
    return settings, _no_table(data)


def settings_for_any(
    source: Source, changes: Mapping[str, Any], *layers: Mapping[str, Any]
) -> tuple[Settings, RunData | TableData]:
    """Resolve the settings of a run on `source` and load its rows.

    Args:
        source: see `Source`.
        changes: nested (`{"training": {"steps": 500}}`) or dotted (`{"training.steps": 500}`).
        layers: settings that come before the changes, such as a preset.

    Raises:
        ArgumentError: if a setting is wrong or the source is unknown.
        DataError: if the rows cannot be used.
    """
    nested = config.nested(changes)
    if not isinstance(source, str | os.PathLike):
        named: dict[str, Any] = {"data": {"source": ARRAY}}
        settings = config.resolve(*layers, nested, named)
        data = split(_in_memory(source, settings), settings)
    else:
        named = {"data": {"source": os.fspath(source)}}
        data = load_any_data(config.resolve(*layers, nested, named))
        if data.settings.sha256 is not None:
            named["data"]["sha256"] = data.settings.sha256
    return config.resolve(recipe_for(data), *layers, nested, named), data


def recipe_for(data: RunData | TableData) -> dict[str, Any]:
    """The recipe that suits these rows, as changes to the defaults."""
    if isinstance(data, TableData):
        return config.suited_to_table(len(data.train), len(data.train.columns))
    return config.suited(data.train.values.shape[1:], pictures=isinstance(data.train, Images))


def _in_memory(source: Any, settings: Settings) -> Data | DataTable:
    """Rows or pictures that were handed over."""
    if isinstance(source, Points | Images | DataTable):
        return source
    if not isinstance(source, np.ndarray) and backend_of(source):
        return from_frame(source)
    if not isinstance(source, np.ndarray) or (source.dtype == np.uint8 and source.ndim in (3, 4)):
        return _labelled(as_images(source), settings)
    return _as_points(source)


def _as_points(rows: np.ndarray) -> Points:
    try:
        values = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the rows must be numbers; got an array of {rows.dtype}.") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise DataError(f"the rows must be an array (n, columns); got shape {values.shape}.")
    if not np.isfinite(values).all():
        bad = int(np.size(values) - np.isfinite(values).sum())
        raise DataError(f"{bad} of the values are NaN or infinite; drop or fill them.")
    return Points(values, tuple(f"x{k}" for k in range(values.shape[1])))
