"""The explorer's page: built once from explorer/ (`make explorer`), filled with a run."""

import base64
import os
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from sfumato import atomic
from sfumato.errors import ArgumentError
from sfumato.runs.explorer.payload import payload
from sfumato.runs.run import Run

# Where the page looks for its run.
_PLACE = '<script type="application/octet-stream" id="payload">'

# Of a page in a notebook.
_HEIGHT = 900


def page_html(content: bytes | None) -> str:
    """The page as one file of HTML.

    Args:
        content: of a run, by `payload`; None for the page of a server, which sends it.
    """
    page = files("sfumato.runs.explorer").joinpath("page.html").read_text("utf-8")
    if content is None:
        return page
    before, after = page.split(_PLACE)
    return before + _PLACE + base64.b64encode(content).decode() + after


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The explorer of one run; a notebook shows it.

    Args:
        html: the whole page, which needs no network.
    """

    html: str

    def _repr_html_(self) -> str:
        # A document of its own: its styles do not reach the notebook, nor the notebook's it.
        return (
            f'<iframe title="Sfumato explorer" srcdoc="{escape(self.html)}" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Page({len(self.html):,} characters)"


def explore(run: Run, to: str | os.PathLike[str] | None = None) -> Page:
    """A page that draws with the run's own network, in the browser and without a server.

    A notebook shows what is returned; `to` keeps it as one file, which opens anywhere.

    Args:
        run: of points with one to three columns that vary.
        to: a file to write, .html.

    Raises:
        ArgumentError: if the run is of other data, or the file's name does not end in .html.
        OSError: if the file cannot be written.
    """
    page = Page(page_html(payload(run)))
    if to is not None:
        _write(page, Path(to))
    return page


def write_page(run: Run, path: Path) -> int:
    """Write the page of a run as one file; its size in bytes.

    Raises:
        ArgumentError: as `explore`.
        OSError: if it cannot be written.
    """
    return _write(Page(page_html(payload(run))), path)


def _write(page: Page, path: Path) -> int:
    if path.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"the page is HTML; name it .html, not {path.name!r}.")
    if not path.parent.is_dir():
        raise ArgumentError(f"there is no folder {path.parent} to write {path.name} in.")
    content = page.html.encode()
    atomic.write_bytes(path, content)
    return len(content)
