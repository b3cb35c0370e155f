"""How many steps are enough: doubled until samples no longer move.

For a deterministic method x_K tends to the flow's own end as the steps K grow, and |x_K - x_2K| is
at most about |x_K - x_infinity| (1 + 2^-order), so that what a doubling moves is what K lacks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.samplers.driver import Stepper, chunk_frames

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
    seed: int = 0,
) -> Choice:
    """The smallest number of steps whose doubling moves samples by less than `tol`.

    Args:
        denoise: the denoiser.
        event: shape of one sample.
        grid: number of steps to levels.
        stepper: a deterministic method.
        tol: largest movement, in standard deviations of the samples.
        seed: of the chunk that is tried.

    Raises:
        ArgumentError: if the method draws noise, or no number of steps up to 768 is enough.
    """

    def drawn(num_steps: int) -> Tensor:
        frames = chunk_frames(denoise, event, grid(num_steps), stepper, seed=seed, chunk=0)
        *_, last = frames
        return last.x_t

    ends: dict[int, Tensor] = {}
    moved = float("inf")
    for num_steps in _LADDER:
        for each in (num_steps, 2 * num_steps):
            if each not in ends:
                ends[each] = drawn(each)
        coarse, fine = ends.pop(num_steps), ends[2 * num_steps]
        each_moved = (coarse - fine).flatten(1).square().mean(1).sqrt()
        moved = float(each_moved.quantile(0.95) / fine.std())
        if moved < tol:
            return Choice(num_steps, moved)
    raise ArgumentError(
        f"even {_LADDER[-1]} steps move samples by {moved:.2g} standard deviations when doubled; "
        "raise sampling.tol, or take a method of higher order (unipc)."
    )
