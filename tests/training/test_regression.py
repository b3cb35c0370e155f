"""The objective of points and pictures."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.guidance import ClassLabels
from sfumato.networks.mlp import VectorMLP
from sfumato.process import discrete, parameterisations
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import Cosine
from sfumato.training.loop import Training, train
from sfumato.training.loss import hybrid_loss
from sfumato.training.regression import (
    AskedRows,
    Regression,
    regression,
    regression_training,
)

Weight = Callable[[NoiseLevel], Tensor]


def fitted(weighting: Weight | None = None, *, named: str = "simple") -> Tensor:
    torch.manual_seed(0)
    denoiser = NetworkDenoiser(VectorMLP(2, 16, 1), parameterisations.edm)
    data = torch.randn(300, 2, generator=torch.Generator().manual_seed(1))
    recipe = TrainingSettings(steps=20, batch_size=64, reference=0, weighting=named)
    learner = regression_training(denoiser, Cosine(), data, recipe, seed=0, weighting=weighting)
    list(train(learner))
    return torch.cat([weights.detach().flatten() for weights in learner.network.parameters()])


def test_a_weighting_of_ones_own_takes_the_place_of_the_settings() -> None:
    assert torch.equal(fitted(lambda level: level.snr), fitted(named="snr"))
    assert not torch.equal(fitted(lambda level: level.snr), fitted(named="simple"))


class Classes(nn.Module):
    """Answers with the class number."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, number: Tensor, label: Tensor) -> Tensor:
        return self.gain * label.to(x)[:, None, None, None].expand_as(x)


def of_classes(dropout: float) -> Training:
    data = torch.arange(5.0)[:, None, None, None].expand(5, 1, 2, 2).clone()
    data[..., 1] += 10
    recipe = TrainingSettings(batch_size=600, reference=0, label_dropout=dropout)
    denoiser = NetworkDenoiser(Classes(), parameterisations.x_0)
    objective = regression(
        denoiser, ContinuousProcess(Cosine()), recipe, (1, 2, 2),
        class_labels=ClassLabels(5, mirrored=True), labels=torch.arange(5),
    )  # fmt: skip
    return Training(denoiser, objective, data, recipe, seed=0)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_the_condition_is_the_class_of_the_row_mirrored_or_not(dropout: float) -> None:
    batch = next(of_classes(dropout).batches(1))
    assert isinstance(batch, AskedRows)
    assert batch.rows.condition is not None
    is_mirrored = batch.rows.x_0[:, 0, 0, 0] > batch.rows.x_0[:, 0, 0, 1]
    label = batch.rows.x_0[:, 0, 0].amin(1).long()
    hidden = batch.rows.condition % 6 == 5
    assert torch.equal(batch.rows.condition[~hidden], (label + 6 * is_mirrored)[~hidden])
    assert torch.equal(batch.rows.condition >= 6, is_mirrored)
    # Four deviations of a binomial of 600.
    assert float(is_mirrored.float().mean()) == pytest.approx(0.5, abs=0.082)
    assert float(hidden.float().mean()) == pytest.approx(dropout, abs=0.071 * (dropout > 0))


def test_the_loss_of_a_row_is_that_of_its_own_class() -> None:
    """By hand: the network's answer is x_0, with weight 1."""
    learner = of_classes(0.0)
    batch = next(learner.batches(1))
    assert isinstance(batch, AskedRows)
    assert batch.rows.condition is not None
    error = batch.rows.x_0 - batch.rows.condition.float()[:, None, None, None]
    whole = learner.objective.losses(learner.denoiser, batch)
    torch.testing.assert_close(whole, error.square().mean((1, 2, 3)))
    parts = [learner.objective.losses(learner.denoiser, batch[k : k + 200]) for k in (0, 200, 400)]
    torch.testing.assert_close(torch.cat(parts), whole)


class Linear(nn.Module):
    """Answers with its input, tilted by the noise, and a variance beside it where asked."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.7))
        self.answers = answers

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        return (self.gain * x + 0.1 * number[:, None]).repeat(1, self.answers)


@pytest.mark.parametrize("name", ["eps", "v", "x_0", "edm"])
@pytest.mark.parametrize("weighting", ["simple", "snr", "sigmoid"])
@pytest.mark.parametrize("reference", [0, 90])
def test_the_losses_of_training_are_those_of_the_denoiser_at_the_noised_rows(
    name: str, weighting: str, reference: int
) -> None:
    """Eq. (1) of `training.loss` from the draws themselves, in float64; several steps at once."""
    denoiser = NetworkDenoiser(Linear(1), parameterisations.PARAMETERISATIONS[name])
    process = ContinuousProcess(Cosine())
    recipe = TrainingSettings(batch_size=30, reference=reference, weighting=weighting)
    data = torch.randn(200, 2, generator=torch.Generator().manual_seed(2))
    learner = regression_training(denoiser, process, data, recipe, seed=0)
    objective = learner.objective
    assert isinstance(objective, Regression)
    for batch in learner.batches(3):
        assert isinstance(batch, AskedRows)
        rows = batch.rows
        alpha, sigma = rows.level.alpha[:, None], rows.level.sigma[:, None]
        x_t = alpha * rows.x_0.double() + sigma * rows.eps.double()
        aim = rows.x_0 if rows.target is None else rows.target
        error = (denoiser(x_t, rows.level).x_0 - aim).square().mean(1)
        expected = objective.weight(rows.level) * error
        torch.testing.assert_close(
            objective.losses(denoiser, batch).double(), expected, rtol=2e-3, atol=1e-6
        )


def test_the_losses_of_a_learned_variance_are_the_hybrid_ones_at_the_noised_rows() -> None:
    schedule = discrete.linear(50)
    denoiser = NetworkDenoiser(Linear(2), parameterisations.eps, learns_variance=True)
    recipe = TrainingSettings(batch_size=30, reference=0)
    data = torch.randn(200, 2, generator=torch.Generator().manual_seed(2))
    learner = regression_training(denoiser, schedule, data, recipe, seed=0)
    assert isinstance(learner.objective, Regression)
    (batch,) = learner.batches(1)
    assert isinstance(batch, AskedRows)
    rows = batch.rows
    x_t = noised(rows.x_0, rows.level).draw(rows.eps)
    expected = hybrid_loss(
        denoiser(x_t, rows.level),
        x_t,
        rows.x_0,
        rows.level,
        learner.objective.weight(rows.level),
        schedule,
    )
    torch.testing.assert_close(learner.objective.losses(denoiser, batch), expected)
