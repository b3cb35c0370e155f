"""Files of Stata (.dta) and SPSS (.sav, .zsav), through pyreadstat.

A column whose every value has a label is text, its labels in the order of their codes. It keeps its
numbers where some values have no label, or labels repeat, are blank, or would be read as missing
(`NA`). Values that the file declares missing are.
"""

from datetime import time
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.data.io.arrays import from_array
from sfumato.data.io.cells import MISSING
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError, MissingDependencyError


def read_survey(path: Path) -> DataTable:
    """The table in a file.

    Raises:
        DataError: if it is damaged, or a value cannot be held.
        MissingDependencyError: if pyreadstat is not installed.
    """
    try:
        import pyreadstat
    except ImportError as error:
        raise MissingDependencyError(
            "files of Stata and SPSS need pyreadstat; install sfumato[survey], or save as CSV."
        ) from error
    read = pyreadstat.read_dta if path.suffix.lower() == ".dta" else pyreadstat.read_sav
    try:
        frame, known = read(str(path), dates_as_pandas_datetime=True)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError) as error:
        raise DataError(f"{path} is not a whole {path.suffix} file; save it again.") from error
    if not len(frame):
        raise DataError(f"{path} has no {'rows' if len(frame.columns) else 'columns'}.")
    labels = known.variable_value_labels
    return DataTable(
        tuple(
            _column(name, frame[name].to_numpy(), labels.get(name, {}), str(path))
            for name in frame.columns
        )
    )


def _column(name: str, values: np.ndarray, labels: dict[Any, str], where: str) -> Column:
    if values.dtype == object:
        values = np.array([_plain(each) for each in values], dtype=object)
    column = from_array(values, where).columns[0]
    present = column.present
    if len(present) and set(present.tolist()) <= set(labels) and _are_distinct(labels):
        text = np.array([labels.get(each, "") for each in column.values.tolist()], dtype=object)
        ordered = tuple(dict.fromkeys(labels[code] for code in sorted(labels)))
        return Column(name, text, column.missing, ordered)
    held = column.values
    if held.dtype.kind == "f" and np.array_equal(np.round(held), held) and len(present):
        held = held.astype(np.int64) if np.abs(held).max() < 2**53 else held
    return Column(name, held, column.missing)


def _are_distinct(labels: dict[Any, str]) -> bool:
    """Whether each label stands for one value, and none for a missing one."""
    bare = [label.strip() for label in labels.values()]
    return len(set(bare)) == len(bare) and MISSING.isdisjoint(bare)


def _plain(value: Any) -> Any:
    """Text without a value is missing; a time of day counts its seconds."""
    if isinstance(value, time):
        return float((value.hour * 60 + value.minute) * 60 + value.second)
    return None if value == "" else value
