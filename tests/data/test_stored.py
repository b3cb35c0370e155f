"""A table that is too large for memory is the same table, learned to the same weights."""

import errno
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from sfumato.data import scratch, stored
from sfumato.data.codecs import table as codecs
from sfumato.data.codecs.rules import Combination, Relation
from sfumato.data.codecs.units import found_in
from sfumato.data.io import csv
from sfumato.data.io.rows import read_rows, write_rows
from sfumato.data.stored import Store, StoredColumn
from sfumato.data.table import Column, DataTable, concatenate
from sfumato.errors import DataError
from sfumato.runs.kinds.table import describe

ROWS = 700


def mixed(rows: int = ROWS, repeats: int = 1, seed: int = 0) -> DataTable:
    """Columns of every type, each several times."""
    source = np.random.default_rng(seed)
    columns = []
    for k in range(repeats):
        decimals = np.round(source.standard_normal(rows) * 100, 2)
        whole = source.integers(-70_000, 70_000, rows)
        few = source.integers(0, 5, rows)
        text = np.array(["north", "south, or not", "east", "west", "none at all"], object)[few]
        days = np.datetime64("2020-01-01", "us") + source.integers(0, 900, rows).astype(
            "timedelta64[D]"
        )
        absent, present = source.random(rows) < 0.1, np.zeros(rows, bool)
        columns += [
            Column(f"decimal{k}", np.where(absent, 0.0, decimals), absent),
            Column(f"integer{k}", whole, present),
            Column(f"few{k}", np.where(absent, 0, few), absent, in_quotes=True),
            Column(f"text{k}", np.where(absent, "", text).astype(object), absent),
            Column(f"true{k}", decimals > 0, present),
            Column(f"day{k}", days.astype("datetime64[us]"), present),
        ]
    return DataTable(tuple(columns))


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some 140 rows of six columns fit into memory, and a file of these is read by 50 rows."""
    monkeypatch.setattr(stored, "IN_MEMORY", 7500)
    monkeypatch.setattr(csv, "_CELLS_A_CHUNK", 300)


def assert_same(found: DataTable, wanted: DataTable) -> None:
    assert found.names == wanted.names
    for one, other in zip(found, wanted, strict=True):
        assert one.values.dtype == other.values.dtype, one.name
        np.testing.assert_array_equal(one.missing, other.missing, one.name)
        np.testing.assert_array_equal(one.values, other.values, one.name)
        told = [
            (c.categories, c.ordered, c.dtype, c.form, c.note, c.in_quotes) for c in (one, other)
        ]
        assert told[0] == told[1]


def are_stored(table: DataTable) -> bool:
    return all(isinstance(column, StoredColumn) for column in table)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_large_file_is_the_table_that_a_small_one_is(
    ending: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / f"rows{ending}"
    write_rows(path, mixed())
    wanted = read_rows(path)[0]
    assert not any(isinstance(column, StoredColumn) for column in wanted)
    request.getfixturevalue("little_memory")
    found = read_rows(path)[0]
    assert are_stored(found)
    assert_same(found, wanted)
    if ending == ".csv":  # put away by as many rows as fit, and not by each that is read
        assert [len(c.pieces) for c in found if isinstance(c, StoredColumn)] == [5] * 6


# A column that is of one type at first and of another later, or first seen to be text.
LATE = {
    "integers, then decimals": ["1", "2", "3.5"],
    "missing at first": ["", "", "7"],
    "missing at last": ["7", "8", ""],
    "numbers, then text": ["12", "13", "a word"],
    "amounts": ["$1,200.50", "$3.00", "$44.10"],
    "days of a form": ["31.12.2024", "01.02.2023", "15.06.2021"],
    "a truth": ["true", "", "false"],
    "a mark": ["5", "?", "7"],
}


def test_columns_whose_type_shows_late_are_the_same(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lines = [",".join(f'"{name}"' for name in LATE)]
    lines += [",".join(f'"{cells[k // 300]}"' for cells in LATE.values()) for k in range(900)]
    path = tmp_path / "late.csv"
    path.write_text("\n".join(lines) + "\n")
    wanted = read_rows(path)[0]
    request.getfixturevalue("little_memory")
    found = read_rows(path)[0]
    assert are_stored(found)
    assert_same(found, wanted)


def test_a_column_that_is_read_again_lies_on_disk_with_the_others(
    little_memory: None, tmp_path: Path
) -> None:
    lines = ["late,a,b,c,d,e", *(f"{'word' if k > 400 else k % 9},{k},1,2,3,4" for k in range(500))]
    path = tmp_path / "again.csv"
    path.write_text("\n".join(lines) + "\n")
    table = read_rows(path)[0]
    assert are_stored(table)
    assert list(table["late"].values[[0, 400, 401]]) == ["0", "4", "word"]
    assert stored.on_disk(DataTable(table.columns[:1])) == stored.on_disk(table)


def test_texts_that_come_late_have_codes_of_more_bytes(little_memory: None) -> None:
    first, later = (np.array([f"{k:05}" for k in range(n)], object) for n in (200, 70_000))
    present = [np.zeros(len(each), bool) for each in (first, later)]
    column = StoredColumn("x", first, present[0], store=Store(1))
    both = column.followed_by([Column("x", later, present[1]), column])
    assert isinstance(both, StoredColumn)
    assert [piece.held.itemsize for piece in both.pieces] == [1, 4]
    np.testing.assert_array_equal(both.values, np.concatenate([first, later, first]))


def test_places_are_shared_only_among_the_same_rows() -> None:
    store, rows = Store(1), np.array([1, 2, 0])
    assert store.places([range(4), rows]).tolist() == [0, 1, 2, 3, 1, 2, 0]
    assert store.places([range(4)], rows).tolist() == [1, 2, 0]
    assert store.places([range(5)], rows) is store.places([range(5)], rows)


@pytest.mark.parametrize("rows", [15, 16, 17])
def test_which_are_missing_is_read_to_the_last_bit(rows: int) -> None:
    missing = np.arange(rows) % 3 == 2
    column = StoredColumn("x", np.arange(rows), missing, store=Store(1))
    np.testing.assert_array_equal(column.missing, missing)


def on_disk(table: DataTable) -> DataTable:
    store = Store(len(table.columns))
    return DataTable(tuple(stored.stored(column, store) for column in table))


def test_rows_taken_from_the_disk_are_those_taken_from_memory(little_memory: None) -> None:
    table = mixed()
    held = on_disk(table)
    assert len(held) == ROWS
    order = np.random.default_rng(1).permutation(ROWS)
    for rows in (order[:5], np.sort(order[:500]), order, order > 100, np.arange(0), np.arange(9)):
        assert_same(held.take(rows), table.take(rows))
    for rows in (order[:5] % 600, order[order < 600]):
        assert_same(held.take(order[:600]).take(rows), table.take(order[:600]).take(rows))
    for outside in (np.array([-1]), np.array([0, ROWS])):
        with pytest.raises(AssertionError):
            held.take(outside)
    few, many = held.take(order[:130]), held.take(order[:500])
    assert not any(isinstance(column, StoredColumn) for column in few)
    assert are_stored(many)
    # A view: the places of its rows are held once, and nothing more is written.
    assert len({id(column.rows) for column in many if isinstance(column, StoredColumn)}) == 1
    assert stored.on_disk(many) == stored.on_disk(held)
    both = concatenate([many, held.take(order[500:])])
    assert_same(both, table.take(order))
    assert stored.on_disk(both) == stored.on_disk(held)
    more = concatenate([many, few])
    assert_same(more, table.take(np.concatenate([order[:500], order[:130]])))
    assert stored.on_disk(more) - stored.on_disk(held) < stored.on_disk(held) / 4  # the few alone
    other = mixed(seed=9)
    assert_same(
        concatenate([held, few, on_disk(other), few]),
        concatenate([table, table.take(order[:130]), other, table.take(order[:130])]),
    )
    # Of another type than the first.
    decimals = DataTable((replace(other["decimal0"], name="integer0"),))
    first, wanted = (DataTable((each["integer0"],)) for each in (held, table))
    assert_same(concatenate([first, decimals]), concatenate([wanted, decimals]))


@pytest.mark.parametrize("least", [0, -1])
@pytest.mark.parametrize("most", [1, 127, 128, 255, 40_000, 2**31, 2**53])
def test_integers_are_held_exactly_in_few_bytes(least: int, most: int) -> None:
    values = np.array([least * most, 0, 3 % most, most])
    column = StoredColumn("x", values, np.array([True, False, False, True]), store=Store(1))
    np.testing.assert_array_equal(column.values, values)
    np.testing.assert_array_equal(column.missing, [True, False, False, True])
    assert column.values.dtype == np.int64
    assert column.pieces[0].held.itemsize == next(
        size for size in (1, 2, 4, 8) if most < 2 ** (8 * size - 1)
    )


def learned(source: Path, out: Path, **more: Any) -> tuple[list[bytes], Any, DataTable]:
    settings = {"training.steps": 12, "training.batch_size": 64, "sampling.steps": 4}
    run = sfumato.fit(source, out=out, settings=settings, seed=3, quiet=True, **more)
    weights = run.model.denoiser.network.state_dict().values()
    return [each.numpy().tobytes() for each in weights], run.model.codec, run.sample(20)


# Keys, rules and repeats; its numbers are not correlated, as those of many columns are not.
@pytest.fixture
def ruled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(codecs, "_MOST_CORRELATED", 1)
    source, path, table = np.random.default_rng(5), tmp_path / "ruled.csv", mixed()
    integer, few, text = (table[name].values for name in ("integer0", "few0", "text0"))
    first, other = source.integers(-70_000, 70_000, (2, ROWS))
    more = {
        "key": np.arange(ROWS),
        "sum": integer + few,
        "later": table["day0"].values + source.integers(0, 9, ROWS).astype("timedelta64[D]"),
        "side": np.where(text < "o", "n", "s").astype(object),
        "first": first,
        "again": np.where(source.random(ROWS) < 0.4, first, other),
    }
    present = np.zeros(ROWS, bool)
    added = (Column(name, values, present) for name, values in more.items())
    write_rows(path, DataTable((*table, *added)))
    return path


def test_it_is_learned_to_the_last_bit_alike(
    ruled: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    wanted = learned(ruled, tmp_path / "one")
    assert wanted[1].identifiers
    assert {type(rule) for rule in wanted[1].rules} == {Relation, Combination}
    assert wanted[1].repeats
    again = learned(ruled, tmp_path / "two", start=tmp_path / "one")
    request.getfixturevalue("little_memory")
    found = learned(ruled, tmp_path / "three")
    assert found[0] == wanted[0]
    assert found[1] == wanted[1]
    assert_same(found[2], wanted[2])
    assert learned(ruled, tmp_path / "four", start=tmp_path / "one")[0] == again[0]


def refusal(source: Path, start: Path) -> str:
    with pytest.raises(DataError) as refused:
        sfumato.fit(source, out=start.parent / "no", start=start, quiet=True)
    return str(refused.value)


def test_what_a_start_has_no_place_for_is_found_in_any_row(
    ruled: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    start = tmp_path / "start"
    learned(ruled, start)
    rows = read_rows(ruled)[0]
    text, later = rows["text0"].values.copy(), rows["later"].values.copy()
    text[600], broken = "elsewhere", [3, 300, 650]
    later[broken] = rows["day0"].values[broken] - np.timedelta64(1, "D")
    files = [tmp_path / "text.csv", tmp_path / "later.csv"]
    for path, name, values in zip(files, ("text0", "later"), (text, later), strict=True):
        changed = (replace(c, values=values) if c.name == name else c for c in rows)
        write_rows(path, DataTable(tuple(changed)))
    wanted = [refusal(path, start) for path in files]
    assert "'elsewhere'" in wanted[0]
    assert "does not hold in 3 rows" in wanted[1]
    request.getfixturevalue("little_memory")
    assert [refusal(path, start) for path in files] == wanted


def test_of_few_numbers_the_correlations_are_of_some_rows_and_that_is_said(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = np.random.default_rng(0)
    shared = np.sort(source.standard_normal(4000))
    path = tmp_path / "few.csv"
    write_rows(
        path,
        DataTable(
            tuple(
                Column(name, shared + source.standard_normal(4000), source.random(4000) < 0.5)
                for name in ("a", "b", "c", "d")
            )
        ),
    )
    drawn: list[int] = []

    def counted(z: np.ndarray, parts: Any) -> Any:
        drawn.append(len(z))
        return found_in(z, parts)

    monkeypatch.setattr(codecs, "units_in", counted)
    monkeypatch.setattr(codecs, "_ROWS_DRAWN", 100)
    settings = {"training.steps": 2}
    whole = sfumato.fit(path, out=tmp_path / "one", settings=settings, quiet=True)
    assert whole.data is not None
    assert not [line for line in describe(whole.data, whole.model) if "large" in line]
    monkeypatch.setattr(csv, "_CELLS_A_CHUNK", 2000)
    monkeypatch.setattr(stored, "IN_MEMORY", 100_000)
    some = sfumato.fit(path, out=tmp_path / "two", settings=settings, quiet=True)
    assert some.data is not None
    rows = 100_000 // (9 * 8 * 4)
    said = "\n".join(describe(some.data, some.model))
    assert f"Correlations and units of its numbers: of {rows} rows at random" in said
    assert f"GiB in {scratch.scratch_folder()}" in said
    assert drawn == [len(whole.data.train), rows]
    # Of 87 rows where both are present the deviation of a correlation of 1/2 is 0.08.
    found = np.array(some.model.codec.correlations)
    assert 0.005 < np.abs(found - whole.model.codec.correlations).max() < 0.2
    assert np.abs(found - np.where(np.eye(4), 1, 0.5)).max() < 0.2
    # The columns of 4,000 rows, and the ends of the cells of those that are learned.
    assert float(said.split(" GiB in")[0].split()[-1]) * 2**30 > 8 * 4 * (4000 + 3000)


def test_nothing_is_left_in_the_folder_and_a_full_disk_is_told(
    little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, place = tmp_path / "rows.csv", tmp_path / "scratch"
    write_rows(path, mixed())
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)  # so that TMPDIR is looked at again
    table = read_rows(path)[0]
    assert are_stored(table)
    assert not list(place.iterdir())

    class Full:
        def seek(self, place: int) -> int:
            return place

        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_, **__: Full())
    with pytest.raises(DataError, match=r"no room in .*scratch for .* of a table .* TMPDIR"):
        read_rows(path)


def test_a_folder_that_is_not_there_is_told(
    little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, mixed())
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"TMPDIR is .*nowhere, which is no folder.*; name another"):
        read_rows(path)


def test_a_large_frame_is_said_to_lie_on_disk_while_it_is_learned(
    little_memory: None, tmp_path: Path
) -> None:
    frame = mixed().to_pandas()
    run = sfumato.fit(frame, out=tmp_path, settings={"training.steps": 1}, quiet=True)
    assert run.data is not None
    assert not are_stored(run.data.train)
    said = "\n".join(describe(run.data, run.model))
    assert f"GiB in {scratch.scratch_folder()}" in said
    assert "rows at random" in said


MEASURED = """
import resource, sys
import sfumato
from sfumato.data import stored
stored.IN_MEMORY = 2**22
settings = {"training.steps": 2, "data.holdout": 0.1}
unit = 1 if sys.platform == "darwin" else 1024
for path in sys.argv[1:]:
    sfumato.fit(path, out=path + "-run", settings=settings, quiet=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def test_memory_does_not_grow_with_the_cells(tmp_path: Path) -> None:
    """In memory a cell takes some 70 bytes."""
    pytest.importorskip("resource")
    sizes = 10_000, 50_000
    paths = [tmp_path / f"{rows}.parquet" for rows in sizes]
    for path, rows in zip(paths, sizes, strict=True):
        write_rows(path, mixed(rows, 8))
    command = [sys.executable, "-c", MEASURED, *map(str, paths)]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    first, last = map(int, said.split())  # the peak so far, after each
    assert (last - first) / ((sizes[1] - sizes[0]) * 48) < 25


def test_stored_rows_are_read_in_any_order(little_memory: None, tmp_path: Path) -> None:
    """Rows on disk are the cells that a codec makes in memory."""
    from sfumato.data.codecs.table import StoredCells, TableCells, TableCodec

    table = mixed()
    many = np.array([f"k{k}" for k in np.arange(ROWS) % 300], object)  # codes of two bytes
    table = DataTable((*table, Column("many", many, np.zeros(ROWS, bool))))
    codec = TableCodec.fit(table, table.column_types({}, ()))
    held = codec.to_learn(table)
    assert isinstance(held, StoredCells)
    assert len(held) == ROWS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "IN_MEMORY", 2**28)
        wanted = codec.to_learn(table)
    assert isinstance(wanted, TableCells)
    index = torch.tensor([5, ROWS - 1, 0, 5, 300])
    found, wanted = held[index], wanted[index]
    for name in ("low", "high", "categories"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
