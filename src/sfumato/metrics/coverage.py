"""Are all categories drawn? Those that are not, beside what a real set of as many rows leaves out.

`category_coverage` is the share of a column's categories in the reference that the sample has too,
in the mean over columns, as SDMetrics has it. `undrawn_pairs` counts the rows of the reference with
two categories that no row of the sample has together.
"""

import numpy as np

from sfumato.metrics.coded import Coded
from sfumato.metrics.support import pair_codes, pairs_of


def category_coverage(reference: Coded, sample: Coded) -> float:
    """Missing is no category, as in SDMetrics; 1 is best."""
    shares = []
    for real, drawn in zip(reference.categories.T, sample.categories.T, strict=True):
        known = np.unique(real[real >= 0])
        if len(known):
            shares.append(np.isin(known, drawn).mean())
    return float(np.mean(shares)) if shares else 1.0


def undrawn_pairs(reference: Coded, sample: Coded) -> int:
    """0 is best."""
    amiss = np.zeros(len(reference), dtype=bool)
    for pair in pairs_of(reference.categories.shape[1]):
        real, drawn = (pair_codes(each.categories[:, pair]) for each in (reference, sample))
        amiss |= ~np.isin(real, drawn)
    return int(amiss.sum())
