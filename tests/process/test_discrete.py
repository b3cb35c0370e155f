"""Discrete tables against published values, numpy by hand, and mpmath."""

import math

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import ArgumentError
from sfumato.process import discrete, grids, kernels
from sfumato.process.noise import NoiseLevel
from sfumato.samplers.ancestral import Ancestral
from truth import ExactGaussian, propagate


def mp_cosine_beta(i: int, num_levels: int) -> mp.mpf:
    """beta of step i = 1 ... T before the clip, to 40 digits."""

    def alpha_bar(k: int) -> mp.mpf:
        offset = mp.mpf("0.008")
        return mp.cos((mp.mpf(k) / num_levels + offset) / (1 + offset) * mp.pi / 2) ** 2

    return 1 - alpha_bar(i) / alpha_bar(i - 1)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
def test_levels_begin_clean_and_only_get_noisier(name: str) -> None:
    table = discrete.DISCRETE_SCHEDULES[name](num_levels=60)
    assert len(table.levels) == table.num_levels + 1 == 61
    assert (float(table.levels.alpha[0]), float(table.levels.sigma[0])) == (1.0, 0.0)
    assert bool((table.levels.log_snr.diff() < 0).all())


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
def test_levels_preserve_variance(name: str) -> None:
    levels = discrete.DISCRETE_SCHEDULES[name]().levels
    power = levels.alpha**2 + levels.sigma**2
    assert torch.allclose(power, torch.ones_like(power), rtol=1e-14)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
def test_everything_is_float64(name: str) -> None:
    table = discrete.DISCRETE_SCHEDULES[name]()
    of = {table.beta.dtype, table.levels.alpha.dtype, table.levels.sigma.dtype}
    assert of == {torch.float64}


def test_linear_alpha_bar() -> None:
    # CHECKS, recomputed there in float64.
    ours = discrete.linear().alpha_bar[torch.tensor([1, 100, 500, 901, 1000])].tolist()
    published = [0.9999, 0.897018146, 0.0785872429, 2.70244520e-4, 4.03582977e-5]
    assert ours == pytest.approx(published, rel=2e-9)


@pytest.mark.parametrize(
    ("num_levels", "alpha_bar"),
    [(50, 7.7448e-6), (100, 2.03901e-5), (250, 3.26441e-5), (4000, 4.24665e-5)],
)
def test_linear_keeps_its_end_with_any_number_of_levels(num_levels: int, alpha_bar: float) -> None:
    assert float(discrete.linear(num_levels).alpha_bar[-1]) == pytest.approx(alpha_bar, rel=1e-5)


@pytest.mark.parametrize(
    ("num_levels", "alpha_bar"), [(50, 0.602952), (100, 0.363563), (250, 0.0797025)]
)
def test_linear_not_rescaled_stops_too_early(num_levels: int, alpha_bar: float) -> None:
    table = discrete.linear(num_levels, reference_levels=num_levels)
    assert float(table.alpha_bar[-1]) == pytest.approx(alpha_bar, rel=1e-5)


def test_rescaled_betas_are_clipped() -> None:
    # 0.02 x 1000/10 = 2.
    assert float(discrete.linear(10).beta[-1]) == 0.999


def test_scaled_linear_is_linear_in_the_square_root() -> None:
    by_hand = np.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000) ** 2
    table = discrete.scaled_linear()
    assert np.allclose(table.beta.numpy(), by_hand, rtol=1e-13, atol=0)
    assert float(table.alpha_bar[-1]) == pytest.approx(float(np.prod(1 - by_hand)), rel=1e-11)


def test_sigmoid_is_the_tutorials_table() -> None:
    x = np.linspace(-6, 6, 100)
    by_hand = (0.005 - 1e-5) / (1 + np.exp(-x)) + 1e-5
    table = discrete.sigmoid()
    assert np.allclose(table.beta.numpy(), by_hand, rtol=1e-13, atol=0)
    assert float(table.alpha_bar[-1]) == pytest.approx(0.77800343, abs=5e-9)
    assert float(table.alpha_bar[1:].mean()) == pytest.approx(0.93552234, abs=5e-9)


def test_cosine_published_values() -> None:
    table = discrete.cosine()
    assert float(table.beta[0]) == pytest.approx(4.12842248e-5, rel=2e-9)
    assert int((table.beta == 0.999).sum()) == 1
    assert float(table.beta.max()) == 0.999
    assert float(table.alpha_bar[-1]) == pytest.approx(2.42876691e-9, rel=2e-9)


@pytest.mark.parametrize("i", [1, 2, 1000, 50_000, 99_000])
def test_cosine_of_100_000_levels_keeps_its_digits(i: int) -> None:
    # In float32 the first 1 - alpha_bar is 7e-2 off (CHECKS).
    with mp.workdps(40):
        beta = float(mp_cosine_beta(i, 100_000))
    assert float(discrete.cosine(100_000).beta[i - 1]) == pytest.approx(beta, rel=1e-9)


def test_first_noise_of_the_cosine_table_keeps_its_digits() -> None:
    with mp.workdps(40):
        sigma = float(mp.sqrt(mp_cosine_beta(1, 100_000)))
    assert float(discrete.cosine(100_000).levels.sigma[1]) == pytest.approx(sigma, rel=1e-9)


def test_noise_of_tiny_betas_keeps_its_digits() -> None:
    # 1 - (1 - 1e-12)(1 - 2e-12) = 3e-12 - 2e-24.
    table = discrete.from_beta(torch.tensor([1e-12, 2e-12], dtype=torch.float64))
    assert float(table.levels.sigma[2]) == pytest.approx(math.sqrt(3e-12), rel=1e-12)


def test_beta_tilde_published_value() -> None:
    table = discrete.linear()
    assert float(table.beta_tilde[0]) == 0
    assert float(table.beta_tilde[1]) == pytest.approx(5.45318766e-5, rel=2e-9)


def test_beta_tilde_is_equation_2_16() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - betas)
    by_hand = (1 - np.concatenate([[1.0], alpha_bar[:-1]])) / (1 - alpha_bar) * betas
    assert np.allclose(discrete.linear().beta_tilde.numpy(), by_hand, rtol=1e-10, atol=0)


def test_one_level_is_a_table() -> None:
    table = discrete.from_beta(torch.tensor([0.36]))
    assert table.num_levels == 1
    assert table.beta_tilde.tolist() == [0.0]
    assert float(table.levels.alpha[1]) == pytest.approx(0.8, rel=1e-7)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
@pytest.mark.parametrize("num_levels", [1, 2, 7, 1000])
def test_index_finds_every_level(name: str, num_levels: int) -> None:
    table = discrete.DISCRETE_SCHEDULES[name](num_levels=num_levels)
    every = torch.arange(1, num_levels + 1)
    assert torch.equal(table.index(table.levels[1:]), every)
    assert torch.equal(table.index(table.levels[every.flip(0)]), every.flip(0))


@given(st.integers(1, 300))
def test_index_of_one_level_is_one_number(i: int) -> None:
    table = discrete.linear(300)
    index = table.index(table.levels[i])
    assert (int(index), index.shape, index.dtype) == (i, torch.Size([]), torch.int64)


def test_index_finds_levels_cast_to_float32() -> None:
    table = discrete.linear()
    rounded = NoiseLevel(table.levels.alpha[1:].float(), table.levels.sigma[1:].float())
    assert torch.equal(table.index(rounded), torch.arange(1, 1001))


def test_index_refuses_a_level_between() -> None:
    table = discrete.linear(10)
    between = table.levels.log_snr[4:6].mean()
    with pytest.raises(ArgumentError, match="only the levels of its own discrete schedule"):
        table.index(NoiseLevel.from_log_snr(between))


@pytest.mark.parametrize(("log_snr", "i"), [(50.0, 1), (-50.0, 9), (math.inf, 1), (-math.inf, 9)])
def test_nearest_level_of_one_outside_is_an_end(log_snr: float, i: int) -> None:
    assert int(discrete.linear(9).nearest(torch.tensor(log_snr))) == i


def test_nearest_level_is_the_least_distance_in_log_snr() -> None:
    own = discrete.cosine(40).levels.log_snr[1:]
    asked = torch.linspace(-25, 12, 500, dtype=torch.float64)
    by_hand = 1 + (asked[:, None] - own).abs().argmin(1)
    assert torch.equal(discrete.cosine(40).nearest(asked), by_hand)


@pytest.mark.parametrize("log_snr", [-50.0, 50.0, math.inf])
def test_index_refuses_a_level_outside(log_snr: float) -> None:
    with pytest.raises(ArgumentError):
        discrete.linear(10).index(NoiseLevel.from_log_snr(torch.tensor(log_snr).double()))


@pytest.mark.parametrize("beta", [[0.1, 0.0], [1.0, 0.1], [0.1, 1.1], [-0.1], [0.5, math.nan]])
def test_from_beta_refuses_what_is_no_variance(beta: list[float]) -> None:
    with pytest.raises(ArgumentError, match="strictly between 0 and 1"):
        discrete.from_beta(torch.tensor(beta))


def test_a_last_beta_of_1_leaves_no_signal() -> None:
    table = discrete.from_beta(torch.tensor([0.19, 1.0], dtype=torch.float64))
    assert table.levels.alpha.tolist() == pytest.approx([1, 0.9, 0], rel=1e-15)
    assert float(table.levels.sigma[2]) == 1
    assert float(table.levels.log_snr[2]) == -math.inf
    assert table.beta_tilde.tolist() == pytest.approx([0, 0.19], rel=1e-14)


def mp_zero_terminal_alpha_bar(betas: np.ndarray, i: int) -> float:
    """Lin et al. (2024), algorithm 1, to 40 digits; levels counted from 1."""
    with mp.workdps(40):
        alpha_bar, roots = mp.mpf(1), []
        for beta in betas:
            alpha_bar *= 1 - mp.mpf(beta)
            roots.append(mp.sqrt(alpha_bar))
        root = (roots[i - 1] - roots[-1]) * roots[0] / (roots[0] - roots[-1])
        return float(root**2)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
@pytest.mark.parametrize("i", [1, 2, 50, 99])
def test_zero_terminal_snr_is_algorithm_1(name: str, i: int) -> None:
    table = discrete.DISCRETE_SCHEDULES[name](num_levels=100)
    ours = float(discrete.zero_terminal_snr(table).alpha_bar[i])
    assert ours == pytest.approx(mp_zero_terminal_alpha_bar(table.beta.numpy(), i), rel=1e-12)


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
@pytest.mark.parametrize("num_levels", [2, 3, 1000])
def test_zero_terminal_snr_is_zero_and_leaves_the_first_level(name: str, num_levels: int) -> None:
    table = discrete.DISCRETE_SCHEDULES[name](num_levels=num_levels)
    stretched = discrete.zero_terminal_snr(table)
    assert float(stretched.alpha_bar[-1]) == 0
    assert float(stretched.levels.sigma[-1]) == 1
    assert float(stretched.levels.alpha[1]) == float(table.levels.alpha[1])
    assert float(stretched.levels.sigma[1]) == float(table.levels.sigma[1])
    assert bool((stretched.levels.log_snr.diff() < 0).all())


def test_zero_terminal_snr_keeps_the_digits_of_tiny_betas() -> None:
    # 1 - (alpha_i/alpha_{i-1})² of falls of 1e-13 keeps three digits; alpha_1 is 1 - 1e-13.
    table = discrete.from_beta(torch.full((4,), 2e-13, dtype=torch.float64))
    # The others are 2/3, 1/3 and 0 of alpha_1, to 1e-13.
    alpha = discrete.zero_terminal_snr(table).levels.alpha.tolist()
    assert alpha == pytest.approx([1, 1, 2 / 3, 1 / 3, 0], rel=1e-12)


def test_zero_terminal_snr_twice_is_once() -> None:
    once = discrete.zero_terminal_snr(discrete.linear(50))
    twice = discrete.zero_terminal_snr(once)
    assert torch.allclose(twice.beta, once.beta, rtol=1e-12, atol=0)


def test_zero_terminal_snr_needs_two_levels() -> None:
    with pytest.raises(ArgumentError, match="2 levels or more; got 1"):
        discrete.zero_terminal_snr(discrete.from_beta(torch.tensor([0.3])))


ZERO = discrete.zero_terminal_snr(discrete.linear(100))


def test_levels_of_zero_terminal_snr_are_found() -> None:
    every = torch.arange(1, 101)
    assert torch.equal(ZERO.index(ZERO.levels[1:]), every)
    rounded = NoiseLevel(ZERO.levels.alpha[1:].float(), ZERO.levels.sigma[1:].float())
    assert torch.equal(ZERO.index(rounded), every)


def test_pure_noise_is_no_level_of_another_table() -> None:
    with pytest.raises(ArgumentError, match="only the levels of its own discrete schedule"):
        discrete.linear(100).index(ZERO.levels[100])


def test_first_step_back_from_pure_noise_knows_the_prediction_alone() -> None:
    # q(x_{T-1} | x_T, x_0) = q(x_{T-1} | x_0) when alpha_T = 0.
    t, s = ZERO.levels[100], ZERO.levels[99]
    x_0 = torch.tensor([[0.7]], dtype=torch.float64)
    back = kernels.posterior(torch.tensor([[-3.0]], dtype=torch.float64), x_0, t, s)
    assert float(back.mean) == pytest.approx(0.7 * float(s.alpha), rel=1e-14)
    assert float(back.std) == pytest.approx(float(s.sigma), rel=1e-14)
    assert float(kernels.transition_variance(t, s)) == 1
    assert float(ZERO.beta_tilde[-1]) == pytest.approx(float(s.sigma) ** 2, rel=1e-14)


def test_zero_terminal_snr_takes_the_bias_off_the_tutorials_table() -> None:
    # CHECKS: its start from N(0, 1), where 0.778 of the data is left, ends at mean 0.53301. Started
    # from nothing every mean is alpha times the data's.
    stepper, data = Ancestral("beta_tilde"), ExactGaussian(1.0, 0.5)
    biased = grids.trailing(discrete.sigmoid(), 100)
    stretched = grids.trailing(discrete.zero_terminal_snr(discrete.sigmoid()), 100)
    assert propagate(stepper, data, biased)[0] == pytest.approx(0.53301, abs=5e-6)
    assert propagate(stepper, data, stretched)[0] == pytest.approx(1.0, rel=1e-12)


def test_until_keeps_the_first_levels() -> None:
    whole = discrete.linear(50)
    part = discrete.until(whole, 20)
    assert part.num_levels == 20
    assert torch.equal(part.beta, whole.beta[:20])
    assert torch.equal(part.levels.alpha, whole.levels.alpha[:21])
    assert torch.equal(part.beta_tilde, whole.beta_tilde[:20])


@pytest.mark.parametrize("name", grids.DISCRETE_GRIDS)
def test_grids_of_a_first_part_stay_in_it(name: str) -> None:
    whole = discrete.linear(50)
    levels = grids.DISCRETE_GRIDS[name](discrete.until(whole, 20), 5)
    visited = whole.index(levels[:-1]).tolist()
    assert visited[0] == (17 if name == "leading" else 20)
    assert max(visited) == visited[0]


@pytest.mark.parametrize("index", [0, -1, 51])
def test_until_refuses_levels_that_are_not_there(index: int) -> None:
    with pytest.raises(ArgumentError, match=f"between 1 and 50; got {index}"):
        discrete.until(discrete.linear(50), index)


@pytest.mark.parametrize("shape", [(0,), (), (2, 2)])
def test_from_beta_refuses_what_is_no_row(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="row of numbers"):
        discrete.from_beta(torch.full(shape, 0.1))


@pytest.mark.parametrize("name", discrete.DISCRETE_SCHEDULES)
@pytest.mark.parametrize("num_levels", [0, -3])
def test_tables_refuse_less_than_one_level(name: str, num_levels: int) -> None:
    with pytest.raises(ArgumentError, match=f"at least 1; got {num_levels}"):
        discrete.DISCRETE_SCHEDULES[name](num_levels=num_levels)
