"""The page of a comparison of models: its figure, its table, how each was trained."""

import json
from pathlib import Path

from sfumato import atomic
from sfumato.plots import save_figure
from sfumato.runs.compare_models import COLUMNS, ModelComparison, cells, figure_of, floors
from sfumato.runs.report.page import embedded, write_filled

_NUMBERS, _FIGURE = "comparison.json", "models.png"


def write_comparison(comparison: ModelComparison, folder: Path) -> Path:
    """Write comparison.json, models.png and report.html; the path of the page.

    Raises:
        OSError: if the folder cannot be written.
    """
    numbers = json.dumps(comparison.to_dict(), indent=2)
    atomic.write_bytes(folder / _NUMBERS, numbers.encode())
    save_figure(figure_of(comparison), folder / _FIGURE)
    return write_filled(
        "models.html",
        folder,
        comparison=comparison,
        figure=embedded(folder / _FIGURE),
        columns=COLUMNS,
        lines=[(each, cells(each)) for each in comparison.entries],
        floors=floors(comparison),
    )
