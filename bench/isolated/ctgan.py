"""CTGAN, with the names that scikit-learn's arguments have had since."""

from collections.abc import Callable

import ctgan.transformer
import numpy as np
import pandas as pd
import torch
from ctgan import CTGANSynthesizer
from sklearn.mixture import BayesianGaussianMixture
from sklearn.preprocessing import OneHotEncoder

ctgan.transformer.OneHotEncoder = lambda sparse: OneHotEncoder(sparse_output=sparse)
ctgan.transformer.BayesianGaussianMixture = lambda size, **others: BayesianGaussianMixture(
    n_components=size, **others
)


def fit(learn: pd.DataFrame, categories: list[str], seed: int) -> Callable[[int], pd.DataFrame]:
    """Train it, and give what draws from it."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's own state
    names = list(learn)
    codes = {name: pd.factorize(learn[name], sort=True) for name in categories}
    x = np.column_stack([codes[n][0] if n in codes else learn[n] for n in names]).astype(float)
    model = CTGANSynthesizer()
    model.fit(x, tuple(names.index(name) for name in categories))

    def draw(n: int) -> pd.DataFrame:
        found = pd.DataFrame(np.asarray(model.sample(n), dtype=float), columns=names)
        for name in names:
            if name in codes:
                found[name] = np.asarray(codes[name][1])[found[name].round().astype(int)]
            elif learn[name].dtype.kind == "i":
                found[name] = found[name].round().astype(int)
        return found

    return draw
