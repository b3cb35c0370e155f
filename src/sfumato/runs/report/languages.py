"""The languages of a comparison's page and figure: English, and the Chinese of models.zh.toml."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files

from matplotlib.figure import Figure
from matplotlib.text import Text

from sfumato.errors import unknown


@dataclass(frozen=True, eq=False)
class Language:
    """Says an English text in this language.

    Args:
        name: "en" or "zh", as HTML has it.
        words: English texts, with `{names}` of what is filled in, to those of this language.
    """

    name: str
    words: Mapping[str, str] = field(repr=False)

    def __call__(self, text: str, **values: object) -> str:
        """A text with its values filled in; it stays English where `words` has none.

        Args:
            text: in English: one, wherever its lines end, with the names of its values or with the
                values themselves; or several, a line each.
            **values: by name.
        """
        one_line = " ".join(text.split())
        if one_line in self.words or values:
            said = self.words.get(one_line, text)
            return said.format(**values) if values else said
        if "\n" in text:
            return "\n".join(map(self, text.split("\n")))
        for pattern, said in self._patterns:
            if found := pattern.fullmatch(text):
                return said.format(**found.groupdict())
        return text

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """Texts with values in them, the most particular first."""
        return [
            (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(each))), self.words[each])
            for each in sorted(self.words, key=lambda each: -len(each))
            if "{" in each
        ]

    def translate(self, figure: Figure) -> None:
        """Put this language's words in the place of English ones in a figure that is drawn."""
        for each in figure.findobj(Text):
            assert isinstance(each, Text)
            each.set_text(self(each.get_text()))


ENGLISH = Language("en", {})
_NAMES = ("en", "zh")


def language(name: str) -> Language:
    """A language by its name.

    Raises:
        ArgumentError: if there is none of that name.
    """
    if name not in _NAMES:
        raise unknown("language", name, _NAMES)
    return ENGLISH if name == "en" else _chinese()


@cache
def _chinese() -> Language:
    file = files("sfumato.runs.report").joinpath("models.zh.toml")
    return Language("zh", tomllib.loads(file.read_text(encoding="utf-8")))
