"""Reports, figures and measures of a table from the command line, and what is not for tables."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import Command, leave
from quick import blank_figures, few_guesses, small_chunks
from sfumato.runs.figures import table

TINY = (
    "--set training.steps=20 --set training.batch_size=64 --set sampling.steps=4 "
    "--set network.width=16 --set network.depth=1 --set training.target=sex"
)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with small_chunks(), few_guesses():
        yield


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


@pytest.mark.parametrize("what", table.FIGURES)
def test_every_figure(sfumato: Command, people: Path, tmp_path: Path, what: str) -> None:
    code, out, _ = sfumato(f"plot {people} {what} --to {what}.png")
    assert (code, out) == (0, f"{what} in {what}.png\n")
    assert (tmp_path / f"{what}.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_figure_is_answered_with_those_there_are(sfumato: Command, people: Path) -> None:
    code, _, err = sfumato(f"plot {people} trajectories --to x.png")
    assert code == 2
    assert all(name in err for name in table.FIGURES)
    assert err.count("\n") == 1


def test_measures_and_what_else_there_is_to_know_fit_a_terminal(
    sfumato: Command, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = sfumato(f"evaluate {people} --target sex --quiet")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "efficacy: predicted 'sex': AUC " in out
    assert "chance" in out.splitlines()[0]
    assert "[bold]x[/bold]" in sfumato(f"evaluate {people} --target [bold]x[/bold] --quiet")[1]
    code, out, _ = sfumato(f"evaluate {people} --json --quiet")
    found = json.loads(out)
    assert code == 0
    assert found["rows"] == 21
    assert {"shape", "trend", "detection", "efficacy", "gaps", "copies"} <= {
        each["name"] for each in found["measures"]
    }


def test_the_report(sfumato: Command, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SAMPLED", 100)
    monkeypatch.setattr(table, "ANIMATION_FRAMES", 5)
    with blank_figures():
        code, out, _ = sfumato(f"report {people}")
    assert code == 0
    assert f"Report: {people / 'report.html'}" in out
    assert f"Next:  sfumato sample {people} -n 10000 --to new.csv" in out


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("interpolate {} 0 1 --to x.csv", "categories have no values between them"),
        ("inpaint {} a.png mask.png --to x.png", "only pictures have masks"),
        ("export {} --to diffusers there", "UNet2DModel is a unet of pictures"),
    ],
)
def test_what_is_not_for_tables_says_why_in_a_line(
    sfumato: Command, people: Path, line: str, reason: str
) -> None:
    code, out, err = sfumato(line.format(people))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err


def test_what_was_for_points_and_pictures_alone_is_for_tables_too(
    sfumato: Command, people: Path, tmp_path: Path
) -> None:
    for direction in ("forward", "reverse"):
        assert sfumato(f"animate {people} {direction} --to x.gif")[0] == 0
        with Image.open(tmp_path / "x.gif") as moving:
            assert getattr(moving, "n_frames", 1) == 100
            assert (moving.info["duration"], moving.info["loop"]) == (100, 0)
    code, out, _ = sfumato(f"doctor {people}")
    assert code == 0
    assert "Trees" in out
    rows = people.parent / "people.csv"
    assert sfumato(f"edit {people} {rows} --from 0.5 --to like.csv")[0] == 0
    assert sfumato(f"edit {people} {rows} --from 0.001 --to same.csv")[0] == 0
    given, like, same = (
        path.read_text().splitlines()
        for path in (rows, tmp_path / "like.csv", tmp_path / "same.csv")
    )
    assert len(given) == len(like) == len(same)
    assert given[0] == like[0] == same[0]
    assert given[1:] != like[1:]
    sexes = [[line.split(",")[1] for line in each[1:]] for each in (given, same)]
    assert np.mean(np.array(sexes[0]) == np.array(sexes[1])) > 0.98  # hidden one time in 1,000


def test_info_says_what_the_columns_are(sfumato: Command, people: Path) -> None:
    code, out, _ = sfumato(f"info {people}")
    assert code == 0
    assert "age (integer), sex (categorical), [bold]x[/bold] (continuous)" in out
