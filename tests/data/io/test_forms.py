"""Dates, times and numbers as people write them: read, told, and written back to the letter."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sfumato.data.io.formed import Ambiguous, Formed
from sfumato.data.io.forms import (
    formed,
    in_digits,
    in_words,
    is_form,
    value_in,
    writer,
)
from sfumato.data.io.reading import Reading
from sfumato.data.io.rows import read_rows
from sfumato.data.io.tables import read_table, write_table
from sfumato.errors import DataError

D = datetime
READ: list[tuple[str, list[str], str, list[Any]]] = [
    ("American", ["8/6/20", "12/31/99"], "month/day/year", [D(2020, 8, 6), D(1999, 12, 31)]),
    ("American and time", ["8/6/20 18:57", "8/16/20 4:05"], "month/day/year hour:minute",
     [D(2020, 8, 6, 18, 57), D(2020, 8, 16, 4, 5)]),
    ("German", ["31.12.2024", "01.02.2024"], "day.month.year", [D(2024, 12, 31), D(2024, 2, 1)]),
    ("British", ["31/01/2024", "01/02/2024"], "day/month/year", [D(2024, 1, 31), D(2024, 2, 1)]),
    ("year first", ["2024/1/31", "2024/12/1"], "year/month/day",
     [D(2024, 1, 31), D(2024, 12, 1)]),
    ("one zone", ["2021-09-20T17:47:07Z", "2021-09-21T00:00:00Z"],
     "year-month-day hour:minute:secondZ", [D(2021, 9, 20, 17, 47, 7), D(2021, 9, 21)]),
    ("an offset", ["2021-09-20 17:47+02:00", "2021-09-21 01:02+02:00"],
     "year-month-day hour:minute+02:00", [D(2021, 9, 20, 17, 47), D(2021, 9, 21, 1, 2)]),
    ("an offset of Postgres", ["2021-09-20 17:47:01.25+00", "2021-09-21 01:02:03.50+00"],
     "year-month-day hour:minute:second.fraction+00",
     [D(2021, 9, 20, 17, 47, 1, 250_000), D(2021, 9, 21, 1, 2, 3, 500_000)]),
    ("half days", ["1/31/2024 12:05 AM", "2/1/2024 1:30 PM"], "month/day/year hour:minute AM",
     [D(2024, 1, 31, 0, 5), D(2024, 2, 1, 13, 30)]),
    ("names of months", ["31-Jan-2024", "01-Feb-2024"], "day-month-year",
     [D(2024, 1, 31), D(2024, 2, 1)]),
    ("whole names", ["January 31, 2024", "May 1, 2024"], "month day, year",
     [D(2024, 1, 31), D(2024, 5, 1)]),
    ("thousandths", ["2024/01/31 00:00:01.250", "2024/01/31 00:00:02.007"],
     "year/month/day hour:minute:second.fraction",
     [D(2024, 1, 31, 0, 0, 1, 250_000), D(2024, 1, 31, 0, 0, 2, 7_000)]),
    ("clock", ["18:57", "04:05"], "minutes of hh:mm", [1137, 245]),
    ("duration", ["49:12:07", "0:00:59"], "seconds of h:mm:ss", [177127, 59]),
    ("half days", ["6:57 PM", "12:05 AM", "12:30 PM"], "minutes of h:mm AM", [1137, 5, 750]),
    ("glued half days", ["06:57pm", "11:00am"], "minutes of hh:mmam", [1137, 660]),
    ("seconds of half days", ["6:57:01 pm", "1:00:00 am"], "seconds of h:mm:ss am", [68221, 3600]),
    ("percent", ["12.5%", "-3.0%"], "numbers", [12.5, -3.0]),
    ("whole percent", ["12 %", "3 %"], "numbers", [12, 3]),
    ("dollars", ["$1,234.50", "$0.99", "-$12.00"], "numbers", [1234.5, 0.99, -12.0]),
    ("accounts", ["(1,234.50)", "12.00"], "numbers", [-1234.5, 12.0]),
    ("kilograms", ["12.5 kg", "1000.25 kg"], "numbers", [12.5, 1000.25]),
    ("degrees", ["59.91 N", "-8.5 N"], "numbers", [59.91, -8.5]),
    ("glued units", ["5kg", "1.5kg"], "numbers", [5.0, 1.5]),
    ("euros", ["1.234,50 €", "12,00 €"], "numbers", [1234.5, 12.0]),
    ("decimal commas", ["12,5", "1234,25", "7"], "numbers", [12.5, 1234.25, 7.0]),
    ("thousands", ["1,234,567", "12,345"], "numbers", [1234567, 12345]),
    ("thin spaces", ["1\u202f234", "12"], "numbers", [1234, 12]),
    ("Swiss", ["1'234.50", "12.00"], "numbers", [1234.5, 12.0]),
    ("footballers", ["€110.5M", "€500K", "€0", "€77M"], "amounts in K and M",
     [110_500_000, 500_000, 0, 77_000_000]),
    ("one magnitude of money", ["$2.5B", "-$3.0B"], "amounts in B", [2_500_000_000, -3 * 10**9]),
    ("followers", ["900", "1.2K", "3.4M"], "amounts in K and M", [900, 1200, 3_400_000]),
    ("thousands beside bare ones", ["900.5", "1.2K"], "amounts in K", [900.5, 1200.0]),
    ("sizes of apps", ["8.7M", "201k", "1020k"], "amounts in k and M",
     [8_700_000, 201_000, 1_020_000]),
    ("spaced", ["1.25 M", "-3.45 K"], "amounts in K and M", [1_250_000, -3450]),
    ("losses in thousands", ["(1.2K)", "3.4M"], "amounts in K and M", [-1200, 3_400_000]),
    ("weights", ["7B", "1.5B", "560M"], "amounts in M and B", [7 * 10**9, 15 * 10**8, 56 * 10**7]),
    ("British millions", ["£1.2bn", "£500m"], "amounts in m and bn",
     [1_200_000_000, 500_000_000]),
    ("trillions", ["$2.1T", "$512.5B"], "amounts in B and T",
     [2_100_000_000_000, 512_500_000_000]),
    ("German thousands", ["1,25M €", "500K €"], "amounts in K and M", [1_250_000, 500_000]),
    ("with a unit", ["1.2M views", "900 views", "15K views"], "amounts in K and M",
     [1_200_000, 900, 15_000]),
    ("one letter with a space is a unit", ["12 M", "30 M"], "numbers", [12, 30]),
    ("bank", ["1,300.00 CR", "45.10 DR", "0.00 CR"], "amounts, CR positive and DR negative",
     [1300.0, -45.1, 0.0]),
    ("bank without spaces", ["300CR", "45DR"], "amounts, CR positive and DR negative", [300, -45]),
    ("bank in small letters", ["3.00 Cr", "4.10 Dr", "0.00"],
     "amounts, Cr positive and Dr negative", [3.0, -4.1, 0.0]),
    ("overdrawn", ["300.00", "45.10 DR"], "amounts, DR negative", [300.0, -45.1]),
    ("card", ["300.00", "45.10 CR"], "amounts, CR negative", [300.0, -45.1]),
    ("credits alone", ["300.00 CR", "45.10 CR"], "numbers", [300.0, 45.1]),
    ("Fortran", ["1.2D+03", "-4.5D-01", "0.0D+00"], "numbers", [1200.0, -0.45, 0.0]),
    ("gfortran", ["1.2345678901234567D+003", "1.0000000000000001D-001"], "numbers",
     [1234.5678901234567, 0.1]),
    ("format D10.4", ["0.1234D+04", "0.5000D-10", "0.0000D+00"], "numbers", [1234.0, 5e-11, 0.0]),
    ("no zero before the point", ["-.125D+00", ".500D+01"], "numbers", [-0.125, 5.0]),
    ("few digits", ["1.2d+3", "1.25d+10", "2.0d+0"], "numbers", [1200.0, 1.25e10, 2.0]),
    ("no decimals", ["1.D+03", "2.D-03"], "numbers", [1000.0, 0.002]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "words", "values"), [t[1:] for t in READ], ids=[t[0] for t in READ]
)
def test_what_agrees_is_read_and_written_back_to_the_letter(
    cells: list[str], words: str, values: list[Any]
) -> None:
    found = formed(cells)
    assert isinstance(found, Formed)
    assert found.words == words
    assert found.values.tolist() == values
    assert {type(value) for value in found.values.tolist()} == {type(values[0])}
    write = writer(found.form)
    assert [write(value) for value in found.values.tolist()] == cells
    assert is_form(found.form)


@pytest.mark.parametrize(
    "cells",
    [
        ["31/12/2024", "12/31/2024"],  # of neither order
        ["1/2/2024", "1.2.2024"],
        ["30.02.2024", "31.12.2024"],
        ["2021-09-20T17:47:07Z", "2021-09-20T17:47:07+02:00"],
        ["1/31/2024", "1/31/2024 10:00"],
        ["18:57", "18:57:00"],
        ["18:75", "18:00"],
        ["6:57 PM", "13:05 AM"],
        ["0:10 AM", "1:00 PM"],
        ["6:57 PM", "1:05"],
        ["6:57 PM", "1:05 am"],
        ["$5", "€5"],
        ["5%", "5"],
        ["1,23,456", "1"],
        ["1.234,5", "1,234.5"],
        ["007", "008"],
        ["00,7", "1,5"],
        ["1", "2.5"],  # plain numbers need no form
        ["9007199254740993", "1"],
        ["9,007,199,254,740,993", "1,000"],
        ["1.2.3", "1.10.0"],
        ["192.168.0.1", "10.0.0.1"],
        ["12 apples", "7 pears"],
        ["(5.00", "6.00"],
        ["(5.00)", "-6.00"],
        ["C12", "C13"],
        ["+4912345", "+4967890"],
        ["555-1234", "555-9876"],
        ["01/03/204", "02/03/204"],  # a year has two digits or four
        ["1/2/3", "4/5/6"],
        ["31.12.2024", "1.1.5"],
        ["192.168.100.101", "192.168.100.102"],
        ["3 Dec", "4 Dec"],
        ["3 December", "4 December"],
        ["5 PM", "6 PM"],
        ["5A", "12A"],
        ["59.91N", "-8.5N"],
        ["1st", "1st"],
        ["99999999999999999999:00", "1:00"],
        ["9007199254740992:00", "1:00"],
        ["1/02/2024", "13/1/2024"],  # not all written in one way
        ["1:05", "01:05"],
        ["1/31/2024 1:30 PM", "1/31/2024 1:30 pm"],
        ["01-Feb-2024", "01-MAR-2024"],
        ["1'234", "1234"],
        ["$0.1234567890123456789", "$1"],
        ["12M", "30M"],  # months
        ["12M", "18M", "2T"],  # and toddlers
        ["5M", "5L"],
        ["K2", "M3"],
        ["M", "L"],
        ["5k", "100m"],  # a race
        ["900", "12K"],
        ["900", "12K", "3M"],  # codes
        ["900", "1.2M"],  # from ones to millions without thousands
        ["0", "1.2K"],
        ["1.2K", "3.4B"],
        ["500B", "1.2K", "3M"],  # bytes
        ["1.2k", "3.4K", "5.6M"],
        ["1.2K", "3.4 K", "5.6M"],
        ["$1.2K", "€3.4M"],
        ["€5T", "€7T"],  # Tausend
        ["1.2K", "3.4M", "5.6X"],
        ["1.2KB", "3.4MB"],
        ["1.2 Kg", "3.4 Mg"],
        ["01.2K", "3.4M"],
        ["1.23456789012345678901K", "3.4M"],
        ["12 Dr", "14"],
        ["3 CR", "4"],  # of a course
        ["2.5 Cr", "14.5"],
        ["₹2.5 CR", "₹14.5"],
        ["5.00 CR", "-5.00 DR"],
        ["(5.00 CR)", "5.00 DR"],
        ["5.00 CR", "6.00 Cr", "7.00 DR"],
        ["5.00CR", "6.00CR"],
        ["0.00", "6.00 CR"],
        ["5.00 CR", "6.00 K"],
        ["12D04", "1D2"],
        ["1.2D03", "1.5D04"],
        ["12D+04", "1D+02"],
        ["1.2D+03", "1.5D04"],
        ["1.2D+03", "1.2d+03"],
        ["1.2D+03", "1.2"],
        ["01.2D+03", "1.2D+03"],
        [".D+03", "1.2D+03"],
        ["1.2D+999", "1.2D+03"],
        ["1.2D-999", "1.2D+03"],
    ],
)
def test_what_does_not_agree_is_not_read(cells: list[str]) -> None:
    assert formed(cells) is None


@pytest.mark.parametrize(
    ("cells", "settled"),
    [
        (["01/02/2024", "03/04/2024"],
         {"day/month/year": [D(2024, 2, 1), D(2024, 4, 3)],
          "month/day/year": [D(2024, 1, 2), D(2024, 3, 4)],
          "%d/%m/%Y": [D(2024, 2, 1), D(2024, 4, 3)]}),
        (["1.2.24", "3.4.24"],
         {"day.month.year": [D(2024, 2, 1), D(2024, 4, 3)],
          "month.day.year": [D(2024, 1, 2), D(2024, 3, 4)]}),
        (["24-03-01", "24-03-12"],
         {"year-month-day": [D(2024, 3, 1), D(2024, 3, 12)],
          "day-month-year": [D(2001, 3, 24), D(2012, 3, 24)]}),
        (["10.11.12"],
         {"year.month.day": [D(2010, 11, 12)], "day.month.year": [D(2012, 11, 10)],
          "month.day.year": [D(2012, 10, 11)]}),
        (["1,234", "2,500"], {"1,234.5": [1234, 2500], "1.234,5": [1.234, 2.5]}),
        (["$1,234"], {"1,234.5": [1234], "1.234,5": [1.234]}),
        (["555 123", "555 124"], {"1,234.5": [555123, 555124]}),
        (["€1,234K", "€2M"], {"1,234.5": [1_234_000, 2_000_000], "1.234,5": [1234, 2_000_000]}),
        (["12.00", "5.00 CR", "6.00 DR"], {}),
    ],
)  # fmt: skip
def test_what_may_be_read_in_two_ways_is_settled_by_the_user(
    cells: list[str], settled: dict[str, list[Any]]
) -> None:
    found = formed(cells)
    assert isinstance(found, Ambiguous)
    assert found.cell == cells[0]
    for form, values in settled.items():
        read = formed(cells, form)
        assert isinstance(read, Formed)
        assert read.values.tolist() == values
        assert [writer(read.form)(value) for value in read.values.tolist()] == cells
    for option in found.options:
        if option == "categorical":
            continue
        assert isinstance(formed(cells, option.partition(":")[2]), Formed)


def test_thousands_that_are_apart_in_some_cells_alone_are_not_read() -> None:
    assert isinstance(formed(["$1,234", "$1234"]), Ambiguous)
    assert formed(["$1,234", "$1234"], "1,234.5") is None


def test_days_that_are_the_same_in_both_orders_are_read() -> None:
    found = formed(["01/01/2024", "02/02/2024"])
    assert isinstance(found, Formed)
    assert found.values.tolist() == [D(2024, 1, 1), D(2024, 2, 2)]


def _months(count: int, step: int = 1) -> list[datetime]:
    return [D(2020 + k // 12, k % 12 + 1, 1) for k in range(0, count * step, step)]


@pytest.mark.parametrize("form", ["%-m/%-d/%Y", "%d.%m.%y", "%y-%m-%d"])
@pytest.mark.parametrize("dates", [_months(13), _months(5, 3)], ids=["months", "quarters"])
def test_dates_that_begin_months_of_more_than_a_year_are_read(
    form: str, dates: list[datetime]
) -> None:
    found = formed([writer(form)(each) for each in reversed(dates)])
    assert isinstance(found, Formed)
    assert found.form == form
    assert found.values.tolist() == dates[::-1]


@pytest.mark.parametrize(
    "dates",
    [
        _months(12),
        [*_months(12), D(2021, 2, 1)],
        [D(y, 1, d) for y in (2020, 2021) for d in (1, 2)],
    ],
    ids=["a year", "a month left out", "days of Januaries"],
)
def test_other_dates_of_few_days_are_left_to_the_user(dates: list[datetime]) -> None:
    assert isinstance(formed([writer("%-m/%-d/%Y")(each) for each in dates]), Ambiguous)


_FORMS = [
    "%d.%m.%Y", "%-m/%-d/%Y %-I:%M %p", "%Y/%m/%d %H:%M:%S", "%d-%b-%Y", "%B %-d, %Y",
    "%Y-%m-%dT%H:%M:%SZ", "%d/%m/%Y %H:%M",
]  # fmt: skip


@given(st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1)), st.sampled_from(_FORMS))
def test_a_date_is_written_as_strftime_has_it(moment: datetime, form: str) -> None:
    moment = moment.replace(second=moment.second if "%S" in form else 0, microsecond=0)
    if "%M" not in form:
        moment = moment.replace(hour=0, minute=0)
    cell = writer(form)(moment)
    assert cell == moment.strftime(form)
    assert value_in(form, cell) == np.datetime64(moment)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["$1,234.00", "1.234,00 €", "1234.00%"]))
def test_an_amount_comes_back(cents: int, form: str) -> None:
    amount = cents / 100
    assert value_in(form, writer(form)(amount)) == amount or abs(amount) == 0


def test_a_number_off_the_form_s_digits_keeps_its_own() -> None:
    assert writer("$1,234.00")(1234.125) == "$1,234.125"
    assert writer("1234%")(0.5) == "0.5%"


_AMOUNTS = ["1234{|.0K|.0M}", "€1234{K|.##M|.###B}", "(1.234{,## k|,# M} €", "$1,234{|.0M|T}"]
_BOOKED = ["1,234{.00 CR|.00 DR}", "1234{.##|.## DR}"]


@given(
    st.one_of(st.integers(-(10**13), 10**13), st.floats(-(10**13), 10**13)),
    st.sampled_from([*_AMOUNTS, *_BOOKED, "1.00D+00", "0.####d+000", ".0D+0"]),
)
def test_any_number_comes_back_from_a_form_of_few_digits(value: float, form: str) -> None:
    assert value_in(form, writer(form)(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 16))
def test_a_number_of_double_precision_is_written_as_python_does(value: float, digits: int) -> None:
    cell = f"{value:.{digits}e}"
    form = f"1.{'0' * digits}D+00"
    mantissa, _, power = cell.partition("e")
    expected = f"{mantissa}{'.' * (digits == 0)}D{power}".removeprefix("-" * (float(cell) == 0))
    assume(float(cell) * 0 == 0)  # not rounded up to infinity
    assert writer(form)(float(cell)) == expected


@pytest.mark.parametrize(
    ("form", "value", "cell"),
    [
        ("€1234{|K|.#M}", 19_200_000, "€19.2M"),
        ("€1234{|K|.#M}", 999_000, "€999K"),
        ("€1234{|K|.#M}", 1_000_000, "€1M"),
        ("€1234{|K|.#M}", 1_020_000, "€1020K"),  # as short as it can be
        ("€1234{K|.0M}", 1_000_000, "€1.0M"),
        ("€1234{K|.0M}", 500, "€0.5K"),
        ("€1234{K|.0M}", 19_234_567.5, "€19.2345675M"),
        ("1234{.00 CR|.00 DR}", 0, "0.00 CR"),
        ("1234{.00|.00 CR|.00 DR}", 0, "0.00"),
        ("1234{.00|.00 CR|.00 DR}", 5, "5.00 CR"),
        ("1234{.00|.00 CR}", -5, "5.00 CR"),
        ("1.0D+00", 1234.5, "1.2345D+03"),
        ("0.0D+00", 1e100, "0.1D+101"),
    ],
)
def test_a_number_is_written_in_the_largest_unit_that_has_its_digits(
    form: str, value: float, cell: str
) -> None:
    assert writer(form)(value) == cell


@pytest.mark.parametrize(
    ("form", "sense", "values", "expected"),
    [
        ("€1234{|K|.#M}", 0, [19_234_567, 999_960, 12_345, 7, -1_260_000],
         [19_200_000, 1_000_000, 12_000, 7, -1_300_000]),
        ("€1234{|K|.#M}", 1, [19_234_567, 999_960, 12_345, 7, -1_260_000],
         [19_300_000, 1_000_000, 13_000, 7, -1_200_000]),
        ("€1234{|K|.#M}", -1, [19_200_000, 999_960, 12_345, 7, -1_260_000],
         [19_200_000, 999_000, 12_000, 7, -1_300_000]),
        ("1234{.0|.####K}", 0, [12.34, 1234.5678], [12.3, 1234.6]),
        ("1234{.0|.####K}", 1, [0.29, 1234.1], [0.3, 1234.1]),
        ("1.00D+00", 0, [1234.0, -1.239e-20, 0.0], [1230.0, -1.24e-20, 0.0]),
        ("1.00D+00", 1, [1231.0, -1.239e-20], [1240.0, -1.23e-20]),
        ("0.00D+00", -1, [1231.0, 1.0], [1200.0, 1.0]),
        ("$1,234.00", 0, [1.2345], [1.2345]),
        ("1234{.00 CR|.00 DR}", 0, [1.2345], [1.2345]),
        ("h:mm", 0, [65], [65]),
        ("%d.%m.%Y", 0, [65], [65]),
        ("", 0, [1.5], [1.5]),
    ],
)  # fmt: skip
def test_drawn_amounts_have_the_digits_of_their_magnitude(
    form: str, sense: int, values: list[float], expected: list[float]
) -> None:
    found = in_digits(form, np.array(values), sense)
    assert found.tolist() == expected
    assert found.dtype == np.array(values).dtype


def test_a_form_in_words_has_each_way_of_its_numbers() -> None:
    assert in_words("€1.234{|K|,##M}") == "€1.234 or €1.234K or €1.234,5M"
    assert in_words("1.####D+00") == "1.5D+00"


@pytest.mark.parametrize("form", ["h:mm AM", "hh:mmAM", "h:mm:ss am", "hh:mm:ssam"])
def test_half_days_are_written_as_python_has_them(form: str) -> None:
    for minute in range(24 * 60):
        told = datetime(2024, 1, 31, *divmod(minute, 60)).strftime("%I:%M:%S %p")
        told = told if ":ss" in form else told.replace(":00 ", " ")
        told = told.removeprefix("" if form.startswith("hh") else "0")
        told = told.lower() if form.endswith("am") else told
        told = told if " " in form else told.replace(" ", "")
        value = minute * (60 if ":ss" in form else 1)
        assert writer(form)(value) == told
        assert value_in(form, told) == value


@pytest.mark.parametrize(
    "form",
    [
        "x",
        "%d%Q",
        "1235",
        "h:m",
        "1234" + "x" * 100,
        "1234{X}",
        "1234{K|k}",
        "1234{K|CR}",
        "1234{CR}",
        "1.0E+00",
        "2.0D+00",
        "1.0D-00",
        "1.0D+",
    ],
)
def test_a_stranger_s_form_is_refused(form: str) -> None:
    assert not is_form(form)


@pytest.mark.parametrize(
    "form", ["%d.%f", "%d.%0f", "%d.%7f", "%d.%-f", "%d %", "%d %^f", "%d%_m", "%d" + "x" * 98,
             ":mm1234", "hhh:mm", "h:mm:ss:ss", "h:mm  AM", "h:mm Am", "h:mm PM"],
)  # fmt: skip
def test_a_form_that_could_not_be_written_is_refused(form: str) -> None:
    assert not is_form(form)


@pytest.mark.parametrize(
    ("form", "dtypes"),
    [
        ("", {"object", "bool", "int64", "float64", "datetime64[us]"}),
        ("%d.%m.%Y", {"datetime64[us]"}),
        ("%-d/%-m/%y %I:%M:%S.%3f %p", {"datetime64[us]"}),
        ("h:mm", {"int64"}),
        ("hh:mm:ss", {"int64"}),
        ("hh:mm AM", {"int64"}),
        ("1,234", {"int64", "float64"}),
        ("$1,234.00", {"int64", "float64"}),
        ("$1,234{|K|.#M}", {"int64", "float64"}),
        ("1234{.00 CR|.00 DR}", {"int64", "float64"}),
        ("1.00D+00", {"float64"}),
    ],
)
def test_a_form_fits_the_type_of_its_values(form: str, dtypes: set[str]) -> None:
    value = {"int64": 7, "float64": -7.5, "datetime64[us]": datetime(2024, 1, 31, 18, 5)}
    for dtype in ("object", "bool", "int64", "float64", "datetime64[us]"):
        assert is_form(form, dtype) == (dtype in dtypes)
        if form and dtype in dtypes:
            assert writer(form)(value[dtype])


CSV = """when,share,price,took,note
31.12.2024,12.5%,"1,234.00",1:05, a
,3.0%,"12,345,678.00",0:30,b
01.02.2024,,12.00,,a
"""


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(CSV)
    table = read_table(tmp_path / "in.csv")
    assert [c.values.dtype.kind for c in table] == ["M", "f", "f", "i", "O"]
    assert table["when"].note == "read as day.month.year: 31.12.2024 is 2024-12-31"
    assert table["took"].note == "read as minutes of h:mm: 1:05 is 65"
    write_table(tmp_path / "out.csv", table)
    assert (tmp_path / "out.csv").read_text() == CSV


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (["€1.5M", "€2.5K"], "-"),
        (["1.5M", "2.5K", "900"], "free"),
        (["1.5M", "2.5K"], "1.5k"),
        (["1.5M", "2.5K"], "1.5 M"),
        (["1.50 CR", "2.50 DR"], "1.50 Cr"),
        (["1.5D+00", "2.5D+01"], "1.5D00"),
        (["13.02.205", "14.03.205"], "31.02.2024"),
    ],
)
def test_one_odd_cell_among_amounts_is_named(tmp_path: Path, cells: list[str], odd: str) -> None:
    path = tmp_path / "t.csv"
    rows = [cell.replace("5", str(k), 1) for k in range(10, 40) for cell in cells]
    path.write_text("\n".join(["v,k", *(f"{cell},1" for cell in (*rows, odd))]))
    with pytest.raises(DataError, match=f"'v' holds '{odd}' in .*--missing") as raised:
        read_table(path)
    assert f"written as {rows[0]!r}" in str(raised.value)
    table = read_table(path, Reading(missing=[odd]))
    assert table["v"].missing.sum() == 1


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (["€0", "€1.5M", "€2.5K"], "0"),
        (["$5.50"], "0"),
        (["1.50 CR", "2.50 DR"], "-12.00"),
        (["1.5D+00", "2.5D+01"], "0.0"),
        (["5.1.2024", "5.11.2024"], "0"),
    ],
)
def test_an_odd_number_is_not_called_missing_as_others_may_have_it(
    tmp_path: Path, cells: list[str], odd: str
) -> None:
    path = tmp_path / "t.csv"
    rows = [cell.replace("5", str(k), 1) for k in range(10, 30) for cell in cells]
    path.write_text("\n".join(["v,k", *(f"{cell},{odd}" for cell in (*rows, odd))]))
    with pytest.raises(DataError, match=f"'v' holds '{odd}' in .* so or leave it empty") as raised:
        read_table(path)
    assert "--missing" not in str(raised.value)
    assert "--column v=categorical" in str(raised.value)


def test_a_bare_amount_among_credits_and_debits_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v,k\n5.00 CR,1\n6.00 DR,2\n12.00,3\n")
    with pytest.raises(DataError, match=r"'v' holds '12.00', which may be a credit or a debit"):
        read_table(path)
    kept = read_table(path, Reading.declared({"v": "categorical"}, []))
    assert kept["v"].values.tolist() == ["5.00 CR", "6.00 DR", "12.00"]


def test_amounts_of_a_file_keep_their_values_and_say_how_they_were_read(tmp_path: Path) -> None:
    text = "value,paid,flux\n€1.5M,45.10 DR,1.25D+03\n€1000K,300.00 CR,-1.50D-10\n,0.00 DR,\n"
    (tmp_path / "in.csv").write_text(text)
    table = read_table(tmp_path / "in.csv")
    assert [column.note for column in table] == [
        "read as amounts in K and M: €1.5M is 1500000",
        "read as amounts, CR positive and DR negative: 45.10 DR is -45.1",
        "read as numbers: 1.25D+03 is 1250",
    ]
    assert not np.signbit(table["paid"].values[2])
    write_table(tmp_path / "out.csv", table)
    again = read_table(tmp_path / "out.csv")
    for column in table:
        assert again[column.name].values.tolist() == column.values.tolist()
        assert again[column.name].missing.tolist() == column.missing.tolist()


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("t\n2024-03-01 12:30\n2024-03-02 00:00\n", "%Y-%m-%d %H:%M"),
        ("t\n2024-03-01T12:30\n2024-03-02T00:00\n", "%Y-%m-%dT%H:%M"),
        ("t\n2024-03-01 12:30:01\n\n2024-03-02 00:00:00\n", "%Y-%m-%d %H:%M:%S"),
        ("t\n2024-03-01T12:30:01\n2024-03-02T00:00:00\n", "%Y-%m-%dT%H:%M:%S"),
        ("t\n2024-03-01T00:00:00\n2024-03-02T00:00:00\n", "%Y-%m-%dT%H:%M:%S"),
        ("t\n2024-03-01\n2024-03-02\n", ""),
    ],
)
def test_plain_dates_come_back_with_their_space_and_without_seconds(
    tmp_path: Path, text: str, form: str
) -> None:
    (tmp_path / "in.csv").write_text(text)
    table = read_table(tmp_path / "in.csv")
    assert table["t"].form == form
    write_table(tmp_path / "out.csv", table)
    assert (tmp_path / "out.csv").read_text() == text.replace("\n\n", "\n")


def test_a_form_that_shows_late_is_that_of_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.data.io.csv._CELLS_A_CHUNK", 6)
    cells = ["12"] * 20 + ["1 234 567"]
    (tmp_path / "t.csv").write_text("v,k\n" + "".join(f"{cell},1\n" for cell in cells))
    assert read_table(tmp_path / "t.csv")["v"].values.tolist() == [12] * 20 + [1_234_567]


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (
            "s,°C,n",
            "All these cells are in line 2; if they are units or questions, take them away.",
        ),
        (
            "s,°C,n\n1.5,2.5,n\nx,°F,n",
            "All these cells are in lines 2, 4; if they are units or questions",
        ),
        ("s,1.5,n\n1.5,°C,n", ""),
        ("s,°C,n\ns,°C,n", ""),
    ],
)
def test_a_line_of_units_is_told(tmp_path: Path, second: str, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"time,temp,name\n{second}\n" + "1.5,20.5,a\n" * 40)
    with pytest.raises(DataError) as raised:
        read_table(path)
    assert told in str(raised.value)
    assert ("All these" in str(raised.value)) == bool(told)


def test_all_faults_are_told_at_once_with_the_command_that_takes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f'{k},0{k % 9 + 1}/0{k % 7 + 1}/2024,"{k + 1},234",{k},x{k % 3}' for k in range(30)]
    rows.append("low,01/01/2024,1,1e999,x1")
    path.write_text("\n".join(["a,born,b b,c,d", *rows]))
    with pytest.raises(DataError) as raised:
        read_table(path)
    first, *faults, last = str(raised.value).splitlines()
    assert first == f"{path} has 4 columns that cannot be read as they are:"
    for fault, phrase in zip(
        faults,
        ["line 32, column 'a': 'low'", "'born' holds '0", "'b b' holds '1,234'", "1e999 is beyond"],
        strict=True,
    ):
        assert phrase in fault
    options = "--missing low --column born=date:day/month/year --column 'b b=continuous:1,234.5'"
    assert last.endswith(f"sfumato fit {path} {options} --missing 1e999")
    declared = {"born": "date:day/month/year", "b b": "continuous:1,234.5", "c": "categorical"}
    table = read_table(path, Reading.declared(declared, ["low"]))
    assert [c.values.dtype.kind for c in table] == ["i", "M", "i", "O", "O"]


def test_identifiers_too_large_for_a_number_are_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    ids = [str(10**18 + 7 * k) for k in range(30)]
    path.write_text("\n".join(["id", *ids]))
    assert read_table(path)["id"].values.tolist() == ids
    path.write_text("\n".join(["id", *ids[:3], *map(str, range(27))]))
    with pytest.raises(DataError, match=r"line 2.*beyond 2\^53.*--column id=identifier"):
        read_table(path)
    named = Reading.declared({"id": "identifier"}, [])
    assert read_table(path, named)["id"].values.tolist()[:3] == ids[:3]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ("0.5", [1234, 2345]),
        ('"1,234.50"', [1234, 2345]),
        ('"0,5"', [1.234, 2.345]),
        ('"1.234,50 €"', [1.234, 2.345]),
    ],
)
def test_another_column_settles_the_decimal_mark(
    tmp_path: Path, beside: str, expected: list[float]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'a,b\n"1,234",{beside}\n"2,345",{beside}\n')
    assert read_table(path)["a"].values.tolist() == expected


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["13.1.2024", "14.1.2024"], "month.day.year"),
        (["1/31/2024", "1/30/2024"], "dmy"),
        (["a", "b"], "day.month.year"),
        (["1.234,5", "2,5"], "1,234.5"),
        (["1:30", "2:30"], "day.month.year"),
    ],
)
def test_what_is_not_as_the_user_says_is_refused(
    tmp_path: Path, cells: list[str], form: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v\n" + "".join(f'"{cell}"\n' for cell in cells))
    with pytest.raises(DataError, match=f"'v' is not written as '{form}' says"):
        read_table(path, Reading(forms={"v": form}))


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("h:mm:ss", "1:30"),
        ("h:mm", "1:30:00"),
        ("1234 kg", "80 g"),
        ("1234 kg", "80"),
        ("1234%", "12.5%"),
        ("$1,234.00", "$1.234,50"),
        ("1,234.00", "(5.00)"),
        ("(1,234.00", "-5.00"),
        ("%m/%d/%Y", "13/02/2024"),
        ("%m/%d/%Y", "2/13/2024"),
        ("%m/%d/%Y", "02/13/24"),
        ("%d.%m.%Y", "1/31/2024"),
        ("1234{K|M}", "5"),
        ("€1234{K|M}", "5K"),
        ("1234 M", "5K"),
        ("1234{ CR| DR}", "-5 CR"),
        ("1234{| DR}", "5 CR"),
        ("1.0D+00", "1.5d+00"),
        ("1.0D+00", "1.5E+00"),
    ],
)
def test_a_model_s_form_is_followed_exactly(tmp_path: Path, form: str, cell: str) -> None:
    assert value_in(form, cell) is None
    path = tmp_path / "t.csv"
    path.write_text(f'v,k\n"{cell}",1\n')
    with pytest.raises(DataError, match="'v' is not written as"):
        read_table(path, Reading(forms={"v": form}))


@pytest.mark.parametrize(
    ("form", "cells", "expected"),
    [
        ("1.234,5", ["1.234", "2.345"], [1234, 2345]),  # of a user
        ("1,234.5", ["1.234", "2.345"], [1.234, 2.345]),
        ("1.234,5", ["7", "8"], [7, 8]),
        ("1.234,#", ["1.234", "2.500"], [1234, 2500]),  # of a model
        ("1.234,#", ["1.234", "?"], [1234, None]),
        ("1.234,#", ["12,5", "1.234,25"], [12.5, 1234.25]),
        ("(1,234.00", ["5.00", "1,234.50"], [5, 1234.5]),
        ("h:mm", ["1:05", ""], [65, None]),
        ("1234{|.0K|.0M}", ["5", "3.25K"], [5, 3250]),
        ("1234 M", ["5 M", "7 M"], [5, 7]),  # of a model to which it was a unit
        ("1234{.00 CR|.00 DR}", ["5.00 DR", "3.25 DR"], [-5, -3.25]),
        ("1.00D+00", ["5.0D+00"], [5]),
        ("%d/%m/%Y", ["01/02/2024", "03/04/2024"], [D(2024, 2, 1), D(2024, 4, 3)]),
        ("%-d/%-m/%Y", ["11/12/2024"], [D(2024, 12, 11)]),
        ("%Y-%m-%d %H:%M", ["2024-03-01", "2024-03-01 10:00:05"],
         [D(2024, 3, 1), D(2024, 3, 1, 10, 0, 5)]),
    ],
)  # fmt: skip
def test_a_stated_form_holds_where_cells_look_plain(
    tmp_path: Path, form: str, cells: list[str], expected: list[Any]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v,k\n" + "".join(f'"{cell}",1\n' for cell in cells))
    column = read_table(path, Reading(forms={"v": form}))["v"]
    pairs = zip(column.values.tolist(), column.missing, strict=True)
    assert [None if gone else value for value, gone in pairs] == expected


def test_a_stated_form_is_no_reading_of_plain_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v\n1.23\n2.345\n")
    for form in ("1.234,5", "h:mm", "day.month.year", "1234 kg"):
        with pytest.raises(DataError, match="'v' is not written as"):
            read_table(path, Reading(forms={"v": form}))


def test_a_decimal_comma_makes_thousands_of_the_points_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,c\n"1.312,5",1.234,1.234 kg\n"2,5",2.345,2.345 kg\n')
    table = read_table(path)
    assert table["a"].values.tolist() == [1312.5, 2.5]
    assert table["b"].values.tolist() == table["c"].values.tolist() == [1234, 2345]
    path.write_text('a,b\n"1.312,5",1.234 kg\n"2,5",5 kg\n')
    assert read_table(path)["b"].values.tolist() == [1234, 5]
    path.write_text("a,b\n1.312.000,1.234\n2.500,2.345\n")
    assert read_table(path)["b"].values.tolist() == [1234, 2345]
    path.write_text('a,b\n"1.312,5",1.234\n"2,5",1e3\n')
    assert read_table(path)["b"].values.tolist() == [1.234, 1000]
    path.write_text('a,b\n"1.312,5",1.234\n"2,5",2345\n')
    with pytest.raises(DataError, match=r"'b' holds '1\.234', which may be thousands"):
        read_table(path)
    path.write_text('a,b,c\n"1.312,5",1.234,1.234 kg\n"2,5",2.345,2.345 kg\n')
    # A column of a model without a form stays plain, whatever the form of another.
    kept = read_table(path, Reading(forms={"a": "1.234,#", "c": "1234.000 kg"}))
    assert kept["b"].values.tolist() == kept["c"].values.tolist() == [1.234, 2.345]
    path.write_text('a,b,c\n"1.312,5",1.234,0.5\n"2,5",2.345,0.25\n')
    with pytest.raises(DataError, match=r"'b' holds '1\.234', which may be thousands"):
        read_table(path)
    settled = read_table(path, Reading(forms={"b": "1,234.5"}))
    assert settled["b"].values.tolist() == [1.234, 2.345]


def test_a_missing_value_among_numbers_of_a_form_is_a_cell_as_written(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("took,price,n\n0:00,$0,0\n1:05,$5,5\n-9,-9,-9\n")
    table = read_rows(path, Reading(missing=["0", "-9"]))[0]
    assert [column.missing.tolist() for column in table] == [
        [False, False, True], [False, False, True], [True, False, True]
    ]  # fmt: skip
    assert table["took"].values.tolist()[:2] == [0, 65]
    table = read_rows(path, Reading(missing=["$0", "-9"]))[0]
    assert table["price"].missing.tolist() == [True, False, True]
    path = tmp_path / "t.jsonl"
    path.write_text('{"took": "0:00"}\n{"took": "1:05"}\n{"took": "-9"}\n')
    column = read_rows(path, Reading(missing=["0", "-9"]))[0]["took"]
    assert (column.values.tolist()[:2], column.missing.tolist()) == ([0, 65], [False, False, True])


@pytest.mark.parametrize("marker", ["low", "-"])
def test_a_fault_does_not_depend_on_how_many_rows_are_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    path, told = tmp_path / "t.csv", set()
    cells = [str(k) for k in range(20)]
    path.write_text("\n".join(["v", *cells[:10], marker, *cells[10:], marker, marker]))
    for size in (1, 2, 7, 500_000):
        monkeypatch.setattr("sfumato.data.io.csv._CELLS_A_CHUNK", size)
        with pytest.raises(DataError) as raised:
            read_table(path)
        told.add(str(raised.value))
    (only,) = told
    assert f"line 12, column 'v': {marker!r} is not a number" in only
    assert "it stands in 13.0% of the column" in only


def test_an_identifier_needs_no_order_of_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v,k\n10.11.12,1\n10.11.11,2\n")
    named = Reading.declared({"v": "identifier"}, [])
    assert read_table(path, named)["v"].values.tolist() == ["10.11.12", "10.11.11"]
