"""Closed-form and integrated truth for the samplers, written without the package's own formulas."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.process.noise import NoiseLevel
from sfumato.samplers.driver import Stepper

Floats = npt.NDArray[np.float64]


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
    stepper: Stepper[Any],
    denoise: Denoiser,
    levels: NoiseLevel,
    mean: float = 0.0,
    std: float = 1.0,
) -> tuple[float, float]:
    """Mean and standard deviation after the whole walk, from N(mean, std²), without sampling.

    With a denoiser that is affine in x the end is c + a x + sum_k b_k z_k, whatever a method
    remembers. A batch reads the numbers off: x = 0; x = 1; and x = 0 with only the k-th draw of
    noise being one, for each k.
    """
    draws = 0

    def count(x: Tensor) -> Tensor:
        nonlocal draws
        draws += 1
        return torch.zeros_like(x)

    last(stepper, denoise, torch.zeros(1, 1, dtype=torch.float64), levels, count)
    probes = torch.zeros(2 + draws, 1, dtype=torch.float64)
    probes[1] = 1
    units = iter(torch.eye(2 + draws, dtype=torch.float64)[2:, :, None])
    offset, *slopes = last(stepper, denoise, probes, levels, lambda _: next(units)).flatten()
    a, *b = (float(slope - offset) for slope in slopes)
    return a * mean + float(offset), math.hypot(a * std, *b)


def last(
    stepper: Stepper[Any],
    denoise: Denoiser,
    x: Tensor,
    levels: NoiseLevel,
    noise: Callable[[Tensor], Tensor],
) -> Tensor:
    """Where x has got to at the last level; the loop is written out here, without the driver."""
    state = stepper.start()
    for k in range(len(levels) - 1):
        x, _, state = stepper.step(denoise, x, levels[k], levels[k + 1], state, noise)
    return x


def no_noise(x: Tensor) -> Tensor:
    """For methods that must not draw."""
    raise AssertionError("noise was asked for")


MIXTURE_WEIGHTS = np.array([0.4, 0.6])
MIXTURE_MEANS = np.array([[-1.0, 0.3], [1.2, -0.5]])
MIXTURE_COVARIANCES = np.array([[[0.09, 0.02], [0.02, 0.2]], [[0.25, -0.1], [-0.1, 0.3]]])


def mixture_estimate(y: Floats, sigma_ve: float) -> Floats:
    """E[x_0 | x_0 + sigma_ve eps = y] of that mixture, by Bayes; y `(n, 2)`."""
    precisions = np.linalg.inv(MIXTURE_COVARIANCES + sigma_ve**2 * np.eye(2))
    off = y - MIXTURE_MEANS[:, None]
    scaled = off @ precisions
    density = np.sqrt(np.linalg.det(precisions))[:, None] * np.exp(-(scaled * off).sum(2) / 2)
    joint = MIXTURE_WEIGHTS[:, None] * density
    means = MIXTURE_MEANS[:, None] + scaled @ MIXTURE_COVARIANCES
    estimate: Floats = ((joint / joint.sum(0))[:, :, None] * means).sum(0)
    return estimate


def mixture_denoiser(x_t: Tensor, level: NoiseLevel) -> Prediction:
    """The same as a denoiser."""
    y = (x_t / level.alpha).numpy()
    return Prediction(torch.from_numpy(mixture_estimate(y, float(level.sigma_ve))))


def mixture_flow(x: Tensor, begin: NoiseLevel, end: NoiseLevel) -> Tensor:
    """The probability flow dy/dlog(sigma_ve) = y - E[x_0 | y] (Karras et al. 2022, eq. 1), solved.

    y = x/alpha; by SciPy's eighth-order method to twelve digits.
    """

    def slope(log_sigma: float, flat: Floats) -> Floats:
        y = flat.reshape(-1, 2)
        out: Floats = (y - mixture_estimate(y, math.exp(log_sigma))).ravel()
        return out

    span = math.log(float(begin.sigma_ve)), math.log(float(end.sigma_ve))
    y = (x / begin.alpha).numpy().ravel()
    solved = solve_ivp(slope, span, y, method="DOP853", rtol=1e-12, atol=1e-13)
    return torch.from_numpy(solved.y[:, -1]).reshape(x.shape) * end.alpha
