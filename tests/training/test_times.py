"""Time draws: each its own distribution, lower variance together, importance without bias."""

import math
from collections import deque

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from sfumato.process import discrete
from sfumato.process.process import AnyProcess, as_process
from sfumato.process.schedules import VE, Cosine, Linear
from sfumato.training.times import (
    TIME_DRAWS,
    Importance,
    LogNormal,
    antithetic,
    logit_normal,
    stratified,
    uniform,
)

# Holds 10 deviations of the log-normal draw.
WIDE = as_process(Cosine(log_snr_max=25.0, log_snr_min=-25.0))


def _log_noise(u: Tensor) -> Tensor:
    level = WIDE.at(u)
    return level.sigma.log() - level.alpha.log()


@pytest.mark.parametrize("name", TIME_DRAWS)
@pytest.mark.parametrize("batch", [1, 2, 7, 128])
def test_every_draw_has_its_distribution_at_every_place_of_the_batch(name: str, batch: int) -> None:
    source = torch.Generator().manual_seed(0)
    draw = TIME_DRAWS[name](WIDE)
    draws = torch.stack([draw(batch, source) for _ in range(400)])
    assert draws.shape == (400, batch)
    assert bool(((draws >= 0) & (draws <= 1)).all())
    for place in {0, batch // 2, batch - 1}:
        u, cdf = draws[:, place], stats.uniform().cdf
        if name == "logit-normal":
            u, cdf = torch.logit(u), stats.norm().cdf
        elif name == "log-normal":
            u, cdf = _log_noise(u), stats.norm(-1.2, 1.2).cdf
        assert stats.kstest(u.numpy(), cdf).pvalue > 1e-3


def test_antithetic_pairs_are_the_tutorials_on_discrete_levels() -> None:
    schedule = discrete.sigmoid(100)
    u = antithetic(128, torch.Generator().manual_seed(1))
    index = schedule.index(as_process(schedule).at(u)) - 1  # the tutorial counts its levels from 0
    torch.testing.assert_close(index[64:], 100 - 1 - index[:64])


def test_every_discrete_level_is_drawn_equally_often() -> None:
    schedule = discrete.sigmoid(10)
    u = uniform(50_000, torch.Generator().manual_seed(2))
    counts = torch.bincount(schedule.index(as_process(schedule).at(u)), minlength=11)
    assert int(counts[0]) == 0  # the clean level has nothing to learn
    assert stats.chisquare(counts[1:].numpy()).pvalue > 1e-3


def test_antithetic_and_stratified_estimate_with_less_variance() -> None:
    """Integrals of a monotone function of u, from many batches of 32."""

    def spread(name: str) -> float:
        source = torch.Generator().manual_seed(3)
        draw = TIME_DRAWS[name](WIDE)
        means = [float(draw(32, source).exp().mean()) for _ in range(500)]
        assert sum(means) / 500 == pytest.approx(torch.e - 1, abs=0.02)
        return float(torch.tensor(means).var())

    # Var e^u = (e²-1)/2 - (e-1)² = 0.242; of (e^u + e^(1-u))/2 it is 0.0039; within a
    # stratum of width 1/32 about (e²-1)/2/12/32² = 0.00026. All over 32.
    assert spread("antithetic") < spread("uniform") / 15
    assert spread("stratified") < spread("uniform") / 300


def test_stratified_puts_one_draw_in_each_stratum() -> None:
    u = stratified(64, torch.Generator().manual_seed(4))
    assert sorted((u * 64).floor().int().tolist()) == list(range(64))


def test_a_continuous_schedule_takes_the_draw_as_its_time() -> None:
    u = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    torch.testing.assert_close(as_process(Cosine()).at(u).log_snr, Cosine()(u).log_snr)


def test_log_normal_noise_beyond_the_schedule_is_that_of_its_ends() -> None:
    schedule = VE(sigma_min=math.exp(-1.5), sigma_max=math.exp(-0.5))
    u = LogNormal(as_process(schedule))(20_000, torch.Generator().manual_seed(5))
    assert (float(u.min()), float(u.max())) == (0.0, 1.0)
    share_below, share_above = stats.norm(-1.2, 1.2).cdf(-1.5), stats.norm(-1.2, 1.2).sf(-0.5)
    assert float((u < 1e-9).double().mean()) == pytest.approx(share_below, abs=1e-3)
    assert float((u > 1 - 1e-9).double().mean()) == pytest.approx(share_above, abs=1e-3)


def test_log_normal_takes_the_nearest_discrete_level() -> None:
    schedule = discrete.linear(25)
    process = as_process(schedule)
    source = torch.Generator().manual_seed(6)
    index = schedule.index(process.at(LogNormal(process)(50_000, source)))
    alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 25) * 40)
    own = 0.5 * np.log(1 / alpha_bar - 1)
    edges = np.concatenate([[-np.inf], (own[1:] + own[:-1]) / 2, [np.inf]])
    share = np.diff(stats.norm(-1.2, 1.2).cdf(edges))
    measured = torch.bincount(index, minlength=26)[1:].numpy() / 50_000
    assert np.abs(measured - share).max() < 1e-3  # stratified: far below 1/sqrt(50,000)


def test_logit_normal_is_stratified() -> None:
    u = logit_normal(64, torch.Generator().manual_seed(7))
    strata = np.floor(64 * stats.norm.cdf(torch.logit(u).numpy()))
    assert sorted(strata.astype(int).tolist()) == list(range(64))


def _made_up(u: Tensor) -> Tensor:
    """A loss as steep as the variational bound's: from 100 down to 0.01 along u."""
    return 100 * torch.exp(-math.log(1e4) * u)


MEAN = 100 * (1 - 1e-4) / math.log(1e4)  # of `_made_up` over (0, 1)


def _warmed_up(process: AnyProcess) -> tuple[Importance, torch.Generator]:
    draw, source = Importance(as_process(process)), torch.Generator().manual_seed(8)
    while int(draw.count.min()) < 10:
        u = draw(256, source)
        draw.reweighted(u, _made_up(u))
    return draw, source


def test_importance_is_uniform_until_every_bin_has_ten_losses() -> None:
    draw = Importance(as_process(Linear()))
    u = (torch.arange(100, dtype=torch.float64) + 0.5) / 100
    for _ in range(9):
        draw.reweighted(u, _made_up(u))
    draw.reweighted(u[1:], _made_up(u[1:]))
    assert torch.equal(draw.density(), torch.ones(100, dtype=torch.float64))
    weighted = draw.reweighted(u[:1], _made_up(u[:1]))
    assert torch.equal(weighted, _made_up(u[:1]))
    assert float(draw.density()[0]) > 5


def test_importance_remembers_the_last_ten_losses_of_each_bin() -> None:
    schedule = discrete.linear(4)
    draw, source = Importance(as_process(schedule)), torch.Generator().manual_seed(9)
    memory = [deque[float](maxlen=10) for _ in range(4)]
    for batch in (3, 30, 1, 200, 7, 64):  # more than ten at once in a bin, and none
        u = torch.rand(batch, dtype=torch.float64, generator=source) ** 2
        losses = torch.randn(batch, generator=source)
        draw.reweighted(u, losses)
        for level, value in zip(
            schedule.index(as_process(schedule).at(u)).tolist(), losses, strict=True
        ):
            memory[level - 1].append(float(value))
    for bin_losses, expected in zip(draw.losses, memory, strict=True):
        assert sorted(bin_losses.tolist()) == sorted(expected)
    # Nichol & Dhariwal (2021), eq. 18, with the uniform share of 0.001 of their code.
    size = np.array([np.sqrt(np.mean(np.square(each))) for each in memory])
    share = 0.999 * size / size.sum() + 0.001 / 4
    np.testing.assert_allclose(draw.density().numpy() / 4, share, rtol=1e-12)


@pytest.mark.parametrize("process", [Cosine(), discrete.linear(30)])
def test_importance_draws_from_its_density(process: AnyProcess) -> None:
    draw, source = _warmed_up(process)
    density = draw.density()
    bins = draw.num_bins
    u = torch.cat([draw(100, source) for _ in range(200)])
    edges = np.linspace(0, 1, bins + 1)
    steps = np.concatenate([[0], np.cumsum(density.numpy()) / bins])
    assert stats.kstest(u.numpy(), lambda x: np.interp(x, edges, steps)).pvalue > 1e-3
    rare = int(density.argmin())
    assert float(density[rare]) < 0.01  # and still its ends are drawn as others' are
    assert stats.kstest(((u * bins) % 1).numpy(), "uniform").pvalue > 1e-3


def test_importance_is_stratified() -> None:
    draw, source = _warmed_up(Cosine())
    ends = np.concatenate([[0], np.cumsum(draw.density().numpy()) / 100])
    place = np.interp(draw(64, source).numpy(), np.linspace(0, 1, 101), ends)
    assert sorted(np.floor(64 * place).astype(int).tolist()) == list(range(64))


@pytest.mark.parametrize("process", [Cosine(), discrete.linear(30)])
def test_importance_is_unbiased_and_varies_less(
    process: AnyProcess,
) -> None:
    draw, source = _warmed_up(process)
    ours, uniform_means = [], []
    for _ in range(400):
        u = draw(32, source)
        ours.append(float(draw.reweighted(u, _made_up(u)).mean()))
        uniform_means.append(float(_made_up(uniform(32, source)).mean()))
    error = float(np.std(ours)) / math.sqrt(400)
    assert abs(np.mean(ours) - MEAN) < 4 * error
    assert error / MEAN < 0.01
    assert np.std(ours) < np.std(uniform_means) / 5


def test_a_bin_without_loss_is_drawn_again() -> None:
    draw, source = Importance(as_process(discrete.linear(10))), torch.Generator().manual_seed(10)
    for _ in range(40):
        u = draw(100, source)
        draw.reweighted(u, (u > 0.1).double())
    assert float(draw.density()[0]) == pytest.approx(0.001)
    drawn = torch.cat([draw(1000, source) for _ in range(100)])
    assert stats.binomtest(int((drawn < 0.1).sum()), 100_000, 1e-4).pvalue > 1e-3


def test_a_gradient_passes_through_the_weights_as_through_a_product() -> None:
    draw, source = _warmed_up(Cosine())
    u = draw(16, source)
    losses = _made_up(u).requires_grad_()
    draw.reweighted(u, losses).sum().backward()
    assert losses.grad is not None
    assert not draw.losses.requires_grad
    assert float(losses.grad.min()) < 1 < float(losses.grad.max())
