"""Adult, Default and Shoppers (UCI), as the papers on tables take them, and what they published.

The files adult.csv, default.csv and shoppers.csv (or .csv.xz) are read from the folder that
SFUMATO_TABLES names.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

# Columns that are categories, though their values may be numbers; text is one anyway.
_CATEGORIES = {
    "adult": (),
    "default": ("SEX", "EDUCATION", "MARRIAGE", "Default", "PAY_0", "PAY_2", "PAY_3", "PAY_4",
                "PAY_5", "PAY_6"),
    "shoppers": ("OperatingSystems", "Browser", "Region", "TrafficType", "Weekend", "Revenue"),
}  # fmt: skip
NAMES = ("adult", "shoppers", "default")
_TARGET = {"adult": "income-per-year", "default": "Default", "shoppers": "Revenue"}

# arXiv 2603.23016, fitted on a GPU; of the sets in this order.
PUBLISHED_SETS = ("adult", "default", "shoppers")
PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "CTGAN": {
        "s": (0, 0, 0), "shape": (0.809, 0.831, 0.741), "trend": (0.758, 0.702, 0.755),
        "efficacy": (0.862, 0.727, 0.850), "alpha": (0.754, 0.673, 0.779),
        "beta": (0.131, 0.105, 0.238), "fit": (3798, 3836, 1453),
    },
    "TabSyn": {
        "s": (0.794, 0.402, 0.655), "shape": (0.992, 0.987, 0.985),
        "trend": (0.980, 0.971, 0.977), "efficacy": (0.910, 0.759, 0.914),
        "alpha": (0.990, 0.989, 0.990), "beta": (0.480, 0.460, 0.478), "fit": (3083, 3439, 2441),
    },
    "TabDiff": {
        "s": (0.841, 0.591, 0.736), "shape": (0.993, 0.988, 0.985),
        "trend": (0.985, 0.973, 0.981), "efficacy": (0.913, 0.763, 0.917),
        "alpha": (0.986, 0.987, 0.985), "beta": (0.525, 0.515, 0.511), "fit": (11605, 13899, 10321),
    },
    "TabPC": {
        "s": (0.855, 0.262, 0.894), "shape": (0.994, 0.995, 0.991),
        "trend": (0.986, 0.950, 0.982), "efficacy": (0.916, 0.744, 0.897),
        "alpha": (0.996, 0.995, 0.992), "beta": (0.499, 0.449, 0.500), "fit": (273, 78, 51),
    },
    "shallow mixture": {
        "s": (0.773, 0.105, 0.290), "shape": (0.992, 0.991, 0.971),
        "trend": (0.981, 0.977, 0.950), "alpha": (0.992, 0.970, 0.962),
        "beta": (0.469, 0.348, 0.368), "fit": (60, 164, 48),
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class StandardSet:
    """A set, split 90 to 10.

    Args:
        name: of the set.
        learn: nine tenths of the rows.
        held: the others.
        categories: names of the columns that are categories, as text.
        target: the category that efficacy predicts.
    """

    name: str
    learn: pd.DataFrame
    held: pd.DataFrame
    categories: list[str]
    target: str


def standard_set(name: str) -> StandardSet:
    """The set of one of NAMES, as it stands."""
    folder = Path(os.environ["SFUMATO_TABLES"])
    (path,) = (each for end in (".csv", ".csv.xz") if (each := folder / f"{name}{end}").exists())
    rows = pd.read_csv(path, skipinitialspace=True).drop(columns="ID", errors="ignore")
    numeric = set(rows.select_dtypes("number").columns)
    categories = [each for each in rows if each in _CATEGORIES[name] or each not in numeric]
    rows[categories] = rows[categories].astype(str)
    order = np.random.default_rng(0).permutation(len(rows))
    held, learn = np.split(order, [len(rows) // 10])
    learned, kept = (rows.iloc[part].reset_index(drop=True) for part in (learn, held))
    return StandardSet(name, learned, kept, categories, _TARGET[name])
