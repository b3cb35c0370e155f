"""Pages of the site that are read off the code: every command and every setting.

What they say in words is passed through `say`, which gives it as it is or in Chinese.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import click
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.cli import get_docs_for_click
from typer.main import get_command

from sfumato.cli import compare, edit, explore, fit, judge, predict, sample, show  # noqa: F401
from sfumato.cli.app import app
from sfumato.config.settings import Section, Settings
from sfumato.models.registry import NETWORKS
from sfumato.process.discrete import DISCRETE_SCHEDULES
from sfumato.process.grids import CONTINUOUS_GRIDS, DISCRETE_GRIDS
from sfumato.process.parameterisations import PARAMETERISATIONS
from sfumato.process.schedules import SCHEDULES
from sfumato.samplers import SAMPLERS
from sfumato.training.loss import WEIGHTINGS
from sfumato.training.times import TIME_DRAWS

_INTRODUCTION = """\
A run is made by its settings: `--set NAME=VALUE`, `--config FILE.toml`, or `settings={...}` in
Python. `sfumato fit SOURCE --show-settings` prints all of them for your data; a run keeps them in
its `config.toml`. Defaults here are those of fewer than 5,000 points in up to three columns; other
points, tables and pictures have recipes of their own
([recipes.py](../src/sfumato/config/recipes.py)). Unknown names are refused."""

# Settings that name one of these.
_NAMED: Mapping[str, Mapping[str, Any]] = {
    "process.schedule": {**SCHEDULES, **DISCRETE_SCHEDULES},
    "network.name": NETWORKS,
    "network.parameterisation": PARAMETERISATIONS,
    "training.times": TIME_DRAWS,
    "training.weighting": WEIGHTINGS,
    "sampling.sampler": SAMPLERS,
    "sampling.grid": {**CONTINUOUS_GRIDS, **DISCRETE_GRIDS},
}
# Those whose own arguments are settings too, under `options`.
_METHODS: Mapping[str, tuple[str, Mapping[str, Callable[..., Any]]]] = {
    "Schedules in continuous time": ("process", SCHEDULES),
    "Schedules of a discrete table (num_levels > 0)": ("process", DISCRETE_SCHEDULES),
    "Samplers": ("sampling", SAMPLERS),
}


Say = Callable[[str], str]


def commands(say: Say = str) -> str:
    """The help of every command, as Markdown."""
    command = get_command(app)
    _say_help(command, say)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="sfumato")
    text = text.replace("# `sfumato`\n", f"# {say('Commands')}\n", 1)
    text = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n?", "", text)
    text = text.replace("* `--help`: Show this message and exit.\n", "")
    text = re.sub(r"\*\*Options\*\*:\n\n(?!\*)", "", text)
    for each in ("**Usage**:", "**Arguments**:", "**Options**:", "[default:", "required]"):
        text = text.replace(each, say(each))
    text = re.sub(r"(?m)^(\* `[^`]*`): ", lambda found: found[1] + say(": "), text)
    # Options in prose are code: the site would make a dash of their two hyphens.
    parts = text.split("`")
    parts[::2] = [re.sub(r"(?a:(--[a-z][\w-]*))", r"`\1`", each) for each in parts[::2]]
    return "`".join(parts)


def settings(say: Say = str) -> str:
    """Every setting with its type, default and meaning, as Markdown."""
    lines = [f"# {say('Settings')}", "", say(_INTRODUCTION), ""]
    lines += _table("", Settings, say)
    for name, each in Settings.model_fields.items():
        if _is_section(each.annotation):
            lines += [f"## {name}", "", say(inspect.getdoc(each.annotation) or ""), ""]
            lines += _table(f"{name}.", each.annotation, say)
    heading = f"| {say('name')} | {say('options, and what they are if not set')} | |"
    for title, (section, methods) in _METHODS.items():
        lines += [f"## {say(title)}", ""]
        lines += [say("Their options are set as `{}.options.NAME`.").format(section), ""]
        lines += _rows(heading, _methods(methods, say))
    return "\n".join(lines)


def _say_help(command: click.Command, say: Say) -> None:
    """Pass the help of a command, of its options and of its own commands through `say`."""
    command.help, command.epilog = _paragraphs(command.help, say), _paragraphs(command.epilog, say)
    for option in command.params:
        option.help = _paragraphs(option.help, say)  # type: ignore[attr-defined]
    for each in getattr(command, "commands", {}).values():
        _say_help(each, say)


def _paragraphs(text: str | None, say: Say) -> str:
    """A text with each of its paragraphs said, but for those that are examples."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(
        each if each.startswith("`sfumato ") and each.endswith("`") else say(each)
        for each in paragraphs
    )


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _rows(heading: str, rows: Iterator[list[str]]) -> list[str]:
    bare = "|---" * (heading.count("|") - 1) + "|"
    return [heading, bare, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _table(prefix: str, section: type[BaseModel], say: Say) -> list[str]:
    def rows() -> Iterator[list[str]]:
        for name, each in section.model_fields.items():
            if not _is_section(each.annotation):
                known = _NAMED.get(prefix + name)
                kind = (
                    ", ".join(f"`{one}`" for one in known) if known else _kind(each.annotation, say)
                )
                said = say(each.description or "")
                yield [f"`{prefix}{name}`", kind, _default(each), said.replace("|", "\\|")]

    heading = f"| {say('setting')} | {say('value')} | {say('default')} | |"
    return _rows(heading, rows())


def _kind(annotation: Any, say: Say) -> str:
    """A type in words that a user of TOML knows."""
    if annotation is type(None):
        return say("not set")
    names = {bool: "true or false", int: "integer", float: "number", str: "text"}
    if annotation in names:
        return say(names[annotation])
    args = get_args(annotation)
    origin = str(getattr(annotation, "__origin__", annotation))
    if "Literal" in origin:
        return f" {say('or')} ".join(f"`{each}`" for each in args)
    if "Annotated" in str(type(annotation)):
        return _kind(args[0], say)
    if origin.startswith("<class 'dict"):
        return say("names and values")
    if origin.startswith("<class 'tuple"):
        return say(", ".join(_kind(each, str) for each in args if each is not Ellipsis))
    if origin.startswith("<class 'list"):
        return say("list of {}").format(_kind(args[0], say))
    return f" {say('or')} ".join(_kind(each, say) for each in args) if args else say("tables")


def _default(field: Any) -> str:
    value = field.default
    if value is PydanticUndefined:
        value = field.default_factory() if field.default_factory else None
    if value is None or value in ({}, [], (), ""):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _methods(methods: Mapping[str, Callable[..., Any]], say: Say) -> Iterator[list[str]]:
    for name, make in methods.items():
        known = inspect.signature(make).parameters.values()
        options = [
            f"`{each.name}`" + ("" if each.default is each.empty else f" = {each.default}")
            for each in known
            if each.name != "num_levels" and each.kind is not each.VAR_KEYWORD
        ]
        said = say((inspect.getdoc(make) or "").partition("\n\n")[0].replace("\n", " "))
        yield [f"`{name}`", ", ".join(options) or "–", said.replace("|", "\\|")]
