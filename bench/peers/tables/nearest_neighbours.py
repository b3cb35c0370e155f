"""scikit-learn's KNNImputer with its defaults."""

from sklearn.impute import KNNImputer

from bench.peers.tables import TablePeer
from bench.peers.tables.one_hot import Filler
from bench.table_sets import TableSet


def _fit(learn: TableSet, seed: int) -> Filler:  # noqa: ARG001
    return Filler.fit(KNNImputer(), learn)


PEER = TablePeer(
    name="KNNImputer",
    recipe="scikit-learn's, with its defaults, on columns of unit scale and an axis for each level",
    fit=_fit,
    can=("impute",),
)
