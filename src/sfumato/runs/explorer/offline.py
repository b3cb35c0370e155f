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
    """As `Run.explore`, of a run, or of the folder or model file that one is in.

    Raises:
        RunError: if there is no such run.
    """
    return (run if isinstance(run, Run) else open_run(run)).explore(to, quiet=quiet)


def offline_page(run: Run, to: Path | None, *, quiet: bool) -> Page:
    """The page of `Run.explore`, which says more."""
    if to is not None:
        check_page_target(to)
    content, left = carried(run, MOST_CONTENT, quiet=quiet)
    page = Page(page_html(content), tuple(left))
    if to is not None:
        atomic.write_bytes(to, page.html.encode())
    return page
