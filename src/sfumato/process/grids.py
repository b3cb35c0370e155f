"""The levels that a sampler visits: noisiest first, the clean one last.

Continuous schedules are divided in time or in noise; discrete ones are strided by index, or visited
where they come nearest to a division in noise. Each grid of K steps has K + 1 levels. The strides
follow Lin et al. (2024), table 2: only `trailing` and `linspace` begin at the last level, where
pure noise belongs, and so do the divisions in noise.
"""

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import softplus as log1p_exp

from sfumato.errors import ArgumentError
from sfumato.process.discrete import DiscreteSchedule, until
from sfumato.process.noise import NoiseLevel, then_clean
from sfumato.process.schedules import Schedule


def _steps(num_steps: int, most: int | None = None) -> int:
    limit = f"between 1 and {most}" if most else "at least 1"
    if num_steps < 1 or (most is not None and num_steps > most):
        raise ArgumentError(
            f"`num_steps` (sampling.steps, --steps) must be {limit}; got {num_steps}."
        )
    return num_steps


def uniform_time(schedule: Schedule, num_steps: int) -> NoiseLevel:
    """T = 1, 1 - 1/K, ..., 1/K, then clean."""
    t = torch.arange(_steps(num_steps), 0, -1, dtype=torch.float64) / num_steps
    return then_clean(schedule(t))


_Division = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Log-SNR of the noisiest and the cleanest level, parts of the way from 0 to 1: log-SNR there."""


def _divided(process: Schedule | DiscreteSchedule, num_steps: int, divide: _Division) -> NoiseLevel:
    """K levels from the noisiest to the cleanest but one, then clean."""
    if isinstance(process, DiscreteSchedule):
        return _visit(process, _nearest(process, _steps(num_steps, process.num_levels), divide))
    part = torch.linspace(0, 1, _steps(num_steps), dtype=torch.float64)
    noisiest, cleanest = process(torch.tensor([1.0, 0.0], dtype=torch.float64)).log_snr
    return then_clean(process(process.time(divide(noisiest, cleanest, part))))


def _nearest(schedule: DiscreteSchedule, num_steps: int, divide: _Division) -> Int[Tensor, " K"]:
    """K discrete levels, none twice, where they are nearest to a division.

    Where two parts are nearest to one level, the noisier part takes it and the other the next
    level that is free; towards the clean end enough are kept for the parts to come.
    """
    if float(schedule.levels.alpha[-1]) == 0:
        # No division reaches a log-SNR of -inf: pure noise first, then the levels before it.
        first = torch.tensor([schedule.num_levels])
        if num_steps == 1:
            return first
        before = until(schedule, schedule.num_levels - 1)
        return torch.cat([first, _nearest(before, num_steps - 1, divide)])
    noisiest, cleanest = schedule.levels.log_snr[-1], schedule.levels.log_snr[1]
    part = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    k = torch.arange(num_steps)
    falling = (schedule.nearest(divide(noisiest, cleanest, part)) + k).cummin(0).values - k
    return torch.maximum(falling, num_steps - k)


def uniform_log_snr(process: Schedule | DiscreteSchedule, num_steps: int) -> NoiseLevel:
    """K levels evenly spaced in log-SNR over the whole range, then clean.

    As log-SNR = -2 log(sigma/alpha), this is also the grid that is called exponential: evenly
    spaced in log sigma between the same ends. Of discrete levels, those nearest to it.
    """
    return _divided(process, num_steps, torch.lerp)


def unit_log_snr(process: Schedule | DiscreteSchedule, num_steps: int) -> NoiseLevel:
    """K levels for data of unit scale, densest where noise is a quarter of it, then clean.

    log(sigma/alpha) = -1.5 + 2 sinh u with even u. What the data are like shows there, while far
    above and below nothing but the noise changes.
    """

    def divide(noisiest: Tensor, cleanest: Tensor, part: Tensor) -> Tensor:
        first, last = (((3 - end) / 4).asinh() for end in (noisiest, cleanest))
        found: Tensor = 3 - 4 * torch.lerp(first, last, part).sinh()
        # Rounding must not lead beyond the ends, where there may be no level.
        return found.clamp(noisiest, cleanest)

    return _divided(process, num_steps, divide)


def softplus(
    process: Schedule | DiscreteSchedule, num_steps: int, scale: float = 1.0
) -> NoiseLevel:
    """K levels evenly spaced in log(1 + scale alpha/sigma), then clean.

    With a scale of 1 that is the softplus of half the log-SNR: as `uniform_log_snr` near data of
    unit scale, and few levels far above them, where nothing but the noise changes.
    """

    def divide(noisiest: Tensor, cleanest: Tensor, part: Tensor) -> Tensor:
        first, last = (log1p_exp(end / 2 + math.log(scale)) for end in (noisiest, cleanest))
        even = torch.lerp(first, last, part)
        found: Tensor = 2 * (even + (-torch.expm1(-even)).log() - math.log(scale))
        # Rounding must not lead beyond the ends, where there may be no level.
        return found.clamp(noisiest, cleanest)

    return _divided(process, num_steps, divide)


def softplus_wide(process: Schedule | DiscreteSchedule, num_steps: int) -> NoiseLevel:
    """K levels evenly spaced in log(1 + 4 alpha/sigma), then clean.

    Of twenty levels five lie above data of unit scale, where `softplus` has three: its first step
    is so long that a normal law comes out a little narrower, with thinner tails.
    """
    return softplus(process, num_steps, scale=4.0)


def karras(process: Schedule | DiscreteSchedule, num_steps: int, rho: float = 7.0) -> NoiseLevel:
    """K levels evenly spaced in (sigma/alpha)^(1/rho), then clean: Karras et al. (2022), eq. 5.

    Of discrete levels, those nearest to it in log-SNR.
    """

    def divide(noisiest: Tensor, cleanest: Tensor, part: Tensor) -> Tensor:
        ends = torch.exp(-noisiest / (2 * rho)), torch.exp(-cleanest / (2 * rho))
        return -2 * rho * torch.lerp(*ends, part).log()

    return _divided(process, num_steps, divide)


def _visit(schedule: DiscreteSchedule, index: Tensor) -> NoiseLevel:
    return then_clean(schedule.levels[index.long()])


def leading(table: DiscreteSchedule, num_steps: int) -> NoiseLevel:
    """Levels 1, 1 + T/K, 1 + 2T/K, ... rounded, reversed: DDIM's own stride.

    It begins up to a stride below the last level (K = 10 of T = 1000 begins at 901), which is a
    fault of the start unless alpha_bar is small there too. Where K does not divide T, others round
    the stride T/K down to an integer and begin far lower (K = 501 of T = 1000 at 501).
    """
    part = torch.arange(_steps(num_steps, table.num_levels) - 1, -1, -1, dtype=torch.float64)
    return _visit(table, 1 + (part * table.num_levels / num_steps).round())


def trailing(schedule: DiscreteSchedule, num_steps: int) -> NoiseLevel:
    """Levels T, T - T/K, T - 2T/K, ... rounded: begins at the last level."""
    part = torch.arange(_steps(num_steps, schedule.num_levels), 0, -1, dtype=torch.float64)
    return _visit(schedule, (part * schedule.num_levels / num_steps).round())


def linspace(schedule: DiscreteSchedule, num_steps: int) -> NoiseLevel:
    """K levels evenly from T to 1, both included."""
    if _steps(num_steps, schedule.num_levels) == 1:
        return trailing(schedule, 1)
    return _visit(
        schedule, torch.linspace(schedule.num_levels, 1, num_steps, dtype=torch.float64).round()
    )


def noisier(schedule: DiscreteSchedule, levels: NoiseLevel, offset: int) -> NoiseLevel:
    """A grid each of whose levels is `offset` levels noisier, then clean.

    Raises:
        ArgumentError: if its noisiest is then none of the schedule's.
    """
    index = schedule.index(levels[:-1])
    if int(index[0]) + offset > schedule.num_levels:
        raise ArgumentError(
            f"a grid that begins at level {int(index[0])} of {schedule.num_levels} has no room for "
            f"sampling.grid_offset={offset}; take fewer steps (sampling.steps, --steps)."
        )
    return _visit(schedule, index + offset)


CONTINUOUS_GRIDS: Mapping[str, Callable[[Schedule, int], NoiseLevel]] = {
    "uniform-time": uniform_time,
    "uniform-log-snr": uniform_log_snr,
    "exponential": uniform_log_snr,
    "softplus": softplus,
    "softplus-wide": softplus_wide,
    "karras": karras,
}
DISCRETE_GRIDS: Mapping[str, Callable[[DiscreteSchedule, int], NoiseLevel]] = {
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
    "uniform-log-snr": uniform_log_snr,
    "exponential": uniform_log_snr,
    "softplus": softplus,
    "softplus-wide": softplus_wide,
    "karras": karras,
}
