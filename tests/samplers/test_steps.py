"""The number of steps chosen for a tolerance."""

from functools import cache

import pytest
import torch

from sfumato.errors import ArgumentError
from sfumato.process.discrete import linear
from sfumato.process.grids import trailing, uniform_log_snr
from sfumato.process.schedules import Cosine
from sfumato.process.streams import CHUNK, Chunk
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import chunk_frames
from sfumato.samplers.steps import Choice, choose_steps
from truth import ExactGaussian

DATA = ExactGaussian(1.0, 0.5)
WHOLE = Chunk(0, CHUNK, 0, CHUNK)


@cache
def chosen(name: str, tol: float) -> Choice:
    return choose_steps(
        DATA, (1,), lambda k: uniform_log_snr(Cosine(), k), SAMPLERS[name](), tol=tol
    )


@pytest.mark.parametrize("name", ["ddim", "dpm++2m", "unipc", "heun"])
@pytest.mark.parametrize("tol", [0.1, 0.03, 0.01])
def test_the_chosen_steps_keep_the_tolerance_against_the_exact_flow(name: str, tol: float) -> None:
    def end(num_steps: int) -> torch.Tensor:
        levels = uniform_log_snr(Cosine(), num_steps)
        *_, last = chunk_frames(DATA, (1,), levels, SAMPLERS[name](), seed=0, chunk=WHOLE)
        return last.x_t

    start, *_ = chunk_frames(
        DATA, (1,), uniform_log_snr(Cosine(), 4), SAMPLERS[name](), seed=0, chunk=WHOLE
    )
    alpha, sigma = float(start.level.alpha), float(start.level.sigma)
    # The flow keeps the quantile: x_0 = m + s (x_t - alpha m)/std(x_t), for the clean level.
    exact = 1 + 0.5 * (start.x_t - alpha) / (alpha**2 * 0.25 + sigma**2) ** 0.5
    choice = chosen(name, tol)
    off = (end(choice.num_steps) - exact).abs().quantile(0.95) / 0.5
    # Half a percent is the step to the clean level, which the tolerance is not about.
    assert float(off) < tol + 0.005


def test_a_smaller_tolerance_takes_more_steps() -> None:
    steps = [chosen("dpm++2m", tol).num_steps for tol in (0.1, 0.01, 0.001, 0.0001)]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]


def test_a_higher_order_takes_fewer() -> None:
    assert chosen("unipc", 1e-4).num_steps < chosen("ddim", 1e-2).num_steps


def test_the_choice_says_what_it_saw() -> None:
    choice = chosen("dpm++2m", 0.01)
    assert 0 < choice.error < 0.01


@pytest.mark.parametrize("name", ["ancestral", "dpm++2m-sde"])
def test_methods_that_draw_noise_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="draws noise"):
        chosen(name, 0.01)


def test_too_few_levels_are_refused() -> None:
    with pytest.raises(ArgumentError, match="7 levels are too few"):
        choose_steps(DATA, (1,), lambda k: trailing(linear(7), k), SAMPLERS["ddim"](), tol=0.1,
                     most=7)  # fmt: skip


def test_the_last_number_that_fits_needs_no_other() -> None:
    choice = choose_steps(DATA, (1,), lambda k: trailing(linear(8), k), SAMPLERS["ddim"](),
                          tol=10.0, most=8)  # fmt: skip
    assert choice.num_steps == 4


def test_a_tolerance_beyond_reach_is_told() -> None:
    with pytest.raises(ArgumentError, match=r"up to 16 keeps sampling\.tol = 1e-09"):
        choose_steps(DATA, (1,), lambda k: trailing(linear(40), k), SAMPLERS["ddim"](), tol=1e-9,
                     most=40)  # fmt: skip
