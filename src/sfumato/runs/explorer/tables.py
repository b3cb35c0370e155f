"""What the explorer's page is given of a table: real rows, and rows that are drawn as it asks.

Numbers are float64 (dates in milliseconds since 1970, as JavaScript has them), NaN where missing;
categories are the place of their text in the header, -1 where missing.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from sfumato.models.table import TableModel
from sfumato.runs.data import Dataset
from sfumato.runs.explorer.binary import answer, header_of, written
from sfumato.runs.explorer.calls import counted
from sfumato.runs.explorer.levels import not_by_itself, refuse_weights
from sfumato.runs.explorer.live import live_model, refuse_live
from sfumato.runs.explorer.messages import DrawRows, FillRow, Reason
from sfumato.runs.kinds.table import stated_rules
from sfumato.runs.run import Run

# Rows that the page holds: real ones, and those that it begins with.
REAL, DRAWN = 2000, 1000


def payload(run: Run, is_given_up: Callable[[], bool] = lambda: False) -> bytes:
    """All that the page shows of a run of a table before it asks for more.

    Raises:
        Abandoned: if it is given up.
    """
    with counted(run.model, is_given_up):
        rows = run.draw(DRAWN, seed=run.settings.seed)
    return written(*_parts(run, _known_rows(run), rows))


def _known_rows(run: Run) -> tuple[DataTable | None, int]:
    """As `real_rows`; none of a lone model file."""
    try:
        return real_rows(run)
    except (RunError, DataError):
        return None, 0


def _parts(
    run: Run, known: tuple[DataTable | None, int], rows: DataTable
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header of a payload, and its arrays."""
    codec: TableCodec = run.model.codec
    real, heldout = known
    columns = [_described(part, real) for part in codec.parts]
    header = header_of(run) | {
        "columns": columns,
        "rules": [text for text, _ in stated_rules(codec)],
        "heldout": heldout,
        "hidden": [each.name for each in codec.identifiers],
        "stored": None,
        "live": None,
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
        ArgumentError: if a column is unknown, a value was never seen, or the values break a rule.
    """
    started = time.perf_counter()
    with counted(run.model, is_given_up):
        rows = run.draw(asked.rows, seed=asked.seed, given=asked.given or None)
    condition = run.model.condition(asked.given)
    notes = run.kind.unseen(run.model, condition) if asked.given else []
    return _answer(run, asked.request, rows, condition, started, {"notes": notes})


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
    with counted(run.model, is_given_up):
        rows = concatenate(run.filled(row, asked.draws, seed=asked.seed))
    return _answer(run, asked.request, rows, row, started, {"csv": _as_csv(row)})


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
    run: Run, request: int, rows: DataTable, known: DataTable, started: float, more: dict[str, Any]
) -> bytes:
    codec: TableCodec = run.model.codec
    columns = [_described(part, None) for part in codec.parts]
    assert isinstance(run.model, TableModel)
    calls, seconds = run.model.calls(known), time.perf_counter() - started
    spent = {"calls": calls, "seconds": seconds}
    return answer(request, spent | more, encoded("rows", rows, codec.parts, columns))


# ------------------------------------------------------------------------------ without a server

# Of a file: rows drawn without conditions, and under each; real rows that are filled in, and how
# often; the columns of which this is done; the quantiles and the categories that are conditions.
_CARRIED, _UNDER_EACH, _FILLED, _FILLINGS, _COLUMNS = 5000, 300, 3, 100, 30
_QUANTILES, _CATEGORIES = (0.05, 0.25, 0.5, 0.75, 0.95), 12


def carried(run: Run, most: int, *, quiet: bool = True) -> tuple[bytes, list[str]]:
    """All that a page without a server shows, and what it has to do without.

    The model itself, if the page can draw as it does; else rows that were drawn beforehand.

    Args:
        run: of a table.
        most: bytes that it may have.
        quiet: show no progress.
    """
    codec: TableCodec = run.model.codec
    real, heldout = _known_rows(run)
    try:
        return _live(run, (real, heldout), most, quiet=quiet), []
    except ArgumentError as error:
        why = error
    seed, of_row = run.settings.seed, sum(8 if part.is_numeric else 4 for part in codec.parts)
    room = most // of_row - len(real or ()) - 100
    count = min(_CARRIED, max(room, 1))
    drawn, room = run.draw(count, seed=seed, quiet=quiet), room - count
    left = {"drawn": (_CARRIED - count, _CARRIED)}

    header, arrays = _parts(run, (real, heldout), drawn)
    columns = header["columns"]
    shown = [k for k, part in enumerate(codec.parts) if part.kind != "constant"][:_COLUMNS]
    all_conditions = [
        (k, value)
        for k in shown
        for value in _conditions(codec.parts[k], drawn if real is None else real)
    ]
    conditions = all_conditions[: max(room, 0) // _UNDER_EACH]
    room -= len(conditions) * _UNDER_EACH
    left["conditions"] = len(all_conditions) - len(conditions), len(all_conditions)
    if conditions:
        values = [run.model.condition({codec.parts[k].name: value}) for k, value in conditions]
        rows = run.draw(_UNDER_EACH, seed=seed, given=concatenate(values), quiet=quiet)
        arrays |= encoded("given", rows, codec.parts, columns)

    all_fillings = [] if real is None else _fillings(real, shown)
    fillings = all_fillings[: max(room, 0) // _FILLINGS]
    left["fillings"] = len(all_fillings) - len(fillings), len(all_fillings)
    if real is not None and fillings:
        incomplete = concatenate(
            [
                emptied(real.take(np.array([row])), [] if k is None else [codec.parts[k].name])
                for row, k in fillings
            ]
        )
        filled = concatenate(run.filled(incomplete, _FILLINGS, seed=seed, quiet=quiet))
        by_row = np.arange(len(filled)).reshape(_FILLINGS, -1).T.ravel()
        arrays |= encoded("filled", filled.take(by_row), codec.parts, columns)
    left["columns"] = max(len(codec.parts) - _COLUMNS, 0), _COLUMNS
    left = {what: (less, of) for what, (less, of) in left.items() if less}
    shown_values = [(k, _shown_value(value, codec.parts[k])) for k, value in conditions]
    header["stored"] = {
        "conditions": [{"column": k, "value": value} for k, value in shown_values],
        "rows": _UNDER_EACH,
        "fillings": [{"row": row, "column": k} for row, k in fillings],
        "draws": _FILLINGS,
        "left": left,
        "why": Reason.of(why).model_dump(),
    }
    return written(header, arrays), [not_by_itself(why), *_said(left)]


def _live(run: Run, known: tuple[DataTable | None, int], most: int, *, quiet: bool) -> bytes:
    """The payload of a page that draws by itself.

    Raises:
        ArgumentError: if it cannot, or has no room; says why.
    """
    model: Any = run.model
    refuse_live(model)
    about, weights = live_model(model)
    refuse_weights(weights, most)
    header, arrays = _parts(run, known, run.draw(DRAWN, seed=run.settings.seed, quiet=quiet))
    content = written(header | {"live": about}, arrays | weights)
    refuse_weights(weights, most - (len(content) - sum(each.nbytes for each in weights.values())))
    return content


_LEFT = {
    "drawn": "{} of {} drawn rows",
    "conditions": "{} of {} conditions",
    "fillings": "{} of {} filled rows",
    "columns": "conditions and fillings beyond the first {1} columns",
}


def _said(left: Mapping[str, tuple[int, int]]) -> list[str]:
    """What a file has to do without, for the terminal; the page says it by the header's `left`."""
    return [_LEFT[what].format(f"{less:,}", f"{of:,}") for what, (less, of) in left.items()]


def _conditions(part: ColumnCodec, rows: DataTable) -> list[Any]:
    """The commonest categories of a column, or quantiles of its numbers."""
    present = as_learned(rows[part.name], part).present
    if not isinstance(part, NumericCodec):
        known = np.array(part.categories, part.dtype).tolist()
        counts = Counter(present.tolist())
        return sorted(known, key=lambda each: -counts[each])[:_CATEGORIES]
    ranks = (np.array(_QUANTILES) * (len(present) - 1)).round().astype(int)
    return list(np.unique(np.sort(present)[ranks])) if len(present) else []


def _shown_value(value: Any, part: ColumnCodec) -> float | str:
    """A condition as the page names it."""
    if not isinstance(part, NumericCodec):
        return str(value)
    return value.astype(np.int64) / 1000 if part.kind == "date" else float(value)


def _fillings(real: DataTable, columns: Sequence[int]) -> list[tuple[int, int | None]]:
    """Row and column of what is to be emptied; None where the row has missing values anyway."""
    missing = np.asarray(np.stack([column.missing for column in real]).any(axis=0))
    rows = list(range(min(_FILLED, len(real))))
    if not missing[rows].any():
        rows += np.flatnonzero(missing)[:1].tolist()
    return [
        (row, k)
        for row in rows
        for k in [*([None] if missing[row] else []), *columns]
        if k is None or not real.columns[k].missing[row]
    ]
