"""The report of a run of points or of pictures: sample, evaluate, draw, and gather it all."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.data.toy import TOY_SETS
from sfumato.errors import DataError
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import energy_distance
from sfumato.metrics.evaluation import Evaluation
from sfumato.plots import save_figure
from sfumato.progress import ProgressLine
from sfumato.runs import doctor
from sfumato.runs.figures.images import (
    figures_of,
    neighbours_figure,
    of_pictures,
    write_rows,
    write_run_animation,
)
from sfumato.runs.figures.images import samples_figure as picture_samples_figure
from sfumato.runs.figures.points import evaluation_figure, samples_figure, sheet_figure
from sfumato.runs.report.page import (
    FIGURE_FOLDER,
    Stages,
    captioned,
    embedded,
    verdict,
    write_evaluation,
    write_page,
)
from sfumato.runs.run import Run

_SAMPLED, _PICTURES = 10_000, 100
_CAPTIONS = {
    "data": "What the model learned from.",
    "sheet": "The sheet in space whose section is the S.",
    "samples": "Real rows that training never saw, beside as many generated ones.",
    "forward": "The forward process: each panel adds noise to the one before.",
    "reverse": "The reverse process, a row for each moment of the training.",
    "training": "What the same samples were at moments of the training.",
    "neighbours": "Does it copy? Each sample above the training pictures nearest to it.",
    "trajectories": "Forty samples on their way.",
    "errors": "How far off the predicted data are, by noise. What a network has over the least "
    "possible is what it has not learned; what unseen rows have over training rows it has learned "
    "by heart.",
    "loss": "The training loss. It does not fall to zero: noise cannot be foretold entirely.",
    "distances": "Each measure on its own scale.",
}
_CAPTIONS_OF_PICTURES = _CAPTIONS | {
    "samples": "Real pictures that training never saw, beside as many generated ones.",
    "forward": "The forward process: each column adds noise to the one before.",
    "reverse": "The reverse process: each column has less noise than the one before.",
    "errors": _CAPTIONS["errors"].replace("rows", "pictures"),
}


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a remedy gains: the measures of the same network with and without it."""

    title: str
    auc: float
    energy: float
    log_density_gap: float | None


def report_on_rows(run: Run, folder: Path, quiet: bool) -> tuple[Path, Evaluation | None]:
    """See `build.write_report`."""
    stage = Stages(run)
    with stage("sample"):
        pictures = of_pictures(run)
        sample = run.sample(_PICTURES if pictures else _SAMPLED, quiet=quiet)
        write_rows(run, folder / ("samples.png" if pictures else "samples.csv"), sample)
    with stage("evaluate"):
        evaluation: Evaluation | None = None
        try:
            measured = evaluation = run.evaluate(sample=None if pictures else sample, quiet=quiet)
        except DataError as error:  # too few rows to measure is no reason not to draw them
            told = f"Not measured: {error}"
        else:
            told = _verdict(run, measured)
            write_evaluation(folder, measured)
    figures = folder / FIGURE_FOLDER
    figures.mkdir(exist_ok=True)
    known = figures_of(run)
    drawn = [name for name in known if name != "distances"]
    of_sample = {"samples": picture_samples_figure, "neighbours": neighbours_figure}
    if not pictures:
        of_sample = {"samples": samples_figure}
    total = len(drawn) + 3
    with ProgressLine("draw", total, "pictures", quiet=quiet) as line:
        with stage("figures"):
            for done, name in enumerate(drawn, start=1):
                figure = of_sample[name](run, sample) if name in of_sample else known[name](run)
                save_figure(figure, figures / f"{name}.png")
                line.advance_to(done, name)
            if evaluation:
                save_figure(evaluation_figure(evaluation), figures / "distances.png")
            if run.settings.data.source == "s-curve":
                save_figure(sheet_figure(), figures / "sheet.png")
        with stage("animations"):
            for done, direction in enumerate(("forward", "reverse"), start=total - 1):
                write_run_animation(run, direction, figures / f"{direction}.gif")  # type: ignore[arg-type]
                line.advance_to(done, f"{direction} animation")
    with stage("examine"):
        found = [] if pictures else list(doctor.examine_run(run))
    with stage("what the settings cost"):
        costs = [] if all(each.sound for each in found) else list(_costs(run, sample))
    path = write_page(
        "rows.html",
        run,
        folder,
        rows="pictures" if pictures else "rows",
        images=captioned(figures, _CAPTIONS_OF_PICTURES if pictures else _CAPTIONS),
        animations={name: embedded(figures / f"{name}.gif") for name in ("forward", "reverse")},
        evaluation=evaluation,
        verdict=told,
        seconds=stage.seconds,
        findings=found,
        costs=costs,
    )
    return path, evaluation


def _costs(run: Run, sample: np.ndarray) -> Iterator[_Cost]:
    """The same measures for the samples as they are and with each fault mended."""
    data = run.load_data()
    real = data.heldout.values if data.heldout is not None else data.fresh(0, len(sample))
    n = min(len(sample), len(real))
    density = data.log_density()
    truth = float(density(real).mean()) if density else 0.0
    few = min(n, 4000)
    scale = np.where(real.std(0) > 0, real.std(0), 1.0)
    asked = doctor.Remedied("as the settings say", sample[:n])
    for each in (asked, *doctor.remedied(run, n)):
        yield _Cost(
            each.title,
            classifier_auc(real[:n], each.sample),
            energy_distance(real[:few] / scale, each.sample[:few] / scale),
            float(density(each.sample).mean()) - truth if density else None,
        )


def _verdict(run: Run, evaluation: Evaluation) -> str:
    rows = "pictures" if of_pictures(run) else "rows"
    real = "fresh draws" if run.settings.data.source in TOY_SETS else f"{rows} kept out of training"
    return verdict(evaluation, rows, real)
