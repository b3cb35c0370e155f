"""ForestDiffusion: flow matching by boosted trees."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from ForestDiffusion import ForestDiffusionModel


class _Writable(ForestDiffusionModel):  # type: ignore[misc]
    """Writes into an array that pandas, since its version 3, gives to be read only."""

    def clean_onehot_data(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        return np.array(super().clean_onehot_data(X))


def fit(learn: pd.DataFrame, categories: list[str], seed: int) -> Callable[[int], pd.DataFrame]:
    """Grow the trees, and give what draws from them."""
    np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's own state
    names = list(learn)
    sizes = {names.index(name): learn[name].nunique() for name in categories}
    model = _Writable(
        learn.to_numpy(dtype=float),
        label_y=None,
        n_t=10,
        duplicate_K=5,
        bin_indexes=[k for k, size in sizes.items() if size == 2],
        cat_indexes=[k for k, size in sizes.items() if size > 2],
        int_indexes=[k for k in range(len(names)) if k not in sizes and _whole(learn[names[k]])],
        diffusion_type="flow",
        n_jobs=1,
        seed=seed,
    )
    return lambda n: pd.DataFrame(model.generate(batch_size=n), columns=names)


def _whole(column: pd.Series) -> bool:
    return bool(column.dtype.kind == "i")
