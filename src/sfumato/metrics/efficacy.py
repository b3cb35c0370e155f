"""Is a table as good to learn from as a real one? Train on it, test on real rows.

The error is one scale for both kinds of target, 0 where every row is predicted and 1 where guessing
does as well:

    (1)  levels   2 (1 - AUC), one level against the others, weighted by how common it is
    (2)  numbers  1 - R² of the target's ranks, so that units and heavy tails do not matter

`efficacy` is what the field reports, 1 is best: the AUC of (1), which is 1/2 by guessing, and for
numbers, whose RMSE depends on their unit, the R² of (2). After Esteban, Hyland & Raetsch (2017),
"train on synthetic, test on real".
"""

import numpy as np

from sfumato.metrics.association import associations
from sfumato.metrics.classifier import area_under_roc, has_values
from sfumato.metrics.coded import Coded, ranks

# More rows cost time and teach little more.
_ROWS = 4000
_TREES, _LEARNING_RATE = 30, 0.2
# Categories that are kept apart; the rarer ones are one.
_CLASSES = 10
_CANDIDATES, _TARGETS = 8, 3


def error(train: Coded, test: Coded, target: str, *, seed: int = 0) -> float:
    """Eq. (1) or (2) for gradient-boosted trees that predict one column from the others.

    Rows in which the target is missing are left out.

    Args:
        train: what they learn from, the first 4,000 rows of it.
        test: what they are tested on, likewise.
        target: its name.
        seed: of the trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import r2_score

    column = train.names.index(target)
    x, x_test = train.features[:_ROWS], test.features[:_ROWS]
    x, x_test = (part[~np.isnan(part[:, column])] for part in (x, x_test))
    y, y_test = x[:, column], x_test[:, column]
    others = has_values(x) & (np.arange(len(train.names)) != column)
    if min(len(y), len(y_test)) < 2 or not others.any():
        return 1.0
    x, x_test = x[:, others], x_test[:, others]
    options = {
        "categorical_features": train.categorical[others],
        "early_stopping": False,
        "learning_rate": _LEARNING_RATE,
        "max_iter": _TREES,
        "random_state": seed,
    }
    if target in train.numeric_names:
        y, y_test = ranks(y, y_test), ranks(y_test, y_test)
        trees = HistGradientBoostingRegressor(**options).fit(x, y)
        return float(np.clip(1 - r2_score(y_test, trees.predict(x_test)), 0, 1))
    y, y_test = np.minimum(y, _CLASSES - 1), np.minimum(y_test, _CLASSES - 1)
    chance = np.zeros(
        (len(y_test), _CLASSES)
    )  # categories outside of the training rows are not predicted
    known = np.unique(y).astype(int)
    if len(known) > 1:
        trees = HistGradientBoostingClassifier(**options).fit(x, y)
        chance[:, known] = trees.predict_proba(x_test)
    found = [
        (float(is_it.mean()), area_under_roc(is_it, chance[:, k]))
        for k, is_it in ((k, y_test == k) for k in range(_CLASSES))
        if 0 < is_it.mean() < 1
    ]
    if not found:
        return 1.0
    weight, area = np.array(found).T
    return float(np.clip(2 * (1 - np.average(area, weights=weight)), 0, 1))


def efficacy(train: Coded, test: Coded, target: str, *, seed: int = 0) -> float:
    """AUC or R² of the trees of `error`."""
    found = error(train, test, target, seed=seed)
    return 1 - found if target in train.numeric_names else 1 - found / 2


def targets(real: Coded, *, seed: int = 0) -> tuple[str, ...]:
    """Up to three columns that a real table predicts best, of those that go most with another.

    One half of the rows teaches, the other tests.

    Args:
        real: more than one column.
        seed: of the trees.
    """
    strength = np.abs(associations(real) - np.eye(len(real.names))).max(1)
    most = np.argsort(-strength, kind="stable")[:_CANDIDATES]
    half = min(len(real) // 2, _ROWS // 2)
    found = [
        (error(real[:half], real[half : 2 * half], real.names[k], seed=seed), real.names[k])
        for k in most
    ]
    return tuple(name for _, name in sorted(found)[:_TARGETS])
