"""A law of tables whose densities and conditionals are known: columns independent within classes.

A hidden class z of three decides the law of every column: x is N(mean_z, 1), n is that rounded to
whole numbers, which ties it heavily, and word and truth are levels. Each cell is a hole by chance.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from sfumato.data.table import Column, ColumnType, DataTable

KINDS: dict[str, ColumnType] = {
    "x": "continuous", "n": "integer", "day": "date", "word": "categorical", "truth": "boolean"
}  # fmt: skip
_WEIGHT = np.array([0.5, 0.3, 0.2])
_MEAN = {
    "x": np.array([-2.0, 0, 3]), "n": np.array([0.0, 2, -2]), "day": np.array([1.0, -1, 0])
}  # fmt: skip
_WORDS = np.array(["a", "b", "c", "$d\n"], dtype=object)
_CHANCE = {
    "word": np.array([[0.7, 0.2, 0.05, 0.05], [0.1, 0.1, 0.4, 0.4], [0.25, 0.25, 0.25, 0.25]]),
    "truth": np.array([[0.9, 0.1], [0.4, 0.6], [0.05, 0.95]]),
}
_EPOCH, _DAY = np.datetime64("2000-01-01", "us"), np.timedelta64(86_400_000_000, "us")


def _values(name: str, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if name in _CHANCE:
        code = (rng.random(len(z))[:, None] > _CHANCE[name][z].cumsum(1)[:, :-1]).sum(1)
        return np.asarray(_WORDS[code] if name == "word" else code.astype(bool))
    x = rng.normal(_MEAN[name][z])
    if name == "x":
        return np.asarray(x)
    days = np.round(x).astype(np.int64)
    return np.asarray(days if name == "n" else _EPOCH + days * _DAY)


def _density(name: str, values: np.ndarray) -> np.ndarray:
    """Of each value in each class, `(n, 3)`."""
    if name == "x":
        return np.asarray(norm.pdf(values[:, None].astype(float), _MEAN["x"]))
    if name in _CHANCE:
        known = _WORDS.tolist() if name == "word" else [False, True]
        return _CHANCE[name].T[[known.index(each) for each in values.tolist()]]
    whole = (values - _EPOCH) // _DAY if name == "day" else values
    at = whole[:, None].astype(float) - _MEAN[name]
    return np.asarray(norm.cdf(at + 0.5) - norm.cdf(at - 0.5))


def table(n: int, seed: int, holes: float = 0.1) -> DataTable:
    """That many rows."""
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=_WEIGHT)
    return DataTable(
        tuple(Column(name, _values(name, z, rng), rng.random(n) < holes) for name in KINDS)
    )


def _joint(rows: DataTable) -> np.ndarray:
    """Density of what is there together with each class, `(n, 3)`."""
    found = np.tile(_WEIGHT, (len(rows), 1))
    for column in rows:
        found[~column.missing] *= _density(column.name, column.present)
    return found


def log_prob(rows: DataTable) -> np.ndarray:
    """Of what is there, but for the holes' own chances, `(n,)`."""
    return np.asarray(np.log(_joint(rows).sum(1)))


def impute(rows: DataTable, draws: int) -> Sequence[DataTable]:
    """Exact draws of the holes given the rest of the row."""
    rng = np.random.default_rng(0)
    posterior = _joint(rows)
    posterior /= posterior.sum(1, keepdims=True)
    found = []
    for _ in range(draws):
        z = (rng.random(len(rows))[:, None] > posterior.cumsum(1)[:, :-1]).sum(1)
        columns = [
            replace(
                column,
                values=np.where(column.missing, _values(column.name, z, rng), column.values),
                missing=np.zeros(len(rows), dtype=bool),
            )
            for column in rows
        ]
        found.append(DataTable(tuple(columns)))
    return found
