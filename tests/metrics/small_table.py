"""Two small tables without any randomness, for which other libraries print their figures.

    python -m venv other
    other/bin/pip install sdmetrics==0.32.0
    other/bin/pip download --no-deps synthcity==0.2.12
    other/bin/python tests/metrics/small_table.py synthcity-0.2.12-py3-none-any.whl

Of synthcity the one function is run that computes alpha-precision and beta-recall, because the
whole package needs a PyTorch of its own; as its `_normalize_covariates` does, numbers are scaled by
the real range first.
"""

import math
import sys
from typing import Any

ROWS = 60


def columns(shift: float) -> dict[str, list[Any]]:
    """Two numeric columns, one with missing values, and two categorical ones."""
    turn = [0.7 * k + shift for k in range(ROWS)]
    return {
        "x": [math.sin(t) + t / 30 for t in turn],
        "y": [None if k % 7 == 3 else math.cos(1.3 * t) * t for k, t in enumerate(turn)],
        "n": [float(int(5 * math.sin(2.1 * t) ** 2 * (1 + shift))) for t in turn],
        "word": [
            ("e" if shift == 0 else "f") if k == 20 else "abcd"[int(2 + 1.99 * math.sin(1.7 * t))]
            for k, t in enumerate(turn)
        ],
        "flag": ["yes" if math.sin(t) + math.sin(3 * t + shift) > 0 else "no" for t in turn],
    }  # fmt: skip


def _sdmetrics() -> None:
    import pandas as pd
    from sdmetrics.reports.single_table._properties import ColumnPairTrends, ColumnShapes
    from sdmetrics.single_column import BoundaryAdherence, CategoryAdherence, CategoryCoverage

    real, drawn = pd.DataFrame(columns(0.0)), pd.DataFrame(columns(0.4))
    kinds = dict.fromkeys("xyn", "numerical") | dict.fromkeys(("word", "flag"), "categorical")
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}
    for part in (ColumnShapes(), ColumnPairTrends()):
        part.get_score(real, drawn, metadata)
        print(type(part).__name__, part.details["Score"].tolist())
    for name in "xyn":
        print("BoundaryAdherence", name, BoundaryAdherence.compute(real[name], drawn[name]))
    for measure in (CategoryCoverage, CategoryAdherence):
        for name in ("word", "flag"):
            print(measure.__name__, name, measure.compute(real[name], drawn[name]))


def _synthcity(wheel: str) -> None:
    import zipfile

    import numpy as np
    import pandas as pd
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import MinMaxScaler

    text = zipfile.ZipFile(wheel).read("synthcity/metrics/eval_statistical.py").decode()
    text = text[text.index("class AlphaPrecision") :]
    text = text[text.index("    def metrics(") : text.index("    def _normalize_covariates")]
    names: dict[str, Any] = {"np": np, "NearestNeighbors": NearestNeighbors}
    exec("from typing import Optional, Tuple\nif True:\n" + text, names)
    both = pd.DataFrame(columns(0.0)), pd.DataFrame(columns(0.4))
    hot = pd.get_dummies(pd.concat(both).drop(columns="y"), columns=["word", "flag"]).astype(float)
    real, drawn = hot.iloc[:ROWS], hot.iloc[ROWS:]
    scaler = MinMaxScaler().fit(real)
    found = names["metrics"](None, scaler.transform(real), scaler.transform(drawn))
    print("alpha-precision and beta-recall", found[3], found[4])


if __name__ == "__main__":
    _sdmetrics()
    _synthcity(sys.argv[1])
