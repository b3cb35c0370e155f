"""The page of a report: files beside it, stages that are timed, the verdict, the template."""

import base64
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from sfumato import __version__, atomic
from sfumato.data.source import IN_MEMORY
from sfumato.metrics.evaluation import Evaluation
from sfumato.runs.folder import EVALUATION, REPORT
from sfumato.runs.report.languages import ENGLISH, Language
from sfumato.runs.run import Run


class Stages:
    """Seconds that each stage took, the fit among them.

    Args:
        run: whose report it is.
    """

    def __init__(self, run: Run) -> None:
        records = run.records()
        self.seconds: dict[str, float] = {"fit": records[-1]["seconds"] if records else 0.0}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        started = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Keep the measures beside the page."""
    text = json.dumps(evaluation.to_dict(), indent=2)
    atomic.write_bytes(folder / EVALUATION, text.encode())


def verdict(evaluation: Evaluation, unit: str, real: str) -> str:
    """The whole evaluation in a plain sentence.

    Args:
        evaluation: of them.
        unit: "rows" or "pictures".
        real: what they are measured against.
    """
    sentence = {
        "cannot be told apart": f"The generated {unit} cannot be told apart from {real} by any of "
        "the measures: each lies where chance puts real ones too.",
        "close": f"The generated {unit} are close to {real}: at least one measure sees a "
        "difference beyond chance, but a small one.",
        "apart": f"The generated {unit} are apart from {real}: at least one measure sees a "
        "difference that matters.",
        "no power": f"Whether the generated {unit} can be told apart from {real} is not known: "
        f"{evaluation.rows:,} {unit} are too few to tell.",
    }[evaluation.verdict]
    blind = sum(m.verdict == "cannot be told apart" for m in evaluation.measures)
    note = f" {evaluation.note}" if evaluation.note else ""
    if blind == len(evaluation.measures):
        return sentence
    return f"{sentence} {blind} of {len(evaluation.measures)} measures see none.{note}"


def embedded(path: Path) -> str:
    """A picture as an address that holds it."""
    return f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def captioned(folder: Path, captions: Mapping[str, str]) -> dict[str, Any]:
    """The figures of a folder that have a caption, to show by their names."""
    return {
        path.stem: {"source": embedded(path), "caption": captions[path.stem]}
        for path in sorted(folder.glob("*.png"))
        if path.stem in captions
    }


def _reproduce(run: Run) -> str:
    source = run.settings.data.source
    if source == IN_MEMORY:
        return "sfumato.fit(rows, settings=...)  # in Python, with this run's rows and settings"
    again = "--config config.toml --out again && sfumato report again"
    return f"sfumato fit {shlex.quote(source)} {again}"


def write_page(run: Run, folder: Path, **shown: Any) -> Path:
    """Fill the template with what is shown, and write report.html."""
    return write_filled(
        "report.html",
        folder,
        summary={k: v for k, v in run.summary().items() if not isinstance(v, dict)},
        settings=run.settings.to_toml(),
        reproduce=_reproduce(run),
        **shown,
    )


def write_filled(template: str, folder: Path, say: Language = ENGLISH, **shown: Any) -> Path:
    """Fill a template of this package with what is shown, and write report.html."""
    here = files("sfumato.runs.report")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text(encoding="utf-8")),
    )
    page = environment.get_template(template).render(
        name=folder.name, version=__version__, say=say, **shown
    )
    atomic.write_bytes(folder / REPORT, page.encode())
    return folder / REPORT
