"""The rows of a run: where they come from, and which of them it never sees.

A toy set gives fresh rows to everyone who asks; of a file or an array a share is kept out of
training, to evaluate on.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import config, storage
from sfumato.config import Settings
from sfumato.data.files import read_points
from sfumato.data.points import Points
from sfumato.data.toy import TOY_SETS, draw, toy_set
from sfumato.errors import DataError
from sfumato.metrics.evaluation import LEAST_ROWS

LogDensity = Callable[[np.ndarray], np.ndarray]
Source = str | os.PathLike[str] | np.ndarray | Points

# The settings' name for rows that were given in memory.
ARRAY = "array"

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

    train: Points
    heldout: Points | None
    settings: config.DataSettings
    seed: int

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


def load_data(settings: Settings) -> RunData:
    """Draw the toy set or read the file that the settings name.

    Raises:
        ArgumentError: if the source is neither a toy set nor looks like a file.
        DataError: if the file cannot be used, or is not the one that the run began with.
    """
    data = settings.data
    if data.source in TOY_SETS:
        points = draw(data.source, data.size, seed=settings.seed, noise=data.noise)
        return RunData(points, None, data, settings.seed)
    path = Path(data.source)
    if not path.suffix and not os.path.exists(path):  # noqa: PTH110 - Path's raises at a long name
        toy_set(data.source)  # raises, naming the toy set that may have been meant
    points = read_points(path)
    if data.sha256 is not None and storage.sha256(path) != data.sha256:
        raise DataError(
            f"{path} is not the file that this run began with (its SHA-256 has changed); put the "
            "old file back, or start a new run."
        )
    return split(points, settings)


def refuse_extremes(points: Points, name: str) -> None:
    """Refuse numbers whose squares a 64-bit float cannot hold: distances would be lost.

    Args:
        points: the rows.
        name: where they are from, for the message.

    Raises:
        DataError: naming the first such column.
    """
    low, high = points.values.min(0), points.values.max(0)
    # By halves, because the difference may overflow.
    narrow = (high > low) & (high / 2 - low / 2 < 1e-100)
    extreme = narrow | (np.maximum(-low, high) > 1e100)
    if extreme.any():
        k = int(np.flatnonzero(extreme)[0])
        raise DataError(
            f"{name}: the column {points.columns[k]!r} goes from {low[k]:g} to {high[k]:g}, beyond "
            "what can be measured (1e-100 to 1e100); take another unit."
        )


def split(points: Points, settings: Settings) -> RunData:
    """Keep a share of the rows, chosen by the seed, out of training.

    Raises:
        DataError: if there are fewer than three rows, or as `refuse_extremes`.
    """
    rows = len(points.values)
    if rows < 3:
        raise DataError(
            f"{settings.data.source} has {rows} row{'s' * (rows != 1)} of data; at least 3 rows "
            "are needed, 2 to learn from and 1 to evaluate on."
        )
    refuse_extremes(points, settings.data.source)
    # Enough to evaluate on, where there are rows to spare.
    kept = max(1, round(rows * settings.data.holdout), min(LEAST_ROWS, rows // (FLOOR_SETS + 1)))
    kept = min(kept, rows - 2)
    order = np.random.default_rng(settings.seed).permutation(rows)
    train, heldout = np.sort(order[kept:]), np.sort(order[:kept])
    return RunData(
        Points(points.values[train], points.columns),
        Points(points.values[heldout], points.columns),
        settings.data,
        settings.seed,
    )


def settings_for(
    source: Source, changes: Mapping[str, Any], *layers: Mapping[str, Any]
) -> tuple[Settings, RunData]:
    """Resolve the settings of a run on `source` and load its rows.

    Args:
        source: a toy set's name, a file, or rows in memory `(n, d)`.
        changes: nested (`{"training": {"steps": 500}}`) or dotted (`{"training.steps": 500}`).
        layers: settings that come before the changes, such as a preset.

    Raises:
        ArgumentError: if a setting is wrong or the source is unknown.
        DataError: if the rows cannot be used.
    """
    nested: dict[str, Any] = {}
    for name, value in changes.items():
        for key in reversed(name.split(".")):
            value = {key: value}
        nested = config.merged(nested, value)
    if isinstance(source, Points | np.ndarray):
        points = _as_points(source)
        recipe = config.suited(points.values.shape[1])
        settings = config.resolve(recipe, *layers, nested, {"data": {"source": ARRAY}})
        return settings, split(points, settings)
    named = {"data": {"source": os.fspath(source)}}
    settings = config.resolve(*layers, nested, named)
    data = load_data(settings)
    if data.heldout is not None:
        named["data"]["sha256"] = storage.sha256(Path(settings.data.source))
    recipe = config.suited(data.train.values.shape[1])
    return config.resolve(recipe, *layers, nested, named), data


def _as_points(rows: Points | np.ndarray) -> Points:
    if isinstance(rows, Points):
        return rows
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
