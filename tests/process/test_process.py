"""A process of either kind against its schedule, closed forms, and schedules of a user's own."""

import math
import re
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.errors import ArgumentError
from sfumato.process import discrete
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.grids import CONTINUOUS_GRIDS, DISCRETE_GRIDS
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import ContinuousProcess, DiscreteProcess, Process, as_process
from sfumato.process.schedules import SCHEDULES, VE, Cosine, Linear, RectifiedFlow

# log-SNR falls by 2 ln 9 every quarter of the time, from 81² to 81^-2, sigma = 9^(4t - 2).
GEOMETRIC = VE(sigma_min=1 / 81, sigma_max=81.0)
BETA = torch.tensor([0.1, 0.2, 0.5, 0.75], dtype=torch.float64)
ALPHA_BAR = torch.tensor([1, 0.9, 0.72, 0.36, 0.09], dtype=torch.float64)
FOUR = discrete.from_beta(BETA)
WITHOUT_SIGNAL = discrete.from_beta(torch.cat([BETA, torch.ones(1)]))
BOTH: tuple[Process, ...] = (ContinuousProcess(GEOMETRIC), DiscreteProcess(FOUR))


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def alpha_bar(level: NoiseLevel) -> Tensor:
    return level.alpha**2


def test_uniform_draws_name_the_times_of_a_continuous_process() -> None:
    level = ContinuousProcess(GEOMETRIC).at(double(0, 0.25, 0.5, 1))
    torch.testing.assert_close(level.sigma, double(1 / 81, 1 / 9, 1, 81))
    torch.testing.assert_close(level.alpha, torch.ones_like(level.alpha))


def test_uniform_draws_name_equal_shares_of_discrete_levels() -> None:
    level = DiscreteProcess(FOUR).at(double(0, 0.2499, 0.25, 0.5, 0.76, 1))
    torch.testing.assert_close(alpha_bar(level), double(0.9, 0.9, 0.72, 0.36, 0.09, 0.09))


@pytest.mark.parametrize("num_levels", [1, 2, 3, 7, 100, 999, 1000])
def test_even_draws_visit_every_discrete_level_once(num_levels: int) -> None:
    schedule = discrete.linear(num_levels, reference_levels=num_levels)
    level = DiscreteProcess(schedule).at(torch.linspace(0, 1, num_levels, dtype=torch.float64))
    assert torch.equal(schedule.index(level), torch.arange(1, num_levels + 1))


def test_the_shape_of_the_draws_is_kept() -> None:
    for process in BOTH:
        assert process.at(torch.rand(2, 3, dtype=torch.float64)).alpha.shape == (2, 3)
        assert process.noisiest.alpha.shape == process.least_noisy.sigma.shape == ()


def test_the_time_of_a_log_snr_is_the_schedules() -> None:
    log_snr = -2 * double(1 / 81, 1 / 9, 3, 81).log()
    torch.testing.assert_close(
        ContinuousProcess(GEOMETRIC).time(log_snr), double(0, 0.25, 0.625, 1)
    )


def test_the_time_of_a_log_snr_is_the_middle_of_the_nearest_level() -> None:
    process = DiscreteProcess(FOUR)
    between = FOUR.levels.log_snr[2:4].mean()
    log_snr = torch.stack([double(50.0)[0], between + 0.01, between - 0.01, double(-50.0)[0]])
    u = process.time(log_snr)
    assert u.dtype == torch.float64
    assert u.tolist() == [0.125, 0.375, 0.625, 0.875]
    torch.testing.assert_close(alpha_bar(process.at(u)), double(0.9, 0.72, 0.36, 0.09))


def test_the_rate_of_the_snr_of_a_geometric_schedule() -> None:
    """SNR = 81² 81^(-4t), so that -dSNR/dt = 4 ln(81) SNR."""
    process = ContinuousProcess(GEOMETRIC)
    level = process.at(double(0.1, 0.5, 0.9))
    torch.testing.assert_close(process.snr_rate(level), 4 * math.log(81) * level.sigma**-2)


def test_the_rate_of_the_snr_of_discrete_levels() -> None:
    """T (SNR_{i-1} - SNR_i); the step to clean has the variance beta_1, and so T/beta_1."""
    snr = ALPHA_BAR[1:] / (1 - ALPHA_BAR[1:])
    expected = 4 * torch.cat([double(1 / 0.1), snr[:-1] - snr[1:]])
    process, backwards = DiscreteProcess(FOUR), torch.tensor([4, 2, 1, 3])
    found = process.snr_rate(FOUR.levels[backwards])
    torch.testing.assert_close(found, expected[backwards - 1])


def test_a_continuous_process_until_a_time_is_stretched_over_it() -> None:
    part = ContinuousProcess(GEOMETRIC).until(0.5)
    torch.testing.assert_close(part.at(double(0, 0.5, 1)).sigma, double(1 / 81, 1 / 9, 1))
    assert float(part.noisiest.sigma) == pytest.approx(1)


@pytest.mark.parametrize(
    ("end", "left"),
    # Rounded half to even, as Python does; at least one.
    [(1.0, 4), (0.8, 3), (0.625, 2), (0.5, 2), (0.375, 2), (0.3, 1), (0.01, 1)],
)
def test_a_discrete_process_until_a_time_keeps_that_share_of_its_levels(
    end: float, left: int
) -> None:
    part = DiscreteProcess(FOUR).until(end)
    assert part.num_levels == left
    torch.testing.assert_close(part.schedule.alpha_bar, ALPHA_BAR[: left + 1])


@pytest.mark.parametrize("end", [0.0, -0.5, 1.01, math.nan])
@pytest.mark.parametrize("process", BOTH)
def test_the_end_lies_above_clean_and_within_the_process(process: Process, end: float) -> None:
    with pytest.raises(ArgumentError, match=r"above 0 \(clean\) and at most 1"):
        process.until(end)


def test_a_last_level_without_signal_is_left_out() -> None:
    torch.testing.assert_close(
        alpha_bar(DiscreteProcess(WITHOUT_SIGNAL).with_signal().schedule.levels), ALPHA_BAR
    )
    assert DiscreteProcess(FOUR).with_signal().num_levels == 4
    assert ContinuousProcess(GEOMETRIC).with_signal().schedule is GEOMETRIC


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("grid", CONTINUOUS_GRIDS)
def test_continuous_grids_are_those_of_their_names(name: str, grid: str) -> None:
    schedule = SCHEDULES[name]()
    found, expected = ContinuousProcess(schedule).grid(grid, 7), CONTINUOUS_GRIDS[grid](schedule, 7)
    assert torch.equal(found.alpha, expected.alpha)
    assert torch.equal(found.sigma, expected.sigma)


@pytest.mark.parametrize("grid", DISCRETE_GRIDS)
@pytest.mark.parametrize("schedule", [discrete.linear(20), WITHOUT_SIGNAL])
def test_discrete_grids_are_those_of_their_names(schedule: DiscreteSchedule, grid: str) -> None:
    found, expected = DiscreteProcess(schedule).grid(grid, 5), DISCRETE_GRIDS[grid](schedule, 5)
    assert torch.equal(found.alpha, expected.alpha)
    assert torch.equal(found.sigma, expected.sigma)


@pytest.mark.parametrize(
    ("process", "name", "said"),
    [
        (BOTH[0], "trailing", "grid of a continuous schedule (sampling.grid) 'trailing'; known: "),
        (BOTH[0], "uniform-tme", "did you mean 'uniform-time'?"),
        (BOTH[1], "uniform-time", "grid of a discrete schedule (sampling.grid) 'uniform-time'"),
        (BOTH[1], "trialing", "did you mean 'trailing'?"),
    ],
)
def test_an_unknown_grid_is_answered_with_the_nearest(
    process: Process, name: str, said: str
) -> None:
    with pytest.raises(ArgumentError, match=re.escape(said)):
        process.grid(name, 5)


@pytest.mark.parametrize(
    "process",
    [*BOTH, DiscreteProcess(WITHOUT_SIGNAL), ContinuousProcess(Cosine()).until(0.3)],
)
@pytest.mark.parametrize("num_steps", [1, 3])
def test_the_default_grid_begins_at_the_noisiest_level(process: Process, num_steps: int) -> None:
    levels = process.grid(process.default_grid, num_steps)
    assert len(levels) == num_steps + 1
    assert float(levels.alpha[0]) == pytest.approx(float(process.noisiest.alpha), rel=1e-12)
    assert float(levels.sigma[0]) == pytest.approx(float(process.noisiest.sigma), rel=1e-12)
    assert float(levels.sigma[-1]) == 0


@pytest.mark.parametrize("process", BOTH)
def test_every_suggested_grid_is_known_and_the_default_is_among_them(process: Process) -> None:
    assert process.default_grid in process.suggested_grids
    for name in process.suggested_grids:
        assert len(process.grid(name, 3)) == 4


@pytest.mark.parametrize("process", [DiscreteProcess(FOUR), DiscreteProcess(WITHOUT_SIGNAL)])
@pytest.mark.parametrize("grid", ["trailing", "uniform-log-snr"])
def test_as_many_steps_as_levels_visit_every_level(process: DiscreteProcess, grid: str) -> None:
    levels = process.grid(grid, process.num_levels)
    torch.testing.assert_close(alpha_bar(levels), process.schedule.alpha_bar.flip(0))


def test_levels_evenly_in_time_begin_clean_and_end_with_the_noisiest() -> None:
    levels = ContinuousProcess(GEOMETRIC).evenly(5)
    torch.testing.assert_close(levels.sigma, double(0, 1 / 9, 1, 9, 81))
    torch.testing.assert_close(alpha_bar(DiscreteProcess(FOUR).evenly(5)), ALPHA_BAR)
    torch.testing.assert_close(alpha_bar(DiscreteProcess(FOUR).evenly(3)), ALPHA_BAR[[0, 2, 4]])
    assert len(DiscreteProcess(FOUR).evenly(9)) == len(ContinuousProcess(GEOMETRIC).evenly(9)) == 9


def test_ends() -> None:
    continuous, levels = ContinuousProcess(GEOMETRIC), DiscreteProcess(WITHOUT_SIGNAL)
    assert float(continuous.noisiest.sigma) == pytest.approx(81)
    assert float(continuous.least_noisy.sigma) == pytest.approx(1 / 81)
    assert float(levels.noisiest.alpha) == 0
    assert float(alpha_bar(levels.least_noisy)) == pytest.approx(0.9)


def test_continuous_time_passes_through_the_discrete_levels_with_signal() -> None:
    assert ContinuousProcess(GEOMETRIC).continuous() is GEOMETRIC
    schedule = DiscreteProcess(WITHOUT_SIGNAL).continuous()
    level = schedule(double(0.25, 0.5, 0.75, 1))
    torch.testing.assert_close(alpha_bar(level), ALPHA_BAR[1:])


def test_discrete_levels_are_its_own_or_along_the_schedule() -> None:
    assert DiscreteProcess(FOUR).discrete(1000) is FOUR
    schedule = ContinuousProcess(GEOMETRIC).discrete(4)
    snr = double(1 / 9, 1, 9, 81) ** -2
    torch.testing.assert_close(schedule.alpha_bar[1:], snr / (1 + snr))


def test_the_number_of_levels_says_whether_time_is_continuous() -> None:
    assert [process.num_levels for process in BOTH] == [0, 4]


def test_coordinates_name_the_time_or_the_level() -> None:
    continuous, levels = BOTH
    assert continuous.coordinate(continuous.at(double(0.375)[0])) == "t = 0.38"
    assert continuous.coordinate(continuous.noisiest) == "t = 1.00"
    assert levels.coordinate(FOUR.levels[3]) == "t = 3"
    assert levels.coordinate(levels.noisiest) == "t = 4"
    for process in BOTH:
        assert process.coordinate(NoiseLevel.clean()) == "t = 0"


# -------------------------------------------------------------------------------- as_process


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_a_process(name: str) -> None:
    schedule = SCHEDULES[name]()
    assert as_process(schedule) == ContinuousProcess(schedule)


def test_a_process_stays_itself_and_a_discrete_schedule_becomes_one() -> None:
    for process in BOTH:
        assert isinstance(process, Process)
        assert as_process(process) is process
    made = as_process(FOUR)
    assert isinstance(made, DiscreteProcess)
    assert made.schedule is FOUR
    assert as_process(ContinuousProcess(Linear()).until(0.2).schedule).num_levels == 0


@dataclass
class Own:
    """Sigma rises evenly from `first` to `last` beside a signal that keeps its scale."""

    first: float = 0.01
    last: float = 10.0

    def __call__(self, t: Tensor) -> NoiseLevel:
        sigma = self.first + (self.last - self.first) * t.double()
        return NoiseLevel(torch.ones_like(sigma), sigma)

    def time(self, log_snr: Tensor) -> Tensor:
        return (torch.exp(-log_snr / 2) - self.first) / (self.last - self.first)


def test_a_users_own_schedule_is_accepted() -> None:
    process = as_process(Own())
    torch.testing.assert_close(process.grid("uniform-time", 3).sigma, double(10, 6.67, 3.34, 0))
    level = process.at(double(0.2, 0.7))
    torch.testing.assert_close(process.snr_rate(level), 2 * 9.99 * level.sigma**-3)


class WithoutTime:
    def __call__(self, t: Tensor) -> NoiseLevel:
        return Own()(t)


class ReturnsLogSnr(Own):
    def __call__(self, t: Tensor) -> NoiseLevel:
        return Own()(t).log_snr  # type: ignore[return-value]


class ForgetsTheShape(Own):
    def __call__(self, t: Tensor) -> NoiseLevel:
        return Own()(t.mean())


class WrongInverse(Own):
    def time(self, log_snr: Tensor) -> Tensor:
        return 1 - super().time(log_snr)


class InverseOfAnotherShape(Own):
    def time(self, log_snr: Tensor) -> Tensor:
        return super().time(log_snr)[:1]


class Rests(Own):
    def __call__(self, t: Tensor) -> NoiseLevel:
        return Own()(t.clamp(max=0.5))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cosine", "the methods `__call__(t)` and `time(log_snr)`; got str."),
        (None, "got NoneType."),
        (WithoutTime(), "got WithoutTime."),
        (FOUR.levels, "got NoiseLevel."),
        (Cosine, "Cosine is a class; give Cosine(...)."),
        (ReturnsLogSnr(), "must return a NoiseLevel of each time; got Tensor."),
        (ForgetsTheShape(), "must keep the shape of its times, (101,); got alpha of () and sigma"),
        (Own(first=0.0), "no finite log-SNR at t = 0.00"),
        (Own(first=10.0, last=0.01), "must fall with t (t = 1 is the most noise)"),
        (Rests(), "it does not from t = 0.50 to 0.51"),
        (WrongInverse(), "must be the inverse of its call"),
        (InverseOfAnotherShape(), "must be the inverse of its call"),
    ],
)
def test_what_is_no_process_is_refused_in_one_line(given: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(said)) as refused:
        as_process(given)
    assert "\n" not in str(refused.value)


def test_flows_and_processes_are_told_apart_by_their_members() -> None:
    assert not isinstance(RectifiedFlow(), Process)
    assert not isinstance(FOUR, Process)
