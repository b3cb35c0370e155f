"""The report of a run: sample, evaluate, draw, examine, and gather it all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.data.codecs.describe import described
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.metrics.evaluation import Evaluation, Measure
from sfumato.metrics.predictions import TITLES
from sfumato.plots import save_figure
from sfumato.progress import tracked
from sfumato.runs import doctor
from sfumato.runs.card import write_measures
from sfumato.runs.figures import figures_of
from sfumato.runs.figures.common import Shown
from sfumato.runs.folder import FIGURES, locked
from sfumato.runs.report.page import (
    Stages,
    captioned,
    embedded,
    verdict,
    write_evaluation,
    write_page,
)
from sfumato.runs.run import Run

_DIRECTIONS = ("forward", "reverse")


def write_report(run: Run, *, quiet: bool = False) -> tuple[Path, Evaluation | None]:
    """Make everything that a run folder holds besides the model, and the page that shows it.

    Writes samples.csv (of pictures samples.png), evaluation.json, `figures/*.png`, `figures/*.gif`
    and report.html. Where there are too few real rows to measure against, the page says so and
    there is no evaluation.

    Args:
        run: an opened run.
        quiet: show no progress.

    Raises:
        RunError: if it is a lone model file, or another process is writing in the folder.
    """
    if run.folder is None:
        raise RunError("a report is written into a run folder; this is a lone model file.")
    with locked(run.folder):
        return _written(replace(run, data=run.load_data()), run.folder, quiet)


def _written(run: Run, folder: Path, quiet: bool) -> tuple[Path, Evaluation | None]:
    stage, drawing = Stages(run), figures_of(run)
    with stage("sample"):
        sample = run.draw(drawing.SAMPLED, quiet=quiet)
        run.kind.write(folder / run.kind.sample_file, sample, run.model)
    with stage("evaluate"):
        shown, said = _measured(run, sample, quiet)
        if shown.evaluation is not None:
            write_evaluation(folder, shown.evaluation)
    figures = folder / FIGURES
    figures.mkdir(exist_ok=True)
    made = drawing.reported(run, shown)
    with stage("figures"):
        for name in tracked(made, "draw", len(made), "pictures", quiet=quiet):
            save_figure(made[name](run, shown), figures / f"{name}.png")
    with stage("animations"):
        animations = list(_animated(run, figures, quiet))
    with stage("examine"):
        found = list(doctor.examine_run(run, evaluation=shown.evaluation))
    with stage("what the settings cost"):
        costs = [] if not any(each.remedy for each in found) else list(doctor.costs(run, sample))
    evaluation = shown.evaluation
    write_measures(run, evaluation, said)
    measures = evaluation.measures if evaluation else ()
    path = write_page(
        run,
        folder,
        unit=run.kind.unit,
        images=captioned(figures, {name: drawing.CAPTIONS[name] for name in made}),
        animations={name: embedded(figures / f"{name}.gif") for name in animations},
        columns=list(_columns(run, shown)),
        evaluation=evaluation,
        verdict=said,
        law_titles=TITLES,
        quality=[each for each in measures if each.name not in drawing.APART],
        privacy=[each for each in measures if each.name in drawing.APART],
        seconds=stage.seconds,
        findings=found,
        costs=costs,
    )
    return path, evaluation


def _measured(run: Run, sample: object, quiet: bool) -> tuple[Shown, str]:
    """The sample, its evaluation, and the verdict in a sentence."""
    drawing = figures_of(run)
    try:
        shown = drawing.measured(run, sample, quiet)
    except DataError as error:  # too few rows to measure is no reason not to draw them
        return Shown(sample), f"Not measured: {error}"
    real = "fresh draws" if run.load_data().is_toy else f"{run.kind.unit} kept out of training"
    return shown, verdict(shown.evaluation, run.kind.unit, real)


def _animated(run: Run, figures: Path, quiet: bool) -> Iterator[str]:
    """The directions that could be animated: a table without numeric columns has none."""
    drawing = figures_of(run)
    for direction in tracked(_DIRECTIONS, "animate", len(_DIRECTIONS), "animations", quiet=quiet):
        try:
            drawing.animate(run, direction, figures / f"{direction}.gif")
        except ArgumentError:
            continue
        yield direction


@dataclass(frozen=True, slots=True)
class _Column:
    """A line of the table of columns.

    Args:
        name: its own.
        kind: what it was taken for.
        what: its range or categories.
        missing: share of the rows learned from in which it is missing.
        missing_drawn: of the generated rows, if it is among them.
        measure: its distance from the real one, if it was measured.
    """

    name: str
    kind: str
    what: str
    missing: float
    missing_drawn: float | None
    measure: Measure | None

    @property
    def beyond_chance(self) -> bool:
        """Whether its distance was measured, and chance does not explain it."""
        return self.measure is not None and self.measure.beyond_chance


def _columns(run: Run, shown: Shown) -> Iterator[_Column]:
    """All columns of a table, those that were dropped too; none of other data."""
    data = run.load_data()
    if not data.types:
        return
    train: DataTable = data.train
    measures = {} if shown.study is None else shown.study.columns
    parts = {part.name: part for part in run.model.codec.parts}
    for column in train:
        name = column.name
        yield _Column(
            name,
            data.types[name],
            described(parts[name]) if name in parts else "not learned",
            float(column.missing.mean()),
            float(shown.sample[name].missing.mean()) if name in parts else None,
            measures.get(name),
        )
