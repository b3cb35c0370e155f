"""Closed-form Gaussian truth for the samplers, written without the package's own formulas."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.process.noise import NoiseLevel
from sfumato.samplers.driver import Stepper


@dataclass(frozen=True, slots=True)
class ExactGaussian:
    """E[x_0 | x_t] for x_0 ~ N(mean, std²): the regression line of x_0 on x_t, one scalar level."""

    mean: float
    std: float

    def __call__(self, x_t: Tensor, level: NoiseLevel) -> Prediction:
        alpha, sigma = float(level.alpha), float(level.sigma)
        slope = alpha * self.std**2 / (alpha**2 * self.std**2 + sigma**2)
        return Prediction(self.mean + slope * (x_t - alpha * self.mean))


def propagate(
    stepper: Stepper[None],
    denoise: Denoiser,
    levels: NoiseLevel,
    mean: float = 0.0,
    std: float = 1.0,
) -> tuple[float, float]:
    """Mean and standard deviation after the whole walk, from N(mean, std²), without sampling.

    With a denoiser that is affine in x each step is x_s = slope x_t + shift + spread z. A batch
    of three reads the numbers off: x = 0, x = 1, and x = 0 with a noise of one.
    """
    probe = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
    unit = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    variance = std**2
    for k in range(len(levels) - 1):
        x_s, _, _ = stepper.step(denoise, probe, levels[k], levels[k + 1], None, lambda _: unit)
        at_zero, at_one, at_noise = x_s.flatten().tolist()
        mean = (at_one - at_zero) * mean + at_zero
        variance = (at_one - at_zero) ** 2 * variance + (at_noise - at_zero) ** 2
    return mean, variance**0.5
