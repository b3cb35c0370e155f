"""Noise wider than the process's, so that a network also learns what the process hardly visits.

    (1)  x_t = alpha x_0 + r sigma eps,   r uniform in [1, 1 + sqrt(2/d)]

that is by up to two standard deviations of the norm of eps in d numbers, 1/sqrt(2) in any d. A
sampler does come there: of 10,000 points of noise in two dimensions a hundred lie beyond three
deviations, and a network that saw few of those leads some of them past the data.

An input may be distributed in any way where the target is a function of it: the end of its flow, or
E[x_0 | x_t] of `training.stable_targets` where many rows are within the noise. Of n normal rows
they are as many as

    (2)  n (sigma²/(alpha² + sigma²))^(d/2)

and where they are few, the row itself is among them for having been noised by (1), not by sigma.
"""

import math

import torch
from torch import Tensor

from sfumato.process.noise import NoiseLevel

# One row in so many is noised wider, where as many rows are within the noise as `_MANY`.
_ONE_IN, _MANY = 4, 32


def widths(part: Tensor, d: int) -> Tensor:
    """The r of eq. (1) in d numbers, as `part` goes from 0 to 1."""
    return 1 + math.sqrt(2 / d) * part


def drawn_widths(size: int, d: int, generator: torch.Generator) -> Tensor:
    """The r of eq. (1) for one row in four, 1 for the others: `(size,)`."""
    part = _ONE_IN * torch.rand(size, generator=generator)
    return torch.where(part < 1, widths(part, d), 1.0)


def is_wide(level: NoiseLevel, n: int | Tensor, d: int) -> Tensor:
    """Where eq. (2) is many of n rows, shaped like the level; n may be another for each."""
    share = level.sigma**2 / (level.alpha**2 + level.sigma**2)
    return n * share ** (d / 2) >= _MANY
