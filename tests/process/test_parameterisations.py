"""Every target gives x_0 back exactly, from the target's own definition, at any level."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import (
    FOREIGN,
    PARAMETERISATIONS,
    Parameterisation,
    edm,
    eps,
    v,
    velocity,
)
from sfumato.process.parameterisations import x_0 as x_0_target

scales = st.floats(0.01, 50)
values = st.floats(-5, 5)


def level(alpha: float, sigma: float) -> NoiseLevel:
    return NoiseLevel(
        torch.tensor(alpha, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64)
    )


def target(name: str, alpha: float, sigma: float, x_0: float, noise: float) -> float:
    """What the network is asked for, from the papers' definitions."""
    x_t = alpha * x_0 + sigma * noise
    # Karras et al. (2022), table 1, for y = x_t/alpha with noise sigma/alpha, unit data.
    ve = sigma / alpha
    edm_answer = (x_0 - x_t / alpha / (1 + ve**2)) / (ve / math.sqrt(1 + ve**2))
    return {
        "eps": noise,
        "x_0": x_0,
        # Salimans & Ho (2022) define it for alpha² + sigma² = 1; at another scale, as there.
        "v": (alpha * noise - sigma * x_0) / math.hypot(alpha, sigma),
        "velocity": noise - x_0,
        "edm": edm_answer,
    }[name]


@pytest.mark.parametrize("name", PARAMETERISATIONS)
@given(scales, scales, values, values)
def test_x_0_comes_back(name: str, alpha: float, sigma: float, x_0: float, noise: float) -> None:
    scalings = PARAMETERISATIONS[name](level(alpha, sigma))
    x_t, answer = alpha * x_0 + sigma * noise, target(name, alpha, sigma, x_0, noise)
    ours = float(scalings.c_skip) * x_t + float(scalings.c_out) * answer
    # The terms that cancel are as large as (sigma/alpha) eps.
    assert ours == pytest.approx(x_0, abs=1e-12 * (1 + sigma / alpha))


@pytest.mark.parametrize("name", PARAMETERISATIONS)
@given(scales, scales, values, values, st.floats(0.01, 100))
def test_the_scale_of_a_level_changes_no_estimate(
    name: str, alpha: float, sigma: float, x_t: float, answer: float, scale: float
) -> None:
    # The same sample told at (alpha, sigma) and at a multiple of both: likelihoods and solvers
    # pass between such pairs.
    here, there = (PARAMETERISATIONS[name](level(k * alpha, k * sigma)) for k in (1.0, scale))
    ours = float(here.c_skip) * x_t + float(here.c_out) * answer
    same = float(there.c_skip) * scale * x_t + float(there.c_out) * answer
    assert same == pytest.approx(ours, rel=1e-9, abs=1e-9)
    assert float(there.c_in) * scale == pytest.approx(float(here.c_in), rel=1e-12)


@pytest.mark.parametrize("name", ["x_0", "v", "velocity", "edm"])
def test_targets_other_than_eps_survive_the_loss_of_all_signal(name: str) -> None:
    # At alpha = 0: x_0 = F, v = -x_0, velocity = x_t/sigma - x_0, edm = x_0 for unit data.
    scalings = PARAMETERISATIONS[name](level(0.0, 2.0))
    x_0, x_t = 0.7, 2.0 * -0.3
    answer = {"x_0": x_0, "v": -x_0, "velocity": -0.3 - x_0, "edm": x_0}[name]
    ours = float(scalings.c_skip) * x_t + float(scalings.c_out) * answer
    assert ours == pytest.approx(x_0, abs=1e-14)


def test_eps_refuses_a_level_without_signal_and_names_v() -> None:
    levels = NoiseLevel(torch.tensor([0.5, 0.0]), torch.tensor([0.5, 1.0]))
    with pytest.raises(ArgumentError, match="use `v`"):
        eps(levels)


@given(scales, scales)
def test_inputs_of_unit_data_have_unit_variance(alpha: float, sigma: float) -> None:
    for name in PARAMETERISATIONS:
        c_in = float(PARAMETERISATIONS[name](level(alpha, sigma)).c_in)
        assert c_in**2 * (alpha**2 + sigma**2) == pytest.approx(1, rel=1e-13)


@given(scales, scales, values, values)
def test_networks_of_other_libraries_are_taken_at_their_own_scale(
    alpha: float, sigma: float, x_t: float, answer: float
) -> None:
    flow, half = (FOREIGN[name](level(alpha, sigma)) for name in ("flow", "edm-half"))
    # Lipman et al. (2023): x_t = (1 - t) x_0 + t eps goes in, eps - x_0 comes out.
    t = sigma / (alpha + sigma)
    assert float(flow.c_in) * x_t == pytest.approx(x_t / (alpha + sigma), rel=1e-12)
    of_flow = x_t / (alpha + sigma) - t * answer
    assert float(flow.c_skip) * x_t + float(flow.c_out) * answer == pytest.approx(of_flow, abs=1e-9)
    # Karras et al. (2022), table 1, for sigma_data = 1/2.
    noise, x = sigma / alpha, x_t / alpha
    power = noise**2 + 0.25
    assert float(half.c_in) * x_t == pytest.approx(x / math.sqrt(power), rel=1e-9)
    of_edm = 0.25 / power * x + noise * 0.5 / math.sqrt(power) * answer
    assert float(half.c_skip) * x_t + float(half.c_out) * answer == pytest.approx(
        of_edm, rel=1e-9, abs=1e-9
    )


@given(scales, scales, scales)
def test_edm_has_unit_variance_in_and_out(alpha: float, sigma: float, std: float) -> None:
    # For x_0 of variance std²: Var(c_in x_t) = 1 and Var((x_0 - c_skip x_t)/c_out) = 1.
    scalings = edm(level(alpha, sigma), std)
    c_skip, c_out, c_in = (float(c) for c in (scalings.c_skip, scalings.c_out, scalings.c_in))
    assert c_in**2 * ((alpha * std) ** 2 + sigma**2) == pytest.approx(1, rel=1e-12)
    left = (1 - c_skip * alpha) ** 2 * std**2 + (c_skip * sigma) ** 2
    assert left == pytest.approx(c_out**2, rel=1e-9)
    assert c_out > 0


@given(scales, scales, scales)
def test_edm_skip_leaves_nothing_that_x_t_could_say(alpha: float, sigma: float, std: float) -> None:
    # Cov(x_0 - c_skip x_t, x_t) = 0: the least that is left for the network.
    c_skip = float(edm(level(alpha, sigma), std).c_skip)
    covariance = alpha * std**2 - c_skip * (alpha**2 * std**2 + sigma**2)
    assert covariance == pytest.approx(0, abs=1e-12 * alpha * std**2)


def test_edm_on_a_clean_signal_scale_is_karras_table_1() -> None:
    # sigma = 0.5, sigma_data = 0.25.
    scalings = edm(level(1.0, 0.5), 0.25)
    power = 0.25**2 + 0.5**2
    assert float(scalings.c_skip) == pytest.approx(0.25**2 / power, rel=1e-14)
    assert float(scalings.c_out) == pytest.approx(0.5 * 0.25 / math.sqrt(power), rel=1e-14)
    assert float(scalings.c_in) == pytest.approx(1 / math.sqrt(power), rel=1e-14)


@pytest.mark.parametrize("parameterisation", [eps, x_0_target, v, velocity, edm])
def test_scalings_have_the_levels_shape(
    parameterisation: Parameterisation,
) -> None:
    scalings = parameterisation(NoiseLevel(torch.tensor([0.6]), torch.tensor([0.8])))
    assert scalings.c_skip.shape == scalings.c_out.shape == scalings.c_in.shape == (1,)
