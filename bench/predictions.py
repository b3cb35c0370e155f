"""How good predicted laws are: CRPS and AUC on the sets of the field's tables, beside peers.

The sets are where SFUMATO_TABLES says; scikit-learn's diabetes comes with it.
"""

import lzma
import math
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from ngboost import NGBRegressor
from quantile_forest import RandomForestQuantileRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold, train_test_split
from xgboost import XGBClassifier

from bench.environments import laws_of
from bench.isolated import PREDICTORS, IsolatedPeer
from bench.measure import Page, table
from sfumato import DiffusionClassifier, DiffusionRegressor

# Published CRPS (evaluation files of silaskoemen/diffgbm, 2026-05-27; tuned by 40 trials, the mean
# of 5 folds): LightGBM's quantiles, and the best column with its name.
_PUBLISHED = {
    "diabetes": (32.9, "31.3, deep ensemble"),
    "energy": (0.236, "0.204, DiffGBM flow"),
    "concrete": (2.21, "2.13, DiffGBM score"),
    "power-plant": (1.60, "1.54, DiffGBM flow"),
    "kin8nm": (0.0625, "0.0367, deep ensemble"),
}
# Rows of a fold that are predicted, at most; draws of those that draw, and how long they may take.
_ROWS, _DRAWS, _MINUTES = 500, 100, 20
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
        for title, of in _METHODS.items():
            found = [
                of(x[a], y[a], x[b[:_ROWS]], y[b[:_ROWS]], f"{name}-{k}")
                for k, (a, b) in enumerate(splits)
            ]
            crps, inside, seconds, row = (
                statistics.mean(each) for each in zip(*found, strict=True)
            )
            published = (f"{lightgbm}", best) if title == "Sfumato" else ("", "")
            first = f"{name}, {len(y):,} rows" if title == "Sfumato" else ""
            cells = [f"{crps:.4g}", f"{inside:.0%}", f"{seconds:.0f}", f"{row:.2f}"]
            failed = ["–", "failed", "", ""]
            rows.append([first, title, *(failed if math.isnan(crps) else cells), *published])
    head = ["set", "method", "CRPS", "inside 90 %", "fit, s", "ms a row", "LightGBM, published",
            "best published"]  # fmt: skip
    said = (
        f"{folds} of 5 folds, at most {_ROWS} rows of each. Sfumato is `DiffusionRegressor` with "
        "its defaults, the same on every set; so are the others: LightGBM's quantiles (19 of "
        "them), NGBoost's normal laws, quantile-forest, scikit-learn's boosted quantiles, and "
        "a line: least squares with the quantiles of its own residuals. Treeffuser and DiffGBM have "
        f"environments of their own and draw {_DRAWS} values a row. Published figures are "
        "others', on other folds, tuned on each set; they were not measured here."
    )
    income = (
        "Income of Adult, `DiffusionClassifier` and two others with their defaults: four fifths "
        "of the rows teach, a fifth is predicted."
    )
    return Page("Predictions", [said, table(head, rows), income, _income()])


def _income() -> str:
    """Area under the ROC curve and log loss of one split."""
    rows = pd.read_csv(Path(os.environ["SFUMATO_TABLES"]) / "adult.csv.xz")
    target = rows.columns[-1]
    y = (rows.pop(target).to_numpy() == ">50K").astype(int)
    text = [name for name in rows if rows[name].dtype.kind not in "if"]
    frame = rows.astype(dict.fromkeys(text, "category"))
    x, new, y, truth = train_test_split(frame, y, test_size=0.2, random_state=0)
    found = []
    for title, model in (
        ("Sfumato", DiffusionClassifier(random_state=0)),
        ("XGBoost", XGBClassifier(enable_categorical=True, random_state=0)),
        ("LightGBM", LGBMClassifier(random_state=0, verbose=-1)),
    ):
        began = time.process_time()
        model.fit(x, y)
        fitted = time.process_time()
        chance = model.predict_proba(new)[:, 1]
        row = 1000 * (time.process_time() - fitted) / len(new)
        found.append([
            title, f"{roc_auc_score(truth, chance):.4f}", f"{log_loss(truth, chance):.4f}",
            f"{fitted - began:.0f}", f"{row:.3f}",
        ])  # fmt: skip
    return table(["method", "AUC", "log loss", "fit, s", "ms a row"], found)


def _rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    if name == "diabetes":
        found = load_diabetes()
        return found.data, found.target
    with lzma.open(Path(os.environ["SFUMATO_TABLES"]) / f"uci-{name}.txt.xz") as file:
        values = np.loadtxt(file)
    return values[:, :-1], values[:, -1]


def _ours(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, _: str) -> Found:
    began = time.process_time()
    model = DiffusionRegressor(random_state=0).fit(x, y)
    fitted = time.process_time()
    law = model.law(new)
    row = 1000 * (time.process_time() - fitted) / len(new)
    low, high = law.interval(0.9).T
    inside = float(((low <= truth) & (truth <= high)).mean())
    return float(law.crps(truth).mean()), inside, fitted - began, row


def _trees(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, _: str) -> Found:
    def of(level: float) -> HistGradientBoostingRegressor:
        trees = HistGradientBoostingRegressor(loss="quantile", quantile=level, random_state=0)
        return trees.fit(x, y)

    return _quantiles(lambda: [of(level).predict for level in (*_LEVELS, 0.05, 0.95)], new, truth)


def _line(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, _: str) -> Found:
    def made() -> list[Callable[[np.ndarray], np.ndarray]]:
        line = LinearRegression().fit(x, y)
        off = np.quantile(y - line.predict(x), (*_LEVELS, 0.05, 0.95))
        return [partial(_shifted, line, each) for each in off]

    return _quantiles(made, new, truth)


def _lightgbm(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, _: str) -> Found:
    def of(level: float) -> LGBMRegressor:
        options: dict[str, Any] = {"alpha": level, "random_state": 0, "verbose": -1, "n_jobs": 1}
        return LGBMRegressor(objective="quantile", **options).fit(x, y)

    return _quantiles(lambda: [of(level).predict for level in (*_LEVELS, 0.05, 0.95)], new, truth)


def _forest(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, _: str) -> Found:
    def made() -> list[Callable[[np.ndarray], np.ndarray]]:
        trees = RandomForestQuantileRegressor(random_state=0).fit(x, y)
        return [partial(trees.predict, quantiles=level) for level in (*_LEVELS, 0.05, 0.95)]

    return _quantiles(made, new, truth)


def _ngboost(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray, _: str) -> Found:
    def made() -> list[Callable[[np.ndarray], np.ndarray]]:
        model = NGBRegressor(random_state=0, verbose=False).fit(x, y)
        return [partial(_of_law, model, level) for level in (*_LEVELS, 0.05, 0.95)]

    return _quantiles(made, new, truth)


def _of_law(model: Any, level: float, rows: np.ndarray) -> np.ndarray:
    return np.asarray(model.pred_dist(rows).ppf(level))


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
    # E|x - truth| - E|x - x'|/2 of equally likely values, as for our own laws.
    crps = _crps(np.stack(values, 1), truth, len(values) ** 2)
    return crps, float(((low <= truth) & (truth <= high)).mean()), fitted - began, row


def _crps(x: np.ndarray, truth: np.ndarray, pairs: int) -> float:
    """The mean CRPS of equally likely values, `(rows, values)`, of which there are so many pairs."""
    apart = abs(x[:, :, None] - x[:, None]).sum((1, 2)) / pairs / 2
    return float((abs(x - truth[:, None]).mean(1) - apart).mean())


def _drawn(
    peer: IsolatedPeer,
    x: np.ndarray,
    y: np.ndarray,
    new: np.ndarray,
    truth: np.ndarray,
    name: str,
) -> Found:
    """Of a peer that draws; a value is no pair with itself, or few draws would look worse."""
    drawn, (fit, draw) = laws_of(peer, name, (x, y, new), _DRAWS, _MINUTES)
    if drawn is None:
        return (math.nan,) * 4
    low, high = np.quantile(drawn, (0.05, 0.95), axis=1)
    inside = float(((low <= truth) & (truth <= high)).mean())
    return _crps(drawn, truth, _DRAWS * (_DRAWS - 1)), inside, fit, 1000 * draw / len(new)


_METHODS: dict[str, Callable[..., Found]] = {
    "Sfumato": _ours,
    **{peer.name: partial(_drawn, peer) for peer in PREDICTORS},
    "LightGBM": _lightgbm,
    "NGBoost": _ngboost,
    "quantile-forest": _forest,
    "scikit-learn": _trees,
    "a line": _line,
}
