"""Columns that only name the rows: what is drawn for them."""

import json
import math
import re
import string
from dataclasses import asdict
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from sfumato.data.codecs.identifiers import IdentifierCodec, _written
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


NAMES = [
    "maria", "lopez", "james", "smith", "linda", "jones", "david", "brown", "susan",
    "davis", "karen", "wilson", "peter", "moore", "nancy", "helen", "laura", "scott",
    "kevin", "brian", "edward", "ronald", "angela", "amy", "anna", "emma", "george",
    "steven", "martha", "diana", "frank", "ralph", "alice", "julia", "henry", "carol",
    "ruth", "ryan", "jacob", "sarah", "betty", "ethan", "jerry",
]  # fmt: skip

KEYS = {
    "padded numbers in a row": ([f"C{k:06}" for k in RNG.permutation(300)], r"C\d{6}"),
    "numbers in a row": ([f"C{k}" for k in range(1, 301)], r"C\d{4}"),
    "numbers at random": (
        [f"{k:07}" for k in RNG.choice(10**7, 500, replace=False)],
        r"\d{7}",
    ),
    "plates": (
        [f"{a}{b}-{k}" for k, (a, b) in enumerate(RNG.choice([*string.ascii_uppercase], (300, 2)))],
        r"[A-Z][A-Z]-\d\d\d\d?",
    ),
    "invoices": ([f"INV-{2000 + k % 20}/{k}" for k in range(300)], r"INV-[1-9]\d{3}/[1-9]\d\d\d?"),
    "a middle that all share": ([f"{k:04}-A-{k % 7}" for k in range(300)], r"\d{4}-A-\d\d*"),
    "object ids": (
        [f"65f0{RNG.bytes(10).hex()}" for _ in range(60)],
        r"65f0[0-9a-f]{20}",
    ),
    "codes": (
        [
            "K1" + "".join(RNG.choice([*string.ascii_letters, *string.digits], 12))
            for _ in range(25)
        ],
        r"K1[A-Za-z0-9]{12}",
    ),
    "few uuids": (
        ["6FA459EA-EE8A-3CA4-894E-DB77E160355E", "16FD2706-8BAF-433B-82EB-8C7FADA847DA"],
        r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}",
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


@pytest.mark.parametrize("name", KEYS)
def test_no_key_of_the_file_can_be_told_from_the_model(name: str) -> None:
    keys = KEYS[name][0]
    part = IdentifierCodec.fit(column(keys))
    # What may stand at a place is what all keys share, or a class that is public.
    public = [string.digits, string.digits[1:], "0123456789abcdef", "0123456789ABCDEF"]
    public += [string.ascii_lowercase, string.ascii_uppercase, string.digits + string.ascii_letters]
    mail = "mail" in name
    for place, alphabet in enumerate(part.alphabets):
        shared = len(alphabet) == 1 and all(
            alphabet in (key[place : place + 1], key[place - len(part.alphabets) :][:1])
            for key in keys
        )
        assert shared or alphabet in public or mail or "uuid" in name
    # The keys beside the stretch are not at its ends.
    size = math.prod(map(len, part.alphabets))
    free = part.first - 1, part.first + part.count
    beside = [_written(part.step * end % size, part.alphabets) for end in free]
    assert not set(beside) & set(keys)


def test_a_number_alone_of_its_length_is_not_kept() -> None:
    part = IdentifierCodec.fit(column([5, 17, 20, 4915112345], "int64"))
    assert part.form == "key"
    assert part.alphabets == (string.digits[1:], *[string.digits] * 9)


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
        ([f"C{k}" for k in range(1, 10)], "object"),
        # One text of the most common length.
        (["maria-lopez-84" + "x" * k for k in range(30)], "object"),
        ([f"https://example.org/{'a' * k}/7" for k in range(30)], "object"),
        (["maria84", *(f"k{k}" for k in range(9))], "object"),
        # Names, in more than twenty keys of a length.
        ([f"{n}{a}{b}" for n in NAMES for a in "178" for b in "0369"], "object"),
        ([f"https://example.org/{n}/{a}" for n in NAMES for a in "12345"], "object"),
        ([f"{'AB'[k % 2]}{'XYZ'[k % 3]}-{k}" for k in range(100, 400)], "object"),
        ([f"C\x07{k:03}" for k in range(300)], "object"),
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


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([10**18 + 7, 3 * 10**18, 9 * 10**18], "int64"),  # 19 digits
        ([1e20, 3e20, 7e20], "float64"),
        ([2.0**53 + 2, 2.0**54, 2.0**55], "float64"),
        ([2**63 - 3, 2**63 - 2, 2**63 - 1], "int64"),  # in a row
        ([1e20, math.inf], "float64"),
    ],
)
def test_numbers_too_large_to_be_made_anew_are_left_empty(values: list[Any], dtype: str) -> None:
    part = IdentifierCodec.fit(column(values, dtype))
    assert part.form == "empty"
    assert part.make(0, 3, 0).missing.all()


def test_a_number_of_few_digits_is_not_one_of_the_file_s_with_zeros_before_it() -> None:
    ids = [0, 3, 5, 9]
    new = drawn(IdentifierCodec.fit(column(ids, "int64")), 3000)
    assert len({*new, *ids}) == 3004


@pytest.mark.parametrize(("dtype", "digits"), [("int64", 18), ("float64", 15)])
def test_the_largest_numbers_that_are_held_exactly_are_keys(dtype: str, digits: int) -> None:
    ids = [10**digits - 1 - 7 * k * k for k in range(40)]
    part = IdentifierCodec.fit(column(ids, dtype))
    assert part.form == "key"
    made = drawn(part, 2000)
    assert {len(str(int(value))) for value in made} == {digits}
    assert len({*made, *ids}) == 2040


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
        {"mark": ""},  # more keys than are free would not be distinct
        {"mark": "-" * 66},
        {"mark": "-" * 10**7},
        {"mark": "x"},
        {"other": 1},
        {"step": 0},
        {"step": 2},
        {"step": 10**4000 + 1},
        {"first": 10**4000},
        {"first": -(10**4000)},
        {"first": -1},
        {"count": 16**32},
        {"alphabets": ["ab"], "count": 1000, "first": 0, "step": 1},
        {"alphabets": [], "count": 1, "first": 0, "step": 1},
        {"alphabets": ["ab"] * 129, "count": 1, "first": 0, "step": 1},
        {"alphabets": "abc", "count": 1, "first": 0, "step": 1},
        *(
            {"alphabets": ["abc", each], "count": 1, "first": 0, "step": 1}
            for each in (
                "aa",
                "",
                "a\nb",
                "a b",
                "a\x00",
                "\ud800",
                "".join(map(chr, range(256, 321))),
            )
        ),
        {"dtype": "int64", "mark": ""},  # with letters
        {
            "alphabets": ["01", "12"],
            "dtype": "int64",
            "mark": "",
            "count": 1,
            "first": 0,
            "step": 1,
        },
        *(
            {
                "alphabets": ["12"] * places,
                "dtype": dtype,
                "mark": "",
                "count": 1,
                "first": 0,
                "step": 1,
            }
            for dtype, places in {"int64": 60, "float64": 16, "datetime64[us]": 3}.items()
        ),
    ],
)
def test_a_damaged_description_is_refused(change: dict[str, Any]) -> None:
    plain = asdict(IdentifierCodec.fit(column(KEYS["uuid"][0])))
    with pytest.raises((ValueError, TypeError)):
        IdentifierCodec.from_dict({**plain, **change})


def test_keys_that_are_just_sound_are_made() -> None:
    plain = asdict(IdentifierCodec.fit(column(KEYS["uuid"][0])))
    just = {"alphabets": ["ab"] * 128, "count": 2**128, "first": 2**128, "step": 2**128 - 1}
    most = "".join(chr(k) for k in range(33, 97))
    for sound in (
        {"mark": "-" * 65},
        just,
        {"alphabets": [most], "count": 64, "first": 64, "step": 63},
    ):
        part = IdentifierCodec.from_dict({**plain, "first": 0, "step": 1, "count": 1, **sound})
        assert len(set(drawn(part, 200))) == 200
    numbers = {**plain, **just, "alphabets": ["12"] * 8, "count": 1, "first": 0, "step": 1}
    part = IdentifierCodec.from_dict({**numbers, "dtype": "int64", "mark": ""})
    assert len(set(drawn(part, 200))) == 200
    assert len(set(part.make(10**9 - 5, 5, 0).values.tolist())) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"first": 2**53 - 10**9},
        {"first": -(10**4000)},
        {"dtype": "object"},
        {"dtype": "datetime64[us]"},
        {"mark": "-"},
        {"count": 5},
        {"step": 0},
        {"alphabets": ["ab"]},
        {"form": "empty"},  # which has no first
    ],
)
def test_damaged_running_numbers_are_refused(change: dict[str, Any]) -> None:
    plain = asdict(IdentifierCodec.fit(column(np.arange(7, 50), "int64")))
    assert IdentifierCodec.from_dict(plain).first == 7
    with pytest.raises((ValueError, TypeError)):
        IdentifierCodec.from_dict({**plain, **change})


def test_text_in_a_frame_s_type_of_integers_is_made() -> None:
    plain = asdict(IdentifierCodec.fit(column(KEYS["uuid"][0])))
    for form in (plain, asdict(IdentifierCodec.fit(column(["Ada", "Eva"])))):
        part = IdentifierCodec.from_dict({**form, "frame_dtype": "int8"})
        assert len(part.make(0, 5, 0).values) == 5


def test_a_description_of_before_there_were_identifiers_and_forms_is_read() -> None:
    table = DataTable(
        tuple(
            Column(name, np.array(values), np.zeros(40, bool))
            for name, values in {"x": RNG.normal(size=40), "k": np.arange(40) % 3}.items()
        )
    )
    codec = TableCodec.fit(table, table.column_types({}, ()))
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
