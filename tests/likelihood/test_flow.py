"""The flow's densities against closed forms, against their own integral, and by convergence."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from sfumato.denoisers.denoiser import NetworkDenoiser, Prediction, step_of
from sfumato.denoisers.mixture import GaussianMixture, gaussian_mixture
from sfumato.errors import ArgumentError, DataError
from sfumato.likelihood.flow import Adaptive, Integrator, log_prob, rademacher, rk4
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.process import discrete
from sfumato.process.grids import karras, uniform_log_snr, unit_log_snr
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import PARAMETERISATIONS
from sfumato.process.schedules import Cosine
from sfumato.process.streams import generator

# From far below the data's scale to where a mean of order 1 is lost in the noise.
WIDE = Cosine(log_snr_max=14.0, log_snr_min=-24.0)
NARROW = Cosine(log_snr_max=6.0, log_snr_min=-6.0)
MEAN, COVARIANCE = np.array([0.4, -0.7]), np.array([[0.5, 0.3], [0.3, 0.4]])
WEIGHTS = [0.2, 0.5, 0.3]
MEANS = [[-1.0, 0.5], [0.8, -0.3], [0.2, 1.2]]
COVARIANCES = [[[0.3, 0.2], [0.2, 0.3]], [[0.3, -0.1], [-0.1, 0.2]], [[0.1, 0.0], [0.0, 0.3]]]


def gaussian() -> GaussianMixture:
    return gaussian_mixture(
        torch.ones(1), torch.from_numpy(MEAN)[None], torch.from_numpy(COVARIANCE)[None]
    )


def mixture() -> GaussianMixture:
    return gaussian_mixture(*(torch.tensor(part) for part in (WEIGHTS, MEANS, COVARIANCES)))


def truth(x: Tensor, variance: float) -> list[float]:
    """Log density of the mixture, blurred by N(0, variance I)."""
    parts = zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
    blur = variance * np.eye(2)
    density = sum(w * multivariate_normal.pdf(x, m, np.array(c) + blur) for w, m, c in parts)
    return np.log(density).tolist()  # type: ignore[no-any-return]


def points(n: int, seed: int = 0, dimension: int = 2) -> Tensor:
    return torch.randn(n, dimension, dtype=torch.float64, generator=generator(seed))


def network(dimension: int) -> NetworkDenoiser:
    """Weights like those of a trained network: smooth, and answers of order one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mlp = VectorMLP(dimension, width=16, depth=1, features=4)
        torch.nn.init.normal_(mlp.output_proj.weight, std=0.3)
    return NetworkDenoiser(mlp, PARAMETERISATIONS["v"])


@pytest.mark.parametrize("integrate", [rk4, Adaptive(rtol=1e-7, atol=1e-7)])
def test_gaussian_density_is_the_closed_form(integrate: Integrator) -> None:
    x = gaussian().draw(20, generator(0))
    found = log_prob(gaussian(), x, uniform_log_snr(WIDE, 80), integrate=integrate)
    by_hand = multivariate_normal.logpdf(x, MEAN, COVARIANCE)
    blurred = multivariate_normal.logpdf(x, MEAN, COVARIANCE + math.exp(-14) * np.eye(2))
    assert found.nats.tolist() == pytest.approx(by_hand.tolist(), abs=1e-3)
    assert found.nats.tolist() == pytest.approx(blurred.tolist(), abs=1e-4)


@pytest.mark.parametrize("integrate", [rk4, Adaptive(rtol=1e-7, atol=1e-7)])
def test_mixture_density_is_the_closed_form(integrate: Integrator) -> None:
    x = mixture().draw(30, generator(1))
    found = log_prob(mixture(), x, uniform_log_snr(WIDE, 100), integrate=integrate)
    assert found.nats.tolist() == pytest.approx(truth(x, 0.0), abs=1e-3)
    assert found.nats.tolist() == pytest.approx(truth(x, math.exp(-14)), abs=1e-4)


def test_density_is_that_of_data_blurred_by_the_least_noise() -> None:
    # At a least noise of sigma/alpha = e^-1 the blurred density is far from the clean one.
    x, coarse = points(20), Cosine(log_snr_max=2.0, log_snr_min=-24.0)
    found = log_prob(mixture(), x, uniform_log_snr(coarse, 100))
    assert found.nats.tolist() == pytest.approx(truth(x, math.exp(-2)), abs=1e-4)
    assert max(abs(a - b) for a, b in zip(found.nats.tolist(), truth(x, 0.0), strict=True)) > 0.1


def carried(x: Tensor, mean: float, std: float, ends: tuple[float, float]) -> list[float]:
    """Log density in 1-D when the exact denoiser of N(mean, std²) carries x over a short range.

    A point keeps its place in units of its own marginal's deviation; the prior that it meets,
    N(0, 1 + s_max²), is not where the data are by then.
    """
    least, most = math.exp(-ends[0]), math.exp(-ends[1])  # sigma²/alpha² of log-SNR
    grown = math.sqrt((std**2 + most) / (std**2 + least))
    end = mean + (x.flatten() - mean) * grown
    log_prior = -0.5 * end**2 / (1 + most) - 0.5 * math.log(2 * math.pi * (1 + most))
    return (log_prior + math.log(grown)).tolist()


def in_1d(mean: float, std: float) -> GaussianMixture:
    return gaussian_mixture(
        torch.ones(1), torch.full((1, 1), mean), torch.full((1, 1, 1), std).double() ** 2
    )


def test_the_flow_ends_in_the_prior_that_samplers_start_from() -> None:
    x, ends = points(5, dimension=1), (5.0, -1.0)
    found = log_prob(in_1d(1.0, 0.5), x, uniform_log_snr(Cosine(*ends), 50))
    assert found.nats.tolist() == pytest.approx(carried(x, 1.0, 0.5, ends), abs=1e-6)


def test_fixed_steps_converge_in_fourth_order() -> None:
    x, ends = points(20, dimension=1), (6.0, -6.0)
    expected = torch.tensor(carried(x, 1.0, 0.5, ends), dtype=torch.float64)
    errors = [
        float((log_prob(in_1d(1.0, 0.5), x, levels).nats - expected).abs().mean())
        for levels in (uniform_log_snr(Cosine(*ends), k + 1) for k in (20, 40, 80))
    ]
    slope = -np.polyfit(np.log([20, 40, 80]), np.log(errors), 1)[0]
    # The divergence's integral converges faster where it vanishes at both ends.
    assert 3.7 < slope < 5


@pytest.mark.parametrize(("tol", "most"), [(1e-3, 1e-1), (1e-5, 1e-3), (1e-7, 1e-5)])
def test_adaptive_steps_keep_their_tolerance(tol: float, most: float) -> None:
    x, ends = points(20, dimension=1), (6.0, -6.0)
    levels = uniform_log_snr(Cosine(*ends), 2)
    found = log_prob(in_1d(1.0, 0.5), x, levels, integrate=Adaptive(tol, tol))
    assert found.nats.tolist() == pytest.approx(carried(x, 1.0, 0.5, ends), abs=most)


def test_a_smaller_tolerance_takes_more_calls() -> None:
    levels = uniform_log_snr(NARROW, 2)
    loose, tight = (
        log_prob(mixture(), points(5), levels, integrate=Adaptive(tol, tol)).num_calls
        for tol in (1e-3, 1e-7)
    )
    assert loose < tight


def test_levels_of_another_scale_give_the_same_density() -> None:
    # A ladder of growing noise beside an untouched signal.
    x, levels = points(10), uniform_log_snr(NARROW, 10)[:-1]
    ladder = NoiseLevel(torch.ones_like(levels.alpha), levels.sigma_ve)
    there, here = (log_prob(mixture(), x, part).nats for part in (ladder, levels))
    torch.testing.assert_close(there, here, rtol=0, atol=1e-10)


def test_levels_spaced_otherwise_give_the_same_density() -> None:
    x = mixture().draw(10, generator(2))
    there, here = (
        log_prob(mixture(), x, grid(NARROW, 60)).nats for grid in (karras, uniform_log_snr)
    )
    torch.testing.assert_close(there, here, rtol=0, atol=2e-3)


def test_levels_gathered_where_the_data_are_err_less() -> None:
    """Eight blobs of a tenth of their ring, under the default schedule, against their density."""
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    means = 1.3 * torch.stack([angle.cos(), angle.sin()], 1)
    share, blob = torch.full((8,), 0.125).double(), 0.01 * torch.eye(2).double()
    ring = gaussian_mixture(share, means, blob.expand(8, 2, 2).contiguous())
    x, least = ring.draw(200, generator(4)), math.exp(-Cosine().log_snr_max)
    blurred = blob + least * torch.eye(2).double()
    law = torch.distributions.MultivariateNormal(means, blurred)
    true = (law.log_prob(x[:, None]) + share.log()).logsumexp(1)
    even, gathered = (
        float((log_prob(ring, x, grid(Cosine(), 21)).nats - true).abs().mean())
        for grid in (uniform_log_snr, unit_log_snr)
    )
    assert gathered < 0.004
    assert even > 3 * gathered


class Halved:
    """x_0 = x_t/2 + sin(x_t)/4, and its trace, if asked for it."""

    def __init__(self) -> None:
        self.traces = 0

    def __call__(self, x_t: Tensor, level: NoiseLevel) -> Prediction:
        return Prediction(x_t / 2 + x_t.sin() / 4)

    def with_trace(self, x_t: Tensor, level: NoiseLevel) -> tuple[Prediction, Tensor]:
        self.traces += 1
        return self(x_t, level), (0.5 + x_t.cos() / 4).flatten(1).sum(1)


@pytest.mark.parametrize("integrate", [rk4, Adaptive()])
def test_a_denoiser_that_knows_its_trace_is_asked_for_it(integrate: Integrator) -> None:
    knows, x, levels = Halved(), points(6, dimension=4).view(6, 2, 2), uniform_log_snr(NARROW, 8)
    found = log_prob(knows, x, levels, integrate=integrate)
    by_passes = log_prob(lambda x_t, level: knows(x_t, level), x, levels, integrate=integrate)
    torch.testing.assert_close(found.nats, by_passes.nats, rtol=0, atol=1e-10)
    assert found.num_calls == by_passes.num_calls
    assert knows.traces == (8 if integrate is rk4 else found.num_calls)


def test_probes_are_estimates_whatever_the_denoiser_knows() -> None:
    knows, levels = Halved(), uniform_log_snr(NARROW, 5)
    found = log_prob(knows, points(4), levels, probes=rademacher(3, generator(0)))
    assert knows.traces == 0
    assert found.standard_error is not None


def test_a_clean_last_level_changes_nothing() -> None:
    levels = uniform_log_snr(NARROW, 20)
    with_it, without = (log_prob(mixture(), points(4), part) for part in (levels, levels[:-1]))
    assert torch.equal(with_it.nats, without.nats)


@pytest.mark.parametrize("dimension", [1, 2])
def test_density_of_any_network_integrates_to_one(dimension: int) -> None:
    # Whatever the network says, the flow is a change of variables; its weights are float32.
    per_axis, reach = (600, 9.0) if dimension == 1 else (72, 7.0)
    axis = torch.linspace(-reach, reach, per_axis, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * dimension).view(-1, dimension)
    denoise = network(dimension)
    found = log_prob(denoise, grid, uniform_log_snr(NARROW, 16))
    cell = float(axis[1] - axis[0]) ** dimension
    assert float(found.nats.exp().sum()) * cell == pytest.approx(1, abs=2e-3)
    prior = -0.5 * (grid**2).sum(1) - dimension / 2 * math.log(2 * math.pi)
    assert float((found.nats - prior).abs().max()) > 0.5  # it is not the prior itself


def test_nothing_is_left_on_the_network() -> None:
    denoise = network(2)
    found = log_prob(denoise, points(5).float(), uniform_log_snr(NARROW, 5))
    assert found.nats.dtype == torch.float64
    assert not found.nats.requires_grad
    assert all(p.requires_grad and p.grad is None for p in denoise.network.parameters())


def test_an_image_is_scored_as_its_numbers_are() -> None:
    rows = points(3, dimension=8)

    def halve(x_t: Tensor, level: NoiseLevel) -> Prediction:
        return Prediction(0.5 * torch.tanh(x_t))

    def halve_images(x_t: Tensor, level: NoiseLevel) -> Prediction:
        assert x_t.shape == (3, 2, 2, 2)
        return halve(x_t, level)

    levels = uniform_log_snr(NARROW, 10)
    flat = log_prob(halve, rows, levels).nats
    image = log_prob(halve_images, rows.view(3, 2, 2, 2), levels).nats
    torch.testing.assert_close(flat, image)


def test_a_row_is_scored_alone_as_in_a_batch() -> None:
    # More rows than one backward pass takes.
    x = mixture().draw(2500, generator(3))
    levels = uniform_log_snr(NARROW, 5)
    together = log_prob(mixture(), x, levels).nats
    for k in (0, 2047, 2048, 2499):
        alone = log_prob(mixture(), x[k : k + 1], levels).nats[0]
        assert float(alone) == pytest.approx(float(together[k]), abs=1e-10)


def test_calls_are_counted() -> None:
    calls = 0

    def counting(x_t: Tensor, level: NoiseLevel) -> Prediction:
        nonlocal calls
        calls += 1
        return mixture()(x_t, level)

    for integrate in (rk4, Adaptive()):
        before = calls
        found = log_prob(counting, points(4), uniform_log_snr(NARROW, 7), integrate=integrate)
        assert found.num_calls == calls - before
    assert log_prob(mixture(), points(4), uniform_log_snr(NARROW, 7)).num_calls == 25


FOUR = np.array(
    [[0.5, 0.2, 0.1, 0.0], [0.2, 0.4, -0.1, 0.1], [0.1, -0.1, 0.6, 0.2], [0, 0.1, 0.2, 0.3]]
)


def test_hutchinson_is_unbiased_and_knows_its_error() -> None:
    # The same point many times, each with probes of its own.
    exact = gaussian_mixture(torch.ones(1), torch.zeros(1, 4), torch.from_numpy(FOUR)[None])
    x, levels = torch.full((1000, 4), 0.3, dtype=torch.float64), uniform_log_snr(NARROW, 5)
    truth = log_prob(exact, x[:1], levels)
    found = log_prob(exact, x, levels, probes=rademacher(64, generator(5)))
    assert truth.standard_error is None
    assert found.standard_error is not None
    off = found.nats - truth.nats
    assert abs(float(off.mean())) < 4 * float(off.std()) / math.sqrt(1000)
    # The squared standard error estimates the variance without bias, 63 degrees of freedom.
    assert float(off.var() / (found.standard_error**2).mean()) == pytest.approx(1, abs=0.15)
    covered = float((off.abs() < 1.998 * found.standard_error).double().mean())
    assert covered == pytest.approx(0.95, abs=0.025)


def test_probes_that_span_the_space_give_the_exact_divergence() -> None:
    exact = gaussian_mixture(torch.ones(1), torch.zeros(1, 4), torch.from_numpy(FOUR)[None])
    x, levels = points(3, dimension=4), uniform_log_snr(NARROW, 12)

    def axes(y: Tensor) -> Tensor:
        return (2 * torch.eye(4, dtype=y.dtype)).unsqueeze(1).expand(4, len(y), 4)

    found = log_prob(exact, x, levels, probes=axes)
    torch.testing.assert_close(found.nats, log_prob(exact, x, levels).nats)


def test_one_probe_has_no_standard_error() -> None:
    probes = rademacher(1, generator(6))
    found = log_prob(mixture(), points(3), uniform_log_snr(NARROW, 5), probes=probes)
    assert found.standard_error is None


@pytest.mark.parametrize("integrate", [rk4, Adaptive()])
def test_no_rows_have_no_densities(integrate: Integrator) -> None:
    found = log_prob(mixture(), points(0), uniform_log_snr(NARROW, 5), integrate=integrate)
    assert found.nats.shape == (0,)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_rows_that_are_not_finite_are_refused(value: float) -> None:
    x = points(4)
    x[2, 1] = value
    with pytest.raises(DataError, match=r"1 of 4 rows .* row 2"):
        log_prob(mixture(), x, uniform_log_snr(NARROW, 5))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="floating point"):
        log_prob(mixture(), torch.ones(2, 2, dtype=torch.int64), uniform_log_snr(NARROW, 5))


def test_levels_that_are_no_way_to_noise_are_refused() -> None:
    levels = uniform_log_snr(NARROW, 5)
    no_signal = NoiseLevel(torch.tensor([0.0, 0.6]).double(), torch.tensor([1.0, 0.8]).double())
    for wrong in (levels[4:], levels[torch.tensor([0, 2, 1])], no_signal):
        with pytest.raises(ArgumentError, match="finite and falling"):
            log_prob(mixture(), points(2), wrong)


def test_a_network_of_another_tables_levels_is_refused() -> None:
    table = discrete.linear(10)
    denoise = NetworkDenoiser(StepMLP(2, 10, 8), PARAMETERISATIONS["v"], step_of(table))
    with pytest.raises(ArgumentError, match="levels of its own discrete schedule"):
        log_prob(denoise, points(2), uniform_log_snr(NARROW, 5))


@pytest.mark.parametrize("integrate", [rk4, Adaptive()])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x[:, :1], r"\(2, 2\) with \(2, 1\)"),
        (lambda x: x * math.nan, "diverged in training"),
    ],
)
def test_a_denoiser_that_answers_nonsense_is_refused(
    answer: object, message: str, integrate: Integrator
) -> None:
    assert callable(answer)
    with pytest.raises(ArgumentError, match=message):
        log_prob(
            lambda x_t, level: Prediction(answer(x_t)),
            points(2),
            uniform_log_snr(NARROW, 5),
            integrate=integrate,
        )


def test_a_flow_that_cannot_be_followed_is_refused() -> None:
    # dx/dlog s grows as x³: infinity after a finite way.
    with pytest.raises(ArgumentError, match="beyond sigma/alpha"):
        log_prob(
            lambda x_t, level: Prediction(-20 * x_t**3),
            points(2),
            uniform_log_snr(Cosine(0.0, -6.0), 5),
            integrate=Adaptive(),
        )


@pytest.mark.parametrize("make", [lambda: Adaptive(rtol=0.0), lambda: Adaptive(atol=0.0)])
def test_tolerances_of_nothing_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ArgumentError, match="`rtol` must lie"):
        make()


def test_no_probes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at least 1"):
        rademacher(0, generator(0))
