"""Sfumato with its defaults, in the environment of the benchmarks."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

import sfumato


def fit(
    learn: pd.DataFrame,
    categories: list[str],  # noqa: ARG001
    seed: int,
) -> Callable[[int], pd.DataFrame]:
    """Fit it; only a hundredth of the rows is kept out, as no other method keeps more."""
    out = Path(tempfile.mkdtemp()) / "run"
    run = sfumato.fit(learn, out=out, settings={"data.holdout": 0.01}, seed=seed, quiet=True)
    return lambda n: pd.DataFrame(run.sample(n, seed=seed + 1))
