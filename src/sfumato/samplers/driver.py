"""The one loop behind every sample, figure and animation.

A sampling method is a `Stepper`: how to get from level t to the less noisy s. The driver walks
the levels, hands each step what it needs, and yields every frame; drawing a sample is walking
to the last one.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, PerChunk, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import EDITING, SAMPLING, Chunk, Noise, chunks

S = TypeVar("S")


@runtime_checkable
class Stepper(Protocol[S]):
    """A sampling method; what it remembers between steps is passed, not kept."""

    def start(self) -> S:
        """The state before the first step."""
        ...

    def step(
        self, denoise: Denoiser, x_t: Tensor, t: NoiseLevel, s: NoiseLevel, state: S, noise: Noise
    ) -> tuple[Tensor, Prediction, S]:
        """One step from level t to level s: x_s, the prediction made on the way, the new state.

        Args:
            denoise: gives E[x_0 | x_t] at any level.
            x_t: `(batch, *event)`, noisy as t says.
            t: the level of x_t, `()`.
            s: the next one, of less noise, `()`; at the last step the clean one, sigma 0.
            state: what the step before has given back, first what `start` gives.
            noise: the method's own noise, if it draws any.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where a sample is on its way: x at a level, and the x_0 that the last step predicted."""

    x_t: Float[Tensor, "batch *event"]
    level: NoiseLevel
    prediction: Prediction | None


def trajectory(
    denoise: Denoiser,
    x: Float[Tensor, "batch *event"],
    levels: NoiseLevel,
    stepper: Stepper[S],
    *,
    noise: Noise,
) -> Iterator[Frame]:
    """Walk x down the levels; K + 1 levels give K + 1 frames, the first being x itself.

    Args:
        denoise: the denoiser.
        x: the start at `levels[0]`, `(batch, *event)`; its dtype is the state's.
        levels: noise falling, `(K + 1,)`, see `process.grids`.
        stepper: the method.
        noise: where the method's own noise comes from.

    Raises:
        ArgumentError: if there are fewer than two levels or the noise does not fall.
    """
    if len(levels) < 2:
        raise ArgumentError(
            f"a sampler needs two or more levels of falling noise; got {len(levels)}."
        )
    rising = (~(levels.sigma_ve.diff() < 0)).nonzero().flatten().tolist()
    if rising:
        before, after = levels.sigma_ve[rising[0] : rising[0] + 2].tolist()
        raise ArgumentError(
            "a sampler needs levels of falling noise; got sigma/alpha "
            f"{before:.4g} and then {after:.4g} at step {rising[0] + 1}."
        )
    state = stepper.start()
    yield Frame(x, levels[0], None)
    for t, s in pairwise(levels[k] for k in range(len(levels))):
        with torch.no_grad():  # around the step alone: the caller's own mode holds between frames
            x, prediction, state = stepper.step(denoise, x, t, s, state, noise)
        yield Frame(x, s, prediction)


def _of_chunk(denoise: Denoiser | PerChunk, chunk: Chunk) -> Denoiser:
    return denoise.of(chunk) if isinstance(denoise, PerChunk) else denoise


def chunk_frames(
    denoise: Denoiser | PerChunk,
    event: tuple[int, ...],
    levels: NoiseLevel,
    stepper: Stepper[S],
    *,
    seed: int,
    chunk: Chunk,
) -> Iterator[Frame]:
    """A whole chunk of the samples of a seed, from noise: `(chunk.size, *event)` each.

    Args:
        denoise: the denoiser.
        event: shape of one sample.
        levels: noise falling, `(K + 1,)`.
        stepper: the method.
        seed: names the infinite list of samples.
        chunk: which part of the list.
    """
    noise = chunk.noise(seed, SAMPLING)
    x = noise(torch.empty(chunk.size, *event, dtype=torch.float64))
    # The prior of alpha x_0 + sigma eps for data of unit variance; N(0, I) where
    # alpha² + sigma² = 1.
    scale = (levels.alpha[0] ** 2 + levels.sigma[0] ** 2).sqrt()
    yield from trajectory(_of_chunk(denoise, chunk), scale * x, levels, stepper, noise=noise)


def sample_frames(
    denoise: Denoiser | PerChunk,
    event: tuple[int, ...],
    levels: NoiseLevel,
    stepper: Stepper[S],
    *,
    n: int,
    seed: int,
    first: int = 0,
) -> Iterator[Tensor]:
    """Samples of a seed from number `first` on at each level in turn, `(n, *event)`: K + 1 tensors.

    All chunks walk in step, so that memory holds one frame of each.
    """
    if n == 0:
        yield from (torch.empty(0, *event, dtype=torch.float64) for _ in range(len(levels)))
        return
    parts = list(chunks(event, n, first))
    walks = [chunk_frames(denoise, event, levels, stepper, seed=seed, chunk=part) for part in parts]
    offset = first - parts[0].first
    for frame in in_step(walks):
        yield frame.x_t[offset : offset + n]


def in_step(walks: Sequence[Iterator[Frame]]) -> Iterator[Frame]:
    """The walks of several chunks as one of all their samples, a level after the other."""
    for frames in zip(*walks, strict=True):
        predicted = [each.prediction.x_0 for each in frames if each.prediction is not None]
        prediction = Prediction(torch.cat(predicted)) if predicted else None
        yield Frame(torch.cat([each.x_t for each in frames]), frames[0].level, prediction)


def last_frame(frames: Iterator[Frame]) -> Frame:
    """The last frame; the others are let go at once, where unpacking would hold them all."""
    (last,) = deque(frames, maxlen=1)
    return last


def sample_chunks(
    denoise: Denoiser | PerChunk,
    event: tuple[int, ...],
    levels: NoiseLevel,
    stepper: Stepper[S],
    *,
    n: int,
    seed: int,
    first: int = 0,
) -> Iterator[Tensor]:
    """Samples of a seed from number `first` on, a chunk at a time.

    Sample k is the same whatever `first` and `n` are.

    Args:
        denoise: the denoiser.
        event: the shape of one sample: `(2,)` of points, `(channels, height, width)` of pictures.
        levels: noise falling, `(K + 1,)`, see `process.grids`.
        stepper: the method.
        n: how many samples.
        seed: not negative; decides every draw.
        first: the number of the first.

    Yields:
        `(size, *event)`, float64.
    """
    for chunk in chunks(event, n, first):
        last = last_frame(chunk_frames(denoise, event, levels, stepper, seed=seed, chunk=chunk))
        yield last.x_t[max(first - chunk.first, 0) : first + n - chunk.first]


def walk_rows(
    denoise: Denoiser | PerChunk,
    x: Float[Tensor, "batch *event"],
    levels: NoiseLevel,
    stepper: Stepper[S],
    *,
    seed: int,
    fresh_noise: bool,
) -> Iterator[Tensor]:
    """Given rows walked down the levels, a chunk at a time.

    Row k depends on itself, the seed and k alone.

    Args:
        denoise: the denoiser.
        x: `(batch, *event)`: clean rows, or rows that are at `levels[0]` already.
        levels: noise falling, `(K + 1,)`.
        stepper: the method.
        seed: of all noise.
        fresh_noise: bring clean rows to `levels[0]` first.
    """
    for chunk in chunks(x.shape[1:], len(x)):
        rows = x[chunk.first : chunk.first + chunk.size]
        whole = filled_up(rows, chunk.size)
        noise = chunk.noise(seed, EDITING)
        begin = noised(whole, levels[0]).draw(noise(whole)) if fresh_noise else whole
        own = _of_chunk(denoise, chunk)
        last = last_frame(trajectory(own, begin, levels, stepper, noise=noise))
        yield last.x_t[: len(rows)]


def filled_up(
    rows: Float[Tensor, "batch *event"], size: int, before: int = 0
) -> Float[Tensor, "size *event"]:
    """Rows with zeros around them, as a chunk is always computed whole.

    Args:
        rows: `(batch, *event)`.
        size: of the chunk.
        before: how many of the chunk come before the rows.
    """
    whole = rows.new_zeros(size, *rows.shape[1:])
    whole[before : before + len(rows)] = rows
    return whole


def draws_noise(stepper: Stepper[S], levels: NoiseLevel) -> bool:
    """Whether the method asks for noise on the way."""
    return _asked(stepper, levels)[1] > 0


def count_calls(stepper: Stepper[S], levels: NoiseLevel) -> int:
    """How often the method asks the denoiser on the way."""
    return _asked(stepper, levels)[0]


def _asked(stepper: Stepper[S], levels: NoiseLevel) -> tuple[int, int]:
    """How often a walk of a single number asks the denoiser, and for noise."""
    calls = draws = 0

    def nothing(x_t: Tensor, level: NoiseLevel) -> Prediction:  # noqa: ARG001
        nonlocal calls
        calls += 1
        return Prediction(torch.zeros_like(x_t), torch.zeros_like(x_t))

    def none(x: Tensor) -> Tensor:
        nonlocal draws
        draws += 1
        return torch.zeros_like(x)

    x = torch.zeros(1, 1, dtype=torch.float64)
    for _ in trajectory(nothing, x, levels, stepper, noise=none):
        pass
    return calls, draws
