"""How good predicted laws are: CRPS on the sets of the field's tables, beside trees and a line.

The sets are where SFUMATO_TABLES says; scikit-learn's diabetes comes with it.
"""

import lzma
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from bench.measure import Page, table
from sfumato import DiffusionRegressor

# Published CRPS (evaluation files of silaskoemen/diffgbm, 2026-05-27; tuned by 40 trials, the mean
# of 5 folds): LightGBM's quantiles, and the best column with its name.
_PUBLISHED = {
    "diabetes": (32.9, "31.3, deep ensemble"),
    "energy": (0.236, "0.204, DiffGBM flow"),
    "concrete": (2.21, "2.13, DiffGBM score"),
    "power-plant": (1.60, "1.54, DiffGBM flow"),
    "kin8nm": (0.0625, "0.0367, deep ensemble"),
}
# Rows of a fold that are predicted, at most.
_ROWS = 500
_LEVELS = (np.arange(19) + 0.5) / 19

Found = tuple[float, float, float, float]
"""Mean CRPS, share inside 90 % intervals, processor seconds of the fit, ms a row."""


def measure() -> Page:
    """Every set, `BENCH_FOLDS` of 5 folds (1 if not given)."""
    folds = int(os.environ.get("BENCH_FOLDS", "1"))
    rows = []
    for name, (lightgbm, best) in _PUBLISHED.items():
        x, y = _rows(name)
        splits = list(KFold(5, shuffle=True, random_state=0).split(x))[:folds]
        for title, of in (("Sfumato", _ours), ("trees", _trees), ("a line", _line)):
            found = [of(x[a], y[a], x[b[:_ROWS]], y[b[:_ROWS]]) for a, b in splits]
            crps, inside, seconds, row = (
                statistics.mean(each) for each in zip(*found, strict=True)
            )
            published = (f"{lightgbm}", best) if title == "Sfumato" else ("", "")
            rows.append([
                f"{name}, {len(y):,} rows" if title == "Sfumato" else "", title, f"{crps:.4g}",
                f"{inside:.0%}", f"{seconds:.0f}", f"{row:.2f}", *published,
            ])  # fmt: skip
    head = ["set", "method", "CRPS", "inside 90 %", "fit, s", "ms a row", "LightGBM, published",
            "best published"]  # fmt: skip
    said = (
        f"{folds} of 5 folds, at most {_ROWS} rows of each. Sfumato is `DiffusionRegressor` with "
        "its defaults, the same on every set. Trees are scikit-learn's boosted quantiles, 19 of "
        "them, with their defaults; a line is least squares with the quantiles of its own "
        "residuals. Published figures are others', on other folds, tuned on each set; they were "
        "not measured here."
    )
    return Page("Predictions", [said, table(head, rows)])


def _rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name == "diabetes":
        found = load_diabetes()
        return found.data, found.target
    with lzma.open(Path(os.environ["SFUMATO_TABLES"]) / f"uci-{name}.txt.xz") as file:
        values = np.loadtxt(file)
    return values[:, :-1], values[:, -1]


def _ours(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray) -> Found:
    began = time.process_time()
    model = DiffusionRegressor(random_state=0).fit(x, y)
    fitted = time.process_time()
    law = model.law(new)
    row = 1000 * (time.process_time() - fitted) / len(new)
    low, high = law.interval(0.9).T
    inside = float(((low <= truth) & (truth <= high)).mean())
    return float(law.crps(truth).mean()), inside, fitted - began, row


def _trees(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray) -> Found:
    def of(level: float) -> HistGradientBoostingRegressor:
        trees = HistGradientBoostingRegressor(loss="quantile", quantile=level, random_state=0)
        return trees.fit(x, y)

    return _quantiles(lambda: [of(level).predict for level in (*_LEVELS, 0.05, 0.95)], new, truth)


def _line(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray) -> Found:
    def made() -> list[Callable[[np.ndarray], np.ndarray]]:
        line = LinearRegression().fit(x, y)
        off = np.quantile(y - line.predict(x), (*_LEVELS, 0.05, 0.95))
        return [partial(_shifted, line, each) for each in off]

    return _quantiles(made, new, truth)


def _shifted(line: LinearRegression, by: float, rows: np.ndarray) -> np.ndarray:
    return np.asarray(line.predict(rows) + by)


def _quantiles(
    fit: Callable[[], list[Callable[[np.ndarray], np.ndarray]]], new: np.ndarray, truth: np.ndarray
) -> Found:
    """Of a method that predicts the quantiles of `_LEVELS`, and then the ends of 90 %."""
    began = time.process_time()
    predict = fit()
    fitted = time.process_time()
    *values, low, high = (each(new) for each in predict)
    row = 1000 * (time.process_time() - fitted) / len(new)
    x = np.sort(np.stack(values, 1), 1)
    # E|x - truth| - E|x - x'|/2 of equally likely values, as for our own laws.
    apart = abs(x[:, :, None] - x[:, None]).mean((1, 2)) / 2
    crps = float((abs(x - truth[:, None]).mean(1) - apart).mean())
    return crps, float(((low <= truth) & (truth <= high)).mean()), fitted - began, row
