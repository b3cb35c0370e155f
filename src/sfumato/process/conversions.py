"""From a continuous schedule to a discrete one, and back.

    (1)  level i of T is the schedule's at t = i/T, i = 1 ... T
    (2)  beta_i = sigma_i² (1 - SNR_i/SNR_{i-1})

A discrete schedule preserves variance, so a continuous one that does not (ve, edm, rectified-flow)
gives the level of the same SNR that does; to a denoiser that is the same sample at another scale.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import ArgumentError
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Schedule


def from_schedule(schedule: Schedule, num_levels: int) -> DiscreteSchedule:
    """The discrete schedule of `num_levels` levels along a continuous one, eqs. (1) and (2).

    Raises:
        ArgumentError: if num_levels < 1, or the log-SNR does not fall from level to level.
    """
    if num_levels < 1:
        raise ArgumentError(f"`num_levels` must be at least 1; got {num_levels}.")
    t = torch.arange(1, num_levels + 1, dtype=torch.float64) / num_levels
    log_snr = torch.cat([torch.full_like(t[:1], torch.inf), schedule(t).log_snr])
    levels = NoiseLevel.from_log_snr(log_snr)
    beta = -(levels.sigma[1:] ** 2) * torch.expm1(log_snr.diff())
    rests = (~(beta > 0)).nonzero().flatten().tolist()
    if rests:
        raise ArgumentError(
            f"the schedule's log-SNR must fall from each of the {num_levels} levels to the next; "
            f"it does not at level {rests[0] + 1}. Take fewer levels or another schedule."
        )
    return DiscreteSchedule(beta, levels)


@dataclass(frozen=True, slots=True, eq=False)
class Interpolated:
    """A discrete schedule as a continuous one: level i at t = i/T, log-SNR linear in between.

    Before level 1 the line through levels 1 and 2 goes on, as Lu et al. (2022a) do it for discrete
    models: t = 0 has a little less noise than level 1.

    Args:
        discrete: the levels.

    Raises:
        ArgumentError: if there are fewer than two levels to draw a line through, or the last has no
            finite log-SNR.
    """

    discrete: DiscreteSchedule

    def __post_init__(self) -> None:
        if self.discrete.num_levels < 2:
            raise ArgumentError("2 levels or more are needed to interpolate between; got 1.")
        if float(self.discrete.levels.alpha[-1]) == 0:
            raise ArgumentError(
                "the last level has no signal (zero terminal SNR), so its log-SNR is not finite; "
                "interpolate those before it: with_signal(schedule)."
            )

    def _piece(self, left: Tensor) -> tuple[Tensor, Tensor]:
        """Log-SNR at both ends of the pieces from level `left` to the next."""
        log_snr = self.discrete.levels.log_snr
        return log_snr[left], log_snr[left + 1]

    def __call__(self, t: Tensor) -> NoiseLevel:
        """The level at each time, shape kept."""
        place = t.double() * self.discrete.num_levels
        left = place.floor().long().clamp(1, self.discrete.num_levels - 1)
        begin, end = self._piece(left)
        return NoiseLevel.from_log_snr(torch.lerp(begin, end, place - left))

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse; exact at the discrete levels."""
        log_snr = log_snr.double()
        own = self.discrete.levels.log_snr[1:]
        left = torch.searchsorted(-own, -log_snr.detach().contiguous())
        left = left.clamp(1, self.discrete.num_levels - 1)
        begin, end = self._piece(left)
        return (left + (log_snr - begin) / (end - begin)) / self.discrete.num_levels
