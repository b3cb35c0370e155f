#!/usr/bin/env bash
# Versions: pyarrow 26.0.1, pandas 3.1.1 (Python 3.11, Linux x86-64).
# Behaviour: pandas calls the zone of "2024-01-01 12:00+01:00" `UTC+01:00`, and its dtype says so. A
#   pyarrow timestamp of a zone with that name is made and written to Parquet without a word; pandas
#   cannot read the file: "The zoneinfo module or pytz package must be installed", though zoneinfo
#   is. pandas' own writer gives Arrow the name `+01:00`, which is read.
# One would guess: the name that pandas prints is one that it reads; and a zone that cannot be
#   resolved is refused when the column is made or written, for that reason.
# Why it matters: software that remembers a column by the text of its dtype and builds the Arrow type
#   from it writes files that nobody opens with pandas, and whoever meets the message looks for a
#   package that is there. Zones by name (Europe/Paris) and UTC work, so that tests pass.
# Source: the page of Arrow's Schema.fbs (a time zone is an Olson name or an offset such as +07:30);
#   the page of pyarrow.timestamp does not say that the name is not looked at.
# Output seen:
#   pandas: datetime64[us, UTC+01:00]; its own writer: timestamp[us, tz=+01:00]
#   written with UTC+01:00: ArrowInvalid: The zoneinfo module or pytz package must be installed.
#   written with +01:00: datetime64[us, UTC+01:00]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1

"$folder/venv/bin/python" - "$folder/times.parquet" <<'PYTHON'
import sys
import zoneinfo  # noqa: F401 - it is there
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

series = pd.Series(pd.to_datetime(["2024-01-01 12:00+01:00"]))
own = str(pa.Array.from_pandas(series).type)
print(f"pandas: {series.dtype}; its own writer: {own}")


def read_back(zone: str) -> str:
    column = pa.array([datetime(2024, 1, 1, 11)], pa.timestamp("us", zone))
    pq.write_table(pa.table({"t": column}), sys.argv[1])
    try:
        found = str(pd.read_parquet(sys.argv[1])["t"].dtype)
    except pa.ArrowInvalid as error:
        found = f"ArrowInvalid: {error}"
    print(f"written with {zone}: {found}")
    return found


named, by_offset = read_back("UTC+01:00"), read_back("+01:00")
assert (str(series.dtype), own) == ("datetime64[us, UTC+01:00]", "timestamp[us, tz=+01:00]")
assert "must be installed" in named, "the behaviour has changed"
assert by_offset == "datetime64[us, UTC+01:00]", "the behaviour has changed"
PYTHON
