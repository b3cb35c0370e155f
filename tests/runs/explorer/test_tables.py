"""What the page is given of a table: the rows of Python's own calls, number by number."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sfumato
from explorer_pages import frame, read
from fitted import NOT_IN_THE_PAGE, people, sampled_by
from sfumato import Run
from sfumato.errors import SfumatoError
from sfumato.process.streams import CHUNK
from sfumato.runs.explorer import messages, tables
from sfumato.runs.explorer.calls import Abandoned, counted
from sfumato.runs.explorer.messages import DrawPictures, DrawRows, FillRow
from sfumato.runs.explorer.page import MOST_BYTES
from sfumato.runs.explorer.payload import drawn, payload
from sfumato.runs.explorer.worker import Worker


def assert_same(found: Any, rows: Any) -> None:
    """The same rows as those of `run.sample`, whatever pandas calls the types."""
    expected = (rows if isinstance(rows, pd.DataFrame) else rows.to_pandas())[list(found)]
    for name in found:
        ours, theirs = found[name], expected[name]
        np.testing.assert_array_equal(ours.isna(), theirs.isna())
        if ours.dtype == object:
            ours, theirs = ours.astype(str), theirs.astype(str)
        elif ours.dtype.kind == "M":
            theirs = theirs.astype(ours.dtype)
        there = ~ours.isna()
        np.testing.assert_array_equal(ours[there].to_numpy(), theirs[there].to_numpy())


def asked(rows: int = 10, seed: int = 3, **given: Any) -> DrawRows:
    return DrawRows(type="draw_rows", request=7, seed=seed, rows=rows, given=given)


def to_fill(row: int, *columns: str, draws: int = 5) -> FillRow:
    return FillRow(type="fill_row", request=8, seed=2, draws=draws, row=row, columns=list(columns))


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def orders(of_orders: Run) -> Run:
    """With its rows in memory, as the worker holds it."""
    return replace(of_orders, data=of_orders.known_data())


@pytest.fixture(scope="module")
def begun(orders: Run) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return read(payload(orders))


def test_the_page_begins_with_the_rows_of_sample(
    orders: Run, begun: tuple[dict[str, Any], dict[str, np.ndarray]]
) -> None:
    header, arrays = begun
    assert header["kind"] == "table"
    assert header["rules"] == ["shipped >= ordered"]
    assert header["hidden"] == ["order"]
    assert_same(frame(arrays, "drawn", header["columns"]), orders.sample(1000))


def test_its_real_rows_are_those_kept_out_and_then_those_learned_from(
    orders: Run, begun: tuple[dict[str, Any], dict[str, np.ndarray]]
) -> None:
    header, arrays = begun
    data = orders.load_data()
    assert data.heldout is not None
    assert header["heldout"] == len(data.heldout)
    rows = pd.concat([data.heldout.to_pandas(), data.train.to_pandas()], ignore_index=True)
    assert len(rows) == 300
    assert_same(frame(arrays, "real", header["columns"]), rows)
    about = {column["name"]: column for column in header["columns"]}
    assert about["city"]["categories"][: about["city"]["known"]] == ["Oslo", "Paris", "上海"]
    assert about["price"]["low"] == data.train.to_pandas()["price"].min()
    day = 86_400_000
    assert (about["ordered"]["step"], about["shipped"]["step"]) == (day, day)
    assert about["shipped"]["missing"]
    assert not about["price"]["missing"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"city": "上海", "gift": "true"},
        {"ordered": "2024-03-05", "price": 20.5},
        {"shipped": None},
    ],
)
def test_rows_under_conditions_are_those_of_sample(
    orders: Run,
    begun: tuple[dict[str, Any], dict[str, np.ndarray]],
    given: dict[str, Any],
) -> None:
    header, arrays = read(drawn(orders, asked(50, **given), never))
    assert (header["kind"], header["request"]) == ("answer", 7)
    rows = frame(arrays, "rows", begun[0]["columns"])
    assert_same(rows, orders.sample(50, seed=3, given=given))
    late = rows["shipped"] < rows["ordered"]
    assert not late.any()
    if given.get("city"):
        assert set(rows["city"]) == {"上海"}
    if "shipped" in given:
        assert rows["shipped"].isna().all()


def test_a_row_is_filled_as_complete_fills_it(
    orders: Run, begun: tuple[dict[str, Any], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    header, arrays = begun
    real = frame(arrays, "real", header["columns"])
    whole = int(np.flatnonzero(real.notna().all(axis=1))[0])
    found, filled = read(drawn(orders, to_fill(whole, "city", "shipped"), never))
    # The file beside it is what `sfumato impute` takes.
    (tmp_path / "row.csv").write_text(found["csv"], "utf-8")
    again = orders.complete(tmp_path / "row.csv", draws=5, seed=2)
    rows = frame(filled, "rows", header["columns"])
    assert_same(rows, pd.concat([each.to_pandas() for each in again], ignore_index=True))
    assert rows.notna().all(axis=None)
    for name in ("ordered", "price", "gift"):
        assert set(rows[name]) == {real[name][whole]}
    # What is missing anyway is filled in, too.
    holed = int(np.flatnonzero(real["shipped"].isna())[0])
    rows = frame(read(drawn(orders, to_fill(holed), never))[1], "rows", header["columns"])
    assert rows["shipped"].notna().all()
    assert (rows["shipped"] >= real["ordered"][holed]).all()


def test_rows_in_memory_are_shown_while_they_are_there(of_table: Run, tmp_path: Path) -> None:
    header, arrays = read(payload(of_table))
    real = frame(arrays, "real", header["columns"])
    heights = [value for value in people()["height"] if value is not None]
    assert sorted(real["height"].dropna()) == sorted(heights)
    of_table.save(tmp_path / "model.safetensors")
    alone = sfumato.open(tmp_path / "model.safetensors")
    header, arrays = read(payload(alone))
    assert "real/0" not in arrays
    assert "drawn/0" in arrays
    with pytest.raises(SfumatoError, match="rows in memory, which are gone"):
        drawn(alone, to_fill(0, "team"), never)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (asked(town="Oslo"), "unknown column 'town'"),
        (asked(order="A-00001"), "'order' only names the rows"),
        (asked(city="Rome"), "'city' never was 'Rome'"),
        (asked(city=None), "'city' is never empty"),
        (asked(price="dear"), "'price' holds a number"),
        (asked(ordered="2024-02-30"), "'ordered' holds a date"),
        (asked(ordered="2024-05-05", shipped="2024-05-01"), "break the rule 'shipped >= ordered'"),
        (to_fill(300, "city"), "there is no row 300"),
        (to_fill(0, "town"), "unknown column 'town'"),
        (to_fill(1), "no cell of the row is empty"),
        (
            DrawPictures(
                type="draw_pictures", request=1, seed=0, pictures=1, label=None, guidance=None,
                steps=None, calls=None,
            ),
            "a run of a table is not asked for this",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_line(orders: Run, message: Any, reason: str) -> None:
    with pytest.raises(SfumatoError) as error:
        drawn(orders, message, never)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_points_are_not_asked_for_rows(moons: Run) -> None:
    with pytest.raises(SfumatoError, match="a run of points is not asked for this"):
        drawn(moons, asked(), never)


def test_a_value_out_of_the_range_seen_is_noted(orders: Run) -> None:
    (note,) = read(drawn(orders, asked(price=1e6), never))[0]["notes"]
    assert "'price'" in note
    assert read(drawn(orders, asked(price=20.0), never))[0]["notes"] == []


def test_the_network_calls_of_a_row_are_told(orders: Run) -> None:
    """One for each step, and, where categories are drawn, at most one for each such column."""
    known: dict[str, Any] = {"city": "Oslo", "gift": "true", "shipped": "2024-05-05"}
    steps = orders.settings.sampling.steps
    assert steps != "auto"
    assert read(drawn(orders, asked(CHUNK, **known), never))[0]["calls"] == steps
    assert read(drawn(orders, asked(CHUNK + 1, **known), never))[0]["calls"] == steps
    with_city = {name: value for name, value in known.items() if name != "city"}
    calls = read(drawn(orders, asked(CHUNK, **with_city), never))[0]["calls"]
    assert steps < calls <= steps + len(orders.model.codec.sizes)


def test_what_is_given_up_is_left_between_two_calls(orders: Run) -> None:
    calls: list[int] = []

    def third() -> bool:
        calls.append(1)
        return len(calls) > 2

    with pytest.raises(Abandoned):
        drawn(orders, asked(), third)
    assert len(calls) == 3
    with pytest.raises(Abandoned):
        payload(orders, is_given_up=lambda: True)
    with counted(orders.model, never) as count:  # nothing of it stays
        orders.draw(1)
    assert len(calls) == 3
    steps = orders.settings.sampling.steps
    assert steps != "auto"
    assert count.calls >= steps


# --------------------------------------------------------------------------------- the worker


def events(worker: Worker) -> list[tuple[bytes, bytes]]:
    """What it has said since it was asked last."""
    assert isinstance(worker.events, BytesIO)
    content, found = worker.events.getvalue(), []
    worker.events.seek(0)
    worker.events.truncate()
    while content:
        letter, length = messages.HEAD.unpack(content[: messages.HEAD.size])
        content = content[messages.HEAD.size :]
        found.append((letter, content[:length]))
        content = content[length:]
    return found


def test_the_worker_answers_or_refuses(of_orders: Run) -> None:
    assert of_orders.folder is not None
    path = str(of_orders.folder)

    def perform(number: int, message: DrawRows) -> tuple[bytes, bytes]:
        worker._obey(messages.Perform(number=number, path=path, asked=message))
        (event,) = events(worker)
        return event

    worker = Worker(BytesIO(), BytesIO())
    letter, content = perform(1, asked(city="Oslo"))
    assert (letter, content[: messages.NUMBER.size]) == (b"a", messages.NUMBER.pack(1))
    _, arrays = read(content[messages.NUMBER.size :])
    prices = of_orders.sample(10, seed=3, given={"city": "Oslo"}).to_pandas()["price"]
    np.testing.assert_array_equal(arrays["rows/3"], prices)

    letter, content = perform(2, asked(city="Rome"))
    refused = messages.EVENTS.validate_json(content)
    assert isinstance(refused, messages.Refused)
    assert (letter, refused.number) == (b"t", 2)
    assert "never was 'Rome'" in refused.reason.message


def test_the_worker_leaves_what_was_given_up_and_goes_on(of_orders: Run) -> None:
    path = str(of_orders.folder)
    orders = [
        messages.GiveUp(number=1),
        *(messages.Perform(number=k, path=path, asked=asked()) for k in (1, 2)),
    ]
    worker = Worker(
        BytesIO(b"".join(each.model_dump_json().encode() + b"\n" for each in orders)), BytesIO()
    )
    worker.run()
    ready, left, answer = events(worker)
    assert messages.EVENTS.validate_json(ready[1]) == messages.Ready()
    assert messages.EVENTS.validate_json(left[1]) == messages.GivenUp(number=1)
    assert (answer[0], answer[1][: messages.NUMBER.size]) == (b"a", messages.NUMBER.pack(2))


# ----------------------------------------------------------------------------- without a server


@pytest.fixture(scope="module")
def beforehand(orders: Run) -> Run:
    return sampled_by(orders, NOT_IN_THE_PAGE)


@pytest.fixture(scope="module")
def stored(beforehand: Run) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return read(tables.carried(beforehand, 10**9)[0])


def test_a_file_carries_rows_under_each_condition(
    beforehand: Run, stored: tuple[dict[str, Any], dict[str, np.ndarray]]
) -> None:
    header, arrays = stored
    columns, held = header["columns"], header["stored"]
    assert_same(frame(arrays, "drawn", columns), beforehand.sample(5000))
    real = frame(arrays, "real", columns)
    by_column: dict[str, list[Any]] = {}
    for each in held["conditions"]:
        by_column.setdefault(columns[each["column"]]["name"], []).append(each["value"])
    assert set(by_column["city"]) == {"Oslo", "Paris", "上海"}
    assert len(by_column["price"]) == 5
    assert np.isin(by_column["price"], real["price"]).all()
    quantiles = real["price"].quantile([0.05, 0.25, 0.5, 0.75, 0.95], interpolation="nearest")
    np.testing.assert_array_equal(by_column["price"], quantiles)
    given = frame(arrays, "given", columns)
    assert len(given) == 300 * len(held["conditions"])
    for j, each in enumerate(held["conditions"]):
        values = arrays[f"given/{each['column']}"][300 * j : 300 * (j + 1)]
        categories = columns[each["column"]].get("categories")
        assert {categories[v] if categories else v for v in values} == {each["value"]}
    assert not (given["shipped"] < given["ordered"]).any()
    # As Python draws rows for a frame of conditions, one for each of them.
    wanted = pd.DataFrame(
        [
            {
                columns[each["column"]]["name"]: pd.to_datetime(each["value"], unit="ms")
                if columns[each["column"]]["kind"] == "date"
                else {"True": True, "False": False}.get(each["value"], each["value"])
            }
            for each in held["conditions"]
        ],
        columns=[column["name"] for column in columns],
    )
    assert_same(given, beforehand.sample(300, given=wanted))


def test_a_file_carries_rows_that_are_filled_in(
    stored: tuple[dict[str, Any], dict[str, np.ndarray]],
) -> None:
    header, arrays = stored
    columns, held = header["columns"], header["stored"]
    real, filled = (frame(arrays, name, columns) for name in ("real", "filled"))
    assert len(filled) == 100 * len(held["fillings"])
    assert filled.notna().all(axis=None)
    assert any(each["column"] is None for each in held["fillings"])
    for j, each in enumerate(held["fillings"]):
        here, row = filled[100 * j : 100 * (j + 1)], real.iloc[each["row"]]
        emptied = None if each["column"] is None else columns[each["column"]]["name"]
        kept = [name for name in real if name != emptied and not pd.isna(row[name])]
        assert all((here[name] == row[name]).all() for name in kept)
    assert held["left"] == {}


def test_of_a_file_that_would_be_too_large_it_is_said_what_is_left_out(beforehand: Run) -> None:
    of_row = 3 * 8 + 2 * 4
    content, left = tables.carried(beforehand, of_row * (400 + 5000 + 900 + 100))
    header, arrays = read(content)
    assert len(content) <= of_row * 6400
    assert len(header["stored"]["conditions"]) == 3
    assert len(arrays["given/0"]) == 900
    kept = header["stored"]["left"]
    assert left[0] == "drawing by itself (the page does not have the sampler predictor-corrector)"
    assert left[1:] == [
        f"{kept['conditions'][0]} of {kept['conditions'][1]} conditions",
        f"{kept['fillings'][0]} of {kept['fillings'][1]} filled rows",
    ]
    assert kept["conditions"][1] - kept["conditions"][0] == 3
    content, left = tables.carried(beforehand, of_row * 2000)
    assert len(content) <= of_row * 2000
    assert left[1] == "3,400 of 5,000 drawn rows"


def test_the_page_of_a_table_is_a_file(beforehand: Run, tmp_path: Path) -> None:
    page = beforehand.explore(tmp_path / "orders.html")
    assert page.left == (
        "drawing by itself (the page does not have the sampler predictor-corrector)",
    )
    assert (tmp_path / "orders.html").stat().st_size < 3_000_000 < MOST_BYTES
    assert beforehand.folder is not None
    assert str(beforehand.folder.parent) not in page.html
