"""The explorer's page: built once from explorer/ (`make explorer`), filled with a run."""

import base64
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from sfumato.errors import ArgumentError

# Where the page looks for its run.
_PLACE = '<script type="application/octet-stream" id="payload">'

# A file that has been handed on can ask nothing of any network, whatever is in it.
_HEAD = '<meta charset="utf-8" />'
_ALONE = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'\" />"
)

# Of a page in a notebook.
_HEIGHT = 900

# A file larger than this is hard to hand on; and what its run may have of it, before it is written
# in letters, four for three bytes.
MOST_BYTES = 20_000_000
MOST_CONTENT = (MOST_BYTES - 500_000) // 4 * 3


def check_page_target(path: Path) -> None:
    """Refuse a file that a page cannot be written to, before anything is computed.

    Raises:
        ArgumentError: if its name does not end in .html, or its folder is missing.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"a page's name ends in .html; name it .html, not {path.name!r}.")
    if not path.parent.is_dir():
        raise ArgumentError(f"there is no folder {path.parent} to write {path.name} in.")


def page_html(content: bytes | None) -> str:
    """The page as one file of HTML.

    Args:
        content: of a run, by `payload`; None for the page of a server, which sends it.
    """
    page = files("sfumato.runs.explorer").joinpath("page.html").read_text("utf-8")
    if content is None:
        return page
    before, after = page.replace(_HEAD, _HEAD + _ALONE, 1).split(_PLACE)
    return before + _PLACE + base64.b64encode(content).decode() + after


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The explorer of one run; a notebook shows it.

    Args:
        html: the whole page, which needs no network.
        left: what it has to do without.
    """

    html: str
    left: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        # A document of its own: its styles do not reach the notebook, nor the notebook's it.
        return (
            f'<iframe title="Sfumato explorer" srcdoc="{escape(self.html)}" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Page({len(self.html):,} characters)"
