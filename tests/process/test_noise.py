"""Noise levels keep their digits where sqrt(1 - alpha²) has lost them."""

import mpmath as mp
import pytest
import torch

from sfumato.process.noise import NoiseLevel, spread, then_clean


@pytest.mark.parametrize("log_snr", [-40.0, -3.0, 0.0, 5.0, 18.0, 40.0])
def test_from_log_snr_is_exact(log_snr: float) -> None:
    level = NoiseLevel.from_log_snr(torch.tensor(log_snr, dtype=torch.float64))
    with mp.workdps(40):
        alpha = mp.sqrt(1 / (1 + mp.exp(-mp.mpf(log_snr))))
        sigma = mp.sqrt(1 / (1 + mp.exp(mp.mpf(log_snr))))
    assert float(level.alpha) == pytest.approx(float(alpha), rel=1e-14)
    assert float(level.sigma) == pytest.approx(float(sigma), rel=1e-14)


def test_float32_noise_survives_a_log_snr_of_18() -> None:
    # CHECKS: sqrt(1 - alpha²) is 0 here, sqrt(sigmoid(-18)) is 1.23e-4.
    level = NoiseLevel.from_log_snr(torch.tensor(18.0))
    assert float((1 - level.alpha**2).sqrt()) == 0
    assert float(level.sigma) == pytest.approx(1.23409802e-4, rel=2e-6)


def test_from_log_snr_has_unit_power() -> None:
    level = NoiseLevel.from_log_snr(torch.linspace(-30, 30, 61, dtype=torch.float64))
    assert torch.allclose(level.alpha**2 + level.sigma**2, torch.ones(61).double(), rtol=1e-15)


def test_log_snr_inverts_from_log_snr() -> None:
    asked = torch.linspace(-60, 30, 91, dtype=torch.float64)
    assert torch.allclose(NoiseLevel.from_log_snr(asked).log_snr, asked, rtol=0, atol=1e-13)


def test_ratios_of_a_level_that_preserves_no_variance() -> None:
    level = NoiseLevel(torch.tensor(2.0).double(), torch.tensor(8.0).double())
    assert float(level.snr) == pytest.approx(1 / 16)
    assert float(level.log_snr) == pytest.approx(-2.772588722239781, rel=1e-15)  # log(1/16)
    assert float(level.sigma_ve) == pytest.approx(4.0)


def test_clean_level_has_no_noise() -> None:
    clean = NoiseLevel.clean()
    assert (float(clean.alpha), float(clean.sigma)) == (1.0, 0.0)
    assert float(clean.log_snr) == float("inf")


def test_levels_are_indexed_like_a_list() -> None:
    levels = NoiseLevel(torch.arange(5.0), 10 + torch.arange(5.0))
    assert len(levels) == 5
    assert (float(levels[3].alpha), float(levels[-1].sigma)) == (3.0, 14.0)
    assert levels[torch.tensor([4, 0])].sigma.tolist() == [14.0, 10.0]
    assert levels[1:3].alpha.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("event", [(), (3,), (3, 4, 5)])
def test_one_level_each_multiplies_the_batch_axis(event: tuple[int, ...]) -> None:
    x = torch.ones(2, *event)
    levels = NoiseLevel(torch.tensor([2.0, 3.0]).double(), torch.tensor([5.0, 7.0]).double())
    at = levels.like(x)
    assert (at.alpha * x)[0].flatten().tolist() == [2.0] * x[0].numel()
    assert (at.alpha * x)[1].flatten().tolist() == [3.0] * x[0].numel()
    assert (at.sigma * x)[0].flatten().tolist() == [5.0] * x[0].numel()
    assert (at.alpha * x).shape == x.shape


def test_spread_casts_to_the_sample() -> None:
    numbers = torch.tensor([0.1, 0.2], dtype=torch.float64)
    assert spread(numbers, torch.ones(2, 3)).dtype == torch.float32
    assert spread(numbers[0], torch.ones(2, 3)).shape == ()


def test_then_clean_appends_the_clean_level() -> None:
    levels = then_clean(NoiseLevel(torch.tensor([0.5, 0.9]), torch.tensor([2.0, 1.0])))
    assert levels.alpha.tolist() == pytest.approx([0.5, 0.9, 1.0])
    assert levels.sigma.tolist() == [2.0, 1.0, 0.0]
