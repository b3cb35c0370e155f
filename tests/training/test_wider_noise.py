"""Noise wider than the process's: how much, where, and what a network learns from it."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.mixture import gaussian_mixture
from sfumato.networks.mlp import VectorMLP
from sfumato.process import discrete, parameterisations
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import as_process
from sfumato.process.schedules import Cosine
from sfumato.process.streams import generator
from sfumato.training import wider_noise
from sfumato.training.loop import train
from sfumato.training.regression import NoisedRows, regression, regression_training
from sfumato.training.wider_noise import drawn_widths, is_wide, widths

PROCESS = as_process(Cosine())


def most_width(d: int) -> float:
    return float(widths(torch.ones(1), d))


@pytest.mark.parametrize("d", [1, 2, 50])
def test_one_row_in_four_is_wider_by_two_deviations_of_the_norm_at_most(d: int) -> None:
    widths = drawn_widths(20_000, d, generator(0)).double()
    wider = widths[widths != 1]
    assert len(wider) / 20_000 == pytest.approx(0.25, abs=0.015)
    assert stats.kstest(wider - 1, "uniform", (0, most_width(d) - 1)).pvalue > 1e-3
    # The norm of d numbers is sqrt(d) wide and scatters by 1/sqrt(2), nearly so in few of them.
    scatter = stats.chi(d).std()
    assert (most_width(d) - 1) * math.sqrt(d) == pytest.approx(2 * scatter, rel=0.2)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_so_many_rows_are_within_the_noise(d: int) -> None:
    """Eq. (2) by its meaning: the weights of n normal rows at x_t = 0, where a row at 0 has 1."""
    rows = torch.randn(200_000, d, generator=generator(1), dtype=torch.float64)
    for log_snr in (-3.0, 0.0, 2.0):
        level = NoiseLevel.from_log_snr(torch.tensor(log_snr, dtype=torch.float64))
        within = float((-level.snr / 2 * rows.square().sum(1)).exp().mean())
        n = wider_noise._MANY / within
        assert not is_wide(level, math.floor(0.97 * n), d)
        assert is_wide(level, math.ceil(1.03 * n), d)


def _batch(settings: TrainingSettings, learned_variance: bool = False) -> NoisedRows:
    """8,192 normal rows in the plane, noised: eight steps."""
    denoiser = NetworkDenoiser(VectorMLP(2, 8, 1), parameterisations.edm)
    process = PROCESS
    if learned_variance:
        denoiser = replace(denoiser, learns_variance=True)
        process = as_process(discrete.linear(100))
    data = torch.randn(8192, 2, generator=generator(2))
    objective = regression(denoiser, process, settings, (2,))
    index = torch.arange(8192).view(8, 1024)
    return objective.batch(data, index, slice(0, 1024), objective.draw(8192, generator(3)))


def _spread(rows: NoisedRows, some: Tensor) -> float:
    return float(rows.eps[some].square().mean())


def test_rows_are_noised_wider_where_their_target_is_a_mean_of_many() -> None:
    rows = _batch(TrainingSettings(reference=1024))
    wide = is_wide(rows.level, 1024, 2)
    most = most_width(2)
    squares = 0.75 + 0.25 * (1 + most + most**2) / 3
    assert _spread(rows, wide) == pytest.approx(squares, rel=0.06)
    assert _spread(rows, ~wide) == pytest.approx(1, rel=0.06)
    # For N(0, 1) the target is alpha x_t/(alpha² + sigma²), however far out x_t lies.
    assert rows.target is not None
    far = wide & (rows.eps.norm(dim=1) > 4) & (rows.level.snr < 1)
    assert far.sum() > 20
    level = rows.level[far]
    exact = (level.alpha / (level.alpha**2 + level.sigma**2))[:, None] * rows.x_t[far]
    off = (rows.target[far] - exact).square().mean().sqrt()
    assert off < 0.5 * (rows.x_0[far] - exact).square().mean().sqrt()


@pytest.mark.parametrize("learned_variance", [False, True])
def test_a_single_row_is_no_function_of_its_noised_one_and_is_noised_as_it_is(
    learned_variance: bool,
) -> None:
    settings = TrainingSettings(reference=1024 * learned_variance)
    rows = _batch(settings, learned_variance=learned_variance)
    assert float(rows.eps.square().mean()) == pytest.approx(1, rel=0.03)


def test_a_network_leads_back_what_noise_put_far_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clusters: four deviations out the mean of x_0 still lies between them."""
    mixture = gaussian_mixture(
        torch.tensor([0.5, 0.5]).double(),
        torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double(),
        0.01 * torch.eye(2).double().expand(2, 2, 2),
    )
    rows = mixture.draw(2000, generator(4)).float()
    angle = torch.linspace(0, 2 * math.pi, 200, dtype=torch.float64)
    level = PROCESS.at(PROCESS.time(torch.tensor(1.0, dtype=torch.float64)))
    out = 4 * level.sigma * torch.stack([angle.cos(), angle.sin()], 1)
    exact = mixture(out, level).x_0
    recipe = TrainingSettings(steps=300, batch_size=256, reference=512, learning_rate=1e-2)
    off = {}
    for one_in in (wider_noise._ONE_IN, math.inf):
        monkeypatch.setattr(wider_noise, "_ONE_IN", one_in)
        torch.manual_seed(0)
        denoiser = NetworkDenoiser(VectorMLP(2, 32, 2), parameterisations.edm)
        training = regression_training(denoiser, Cosine(), rows, recipe, seed=0)
        list(train(training))
        learned = denoiser.with_network(training.drawing_network(last=False))
        with torch.no_grad():
            off[one_in] = float((learned(out, level).x_0 - exact).norm(dim=1).mean())
    assert off[4] < 0.6 * off[math.inf]
