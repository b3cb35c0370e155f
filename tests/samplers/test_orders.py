"""Each deterministic method's order against the exact flows of a Gaussian and of a mixture."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from sfumato.process.noise import NoiseLevel
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import Stepper
from sfumato.samplers.runge_kutta import RungeKutta
from sfumato.samplers.unipc import UniPC
from truth import (
    MIXTURE_COVARIANCES,
    MIXTURE_MEANS,
    MIXTURE_WEIGHTS,
    ExactGaussian,
    last,
    mixture_denoiser,
    mixture_estimate,
    mixture_flow,
    no_noise,
)

DATA = ExactGaussian(mean=1.0, std=0.5)
STEPS = (48, 96, 192)
METHODS: list[tuple[Stepper[Any], float]] = [
    (SAMPLERS["euler"](), 1),
    (SAMPLERS["ddim"](eta=0.0), 1),
    (SAMPLERS["heun"](), 2),
    (SAMPLERS["dpm++2s"](), 2),
    (SAMPLERS["dpm++2m"](), 2),
    (SAMPLERS["dpm++3m"](), 3),
    (UniPC(order=1), 2),
    (SAMPLERS["unipc"](), 3),
]
X = torch.tensor([[-1.4, 0.2], [-0.1, 1.0], [0.6, -1.2], [2.0, 0.1]], dtype=torch.float64)


def between(num_steps: int, log_snr_max: float = 8.0, log_snr_min: float = -14.0) -> NoiseLevel:
    """Levels evenly in log-SNR, from nearly pure noise; the end is noisy, where orders show."""
    return NoiseLevel.from_log_snr(
        torch.linspace(log_snr_min, log_snr_max, num_steps + 1, dtype=torch.float64)
    )


def order(errors: list[float]) -> float:
    return float(-np.polyfit(np.log(STEPS), np.log(errors), 1)[0])


@cache
def of_the_mixture(log_snr_min: float) -> torch.Tensor:
    """Where its flow takes X from that level to the last: the same for every method."""
    ends = between(1, 6.0, log_snr_min)
    return mixture_flow(X, ends[0], ends[1])


@pytest.mark.parametrize("sigma_ve", [0.01, 1.0, 100.0])
def test_the_estimate_of_the_mixture_is_bayes_with_scipy_s_densities(sigma_ve: float) -> None:
    y, noise = X.numpy() * max(1.0, sigma_ve), sigma_ve**2 * np.eye(2)
    laws = list(zip(MIXTURE_WEIGHTS, MIXTURE_MEANS, MIXTURE_COVARIANCES, strict=True))
    joint = np.stack([w * multivariate_normal.pdf(y, m, c + noise) for w, m, c in laws])
    means = np.stack([m + (y - m) @ np.linalg.solve(c + noise, c) for _, m, c in laws])
    expected = (joint[..., None] * means).sum(0) / joint.sum(0)[:, None]
    np.testing.assert_allclose(mixture_estimate(y, sigma_ve), expected, rtol=1e-10, atol=1e-12)


# From noise, and from half-way down, where `edit` starts: there first steps count in full.
@pytest.mark.parametrize("start", [-14.0, -4.0, 0.0])
@pytest.mark.parametrize(("stepper", "expected"), METHODS, ids=str)
def test_order_on_the_exact_flow_of_a_gaussian(
    stepper: Stepper[Any], expected: float, start: float
) -> None:
    # The flow keeps each point's quantile: x_s = mean_s + std_s (x_t - mean_t)/std_t.
    errors = []
    for num_steps in STEPS:
        levels = between(num_steps, log_snr_min=start)
        (a, b), (s, e) = levels.alpha[[0, -1]].tolist(), levels.sigma[[0, -1]].tolist()
        exact = b + math.hypot(b / 2, e) * (X - a) / math.hypot(a / 2, s)
        errors.append(float((last(stepper, DATA, X, levels, no_noise) - exact).abs().max()))
    # At least: on a flow this plain the leading terms of a method may cancel.
    assert order(errors) > expected - 0.1


@pytest.mark.parametrize(
    ("stepper", "expected", "start"),
    [(*each, -14.0) for each in METHODS] + [(*each, 0.0) for each in METHODS if each[1] == 3],
    ids=str,
)
def test_order_on_the_integrated_flow_of_a_mixture(
    stepper: Stepper[Any], expected: float, start: float
) -> None:
    exact, errors = of_the_mixture(start), []
    for num_steps in STEPS:
        levels = between(num_steps, 6.0, start)
        ours = last(stepper, mixture_denoiser, X, levels, no_noise)
        errors.append(float((ours - exact).abs().max()))
    assert order(errors) == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("intervals", [1, 7])
def test_the_adaptive_method_keeps_its_tolerance(tol: float, intervals: int) -> None:
    x = last(RungeKutta(tol), mixture_denoiser, X, between(intervals, 6.0), no_noise)
    # Errors of single steps add up, over some ten to a hundred of them.
    assert float((x - of_the_mixture(-14.0)).abs().max()) < 30 * tol


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n not in ("ancestral", "ddim", "euler")])
def test_the_clean_end_is_reached(name: str) -> None:
    # All of N(1, 0.25) to three digits of its own spread, from a start without remaining signal.
    # The adaptive method divides each interval as it needs to.
    levels = between(40 if name == "runge-kutta" else 400, 14.0)
    levels = NoiseLevel(
        torch.cat([levels.alpha, torch.ones(1).double()]),
        torch.cat([levels.sigma, torch.zeros(1).double()]),
    )
    source = torch.Generator().manual_seed(1)
    x = torch.randn(20_000, 1, dtype=torch.float64, generator=source)
    out = last(SAMPLERS[name](), DATA, x, levels, lambda y: torch.randn(y.shape, generator=source))
    assert float(out.mean()) == pytest.approx(1.0, abs=0.02)
    assert float(out.std()) == pytest.approx(0.5, abs=0.012)
