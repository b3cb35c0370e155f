"""The commands that compare: samplers on a run, families of models on a source."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sfumato.cli.app import app, examples, say, say_json
from sfumato.cli.options import AsJson, Quiet, RunPath, Seed, numbers_of_calls
from sfumato.errors import unknown


class _Things(TyperGroup):
    """What can be compared; another name is answered with the nearest of these."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            raise unknown("thing to compare", args[0], self.commands)
        return super().resolve_command(ctx, args)


compare = typer.Typer(
    cls=_Things,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Measure things side by side: every sampler on a run, or families of models on your rows.",
)
app.add_typer(compare, name="compare")


@compare.command(
    epilog=examples(
        "sfumato compare samplers runs/moons-001",
        "sfumato compare samplers runs/moons-001 --calls 5,10,20 --to samplers.png",
    )
)
def samplers(
    run: RunPath,
    to: Annotated[Path | None, typer.Option(help="Also draw it: .png, .svg or .pdf.")] = None,
    calls: Annotated[
        str | None,
        typer.Option(
            help="Numbers of network calls, with commas. [5,10,20,40,80; from 1 with a map]"
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure every sampler's error against its network calls, on this run.

    It measures once with the run's own network and once with an exact denoiser (a Gaussian mixture
    fitted to the same rows); this separates the sampler's error from the network's. Each method
    visits the levels that suit it best at 20 calls.
    """
    given = None if calls is None else numbers_of_calls(calls)
    if to is not None:
        from sfumato.plots import check_figure_target

        check_figure_target(to)

    from sfumato.progress import ProgressLine
    from sfumato.runs.compare import (
        Comparison,
        calls_of,
        compare_samplers,
        figure_of,
        most_entries,
    )
    from sfumato.runs.run import open_run

    opened, found = open_run(run), []
    numbers = calls_of(opened) if given is None else given
    with ProgressLine("compare", most_entries(numbers), "entries", quiet=quiet) as line:
        for done, each in enumerate(compare_samplers(opened, numbers), start=1):
            if isinstance(each, Comparison):
                found.append(each)
            line.advance_to(done)
    if to is not None:
        from sfumato.plots import save_figure

        save_figure(figure_of(found), to)
    if as_json:
        say_json([each.to_dict() for each in found])
        return
    for comparison in found:
        _print_samplers(comparison)
    if to is not None:
        say(f"Picture in {to}", quiet)


@compare.command(
    epilog=examples(
        "sfumato compare models s-curve",
        "sfumato compare models points.csv --seconds 20 --models gan,vae,diffusion",
        "sfumato compare models moons --out runs/families --json",
        "sfumato compare models moons --language zh",
    )
)
def models(
    source: Annotated[
        str,
        typer.Argument(
            help="A toy set (see `sfumato datasets`), or a file of rows, numbers in all columns."
        ),
    ],
    seconds: Annotated[
        float, typer.Option(help="Processor seconds that each family trains for.")
    ] = 60.0,
    names: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="NAMES",
            help="Which, with commas: gan, vae, flow (needs the extra `compare`), flow-matching, "
            "diffusion, mixture. [all that can be had]",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write. [runs/NAME-models-NNN]")
    ] = None,
    language_name: Annotated[
        str,
        typer.Option(
            "--language",
            metavar="NAME",
            help="Of the page and its figure: en (English) or zh (Chinese).",
        ),
    ] = "en",
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a GAN, a VAE, flows, diffusion and a mixture to the same rows, and measure them alike.

    Each trains for the same processor seconds. Shown are how each goes from noise to data, and its
    distances beside their floors, log densities where it has any, seconds, network calls and
    parameters. The folder holds a page, its figure and the numbers.
    """
    chosen = None if names is None else [each.strip() for each in names.split(",")]

    from sfumato.plots import fonts
    from sfumato.runs.compare_models import prepare
    from sfumato.runs.folder import new_folder
    from sfumato.runs.report.languages import ENGLISH, language
    from sfumato.runs.report.models import write_comparison

    spoken = language(language_name)
    task = prepare(source, seconds=seconds, models=chosen, seed=seed)
    without_font = spoken is not ENGLISH and fonts.chinese() is None
    for each in (*task.notes, *[fonts.NO_CHINESE] * without_font):
        typer.echo(f"note: {each}", err=True)
    with new_folder(out, f"{Path(source).stem}-models") as folder:
        found = task.compared(quiet=quiet)
        page = write_comparison(found, folder, spoken)
    if as_json:
        say_json({**found.to_dict(), "folder": str(folder)})
        return
    _print_models(found)
    say(f"Page with the figure: {page}")


def _print_models(found: Any) -> None:
    """A line for each family, the floors below, and how log densities were had."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from sfumato.runs.compare_models import COLUMNS, cells, floors

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for title in COLUMNS:
        short = title.replace(", ", ",\n").replace("parameters", "para-\nmeters")
        table.add_column(short, justify="right", vertical="bottom", no_wrap=True)
    for each in found.entries:
        table.add_row(each.title, *cells(each))
    table.add_row("real rows", *floors(found), style="dim")
    console = Console(highlight=False)
    console.print(table)
    rows = f"{found.entries[0].evaluation.rows:,}"
    console.print(
        Text(
            "energy: energy distance; AUC: classifier two-sample AUC; gap: in mean true log "
            "density, nats; log p: mean log density of unseen rows, nats (~: estimated; –: none is "
            f"known). Real rows: what chance reaches between two sets of {rows}, and the true log "
            "density. Seconds are of one processor; draw: 10,000 rows; calls: of a network, a row."
        )
    )
    console.print("\nVerdicts of all measures together, and how log densities are had:")
    for each in found.entries:
        said = f"{each.title}: {each.evaluation.verdict}; {each.likelihood}."
        console.print(Padding(Text(said), (0, 0, 0, 2)))


def _print_samplers(comparison: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    from sfumato.runs.compare import pivoted

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
            table.add_column(str(most), justify="right", no_wrap=True, min_width=4)
        table.add_column("levels")
        for name, entries in pivoted(comparison).items():
            values = [None if each is None else getattr(each, field) for each in entries]
            if any(value is not None for value in values):
                grid = next(each.grid for each in entries if each is not None)
                table.add_row(name, *("" if v is None else f"{v:.2g}" for v in values), grid)
        console.print(table)
    left_out = (f"{name} ({why})" for name, why in comparison.left_out.items())
    console.print(f"Left out: {', '.join(left_out)}.")
