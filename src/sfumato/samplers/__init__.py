"""Sampling methods, one file each, and the driver that walks them down the noise levels."""

from collections.abc import Mapping
from typing import Any

from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM

# Frozen dataclasses that are a `Stepper`.
SAMPLERS: Mapping[str, type[Any]] = {"ancestral": Ancestral, "ddim": DDIM}
