"""Heun's method in steps from almost pure noise, which its correction would make worse."""

import math

import pytest
import torch

from sfumato.denoisers.denoiser import Prediction
from sfumato.process.grids import karras, softplus
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Cosine
from sfumato.samplers.heun import Heun
from truth import ExactGaussian, no_noise, propagate

# From one sigma_ve to another, and whether the slope at the end helps.
STEPS = [
    (45.0, 30.0, True),
    (90.0, 30.0, True),
    (130.0, 30.0, False),
    (300.0, 30.0, False),
    (100.0, 0.5, False),
    (3.0, 0.1, True),
]


@pytest.mark.parametrize(("noisy", "less", "helps"), STEPS)
def test_a_step_is_corrected_unless_that_makes_it_much_worse(
    noisy: float, less: float, helps: bool
) -> None:
    """Against the exact flow of N(0, 1), whose y grows as sqrt(1 + sigma²)."""
    t, s = (
        NoiseLevel.from_log_snr(torch.tensor(-2 * math.log(each), dtype=torch.float64))
        for each in (noisy, less)
    )
    calls = []

    def exact(x_t: torch.Tensor, level: NoiseLevel) -> Prediction:
        calls.append(level)
        return Prediction(level.alpha * x_t)  # alpha² + sigma² = 1

    y = torch.ones(1, 1, dtype=torch.float64)
    x_s, _, _ = Heun().step(exact, t.alpha * y, t, s, None, no_noise)

    def slope(y: float, sigma: float) -> float:
        return (y - y / (1 + sigma**2)) / sigma

    flow = math.sqrt((1 + less**2) / (1 + noisy**2))
    plain = 1 + (less - noisy) * slope(1, noisy)
    corrected = 1 + (less - noisy) * (slope(1, noisy) + slope(plain, less)) / 2
    assert (abs(corrected - flow) <= 3 * abs(plain - flow)) == helps
    assert float(x_s / s.alpha) == pytest.approx(corrected if helps else plain, rel=1e-9)
    assert abs(plain - corrected) > 1e-5 * flow
    assert len(calls) == 1 + helps


@pytest.mark.parametrize("num_steps", [10, 20, 30, 40])
def test_a_long_first_step_costs_no_accuracy(num_steps: int) -> None:
    """The softplus grid goes from almost pure noise to near the data in one step."""
    mean, std = 1.0, 0.5

    def ended(levels: NoiseLevel) -> tuple[float, float]:
        alpha, sigma = float(levels[0].alpha), float(levels[0].sigma)
        start = alpha * mean, math.hypot(alpha * std, sigma)
        return propagate(Heun(), ExactGaussian(mean, std), levels, *start)

    levels = softplus(Cosine(), num_steps)
    assert levels.sigma_ve[0] > 15 * levels.sigma_ve[1]
    of_edm, found = ended(karras(Cosine(), num_steps)), ended(levels)
    assert found[0] == pytest.approx(mean, abs=1e-3)
    assert abs(found[1] - std) < abs(of_edm[1] - std)
    assert found[1] == pytest.approx(std, rel=0.04)
