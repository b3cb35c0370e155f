"""No control byte of a file or an argument reaches the terminal as it is: it is shown escaped."""

import re
from pathlib import Path

import pytest

from command_line import TINY, Command, leave

ESCAPE = "\x1b[31m"
NAME, RED = f"na{ESCAPE}me", f"{ESCAPE}red"


def _table(*more: str) -> str:
    rows = (f"{k}.5,{k % 7},{RED if k % 2 else 'blue'}" for k in range(150))
    return "\n".join([f"{NAME},low{ESCAPE},colour", *rows, *more, ""])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("control")
    (folder / "t.csv").write_text(_table())
    assert leave(f"fit {folder / 't.csv'} --quiet --out {folder / 'run'} {TINY}") == 0
    return folder / "run"


FILES = {
    "good.csv": _table(),
    "cell.csv": _table(f"6.2{ESCAPE},1,blue"),
    "two.csv": _table(f"6.2{ESCAPE},x{ESCAPE},blue"),
    "category.csv": _table(f"1.5,1,{ESCAPE}green"),
    "hole.csv": _table(",,"),
    "twice.csv": f"a{ESCAPE},a{ESCAPE}\n1,2\n3,4\n5,6\n",
    "numbers.csv": f"a{ESCAPE},1\n1,2\n",
    "nameless.csv": f"a{ESCAPE},\n1,x{ESCAPE}\n",
    "dates.csv": f"d{ESCAPE}\n" + "1.2.2024\n3.4.2024\n" * 9,
    "many.csv": f"d{ESCAPE},x\n" + "".join(f"k{k},{k}.5\n" for k in range(10_001)),
    f"{ESCAPE}.csv": "a,b\n1,2\n3\n",
    "other.csv": "x\n1\n2\n3\n",
}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"fit good.csv --out new {TINY}", 0),
        (f"fit twice.csv {TINY}", 3),
        (f"fit cell.csv {TINY}", 3),
        (f"fit two.csv {TINY}", 3),
        (f"fit nameless.csv {TINY}", 3),
        (f"fit dates.csv {TINY}", 3),
        (f"fit many.csv --column 'd{ESCAPE}=categorical' {TINY}", 3),
        (f"fit {ESCAPE}.csv {TINY}", 3),
        (f"fit good.csv --column '{NAME}=date' {TINY}", 2),
        (f"fit good.csv --column '{NAME}{NAME}=date' {TINY}", 2),
        (f"fit good.csv --column '{NAME}' {TINY}", 2),
        (f"fit good.csv --column 'colour={NAME}' {TINY}", 2),
        (f'fit good.csv --rule \'"low{ESCAPE}" > "{NAME}"\' {TINY}', 3),
        (f"fit good.csv --rule 'colour > \"{NAME}\"' {TINY}", 2),
        (f"fit good.csv --rule '{NAME} ~ {RED}' {TINY}", 2),
        (f"fit good.csv --missing '{RED}' --rule 'x{ESCAPE} > 1' {TINY}", 2),
        (f"fit good.csv --set training.target='x{ESCAPE}' {TINY}", 2),
        (f"fit good.csv --set training.target='{NAME}' --out new {TINY}", 0),
        ("info RUN", 0),
        (f"sample RUN -n 5 --to a.csv --given '{NAME}=x'", 2),
        (f"sample RUN -n 5 --to a.csv --given 'colour={ESCAPE}'", 2),
        (f"sample RUN -n 5 --to a.csv --given 'x{ESCAPE}=1'", 2),
        (f"sample RUN -n 5 --to a.csv --given '{ESCAPE}'", 2),
        ("score RUN category.csv", 0),
        ("score RUN cell.csv", 3),
        ("score RUN other.csv", 3),
        ("impute RUN hole.csv --to filled.csv", 0),
        (f"predict RUN good.csv --target 'x{ESCAPE}' --to p.csv", 2),
        (f"predict RUN category.csv --target '{NAME}' --to p.csv", 0),
        ("evaluate RUN -n 20", 0),
        (f"fit category.csv --from RUN --out onward {TINY}", 3),
    ],
)
def test_control_bytes_are_escaped(
    sfumato: Command, run: Path, tmp_path: Path, line: str, code: int
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    got, out, err = sfumato(line.replace("RUN", str(run)))
    assert got == code, err
    shown = out + err
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), repr(shown)
    if code or line.startswith(("info", "fit")):
        assert r"\x1b" in shown
