"""Settings come in layers, later ones winning: the defaults, a recipe, a preset, a file, changes.

A change is nested (`{"training": {"steps": 500}}`), dotted (`{"training.steps": 500}`), or one line
of text (`training.steps=500`).
"""

import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sfumato.config.recipes import points
from sfumato.config.requirements import requirement
from sfumato.config.settings import Section, Settings
from sfumato.errors import ArgumentError, RenamedWarning

# Settings that had another name in files of earlier versions; it is still read.
_RENAMED = {
    "network.target": "network.parameterisation",
    "network.options.told": "network.options.time_embedding",
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, section by section."""
    result = dict(base)
    for name, value in changes.items():
        below = result.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[name] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`{"training.steps": 500}` as `{"training": {"steps": 500}}`; what is nested already stays."""
    result: dict[str, Any] = {}
    for name, value in changes.items():
        for key in reversed(name.split(".")):
            value = {key: value}
        result = merged(result, value)
    return result


def current(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested changes with every renamed setting under the name that it has now.

    Raises:
        ArgumentError: if a setting is given under both names.
    """
    result = dict(changes)
    for old, new in _RENAMED.items():
        found = _value(result, old)
        if found is None:
            continue
        if _value(result, new) is not None:
            raise ArgumentError(f"`{old}` is now `{new}`, and both are given; leave out `{old}`.")
        result = merged(_without(result, old.split(".")), nested({new: found}))
    return result


def _value(changes: Mapping[str, Any], name: str) -> Any:
    """The value of a setting, or None where it is not given."""
    value: Any = changes
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _without(changes: Mapping[str, Any], place: Sequence[str]) -> dict[str, Any]:
    key, *inner = place
    rest = {name: value for name, value in changes.items() if name != key}
    return {**rest, key: _without(changes[key], inner)} if inner else rest


def _noted(changes: Mapping[str, Any]) -> dict[str, Any]:
    """As `current`, with a warning about every old name."""
    for old, new in _RENAMED.items():
        if _value(changes, old) is not None:
            warnings.warn(f"the setting {old!r} is now {new!r}", RenamedWarning, stacklevel=1)
    return current(changes)


def load_toml(path: Path) -> dict[str, Any]:
    """The settings of a TOML file, as nested changes to the defaults.

    Raises:
        ArgumentError: if the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"cannot read the settings file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ArgumentError(f"the settings file {path} is not TOML: {error}.") from error


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """`["training.epochs=200", "data.source=moons"]` as nested changes.

    A value is read as TOML is (numbers, true, false, quoted text); anything else is text.

    Raises:
        ArgumentError: if one is not of the form `name=value`.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        keys = name.strip().split(".")
        if not equals or not all(keys):
            raise ArgumentError(
                f"a setting is written section.name=value; got {assignment!r} "
                "(for example: --set training.epochs=200)."
            )
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        nested: Any = value
        for key in reversed(keys):
            nested = {key: nested}
        changes = merged(changes, nested)
    return changes


def _kinds(section: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the options of a section are those of."""
    names, defaults = _KINDS[section], Settings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    kinds = {name: values.get(name, defaults[name].default) for name in names}
    # A schedule has other options as a table, but the same whatever the table's length.
    return tuple(bool(kind) if name == "num_levels" else kind for name, kind in kinds.items())


_KINDS = {"process": ("schedule", "num_levels"), "network": ("name",), "sampling": ("sampler",)}


def _states_all(section: str, change: Mapping[str, Any]) -> bool:
    """Whether a section is stated whole, as in a run's config.toml: then so are its options."""
    return set(Settings().to_dict()[section]) <= set(change)


def _without_other_options(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without the options of a schedule, network or sampler that `layer` replaces.

    Nor with the grid and the steps, where a continuous process becomes a table of levels, or a
    table continuous.
    """
    kept = dict(values)
    for section in _KINDS:
        before, change = kept.get(section), layer.get(section)
        if not isinstance(before, Mapping) or not isinstance(change, Mapping):
            continue
        was, will = _kinds(section, before), _kinds(section, {**before, **change})
        if was != will or _states_all(section, change):
            kept[section] = _left(before, "options")
        sampling = kept.get("sampling")
        if section == "process" and was[-1] != will[-1] and isinstance(sampling, Mapping):
            kept["sampling"] = _left(sampling, "grid", "steps")
    return kept


def _left(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def resolve(*layers: Mapping[str, Any]) -> Settings:
    """The settings that the layers make, each over the one before.

    A renamed setting is read under its old name, with a warning; pass what a program wrote through
    `current` first.

    Raises:
        ArgumentError: naming the first setting that is unknown (with the nearest known one) or
            out of its range.
    """
    values: dict[str, Any] = {}
    for layer in map(_noted, layers):
        values = merged(_without_other_options(values, layer), layer)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, values) from error


def _known() -> dict[str, str]:
    """The full name of every setting, and its last part."""
    names: dict[str, str] = {}
    for section, field in Settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            names |= {f"{section}.{name}": name for name in annotation.model_fields}
        else:
            names[section] = section
    return names


def _example(section: str) -> str:
    """The first setting of a section, with its default, as it is written on the command line."""
    values: Any = resolve(points(10_000, 2)).to_dict()
    for key in section.split("."):
        values = values[key]
    name, default = next(iter(values.items()), ("NAME", "VALUE"))
    return f"{section}.{name}={default}"


def _given_name(place: tuple[int | str, ...], values: Any) -> str:
    """The setting at a place, as it was given: without the kinds that its value may be."""
    parts = []
    for part in place:
        if not isinstance(values, Mapping) or part not in values:
            break
        parts.append(str(part))
        values = values[part]
    return ".".join(parts)


def _explained(error: ValidationError, values: Any) -> ArgumentError:
    errors = error.errors()
    first = errors[0]
    name = _given_name(first["loc"], values)
    if first["type"] == "extra_forbidden":
        known = _known()
        value = first["input"]
        while isinstance(value, Mapping) and value:  # the section itself is unknown
            inner, value = next(iter(value.items()))
            name = f"{name}.{inner}"
        last = name.rpartition(".")[2]
        near = get_close_matches(name, known, n=1, cutoff=0.6) or [
            full for full, short in known.items() if get_close_matches(last, [short], 1, 0.75)
        ]
        guess = f"did you mean {near[0]!r}? " if near else ""
        return ArgumentError(
            f"unknown setting {name!r}; {guess}`sfumato fit --show-settings` lists all of them."
        )
    if first["type"] in {"model_type", "dict_type"}:
        return ArgumentError(
            f"`{name}` is a section; set one of its settings, e.g. {_example(name)}."
        )
    # Of several kinds that a value may be, each tells what it lacks.
    own = [each for each in errors if _given_name(each["loc"], values) == name]
    return ArgumentError(f"the setting {name!r} {requirement(own)}; got {first['input']!r}.")
