"""Columns of tables, there and back."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.codecs.describe import described
from sfumato.data.codecs.table import TableCodec
from sfumato.data.io.formed import Formed
from sfumato.data.io.forms import formed, writer
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import DataError, RunError


def column(values: Any, missing: Any = None, name: str = "x") -> Column:
    array = np.asarray(values)
    holes = np.zeros(len(array), bool) if missing is None else np.asarray(missing, bool)
    return Column(name, array, holes)


def there_and_back(codec: NumericCodec | CategoricalCodec, of: Column, rng: Any = None) -> Column:
    encoded = codec.encode(of, None if rng is None else rng.random(len(of.values)))
    return codec.decode(encoded.z, encoded.category, len(of.values))


RNG = np.random.default_rng(3)
HALF, TENTH = RNG.random(500) < 0.5, RNG.random(500) < 0.1
DAY, SECOND = np.timedelta64(1, "D"), np.timedelta64(1, "s")
COLUMNS: dict[str, tuple[ColumnType, Column]] = {
    "integers": ("integer", column(RNG.poisson(40, 500))),
    "large integers": ("integer", column(2**52 + RNG.integers(0, 10**6, 500))),
    "cents": ("continuous", column(RNG.lognormal(3, 2, 500).round(2))),
    "decimals off zero": ("continuous", column((4.35 + RNG.integers(0, 60, 500) / 10).round(2))),
    "whole decimals": ("continuous", column(RNG.integers(-9, 9, 500) * 1.0)),
    "mostly zero": ("continuous", column(np.where(HALF, 0, RNG.random(500).round(3)))),
    "with holes": ("integer", column(RNG.poisson(40, 500), RNG.random(500) < 0.3)),
    "days": (
        "date",
        column(np.datetime64("1969-12-30", "us") + RNG.integers(0, 900, 500) * DAY),
    ),
    "seconds": (
        "date",
        column(np.datetime64("2024-02-28T23:59:58", "us") + RNG.integers(0, 9, 500) * SECOND),
    ),
    "words": ("categorical", column(RNG.choice(np.array(["b", "a", "é", ""], object), 500))),
    "numbers as levels": ("ordinal", column(RNG.choice([0.5, 1.5, 7.0], 500))),
    "truths with holes": ("boolean", column(HALF, TENTH)),
    "one word": ("constant", column(np.array(["only"] * 500, object))),
    "one word or none": ("constant", column(np.array(["only"] * 500, object), HALF)),
    "holes alone": ("constant", column(np.zeros(500), np.ones(500, bool))),
}  # fmt: skip


def codec_of(kind: ColumnType, of: Column) -> NumericCodec | CategoricalCodec:
    return (NumericCodec if kind in ("integer", "continuous", "date") else CategoricalCodec).fit(
        of, kind
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_every_value_comes_back_bit_for_bit(name: str) -> None:
    kind, of = COLUMNS[name]
    back = there_and_back(codec_of(kind, of), of, np.random.default_rng(0))
    assert back.values.dtype == of.values.dtype
    assert (back.missing == of.missing).all()
    assert (back.present == of.present).all()


@pytest.mark.parametrize("kind", ["integer", "continuous"])
@pytest.mark.parametrize("missing", [None, np.ones(20, bool)], ids=["one value", "none"])
def test_numbers_that_vary_in_rows_kept_out_alone_are_constant(
    kind: ColumnType, missing: np.ndarray | None
) -> None:
    rare = column(np.ones(20, np.int64 if kind == "integer" else np.float64), missing, "rare")
    table = DataTable((rare, column(RNG.random(20), name="x")))
    codec = TableCodec.fit(table, {"rare": kind, "x": "continuous"})
    assert [part.kind for part in codec.parts] == ["constant", "continuous"]
    other = column(rare.values + 1, name="rare")
    encoded = codec.encode(DataTable((other, table["x"])))
    assert np.isfinite(encoded.log_width).all()
    assert encoded.unseen[:, 0].all()


def test_numbers_without_a_grid_come_back_to_rounding() -> None:
    of = column(RNG.standard_t(1.2, 2000) * 1e7)
    back = there_and_back(NumericCodec.fit(of, "continuous"), of)
    np.testing.assert_allclose(back.values, of.values, rtol=1e-9, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**50), 2**50), min_size=2, max_size=60, unique=True))
def test_any_integers_come_back(values: list[int]) -> None:
    of = column(np.array(values))
    assert there_and_back(NumericCodec.fit(of, "integer"), of).values.tolist() == values


def test_heavy_tails_come_out_near_normal() -> None:
    """h is made of 32 quantiles: what lies between is straight, and the tails are in."""
    x = np.random.default_rng(0).standard_t(1.5, 20_000)
    z = NumericCodec.fit(column(x), "continuous").encode(column(x), None).z
    assert z is not None
    assert stats.kstest(z, "norm").statistic < 0.02
    assert np.abs(z).max() < 5


def test_the_width_is_the_slope_of_the_map() -> None:
    x = np.random.default_rng(0).lognormal(size=1000)
    codec = NumericCodec.fit(column(x), "continuous")
    at = np.quantile(x, np.linspace(0.02, 0.98, 41)) * (1 + 1e-4)
    step = 1e-7
    above, here = codec.encode(column(at + step), None), codec.encode(column(at), None)
    assert above.z is not None
    assert here.z is not None
    # A corner of the map may lie in between, of 41 places in one at most.
    wrong = np.abs((above.z - here.z) / step - np.exp(here.log_width)) > 1e-3
    assert wrong.sum() <= 1


def test_a_number_on_a_grid_has_the_width_of_its_cell() -> None:
    """A level's probability over the step is a density; of a number h' does the same."""
    tenths = column(np.repeat([0.1, 0.2, 0.3], 50))
    assert CategoricalCodec.fit(tenths, "ordinal").encode(tenths, None).log_width == pytest.approx(
        np.full(150, math.log(10))
    )
    words = column(np.array(["a", "b"] * 50, object))
    assert CategoricalCodec.fit(words, "categorical").encode(
        words, None
    ).log_width == pytest.approx(0.0)
    lump = column(np.where(np.arange(500) < 300, 0.0, np.arange(500) / 100))
    codec = NumericCodec.fit(lump, "continuous")
    assert codec.point_masses == (0.0,)
    assert codec.encode(lump, None).log_width[0] == pytest.approx(math.log(100))


def test_values_far_more_frequent_than_the_others_are_point_masses() -> None:
    """One row in 200, eight times the mean of a value's rows, and 20 rows; the most frequent 24."""

    def masses(*counts: int) -> int:
        """How many of the values of these many rows are, beside 2,000 of one row each."""
        own = np.repeat(np.arange(len(counts)) / 8, counts)
        return len(NumericCodec.fit(column(np.r_[own, rest]), "continuous").point_masses)

    rest = 9 * np.random.default_rng(0).random(2000)
    assert masses(19) == 0
    assert masses(20) == 1
    assert masses(1900, 20) == 2  # one in 200 of 3,920 rows is 19.6 ...
    assert masses(2000, 20) == 1  # ... and of 4,020 it is 20.1
    assert masses(*range(30, 60)) == 24
    assert masses(*[200] * 30) == 24  # not more where several are as frequent as the last
    assert (
        NumericCodec.fit(column(np.repeat(np.arange(100.0), 40)), "continuous").point_masses == ()
    )  # as frequent as one another


GRIDS = {
    "geometric": np.random.default_rng(0).geometric(0.15, 2000),
    "few in the middle": np.random.default_rng(0).geometric(0.5, 300),
    "poisson": np.random.default_rng(0).poisson(40, 2000),
    "uniform": np.random.default_rng(0).integers(0, 60, 2000),
    "tenths": np.random.default_rng(0).normal(0, 0.5, 2000).round(1),
    "one far away": np.concatenate([np.random.default_rng(0).poisson(9, 999), [10**9]]),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_probabilities_of_all_cells_sum_to_one(name: str) -> None:
    """With numbers that are N(0, 1), as an untrained network has them."""
    values = GRIDS[name]
    codec = NumericCodec.fit(
        column(values), "integer" if values.dtype.kind == "i" else "continuous"
    )
    low, high = values.min(), min(values.max(), 10**5)
    cells = np.arange(low, high + codec.grid_step / 2, codec.grid_step).astype(values.dtype)
    encoded = codec.encode(column(cells), None)
    assert encoded.z is not None
    assert not codec.point_masses
    probability = np.exp(stats.norm.logpdf(encoded.z) + encoded.log_width) * codec.grid_step
    probability[encoded.unseen] = 0  # of numbers in gaps, which have Laplace's probability
    # What is beyond the ends is beyond the normal law's first and last half row.
    assert probability.sum() == pytest.approx(1, abs=4 / len(values))
    counts = np.array([(np.abs(values - cell) < codec.grid_step / 2).mean() for cell in cells])
    assert np.abs(probability.cumsum() - counts.cumsum()).max() < 0.06


@pytest.mark.parametrize("name", GRIDS)
def test_a_column_on_a_grid_comes_out_near_normal(name: str) -> None:
    values = GRIDS[name]
    codec = NumericCodec.fit(
        column(values), "integer" if values.dtype.kind == "i" else "continuous"
    )
    spread = np.random.default_rng(1).random(len(values))
    z = codec.encode(column(values), spread).z
    assert z is not None
    assert stats.kstest(z, "norm").statistic < 0.06
    assert z.std() == pytest.approx(1, abs=0.07)


def test_one_value_far_away_does_not_spoil_the_others() -> None:
    """A sentinel in a real file: 999 numbers N(0, 1) and one of a billion."""
    x = np.append(np.random.default_rng(0).normal(size=999), 1e9)
    codec = NumericCodec.fit(column(x), "continuous")
    drawn = codec.decode(np.random.default_rng(1).normal(size=20_000), None, 20_000).values
    np.testing.assert_allclose(
        np.quantile(drawn, [0.1, 0.25, 0.5, 0.75, 0.9]),
        stats.norm.ppf([0.1, 0.25, 0.5, 0.75, 0.9]),
        atol=0.15,
    )


def test_a_number_beyond_everything_is_far_and_not_missing() -> None:
    codec = NumericCodec.fit(column(np.random.default_rng(0).normal(size=99)), "continuous")
    z = codec.encode(column(np.array([1e39, -1e300])), None).z
    assert z is not None
    assert z.astype(np.float32).tolist() == [1e4, -1e4]


def test_a_date_counts_with_its_probability() -> None:
    """Not with a density in microseconds: sixty days, each as often."""
    days = np.datetime64("2024-01-01", "us") + np.arange(600) % 60 * DAY
    codec = NumericCodec.fit(column(days), "date")
    encoded = codec.encode(column(days[:60]), None)
    assert encoded.z is not None
    probability = np.exp(stats.norm.logpdf(encoded.z) + encoded.log_width)
    assert probability.sum() == pytest.approx(1, abs=0.01)
    assert np.abs(probability.cumsum() - np.arange(1, 61) / 60).max() < 0.02


def test_dates_a_thousand_years_apart_keep_their_microseconds() -> None:
    days = np.array(["1066-10-14T09:00:00.000001", "1815-06-18", "2500-01-01"], "datetime64[us]")
    of = column(np.tile(days, 9))
    assert (there_and_back(CategoricalCodec.fit(of, "ordinal"), of).values == of.values).all()
    codec = NumericCodec.fit(of, "date")
    assert codec.grid_step == 1
    assert codec.low == int(days[0].astype(np.int64))


def test_what_is_spread_over_a_cell_stays_in_it() -> None:
    of = column(np.random.default_rng(0).poisson(3, 400))
    codec = NumericCodec.fit(of, "integer")
    low, high = (codec.encode(of, np.full(400, end)) for end in (1e-9, 1.0 - 1e-9))
    for encoded in (low, high):
        assert (codec.decode(encoded.z, encoded.category, 400).values == of.values).all()
    assert low.z is not None
    assert high.z is not None
    assert (high.z > low.z).all()


def test_a_number_is_not_drawn_as_the_lump_below_it() -> None:
    """Of an amount that is 0 or at least 3, no number is drawn below 3."""
    values = np.where(HALF, 0, RNG.integers(3, 90, 500))
    codec = NumericCodec.fit(column(values), "integer")
    assert codec.point_masses == (0,)
    drawn = codec.decode(np.linspace(-9, 9, 99), np.zeros(99, np.int64), 99).values
    assert drawn.min() == values[values > 0].min()
    assert codec.decode(np.zeros(1), np.ones(1, np.int64), 1).values.tolist() == [0]


@pytest.mark.parametrize("name", ["integers", "cents", "days"])
def test_what_is_drawn_stays_between_the_ends_that_were_seen(name: str) -> None:
    kind, of = COLUMNS[name]
    codec = codec_of(kind, of)
    far = codec.decode(np.array([-50.0, 50.0]), np.zeros(2, np.int64), 2).values
    assert far.tolist() == [of.values.min(), of.values.max()]


def test_numbers_scaled_from_whole_ones_have_their_grid() -> None:
    """As scikit-learn's diabetes: whole numbers brought to mean 0 and a small deviation."""
    whole = np.random.default_rng(0).poisson(30, 400)
    scaled = (whole - whole.mean()) / np.linalg.norm(whole)
    codec = NumericCodec.fit(column(scaled), "continuous")
    assert codec.grid_step == pytest.approx(1 / np.linalg.norm(whole))
    drawn = codec.decode(np.random.default_rng(1).normal(size=99), None, 99).values
    cells = (drawn - scaled.min()) * np.linalg.norm(whole)
    np.testing.assert_allclose(cells, np.round(cells), atol=1e-6)
    assert (
        NumericCodec.fit(column(np.random.default_rng(0).normal(size=400)), "continuous").grid_step
        == 0
    )


def test_decimals_that_a_sum_rounded_are_decimals() -> None:
    rng = np.random.default_rng(1)
    exact = rng.normal(3000, 500, 500).round(2)
    summed = exact + np.where(rng.random(500) < 0.3, 1000.0, 0.0)
    differs = summed != np.round(summed, 2)
    assert 0 < differs.sum() < 100
    codec = NumericCodec.fit(column(summed), "continuous")
    assert codec.grid_step == 0.01
    encoded = codec.encode(column(summed), None)
    assert not encoded.unseen.any()
    drawn = codec.decode(encoded.z, encoded.category, 500).values
    np.testing.assert_array_equal(drawn, np.round(summed, 2))
    # Numbers so large that their last digits are all rounding lie on no such grid.
    large = NumericCodec.fit(column(rng.normal(1e9, 1e8, 500)), "continuous")
    assert large.grid_step == 0


def test_a_level_or_a_hole_that_was_never_seen_is_marked() -> None:
    words = CategoricalCodec.fit(column(np.array(["a", "b"] * 9, object)), "categorical")
    new = words.encode(column(np.array(["b", "c", "a"], object), [False, False, True]), None)
    assert new.unseen.tolist() == [False, True, True]
    assert new.category is not None
    assert new.category.tolist() == [1, -1, -1]
    numbers = NumericCodec.fit(column(np.arange(50)), "integer")
    assert numbers.encode(column(np.array([3, 0]), [False, True]), None).unseen.tolist() == [
        False,
        True,
    ]


def table() -> tuple[DataTable, dict[str, ColumnType]]:
    columns, kinds = [], {}
    for name, (kind, of) in COLUMNS.items():
        columns.append(Column(name, of.values, of.missing, dtype=f"dtype of {name}"))
        kinds[name] = kind
    return DataTable(tuple(columns)), kinds


def test_a_table_comes_back_through_json_and_the_network_s_numbers() -> None:
    rows, kinds = table()
    codec = TableCodec.fit(rows, kinds)
    again = TableCodec.from_dict(json.loads(json.dumps(codec.to_dict())))
    assert again == codec
    encoded = again.encode(rows)
    assert not encoded.unseen.any()
    assert encoded.numeric.isfinite().equal(again.present(encoded.categories))
    back = again.decode(encoded.numeric, encoded.categories)
    assert back.names == rows.names
    for one, other in zip(back, rows, strict=True):
        assert one.dtype == other.dtype
        if other.name != "large integers":  # beyond what float32 tells apart
            assert (one.present == other.present).all(), other.name
        assert (one.missing == other.missing).all(), other.name


def test_columns_are_found_by_name() -> None:
    rows, kinds = table()
    codec = TableCodec.fit(rows, kinds)
    turned = DataTable(rows.columns[::-1])
    assert codec.encode(turned).categories.equal(codec.encode(rows).categories)
    with pytest.raises(DataError, match="'days'"):
        codec.encode(DataTable(tuple(c for c in rows if c.name != "days")))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            np.array(["a"] * 500, object),
            "holds text, such as 'a' in row 1; the model learned integers",
        ),
        (np.arange(500) / 2, r"row 2, column 'integers': 0\.5 is no integer"),
        (np.array(["2024-01-01"] * 500, "datetime64[us]"), "holds dates"),
    ],
)
def test_a_column_of_another_type_is_refused(values: np.ndarray, fault: str) -> None:
    rows, kinds = table()
    codec = TableCodec.fit(rows, kinds)
    other = DataTable(
        tuple(column(values, name="integers") if c.name == "integers" else c for c in rows)
    )
    with pytest.raises(DataError, match=fault):
        codec.encode(other)


def test_rows_to_learn_are_the_encoded_ones_with_exact_codes() -> None:
    rows, kinds = table()
    codec = TableCodec.fit(rows, kinds)
    cells, encoded = codec.to_learn(rows)[torch.arange(len(rows))], codec.encode(rows)
    middle = cells.drawn(torch.full(cells.low.shape, 0.5))
    assert middle.categories.dtype == torch.int64
    assert middle.categories.equal(encoded.categories)
    assert encoded.numeric.isnan().any()
    torch.testing.assert_close(middle.numeric, encoded.numeric.nan_to_num(), rtol=0, atol=1e-5)
    some = cells[torch.tensor([7, 3])]
    assert len(some) == 2
    assert some.low.equal(cells.low[[7, 3]])
    assert some.high.equal(cells.high[[7, 3]])
    assert some.categories.equal(cells.categories[[7, 3]])


def test_wherever_a_value_is_put_in_its_cell_it_comes_back() -> None:
    rows, kinds = table()
    codec = TableCodec.fit(rows, kinds)
    cells = codec.to_learn(rows)[torch.arange(len(rows))]
    for seed in range(3):
        share = torch.rand(cells.low.shape, generator=torch.Generator().manual_seed(seed))
        drawn = cells.drawn(share)
        back = codec.decode(drawn.numeric, drawn.categories)
        for column in back:
            given = rows[column.name]
            assert column.missing.tolist() == given.missing.tolist()
            if column.values.dtype.kind in "if":  # as near as a float32 z can say
                off = np.abs(column.present - given.present).max(initial=0)
                assert off <= 1e-5 * (given.present.max(initial=0) - given.present.min(initial=0))
            else:
                assert column.present.tolist() == given.present.tolist()


RNG = np.random.default_rng(3)
FALLS = np.cumsum(RNG.choice([0.89, 1.79, 3.13], (4000, 4)), 1)
RECURRING = {
    "ages": RNG.integers(17, 90, 3000),
    "mostly whole degrees": np.where(
        RNG.random(4000) < 0.93, RNG.normal(12, 9, 4000).round(), RNG.normal(12, 9, 4000).round(2)
    ),
    "sums of three steps": FALLS[np.arange(4000), RNG.integers(0, 4, 4000)].round(2),
    "fractions on no grid": 1 / RNG.integers(1, 60, 3000),
}


def of_values(values: np.ndarray) -> NumericCodec:
    """The map alone: no value has a category of its own."""
    return NumericCodec.fit(
        column(values), "integer" if values.dtype.kind == "i" else "continuous", point_masses=False
    )


def drawn_of(codec: NumericCodec, n: int) -> np.ndarray:
    """What a perfect model draws: z is N(0, 1)."""
    z = np.random.default_rng(5).standard_normal(n)
    return codec.decode(z, np.zeros(n, np.int64), n).values


@pytest.mark.parametrize("name", RECURRING)
def test_a_value_that_recurs_is_drawn_as_often_as_it_was_there_and_no_other_is(name: str) -> None:
    values = RECURRING[name]
    drawn = drawn_of(of_values(values), 50_000)
    known, counts = np.unique(values, return_counts=True)
    rare = counts[counts < 5].sum() / len(values)
    new = (~np.isin(drawn, known)).mean()
    assert new <= rare + 0.01 if rare > 0.01 else new == 0
    found = np.array([(drawn == value).sum() for value in known])
    expected = counts / counts.sum() * len(drawn)
    many = counts >= 5
    statistic = ((found - expected) ** 2 / expected)[many].sum()
    assert stats.chi2(many.sum() - 1).sf(statistic) > 1e-3


@pytest.mark.parametrize("name", RECURRING)
def test_the_probabilities_of_values_that_recur_are_their_frequencies(name: str) -> None:
    values = RECURRING[name]
    codec = of_values(values)
    known, counts = np.unique(values, return_counts=True)
    known, counts = known[counts >= 5], counts[counts >= 5]
    encoded = codec.encode(column(known), None)
    assert encoded.z is not None
    assert not encoded.unseen.any()
    log_unit = np.log(codec.grid_step or 1)
    probability = np.exp(stats.norm.logpdf(encoded.z) + encoded.log_width + log_unit)
    # The first and the last lack what is beyond half a row.
    np.testing.assert_allclose(probability, counts / len(values), atol=1 / len(values))


CODED = np.where(RNG.random(2500) < 0.06, -999, (4 + RNG.normal(0, 0.8, 2500)).round(1))
BORN = np.datetime64("1950-01-01", "us") + RNG.integers(0, 20_000, 300) * DAY
FAR = np.where(np.arange(300) < 27, np.datetime64("9999-12-31", "us"), BORN)
FAR[30:36] = np.datetime64("1555-02-17", "us")


def test_a_code_that_stands_apart_is_a_point_mass_whatever_else_is_frequent() -> None:
    values = np.r_[np.repeat(np.arange(1.0, 31), 200), 30 * RNG.random(2000), np.full(10, -9999.0)]
    masses = NumericCodec.fit(column(values), "continuous").point_masses
    assert masses[0] == -9999
    assert len(masses) == 24


def test_a_code_that_stands_apart_is_a_category_and_nothing_is_drawn_near_it() -> None:
    codec = NumericCodec.fit(column(CODED), "continuous")
    assert codec.point_masses == (-999,)
    drawn = drawn_of(codec, 20_000)
    assert drawn.min() >= CODED[CODED > -999].min()
    assert "-999 may mean missing (--missing -999)" in described(codec)
    of_dates = NumericCodec.fit(column(FAR), "date")
    assert len(of_dates.point_masses) == 2
    assert "; 9999-12-31 may mean missing (--missing 9999-12-31)" in described(of_dates)
    days = drawn_of(of_dates, 20_000)
    assert days.min() >= BORN.min()
    assert days.max() <= BORN.max()


def test_a_frequent_value_among_the_others_is_no_code() -> None:
    wages = np.where(RNG.random(500) < 0.5, 0, RNG.integers(3, 90, 500))
    assert "may mean missing" not in described(of_values(wages))


def test_a_column_turned_over_has_the_law_turned_over() -> None:
    for n in (20, 40, 200, 1000):
        values = np.arange(n)
        ends = of_values(values).encode(column(values[[0, -1]]), None)
        assert ends.z is not None
        assert ends.z[0] == pytest.approx(-ends.z[1])
        assert ends.log_width[0] == pytest.approx(ends.log_width[1])


def test_floats_too_large_for_a_grid_keep_their_density() -> None:
    values = np.exp(RNG.normal(69, 1, 300))
    large = of_values(values).encode(column(values), None)
    small = of_values(values / 1e30).encode(column(values / 1e30), None)
    assert not large.unseen.any()
    np.testing.assert_allclose(large.log_width, small.log_width - np.log(1e30), atol=1e-6)


def test_repeated_measures_of_a_continuous_column_stay_continuous() -> None:
    heights = np.repeat(RNG.normal(170, 9, 300), 4)
    codec = of_values(heights)
    assert not codec.encode(column(RNG.normal(170, 9, 200).clip(150, 190)), None).unseen.any()
    assert np.isin(drawn_of(codec, 2000), heights).mean() < 0.01


def test_amounts_in_hundreds_are_drawn_in_hundreds_and_new_ones_are_known() -> None:
    amounts = np.exp(RNG.normal(8, 1, (2, 2000))).round(-2).astype(np.int64)
    codec = of_values(amounts[0])
    assert codec.grid_step == 100
    drawn = drawn_of(codec, 5000)
    assert (drawn % 100 == 0).all()
    inside = amounts[1][amounts[1] <= amounts[0].max()]
    assert codec.encode(column(inside), None).unseen.mean() < 0.02


def test_amounts_in_thousands_and_millions_are_drawn_as_they_were_written() -> None:
    amounts = np.exp(RNG.normal(13.5, 1, 3000))
    cells = [f"{x / 1e6:.1f}M" if x >= 1e6 else f"{x / 1e3:.0f}K" for x in amounts]
    found = formed(cells)
    assert isinstance(found, Formed)
    of = Column("x", found.values, np.zeros(3000, bool), form=found.form)
    codec = NumericCodec.fit(of, "integer", point_masses=False)
    drawn = [writer(of.form)(x) for x in drawn_of(codec, 5000).tolist()]
    assert all(re.fullmatch(r"[0-9]{1,3}K|[0-9]+\.[0-9]M", cell) for cell in drawn)
    assert len(set(drawn)) > 400
    shares = [sum("M" in cell for cell in each) / len(each) for each in (cells, drawn)]
    assert shares[1] == pytest.approx(shares[0], abs=0.03)


def test_nothing_is_drawn_in_a_gap_and_a_number_there_was_never_seen() -> None:
    values = np.concatenate([RNG.integers(0, 9, 900), RNG.integers(30, 39, 900)])
    codec = of_values(values)
    drawn = drawn_of(codec, 20_000)
    assert not ((drawn > 8) & (drawn < 30)).any()
    assert codec.has_gaps
    unseen = codec.encode(column(np.array([0, 20, 35])), None).unseen
    assert unseen.tolist() == [False, True, False]


def test_between_a_code_that_stands_apart_and_the_numbers_is_a_gap() -> None:
    values = np.concatenate([np.full(60, -999.0), RNG.normal(5, 1, 940).round(1)])
    codec = NumericCodec.fit(column(values), "continuous")
    assert codec.point_masses == (-999,)
    assert codec.has_gaps
    least, most = values[60:].min(), values.max()
    tried = np.array([-999, -400.0, least - 0.1, least, 5.0, most + 0.1, 12.0])
    encoded = codec.encode(column(tried), None)
    assert encoded.unseen.tolist() == [False, True, *[False] * 5]  # tails are no gap
    assert encoded.z is not None
    assert encoded.z[1] == codec.heights[0]  # at the gap's edge
    # Next to a heap of zeros there is none: the numbers begin beside it.
    amounts = np.concatenate([np.zeros(300), RNG.gamma(2, 3, 700)])
    assert not NumericCodec.fit(column(amounts), "continuous").has_gaps
    # Nor where it is no farther off than the numbers are wide.
    hours = np.concatenate([np.zeros(300), RNG.uniform(50, 90, 700)])
    assert not NumericCodec.fit(column(hours), "continuous").has_gaps


def test_a_gap_between_numbers_that_do_not_recur_is_one_too() -> None:
    values = np.concatenate([RNG.normal(size=500), RNG.normal(1000, 1, 500)])
    drawn = drawn_of(of_values(values), 20_000)
    low, high = values[values < 500].max(), values[values > 500].min()
    assert not ((drawn > low + 1e-9) & (drawn < high - 1e-9)).any()
    assert (drawn > 500).mean() == pytest.approx(0.5, abs=0.02)
    # Heavy tails have none: the farther out, the farther apart.
    heavy = of_values(np.exp(2 * RNG.normal(size=2000)))
    assert not heavy.has_gaps


def test_a_table_of_constants_has_nothing_to_learn() -> None:
    one = DataTable((column(np.zeros(9)), column(np.array(["a"] * 9, object), name="y")))
    with pytest.raises(DataError, match="every column is constant"):
        TableCodec.fit(one, {"x": "constant", "y": "constant"})


DAMAGE: dict[str, Any] = {
    "no list": {"table": 3, "rows": 4, "names": ["x"]},
    "no rows": {"table": [], "names": []},
    "part of a row": {"table": [], "rows": 2.7, "names": []},
    "nothing varies": {"table": [], "rows": 4, "names": ["x"]},
    "unknown part": {"table": [{"words": {}}], "rows": 4, "names": ["x"]},
    "two in one": {"table": [{"numeric": {}, "categorical": {}}], "rows": 4, "names": ["x"]},
    "missing fields": {"table": [{"numeric": {"name": "x"}}], "rows": 4, "names": ["x"]},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_description_is_refused(name: str) -> None:
    with pytest.raises(RunError, match="damaged"):
        TableCodec.from_dict(DAMAGE[name])


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("integers", {"knots": [1.0, 0.0]}),
        ("integers", {"heights": [0.0]}),
        ("integers", {"low": math.nan}),
        ("integers", {"low": "0"}),
        ("integers", {"low": 0.5}),
        ("integers", {"grid_step": "1"}),
        ("integers", {"grid_step": True}),
        ("integers", {"dtype": "object"}),
        ("integers", {"knots": [0.0, 5e-324]}),
        ("days", {"dtype": "float64"}),
        ("mostly zero", {"point_masses": [1.0, 0.0]}),
        ("words", {"categories": "xy"}),
        ("words", {"categories": ["x", None]}),
        ("words", {"declared": 5}),
        ("words", {"ordered": "yes"}),
        ("words", {"frame_dtype": 7}),
        ("integers", {"high": -1.0}),
        ("integers", {"grid_step": -1.0}),
        ("integers", {"dtype": "object|evil"}),
        ("integers", {"kind": "categorical"}),
        ("integers", {"has_missing": "yes"}),
        ("words", {"categories": ["a", "a"]}),
        ("words", {"kind": "integer"}),
        ("words", {"name": 3}),
        ("truths with holes", {"dtype": "float16"}),
    ],
)
def test_each_field_of_a_description_is_checked(part: str, changes: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(TableCodec.fit(*table()).to_dict()))
    for each in plain["table"]:
        ((_, told),) = each.items()
        if told["name"] == part:
            told.update(changes)
    with pytest.raises(RunError, match="damaged"):
        TableCodec.from_dict(plain)
