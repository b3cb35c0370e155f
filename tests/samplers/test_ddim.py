"""DDIM: its order against exact flows, its published moments, and its kinship with ancestral."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.stats import norm
from torch import Tensor

from sfumato.denoisers.clipping import Clipped
from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process import discrete, grids
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Cosine, Linear, Schedule
from sfumato.process.streams import generator, noise_from
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from truth import ExactGaussian, propagate

Floats = npt.NDArray[np.float64]
DATA = ExactGaussian(mean=1.0, std=0.5)
STEPS = (32, 64, 128, 256)


def no_noise(x: Tensor) -> Tensor:
    raise AssertionError("noise was asked for")


def walk(denoise: Denoiser, x: Tensor, levels: NoiseLevel) -> Tensor:
    for k in range(len(levels) - 1):
        x, _, _ = DDIM().step(denoise, x, levels[k], levels[k + 1], None, no_noise)
    return x


def order(errors: list[float]) -> float:
    return float(-np.polyfit(np.log(STEPS), np.log(errors), 1)[0])


@pytest.mark.parametrize(
    ("grid", "mean", "std"),
    # CHECKS: 10 steps of the linear table, N(1, 0.25), from N(0, 1).
    [(grids.leading, 0.99385, 0.37413), (grids.trailing, 0.99765, 0.36995)],
)
def test_published_moments_of_ten_steps(grid: object, mean: float, std: float) -> None:
    assert callable(grid)
    levels = grid(discrete.linear(), 10)
    assert propagate(DDIM(), DATA, levels) == pytest.approx((mean, std), abs=5.1e-6)


@pytest.mark.parametrize("num_steps", [334, 501, 667, 999])
def test_a_stride_that_is_no_integer_begins_in_noise_too(num_steps: int) -> None:
    # From the middle of the table, where alpha_bar is 0.08, the mean would come out as 0.86.
    mean, std = propagate(DDIM(), DATA, grids.leading(discrete.linear(), num_steps))
    assert mean == pytest.approx(1, abs=0.01)
    assert std == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("schedule", [Cosine(), Linear()], ids=["cosine", "linear"])
@pytest.mark.parametrize("grid", list(grids.CONTINUOUS_GRIDS))
def test_first_order_against_the_exact_flow_of_a_gaussian(schedule: Schedule, grid: str) -> None:
    # The probability flow keeps the quantile: x_0 = m + s (x_t - alpha m)/std(x_t).
    x = torch.tensor([[-1.0], [0.7], [2.0]], dtype=torch.float64)
    errors = []
    for num_steps in STEPS:
        levels = grids.CONTINUOUS_GRIDS[grid](schedule, num_steps)
        alpha, sigma = float(levels.alpha[0]), float(levels.sigma[0])
        exact = 1.0 + 0.5 * (x - alpha) / math.hypot(alpha * 0.5, sigma)
        errors.append(float((walk(DATA, x, levels) - exact).abs().max()))
    assert order(errors) == pytest.approx(1, abs=0.1)


def mixture_estimate(x_t: Floats, alpha: float, sigma: float) -> Floats:
    """E[x_0 | x_t] for 0.4 N(-1, 0.3²) + 0.6 N(1.2, 0.5²)."""
    total = estimate = np.zeros_like(x_t)
    for weight, mean, std in ((0.4, -1.0, 0.3), (0.6, 1.2, 0.5)):
        variance = (alpha * std) ** 2 + sigma**2
        density = weight * norm.pdf(x_t, alpha * mean, math.sqrt(variance))
        total = total + density
        estimate = estimate + density * (mean + alpha * std**2 / variance * (x_t - alpha * mean))
    return estimate / total


def test_first_order_against_the_integrated_flow_of_a_mixture() -> None:
    # dy/dlog(s) = y - E[x_0 | y] for y = x/alpha, s = sigma/alpha (Karras et al. 2022, eq. 1).
    def flow(log_s: float, y: Floats) -> Floats:
        return y - mixture_estimate(y, 1.0, math.exp(log_s))

    def denoise(x_t: Tensor, level: NoiseLevel) -> Prediction:
        estimate = mixture_estimate(x_t.numpy(), float(level.alpha), float(level.sigma))
        return Prediction(torch.from_numpy(estimate))

    x, errors = np.array([-1.4, -0.1, 0.6, 2.0]), []
    ends = grids.uniform_log_snr(Cosine(), 2)
    (first, last), alpha = ends.sigma_ve[:2].log().tolist(), float(ends.alpha[0])
    solved = solve_ivp(flow, (first, last), x / alpha, method="DOP853", rtol=1e-11, atol=1e-12)
    exact = solved.y[:, -1] * float(ends.alpha[1])
    for num_steps in STEPS:
        noisy = grids.uniform_log_snr(Cosine(), num_steps)[:-1]
        ours = walk(denoise, torch.from_numpy(x)[:, None], noisy)
        errors.append(float(np.abs(ours[:, 0].numpy() - exact).max()))
    assert order(errors) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("s", "t"), [(400, 420), (1, 2), (0, 1), (999, 1000)])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_one_step_is_equation_12(s: int, t: int, eta: float) -> None:
    # Song et al. (2021), their eq. 12 and 16 in alpha_bar, for a noise of 0.7.
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))])
    a_t, a_s = alpha_bar[t], alpha_bar[s]
    tau = eta * math.sqrt((1 - a_s) / (1 - a_t)) * math.sqrt(1 - a_t / a_s)
    x_t, eps = 0.3, 0.8
    x_0 = (x_t - math.sqrt(1 - a_t) * eps) / math.sqrt(a_t)
    by_hand = math.sqrt(a_s) * x_0 + math.sqrt(1 - a_s - tau**2) * eps + tau * 0.7

    levels, x = discrete.linear().levels, torch.tensor([[x_t]], dtype=torch.float64)
    x_s, prediction, _ = DDIM(eta).step(
        ExactGaussian(x_0, 0.0), x, levels[t], levels[s], None, lambda z: 0.7 * torch.ones_like(z)
    )
    assert float(x_s) == pytest.approx(by_hand, rel=1e-8)
    assert float(prediction.x_0) == pytest.approx(x_0, rel=1e-14)


@pytest.mark.parametrize("quantile", [None, 0.5])
def test_eps_is_that_of_x_0_before_it_was_clipped_or_after(quantile: float | None) -> None:
    # Two numbers of a sample, x_0 = (2, -0.5) and eps = (0.8, -0.3); the limit is 1.
    t, s = discrete.linear().levels[420], discrete.linear().levels[400]
    x_0, eps = torch.tensor([[2.0, -0.5]]).double(), torch.tensor([[0.8, -0.3]]).double()
    x_t = t.alpha * x_0 + t.sigma * eps
    # The median of |x_0| is 1.25, by which all is divided (Saharia et al. 2022).
    held = (x_0 / (1 if quantile is None else 1.25)).clamp(-1, 1)
    for unclipped, noise in ((True, eps), (False, (x_t - t.alpha * held) / t.sigma)):
        denoise = Clipped(lambda *_: Prediction(x_0), 1.0, quantile)
        stepper = DDIM(unclipped_eps=unclipped)
        x_s, prediction, _ = stepper.step(denoise, x_t, t, s, None, no_noise)
        assert torch.equal(prediction.x_0, held)
        assert torch.allclose(x_s, s.alpha * held + s.sigma * noise, rtol=1e-12, atol=0)


def test_the_last_step_may_end_in_noise() -> None:
    levels, final = discrete.linear().levels, 0.9
    x_0, eps = 0.7, 0.4
    x_t = (levels.alpha[30] * x_0 + levels.sigma[30] * eps).reshape(1, 1)
    stepper, denoise = DDIM(final_alpha_bar=final), ExactGaussian(x_0, 0.0)
    last, _, _ = stepper.step(denoise, x_t, levels[30], levels[0], None, no_noise)
    assert float(last) == pytest.approx(math.sqrt(final) * x_0 + math.sqrt(0.1) * eps, rel=1e-12)
    # Other steps end where they did.
    before, after = (
        each.step(denoise, x_t, levels[30], levels[20], None, no_noise)[0]
        for each in (DDIM(), stepper)
    )
    assert torch.equal(before, after)
    for wrong in (0.0, 1.1):
        with pytest.raises(ArgumentError, match="final_alpha_bar"):
            DDIM(final_alpha_bar=wrong)


@pytest.mark.parametrize("name", list(grids.DISCRETE_GRIDS))
def test_eta_1_is_ancestral_step_for_step(name: str) -> None:
    levels = grids.DISCRETE_GRIDS[name](discrete.linear(), 25)
    ours, theirs = noise_from(generator(8)), noise_from(generator(8))
    x = y = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for k in range(25):
        x, _, _ = DDIM(1.0).step(DATA, x, levels[k], levels[k + 1], None, ours)
        y, _, _ = Ancestral("beta_tilde").step(DATA, y, levels[k], levels[k + 1], None, theirs)
        assert torch.allclose(x, y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_last_step_is_the_prediction_without_noise(eta: float) -> None:
    levels, x = discrete.linear().levels, torch.tensor([[0.4]], dtype=torch.float64)
    x_s, prediction, _ = DDIM(eta).step(DATA, x, levels[1], levels[0], None, no_noise)
    assert float(x_s) == pytest.approx(float(prediction.x_0), rel=1e-14)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_finer_grids_close_in_on_the_data(eta: float) -> None:
    errors = []
    for num_steps in STEPS:
        levels = grids.uniform_log_snr(Cosine(), num_steps)
        alpha, sigma = float(levels.alpha[0]), float(levels.sigma[0])
        start = alpha * 1.0, math.hypot(alpha * 0.5, sigma)
        mean, std = propagate(DDIM(eta), DATA, levels, *start)
        assert mean == pytest.approx(1.0, abs=1e-9)
        errors.append(abs(std - 0.5))
    assert order(errors) == pytest.approx(1, abs=0.1)


def test_a_step_over_levels_without_unit_power() -> None:
    # Variance exploding: y moves to x_0 by the ratio of the noises (Euler's step of the flow).
    t = NoiseLevel(torch.ones(()).double(), torch.tensor(4.0).double())
    s = NoiseLevel(torch.ones(()).double(), torch.tensor(1.0).double())
    x = torch.tensor([[3.0]], dtype=torch.float64)
    x_s, prediction, _ = DDIM().step(DATA, x, t, s, None, no_noise)
    x_0 = float(prediction.x_0)
    assert float(x_s) == pytest.approx(x_0 + (3.0 - x_0) / 4, rel=1e-14)


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan])
def test_eta_outside_its_range_is_refused(eta: float) -> None:
    with pytest.raises(ArgumentError, match="`eta` must lie between 0 and 1; got"):
        DDIM(eta)
