"""How many steps are enough: doubled until samples no longer move.

For a deterministic method x_K tends to the flow's own end as the steps K grow, and |x_K - x_2K| is
at most about |x_K - x_infinity| (1 + 2^-order), so that what a doubling moves is what K lacks.
Two numbers running must keep the tolerance, since an error that changes sign is small by chance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.samplers.driver import Stepper, chunk_frames, draws_noise

# Each is half of the next but one.
_LADDER = [4, 6, *(k * 2**j for j in range(7) for k in (8, 12))]


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of steps, and how far samples still move when it is doubled.

    Args:
        num_steps: the smallest that keeps the tolerance, of those tried.
        moved: how far 19 samples in 20 move at most, in standard deviations of the samples. (The
            last one may be near a watershed of the flow, and end on either side of it.)
    """

    num_steps: int
    moved: float


def choose_steps(
    denoise: Denoiser,
    event: tuple[int, ...],
    grid: Callable[[int], NoiseLevel],
    stepper: Stepper[Any],
    *,
    tol: float,
    most: int = 2 * _LADDER[-1],
    seed: int = 0,
) -> Choice:
    """The smallest number of steps whose doubling moves samples by less than `tol`.

    Args:
        denoise: the denoiser.
        event: shape of one sample.
        grid: number of steps to levels.
        stepper: a deterministic method.
        tol: largest movement, in standard deviations of the samples.
        most: steps that the grid can have; half of it can be doubled.
        seed: of the chunk that is tried.

    Raises:
        ArgumentError: if the method draws noise, or no number of steps is enough.
    """
    if draws_noise(stepper, grid(min(_LADDER[0], most))):
        raise ArgumentError(
            "the number of steps is chosen only for a method without noise (dpm++2m, unipc, heun, "
            "ddim); this one draws noise. Give a number."
        )

    def drawn(num_steps: int) -> Tensor:
        frames = chunk_frames(denoise, event, grid(num_steps), stepper, seed=seed, chunk=0)
        *_, last = frames
        return last.x_t

    ends: dict[int, Tensor] = {}
    held: Choice | None = None
    moved = float("inf")
    for num_steps in (each for each in _LADDER if 2 * each <= most):
        for each in (num_steps, 2 * num_steps):
            if each not in ends:
                ends[each] = drawn(each)
        coarse, fine = ends.pop(num_steps), ends[2 * num_steps]
        each_moved = (coarse - fine).flatten(1).square().mean(1).sqrt()
        moved = float(each_moved.quantile(0.95) / fine.std())
        if moved >= tol:
            held = None
        elif held is None:
            held = Choice(num_steps, moved)
        else:
            return held
    raise ArgumentError(
        f"no number of steps up to {most // 2} keeps sampling.tol = {tol:g}: the last moved "
        f"samples by {moved:.2g} standard deviations when doubled. Raise it, or take a method of "
        "higher order (unipc)."
    )
