"""The number of steps chosen for a tolerance."""

import pytest
import torch

from sfumato.errors import ArgumentError
from sfumato.process.grids import uniform_log_snr
from sfumato.process.schedules import Cosine
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import chunk_frames
from sfumato.samplers.steps import Choice, choose_steps
from truth import ExactGaussian

DATA = ExactGaussian(1.0, 0.5)


def chosen(name: str, tol: float) -> Choice:
    return choose_steps(
        DATA, (1,), lambda k: uniform_log_snr(Cosine(), k), SAMPLERS[name](), tol=tol
    )


@pytest.mark.parametrize("name", ["dpm++2m", "unipc", "heun"])
@pytest.mark.parametrize("tol", [0.03, 0.003])
def test_the_chosen_steps_keep_the_tolerance_against_the_exact_flow(name: str, tol: float) -> None:
    def end(num_steps: int) -> torch.Tensor:
        levels = uniform_log_snr(Cosine(), num_steps)
        *_, last = chunk_frames(DATA, (1,), levels, SAMPLERS[name](), seed=0, chunk=0)
        return last.x_t

    start, *_ = chunk_frames(
        DATA, (1,), uniform_log_snr(Cosine(), 4), SAMPLERS[name](), seed=0, chunk=0
    )
    alpha, sigma = float(start.level.alpha), float(start.level.sigma)
    # The flow keeps the quantile: x_0 = m + s (x_t - alpha m)/std(x_t), for the clean level.
    exact = 1 + 0.5 * (start.x_t - alpha) / (alpha**2 * 0.25 + sigma**2) ** 0.5
    choice = chosen(name, tol)
    off = (end(choice.num_steps) - exact).abs().quantile(0.95) / 0.5
    # What a doubling moves is the error less the half or more that stays; 1 % is the grid's end.
    assert float(off) < 2 * tol + 0.01


def test_a_smaller_tolerance_takes_more_steps() -> None:
    steps = [chosen("dpm++2m", tol).num_steps for tol in (0.1, 0.01, 0.001, 0.0001)]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]


def test_a_higher_order_takes_fewer() -> None:
    assert chosen("unipc", 1e-4).num_steps < chosen("ddim", 1e-2).num_steps


def test_the_choice_says_what_it_saw() -> None:
    choice = chosen("dpm++2m", 0.01)
    assert 0 < choice.moved < 0.01


@pytest.mark.parametrize("name", ["ancestral", "dpm++2m-sde"])
def test_methods_that_draw_noise_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="draws noise"):
        chosen(name, 0.01)
