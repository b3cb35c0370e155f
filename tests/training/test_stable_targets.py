"""Targets averaged over a batch: exact, unbiased, quieter."""

import math

import pytest
import torch

from sfumato.denoisers.empirical import empirical
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.training.stable_targets import posterior_means


@pytest.mark.parametrize("event", [(1,), (2,), (3, 4)])
def test_each_group_has_the_exact_denoiser_of_its_own_rows(event: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 40, *event, generator=generator)
    level = NoiseLevel.from_log_snr(torch.linspace(-9, 9, 30, dtype=torch.float64))
    x_t = torch.randn(3, 10, *event, generator=generator)
    means = posterior_means(x_t, level, rows)
    assert means.shape == x_t.shape
    for group in range(3):
        exact = empirical(rows[group].flatten(1).double())
        of_group = level[10 * group : 10 * (group + 1)]
        expected = exact(x_t[group].flatten(1).double(), of_group).x_0.float()
        torch.testing.assert_close(means[group].flatten(1), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("n", [2, 8, 64])
@pytest.mark.parametrize("log_snr", [-2.0, 0.0, 2.0])
def test_the_mean_over_batches_is_that_of_the_row_and_the_variance_less(
    n: int, log_snr: float
) -> None:
    """For N(0, 1) and a VP level E[x_0 | x_t] = alpha x_t, and the variance left is sigma²."""
    batches = 40_000
    generator = torch.Generator().manual_seed(n)
    rows = torch.randn(batches, n, 1, generator=generator)
    level = NoiseLevel.from_log_snr(torch.full((batches,), log_snr, dtype=torch.float64))
    x_0 = rows[:, 0]
    x_t = noised(x_0, level).draw(torch.randn(batches, 1, generator=generator))
    target = posterior_means(x_t.unsqueeze(1), level, rows).squeeze(1)
    off = target - level.alpha[0].float() * x_t
    # Nothing of what is off goes with any function of x_t.
    for g in (torch.ones_like(x_t), x_t, x_t**2 - 1, torch.sin(2 * x_t)):
        product = off * g
        assert abs(float(product.mean())) < 4 * float(product.std()) / math.sqrt(batches)
    assert float(off.var()) < float((x_0 - level.alpha[0].float() * x_t).var())


def test_with_little_noise_the_row_itself_is_the_target() -> None:
    rows = torch.randn(1, 100, 2, generator=torch.Generator().manual_seed(1))
    level = NoiseLevel.from_log_snr(torch.full((5,), 16.0, dtype=torch.float64))
    means = posterior_means(noised(rows[0, :5], level).draw(torch.zeros(5, 2))[None], level, rows)
    torch.testing.assert_close(means[0], rows[0, :5], atol=1e-3, rtol=0)
