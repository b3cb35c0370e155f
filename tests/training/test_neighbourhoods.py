"""Groups of near rows: a mean over one is that over all rows of its class, and they are few."""

import math

import pytest
import torch
from torch import Tensor

from sfumato.data import toy
from sfumato.denoisers.empirical import empirical
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.training.neighbourhoods import Neighbourhoods, neighbourhoods
from sfumato.training.stable_targets import posterior_means


def _rows(name: str, n: int) -> Tensor:
    rows = torch.tensor(toy.draw(name, n, seed=1).values, dtype=torch.float32)
    return (rows - rows.mean(0)) / rows.std(0)


def _noised(rows: Tensor, ratio: float) -> tuple[Tensor, Tensor, NoiseLevel]:
    """4,000 rows at sigma/alpha = `ratio`: their numbers, x_t and the levels."""
    generator = torch.Generator().manual_seed(2)
    row = torch.randint(len(rows), (4000,), generator=generator)
    log_snr = torch.full((4000,), -2 * math.log(ratio), dtype=torch.float64)
    level = NoiseLevel.from_log_snr(log_snr)
    eps = torch.randn(4000, *rows.shape[1:], generator=generator)
    return row, noised(rows[row], level).draw(eps), level


def _groups(near: Neighbourhoods, row: Tensor, x_t: Tensor, level: NoiseLevel) -> Tensor:
    return near.groups(x_t / level.alpha[:, None].float(), level.sigma_ve, row)


@pytest.mark.parametrize("name", ["s-curve", "rings"])
@pytest.mark.parametrize("ratio", [0.003, 0.02, 0.05, 0.1, 0.3, 2.0])
def test_the_mean_is_that_over_all_rows_of_the_class(name: str, ratio: float) -> None:
    rows = _rows(name, 3000)
    near = neighbourhoods(rows, 256)
    row, x_t, level = _noised(rows, ratio)
    group = _groups(near, row, x_t, level)
    means = posterior_means(x_t, level, group, near.keys)
    octave = next(each for each in near.octaves if ratio <= each.noise)
    for k in range(octave.classes):
        own = near.chance[row] % octave.classes == k
        exact = empirical(rows[near.chance % octave.classes == k].double())
        off = means[own] - exact(x_t[own].double(), level[own]).x_0.float()
        # What is left out has a two-thousandth of the weight, where most is left out.
        assert float(off.square().mean().sqrt()) < 0.01 * ratio


@pytest.mark.parametrize("ratio", [0.003, 0.02, 0.05, 0.1, 0.3, 2.0])
def test_groups_have_at_most_so_many_rows_in_the_mean(ratio: float) -> None:
    rows = _rows("spirals", 5000)
    near = neighbourhoods(rows, 256)
    group = _groups(near, *_noised(rows, ratio))
    sizes = torch.tensor([keys.shape[2] for keys in near.keys])
    assert float(sizes[group].double().mean()) < 1.1 * 256
    if ratio >= 0.3:  # no fewer than half of them, where enough rows are within the noise
        assert float(sizes[group].double().mean()) > 128


def test_the_less_the_noise_the_fewer_the_classes() -> None:
    octaves = neighbourhoods(_rows("rings", 5000), 256).octaves
    assert [each.noise for each in octaves] == sorted(each.noise for each in octaves)
    classes = [each.classes for each in octaves]
    assert classes == sorted(classes)
    assert classes[0] == 1
    assert classes[-1] == 32  # 5,000 rows, of which 256 at most
    assert math.isinf(octaves[-1].noise)


@pytest.mark.parametrize("n", [1, 2, 100, 1000])
def test_each_row_is_in_its_own_group_once(n: int) -> None:
    rows = torch.randn(n, 2, generator=torch.Generator().manual_seed(3))
    near = neighbourhoods(rows, 64)
    every = torch.arange(n)
    for ratio in (1e-4, 0.03, 0.2, 50.0):
        group = near.groups(rows, torch.full((n,), ratio, dtype=torch.float64), every)
        for k in range(n):
            keys = near.keys[group[k]][0, 0]
            assert int((keys[:, :2] == rows[k]).all(1).sum()) == 1
            torch.testing.assert_close(keys[:, 2], keys[:, :2].square().sum(1))


def test_rows_that_are_all_the_same_have_groups_too() -> None:
    rows = torch.ones(1000, 3)
    near = neighbourhoods(rows, 64)
    row, x_t, level = _noised(rows, 0.1)
    means = posterior_means(x_t, level, _groups(near, row, x_t, level), near.keys)
    torch.testing.assert_close(means, torch.ones(4000, 3))


@pytest.mark.parametrize("ones", [0.4, 0.6])
def test_rows_that_share_a_value_are_beyond_reach_of_those_that_have_another(ones: float) -> None:
    """0 or 1 in the widest column, and normal numbers a fifth as wide beside it."""
    generator = torch.Generator().manual_seed(5)
    either = (torch.rand(5000, generator=generator) < ones).float()
    rows = torch.stack([either, torch.randn(5000, generator=generator) / 5], 1)
    near = neighbourhoods(rows, 256)
    noise = torch.full((5000,), 0.0025, dtype=torch.float64)
    assert (near.candidates(noise) == 5000).all()
    group = near.groups(rows, noise, torch.arange(5000))
    assert sum(keys.shape[2] for keys in (near.keys[k] for k in group)) < 1.1 * 256 * 5000
    for k in range(0, 5000, 50):  # a group has rows of its own side alone
        assert (near.keys[group[k]][0, 0, :, 0] == rows[k, 0]).all()


def test_where_a_class_has_no_row_near_all_of_it_is_taken_and_held_once() -> None:
    """Nine rows in ten are the same, so that there are many classes, and few of the others near."""
    rows = torch.full((3000, 2), 3.0)
    rows[2700:] = torch.rand(300, 2, generator=torch.Generator().manual_seed(6)) - 1
    near = neighbourhoods(rows, 64)
    noise = torch.full((2700,), 0.01, dtype=torch.float64)
    level = NoiseLevel.from_log_snr(-2 * noise.log())
    places = rows[2700:].repeat(9, 1)  # of the same rows, with noise of hundreds of deviations
    group = near.groups(places, noise, torch.arange(2700))
    sizes = torch.tensor([keys.shape[2] for keys in near.keys])
    assert (sizes[group] > 0).all()
    means = posterior_means(places * level.alpha[:, None].float(), level, group, near.keys)
    assert means.isfinite().all()
    held = {keys.data_ptr(): keys.numel() for keys in near.keys}
    assert sum(held.values()) < 3 * rows.shape[0] * 3 * len(near.octaves)


def test_what_is_noised_far_beyond_its_reach_still_has_a_target() -> None:
    rows = _rows("moons", 2000)
    near = neighbourhoods(rows, 64)
    places = torch.tensor([[40.0, -40.0], [-3.0, 9.0], [0.0, 0.0], [100.0, 100.0]]).repeat(500, 1)
    for ratio in (0.001, 0.05, 0.2):
        level = NoiseLevel.from_log_snr(torch.full((2000,), -2 * math.log(ratio)).double())
        group = near.groups(places, level.sigma_ve, torch.arange(2000))
        means = posterior_means(places * level.alpha[:, None].float(), level, group, near.keys)
        assert means.isfinite().all()
        assert (means.abs() <= rows.abs().amax() + 1e-4).all()
