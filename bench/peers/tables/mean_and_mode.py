"""The mean of numbers, the commonest level: what any filling should beat."""

from sklearn.impute import SimpleImputer

from bench.peers.tables import TablePeer
from bench.peers.tables.one_hot import Filler
from bench.table_sets import TableSet


def _fit(learn: TableSet, seed: int) -> Filler:  # noqa: ARG001
    return Filler.fit(SimpleImputer(), learn)


PEER = TablePeer(
    name="mean and mode",
    recipe="the mean of numbers, the commonest level",
    fit=_fit,
    can=("impute",),
)
