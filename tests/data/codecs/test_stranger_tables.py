"""Descriptions of a table's columns from a stranger's file: sound, or refused when opened."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from sfumato.data.codecs.table import TableCodec
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import RunError

DAY = np.timedelta64(1, "D")
FIRST, LAST = np.datetime64("0001-01-01", "us"), np.datetime64("9999-12-31", "us")
N = np.arange(40)
COLUMNS: dict[str, tuple[ColumnType, np.ndarray]] = {
    "integers": ("integer", N * 7),
    "large integers": ("integer", np.where(N < 20, -(2**53), 2**53) + np.where(N < 20, N, -N)),
    "decimals": ("continuous", N / 10),
    "two decimals": ("continuous", np.where(N < 20, 0.2, 0.3)),
    "huge": ("continuous", np.where(N < 20, -1e300, 1e250) * (N + 1)),
    "moments": ("date", np.where(N < 20, FIRST + N * DAY, LAST - N * DAY)),
    "text": ("categorical", np.array(["a", "b"], object)[N % 2]),
    "booleans": ("boolean", N % 2 == 0),
    "few integers": ("ordinal", N % 3),
    "few decimals": ("ordinal", N % 3 / 2),
    "few days": ("ordinal", np.datetime64("2024-03-01T10:00", "us") + N % 3 * DAY),
}
INTEGERS = ("integers", "large integers", "few integers")
FORMS = {
    "%d.%m.%Y": ("moments", "few days"),
    "%-d.%m.%y %H:%M:%S.%3f": ("moments", "few days"),
    "h:mm": INTEGERS,
    "hh:mm:ss": INTEGERS,
    "1,234": (*INTEGERS, "decimals", "two decimals", "huge", "few decimals"),
    "$1,234.00": (*INTEGERS, "decimals", "two decimals", "huge", "few decimals"),
    "%d.%f": (),
    "1235": (),
}


def described(changed: str = "", changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A sound description with some fields of a column changed."""
    table = DataTable(
        tuple(Column(name, of, np.zeros(len(N), bool)) for name, (_, of) in COLUMNS.items())
    )
    codec = TableCodec.fit(table, {name: kind for name, (kind, _) in COLUMNS.items()})
    plain: dict[str, Any] = json.loads(json.dumps(codec.to_dict()))
    for part in plain["table"]:
        for fields in part.values():
            if fields["name"] == changed:
                fields.update(changes or {})
    return plain


def test_what_was_fitted_is_sound() -> None:
    plain = described()
    assert json.loads(json.dumps(TableCodec.from_dict(plain).to_dict())) == plain


@pytest.mark.parametrize(
    ("dtype", "zone"),
    [
        ("datetime64[us, {}]", "Mars/Olympus"),
        ("timestamp[ms, tz={}]", "America"),  # a folder of the tz database
        ("timestamp[ms, tz={}][pyarrow]", "../../etc/passwd"),
        ("Datetime(time_unit='us', time_zone='{}')", "+25:00"),
        ("datetime64[us, {}]", "Europe/Paris"),
        ("timestamp[us, tz={}]", "-03:30"),
    ],
)
def test_a_time_zone_is_one_that_is_known(dtype: str, zone: str) -> None:
    plain = described("moments", {"frame_dtype": dtype.format(zone)})
    if zone in ("Europe/Paris", "-03:30"):
        assert TableCodec.from_dict(plain)
    else:
        with pytest.raises(RunError, match=f"column 'moments' is .* zone '{re.escape(zone)}', whi"):
            TableCodec.from_dict(plain)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_form_fits_the_type_of_the_column(form: str, name: str) -> None:
    plain = described(name, {"form": form})
    if name in FORMS[form]:
        assert TableCodec.from_dict(plain)
    else:
        with pytest.raises(RunError, match="damaged"):
            TableCodec.from_dict(plain)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("integers", {"low": -(10**30)}),
        ("integers", {"low": -(2**53) - 1}),
        ("integers", {"high": 2**53 + 1}),
        ("integers", {"high": 10**4000}),
        ("integers", {"point_masses": [0.5]}),
        ("integers", {"point_masses": [7.0]}),
        ("integers", {"point_masses": [2**53 + 1]}),
        ("integers", {"grid_step": 1e300}),
        ("integers", {"grid_step": 274}),  # the range is 273
        ("decimals", {"grid_step": 1e300}),
        ("decimals", {"low": -(10**30)}),
        ("decimals", {"low": -1.7e308, "high": 1.7e308}),
        ("decimals", {"point_masses": [math.inf]}),
        ("moments", {"low": -(2**63) + 1}),
        ("moments", {"low": int(FIRST.astype(np.int64)) - 1}),
        ("moments", {"high": int((LAST + DAY).astype(np.int64))}),
        ("moments", {"point_masses": [2**62]}),
        ("moments", {"point_masses": [0.5]}),
        ("few integers", {"grid_step": 10**4000}),
        ("few integers", {"categories": [0, 2**64]}),
        ("few decimals", {"categories": [0.0, math.nan]}),
        ("few decimals", {"categories": [0.0, math.inf]}),
        ("few days", {"categories": ["2024-03-01", "NaT"]}),
        ("few days", {"categories": ["2024-03-01", "today"]}),
        ("few days", {"categories": ["2024-03-01", "10000-01-01"]}),
        ("few days", {"categories": ["2024-03-01", "-0001-12-31"]}),
        ("text", {"form": 3}),
        ("text", {"form": ["h:mm"]}),
    ],
)
def test_what_no_column_holds_is_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="damaged"):
        TableCodec.from_dict(described(name, changes))


def test_an_identifier_that_is_not_sound_is_refused() -> None:
    plain = described()
    unsound: list[Any] = [None, 3, "key", [], {}, {"name": "id", "form": "key", "dtype": "object"}]
    for each in unsound:
        with pytest.raises(RunError, match="damaged"):
            TableCodec.from_dict({**plain, "identifiers": [each]})


def of_correlations(change: Any) -> dict[str, Any]:
    """A sound description with correlations of its numbers, changed."""
    plain = described()
    count = len(TableCodec.from_dict(plain).states)
    matrix = (0.5 * np.eye(count) + 0.5).tolist()
    change(matrix)
    return plain | {"correlations": matrix}


def test_correlations_are_read_as_they_were() -> None:
    plain = of_correlations(lambda matrix: None)
    assert json.loads(json.dumps(TableCodec.from_dict(plain).to_dict())) == plain


@pytest.mark.parametrize(
    "change",
    [
        lambda matrix: matrix.pop(),
        lambda matrix: matrix[0].pop(),
        lambda matrix: matrix[0].__setitem__(0, 2.0),
        lambda matrix: matrix[0].__setitem__(1, 0.4),
        lambda matrix: [row.__setitem__(slice(None), [1.0] * len(row)) for row in matrix],
        lambda matrix: [each.__setitem__(k, math.nan) for each, k in ((matrix[0], 1),)],
        lambda matrix: matrix.__setitem__(0, 3),
        lambda matrix: matrix[1].__setitem__(0, "0.5"),
    ],
    ids=[
        "a row less",
        "a short row",
        "diagonal",
        "unsymmetric",
        "singular",
        "nan",
        "no row",
        "text",
    ],
)
def test_what_are_no_correlations_is_refused(change: Any) -> None:
    with pytest.raises(RunError, match="damaged"):
        TableCodec.from_dict(of_correlations(change))
