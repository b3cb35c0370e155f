"""Reports, figures and measures of a table from the command line, and what is not for tables."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, leave, outcomes

from sfumato.runs.figures.table import TABLE_FIGURES
from sfumato.runs.report import tables

TINY = (
    "--set training.steps=20 --set training.batch_size=64 --set sampling.steps=4 "
    "--set network.width=16"
)


@pytest.fixture
def sfumato(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(tmp_path)
    return outcomes(capsys)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 210 rows with a category, an integer and holes."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    lines = [
        f"{rng.integers(18, 90)},{rng.choice(['F', 'M'])},{'' if k % 4 == 0 else rng.normal():.4}"
        for k in range(210)
    ]
    (folder / "people.csv").write_text("\n".join(["age,sex,[bold]x[/bold]", *lines]))
    assert leave(f"fit {folder / 'people.csv'} --quiet --out {folder / 'run'} {TINY}") == 0
    return folder / "run"


@pytest.mark.parametrize("what", TABLE_FIGURES)
def test_every_figure(sfumato: Command, people: Path, tmp_path: Path, what: str) -> None:
    code, out, _ = sfumato(f"plot {people} {what} --to {what}.png")
    assert (code, out) == (0, f"{what} in {what}.png\n")
    assert (tmp_path / f"{what}.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_figure_is_answered_with_those_there_are(sfumato: Command, people: Path) -> None:
    code, _, err = sfumato(f"plot {people} trajectories --to x.png")
    assert code == 2
    assert all(name in err for name in TABLE_FIGURES)
    assert err.count("\n") == 1


def test_measures_and_what_else_there_is_to_know_fit_a_terminal(
    sfumato: Command, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = sfumato(f"evaluate {people} --target sex --quiet")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "error of what learns from it: predicted: 'sex'" in out
    assert "[bold]x[/bold]" in sfumato(f"evaluate {people} --target [bold]x[/bold] --quiet")[1]
    code, out, _ = sfumato(f"evaluate {people} --json --quiet")
    found = json.loads(out)
    assert code == 0
    assert found["rows"] == 21
    assert {"marginals", "efficacy", "copies"} <= {each["name"] for each in found["measures"]}


def test_the_report(sfumato: Command, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SAMPLED", 100)
    code, out, _ = sfumato(f"report {people}")
    assert code == 0
    assert f"Report: {people / 'report.html'}" in out
    assert f"Next:  sfumato sample {people} -n 10000 --to new.csv" in out


@pytest.mark.parametrize(
    "line",
    [
        "animate {} reverse --to x.gif",
        "doctor {}",
        "compare samplers {}",
        "edit {} people.csv --from 0.5 --to x.csv",
        "interpolate {} 0 1 --to x.csv",
        "inpaint {} a.png mask.png --to x.png",
        "export {} --to onnx there",
        "export {} --to diffusers there",
    ],
)
def test_what_is_not_for_tables_says_so_in_a_line(
    sfumato: Command, people: Path, line: str
) -> None:
    code, out, err = sfumato(line.format(people))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "learned a table, and this is for points and pictures" in err


def test_info_says_what_the_columns_are(sfumato: Command, people: Path) -> None:
    code, out, _ = sfumato(f"info {people}")
    assert code == 0
    assert "age (integer), sex (categorical), [bold]x[/bold] (continuous)" in out
