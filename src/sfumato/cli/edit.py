"""The commands that change rows and pictures: edit, impute, inpaint."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.app import app, counted, examples, keep_apart, numbered, say, warn_of_unseen
from sfumato.cli.options import (
    File,
    Given,
    Quiet,
    RunPath,
    SamplingSet,
    Seed,
    sampling_changes,
    values_given,
)
from sfumato.errors import DataError


@app.command(
    epilog=examples(
        "sfumato edit runs/moons-001 points.csv --from 0.3 --to like-them.csv",
        "sfumato edit runs/people some.csv --from 0.5 --to like-them.csv",
        "sfumato edit runs/digits-001 digit.png --from 0.6 --to like-it.png",
    )
)
def edit(
    run: RunPath,
    file: File,
    start: Annotated[
        float,
        typer.Option(
            "--from", help="The time up to which to noise: near 0 rows stay, at 1 all is new."
        ),
    ],
    to: Annotated[Path, typer.Option(help="Where to write, as for `sample`.")],
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Draw rows or pictures like those given: noise them part of the way and sample from there."""
    changes = sampling_changes(assignments)
    keep_apart(to, file)

    from sfumato.runs.run import open_run

    opened = open_run(run)
    opened.kind.check_target(to, opened.model)
    rows = opened.edit(file, start, seed=seed, quiet=quiet, **changes)
    opened.kind.write(to, rows, opened.model)
    say(f"{counted(len(rows), opened.kind.unit)} in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato impute runs/people incomplete.csv --to filled.csv",
        "sfumato impute runs/people incomplete.csv --to filled.csv --draws 5",
    )
)
def impute(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows of the run's columns.")],
    to: Annotated[Path, typer.Option(help="Where to write, as for `sample`.")],
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Write so many tables (filled-1.csv, ...) instead of one table of best guesses; "
            "each has one draw of the missing cells.",
        ),
    ] = None,
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fill in the missing values of rows; the known values stay as they are.

    A best guess is the mean, or the most frequent category, of 40 draws: right for reading and for
    scores, but with less spread than the truth. For statistics, use --draws and pool the results.
    """
    changes = sampling_changes(assignments)
    keep_apart(to, file)

    from sfumato.models.model import require
    from sfumato.runs.run import open_run

    opened = open_run(run)
    require(opened.model, "impute")
    kind = opened.kind
    kind.check_target(to, opened.model)
    like = kind.read_like(opened.model, file, missing=True)
    warn_of_unseen(opened, like.rows, "the nearest stands for it")
    filled = opened.filled(like.rows, draws, seed=seed, quiet=quiet, **changes)
    cells = kind.count_missing(like.rows) - kind.count_missing(filled[0])
    paths = [to] if draws is None else [numbered(to, k) for k in range(1, draws + 1)]
    for path, each in zip(paths, filled, strict=True):
        kind.write(path, like.give(each), opened.model)
    where = f"in {to}" if draws is None else f"in each of {paths[0]} ... {paths[-1].name}"
    say(f"{counted(cells, 'cells')} filled {where}", quiet)
    if unfilled := kind.unfilled(filled[0]):
        names = ", ".join(map(repr, unfilled))
        say(f"Still missing: {names}, without any value in what the model learned", quiet)


@app.command(
    epilog=examples("sfumato inpaint runs/digits-001 digit.png mask.png --to filled.png"),
)
def inpaint(
    run: RunPath,
    picture: Annotated[Path, typer.Argument(help="A picture; it is resized to the run's size.")],
    mask: Annotated[
        Path, typer.Argument(help="A picture, white where to fill in; transparent is not white.")
    ],
    to: Annotated[
        Path, typer.Option(help="Where to write: .png, .jpg, .webp, .tif, .npy or .npz.")
    ],
    n: Annotated[int, typer.Option("-n", min=1, max=64, help="How many different ways.")] = 1,
    given: Given = [],  # noqa: B006
    times: Annotated[
        int,
        typer.Option(min=1, max=100, help="How often each step is taken, to make the parts fit."),
    ] = 5,
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fill in a part of a picture; the rest stays as it is, pixel by pixel."""
    changes, values = sampling_changes(assignments), values_given(given)

    import numpy as np

    from sfumato.data.io.images import read_mask
    from sfumato.models.model import require
    from sfumato.runs.run import open_run

    opened = open_run(run)
    require(opened.model, "inpaint")
    opened.kind.check_target(to, opened.model)
    _, height, width = opened.model.codec.event
    pixels = opened.kind.read_like(opened.model, picture).rows
    if len(pixels) != 1:
        raise DataError(f"{picture} holds {len(pixels)} pictures; give one.")
    white, clear = read_mask(mask, height, width)
    if not white.any():
        also = ", and transparent is not white" if clear else ""
        raise DataError(f"{mask} is white nowhere{also}; there is nothing to fill in.")
    known = np.broadcast_to(~white[..., None], pixels.shape[1:])
    filled = opened.filled(
        pixels,
        n,
        known=known[None],
        seed=seed,
        quiet=quiet,
        given=values or None,
        times=times,
        **changes,
    )
    opened.kind.write(to, np.concatenate(filled), opened.model)
    kept = f" (of them {clear:,} as they are transparent)" if clear else ""
    made = f"{white.sum():,} of {white.size:,} pixels are white in {mask} and made anew"
    say(f"{made}; the others stay{kept}", quiet)
    say(f"{n:,} in {to}", quiet)
