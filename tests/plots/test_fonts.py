"""Chinese characters in pictures: by a font of the machine if it has one, and never as boxes."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from matplotlib import font_manager

from sfumato.plots import fonts, save_figure
from sfumato.plots.columns import plain
from sfumato.plots.style import headline, new_figure, styled


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    fonts.chinese.cache_clear()
    yield
    fonts.chinese.cache_clear()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_CHINESE", ())


def test_a_font_that_was_installed_after_matplotlib_listed_them_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = [e for e in font_manager.fontManager.ttflist if not e.name.startswith("DejaVu Serif")]
    serif = str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSerif.ttf")
    broken = tmp_path / "dejavuserif-broken.ttf"
    broken.write_text("no font")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(broken), serif])
    monkeypatch.setattr(fonts, "_CHINESE", ("DejaVu Serif",))
    assert fonts.chinese() is None
    fonts.chinese.cache_clear()
    monkeypatch.setattr(fonts, "_FILES", ("dejavuserif",))
    assert fonts.families() == ["DejaVu Sans", "DejaVu Serif"]


@pytest.mark.usefixtures("without")
def test_without_a_font_a_sign_stands_for_each_character() -> None:
    assert fonts.chinese() is None
    assert plain("年 x") == "□ x"
    assert plain("身高") == "□□"


def test_with_a_font_chinese_names_are_drawn(tmp_path: Path) -> None:
    if fonts.chinese() is None:
        pytest.skip("this machine has no font with Chinese characters")
    assert plain("年 x") == "年 x"
    with styled():
        figure = new_figure(2, 1)
        headline(figure, plain("身高"))
    save_figure(figure, tmp_path / "name.svg")  # a missing glyph is a warning, and so an error
    found = font_manager.get_font(font_manager.findfont(str(fonts.chinese())))
    assert found.get_char_index(ord("高")) > 0
    assert (tmp_path / "name.svg").read_text().count("<use") >= 2
