"""Rules as people write them: what each says, and the one line of each that cannot be held."""

from typing import Any

import numpy as np
import pytest

from sfumato.data.codecs.rules import Combination, Relation, Rule, numeric_where_compared, stated
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import ArgumentError, DataError

DAYS = np.datetime64("2024-03-01", "us") + np.arange(6) * np.timedelta64(1, "D")
VALUES: dict[str, tuple[ColumnType, Any]] = {
    "a": ("continuous", [0.1, 1.5, 2.0, 3.0, 4.0, 5.0]),
    "b": ("continuous", [0.2, 0.25, 1.0, 1.0, 1.0, 1.0]),
    "total": ("continuous", [0.3, 1.75, 3.0, 4.0, 5.0, 6.0]),
    "net price": ("continuous", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "hours-per-week": ("integer", [1, 2, 3, 4, 5, 6]),
    "hours": ("integer", [9, 8, 7, 6, 5, 6]),
    "start": ("date", DAYS),
    "end": ("date", DAYS + np.timedelta64(2, "D")),
    "city": ("categorical", np.array(list("xyzxyz"), object)),
    "land": ("categorical", np.array(list("uvvuvv"), object)),
    "grade": ("ordinal", [1, 2, 1, 2, 1, 2]),
    "five": ("constant", [5, 5, 5, 5, 5, 5]),
    "key": ("identifier", [11, 12, 13, 14, 15, 16]),
    "note": ("dropped", np.array(list("abcdef"), object)),
    "yes": ("boolean", [True, False, True, False, True, False]),
}
TABLE = DataTable(
    tuple(Column(name, np.array(v), np.zeros(6, bool)) for name, (_, v) in VALUES.items())
)
TYPES = {name: kind for name, (kind, _) in VALUES.items()}


def read(text: str) -> tuple[Rule, ...]:
    return stated([text], TABLE, TYPES)


def sides(rule: Rule) -> tuple[dict[str, float], float, bool, bool, str]:
    assert isinstance(rule, Relation)
    of = dict(zip(rule.names, rule.coefficients, strict=True))
    return of, rule.constant, rule.equal, rule.strict, rule.derived


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("end >= start", ({"end": 1, "start": -1}, 0, False, False, "end")),
        ("start < end", ({"end": 1, "start": -1}, 0, False, True, "end")),
        ("total = a + b", ({"total": 1, "a": -1, "b": -1}, 0, True, False, "total")),
        ("total==a+b", ({"total": 1, "a": -1, "b": -1}, 0, True, False, "total")),
        ("a = total - 1 * b", ({"a": 1, "total": -1, "b": 1}, 0, True, False, "a")),
        ("0 <= b", ({"b": 1}, 0, False, False, "")),
        ("b * 2 <= 7 - -1", ({"b": -2}, -8, False, False, "")),
        ("a <= 5", ({"a": -1}, -5, False, False, "")),
        ("a <= five", ({"a": -1}, -5, False, False, "")),
        ('"net price" > .5', ({"net price": 1}, 0.5, False, True, "")),
        ("net price > 5e-1", ({"net price": 1}, 0.5, False, True, "")),
        ("hours-per-week <= 2 hours", ({"hours": 2, "hours-per-week": -1}, 0, False, False,
                                       "hours-per-week")),
        ("net price = hours-per-week", ({"net price": 1, "hours-per-week": -1}, 0, True, False,
                                        "net price")),
    ],
)  # fmt: skip
def test_a_rule_is_read_as_a_sum(text: str, expected: object) -> None:
    (rule,) = read(text)
    assert sides(rule) == expected
    assert rule.text == text


def test_a_chain_is_a_rule_for_each_sign() -> None:
    first, second = read("0 <= b <= total")
    assert sides(first) == ({"b": 1}, 0, False, False, "")
    assert sides(second) == ({"total": 1, "b": -1}, 0, False, False, "total")


def test_a_date_is_compared_with_a_day() -> None:
    (rule,) = read("start >= 2024-03-01")
    day = int(np.datetime64("2024-03-01", "us").astype(np.int64))
    assert sides(rule) == ({"start": 1}, day, False, False, "")
    with pytest.raises(DataError, match=r"in 1 of 6 rows, first in row 1 \(start 2024-03-01"):
        read("start > 2024-03-01")


def test_columns_alone_are_a_combination() -> None:
    assert read("city, land") == (Combination("city, land", ("city", "land")),)
    assert read(" none ") == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ende >= start", "unknown column in the rule 'ende >= start': 'ende'; did you mean 'end'"),
        ("end >= ", "cannot be read"),
        ("", "cannot be read"),
        ("a + >= b", "cannot be read"),
        ("a b >= 1", "cannot be read"),
        ("a <= b >= total", "cannot be read"),
        ("a = b = total", "cannot be read"),
        ("a / b = 1", "unknown column in the rule 'a / b = 1': '/'"),
        ("city land", "cannot be read"),
        ("city, city", "cannot be read"),
        ("city, 3", "cannot be read"),
        ("city", "cannot be read"),
        ("__import__('os') = a", "unknown column"),
        ("city >= 3", "the column 'city' holds text"),
        ("yes >= 1", "the column 'yes' holds true or false"),
        ("grade <= 3", "the column 'grade' is declared ordinal; leave --column grade=ordinal out"),
        ("key >= 0", "'key', which is set aside.*--column key=TYPE"),
        ("note, city", "'note', which is left out"),
        ("a, city", "is of categories, and the column 'a' holds numbers"),
        ("start, city", "the column 'start' holds dates"),
        ("a >= a", "says nothing that varies"),
        ("3 <= 4", "says nothing that varies"),
        ("a = 3", "says nothing that varies"),
        ("a >= start", "compared with dates alone"),
        ("end >= start + 3", "compared with dates alone"),
        ("start >= 5", "compared with dates alone"),
        ("a >= 2024-03-01", "compared with dates alone"),
        ("2 end >= start", "compared with dates alone"),
    ],
)
def test_what_cannot_be_a_rule_is_one_line(text: str, fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault) as error:
        read(text)
    assert "\n" not in str(error.value)


def test_rows_that_break_a_rule_are_counted_and_the_first_is_shown() -> None:
    with pytest.raises(DataError, match=r"in 1 of 6 rows, first in row 1 \(a 0.1, b 0.2\); mend"):
        read("a >= b")
    with pytest.raises(DataError, match="in 6 of 6 rows, first in row 1"):
        read("total = 2 a")


def test_a_missing_value_breaks_nothing_but_the_ends_of_a_chain_are_compared() -> None:
    def table(middle_missing: bool) -> DataTable:
        none = np.zeros(2, bool)
        of = {"x": [1, 5], "y": [2, 5], "z": [3, 4]}
        return DataTable(
            tuple(
                Column(
                    n, np.array(v), np.array([False, True]) if n == "y" and middle_missing else none
                )
                for n, v in of.items()
            )
        )

    types: dict[str, ColumnType] = dict.fromkeys("xyz", "integer")
    assert stated(["x <= y"], table(True), types)
    with pytest.raises(DataError, match="the rule 'z >= x' does not hold in 1 of 2 rows"):
        stated(["x <= y <= z"], table(True), types)


def test_ordinal_numbers_that_are_compared_are_numbers() -> None:
    texts = ["grade <= hours", "city, yes"]
    assert numeric_where_compared(TYPES, TABLE, texts, ())["grade"] == "integer"
    assert numeric_where_compared(TYPES, TABLE, texts, ["grade"]) == TYPES
    assert numeric_where_compared(TYPES, TABLE, ["city, grade"], ()) == TYPES


def test_decimals_are_compared_as_they_are_written() -> None:
    """0.1 + 0.2 is not 0.3 in binary, and 0.3 = 0.1 + 0.2 holds all the same."""
    assert read("total = a + b")
    assert read("a + b <= total")
    assert read("total <= a + b")
