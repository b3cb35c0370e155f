"""Unmasking trees of utrees."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from utrees import UnmaskingTrees


def fit(learn: pd.DataFrame, categories: list[str], seed: int) -> Callable[[int], pd.DataFrame]:
    """Grow the trees, and give what draws from them."""
    np.random.seed(seed)  # noqa: NPY002 - part of it draws from NumPy's own state
    names = list(learn)
    kinds = ["categorical" if name in categories else "continuous" for name in names]
    model = UnmaskingTrees(duplicate_K=5, random_state=seed, xgboost_kwargs={"n_jobs": 1})
    model.fit(learn.to_numpy(dtype=float), quantize_cols=kinds)

    def draw(n: int) -> pd.DataFrame:
        found = pd.DataFrame(model.generate(n_generate=n), columns=names)
        for name in names:
            if name not in categories and learn[name].dtype.kind == "i":
                found[name] = found[name].round().astype(int)
        return found

    return draw
