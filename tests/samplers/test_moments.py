"""Each stochastic method's mean and spread against those of the data, without sampling.

The data are N(1, 0.25), so that a prior or a drift that is a little off shows in the mean.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch

from sfumato import config
from sfumato.config import recipes
from sfumato.errors import ArgumentError
from sfumato.models.registry import build_grid, build_process, build_stepper
from sfumato.process import discrete, grids
from sfumato.process.noise import NoiseLevel, then_clean
from sfumato.samplers import SAMPLERS
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import Stepper
from sfumato.samplers.heun import Heun
from sfumato.samplers.langevin import PredictorCorrector
from truth import ExactGaussian, propagate

DATA = ExactGaussian(mean=1.0, std=0.5)
STEPS = (32, 64, 128)


def levels(num_steps: int, log_snr_max: float = 14.0) -> NoiseLevel:
    """Evenly in log-SNR from hardly any signal to hardly any noise, then clean."""
    return then_clean(
        NoiseLevel.from_log_snr(torch.linspace(-12, log_snr_max, num_steps, dtype=torch.float64))
    )


def start(grid: NoiseLevel) -> tuple[float, float]:
    """Mean and deviation of the noised data at the first level."""
    alpha, sigma = float(grid.alpha[0]), float(grid.sigma[0])
    return alpha * 1.0, math.hypot(alpha * 0.5, sigma)


def errors(stepper: Stepper[Any]) -> list[float]:
    """The larger of the errors of mean and deviation, for each number of steps."""
    found = []
    for num_steps in STEPS:
        grid = levels(num_steps)
        mean, std = propagate(stepper, DATA, grid, *start(grid))
        found.append(max(abs(mean - 1), abs(std - 0.5)))
    return found


@pytest.mark.parametrize(
    ("stepper", "order"),
    [
        (Ancestral("beta_tilde"), 1),
        (Ancestral("beta"), 1),
        (DDIM(0.5), 1),
        (SAMPLERS["euler-ancestral"](), 1),
        (SAMPLERS["dpm++2m-sde"](), 2),
        (SAMPLERS["dpm++2m-sde"](eta=0.5), 2),
        (SAMPLERS["dpm++2m-sde"](eta=0.5, noise_below=1.0), 2),
        # Past predictions carry the noise of their own steps, so a third one gains no order.
        (SAMPLERS["dpm++3m-sde"](), 2),
    ],
    ids=str,
)
def test_moments_converge(stepper: Stepper[Any], order: float) -> None:
    found = errors(stepper)
    assert found[-1] < 0.03
    # Weak order: of the moments, not of single paths.
    assert -np.polyfit(np.log(STEPS), np.log(found), 1)[0] > order - 0.15


@pytest.mark.parametrize("churn", [0.05, 0.2, 0.41])
def test_churn_leaves_the_distribution(churn: float) -> None:
    grid = levels(128)
    mean, std = propagate(Heun(churn=churn), DATA, grid, *start(grid))
    assert (mean, std) == pytest.approx((1, 0.5), abs=6e-3)


def test_the_sde_draws_noise_only_below_its_bound() -> None:
    grid, draws = levels(64), []

    def noise(x: torch.Tensor) -> torch.Tensor:
        draws.append(k)
        return torch.zeros_like(x)

    stepper = SAMPLERS["dpm++2m-sde"](eta=1.0, noise_below=0.5)
    state = stepper.start()
    x = torch.ones(1, 1, dtype=torch.float64)
    for k in range(len(grid) - 1):
        x, _, state = stepper.step(DATA, x, grid[k], grid[k + 1], state, noise)
    below = (grid.sigma_ve[:-2] <= 0.5).nonzero().flatten()  # and none to the clean level
    assert draws == below.tolist()


def test_churn_draws_noise_only_between_its_bounds() -> None:
    grid = levels(64)
    draws = []

    def noise(x: torch.Tensor) -> torch.Tensor:
        draws.append(1)
        return torch.zeros_like(x)

    stepper = Heun(churn=0.1, churn_min=0.1, churn_max=10.0)
    for k in range(len(grid) - 1):
        stepper.step(DATA, torch.zeros(1, 1).double(), grid[k], grid[k + 1], None, noise)
    sigma_ve = grid[:-1].sigma_ve
    assert len(draws) == int(((sigma_ve >= 0.1) & (sigma_ve <= 10)).sum())


def test_langevin_steps_hold_the_level_they_are_at() -> None:
    # A step of size e on N(m, v) makes its deviation sqrt(v/(1 - e/(2 v))) in the long run: by
    # solving v' = (1 - e/v)² v' + 2 e.
    grid = NoiseLevel.from_log_snr(torch.tensor([0.7, 0.0], dtype=torch.float64).flip(0))
    alpha, sigma = float(grid.alpha[1]), float(grid.sigma[1])
    v, e = (alpha * 0.5) ** 2 + sigma**2, 2 * (0.3 * sigma) ** 2
    mean, std = propagate(PredictorCorrector(corrections=200, snr=0.3), DATA, grid)
    assert mean == pytest.approx(alpha, rel=1e-9)
    assert std == pytest.approx(math.sqrt(v / (1 - e / (2 * v))), rel=1e-9)


def test_corrections_mend_a_predictor_that_is_too_coarse() -> None:
    grid = levels(12)
    coarse = propagate(DDIM(1.0), DATA, grid, *start(grid))
    mended = propagate(PredictorCorrector(corrections=30, snr=0.2), DATA, grid, *start(grid))
    assert abs(mended[1] - 0.5) < abs(coarse[1] - 0.5) / 2


@pytest.mark.parametrize("snr", [0.1, 0.16])
def test_predictor_and_corrector_reach_the_data(snr: float) -> None:
    grid = levels(1600)
    mean, std = propagate(PredictorCorrector(snr=snr), DATA, grid, *start(grid))
    assert mean == pytest.approx(1, abs=1e-9)
    # Wider by no more than the Langevin steps' own widening.
    assert 0.499 < std < 0.5 / math.sqrt(1 - snr**2)


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n not in ("heun", "runge-kutta")])
def test_a_start_without_any_signal_is_walked_from(name: str) -> None:
    # Lin et al. (2024): alpha_T = 0. Lambda is infinite there, and must not enter a polynomial.
    table = discrete.zero_terminal_snr(discrete.linear(1000))
    grid = grids.trailing(table, 250)
    assert float(grid.alpha[0]) == 0
    mean, std = propagate(SAMPLERS[name](), DATA, grid)
    assert mean == pytest.approx(1, abs=0.01)
    assert std == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", ["heun", "runge-kutta"])
def test_methods_that_divide_by_alpha_say_so(name: str) -> None:
    grid = grids.trailing(discrete.zero_terminal_snr(discrete.linear(100)), 10)
    with pytest.raises(ArgumentError, match="alpha, which is 0"):
        propagate(SAMPLERS[name](), DATA, grid)


@pytest.mark.parametrize(
    ("recipe", "off"),
    [
        (recipes.table(3000, 9), 0.01),
        (recipes.table(100, 9), 0.02),
        (recipes.points(10_000, 2), 0.004),
        (recipes.points(10_000, 9), 0.004),
    ],
    ids=["long table", "short table", "points", "points in many columns"],
)
def test_the_recipes_walks_keep_the_width_of_a_normal_law(
    recipe: dict[str, Any], off: float
) -> None:
    """In one long step from pure noise some of it is lost, and its tails first."""
    settings = config.resolve(recipe)
    grid = build_grid(settings.sampling, build_process(settings.process))
    data = ExactGaussian(mean=0.0, std=1.0)
    _, std = propagate(build_stepper(settings.sampling), data, grid, 0.0, 1.0)
    assert std == pytest.approx(1, abs=off)
