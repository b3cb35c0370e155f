"""The report of a run that learned a table: sample, evaluate, draw, and gather it all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from sfumato.data.codecs.describe import described
from sfumato.data.io.tables import write_table
from sfumato.data.table import DataTable
from sfumato.errors import DataError
from sfumato.metrics.evaluation import Evaluation, Measure
from sfumato.metrics.privacy import PRIVACY
from sfumato.metrics.study import TableStudy
from sfumato.plots import save_figure
from sfumato.progress import tracked
from sfumato.runs.figures.table import TABLE_FIGURES, unmeasured_figure
from sfumato.runs.report.page import (
    FIGURE_FOLDER,
    Stages,
    captioned,
    verdict,
    write_evaluation,
    write_page,
)
from sfumato.runs.table_run import TableRun

_SAMPLED = 10_000
_CAPTIONS = {
    "marginals": "Column by column: real rows filled, generated ones as a line.",
    "dependence": "How strongly two columns go together, and how far the generated rows are off.",
    "likelihoods": "Log densities. Where the generated rows' law is that of held-out rows, they "
    "are as typical; where rows learned from lie to the right of held-out ones, they were learned "
    "by heart.",
    "intervals": "A fifth of the cells of held-out rows were hidden and filled 20 times: do the "
    "draws lie about the truth as they claim to?",
    "nearest": "Distance to the nearest row that was learned from, in ranks of all columns.",
    "loss": "The training loss. It does not fall to zero: noise cannot be foretold entirely.",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A line of the table of columns.

    Args:
        name: its own.
        kind: what it was taken for.
        what: its range or levels.
        holes: share of the rows learned from in which it is empty.
        drawn_holes: of the generated rows, if it is among them.
        measure: its distance from the real one, if it was measured.
    """

    name: str
    kind: str
    what: str
    holes: float
    drawn_holes: float | None
    measure: Measure | None

    @property
    def beyond_chance(self) -> bool:
        """Whether its distance was measured, and chance does not explain it."""
        return self.measure is not None and self.measure.value > self.measure.limit


def report_on_table(run: TableRun, folder: Path, quiet: bool) -> tuple[Path, Evaluation | None]:
    """See `build.write_report`."""
    stage = Stages(run)
    run = replace(run, data=run.load_data())  # read once
    with stage("sample"):
        sample = run.sample(_SAMPLED, quiet=quiet)
        write_table(folder / "samples.csv", sample)
    study: TableStudy | None = None
    evaluation: Evaluation | None = None
    with stage("evaluate"):
        try:
            measured = run.study(sample=sample, quiet=quiet)
            evaluation = run.evaluate_study(measured, quiet=quiet)
        except DataError as error:  # too few rows to measure is no reason not to draw them
            told = f"Not measured: {error}"
        else:
            study, told = measured, _verdict(evaluation)
            write_evaluation(folder, evaluation)
    figures = folder / FIGURE_FOLDER
    figures.mkdir(exist_ok=True)
    drawn = _figures(run, study, sample)
    with stage("figures"):
        for name in tracked(drawn, "draw", len(drawn), "pictures", quiet=quiet):
            save_figure(drawn[name](), figures / f"{name}.png")
    measures = evaluation.measures if evaluation else ()
    path = write_page(
        "table.html",
        run,
        folder,
        images=captioned(figures, {name: _CAPTIONS[name] for name in drawn}),
        evaluation=evaluation,
        verdict=told,
        seconds=stage.seconds,
        columns=list(_columns(run, sample, study)),
        quality=[m for m in measures if m.name not in PRIVACY],
        privacy=[m for m in measures if m.name in PRIVACY],
    )
    return path, evaluation


def _verdict(evaluation: Evaluation) -> str:
    blind = sum(m.verdict == "cannot be told apart" for m in evaluation.measures)
    sentence = verdict(evaluation, "rows", "rows kept out of training")
    if blind == len(evaluation.measures):
        return sentence
    return f"{sentence} {blind} of {len(evaluation.measures)} measures see none."


def _figures(
    run: TableRun, study: TableStudy | None, sample: DataTable
) -> dict[str, "partial[Figure]"]:
    """What can be drawn of these rows."""
    if study is None:
        return {
            "marginals": partial(unmeasured_figure, run, sample),
            "loss": partial(TABLE_FIGURES["loss"], run),
        }
    names = [name for name in _CAPTIONS if name != "dependence" or len(study.names) > 1]
    names = [name for name in names if name != "intervals" or study.intervals]
    return {name: partial(TABLE_FIGURES[name], run, study) for name in names}


def _columns(run: TableRun, sample: DataTable, study: TableStudy | None) -> Iterator[_Column]:
    """All columns of the table, those that were dropped too."""
    data, measures = run.load_data(), {} if study is None else study.columns
    parts = {part.name: part for part in run.model.codec.parts}
    for column in data.train:
        name = column.name
        yield _Column(
            name,
            data.kinds[name],
            described(parts[name]) if name in parts else "not learned",
            float(column.missing.mean()),
            float(sample[name].missing.mean()) if name in parts else None,
            measures.get(name),
        )
