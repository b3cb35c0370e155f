"""The process's conditionals (2-1 ... 2-19, 3-1) against chains by hand and Bayes on a grid."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import Tensor

from sfumato.process import discrete, kernels
from sfumato.process.noise import NoiseLevel

Floats = npt.NDArray[np.float64]


def level(alpha: float, sigma: float) -> NoiseLevel:
    return NoiseLevel(
        torch.tensor(alpha, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64)
    )


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def ddpm(betas: Floats) -> tuple[Floats, Floats]:
    """alpha_bar of t and of t - 1 for 0-based steps, as Ho et al. write them."""
    alpha_bar = np.cumprod(1 - betas, dtype=np.float64)
    return alpha_bar, np.concatenate([[1.0], alpha_bar[:-1]])


LINEAR = np.linspace(1e-4, 0.02, 1000)
# (alpha, sigma) of t and s: variance preserving, exploding, straight, and a start without signal.
PAIRS = [
    ((0.6, 0.8), (0.8, 0.6)),
    ((1.0, 3.0), (1.0, 0.5)),
    ((0.3, 0.7), (0.45, 0.55)),
    ((0.0, 1.0), (0.28, 0.96)),
]


def test_noised_is_alpha_x_0_and_sigma() -> None:
    x_0 = torch.tensor([[1.0, -2.0], [3.0, 0.5]], dtype=torch.float64)
    levels = NoiseLevel(torch.tensor([0.5, 0.25]).double(), torch.tensor([2.0, 3.0]).double())
    q = kernels.noised(x_0, levels)
    assert q.mean.tolist() == [[0.5, -1.0], [0.75, 0.125]]
    assert q.std.flatten().tolist() == [2.0, 3.0]


def test_moments_of_draws_at_several_levels() -> None:
    # 3-1: at level i, x_t of x_0 = 1.5 has mean sqrt(alpha_bar) 1.5 and variance 1 - alpha_bar.
    alpha_bar = ddpm(LINEAR)[0]
    table, n = discrete.linear(), 100_000
    source = torch.Generator().manual_seed(3)
    for i in (1, 250, 1000):
        eps = torch.randn(n, 1, dtype=torch.float64, generator=source)
        x_t = kernels.noised(torch.full((n, 1), 1.5).double(), table.levels[i]).draw(eps)
        mean, variance = math.sqrt(alpha_bar[i - 1]) * 1.5, 1 - alpha_bar[i - 1]
        assert abs(float(x_t.mean()) - mean) < 4 * math.sqrt(variance / n)
        assert abs(float(x_t.var()) / variance - 1) < 4 * math.sqrt(2 / n)


@pytest.mark.parametrize("s", [1, 37, 500, 999])
def test_transition_between_neighbours_is_one_step_of_the_chain(s: int) -> None:
    levels = discrete.linear().levels
    q = kernels.transition(column(1.0), levels[s + 1], levels[s])
    assert float(q.mean) == pytest.approx(math.sqrt(1 - LINEAR[s]), rel=1e-13)
    assert float(q.std) == pytest.approx(math.sqrt(LINEAR[s]), rel=1e-11)


@pytest.mark.parametrize("i", [1, 2, 100, 1000])
def test_composed_steps_are_the_marginal(i: int) -> None:
    # 2-1 ... 2-5: i one-step kernels give N(sqrt(alpha_bar) x_0, 1 - alpha_bar).
    levels = discrete.linear().levels
    mean, variance = 0.7, 0.0
    for k in range(1, i + 1):
        q = kernels.transition(column(mean, mean + 1), levels[k], levels[k - 1])
        slope = float(q.mean[1] - q.mean[0])
        mean, variance = float(q.mean[0]), slope**2 * variance + float(q.std) ** 2
    alpha_bar = ddpm(LINEAR)[0][i - 1]
    assert mean == pytest.approx(0.7 * math.sqrt(alpha_bar), rel=1e-11)
    assert variance == pytest.approx(1 - alpha_bar, rel=1e-11)


def test_a_chain_of_draws_has_the_moments_of_the_marginal() -> None:
    n, betas = 40_000, np.linspace(0.02, 0.3, 12)
    levels = discrete.from_beta(torch.from_numpy(betas)).levels
    source = torch.Generator().manual_seed(5)
    x = torch.full((n, 1), 2.0, dtype=torch.float64)
    for k in range(1, len(levels)):
        eps = torch.randn(n, 1, dtype=torch.float64, generator=source)
        x = kernels.transition(x, levels[k], levels[k - 1]).draw(eps)
    alpha_bar = float(np.prod(1 - betas))
    assert abs(float(x.mean()) - 2 * math.sqrt(alpha_bar)) < 4 * math.sqrt((1 - alpha_bar) / n)
    assert abs(float(x.var()) / (1 - alpha_bar) - 1) < 4 * math.sqrt(2 / n)


def test_transition_from_the_clean_level_is_the_marginal() -> None:
    q = kernels.transition(column(1.5), level(0.6, 0.8), NoiseLevel.clean())
    assert (float(q.mean), float(q.std)) == pytest.approx((0.9, 0.8), rel=1e-14)


@pytest.mark.parametrize(("t", "s"), PAIRS)
def test_posterior_is_the_normalised_product(
    t: tuple[float, float], s: tuple[float, float]
) -> None:
    # Bayes (2-8 ... 2-17): q(x_s | x_t, x_0) ∝ q(x_t | x_s) q(x_s | x_0), x_t = 0.9, x_0 = -0.4.
    ratio = t[0] / s[0]
    step = math.sqrt(t[1] ** 2 - ratio**2 * s[1] ** 2)
    grid = np.linspace(-12, 12, 4001)
    product = norm.pdf(0.9, ratio * grid, step) * norm.pdf(grid, s[0] * -0.4, s[1])
    product /= product.sum() * (grid[1] - grid[0])
    q = kernels.posterior(column(0.9), column(-0.4), level(*t), level(*s))
    assert np.allclose(norm.pdf(grid, float(q.mean), float(q.std)), product, rtol=0, atol=1e-10)


@pytest.mark.parametrize("t", [1, 2, 500, 1000])
def test_posterior_of_neighbours_is_ddpm_equation_7(t: int) -> None:
    # 2-17's first form, with the alpha_bar of t - 1 beside x_0.
    alpha_bars, before = ddpm(LINEAR)
    beta, alpha_bar, alpha_bar_before = LINEAR[t - 1], alpha_bars[t - 1], before[t - 1]
    from_x_0 = math.sqrt(alpha_bar_before) * beta / (1 - alpha_bar)
    from_x_t = math.sqrt(1 - beta) * (1 - alpha_bar_before) / (1 - alpha_bar)
    levels = discrete.linear().levels
    q = kernels.posterior(column(0.3), column(-1.2), levels[t], levels[t - 1])
    assert float(q.mean) == pytest.approx(0.3 * from_x_t - 1.2 * from_x_0, rel=1e-11)
    variance = (1 - alpha_bar_before) / (1 - alpha_bar) * beta
    assert float(q.std) == pytest.approx(math.sqrt(variance), rel=1e-11)


@pytest.mark.parametrize(
    ("t", "s", "variance"),
    # diffusers' tests/schedulers (test_variance), whose steps are counted from 0: DDPM's three,
    # DDIM's 420 -> 400 and 980 -> 960. Linear table, T = 1000, five decimals.
    [(1, 0, 0.0), (488, 487, 0.00979), (1000, 999, 0.02), (421, 401, 0.14771), (981, 961, 0.32460)],
)
def test_posterior_variance_that_diffusers_publishes(t: int, s: int, variance: float) -> None:
    levels = discrete.linear().levels
    assert float(kernels.posterior_variance(levels[t], levels[s])) == pytest.approx(
        variance, abs=1e-5
    )


def test_posterior_at_the_clean_level_is_x_0() -> None:
    q = kernels.posterior(column(0.9), column(-0.4), level(0.6, 0.8), NoiseLevel.clean())
    assert (float(q.mean), float(q.std)) == pytest.approx((-0.4, 0.0), abs=1e-15)


@given(
    st.floats(0.01, 2), st.floats(0.05, 5), st.floats(0.05, 2), st.floats(0.01, 0.99),
    st.floats(-3, 3), st.floats(-3, 3),
)  # fmt: skip
def test_the_two_forms_of_the_posterior_mean_agree(
    alpha_t: float, sigma_t: float, alpha_s: float, part: float, x_0: float, eps: float
) -> None:
    # 2-19 equals 2-17 with the x_0 of 2-18; sigma_s/alpha_s is a part of sigma_t/alpha_t.
    t, s = level(alpha_t, sigma_t), level(alpha_s, part * sigma_t / alpha_t * alpha_s)
    x_t = column(alpha_t * x_0 + sigma_t * eps)
    from_eps = kernels.posterior_mean_from_eps(x_t, column(eps), t, s)
    from_x_0 = kernels.posterior(x_t, column(x_0), t, s).mean
    assert torch.allclose(from_eps, from_x_0, rtol=1e-9, atol=1e-9 * alpha_s / alpha_t)


@pytest.mark.parametrize("t", [1, 2, 500, 1000])
def test_posterior_mean_from_eps_is_ddpm_equation_11(t: int) -> None:
    beta, alpha_bar = LINEAR[t - 1], ddpm(LINEAR)[0][t - 1]
    expected = (0.3 - beta / math.sqrt(1 - alpha_bar) * 0.8) / math.sqrt(1 - beta)
    levels = discrete.linear().levels
    ours = kernels.posterior_mean_from_eps(column(0.3), column(0.8), levels[t], levels[t - 1])
    assert float(ours) == pytest.approx(expected, rel=1e-11)


def test_a_level_each_equals_a_level_for_all() -> None:
    levels = discrete.linear(50).levels
    source = torch.Generator().manual_seed(2)
    x_t, x_0 = torch.randn(2, 3, 2, 4, 4, dtype=torch.float64, generator=source)
    t, s = torch.tensor([5, 20, 50]), torch.tensor([0, 7, 49])
    batch = kernels.posterior(x_t, x_0, levels[t], levels[s])
    onward = kernels.transition(x_0, levels[t], levels[s])
    for k in range(3):
        pair = levels[int(t[k])], levels[int(s[k])]
        alone = kernels.posterior(x_t[k : k + 1], x_0[k : k + 1], *pair)
        assert torch.allclose(batch.mean[k], alone.mean[0], rtol=1e-14)
        assert torch.allclose(batch.std[k].flatten(), alone.std.flatten(), rtol=1e-14)
        step = kernels.transition(x_0[k : k + 1], *pair)
        assert torch.allclose(onward.mean[k], step.mean[0], rtol=1e-14)
        assert torch.allclose(onward.std[k].flatten(), step.std.flatten(), rtol=1e-14)


def test_float32_samples_take_float64_coefficients() -> None:
    # 1 - alpha_bar of the first step, cast last: 2.5e-8 off at most; formed in float32, 1.7e-4.
    levels = discrete.linear().levels
    q = kernels.noised(torch.ones(1, 1), levels[1])
    assert q.std.dtype == torch.float32
    assert float(q.std) == pytest.approx(0.01, rel=6e-8)
