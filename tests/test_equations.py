"""The equations of the first five chapters against truth from outside."""

import math
import re

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare, multivariate_normal, norm

from pages import text
from sfumato.denoisers.denoiser import Prediction
from sfumato.likelihood.variational import mean_and_error, variational_bound
from sfumato.process import discrete, kernels
from sfumato.process.gaussian import Gaussian, kl
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import eps as eps_target
from sfumato.process.process import DiscreteProcess
from sfumato.process.streams import noise_from
from sfumato.samplers.ancestral import Ancestral
from sfumato.training.loss import loss, simple
from sfumato.training.times import TimeDraw, antithetic, uniform
from truth import ExactGaussian

Floats = npt.NDArray[np.float64]

# A short chain with large steps, and what its levels keep: alpha_bar of level 0, 1, ..., T.
BETA = np.array([0.02, 0.1, 0.25, 0.4, 0.55, 0.7])
ALPHA_BAR = np.concatenate([[1.0], np.cumprod(1 - BETA)])
TABLE = discrete.from_beta(torch.from_numpy(BETA))
STEPS = range(2, len(BETA) + 1)  # to the levels whose posterior has a variance


def column(values: Floats) -> torch.Tensor:
    return torch.from_numpy(values)[:, None]


# (1-1) ... (1-5): a random discrete chain, drawn from step by step


def drawn(after_a_and_b: Floats, n: int = 200_000) -> Floats:
    """How often each (a, b, c) came up, `(3, 4, 3)`: a drawn first, then b, then c."""
    source = np.random.default_rng(11)
    a = source.choice(3, n, p=P_A)
    b = (source.random(n)[:, None] > P_B_GIVEN_A[a].cumsum(1)).sum(1)
    c = (source.random(n)[:, None] > after_a_and_b[a, b].cumsum(1)).sum(1)
    return np.bincount((a * 4 + b) * 3 + c, minlength=36).reshape(3, 4, 3).astype(np.float64)


def agrees(counts: Floats, probabilities: Floats) -> bool:
    expected = counts.sum() * probabilities.ravel()
    return bool(chisquare(counts.ravel(), expected).pvalue > 1e-3)


_random = np.random.default_rng(10)
P_A = _random.dirichlet(np.ones(3))
P_B_GIVEN_A = _random.dirichlet(np.ones(4), size=3)
P_C_GIVEN_B = _random.dirichlet(np.ones(3), size=4)
P_C_GIVEN_A_B = _random.dirichlet(np.ones(3), size=(3, 4))
MARKOV = np.broadcast_to(P_C_GIVEN_B, (3, 4, 3))


def test_1_1_a_joint_probability_is_the_product_of_the_conditionals() -> None:
    product = np.einsum("a,ab,abc->abc", P_A, P_B_GIVEN_A, P_C_GIVEN_A_B)
    assert agrees(drawn(P_C_GIVEN_A_B), product)


@pytest.mark.parametrize("a", range(3))
def test_1_2_the_chain_rule_holds_under_a_condition(a: int) -> None:
    product = np.einsum("b,bc->bc", P_B_GIVEN_A[a], P_C_GIVEN_A_B[a])
    assert agrees(drawn(P_C_GIVEN_A_B)[a], product)


def test_1_3_a_markov_chain_needs_only_the_last_state() -> None:
    product = np.einsum("a,ab,bc->abc", P_A, P_B_GIVEN_A, P_C_GIVEN_B)
    assert agrees(drawn(MARKOV), product)
    assert not agrees(drawn(P_C_GIVEN_A_B), product)


def test_1_4_given_the_present_the_future_knows_nothing_of_the_past() -> None:
    markov, memory = drawn(MARKOV), drawn(P_C_GIVEN_A_B)
    for b in range(4):
        assert chi2_contingency(markov[:, b]).pvalue > 1e-3
        assert chi2_contingency(memory[:, b]).pvalue < 1e-6


@pytest.mark.parametrize("b", range(4))
def test_1_5_bayes_inverts_a_condition(b: int) -> None:
    inverted = P_B_GIVEN_A[:, b] * P_A / (P_B_GIVEN_A[:, b] @ P_A)
    assert agrees(drawn(MARKOV)[:, b].sum(1), inverted)


# (2-3), (2-6), (2-7): the chains as a whole


def path_and_its_log_density(x_0: float) -> tuple[Floats, float]:
    """A path x_1 ... x_T, and log q of it given x_0 as one Gaussian in T dimensions.

    Cov(x_i, x_j) = sqrt((1 - beta_{i+1}) ... (1 - beta_j)) (1 - alpha_bar_i) for i <= j.
    """
    path = np.random.default_rng(4).normal(size=len(BETA))
    noisy, covariance = ALPHA_BAR[1:], np.empty((len(BETA), len(BETA)))
    for i in range(len(BETA)):
        for j in range(i, len(BETA)):
            kept = np.sqrt(np.prod(1 - BETA[i + 1 : j + 1]))
            covariance[i, j] = covariance[j, i] = kept * (1 - noisy[i])
    return path, float(multivariate_normal.logpdf(path, np.sqrt(noisy) * x_0, covariance))


def test_2_3_the_forward_chain_is_the_product_of_its_steps() -> None:
    path, expected = path_and_its_log_density(0.8)
    x = column(np.concatenate([[0.8], path]))
    t = torch.arange(1, len(BETA) + 1)
    steps = kernels.transition(x[:-1], TABLE.levels[t], TABLE.levels[t - 1])
    assert float(steps.log_density(x[1:]).sum()) == pytest.approx(expected, rel=1e-12)


def test_2_6_the_reverse_chain_is_the_forward_chain_when_x_0_is_known() -> None:
    # Read backwards, q(x_T | x_0) and the reverse steps give the same joint density.
    path, expected = path_and_its_log_density(0.8)
    x = column(np.concatenate([[0.8], path]))
    knows = ExactGaussian(mean=0.8, std=0.0)
    start = kernels.noised(x[:1], TABLE.levels[-1]).log_density(x[-1])
    total = float(start)
    for t in STEPS:
        pair, x_t = (TABLE.levels[t], TABLE.levels[t - 1]), x[t : t + 1]
        mean, _, _ = Ancestral().step(knows, x_t, *pair, None, torch.zeros_like)
        shifted, _, _ = Ancestral().step(knows, x_t, *pair, None, torch.ones_like)
        total += float(Gaussian(mean, shifted - mean).log_density(x[t - 1]))
    assert total == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
def test_2_7_every_reverse_step_keeps_the_shape_and_has_the_stated_variance(variance: str) -> None:
    x_t, denoise = torch.zeros(3, 2, dtype=torch.float64), ExactGaussian(0.3, 1.0)
    for t in STEPS:
        pair = TABLE.levels[t], TABLE.levels[t - 1]
        mean, _, _ = Ancestral(variance).step(denoise, x_t, *pair, None, torch.zeros_like)
        x_s, _, _ = Ancestral(variance).step(denoise, x_t, *pair, None, torch.ones_like)
        share = {"beta": 1, "beta_tilde": (1 - ALPHA_BAR[t - 1]) / (1 - ALPHA_BAR[t])}[variance]
        assert x_s.shape == (3, 2)
        stated = torch.full_like(x_t, share * BETA[t - 1])
        torch.testing.assert_close((x_s - mean) ** 2, stated, rtol=1e-12, atol=0)


# (2-8) ... (2-17): the posterior

X_0, X_T = -0.4, 0.9


def posterior_of_neighbours(t: int) -> Gaussian:
    x_t, x_0 = column(np.array([X_T])), column(np.array([X_0]))
    return kernels.posterior(x_t, x_0, TABLE.levels[t], TABLE.levels[t - 1])


def test_2_8_the_posterior_is_the_regression_of_draws_from_the_chain() -> None:
    # x_0 uniform, x_s and x_t by two forward steps; least squares of x_s on x_t and x_0.
    n, t, s, source = 200_000, TABLE.levels[4], TABLE.levels[2], np.random.default_rng(6)
    x_0 = column(source.uniform(-2, 2, n))
    x_s = kernels.noised(x_0, s).draw(column(source.normal(size=n)))
    x_t = kernels.transition(x_s, t, s).draw(column(source.normal(size=n)))
    inputs = np.hstack([x_t.numpy(), x_0.numpy()])
    slopes, squares, _, _ = np.linalg.lstsq(inputs, x_s.numpy()[:, 0])
    error = np.sqrt(np.linalg.inv(inputs.T @ inputs).diagonal() * squares[0] / n)
    unit = torch.eye(2, dtype=torch.float64)
    q = kernels.posterior(unit[:, :1], unit[:, 1:], t, s)
    assert np.all(np.abs(slopes - q.mean.numpy()[:, 0]) < 4 * error)
    assert abs(squares[0] / n / float(q.std) ** 2 - 1) < 4 * math.sqrt(2 / n)


@pytest.mark.parametrize("t", STEPS)
def test_2_9_bayes_of_three_densities_is_the_posterior(t: int) -> None:
    x_s, before, now = np.linspace(-4, 4, 41), ALPHA_BAR[t - 1], ALPHA_BAR[t]
    step = norm.logpdf(X_T, np.sqrt(1 - BETA[t - 1]) * x_s, np.sqrt(BETA[t - 1]))
    prior = norm.logpdf(x_s, np.sqrt(before) * X_0, np.sqrt(1 - before))
    evidence = norm.logpdf(X_T, np.sqrt(now) * X_0, np.sqrt(1 - now))
    ours = posterior_of_neighbours(t).log_density(column(x_s))[:, 0].numpy()
    np.testing.assert_allclose(ours, step + prior - evidence, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("t", STEPS)
def test_2_15_the_exponent_is_a_parabola_with_these_coefficients(t: int) -> None:
    # Fitted through the sum of two log densities; the fit knows no formula of the posterior.
    x_s, before, beta = np.linspace(-2, 2, 41), ALPHA_BAR[t - 1], BETA[t - 1]
    exponent = norm.logpdf(X_T, np.sqrt(1 - beta) * x_s, np.sqrt(beta))
    exponent = exponent + norm.logpdf(x_s, np.sqrt(before) * X_0, np.sqrt(1 - before))
    square, linear, _ = np.polyfit(x_s, exponent, 2)
    assert -2 * square == pytest.approx((1 - beta) / beta + 1 / (1 - before), rel=1e-10)
    by_hand = np.sqrt(1 - beta) / beta * X_T + np.sqrt(before) / (1 - before) * X_0
    assert linear == pytest.approx(by_hand, rel=1e-10)
    q = posterior_of_neighbours(t)
    assert float(q.std) ** 2 == pytest.approx(-1 / (2 * square), rel=1e-10)
    assert float(q.mean) == pytest.approx(-linear / (2 * square), rel=1e-10)


def first_form(t: int, alpha_bar: float) -> float:
    """2-17 before beta_tilde is multiplied in, with the alpha_bar that stands beside x_0."""
    beta, before = BETA[t - 1], ALPHA_BAR[t - 1]
    beta_tilde = (1 - before) / (1 - ALPHA_BAR[t]) * beta
    from_x_0 = math.sqrt(alpha_bar) / (1 - alpha_bar)
    return float(beta_tilde * (math.sqrt(1 - beta) / beta * X_T + from_x_0 * X_0))


@pytest.mark.parametrize("t", STEPS)
def test_2_17_the_first_form_takes_the_alpha_bar_of_the_level_before(t: int) -> None:
    mean = float(posterior_of_neighbours(t).mean)
    assert first_form(t, ALPHA_BAR[t - 1]) == pytest.approx(mean, rel=1e-12)
    assert first_form(t, ALPHA_BAR[t]) != pytest.approx(mean, abs=0.02)


def test_2_15_x_0_does_not_belong_under_the_root() -> None:
    # sqrt(alpha_bar x_0) has no value at all for a negative x_0, and is not linear in it.
    at_one, at_four = (
        float(kernels.posterior(column(np.zeros(1)), column(np.array([x_0])), *pair).mean)
        for pair in [(TABLE.levels[4], TABLE.levels[3])]
        for x_0 in (1.0, 4.0)
    )
    assert at_four == pytest.approx(4 * at_one, rel=1e-12)


# The bound and the losses


@pytest.mark.parametrize("t", STEPS)
def test_l_3_a_term_of_the_bound_is_a_weighted_error_of_eps(t: int) -> None:
    # beta² / (2 beta_tilde (1 - beta) (1 - alpha_bar)) times the squared error of eps.
    before, now, beta = ALPHA_BAR[t - 1], ALPHA_BAR[t], BETA[t - 1]
    eps, guess = 0.3, -0.5
    x_0, x_0_guess = ((X_T - math.sqrt(1 - now) * e) / math.sqrt(now) for e in (eps, guess))
    true, model = (
        kernels.posterior(column(np.array([X_T])), column(np.array([x])), *pair)
        for pair in [(TABLE.levels[t], TABLE.levels[t - 1])]
        for x in (x_0, x_0_guess)
    )
    beta_tilde = (1 - before) / (1 - now) * beta
    weight = beta**2 / (2 * beta_tilde * (1 - beta) * (1 - now))
    assert float(kl(true, model)) == pytest.approx(weight * (eps - guess) ** 2, rel=1e-9)


def test_l_2_the_bound_of_a_perfect_model_is_the_entropy() -> None:
    # N(0, 1) data, variance beta: log(2 pi e)/2 = 1.418939 nats whatever the table.
    source = torch.Generator().manual_seed(7)
    x_0 = torch.randn(40_000, 1, dtype=torch.float64, generator=source)
    terms = variational_bound(
        ExactGaussian(0.0, 1.0), x_0, TABLE, noise=noise_from(source), variance="beta"
    )
    mean, error = mean_and_error(terms.nats)
    assert error < 0.01
    assert abs(mean - 1.418939) < 4 * error


def test_l_4_the_simple_loss_is_the_mean_squared_error_of_eps() -> None:
    x_0, eps = column(np.array([X_0, 1.1])), column(np.array([0.7, -0.2]))
    answer, signal = 0.25, column(ALPHA_BAR[[2, 5]])

    def denoise(x_t: torch.Tensor, level: NoiseLevel) -> Prediction:
        return Prediction((x_t - (1 - signal).sqrt() * answer) / signal.sqrt())

    by_hand = (np.array([0.7, -0.2]) - answer) ** 2
    level = TABLE.levels[torch.tensor([2, 5])]
    found = denoise(kernels.noised(x_0, level).draw(eps), level)
    ours = loss(found, x_0, simple(eps_target)(level))
    np.testing.assert_allclose(ours.numpy(), by_hand, rtol=1e-12)


def test_antithetic_times_estimate_the_simple_loss_unbiased_and_with_less_variance() -> None:
    # Least loss at level i on N(0, 1): alpha_bar_i; its mean over the linear table is 0.2755132.
    process = DiscreteProcess(discrete.linear())

    def batches(draw: TimeDraw) -> Floats:
        source = torch.Generator().manual_seed(8)
        draws = (draw(128, source) for _ in range(800))
        return np.array([float((process.at(u).alpha ** 2).mean()) for u in draws])

    paired, alone = batches(antithetic), batches(uniform)
    assert abs(paired.mean() - 0.2755132) < 4 * paired.std() / math.sqrt(800)
    assert paired.var() < 0.5 * alone.var()


# (3-1)


def test_3_1_x_t_in_one_go_has_the_right_moments_at_every_level() -> None:
    betas, n = np.linspace(1e-3, 0.2, 100), 20_000
    alpha_bar = np.cumprod(1 - betas)
    levels = discrete.from_beta(torch.from_numpy(betas)).levels[1:]
    source = torch.Generator().manual_seed(9)
    eps = torch.randn(100, n, dtype=torch.float64, generator=source)
    x_t = kernels.noised(torch.full_like(eps, 1.5), levels).draw(eps).numpy()
    noisy = 1 - alpha_bar
    assert np.all(np.abs(x_t.mean(1) - 1.5 * np.sqrt(alpha_bar)) < 4.5 * np.sqrt(noisy / n))
    assert np.all(np.abs(x_t.var(1) / noisy - 1) < 4.5 * math.sqrt(2 / n))


# The chapters themselves

CHAPTERS = ("probability.md", "forward.md", "reverse.md", "training.md", "sampling.md")
NUMBERS = [f"1-{i}" for i in range(1, 8)] + [f"2-{i}" for i in range(1, 20)] + ["3-1"]


@pytest.mark.parametrize("language", ["", "zh/"])
def test_every_numbered_equation_has_its_function_and_test_beneath(language: str) -> None:
    tags = []
    for page in CHAPTERS:
        body = text(language + page)
        own = re.findall(r"\\tag\{([^}]+)\}", body)
        rows = re.findall(r"^\| ([^|]*) \|([^|]*)\|([^|]*)\|$", body, re.MULTILINE)
        tested = {
            number
            for cell, functions, tests in rows
            if "/tests/" in tests and "/src/" in functions
            for number in re.findall(r"[\dL]-\d+", cell)
        }
        assert set(own) == tested, page
        tags += own
    assert [tag for tag in tags if tag[0] in "123"] == NUMBERS
