"""ForestDiffusion (MIT): flow matching by boosted trees, a model for each class of the target."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ForestDiffusion import ForestDiffusionModel

from bench.peers.tables import TablePeer
from bench.table_sets import TableSet

# Its defaults are 50 noise levels, 100 trees each, 100 copies of the rows: hours on two cores.
_LEVELS, _FEWEST, _TREES, _MOST_TREES, _NOISED = 50, 10, 100, 20_000, 5_000


class _Writable(ForestDiffusionModel):  # type: ignore[misc]
    """Writes into an array that pandas, since its version 3, gives to be read only."""

    def clean_onehot_data(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        return np.array(super().clean_onehot_data(X))


@dataclass(frozen=True, slots=True, eq=False)
class _Forest:
    model: Any

    def sample(self, n: int, seed: int) -> np.ndarray:
        np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's own state
        return np.asarray(self.model.generate(batch_size=n))


def _fit(learn: TableSet, seed: int) -> _Forest:
    by_class = learn.is_category[-1]
    x, label = (
        (learn.rows[:, :-1], learn.rows[:, -1].astype(int)) if by_class else (learn.rows, None)
    )
    kinds = learn.kinds[: x.shape[1]]
    levels = [len(np.unique(each[~np.isnan(each)])) for each in x.T]
    categories = [k for k, kind in enumerate(kinds) if kind == "category"]
    outputs = sum(levels[k] - 1 if k in categories else 1 for k in range(len(kinds)))
    models = outputs * (1 if label is None else len(np.unique(label)))
    model = _Writable(
        x.copy(),
        label_y=label,
        n_t=int(np.clip(_MOST_TREES // (_TREES * models), _FEWEST, _LEVELS)),
        duplicate_K=int(np.clip(_NOISED // len(x), 1, 100)),
        bin_indexes=[k for k in categories if levels[k] == 2],
        cat_indexes=[k for k in categories if levels[k] > 2],
        int_indexes=[k for k, kind in enumerate(kinds) if kind == "integer"],
        diffusion_type="flow",
        n_jobs=1,
        seed=seed,
    )
    return _Forest(model)


PEER = TablePeer(
    name="ForestDiffusion",
    recipe=f"flow matching as in its README, a model for each class of the target, {_TREES} trees "
    f"each; to end within minutes, as many of its {_LEVELS} noise levels as {_MOST_TREES:,} trees "
    f"allow ({_FEWEST} at least), its 100 copies of the rows to {_NOISED:,} rows at most; one seed",
    fit=_fit,
    can=("sample",),
    seeds=1,
    left_out=("digits",),
)
