"""Continuous schedules: time t in [0, 1] to a noise level, and back.

t = 0 is the least noise and t = 1 the most. Both ends are finite; the clean level itself is
appended by the sampler's grid. Everything is computed from the log-SNR in float64::

    (1) cosine          log SNR = -2 log tan(pi t'/2) + shift
    (2) linear          log alpha = -(beta_max - beta_min) t'²/4 - beta_min t'/2
    (3) sigmoid         alpha² = (S(b) - S(u)) / (S(b) - S(a)),  S(u) = 1/(1 + e^(-u)),
                        u = a + (b - a) t',  a = start/tau,  b = end/tau
    (4) ve              log SNR = -2 log sigma,  sigma = sigma_min (sigma_max/sigma_min)^t
    (5) edm             log SNR = -2 rho log(r + (R - r) t),  r = sigma_min^(1/rho),
                        R = sigma_max^(1/rho)
    (6) rectified-flow  log SNR = 2 log((1 - t')/t') + shift
    (7) laplace         log SNR = mu - b sign(1/2 - t') log(1 - 2 |t' - 1/2|)

alpha² + sigma² = 1 in (1), (2), (3) and (7), alpha = 1 in (4) and (5), alpha + sigma = 1 in (6).

Where t' stands, the log-SNR is infinite at t' = 0, and at t' = 1 too except in (2). There t' runs
linearly in t between the two times at which (1), (3), (6) and (7) reach their limits of log-SNR.
The time gone, t', and the time left, 1 - t', are each computed on their own: their difference
from 1 would lose the digits of the ends.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel


@runtime_checkable
class Schedule(Protocol):
    """Times in [0, 1] to noise levels whose log-SNR falls strictly."""

    def __call__(self, t: Tensor) -> NoiseLevel:
        """The level of each time, shape kept."""
        ...

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse: the time at which the log-SNR is reached."""
        ...


_Parts = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Log-SNR to the plain time gone and the plain time left, in any unit, neither from the other."""


def _check_limits(log_snr_max: float, log_snr_min: float) -> None:
    if not -math.inf < log_snr_min < log_snr_max < math.inf:
        raise ArgumentError(
            f"`log_snr_min` must be below `log_snr_max`, both finite; got {log_snr_min} and "
            f"{log_snr_max}."
        )


def _clipped(
    parts: _Parts, log_snr_max: float, log_snr_min: float, t: Tensor
) -> tuple[Tensor, Tensor]:
    """The parts at t, each linear between those of the two limits."""
    t = t.double()
    gone, left = parts(t.new_tensor([log_snr_max, log_snr_min]))
    return torch.lerp(gone[0], gone[1], t), torch.lerp(left[0], left[1], t)


def _clipped_time(parts: _Parts, log_snr_max: float, log_snr_min: float, log_snr: Tensor) -> Tensor:
    """The inverse of `_clipped`."""
    log_snr = log_snr.double()
    gone, _ = parts(log_snr.new_tensor([log_snr_max, log_snr_min]))
    return (parts(log_snr)[0] - gone[0]) / (gone[1] - gone[0])


@dataclass(frozen=True, slots=True)
class Cosine:
    """sigma/alpha = tan(pi t'/2) e^(-shift/2), with t' clipped to a range of log-SNR.

    Nichol & Dhariwal (2021), eq. 17 (alpha = cos, sigma = sin of the angle), shifted in log-SNR as
    Hoogeboom et al. (2023) do. Uniform times fall where the log-SNR is near `shift`.

    Args:
        log_snr_max: log-SNR at t = 0; half of it in nats is how far below the data's own
            scale the least noise lies.
        log_snr_min: log-SNR at t = 1; e^log_snr_min is what the start still knows of the data.
        shift: added to the log-SNR between the ends: above 0 more time is spent near the data.

    Raises:
        ArgumentError: unless log_snr_min < log_snr_max, both finite.
    """

    log_snr_max: float = 10.0
    log_snr_min: float = -10.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        _check_limits(self.log_snr_max, self.log_snr_min)

    def _angles(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        offset = (log_snr - self.shift) / 2
        return torch.atan(torch.exp(-offset)), torch.atan(torch.exp(offset))

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (1); the sine of the angle that is left is the cosine of the one gone."""
        gone, left = _clipped(self._angles, self.log_snr_max, self.log_snr_min, t)
        return NoiseLevel.from_log_snr(self.shift + 2 * (left.sin().log() - gone.sin().log()))

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (1)."""
        return _clipped_time(self._angles, self.log_snr_max, self.log_snr_min, log_snr)


@dataclass(frozen=True, slots=True)
class Linear:
    """The variance-preserving SDE with beta(t) linear in t.

    Song et al. (2021), eq. 33; its continuum is DDPM's linear betas, with
    beta_min = 1000 beta_1 and beta_max = 1000 beta_T.

    Args:
        beta_min: rate at t = 0, per unit time.
        beta_max: rate at t = 1.
        time_min: the SDE's own time that t = 0 stands for; at zero itself the log-SNR is
            infinite (Song et al., appendix C, take 1e-5).

    Raises:
        ArgumentError: unless 0 < beta_min <= beta_max and 0 < time_min < 1.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    time_min: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise ArgumentError(
                f"`beta_min` and `beta_max` must be positive and in order; got {self.beta_min} "
                f"and {self.beta_max}."
            )
        if not 0 < self.time_min < 1:
            raise ArgumentError(f"`time_min` must lie between 0 and 1; got {self.time_min}.")

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (2), with sigma² = 1 - alpha² formed by expm1."""
        time = self.time_min + (1 - self.time_min) * t.double()
        log_alpha = -time * (time * (self.beta_max - self.beta_min) / 4 + self.beta_min / 2)
        return NoiseLevel(log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt())

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (2): the positive root of a quadratic, in its stable form.

        Minus 2 log alpha = -log sigmoid(log_snr) for a variance-preserving level.
        """
        exponent = -logsigmoid(log_snr.double())
        slope = self.beta_max - self.beta_min
        root = (self.beta_min**2 + 2 * slope * exponent).sqrt()
        return (2 * exponent / (self.beta_min + root) - self.time_min) / (1 - self.time_min)


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """alpha² falls along a stretch of the logistic curve, rescaled to begin at 1 and end at 0.

    Jabri et al. (2022); Chen (2023), algorithm 1. The discrete schedule of the same name is
    another thing: its betas rise along the curve.

    Args:
        start: where on the curve t' = 0 lies.
        end: where t' = 1 lies.
        tau: temperature; both are divided by it. Large, alpha² is even in time; small, the
            log-SNR is.
        log_snr_max: log-SNR at t = 0.
        log_snr_min: log-SNR at t = 1.

    Raises:
        ArgumentError: unless start < end, 0 < (end - start)/tau < 700 (the curve would be a
            step), and log_snr_min < log_snr_max, both finite.
    """

    start: float = -3.0
    end: float = 3.0
    tau: float = 1.0
    log_snr_max: float = 10.0
    log_snr_min: float = -10.0

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ArgumentError(f"`start` must be below `end`; got {self.start} and {self.end}.")
        if not 0 < self.end - self.start < 700 * self.tau:
            raise ArgumentError(
                f"`tau` must be above (end - start)/700 = {(self.end - self.start) / 700:.3g}; "
                f"got {self.tau}."
            )
        _check_limits(self.log_snr_max, self.log_snr_min)

    @property
    def _width(self) -> float:
        return (self.end - self.start) / self.tau

    @property
    def _lean(self) -> Tensor:
        """Log((1 + e^b)/(1 + e^a)), half the width where the stretch is symmetric about 0."""
        ends = torch.tensor([self.start, self.end], dtype=torch.float64) / self.tau
        return logsigmoid(-ends).diff().neg().squeeze()

    def _parts(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        """U - a and b - u: eq. (3) solved for e^(u - a) - 1 and e^(b - u) - 1."""
        offset, whole = log_snr + self._lean, math.expm1(self._width)
        return (
            torch.log1p(whole * torch.sigmoid(-offset)),
            torch.log1p(whole * torch.sigmoid(offset - self._width)),
        )

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (3) as SNR = (e^(b - u) - 1)/(1 - e^(a - u)) (1 + e^a)/(1 + e^b)."""
        gone, left = _clipped(self._parts, self.log_snr_max, self.log_snr_min, t)
        log_snr = torch.expm1(left).log() - (-torch.expm1(-gone)).log() - self._lean
        return NoiseLevel.from_log_snr(log_snr)

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (3)."""
        return _clipped_time(self._parts, self.log_snr_max, self.log_snr_min, log_snr)


def _check_sigmas(sigma_min: float, sigma_max: float) -> None:
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ArgumentError(
            f"`sigma_min` and `sigma_max` must be positive and in order; got {sigma_min} and "
            f"{sigma_max}."
        )


def _added(log_sigma: Tensor) -> NoiseLevel:
    """Noise added to a signal that keeps its scale."""
    return NoiseLevel(torch.ones_like(log_sigma), log_sigma.exp())


@dataclass(frozen=True, slots=True)
class VE:
    """The variance-exploding SDE: alpha = 1, sigma geometric in t: Song et al. (2021), eq. 30.

    Args:
        sigma_min: noise at t = 0. Data are standardised here, so 0.01 is a hundredth of their
            spread.
        sigma_max: noise at t = 1, which has to cover the largest distance between two data
            (Song & Ermon 2020, technique 1). That grows with the root of the dimension: 50 is
            enough for standardised rows of some hundred columns; the start then knows
            1/50² = 0.0004 of the data's variance.

    Raises:
        ArgumentError: unless 0 < sigma_min < sigma_max.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        _check_sigmas(self.sigma_min, self.sigma_max)

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (4)."""
        t = t.double()
        ends = t.new_tensor([self.sigma_min, self.sigma_max]).log()
        return _added(torch.lerp(ends[0], ends[1], t))

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (4)."""
        first, last = math.log(self.sigma_min), math.log(self.sigma_max)
        return (-log_snr.double() / 2 - first) / (last - first)


@dataclass(frozen=True, slots=True)
class EDM:
    """alpha = 1 and sigma along the ramp by which EDM places its steps.

    Karras et al. (2022), eq. 5, with t = 1 - i/(N - 1). Their range is meant for data of standard
    deviation 0.5; it is wide enough for 1.

    Args:
        sigma_min: noise at t = 0.
        sigma_max: noise at t = 1.
        rho: 1 is even in sigma; the larger, the more of the time is spent at little noise.

    Raises:
        ArgumentError: unless 0 < sigma_min < sigma_max and rho > 0.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        _check_sigmas(self.sigma_min, self.sigma_max)
        if not 0 < self.rho < math.inf:
            raise ArgumentError(f"`rho` must be above 0; got {self.rho}.")

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (5)."""
        t = t.double()
        ends = t.new_tensor([self.sigma_min, self.sigma_max]).pow(1 / self.rho)
        return _added(torch.lerp(ends[0], ends[1], t).log() * self.rho)

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (5)."""
        first, last = (math.pow(sigma, 1 / self.rho) for sigma in (self.sigma_min, self.sigma_max))
        return (torch.exp(-log_snr.double() / (2 * self.rho)) - first) / (last - first)


@dataclass(frozen=True, slots=True)
class RectifiedFlow:
    """The straight path x_t = (1 - t') x_0 + t' eps: Liu et al. (2023); Lipman et al. (2023).

    Args:
        log_snr_max: log-SNR at t = 0; 10 is t' = 0.0067.
        log_snr_min: log-SNR at t = 1.
        shift: added to the log-SNR between the ends, as in `Cosine`. It is the shift of times by
            a factor s, Esser et al. (2024), eq. 23, with shift = -2 log s: their s = 3 is -2.197.

    Raises:
        ArgumentError: unless log_snr_min < log_snr_max, both finite.
    """

    log_snr_max: float = 10.0
    log_snr_min: float = -10.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        _check_limits(self.log_snr_max, self.log_snr_min)

    def _parts(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        offset = (log_snr - self.shift) / 2
        return torch.sigmoid(-offset), torch.sigmoid(offset)

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (6); alpha + sigma = 1 whatever the shift."""
        gone, left = _clipped(self._parts, self.log_snr_max, self.log_snr_min, t)
        log_ratio = left.log() - gone.log() + self.shift / 2
        return NoiseLevel(torch.sigmoid(log_ratio), torch.sigmoid(-log_ratio))

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (6)."""
        return _clipped_time(self._parts, self.log_snr_max, self.log_snr_min, log_snr)


@dataclass(frozen=True, slots=True)
class Laplace:
    """Uniform times have a log-SNR of Laplace's distribution: Hang & Gu (2024).

    Made for training, where it puts most draws near `mu`. Both ends of the range are crossed in
    next to no time, so a sampler needs a grid that is even in noise (uniform-log-snr, karras).

    Args:
        mu: log-SNR at t' = 1/2, the most frequent.
        b: its spread.
        log_snr_max: log-SNR at t = 0.
        log_snr_min: log-SNR at t = 1.

    Raises:
        ArgumentError: unless log_snr_min < log_snr_max, both finite, and b > 0 is large enough
            for the limits' times to be told from 0 and 1.
    """

    mu: float = 0.0
    b: float = 0.5
    log_snr_max: float = 10.0
    log_snr_min: float = -10.0

    def __post_init__(self) -> None:
        _check_limits(self.log_snr_max, self.log_snr_min)
        # Beyond 700 spreads from mu, e^-700, float64 has no time left.
        least = max(abs(self.log_snr_max - self.mu), abs(self.log_snr_min - self.mu)) / 700
        if not self.b > least:
            raise ArgumentError(
                f"`b` must be above {least:.3g}, a 700th of the limits' distance from `mu`; "
                f"got {self.b}."
            )

    def _parts(self, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        above = (log_snr - self.mu) / self.b
        # Clamped, so that the half that is not taken has no infinite derivative.
        upper, lower = torch.exp(-above.clamp(min=0)) / 2, torch.exp(above.clamp(max=0)) / 2
        return torch.where(above > 0, upper, 1 - lower), torch.where(above > 0, 1 - upper, lower)

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (7)."""
        gone, left = _clipped(self._parts, self.log_snr_max, self.log_snr_min, t)
        above = torch.where(gone < left, -(2 * gone).log(), (2 * left).log())
        return NoiseLevel.from_log_snr(self.mu + self.b * above)

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (7)."""
        return _clipped_time(self._parts, self.log_snr_max, self.log_snr_min, log_snr)


@dataclass(frozen=True, slots=True)
class Until:
    """The first part of a schedule, as a schedule: a grid of it begins at the level of `end`.

    For starting part way, from data noised to that level.

    Args:
        schedule: the whole.
        end: its time at which this one's t = 1 lies.

    Raises:
        ArgumentError: unless 0 < end <= 1.
    """

    schedule: Schedule
    end: float

    def __post_init__(self) -> None:
        if not 0 < self.end <= 1:
            raise ArgumentError(f"`end` must be above 0 and at most 1; got {self.end}.")

    def __call__(self, t: Tensor) -> NoiseLevel:
        """The level of the whole at end t."""
        return self.schedule(self.end * t.double())

    def time(self, log_snr: Tensor) -> Tensor:
        """The whole's time, in units of `end`."""
        return self.schedule.time(log_snr) / self.end


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {
    "cosine": Cosine,
    "linear": Linear,
    "sigmoid": Sigmoid,
    "ve": VE,
    "edm": EDM,
    "rectified-flow": RectifiedFlow,
    "laplace": Laplace,
}
