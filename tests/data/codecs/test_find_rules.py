"""Rules that are found: those that hold in all rows by no accident, and no others."""

import numpy as np
import pytest

from sfumato.data.codecs.find_rules import found_in
from sfumato.data.codecs.rules import Combination, Relation
from sfumato.data.table import Column, ColumnType, DataTable

N = 800
DAY = np.timedelta64(1, "D")


def table(
    columns: dict[str, np.ndarray], missing: dict[str, np.ndarray] | None = None
) -> DataTable:
    none = np.zeros(N, bool)
    return DataTable(tuple(Column(n, v, (missing or {}).get(n, none)) for n, v in columns.items()))


def types_of(made: DataTable) -> dict[str, ColumnType]:
    kinds: dict[str, ColumnType] = {"f": "continuous", "i": "integer", "M": "date",
                                    "O": "categorical", "b": "boolean"}  # fmt: skip
    return {column.name: kinds[column.values.dtype.kind] for column in made}


def found(made: DataTable) -> list[str]:
    return [rule.text for rule in found_in(made, types_of(made))]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_sums_and_lines_are_found_with_their_coefficients(rng: np.random.Generator) -> None:
    a, b = rng.normal(50, 10, N).round(2), rng.gamma(2, 10, N).round(2)
    c = rng.normal(20, 8, N).round(1)
    made = table({
        "total": (a + b).round(2), "a": a, "b": b, "noise": rng.normal(size=N).round(3),
        "fahrenheit": (1.8 * c + 32).round(2), "celsius": c,
    })  # fmt: skip
    rules = found_in(made, types_of(made))
    assert all(isinstance(rule, Relation) and rule.equal for rule in rules)
    values = {column.name: column.values for column in made}
    bound = {frozenset(rule.names) for rule in rules}
    assert bound == {frozenset({"total", "a", "b"}), frozenset({"fahrenheit", "celsius"})}
    for rule in rules:
        assert isinstance(rule, Relation)
        off = sum(w * values[n] for n, w in zip(rule.names, rule.coefficients, strict=True))
        assert np.abs(off - rule.constant).max() < 1e-9


def test_a_sum_that_fails_in_one_row_is_none(rng: np.random.Generator) -> None:
    a, b = rng.normal(50, 10, N).round(2), rng.gamma(2, 10, N).round(2)
    total = (a + b).round(2)
    total[17] += 0.01
    assert found(table({"a": a, "b": b, "total": total})) == []


def test_large_numbers_that_nearly_agree_have_no_equation(rng: np.random.Generator) -> None:
    """Their difference is far below the numbers, and is no rounding."""
    big = (2 * 10**12 + rng.integers(0, 10**9, N)).astype(np.int64)
    more = rng.integers(0, 4, N)
    rules = found(table({"big": big, "total": big + more, "noise": rng.normal(size=N)}))
    assert not [text for text in rules if "=" in text.replace(">=", "").replace("<=", "")]
    equal = table({"big": big, "total": big + 3, "noise": rng.normal(size=N)})
    (rule,) = found_in(equal, types_of(equal))
    assert isinstance(rule, Relation)
    assert (rule.equal, abs(rule.constant)) == (True, 3.0)


def test_a_line_that_rounding_hides_is_none(rng: np.random.Generator) -> None:
    """Of whole degrees Fahrenheit a tenth of a degree Celsius does not follow."""
    c = rng.normal(20, 8, N).round(1)
    assert found(table({"c": c, "f": (1.8 * c + 32).round()})) == []


def test_orders_are_found_with_chains_and_without_shortcuts(rng: np.random.Generator) -> None:
    a = rng.integers(0, 300, N)
    b = a + rng.poisson(3, N)
    start = np.datetime64("2023-01-01", "us") + rng.integers(0, 700, N) * DAY
    made = table({
        "c": b + rng.poisson(2, N), "a": a, "b": b, "start": start,
        "end": start + rng.geometric(0.2, N) * DAY,
    })  # fmt: skip
    assert sorted(found(made)) == ["b >= a", "c >= b", "end > start"]


def test_orders_that_are_no_use_are_none(rng: np.random.Generator) -> None:
    low, high = rng.normal(0, 1, N).round(2), rng.normal(50, 1, N).round(2)
    far = low + 20 + rng.normal(0, 0.1, N).round(2)  # ranges mix no more than by chance
    assert found(table({"low": low, "high": high, "far": far.round(2)})) == []
    wide = rng.normal(0, 10, N).round(2)
    assert found(table({"x": wide, "y": (wide + rng.normal(9, 1, N)).round(2)})) == []


def test_an_order_with_one_exception_is_none(rng: np.random.Generator) -> None:
    a = rng.integers(0, 300, N)
    b = a + rng.poisson(3, N) + 1
    b[3] = a[3] - 1
    assert found(table({"a": a, "b": b})) == []


def test_a_day_that_stands_for_never_is_in_no_order(rng: np.random.Generator) -> None:
    start = np.datetime64("2023-01-01", "us") + rng.integers(0, 700, N) * DAY
    end = np.where(rng.random(N) < 0.1, np.datetime64("9999-12-31", "us"),
                   start + rng.geometric(0.2, N) * DAY)  # fmt: skip
    assert found(table({"start": start, "end": end})) == []


def test_a_city_has_one_country_even_where_some_are_missing(rng: np.random.Generator) -> None:
    of = {"Oslo": "no", "Bergen": "no", "Rome": "it", "Milan": "it", "Lyon": "fr"}
    city = rng.choice(list(of), N).astype(object)
    made = table(
        {"city": city, "land": np.array([of[c] for c in city], object),
         "sky": rng.choice(["clear", "cloud"], N).astype(object)},
        {"city": rng.random(N) < 0.1},
    )  # fmt: skip
    (rule,) = found_in(made, types_of(made))
    assert rule == Combination("city, land", ("city", "land"), found=True)


def test_a_city_with_two_countries_and_rare_categories_are_none(rng: np.random.Generator) -> None:
    city = rng.choice(list("abcde"), N).astype(object)
    land = np.where(np.isin(city, ["a", "b"]), "u", "v").astype(object)
    land[np.flatnonzero(city == "a")[0]] = "v"
    assert found(table({"city": city, "land": land})) == []
    # Many categories of few rows decide a column that is nearly always the same, by chance.
    street = np.array([f"s{k}" for k in rng.integers(0, 300, N)], object)
    rare = np.full(N, "no", object)
    rare[5] = "yes"
    street[5] = "s999"
    assert found(table({"street": street, "rare": rare})) == []


def test_independent_columns_have_no_rule(rng: np.random.Generator) -> None:
    numbers = {f"x{k}": rng.normal(size=N).round(2) for k in range(30)}
    texts = {f"g{k}": rng.choice(list("abc"), N).astype(object) for k in range(30)}
    assert found(table(numbers | texts)) == []
