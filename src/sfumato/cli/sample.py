"""The commands that draw: sample, interpolate."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.app import app, counted, examples, keep_apart, one_line, say, warn_of_unseen
from sfumato.cli.options import (
    Given,
    Quiet,
    RunPath,
    SamplingSet,
    Seed,
    number_of_steps,
    sampling_changes,
    values_given,
)
from sfumato.errors import ArgumentError


@app.command(
    epilog=examples(
        "sfumato sample runs/moons-001 -n 10000 --to new.csv",
        "sfumato sample model.safetensors -n 500 --to new.npy --sampler ancestral --steps 200",
        "sfumato sample runs/people -n 500 --given age=40 --given sex=F --to forty.csv",
        "sfumato sample runs/people -n 5 --given-file some.csv --to five-each.csv",
        "sfumato sample runs/digits-001 -n 64 --given class=3 --guidance 2 --to threes.png",
        "sfumato sample runs/moons-001 -n 1000000 --calls 2 --to many.npy",
    )
)
def sample(
    run: RunPath,
    to: Annotated[
        Path,
        typer.Option(
            help="Where to write: points .csv, .npy or .parquet; a table .csv, .csv.gz, .tsv or "
            ".parquet; pictures a sheet (.png), a folder, .tif, .npz or .npy."
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option("-n", max=10**9, help="How many. [1000 rows, 64 pictures]"),
    ] = None,
    given: Given = [],  # noqa: B006
    given_file: Annotated[
        Path | None,
        typer.Option(
            help="For a table: a file with conditions in each row, on any columns; empty cells are "
            "unknown. -n rows are drawn for each. [1]"
        ),
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How strongly a class is followed; 1: as learned.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="ddim, dpm++2m, unipc, heun, ancestral, ...: see `sfumato compare`."),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Steps of the sampler; auto: as many as sampling.tol needs (for samplers without "
            "noise).",
        ),
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(
            help="Network calls of the few-step map that `sfumato distill` learned (1, 2, 4); 0: "
            "the sampler."
        ),
    ] = None,
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Draw new rows, in the data's own units and columns, or pictures.

    Row k depends on the seed and on k alone, so 100 rows are the first 100 of 1,000. Settings
    under `sampling.` may be changed with --set (sampling.options.eta=1).
    """
    if n is not None and n < 0:
        raise ArgumentError(f"`-n` must not be negative; got {n}.")
    requested = {
        "sampler": sampler,
        "steps": number_of_steps(steps),
        "guidance": guidance,
        "few": calls,
    }
    changes = {name: value for name, value in requested.items() if value is not None}
    sampling, values = sampling_changes(assignments) | changes, values_given(given)
    if given and given_file is not None:
        raise ArgumentError("give `--given` or `--given-file`, not both.")
    if given_file is not None:
        keep_apart(to, given_file)

    from sfumato import distributed
    from sfumato.models.model import require
    from sfumato.runs.run import open_run

    quiet = quiet or not distributed.is_first()
    opened = open_run(run)
    kind, model = opened.kind, opened.model
    if given_file is not None:
        require(model, "predict")
    kind.check_target(to, opened.model)
    n = (kind.sampled if given_file is None else 1) if n is None else n
    own = opened.settings.sampling
    in_few = sampling.get("few", 0 if sampling else own.few)  # which has no steps to choose
    if sampling.get("steps", own.steps) == "auto" and not in_few:
        choice = model.choose_steps(**sampling)
        sampling["steps"] = choice.num_steps
        say(
            f"Steps: {choice.num_steps}; 19 samples in 20 are within {choice.error:.2g} standard "
            "deviations of where the flow ends.",
            quiet,
        )
    conditions = values or None
    if given_file is not None:
        from sfumato.runs.kinds.table import unknown_columns
        from sfumato.runs.predict import TAKEN

        like = kind.read_like(model, given_file, missing=True, partial=True)
        warn_of_unseen(opened, like.rows, TAKEN)
        if more := unknown_columns(model, like.source):
            names = ", ".join(map(repr, more))
            said = one_line(f"{given_file} has {names}, unknown to the model: not used.")
            typer.echo(f"note: {said}", err=True)
        conditions = like.rows
    if values:
        warn_of_unseen(opened, model.condition(values), "the nearest stands for it")
    rows = opened.draw(n, seed=seed, quiet=quiet, given=conditions, **sampling)
    if not distributed.is_first():
        return
    kind.write(to, rows, model, model.labels(n, seed=seed, given=values or None))
    say(f"{counted(len(rows), kind.unit)} in {to}", quiet)


@app.command(
    epilog=examples("sfumato interpolate runs/digits-001 3 17 -n 8 --to between.png"),
)
def interpolate(
    run: RunPath,
    first: Annotated[int, typer.Argument(min=0, help="Number of a sample.")],
    last: Annotated[int, typer.Argument(min=0, help="Number of another.")],
    to: Annotated[Path, typer.Option(help="Where to write, as for `sample`.")],
    n: Annotated[int, typer.Option("-n", min=2, help="How many, with both ends.")] = 8,
    given: Given = [],  # noqa: B006
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Draw what lies between two samples of a seed, along a great circle of their noise."""
    changes, values = sampling_changes(assignments), values_given(given)

    from sfumato.models.model import require
    from sfumato.runs.run import open_run

    opened = open_run(run)
    require(opened.model, "interpolate")
    opened.kind.check_target(to, opened.model)
    rows = opened.interpolate(first, last, n, seed=seed, given=values or None, **changes)
    opened.kind.write(to, rows, opened.model, in_a_row=True)
    say(f"{counted(n, opened.kind.unit)} in {to}", quiet)
