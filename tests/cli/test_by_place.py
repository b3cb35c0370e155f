"""Arrays have no names: their columns are matched by place, by every command that reads rows."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from subjects import NUMBERS, quick, subject

from command_line import Command, leave
from quick import few_guesses, small_chunks
from sfumato.data.io.rows import read_rows


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Few steps of a score: it is compared with another of as many."""
    with quick(), small_chunks(), few_guesses():
        yield


@pytest.fixture(scope="module", params=["points", "wide points", "table"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose columns have names that are not those of an array: c0, c1, ..."""
    if request.param != "table":
        return subject(request.param, tmp_path_factory).run
    folder = tmp_path_factory.mktemp("numbers")
    rows = np.random.default_rng(0).normal(3, 2, (150, 5))
    np.savetxt(folder / "rows.csv", rows, "%.9f", ",", header="c0,c1,c2,c3,c4", comments="")
    assert leave(f"fit {folder / 'rows.csv'} --quiet --out {folder / 'run'} {NUMBERS}") == 0
    return folder / "run"


@pytest.fixture
def rows(sfumato: Command, run: Path, tmp_path: Path) -> np.ndarray:
    """Samples, in x.csv with the columns' names and in x.npy without."""
    assert sfumato(f"sample {run} -n 150 --to x.csv --quiet") == (0, "", "")
    values = _values(tmp_path / "x.csv")
    np.save(tmp_path / "x.npy", values)
    return values


def _values(path: Path) -> np.ndarray:
    return np.stack([column.values for column in read_rows(path)[0]], axis=1)


def test_samples_are_written_as_an_array_and_read_again(
    sfumato: Command, run: Path, rows: np.ndarray, tmp_path: Path
) -> None:
    assert sfumato(f"sample {run} -n 9 --to few.npy --quiet") == (0, "", "")
    np.testing.assert_array_equal(np.load(tmp_path / "few.npy"), rows[:9])
    code, out, err = sfumato(f"score {run} few.npy --json --quiet")
    assert (code, err) == (0, "")
    assert json.loads(out)["rows"] == 9


def test_a_table_with_text_is_no_array(
    sfumato: Command, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    run = subject("table", tmp_path_factory).run
    code, out, err = sfumato(f"sample {run} -n 9 --to x.npy --quiet")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "x.npy" in err
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.usefixtures("rows")
def test_scores_are_those_of_the_named_columns(sfumato: Command, run: Path, tmp_path: Path) -> None:
    named, array = (sfumato(f"score {run} x.{e} --json --quiet") for e in ("csv", "npy"))
    assert named == array
    assert named[0] == 0
    assert sfumato(f"score {run} x.npy --to scored.csv --quiet")[0] == 0
    assert sfumato(f"score {run} x.csv --to named.csv --quiet")[0] == 0
    np.testing.assert_array_equal(_values(tmp_path / "scored.csv"), _values(tmp_path / "named.csv"))


@pytest.mark.usefixtures("rows")
def test_edits_are_those_of_the_named_columns(sfumato: Command, run: Path, tmp_path: Path) -> None:
    for ending in ("csv", "npy"):
        line = f"edit {run} x.{ending} --from 0.4 --to {ending}.csv --quiet"
        assert sfumato(line) == (0, "", "")
    np.testing.assert_array_equal(_values(tmp_path / "npy.csv"), _values(tmp_path / "csv.csv"))


def test_missing_values_are_filled_as_those_of_the_named_columns(
    sfumato: Command, run: Path, rows: np.ndarray, tmp_path: Path
) -> None:
    holed = rows[:20].copy()
    holed[::2, 1] = np.nan
    np.save(tmp_path / "holed.npy", holed)
    names = ",".join(read_rows(tmp_path / "x.csv")[0].names)
    lines = [",".join("" if np.isnan(x) else repr(float(x)) for x in row) for row in holed]
    (tmp_path / "holed.csv").write_text("\n".join([names, *lines, ""]))
    for ending in ("csv", "npy"):
        code, out, err = sfumato(f"impute {run} holed.{ending} --to {ending}.csv")
        assert (code, err) == (0, "")
        assert out.startswith("10 cells filled")
    filled = _values(tmp_path / "npy.csv")
    np.testing.assert_array_equal(filled, _values(tmp_path / "csv.csv"))
    there = np.isfinite(holed)
    np.testing.assert_array_equal(filled[there], holed[there])
    assert np.isfinite(filled).all()


def test_real_rows_of_an_array_measure_as_those_of_the_named_columns(
    sfumato: Command, run: Path, rows: np.ndarray, tmp_path: Path
) -> None:
    real = np.random.default_rng(1).normal(rows.mean(0), rows.std(0), rows.shape)
    np.save(tmp_path / "real.npy", real)
    names = ",".join(read_rows(tmp_path / "x.csv")[0].names)
    lines = [",".join(repr(float(x)) for x in row) for row in real]
    (tmp_path / "real.csv").write_text("\n".join([names, *lines, ""]))
    named, array = (
        sfumato(f"evaluate {run} --against real.{e} --json --quiet") for e in ("csv", "npy")
    )
    assert named == array
    assert named[0] == 0
    assert json.loads(named[1])["rows"] == 21


def test_an_array_of_another_width_is_refused(sfumato: Command, run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "narrow.npy", np.ones((150, 1)))
    for line in (
        "score RUN narrow.npy",
        "edit RUN narrow.npy --from 0.5 --to a.csv",
        "impute RUN narrow.npy --to a.csv",
        "evaluate RUN --against narrow.npy",
    ):
        code, out, err = sfumato(line.replace("RUN", str(run)))
        assert (code, out) == (3, "")
        assert "narrow.npy has 1 column" in err
        assert err.count("\n") == 1
