"""Continuous schedules against mpmath, their limits, and their inverses."""

import math
from collections.abc import Callable

import mpmath as mp
import pytest
import torch

from sfumato.errors import ArgumentError
from sfumato.process import grids
from sfumato.process.discrete import linear as linear_table
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import (
    EDM,
    SCHEDULES,
    VE,
    Cosine,
    Laplace,
    Linear,
    RectifiedFlow,
    Schedule,
    Sigmoid,
    Until,
)

PRESERVING: list[Schedule] = [
    Cosine(), Cosine(20.0, -6.0), Cosine(9.1, -12.0, 2.0),
    Linear(), Linear(0.5, 0.5), Linear(0.1, 40.0, 1e-3),
    Sigmoid(), Sigmoid(0.0, 3.0, 0.3, 12.0, -9.0), Sigmoid(-3.0, 3.0, 0.02),
    Laplace(b=1.0), Laplace(0.5, 0.8, 9.0, -8.0), Laplace(12.0, 2.0),
    Until(Cosine(), 0.4),
]  # fmt: skip
STRAIGHT: list[Schedule] = [
    RectifiedFlow(), RectifiedFlow(14.0, -9.0, -2.2), Until(RectifiedFlow(), 0.7),
]  # fmt: skip
EXPLODING: list[Schedule] = [VE(), VE(0.5, 2.0), EDM(), EDM(0.1, 10.0, 1.0), Until(EDM(), 0.9)]
EVERY = PRESERVING + STRAIGHT + EXPLODING
_near = torch.logspace(-12, -2, 41, dtype=torch.float64)
TIMES = torch.cat([torch.linspace(0, 1, 401, dtype=torch.float64), _near, 1 - _near])


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_noise_only_grows(schedule: Schedule) -> None:
    assert bool((schedule(torch.linspace(0, 1, 2001).double()).log_snr.diff() < 0).all())


@pytest.mark.parametrize("schedule", PRESERVING, ids=str)
def test_variance_is_preserved(schedule: Schedule) -> None:
    level = schedule(TIMES)
    power = level.alpha**2 + level.sigma**2
    assert torch.allclose(power, torch.ones_like(power), rtol=1e-14, atol=0)


@pytest.mark.parametrize("schedule", STRAIGHT, ids=str)
def test_straight_paths_are_weighted_means(schedule: Schedule) -> None:
    level = schedule(TIMES)
    total = level.alpha + level.sigma
    assert torch.allclose(total, torch.ones_like(total), rtol=1e-14, atol=0)


@pytest.mark.parametrize("schedule", EXPLODING, ids=str)
def test_exploding_variance_leaves_the_signal_alone(schedule: Schedule) -> None:
    assert torch.equal(schedule(TIMES).alpha, torch.ones_like(TIMES))


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_time_inverts_the_schedule(schedule: Schedule) -> None:
    assert torch.allclose(schedule.time(schedule(TIMES).log_snr), TIMES, rtol=0, atol=1e-11)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_the_schedule_inverts_time(schedule: Schedule) -> None:
    most, least = schedule(double(0.0, 1.0)).log_snr
    asked = torch.lerp(most, least, TIMES)
    assert torch.allclose(schedule(schedule.time(asked)).log_snr, asked, rtol=0, atol=1e-8)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_time_is_differentiable(schedule: Schedule) -> None:
    # The variational weight asks autograd; here by central differences, whose rounding is that
    # of the times, 1e-16, divided by 2e-4.
    most, least = schedule(double(0.0, 1.0)).log_snr
    asked = torch.lerp(most, least, torch.linspace(0.01, 0.99, 98).double()).requires_grad_()
    (slope,) = torch.autograd.grad(schedule.time(asked).sum(), asked)
    at = asked.detach()
    by_hand = (schedule.time(at + 1e-4) - schedule.time(at - 1e-4)) / 2e-4
    assert torch.allclose(slope, by_hand, rtol=1e-4, atol=1e-11)
    assert bool((slope < 0).all())


def test_laplaces_time_has_a_slope_at_its_peak() -> None:
    # Density 1/(2b) at mu, over the share of it within the limits.
    at = double(0.0).requires_grad_()
    (slope,) = torch.autograd.grad(Laplace(b=0.5).time(at).sum(), at)
    assert float(slope) == pytest.approx(-1.0, rel=1e-8)


@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_float32_times_give_float64_levels(schedule: Schedule) -> None:
    level = schedule(torch.tensor([[0.25, 0.5]]))
    assert (level.alpha.dtype, level.alpha.shape) == (torch.float64, torch.Size([1, 2]))


@pytest.mark.parametrize("limits", [(12.3, -9.7), (40.0, -30.0), (3.0, 1.0)])
@pytest.mark.parametrize(
    "make",
    [
        Cosine,
        lambda most, least: Cosine(most, least, 2.5),
        lambda most, least: Sigmoid(-3.0, 3.0, 1.0, most, least),
        lambda most, least: Sigmoid(-1.0, 3.0, 0.1, most, least),
        RectifiedFlow,
        lambda most, least: RectifiedFlow(most, least, -2.0),
        lambda most, least: Laplace(0.0, 0.5, most, least),
        lambda most, least: Laplace(1.5, 2.0, most, least),
    ],
)
def test_clipped_schedules_end_at_their_limits(
    make: Callable[[float, float], Schedule], limits: tuple[float, float]
) -> None:
    schedule = make(*limits)
    assert schedule(double(0.0, 1.0)).log_snr.tolist() == pytest.approx(limits, abs=1e-12)
    assert schedule.time(double(*limits)).tolist() == [0.0, 1.0]


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


def mp_lerp(first: mp.mpf, last: mp.mpf, t: float) -> mp.mpf:
    return first + (last - first) * mp.mpf(t)


GRID = [0.0, 1e-3, 0.1, 0.37, 0.5, 0.8, 0.999, 1.0]


@pytest.mark.parametrize("t", GRID)
@pytest.mark.parametrize("curve", [(-3, 3, "1"), (-3, 3, "0.9"), (0, 3, "0.3"), (-6, 1, "2")])
def test_sigmoid_is_a_stretch_of_the_logistic_curve(t: float, curve: tuple[int, int, str]) -> None:
    # Chen (2023): gamma = (S(end/tau) - S((start + t (end - start))/tau)) / (S(end/tau) -
    # S(start/tau)), its times clipped to log gamma/(1 - gamma) = 12 ... -9.
    with mp.workdps(50):
        start, end, tau = mp.mpf(curve[0]), mp.mpf(curve[1]), mp.mpf(curve[2])
        begin, rise = mp_sigmoid(start / tau), mp_sigmoid(end / tau) - mp_sigmoid(start / tau)

        def time(log_snr: int) -> mp.mpf:
            on_curve = begin + rise * (1 - mp_sigmoid(mp.mpf(log_snr)))
            return (tau * mp.log(on_curve / (1 - on_curve)) - start) / (end - start)

        u = (start + mp_lerp(time(12), time(-9), t) * (end - start)) / tau
        gamma = (begin + rise - mp_sigmoid(u)) / rise
        alpha, sigma = mp.sqrt(gamma), mp.sqrt(1 - gamma)
    level = Sigmoid(float(start), float(end), float(tau), 12.0, -9.0)(double(t))
    assert float(level.alpha) == pytest.approx(float(alpha), rel=1e-11)
    assert float(level.sigma) == pytest.approx(float(sigma), rel=1e-11)


def mp_sigmoid(x: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-x))


@pytest.mark.parametrize("t", GRID)
def test_ve_is_geometric(t: float) -> None:
    # Song et al. (2021), eq. 30: sigma_min (sigma_max/sigma_min)^t.
    with mp.workdps(30):
        sigma = mp.mpf("0.01") * (mp.mpf(50) / mp.mpf("0.01")) ** mp.mpf(t)
    assert float(VE()(double(t)).sigma) == pytest.approx(float(sigma), rel=1e-14)


@pytest.mark.parametrize("t", GRID)
@pytest.mark.parametrize("rho", [7, 1, 3])
def test_edm_is_their_ramp(t: float, rho: int) -> None:
    # Karras et al. (2022), eq. 5, from the largest (i = 0) to the least (i = N - 1) noise.
    with mp.workdps(30):
        most, least = mp.mpf(80) ** (mp.mpf(1) / rho), mp.mpf("0.002") ** (mp.mpf(1) / rho)
        sigma = (most + (1 - mp.mpf(t)) * (least - most)) ** rho
    level = EDM(rho=float(rho))(double(t))
    assert float(level.sigma) == pytest.approx(float(sigma), rel=1e-13)


@pytest.mark.parametrize("t", GRID)
@pytest.mark.parametrize("factor", ["1", "3", "0.5"])
def test_rectified_flow_is_the_shifted_straight_path(t: float, factor: str) -> None:
    # Esser et al. (2024), eq. 23: time s u/(1 + (s - 1) u); x_t = (1 - time) x_0 + time eps.
    with mp.workdps(40):
        s = mp.mpf(factor)

        def plain(log_snr: int) -> mp.mpf:
            time = 1 / (1 + mp.exp(mp.mpf(log_snr) / 2))
            return time / (s - (s - 1) * time)

        u = mp_lerp(plain(12), plain(-9), t)
        time = s * u / (1 + (s - 1) * u)
        alpha = 1 - time
    level = RectifiedFlow(12.0, -9.0, -2 * math.log(float(s)))(double(t))
    assert float(level.alpha) == pytest.approx(float(alpha), rel=1e-12)
    assert float(level.sigma) == pytest.approx(float(time), rel=1e-12)


@pytest.mark.parametrize("t", GRID)
@pytest.mark.parametrize(("mu", "b"), [("0", "0.5"), ("1.5", "2"), ("-14", "3")])
def test_laplace_is_the_quantile_function(t: float, mu: str, b: str) -> None:
    # Hang & Gu (2024): log SNR = mu - b sign(1/2 - t) log(1 - 2 |t - 1/2|), between the
    # probabilities of Laplace's distribution to lie above 11 and above -9.
    with mp.workdps(40):
        centre, spread = mp.mpf(mu), mp.mpf(b)

        def above(log_snr: int) -> mp.mpf:
            tail = mp.exp(-abs(log_snr - centre) / spread) / 2
            return tail if log_snr > centre else 1 - tail

        time = mp_lerp(above(11), above(-9), t)
        half = mp.mpf(1) / 2
        log_snr = centre - spread * mp.sign(half - time) * mp.log(1 - 2 * abs(time - half))
    level = Laplace(float(centre), float(spread), 11.0, -9.0)(double(t))
    assert float(level.log_snr) == pytest.approx(float(log_snr), abs=1e-10)


def test_laplaces_default_is_inverted_as_well_as_its_times_allow() -> None:
    # Near t = 1 the log-SNR falls by 2e8 nats a unit of time, whose floats are 1e-16 apart.
    asked = torch.linspace(-10, 10, 101, dtype=torch.float64)
    schedule = Laplace()
    assert torch.allclose(schedule(schedule.time(asked)).log_snr, asked, rtol=0, atol=1e-7)


def test_small_temperatures_are_even_in_log_snr() -> None:
    levels = Sigmoid(tau=0.05)(double(0.0, 0.25, 0.5, 0.75, 1.0)).log_snr
    assert levels.tolist() == pytest.approx([10, 5, 0, -5, -10], abs=1e-9)


def test_until_is_the_first_part() -> None:
    whole = Cosine(shift=1.0)
    levels, by_hand = Until(whole, 0.25)(double(0.0, 0.5, 1.0)), whole(double(0.0, 0.125, 0.25))
    assert torch.equal(levels.alpha, by_hand.alpha)
    assert torch.equal(levels.sigma, by_hand.sigma)


@pytest.mark.parametrize("name", grids.CONTINUOUS_GRIDS)
@pytest.mark.parametrize("whole", [Cosine(), Laplace(), EDM(), RectifiedFlow()], ids=str)
def test_grids_of_a_first_part_begin_where_it_ends(name: str, whole: Schedule) -> None:
    levels, wanted = grids.CONTINUOUS_GRIDS[name](Until(whole, 0.3), 5), whole(double(0.3))
    assert float(levels.alpha[0]) == pytest.approx(float(wanted.alpha), rel=1e-12)
    assert float(levels.sigma[0]) == pytest.approx(float(wanted.sigma), rel=1e-12)


@pytest.mark.parametrize("end", [0.0, -0.1, 1.01, math.nan])
def test_until_refuses_times_outside(end: float) -> None:
    with pytest.raises(ArgumentError, match="`end`"):
        Until(Cosine(), end)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (-1.0, 1.0), (math.nan, 0.0), (math.inf, 0.0)])
@pytest.mark.parametrize("kind", [Cosine, Sigmoid, RectifiedFlow, Laplace])
def test_limits_out_of_order_are_refused(
    kind: Callable[..., Schedule], ends: tuple[float, float]
) -> None:
    with pytest.raises(ArgumentError, match="`log_snr_min` must be below"):
        kind(log_snr_max=ends[0], log_snr_min=ends[1])


@pytest.mark.parametrize(
    ("curve", "name"),
    [((3.0, 3.0, 1.0), "start"), ((math.nan, 1.0, 1.0), "start"), ((-3.0, 3.0, 0.0), "tau"),
     ((-3.0, 3.0, -1.0), "tau"), ((-3.0, 3.0, 0.008), "tau"), ((-3.0, 3.0, math.nan), "tau")],
)  # fmt: skip
def test_sigmoid_refuses_what_is_no_stretch(curve: tuple[float, float, float], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}` must be"):
        Sigmoid(*curve)


@pytest.mark.parametrize("sigmas", [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0)])
@pytest.mark.parametrize("kind", [VE, EDM])
def test_sigmas_out_of_order_are_refused(
    kind: Callable[..., Schedule], sigmas: tuple[float, float]
) -> None:
    with pytest.raises(ArgumentError, match="`sigma_min` and `sigma_max`"):
        kind(*sigmas)


@pytest.mark.parametrize("rho", [0.0, -7.0, math.inf, math.nan])
def test_edm_refuses_other_exponents(rho: float) -> None:
    with pytest.raises(ArgumentError, match="`rho`"):
        EDM(rho=rho)


@pytest.mark.parametrize("b", [0.0, -1.0, 0.01, math.nan])
def test_laplace_refuses_a_spread_without_times(b: float) -> None:
    # 0.01: the limits are 1000 spreads away, and e^-1000 is no float64.
    with pytest.raises(ArgumentError, match=r"`b` must be above 0\.0143"):
        Laplace(b=b)


def test_laplaces_least_spread_still_has_levels() -> None:
    levels = Laplace(b=0.0143)(torch.linspace(0, 1, 101))
    assert bool((levels.log_snr.isfinite()).all() and (levels.log_snr.diff() < 0).all())


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
    # At VE's sigma_max of 50 a start without signal is 1/50² of the data's variance short.
    level: NoiseLevel = SCHEDULES[name]()(double(1.0))
    assert float(level.snr) <= 4e-4 * (1 + 1e-12)
