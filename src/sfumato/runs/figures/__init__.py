"""The figures and animations of a run, one module for each kind of data."""

from types import ModuleType

from sfumato.runs.figures import images, points, table
from sfumato.runs.run import Run

_FIGURES = {"points": points, "images": images, "table": table}


def figures_of(run: Run) -> ModuleType:
    """What can be drawn: FIGURES, CAPTIONS and so on, and `measured`, `reported`, `animate`."""
    return _FIGURES[run.kind.name]
