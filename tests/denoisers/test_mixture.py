"""The exact denoiser against numerical integration, Tweedie's formula, and published minima."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from torch import Tensor

from sfumato.denoisers.mixture import GaussianMixture, gaussian_mixture
from sfumato.errors import ArgumentError
from sfumato.process import discrete
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import generator

WEIGHTS_1D, MEANS_1D, STDS_1D = [0.3, 0.7], [-1.0, 1.5], [0.4, 0.8]
WEIGHTS_2D = [1.0, 3.0]  # scaled to sum to one
MEANS_2D = [[-1.0, 0.5], [1.0, -0.3]]
COVARIANCES_2D = [[[0.5, 0.3], [0.3, 0.4]], [[0.3, -0.1], [-0.1, 0.6]]]
# Variance preserving, exploding, and neither.
LEVELS = [(0.8, 0.6), (1.0, 2.5), (0.3, 0.5)]


def level(alpha: float, sigma: float) -> NoiseLevel:
    return NoiseLevel(
        torch.tensor(alpha, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64)
    )


def in_1d() -> GaussianMixture:
    return gaussian_mixture(
        torch.tensor(WEIGHTS_1D, dtype=torch.float64),
        torch.tensor(MEANS_1D, dtype=torch.float64)[:, None],
        torch.tensor(STDS_1D, dtype=torch.float64)[:, None, None] ** 2,
    )


def in_2d() -> GaussianMixture:
    return gaussian_mixture(
        torch.tensor(WEIGHTS_2D, dtype=torch.float64),
        torch.tensor(MEANS_2D, dtype=torch.float64),
        torch.tensor(COVARIANCES_2D, dtype=torch.float64),
    )


def density_1d(x: float) -> float:
    parts = zip(WEIGHTS_1D, MEANS_1D, STDS_1D, strict=True)
    return float(sum(w * NormalDist(m, s).pdf(x) for w, m, s in parts))


def density_2d(x: float, y: float) -> float:
    parts = zip((0.25, 0.75), MEANS_2D, COVARIANCES_2D, strict=True)
    return float(sum(w * multivariate_normal.pdf([x, y], m, c) for w, m, c in parts))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
@pytest.mark.parametrize("x_t", [-1.3, 0.2, 2.0])
def test_1d_estimate_and_density_are_the_integrals(alpha: float, sigma: float, x_t: float) -> None:
    def joint(x_0: float) -> float:
        return density_1d(x_0) * NormalDist(alpha * x_0, sigma).pdf(x_t)

    total = quad(joint, -8, 9, epsabs=1e-13, limit=200)[0]
    moment = quad(lambda x_0: x_0 * joint(x_0), -8, 9, epsabs=1e-13, limit=200)[0]
    x = torch.tensor([[x_t]], dtype=torch.float64)
    assert float(in_1d()(x, level(alpha, sigma)).x_0) == pytest.approx(moment / total, rel=1e-9)
    assert float(in_1d().log_density(x, level(alpha, sigma))) == pytest.approx(
        math.log(total), abs=1e-9
    )


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_2d_estimate_and_density_are_the_integrals(alpha: float, sigma: float) -> None:
    x_t = np.array([0.4, -0.7])
    axis = np.linspace(-8, 8, 321)  # trapezoids of smooth bells: exact to rounding
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    parts = zip((0.25, 0.75), MEANS_2D, COVARIANCES_2D, strict=True)
    prior = sum(w * multivariate_normal.pdf(grid, m, c) for w, m, c in parts)
    joint = prior * np.prod(norm.pdf(x_t, alpha * grid, sigma), axis=-1)
    cell = (axis[1] - axis[0]) ** 2
    moment = (grid * joint[..., None]).sum((0, 1)) / joint.sum()
    x = torch.from_numpy(x_t)[None]
    assert in_2d()(x, level(alpha, sigma)).x_0[0].tolist() == pytest.approx(moment, rel=1e-9)
    assert float(in_2d().log_density(x, level(alpha, sigma))) == pytest.approx(
        math.log(joint.sum() * cell), abs=1e-9
    )


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_estimate_is_tweedies(alpha: float, sigma: float) -> None:
    # E[x_0 | x_t] = (x_t + sigma² d/dx log q(x_t)) / alpha
    x = torch.randn(20, 2, dtype=torch.float64, generator=generator(1)).requires_grad_()
    at = level(alpha, sigma)
    (score,) = torch.autograd.grad(in_2d().log_density(x, at).sum(), x)
    assert torch.allclose(in_2d()(x, at).x_0, (x + sigma**2 * score) / alpha, rtol=0, atol=1e-12)


def test_3d_estimate_is_the_gaussians_regression() -> None:
    # m + alpha C (alpha² C + sigma² I)^-1 (x_t - alpha m); in 3-D no axes are symmetric by luck.
    root = np.random.default_rng(6).normal(size=(3, 3))
    mean, covariance = np.array([0.5, -1.0, 2.0]), root @ root.T + 0.1 * np.eye(3)
    total = 0.8**2 * covariance + 0.6**2 * np.eye(3)
    x_t = np.array([1.0, 0.2, -0.7])
    by_hand = mean + 0.8 * covariance @ np.linalg.solve(total, x_t - 0.8 * mean)
    exact = gaussian_mixture(
        torch.ones(1), torch.from_numpy(mean)[None], torch.from_numpy(covariance)[None]
    )
    x, at = torch.from_numpy(x_t)[None], level(0.8, 0.6)
    assert exact(x, at).x_0[0].tolist() == pytest.approx(by_hand, rel=1e-12)
    log_density = multivariate_normal.logpdf(x_t, 0.8 * mean, total)
    assert float(exact.log_density(x, at)) == pytest.approx(float(log_density), rel=1e-12)
    drawn = np.cov(exact.draw(100_000, generator(7)).numpy().T)
    assert np.allclose(drawn, covariance, rtol=0, atol=0.03 * covariance.max())


def test_density_at_the_clean_level_is_the_mixtures_own() -> None:
    x = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    ours = float(in_2d().log_density(x, NoiseLevel.clean()))
    assert ours == pytest.approx(math.log(density_2d(0.3, -0.2)), rel=1e-12)


def test_a_level_each_equals_a_level_for_all() -> None:
    x = torch.randn(3, 2, dtype=torch.float64, generator=generator(2))
    each = NoiseLevel(*torch.tensor(LEVELS, dtype=torch.float64).unbind(1))
    together, density = in_2d()(x, each).x_0, in_2d().log_density(x, each)
    for k, (alpha, sigma) in enumerate(LEVELS):
        alone = in_2d()(x[k : k + 1], level(alpha, sigma)).x_0[0]
        assert torch.allclose(together[k], alone, rtol=1e-14)
        lone_density = in_2d().log_density(x[k : k + 1], level(alpha, sigma))[0]
        assert torch.allclose(density[k], lone_density, rtol=1e-14)


def test_estimate_without_signal_is_the_mean() -> None:
    x = torch.tensor([[0.3, -5.0], [2.0, 1.0]], dtype=torch.float64)
    estimate = in_2d()(x, level(0.0, 1.0)).x_0
    by_hand = 0.25 * np.array(MEANS_2D[0]) + 0.75 * np.array(MEANS_2D[1])
    assert estimate[0].tolist() == pytest.approx(by_hand, rel=1e-14)
    assert torch.allclose(estimate[0], estimate[1], rtol=1e-14)


def test_far_from_every_component_the_estimate_stays_finite() -> None:
    x = torch.tensor([[1e6, -1e6]], dtype=torch.float64)
    assert bool(in_2d()(x, level(0.8, 0.6)).x_0.isfinite().all())


@pytest.mark.parametrize(
    ("table", "published"),
    [
        (discrete.linear(), 0.2755132),
        (discrete.sigmoid(), 0.9355223),
        (discrete.linear(50, reference_levels=50), 0.8511442),
    ],
)
def test_least_simple_loss_on_standard_normal_data(
    table: discrete.DiscreteSchedule, published: float
) -> None:
    assert float(least_losses(table, 1.0).mean()) == pytest.approx(published, abs=5e-8)


def test_least_simple_loss_at_every_level() -> None:
    # CHECKS: alpha_bar s²/(alpha_bar s² + 1 - alpha_bar).
    alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    by_hand = alpha_bar * 0.09 / (alpha_bar * 0.09 + 1 - alpha_bar)
    assert np.allclose(least_losses(discrete.linear(), 0.3).numpy(), by_hand, rtol=1e-9, atol=0)


def least_losses(table: discrete.DiscreteSchedule, std: float) -> Tensor:
    """E|eps - eps_hat|² at each level for N(0, std²), from the estimate's slope in x_t."""
    exact = gaussian_mixture(
        torch.ones(1), torch.zeros(1, 1), torch.full((1, 1, 1), std).double() ** 2
    )
    levels = table.levels[1:]
    slope = exact(torch.ones(len(levels), 1, dtype=torch.float64), levels).x_0.squeeze(1)
    gain = (1 - levels.alpha * slope) / levels.sigma  # eps_hat = gain x_t
    return (1 - gain * levels.sigma) ** 2 + (gain * levels.alpha * std) ** 2


def test_draws_have_the_mixtures_moments() -> None:
    n = 100_000
    x = in_2d().draw(n, generator(4)).numpy()
    means, covariances = np.array(MEANS_2D), np.array(COVARIANCES_2D)
    mean = 0.25 * means[0] + 0.75 * means[1]
    second = covariances + means[:, :, None] * means[:, None, :]
    covariance = 0.25 * second[0] + 0.75 * second[1] - np.outer(mean, mean)
    spread = 4 * np.sqrt(np.diag(covariance) / n)
    assert (np.abs(x.mean(0) - mean) < spread).all()
    assert np.allclose(np.cov(x.T), covariance, rtol=0, atol=0.02)


def test_draws_have_the_mixtures_density() -> None:
    # E[log p] of the draws is minus the entropy.
    entropy = -quad(lambda x: density_1d(x) * math.log(density_1d(x)), -6, 7, limit=200)[0]
    values = in_1d().log_density(in_1d().draw(50_000, generator(5)), NoiseLevel.clean())
    assert abs(float(values.mean()) + entropy) < 4 * float(values.std()) / math.sqrt(50_000)


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "message"),
    [
        (torch.ones(2), torch.zeros(1, 2), torch.eye(2)[None], "needs weights"),
        (torch.ones(1), torch.zeros(2), torch.eye(2)[None], "needs weights"),
        (torch.ones(1), torch.zeros(1, 2), torch.eye(3)[None], "needs weights"),
        (torch.zeros(1), torch.zeros(1, 2), torch.eye(2)[None], "positive; got"),
        (torch.tensor([-1.0]), torch.zeros(1, 2), torch.eye(2)[None], "positive; got"),
        (torch.ones(1), torch.zeros(1, 2), torch.tensor([[[1.0, 0.5], [0, 1]]]), "symmetric"),
        (torch.ones(1), torch.zeros(1, 2), torch.zeros(1, 2, 2), "positive definite"),
        (torch.ones(1), torch.zeros(1, 2), torch.tensor([[[1.0, 2], [2, 1]]]), "positive definite"),
    ],
)
def test_a_mixture_that_is_none_is_refused(
    weights: Tensor, means: Tensor, covariances: Tensor, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        gaussian_mixture(weights, means, covariances)


def test_rows_of_another_dimension_are_told() -> None:
    with pytest.raises(ArgumentError, match="has 2 columns"):
        in_2d()(torch.zeros(5, 1).double(), level(0.8, 0.6))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_numbers_that_are_none_are_told(which: int) -> None:
    parts = [torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None]]
    parts[which] = parts[which] * float("nan")
    with pytest.raises(ArgumentError, match="NaN or infinite"):
        gaussian_mixture(*parts)
