"""What the explorer's page is given of a table: real rows, and rows that are drawn as it asks.

Numbers are float64 (dates in milliseconds since 1970, as JavaScript has them), NaN where missing;
categories are the place of their text in the header, -1 where missing.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sfumato.data.codecs.columns import ColumnCodec, NumericCodec
from sfumato.data.codecs.table import TableCodec, as_learned
from sfumato.data.io.rows import write_rows
from sfumato.data.table import Column, DataTable, concatenate
from sfumato.errors import ArgumentError, DataError, RunError, unknown
from sfumato.runs.data import Dataset
from sfumato.runs.explorer.binary import answer, header_of, written
from sfumato.runs.explorer.calls import counted
from sfumato.runs.explorer.messages import DrawRows, FillRow
from sfumato.runs.run import Run

# Rows that the page holds: real ones, and those that it begins with.
REAL, DRAWN = 2000, 1000


def payload(run: Run, drawn: int = DRAWN) -> bytes:
    """All that the page shows of a run of a table before it asks for more.

    Args:
        run: of a table.
        drawn: rows to draw, of the run's own seed.
    """
    header, arrays = parts(run, drawn)
    return written(header, arrays)


def parts(run: Run, drawn: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header of a payload, and its arrays."""
    codec: TableCodec = run.model.codec
    real, heldout = None, 0
    with suppress(RunError, DataError):  # of a lone model file there are none
        real, heldout = real_rows(run)
    rows = run.draw(drawn, seed=run.settings.seed)
    columns = [_described(part, real) for part in codec.parts]
    header = header_of(run) | {
        "columns": columns,
        "rules": list(dict.fromkeys(rule.text for rule in codec.rules)),
        "heldout": heldout,
        "hidden": [each.name for each in codec.identifiers],
    }
    arrays = encoded("drawn", rows, codec.parts, columns)
    if real is not None:
        arrays |= encoded("real", real, codec.parts, columns)
    return header, arrays


def real_rows(run: Run) -> tuple[DataTable, int]:
    """Real rows, those first that were kept out of training, and how many those are.

    Raises:
        RunError: if they cannot be had.
        DataError: likewise.
    """
    data: Dataset[DataTable] = run.load_data()
    heldout = (
        [] if data.heldout is None else [data.heldout.take(np.arange(REAL)[: len(data.heldout)])]
    )
    kept = sum(map(len, heldout))
    evenly = np.linspace(0, len(data.train) - 1, min(REAL - kept, len(data.train))).round()
    rows = concatenate([*heldout, data.train.take(evenly.astype(np.int64))])
    return run.model.own(rows), kept  # type: ignore[attr-defined]


def _described(part: ColumnCodec, real: DataTable | None) -> dict[str, Any]:
    """What the page needs to know of a column."""
    about = {"name": part.name, "kind": part.kind, "missing": part.has_missing}
    if isinstance(part, NumericCodec):
        unit = 1000 if part.kind == "date" else 1  # microseconds to milliseconds
        ends = {"low": part.low / unit, "high": part.high / unit, "step": part.grid_step / unit}
        return about | ends
    known = np.array(part.categories, part.dtype).tolist()
    others = set() if real is None else {*as_learned(real[part.name], part).present.tolist()}
    # Rows kept out of training may have others, which cannot be given.
    more = sorted(others - {*known})
    return about | {"categories": [str(each) for each in (*known, *more)], "known": len(known)}


def encoded(
    prefix: str, rows: DataTable, codecs: Sequence[ColumnCodec], columns: Sequence[dict[str, Any]]
) -> dict[str, np.ndarray]:
    """Rows as arrays `prefix/k`, one for each column."""
    return {
        f"{prefix}/{k}": _values(as_learned(rows[part.name], part), part, about)
        for k, (part, about) in enumerate(zip(codecs, columns, strict=True))
    }


def _values(column: Column, part: ColumnCodec, about: dict[str, Any]) -> np.ndarray:
    if isinstance(part, NumericCodec):
        dates = part.kind == "date"
        numbers = column.values.astype(np.int64) / 1000 if dates else column.values
        return np.where(column.missing, np.nan, numbers.astype(np.float64))
    place = {text: k for k, text in enumerate(about["categories"])}
    codes = [place.get(str(value), -1) for value in column.values.tolist()]
    return np.where(column.missing, -1, codes).astype(np.int32)


def drawn_rows(run: Run, asked: DrawRows, is_given_up: Callable[[], bool]) -> bytes:
    """Rows of a seed under the conditions that a page asks for.

    Raises:
        Abandoned: if it is given up.
        ArgumentError: if a column is unknown.
        DataError: if a value was never seen, or the values break a rule.
    """
    started = time.perf_counter()
    with counted(run.model, is_given_up) as count:
        rows = run.draw(asked.rows, seed=asked.seed, given=asked.given or None)
    condition = run.model.condition(asked.given)
    return _answer(
        run,
        asked.request,
        rows,
        count.calls,
        started,
        {
            "notes": run.kind.unseen(run.model, condition) if asked.given else [],
        },
    )


def filled_row(run: Run, asked: FillRow, is_given_up: Callable[[], bool]) -> bytes:
    """A real row with some cells emptied, filled many times.

    Raises:
        Abandoned: if it is given up.
        ArgumentError: if there is no such row or column, or nothing to fill.
        DataError: if what is left of the row breaks a rule.
        RunError: if the rows cannot be had.
    """
    real, _ = real_rows(run)
    if asked.row >= len(real):
        raise ArgumentError(f"the page holds {len(real):,} real rows; there is no row {asked.row}.")
    row = emptied(real.take(np.array([asked.row])), asked.columns)
    if not any(column.missing[0] for column in row):
        raise ArgumentError("no cell of the row is empty; tick one to empty it.")
    started = time.perf_counter()
    with counted(run.model, is_given_up) as count:
        rows = concatenate(run.filled(row, asked.draws, seed=asked.seed))
    return _answer(run, asked.request, rows, count.calls, started, {"csv": _as_csv(row)})


def emptied(row: DataTable, columns: Sequence[str]) -> DataTable:
    """A row without the values of some columns.

    Raises:
        ArgumentError: if there is no such column.
    """
    for name in columns:
        if name not in row.names:
            raise unknown("column", name, row.names)
    gone = np.ones(len(row), bool)
    return DataTable(
        tuple(replace(each, missing=gone) if each.name in columns else each for each in row)
    )


def _as_csv(row: DataTable) -> str:
    """The row as `sfumato impute` reads it; nothing where a text file cannot hold it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "row.csv"
        try:
            write_rows(path, row)
        except DataError:
            return ""
        return path.read_text("utf-8")


def _answer(
    run: Run, request: int, rows: DataTable, calls: int, started: float, more: dict[str, Any]
) -> bytes:
    codec: TableCodec = run.model.codec
    columns = [_described(part, None) for part in codec.parts]
    spent = {"calls": calls, "seconds": time.perf_counter() - started}
    return answer(request, spent | more, encoded("rows", rows, codec.parts, columns))
