"""Continuous schedules against mpmath, their limits, and their inverses."""

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import SCHEDULES, Cosine, Linear, Schedule
from sfumato.process.tables import linear as linear_table

EVERY: list[Schedule] = [
    Cosine(), Cosine(20.0, -6.0), Cosine(9.1, -12.0, 2.0),
    Linear(), Linear(0.5, 0.5), Linear(0.1, 40.0, 1e-3),
]  # fmt: skip
times = st.floats(0, 1)


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_noise_only_grows(schedule: Schedule) -> None:
    assert bool((schedule(torch.linspace(0, 1, 2001).double()).log_snr.diff() < 0).all())


@pytest.mark.parametrize("schedule", EVERY, ids=str)
@given(t=times)
def test_variance_is_preserved(schedule: Schedule, t: float) -> None:
    level = schedule(double(t))
    assert float(level.alpha**2 + level.sigma**2) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
@given(t=times)
def test_time_inverts_the_schedule(schedule: Schedule, t: float) -> None:
    assert float(schedule.time(schedule(double(t)).log_snr)) == pytest.approx(t, abs=1e-11)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
@given(part=times)
def test_the_schedule_inverts_time(schedule: Schedule, part: float) -> None:
    most, least = schedule(double(0.0, 1.0)).log_snr
    asked = torch.lerp(most, least, double(part))
    assert torch.allclose(schedule(schedule.time(asked)).log_snr, asked, rtol=0, atol=1e-8)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_float32_times_give_float64_levels(schedule: Schedule) -> None:
    level = schedule(torch.tensor([[0.25, 0.5]]))
    assert (level.alpha.dtype, level.alpha.shape) == (torch.float64, torch.Size([1, 2]))


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_cosine_ends_at_its_limits(shift: float) -> None:
    level = Cosine(log_snr_max=12.3, log_snr_min=-9.7, shift=shift)(double(0.0, 1.0))
    assert level.log_snr.tolist() == pytest.approx([12.3, -9.7], abs=1e-9)


def test_cosine_is_odd_about_its_middle() -> None:
    levels = Cosine(11.0, -11.0)(double(0.2, 0.5, 0.8)).log_snr
    assert float(levels[1]) == pytest.approx(0.0, abs=1e-13)
    assert float(levels[0]) == pytest.approx(-float(levels[2]), rel=1e-12)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.37, 0.8, 1.0])
@pytest.mark.parametrize("shift", [0, 3, -2])
def test_cosine_angle_is_linear_in_time(t: float, shift: int) -> None:
    # Hoogeboom et al. (2023): log SNR = -2 log tan(angle) + shift, clipped to 12 ... -10.
    with mp.workdps(30):
        first, last = (mp.atan(mp.exp(mp.mpf(shift - end) / 2)) for end in (12, -10))
        log_snr = -2 * mp.log(mp.tan(first + (last - first) * mp.mpf(t))) + shift
        sigma = mp.sqrt(1 / (1 + mp.exp(log_snr)))
    level = Cosine(12.0, -10.0, float(shift))(double(t))
    assert float(level.log_snr) == pytest.approx(float(log_snr), abs=1e-11)
    assert float(level.sigma) == pytest.approx(float(sigma), rel=1e-11)


def test_wide_cosine_is_the_plain_cosine() -> None:
    # Nichol & Dhariwal's alpha = cos(pi t/2), without their offset.
    level = Cosine(60.0, -60.0)(double(0.3))
    assert float(level.alpha) == pytest.approx(math.cos(0.15 * math.pi), rel=1e-12)


@pytest.mark.parametrize("t", [0.0, 1e-3, 0.3, 1.0])
def test_linear_is_the_integral_of_its_rate(t: float) -> None:
    # alpha = exp(-1/2 int_0^time beta), beta(u) = 0.1 + 19.9 u (Song et al. 2021).
    with mp.workdps(30):
        time = mp.mpf("1e-5") + (1 - mp.mpf("1e-5")) * mp.mpf(t)
        integral = mp.quad(lambda u: mp.mpf("0.1") + mp.mpf("19.9") * u, [0, time])
        alpha, sigma = mp.exp(-integral / 2), mp.sqrt(1 - mp.exp(-integral))
    level = Linear()(double(t))
    assert float(level.alpha) == pytest.approx(float(alpha), rel=1e-13)
    assert float(level.sigma) == pytest.approx(float(sigma), rel=1e-13)


def test_linear_is_the_limit_of_the_table() -> None:
    # Off by O(1/T): 2e5 levels are 4e-4 apart in log alpha_bar at the end.
    table = linear_table(200_000)
    i = torch.tensor([20_000, 100_000, 200_000])
    continuous = Linear(time_min=1e-12)(i.double() / 200_000)
    gap = table.levels[i].log_snr - continuous.log_snr
    assert float(gap.abs().max()) < 1e-3


def test_linear_keeps_its_digits_close_to_the_data() -> None:
    # 1 - alpha² = 1 - exp(-1e-13 (1 + ...)), which 1 - alpha**2 rounds to four digits.
    level = Linear(time_min=1e-12)(double(0.0))
    assert float(level.sigma) == pytest.approx(math.sqrt(1e-13), rel=1e-9)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (-1.0, 1.0), (math.nan, 0.0)])
def test_cosine_refuses_limits_out_of_order(ends: tuple[float, float]) -> None:
    with pytest.raises(ArgumentError, match="`log_snr_min` must be below"):
        Cosine(*ends)


@pytest.mark.parametrize("rates", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (math.nan, 1.0)])
def test_linear_refuses_rates_out_of_order(rates: tuple[float, float]) -> None:
    with pytest.raises(ArgumentError, match="`beta_min` and `beta_max`"):
        Linear(*rates)


@pytest.mark.parametrize("time_min", [0.0, 1.0, -0.1])
def test_linear_refuses_a_first_time_outside(time_min: float) -> None:
    with pytest.raises(ArgumentError, match="`time_min`"):
        Linear(time_min=time_min)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_named_schedule_starts_from_next_to_no_signal(name: str) -> None:
    # The prior N(0, I) is q(x_T) to within alpha² = 1e-4 of the data's variance.
    level: NoiseLevel = SCHEDULES[name]()(double(1.0))
    assert float(level.alpha) ** 2 < 1e-4
