"""Heun's method for the probability flow, with churn: the sampler of EDM.

Karras et al. (2022), algorithm 2, in y = x/alpha over sigma_ve = sigma/alpha:

    (1)  y' = y_t + sqrt(sigma'² - sigma_t²) z,  sigma' = (1 + churn) sigma_t     (churn > 0)
    (2)  d = (y' - x_0(y', sigma')) / sigma',    y_s = y' + (sigma_s - sigma') d
    (3)  d_s = (y_s - x_0(y_s, sigma_s)) / sigma_s,  y_s = y' + (sigma_s - sigma') (d + d_s)/2

Two network calls a step, one in the last; second order without churn.

(3) is left out of a step too long for it, as from almost pure noise in few steps: where it would
err much more than (2) about Gaussian data of unit variance, whose flow is y = c sqrt(1 + sigma²).
"""

import math
from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise

# Times the error of (2). Far above the data that of (3) is r - 1 times as large, if a step divides
# sigma by r.
_MUCH_MORE = 3.0


@dataclass(frozen=True, slots=True)
class Heun:
    """EDM's sampler: Heun's step of order two, with fresh noise before it if asked.

    Karras et al. (2022), algorithm 2. Two network calls a step; one in the last, and in those so
    long that the second call would make them worse.

    Args:
        churn: the share by which the noise is raised before each step, 0 to sqrt(2) - 1;
            EDM's S_churn divided by the number of steps.
        churn_min: sigma_ve below which nothing is raised (S_min).
        churn_max: sigma_ve above which nothing is raised (S_max).

    Raises:
        ArgumentError: if churn is out of its range.
    """

    churn: float = 0.0
    churn_min: float = 0.0
    churn_max: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.churn <= math.sqrt(2) - 1:
            raise ArgumentError(f"`churn` must lie between 0 and 0.414; got {self.churn}.")
        if not self.churn_min <= self.churn_max:
            raise ArgumentError(
                f"`churn_min` must not be above `churn_max`; got {self.churn_min} and "
                f"{self.churn_max}."
            )

    def start(self) -> None:
        """Nothing is remembered."""

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: None,
        noise: Noise,
    ) -> tuple[Tensor, Prediction, None]:
        """From t to s: fresh noise, a step of Euler, and its correction by the slope at its end."""
        if float(t.alpha) == 0:
            raise ArgumentError(
                "heun divides by alpha, which is 0 at the first level (zero terminal SNR); "
                "use ddim or dpm++2m."
            )
        y = x_t / spread(t.alpha, x_t)
        if self.churn and self.churn_min <= float(t.sigma_ve) <= self.churn_max:
            raised = t.sigma_ve * (1 + self.churn)
            y = y + spread((raised**2 - t.sigma_ve**2).sqrt(), x_t) * noise(x_t)
            t = NoiseLevel.from_log_snr(-2 * raised.log())
        prediction = denoise(spread(t.alpha, x_t) * y, t)
        slope = (y - prediction.x_0) / spread(t.sigma_ve, x_t)
        step = spread(s.sigma_ve - t.sigma_ve, x_t)
        y_s = y + step * slope
        if _corrects(float(t.sigma_ve), float(s.sigma_ve)):
            corrected = denoise(spread(s.alpha, x_t) * y_s, s).x_0
            y_s = y + step * (slope + (y_s - corrected) / spread(s.sigma_ve, x_t)) / 2
        return spread(s.alpha, x_t) * y_s, prediction, state


def _corrects(t: float, s: float) -> bool:
    """Whether a step from sigma_ve = t to s is corrected, see above."""
    if s == 0:
        return False
    y = math.sqrt(1 + t**2)
    plain = y + (s - t) * t / y  # (2) and (3), the slope being y sigma/(1 + sigma²)
    corrected = y + (s - t) * (t / y + plain * s / (1 + s**2)) / 2
    exact = math.sqrt(1 + s**2)
    return abs(corrected - exact) <= _MUCH_MORE * abs(plain - exact)
