"""The commands that judge: score rows, edit them, compare samplers, examine a process or a run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato import config
from sfumato.cli.commands import (
    Quiet,
    RunPath,
    SamplingSet,
    Seed,
    Set,
    app,
    examples,
    sampling_changes,
    say,
)
from sfumato.errors import ArgumentError, DataError, unknown


@app.command(
    epilog=examples(
        "sfumato score runs/moons-001 points.csv",
        "sfumato score runs/moons-001 points.csv --to scored.csv",
        "sfumato score runs/moons-001 points.csv --bound",
    )
)
def score(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows of the run's columns.")],
    to: Annotated[
        Path | None,
        typer.Option(help="Write the rows with a column log_prob: .csv, .npy or .parquet."),
    ] = None,
    bound: Annotated[
        bool,
        typer.Option("--bound", help="The variational bound, term by term (not of tables)."),
    ] = False,
    tol: Annotated[
        float | None,
        typer.Option(
            min=1e-13,
            max=1,
            help="Of points: the flow to this tolerance, not in 50 steps.",
        ),
    ] = None,
    probes: Annotated[
        int | None,
        typer.Option(min=1, help="Estimate the divergence from so many random directions."),
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say how probable rows are under the model: log densities, in nats and the data's units.

    By the probability flow, exact in its divergence up to 32 columns. For data of a known density
    the true value stands beside it.
    """
    from sfumato.data.files import check_target, write_points
    from sfumato.data.points import Points
    from sfumato.gallery import of_pictures
    from sfumato.run import Run, open_any_run
    from sfumato.scoring import bound_of, read_rows, score_of

    opened = open_any_run(run)
    if not isinstance(opened, Run):
        from sfumato.cli.tables import score_table

        if tol is not None or probes is not None:
            raise ArgumentError("--tol and --probes are for points; leave them out.")
        told = score_table(opened, file, to, bound=bound, quiet=quiet)
        typer.echo(json.dumps(told.to_dict(), indent=2) if as_json else str(told))
        return
    if to is not None:
        check_target(to)
    if to is not None and of_pictures(opened):
        raise ArgumentError("scores of pictures are printed, not written; leave --to out.")
    points = read_rows(opened, file)
    if to is not None and "log_prob" in points.columns:
        raise DataError(
            f"{run} has a column log_prob of its own, which {to} would hold twice; leave --to out, "
            "and take run.log_prob in Python."
        )
    if bound:
        if tol is not None or probes is not None:
            raise ArgumentError("--tol and --probes are of the flow; leave them out with --bound.")
        summary, nats = bound_of(opened, points.values, seed=seed, quiet=quiet)
    else:
        summary, nats = score_of(
            opened, points.values, tol=tol, probes=probes, seed=seed, quiet=quiet
        )
    if to is not None:
        import numpy as np

        values = np.concatenate([points.values, nats[:, None]], axis=1)
        write_points(to, Points(values, (*points.columns, "log_prob")))
    if as_json:
        typer.echo(json.dumps(summary.to_dict(), indent=2))
        return
    typer.echo(str(summary))
    if to is not None:
        say(f"{len(nats):,} rows in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato edit runs/moons-001 points.csv --from 0.3 --to like-them.csv",
        "sfumato edit runs/digits-001 digit.png --from 0.6 --to like-it.png",
    )
)
def edit(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows of the run's columns.")],
    start: Annotated[
        float,
        typer.Option(
            "--from", help="Time to go back to: near 0 rows stay as they are, at 1 all is new."
        ),
    ],
    to: Annotated[Path, typer.Option(help="Where to write: .csv, .npy or .parquet.")],
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Noise rows part of the way and sample from there: rows like them, on the data's structure."""
    changes = sampling_changes(assignments)

    from sfumato.gallery import check_rows_target, write_rows
    from sfumato.run import open_run
    from sfumato.scoring import read_rows

    opened = open_run(run)
    check_rows_target(opened, to)
    values = opened.edit(read_rows(opened, file).values, start, seed=seed, quiet=quiet, **changes)
    write_rows(opened, to, values)
    say(f"{len(values):,} in {to}", quiet)


@app.command(
    epilog=examples("sfumato inpaint runs/digits-001 digit.png mask.png --to filled.png"),
)
def inpaint(
    run: RunPath,
    picture: Annotated[Path, typer.Argument(help="A picture; brought to the run's size.")],
    mask: Annotated[Path, typer.Argument(help="A picture that is white where to fill in.")],
    to: Annotated[Path, typer.Option(help="Where to write: .png, .jpg, .webp, .npy or .npz.")],
    n: Annotated[int, typer.Option("-n", min=1, max=64, help="How many different ways.")] = 1,
    label: Annotated[str | None, typer.Option(help="Fill in as a picture of this class.")] = None,
    times: Annotated[
        int, typer.Option(min=1, max=100, help="How often each step is taken, until parts fit.")
    ] = 5,
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fill in a part of a picture; the rest stays as it is, pixel by pixel."""
    changes = sampling_changes(assignments)

    import numpy as np

    from sfumato import parallel
    from sfumato.data.images import read_picture
    from sfumato.gallery import check_rows_target, of_pictures, write_rows
    from sfumato.run import open_run

    opened = open_run(run)
    if not of_pictures(opened):
        raise ArgumentError(f"{run} learned from points; only pictures can be filled in here.")
    check_rows_target(opened, to)
    channels, height, width = opened.model.codec.event
    given = read_picture(picture, height, width, channels)
    known = np.broadcast_to(read_picture(mask, height, width, 1) < 128, given.shape)
    if known.all():
        raise DataError(f"{mask} is white nowhere; there is nothing to fill in.")
    pictures, where = (np.repeat(each[None], n, axis=0) for each in (given, known))
    with parallel.threads(opened.settings.threads):
        filled = opened.model.inpaint(
            pictures, where, times=times, seed=seed, label=label, **changes
        )
    write_rows(opened, to, filled)
    say(f"{n:,} in {to}", quiet)


@app.command(
    epilog=examples("sfumato interpolate runs/digits-001 3 17 -n 8 --to between.png"),
)
def interpolate(
    run: RunPath,
    first: Annotated[int, typer.Argument(min=0, help="Number of a sample.")],
    last: Annotated[int, typer.Argument(min=0, help="Number of another.")],
    to: Annotated[Path, typer.Option(help="Where to write, as for `sample`.")],
    n: Annotated[int, typer.Option("-n", min=2, help="How many, with both ends.")] = 8,
    label: Annotated[str | None, typer.Option(help="All of this class. [any]")] = None,
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Draw what lies between two samples of a seed, along a great circle of their noise."""
    changes = sampling_changes(assignments)

    from sfumato import parallel
    from sfumato.gallery import check_rows_target, write_rows
    from sfumato.run import open_run

    opened = open_run(run)
    check_rows_target(opened, to)
    with parallel.threads(opened.settings.threads):
        values = opened.model.interpolate(first, last, n, seed=seed, label=label, **changes)
    write_rows(opened, to, values, columns=n)
    say(f"{n:,} in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato compare samplers runs/moons-001",
        "sfumato compare samplers runs/moons-001 --calls 5,10,20 --to samplers.png",
    )
)
def compare(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="samplers.")],
    run: RunPath,
    to: Annotated[Path | None, typer.Option(help="Also draw it: .png, .svg or .pdf.")] = None,
    calls: Annotated[
        str, typer.Option(help="Numbers of network calls, with commas.")
    ] = "5,10,20,40,80",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure every sampler's error against its network calls, on this run.

    Once with the run's own network and once with an exact denoiser (a Gaussian mixture fitted to
    the same rows), so that what a sampler gets wrong is told from what the network does. Each
    method visits the levels that suit it best at 20 calls.
    """
    if what != "samplers":
        raise unknown("thing to compare", what, ("samplers",))
    numbers = _numbers(calls)
    if to is not None:
        from sfumato.plots import check_figure_target

        check_figure_target(to)

    from sfumato.comparison import Comparison, compare_samplers, figure_of, most_entries
    from sfumato.progress import ProgressLine
    from sfumato.run import open_run

    opened, found = open_run(run), []
    with ProgressLine("compare", most_entries(numbers), "entries", quiet=quiet) as line:
        for done, each in enumerate(compare_samplers(opened, numbers), start=1):
            if isinstance(each, Comparison):
                found.append(each)
            line.advance_to(done)
    if to is not None:
        from sfumato.plots import save_figure

        save_figure(figure_of(found), to)
    if as_json:
        typer.echo(json.dumps([each.to_dict() for each in found], indent=2))
        return
    for comparison in found:
        _print_comparison(comparison)
    if to is not None:
        say(f"Picture in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato doctor runs/moons-001",
        "sfumato doctor linear --set process.num_levels=50",
        "sfumato doctor sigmoid --set process.num_levels=100 --data points.csv",
    )
)
def doctor(
    target: Annotated[
        str, typer.Argument(metavar="RUN|SCHEDULE", help="A run folder, or a schedule's name.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Rows to judge by: unseen ones of a run; any for a schedule."),
    ] = None,
    assignments: Set = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for faults: each with a number, what it means, and what to do.

    A schedule is judged from closed forms: does it end in noise, was T changed without beta, is
    its least noise below the data's detail. A run is asked more: how far its network is from the
    best possible one, whether it has converged, whether it copies its training rows.
    """
    if Path(target).exists():
        if assignments:
            raise ArgumentError("a run keeps its settings; --set is for a schedule.")
        found = _examine_run(Path(target), data)
    else:
        found = _examine_schedule(target, data, assignments)
    if as_json:
        typer.echo(json.dumps([each.to_dict() for each in found], indent=2))
        return
    faults = _print_findings(found)
    typer.echo(f"{faults} fault{'s' * (faults != 1)} found." if faults else "No fault was found.")


def _examine_run(path: Path, data: Path | None) -> Iterator[Any]:
    from sfumato.doctor import examine_run
    from sfumato.run import open_run
    from sfumato.scoring import read_rows

    opened = open_run(path)
    return examine_run(opened, None if data is None else read_rows(opened, data).values)


def _examine_schedule(name: str, data: Path | None, assignments: list[str]) -> Iterator[Any]:
    changes = config.parse_assignments(assignments)
    for section in changes:
        if section not in ("process", "data"):
            raise ArgumentError(f"a schedule has settings under `process.` only; got {section!r}.")

    from sfumato.data.codec import Codec
    from sfumato.data.files import read_points
    from sfumato.doctor import examine_process
    from sfumato.process.schedules import SCHEDULES
    from sfumato.process.tables import TABLES

    if name not in {*SCHEDULES, *TABLES}:
        raise unknown("run folder or schedule", name, {*SCHEDULES, *TABLES})
    recipe = config.suited((2,), pictures=False)  # judged as a run on points would have it
    settings = config.resolve(recipe, config.merged(changes, {"process": {"schedule": name}}))
    rows = None
    if data is not None:
        points = read_points(data)
        codec = Codec.fit(points, standardise=settings.data.standardise)
        rows = codec.encode(points.values).double()
    return examine_process(settings.process, rows)


def _print_findings(found: Iterator[Any]) -> int:
    """One after the other as they come; how many are faults."""
    from rich.console import Console
    from rich.padding import Padding

    console, faults = Console(highlight=False), 0
    for each in found:
        mark = "[green]sound[/green]" if each.sound else "[bold red]fault[/bold red]"
        console.print(f"{mark}  [bold]{each.title}[/bold]: {each.number}", soft_wrap=True)
        told = each.sentence + ("" if each.sound else f"\n[bold]Do:[/bold] {each.remedy}.")
        console.print(Padding(told, (0, 0, 1, 7)))
        faults += not each.sound
    return faults


def _numbers(text: str) -> list[int]:
    try:
        numbers = sorted({int(each) for each in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1 or numbers[-1] > 10_000:
        raise ArgumentError(
            f"`--calls` takes numbers from 1 to 10000 with commas (5,10,20); got {text!r}."
        )
    return numbers


def _print_comparison(comparison: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    from sfumato.comparison import pivoted

    console = Console(highlight=False)
    low, high = comparison.floor
    console.print(f"\n[bold]With {comparison.title}[/bold]")
    for title, field in (
        ("Median distance from the flow's end, deviations (deterministic methods)", "flow"),
        (f"Sliced W2 to real rows (real against real: {low:.3f} to {high:.3f})", "distance"),
    ):
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        table.add_column("calls:", no_wrap=True)
        for most in comparison.calls:
            table.add_column(str(most), justify="right")
        table.add_column("levels", no_wrap=True)
        for name, entries in pivoted(comparison).items():
            values = [None if each is None else getattr(each, field) for each in entries]
            if any(value is not None for value in values):
                grid = next(each.grid for each in entries if each is not None)
                table.add_row(name, *("" if v is None else f"{v:.2g}" for v in values), grid)
        console.print(table)
