"""A run's page that needs no server: a file to hand on, or what a notebook shows."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sfumato import atomic
from sfumato.runs.explorer.binary import answer, header_in
from sfumato.runs.explorer.calls import counted
from sfumato.runs.explorer.messages import MakePage
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


def made_page(run: Run, asked: MakePage, is_given_up: Callable[[], bool]) -> bytes:
    """The page of a file for a page of the server that asks for it.

    Args:
        run: as of `carried`.
        asked: the page's message.
        is_given_up: asked before each call of the network.

    Returns:
        An answer: what `run.explore` writes, and what the file says of itself, so that the page can
        say what it does without.

    Raises:
        Abandoned: if it is given up.
        ArgumentError: if the run has no such page; says why.
    """
    with counted(run.model, is_given_up):
        content, _ = carried(run, MOST_CONTENT)
    html = np.frombuffer(page_html(content).encode(), np.uint8)
    return answer(asked.request, {"file": header_in(content)}, {"page": html})
