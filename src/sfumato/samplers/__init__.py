"""Sampling methods, one file each, and the driver that walks them down the noise levels."""

from collections.abc import Callable, Mapping

from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import Stepper

SAMPLERS: Mapping[str, Callable[..., Stepper[None]]] = {"ancestral": Ancestral, "ddim": DDIM}
