"""Guidance against its closed form for Gaussian classes, and the numbers of classes."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.denoisers.denoiser import Conditioned, NetworkDenoiser, Prediction
from sfumato.denoisers.guidance import ClassLabels, Guided
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import x_0

LEVEL = NoiseLevel.from_log_snr(torch.tensor(0.4, dtype=torch.float64))
X = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]


def _gaussian(mean: float, variance: float, x_t: Tensor, level: NoiseLevel) -> Prediction:
    """E[x_0 | x_t] of N(mean, variance)."""
    a, s2 = level.alpha, level.sigma**2
    gain = a * variance / (a**2 * variance + s2)
    return Prediction(mean + gain * (x_t - a * mean))


def _conditional(x_t: Tensor, level: NoiseLevel) -> Prediction:
    return _gaussian(1.0, 0.5, x_t, level)


def _marginal(x_t: Tensor, level: NoiseLevel) -> Prediction:
    return _gaussian(0.0, 0.5, x_t, level)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_of_gaussians_with_one_variance_guidance_moves_the_mean(scale: float) -> None:
    # Means 1 and 0: the scores' combination is that of the mean `scale`, exactly.
    guided = Guided(_conditional, _marginal, scale)(X, LEVEL).x_0
    torch.testing.assert_close(guided, _gaussian(scale, 0.5, X, LEVEL).x_0)


def test_outside_its_interval_there_is_none() -> None:
    inside = Guided(_conditional, _marginal, 3.0, (0.0, 1.0))(X, LEVEL).x_0
    outside = Guided(_conditional, _marginal, 3.0, (0.5, 1.0))(X, LEVEL).x_0
    torch.testing.assert_close(outside, _conditional(X, LEVEL).x_0)
    assert not torch.allclose(inside, outside)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="negative"):
        Guided(_conditional, _marginal, -1.0)
    with pytest.raises(ArgumentError, match="lower to a higher"):
        Guided(_conditional, _marginal, 2.0, (1.0, 0.0))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("classes", [0, 3])
def test_every_class_and_whether_it_is_mirrored_has_its_own_number(
    classes: int, mirrored: bool
) -> None:
    class_labels = ClassLabels(classes, mirrored)
    labels = torch.arange(classes + 1)
    turned = [torch.zeros(classes + 1).bool()] + [torch.ones(classes + 1).bool()] * mirrored
    numbers = torch.cat([class_labels.of(labels, each) for each in turned])
    if class_labels.count:
        assert numbers.tolist() == list(range(class_labels.count))
    else:
        assert (classes, mirrored) == (0, False)
    assert class_labels.any == classes


def test_the_network_takes_the_class_numbers() -> None:
    class Names(nn.Module):
        def forward(self, x: Tensor, number: Tensor, label: Tensor) -> Tensor:
            return label[:, None].to(x).expand_as(x)

    denoiser = NetworkDenoiser(Names(), x_0)
    labels = torch.arange(9)
    assert Conditioned(denoiser, labels)(X, LEVEL).x_0.flatten().tolist() == labels.tolist()
    assert set(Conditioned(denoiser, torch.tensor(7))(X, LEVEL).x_0.flatten().tolist()) == {7.0}
