"""The commands that judge: score, evaluate, doctor."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato import config
from sfumato.cli.app import (
    app,
    counted,
    examples,
    keep_apart,
    print_evaluation,
    say,
    say_json,
    warn_of_unseen,
)
from sfumato.cli.options import AsJson, File, Quiet, RunPath, Seed, Set
from sfumato.errors import ArgumentError, shown, unknown


@app.command(
    epilog=examples(
        "sfumato score runs/moons-001 points.csv",
        "sfumato score runs/moons-001 points.csv --to scored.csv",
        "sfumato score runs/moons-001 points.csv --bound",
        "sfumato score runs/people new.csv --target income",
    )
)
def score(
    run: RunPath,
    file: File,
    to: Annotated[
        Path | None,
        typer.Option(help="Write the rows with a column log_prob, as for `sample`."),
    ] = None,
    target: Annotated[
        list[str],
        typer.Option(
            help="For a table: log p(this column | the rest of the row). If repeated, of several "
            "columns together.",
        ),
    ] = [],  # noqa: B006
    bound: Annotated[
        bool,
        typer.Option("--bound", help="The variational bound, term by term (not for tables)."),
    ] = False,
    tol: Annotated[
        float | None,
        typer.Option(
            min=1e-13,
            max=1,
            help="Solve the flow to this tolerance, not in a fixed number of steps (not for "
            "tables).",
        ),
    ] = None,
    probes: Annotated[
        int | None,
        typer.Option(min=1, help="Estimate the divergence from so many random directions."),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say how probable rows are under the model: log densities, in nats and the data's units.

    It uses the probability flow, with an exact divergence up to 32 columns (64 numbers in a
    table). For data with a known density it also prints the true value.
    """
    keep_apart(to, file)

    requested = {"tol": tol, "probes": probes, "target": target or None}
    options: dict[str, Any] = {name: each for name, each in requested.items() if each is not None}
    if bound and options:
        raise ArgumentError(
            "--tol, --probes and --target are of the flow; leave them out with --bound."
        )

    from sfumato.models.model import require
    from sfumato.runs.run import open_run
    from sfumato.runs.score import bound_of, check_targets, score_of

    opened = open_run(run)
    kind = opened.kind
    if bound:
        require(opened.model, "bound")
    if target:
        check_targets(opened, target)
    like = kind.read_like(opened.model, file)
    if to is not None:
        kind.check_scored(to, like)
    warn_of_unseen(opened, like.rows, "densities there are a guess")
    if bound:
        summary, nats = bound_of(opened, like.rows, seed=seed, quiet=quiet)
    else:
        summary, nats = score_of(opened, like.rows, seed=seed, quiet=quiet, **options)
    if to is not None:
        kind.write_scored(to, like, opened.model, nats)
    if as_json:
        say_json(summary.to_dict())
        return
    say(str(summary))
    if to is not None:
        say(f"{counted(len(nats), kind.unit)} in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato evaluate runs/moons-001",
        "sfumato evaluate runs/points --against heldout.csv --json",
        "sfumato evaluate runs/people --target income --to predictions.png",
    )
)
def evaluate(
    run: RunPath,
    against: Annotated[
        Path | None,
        typer.Option(help="Real rows or pictures to compare with, never used in training."),
    ] = None,
    n: Annotated[int, typer.Option("-n", max=10**9, help="How many rows at most.")] = 10_000,
    target: Annotated[
        str | None, typer.Option(help="For a table: the column to predict from the others.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="With --target, also draw the predictions: .png, .svg or .pdf."),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far generated rows are from real ones, each distance beside its floor.

    The floor is the same distance between two sets of real rows: no model can be expected to do
    better. A toy set is compared with fresh draws, a file with the rows kept out of training.
    With --target it also measures how well that column is predicted in these rows, beside a linear
    model and the column's own law: CRPS, intervals, calibration; Brier score, ROC.
    """
    if to is not None:
        from sfumato.plots import check_figure_target

        if target is None:
            raise ArgumentError("--to draws predictions of a column; name it with --target.")
        check_figure_target(to)

    from sfumato import distributed
    from sfumato.runs.run import open_run

    opened = open_run(run)
    evaluation = opened.evaluate(against=against, n=n, seed=seed, target=target, quiet=quiet)
    if not distributed.is_first():
        return
    if to is not None:
        from sfumato.plots import save_figure
        from sfumato.runs.figures.predictions import figure_of

        assert evaluation.predictions is not None
        save_figure(figure_of(evaluation.predictions), to)
    if as_json:
        say_json(evaluation.to_dict())
        return
    print_evaluation(evaluation, opened.kind.unit)
    if to is not None:
        say(f"Picture in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato doctor runs/moons-001",
        "sfumato doctor tutorial",
        "sfumato doctor linear --set process.num_levels=50",
        "sfumato doctor sigmoid --set process.num_levels=100 --data points.csv",
    )
)
def doctor(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|PRESET|SCHEDULE", help="A run folder, a preset or a schedule's name."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Rows to judge with: unseen ones for a run, any for a schedule."),
    ] = None,
    assignments: Set = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Look for faults: each with a number, what it means, and what to do.

    A schedule is judged from closed forms: whether it ends in noise, whether T was changed without
    beta, whether its least noise is below the data's detail. For a run, also: how far its network
    is from the best possible one, whether it has converged, whether it copies its training rows.
    """
    if Path(target).exists():
        if assignments:
            raise ArgumentError("a run keeps its settings; --set is for a schedule or preset.")
        found = _examine_run(Path(target), data)
    else:
        found = _examine_schedule(target, data, assignments)
    if as_json:
        say_json([each.to_dict() for each in found])
        return
    faults = _print_findings(found)
    if not faults:
        say("No fault was found.")
    else:
        say(f"{counted(faults, 'faults')} found.")


def _examine_run(path: Path, data: Path | None) -> Iterator[Any]:
    from sfumato.runs.doctor import examine_run
    from sfumato.runs.run import open_run

    return examine_run(open_run(path), data)


def _examine_schedule(name: str, data: Path | None, assignments: list[str]) -> Iterator[Any]:
    changes = config.parse_assignments(assignments)
    for section in changes:
        if section not in ("process", "data"):
            raise ArgumentError(f"a schedule has settings under `process.` only; got {section!r}.")

    from sfumato.process.discrete import DISCRETE_SCHEDULES
    from sfumato.process.schedules import SCHEDULES
    from sfumato.runs.doctor import examine_settings

    known = {*SCHEDULES, *DISCRETE_SCHEDULES, *config.PRESETS}
    if name not in known:
        raise unknown("run folder, preset or schedule", name, known)
    preset = name in config.PRESETS
    named = config.preset(name) if preset else {"process": {"schedule": name}}
    own = config.resolve(named, changes).data.source if preset else None
    return examine_settings(own if data is None else data, named, changes)


def _print_findings(found: Iterator[Any]) -> int:
    """One after the other as they come; how many are faults."""
    from rich.console import Console
    from rich.padding import Padding

    console, faults = Console(highlight=False), 0
    for each in found:
        colour = {"sound": "green", "fault": "bold red"}.get(each.state, "yellow")
        console.print(
            f"[{colour}]{each.state}[/{colour}]  [bold]{each.title}[/bold]: {each.number}",
            soft_wrap=True,
        )
        text = each.sentence + (f"\n[bold]Do:[/bold] {each.remedy}." if each.remedy else "")
        console.print(Padding(shown(text), (0, 0, 1, 7)))
        faults += bool(each.remedy)
    return faults
