"""A run's page that needs no server: a file to hand on, or what a notebook shows."""

import os
from pathlib import Path

from sfumato import atomic
from sfumato.errors import ArgumentError
from sfumato.runs.explorer.page import Page, page_html
from sfumato.runs.explorer.payload import payload
from sfumato.runs.run import Run, open_run


def explore(run: Run | str | os.PathLike[str], to: str | os.PathLike[str] | None = None) -> Page:
    """A page that draws with the run's own network, in the browser and without a server.

    A notebook shows what is returned; `to` keeps it as one file, which opens anywhere.

    Args:
        run: of points with one to three columns that vary; or its folder or model file.
        to: a file to write, .html.

    Raises:
        ArgumentError: if the run is of other data, or the file's name does not end in .html.
        RunError: if there is no such run.
        OSError: if the file cannot be written.
    """
    opened = run if isinstance(run, Run) else open_run(run)
    page = Page(page_html(payload(opened)))
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
