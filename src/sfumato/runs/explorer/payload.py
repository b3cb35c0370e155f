"""What the explorer's page is given of a run, by the kind of its data."""

from collections.abc import Callable

from torch import nn

from sfumato.errors import ArgumentError
from sfumato.runs.explorer import pictures, points, tables
from sfumato.runs.explorer.calls import Listener, ignore_progress
from sfumato.runs.explorer.messages import Draw, DrawPictures, DrawRows, FillPicture, FillRow
from sfumato.runs.run import Run


def payload(
    run: Run, other: nn.Module | None = None, is_given_up: Callable[[], bool] = lambda: False
) -> bytes:
    """All that the page shows of a run, fitted or half fitted.

    Args:
        run: of points with one to three columns that vary, of a table, or of pictures.
        other: of points, the network with the weights that the run does not draw with (the last
            ones of averaged ones) while it is being fitted; else they are those of its checkpoint.
        is_given_up: asked before each call of the network.

    Raises:
        Abandoned: if it is given up.
        ArgumentError: if the page has no place for such a run; says why.
    """
    match run.model.codec.kind:
        case "points":
            return points.payload(run, other)
        case "table":
            return tables.payload(run, is_given_up)
        case _:
            return pictures.payload(run)


def carried(run: Run, most: int, *, quiet: bool = True) -> tuple[bytes, list[str]]:
    """All that a page without a server shows of a run, and what it has to do without.

    Args:
        run: as for `payload`.
        most: bytes that it may have; of points all is needed.
        quiet: show no progress.

    Raises:
        ArgumentError: as for `payload`.
    """
    match run.model.codec.kind:
        case "points":
            return points.payload(run), []
        case "table":
            return tables.carried(run, most, quiet=quiet)
        case _:
            return pictures.carried(run, most, quiet=quiet)


def drawn(
    run: Run,
    asked: Draw,
    is_given_up: Callable[[], bool],
    progress: Callable[[int, int], None] = ignore_progress,
) -> bytes:
    """What a page asked the model for, as `binary.answer` writes it.

    Args:
        run: of a table or of pictures.
        asked: the page's message.
        is_given_up: asked before each call of the network.
        progress: how many steps of how many are done; of pictures.

    Raises:
        Abandoned: if it is given up.
        SfumatoError: if the run has no such thing, or cannot draw it; says why.
    """
    match run.model.codec.kind, asked:
        case "table", DrawRows():
            return tables.drawn_rows(run, asked, is_given_up)
        case "table", FillRow():
            return tables.filled_row(run, asked, is_given_up)
        case "images", DrawPictures() | FillPicture():
            return pictures.drawn(run, asked, Listener(progress, is_given_up))
        case kind, _:
            kinds = {"points": "points", "table": "a table", "images": "pictures"}
            raise ArgumentError(f"a run of {kinds[kind]} is not asked for this.")
