"""Can a classifier tell the two sets apart? The two-sample test of Lopez-Paz & Oquab (2017)."""

import numpy as np

_TREES = 100
# Rows of a leaf, scikit-learn's own number; of few rows a tenth, as no tree could split them else.
_LEAF = 20


def classifier_auc(
    x: np.ndarray, y: np.ndarray, *, categorical: np.ndarray | None = None, seed: int = 0
) -> float:
    """Area under the ROC curve of gradient-boosted trees, on rows they did not learn from.

    One random half of the pooled rows trains, the other is scored. 0.5 is chance, 1 is told
    apart without error; chance also gives values a little below 0.5.

    Args:
        x: `(n, d)`; NaN where missing.
        y: `(m, d)`.
        categorical: which columns are levels, numbered from 0 to 254 at most, `(d,)`.
        seed: of the split.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = np.concatenate([x, y])
    label = np.repeat([0, 1], [len(x), len(y)])
    rng = np.random.default_rng(seed)
    # Halves of each set, so that both labels are in both.
    learn = np.zeros(len(rows), dtype=bool)
    learn[rng.permutation(len(x))[: len(x) // 2]] = True
    learn[len(x) + rng.permutation(len(y))[: len(y) // 2]] = True
    usable = has_values(rows[learn])
    if not usable.any():
        return 0.5
    rows, categorical = rows[:, usable], None if categorical is None else categorical[usable]
    trees = HistGradientBoostingClassifier(
        max_iter=_TREES,
        min_samples_leaf=min(_LEAF, max(1, int(learn.sum()) // 10)),
        categorical_features=categorical,
        early_stopping=False,
        random_state=seed,
    )
    trees.fit(rows[learn], label[learn])
    return area_under_roc(label[~learn], trees.predict_proba(rows[~learn])[:, 1])


def area_under_roc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: how often a row of 1 scores above one of 0, ties by half.

    By the ranks of the scores (Mann & Whitney 1947). scikit-learn takes milliseconds to check its
    arguments, and a measurement asks for hundreds of areas.

    Args:
        label: 1 and 0, or True and False, both of which occur, `(n,)`.
        score: higher where 1 is more likely, `(n,)`.
    """
    from scipy.stats import rankdata

    ones = np.asarray(label, bool)
    positive, negative = int(ones.sum()), int((~ones).sum())
    above = rankdata(score)[ones].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def has_values(rows: np.ndarray) -> np.ndarray:
    """Which columns have any value, `(d,)`: scikit-learn's trees stumble over the others."""
    return np.asarray(~np.isnan(rows).all(0))
