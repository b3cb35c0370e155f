"""At which times the loss is looked at: draws of u in (0, 1).

A continuous schedule takes u as its time; a table of T levels takes level 1 + floor(u T).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Schedule
from sfumato.process.tables import Table

TimeDraw = Callable[[int, torch.Generator], Tensor]
"""`(batch, generator)` to u `(batch,)`, float64."""


def uniform(batch: int, generator: torch.Generator) -> Tensor:
    """Independent and uniform."""
    return torch.rand(batch, dtype=torch.float64, generator=generator)


def antithetic(batch: int, generator: torch.Generator) -> Tensor:
    """Half uniform, half mirrored: u and 1 - u, the tutorial's t and T - 1 - t.

    Each is uniform, and an easy time comes with a hard one, so the mean varies less.
    """
    half = uniform((batch + 1) // 2, generator)
    return torch.cat([half, 1 - half])[:batch]


def stratified(batch: int, generator: torch.Generator) -> Tensor:
    """One uniform draw in each of `batch` equal strata, in random order.

    Each is uniform over all; together they leave no part of the noise out.
    """
    within = torch.rand(batch, dtype=torch.float64, generator=generator)
    return (torch.randperm(batch, generator=generator) + within) / batch


TIME_DRAWS: Mapping[str, TimeDraw] = {
    "uniform": uniform,
    "antithetic": antithetic,
    "stratified": stratified,
}


def level_at(process: Schedule | Table, u: Tensor) -> NoiseLevel:
    """The noise level of each u in (0, 1)."""
    if isinstance(process, Table):
        step = (u * process.num_levels).floor().long().clamp(0, process.num_levels - 1)
        return process.levels[1 + step]
    return process(u)
