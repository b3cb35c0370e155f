"""The report of a table: one page that needs nothing else, whatever the table is like."""

import csv
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quick import few_guesses, small_chunks
from sfumato import config
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics.evaluation import Evaluation
from sfumato.metrics.privacy import PRIVACY
from sfumato.metrics.study import TableStudy
from sfumato.runs.figures import table as table_figures
from sfumato.runs.figures.common import Shown
from sfumato.runs.figures.table import FIGURES, samples_figure, study_of
from sfumato.runs.fit import fit
from sfumato.runs.report import write_report
from sfumato.runs.run import Run

TINY = {
    "training.steps": 20,
    "training.batch_size": 64,
    "training.log_every": 10,
    "network.width": 16,
    "network.depth": 1,
    "sampling.steps": 4,
}
HOSTILE = '<script>alert("x")</script>'
ROWS = 210


@pytest.fixture(scope="module", autouse=True)
def few_samples_and_frames() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, small_chunks(), few_guesses():
        patch.setattr(table_figures, "SAMPLED", 200)
        patch.setattr(table_figures, "ANIMATION_FRAMES", 5)
        yield


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A CSV of columns, None being a hole."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def mixed(rows: int) -> dict[str, list[Any]]:
    """Every fifth of the numbers is a hole; one column is constant, one is to be dropped."""
    rng = np.random.default_rng(0)
    words = rng.choice(["red", "green $", "<b>"], rows).tolist()
    return {
        HOSTILE: [None if k % 5 == 0 else round(x, 3) for k, x in enumerate(rng.normal(size=rows))],
        "line\nbreak": words,
        "day": [f"2020-01-{1 + k % 28:02}" for k in range(rows)],
        "fixed": [7] * rows,
        "id": list(range(rows)),
    }


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str, Evaluation | None]:
    """A run on a file with a hostile name of a column, and its page."""
    folder = tmp_path_factory.mktemp("report")
    path = write(folder / "rows.csv", mixed(ROWS))
    settings = {**TINY, "data": {"columns": {"id": "dropped"}}}
    run = fit(path, out=folder / "run", settings=settings, quiet=True)
    page, evaluation = write_report(run, quiet=True)
    return run, page.read_text(encoding="utf-8"), evaluation


def rows_of(page: str, title: str) -> list[list[str]]:
    """The cells of the table below a title, without its marks."""
    table = page[page.index(f"<h2>{title}</h2>") :].split("</table>")[0]
    return [
        [
            html.unescape(re.sub(r"<[^>]*>", " ", cell)).strip()
            for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)
        ]
        for row in table.split("<tr>")[2:]
    ]


def test_the_page_needs_nothing_else(reported: tuple[Run, str, Evaluation | None]) -> None:
    _, page, _ = reported
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(links) == 8
    assert all(link.startswith(("data:image/png", "data:image/gif")) for link in links)
    assert sum(link.startswith("data:image/gif") for link in links) == 2
    assert "http" not in re.sub(r"data:image/[^\"]*", "", page)
    assert HOSTILE not in page


def test_every_measure_is_told_in_the_part_where_it_belongs(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    run, page, evaluation = reported
    assert evaluation is not None
    for title, private in (("How far from real", False), ("What may give rows away", True)):
        told = rows_of(page, title)
        measures = [m for m in evaluation.measures if (m.name in PRIVACY) == private]
        for cells, measure in zip(told, measures, strict=True):
            assert cells[0].startswith(measure.title)
            assert measure.detail in " ".join(cells[0].split()) or "\n" in measure.detail
            assert cells[1] == f"{measure.value:.4g}"
            assert cells[4] == measure.verdict
    assert run.folder is not None
    on_disk = json.loads((run.folder / "evaluation.json").read_text())
    assert on_disk == json.loads(json.dumps(evaluation.to_dict()))


def test_the_columns_are_those_of_the_file(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    run, page, _ = reported
    heldout = run.load_data().heldout
    assert heldout is not None
    told = {" ".join(cells[0].split()): cells[1:] for cells in rows_of(page, "The columns")}
    assert list(told) == [HOSTILE.replace("\n", " "), "line break", "day", "fixed", "id"]
    kinds = [cells[0] for cells in told.values()]
    assert kinds == ["continuous", "categorical", "date", "constant", "dropped"]
    assert told["line break"][1] == "3 categories: <b>, green $, red"
    assert told["day"][1] == "2020-01-01 to 2020-01-28"
    assert told["fixed"][1] == "always 7"
    share = float(told[HOSTILE][2].removesuffix("%")) / 100
    held = round(0.2 * ROWS) - share * len(run.load_data().train)  # holes that are held out
    assert -1 < held < len(heldout)
    assert told["line break"][2] == ""
    measured = study_of(run).columns
    assert [name for name, cells in told.items() if cells[4]] == [
        " ".join(name.split()) for name in measured
    ]


def test_nothing_on_the_page_says_that_nobody_can_be_recognised(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    _, page, _ = reported
    assert "anonym" not in page.lower()
    assert "cannot show that it" in page
    assert "does not" in page


def test_settings_stages_and_samples(
    reported: tuple[Run, str, Evaluation | None], tmp_path: Path
) -> None:
    run, page, _ = reported
    assert run.folder is not None
    settings = page[page.index("<summary>config.toml</summary><pre>") + 35 :].split("</pre>")[0]
    (tmp_path / "config.toml").write_text(html.unescape(settings))
    assert config.resolve(config.load_toml(tmp_path / "config.toml")) == run.settings
    for stage in ("evaluate", "figures", "together"):
        assert re.search(rf"<td>{stage}</td><td class=\"n\">\d+\.\d</td>", page), stage
    with (run.folder / "samples.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == [HOSTILE, "line\nbreak", "day", "fixed"]
    assert len(rows) == 200
    drawn = {path.stem for path in (run.folder / "figures").glob("*.png")}
    assert drawn == set(FIGURES) - {"data", "distances", "predictions"}  # it has no target


def test_figures_show_what_was_measured(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    """Densities and imputed draws, which take longest, are asked for once."""
    run, _, _ = reported
    study = study_of(run)
    asked: list[int] = []

    def log_prob(table: Any) -> np.ndarray:
        asked.append(len(table))
        return study.log_prob(table)

    once = TableStudy(
        study.sample, study.reference, study.real, study.train, study.kinds, log_prob, study.impute
    )
    found = {m.name: m for m in once.measures()}
    figure = FIGURES["likelihoods"](run, Shown(study=once))
    assert study.train is not None
    assert asked == [len(study.train), len(study.reference), len(study.sample)]
    means = {text.get_text() for text in figure.legends[0].get_texts()}
    assert f"held out, mean {once.likelihoods.heldout.mean():.2f}" in means
    gap = once.likelihoods.learned.mean() - once.likelihoods.heldout.mean()
    assert found["overfit"].value == pytest.approx(gap)
    panels = [axes for axes in samples_figure(run, Shown(study=once)).axes if axes.axison]
    shown = [axes.get_title(loc="right") for axes in panels]
    assert shown == [f"{measure.value:.3f}" for measure in once.columns.values()]


ODD: dict[str, dict[str, list[Any]]] = {
    "one column of levels": {"a": ["x", "y", "y"] * 70},
    "one column of numbers": {"a": [k * 0.37 % 1.9 for k in range(ROWS)], "b": [1] * ROWS},
    "holes everywhere": {
        "a": [k * 0.37 % 1.9 if k % 9 == 0 else None for k in range(ROWS)],
        "b": ["xy"[k % 2] if k % 7 == 0 else None for k in range(ROWS)],
    },
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_tables_have_a_report(odd: str, tmp_path: Path) -> None:
    path, settings = write(tmp_path / "rows.csv", ODD[odd]), {**TINY, "data.kind": "table"}
    run = fit(path, out=tmp_path / "run", settings=settings, quiet=True)
    place, evaluation = write_report(run, quiet=True)
    assert evaluation is not None
    page = place.read_text()
    assert [cells[0] for cells in rows_of(page, "The columns")] == list(ODD[odd])
    assert (tmp_path / "run" / "figures" / "dependence.png").exists() == ("holes" in odd)
    assert not list((tmp_path / "run" / "figures").glob("*.gif"))  # of fewer than two numbers


def test_too_few_rows_to_measure_are_said_and_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "few.csv", mixed(30))
    run = fit(path, out=tmp_path / "run", settings=TINY, quiet=True)
    place, evaluation = write_report(run, quiet=True)
    assert evaluation is None
    page = place.read_text()
    assert "Not measured: at least 140 rows or pictures are needed" in page
    assert {path.name for path in (place.parent / "figures").iterdir()} == {
        "samples.png",
        "loss.png",
        "forward.gif",
        "reverse.gif",
    }
    assert len(rows_of(page, "The columns")) == 5
    assert len(samples_figure(run).axes) >= 4
    with pytest.raises(DataError, match="at least 140 rows or pictures are needed"):
        FIGURES["nearest"](run)


def test_too_few_to_measure_by_are_refused(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    with pytest.raises(ArgumentError, match="`n` must be at least 20"):
        reported[0].evaluate(n=19)
