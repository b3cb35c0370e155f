"""The price of a denoiser's errors against closed forms for Gaussians."""

import math

import pytest
import torch

from sfumato.metrics.regret import nats_lost, squared_errors
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import generator, noise_from
from truth import ExactGaussian


def levels(n: int = 200) -> NoiseLevel:
    return NoiseLevel.from_log_snr(torch.linspace(-16, 16, n, dtype=torch.float64))


def test_least_error_of_a_gaussian() -> None:
    # E|x_0 - E[x_0 | x_t]|² = s² sigma²/(alpha² s² + sigma²).
    source = generator(0)
    x_0 = 1 + 0.5 * torch.randn(40_000, 1, dtype=torch.float64, generator=source)
    at = levels(5)
    found = squared_errors(ExactGaussian(1.0, 0.5), x_0, at, noise_from(source)).mean(1)
    least = 0.25 * at.sigma**2 / (at.alpha**2 * 0.25 + at.sigma**2)
    assert torch.allclose(found, least, rtol=0.03)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.5), (1.0, 1.0), (1.0, 0.7), (0.4, 0.3)])
def test_the_wrong_gaussian_costs_its_divergence(mean: float, std: float) -> None:
    # A denoiser that is exact for q loses KL(p || q) on data of p (Verdu 2010), here without
    # sampling: with m, s of p, a = SNR, both errors are known at each level.
    m, s = 1.0, 0.5
    at = levels(4000)
    a = at.snr
    gain = a * std**2 / (a * std**2 + 1)
    ours = (1 - gain) ** 2 * (s**2 + (m - mean) ** 2) + gain**2 / a
    least = s**2 / (a * s**2 + 1)
    kl = math.log(std / s) + (s**2 + (m - mean) ** 2) / (2 * std**2) - 0.5
    assert float(nats_lost(ours - least, at)) == pytest.approx(kl, abs=2e-4)


def test_the_order_of_the_levels_does_not_matter() -> None:
    at = levels()
    difference = torch.rand(200, 3, generator=generator(1), dtype=torch.float64)
    back = NoiseLevel(at.alpha.flip(0), at.sigma.flip(0))
    assert torch.allclose(nats_lost(difference, at), nats_lost(difference.flip(0), back))
    assert nats_lost(difference, at).shape == (3,)


def test_elements_of_a_sample_add_up() -> None:
    source = generator(0)
    x_0 = torch.randn(10, 3, 2, dtype=torch.float64, generator=source)
    found = squared_errors(lambda x, level: ExactGaussian(0, 1)(x, level), x_0, levels(4),
                           noise_from(source))  # fmt: skip
    assert found.shape == (4, 10)
    # With no signal left the answer is the mean, 0: the error is |x_0|².
    assert torch.allclose(found[0], x_0.square().sum((1, 2)), rtol=1e-2)
