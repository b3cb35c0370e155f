"""Fewer trees, steps and dots, for tests that ask what a command does and not how well it measures.

The measures and pictures themselves are tested on their own floors, as large as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# What is tested in these folders stands above the measures and the pictures.
FLOORS = {"cli", "estimator", "interchange", "runs"}


@contextmanager
def quick_measures() -> Iterator[None]:
    """Small detection trees, a little-trained classifier of pictures, coarse pictures."""
    # Imported here for the reason that `fitted.py` gives.
    from sfumato.metrics import detection, efficacy, features
    from sfumato.plots import style

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "_TREES", 8)
        patch.setattr(efficacy, "_TREES", 8)
        patch.setattr(features, "_STEPS", 20)
        patch.setitem(style._STYLE, "savefig.dpi", 60)
        yield
