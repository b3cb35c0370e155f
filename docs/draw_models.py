"""Draw the picture of docs/compare-models.md: `python docs/draw_models.py`, in some five minutes.

`sfumato compare models s-curve --seconds 20`, and eight Gaussians for the page's second table.
"""

from pathlib import Path

from sfumato.plots import save_figure
from sfumato.runs.compare_models import COLUMNS, ModelComparison, cells, compare_models, figure_of
from sfumato.runs.compare_models import floors as floors_of

IMAGE = Path(__file__).parent / "images" / "models.png"
SETS, SECONDS = ("s-curve", "eight-gaussians"), 20.0


def lines(comparison: ModelComparison) -> list[str]:
    """The table as Markdown."""
    rows = [[each.title, *cells(each)] for each in comparison.entries]
    rows.append(["real rows", *floors_of(comparison)])
    heading = ["", *COLUMNS]
    return [f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *rows)]


if __name__ == "__main__":
    for name in SETS:
        found = compare_models(name, seconds=SECONDS, quiet=False)
        print(name, *lines(found), sep="\n", flush=True)
        if name == SETS[0]:
            save_figure(figure_of(found), IMAGE)
