"""A run's page that needs no server: a file to hand on, or what a notebook shows."""

import os
from pathlib import Path

from sfumato import atomic
from sfumato.runs.explorer.page import MOST_CONTENT, Page, check_page_target, page_html
from sfumato.runs.explorer.payload import carried
from sfumato.runs.run import Run, open_run


def explore(
    run: Run | str | os.PathLike[str],
    to: str | os.PathLike[str] | None = None,
    *,
    quiet: bool = True,
) -> Page:
    """A page of a run that needs no server.

    Of points it draws with the run's own network, in the browser; rows of a table and pictures are
    drawn beforehand. A notebook shows what is returned; `to` keeps it as one file, which opens
    anywhere.

    Args:
        run: of points with one to three columns that vary, of a table, or of pictures; or its
            folder or model file.
        to: a file to write, .html.
        quiet: show no progress.

    Raises:
        ArgumentError: if the run is of other data, the file's name does not end in .html, or its
            folder is missing.
        RunError: if there is no such run.
        OSError: if the file cannot be written.
    """
    if to is not None:
        check_page_target(Path(to))
    opened = run if isinstance(run, Run) else open_run(run)
    content, left = carried(opened, MOST_CONTENT, quiet=quiet)
    page = Page(page_html(content), tuple(left))
    if to is not None:
        atomic.write_bytes(Path(to), page.html.encode())
    return page
