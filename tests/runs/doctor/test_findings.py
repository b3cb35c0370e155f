"""The doctor in Python: what it says of a run is what the command says, and a notebook shows it."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

import sfumato
from sfumato.errors import ArgumentError, RunError
from sfumato.runs.doctor import Finding, Findings, examine_run


class Cells(HTMLParser):
    """The texts of a table's cells, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.rows[-1][-1] += data


def test_findings_of_a_run_are_those_of_the_command(moons: sfumato.Run) -> None:
    found = sfumato.doctor(moons)
    assert [*found] == [*examine_run(moons)]
    assert moons.folder is not None
    assert sfumato.doctor(moons.folder) == found
    assert [*found.faults] == [each for each in found if each.remedy]


def test_a_notebook_shows_a_row_for_each_finding_with_its_text_as_text() -> None:
    fault = Finding("A <b> title", "1 & 2", "It means x < y.", "take `a`")
    sound = Finding("All is well", "0", "Nothing.")
    open_ = Finding("What is open", "not measured", "5 rows are too few.")
    found = Findings([fault, sound, open_])
    assert Cells(found._repr_html_()).rows == [
        ["", "finding", "number", "meaning", "do"],
        ["fault", "A <b> title", "1 & 2", "It means x < y.", "take `a`"],
        ["sound", "All is well", "0", "Nothing.", ""],
        ["not measured", "What is open", "not measured", "5 rows are too few.", ""],
    ]
    assert found.faults == (fault,)
    assert [each.sound for each in found] == [False, True, False]


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        sfumato.doctor(tmp_path / "none")
    with pytest.raises(ArgumentError, match="a run is opened by its path; got 3"):
        sfumato.doctor(3)  # type: ignore[arg-type]
