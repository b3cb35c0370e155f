"""Continuous schedules: time t in [0, 1] to a noise level, and back.

t = 0 is the least noise and t = 1 the most. Both ends are finite; the clean level itself is
appended by the sampler's grid. Everything is computed from the log-SNR in float64.

    (1) cosine     log SNR(t) = -2 log tan(pi t' / 2) + shift,   t' between two clipped ends
    (2) linear     log alpha(t) = -(beta_max - beta_min) t²/4 - beta_min t/2
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

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
        ArgumentError: if log_snr_min is not below log_snr_max.
    """

    log_snr_max: float = 10.0
    log_snr_min: float = -10.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        if not self.log_snr_min < self.log_snr_max:
            raise ArgumentError(
                f"`log_snr_min` must be below `log_snr_max`; got {self.log_snr_min} and "
                f"{self.log_snr_max}."
            )

    def _angle(self, log_snr: Tensor) -> Tensor:
        return torch.atan(torch.exp((self.shift - log_snr.double()) / 2))

    @property
    def _ends(self) -> tuple[Tensor, Tensor]:
        ends = torch.tensor([self.log_snr_max, self.log_snr_min], dtype=torch.float64)
        return self._angle(ends[0]), self._angle(ends[1])

    def __call__(self, t: Tensor) -> NoiseLevel:
        """Eq. (1); the angle pi t'/2 is linear in t."""
        first, last = self._ends
        angle = torch.lerp(first, last, t.double())
        return NoiseLevel.from_log_snr(self.shift - 2 * angle.tan().log())

    def time(self, log_snr: Tensor) -> Tensor:
        """The inverse of eq. (1)."""
        first, last = self._ends
        return (self._angle(log_snr) - first) / (last - first)


@dataclass(frozen=True, slots=True)
class Linear:
    """The variance-preserving SDE with beta(t) linear in t.

    Song et al. (2021), eq. 33; its continuum is DDPM's linear table with
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
        exponent = -torch.nn.functional.logsigmoid(log_snr.double())
        slope = self.beta_max - self.beta_min
        root = (self.beta_min**2 + 2 * slope * exponent).sqrt()
        return (2 * exponent / (self.beta_min + root) - self.time_min) / (1 - self.time_min)


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {"cosine": Cosine, "linear": Linear}
