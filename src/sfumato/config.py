"""The settings of a run: typed, checked, refused when unknown, written back whole.

Settings come in layers, later ones winning: the defaults below, a preset, a TOML file, and
single `section.name=value` settings. Names of methods (schedules, networks, samplers, ...) are
looked up when the run is put together, where each is registered.
"""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from sfumato.errors import ArgumentError, unknown

# The largest seed that TOML and PyTorch both hold.
LARGEST_SEED = 2**63 - 1

# Beyond what anyone waits for, and within what every counter holds.
Count = Annotated[int, Field(ge=1, le=10**9)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(_Section):
    """Where the data come from and how they enter the model."""

    source: str = Field("s-curve", min_length=1)
    rows: int = Field(10_000, ge=2, le=10**8, description="rows to draw of a toy set")
    noise: float | None = Field(
        None, ge=0, le=1e6, description="noise of a toy set, if not its own"
    )
    standardise: bool = Field(True, description="bring every column to mean 0, deviation 1")
    holdout: float = Field(
        0.1, gt=0, le=0.5, description="share of a file's rows kept out of training, to evaluate on"
    )
    size: int | None = Field(
        None, ge=4, le=4096, description="pictures: bring all to this many pixels a side"
    )
    labels: bool = Field(False, description="pictures: learn the classes that folders name")
    background: str = Field("white", description="pictures: what lies behind transparent pixels")
    skip_bad: bool = Field(False, description="pictures: leave out those that cannot be used")
    kind: Literal["auto", "points", "table"] = Field(
        "auto",
        description="of a file: up to three columns of decimals are points in space, anything else "
        "a table",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="tables: what a column is, if not what its values suggest",
    )
    sha256: str | None = Field(None, description="fingerprint of the data, written by `fit`")


class ProcessSettings(_Section):
    """The forward process."""

    schedule: str = "cosine"
    num_levels: int = Field(
        0, ge=0, le=1_000_000, description="levels of a discrete table; 0: continuous"
    )
    options: dict[str, bool | int | float | list[float]] = Field(
        default_factory=dict, description="the schedule's own arguments"
    )
    zero_terminal_snr: bool = Field(
        False, description="stretch a table until nothing of the data is left at its end"
    )


class NetworkSettings(_Section):
    """The network and what it predicts."""

    name: str = "vector-mlp"
    width: int = Field(64, ge=1, le=65_536)
    depth: int = Field(
        3,
        ge=1,
        le=1000,
        description="hidden layers after the first (vector-mlp), blocks at each resolution (unet)",
    )
    target: str = "edm"
    options: dict[str, bool | int | float | str | list[int]] = Field(
        default_factory=dict, description="the network's own arguments"
    )
    learned_variance: bool = Field(
        False, description="learn the reverse variance too (a table's, with sampler ancestral)"
    )


class TrainingSettings(_Section):
    """The recipe."""

    steps: Count = 1000
    epochs: Count | None = Field(None, description="passes over the data; instead of steps")
    batch_size: int = Field(
        256, ge=1, le=10**6, description="rows of a step, of all processes together"
    )
    micro_batch: int = Field(
        0,
        ge=0,
        le=10**6,
        description="rows that a process computes at once, if memory is short; gradients of the "
        "rest of its share are added up. 0: its whole share",
    )
    shard: bool = Field(
        False,
        description="several processes: each holds only its part of the weights, of what the "
        "optimizer remembers and of the average (FSDP), for a network that does not fit",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "float32",
        description="of the network's products while training; its weights are float32. auto: "
        "bfloat16 where the processor or GPU multiplies it natively",
    )
    compile: bool = Field(
        False,
        description="let PyTorch compile the network: a minute or two before the first step, "
        "faster steps after; needs a C++ compiler",
    )
    reference: int = Field(
        1024,
        ge=0,
        le=10**6,
        description="rows whose mean, as each may have been the noised one, is the target; at "
        "least the batch. 0: the noised row itself",
    )
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(1e-2, gt=0)
    warmup: int = Field(10, ge=0, le=10**9, description="steps of linear warm-up")
    decay: Literal["constant", "cosine"] = "cosine"
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    flip: bool = Field(
        False, description="pictures: mirror half of them, and tell the network which"
    )
    label_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the labels that is kept from the network: guidance"
    )
    average: float = Field(0.99, ge=0, lt=1, description="decay of the weights' average")
    times: str = "stratified"
    weighting: str = "simple"
    log_every: Count = Field(50, description="steps between two lines of metrics.jsonl")
    checkpoint_every: Count = Field(1000, description="steps between two checkpoints")
    snapshots: int = Field(5, ge=0, le=1000, description="times that samples are drawn on the way")


class SamplingSettings(_Section):
    """How samples are drawn unless the command says otherwise."""

    sampler: str = "dpm++2m-sde"
    steps: Annotated[int, Field(ge=1, le=10**6)] | Literal["auto"] = 50
    grid: str = "uniform-log-snr"
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="the sampler's own arguments"
    )
    tol: float = Field(
        0.01, gt=0, description="with steps = auto: how far samples may be from the flow's end"
    )
    guidance: float = Field(
        1.0, ge=0, le=100, description="how strongly a class is followed; 1: as it was learned"
    )
    guidance_interval: tuple[float, float] | None = Field(
        None, description="from which log-SNR to which there is guidance; everywhere if not given"
    )
    clip: float | None = Field(
        None, gt=0, description="largest predicted value, in the model's units; off if not given"
    )
    threshold: float | None = Field(
        None, gt=0, le=1, description="quantile of dynamic thresholding at `clip`"
    )
    weights: Literal["averaged", "last"] = "averaged"


class Settings(_Section):
    """Everything that makes a run what it is."""

    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    threads: int = Field(
        1,
        ge=0,
        le=1024,
        description="processor threads; 0: PyTorch's own choice, for wide networks",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the network is; auto: networks of pictures on a GPU if any"
    )
    data: DataSettings = DataSettings()
    process: ProcessSettings = ProcessSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = Field(default_factory=dict, validate_default=True)

    @field_validator("sampling", mode="before")
    @classmethod
    def _of_its_process(cls, given: Any, info: ValidationInfo) -> Any:
        """Defaults for a table: from its last level, in no more steps than it has levels."""
        process = info.data.get("process")
        if not isinstance(given, Mapping) or process is None or not process.num_levels:
            return given
        steps = min(process.num_levels, SamplingSettings.model_fields["steps"].default)
        return {"grid": "trailing", "steps": steps, **given}

    def to_dict(self) -> dict[str, Any]:
        """Plain values; settings that are not set are left out, as TOML has no null."""
        return self.model_dump(exclude_none=True)

    def to_toml(self) -> str:
        """The whole settings as a TOML text that `load_toml` reads back to the same."""
        return tomli_w.dumps(self.to_dict())


# Of every recipe: more noise than the reverse SDE's, which mends the network's errors.
_SAMPLING = {"options": {"eta": 2.0}}


def suited(row: tuple[int, ...], *, pictures: bool) -> dict[str, Any]:
    """The recipe for rows of this shape, as changes to the defaults, which are for three columns.

    The cosine is shifted to where the detail of points is decided. In more columns, rows are too
    far apart to be each other's reference, and there is more to learn.
    """
    if pictures:
        return _suited_to_pictures(max(row[:2]))
    recipe = {"process": {"options": {"shift": 3.0}}, "sampling": _SAMPLING}
    if row[0] <= 3:
        return recipe
    return recipe | {
        "network": {"width": 128},
        "training": {"steps": 2000, "batch_size": 512, "reference": 0},
    }


def suited_to_table(rows: int, columns: int) -> dict[str, Any]:
    """The recipe for a table: 600 passes over few rows, fewer over many."""
    steps = min(max(200, 600 * rows // 512), 3500)
    return {
        "process": {"options": {"shift": 1.0}},
        "network": {"name": "table-mlp", "width": 128 if columns <= 8 else 256, "depth": 3},
        "training": {
            "steps": steps,
            "batch_size": 512,
            "reference": 0,
            "learning_rate": 2e-3,
            "warmup": 50,
            "average": 0.995,
            "snapshots": 0,
        },
        "sampling": _SAMPLING,
    }


def _suited_to_pictures(side: int) -> dict[str, Any]:
    """A U-Net whose lowest resolution has a side of four or so, in steps that two cores carry.

    For 8 x 8 pixels in a minute or two, for 32 x 32 in less than an hour; what a GPU can do needs
    a wider network and more steps.
    """
    resolutions = max(1, (side - 1).bit_length() - 1)
    return {
        "process": {"options": {"shift": 1.0}},
        "network": {
            "name": "unet",
            "width": 32,
            "depth": 1,
            "target": "v",
            "options": {"multipliers": [1, 2, 2, 4, 4, 4, 4, 4][:resolutions]},
        },
        "training": {
            "steps": 1000 if side <= 16 else 5000,
            "batch_size": 64 if side <= 16 else 32,
            "reference": 0,
            "learning_rate": 1e-3 if side <= 16 else 5e-4,
            "warmup": 100,
            "average": 0.995 if side <= 16 else 0.999,
            "precision": "float32" if side <= 16 else "auto",
            "log_every": 50 if side <= 16 else 10,
            "checkpoint_every": 500,
        },
        "sampling": _SAMPLING,
        "threads": 0,
    }


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "s-curve": {"data": {"source": "s-curve"}},
    "digits": {"data": {"source": "digits", "labels": True}},
    # The tutorial's own settings, faults included; `s-curve` is the same job done right.
    "tutorial": {
        "data": {"source": "s-curve", "rows": 10_000, "noise": 0.1, "standardise": False},
        "process": {"schedule": "sigmoid", "num_levels": 100},
        "network": {"name": "step-mlp", "width": 128, "target": "eps"},
        "training": {
            "epochs": 4000,
            "batch_size": 128,
            "reference": 0,
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "warmup": 0,
            "decay": "constant",
            "clip": 1.0,
            "average": 0.999,
            "times": "antithetic",
            "weighting": "simple",
            "log_every": 79,
            "checkpoint_every": 7900,
            "snapshots": 8,
        },
        "sampling": {
            "sampler": "ancestral",
            "steps": 100,
            "grid": "trailing",
            "options": {"variance": "beta", "last_step_noise": True},
            "weights": "last",
        },
    },
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


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset, as nested changes to the defaults.

    Raises:
        ArgumentError: if there is none of that name.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return dict(PRESETS[name])


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


def _without_strange_options(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without the options of a schedule, network or sampler that `layer` replaces."""
    kept = dict(values)
    for section in _KINDS:
        before, change = values.get(section), layer.get(section)
        if not isinstance(before, Mapping) or not isinstance(change, Mapping):
            continue
        other = _kinds(section, before) != _kinds(section, {**before, **change})
        if other or _states_all(section, change):
            kept[section] = {name: value for name, value in before.items() if name != "options"}
    return kept


def resolve(*layers: Mapping[str, Any]) -> Settings:
    """The settings that the layers make, each over the one before.

    Raises:
        ArgumentError: naming the first setting that is unknown (with the nearest known one) or
            out of its range.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        values = merged(_without_strange_options(values, layer), layer)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, values) from error


def _known() -> dict[str, str]:
    """The full name of every setting, and its last part."""
    names: dict[str, str] = {}
    for section, field in Settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, _Section):
            names |= {f"{section}.{name}": name for name in annotation.model_fields}
        else:
            names[section] = section
    return names


def _example(section: str) -> str:
    """The first setting of a section, with its default, as it is written on the command line."""
    values: Any = resolve(suited((2,), pictures=False)).to_dict()
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
    reasons = [each["msg"] for each in errors if _given_name(each["loc"], values) == name]
    reason = ", or ".join(each[0].lower() + each[1:] for each in reasons)
    return ArgumentError(f"the setting {name!r} is wrong: {reason}; got {first['input']!r}.")
