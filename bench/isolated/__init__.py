"""Libraries that draw or predict tables, each in an environment of its own; see `bench.environments`.

Their requirements contradict each other's and ours. A module here is imported by the Python of its
own environment, which has neither PyTorch nor Sfumato unless the library needs them; this file
needs the standard library alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IsolatedPeer:
    """A library, what it needs, and how it is used.

    Args:
        module: of this package.
        name: how the page calls it.
        recipe: how it is used, in a sentence.
        alone: requirements that are installed without their own.
        needs: further requirements; with neither, the Python of the benchmarks runs it.
        coded: whether categories are given as 0, 1, ... in the place of text.
        rows: how many rows it learns from at most; all if None.
        drawn: how many it draws at most; as many as the set has if None.
        sets: names of those that it is measured on; all if None.
    """

    module: str
    name: str
    recipe: str
    alone: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    coded: bool = False
    rows: int | None = None
    drawn: int | None = None
    sets: tuple[str, ...] | None = None


PEERS = (
    IsolatedPeer("sfumato_defaults", "Sfumato", "its defaults"),
    IsolatedPeer(
        "independent_columns",
        "independent columns",
        "each column shuffled by itself: its marginals are perfect, and nothing else is",
    ),
    IsolatedPeer(
        "gaussian_mixture",
        "Gaussian mixture",
        "scikit-learn's, 20 components with full covariances, on normal scores of numbers and an "
        "axis for each category; the largest axis is the category drawn",
        coded=True,
    ),
    IsolatedPeer(
        "mostlyai_engine",
        "mostlyai-engine 2.7.3",
        "TabularARGN with its defaults; its text models, torchvision and torchaudio are left out",
        alone=("mostlyai-engine==2.7.3",),
        needs=(
            "torch==2.13.0", "accelerate", "datasets", "huggingface-hub", "joblib", "json-repair",
            "numpy", "opacus", "pandas", "peft", "psutil<6", "pyarrow", "scikit-learn",
            "tokenizers", "transformers",
        ),
    ),
    IsolatedPeer(
        "ctgan",
        "CTGAN 0.2.1",
        "its defaults, 300 epochs; the last release under the MIT licence that this Python "
        "installs; integers are rounded",
        alone=("ctgan==0.2.1",),
        needs=("torch==2.13.0", "scikit-learn", "pandas"),
        rows=5000,
        sets=("adult", "shoppers"),
    ),
    IsolatedPeer(
        "adversarial_forest",
        "arfpy 0.1.1",
        "adversarial random forests with their defaults, with NumPy 1 and pandas 2 (with NumPy "
        "2.4 it ends in `AttributeError: module 'numpy' has no attribute 'in1d'`); integers are "
        "rounded",
        needs=("arfpy==0.1.1", "numpy<2", "pandas<3"),
        rows=2000,
        sets=("shoppers",),
    ),
    IsolatedPeer(
        "forest_diffusion",
        "ForestDiffusion 1.0.6",
        "flow matching by XGBoost, 10 noise levels instead of 50 and 5 copies of the rows instead "
        "of 100, so that it ends within the time",
        alone=("ForestDiffusion==1.0.6", "xgboost-cpu==3.2.0"),
        needs=("numpy", "scipy", "scikit-learn", "pandas", "lightgbm", "catboost"),
        coded=True,
        rows=1000,
        sets=("shoppers",),
    ),
    IsolatedPeer(
        "unmasking_trees",
        "utrees 0.3.0",
        "UnmaskingTrees with 5 copies of the rows instead of 50, so that it ends within the time, "
        "and with scikit-learn 1.6 (with 1.9 it ends in `AttributeError: 'KDIQuantizer' object has "
        "no attribute '_validate_data'`); integers are rounded",
        alone=("utrees==0.3.0", "xgboost-cpu==3.2.0", "kditransform"),
        needs=("numpy", "scipy", "scikit-learn==1.6.*", "pandas", "tqdm", "numba"),
        coded=True,
        rows=1000,
        drawn=1000,
        sets=("shoppers",),
    ),
)  # fmt: skip


# Libraries that draw one column given the others; see `bench.isolated.laws`.
PREDICTORS = (
    IsolatedPeer("treeffuser", "Treeffuser 0.2.0", "its defaults", needs=("treeffuser==0.2.0",)),
    IsolatedPeer("diffgbm", "DiffGBM 0.1.2", "its defaults", needs=("diffgbm==0.1.2",)),
)
