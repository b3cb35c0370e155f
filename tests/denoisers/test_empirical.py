"""The empirical denoiser against Bayes' rule by SciPy, the exact mixture, and its limits."""

import resource

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from sfumato.data.toy import TOY_SETS, draw
from sfumato.denoisers.empirical import empirical
from sfumato.denoisers.mixture import gaussian_mixture
from sfumato.errors import ArgumentError, DataError
from sfumato.process.noise import NoiseLevel

LEVELS = [(0.8, 0.6), (1.0, 2.5), (0.999, 0.05)]
POINTS = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))


def level(alpha: float, sigma: float) -> NoiseLevel:
    return NoiseLevel(torch.tensor(alpha).double(), torch.tensor(sigma).double())


def noisy(n: int = 7) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(n, 3)))


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_estimate_and_density_by_bayes(alpha: float, sigma: float) -> None:
    x_t = noisy()
    log_each = np.stack(
        [multivariate_normal(alpha * p, sigma**2).logpdf(x_t) for p in POINTS.numpy()], axis=1
    )
    share = np.exp(log_each - logsumexp(log_each, axis=1, keepdims=True))
    denoise = empirical(POINTS)
    ours = denoise(x_t, level(alpha, sigma)).x_0
    assert np.allclose(ours, share @ POINTS.numpy(), atol=1e-10)
    density = logsumexp(log_each, axis=1) - np.log(len(POINTS))
    assert np.allclose(denoise.log_density(x_t, level(alpha, sigma)), density, atol=1e-9)


@pytest.mark.parametrize(("alpha", "sigma"), LEVELS)
def test_blurred_points_are_a_mixture(alpha: float, sigma: float) -> None:
    width = torch.tensor([0.3, 0.1, 0.7]).double()
    weights = torch.linspace(1, 3, 50).double()
    ours = empirical(POINTS, weights=weights, width=width)
    exact = gaussian_mixture(weights, POINTS, torch.diag(width**2).expand(50, 3, 3))
    x_t, at = noisy(), level(alpha, sigma)
    assert torch.allclose(ours(x_t, at).x_0, exact(x_t, at).x_0, atol=1e-9)
    assert torch.allclose(ours.log_density(x_t, at), exact.log_density(x_t, at), atol=1e-9)


def test_each_row_has_its_own_level() -> None:
    alpha, sigma = torch.tensor([0.8, 1.0, 0.999]).double(), torch.tensor([0.6, 2.5, 0.05]).double()
    x_t, denoise = noisy(3), empirical(POINTS, width=0.1)
    together = denoise(x_t, NoiseLevel(alpha, sigma)).x_0
    for k in range(3):
        alone = denoise(x_t[k : k + 1], NoiseLevel(alpha[k], sigma[k])).x_0
        assert torch.allclose(together[k : k + 1], alone, atol=1e-12)


def test_with_little_noise_the_nearest_point_is_the_answer() -> None:
    # The lesson: sampled with this denoiser, training rows come out, and nothing else.
    x_t = POINTS + 1e-4
    x_0 = empirical(POINTS)(x_t, level(1.0, 1e-3)).x_0
    torch.testing.assert_close(x_0, POINTS.double(), rtol=0, atol=1e-9)


def test_with_no_signal_the_mean_is_the_answer() -> None:
    x_0 = empirical(POINTS)(noisy(), level(1e-9, 1.0)).x_0
    assert torch.allclose(x_0, POINTS.mean(0).expand(7, 3), atol=1e-7)


def test_events_of_any_shape() -> None:
    flat = empirical(POINTS)(noisy(), level(0.8, 0.6)).x_0
    shaped = empirical(POINTS.reshape(50, 3, 1, 1))(noisy().reshape(7, 3, 1, 1), level(0.8, 0.6))
    assert torch.equal(shaped.x_0.reshape(7, 3), flat)


def test_a_million_points_in_bounded_memory() -> None:
    points = torch.randn(1_000_000, 2, generator=torch.Generator().manual_seed(0))
    x_t = torch.tensor([[0.5, -0.2], [1.0, 0.3]]).double().repeat(40, 1)
    denoise = empirical(points)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x_0 = denoise(x_t, level(0.8, 0.6)).x_0
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # A million points of N(0, 1) are nearly N(0, 1), whose estimate is alpha x_t.
    assert torch.allclose(x_0, 0.8 * x_t, atol=5e-3)
    # All exponents at once would be 610 MiB, made of two terms as large and followed by their
    # exponentials, 1.8 GiB together; KiB here.
    assert grown < 700 * 1024


@pytest.mark.parametrize("name", [each.name for each in TOY_SETS.values() if each.nodes])
def test_nodes_of_a_toy_set_have_its_density(name: str) -> None:
    chosen = TOY_SETS[name]
    assert chosen.nodes is not None
    assert chosen.log_density is not None
    points, weights, width = chosen.nodes(chosen.noise)
    values = draw(name, 200, seed=3).values
    denoise = empirical(torch.from_numpy(points), weights=torch.from_numpy(weights), width=width)
    clean = denoise.log_density(torch.from_numpy(values), NoiseLevel.clean())
    assert np.allclose(clean, chosen.log_density(values, chosen.noise), atol=1e-6)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (torch.ones(3), {}, "needs points"),
        (torch.ones(0, 2), {}, "needs points"),
        (torch.ones(3, 2), {"width": -1.0}, "must not be negative"),
        (torch.ones(3, 2), {"weights": torch.ones(2)}, "3 positive numbers"),
        (torch.ones(3, 2), {"weights": torch.tensor([1.0, 0.0, 1.0])}, "3 positive numbers"),
    ],
)
def test_what_cannot_be(points: Tensor, options: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        empirical(points, **options)


def test_points_must_be_finite() -> None:
    with pytest.raises(DataError, match="NaN or infinite"):
        empirical(torch.tensor([[1.0, float("nan")]]))


def test_blocks_far_apart_are_weighed_against_each_other() -> None:
    # The nearest point may come in any block of the running sum, and the others weigh nothing.
    n = 3 * 2**20  # several blocks for a thousand rows of one column
    points = torch.zeros(n, 1, dtype=torch.float64)
    points[: n // 3], points[n // 3 : 2 * n // 3], points[2 * n // 3 :] = -50.0, 0.0, 50.0
    x_t = torch.tensor([[-49.9], [0.1], [50.2], [24.0], [26.0]]).double()
    x_0 = empirical(points)(x_t, level(1.0, 0.5)).x_0
    assert x_0.flatten().tolist() == pytest.approx([-50, 0, 50, 0, 50], abs=1e-6)


def test_rows_beyond_the_first_block_keep_their_own_level() -> None:
    n = 3000
    sigma = torch.linspace(0.2, 2, n).double()
    x_t = torch.linspace(-2, 2, n).double()[:, None].expand(n, 3).contiguous()
    denoise = empirical(POINTS, width=0.1)
    together = denoise(x_t, NoiseLevel(torch.ones(n).double(), sigma)).x_0
    for k in (0, 1500, 2999):
        alone = denoise(x_t[k : k + 1], level(1.0, float(sigma[k]))).x_0
        assert torch.allclose(together[k : k + 1], alone, atol=1e-9)


def test_no_rows_have_no_estimate() -> None:
    assert empirical(POINTS)(noisy(0), level(0.8, 0.6)).x_0.shape == (0, 3)


def test_rows_of_another_shape_are_told() -> None:
    with pytest.raises(ArgumentError, match=r"shape \(3,\); got rows of \(2,\)"):
        empirical(POINTS)(torch.zeros(4, 2).double(), level(0.8, 0.6))


def test_points_without_width_have_no_density_of_their_own() -> None:
    with pytest.raises(ArgumentError, match="no density"):
        empirical(POINTS)(noisy(), NoiseLevel.clean())
