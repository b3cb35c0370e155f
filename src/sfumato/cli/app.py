"""The application that every command joins, and what the commands share."""

import json
import shlex
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from sfumato import __version__
from sfumato.errors import ArgumentError, shown

# The order of the help: what most begin with comes first.
_ORDER = (
    "demo", "fit", "sample", "evaluate", "report", "explore", "score", "impute", "predict", "edit",
    "inpaint", "interpolate", "plot", "animate", "doctor", "compare", "distill", "export", "info",
    "datasets",
)  # fmt: skip


class _InOrder(TyperGroup):
    """The commands in the order of `_ORDER`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    name="sfumato",
    cls=_InOrder,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Denoising diffusion models for your own data: fit, sample, measure, look.\n\n"
    "Begin with `sfumato demo`: within a minute a model is fitted to 10,000 points, 10,000 new "
    "ones are drawn and measured against the data, and a report with pictures is written.",
    epilog="Exit codes: 0 done, 1 training diverged, 2 arguments (values of "
    "--given, too), 3 data, 4 run or model file, "
    "5 an extra, disk or memory is missing, 130 and 143 stopped by a signal.",
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"sfumato {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


def examples(*lines: str) -> str:
    """The epilogue of a command's help."""
    return "Examples:\n\n" + "\n\n".join(f"`{line}`" for line in lines)


def say(message: str, quiet: bool = False) -> None:
    """Print, unless quiet."""
    if not quiet:
        typer.echo(shown(message))


def say_json(content: Any) -> None:
    """Print plain values as JSON."""
    typer.echo(json.dumps(content, indent=2))


def one_line(text: str) -> str:
    """Without the line breaks and control characters that a column's name may hold."""
    return " ".join(shown(text).split())


def counted(number: int, nouns: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{number:,} {nouns.removesuffix('s') if number == 1 else nouns}"


def keep_apart(to: Path | None, *read: Path) -> None:
    """Refuse to write over a file that is read.

    Raises:
        ArgumentError: if they are one file.
    """
    if to is not None and to.resolve() in (each.resolve() for each in read):
        raise ArgumentError(f"{to} is read; name another file to write to.")


def sample_command(run: Any) -> str:
    """What to type to draw from a run, quoted for the shell."""
    kind = run.kind
    return (
        f"sfumato sample {shlex.quote(str(run.folder))} -n {kind.example[0]} --to {kind.example[1]}"
    )


def warn_of_unseen(run: Any, rows: Any, meaning: str) -> None:
    """Say what of the rows the model has learned nothing of."""
    for each in run.kind.unseen(run.model, rows):
        typer.echo(f"note: {one_line(each)}; {meaning}.", err=True)


def numbered(path: Path, k: int) -> Path:
    """`filled.csv` as `filled-3.csv`."""
    stem, dot, ending = path.name.partition(".")
    return path.with_name(f"{stem}-{k}{dot}{ending}")


def print_evaluation(evaluation: Any, unit: str) -> None:
    """Every measure beside its floor, and the verdict."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("measure", vertical="bottom")
    for title in ("generated", "real against\nreal, mean", "chance\nreaches"):
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    table.add_column("verdict", no_wrap=True, vertical="bottom")
    for measure in evaluation.measures:
        mean = sum(measure.floor) / len(measure.floor)
        table.add_row(
            f"{measure.title} ↑" if measure.higher_is_better else measure.title,
            f"{measure.value:.4g}",
            f"{mean:.4g}",
            f"{measure.limit:.4g}",
            measure.verdict,
        )
    console = Console(highlight=False)
    console.print(table)
    if any(measure.higher_is_better for measure in evaluation.measures):
        console.print("↑: 1 is best; of all others less is better.")
    if evaluation.features:
        console.print(f"Features: {evaluation.features}; {evaluation.rows} {unit} of each kind.")
    details = [Text(shown(f"{m.title}: {m.detail}.")) for m in evaluation.measures if m.detail]
    if details:
        console.print("\nOf these:")
    for each in details:
        console.print(Padding(each, (0, 0, 0, 2)))
    if evaluation.note:
        console.print(Text(evaluation.note))
    console.print(f"Verdict: {evaluation.verdict}.")
    if evaluation.predictions is not None:
        _print_predictions(console, evaluation.predictions)


def _print_predictions(console: Any, found: Any) -> None:
    """Scores of the model's predictions beside those of other laws, and what they say."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from sfumato.metrics.predictions import TITLES

    unit = f", in {found.unit}" if found.unit else ""
    console.print(Text(f"\nPredictions of {found.target!r} in {found.rows:,} rows{unit}"))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # 80 characters, if it can
    table.add_column("score", no_wrap=True)
    for title in (*(TITLES[law] for law in found.laws), "by chance"):
        table.add_column(title, justify="right", vertical="bottom")
    marks = {"less": " ↓", "more": " ↑", "": ""}
    for score in found.scores:
        cells = (score.cell(law) for law in found.laws)
        table.add_row(f"{score.title}{marks[score.better]}", *cells, score.by_chance)
    console.print(table)
    console.print(
        "↓: less is better; ↑: more is. ±: standard error. By chance: where this model would lie "
        "if it were right."
    )
    for sentence in found.sentences:
        console.print(Padding(Text(shown(sentence)), (0, 0, 0, 2)))
