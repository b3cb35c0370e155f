"""Can boosted trees tell drawn rows from real ones? The detection score of the field.

    s = 2 - 2 max(AUC, 1/2)        1: they cannot, 0: they always can

AUC is the mean over three stratified folds of the area under the ROC curve of trees that learn on
the other two. SDMetrics' detection metrics have this scale, and papers on tables take XGBoost with
its defaults for it. Here the trees are scikit-learn's, set as those defaults are: 100 trees of
depth 6, a learning rate of 0.3, an L2 penalty of 1, leaves of four rows or more (XGBoost asks for a
Hessian of 1, which is four rows where they are as likely to be real as drawn); categories are given
by their numbers. Columns are binned before, because scikit-learn's own bins are even in mass: where
nine of ten values are 0 they leave 25 for all others, and XGBoost's do not. On Adult, Default and
Shoppers s is within 0.02 of XGBoost's (`bench/results/tables.md`).
"""

import numpy as np

from sfumato.metrics.classifier import area_under_roc, has_values

FOLDS = 3
_TREES = 100
# As many as scikit-learn's trees can tell apart in one column, less that of missing values.
_BINS = 254


def detection(real: np.ndarray, drawn: np.ndarray, *, seed: int = 0) -> float:
    """The score without the maximum: above 1 where the AUC is below one half.

    Chance is even on both sides of 1, so that floors can be taken; `min(s, 1)` is what is shown.

    Args:
        real: `(n, d)`; NaN where missing.
        drawn: `(m, d)`, likewise.
        seed: of the folds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    rows = np.stack([binned(column) for column in np.concatenate([real, drawn]).T], axis=1)
    label = np.repeat([1, 0], [len(real), len(drawn)])
    areas = []
    for learn, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, label):
        usable = has_values(rows[learn])
        if not usable.any():
            areas.append(0.5)
            continue
        trees = HistGradientBoostingClassifier(
            max_iter=_TREES, learning_rate=0.3, max_depth=6, max_leaf_nodes=64, min_samples_leaf=4,
            l2_regularization=1, early_stopping=False, random_state=seed,
        )  # fmt: skip
        trees.fit(rows[learn][:, usable], label[learn])
        chance = trees.predict_proba(rows[test][:, usable])[:, 1]
        areas.append(area_under_roc(label[test], chance))
    return float(2 - 2 * np.mean(areas))


def binned(column: np.ndarray) -> np.ndarray:
    """Numbers of at most 254 bins in the order of the values, `(n,)`; NaN stays.

    A value that three bins' worth of rows have is a bin of its own; the others share the rest.
    """
    values, place, counts = np.unique(column, return_inverse=True, return_counts=True)
    known = int((~np.isnan(values)).sum())
    codes = np.arange(len(values), dtype=float)
    if known > _BINS:
        heavy = counts[:known] * _BINS > 3 * counts[:known].sum()
        mass = np.where(heavy, 0, counts[:known]).cumsum()
        cell = (mass - 1) * (_BINS - 2 * heavy.sum()) // mass[-1]
        starts = heavy[1:] | heavy[:-1] | (np.diff(cell) > 0)
        codes[:known] = np.concatenate([[0], starts.cumsum()])
    codes[known:] = np.nan
    return np.asarray(codes[place])
