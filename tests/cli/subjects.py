"""A tiny fitted run of every kind of data, fitted once for all tests of a session."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import leave
from sfumato.models.gaussian import GaussianModel
from sfumato.models.table import TableModel
from sfumato.runs import compare
from sfumato.runs.doctor import fit as doctor
from sfumato.runs.figures import common, images, points, table

# Rows enough to measure by: seven sets of twenty.
ROWS = 150

_TINY = "--set training.batch_size=32 --set training.log_every=10 --set threads=1"
NUMBERS = (
    f"{_TINY} --set training.steps=30 --set network.width=16 --set network.depth=1 "
    "--set sampling.steps=6"
)
_PICTURES = (
    f"{_TINY} --set training.steps=20 --set network.width=16 --set network.depth=1 "
    "--set network.options.multipliers=[1] --set network.options.attention=[] "
    "--set network.options.groups=8 "
    "--set sampling.steps=4"
)
_SNAPSHOTS = "--set training.snapshots=2"


@dataclass(frozen=True)
class Subject:
    """A run, and what commands need to know of its data.

    Args:
        run: its folder.
        rows: a file of the rows or pictures that it learned from.
        few: a file of four rows, or a picture.
        incomplete: of these rows some values are missing.
        given: what may be given to `sample`.
        target: a column that may be predicted, or any name.
        ending: of a file of samples.
    """

    run: Path
    rows: Path
    few: Path
    incomplete: Path
    given: str
    target: str
    ending: str


def _write(path: Path, names: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def _decimals(count: int) -> list[list[str]]:
    rows = np.random.default_rng(0).normal([1000.0, *range(count - 1)], 5, (ROWS, count))
    return [[f"{value:.6f}" for value in row] for row in rows]


def _points(folder: Path, count: int, settings: str) -> Subject:
    names, rows = [f"c{k}" for k in range(count)], _decimals(count)
    path = _write(folder / "points.csv", names, rows)
    few = _write(folder / "few.csv", names, rows[:4])
    holed = [["", *row[1:]] if k % 2 else row for k, row in enumerate(rows[:4])]
    incomplete = _write(folder / "incomplete.csv", names, holed)
    _fit(folder, path, settings)
    return Subject(folder / "run", path, few, incomplete, "c1=2.5", "c1", "csv")


def _table(folder: Path) -> Subject:
    rng, names = np.random.default_rng(0), ["age", "wage", "job", "since", "smokes"]
    ages, jobs = rng.integers(18, 80, ROWS), rng.choice(["clerk", "nurse", "farmer, retired"], ROWS)
    days = np.datetime64("2020-02-28") + rng.integers(0, 800, ROWS)
    rows = [
        [
            "" if rng.random() < 0.1 else str(ages[k]),
            f"{ages[k] * 50 + rng.normal(0, 9):.2f}",
            "" if rng.random() < 0.1 else jobs[k],
            str(days[k]),
            "true" if rng.random() < 0.3 else "false",
        ]
        for k in range(ROWS)
    ]
    path = _write(folder / "people.csv", names, rows)
    few = _write(folder / "few.csv", names, rows[:4])
    holed = _write(folder / "incomplete.csv", names, [["", "", *row[2:]] for row in rows[:4]])
    _fit(folder, path, f"{NUMBERS} --set training.target=wage")
    return Subject(folder / "run", path, few, holed, "job=nurse", "wage", "csv")


def _categories(folder: Path) -> Subject:
    rng, names = np.random.default_rng(0), ["sex", "land", "smokes"]
    values = (["F", "M"], ["FR", "DE", "IT"], ["yes", "no"])
    rows = [[str(rng.choice(each)) for each in values] for _ in range(ROWS)]
    path = _write(folder / "people.csv", names, rows)
    few = _write(folder / "few.csv", names, rows[:4])
    holed = _write(folder / "incomplete.csv", names, [["", *row[1:]] for row in rows[:4]])
    _fit(folder, path, NUMBERS)
    return Subject(folder / "run", path, few, holed, "land=IT", "sex", "csv")


def _grey(folder: Path) -> Subject:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8, 1), dtype=np.uint8)
    np.save(folder / "grey.npy", pixels)
    one = folder / "one.png"
    Image.fromarray(pixels[0, :, :, 0]).save(one)
    settings = f"{_PICTURES} {_SNAPSHOTS} --set process.num_levels=20"
    _fit(folder, folder / "grey.npy", settings)
    return Subject(folder / "run", folder / "grey.npy", one, one, "class=0", "class", "npy")


def _colour(folder: Path) -> Subject:
    pixels = np.random.default_rng(0).integers(0, 128, (ROWS, 8, 8, 3), dtype=np.uint8)
    pixels[::2] += 127
    for k, picture in enumerate(pixels):
        path = folder / "pictures" / ("bright" if k % 2 == 0 else "dark") / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    one = folder / "pictures" / "dark" / "1.png"
    settings = f"{_PICTURES} {_SNAPSHOTS} --set data.labels=true"
    _fit(folder, folder / "pictures", settings)
    return Subject(folder / "run", folder / "pictures", one, one, "class=dark", "class", "npz")


def _foreign(folder: Path, grey: Subject) -> Subject:
    assert leave(f"export {grey.run} {folder / 'ddpm'} --to diffusers --quiet") == 0
    return replace(grey, run=folder / "ddpm")


def _fit(folder: Path, source: Path, settings: str) -> None:
    assert leave(f"fit {source} --quiet --out {folder / 'run'} {settings}") == 0


_MAKERS: dict[str, Callable[[Path], Subject]] = {
    "points": lambda folder: _points(folder, 2, f"{NUMBERS} {_SNAPSHOTS}"),
    "wide points": lambda folder: _points(
        folder, 5, f"{NUMBERS} {_SNAPSHOTS} --set data.kind=points"
    ),
    "discrete": lambda folder: _points(
        folder, 2, f"{NUMBERS} --set process.num_levels=30 --set training.snapshots=0"
    ),
    "step-mlp": lambda folder: _points(
        folder,
        2,
        f"{NUMBERS} --set network.name=step-mlp --set process.num_levels=20 "
        "--set training.snapshots=0",
    ),
    "table": _table,
    "categories": _categories,
    "grey": _grey,
    "colour": _colour,
}
KINDS = (*_MAKERS, "foreign")

_MADE: dict[str, Subject] = {}


def subject(kind: str, factory: pytest.TempPathFactory) -> Subject:
    """The run of a kind; fitted where it is first asked for."""
    if kind not in _MADE:
        folder = factory.mktemp(kind.replace(" ", "-"))
        _MADE[kind] = (
            _foreign(folder, subject("grey", factory))
            if kind == "foreign"
            else _MAKERS[kind](folder)
        )
    return _MADE[kind]


@contextmanager
def quick() -> Iterator[None]:
    """Few frames, few samples, few steps: enough to see that it runs."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (points, images, table):
            patch.setattr(module, "ANIMATION_FRAMES", 3)
            patch.setattr(module, "SAMPLED", 100)
        for most in ("_ERROR_ROWS", "_ERROR_PICTURES"):
            patch.setattr(common, most, 50)
        patch.setattr(doctor, "_PICTURES", 10)
        for steps in ("_REFERENCE_STEPS", "_PICTURE_STEPS"):
            patch.setattr(compare, steps, 20)
        patch.setattr(compare, "_MIDDLE", 4)
        patch.setattr(compare, "_rows", lambda rows: 32 if rows.ndim == 2 else 16)
        for scored, option, few in (
            (GaussianModel.log_prob_chunks, "steps", 10),
            (TableModel.log_prob_chunks, "steps", 10),
            (GaussianModel.variational_bound, "num_levels", 100),
        ):
            assert scored.__kwdefaults__
            patch.setitem(scored.__kwdefaults__, option, few)
        yield
