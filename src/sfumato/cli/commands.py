"""The commands. Each imports what it needs when it runs, so that help is instant."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sfumato import __version__, config
from sfumato.errors import ArgumentError, unknown

app = typer.Typer(
    name="sfumato",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Denoising diffusion models for your own data: fit, sample, measure, look.\n\n"
    "Begin with `sfumato demo`: within a minute a model is fitted to 10,000 points, 10,000 new "
    "ones are drawn and measured against the data, and a report with pictures is written.",
    epilog="Exit codes: 0 done, 1 training diverged, 2 arguments, 3 data, 4 run or model file, "
    "5 an extra, disk or memory is missing, 130 and 143 stopped by a signal.",
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Seed = Annotated[int, typer.Option(min=0, max=config.LARGEST_SEED, help="Same seed, same result.")]
Columns = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="NAME=KIND",
        help="Of a table: what a column is, if not what its values suggest: continuous, integer, "
        "ordinal, categorical, boolean, date, dropped. May be repeated.",
    ),
]
FitSeed = Annotated[
    int | None,
    typer.Option(min=0, max=config.LARGEST_SEED, help="Same seed, same result. [0]"),
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change one setting, e.g. training.steps=500. May be repeated.",
    ),
]
SamplingSet = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a setting of the sampling, e.g. sampling.options.eta=1. May be repeated.",
    ),
]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder or a model.safetensors.")
]


def examples(*lines: str) -> str:
    """The epilogue of a command's help."""
    return "Examples:\n\n" + "\n\n".join(f"`{line}`" for line in lines)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sfumato {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog=examples(
        "sfumato demo",
        "sfumato demo tutorial --set training.epochs=200",
        "sfumato demo --out my-first-run --seed 7",
    )
)
def demo(
    preset: Annotated[
        str, typer.Argument(metavar="[PRESET]", help="`s-curve`, `digits` or `tutorial`.")
    ] = "s-curve",
    out: Annotated[Path | None, typer.Option(help="The run's folder. [runs/PRESET-NNN]")] = None,
    seed: FitSeed = None,
    assignments: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fit, sample, evaluate, draw and report, on the S-curve or on handwritten digits.

    `s-curve` takes about half a minute on two cores, `digits` two to three. `tutorial` keeps the
    settings of a well-known tutorial to the letter, 4,000 epochs, takes minutes, and its report
    says what those settings cost.
    """
    layers = config.preset(preset), config.parse_assignments(assignments), _seeded(seed)
    named = config.resolve(*layers).data.source  # wrong settings are told before PyTorch is loaded

    from sfumato.fitting import begin, finish
    from sfumato.source import settings_for

    settings, data = settings_for(named, {}, *layers)
    with begin(settings, data, out, name=preset) as job:
        say(_described(job), quiet)
        run = finish(job, quiet=quiet)
    _report(run, quiet)


@app.command(
    epilog=examples(
        "sfumato fit moons",
        "sfumato fit points.csv --out runs/points",
        "sfumato fit people.csv --column zip=categorical --column id=dropped",
        "sfumato fit photos --set data.size=32 --set data.skip_bad=true",
        "sfumato fit cifar.tar.xz --set data.labels=true --set training.flip=true",
        "sfumato fit s-curve --config mine.toml --set training.steps=1000",
        "sfumato fit --resume --out runs/points",
    )
)
def fit(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A toy set (see `sfumato datasets`); a table: .csv, .tsv, .csv.gz, .parquet, of "
            "which up to three columns of decimals are points in space; points: .npy, .npz; or "
            "pictures: a folder, .zip, .tar, an array (n, height, width, channels), `digits`."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder. [runs/NAME-NNN]")] = None,
    settings_file: Annotated[
        Path | None, typer.Option("--config", help="Settings from a TOML file.")
    ] = None,
    assignments: Set = [],  # noqa: B006
    columns: Columns = [],  # noqa: B006
    seed: FitSeed = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out where it was stopped.")
    ] = False,
    show_settings: Annotated[
        bool,
        typer.Option(
            "--show-settings", help="Print all settings, for SOURCE if given, as TOML and leave."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model to points, a table or pictures. Every run gets a folder of its own.

    It may be stopped at any time (Ctrl-C finishes the steps at hand and saves) and goes on with
    --resume, bit for bit as if it had never stopped.
    """
    changes = [config.load_toml(settings_file)] if settings_file else []
    changes += [config.parse_assignments(assignments), _kinds_told(columns), _seeded(seed)]
    if source is not None:
        changes.append({"data": {"source": source}})
    if show_settings:
        recipe = config.suited((2,), pictures=False)  # of points
        if any("source" in change.get("data", {}) for change in changes):
            from sfumato.source import load_any_data, recipe_for

            recipe = recipe_for(load_any_data(config.resolve(*changes)))
        typer.echo(config.resolve(recipe, *changes).to_toml(), nl=False)
        return
    if resume:
        if settings_file or assignments or columns or seed is not None:
            raise ArgumentError("a resumed run keeps its settings; give only --resume --out RUN.")
        _resume(out, source, quiet)
        return
    named = config.resolve(*changes).data.source  # wrong settings are told before PyTorch is loaded
    if not any("source" in change.get("data", {}) for change in changes):
        raise ArgumentError("what to fit to? Give a toy set's name or a file: `sfumato fit moons`.")

    from sfumato import parallel
    from sfumato.fitting import begin, finish
    from sfumato.source import settings_for_any

    if parallel.count() > 1 and out is None:
        raise ArgumentError("several processes need to know the run's folder; say --out.")
    if out and parallel.restarted() and parallel.any_of((out / "config.toml").is_file()):
        _resume(out, source, quiet)
        return
    quiet = quiet or not parallel.is_first()
    settings, data = settings_for_any(named, {}, *changes)
    with begin(settings, data, out) as job:
        say(_described(job), quiet)
        finish(job, quiet=quiet)
    _say_next(job.folder, len(job.training.event) > 1, quiet)


def _kinds_told(columns: list[str]) -> dict[str, Any]:
    """Of `NAME=KIND` each; a name may hold anything, dots and equals signs too."""
    told = {}
    for each in columns:
        name, equals, kind = each.rpartition("=")
        if not equals or not name:
            raise ArgumentError(f"`--column` takes NAME=KIND (age=integer); got {each!r}.")
        told[name] = kind.strip()
    return {"data": {"columns": told}} if told else {}


def sampling_changes(assignments: list[str]) -> dict[str, Any]:
    """The settings under `sampling.` that are to differ from the run's; no others may."""
    changes = config.parse_assignments(assignments)
    config.resolve(changes)  # wrong settings are told before PyTorch is loaded
    for section in changes:
        if section != "sampling":
            raise ArgumentError(f"only settings under `sampling.` can change now; got {section!r}.")
    return dict(changes.get("sampling", {}))


def _number_of_steps(text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"`--steps` takes a number or `auto`; got {text!r}.") from None


def _seeded(seed: int | None) -> dict[str, int]:
    return {} if seed is None else {"seed": seed}


def _resume(out: Path | None, source: str | None, quiet: bool) -> None:
    if out is None:
        raise ArgumentError("which run? Say `sfumato fit --resume --out RUN`.")

    from sfumato import parallel
    from sfumato.fitting import finish, resume

    quiet = quiet or not parallel.is_first()
    with resume(out, source) as job:
        step, num_steps = job.training.step, job.training.num_steps
        if step == num_steps:
            say(f"{out} is already finished: {step:,} steps.", quiet)
        else:
            say(f"Going on from step {step:,} of {num_steps:,}.", quiet)
            finish(job, quiet=quiet)
    _say_next(out, len(job.training.event) > 1, quiet)


@app.command(
    epilog=examples(
        "sfumato sample runs/moons-001 -n 10000 --to new.csv",
        "sfumato sample model.safetensors -n 500 --to new.npy --sampler ancestral --steps 200",
        "sfumato sample runs/people -n 500 --given age=40 --given sex=F --to forty.csv",
        "sfumato sample runs/digits-001 -n 64 --label 3 --guidance 2 --to threes.png",
    )
)
def sample(
    run: RunPath,
    to: Annotated[
        Path,
        typer.Option(
            help="Where to write: points .csv, .npy or .parquet; a table .csv, .csv.gz, .tsv or "
            ".parquet; pictures a sheet (.png), a folder, .npz or .npy."
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option("-n", max=10**9, help="How many. [1000 rows, 64 pictures]"),
    ] = None,
    given: Annotated[
        list[str],
        typer.Option(
            "--given",
            metavar="NAME=VALUE",
            help="Of a table: rows that have this value in this column; NAME= for a hole. May be "
            "repeated.",
        ),
    ] = [],  # noqa: B006
    label: Annotated[
        str | None, typer.Option(help="Pictures of this class only, by its name or number.")
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
            help="Steps of the sampler; auto: as many as sampling.tol needs (for those without "
            "noise).",
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
    asked = {"sampler": sampler, "steps": _number_of_steps(steps), "guidance": guidance}
    sampling = sampling_changes(assignments) | {k: v for k, v in asked.items() if v is not None}

    from sfumato import parallel
    from sfumato.gallery import check_rows_target, of_pictures, write_rows
    from sfumato.run import Run, open_any_run

    quiet = quiet or not parallel.is_first()
    opened = open_any_run(run)
    if not isinstance(opened, Run):
        if label is not None or guidance is not None:
            raise ArgumentError("--label and --guidance are for pictures; of a table take --given.")
        from sfumato.cli.tables import write_sampled_table

        write_sampled_table(opened, to, n, _values_given(given), seed, sampling, quiet)
        return
    if given:
        raise ArgumentError("--given is for tables; of points see `sfumato edit`.")
    check_rows_target(opened, to)
    pictures = of_pictures(opened)
    n = (64 if pictures else 1000) if n is None else n
    if sampling.get("steps", opened.settings.sampling.steps) == "auto":
        choice = opened.model.choose_steps(**sampling)
        sampling["steps"] = choice.num_steps
        say(
            f"Steps: {choice.num_steps}; 19 samples in 20 are within {choice.error:.2g} standard "
            "deviations of where the flow ends.",
            quiet,
        )
    values = opened.sample(n, seed=seed, quiet=quiet, label=label, **sampling)
    if not parallel.is_first():
        return
    write_rows(opened, to, values, opened.model.labels(n, seed=seed, label=label))
    say(f"{n:,} {'pictures' if pictures else 'rows'} in {to}", quiet)


def _values_given(given: list[str]) -> dict[str, str | None]:
    values = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise ArgumentError(f"`--given` takes NAME=VALUE (age=40); got {each!r}.")
        values[name] = value or None
    return values


@app.command(
    epilog=examples(
        "sfumato evaluate runs/moons-001",
        "sfumato evaluate runs/points --against heldout.csv --json",
    )
)
def evaluate(
    run: RunPath,
    against: Annotated[
        Path | None, typer.Option(help="Real rows to compare with, never used in training.")
    ] = None,
    n: Annotated[int, typer.Option("-n", max=10**9, help="How many rows at most.")] = 10_000,
    target: Annotated[
        str | None, typer.Option(help="Of a table: the column to foretell from the others.")
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far generated rows are from real ones, each distance beside its floor.

    The floor is the same distance between two sets of real rows: no model can be expected to do
    better. A toy set is compared with fresh draws, a file with the rows kept out of training.
    """
    from sfumato import parallel
    from sfumato.run import Run, open_any_run

    opened = open_any_run(run)
    if isinstance(opened, Run):
        if target is not None:
            raise ArgumentError("--target is for tables; leave it out.")
        evaluation = opened.evaluate(against=against, n=n, seed=seed, quiet=quiet)
    else:
        if against is not None:
            raise ArgumentError("a table is measured against held-out rows; leave --against out.")
        evaluation = opened.evaluate(n=n, seed=seed, target=target, quiet=quiet)
    if not parallel.is_first():
        return
    if as_json:
        typer.echo(json.dumps(evaluation.to_dict(), indent=2))
        return
    _print_evaluation(evaluation)


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
    from sfumato.gallery import write_run_animation
    from sfumato.run import open_run

    write_run_animation(open_run(run), direction, to)
    say(f"{direction} animation in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato plot runs/moons-001 samples --to samples.png",
        "sfumato plot runs/moons-001 loss --to loss.pdf",
        "sfumato plot runs/people marginals --to marginals.png",
    )
)
def plot(
    run: RunPath,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="data, forward, reverse, samples, loss, errors; of points also trajectories and "
            "distances; of pictures also training and neighbours. Of tables data, marginals, "
            "dependence, loss, likelihoods, intervals and nearest.",
        ),
    ],
    to: Annotated[Path, typer.Option(help="Where to write: .png, .svg or .pdf.")],
    quiet: Quiet = False,
) -> None:
    """Draw one figure of a run."""
    from sfumato.gallery import figures_of
    from sfumato.plots import check_figure_target, save_figure
    from sfumato.run import open_any_run

    check_figure_target(to)
    opened = open_any_run(run)
    figures = figures_of(opened)
    if what not in figures:
        raise unknown("figure", what, figures)
    save_figure(figures[what](opened), to)
    say(f"{what} in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato export runs/digits-001 --to diffusers digits",
        "sfumato export runs/digits-001 --to onnx digits-onnx",
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
    label: Annotated[
        str | None,
        typer.Option(help="With diffusers: the class that the pipeline is to draw. [any]"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a model for other software. What diffusers wrote can be given wherever a RUN is."""
    from sfumato.interchange.diffusers import write_pipeline
    from sfumato.interchange.onnx import write_onnx
    from sfumato.run import open_run

    model = open_run(run).model
    if to == "onnx":
        if label is not None:
            raise ArgumentError("`--label` is for diffusers; an ONNX file is told the class.")
        write_onnx(model, folder)
    else:
        write_pipeline(model, folder, label=label)
    say(f"Model for {to} in {folder}", quiet)


@app.command(epilog=examples("sfumato report runs/moons-001"))
def report(run: RunPath, quiet: Quiet = False) -> None:
    """Sample, evaluate and draw a fitted run, and gather it all in its report.html."""
    from sfumato.run import open_any_run

    _report(open_any_run(run), quiet)


@app.command(epilog=examples("sfumato datasets", "sfumato datasets --to sheet.png"))
def datasets(
    to: Annotated[
        Path | None, typer.Option(help="Also draw a sheet of all of them: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """List the toy sets."""
    from rich.console import Console
    from rich.table import Table

    from sfumato.data.toy import TOY_SETS

    if to is not None:
        from sfumato.plots import check_figure_target

        check_figure_target(to)
    table = Table(box=None, pad_edge=False)
    for title in ("name", "columns", "what it is"):
        table.add_column(title, no_wrap=title != "what it is")
    for each in TOY_SETS.values():
        table.add_row(each.name, ", ".join(each.columns), each.description)
    Console(highlight=False).print(table)
    if to is not None:
        from sfumato.figures import datasets_sheet
        from sfumato.plots import save_figure

        save_figure(datasets_sheet(), to)
        typer.echo(f"Sheet in {to}")


@app.command(epilog=examples("sfumato info runs/moons-001", "sfumato info model.safetensors"))
def info(
    run: RunPath, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Say what a run or a model file holds."""
    from sfumato.run import open_any_run

    summary = open_any_run(run).summary()
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    for name, value in summary.items():
        if not isinstance(value, dict):
            typer.echo(f"{name:<12} {_one_line(value)}")


# ------------------------------------------------------------------- what commands share


def say(message: str, quiet: bool) -> None:
    """Print, unless quiet."""
    if not quiet:
        typer.echo(message)


def _say_next(folder: Path, pictures: bool, quiet: bool) -> None:
    run = shlex.quote(str(folder))
    say(
        f"Done: {folder}\nNext:  {_sample_command(run, pictures)}\n       sfumato report {run}",
        quiet,
    )


def _sample_command(run: str, pictures: bool) -> str:
    return f"sfumato sample {run} " + (
        "-n 64 --to new.png" if pictures else "-n 10000 --to new.csv"
    )


def _one_line(text: str) -> str:
    """Without the line breaks that a column's name may hold."""
    return " ".join(text.split())


def _described(job: Any) -> str:
    """What was inferred, before the training begins."""
    data, training = job.data, job.training
    if len(training.event) > 1:
        return _described_pictures(job)
    if training.masking is not None:
        from sfumato.cli.tables import described_table

        return described_table(job)
    rows, columns = data.train.values.shape
    names = _one_line(", ".join(data.train.columns[:6])) + (", ..." if columns > 6 else "")
    constant = columns - training.event[0]
    kept = f", {len(data.heldout.values):,} kept to evaluate on" if data.heldout else ""
    weights = sum(parameter.numel() for parameter in training.network.parameters())
    return (
        f"Data: {rows:,} rows of {columns} column{'s' * (columns != 1)} ({names}){kept}"
        + (f"; {constant} constant" if constant else "")
        + f"\nModel: {weights:,} weights; {training.num_steps:,} steps of "
        f"{training.settings.batch_size} rows" + f"\nRun folder: {job.folder}"
    )


def _described_pictures(job: Any) -> str:
    data, training = job.data, job.training
    pixels, classes = data.train.values, data.train.classes
    kind = "grey" if pixels.shape[3] == 1 else "colour"
    weights = sum(parameter.numel() for parameter in training.network.parameters())
    told = f" in {len(classes)} classes ({_one_line(', '.join(classes[:10]))})" if classes else ""
    left = data.train.left_out
    size = f"{pixels.shape[2]} x {pixels.shape[1]} pixels, {kind}"
    kept = f"{len(data.heldout.values):,} kept to evaluate on"
    steps = f"{training.num_steps:,} steps of {training.settings.batch_size} pictures"
    steps += ", in bfloat16" * training.in_bfloat16
    steps += "; compiling it takes a minute or two" * training.settings.compile
    lines = [
        f"Data: {len(pixels):,} pictures of {size}{told}; {kept}",
        *(f"Left out: {each}" for each in left[:5]),
        *([f"Left out: {len(left) - 5} more"] if len(left) > 5 else []),
        f"Model: {weights:,} weights; {steps}",
        f"Run folder: {job.folder}",
    ]
    return "\n".join(lines)


def _print_evaluation(evaluation: Any) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("measure")
    for title in ("generated", "real against real", "verdict"):
        table.add_column(title, justify="right" if title != "verdict" else "left", no_wrap=True)
    for measure in evaluation.measures:
        low, high = min(measure.floor), max(measure.floor)
        table.add_row(
            measure.title, f"{measure.value:.4g}", f"{low:.3g} to {high:.3g}", measure.verdict
        )
    console = Console(highlight=False)
    console.print(table)
    if evaluation.features:
        console.print(f"Features: {evaluation.features}; {evaluation.rows} pictures of each kind.")
    told = [Text(f"{m.title}: {m.detail}.") for m in evaluation.measures if m.detail]
    if told:
        console.print("\nOf these:")
    for each in told:
        console.print(Padding(each, (0, 0, 0, 2)))
    console.print(f"Verdict: {evaluation.verdict}.")


def _report(run: Any, quiet: bool) -> None:
    from sfumato.report import write_report

    path, evaluation = write_report(run, quiet=quiet)
    if quiet:
        return
    if evaluation:
        _print_evaluation(evaluation)
    pictures = len(run.model.codec.event) > 1
    say(f"Report: {path}\nNext:  {_sample_command(shlex.quote(str(run.folder)), pictures)}", quiet)
