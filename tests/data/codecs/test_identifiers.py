"""Columns that only name the rows: what is drawn for them."""

import json
import re
import string
from dataclasses import asdict
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from sfumato.data.codecs.identifiers import IdentifierCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.data.table import Column, DataTable
from sfumato.errors import RunError

RNG = np.random.default_rng(0)


def column(values: Any, dtype: str = "object") -> Column:
    held = np.array(values, dtype=dtype)
    return Column("id", held, np.zeros(len(held), bool))


def drawn(part: IdentifierCodec, count: int, seed: int = 0) -> list[Any]:
    made = part.make(0, count, seed)
    assert not made.missing.any()
    return list(made.values.tolist())


def uuids(count: int) -> list[str]:
    return [str(UUID(bytes=RNG.bytes(16), version=4)) for _ in range(count)]


KEYS = {
    "padded numbers in a row": ([f"C{k:06}" for k in RNG.permutation(300)], r"C\d{6}"),
    "numbers in a row": ([f"C{k}" for k in range(1, 301)], r"C\d{4}"),
    "numbers at random": (
        [f"{k:07}" for k in RNG.choice(10**7, 500, replace=False)],
        r"\d{7}",
    ),
    "plates": (
        [f"{'AB'[k % 2]}{'XYZ'[k % 3]}-{k}" for k in range(100, 400)],
        r"[AB][XYZ]-[1-9]\d\d\d",
    ),
    "mail": ([f"a.user{k}@mail{k % 3}.org" for k in range(200)], r"[a-z]{10}@example\.com"),
    "mail of nobody": (
        ["".join(RNG.choice([*string.ascii_lowercase], 10)) + "@example.com" for _ in range(200)],
        r"[a-z]{10}@example\.com",
    ),
    "uuid": (
        uuids(300),
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    ),
    "marks": ([f"x--{k:05}" for k in range(50)], r"x--\d{5}"),
}


@pytest.mark.parametrize(("keys", "shape"), KEYS.values(), ids=KEYS)
def test_keys_are_new_ones_of_the_same_shape(keys: list[str], shape: str) -> None:
    part = IdentifierCodec.fit(column(keys))
    assert part.form == "key"
    new = drawn(part, 1000)
    assert all(re.fullmatch(shape, key) for key in new)
    assert len({*new, *keys}) == 1000 + len(keys)
    assert new != drawn(part, 1000, seed=1)
    assert not set(keys) & set(drawn(part, 1000, seed=1))


def test_a_key_depends_on_the_seed_and_its_row_alone() -> None:
    part = IdentifierCodec.fit(column(uuids(50)))
    whole = part.make(0, 100, 3).values.tolist()
    assert whole == [*part.make(0, 37, 3).values, *part.make(37, 63, 3).values]


def test_more_keys_than_are_free_are_marked() -> None:
    keys = [f"a--{k:03}" for k in range(40)] + ["a--001---7"]
    part = IdentifierCodec.fit(column(keys))
    new = drawn(part, 3 * part.count)
    assert len({*new, *keys}) == len(new) + len(keys)
    assert re.fullmatch(r"a--\d+----2", new[-1])


def test_integers_that_leave_gaps_are_keys_too() -> None:
    ids = RNG.choice(9 * 10**9, 400, replace=False) + 10**9
    part = IdentifierCodec.fit(column(ids, "int64"))
    made = part.make(0, 500, 0)
    assert made.values.dtype == np.int64
    assert len({*made.values.tolist(), *ids.tolist()}) == 900
    assert all(len(str(value)) == 10 for value in made.values)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_running_numbers_are_numbered_anew(dtype: str) -> None:
    part = IdentifierCodec.fit(column(RNG.permutation(50) + 1, dtype))
    assert part.form == "number"
    made = part.make(1000, 3, 7)
    assert made.values.dtype == dtype
    assert made.values.tolist() == [1001, 1002, 1003]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([f"words {k} and words" for k in range(30)], "object"),
        (["Ada", "Eva", "Ida"], "object"),
        (["C1", "C2", "C2"], "object"),
        ([0.5, 1.5, 2.5], "float64"),
        ([7, 7, 9], "int64"),
        (["2024-03-01", "2024-03-02"], "datetime64[us]"),
    ],
)
def test_what_cannot_be_made_anew_is_left_empty(values: list[Any], dtype: str) -> None:
    made = IdentifierCodec.fit(column(values, dtype)).make(0, 5, 0)
    assert made.missing.all()
    assert made.values.dtype == np.dtype(dtype)


def test_a_frame_s_type_is_kept_unless_numbers_outgrow_it() -> None:
    ids = Column("id", np.arange(100), np.zeros(100, bool), dtype="UInt8")
    part = IdentifierCodec.fit(ids)
    assert [part.make(0, n, 0).dtype for n in (256, 257)] == ["UInt8", ""]


@pytest.mark.parametrize("name", KEYS)
def test_it_comes_back_from_plain_values(name: str) -> None:
    part = IdentifierCodec.fit(column(KEYS[name][0]))
    assert IdentifierCodec.from_dict(json.loads(json.dumps(asdict(part)))) == part


@pytest.mark.parametrize(
    "change",
    [
        {"form": "word"},
        {"count": 0},
        {"count": 2.5},
        {"dtype": "bool"},
        {"alphabets": ["ab", ""]},
        {"alphabets": ["ab"] * 1000},
        {"alphabets": [3]},
        {"mark": 7},
        {"other": 1},
    ],
)
def test_a_damaged_description_is_refused(change: dict[str, Any]) -> None:
    plain = asdict(IdentifierCodec.fit(column(KEYS["uuid"][0])))
    with pytest.raises((ValueError, TypeError)):
        IdentifierCodec.from_dict({**plain, **change})


def test_a_description_of_before_there_were_identifiers_and_forms_is_read() -> None:
    table = DataTable(
        tuple(
            Column(name, np.array(values), np.zeros(40, bool))
            for name, values in {"x": RNG.normal(size=40), "k": np.arange(40) % 3}.items()
        )
    )
    codec = TableCodec.fit(table, table.column_types({}))
    plain = json.loads(json.dumps(codec.to_dict()))
    assert TableCodec.from_dict(plain) == codec
    old = {name: value for name, value in plain.items() if name != "identifiers"}
    for part in old["table"]:
        for fields in part.values():
            assert fields.pop("form") == ""
    assert TableCodec.from_dict(old) == codec
    for part in old["table"]:
        for fields in part.values():
            fields["form"] = "%Q%d"
    with pytest.raises(RunError):
        TableCodec.from_dict(old)
