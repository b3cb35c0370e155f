"""The commands that fit a model: fit, demo."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato import config
from sfumato.cli.app import app, examples, print_evaluation, sample_command, say
from sfumato.cli.options import (
    Columns,
    FitSeed,
    Missing,
    Quiet,
    Rules,
    Set,
    column_types,
    missing_cells,
    numbers_of_calls,
    rules_stated,
    seeded,
)
from sfumato.errors import ArgumentError


@app.command(
    epilog=examples(
        "sfumato demo",
        "sfumato demo table",
        "sfumato demo tutorial --set training.epochs=200",
        "sfumato demo --out my-first-run --seed 7",
    )
)
def demo(
    preset: Annotated[
        str, typer.Argument(metavar="PRESET", help="`s-curve`, `table`, `digits` or `tutorial`.")
    ] = "s-curve",
    out: Annotated[Path | None, typer.Option(help="The run's folder. [runs/PRESET-NNN]")] = None,
    seed: FitSeed = None,
    assignments: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fit, sample, evaluate, draw and report, on points, a table or handwritten digits.

    `s-curve` and `table` (344 penguins) take about half a minute, `digits` a few minutes.

    `tutorial` keeps all settings of a well-known tutorial (4,000 epochs) and takes minutes; its
    report says what those settings cost.
    """
    layers = config.preset(preset), config.parse_assignments(assignments), seeded(seed)
    source = config.resolve(*layers).data.source  # wrong settings are told before PyTorch is loaded

    from sfumato.runs.fit import begin, finish, resolve
    from sfumato.runs.report import write_report

    settings, data = resolve(source, {}, *layers)
    with begin(settings, data, out, name=preset) as job:
        say(described(job), quiet)
        run = finish(job, quiet=quiet)
    path, evaluation = write_report(run, quiet=quiet)
    if evaluation and not quiet:
        print_evaluation(evaluation, run.kind.unit)
    say(f"Report: {path}")
    say(f"Next:  {sample_command(run)}", quiet)


@app.command(
    epilog=examples(
        "sfumato fit moons",
        "sfumato fit points.csv --out runs/points",
        "sfumato fit people.csv --column zip=categorical --column id=dropped",
        "sfumato fit survey.csv --missing . --missing -999 --column born=date:day.month.year",
        'sfumato fit orders.csv --rule "delivered >= ordered" --rule "total = price + postage"',
        "sfumato fit photos --set data.size=32 --set data.skip_bad=true",
        "sfumato fit cifar.tar.xz --set data.labels=true --set training.flip=true",
        "sfumato fit s-curve --config mine.toml --set training.steps=2000",
        "sfumato fit others.csv --from runs/points --out runs/others",
        "sfumato fit --resume --out runs/points",
        "sfumato fit --resume --out runs/points --set training.steps=20000",
    )
)
def fit(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A toy set (see `sfumato datasets`); rows: .csv, .tsv, .txt, .csv.gz, .parquet, "
            ".feather, .jsonl, .xlsx, .dta, .sav, .arff, .npy, .npz, or one of these in a .zip (up "
            "to three columns of decimals are points in space, anything else is a table); or "
            "pictures: a folder, .zip, .tar, an array (n, height, width, channels) in .npy, .npz, "
            ".h5 or IDX, a stack (.tif, .nii, .dcm), `digits`."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder. [runs/NAME-NNN]")] = None,
    settings_file: Annotated[
        Path | None, typer.Option("--config", help="Settings from a TOML file.")
    ] = None,
    assignments: Set = [],  # noqa: B006
    columns: Columns = [],  # noqa: B006
    missing: Missing = [],  # noqa: B006
    rules: Rules = [],  # noqa: B006
    seed: FitSeed = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Start from the weights of a run folder, a model file or a folder of diffusers, "
            "and from its settings (fine-tuning).",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the run in --out where it was stopped; with --set training.steps=N, "
            "past its end.",
        ),
    ] = False,
    show_settings: Annotated[
        bool,
        typer.Option(
            "--show-settings", help="Print all settings as TOML (for SOURCE, if given) and exit."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model to points, a table or pictures. Every run gets a folder of its own.

    It may be stopped at any time (Ctrl-C finishes the current steps and saves). --resume continues
    it, bit for bit as if it had never stopped. With more training.steps it trains on past its end:
    the learning rate warms up again and falls again, and files made from the older weights are
    moved aside in the run's folder.
    """
    changes = [config.load_toml(settings_file)] if settings_file else []
    changes += [config.parse_assignments(assignments), column_types(columns)]
    changes += [missing_cells(missing), rules_stated(rules), seeded(seed)]
    if source is not None:
        changes.append({"data": {"source": source}})
    if start is not None:
        changes.append({"start": {"path": str(start), "sha256": None}})
    has_source = any("source" in change.get("data", {}) for change in changes)
    if show_settings:
        _show_settings(changes, has_source)
        return
    if resume:
        if start is not None:
            raise ArgumentError("a resumed run goes on from its own weights; leave --from out.")
        if settings_file or columns or missing or rules or seed is not None:
            raise ArgumentError(
                "a resumed run keeps its settings; give only --resume --out RUN, and with --set "
                "what it is to go on with (training.steps=20000)."
            )
        _resume(out, source, config.parse_assignments(assignments), quiet)
        return
    checked = config.resolve(*changes)  # wrong settings are told before PyTorch is loaded
    if not has_source:
        raise ArgumentError("what to fit to? Give a toy set's name or a file: `sfumato fit moons`.")

    from sfumato import distributed
    from sfumato.runs.fit import begin, finish, resolve
    from sfumato.runs.start import recorded_start

    if distributed.count() > 1 and out is None:
        raise ArgumentError("several processes need to know the run's folder; say --out.")
    if out and distributed.restarted() and distributed.any_of((out / "config.toml").is_file()):
        _resume(out, source, {}, quiet)
        return
    quiet = quiet or not distributed.is_first()
    first = recorded_start(checked)
    settings, data = resolve(checked.data.source, {}, *changes, start=first)
    with begin(settings, data, out, start=first) as job:
        say(described(job), quiet)
        run = finish(job, quiet=quiet)
    _say_next(run, quiet)


@app.command(
    epilog=examples(
        "sfumato distill runs/moons-001",
        "sfumato distill runs/digits-001 --calls 4",
        "sfumato distill --resume runs/digits-001",
    )
)
def distill(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    calls: Annotated[
        str | None, typer.Option(help="For how many network calls, of 1, 2 and 4. [1,2,4]")
    ] = None,
    seed: FitSeed = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue where it was stopped; give only RUN.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Learn a map that draws in 1, 2 or 4 network calls, from a fitted run's own network.

    The map is stored in the run, beside the network that likelihood, editing and the doctor still
    use. `sample --calls 2` draws with it. If its samples with the largest number of calls cannot be
    told apart from real rows, `sample` uses the map from then on.
    """
    numbers = None if calls is None else numbers_of_calls(calls, most=4)

    from sfumato.runs.distill import distill as learn
    from sfumato.runs.run import open_run

    found = learn(open_run(run), numbers, seed=seed, resume=resume, quiet=quiet)
    say(described_map(found), quiet)


def described_map(found: Any) -> str:
    """What a few-step map came to, and how to draw with it."""
    run = found.run
    calls = sorted(run.model.few.times)
    most, unit = calls[-1], run.kind.unit
    numbers = ", ".join(map(str, calls))
    judged = (
        f"there are too few real {unit} to measure by"
        if found.evaluation is None
        else f"{found.evaluation.verdict} ({found.evaluation.rows:,} {unit})"
    )
    lines = [f"Map: {numbers} network calls; samples of {most}: {judged}"]
    if found.chosen:
        lines.append(f"`sample` draws with {found.chosen} from now on; with its sampler: --calls 0")
    else:
        lines.append("`sample` goes on drawing with its sampler")
    return "\n".join([*lines, f"Next:  {sample_command(run)} --calls {most}"])


def _show_settings(changes: list[dict[str, Any]], has_source: bool) -> None:
    settings = config.resolve(config.recipes.points(10_000, 2), *changes)
    if has_source:
        from sfumato.runs.fit import resolve
        from sfumato.runs.start import recorded_start

        first = recorded_start(settings)
        settings = resolve(settings.data.source, {}, *changes, start=first)[0]
        data = settings.data.model_copy(update={"sha256": None})
        settings = settings.model_copy(update={"data": data})
    typer.echo(settings.to_toml(), nl=False)


def _resume(out: Path | None, source: str | None, changes: dict[str, Any], quiet: bool) -> None:
    if out is None:
        raise ArgumentError("which run? Say `sfumato fit --resume --out RUN`.")

    from sfumato import distributed
    from sfumato.runs.fit import finish, resume
    from sfumato.runs.run import Run

    quiet = quiet or not distributed.is_first()
    with resume(out, source, changes) as job:
        step, num_steps = job.training.step, job.training.num_steps
        if step == num_steps:
            say(f"{out} is already finished: {step:,} steps.", quiet)
        else:
            said = (f"Going on from step {step:,} of {num_steps:,}.", *job.notes)
            say("\n".join(said), quiet)
        finish(job, quiet=quiet)
    _say_next(Run(job.model, out), quiet)


def described(job: Any) -> str:
    """What was inferred, before the training begins."""
    from sfumato.runs.kinds import KINDS

    kind, training = KINDS[job.data.kind], job.training
    weights = sum(parameter.numel() for parameter in training.network.parameters())
    steps = f"{training.num_steps:,} steps of {training.settings.batch_size} {kind.unit}"
    steps += ", in bfloat16" * training.in_bfloat16
    steps += "; compiling it takes a minute or two" * training.settings.compile
    return "\n".join(
        [
            *kind.describe(job.data, job.model),
            *job.notes,
            f"Model: {weights:,} weights; {steps}",
            f"Run folder: {job.folder}",
        ]
    )


def _say_next(run: Any, quiet: bool) -> None:
    from sfumato import distributed

    if not distributed.is_first():
        return
    say(f"Done: {run.folder}")
    report = f"sfumato report {shlex.quote(str(run.folder))}"
    say(f"Next:  {sample_command(run)}\n       {report}", quiet)
