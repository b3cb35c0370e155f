"""scikit-learn's IterativeImputer with its defaults."""

from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from bench.peers.tables import TablePeer
from bench.peers.tables.one_hot import Filler
from bench.table_sets import TableSet


def _fit(learn: TableSet, seed: int) -> Filler:
    return Filler.fit(IterativeImputer(random_state=seed), learn, first=1)


PEER = TablePeer(
    name="IterativeImputer",
    recipe="scikit-learn's, with its defaults, on columns of unit scale and an axis for each level but one",
    fit=_fit,
    can=("impute",),
)
