"""Sampling methods, one file each, and the driver that walks them down the noise levels."""

from collections.abc import Mapping

from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM

SAMPLERS: Mapping[str, type[Ancestral | DDIM]] = {"ancestral": Ancestral, "ddim": DDIM}
