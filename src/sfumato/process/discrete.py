"""Discrete schedules: T values of beta, and the T + 1 noise levels that they make.

    (2-4)  alpha_bar_i = prod_{j <= i} (1 - beta_j),    alpha_bar_0 = 1
    (2-16) beta_tilde_i = (1 - alpha_bar_{i-1}) / (1 - alpha_bar_i) beta_i

`levels[0]` is clean and `levels[i]` is what i steps leave, so that no index is ever shifted;
`beta[i - 1]` is the step from level i - 1 to level i. Everything is float64: 1 - alpha_bar
has lost four digits in float32 at the first step of the linear schedule (log1p and expm1 keep
them).

The last level may have no signal: beta_T = 1, so that alpha_bar_T = 0 and the log-SNR is -inf.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel


@dataclass(frozen=True, slots=True, eq=False)
class DiscreteSchedule:
    """A discrete diffusion process, made by `from_beta` or by one of the named functions below.

    Args:
        beta: variance added by each step, shape `(T,)`, float64; the last may be 1.
        levels: the T + 1 levels, clean first.
    """

    beta: Float[Tensor, " T"]
    levels: NoiseLevel

    @property
    def num_levels(self) -> int:
        """T: the number of noisy levels."""
        return len(self.beta)

    @property
    def alpha_bar(self) -> Float[Tensor, " levels"]:
        """alpha² of every level, shape `(T + 1,)`; the first is 1."""
        return self.levels.alpha**2

    @property
    def beta_tilde(self) -> Float[Tensor, " T"]:
        """Variance of the posterior q(x_{i-1} | x_i, x_0), shape `(T,)`; the first is 0 (2-16)."""
        sigma = self.levels.sigma
        return self.beta * (sigma[:-1] / sigma[1:]) ** 2

    def nearest(self, log_snr: Float[Tensor, "*levels"]) -> Int[Tensor, "*levels"]:
        """Which of the noisy levels is nearest in log-SNR, shape kept, int64."""
        own = _bounded(self.levels.log_snr[1:].flip(0))
        asked = _bounded(log_snr).contiguous()
        # Neighbours in log-SNR, ascending; the nearer of the two.
        right = torch.searchsorted(own, asked).clamp(1 if len(own) > 1 else 0, len(own) - 1)
        left = (right - 1).clamp(min=0)
        is_left = (asked - own[left]).abs() < (own[right] - asked).abs()
        return len(own) - torch.where(is_left, left, right)

    def index(self, level: NoiseLevel) -> Int[Tensor, "*levels"]:
        """Which level of the schedule each given one is, shape kept, int64.

        Raises:
            ArgumentError: if a level is not among the schedule's noisy ones: a network that learned
                an embedding for each knows nothing of others.
        """
        nearest = self.nearest(level.log_snr)
        own, asked = _bounded(self.levels.log_snr[nearest]), _bounded(level.log_snr)
        if not torch.allclose(own, asked, rtol=0, atol=1e-6):
            raise ArgumentError(
                "this network knows only the levels of its own discrete schedule; got another one. "
                "Take a grid of those (trailing, ...) and a sampler that stays on them (ddim)."
            )
        return nearest


def _bounded(log_snr: Tensor) -> Tensor:
    """Log-SNR with a number below all others for -inf, so that differences exist."""
    return log_snr.double().clamp(min=-1e4)


def from_beta(beta: Tensor) -> DiscreteSchedule:
    """The schedule of any given betas, shape `(T,)`.

    Raises:
        ArgumentError: if there is none, or one is not strictly between 0 and 1; only the last may
            be 1, which leaves no signal.
    """
    beta = beta.double()
    if beta.ndim != 1 or len(beta) == 0:
        raise ArgumentError(f"`beta` must be a row of numbers; got shape {tuple(beta.shape)}.")
    if not bool(((beta > 0) & (beta <= 1)).all() and (beta[:-1] < 1).all()):
        raise ArgumentError(
            f"every `beta` must lie strictly between 0 and 1 (the last may be 1); got values from "
            f"{float(beta.min()):.4g} to {float(beta.max()):.4g}."
        )
    log_alpha_bar = torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)])
    return DiscreteSchedule(
        beta, NoiseLevel((log_alpha_bar / 2).exp(), (-torch.expm1(log_alpha_bar)).sqrt())
    )


def zero_terminal_snr(schedule: DiscreteSchedule) -> DiscreteSchedule:
    """The schedule stretched until its last level is pure noise: Lin et al. (2024), algorithm 1.

    alpha is shifted and scaled so that alpha_T = 0 and alpha_1 stays. The eps target has no x_0 at
    such a level; `v` and `x_0` have.

    Raises:
        ArgumentError: if the schedule has one level only, which cannot both stay and change.
    """
    if schedule.num_levels < 2:
        raise ArgumentError("zero terminal SNR needs 2 levels or more; got 1.")
    # alpha_{i-1} - alpha_i and alpha_i - alpha_T, from the digits that beta has kept.
    falls = (schedule.levels.alpha[:-1] * schedule.beta / (1 + (1 - schedule.beta).sqrt()))[1:]
    left = falls.flip(0).cumsum(0).flip(0)
    after = torch.cat([left[1:], left.new_zeros(1)])
    return from_beta(torch.cat([schedule.beta[:1], falls / left * (1 + after / left)]))


def until(schedule: DiscreteSchedule, index: int) -> DiscreteSchedule:
    """The first `index` levels as a schedule of their own, to start part way.

    Args:
        schedule: the whole.
        index: 1 ... T; this level is the new one's last.

    Raises:
        ArgumentError: if there is no such noisy level.
    """
    if not 1 <= index <= schedule.num_levels:
        raise ArgumentError(f"`index` must be between 1 and {schedule.num_levels}; got {index}.")
    return DiscreteSchedule(schedule.beta[:index], schedule.levels[: index + 1])


def with_signal(schedule: DiscreteSchedule) -> DiscreteSchedule:
    """The schedule without a last level that holds no signal: one whose log-SNR is finite.

    Raises:
        ArgumentError: if that level is its only one.
    """
    return until(schedule, schedule.num_levels - (float(schedule.levels.alpha[-1]) == 0))


def _rescaled(beta: Tensor, reference_levels: int) -> DiscreteSchedule:
    """Fewer levels take larger steps, so that the end point stays where it was."""
    return from_beta((beta * (reference_levels / len(beta))).clamp(max=0.999))


def _at_least_one(num_levels: int) -> int:
    if num_levels < 1:
        raise ArgumentError(f"`num_levels` must be at least 1; got {num_levels}.")
    return num_levels


def linear(
    num_levels: int = 1000,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
    reference_levels: int = 1000,
) -> DiscreteSchedule:
    """Beta evenly from start to end: Ho et al. (2020), section 4.

    Args:
        num_levels: T.
        beta_start: first beta of a schedule of `reference_levels`.
        beta_end: last beta of it.
        reference_levels: the T that the two betas are meant for; with another T they are
            multiplied by reference_levels / T (and clipped at 0.999).

    Raises:
        ArgumentError: if T < 1 or a beta falls outside (0, 1).
    """
    beta = torch.linspace(beta_start, beta_end, _at_least_one(num_levels), dtype=torch.float64)
    return _rescaled(beta, reference_levels)


def scaled_linear(
    num_levels: int = 1000,
    beta_start: float = 0.00085,
    beta_end: float = 0.012,
    reference_levels: int = 1000,
) -> DiscreteSchedule:
    """sqrt(beta) evenly from start to end: Rombach et al. (2022). Arguments as for `linear`."""
    ends = math.sqrt(beta_start), math.sqrt(beta_end)
    root = torch.linspace(*ends, _at_least_one(num_levels), dtype=torch.float64)
    return _rescaled(root**2, reference_levels)


def sigmoid(
    num_levels: int = 100,
    beta_start: float = 1e-5,
    beta_end: float = 0.005,
    reference_levels: int = 100,
) -> DiscreteSchedule:
    """The tutorial's schedule: beta along a logistic curve over -6 ... 6, from start to end.

    Its defaults stop at alpha_bar_T = 0.778: three quarters of the signal's variance is still
    there, so a start from pure noise is not where the process ends. Arguments as for `linear`.
    """
    ramp = torch.linspace(-6, 6, _at_least_one(num_levels), dtype=torch.float64)
    return _rescaled(ramp.sigmoid() * (beta_end - beta_start) + beta_start, reference_levels)


def cosine(
    num_levels: int = 1000, offset: float = 0.008, beta_max: float = 0.999
) -> DiscreteSchedule:
    """Nichol & Dhariwal (2021), eq. 17: alpha_bar is a squared cosine of i/T; betas clipped.

    Args:
        num_levels: T.
        offset: their s, which keeps the first betas from vanishing.
        beta_max: the clip.

    Raises:
        ArgumentError: if T < 1.
    """
    i = torch.arange(_at_least_one(num_levels) + 1, dtype=torch.float64)
    alpha_bar = ((i / num_levels + offset) / (1 + offset) * (math.pi / 2)).cos() ** 2
    return from_beta((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=beta_max))


def given(num_levels: int, betas: list[float]) -> DiscreteSchedule:
    """Betas that are given one by one.

    Args:
        num_levels: T.
        betas: T of them.

    Raises:
        ArgumentError: if there are not T, or as `from_beta`.
    """
    if len(betas) != num_levels:
        raise ArgumentError(
            f"`betas` must be as many as the levels, {num_levels}; got {len(betas)}."
        )
    return from_beta(torch.tensor(betas, dtype=torch.float64))


DISCRETE_SCHEDULES: Mapping[str, Callable[..., DiscreteSchedule]] = {
    "linear": linear,
    "scaled-linear": scaled_linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
}
