"""Gaussians against torch.distributions, Monte Carlo and derivatives taken by hand (1-6, 1-7)."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import Tensor

from sfumato.errors import ArgumentError, DataError
from sfumato.process.gaussian import Gaussian, discretised_log_likelihood, kl

means = st.floats(-20, 20)
stds = st.floats(1e-3, 1e3)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@given(means, stds, means, stds)
def test_kl_agrees_with_torch_distributions(m1: float, s1: float, m2: float, s2: float) -> None:
    ours = kl(Gaussian(number(m1), number(s1)), Gaussian(number(m2), number(s2)))
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(number(m1), number(s1)),
        torch.distributions.Normal(number(m2), number(s2)),
    )
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_kl_is_the_mean_log_ratio_of_draws() -> None:
    x = np.random.default_rng(1).normal(0.3, 0.7, 200_000)
    ratio = norm.logpdf(x, 0.3, 0.7) - norm.logpdf(x, -0.2, 1.1)
    ours = float(kl(Gaussian(number(0.3), number(0.7)), Gaussian(number(-0.2), number(1.1))))
    assert abs(ours - float(ratio.mean())) < 4 * float(ratio.std()) / math.sqrt(len(x))


@given(means, stds)
def test_kl_of_equals_is_zero(m: float, s: float) -> None:
    p = Gaussian(number(m), number(s))
    assert float(kl(p, p)) == 0


@given(means, stds, means, st.floats(-1e-6, 1e-6))
def test_kl_is_never_negative(m1: float, s1: float, m2: float, nearly: float) -> None:
    p = Gaussian(number(m1), number(s1))
    assert float(kl(p, Gaussian(number(m1), number(s1 * (1 + nearly))))) >= 0
    assert float(kl(p, Gaussian(number(m2), number(s1 * (1 + nearly))))) >= 0


def test_kl_is_not_zero_for_nearly_equal_means() -> None:
    # Equal widths: (m1 - m2)² / (2 s²), however small.
    ours = kl(Gaussian(number(0.0), number(2.0)), Gaussian(number(1e-9), number(2.0)))
    assert math.isclose(float(ours), 1.25e-19, rel_tol=1e-12)


@given(means, stds, means)
def test_log_density_agrees_with_scipy(m: float, s: float, x: float) -> None:
    ours = Gaussian(number(m), number(s)).log_density(number(x))
    assert math.isclose(float(ours), float(norm.logpdf(x, m, s)), rel_tol=1e-12, abs_tol=1e-12)


def test_gradient_through_the_draw_is_the_gradient_of_the_expectation() -> None:
    # E[sin(mu + sigma eps)] = exp(-sigma²/2) sin(mu); Gauss-Hermite nodes stand for the draws.
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weight = torch.from_numpy(weights / math.sqrt(2 * math.pi))
    mu, sigma = number(0.4).requires_grad_(), number(0.9).requires_grad_()
    expectation = (weight * Gaussian(mu, sigma).draw(torch.from_numpy(nodes)).sin()).sum()
    expectation.backward()
    assert mu.grad is not None
    assert sigma.grad is not None
    damping = math.exp(-(0.9**2) / 2)
    assert math.isclose(float(mu.grad), damping * math.cos(0.4), rel_tol=1e-12)
    assert math.isclose(float(sigma.grad), -0.9 * damping * math.sin(0.4), rel_tol=1e-12)


def test_mean_and_std_are_learned_through_the_draw() -> None:
    # The worked example of (1-7): fit N(mu, sigma²) to N(2, 0.5²) by draws alone.
    source = torch.Generator().manual_seed(0)
    mu, log_std = number(-1.0).requires_grad_(), number(0.5).requires_grad_()
    optimizer = torch.optim.Adam([mu, log_std], lr=0.05)
    for _ in range(300):
        guess = Gaussian(mu, log_std.exp())
        x = guess.draw(torch.randn(1024, dtype=torch.float64, generator=source))
        optimizer.zero_grad()  # log N(x; 2, 0.5²) = -2 (x - 2)² + constant
        loss = (guess.log_density(x) + 2 * (x - 2.0) ** 2).mean()
        loss.backward()
        optimizer.step()
    assert abs(float(mu.detach()) - 2.0) < 0.02
    assert abs(float(log_std.detach().exp()) - 0.5) < 0.02


BINS = torch.linspace(-1, 1, 256, dtype=torch.float64)


def mpmath_log_probability(k: int, mean: float, std: float) -> float:
    """Log of the mass of bin k of 256, by error functions of 100 digits."""
    with mpmath.workdps(100):
        centre, half = mpmath.mpf(2 * k) / 255 - 1, mpmath.mpf(1) / 255
        low, high = (
            (centre + side * half - mpmath.mpf(mean)) / mpmath.mpf(std) for side in (-1, 1)
        )
        below = 0 if k == 0 else mpmath.ncdf(low)
        if k == 255:
            return float(mpmath.log(mpmath.ncdf(-low)))
        # In the upper tail 1 - Phi keeps what Phi has lost, whatever the digits.
        mass = mpmath.ncdf(high) - below if low < 0 else mpmath.ncdf(-low) - mpmath.ncdf(-high)
        return float(mpmath.log(mass))


@pytest.mark.parametrize("k", [0, 1, 127, 200, 254, 255])
@pytest.mark.parametrize(
    ("mean", "std"), [(0.0, 0.5), (0.57, 0.01), (-0.98, 0.003), (3.0, 0.05), (-0.2, 40.0)]
)
def test_discretised_likelihood_is_the_mass_of_the_bin(k: int, mean: float, std: float) -> None:
    ours = discretised_log_likelihood(BINS[k], Gaussian(number(mean), number(std)), 2 / 255)
    assert float(ours) == pytest.approx(mpmath_log_probability(k, mean, std), rel=1e-9)


@pytest.mark.parametrize(("mean", "std"), [(0.1, 0.2), (-0.999, 1e-3), (0.4, 3e-4), (5.0, 2.0)])
def test_probabilities_of_all_bins_sum_to_one(mean: float, std: float) -> None:
    log_p = discretised_log_likelihood(BINS, Gaussian(number(mean), number(std)), 2 / 255)
    assert float(log_p.exp().sum()) == pytest.approx(1, rel=1e-12)


def test_discretised_likelihood_is_mirror_symmetric() -> None:
    g, mirrored = (Gaussian(number(m), number(0.07)) for m in (0.3, -0.3))
    there = discretised_log_likelihood(BINS, g, 2 / 255)
    back = discretised_log_likelihood(-BINS, mirrored, 2 / 255)
    torch.testing.assert_close(there, back, rtol=1e-9, atol=0)


def test_discretised_likelihood_in_float32_is_finite_everywhere() -> None:
    std = torch.logspace(-4, 1, 6).unsqueeze(1)
    for mean in (-1.0, 0.123, 1.0):
        g = Gaussian(torch.tensor(mean), std)
        wide = Gaussian(torch.tensor(mean).double(), std.double())
        single = discretised_log_likelihood(BINS.float(), g, 2 / 255)
        double = discretised_log_likelihood(BINS, wide, 2 / 255)
        torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


def test_gradient_of_the_discretised_likelihood_is_finite_in_all_bins() -> None:
    mean, std = number(0.2).requires_grad_(), number(0.01).requires_grad_()
    discretised_log_likelihood(BINS, Gaussian(mean, std), 2 / 255).sum().backward()
    assert mean.grad is not None
    assert std.grad is not None
    assert bool(mean.grad.isfinite())
    assert bool(std.grad.isfinite())


@pytest.mark.parametrize("x", [1.0 + 2 / 255, 0.0, math.nan, math.inf])
def test_values_that_are_no_bin_are_refused(x: float) -> None:
    with pytest.raises(DataError, match="Scale the data"):
        discretised_log_likelihood(number(x), Gaussian(number(0.0), number(1.0)), 2 / 255)


@pytest.mark.parametrize("bin_width", [0.0, -0.1, 0.3, 5.0, math.inf])
def test_bins_that_do_not_fill_the_range_are_refused(bin_width: float) -> None:
    with pytest.raises(ArgumentError, match="divided by an integer"):
        discretised_log_likelihood(number(0.0), Gaussian(number(0.0), number(1.0)), bin_width)
