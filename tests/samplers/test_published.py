"""Values that diffusers publishes in its own tests (tests/schedulers), met by these samplers.

Their set-up: x = arange(768).reshape(3, 8, 8, 4)/768 with its axes moved, the model
x t/(t + 1) at the 0-based step t, the linear table 1e-4 ... 0.02, 10 steps. They assert sum|x| to
1e-2 and mean|x| to 1e-3. Grids are written out here, because theirs end where ours do not.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato.denoisers.clipping import Clipped
from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.process import discrete, grids, parameterisations
from sfumato.process.noise import NoiseLevel, spread, then_clean
from sfumato.process.parameterisations import Parameterisation
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.dpm_solver import dpm_solver_2m
from sfumato.samplers.dpm_solver_singlestep import DPMSolverSinglestep
from sfumato.samplers.driver import Stepper
from sfumato.samplers.euler import euler, euler_ancestral
from sfumato.samplers.heun import Heun
from sfumato.samplers.unipc import Past, UniPC

START = torch.arange(768).reshape(3, 8, 8, 4).div(768).permute(3, 0, 1, 2).contiguous()
LINEAR = discrete.linear()


@dataclass
class Published:
    """Their model as a denoiser; `steps` says which 0-based step each level is told as."""

    target: Parameterisation
    levels: NoiseLevel
    steps: list[float]
    scaled: bool = False

    def __call__(self, x_t: Tensor, level: NoiseLevel) -> Prediction:
        place = int((self.levels.log_snr - level.log_snr).abs().argmin())
        step = self.steps[place]
        scalings = self.target(level)
        x_in = spread(scalings.c_in, x_t) * x_t if self.scaled else x_t
        answer = x_in * step / (step + 1)
        return Prediction(spread(scalings.c_skip, x_t) * x_t + spread(scalings.c_out, x_t) * answer)


def seeded() -> Callable[[Tensor], Tensor]:
    source = torch.Generator().manual_seed(0)
    return lambda x: torch.randn(x.shape, generator=source)


def no_noise(x: Tensor) -> Tensor:
    raise AssertionError("noise was asked for")


def walk(
    stepper: Stepper[Any],
    denoise: Denoiser,
    levels: NoiseLevel,
    noise: Callable[[Tensor], Tensor] = no_noise,
    x: Tensor = START,
) -> Iterator[tuple[Tensor, Any]]:
    state = stepper.start()
    for k in range(len(levels) - 1):
        x, _, state = stepper.step(denoise, x, levels[k], levels[k + 1], state, noise)
        yield x, state


def end(*arguments: Any, **named: Any) -> Tensor:
    *_, (x, _) = walk(*arguments, **named)
    return x


def of_table(target: Parameterisation, table: discrete.DiscreteSchedule = LINEAR) -> Published:
    return Published(target, table.levels[1:], [float(t) for t in range(table.num_levels)])


@pytest.mark.parametrize(
    ("target", "total", "mean"), [("eps", 258.9606, 0.3372), ("v", 202.0296, 0.2631)]
)
def test_ddpm_of_a_thousand_steps(target: str, total: float, mean: float) -> None:
    denoise = Clipped(of_table(parameterisations.PARAMETERISATIONS[target]), 1.0)
    levels = grids.trailing(LINEAR, 1000)
    x = end(Ancestral(), denoise, levels, seeded())
    assert float(x.abs().sum()) == pytest.approx(total, abs=1e-2)
    assert float(x.abs().mean()) == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize(
    ("target", "total", "mean"), [("eps", 172.0067, 0.223967), ("v", 52.5302, 0.0684)]
)
def test_ddim_of_ten_leading_steps(target: str, total: float, mean: float) -> None:
    denoise = Clipped(of_table(parameterisations.PARAMETERISATIONS[target]), 1.0)
    x = end(DDIM(), denoise, grids.leading(LINEAR, 10))
    assert float(x.abs().sum()) == pytest.approx(total, abs=1e-2)
    assert float(x.abs().mean()) == pytest.approx(mean, abs=1e-3)


def test_ddim_of_a_noisier_table() -> None:
    table = discrete.linear(beta_start=0.01)
    denoise = Clipped(of_table(parameterisations.eps, table), 1.0)
    levels = grids.leading(table, 10)
    x = end(DDIM(), denoise, levels)
    assert float(x.abs().sum()) == pytest.approx(149.8295, abs=1e-2)
    assert float(x.abs().mean()) == pytest.approx(0.1951, abs=1e-3)
    # "set_alpha_to_one = False": the last step stays at the table's least noise.
    x = end(DDIM(), denoise, levels[:-1])
    assert float(x.abs().sum()) == pytest.approx(149.0784, abs=1e-2)
    assert float(x.abs().mean()) == pytest.approx(0.1941, abs=1e-3)


def ten_to_the_least_noise() -> NoiseLevel:
    """Steps 999, 899, ..., 100 (eleven evenly, without 0), then the table's least noise."""
    steps = np.linspace(0, 999, 11).round().astype(int)[::-1]
    return LINEAR.levels[torch.from_numpy(steps.copy()) + 1]


def karras_ten() -> tuple[NoiseLevel, list[float]]:
    """Ten sigmas by Karras et al., eq. 5, between the table's ends, and the nearest steps."""
    sigmas = LINEAR.levels[1:].sigma_ve.numpy()
    ends = sigmas[-1] ** (1 / 7), sigmas[0] ** (1 / 7)
    chosen = torch.from_numpy(np.linspace(*ends, 10) ** 7)
    place = np.interp(np.log(chosen.numpy()), np.log(sigmas), np.arange(1000)).round()
    return NoiseLevel.from_log_snr(-2 * chosen.log()), place.tolist()


@pytest.mark.parametrize(("target", "mean"), [("eps", 0.3301), ("v", 0.2251)])
def test_dpm_solver_2m(target: str, mean: float) -> None:
    denoise = of_table(parameterisations.PARAMETERISATIONS[target])
    x = end(dpm_solver_2m(), denoise, ten_to_the_least_noise())
    assert float(x.abs().mean()) == pytest.approx(mean, abs=1e-3)


def test_dpm_solver_2m_on_karras_levels() -> None:
    levels, steps = karras_ten()
    x = end(dpm_solver_2m(), Published(parameterisations.v, levels, steps), levels)
    assert float(x.abs().mean()) == pytest.approx(0.2096, abs=1e-3)


def test_dpm_solver_singlestep() -> None:
    x = end(DPMSolverSinglestep(), of_table(parameterisations.eps), ten_to_the_least_noise())
    assert float(x.abs().mean()) == pytest.approx(0.2791, abs=1e-3)


def last_step_of_first_order(denoise: Denoiser, levels: NoiseLevel) -> Tensor:
    """UniPC as they run it: its last predictor, from the corrected x, is of order one."""
    *_, (_, state) = walk(UniPC(), denoise, levels)
    assert isinstance(state, Past)
    prediction = Prediction(state.known[0][1])
    return DDIM().step(
        lambda x, level: prediction, state.x, levels[-2], levels[-1], None, no_noise
    )[0]


@pytest.mark.parametrize(("target", "mean"), [("eps", 0.2464), ("v", 0.1014)])
def test_unipc(target: str, mean: float) -> None:
    denoise = of_table(parameterisations.PARAMETERISATIONS[target])
    x = last_step_of_first_order(denoise, ten_to_the_least_noise())
    assert float(x.abs().mean()) == pytest.approx(mean, abs=1e-3)


def test_unipc_on_karras_levels() -> None:
    levels, steps = karras_ten()
    # Their grid has the least noise twice: the last step, of no length, only corrects.
    *_, (_, state) = walk(
        UniPC(), Published(parameterisations.eps, levels, steps), then_clean(levels)
    )
    assert isinstance(state, Past)
    assert float(state.x.abs().mean()) == pytest.approx(0.2925, abs=1e-3)


def longer() -> tuple[NoiseLevel, list[float]]:
    """T = 1100: ten steps evenly from 1099 to 0, not rounded, sigma interpolated; alpha = 1."""
    sigmas = discrete.linear(1100, reference_levels=1100).levels[1:].sigma_ve.numpy()
    steps = np.linspace(0, 1099, 10)[::-1].copy()
    sigma = torch.from_numpy(np.interp(steps, np.arange(1100), sigmas))
    return then_clean(NoiseLevel(torch.ones_like(sigma), sigma)), steps.tolist()


def scaled_walk(
    stepper: Stepper[None],
    denoise: Published,
    levels: NoiseLevel,
    noise: Callable[[Tensor], Tensor] = no_noise,
) -> Tensor:
    """Their tests pass the network's scaled input on as the state itself; so this does.

    At the level where a step begins the state is the input already.
    """
    x = START * float(levels.sigma[0])
    for k in range(len(levels) - 1):
        t, s = levels[k], levels[k + 1]
        x = x / float((t.sigma**2 + 1).sqrt())

        def quirk(x_t: Tensor, level: NoiseLevel, begin: NoiseLevel = t) -> Prediction:
            at_begin = float(level.sigma) == float(begin.sigma)
            return replace(denoise, scaled=not at_begin)(x_t, level)

        x, _, _ = stepper.step(quirk, x, t, s, None, noise)
    return x


@pytest.mark.parametrize(
    ("stepper", "total", "mean"),
    [(euler(), 10.0807, 0.0131), (Heun(), 0.1233, 0.0002), (euler_ancestral(), 152.3192, 0.1983)],
    ids=["euler", "heun", "euler-ancestral"],
)
def test_samplers_in_sigma(stepper: Stepper[None], total: float, mean: float) -> None:
    levels, steps = longer()
    denoise = Published(parameterisations.eps, levels, steps)
    x = scaled_walk(stepper, denoise, levels, seeded())
    assert float(x.abs().sum()) == pytest.approx(total, abs=1e-2)
    assert float(x.abs().mean()) == pytest.approx(mean, abs=1e-3)


def test_euler_of_edm() -> None:
    # Ten levels from 80 to 0.002 with rho = 7; told as log(sigma)/4; data deviation 0.5.
    sigma = torch.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), 10, dtype=torch.float64) ** 7
    levels = then_clean(NoiseLevel(torch.ones_like(sigma), sigma))
    told = (sigma.log() / 4).tolist()
    denoise = Published(partial(parameterisations.edm, data_std=0.5), levels, told, scaled=True)
    x = end(euler(), denoise, levels, x=START * math.hypot(80, 1))
    assert float(x.abs().sum()) == pytest.approx(34.1855, abs=1e-2)
    assert float(x.abs().mean()) == pytest.approx(0.044, abs=1e-3)
