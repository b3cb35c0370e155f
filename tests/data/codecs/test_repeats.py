"""Columns that often repeat another: found, coded as a category, drawn with the other's value."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.codecs.repeats import Repeat
from sfumato.data.codecs.rules import stated
from sfumato.data.codecs.table import TableCodec, TableRows
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import RunError
from sfumato.training.masking import Masking

N = 2000


def table(columns: Mapping[str, Any], missing: Mapping[str, np.ndarray] | None = None) -> DataTable:
    none = np.zeros(N, bool)
    return DataTable(
        tuple(
            Column(name, np.asarray(values), (missing or {}).get(name, none))
            for name, values in columns.items()
        )
    )


def fitted(rows: DataTable, kind: ColumnType = "continuous", **rules: Any) -> TableCodec:
    return TableCodec.fit(rows, dict.fromkeys(rows.names, kind), **rules)


def repeats(codec: TableCodec) -> dict[str, str]:
    numeric = [part for part in codec.parts if isinstance(part, NumericCodec)]
    return {part.name: part.repeats for part in numeric if part.repeats}


def bills(seed: int = 0, share: float = 0.2) -> dict[str, np.ndarray]:
    """A bill; a payment, of the whole bill in such a share of the rows; an age."""
    rng = np.random.default_rng(seed)
    bill = rng.lognormal(7, 1, N).round(2)
    paid = np.where(rng.random(N) < share, bill, rng.lognormal(6, 1, N).round(1))
    return {"bill": bill, "paid": paid, "age": rng.normal(40, 9, N).round(3)}


def test_of_two_columns_that_are_often_equal_one_repeats_the_other() -> None:
    assert repeats(fitted(table(bills()))) == {"paid": "bill"}  # it has fewer values of its own
    assert repeats(fitted(table(bills(share=0.01)))) == {}
    dates = {
        name: np.datetime64("2024-01-01", "us") + (1000 * values).astype("timedelta64[s]")
        for name, values in bills().items()
    }
    assert repeats(fitted(table(dates), "date")) == {"paid": "bill"}


def test_equal_by_chance_is_no_repeating() -> None:
    rng = np.random.default_rng(1)
    ages = {"his": rng.integers(20, 50, N), "hers": rng.integers(20, 50, N)}
    few = (ages["his"] == ages["hers"]).mean()
    assert few > 0.02
    assert repeats(fitted(table(ages), "integer")) == {}
    often = ages | {"hers": np.where(rng.random(N) < 0.3, ages["his"], ages["hers"])}
    assert len(repeats(fitted(table(often), "integer"))) == 1
    # A number that both often are is a point mass, and none that is repeated.
    zero = np.where(rng.random((2, N)) < 0.5, 0, rng.normal(size=(2, N)).round(6))
    assert repeats(fitted(table(dict(zip("ab", zero, strict=True))))) == {}


def test_only_what_is_never_missing_and_on_the_same_grid_is_repeated() -> None:
    columns = bills()
    gone = np.random.default_rng(5).random(N) < 0.1
    assert repeats(fitted(table(columns, {"paid": gone}))) == {"paid": "bill"}
    assert repeats(fitted(table(columns, {"bill": gone}))) == {"bill": "paid"}
    assert repeats(fitted(table(columns, {"bill": gone, "paid": gone}))) == {}
    whole = np.where(
        columns["paid"] == columns["bill"], np.round(columns["bill"]), 7 + np.arange(N)
    )
    rows = table(
        columns
        | {
            "paid": whole.astype(np.int64),
            "bill": np.where(np.arange(N) % 2, whole, columns["bill"]),
        }
    )
    assert (
        repeats(
            TableCodec.fit(rows, {"bill": "continuous", "paid": "integer", "age": "continuous"})
        )
        == {}
    )
    # A sum may miss its decimals by the rounding of the sum.
    summed = columns | {
        "paid": np.where(
            np.arange(N) % 3, columns["paid"], columns["bill"] * 1.1 - columns["bill"] * 0.1
        )
    }
    assert ((summed["paid"] != columns["bill"]) & np.isclose(summed["paid"], columns["bill"])).any()
    codec = fitted(table(summed))
    (repeat,) = codec.repeats
    code = codec.encode(table(summed)).categories[:, repeat.category].numpy()
    assert ((code == repeat.code) == np.isclose(summed["paid"], summed["bill"], atol=1e-6)).all()


def test_what_repeats_the_same_is_settled_together() -> None:
    columns, rng = bills(), np.random.default_rng(6)
    other = np.where(rng.random(N) < 0.3, columns["bill"], rng.lognormal(6, 1, N).round(1))
    rows = table(columns | {"age": other})
    codec = fitted(rows)
    one, two = codec.repeats
    assert one.other_number == two.other_number
    known = np.tile([False, True, True], (N, 1))
    told = codec.encode(rows, known=known)
    hidden = replace(told, numeric=told.numeric.clone())
    hidden.numeric[:, one.other_number] = torch.nan
    both = codec.undecided(hidden, one) & codec.undecided(hidden, two)
    found = codec.decided(hidden, one, torch.ones(N, dtype=torch.bool))
    assert not codec.undecided(found, two)[both].any()
    equal = torch.from_numpy(columns["paid"] == other)
    codes = found.categories[:, two.category]
    assert (codes == two.code)[both & equal].all()
    assert (codes == 0)[both & ~equal].all()
    assert (both & equal).any()
    found = codec.decided(hidden, one, torch.zeros(N, dtype=torch.bool))
    assert (codec.undecided(found, two) == (both & ~equal))[both].all()


def test_none_repeats_itself_through_others() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(size=N).round(6)
    others = {
        name: np.where(rng.random(N) < share, first, rng.normal(size=N).round(6))
        for name, share in (("second", 0.5), ("third", 0.4), ("fourth", 0.3))
    }
    found = repeats(fitted(table({"first": first, **others})))
    assert len(found) == 3
    for name in found:
        seen = [name]
        while seen[-1] in found:
            assert found[seen[-1]] not in seen
            seen.append(found[seen[-1]])


def test_what_a_rule_binds_is_left_to_the_rule() -> None:
    columns = bills() | {"age": bills()["bill"] + 1}
    rows = table(columns)
    types = dict.fromkeys(rows.names, "continuous")
    codec = fitted(rows, rules=stated(["age = bill + 1"], rows, types))  # type: ignore[arg-type]
    assert repeats(codec) == {}


def test_what_repeats_comes_back_equal_and_the_rest_as_it_was() -> None:
    columns, rng = bills(), np.random.default_rng(3)
    rows = table(columns, {"paid": rng.random(N) < 0.1})
    codec = fitted(rows)
    encoded = codec.encode(rows)
    back = codec.decode(encoded.numeric.double(), encoded.categories)
    for name in columns:
        np.testing.assert_array_equal(back[name].missing, rows[name].missing)
        there = ~rows[name].missing
        np.testing.assert_allclose(back[name].values[there], columns[name][there], rtol=1e-6)
    same = (rows["paid"].values == rows["bill"].values) & ~rows["paid"].missing
    (repeat,) = codec.repeats
    assert encoded.numeric[same, repeat.number].isnan().all()
    # With another bill, what repeats it is that.
    numbers = encoded.numeric.double().clone()
    numbers[:, repeat.other_number] = 0.5
    back = codec.decode(numbers, encoded.categories)
    np.testing.assert_array_equal(back["paid"].values[same], back["bill"].values[same])


def test_no_value_beyond_a_columns_own_is_repeated() -> None:
    columns = bills()
    below = columns["bill"] < np.median(columns["bill"])
    columns["paid"] = np.where(below, columns["bill"], columns["paid"].clip(max=500))
    codec = fitted(table(columns))
    assert repeats(codec) == {"paid": "bill"}
    encoded = codec.encode(table(columns))
    back = codec.decode(torch.full((N, 3), 4.0).double(), encoded.categories)
    own = columns["paid"].max()
    assert back["bill"].values.max() > own
    assert back["paid"].values.max() <= own


def test_beside_what_is_not_known_it_is_open_whether_a_number_repeats_it() -> None:
    columns = bills()
    rows = table(columns)
    codec = fitted(rows)
    (repeat,) = codec.repeats
    same = columns["paid"] == columns["bill"]
    paid, bill = codec.columns.index("paid"), codec.columns.index("bill")
    known = np.ones((N, 3), bool)
    known[:, bill] = False
    told = codec.encode(rows, known=known)
    hidden = replace(told, numeric=told.numeric.clone())
    hidden.numeric[:, repeat.other_number] = torch.nan
    open_ = codec.undecided(hidden, repeat)
    # No bill is as small as the least payments, or has their one decimal alone.
    assert open_[same].all()
    beyond = columns["paid"] < columns["bill"].min()
    assert not open_[beyond].any()
    assert beyond.any()
    # Where it does, the bill is known; where not, the payment is a number like any.
    for does in (True, False):
        found = codec.decided(hidden, repeat, torch.full((N,), does))
        assert not codec.undecided(found, repeat).any()
        assert (found.categories[:, repeat.category][open_] == (repeat.code if does else 0)).all()
        back = codec.decode(found.numeric.double(), found.categories)["bill"].values
        assert np.allclose(back[open_], columns["paid"][open_]) == does
    # A bill that is missing is none that is repeated.
    absent = codec.encode(table(columns, {"bill": np.ones(N, bool)}))
    assert (absent.categories[:, repeat.category] == 0).all()
    known[:, paid], known[:, bill] = False, True
    told = codec.encode(rows, known=known)
    assert ((told.categories[:, repeat.category] == repeat.code).numpy() == same).all()


def test_a_chain_is_decided_from_its_end() -> None:
    rng = np.random.default_rng(4)
    first = rng.normal(size=N).round(6)
    second = np.where(rng.random(N) < 0.5, first, rng.normal(size=N).round(6))
    third = np.where(rng.random(N) < 0.4, second, rng.normal(size=N).round(6))
    rows = table({"first": first, "second": second, "third": third})
    codec = fitted(rows)
    ends, middle = codec.repeats
    assert ends.other_number == middle.number
    known = np.zeros((N, 3), bool)
    known[:, codec.columns.index(codec.numeric_parts[ends.number].name)] = True
    told = codec.encode(rows, known=known)
    numeric = torch.where(torch.from_numpy(known), told.numeric, torch.nan)
    categories = torch.where(torch.arange(2) == ends.category, told.categories, -1)
    shown = replace(told, numeric=numeric, categories=categories)
    assert codec.undecided(shown, ends).float().mean() > 0.9  # some have no equal elsewhere
    open_ = codec.undecided(shown, ends)
    assert not codec.undecided(shown, middle).any()
    once = codec.decided(shown, ends, torch.ones(N, dtype=torch.bool))
    assert codec.undecided(once, middle)[open_].all()
    twice = codec.decided(once, middle, torch.ones(N, dtype=torch.bool))
    last = codec.decode(twice.numeric.double(), twice.categories)
    values = [column.values[open_] for column in last]
    assert np.allclose(values[0], values[1])
    assert np.allclose(values[1], values[2])


# Of a number and categories of two columns, the first of which repeats the second.
REPEAT = Repeat(0, 0, 2, 1, 1, (0,))
MASKING = Masking((3, 2), (0, 1), repeats=(REPEAT,))


def test_masks_ask_whether_a_number_repeats_what_is_hidden() -> None:
    rows = TableRows(
        torch.tensor([[0.5, 0.7]]).repeat(8000, 1),
        torch.tensor([[2, 0], [2, 1], [0, 0], [1, 0]]).repeat(2000, 1),
    )
    source = torch.Generator().manual_seed(0)
    requested = MASKING(rows, torch.rand(8000, MASKING.draws, generator=source))
    condition = requested.condition
    own, other = condition.categories.unbind(1)
    first, second = condition.is_known.unbind(1)
    repeats = rows.categories[:, 0] == 2
    asked = first & (own == 3)
    # Numbers are shown without their category where it is asked for, and only beside a hidden one.
    assert asked.sum() > 20
    assert requested.hidden[asked, 0].all()
    assert not second[asked].any()
    assert {2, 0} == set(rows.categories[asked, 0].tolist())
    told = rows.categories[:, 1] == 1
    assert ((other == 2) | ~told)[asked].all()  # a frequent value is known by its category
    # Known without a question, a number that repeats is the other's; else both are as they are.
    assert not (repeats & first & ~asked).any()
    of_numbers = condition.is_noisy.any(1)
    assert (first & condition.is_noisy[:, 1] & of_numbers).any()
    assert not (repeats & first & of_numbers).any()
    assert (condition.is_known & condition.is_noisy).sum() == 0
    # In rows where a number has a category of its own for good, nothing is shown.
    assert not first[rows.categories[:, 0] == 1].any()


def test_to_learn_a_number_is_there_wherever_it_repeats() -> None:
    columns = bills()
    codec = fitted(table(columns))
    (repeat,) = codec.repeats
    cells = codec.to_learn(table(columns))[torch.arange(N)]
    same = columns["paid"] == columns["bill"]
    known = np.ones((N, 3), bool)
    known[:, codec.columns.index("bill")] = False
    z = codec.encode(table(columns), known=known).numeric[:, repeat.number]
    low, high = cells.low[:, repeat.number], cells.high[:, repeat.number]
    assert ((low <= z + 1e-5) & (z - 1e-5 <= high))[same].all()
    assert (low[same] != 0).all()


@pytest.mark.parametrize("other", ["paid", "nowhere", "age", 7])
def test_damaged_descriptions_are_refused(other: Any) -> None:
    types: dict[str, ColumnType] = {"bill": "continuous", "paid": "continuous", "age": "integer"}
    codec = TableCodec.fit(table(bills() | {"age": bills()["age"].astype(int)}), types)
    plain = codec.to_dict()
    assert repeats(TableCodec.from_dict(plain)) == {"paid": "bill"}
    own = [each["numeric"] for each in plain["table"]]
    if other == "age":  # which repeats the payment in turn
        own[2]["repeats"] = "paid"
    own[1]["repeats"] = other
    with pytest.raises(RunError, match="damaged"):
        TableCodec.from_dict(plain)


def test_a_model_from_before_repeats_nothing() -> None:
    codec = fitted(table(bills()))
    alone = tuple(replace(part, repeats="") for part in codec.numeric_parts)
    plain = replace(codec, parts=alone).to_dict()
    for each in plain["table"]:
        del each["numeric"]["repeats"]
    assert repeats(TableCodec.from_dict(plain)) == {}
