"""TabularARGN of mostlyai-engine, by its interface like scikit-learn's."""

from collections.abc import Callable

import pandas as pd
from mostlyai.engine import TabularARGN


def fit(
    learn: pd.DataFrame,
    categories: list[str],  # noqa: ARG001
    seed: int,
) -> Callable[[int], pd.DataFrame]:
    """Train it, and give what draws from it."""
    model = TabularARGN(random_state=seed, device="cpu", verbose=0)
    model.fit(X=learn)
    return lambda n: pd.DataFrame(model.sample(n_samples=n))
