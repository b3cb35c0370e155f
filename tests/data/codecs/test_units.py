"""Columns of one unit: found where values are close, compared by their normal scores."""

import json
import math
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr, ndtri

from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.codecs.rules import stated
from sfumato.data.codecs.table import EncodedTable, TableCodec
from sfumato.data.codecs.units import Unit, found_in
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.denoisers.compared import Comparisons
from sfumato.errors import RunError

N = 6000


def table(columns: Mapping[str, Any]) -> DataTable:
    return DataTable(
        tuple(
            Column(name, np.asarray(values), np.zeros(len(values), bool))
            for name, values in columns.items()
        )
    )


def payments(rows: int = N) -> dict[str, np.ndarray]:
    """A bill, at times near its limit; a payment, near the bill in half of the rows; an age."""
    rng = np.random.default_rng(0)
    limit = rng.lognormal(9, 1, rows)
    bill = limit * np.where(rng.random(rows) < 0.3, rng.normal(0.98, 0.01, rows), rng.random(rows))
    near = bill * rng.normal(1, 0.01, rows)
    paid = np.where(rng.random(rows) < 0.5, near, rng.lognormal(6, 1, rows))
    return {"limit": limit, "bill": bill, "paid": paid, "age": rng.normal(4000, 900, rows)}


def fitted(rows: DataTable, kind: ColumnType = "continuous", **rules: Any) -> TableCodec:
    codec = TableCodec.fit(rows, dict.fromkeys(rows.names, kind), **rules)
    return codec.correlated(codec.to_learn(rows), torch.Generator().manual_seed(0))


def pairs(codec: TableCodec) -> set[tuple[str, str]]:
    return {(unit.names[a], unit.names[b]) for unit in codec.units for a, b in unit.pairs}


def test_columns_whose_values_are_close_are_of_one_unit() -> None:
    codec = fitted(table(payments()))
    assert [unit.names for unit in codec.units] == [("limit", "bill", "paid")]
    assert {("limit", "bill"), ("bill", "paid")} <= pairs(codec)
    dates = {
        name: np.datetime64("2024-01-01", "us") + (1000 * values).astype("timedelta64[s]")
        for name, values in payments().items()
    }
    assert {("limit", "bill"), ("bill", "paid")} <= pairs(fitted(table(dates), "date"))


def test_columns_that_are_close_by_chance_are_of_none() -> None:
    rng = np.random.default_rng(1)
    apart = {name: rng.permutation(values) for name, values in payments().items()}
    assert fitted(table(apart)).units == ()
    x = rng.normal(size=N)
    assert fitted(table({"x": x, "y": 10 + 0.1 * x + 0.01 * rng.normal(size=N)})).units == ()
    assert fitted(table(payments(2000))).units == ()  # too few rows to show such detail


def test_of_many_pairs_the_closest_are_compared() -> None:
    rng = np.random.default_rng(0)
    x = rng.lognormal(5, 1, 3000)
    near = {f"near {k}": x * rng.normal(1, 0.01, 3000) for k in range(11)}
    codec = fitted(table(near | {"far": x * rng.normal(1, 0.1, 3000)}))
    assert len(pairs(codec)) == 64  # of 66
    assert sum("far" in pair for pair in pairs(codec)) == 9  # of 11


def test_a_date_is_not_compared_with_a_number() -> None:
    x = np.random.default_rng(0).integers(0, 10**9, N)
    columns = {"number": x, "moment": x.astype("datetime64[us]"), "other": x + 1}
    kinds: dict[str, ColumnType] = {"number": "integer", "moment": "date", "other": "integer"}
    codec = TableCodec.fit(table(columns), kinds)
    codec = codec.correlated(codec.to_learn(table(columns)), torch.Generator().manual_seed(0))
    assert pairs(codec) == {("number", "other")}


def test_two_sets_of_columns_are_two_units() -> None:
    both = payments()
    two = both | {f"{name} 2": 1e5 + np.roll(values, 1) for name, values in both.items()}
    found = [unit.names for unit in fitted(table(two)).units]
    assert found == [("limit", "bill", "paid"), ("limit 2", "bill 2", "paid 2")]


def compared(codec: TableCodec, encoded: EncodedTable) -> tuple[Comparisons, np.ndarray]:
    comparisons = Comparisons.of(codec.units, codec.numeric_parts, codec.states)
    there = encoded.numeric.isfinite()
    return comparisons, comparisons(encoded.numeric.nan_to_num(), there, encoded.categories).numpy()


def test_a_comparison_is_of_normal_scores_over_the_tenth_percentile() -> None:
    """Eq. (1), by ranks among all values of the unit in the place of its corners."""
    columns = payments()
    codec = fitted(table(columns))
    (unit,) = codec.units
    comparisons, found = compared(codec, codec.encode(table(columns)))
    values = np.stack([columns[name] for name in unit.names], axis=1)
    ranks = values.ravel().argsort().argsort().reshape(values.shape)
    u = ndtri((ranks + 0.5) / ranks.size)
    assert found.shape == (N, len(comparisons)) == (N, len(unit.pairs))
    for k, (a, b) in enumerate(unit.pairs):
        apart = u[:, a] - u[:, b]
        assert unit.scales[k] == pytest.approx(np.quantile(np.abs(apart), 0.1), rel=0.1)
        inner = (np.abs(u[:, [a, b]]) < 2.5).all(1)  # where ranks are smooth
        expected = np.arcsinh(apart / unit.scales[k])[inner]
        assert np.corrcoef(found[inner, k], expected)[0, 1] > 0.99
        assert np.abs(found[inner, k] - expected).mean() < 0.15


def test_equal_values_differ_by_nothing_and_larger_ones_by_more() -> None:
    codec = fitted(table(payments()))
    (unit,) = codec.units
    # 10, 1 and 0.1 % below the bill, the bill, and as far above it.
    bill = np.full(7, 5000.0)
    paid = bill * np.array([0.9, 0.99, 0.999, 1, 1.001, 1.01, 1.1])
    rows = table({"limit": 2 * bill, "bill": bill, "paid": paid, "age": bill})
    _, found = compared(codec, codec.encode(rows))
    pair = unit.pairs.index((unit.names.index("bill"), unit.names.index("paid")))
    assert abs(found[3, pair]) < 0.05
    assert (np.diff(found[:, pair]) < 0).all()
    ten, one, tenth = found[:3, pair]
    assert one > 1  # is seen
    assert one > 5 * tenth  # a line near 0
    assert one + 1 < ten < 3 * one  # a logarithm farther out


def test_what_is_missing_is_not_compared() -> None:
    columns = payments()
    codec = fitted(table(columns))
    (unit,) = codec.units
    comparisons = Comparisons.of(codec.units, codec.numeric_parts, codec.states)
    encoded = codec.encode(table(columns))
    z, none = encoded.numeric[:50], encoded.categories[:50]
    for gone, name in enumerate(columns):
        there = torch.ones_like(z, dtype=torch.bool)
        there[:, gone] = False
        found, whole = (comparisons(z, each, none) for each in (there, torch.ones_like(there)))
        for k, (a, b) in enumerate(unit.pairs):
            beside = name in (unit.names[a], unit.names[b])
            assert torch.equal(found[:, k], torch.zeros(50) if beside else whole[:, k])


def test_what_is_no_number_has_a_place_on_no_curve() -> None:
    """As on the way of rows whose network has diverged."""
    codec = fitted(table(payments()))
    comparisons = Comparisons.of(codec.units, codec.numeric_parts, codec.states)
    z = torch.full((2, 4), torch.nan)
    assert comparisons(z, torch.ones_like(z, dtype=torch.bool), z[:, :0].long()).shape == (
        2,
        len(comparisons),
    )


def test_its_gradient_is_that_of_finite_differences() -> None:
    codec = fitted(table(payments()))
    comparisons = Comparisons.of(codec.units, codec.numeric_parts, codec.states)
    source = torch.Generator().manual_seed(0)
    z = 2 * torch.rand(20, 4, dtype=torch.float64, generator=source) - 1
    z = ((z * 128).floor() + 0.5) / 128  # in the middle of a line
    there, none = torch.ones_like(z, dtype=torch.bool), torch.zeros(20, 0, dtype=torch.int64)
    tangents = torch.randn(
        20, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    slopes = torch.autograd.functional.jacobian(lambda at: comparisons(at, there, none), z)
    expected = torch.einsum("npni,nki->nkp", slopes, tangents)
    torch.testing.assert_close(comparisons.along(z, there, none, tangents), expected)
    assert torch.autograd.gradcheck(
        lambda at: comparisons(at, there, none), z.requires_grad_(), eps=1e-4, atol=1e-4
    )


def test_a_row_s_comparisons_are_those_of_its_values_whatever_its_categories_say() -> None:
    """Row by row: frequent values, a column that repeats one that repeats a third, far numbers."""
    rng, none = np.random.default_rng(0), np.zeros(N, bool)
    values = rng.lognormal(5, 1, (3, N))
    values[:, : N // 10] = 0
    repeats = {"c": "b", "b": "a", "a": ""}
    parts = [
        replace(NumericCodec.fit(Column(name, of, none), "continuous"), repeats=other)
        for of, (name, other) in zip(values, repeats.items(), strict=True)
    ]
    corners = np.quantile(values, ndtr(np.linspace(-3.2, 3.2, 33)))
    unit = Unit(("c", "b", "a"), tuple(corners), ((0, 1), (0, 2), (1, 2)), (0.1, 0.2, 0.3))
    assert unit.is_sound
    comparisons = Comparisons.of([unit], parts, (0, 1, 2))
    # Every set of categories, those that are hidden among them, a hundred times.
    every = torch.cartesian_prod(*(torch.arange(part.sizes[0] + 1) for part in parts))
    codes = every.repeat(100, 1)
    there = torch.from_numpy(rng.random(codes.shape) < 0.7)
    z = torch.from_numpy(rng.integers(-640, 641, codes.shape) / 128)  # to 5; corners of u(z)

    def score(row: int, k: int) -> float:
        code = int(codes[row, k])
        if parts[k].repeats and code == parts[k].repeat_code:
            return score(row, k + 1)
        if code == 1:
            return float(unit.scores(np.array(0.0)))
        value = parts[k].value_at(z[row, k].clamp(-4, 4).numpy())
        return float(unit.scores(value)) if there[row, k] else math.nan

    u = np.array([[score(row, k) for k in range(3)] for row in range(len(z))])
    apart = np.stack([u[:, a] - u[:, b] for a, b in unit.pairs], axis=1) / unit.scales
    expected = np.arcsinh(np.nan_to_num(apart))
    np.testing.assert_allclose(comparisons(z, there, codes).numpy(), expected, atol=1e-12)
    z += 0.5 / 128  # where u(z) has a slope
    slopes = torch.autograd.functional.jacobian(
        lambda at: comparisons(at, there, codes).sum(0), z
    )  # rows know nothing of each other
    tangents = torch.eye(3).double().expand(len(z), 3, 3)
    found = comparisons.along(z, there, codes, tangents)
    torch.testing.assert_close(found, slopes.permute(1, 2, 0))


def test_values_that_are_often_equal_are_told_apart_no_further_than_a_thousandth() -> None:
    """Of two columns neither is said to repeat the other, as both are missing at times."""
    rng = np.random.default_rng(0)
    bill = rng.lognormal(6, 1, N)
    paid = np.where(rng.random(N) < 0.5, bill, rng.lognormal(6, 1, N))
    missing = rng.random(N) < 0.1
    rows = DataTable((Column("bill", bill, missing), Column("paid", paid, missing)))
    codec = fitted(rows)
    assert not codec.repeats
    assert [unit.scales for unit in codec.units] == [(1e-3,)]


def test_columns_of_a_rule_are_left_to_it() -> None:
    rng = np.random.default_rng(0)
    start = rng.lognormal(5, 1, N)
    rows = table({"start": start, "end": start * rng.uniform(1, 1.05, N), "x": rng.random(N)})
    assert pairs(fitted(rows)) == {("start", "end")}
    kinds: dict[str, ColumnType] = dict.fromkeys(rows.names, "continuous")
    assert fitted(rows, rules=stated(["end >= start"], rows, kinds)).units == ()


def test_frequent_values_and_repeated_ones_are_compared_too() -> None:
    columns, rng = payments(), np.random.default_rng(2)
    columns["bill"] = np.where(rng.random(N) < 0.1, 0, columns["bill"])
    whole = rng.random(N) < 0.2
    columns["paid"] = np.where(whole, columns["bill"], columns["paid"])
    columns["paid"] = np.where(rng.random(N) < 0.1, 500, columns["paid"])
    codec = fitted(table(columns))
    parts = {part.name: part for part in codec.numeric_parts}
    assert (parts["bill"].point_masses, parts["paid"].repeats) == ((0.0,), "bill")
    (unit,) = codec.units
    encoded = codec.encode(table(columns))
    comparisons, found = compared(codec, encoded)
    values = np.stack([columns[name] for name in unit.names], axis=1)
    u = unit.scores(values)
    for k, (a, b) in enumerate(unit.pairs):
        expected = np.arcsinh((u[:, a] - u[:, b]) / unit.scales[k])
        assert np.quantile(np.abs(found[:, k] - expected), 0.99) < 0.1
        exact = np.isin(values[:, [a, b]], (0, 500)).all(1)  # both are frequent
        np.testing.assert_allclose(found[exact, k], expected[exact], atol=1e-12)
    pair = unit.pairs.index((unit.names.index("bill"), unit.names.index("paid")))
    assert (found[whole & (columns["paid"] != 500), pair] == 0).all()
    # Of a category that is hidden nothing is known.
    sizes = torch.tensor(codec.sizes).expand_as(encoded.categories)
    always = (torch.tensor(codec.states) < 0).expand(N, -1)
    hidden = comparisons(encoded.numeric.nan_to_num(), always, sizes)
    unknown = [bool({"bill", "paid"} & {unit.names[a], unit.names[b]}) for a, b in unit.pairs]
    assert any(unknown)
    assert not hidden[:, unknown].any()


def test_a_column_is_of_the_unit_of_the_one_that_it_repeats() -> None:
    """Two pairs that are close, and now and then a column of one has the value of one of the other.

    Were they two units, its score there would be one of the other unit.
    """
    rng = np.random.default_rng(0)
    columns = {"c": rng.lognormal(4, 1, N), "d": rng.lognormal(6, 1, N)}
    for name, near in (("a", "c"), ("b", "d")):
        factor = np.where(rng.random(N) < 0.5, rng.normal(1, 0.01, N), rng.lognormal(0, 1, N))
        columns[name] = columns[near] * factor
    columns["a"] = np.where(rng.random(N) < 0.07, columns["b"], columns["a"])
    codec = fitted(table(columns))
    assert codec.repeats
    assert pairs(codec) == {("c", "a"), ("d", "b")}
    (unit,) = codec.units
    _, found = compared(codec, codec.encode(table(columns)))
    u = {name: unit.scores(values) for name, values in columns.items()}
    for k, (a, b) in enumerate(unit.pairs):
        expected = np.arcsinh((u[unit.names[a]] - u[unit.names[b]]) / unit.scales[k])
        assert np.quantile(np.abs(found[:, k] - expected), 0.99) < 0.1
    # A stranger's file may not have them apart either.
    plain = codec.to_dict()
    whole = {
        k: list(map(list, v)) if k == "pairs" else list(v) for k, v in plain["units"][0].items()
    }
    apart = [
        whole | {"names": list(names), "pairs": [[0, 1]], "scales": [0.1]}
        for names in (("a", "c"), ("b", "d"))
    ]
    TableCodec.from_dict(plain | {"units": apart[:1]})
    with pytest.raises(RunError, match="description of its columns is damaged"):
        TableCodec.from_dict(plain | {"units": apart})


def test_many_columns_of_one_unit_take_little_memory() -> None:
    """32 columns: what each of their pairs needs is not kept."""
    rng = np.random.default_rng(0)
    base = rng.lognormal(5, 1, N)
    codec = TableCodec.fit(
        rows := table({f"x{k}": base * rng.normal(1, 0.02, N) for k in range(32)}),
        dict.fromkeys(rows.names, "continuous"),
    )
    values = np.stack([column.values for column in rows], axis=1)
    tracemalloc.start()
    (unit,) = found_in(values, codec.numeric_parts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(unit.pairs) == 64
    assert peak < 8 * values.nbytes


def test_a_codec_keeps_its_units_through_json() -> None:
    codec = fitted(table(payments()))
    again = TableCodec.from_dict(json.loads(json.dumps(codec.to_dict())))
    assert again.units == codec.units
    older = {name: part for name, part in codec.to_dict().items() if name != "units"}
    assert TableCodec.from_dict(older).units == ()


def changed(unit: dict[str, Any]) -> list[dict[str, Any]]:
    """Units that are none."""
    corners = list(unit["corners"])
    return [
        unit | {"names": ["limit", "bill", "nobody"]},
        unit | {"names": ["limit", "bill", "bill"]},
        unit | {"names": "limit"},
        unit | {"corners": corners[::-1]},
        unit | {"corners": corners[1:]},
        unit | {"corners": [*corners[1:], float("nan")]},
        unit | {"corners": [*corners[1:], "9"]},
        unit | {"pairs": [[0, 9]] * len(unit["pairs"])},
        unit | {"pairs": [[0, 1, 2]] * len(unit["pairs"])},
        unit | {"pairs": [[0, 1.0]] * len(unit["pairs"])},
        unit | {"pairs": [], "scales": []},
        unit | {"pairs": unit["pairs"][:1]},
        unit | {"scales": [0.0] * len(unit["pairs"])},
        unit | {"scales": [True] * len(unit["pairs"])},
        unit | {"more": 1},
        {"names": unit["names"]},
    ]


def test_units_of_a_stranger_are_looked_at() -> None:
    plain = fitted(table(payments())).to_dict()
    (unit,) = plain["units"]
    unit = {k: list(map(list, v)) if k == "pairs" else list(v) for k, v in unit.items()}
    assert TableCodec.from_dict(plain | {"units": [unit]}).units
    for of in [*([each] for each in changed(unit)), [unit, unit], "units", [3]]:
        with pytest.raises(RunError, match="description of its columns is damaged"):
            TableCodec.from_dict(plain | {"units": of})
    with pytest.raises(RunError, match="description of its columns is damaged"):
        TableCodec.from_dict(plain | {"units": [unit], "correlations": []})
    # More frequent values than a fit finds: a table of them would be as wide for every column.
    for count in (24, 25):
        many = json.loads(json.dumps(plain))
        many["table"][0]["numeric"]["point_masses"] = [float(k) for k in range(count)]
        if count == 24:
            assert TableCodec.from_dict(many).units
        else:
            with pytest.raises(RunError, match="description of its columns is damaged"):
                TableCodec.from_dict(many)
