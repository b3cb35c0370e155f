"""Runs that are fitted once for all tests; a test that changes a run's files takes a copy.

The package is imported within the fixtures: what conftest.py imports is imported too early for
some versions of jaxtyping to check its shapes.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import sfumato

if TYPE_CHECKING:
    from sfumato import Run

TINY: dict[str, Any] = {
    "training.steps": 60,
    "training.batch_size": 64,
    "training.log_every": 10,
    "training.checkpoint_every": 20,
    "training.snapshots": 2,
    "data.rows": 400,
    "network.width": 16,
    "network.depth": 1,
    "sampling.steps": 8,
}


def normal_rows(n: int = 1000) -> np.ndarray:
    """Three columns of different units."""
    return np.random.default_rng(0).normal([1, 2, 3], [1, 5, 0.1], (n, 3))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where shared runs lie."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def moons(runs: Path) -> "Run":
    """A run of a toy set, straight to its end."""
    return sfumato.fit("moons", settings=TINY, out=runs / "moons", quiet=True)


@pytest.fixture
def own_moons(moons: "Run", tmp_path: Path) -> "Run":
    """A copy of it, whose files may be changed."""
    assert moons.folder is not None
    shutil.copytree(moons.folder, tmp_path / "own-moons")
    return sfumato.open(tmp_path / "own-moons")


@pytest.fixture(scope="session")
def of_file(runs: Path) -> "Run":
    """A run of the rows of a file."""
    from sfumato.data.io.rows import write_rows
    from sfumato.data.points import Points

    write_rows(runs / "rows.npy", Points(normal_rows(), ("x0", "x1", "x2")))
    return sfumato.fit(runs / "rows.npy", settings=TINY, out=runs / "of-file", quiet=True)


@pytest.fixture(scope="session")
def of_array(runs: Path) -> "Run":
    """A run of the same rows in memory."""
    return sfumato.fit(normal_rows(), settings=TINY, out=runs / "of-array", quiet=True)


@pytest.fixture(scope="session")
def s_curve(tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A run of the S-curve as long as its recipe says, which all test processes share."""
    from filelock import FileLock

    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    with FileLock(place / "s-curve.lock"):
        if not (place / "s-curve").exists():
            settings = {"training.snapshots": 0}
            sfumato.fit("s-curve", seed=1, settings=settings, out=place / "s-curve", quiet=True)
    return sfumato.open(place / "s-curve")


# ------------------------------------------------------------------------- tables and pictures

SHORT: dict[str, Any] = {
    "training.steps": 40,
    "training.batch_size": 32,
    "training.log_every": 20,
    "training.snapshots": 0,
    "sampling.steps": 4,
}


def people(n: int = 280) -> dict[str, list[Any]]:
    """Columns of a table: a number with missing values, an integer, text that goes with it."""
    rng = np.random.default_rng(3)
    years = rng.integers(18, 80, n)
    height = (1.5 + years / 200 + rng.normal(0, 0.1, n)).round(3)
    return {
        "years": years.tolist(),
        "height": [None if k % 7 == 0 else float(value) for k, value in enumerate(height)],
        "team": ["old" if value > 45 else "young" for value in years],
    }


def people_rows(n: int = 280) -> list[dict[str, Any]]:
    """The same, row by row."""
    columns = people(n)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.fixture(scope="session")
def of_table(runs: Path) -> "Run":
    """A run of a table."""
    return sfumato.fit(
        people_rows(),
        settings=SHORT | {"network.width": 16, "network.depth": 1},
        out=runs / "of-table",
        quiet=True,
    )


def orders_csv(n: int = 300) -> str:
    """A table with an identifier, dates that a rule binds, missing values, and booleans."""
    rng = np.random.default_rng(5)
    lines = ["order,ordered,shipped,city,price,gift"]
    for k in range(n):
        ordered = np.datetime64("2024-01-01") + int(rng.integers(0, 300))
        shipped = "" if k % 8 == 0 else ordered + int(rng.integers(0, 9))
        city = ("Oslo", "Paris", "上海")[int(rng.integers(0, 3))]
        price = rng.gamma(2, 10 + 10 * (city == "Oslo"))
        lines.append(f"A-{k:05d},{ordered},{shipped},{city},{price:.2f},{str(price > 40).lower()}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def of_orders(runs: Path) -> "Run":
    """A run of that table, from its file."""
    (runs / "orders.csv").write_text(orders_csv(), "utf-8")
    settings = {"network.width": 16, "network.depth": 1, "data.rules": ["shipped >= ordered"]}
    return sfumato.fit(
        runs / "orders.csv", settings=SHORT | settings, out=runs / "of-orders", quiet=True
    )


def sampled_by(run: "Run", sampler: str) -> "Run":
    """The same run that draws by another sampler."""
    sampling = run.settings.sampling.model_copy(update={"sampler": sampler, "options": {}})
    settings, model = run.settings.model_copy(update={"sampling": sampling}), run.model
    return replace(run, model=replace(model, settings=settings))  # type: ignore[type-var]


# A sampler that the explorer's page does not have: of its runs rows are drawn beforehand.
NOT_IN_THE_PAGE = "predictor-corrector"


def squares(n: int = 180) -> np.ndarray:
    """Grey pictures of 4 x 4: a bright half, above or below."""
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 90, (n, 4, 4, 1))
    for k in range(n):
        half = slice(0, 2) if k % 2 else slice(2, 4)
        pixels[k, half] += 150
    return pixels.astype(np.uint8)


@pytest.fixture(scope="session")
def of_pictures(runs: Path) -> "Run":
    """A run of pictures."""
    settings = SHORT | {
        "network.width": 16,
        "network.options": {"multipliers": [1], "attention": []},
    }
    return sfumato.fit(squares(), settings=settings, out=runs / "of-pictures", quiet=True)


@pytest.fixture(scope="session")
def of_classes(runs: Path) -> "Run":
    """A run of the same pictures in a file, with the half that is bright as their class."""
    names = np.array(["above" if k % 2 else "below" for k in range(180)])
    np.savez(runs / "halves.npz", images=squares(), labels=names)
    settings = SHORT | {
        "data.labels": True,
        "network.width": 16,
        "network.options": {"multipliers": [1], "attention": []},
    }
    return sfumato.fit(runs / "halves.npz", settings=settings, out=runs / "of-classes", quiet=True)
