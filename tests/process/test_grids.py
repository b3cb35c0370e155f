"""The levels a sampler visits: where they begin, how they are spaced, that none is skipped."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ArgumentError
from sfumato.process import discrete, grids
from sfumato.process.schedules import EDM, VE, Cosine, Laplace, Linear, RectifiedFlow, Schedule

SCHEDULES: list[Schedule] = [
    Cosine(), Linear(), Cosine(18.0, -4.0), VE(), EDM(), RectifiedFlow(shift=-2.0), Laplace(),
]  # fmt: skip
THOUSAND = discrete.linear()


def visited(name: str, table: discrete.DiscreteSchedule, num_steps: int) -> list[int]:
    """Indices of the table that a grid visits, found by alpha; the clean end must be there."""
    levels = grids.DISCRETE_GRIDS[name](table, num_steps)
    where = (levels.alpha[:, None] == table.levels.alpha[None]).long()
    assert where.sum(1).tolist() == [1] * (num_steps + 1)
    return where.argmax(1).tolist()


@pytest.mark.parametrize("name", grids.CONTINUOUS_GRIDS)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("num_steps", [1, 2, 17])
def test_noise_falls_from_the_noisiest_level_to_none(
    name: str, schedule: Schedule, num_steps: int
) -> None:
    levels = grids.CONTINUOUS_GRIDS[name](schedule, num_steps)
    noisiest = schedule(torch.ones((), dtype=torch.float64))
    assert len(levels) == num_steps + 1
    assert bool((levels.sigma_ve.diff() < 0).all())
    assert float(levels.log_snr[0]) == pytest.approx(float(noisiest.log_snr), abs=1e-8)
    assert (float(levels.alpha[-1]), float(levels.sigma[-1])) == (1.0, 0.0)


@pytest.mark.parametrize("name", ["uniform-log-snr", "softplus", "softplus-wide", "karras"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_last_noisy_level_is_the_schedules_least(name: str, schedule: Schedule) -> None:
    least = schedule(torch.zeros((), dtype=torch.float64)).log_snr
    ours = grids.CONTINUOUS_GRIDS[name](schedule, 12).log_snr[-2]
    assert float(ours) == pytest.approx(float(least), abs=1e-8)


def test_uniform_time_is_uniform_in_time() -> None:
    levels = grids.uniform_time(Linear(), 8)
    by_hand = [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert Linear().time(levels.log_snr[:-1]).tolist() == pytest.approx(by_hand, abs=1e-12)


def test_softplus_is_uniform_in_log_of_one_plus_alpha_over_sigma() -> None:
    levels = grids.softplus(Cosine(10.0, -10.0), 30)[:-1]
    even = np.log1p((levels.alpha / levels.sigma).numpy())
    assert np.diff(even) == pytest.approx(np.full(29, (even[-1] - even[0]) / 29), rel=1e-6)
    # Even in log-SNR, half of them would lie above sigma/alpha = 1.
    assert int((levels.sigma_ve > 1).sum()) == 4


def test_softplus_wide_is_uniform_in_log_of_one_plus_four_alpha_over_sigma() -> None:
    levels = grids.softplus_wide(Cosine(10.0, -10.0), 20)[:-1]
    even = np.log1p(4 * (levels.alpha / levels.sigma).numpy())
    assert np.diff(even) == pytest.approx(np.full(19, (even[-1] - even[0]) / 19), rel=1e-6)
    assert int((levels.sigma_ve > 1).sum()) == 5
    assert int((grids.softplus(Cosine(10.0, -10.0), 20)[:-1].sigma_ve > 1).sum()) == 3


def test_uniform_log_snr_is_uniform_in_log_snr() -> None:
    levels = grids.uniform_log_snr(Cosine(10.0, -10.0), 5)
    assert levels.log_snr[:-1].tolist() == pytest.approx([-10, -5, 0, 5, 10], abs=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_unit_log_snr_is_even_in_the_area_hyperbolic_sine(schedule: Schedule) -> None:
    levels = grids.unit_log_snr(schedule, 12)
    log_sigma = levels.sigma_ve[:-1].log().numpy()
    ends = schedule(torch.tensor([1.0, 0.0], dtype=torch.float64)).sigma_ve.log()
    assert log_sigma[[0, -1]] == pytest.approx(ends.numpy(), abs=1e-8)
    steps = np.diff(np.arcsinh((log_sigma + 1.5) / 2))
    assert steps == pytest.approx(np.full(11, steps.mean()), abs=1e-6)
    assert steps.mean() < 0


@pytest.mark.parametrize("rho", [7.0, 3.0])
def test_karras_spacing_is_their_equation_5(rho: float) -> None:
    # sigma_i = (s_max^(1/rho) + i/(N-1) (s_min^(1/rho) - s_max^(1/rho)))^rho
    s_max, s_min = math.exp(7), math.exp(-7)
    part = np.arange(10) / 9
    by_hand = (s_max ** (1 / rho) + part * (s_min ** (1 / rho) - s_max ** (1 / rho))) ** rho
    levels = grids.karras(Cosine(14.0, -14.0), 10, rho)
    assert np.allclose(levels.sigma_ve[:-1].numpy(), by_hand, rtol=1e-9, atol=0)


def test_exponential_is_geometric_in_sigma() -> None:
    # sigma_i = sigma_max (sigma_min/sigma_max)^(i/(N - 1)).
    by_hand = np.geomspace(50.0, 0.01, 9)
    levels = grids.CONTINUOUS_GRIDS["exponential"](VE(), 9)
    assert np.allclose(levels.sigma[:-1].numpy(), by_hand, rtol=1e-12, atol=0)


def test_edm_evenly_in_time_is_karras() -> None:
    # EDM's time is their ramp, so N levels even in time from 1 to 0 are eq. 5's.
    levels = grids.karras(EDM(), 6)
    even = EDM()(torch.linspace(1, 0, 6, dtype=torch.float64))
    assert torch.allclose(levels.sigma[:-1], even.sigma, rtol=1e-12, atol=0)


def test_leading_begins_at_901_of_1000() -> None:
    assert visited("leading", THOUSAND, 10) == [
        901, 801, 701, 601, 501, 401, 301, 201, 101, 1, 0,
    ]  # fmt: skip


def test_leading_begins_within_a_stride_of_the_last_level_and_keeps_published_strides() -> None:
    table = discrete.linear(360)
    for num_steps in range(1, 361):
        indices = visited("leading", table, num_steps)
        assert indices[-2:] == [1, 0]
        assert 360 - indices[0] <= 360 / num_steps
        if 360 % num_steps == 0:  # Lin et al. (2024), table 2
            assert indices[:-1] == list(range(1, 361, 360 // num_steps))[::-1]
        else:
            strides = {int(stride) for stride in -np.diff(indices[:-1])}
            assert strides <= {360 // num_steps, 360 // num_steps + 1}


def test_a_grid_may_begin_and_end_some_levels_noisier() -> None:
    # Two of 1 + 100 k, as diffusers' steps_offset has it.
    levels = grids.noisier(THOUSAND, grids.leading(THOUSAND, 10), 2)
    assert THOUSAND.index(levels[:-1]).tolist() == list(range(903, 0, -100))
    assert float(levels.sigma[-1]) == 0
    with pytest.raises(ArgumentError, match=r"begins at level 901 of 1000 has no room for .*=100"):
        grids.noisier(THOUSAND, grids.leading(THOUSAND, 10), 100)


def test_trailing_begins_at_the_last_level() -> None:
    assert visited("trailing", THOUSAND, 10) == [
        1000, 900, 800, 700, 600, 500, 400, 300, 200, 100, 0,
    ]  # fmt: skip


def test_linspace_visits_both_ends_and_steps_between_what_it_visits() -> None:
    # The trap: 999, 888, 777 visited (from 0) but steps taken to 899, 788, 677.
    assert visited("linspace", THOUSAND, 10) == [
        1000, 889, 778, 667, 556, 445, 334, 223, 112, 1, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("num_levels", [1000, 1100, 4000])
@pytest.mark.parametrize("name", grids.DISCRETE_GRIDS)
def test_longer_tables_are_begun_at_their_last_level(name: str, num_levels: int) -> None:
    # The trap: sampling from T = 1000 of a table of 1100. `leading` is late by its own rule.
    first = visited(name, discrete.linear(num_levels), 10)[0]
    assert first == (1 + 9 * num_levels // 10 if name == "leading" else num_levels)


def test_divisions_in_noise_visit_the_nearest_levels() -> None:
    # By hand: eq. 5 of Karras et al., and even log-SNR, each to the nearest of all levels.
    own = THOUSAND.levels.log_snr[1:].numpy()
    part = np.arange(10) / 9
    sigma_ramp = np.exp(-own[-1] / 14) + part * (np.exp(-own[0] / 14) - np.exp(-own[-1] / 14))
    wanted = {
        "karras": -14 * np.log(sigma_ramp),
        "uniform-log-snr": own[-1] + part * (own[0] - own[-1]),
    }
    for name, log_snr in wanted.items():
        by_hand = 1 + np.abs(log_snr[:, None] - own).argmin(1)
        assert visited(name, THOUSAND, 10) == [*by_hand, 0]


def test_levels_that_collide_make_way() -> None:
    # Even log-SNR asks for 9.2, 8.1, 7.0 ... near the data, where level 1 is 1.1 nats from 2.
    indices = visited("uniform-log-snr", discrete.linear(), 40)
    assert indices[-6:] == [5, 4, 3, 2, 1, 0]
    assert bool((np.diff(indices) < 0).all())


@pytest.mark.parametrize("name", grids.DISCRETE_GRIDS)
@pytest.mark.parametrize("num_steps", [1, 2, 10, 20])
def test_zero_terminal_snr_is_begun_at_pure_noise(name: str, num_steps: int) -> None:
    table = discrete.zero_terminal_snr(discrete.linear(20))
    indices = visited(name, table, num_steps)
    late = name == "leading" and num_steps in (1, 2, 10)
    assert (indices[0] == 20) is not late
    levels = grids.DISCRETE_GRIDS[name](table, num_steps)
    assert bool((levels.sigma_ve.diff() < 0).all())
    if name == "karras" and num_steps > 2:
        # Pure noise aside, the division of the levels that have a signal.
        assert indices[1:] == visited("karras", discrete.until(table, 19), num_steps - 1)


@pytest.mark.parametrize("name", grids.DISCRETE_GRIDS)
@given(st.integers(1, 200), st.data())
def test_strides_never_rest_nor_rise(name: str, num_levels: int, data: st.DataObject) -> None:
    num_steps = data.draw(st.integers(1, num_levels))
    table = discrete.linear(num_levels, reference_levels=num_levels)
    indices = visited(name, table, num_steps)
    assert indices[-1] == 0
    assert bool((np.diff(indices) < 0).all())
    if name != "leading":
        assert indices[0] == num_levels
    if name != "trailing" and num_steps > 1:
        assert indices[-2] == 1


@pytest.mark.parametrize("name", grids.DISCRETE_GRIDS)
def test_as_many_steps_as_levels_visit_every_level(name: str) -> None:
    assert visited(name, discrete.linear(100), 100) == list(range(100, -1, -1))


@pytest.mark.parametrize("name", grids.DISCRETE_GRIDS)
@pytest.mark.parametrize("num_steps", [0, -1, 101])
def test_table_grids_refuse_steps_outside_the_table(name: str, num_steps: int) -> None:
    told = rf"`num_steps` \(sampling.steps, --steps\) must be between 1 and 100; got {num_steps}"
    with pytest.raises(ArgumentError, match=told) as refused:
        grids.DISCRETE_GRIDS[name](discrete.linear(100), num_steps)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("name", grids.CONTINUOUS_GRIDS)
@pytest.mark.parametrize("num_steps", [0, -1])
def test_schedule_grids_refuse_less_than_one_step(name: str, num_steps: int) -> None:
    with pytest.raises(ArgumentError, match=f"at least 1; got {num_steps}"):
        grids.CONTINUOUS_GRIDS[name](Cosine(), num_steps)
