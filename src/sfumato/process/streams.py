"""Noise that belongs to the sample, not to the batch it was drawn in.

Samples are numbered 0, 1, 2, ... and drawn in chunks of a size that their shape decides; each
chunk has its own generator, seeded from (seed, chunk). A chunk is always computed whole and in
the same shape, because matrix products of another shape may round differently. So the first 100
of 1,000 samples are the 100, bit for bit on one machine, and any process can draw any chunk.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import ArgumentError

CHUNK = 1024
"""Rows of a table that are computed together."""

PICTURES = 64
"""Pictures that are computed together: a sheet of 8 x 8."""

Noise = Callable[[Tensor], Tensor]
"""Standard normal noise in the shape, dtype and device of what it is given."""


# What each stream is for. The numbers decide what is drawn: a new stream takes a new one.
SAMPLING, TRAINING, EDITING, PROBING = 0, 1, 2, 3
LABELLING, DEQUANTISING, LEVELS, ORDERS = 4, 5, 6, 7
CORRELATING, PREDICTING, DISTILLING = 8, 9, 10


def chunk_size(event: Sequence[int]) -> int:
    """How many samples of shape `event` are computed together."""
    return CHUNK if len(event) == 1 else PICTURES


def generator(seed: int, *stream: int) -> torch.Generator:
    """A generator of its own for each stream under a seed.

    Args:
        seed: not negative.
        stream: what it is for, e.g. `SAMPLING` and the chunk.

    Raises:
        ArgumentError: if the seed is negative.
    """
    if seed < 0:
        raise ArgumentError(f"`seed` must not be negative; got {seed}.")
    state = np.random.SeedSequence(seed, spawn_key=stream).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def noise_from(source: torch.Generator) -> Noise:
    """Successive draws of one generator; made on the CPU, so that every device sees the same."""

    def draw(x: Tensor) -> Tensor:
        return torch.randn(x.shape, dtype=x.dtype, generator=source).to(x.device)

    return draw
