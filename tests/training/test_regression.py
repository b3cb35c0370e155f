"""The objective of points and pictures."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.guidance import ClassLabels
from sfumato.networks.mlp import VectorMLP
from sfumato.process import parameterisations
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import Cosine
from sfumato.training.loop import Training, train
from sfumato.training.regression import NoisedRows, regression, regression_training

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
    assert isinstance(batch, NoisedRows)
    assert batch.condition is not None
    is_mirrored = batch.x_0[:, 0, 0, 0] > batch.x_0[:, 0, 0, 1]
    label = batch.x_0[:, 0, 0].amin(1).long()
    hidden = batch.condition % 6 == 5
    assert torch.equal(batch.condition[~hidden], (label + 6 * is_mirrored)[~hidden])
    assert torch.equal(batch.condition >= 6, is_mirrored)
    # Four deviations of a binomial of 600.
    assert float(is_mirrored.float().mean()) == pytest.approx(0.5, abs=0.082)
    assert float(hidden.float().mean()) == pytest.approx(dropout, abs=0.071 * (dropout > 0))


def test_the_loss_of_a_row_is_that_of_its_own_class() -> None:
    """By hand: the network's answer is x_0, with weight 1."""
    learner = of_classes(0.0)
    batch = next(learner.batches(1))
    assert isinstance(batch, NoisedRows)
    assert batch.condition is not None
    error = batch.x_0 - batch.condition.float()[:, None, None, None]
    whole = learner.objective.losses(learner.denoiser, batch)
    torch.testing.assert_close(whole, error.square().mean((1, 2, 3)))
    parts = [learner.objective.losses(learner.denoiser, batch[k : k + 200]) for k in (0, 200, 400)]
    torch.testing.assert_close(torch.cat(parts), whole)
