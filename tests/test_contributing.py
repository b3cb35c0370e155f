"""CONTRIBUTING.md: its table names every file once, and what it points to is there."""

import re
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/sfumato"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_table_names_every_file_of_the_package_once() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", TEXT, re.MULTILINE)
    listed = Counter(name for name, _ in rows if "." in name)
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert listed == Counter(path.relative_to(PACKAGE).as_posix() for path in files)
    assert all(line for name, line in rows if "." in name)


def test_the_floors_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors, inside = (each["layers"] for each in contracts["tool"]["importlinter"]["contracts"])
    named = re.findall(r"^\| (\d) \| (.*?) \|", TEXT, re.MULTILINE)
    assert [int(number) for number, _ in named] == list(range(7, 0, -1))
    for (_, packages), layer in zip(named, floors, strict=True):
        assert set(re.findall(r"`(\w+)`", packages)) == set(re.findall(r"sfumato\.(\w+)", layer))
    every = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    in_contract = {name for layer in floors for name in re.findall(r"sfumato\.(\w+)", layer)}
    assert every - {"__init__", "__main__", "__pycache__"} == in_contract
    written = " > ".join(layer.replace("sfumato.runs.", "") for layer in inside)
    assert f"`{written}`" in TEXT


def test_what_the_answers_point_to_is_there() -> None:
    for place in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / place).exists(), place
    answers = TEXT[TEXT.index("## Where do I add") : TEXT.index("## Every file")]
    for place in re.findall(r"`([a-z_/]+\.(?:py|toml))`", answers):
        assert (PACKAGE / place).exists() or (ROOT / place).exists(), place
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for name in re.findall(r"`([A-Z]\w+)`", answers):
        assert re.search(rf"^(class {name}\b|{name}\b.*=)", sources, re.MULTILINE), name
