#!/usr/bin/env bash
# Versions: pyarrow 26.0.1, polars 2.1.0 (Python 3.11, Linux x86-64).
# Behaviour: casting a decimal column to float64 in pyarrow does not give the float64 nearest to each
#   decimal: 0.3 becomes 0.30000000000000004, and 13 in 100 of the amounts 0.01 ... 100.00 are one
#   float off. pyarrow's own cast by way of text (decimal -> string -> float64) and polars give the
#   nearest.
# One would guess: decimal 0.3 casts to the float that Python, NumPy, Parquet readers and every
#   parser write as 0.3; both types hold it as well as they can, and no rounding error is in sight.
# Why it matters: money in Parquet files and data frames is decimal. After the cast equality with
#   literals fails, `round(x, 2) == x` fails, counts of distinct values differ from those of the same
#   numbers in a CSV file, and whatever infers "two digits after the point" no longer finds them.
# Source: https://github.com/apache/arrow/issues/35942 and pull request 36667 (Decimal ToReal: the
#   integer is multiplied by a rounded 10^-scale, "within 1 ULP"); the page of pyarrow.compute.cast
#   says nothing of rounding.
# Output seen:
#   0.3 as float64: pyarrow 0.30000000000000004, by text 0.3, polars 0.3, Python 0.3
#   amounts 0.01 ... 100.00 that are not the nearest float64: pyarrow 1327, by text 0, polars 0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 polars==2.1.0

"$folder/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

import polars as pl
import pyarrow as pa

amounts = [Decimal(cents).scaleb(-2) for cents in range(1, 10_001)]
nearest = [float(each) for each in amounts]  # Python's is correctly rounded
array = pa.array(amounts)
ways = {
    "pyarrow": array.cast(pa.float64()).to_pylist(),
    "by text": array.cast(pa.string()).cast(pa.float64()).to_pylist(),
    "polars": pl.Series(amounts).cast(pl.Float64).to_list(),
}
tenths = [Decimal("0.3")]
shown = [
    ("pyarrow", pa.array(tenths).cast(pa.float64())[0].as_py()),
    ("by text", pa.array(tenths).cast(pa.string()).cast(pa.float64())[0].as_py()),
    ("polars", pl.Series(tenths).cast(pl.Float64)[0]),
    ("Python", float(tenths[0])),
]
print("0.3 as float64:", ", ".join(f"{name} {value!r}" for name, value in shown))
wrong = {n: sum(a != b for a, b in zip(v, nearest)) for n, v in ways.items()}
counts = ", ".join(f"{name} {count}" for name, count in wrong.items())
print(f"amounts 0.01 ... 100.00 that are not the nearest float64: {counts}")
assert [value for _, value in shown] == [0.1 + 0.2, 0.3, 0.3, 0.3], "the behaviour has changed"
assert wrong == {"pyarrow": 1327, "by text": 0, "polars": 0}, "the behaviour has changed"
PYTHON
