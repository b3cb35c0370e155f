"""Ancestral sampling: published moments with an exact denoiser, its noise, its last step."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato.denoisers.denoiser import Prediction
from sfumato.errors import ArgumentError
from sfumato.process import discrete, grids
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Cosine
from sfumato.process.streams import generator, noise_from
from sfumato.samplers.ancestral import Ancestral
from truth import ExactGaussian, propagate

LINEAR = np.linspace(1e-4, 0.02, 1000)
DATA = ExactGaussian(mean=1.0, std=0.5)


def whole(table: discrete.DiscreteSchedule) -> NoiseLevel:
    """Every level of a table, noisiest first."""
    return table.levels[torch.arange(table.num_levels, -1, -1)]


def no_noise(x: Tensor) -> Tensor:
    raise AssertionError("noise was asked for")


@pytest.mark.parametrize(
    ("table", "sampler", "mean", "std"),
    # CHECKS, closed forms: from N(0, 1) with the exact denoiser of N(1, 0.25).
    [
        (discrete.sigmoid(), Ancestral("beta_tilde"), 0.53301, 0.63828),
        (discrete.sigmoid(), Ancestral("beta"), 0.53301, 0.64387),
        (discrete.linear(50, reference_levels=50), Ancestral("beta_tilde"), 0.72482, 0.54020),
        (discrete.linear(), Ancestral("beta_tilde"), 0.99999, 0.49611),
        (discrete.linear(), Ancestral("beta"), 0.99999, 0.50075),
    ],
)
def test_published_moments_of_shifted_data(
    table: discrete.DiscreteSchedule, sampler: Ancestral, mean: float, std: float
) -> None:
    assert propagate(sampler, DATA, whole(table)) == pytest.approx((mean, std), abs=5.1e-6)


@pytest.mark.parametrize(
    ("sampler", "std"), [(Ancestral("beta_tilde"), 0.99552), (Ancestral("beta"), 0.99995)]
)
def test_published_moments_of_standard_normal_data(sampler: Ancestral, std: float) -> None:
    exact = ExactGaussian(0.0, 1.0)
    moments = propagate(sampler, exact, whole(discrete.linear()))
    assert moments == pytest.approx((0.0, std), abs=5.1e-6)


def test_beta_tilde_is_the_default() -> None:
    assert Ancestral().variance == "beta_tilde"


@pytest.mark.parametrize("t", [2, 500, 1000])
@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_one_step_is_ddpms(t: int, variance: str) -> None:
    # Ho et al. (2020), algorithm 2 with eps put in, for neighbours and a noise of 0.7.
    alpha_bar = np.cumprod(1 - LINEAR)
    beta, noisy = LINEAR[t - 1], 1 - alpha_bar[t - 1]
    tilde = (1 - alpha_bar[t - 2]) / noisy * beta
    x_t, eps = 0.3, 0.8
    x_0 = (x_t - math.sqrt(noisy) * eps) / math.sqrt(alpha_bar[t - 1])
    mean = (x_t - beta / math.sqrt(noisy) * eps) / math.sqrt(1 - beta)
    by_hand = mean + 0.7 * math.sqrt({"beta": beta, "beta_tilde": tilde}[variance])

    levels = discrete.linear().levels
    sampler = Ancestral("beta" if variance == "beta" else "beta_tilde")
    x = torch.tensor([[x_t]], dtype=torch.float64)
    x_s, prediction, _ = sampler.step(
        ExactGaussian(x_0, 0.0),
        x,
        levels[t],
        levels[t - 1],
        None,
        lambda z: 0.7 * torch.ones_like(z),
    )
    assert float(x_s) == pytest.approx(by_hand, rel=1e-9)
    assert float(prediction.x_0) == pytest.approx(x_0, rel=1e-14)


@pytest.mark.parametrize("sampler", [Ancestral("beta_tilde"), Ancestral("beta")])
def test_last_step_is_the_prediction_without_noise(sampler: Ancestral) -> None:
    x, levels = torch.tensor([[0.3], [-2.0]], dtype=torch.float64), discrete.linear().levels
    x_s, prediction, _ = sampler.step(DATA, x, levels[1], levels[0], None, no_noise)
    assert torch.allclose(x_s, prediction.x_0, rtol=1e-14)


def test_noise_in_the_last_step_is_the_root_of_the_first_beta() -> None:
    levels, x = discrete.linear().levels, torch.zeros(1, 1, dtype=torch.float64)
    sampler = Ancestral("beta", last_step_noise=True)
    x_s, prediction, _ = sampler.step(DATA, x, levels[1], levels[0], None, torch.ones_like)
    assert float(x_s - prediction.x_0) == pytest.approx(math.sqrt(1e-4), rel=1e-9)


def test_noise_in_the_last_step_adds_the_first_beta_to_the_variance() -> None:
    table = discrete.sigmoid()
    _, plain = propagate(Ancestral("beta"), DATA, whole(table))
    _, blurred = propagate(Ancestral("beta", last_step_noise=True), DATA, whole(table))
    first = 0.00499 / (1 + math.exp(6)) + 1e-5
    assert blurred**2 - plain**2 == pytest.approx(first, rel=1e-9)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_finer_grids_close_in_on_the_data(variance: str) -> None:
    # From q(x_T) itself, over levels that are no neighbours of any table: first order.
    sampler = Ancestral("beta" if variance == "beta" else "beta_tilde")
    errors = []
    for num_steps in (100, 200, 400):
        levels = grids.uniform_log_snr(Cosine(), num_steps)
        alpha, sigma = float(levels.alpha[0]), float(levels.sigma[0])
        start = alpha * 1.0, math.hypot(alpha * 0.5, sigma)
        mean, std = propagate(sampler, DATA, levels, *start)
        assert mean == pytest.approx(1.0, abs=1e-9)
        errors.append(abs(std - 0.5))
    slope = -np.polyfit(np.log([100, 200, 400]), np.log(errors), 1)[0]
    assert slope == pytest.approx(1, abs=0.1)


def test_samples_have_the_propagated_moments() -> None:
    n, table = 40_000, discrete.sigmoid()
    noise = noise_from(generator(6))
    x = noise(torch.empty(n, 1, dtype=torch.float64))
    levels = whole(table)
    for k in range(100):
        x, _, _ = Ancestral().step(DATA, x, levels[k], levels[k + 1], None, noise)
    assert abs(float(x.mean()) - 0.53301) < 4 * 0.638 / math.sqrt(n)
    assert abs(float(x.std()) / 0.63828 - 1) < 4 / math.sqrt(2 * n)


def test_an_unknown_variance_is_refused() -> None:
    with pytest.raises(ValueError, match="beta_tilde"):
        Ancestral("beta_tild")


@dataclass(frozen=True, slots=True)
class Learned:
    """The exact denoiser of a Gaussian that says of each level where its variance lies."""

    exact: ExactGaussian
    fraction: Callable[[NoiseLevel], float]

    def __call__(self, x_t: Tensor, level: NoiseLevel) -> Prediction:
        x_0 = self.exact(x_t, level).x_0
        return Prediction(x_0, torch.full_like(x_0, self.fraction(level)))


@pytest.mark.parametrize("t", [2, 500, 1000])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_a_learned_variance_lies_between_the_bounds_in_the_logarithm(
    t: int, fraction: float
) -> None:
    # Nichol & Dhariwal (2021), eq. 15; a fraction of 0 is beta_tilde, of 1 is beta.
    alpha_bar = np.cumprod(1 - LINEAR)
    beta = LINEAR[t - 1]
    tilde = (1 - alpha_bar[t - 2]) / (1 - alpha_bar[t - 1]) * beta
    x, levels = torch.zeros(1, 1, dtype=torch.float64), discrete.linear().levels
    denoise = Learned(DATA, lambda _: fraction)
    (quiet, _, _), (noisy, _, _) = (
        Ancestral("learned").step(denoise, x, levels[t], levels[t - 1], None, noise)
        for noise in (torch.zeros_like, torch.ones_like)
    )
    assert float(noisy - quiet) ** 2 == pytest.approx(beta**fraction * tilde ** (1 - fraction))


def test_the_optimal_variance_makes_a_coarse_reverse_chain_exact() -> None:
    # Bao et al. (2022): for Gaussian data each reverse step is then q(x_s | x_t) itself, so that
    # ten coarse steps have the moments of x_1 to the last digit; with either bound they have not.
    beta = np.linspace(1e-3, 0.5, 10)
    alpha_bar = np.cumprod(1 - beta)
    levels = whole(discrete.from_beta(torch.tensor(beta)))

    def optimal(level: NoiseLevel) -> float:
        i = int(np.argmin(np.abs(np.sqrt(alpha_bar) - float(level.alpha))))
        noisy, before = 1 - alpha_bar[i], alpha_bar[i - 1]
        tilde = (1 - before) / noisy * beta[i]
        left = 0.25 * noisy / (alpha_bar[i] * 0.25 + noisy)
        best = tilde + before * (beta[i] / noisy) ** 2 * left
        return math.log(best / tilde) / math.log(beta[i] / tilde)

    start = math.sqrt(alpha_bar[-1]), math.sqrt(alpha_bar[-1] * 0.25 + 1 - alpha_bar[-1])
    end = math.sqrt(alpha_bar[0]), math.sqrt(alpha_bar[0] * 0.25 + 1 - alpha_bar[0])
    measured = propagate(Ancestral("learned"), Learned(DATA, optimal), levels[:10], *start)
    assert measured == pytest.approx(end, rel=1e-12)
    for bound in ("beta", "beta_tilde"):
        assert abs(propagate(Ancestral(bound), DATA, levels[:10], *start)[1] - end[1]) > 0.01


def test_the_last_step_of_a_learned_variance() -> None:
    x, levels = torch.zeros(1, 1, dtype=torch.float64), discrete.linear().levels
    denoise = Learned(DATA, lambda _: 0.3)
    plain = Ancestral("learned")
    x_s, prediction, _ = plain.step(denoise, x, levels[1], levels[0], None, no_noise)
    assert torch.equal(x_s, prediction.x_0)
    noisy = Ancestral("learned", last_step_noise=True)
    x_s, prediction, _ = noisy.step(denoise, x, levels[1], levels[0], None, torch.ones_like)
    assert float(x_s - prediction.x_0) == pytest.approx(math.sqrt(1e-4), rel=1e-9)


def test_a_learned_variance_that_was_not_learned_is_told() -> None:
    x, levels = torch.zeros(1, 1, dtype=torch.float64), discrete.linear().levels
    with pytest.raises(ArgumentError, match=r"learned no variance.*'beta_tilde' or 'beta'"):
        Ancestral("learned").step(DATA, x, levels[9], levels[8], None, torch.ones_like)
