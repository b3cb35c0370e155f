"""The commands that show: plot, animate, report, export, info, datasets."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sfumato.cli.app import (
    app,
    examples,
    one_line,
    print_evaluation,
    sample_command,
    say,
    say_json,
)
from sfumato.cli.options import AsJson, Given, Quiet, RunPath, values_given
from sfumato.errors import unknown


@app.command(
    epilog=examples(
        "sfumato plot runs/moons-001 samples --to samples.png",
        "sfumato plot runs/moons-001 loss --to loss.pdf",
        "sfumato plot runs/people samples --to columns.png",
    )
)
def plot(
    run: RunPath,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="data, samples, loss; points and pictures: also forward, reverse, errors; points: "
            "trajectories, distances; pictures: training, neighbours; tables: "
            "dependence, likelihoods, intervals, nearest.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="Where to write: .png, .svg or .pdf.")],
    quiet: Quiet = False,
) -> None:
    """Draw one figure of a run."""
    from sfumato.plots import check_figure_target, save_figure
    from sfumato.runs.figures import figures_of
    from sfumato.runs.run import open_run

    check_figure_target(to)
    opened = open_run(run)
    figures = figures_of(opened).FIGURES
    if what not in figures:
        raise unknown("figure", what, figures)
    save_figure(figures[what](opened), to)
    say(f"{what} in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato animate runs/moons-001 reverse --to emerging.gif",
        "sfumato animate runs/moons-001 forward --to dissolving.mp4",
    )
)
def animate(
    run: RunPath,
    direction: Annotated[
        Literal["forward", "reverse"],
        typer.Argument(help="forward: data dissolve into noise; reverse: samples emerge from it."),
    ],
    to: Annotated[Path, typer.Option(help="Where to write: .gif or .mp4.")],
    quiet: Quiet = False,
) -> None:
    """Animate the process: 100 frames on fixed axes."""
    from sfumato.plots.animation import check_animation_target
    from sfumato.runs.figures import figures_of
    from sfumato.runs.run import open_run

    check_animation_target(to)
    opened = open_run(run)
    figures_of(opened).animate(opened, direction, to)
    say(f"{direction} animation in {to}", quiet)


@app.command(epilog=examples("sfumato report runs/moons-001"))
def report(run: RunPath, quiet: Quiet = False) -> None:
    """Sample, evaluate and draw a fitted run, and gather it all in its report.html."""
    from sfumato.runs.report import write_report
    from sfumato.runs.run import open_run

    opened = open_run(run)
    path, evaluation = write_report(opened, quiet=quiet)
    if evaluation and not quiet:
        print_evaluation(evaluation, opened.kind.unit)
    say(f"Report: {path}")
    say(f"Next:  {sample_command(opened)}", quiet)


@app.command(
    epilog=examples(
        "sfumato export runs/digits-001 --to diffusers digits",
        "sfumato export runs/people --to onnx people-onnx",
    )
)
def export(
    run: RunPath,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    to: Annotated[
        Literal["diffusers", "onnx"],
        typer.Option(
            help="diffusers: a DDPMPipeline for Hugging Face's library; onnx: the denoiser and "
            "the levels to sample at."
        ),
    ],
    given: Given = [],  # noqa: B006
    classes: Annotated[
        bool,
        typer.Option(
            "--classes",
            help="diffusers: keep all classes, in a network that takes class_labels.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write a model for other software.

    A pipeline of diffusers draws one class (--given class=NAME), or any class without it. With
    --classes you need a loop of your own, as no pipeline of diffusers gives a UNet2DModel its
    labels. A folder that diffusers wrote can be given wherever a RUN is expected.
    """
    values = values_given(given)

    from sfumato.runs.run import open_run

    open_run(run).export(to, folder, given=values or None, classes=classes)
    say(f"Model for {to} in {folder}", quiet)


@app.command(epilog=examples("sfumato datasets", "sfumato datasets --to sheet.png"))
def datasets(
    to: Annotated[
        Path | None, typer.Option(help="Also draw a sheet of the toy sets: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """List the data sets that come with the program: toy sets of points, a table, pictures."""
    from rich.console import Console
    from rich.table import Table

    from sfumato.data.source import DESCRIPTIONS
    from sfumato.data.toy import TOY_SETS

    if to is not None:
        from sfumato.plots import check_figure_target

        check_figure_target(to)
    table = Table(box=None, pad_edge=False)
    for title in ("name", "columns", "what it is"):
        table.add_column(title, no_wrap=title != "what it is")
    for each in TOY_SETS.values():
        table.add_row(each.name, ", ".join(each.columns), each.description)
    for name, (columns, description) in DESCRIPTIONS.items():
        table.add_row(name, columns, description)
    Console(highlight=False).print(table)
    if to is not None:
        from sfumato.plots import save_figure
        from sfumato.runs.figures.points import datasets_sheet

        save_figure(datasets_sheet(), to)
        say(f"Sheet in {to}")


@app.command(epilog=examples("sfumato info runs/moons-001", "sfumato info model.safetensors"))
def info(run: RunPath, as_json: AsJson = False) -> None:
    """Say what a run or a model file holds."""
    from sfumato.runs.run import open_run

    summary = open_run(run).summary()
    if as_json:
        say_json(summary)
        return
    for name, value in summary.items():
        if not isinstance(value, dict):
            say(f"{name:<12} {one_line(value)}")
