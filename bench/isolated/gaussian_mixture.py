"""scikit-learn's Gaussian mixture on normal scores and one-hot categories."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

_COMPONENTS = 20


def fit(learn: pd.DataFrame, categories: list[str], seed: int) -> Callable[[int], pd.DataFrame]:
    """Fit it, and give what draws from it."""
    numbers = [name for name in learn if name not in categories]
    scores = QuantileTransformer(output_distribution="normal", random_state=seed)
    axes = OneHotEncoder(sparse_output=False)
    x = np.hstack([scores.fit_transform(learn[numbers]), axes.fit_transform(learn[categories])])
    mixture = GaussianMixture(_COMPONENTS, reg_covar=1e-3, random_state=seed).fit(x)

    def draw(n: int) -> pd.DataFrame:
        drawn, hot = np.split(mixture.sample(n)[0], [len(numbers)], axis=1)
        found = pd.DataFrame(scores.inverse_transform(drawn), columns=numbers)
        start = 0
        for name, levels in zip(categories, axes.categories_, strict=True):
            found[name] = levels[hot[:, start : start + len(levels)].argmax(1)]
            start += len(levels)
        for name in numbers:
            if learn[name].dtype.kind == "i":
                found[name] = found[name].round().astype(int)
        return found

    return draw
