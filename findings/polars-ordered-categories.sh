#!/usr/bin/env bash
# Versions: polars 2.1.0, pandas 3.1.1, pyarrow 26.0.1 (Python 3.11, Linux x86-64).
# Behaviour: an ordered categorical of pandas (small < medium < large) arrives in polars, by
#   from_pandas and by a Parquet file alike, as a Categorical in the order of the alphabet. Nothing is
#   said. sort, min, max and comparisons with a literal give other rows than in pandas.
# One would guess: the order is kept (as an Enum, polars' type for it), or the conversion refuses.
#   Arrow's dictionary type has a flag `ordered`, it is set in the file, and polars sets it for Enums
#   that it writes, which pandas reads back as an ordered categorical.
# Why it matters: `size >= "medium"` keeps medium and large in pandas, and medium and small in polars.
#   Rows of tables with grades, sizes or answers are chosen and sorted wrongly without an error.
#   Cast to pl.Enum with the categories in their order after reading.
# Source: https://github.com/pola-rs/polars/pull/28057 (the choice of another order was removed),
#   https://docs.pola.rs/user-guide/expressions/categorical-data-and-enums/ (categoricals are
#   compared as text; what becomes of another library's order is not said),
#   https://arrow.apache.org/docs/python/generated/pyarrow.DictionaryType.html (ordered).
# Output seen:
#   the file's type: dictionary<values=string, indices=int8, ordered=1>
#   pandas         >= medium: ['medium', 'large']  max: large
#   from_pandas    >= medium: ['small', 'medium']  max: small
#   read_parquet   >= medium: ['small', 'medium']  max: small
#   cast to Enum   >= medium: ['medium', 'large']  max: large
#   Enum by polars to pandas: ordered
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1

"$folder/venv/bin/python" - "$folder/sizes.parquet" <<'PYTHON'
import sys

import pandas as pd
import polars as pl
import pyarrow.parquet as pq

sizes = ["small", "medium", "large"]
frame = pd.DataFrame({"size": pd.Categorical(sizes, sizes, ordered=True)})
frame.to_parquet(sys.argv[1])
print("the file's type:", pq.read_schema(sys.argv[1]).field("size").type)

column = frame["size"]
found = {"pandas": (column[column >= "medium"].tolist(), column.max())}
read = pl.read_parquet(sys.argv[1])
ways = {
    "from_pandas": pl.from_pandas(frame),
    "read_parquet": read,
    "cast to Enum": read.with_columns(pl.col("size").cast(pl.Enum(sizes))),
}
for name, each in ways.items():
    kept = each.filter(pl.col("size") >= "medium")["size"]
    found[name] = (kept.to_list(), each["size"].max())
for name, (kept, largest) in found.items():
    print(f"{name:<14} >= medium: {kept}  max: {largest}")
back = ways["cast to Enum"].to_pandas()["size"].dtype
print("Enum by polars to pandas:", "ordered" if back.ordered else "not ordered")
right, turned = (["medium", "large"], "large"), (["small", "medium"], "small")
assert list(found.values()) == [right, turned, turned, right], "the behaviour has changed"
assert back.ordered, "the behaviour has changed"
PYTHON
