"""What the commands do for tables: what was inferred, rows drawn and written, holes filled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato.cli.commands import (
    Quiet,
    RunPath,
    SamplingSet,
    Seed,
    app,
    examples,
    sampling_changes,
    say,
)
from sfumato.errors import ArgumentError, DataError

# Columns that are told of one by one.
_SHOWN = 40


def described_table(job: Any) -> str:
    """What each column was taken for, before the training begins."""
    data, codec, training = job.data, job.model.codec, job.training
    holes = sum(int(column.missing.sum()) for column in data.train)
    weights = sum(parameter.numel() for parameter in training.network.parameters())
    told = [_column(column, codec, data.kinds[column.name]) for column in data.train]
    width = min(24, max(len(name) for name, _ in told))
    rows, steps = len(data.train), training.num_steps
    kept = f"{len(data.heldout):,} rows kept to evaluate on"
    lines = [
        f"Data: {rows:,} rows of {len(told)} columns, {holes:,} cells empty; {kept}",
        *(f"  {name:<{width}}  {what}" for name, what in told[:_SHOWN]),
        *([f"  and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []),
        "  (another kind: --column NAME=KIND)",
        f"Model: {weights:,} weights; {steps:,} steps of {training.settings.batch_size} rows",
        f"Run folder: {job.folder}",
    ]
    return "\n".join(lines)


def _column(column: Any, codec: Any, kind: str) -> tuple[str, str]:
    """Its name and, in a few words, what it is."""
    from sfumato.data.codecs.describe import described

    name = " ".join(column.name.split()) or repr(column.name)
    part = next((each for each in codec.parts if each.name == column.name), None)
    if part is None:
        return name, "dropped"
    what = f"{kind}, {described(part)}"
    share = column.missing.mean()
    return name, what + (f"; {share:.1%} empty" if share else "")


def write_sampled_table(
    run: Any,
    to: Path,
    n: int | None,
    given: Mapping[str, str | None],
    seed: int,
    sampling: Mapping[str, Any],
    quiet: bool,
) -> None:
    """Draw rows of a table and write them."""
    from sfumato import distributed
    from sfumato.data.io.tables import check_target, write_table

    check_target(to)
    n = 1000 if n is None else n
    if given:
        _warn(run, run.model.condition(given), "the nearest stands for it")
    table = run.sample(n, seed=seed, given=given, quiet=quiet, **sampling)
    if distributed.is_first():
        write_table(to, table)
        say(f"{n:,} rows in {to}", quiet)


@app.command(
    epilog=examples(
        "sfumato impute runs/people holes.csv --to filled.csv",
        "sfumato impute runs/people holes.csv --to filled.csv --draws 5",
    )
)
def impute(
    run: RunPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of the run's columns.")],
    to: Annotated[Path, typer.Option(help="Where to write: .csv, .csv.gz, .tsv or .parquet.")],
    draws: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Write so many tables (filled-1.csv, ...), each one draw of what may have stood "
            "in the holes, instead of one table of best guesses.",
        ),
    ] = None,
    seed: Seed = 0,
    assignments: SamplingSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Fill the holes of a table; what is there stays as it is.

    Best guesses are the mean of numbers and the most frequent level of 40 draws: right for reading
    and for scores, but less spread than the truth. For statistics take --draws and pool.
    """
    changes = sampling_changes(assignments)

    from sfumato.data.io.tables import check_target, write_table
    from sfumato.runs.run import open_table_run

    check_target(to)
    opened = open_table_run(run)
    table = read_for(opened, file)
    _warn(opened, table, "the nearest stands for it")
    holes = sum(int(column.missing.sum()) for column in opened.model.own(table))
    if draws is None:
        write_table(to, opened.impute(table, seed=seed, quiet=quiet, **changes))
        say(f"{holes:,} cells filled in {to}", quiet)
        return
    filled = opened.impute_draws(table, draws, seed=seed, quiet=quiet, **changes)
    for k, each in enumerate(filled, start=1):
        write_table(numbered(to, k), each)
    say(
        f"{holes:,} cells filled in each of {numbered(to, 1)} ... {numbered(to, draws).name}", quiet
    )


def _warn(run: Any, table: Any, meaning: str) -> None:
    """Say what of a table the model has learned nothing of."""
    for each in run.model.codec.out_of_range(table):
        typer.echo(f"note: {' '.join(each.split())}; {meaning}.", err=True)


def numbered(path: Path, k: int) -> Path:
    """`filled.csv` as `filled-3.csv`."""
    stem, dot, ending = path.name.partition(".")
    return path.with_name(f"{stem}-{k}{dot}{ending}")


def read_for(run: Any, file: Path) -> Any:
    """A table whose columns are the run's; others beside them are kept.

    Raises:
        DataError: if it cannot be used, or lacks one of the columns.
    """
    from sfumato.data.io.tables import read_table

    codec = run.model.codec
    words = [part.name for part in codec.parts if part.dtype == "object"]
    table = read_table(file, words)
    missing = [name for name in codec.columns if name not in table.names]
    if missing:
        raise DataError(
            f"{file} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing[:5])}; this "
            f"run's are {', '.join(codec.columns[:12])}{', ...' * (len(codec.columns) > 12)}."
        )
    return table


def score_table(run: Any, file: Path, to: Path | None, *, bound: bool, quiet: bool) -> Any:
    """Log densities of a table's rows; written beside the rows if asked for.

    Raises:
        ArgumentError: if something is asked that tables have not.
        DataError: if the rows cannot be used.
    """
    from dataclasses import replace

    import numpy as np

    from sfumato.data.io.tables import check_target, write_table
    from sfumato.data.table import Column, DataTable
    from sfumato.runs.score import table_score

    if bound:
        raise ArgumentError("of a table the likelihood itself is told; leave --bound out.")
    if to is not None:
        check_target(to)
    table = read_for(run, file)
    if to is not None and "log_prob" in table.names:
        raise DataError(
            f"{file} has a column log_prob of its own, which {to} would hold twice; leave --to out."
        )
    _warn(run, table, "densities there are a guess")
    nats = run.log_prob(table, quiet=quiet)
    if to is not None:
        column = Column("log_prob", nats, np.zeros(len(nats), bool))
        write_table(to, replace(table, columns=(*table.columns, column)))
    assert isinstance(table, DataTable)
    return table_score(run, nats)
