"""How many steps are enough: doubled until samples no longer move.

For a deterministic method of order p >= 1 the error e_K falls by 2^-p <= 1/2 when the steps K are
doubled, so that |e_K| <= |x_K - x_2K| / (1 - 1/2): twice what a doubling moves bounds what K lacks.
Two numbers running must keep the tolerance, since an error that changes sign is small by chance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, PerChunk
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import chunk_size
from sfumato.samplers.driver import Stepper, draws_noise, sample_chunks

# Each is half of the next but one.
_LADDER = [4, 6, *(k * 2**j for j in range(7) for k in (8, 12))]


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of steps, and how far its samples may be from the flow's end.

    Args:
        num_steps: the smallest that keeps the tolerance, of those tried.
        error: for 19 samples in 20, in standard deviations of the samples. (The last one may be
            near a watershed of the flow, and end on either side of it.)
    """

    num_steps: int
    error: float


def choose_steps(
    denoise: Denoiser | PerChunk,
    event: tuple[int, ...],
    grid: Callable[[int], NoiseLevel],
    stepper: Stepper[Any],
    *,
    tol: float,
    most: int | None = None,
    seed: int = 0,
) -> Choice:
    """The smallest number of steps whose samples are within `tol` of the flow's end.

    Args:
        denoise: the denoiser.
        event: shape of one sample.
        grid: number of steps to levels.
        stepper: a deterministic method.
        tol: largest error of 19 samples in 20, in standard deviations of the samples.
        most: steps that the grid can have, of which half can be doubled; None for any number.
        seed: of the samples that are tried, a whole chunk.

    Raises:
        ArgumentError: if the method draws noise, or no number of steps is enough.
    """
    most = 2 * _LADDER[-1] if most is None else most
    ladder = [each for each in _LADDER if 2 * each <= most]
    if not ladder:
        raise ArgumentError(f"{most} levels are too few to choose steps from; give a number.")
    if draws_noise(stepper, grid(_LADDER[0])):
        raise ArgumentError(
            "the number of steps is chosen only for a method without noise, and this one draws "
            "noise; take another (--sampler dpm++2m, unipc, heun, ddim), or give a number."
        )

    def drawn(num_steps: int) -> Tensor:
        walk = sample_chunks(
            denoise, event, grid(num_steps), stepper, n=chunk_size(event), seed=seed
        )
        return torch.cat(list(walk))

    ends: dict[int, Tensor] = {}
    held: Choice | None = None
    error = float("inf")
    for num_steps in ladder:
        for each in (num_steps, 2 * num_steps):
            if each not in ends:
                ends[each] = drawn(each)
        coarse, fine = ends.pop(num_steps), ends[2 * num_steps]
        moved = (coarse - fine).flatten(1).square().mean(1).sqrt().quantile(0.95)
        error = 2 * float(moved / fine.std())
        if error >= tol:
            held = None
        elif held is None:
            held = Choice(num_steps, error)
        else:
            return held
    if held is not None:  # the last of the ladder, which nothing is left to confirm
        return held
    raise ArgumentError(
        f"no number of steps up to {ladder[-1]} keeps sampling.tol = {tol:g}: the last is off by "
        f"{error:.2g} standard deviations. Raise it, or take a method of higher order (unipc)."
    )
