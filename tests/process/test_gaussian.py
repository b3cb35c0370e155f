"""Gaussians against torch.distributions, Monte Carlo and derivatives taken by hand (1-6, 1-7)."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import Tensor

from sfumato.process.gaussian import Gaussian, kl

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
