"""Pictures of the textbook, each saved twice: with English words, and with Chinese ones.

Who draws them needs Noto Sans CJK (in Debian fonts-noto-cjk); who builds the site takes the files.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from sfumato.plots.style import save_figure

DOCS = Path(__file__).parent
FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


def save(figure: Figure, name: str) -> None:
    """Save a picture in docs/images, and with Chinese words in docs/zh/images.

    Args:
        figure: the picture, with English words; it has Chinese ones afterwards.
        name: of the file.

    Raises:
        ValueError: if a text has no Chinese in figures.zh.toml.
        FileNotFoundError: if the font is not installed.
    """
    save_figure(figure, DOCS / "images" / name)
    translate(figure)
    (DOCS / "zh/images").mkdir(exist_ok=True)
    save_figure(figure, DOCS / "zh/images" / name)


def translate(figure: Figure) -> None:
    """Put Chinese words in the place of all English ones; formulas and numbers stay."""
    figure.canvas.draw()  # labels of ticks and legends are made now
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        english = text.get_text()
        if english in _words():
            text.set_text(_words()[english])
            # Beside a formula a text has one font; this one has Latin letters too.
            text.set_fontfamily(_family())
        elif re.search("[A-Za-z]{2}", re.sub(r"\$[^$]*\$", "", english)):
            raise ValueError(f"figures.zh.toml has no Chinese of: {english}")


@cache
def _words() -> dict[str, str]:
    return tomllib.loads((DOCS / "figures.zh.toml").read_text("utf-8"))


@cache
def _family() -> str:
    font_manager.fontManager.addfont(FONT)
    return "Noto Sans CJK SC"
