"""Noise that belongs to the sample, not to the batch it was drawn in.

Samples are numbered 0, 1, 2, ... and their noise is drawn for so many together as their shape
decides, 1,024 rows or a sheet of 64 pictures, by a generator seeded from (seed, number of the
sheet). What is computed together, a chunk, is a sheet or a part of it, cut at the same places
whatever is asked for, because matrix products of another shape may round differently. So the first
100 of 1,000 samples are the 100, bit for bit on one machine, and any process can draw any chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import ArgumentError

CHUNK = 1024
"""Rows whose noise is drawn together; points are computed together, too."""

PICTURES = 64
"""Pictures whose noise is drawn together: a sheet of 8 x 8."""

# The first sheet is cut before these pictures, so that one or four do not cost what 64 cost; and
# before these rows of a table.
_CUTS, _TABLE_CUTS = (1, 4, 16), (64, 256)


@runtime_checkable
class Noise(Protocol):
    """Standard normal noise in the shape, dtype and device of what it is given.

    Samplers and the variational bound draw by it, once for each draw that they need. A plain
    function will do, such as `torch.randn_like`; those of the package draw from a seed.
    """

    def __call__(self, x: Tensor, /) -> Tensor:
        """Noise for samples `x` `(batch, *event)`, independent of all draws before."""
        ...


# What each stream is for. The numbers decide what is drawn: a new stream takes a new one.
SAMPLING, TRAINING, EDITING, PROBING = 0, 1, 2, 3
LABELLING, DEQUANTISING, LEVELS, ORDERS = 4, 5, 6, 7
CORRELATING, PREDICTING, DISTILLING = 8, 9, 10


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that are computed together.

    Args:
        first: the number of its first sample.
        size: how many samples it has.
        stream: the number of the stream of noise that it shares with the rest of its sheet.
        sheet: how many samples the sheet has, from `stream * sheet` on.
    """

    first: int
    size: int
    stream: int
    sheet: int

    @property
    def within(self) -> slice:
        """Where it lies in its sheet."""
        begin = self.first - self.stream * self.sheet
        return slice(begin, begin + self.size)

    def noise(self, seed: int, purpose: int) -> Noise:
        """Its own part of the successive draws of its stream, for the samples it is given."""
        draw = noise_from(generator(seed, purpose, self.stream))
        return lambda x: draw(x.new_empty(self.sheet, *x.shape[1:]))[self.within][: len(x)]

    def uniform(self, width: int, *stream: int) -> Tensor:
        """Its own part of a stream's draws from [0, 1), `width` for each sample, float64."""
        source = generator(*stream)
        return torch.rand(self.sheet, width, generator=source, dtype=torch.float64)[self.within]


def chunk_size(event: Sequence[int]) -> int:
    """How many samples of shape `event` are computed together, where so many are asked for."""
    return CHUNK if len(event) <= 1 else PICTURES


def chunks(event: Sequence[int], n: int, first: int = 0) -> Iterator[Chunk]:
    """The chunks that the samples `first` to `first + n - 1` of shape `event` lie in.

    Points are computed by 1,024; pictures by 1, 3, 12, 48, and then 64 each.
    """
    return _parts(chunk_size(event), _CUTS if len(event) > 1 else (), n, first)


def table_chunks(n: int, first: int = 0) -> Iterator[Chunk]:
    """The chunks that a table's rows `first` to `first + n - 1` lie in: 64, 192, 768, then 1,024.

    A row of a table takes many calls of a network that is larger than that of points.
    """
    return _parts(CHUNK, _TABLE_CUTS, n, first)


def _parts(size: int, cuts: Sequence[int], n: int, first: int) -> Iterator[Chunk]:
    """The sheets of so many samples that `first` to `first + n - 1` lie in, the first one cut."""
    stop = first + n
    for stream in range(first // size, -(-stop // size) if n else 0):
        own = [cut for cut in cuts if cut < size and stream == 0]
        for begin, end in pairwise(stream * size + cut for cut in (0, *own, size)):
            if begin < stop and end > first:
                yield Chunk(begin, end - begin, stream, size)


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
