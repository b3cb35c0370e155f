"""The command that predicts a column."""

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.app import app, counted, examples, keep_apart, one_line, say
from sfumato.cli.options import Quiet, RunPath, Seed


@app.command(
    epilog=examples(
        "sfumato predict runs/people new.csv --target income --to predicted.csv",
        "sfumato predict runs/people new.csv --target income --to predicted.csv --draws 20",
    )
)
def predict(
    run: RunPath,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Rows of the run's columns, or of some of them.")
    ],
    target: Annotated[
        str, typer.Option(help="The column to predict; its values in the file are ignored.")
    ],
    to: Annotated[
        Path, typer.Option(help="Where to write: .csv, .csv.gz, .tsv or .parquet, as for `sample`.")
    ],
    draws: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Add so many equally likely values of a number, too."),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Predict a column of a table from the others, with its uncertainty.

    The rows are written with new columns: for a number its mean and its 5, 50 and 95 % quantiles
    (the middle 90 % of the predicted law lies between the outer two); for a category the most
    probable one and the probability of each. Missing cells, and columns that the file lacks, are
    taken as unknown.
    """
    keep_apart(to, file)

    from sfumato.models.model import require
    from sfumato.runs.predict import predicted_columns, remarks
    from sfumato.runs.run import open_run

    opened = open_run(run)
    require(opened.model, "predict")
    like = opened.kind.read_like(opened.model, file, missing=True, partial=True)
    opened.kind.check_target(to, opened.model)
    for each in remarks(opened, like, target, str(file)):
        typer.echo(f"note: {one_line(each)}.", err=True)
    law = opened.predict(like.rows, target, seed=seed, quiet=quiet)
    opened.kind.write(to, predicted_columns(like.source, target, law, draws), opened.model)
    say(f"{counted(len(like.source), 'predictions')} in {to}", quiet)
