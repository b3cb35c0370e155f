"""How good drawn rows and filled cells of a table are, by scikit-learn's own estimators."""

from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench.table_sets import TableSet


def efficacy(learned: TableSet, rows: np.ndarray, held: np.ndarray) -> float:
    """Accuracy or R² on held-out rows of what learned the last column from `rows`."""
    x, y = rows[:, :-1], rows[:, -1]
    some = x[:, ~np.isnan(x).all(0)].shape[1] == x.shape[1]
    if not some or len(np.unique(y)) < 2:
        return 0.0
    models: list[Any]
    if learned.is_category[-1]:
        models = [RandomForestClassifier(random_state=0), LogisticRegression(max_iter=1000)]
    else:
        models = [RandomForestRegressor(random_state=0), RidgeCV(np.logspace(-3, 3, 7))]
    category = np.flatnonzero(learned.is_category[:-1])
    number = np.flatnonzero(~learned.is_category[:-1])
    ready = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), number),
        (OneHotEncoder(handle_unknown="ignore"), category),
        sparse_threshold=0,
    )
    scores = [
        make_pipeline(ready, model).fit(x, y).score(held[:, :-1], held[:, -1]) for model in models
    ]
    return float(np.mean(scores))


def auc(rows: np.ndarray, held: np.ndarray) -> float:
    """Area under the ROC curve of a random forest that tells rows from held-out ones."""
    x = np.concatenate([rows, held])
    label = np.repeat([1, 0], [len(rows), len(held)])
    order = np.random.default_rng(0).permutation(len(x))
    trees = RandomForestClassifier(class_weight="balanced", min_samples_leaf=3, random_state=0)
    chance = cross_val_predict(trees, x[order], label[order], cv=5, method="predict_proba")[:, 1]
    return float(roc_auc_score(label[order], chance))


def imputation(
    learned: TableSet, held: np.ndarray, filled: np.ndarray, hidden: np.ndarray
) -> dict[str, float]:
    """Of hidden cells the error of numbers in deviations, and the share of categories wrong, if any."""
    scale = np.where(learned.is_category, 1, np.nanstd(learned.rows, axis=0))
    category = hidden & learned.is_category
    off, wrong = ((filled - held) / scale)[hidden & ~category], (filled != held)[category]
    found = {"numbers": float(np.sqrt((off**2).mean()))} if len(off) else {}
    return found | ({"levels": float(wrong.mean())} if len(wrong) else {})
