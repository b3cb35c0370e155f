"""Schedules made into tables and back: the nodes stay, the betas stay, the ends are told."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato.errors import ArgumentError
from sfumato.process import discrete, grids
from sfumato.process.conversions import Interpolated, from_schedule
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import SCHEDULES, Cosine, Linear, Schedule


class Resting:
    """A schedule whose noise does not grow in the second half."""

    def __call__(self, t: Tensor) -> NoiseLevel:
        return NoiseLevel.from_log_snr(5 - 10 * t.double().clamp(max=0.5))

    def time(self, log_snr: Tensor) -> Tensor:
        return (5 - log_snr) / 10


def nodes(num_levels: int) -> Tensor:
    return torch.arange(1, num_levels + 1, dtype=torch.float64) / num_levels


@pytest.mark.parametrize("name", SCHEDULES)
def test_levels_are_the_schedules(name: str) -> None:
    schedule: Schedule = SCHEDULES[name]()
    table = from_schedule(schedule, 50)
    assert (float(table.levels.alpha[0]), float(table.levels.sigma[0])) == (1.0, 0.0)
    assert torch.allclose(table.levels.log_snr[1:], schedule(nodes(50)).log_snr, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_tables_preserve_variance_whatever_the_schedule(name: str) -> None:
    levels = from_schedule(SCHEDULES[name](), 50).levels
    power = levels.alpha**2 + levels.sigma**2
    assert torch.allclose(power, torch.ones_like(power), rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("num_levels", [1, 2, 1000])
def test_the_betas_make_the_levels(name: str, num_levels: int) -> None:
    table = from_schedule(SCHEDULES[name](), num_levels)
    by_hand = np.cumprod(1 - table.beta.numpy())
    assert np.allclose(table.alpha_bar[1:].numpy(), by_hand, rtol=1e-11, atol=0)


def test_vp_sde_gives_ddpms_table() -> None:
    # DDPM's betas are T-ths of the rate at i/T, to the first order in 1/T: at T = 1e5, 1e-4.
    table = from_schedule(Linear(time_min=1e-12), 100_000)
    i = np.arange(1, 100_001)
    by_hand = (0.1 + 19.9 * i / 100_000) / 100_000
    assert np.allclose(table.beta.numpy()[1000:], by_hand[1000:], rtol=4e-4, atol=0)


def test_cosine_gives_nichol_and_dhariwals_betas() -> None:
    # 1 - cos²(pi i/(2T))/cos²(pi (i - 1)/(2T)), theirs without the offset; far enough from the
    # clipped ends for a range of 80 nats to change nothing.
    beta = from_schedule(Cosine(40.0, -40.0), 100).beta.numpy()
    i = np.arange(1, 101)
    squared = np.cos(np.pi * i / 200) ** 2
    by_hand = 1 - squared[9:90] / squared[8:89]
    assert np.allclose(beta[9:90], by_hand, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("num_levels", [2, 10, 1000])
def test_there_and_back_agrees_at_the_nodes(name: str, num_levels: int) -> None:
    schedule, t = SCHEDULES[name](), nodes(num_levels)
    back = Interpolated(from_schedule(schedule, num_levels))
    assert torch.allclose(back(t).log_snr, schedule(t).log_snr, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
@pytest.mark.parametrize("num_levels", [2, 10, 1000])
def test_back_and_there_gives_the_same_betas(name: str, num_levels: int) -> None:
    table = discrete.DISCRETE_SCHEDULES[name](num_levels=num_levels)
    again = from_schedule(Interpolated(table), num_levels)
    assert torch.allclose(again.beta, table.beta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
def test_the_inverse_is_exact_at_the_levels(name: str) -> None:
    table = discrete.DISCRETE_SCHEDULES[name](num_levels=60)
    ours = Interpolated(table).time(table.levels.log_snr[1:])
    assert torch.equal(ours, nodes(60))


def test_between_levels_log_snr_is_a_line() -> None:
    # alpha_bar 0.8, 0.6 and 0.1: log-SNR log 4, log 3/2 and -log 9 at t = 1/3, 2/3 and 1.
    beta = torch.tensor([0.2, 0.25, 5 / 6], dtype=torch.float64)
    schedule = Interpolated(discrete.from_beta(beta))
    t = torch.tensor([0.0, 0.5, 0.9], dtype=torch.float64)
    by_hand = [
        2 * math.log(4) - math.log(1.5),
        (math.log(4) + math.log(1.5)) / 2,
        0.3 * math.log(1.5) - 0.7 * math.log(9),
    ]
    assert schedule(t).log_snr.tolist() == pytest.approx(by_hand, rel=1e-12)
    assert schedule.time(torch.tensor(by_hand, dtype=torch.float64)).tolist() == pytest.approx(
        t.tolist(), abs=1e-12
    )


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
def test_interpolated_noise_only_grows_and_is_inverted(name: str) -> None:
    schedule = Interpolated(discrete.DISCRETE_SCHEDULES[name](num_levels=30))
    t = torch.linspace(0, 1, 501, dtype=torch.float64)
    log_snr = schedule(t).log_snr
    assert bool(log_snr.isfinite().all() and (log_snr.diff() < 0).all())
    assert torch.allclose(schedule.time(log_snr), t, rtol=0, atol=1e-12)


def test_interpolated_time_is_differentiable() -> None:
    schedule = Interpolated(discrete.linear(30))
    asked = torch.linspace(-8, 5, 40, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(schedule.time(asked).sum(), asked)
    at = asked.detach()
    by_hand = (schedule.time(at + 1e-6) - schedule.time(at - 1e-6)) / 2e-6
    assert torch.allclose(slope, by_hand, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", grids.CONTINUOUS_GRIDS)
def test_schedule_grids_walk_an_interpolated_table(name: str) -> None:
    table = discrete.linear(100)
    levels = grids.CONTINUOUS_GRIDS[name](Interpolated(table), 8)
    assert float(levels.log_snr[0]) == pytest.approx(float(table.levels.log_snr[-1]), abs=1e-9)
    assert bool((levels.sigma_ve.diff() < 0).all())


def test_zero_terminal_snr_is_refused_with_its_remedy() -> None:
    table = discrete.zero_terminal_snr(discrete.linear(50))
    with pytest.raises(ArgumentError, match=r"with_signal\(schedule\)"):
        Interpolated(table)
    assert float(Interpolated(discrete.with_signal(table)).time(table.levels.log_snr[49])) == 1


def test_one_level_is_no_line() -> None:
    with pytest.raises(ArgumentError, match="2 levels or more"):
        Interpolated(discrete.from_beta(torch.tensor([0.5])))


@pytest.mark.parametrize("num_levels", [0, -4])
def test_less_than_one_level_is_refused(num_levels: int) -> None:
    with pytest.raises(ArgumentError, match=f"at least 1; got {num_levels}"):
        from_schedule(Cosine(), num_levels)


def test_schedules_that_rest_are_refused_where_they_do() -> None:
    with pytest.raises(ArgumentError, match="does not at level 6"):
        from_schedule(Resting(), 10)
