"""Targets averaged over a batch: exact, unbiased, quieter."""

import math

import pytest
import torch

from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.empirical import empirical
from sfumato.networks.mlp import VectorMLP
from sfumato.process import parameterisations
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import as_process
from sfumato.process.schedules import Cosine
from sfumato.training.regression import regression
from sfumato.training.stable_targets import as_keys, posterior_means


@pytest.mark.parametrize("event", [(1,), (2,), (3, 4)])
def test_each_group_has_the_exact_denoiser_of_its_own_rows(event: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 40, *event, generator=generator)
    level = NoiseLevel.from_log_snr(torch.linspace(-9, 9, 30, dtype=torch.float64))
    x_t = torch.randn(30, *event, generator=generator)
    group = torch.randperm(30, generator=generator) % 4  # of the fourth there are none
    group[group == 3] = 0
    means = posterior_means(x_t, level, group, [*as_keys(rows.flatten(2)), torch.empty(0)])
    assert means.shape == x_t.shape
    for k in range(3):
        exact = empirical(rows[k].flatten(1).double())
        expected = exact(x_t[group == k].flatten(1).double(), level[group == k]).x_0.float()
        torch.testing.assert_close(means[group == k].flatten(1), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("n", [2, 8, 64])
@pytest.mark.parametrize("log_snr", [-2.0, 0.0, 2.0])
def test_the_mean_over_batches_is_that_of_the_row_and_the_variance_less(
    n: int, log_snr: float
) -> None:
    """For N(0, 1) and a VP level E[x_0 | x_t] = alpha x_t, and the variance left is sigma²."""
    batches = 40_000
    generator = torch.Generator().manual_seed(n)
    rows = torch.randn(batches, n, 1, generator=generator)
    level = NoiseLevel.from_log_snr(torch.full((batches,), log_snr, dtype=torch.float64))
    x_0 = rows[:, 0]
    x_t = noised(x_0, level).draw(torch.randn(batches, 1, generator=generator))
    target = posterior_means(x_t, level, torch.arange(batches), as_keys(rows).unbind())
    off = target - level.alpha[0].float() * x_t
    # Nothing of what is off goes with any function of x_t.
    for g in (torch.ones_like(x_t), x_t, x_t**2 - 1, torch.sin(2 * x_t)):
        product = off * g
        assert abs(float(product.mean())) < 4 * float(product.std()) / math.sqrt(batches)
    assert float(off.var()) < float((x_0 - level.alpha[0].float() * x_t).var())


def test_with_little_noise_the_row_itself_is_the_target() -> None:
    rows = torch.randn(100, 2, generator=torch.Generator().manual_seed(1))
    level = NoiseLevel.from_log_snr(torch.full((5,), 16.0, dtype=torch.float64))
    x_t = noised(rows[:5], level).draw(torch.zeros(5, 2))
    means = posterior_means(x_t, level, torch.zeros(5, dtype=torch.int64), [as_keys(rows)])
    torch.testing.assert_close(means, rows[:5], atol=1e-3, rtol=0)


@pytest.mark.parametrize("rows", [300, 2000])
def test_targets_of_near_rows_are_as_right_and_quieter(rows: int) -> None:
    """Against E[x_0 | x_t, the data], which the mean over all steps must be."""
    data = torch.randn(rows, 2, generator=torch.Generator().manual_seed(3))
    exact = empirical(data.double())
    network = VectorMLP(2, 8, 1)
    settings = TrainingSettings(batch_size=64, reference=64)
    apart = {}
    for name, known in (("near", data), ("evenly", None)):
        objective = regression(
            NetworkDenoiser(network, parameterisations.edm),
            as_process(Cosine()),
            settings,
            (2,),
            rows=known,
        )
        generator = torch.Generator().manual_seed(4)
        steps = 400
        index = torch.randint(rows, (steps, 64), generator=generator)
        draws = zip(*(objective.draw(64, generator) for _ in range(steps)), strict=True)
        batch = objective.batch(data, index, slice(0, 64), tuple(map(torch.cat, draws)))
        assert batch.target is not None
        apart[name] = batch.target - exact(batch.x_t.double(), batch.level).x_0.float()
        low = batch.level.sigma_ve < 0.02
        for some in (low, ~low):
            for g in (torch.ones(len(low)), batch.x_t[:, 0], batch.x_t[:, 1] ** 2):
                # The rows of a step have a group together, and go astray together.
                product = (apart[name] * (g * some)[:, None]).view(steps, 64, 2).mean(1)
                error = product.std(0) / math.sqrt(steps)
                assert (product.mean(0).abs() < 4.5 * error + 1e-6).all()
    near, evenly = (apart[name][low].square().mean() for name in ("near", "evenly"))
    assert near < 0.7 * evenly


@pytest.mark.parametrize(
    ("rows", "numbers", "reference", "found"),
    [(10_000, 2, 1024, True), (100, 2, 64, True), (8192, 1, 64, True), (8193, 1, 64, False),
     (500, 8, 64, True), (500, 9, 64, False), (500, 2, 0, False), (4096, 1, 1, True),
     (4097, 1, 1, False)],
)  # fmt: skip
def test_near_rows_are_looked_for_among_not_too_many_of_few_numbers(
    rows: int, numbers: int, reference: int, found: bool
) -> None:
    data = torch.randn(rows, numbers, generator=torch.Generator().manual_seed(5))
    denoiser = NetworkDenoiser(VectorMLP(numbers, 8, 1), parameterisations.edm)
    settings = TrainingSettings(batch_size=32, reference=reference)
    process = as_process(Cosine())
    objective = regression(denoiser, process, settings, (numbers,), rows=data)
    assert (objective.near is not None) == found
    # A step draws the rows of its reference too, where they are its own.
    assert objective.min_rows == (0 if found else reference)
    assert regression(denoiser, process, settings, (numbers,)).near is None


@pytest.mark.parametrize(("batch_size", "reference"), [(64, 64), (64, 8), (8, 64)])
def test_the_reference_is_at_least_the_batch(batch_size: int, reference: int) -> None:
    data = torch.randn(64 * 9, 2, generator=torch.Generator().manual_seed(6))
    denoiser = NetworkDenoiser(VectorMLP(2, 8, 1), parameterisations.edm)
    settings = TrainingSettings(batch_size=batch_size, reference=reference)
    near = regression(denoiser, as_process(Cosine()), settings, (2,), rows=data).near
    assert near is not None
    assert near.octaves[-1].classes == 16
