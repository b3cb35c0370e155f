"""Each column shuffled by itself."""

from collections.abc import Callable

import numpy as np
import pandas as pd


def fit(
    learn: pd.DataFrame,
    categories: list[str],  # noqa: ARG001
    seed: int,
) -> Callable[[int], pd.DataFrame]:
    """There is nothing to learn."""
    rng = np.random.default_rng(seed)
    return lambda n: pd.DataFrame({c: rng.permutation(learn[c].to_numpy())[:n] for c in learn})
