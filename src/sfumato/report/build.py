"""Sample, evaluate, draw, and gather it all in report.html."""

import base64
import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from sfumato import __version__, doctor, storage
from sfumato.data.toy import TOY_SETS
from sfumato.errors import DataError, RunError
from sfumato.figures import evaluation_figure, samples_figure, sheet_figure
from sfumato.gallery import (
    figures_of,
    neighbours_figure,
    of_pictures,
    write_rows,
    write_run_animation,
)
from sfumato.gallery import samples_figure as picture_samples_figure
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import energy_distance
from sfumato.metrics.evaluation import Evaluation
from sfumato.plots import save_figure
from sfumato.progress import ProgressLine
from sfumato.run import Run, locked
from sfumato.source import ARRAY

REPORT, FIGURE_FOLDER, EVALUATION = "report.html", "figures", "evaluation.json"
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


def write_report(run: Run, *, quiet: bool = False) -> tuple[Path, Evaluation | None]:
    """Make everything that a run folder holds besides the model, and the page that shows it.

    Writes samples.csv (of pictures samples.png), evaluation.json, figures/*.png and *.gif, and
    report.html. Where there are too few real rows to measure against, the page says so and there
    is no evaluation.

    Args:
        run: an opened run.
        quiet: show no progress.

    Raises:
        RunError: if it is a lone model file, or another process is writing in the folder.
    """
    if run.folder is None:
        raise RunError("a report is written into a run folder; this is a lone model file.")
    with locked(run.folder):
        return _write(run, run.folder, quiet)


def _write(run: Run, folder: Path, quiet: bool) -> tuple[Path, Evaluation | None]:
    records = run.records()
    seconds: dict[str, float] = {"fit": records[-1]["seconds"] if records else 0.0}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started

    with stage("sample"):
        pictures = of_pictures(run)
        sample = run.sample(_PICTURES if pictures else _SAMPLED, quiet=quiet)
        write_rows(run, folder / ("samples.png" if pictures else "samples.csv"), sample)
    with stage("evaluate"):
        evaluation: Evaluation | None = None
        try:
            measured = evaluation = run.evaluate(sample=None if pictures else sample, quiet=quiet)
        except DataError as error:  # too few rows to measure is no reason not to draw them
            verdict = f"Not measured: {error}"
        else:
            verdict = _verdict(run, measured)
            text = json.dumps(measured.to_dict(), indent=2)
            storage.write_bytes(folder / EVALUATION, text.encode())
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
    page = _render(run, figures, evaluation, verdict, seconds, found, costs)
    storage.write_bytes(folder / REPORT, page.encode())
    return folder / REPORT, evaluation


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


def _embedded(path: Path) -> str:
    return f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _reproduce(run: Run) -> str:
    source = run.settings.data.source
    if source == ARRAY:
        return (
            "sfumato.fit(rows, settings=...)  # in Python, with the rows and settings of this run"
        )
    return (
        f"sfumato fit {shlex.quote(source)} --config config.toml --out again && "
        "sfumato report again"
    )


def _rows(run: Run) -> str:
    return "pictures" if of_pictures(run) else "rows"


def _verdict(run: Run, evaluation: Evaluation) -> str:
    """The whole evaluation in a plain sentence."""
    rows = _rows(run)
    real = "fresh draws" if run.settings.data.source in TOY_SETS else f"{rows} kept out of training"
    words = {
        "cannot be told apart": f"The generated {rows} cannot be told apart from {real} by any of "
        "the measures: each lies where chance puts real rows too.",
        "close": f"The generated {rows} are close to {real}: at least one measure sees a "
        "difference beyond chance, but a small one.",
        "apart": f"The generated {rows} are apart from {real}: at least one measure sees a "
        "difference that matters.",
    }
    return words[evaluation.verdict]


def _render(
    run: Run,
    figures: Path,
    evaluation: Evaluation | None,
    verdict: str,
    seconds: dict[str, float],
    found: list[doctor.Finding],
    costs: list[_Cost],
) -> str:
    template = files("sfumato.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    captions = _CAPTIONS_OF_PICTURES if of_pictures(run) else _CAPTIONS
    images: dict[str, Any] = {
        path.stem: {"source": _embedded(path), "caption": captions[path.stem]}
        for path in sorted(figures.glob("*.png"))
        if path.stem in captions
    }
    return environment.from_string(template).render(
        name=run.folder.name if run.folder else "",
        version=__version__,
        summary={k: v for k, v in run.summary().items() if not isinstance(v, dict)},
        settings=run.settings.to_toml(),
        images=images,
        animations={name: _embedded(figures / f"{name}.gif") for name in ("forward", "reverse")},
        rows=_rows(run),
        evaluation=evaluation,
        verdict=verdict,
        seconds=seconds,
        findings=found,
        costs=costs,
        reproduce=_reproduce(run),
    )
