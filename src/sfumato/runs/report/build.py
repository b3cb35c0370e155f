"""The report of a run of any kind."""

from pathlib import Path

from sfumato.errors import RunError
from sfumato.metrics.evaluation import Evaluation
from sfumato.runs.folder import locked
from sfumato.runs.report.rows import report_on_rows
from sfumato.runs.report.tables import report_on_table
from sfumato.runs.run import Run
from sfumato.runs.table_run import TableRun


def write_report(run: Run | TableRun, *, quiet: bool = False) -> tuple[Path, Evaluation | None]:
    """Make everything that a run folder holds besides the model, and the page that shows it.

    Writes samples.csv (of pictures samples.png), evaluation.json, figures/*.png, of points and
    pictures also *.gif, and report.html. Where there are too few real rows to measure against, the
    page says so and there is no evaluation.

    Args:
        run: an opened run.
        quiet: show no progress.

    Raises:
        RunError: if it is a lone model file, or another process is writing in the folder.
    """
    if run.folder is None:
        raise RunError("a report is written into a run folder; this is a lone model file.")
    with locked(run.folder):
        if isinstance(run, TableRun):
            return report_on_table(run, run.folder, quiet)
        return report_on_rows(run, run.folder, quiet)
