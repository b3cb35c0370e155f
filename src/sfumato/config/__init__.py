"""Settings, the recipes that suit certain data, and the layers that they are resolved from."""

from sfumato.config import recipes
from sfumato.config.layers import current, load_toml, merged, nested, parse_assignments, resolve
from sfumato.config.recipes import PRESETS, preset
from sfumato.config.requirements import requirement
from sfumato.config.settings import (
    LARGEST_SEED,
    DataSettings,
    NetworkSettings,
    ProcessSettings,
    SamplingSettings,
    Settings,
    StartSettings,
    TrainingPart,
    TrainingSettings,
)

__all__ = [
    "LARGEST_SEED",
    "PRESETS",
    "DataSettings",
    "NetworkSettings",
    "ProcessSettings",
    "SamplingSettings",
    "Settings",
    "StartSettings",
    "TrainingPart",
    "TrainingSettings",
    "current",
    "load_toml",
    "merged",
    "nested",
    "parse_assignments",
    "preset",
    "recipes",
    "requirement",
    "resolve",
]
