"""Options that several commands take, and what their text means."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato import config
from sfumato.errors import ArgumentError

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Show no progress and no hints, only results and where a run is."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(min=0, max=config.LARGEST_SEED, help="Same seed, same result.")]
FitSeed = Annotated[
    int | None,
    typer.Option(min=0, max=config.LARGEST_SEED, help="Same seed, same result. [0]"),
]
Columns = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="NAME=TYPE",
        help="For a table: the type of a column, if it is not the one that its values suggest: "
        "continuous, integer, ordinal, categorical, boolean, date, identifier (only names the "
        "rows), dropped. May be repeated. After a colon, the form in the file: "
        "born=date:day.month.year, price=continuous:1.234,5.",
    ),
]
Missing = Annotated[
    list[str],
    typer.Option(
        "--missing",
        metavar="CELL",
        help="Cells that are missing values in every column (--missing . --missing -999); in "
        "columns of numbers, every cell with that value. May be repeated.",
    ),
]
Rules = Annotated[
    list[str],
    typer.Option(
        "--rule",
        metavar="RULE",
        help='For a table: what holds in every row: "end >= start", "0 <= discount <= price", '
        '"total = a + b", "city, country" (only combinations that occur). May be repeated. `fit` '
        "also finds rules that hold in all rows, and prints them; not with `--rule none`.",
    ),
]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change one setting, e.g. training.steps=500. May be repeated.",
    ),
]
SamplingSet = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a setting of the sampling, e.g. sampling.options.eta=1. May be repeated.",
    ),
]
Given = Annotated[
    list[str],
    typer.Option(
        "--given",
        metavar="NAME=VALUE",
        help="Only rows with this value in this column (age=40; NAME= for a missing value), or "
        "pictures of this class (class=cat). May be repeated. In double quotes, as in JSON, "
        """stand a name that holds = and text that is empty: '"a=b"=40', 'name=""'.""",
    ),
]
RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder, a model.safetensors, or a folder that diffusers wrote."
    ),
]
File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="Rows of the run's columns, or pictures of its size."),
]


def seeded(seed: int | None) -> dict[str, int]:
    """The change to the settings that a seed is, if one was given."""
    return {} if seed is None else {"seed": seed}


def column_types(columns: list[str]) -> dict[str, Any]:
    """Of `NAME=TYPE` each; a name may hold anything, dots and equals signs too."""
    types = {}
    for each in columns:
        name, equals, kind = each.rpartition("=")
        if not equals or not name:
            raise ArgumentError(f"`--column` takes NAME=TYPE (age=integer); got {each!r}.")
        types[name] = kind.strip()
    return {"data": {"columns": types}} if types else {}


def missing_cells(missing: list[str]) -> dict[str, Any]:
    """The change to the settings that cells are which stand for missing values."""
    return {"data": {"missing": missing}} if missing else {}


def rules_stated(rules: list[str]) -> dict[str, Any]:
    """The change to the settings that rules are."""
    return {"data": {"rules": rules}} if rules else {}


# A name in double quotes may hold a sign of equality.
_GIVEN = re.compile(r"""("(?:[^"\\]|\\.)*"|[^=]+)=(.*)""", re.DOTALL)


def values_given(given: list[str]) -> dict[str, str | None]:
    """Of `NAME=VALUE` each, of which either may be JSON text; None for `NAME=`."""
    values: dict[str, str | None] = {}
    for each in given:
        found = _GIVEN.fullmatch(each)
        if found is None:
            raise ArgumentError(f"`--given` takes NAME=VALUE (age=40, class=cat); got {each!r}.")
        name, value = map(_unquoted, found.groups())
        if name in values:
            raise ArgumentError(f"`--given` says {name!r} twice; give one value.")
        values[name] = value if found[2] else None
    return values


def _unquoted(text: str) -> str:
    """What JSON text in double quotes says; any other text as it is."""
    if text.startswith('"'):
        with suppress(ValueError):
            return str(json.loads(text))
    return text


def sampling_changes(assignments: list[str]) -> dict[str, Any]:
    """The settings under `sampling.` that are to differ from the run's; no others may."""
    changes = config.parse_assignments(assignments)
    config.resolve(changes)  # wrong settings are told before PyTorch is loaded
    for section in changes:
        if section != "sampling":
            raise ArgumentError(f"only settings under `sampling.` can change now; got {section!r}.")
    return dict(changes.get("sampling", {}))


def number_of_steps(text: str | None) -> int | str | None:
    """`--steps`: a number, or auto."""
    if text is None or text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"`--steps` takes a number or `auto`; got {text!r}.") from None


def numbers_of_calls(text: str, most: int = 10_000) -> list[int]:
    """`--calls`: numbers from 1 to `most` with commas between."""
    try:
        numbers = sorted({int(each) for each in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1 or numbers[-1] > most:
        raise ArgumentError(
            f"`--calls` takes numbers from 1 to {most} with commas (1,2,4); got {text!r}."
        )
    return numbers
