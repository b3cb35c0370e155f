"""The page of a comparison of models: its figure, its table, how each was trained."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from sfumato import atomic
from sfumato.plots import fonts, save_figure
from sfumato.runs.compare_models import COLUMNS, ModelComparison, cells, figure_of, floors
from sfumato.runs.report.languages import ENGLISH, Language
from sfumato.runs.report.page import embedded, write_filled

_NUMBERS, _FIGURE = "comparison.json", "models.png"


def write_comparison(comparison: ModelComparison, folder: Path, say: Language = ENGLISH) -> Path:
    """Write comparison.json, models.png and report.html; the path of the page.

    The figure has English words where the machine has no font for those of the language.

    Args:
        comparison: what was found.
        folder: to write into.
        say: the language of the page and its figure; comparison.json is English.

    Raises:
        OSError: if the folder cannot be written.
    """
    numbers = json.dumps(comparison.to_dict(), indent=2)
    atomic.write_bytes(folder / _NUMBERS, numbers.encode())
    save_figure(figure_in(comparison, say), folder / _FIGURE)
    return write_filled(
        "models.html",
        folder,
        say,
        comparison=comparison,
        figure=embedded(folder / _FIGURE),
        columns=COLUMNS,
        lines=[(each, cells(each)) for each in comparison.entries],
        floors=floors(comparison),
    )


def figure_in(comparison: ModelComparison, say: Language) -> Figure:
    """The figure with the words of a language; English ones where there is no font for them."""
    figure = figure_of(comparison)
    if say is not ENGLISH and fonts.chinese():
        say.translate(figure)
    return figure
