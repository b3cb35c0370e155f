"""The report: one page that needs nothing else, with every number, setting and picture."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sfumato import config
from sfumato.data.io.rows import read_points, write_rows
from sfumato.data.points import Points
from sfumato.metrics.evaluation import Evaluation
from sfumato.runs.figures import points as point_figures
from sfumato.runs.fit import fit
from sfumato.runs.report import write_report
from sfumato.runs.run import Run

TINY = {
    "training.steps": 40,
    "training.batch_size": 64,
    "training.log_every": 10,
    "training.snapshots": 2,
    "network.width": 16,
    "sampling.steps": 8,
}
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module", autouse=True)
def few_frames() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_figures, "ANIMATION_FRAMES", 5)
        yield


@pytest.fixture(scope="module")
def reported(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Run, str, Evaluation | None]:
    """A run on a file whose column is hostile, and its page."""
    folder = tmp_path_factory.mktemp("report")
    rows = np.random.default_rng(0).normal([0, 5], [1, 2], (400, 2))
    write_rows(folder / "rows.csv", Points(rows, (HOSTILE, "b")))
    run = fit(folder / "rows.csv", out=folder / "run", settings=TINY, quiet=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_figures, "SAMPLED", 300)
        path, evaluation = write_report(run, quiet=True)
    return run, path.read_text(encoding="utf-8"), evaluation


def test_what_was_not_measured_is_no_fault(reported: tuple[Run, str, Evaluation | None]) -> None:
    """40 rows were kept out, too few to say how unseen ones fare."""
    _, page, _ = reported
    examined = page.partition("What was examined")[2].partition("</table>")[0]
    rows = [re.sub("<[^>]*>", "|", row) for row in examined.split("<tr>")[2:]]
    states = {row.strip("|").partition("|")[0]: row for row in rows}
    assert "How unseen rows fare" in states["not measured"]
    assert "Do:" not in states["not measured"]
    for row in rows:
        assert row.strip("|").startswith("fault|") == ("Do:" in row), row


def test_the_page_needs_nothing_else(reported: tuple[Run, str, Evaluation | None]) -> None:
    _, page, _ = reported
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(links) >= 8
    assert all(link.startswith("data:image/") for link in links)
    assert sum(link.startswith("data:image/gif") for link in links) == 2
    assert "http" not in re.sub(r"data:image/[^\"]*", "", page)


def test_every_measure_and_the_verdict_are_told(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    _, page, evaluation = reported
    assert evaluation is not None
    for measure in evaluation.measures:
        assert measure.title in page
        assert f"{measure.value:.4g}" in page
        assert f"{measure.limit:.3g}" in page
    assert evaluation.verdict.capitalize() in page
    assert "rows kept out of training" in page


def test_the_settings_on_the_page_are_the_runs(
    reported: tuple[Run, str, Evaluation | None], tmp_path: Path
) -> None:
    run, page, _ = reported
    settings = page[page.index("<summary>config.toml</summary><pre>") + 35 :].split("</pre>")[0]
    (tmp_path / "config.toml").write_text(html.unescape(settings))
    assert config.resolve(config.load_toml(tmp_path / "config.toml")) == run.settings
    assert f"sfumato fit {run.settings.data.source} --config config.toml" in html.unescape(page)


def test_stages_are_timed_and_names_are_harmless(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    _, page, _ = reported
    for stage in ("evaluate", "figures", "animations", "together"):
        assert re.search(rf"<td>{stage}</td><td class=\"n\">\d+\.\d</td>", page), stage
    assert HOSTILE not in page
    assert html.escape(HOSTILE, quote=False)[:20] in page.replace("&#34;", '"')


def test_samples_and_evaluation_are_files_too(
    reported: tuple[Run, str, Evaluation | None],
) -> None:
    run, _, evaluation = reported
    assert run.folder is not None
    assert evaluation is not None
    samples = read_points(run.folder / "samples.csv")
    assert samples.columns == (HOSTILE, "b")
    np.testing.assert_array_equal(samples.values, run.sample(300))
    on_disk = json.loads((run.folder / "evaluation.json").read_text())
    assert on_disk == json.loads(json.dumps(evaluation.to_dict()))


def test_too_few_rows_to_measure_are_said(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((30, 2))
    run = fit(rows, out=tmp_path / "run", settings=TINY, quiet=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point_figures, "SAMPLED", 50)
        path, evaluation = write_report(run, quiet=True)
    assert evaluation is None
    assert "Not measured: at least 140 rows or pictures are needed" in path.read_text()
    assert not (tmp_path / "run" / "evaluation.json").exists()
