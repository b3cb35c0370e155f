"""All that the doctor found of a run, as a notebook shows it."""

import os
from html import escape
from typing import Any

from sfumato.runs.doctor.fit import examine_run
from sfumato.runs.doctor.process import NOT_MEASURED, Finding
from sfumato.runs.run import Run, open_run


class Findings(tuple[Finding, ...]):
    """What was looked at, in that order; a notebook shows it as a table.

    Each has a `title`, a `number` with its unit, a `sentence`, and a `remedy`, which is empty where
    all is well.
    """

    __slots__ = ()

    @property
    def faults(self) -> "Findings":
        """Those that have a remedy."""
        return Findings(each for each in self if each.remedy)

    def _repr_html_(self) -> str:
        """A row for each, for notebooks."""
        rows = "".join(
            f"<tr><td>{_MARKS[each.state]}</td><td>{escape(each.title)}</td>"
            f"<td>{escape(each.number)}</td><td>{escape(each.sentence)}</td>"
            f"<td>{escape(each.remedy)}</td></tr>"
            for each in self
        )
        head = "".join(f"<th>{name}</th>" for name in ("", "finding", "number", "meaning", "do"))
        return f"<table><tr>{head}</tr>{rows}</table>"


_MARKS = {"sound": "sound", "fault": "<b>fault</b>", NOT_MEASURED: f"<i>{NOT_MEASURED}</i>"}


def doctor(run: Run | str | os.PathLike[str], data: Any = None) -> Findings:
    """Look for faults of a fitted run and of its schedule, as `sfumato doctor RUN` does.

    Args:
        run: the run, or its folder or model file.
        data: real rows that it has not seen, or a file of them; its own held-out ones where not
            given.

    Returns:
        Findings in order, each with `title`, `number`, `sentence` and `remedy`; `faults` are those
        that have a remedy.

    Raises:
        RunError: if there is no such run, or the rows it was fitted to cannot be had.
        DataError: if the rows do not fit the model.
    """
    return Findings(examine_run(run if isinstance(run, Run) else open_run(run), data))
