"""The fonts of all pictures: matplotlib's own, and one of the machine for Chinese characters."""

from contextlib import suppress
from functools import cache
from pathlib import Path

from matplotlib import font_manager

OWN = "DejaVu Sans"
# The better first. Matplotlib before 3.11 sees the first face of a .ttc alone, often the Japanese.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "STHeiti", "Heiti TC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Noto Sans CJK JP", "Source Han Sans",
    "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip
_FILES = (
    "notosanscjk", "notosanssc", "sourcehansans", "msyh", "pingfang", "hiragino sans gb", "stheiti",
    "wqy-", "simhei", "droidsansfallback", "arial unicode",
)  # fmt: skip
NO_CHINESE = (
    "the figure has English words, as no font with Chinese characters was found; install one "
    "(Debian, Ubuntu: apt install fonts-noto-cjk; elsewhere Noto Sans SC, from fonts.google.com)."
)


def families() -> list[str]:
    """What texts are set in, character by character: the first of these that has it."""
    found = chinese()
    return [OWN] if found is None else [OWN, found]


@cache
def chinese() -> str | None:
    """The family of a font with Chinese characters; None where the machine has none."""
    fonts = font_manager.fontManager
    if found := _best():
        return found
    # Matplotlib keeps its list of fonts; one that was installed since is not in it.
    listed = {each.fname for each in fonts.ttflist}
    for path in set(font_manager.findSystemFonts()) - listed:
        if Path(path).name.lower().startswith(_FILES):
            with suppress(OSError, RuntimeError):  # no font that it can read
                fonts.addfont(path)
    return _best()


def _best() -> str | None:
    known = {each.name for each in font_manager.fontManager.ttflist}
    return next((name for name in _CHINESE if name in known), None)
