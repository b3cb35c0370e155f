"""The docstrings of the API in Chinese: their paragraphs, and what their lists say of each name."""

import re
import sys
from collections.abc import Callable
from textwrap import indent
from typing import Any

Say = Callable[[str], str]

_LIST = re.compile("(Args|Attributes|Raises):")
_ITEM = re.compile(r"( {4}[\w*]+: )(.+)", re.DOTALL)
_CODE = re.compile("`[^`]+`")
# reStructuredText finds no code beside a Chinese character, or before an opening bracket like （.
_CHINESE, _GAP = re.compile(r"[^\x00-\x7f]"), r"\ "


def chinese(docstring: str, say: Say) -> str:
    """A docstring in the words of `say`; names and the frame, which Sphinx knows, stay."""
    blocks, literal = [], False
    for block in docstring.strip().split("\n\n"):
        first, _, rest = block.partition("\n")
        if literal and block.startswith(" "):
            blocks.append(indent(say(block), " " * 4))
            continue
        if _LIST.fullmatch(first):
            items = (_item(each, say) for each in re.split(r"\n(?= {4}\S)", rest))
            blocks.append("\n".join([first, *items]))
        elif first in ("Returns:", "Yields:"):
            blocks.append(f"{first}\n    {_prose(rest, say)}")
        else:
            blocks.append(_prose(block, say))
        literal = block.endswith("::")
    return "\n\n".join(blocks)


def is_shown(kind: str, name: str, obj: Any, imported: bool) -> bool:
    """Whether autodoc, which asks for more docstrings than it shows, shows one.

    Args:
        kind: of object, as autodoc calls it.
        name: under which it is met.
        obj: the object.
        imported: whether what a module has imported is shown too.
    """
    parent, home = name.rpartition(".")[0], getattr(obj, "__module__", None) or ""
    if kind == "module" or parent == "sfumato" or parent not in sys.modules:
        return True
    return home == parent or (imported and home.startswith("sfumato."))


def _item(item: str, say: Say) -> str:
    found = _ITEM.fullmatch(item)
    if not found:
        raise ValueError(f"a list of a docstring has no `name: text` in: {item}")
    return found[1] + _prose(found[2], say)


def _prose(english: str, say: Say) -> str:
    return _CODE.sub(_apart, say(english))


def _apart(code: re.Match[str]) -> str:
    before, after = code.string[: code.start()][-1:], code.string[code.end() :][:1]
    return _GAP * bool(_CHINESE.match(before)) + code[0] + _GAP * bool(_CHINESE.match(after))
