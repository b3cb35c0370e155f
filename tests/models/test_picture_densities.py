"""Densities of pictures under an exact network: independent pixels, each a Gaussian."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from sfumato import config
from sfumato.config import recipes
from sfumato.data.codecs.images import ImageCodec
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.errors import DataError
from sfumato.models.gaussian import GaussianModel
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import x_0
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import Cosine
from sfumato.runs.run import Run
from sfumato.runs.score import score_of

# The encoded pixels: no value is near black or white, so that nothing is cut off.
MEAN, STD = 0.1, 0.2
CODEC = ImageCodec(4, 3, 1)


class Exact(nn.Module):
    """E[x_0 | x_t] of pixels N(MEAN, STD²)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("one", nn.Parameter(torch.ones(1, dtype=torch.float64)))

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        level = NoiseLevel.from_log_snr(log_snr.expand(len(x)))
        alpha, sigma = (part[:, None, None, None] for part in (level.alpha, level.sigma))
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)


@pytest.fixture(scope="module")
def model() -> GaussianModel:
    settings = config.resolve(recipes.images(4, 4), {"data": {"source": "array"}})
    process = ContinuousProcess(Cosine(shift=1.0))
    return GaussianModel(settings, CODEC, process, NetworkDenoiser(Exact(), x_0))


def pixels(n: int) -> np.ndarray:
    encoded = np.random.default_rng(0).normal(MEAN, STD, (n, 4, 3, 1))
    return ((encoded + 1) * 127.5).round().astype(np.uint8)


@pytest.mark.parametrize("probes", [None, 1, 3])
def test_the_density_of_a_picture_is_the_law_s(model: GaussianModel, probes: int | None) -> None:
    shown = pixels(6)
    chunks = list(model.log_prob_chunks(shown, steps=60, probes=probes))
    nats = np.concatenate([chunk.nats.numpy() for chunk in chunks])
    law = norm.logpdf(shown / 127.5 - 1, MEAN, STD) - math.log(127.5)
    # The bytes' own places in their bins: 2/255 sqrt(1/12)/STD each, times its distance.
    np.testing.assert_allclose(nats, law.sum((1, 2, 3)), rtol=0, atol=0.1)
    if probes is not None:  # the divergence is the same in all directions: every probe has it
        for error in (chunk.standard_error for chunk in chunks):
            assert error is not None or probes == 1
            assert error is None or float(error.max()) < 1e-6


def test_a_picture_s_density_is_its_own_whatever_follows_it(model: GaussianModel) -> None:
    shown = pixels(70)  # of which 1, 3, 12, 48 and 6 are computed together
    whole = np.concatenate([c.nats.numpy() for c in model.log_prob_chunks(shown, steps=5)])
    few = np.concatenate([c.nats.numpy() for c in model.log_prob_chunks(shown[:3], steps=5)])
    np.testing.assert_allclose(few, whole[:3], rtol=0, atol=1e-9)
    # The same picture in the next chunk stands elsewhere in its bins.
    twice = np.repeat(shown[:1], 65, axis=0)
    again = np.concatenate([c.nats.numpy() for c in model.log_prob_chunks(twice, steps=5)])
    assert again[64] != again[0]


def test_bits_of_pictures_are_by_pixel(model: GaussianModel) -> None:
    run, shown = Run(model, None), pixels(40)
    score, nats = score_of(run, shown, steps=30)
    np.testing.assert_array_equal(nats, run.log_prob(shown, steps=30))
    entropy = 0.5 * math.log(2 * math.pi * math.e * STD**2) + math.log(127.5)
    assert score.bits_per_dimension == pytest.approx(entropy / math.log(2), abs=0.15)
    assert score.bits_per_dimension == pytest.approx(-nats.mean() / 12 / math.log(2))


def test_pictures_of_another_size_are_refused(model: GaussianModel) -> None:
    with pytest.raises(DataError, match="pictures of 4 x 3 pixels in 1 channels are expected"):
        list(model.log_prob_chunks(pixels(2)[:, :3]))
