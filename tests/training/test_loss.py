"""The losses against what their papers write, each in its own target's space and unit."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, NetworkDenoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process import discrete
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import PARAMETERISATIONS, Parameterisation
from sfumato.process.process import as_process
from sfumato.process.schedules import SCHEDULES, Cosine, Linear, Schedule
from sfumato.training.loss import (
    WEIGHTINGS,
    Weighting,
    edm,
    hybrid_loss,
    loss,
    sigmoid,
    simple,
    snr,
    variance_bound,
    variational,
)


class _Fixed(torch.nn.Module):
    """A network that answers the same whatever it is shown."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        return self.answer


def _noised(x_0: Tensor, level: NoiseLevel, eps: Tensor) -> Tensor:
    return level.alpha[:, None] * x_0 + level.sigma[:, None] * eps


def _loss(
    denoise: Denoiser, x_0: Tensor, level: NoiseLevel, eps: Tensor, weight: Weighting
) -> Tensor:
    return loss(denoise(_noised(x_0, level, eps), level), x_0, weight(level))


def _target(name: str, x_0: Tensor, eps: Tensor, level: NoiseLevel) -> Tensor:
    alpha, sigma = level.alpha.unsqueeze(1), level.sigma.unsqueeze(1)
    return {
        "eps": eps,
        "x_0": x_0,
        "v": alpha * eps - sigma * x_0,
        "velocity": eps - x_0,
        "edm": (alpha * eps - sigma * x_0).neg(),  # for unit-variance data and a VP level
    }[name]


@pytest.mark.parametrize("name", PARAMETERISATIONS)
def test_simple_weighting_is_the_mean_squared_error_of_the_networks_own_answer(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    x_0, eps, answer = torch.randn(3, 7, 4, generator=source, dtype=torch.float64)
    level = NoiseLevel.from_log_snr(torch.linspace(-6, 6, 7, dtype=torch.float64))
    denoise = NetworkDenoiser(_Fixed(answer), PARAMETERISATIONS[name])

    measured = _loss(denoise, x_0, level, eps, simple(PARAMETERISATIONS[name]))

    expected = (answer - _target(name, x_0, eps, level)).square().mean(1)
    torch.testing.assert_close(measured, expected)


def _errors(
    name: str, level: NoiseLevel, weight: Callable[[Parameterisation], Weighting]
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a network that answers at random, and its squared errors in x_0 and in eps."""
    source = torch.Generator().manual_seed(1)
    x_0, eps, answer = torch.randn(3, len(level), 2, generator=source, dtype=torch.float64)
    parameterisation = PARAMETERISATIONS[name]
    denoise = NetworkDenoiser(_Fixed(answer), parameterisation)
    alpha, sigma = level.alpha.unsqueeze(1), level.sigma.unsqueeze(1)
    x_t = alpha * x_0 + sigma * eps
    x_0_hat = denoise(x_t, level).x_0
    eps_hat = (x_t - alpha * x_0_hat) / sigma
    measured = _loss(denoise, x_0, level, eps, weight(parameterisation))
    return measured, (x_0_hat - x_0).square().mean(1), (eps_hat - eps).square().mean(1)


LEVELS = NoiseLevel.from_log_snr(torch.linspace(-4, 4, 5, dtype=torch.float64))
SNR = torch.linspace(-4, 4, 5, dtype=torch.float64).exp()


@pytest.mark.parametrize("name", ["x_0", "v", "edm"])
def test_snr_weighting_is_the_error_in_eps_whatever_the_target(name: str) -> None:
    measured, _, in_eps = _errors(name, LEVELS, lambda _: snr)
    torch.testing.assert_close(measured, in_eps)


@pytest.mark.parametrize("name", ["eps", "x_0", "v"])
def test_min_snr_weighting_is_the_papers_in_its_three_targets(name: str) -> None:
    """Hang et al. (2023): min(SNR, 5) for x_0, over SNR for eps, over SNR + 1 for v."""
    source = torch.Generator().manual_seed(3)
    x_0, eps, answer = torch.randn(3, 5, 2, generator=source, dtype=torch.float64)
    target = _target(name, x_0, eps, LEVELS)
    denoise = NetworkDenoiser(_Fixed(answer), PARAMETERISATIONS[name])
    weight = WEIGHTINGS["min-snr"](PARAMETERISATIONS[name], as_process(Cosine()))
    divisor = {"eps": SNR, "x_0": torch.ones_like(SNR), "v": SNR + 1}[name]
    expected = SNR.clamp(max=5) / divisor * (answer - target).square().mean(1)
    torch.testing.assert_close(_loss(denoise, x_0, LEVELS, eps, weight), expected)


def test_truncated_snr_weighting_is_the_worse_of_the_errors_in_x_0_and_eps() -> None:
    """Salimans & Ho (2022), section 4: max(|x - x_hat|², |eps - eps_hat|²)."""
    measured, in_x_0, in_eps = _errors(
        "v", LEVELS, lambda each: WEIGHTINGS["truncated-snr"](each, as_process(Cosine()))
    )
    torch.testing.assert_close(measured, torch.maximum(in_x_0, in_eps))


@pytest.mark.parametrize("name", ["edm", "v"])
def test_edm_weighting_is_the_error_of_its_own_network(name: str) -> None:
    """Karras et al. (2022), eq. 8, with the c_skip and c_out of their table 1."""
    measured, in_x_0, _ = _errors(
        name, LEVELS, lambda each: WEIGHTINGS["edm"](each, as_process(Cosine()))
    )
    sigma = SNR**-0.5
    c_out = sigma / (sigma**2 + 1).sqrt()
    torch.testing.assert_close(measured, in_x_0 / c_out**2)


def test_edm_weighting_of_their_own_data() -> None:
    sigma = SNR**-0.5
    torch.testing.assert_close(edm(LEVELS, 0.5), (sigma**2 + 0.25) / (sigma * 0.5) ** 2)


TIMES = torch.tensor([0.001, 0.1, 0.4, 0.9, 0.999], dtype=torch.float64)


def _log_snr_rate(schedule: Cosine | Linear) -> Tensor:
    """-d log SNR/dt at `TIMES`, differentiated by hand."""
    if isinstance(schedule, Linear):  # beta(t)/sigma² for alpha² = exp(-integral of beta)
        time = 1e-5 + (1 - 1e-5) * TIMES
        variance = -torch.expm1(-(0.1 * time + 9.95 * time**2))
        return (1 - 1e-5) * (0.1 + 19.9 * time) / variance
    first, last = (math.atan(math.exp((schedule.shift - end) / 2)) for end in (10, -10))
    return 4 * (last - first) / (2 * (first + (last - first) * TIMES)).sin()


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(shift=2.0), Linear()])
def test_variational_weighting_is_half_the_rate_of_the_log_snr_in_eps(
    schedule: Cosine | Linear,
) -> None:
    """Kingma et al. (2021); for the linear SDE the likelihood weighting of Song et al. (2021)."""
    measured, _, in_eps = _errors(
        "eps", schedule(TIMES), lambda _: variational(as_process(schedule))
    )
    torch.testing.assert_close(measured, _log_snr_rate(schedule) / 2 * in_eps)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_variational_weighting_knows_every_schedule(name: str) -> None:
    """Against the difference quotient of the SNR along the schedule itself."""
    schedule = SCHEDULES[name]()
    ends = torch.tensor([-1e-6, 1e-6], dtype=torch.float64)[:, None] + TIMES
    quotient = -schedule(ends).snr.diff(dim=0)[0] / 2e-6 / 2
    torch.testing.assert_close(
        variational(as_process(schedule))(schedule(TIMES)), quotient, rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("bias", [0.0, -3.0])
def test_sigmoid_weighting_is_the_papers_in_x_0(bias: float) -> None:
    """Hoogeboom et al. (2024), eq. 4: -1/2 dlambda/dt e^b sigmoid(lambda - b) |x - x_hat|²."""
    schedule = Cosine(shift=2.0)
    level = schedule(TIMES)
    measured, in_x_0, _ = _errors("v", level, lambda _: sigmoid(as_process(schedule), bias))
    log_snr = level.alpha.log() * 2 - level.sigma.log() * 2
    rate = _log_snr_rate(schedule) / 2
    expected = rate * math.exp(bias) * torch.tensor(expit((log_snr - bias).numpy())) * in_x_0
    torch.testing.assert_close(measured, expected)


def test_the_registered_sigmoid_weighting_has_a_bias_of_zero() -> None:
    level = Linear()(TIMES)
    weight = WEIGHTINGS["sigmoid"](PARAMETERISATIONS["v"], as_process(Linear()))
    bound = WEIGHTINGS["variational"](PARAMETERISATIONS["v"], as_process(Linear()))
    torch.testing.assert_close(weight(level) * (1 + level.snr), bound(level))


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(shift=3.0), Linear()])
def test_the_variational_loss_over_u_depends_on_the_schedules_ends_alone(
    schedule: Schedule,
) -> None:
    """For N(0, s²) the integral of half the MMSE: log((1 + s² SNR_max)/(1 + s² SNR_min))/2 nats."""
    u = torch.cat([torch.zeros(1), torch.logspace(-9, 0, 100_000)]).double()
    level, s2 = schedule(u), 0.25
    ends = schedule(torch.tensor([1.0, 0.0], dtype=torch.float64)).snr
    mmse = s2 / (1 + s2 * level.snr)
    expected = float((1 + s2 * ends).log().diff()) / 2
    measured = torch.trapezoid(variational(as_process(schedule))(level) * mmse, u)
    assert float(measured) == pytest.approx(expected, rel=1e-5)


def test_the_variational_loss_of_discrete_levels_is_the_sum_of_its_kl_terms() -> None:
    """Ho et al. (2020), eq. 8, for every step; the step to clean with a variance of beta_1."""
    beta = np.linspace(1e-3, 0.2, 10)
    alpha_bar = np.cumprod(1 - beta)
    before = np.concatenate([[1.0], alpha_bar[:-1]])
    from_x_0 = np.sqrt(before) * beta / (1 - alpha_bar)
    tilde = (1 - before) / (1 - alpha_bar) * beta
    tilde[0] = beta[0]
    schedule = discrete.from_beta(torch.tensor(beta))
    measured, in_x_0, _ = _errors(
        "v", schedule.levels[1:], lambda _: variational(as_process(schedule))
    )
    expected = 10 * torch.tensor(from_x_0**2 / (2 * tilde)) * in_x_0
    torch.testing.assert_close(measured, expected)


@pytest.mark.parametrize(
    ("schedule", "least"),
    [
        # Least L_simple on N(0, 1), averaged over the levels: closed form in float64.
        (discrete.linear(1000), 0.2755132),
        (discrete.sigmoid(100), 0.9355223),
        (discrete.linear(50, reference_levels=50), 0.8511442),
    ],
)
def test_exact_denoiser_reaches_the_least_simple_loss(
    schedule: discrete.DiscreteSchedule, least: float
) -> None:
    def exact(x_t: Tensor, level: NoiseLevel) -> Prediction:
        return Prediction(level.like(x_t).alpha * x_t)  # E[x_0 | x_t] for N(0, 1), VP

    source = torch.Generator().manual_seed(2)
    rows = 400_000
    x_0, eps = torch.randn(2, rows, 1, generator=source, dtype=torch.float64)
    level = schedule.levels[1 + torch.arange(rows) % schedule.num_levels]

    values = _loss(exact, x_0, level, eps, snr)

    error = float(values.std()) / rows**0.5
    assert abs(float(values.mean()) - least) < 4 * error
    assert error < 0.005


BETA = np.linspace(1e-3, 0.2, 10)
SCHEDULE = discrete.from_beta(torch.tensor(BETA))
EVERY = SCHEDULE.levels[1:]


class _Answers(torch.nn.Module):
    """Answers with two parameters of its own: the mean's half and the variance's."""

    def __init__(self, mean: Tensor, interpolation: Tensor) -> None:
        super().__init__()
        self.mean, self.interpolation = (torch.nn.Parameter(each) for each in (mean, interpolation))

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        return torch.cat([self.mean, self.interpolation], 1)


def _learner() -> tuple[_Answers, NetworkDenoiser, Tensor, Tensor]:
    source = torch.Generator().manual_seed(5)
    x_0, eps, mean, interpolation = torch.randn(4, 10, 2, generator=source, dtype=torch.float64)
    network = _Answers(mean, interpolation)
    return (
        network,
        NetworkDenoiser(network, PARAMETERISATIONS["eps"], learns_variance=True),
        x_0,
        eps,
    )


def test_the_hybrid_loss_is_nichols() -> None:
    """L_simple + 0.001 L_vlb, L_vlb as T times one term in nats, from DDPM's own formulas."""
    network, denoise, x_0, eps = _learner()
    noisy = _noised(x_0, EVERY, eps)
    measured = hybrid_loss(denoise(noisy, EVERY), noisy, x_0, EVERY, EVERY.snr, SCHEDULE)
    alpha_bar = np.cumprod(1 - BETA)[:, None]
    before = np.concatenate([[[1.0]], alpha_bar[:-1]])
    beta, x, noise = BETA[:, None], x_0.numpy(), eps.numpy()
    eps_hat = network.mean.detach().numpy()
    fraction = (network.interpolation.detach().numpy() + 1) / 2
    tilde = (1 - before) / (1 - alpha_bar) * beta
    x_t = np.sqrt(alpha_bar) * x + np.sqrt(1 - alpha_bar) * noise

    def mean(error: Any) -> Any:  # Ho et al. (2020), eq. 11
        return (x_t - beta / np.sqrt(1 - alpha_bar) * error) / np.sqrt(1 - beta)

    bound = np.empty_like(x)
    bound[0] = -stats.norm(mean(eps_hat)[0], np.sqrt(beta[0])).logpdf(x[0])
    variance = np.exp(fraction[1:] * np.log(beta[1:]) + (1 - fraction[1:]) * np.log(tilde[1:]))
    apart = (mean(noise) - mean(eps_hat))[1:] ** 2
    bound[1:] = 0.5 * (np.log(variance / tilde[1:]) + (tilde[1:] + apart) / variance - 1)
    expected = ((eps_hat - noise) ** 2).mean(1) + 0.001 * 10 * bound.mean(1)
    np.testing.assert_allclose(measured.detach().numpy(), expected, rtol=1e-9)


def test_the_bound_moves_the_variance_and_not_the_mean() -> None:
    network, denoise, x_0, eps = _learner()
    x_t = _noised(x_0, EVERY, eps)
    hybrid_loss(denoise(x_t, EVERY), x_t, x_0, EVERY, 0 * EVERY.snr, SCHEDULE).sum().backward()
    assert network.mean.grad is not None
    assert network.interpolation.grad is not None
    assert torch.count_nonzero(network.mean.grad) == 0
    # In the step to clean the variance is beta_1 whatever is said; everywhere else it learns.
    assert torch.count_nonzero(network.interpolation.grad[0]) == 0
    assert bool((network.interpolation.grad[1:].abs() > 1e-6).all())
    assert bool(network.interpolation.grad.isfinite().all())


def test_the_bound_is_least_at_the_optimal_variance_of_gaussian_data() -> None:
    """Bao et al. (2022), theorem 1: beta_tilde + (coefficient of x_0)² Var(x_0 | x_t)."""
    data_mean, data_std, i = 0.5, 0.6, 7
    alpha_bar, before = np.cumprod(1 - BETA)[i - 1], np.cumprod(1 - BETA)[i - 2]
    tilde = (1 - before) / (1 - alpha_bar) * BETA[i - 1]
    left = data_std**2 * (1 - alpha_bar) / (alpha_bar * data_std**2 + 1 - alpha_bar)
    coefficient = math.sqrt(before) * BETA[i - 1] / (1 - alpha_bar)
    best = math.log((tilde + coefficient**2 * left) / tilde) / math.log(BETA[i - 1] / tilde)
    assert 0.1 < best < 0.9

    # Gauss-Hermite with three nodes a side: exact, as the bound is quadratic in x_0 and eps.
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    z, eps = (torch.tensor(each.reshape(9, 1)) for each in np.meshgrid(nodes, nodes))
    weight = torch.tensor(np.outer(weights, weights).flatten() / (2 * math.pi))
    x_0 = data_mean + data_std * z
    x_t = math.sqrt(alpha_bar) * x_0 + math.sqrt(1 - alpha_bar) * eps
    slope = math.sqrt(alpha_bar) * left / (1 - alpha_bar)
    exact = data_mean + slope * (x_t - math.sqrt(alpha_bar) * data_mean)
    fraction = torch.tensor(best, dtype=torch.float64, requires_grad=True)
    level = SCHEDULE.levels[torch.full((9,), i)]

    def bound(at: Tensor) -> Tensor:
        prediction = Prediction(exact, at.expand(9, 1))
        return (weight * variance_bound(prediction, x_t, x_0, level, SCHEDULE)).sum()

    (gradient,) = torch.autograd.grad(bound(fraction), fraction)
    assert float(gradient) == pytest.approx(0, abs=1e-12)
    least = float(bound(fraction.detach()))
    assert least < float(bound(fraction.detach() + 0.1)) - 1e-5
    assert least < float(bound(fraction.detach() - 0.1)) - 1e-5


def test_the_bound_needs_a_variance() -> None:
    zeros = torch.zeros(10, 2, dtype=torch.float64)
    denoise = NetworkDenoiser(_Fixed(zeros), PARAMETERISATIONS["eps"])
    with pytest.raises(ArgumentError, match="learns_variance=True"):
        hybrid_loss(denoise(zeros, EVERY), zeros, zeros, EVERY, EVERY.snr, SCHEDULE)
