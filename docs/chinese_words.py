"""The Chinese of what the code says of itself: the words of the pages of commands and settings."""

import tomllib
from pathlib import Path

FILE = Path(__file__).with_name("reference.zh.toml")


class ChineseWords:
    """A file of English texts with their Chinese; `unused` are those not yet asked for.

    Raises ValueError if the file has a text twice.
    """

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self._words: dict[str, str] = {}
        for each in tomllib.loads(file.read_text("utf-8"))["text"]:
            if each["en"] in self._words:
                raise ValueError(f"{file.name} has twice: {each['en']}")
            self._words[each["en"]] = each["zh"]
        self.unused = set(self._words)

    def __call__(self, english: str) -> str:
        """The Chinese of a text, wherever its lines end; ValueError if the file has none."""
        text = " ".join(english.split())
        if not text:
            return ""
        if text not in self._words:
            raise ValueError(f"{self._file.name} has no Chinese of: {text}")
        self.unused.discard(text)
        return self._words[text]
