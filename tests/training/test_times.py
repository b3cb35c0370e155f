"""Time draws: uniform each, lower variance together, and the tutorial's pairs on a table."""

import pytest
import torch
from scipy import stats

from sfumato.process import tables
from sfumato.process.schedules import Cosine
from sfumato.training.times import TIME_DRAWS, antithetic, level_at, stratified, uniform


@pytest.mark.parametrize("name", TIME_DRAWS)
@pytest.mark.parametrize("batch", [1, 2, 7, 128])
def test_every_draw_is_uniform_at_every_place_of_the_batch(name: str, batch: int) -> None:
    source = torch.Generator().manual_seed(0)
    draws = torch.stack([TIME_DRAWS[name](batch, source) for _ in range(400)])
    assert draws.shape == (400, batch)
    assert bool(((draws >= 0) & (draws <= 1)).all())
    for place in {0, batch // 2, batch - 1}:
        assert stats.kstest(draws[:, place].numpy(), "uniform").pvalue > 1e-3


def test_antithetic_pairs_are_the_tutorials_on_a_table() -> None:
    table = tables.sigmoid(100)
    u = antithetic(128, torch.Generator().manual_seed(1))
    index = table.index(level_at(table, u)) - 1  # the tutorial counts its levels from 0
    torch.testing.assert_close(index[64:], 100 - 1 - index[:64])


def test_every_level_of_a_table_is_drawn_equally_often() -> None:
    table = tables.sigmoid(10)
    u = uniform(50_000, torch.Generator().manual_seed(2))
    counts = torch.bincount(table.index(level_at(table, u)), minlength=11)
    assert int(counts[0]) == 0  # the clean level has nothing to learn
    assert stats.chisquare(counts[1:].numpy()).pvalue > 1e-3


def test_antithetic_and_stratified_estimate_with_less_variance() -> None:
    """Integrals of a monotone function of u, from many batches of 32."""

    def spread(name: str) -> float:
        source = torch.Generator().manual_seed(3)
        means = [float(TIME_DRAWS[name](32, source).exp().mean()) for _ in range(500)]
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
    torch.testing.assert_close(level_at(Cosine(), u).log_snr, Cosine()(u).log_snr)
