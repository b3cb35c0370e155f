"""Adversarial random forests of arfpy."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from arfpy import arf


def fit(learn: pd.DataFrame, categories: list[str], seed: int) -> Callable[[int], pd.DataFrame]:
    """Grow the forests, and give what draws from them."""
    np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's own state
    rows = learn.astype(dict.fromkeys(categories, "category"))
    model = arf.arf(x=rows, verbose=False, random_state=seed)
    model.forde()

    def draw(n: int) -> pd.DataFrame:
        found = model.forge(n)
        for name in learn:
            if name not in categories and learn[name].dtype.kind == "i":
                found[name] = found[name].astype(float).round().astype(int)
        return pd.DataFrame(found)

    return draw
