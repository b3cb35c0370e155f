"""The tables of the benchmarks: those that ship with scikit-learn, and made ones of known truth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from sfumato.data.codecs.table import TableCodec
from sfumato.data.column_types import column_types_of
from sfumato.data.io.frames import from_frame

LogProb = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class TableSet:
    """Rows of a table in one array, and what its columns are.

    Args:
        name: of the set.
        rows: `(n, d)`; categories are numbered from 0, NaN is a hole.
        kinds: "number", "integer" or "category" of each column; the last one is the target.
        log_prob: the true one of rows in nats, where it is known: densities of numbers,
            probabilities of all else.
    """

    name: str
    rows: np.ndarray
    kinds: tuple[str, ...]
    log_prob: LogProb | None = None

    @property
    def is_category(self) -> np.ndarray:
        """Which columns are, `(d,)`."""
        return np.array([kind == "category" for kind in self.kinds])

    def split(self, seed: int) -> tuple["TableSet", "TableSet"]:
        """Four fifths to learn from and one fifth held out, less what never varies in the first."""
        order = np.random.default_rng(seed).permutation(len(self.rows))
        learn, held = np.split(self.rows[order], [len(order) * 4 // 5])
        varies = np.array([len(np.unique(each[~np.isnan(each)])) > 1 for each in learn.T])
        kinds = tuple(np.array(self.kinds)[varies])
        return (
            replace(self, rows=learn[:, varies], kinds=kinds),
            replace(self, rows=held[:, varies], kinds=kinds),
        )

    def frame(self, rows: np.ndarray) -> Any:
        """Rows as a user would have them: text, integers, and numbers with missing values."""
        import pandas

        columns: dict[str, Any] = {}
        for k, (values, kind) in enumerate(zip(rows.T, self.kinds, strict=True)):
            if kind == "category":
                columns[f"c{k}"] = [None if np.isnan(v) else f"level {v:.0f}" for v in values]
            else:
                whole = kind == "integer" and not np.isnan(values).any()
                columns[f"c{k}"] = values.astype(np.int64) if whole else values
        return pandas.DataFrame(columns)

    def array(self, frame: Any) -> np.ndarray:
        """The inverse of `frame`."""
        columns = []
        for name, kind in zip(frame.columns, self.kinds, strict=True):
            values = frame[name]
            if kind == "category":
                values = values.str.removeprefix("level ")
            columns.append(values.astype("Float64").to_numpy(dtype=float, na_value=np.nan))
        return np.stack(columns, axis=1)

    @property
    def steps(self) -> np.ndarray:
        """Width of the grid of each column's numbers, as Sfumato finds it, `(d,)`; 0 for none."""
        table = from_frame(self.frame(self.rows))
        parts = TableCodec.fit(table, column_types_of(table, {})).parts
        found = [part.grid_step for part in parts]
        return np.where(self.is_category, 0.0, found)


def _shipped(name: str) -> TableSet:
    from sklearn import datasets

    if name == "diabetes":
        data = datasets.load_diabetes(scaled=False)
        rows = np.column_stack([data.data, data.target])
        rows[:, 1] -= 1  # sex
        return TableSet(name, rows, ("number", "category", *["number"] * 9))
    data = getattr(datasets, f"load_{name.replace(' ', '_')}")()
    numbers = ["integer" if name == "digits" else "number"] * data.data.shape[1]
    return TableSet(name, np.column_stack([data.data, data.target]), (*numbers, "category"))


# ---------------------------------------------------------------------------------- made ones

_ROWS = 2500


def _mixed(seed: int = 0) -> TableSet:
    """Four kinds of rows, which no column tells.

    Given its kind, a row's columns are independent: a number, another with missing values, a number of
    counts, an amount that often is nothing, two categories; and whether it is one thing or the
    other, which goes by the kind and a number.
    """
    rng = np.random.default_rng(1000 + seed)
    weight = np.array([0.4, 0.3, 0.2, 0.1])
    mean, scale = np.array([-2.0, 0.0, 1.5, 4.0]), np.array([0.7, 0.3, 0.5, 1.0])
    other, hole = np.array([1.0, -1.0, 3.0, 0.0]), np.array([0.05, 0.3, 0.1, 0.4])
    rate, nothing = np.array([1.0, 4.0, 12.0, 30.0]), np.array([0.7, 0.2, 0.5, 0.05])
    amount = np.array([1.0, 2.0, 4.0, 3.0])
    colour = np.array([[7, 1, 1, 1], [1, 7, 1, 1], [1, 1, 4, 4], [3, 1, 1, 5]]) / 10
    size = np.array([[8, 1, 1], [2, 6, 2], [1, 3, 6], [3, 4, 3]]) / 10
    tilt = np.array([-1.0, 1.0, 0.0, 2.0])

    def chosen(chance: np.ndarray) -> np.ndarray:
        return np.asarray((rng.random((len(chance), 1)) > chance.cumsum(1)[:, :-1]).sum(1))

    k = rng.choice(4, _ROWS, p=weight)
    x = mean[k] + scale[k] * rng.standard_normal(_ROWS)
    holed = other[k] + 0.5 * rng.standard_normal(_ROWS)
    holed[rng.random(_ROWS) < hole[k]] = np.nan
    paid = np.exp(amount[k] + 0.5 * rng.standard_normal(_ROWS))
    paid[rng.random(_ROWS) < nothing[k]] = 0
    target = rng.random(_ROWS) < 1 / (1 + np.exp(-2 * tilt[k] - x))
    rows = np.column_stack(
        [x, holed, rng.poisson(rate[k]), paid, chosen(colour[k]), chosen(size[k]), target]
    )

    def log_prob(rows: np.ndarray) -> np.ndarray:
        x, holed, count, paid, *levels = rows.T[..., None]
        one, two, three = (each.astype(int)[:, 0] for each in levels)
        none = paid == 0
        logit = 2 * tilt + x
        parts = (
            np.log(weight)
            + stats.norm.logpdf(x, mean, scale)
            + np.where(
                np.isnan(holed),
                np.log(hole),
                np.log1p(-hole) + stats.norm.logpdf(holed, other, 0.5),
            )
            + stats.poisson.logpmf(count, rate)
            + np.where(
                none,
                np.log(nothing),
                np.log1p(-nothing)
                + stats.lognorm.logpdf(np.where(none, 1, paid), 0.5, scale=np.exp(amount)),
            )
            + np.log(colour.T[one])
            + np.log(size.T[two])
            - np.log1p(np.exp(np.where(three[:, None] == 1, -logit, logit)))
        )
        return np.asarray(np.logaddexp.reduce(parts, axis=1))

    kinds = ("number", "number", "integer", "number", "category", "category", "category")
    return TableSet("made: mixed", rows, kinds, log_prob)


def _copula(seed: int = 0) -> TableSet:
    """A Gaussian copula: heavy tails on one and both sides, two bounded columns, two of integers.

    Its target, the last column, is normal.
    """
    rng = np.random.default_rng(2000 + seed)
    smooth = (
        stats.t(3),
        stats.lognorm(1.0),
        stats.beta(0.5, 0.5),
        stats.uniform(0, 1),
        stats.norm(),
    )
    whole: tuple[Any, ...] = (stats.nbinom(2, 0.1), stats.binom(60, 0.3))
    loads = np.random.default_rng(0).standard_normal((7, 2))
    cov = loads @ loads.T + 0.5 * np.eye(7)
    cov /= np.sqrt(np.outer(cov.diagonal(), cov.diagonal()))
    z = rng.multivariate_normal(np.zeros(7), cov, _ROWS)  # integers last
    u = stats.norm.cdf(z)
    values = [law.ppf(u[:, k]) for k, law in enumerate((*smooth, *whole))]
    rows = np.column_stack([*values[:4], *values[5:], values[4]])
    among = cov[:5, :5]
    slope = np.linalg.solve(among, cov[:5, 5:])
    rest = cov[5:, 5:] - cov[5:, :5] @ slope

    def log_prob(rows: np.ndarray) -> np.ndarray:
        x, n = rows[:, [0, 1, 2, 3, 6]], rows[:, 4:6]
        z = np.column_stack([stats.norm.ppf(law.cdf(x[:, k])) for k, law in enumerate(smooth)])
        nats = stats.multivariate_normal(np.zeros(5), among).logpdf(z)
        for k, law in enumerate(smooth):
            nats = nats + law.logpdf(x[:, k]) - stats.norm.logpdf(z[:, k])
        edges = [
            np.column_stack([stats.norm.ppf(law.cdf(n[:, k] - d)) for k, law in enumerate(whole)])
            - z @ slope
            for d in (1, 0)
        ]
        low, high = (each.clip(-30, 30) for each in edges)
        inside = stats.multivariate_normal(np.zeros(2), rest).cdf(high, lower_limit=low)
        return np.asarray(nats + np.log(inside))

    return TableSet(
        "made: copula", rows, (*["number"] * 4, "integer", "integer", "number"), log_prob
    )


def table_set(name: str) -> TableSet:
    """The set of one of NAMES."""
    made = {"made: mixed": _mixed, "made: copula": _copula}
    return made[name]() if name in made else _shipped(name)


NAMES = ("iris", "wine", "breast cancer", "diabetes", "digits", "made: mixed", "made: copula")
