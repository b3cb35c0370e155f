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
    """Small detection trees, a little-trained classifier of pictures, coarse pictures as they fall.

    Most of the time of a small picture goes to moving its parts out of each other's way.
    """
    # Imported here for the reason that `fitted.py` gives.
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from sfumato.metrics import classifier, detection, efficacy, features
    from sfumato.plots import style

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_TREES", 5)
        patch.setattr(detection, "_TREES", 2)
        patch.setattr(efficacy, "_TREES", 2)
        patch.setattr(features, "_STEPS", 20)
        patch.setitem(style._STYLE, "savefig.dpi", 60)
        patch.setitem(style._STYLE, "axes.formatter.use_mathtext", False)
        patch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
        yield


@contextmanager
def blank_figures() -> Iterator[None]:
    """A report whose figures are empty, for tests of what else it has.

    What they show is tested beside them; every one of every kind in `cli/test_matrix.py`.
    """
    from sfumato.plots.style import new_figure
    from sfumato.runs.figures import images, points, table

    with pytest.MonkeyPatch.context() as patch:
        for module in (images, points, table):
            blank = {name: lambda *_: new_figure(1, 1) for name in module.FIGURES}
            patch.setattr(module, "FIGURES", blank)
        yield


@contextmanager
def small_chunks() -> Iterator[None]:
    """Rows are computed 256 at a time and pictures by eight, where few are asked for.

    Not beside runs that other tests share: their snapshots are whole chunks.
    """
    from sfumato.models import predictive, table
    from sfumato.process import streams

    with pytest.MonkeyPatch.context() as patch:
        for module in (streams, table, predictive):
            patch.setattr(module, "CHUNK", 256)
        patch.setattr(streams, "PICTURES", 8)
        yield


@pytest.fixture(scope="module")
def in_small_chunks() -> Iterator[None]:
    """The same for a module."""
    with small_chunks():
        yield


@contextmanager
def few_folds() -> Iterator[None]:
    """Such learners are fitted to two thirds of the rows at a time, three times instead of five."""
    from sfumato.estimator import stacking

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "_FOLDS", 3)
        patch.setattr(stacking, "_ROWS_OF_TWICE", 0)
        yield


@contextmanager
def few_trees() -> Iterator[None]:
    """The learners that come before the network of a predictor are few and small."""
    from sfumato.estimator import stacking

    with few_folds(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "_BOOSTED_TREES", 8)
        patch.setattr(stacking, "_EXTRA_TREES", 4)
        patch.setitem(stacking._BOOSTED, "max_leaf_nodes", 8)
        patch.setitem(stacking._PERCEPTRON, "hidden_layer_sizes", (8,))
        patch.setitem(stacking._PERCEPTRON, "max_iter", 4)
        yield


@contextmanager
def few_guesses() -> Iterator[None]:
    """The best guess of a missing value is the mean of ten draws."""
    from sfumato.runs.kinds import points, table

    with pytest.MonkeyPatch.context() as patch:
        for kind in (points, table):
            patch.setattr(kind, "guesses", 10)
        yield
