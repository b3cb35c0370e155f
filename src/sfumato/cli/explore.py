"""The command explore."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from sfumato.cli.app import app, examples, keep_apart, say
from sfumato.errors import ArgumentError


@app.command(
    epilog=examples(
        "sfumato explore",
        "sfumato explore runs/moons-001",
        "sfumato explore runs/moons-001 --to moons.html",
        "sfumato explore runs/people",
    )
)
def explore(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run folder, or its model.safetensors."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Write one .html that needs no server, and exit.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0: any free port. [0]")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. [127.0.0.1, this machine alone]")
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
) -> None:
    """See a model at work in the browser, or fit one to points or a table there.

    Of a table: real rows beside drawn ones, under conditions that you set, and rows filled in. Of
    pictures: a grid coming out of noise beside real ones, class and guidance, and a part of a
    picture made anew.
    Without RUN the page begins empty: draw points, take a toy set or give a file, and press Fit.
    Ctrl-C ends the server; a fit that is running is saved.
    """
    if to is not None:
        given = {"--port": port is not None, "--host": host is not None, "--no-browser": no_browser}
        for option in (each for each, is_given in given.items() if is_given):
            raise ArgumentError(f"--to writes a file and serves nothing; leave {option} out.")
        _write(run, to)
        return

    from sfumato.runs.explorer.server import Explorer, is_loopback

    host = host or "127.0.0.1"
    with _leaving() as (received, left), Explorer(run, host=host, port=port or 0) as explorer:
        say(explorer.address)
        if not is_loopback(host):
            typer.echo("note: whoever has this address can fit models on this machine.", err=True)
        if not no_browser:
            import webbrowser

            webbrowser.open(explorer.address)
        while not left.wait(0.5):  # without an end, Windows would not hear Ctrl-C
            pass
    if explorer.parting:
        say(explorer.parting)
    if received[0] != signal.SIGINT:
        raise typer.Exit(128 + received[0])


def _write(run: Path | None, to: Path) -> None:
    if run is None:
        raise ArgumentError("which run? Say `sfumato explore RUN --to page.html`.")

    from sfumato.runs.explorer.page import check_page_target

    check_page_target(to)
    keep_apart(to, run)

    from sfumato.runs.run import open_run

    page = open_run(run).explore(to, quiet=False)
    say(f"Page: {to} ({to.stat().st_size / 1e6:.2f} MB); it needs no server and no network.")
    if page.left:
        say(f"It does without {', '.join(page.left)}")


@contextmanager
def _leaving() -> Iterator[tuple[list[int], threading.Event]]:
    """Take SIGINT and SIGTERM as the way to end it."""
    received: list[int] = []
    left = threading.Event()

    def note(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        left.set()

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received, left
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
