"""What the explorer's page is given of a run, by the kind of its data."""

from torch import nn

from sfumato.errors import ArgumentError
from sfumato.runs.explorer import pictures, points, tables
from sfumato.runs.explorer.calls import Listener
from sfumato.runs.explorer.messages import Asked, DrawPictures, DrawRows, FillPicture, FillRow
from sfumato.runs.run import Run


def payload(run: Run, other: nn.Module | None = None, *, served: bool = True) -> bytes:
    """All that the page shows of a run, fitted or half fitted.

    Args:
        run: of points with one to three columns that vary, of a table, or of pictures.
        other: of points, the network with the weights that the run does not draw with (the last
            ones of averaged ones) while it is being fitted; else they are those of its checkpoint.
        served: whether the page has a server to ask; of pictures, if it has none, some are drawn
            beforehand.

    Raises:
        ArgumentError: if the page has no place for such a run; says why.
    """
    match run.model.codec.kind:
        case "points":
            return points.payload(run, other)
        case "table":
            return tables.payload(run)
        case _:
            return pictures.payload(run, served=served)


def drawn(run: Run, asked: Asked, listener: Listener) -> bytes:
    """What a page asked the model for, as `binary.answer` writes it.

    Args:
        run: of a table or of pictures.
        asked: the page's message.
        listener: who waits for it.

    Raises:
        Abandoned: if it is given up.
        SfumatoError: if the run has no such thing, or cannot draw it; says why.
    """
    match run.model.codec.kind, asked:
        case "table", DrawRows():
            return tables.drawn_rows(run, asked, listener.is_given_up)
        case "table", FillRow():
            return tables.filled_row(run, asked, listener.is_given_up)
        case "images", DrawPictures() | FillPicture():
            return pictures.drawn(run, asked, listener)
        case kind, _:
            kinds = {"points": "points", "table": "a table", "images": "pictures"}
            raise ArgumentError(f"a run of {kinds[kind]} is not asked for this.")
