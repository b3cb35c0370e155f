"""The chapters of the textbook: code run, links followed, formulas held to other ways to them."""

import contextlib
import io
import math
import re

import numpy as np
import pytest
import torch
from scipy.stats import norm

from pages import assert_maths_renders, assert_same_in_both_languages, examples, followed, text
from sfumato.denoisers.denoiser import Denoiser
from sfumato.denoisers.guidance import Guided
from sfumato.denoisers.mixture import GaussianMixture, gaussian_mixture
from sfumato.likelihood.flow import log_prob, rademacher
from sfumato.likelihood.variational import mean_and_error, variational_bound
from sfumato.process import discrete
from sfumato.process.grids import trailing, uniform_log_snr
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Cosine, Until
from sfumato.process.streams import generator, noise_from
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import Stepper, last_frame, trajectory
from sfumato.samplers.unipc import UniPC

FIRST = ("probability.md", "forward.md", "reverse.md", "training.md", "sampling.md")
LATER = ("schedules.md", "likelihood.md", "guidance.md", "rows.md")
CHAPTERS = (*FIRST, *LATER)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?")


def assert_prints(found: str, page: str) -> None:
    """The same text, and numbers that differ by no more than one of the last digit shown."""
    assert NUMBER.sub("#", found).split() == NUMBER.sub("#", page).split()
    for ours, theirs in zip(NUMBER.findall(found), NUMBER.findall(page), strict=True):
        mantissa, _, exponent = theirs.partition("e")
        last = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        allowed = 1.001 * last if "." in theirs else 0
        assert abs(float(ours) - float(theirs)) <= allowed, f"prints {ours}, the page {theirs}"


@pytest.mark.parametrize("page", CHAPTERS)
def test_code_of_a_chapter_prints_what_it_says(page: str) -> None:
    assert len(examples(page)) == text(page).count("```python") >= 2
    names: dict[str, object] = {}
    for code, printed in examples(page):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, page, "exec"), names)
        assert_prints(out.getvalue(), printed)


@pytest.mark.parametrize("language", ["", "zh/"])
@pytest.mark.parametrize("page", CHAPTERS)
def test_links_of_a_chapter_name_what_is_there(page: str, language: str) -> None:
    assert followed(language + page) > 10


@pytest.mark.parametrize("language", ["", "zh/"])
@pytest.mark.parametrize("page", ["equations.md", *CHAPTERS])
def test_maths_of_a_chapter_renders(page: str, language: str) -> None:
    assert_maths_renders(language + page)


@pytest.mark.parametrize("page", ["equations.md", *CHAPTERS])
def test_chapters_are_the_same_in_both_languages(page: str) -> None:
    assert_same_in_both_languages(page)


@pytest.mark.parametrize("language", ["", "zh/"])
@pytest.mark.parametrize("page", LATER)
def test_every_equation_of_a_chapter_has_its_function_and_test(page: str, language: str) -> None:
    body = text(language + page)
    tags = re.findall(r"\\tag\{([^}]+)\}", body)
    rows = re.findall(r"^\| ([SKGR]-\d+(?:[,、] ?[SKGR]-\d+)*) \|(.*)\|$", body, re.MULTILINE)
    explained = [number for cell, _ in rows for number in re.findall(r"[SKGR]-\d+", cell)]
    assert explained == [f"{explained[0][0]}-{i + 1}" for i in range(len(explained))]
    assert set(tags) <= set(explained)
    assert all("/tests/" in rest and "/src/" in rest for _, rest in rows)


def quantiles(n: int) -> torch.Tensor:
    """N(0, 1) as a column of even quantiles."""
    x: torch.Tensor = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    return x[:, None]


def gaussian(mean: float, std: float) -> GaussianMixture:
    return gaussian_mixture(
        torch.ones(1), torch.tensor([[mean]]), torch.tensor([[[std]]], dtype=torch.float64) ** 2
    )


def ends(
    denoise: Denoiser, start: torch.Tensor, levels: NoiseLevel, stepper: Stepper[None]
) -> torch.Tensor:
    walk = trajectory(denoise, start, levels, stepper, noise=noise_from(generator(0)))
    return last_frame(walk).x_t


# The tutorial's betas, from their definition.
_RAMP = torch.linspace(-6, 6, 100, dtype=torch.float64).sigmoid() * (0.005 - 1e-5) + 1e-5
ALPHA_BAR = float((1 - _RAMP).prod())


def test_s_10_the_chain_from_a_wrong_start() -> None:
    table = discrete.sigmoid(100)
    x = ends(gaussian(1.0, 0.5), quantiles(20_000), trailing(table, 100), Ancestral())
    v = 0.25 * ALPHA_BAR + 1 - ALPHA_BAR
    slope = math.sqrt(ALPHA_BAR) * 0.25 / v
    std = math.sqrt(0.25 * (1 - ALPHA_BAR) / v + slope**2)
    assert abs(float(x.mean()) - (1 - ALPHA_BAR * 0.25 / v)) < 4 * std / math.sqrt(len(x))
    assert float(x.std()) == pytest.approx(std, rel=0.02)  # 100 steps are not yet the limit


def test_s_11_the_flow_from_a_wrong_start() -> None:
    # A table of tiny steps with the tutorial's end: the limit of the flow.
    beta = -math.expm1(math.log(ALPHA_BAR) / 1000)
    table = discrete.from_beta(torch.full((1000,), beta, dtype=torch.float64))
    x = ends(gaussian(1.0, 0.5), quantiles(1000), trailing(table, 1000), DDIM())
    v = 0.25 * ALPHA_BAR + 1 - ALPHA_BAR
    slope = 0.5 / math.sqrt(v)
    assert float(x.mean()) == pytest.approx(1 - slope * math.sqrt(ALPHA_BAR), abs=2e-3)
    assert float(x.std() / quantiles(1000).std()) == pytest.approx(slope, abs=2e-3)


@pytest.mark.parametrize("noise", [0.1, 1.0, 10.0])
def test_s_13_the_last_jump_narrows_a_detail(noise: float) -> None:
    width = 0.02
    level = Cosine()(Cosine().time(torch.tensor(-2 * math.log(noise * width), dtype=torch.float64)))
    spread = float((level.alpha * width).hypot(level.sigma))
    mean = gaussian(0.0, width)(spread * quantiles(1000), level).x_0
    found = float(mean.std() / quantiles(1000).std()) / width
    assert found == pytest.approx(1 / math.sqrt(1 + noise**2), rel=1e-9)


@pytest.mark.parametrize("k", [2, 4])
def test_s_15_the_mean_of_pixels_has_less_noise(k: int) -> None:
    level = Cosine()(torch.tensor(0.3))
    noise = torch.randn(50_000, k * k, generator=generator(1), dtype=torch.float64)
    of_mean = float(level.sigma) * float(noise.mean(1).std())
    log_snr = 2 * math.log(float(level.alpha) / of_mean)
    assert log_snr == pytest.approx(float(level.log_snr) + 2 * math.log(k), abs=0.03)


def test_k_4_growth_of_a_gaussian() -> None:
    mean, std, first, last = 1.0, 0.5, math.exp(-5), math.exp(5)
    x = torch.tensor([-1.0, 0.3, 2.5], dtype=torch.float64)
    before, after = ((std**2 + r**2) / (1 + r**2) for r in (first, last))
    kept, left = (1 / math.sqrt(1 + r**2) for r in (first, last))
    end = left * mean + math.sqrt(after / before) * kept * (x - mean)
    by_hand = math.log(kept) + 0.5 * math.log(after / before) + torch.from_numpy(norm.logpdf(end))
    found = log_prob(gaussian(mean, std), x[:, None], uniform_log_snr(Cosine(), 80))
    torch.testing.assert_close(found.nats, by_hand, rtol=0, atol=1e-4)


def test_k_5_error_of_one_direction() -> None:
    rho = 0.6
    pair = gaussian_mixture(
        torch.ones(1), torch.zeros(1, 2), torch.tensor([[[1.0, rho], [rho, 1.0]]])
    )
    points = torch.tensor([[0.5, 1.0]]).expand(1000, 2)
    probes = rademacher(1, generator(2))
    nats = log_prob(pair, points, uniform_log_snr(Cosine(), 20), probes=probes).nats
    # Two values, as often: the deviation from their mean is always the standard deviation.
    assert float(nats.std()) == pytest.approx(math.atanh(rho), rel=5e-3)


@pytest.mark.parametrize("num_levels", [5, 50])
def test_k_8_the_bound_of_unit_data_is_tight(num_levels: int) -> None:
    bound = variational_bound(
        gaussian(0.0, 1.0), quantiles(4000), discrete.linear(num_levels),
        noise=noise_from(generator(3)), variance="beta",
    )  # fmt: skip
    mean, error = mean_and_error(bound.nats)
    assert abs(mean - 0.5 * math.log(2 * math.pi * math.e)) < 4 * error
    assert error < 0.03


def test_k_9_the_posterior_variance_costs_more() -> None:
    table = discrete.linear(50)
    beta = np.clip(np.linspace(1e-4, 0.02, 50) * 20, None, 0.999)
    var = 1 - np.cumprod(1 - beta)
    bound = variational_bound(
        gaussian(0.0, 1.0), quantiles(4000), table, noise=noise_from(generator(4))
    )
    mean, error = mean_and_error(bound.L_t.sum(1))
    assert abs(mean - 0.5 * float(np.sum(var[1:] / var[:-1] - 1))) < 4 * error
    assert mean - 0.5 * math.log(var[-1] / var[0]) > 10 * error


def test_g_1_the_condition_adds_the_gradient_of_its_probability() -> None:
    level = Cosine()(torch.tensor(0.4, dtype=torch.float64))
    both = gaussian_mixture(
        torch.tensor([0.3, 0.7]), torch.tensor([[-1.0], [1.0]]), torch.full((2, 1, 1), 0.25)
    )
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].requires_grad_()
    alpha, sigma = float(level.alpha), float(level.sigma)
    std = math.sqrt(0.25 * alpha**2 + sigma**2)
    # log of the probability of the second class, from its logit.
    logit = (
        math.log(0.7 / 0.3) + (-0.5 * ((x - alpha) / std) ** 2) - (-0.5 * ((x + alpha) / std) ** 2)
    )
    (slope,) = torch.autograd.grad(torch.nn.functional.logsigmoid(logit).sum(), x)
    apart = gaussian(1.0, 0.5)(x, level).x_0 - both(x, level).x_0
    torch.testing.assert_close(alpha / sigma**2 * apart, slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scale", [0.0, 1.5, 3.0])
def test_g_4_guided_variance_is_a_geometric_mean(scale: float) -> None:
    guided = Guided(gaussian(0.0, 0.5), gaussian(0.0, 1.0), scale)
    walk = trajectory(
        guided, quantiles(500), uniform_log_snr(Cosine(), 100), UniPC(), noise=torch.zeros_like
    )
    std = float(last_frame(walk).x_t.std() / quantiles(500).std())
    assert std == pytest.approx(0.25 ** (scale / 2), rel=2e-3)


@pytest.mark.parametrize("ends_at", [(-10, 0), (-2, 2), (0, 10)])
def test_g_5_guidance_between_two_levels(ends_at: tuple[int, int]) -> None:
    guided = Guided(gaussian(0.0, 0.5), gaussian(0.0, 1.0), 3.0, ends_at)
    walk = trajectory(
        guided, quantiles(500), uniform_log_snr(Cosine(), 400), UniPC(), noise=torch.zeros_like
    )
    std = float(last_frame(walk).x_t.std() / quantiles(500).std())
    near, far = math.exp(-ends_at[1]), math.exp(-ends_at[0])
    factor = (0.25 + near) * (1 + far) / ((1 + near) * (0.25 + far))
    assert std == pytest.approx(0.5 * factor, rel=0.02)


def test_g_7_an_edit_keeps_the_law_and_moves_the_row() -> None:
    n, halfway = 20_000, uniform_log_snr(Until(Cosine(), 0.4), 300)
    kept = float(halfway.alpha[0] ** 2)
    x = quantiles(n)
    x_t = noised(x, halfway[0]).draw(noise_from(generator(6))(x))
    edited = ends(gaussian(0.0, 1.0), x_t, halfway, Ancestral())
    assert abs(float(edited.mean())) < 4 / math.sqrt(n)
    assert float(edited.std()) == pytest.approx(1, abs=0.03)
    slope = float((edited * x).mean() / (x * x).mean())
    assert slope == pytest.approx(kept, abs=4 * math.sqrt((1 - kept**2) / n))


def test_g_8_regression_on_what_is_known_is_the_conditional_mean() -> None:
    rho, level = 0.9, Cosine()(torch.tensor(0.5, dtype=torch.float64))
    alpha, sigma = float(level.alpha), float(level.sigma)
    rows = torch.randn(100_000, 2, generator=generator(7), dtype=torch.float64)
    rows[:, 1] = rho * rows[:, 0] + math.sqrt(1 - rho**2) * rows[:, 1]
    eps = torch.randn(len(rows), generator=generator(8), dtype=torch.float64)
    inputs = torch.stack([alpha * rows[:, 1] + sigma * eps, rows[:, 0]], dim=1)
    weights = torch.linalg.lstsq(inputs, rows[:, 1:]).solution[:, 0]
    # Of N(rho x_1, 1 - rho²) and one noisy look at it.
    gain = alpha * (1 - rho**2) / (alpha**2 * (1 - rho**2) + sigma**2)
    expected = torch.tensor([gain, rho * (1 - alpha * gain)], dtype=torch.float64)
    torch.testing.assert_close(weights, expected, rtol=0, atol=0.01)
