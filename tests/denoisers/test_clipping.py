"""Clipping and dynamic thresholding, only where they are asked for."""

import pytest
import torch
from torch import Tensor

from sfumato.denoisers.clipping import Clipped
from sfumato.denoisers.denoiser import Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Cosine
from sfumato.samplers.ddim import DDIM

LEVEL = Cosine()(torch.tensor(0.5))


def itself(x_t: Tensor, level: NoiseLevel) -> Prediction:
    return Prediction(x_t, torch.full_like(x_t, 0.25))


def test_clipping_holds_every_coordinate() -> None:
    x = torch.tensor([[-3.0, 0.5], [1.5, -1.0]])
    held = Clipped(itself, 1.0)(x, LEVEL)
    assert held.x_0.tolist() == [[-1.0, 0.5], [1.0, -1.0]]
    assert held.var_fraction is not None


def test_thresholding_scales_a_sample_whose_quantile_is_beyond_the_limit() -> None:
    # Saharia et al. (2022): s = the quantile of |x_0|, at least the limit; clip to s, divide by s.
    x = torch.tensor([[-4.0, 2.0, 1.0, 0.0, 1.0], [0.5, -0.5, 0.1, 0.2, 3.0]])
    held = Clipped(itself, 1.0, quantile=0.75)(x, LEVEL).x_0
    assert held[0].tolist() == [-1.0, 1.0, 0.5, 0.0, 0.5]  # |x_0| sorted: 0 1 1 2 4, s = 2
    assert held[1].tolist() == pytest.approx([0.5, -0.5, 0.1, 0.2, 1.0])  # s = 1: only clipped


def test_the_held_prediction_is_the_one_that_is_used() -> None:
    # The trap: a clip that is computed and then not used. The step's x_s is made from it.
    x = torch.full((1, 1), 5.0, dtype=torch.float64)
    s = NoiseLevel.clean()
    x_s, prediction, _ = DDIM().step(Clipped(itself, 1.0), x, LEVEL, s, None, torch.zeros_like)
    assert float(x_s) == float(prediction.x_0) == 1.0


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_the_limit_is_positive(limit: float) -> None:
    with pytest.raises(ArgumentError, match="`limit`"):
        Clipped(itself, limit)


@pytest.mark.parametrize("quantile", [0.0, 1.5])
def test_the_quantile_is_a_share(quantile: float) -> None:
    with pytest.raises(ArgumentError, match="`quantile`"):
        Clipped(itself, 1.0, quantile)
