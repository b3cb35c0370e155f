"""Can a classifier tell the two sets apart? The two-sample test of Lopez-Paz & Oquab (2017)."""

import numpy as np

_TREES = 100


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
        max_iter=_TREES, categorical_features=categorical, early_stopping=False, random_state=seed
    )
    trees.fit(rows[learn], label[learn])
    return area_under_roc(label[~learn], trees.predict_proba(rows[~learn])[:, 1])


def area_under_roc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve by trapezia, scikit-learn's to the last bit.

    That of scikit-learn takes milliseconds to check its arguments, and a measurement asks for
    hundreds of areas.

    Args:
        label: 1 and 0, or True and False, both of which occur, `(n,)`.
        score: higher where 1 is more likely, `(n,)`.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)  # of the rows that have the same score
    true = label[order].cumsum(dtype=float)[last]
    false = np.flatnonzero(last) + 1 - true
    corner = np.ones(len(true), dtype=bool)
    corner[1:-1] = (np.diff(true, 2) != 0) | (np.diff(false, 2) != 0)
    y, x = (np.append(0.0, each[corner]) / each[-1] for each in (true, false))
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def has_values(rows: np.ndarray) -> np.ndarray:
    """Which columns have any value, `(d,)`: scikit-learn's trees stumble over the others."""
    return np.asarray(~np.isnan(rows).all(0))
