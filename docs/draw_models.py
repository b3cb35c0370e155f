"""Draw the pictures of compare-models.md, English and Chinese: `python docs/draw_models.py`.

`sfumato compare models s-curve --seconds 20`, and eight Gaussians for the page's second table: some
five minutes. The Chinese picture needs a font (fonts-noto-cjk).
"""

from pathlib import Path

from sfumato.plots import fonts, save_figure
from sfumato.runs.compare_models import COLUMNS, ModelComparison, cells, compare_models
from sfumato.runs.compare_models import floors as floors_of
from sfumato.runs.report.languages import language
from sfumato.runs.report.models import figure_in

DOCS = Path(__file__).parent
IMAGES = {"en": DOCS / "images/models.png", "zh": DOCS / "zh/images/models.png"}
SETS, SECONDS = ("s-curve", "eight-gaussians"), 20.0


def lines(comparison: ModelComparison) -> list[str]:
    """The table as Markdown."""
    rows = [[each.title, *cells(each)] for each in comparison.entries]
    rows.append(["real rows", *floors_of(comparison)])
    heading = ["", *COLUMNS]
    return [f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *rows)]


if __name__ == "__main__":
    if fonts.chinese() is None:
        raise SystemExit(fonts.NO_CHINESE)
    for name in SETS:
        found = compare_models(name, seconds=SECONDS, quiet=False)
        print(name, *lines(found), sep="\n", flush=True)
        if name == SETS[0]:
            for code, image in IMAGES.items():
                save_figure(figure_in(found, language(code)), image)
