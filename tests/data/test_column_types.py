"""What columns are taken for."""

from typing import Any

import numpy as np
import pytest

from sfumato.data.column_types import column_types_of
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError

RNG = np.random.default_rng(0)
N = 400


def table(**columns: Any) -> DataTable:
    return DataTable(
        tuple(
            Column(name, np.asarray(values), np.zeros(len(values), bool))
            for name, values in columns.items()
        )
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.normal(size=N), "continuous"),
        (RNG.normal(size=N).round(), "ordinal"),  # seven values or so, dozens of rows each
        (RNG.choice([0.5, 1.0], N), "ordinal"),
        (RNG.integers(0, 10**6, N), "integer"),
        (RNG.integers(0, 5, N), "ordinal"),
        (RNG.integers(0, 200, N), "integer"),
        (np.where(RNG.random(N) < 0.5, "a", "b").astype(object), "categorical"),
        (RNG.random(N) < 0.5, "boolean"),
        (np.datetime64("2024-01-01", "us") + RNG.integers(0, 99, N), "date"),
        (np.full(N, 7), "constant"),
        (np.array(["same"] * N, object), "constant"),
    ],
)
def test_a_kind_is_read_off_the_values(values: np.ndarray, kind: str) -> None:
    assert column_types_of(table(x=values), {}) == {"x": kind}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.permutation(np.arange(N) % 200), "ordinal"),  # else an integer
        (np.arange(N) % 250, "identifier"),
        (7 * np.arange(20), "identifier"),
        (7 * np.arange(19), "ordinal"),
        (np.arange(1, 6), "identifier"),  # as R names rows
        (np.arange(5), "ordinal"),
    ],
)
def test_integers_in_quotes_are_codes(values: np.ndarray, kind: str) -> None:
    column = Column("x", values, np.zeros(len(values), bool), in_quotes=True)
    assert column_types_of(DataTable((column,)), {}) == {"x": kind}
    assert column_types_of(DataTable((column,)), {"x": "integer"}) == {"x": "integer"}


@pytest.mark.parametrize(
    "name", ["id", "ID", "user_id", "user id", "userId", "UserID", "PID", "row"]
)
def test_integers_called_id_that_never_repeat_name_the_rows(name: str) -> None:
    keys = RNG.permutation(10**6)[:N]
    assert column_types_of(table(**{name: keys}), {}) == {name: "identifier"}
    assert column_types_of(table(**{name: keys}), {name: "integer"}) == {name: "integer"}
    assert column_types_of(table(**{name: keys[:19]}), {}) == {name: "integer"}
    keys[1] = keys[0]
    assert column_types_of(table(**{name: keys}), {}) == {name: "integer"}


@pytest.mark.parametrize("name", ["paid", "acid", "x", "arrow", "idle", "id_rank"])
def test_integers_called_otherwise_are_numbers(name: str) -> None:
    values = RNG.permutation(10**6)[:N]
    assert column_types_of(table(**{name: values}), {}) == {name: "integer"}


def test_the_user_s_word_counts() -> None:
    rows = table(zip=RNG.integers(0, 5, N), age=RNG.integers(0, 5, N), id=RNG.integers(0, 5, N))
    told = {"zip": "categorical", "age": "integer", "id": "dropped"}
    assert column_types_of(rows, told) == told


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"ag": "integer"}, "unknown column 'ag'; did you mean 'age'"),
        ({"age": "integr"}, r"unknown kind \(for the column 'age'\) 'integr'; did you mean 'int"),
        ({"age": "constant"}, "unknown kind"),
        ({"sex": "integer"}, "'sex' cannot be integer: it holds text"),
        ({"half": "integer"}, "'half' cannot be integer: it holds numbers with decimals"),
        ({"age": "date"}, "'age' cannot be date: it holds integers"),
        ({"age": "boolean"}, "'age' cannot be boolean: it holds integers of 40"),
    ],
)
def test_what_a_column_cannot_be_is_refused(told: dict[str, str], fault: str) -> None:
    rows = table(
        age=np.arange(N) % 40, half=np.arange(N) / 2, sex=np.array(["F", "M"] * (N // 2), object)
    )
    with pytest.raises(ArgumentError, match=fault):
        column_types_of(rows, told)


def test_text_that_names_the_rows_is_set_aside_but_may_be_insisted_on() -> None:
    names = table(name=np.array([f"row {k}" for k in range(N)], object), x=np.arange(N) % 9)
    assert column_types_of(names, {})["name"] == "identifier"
    assert column_types_of(names, {"name": "categorical"})["name"] == "categorical"
    assert column_types_of(names, {"name": "dropped"})["name"] == "dropped"


def test_integers_that_number_the_rows_are_set_aside_but_may_be_insisted_on() -> None:
    shuffled = np.random.default_rng(0).permutation(N) + 1000
    rows = table(id=shuffled, x=np.arange(N) % 9)
    assert column_types_of(rows, {})["id"] == "identifier"
    assert column_types_of(rows, {"id": "integer"})["id"] == "integer"
    # Different numbers that leave gaps, or few rows, may well be measured.
    assert column_types_of(table(x=shuffled * 7), {})["x"] == "integer"
    assert column_types_of(table(x=shuffled[:90] % 100), {})["x"] == "integer"
    # Few rows are counted from 0 or 1 as they stand, or measured.
    assert column_types_of(table(x=np.arange(1, 31)), {})["x"] == "identifier"
    assert column_types_of(table(x=np.arange(1991, 2021)), {})["x"] == "integer"
    assert column_types_of(table(x=np.arange(1, 31)[::-1]), {})["x"] == "integer"


def test_a_short_column_of_text_that_always_differs_is_set_aside() -> None:
    states = np.array([f"state {chr(65 + k)}" for k in range(20)], object)
    assert column_types_of(table(s=states), {}) == {"s": "identifier"}
    assert column_types_of(table(s=states[:19]), {}) == {"s": "categorical"}
    twice = states.copy()
    twice[0] = twice[1]
    assert column_types_of(table(s=twice), {}) == {"s": "categorical"}


def test_more_texts_than_can_be_learned_are_set_aside() -> None:
    many = np.array([str(k % 10_001) for k in range(30_003)], object)
    assert column_types_of(table(s=many), {}) == {"s": "identifier"}
    assert column_types_of(table(s=many[many != "10000"]), {}) == {"s": "categorical"}


def test_amounts_as_text_of_a_frame_are_no_keys() -> None:
    """They would be drawn anew, as keys are; digits alone may be keys."""
    amounts = np.array([f"${k * 37 % 9973 + 0.5:,.2f}" for k in range(300)], object)
    with pytest.raises(DataError, match=r"amounts as text, as '\$0.50'.*to_numeric"):
        column_types_of(table(price=amounts), {})
    assert column_types_of(table(price=amounts), {"price": "categorical"})
    digits = np.array([str(k * 37 % 9973) for k in range(300)], object)
    assert column_types_of(table(id=digits), {}) == {"id": "identifier"}


@pytest.mark.parametrize("text", ["2024-1-{}", "{}/03/2024", "{}.3.24", "3/{}/2024 10:00"])
def test_dates_as_words_are_told_as_dates(text: str) -> None:
    days = np.array([text.format(k) for k in range(10, 30)] * 9, object)
    days[:] = [f"{day}{'' if k < 20 else ' ' + str(k)}" for k, day in enumerate(days)]
    with pytest.raises(DataError, match=r"holds dates or amounts as text.*to_datetime"):
        column_types_of(table(day=days), {})


def test_words_after_a_date_make_no_date_of_it() -> None:
    terms = np.array([f"18{k}.05.12 - 18{k + 3}.10.30  (Death)" for k in range(10, 90)], object)
    assert column_types_of(table(term=terms), {}) == {"term": "identifier"}


def test_more_levels_than_can_be_learned_are_refused() -> None:
    many = table(x=np.array([str(k) for k in range(10_001)], object))
    with pytest.raises(DataError, match=r"10,001 different values, more than the 10,000"):
        column_types_of(many, {"x": "categorical"})
