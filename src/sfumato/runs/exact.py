"""A run's network held beside the best possible denoiser of its data, noise level by noise level.

The best one is known where the data are: a toy set that is points blurred by a round Gaussian.
"""

import torch
from torch import Tensor

from sfumato.data.toy import TOY_SETS
from sfumato.denoisers.denoiser import Denoiser, PerChunk
from sfumato.denoisers.empirical import Empirical, empirical
from sfumato.metrics.regret import squared_errors, squared_regrets
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import generator, noise_from
from sfumato.runs.run import Run

_LEVELS = 25


def exact_denoiser(run: Run) -> Empirical | None:
    """The best possible denoiser of the run's data as the model sees them, where it is known."""
    settings, codec = run.settings.data, run.model.codec
    chosen = TOY_SETS.get(settings.source)
    if chosen is None or chosen.nodes is None:
        return None
    if codec.dimension < len(codec.columns):
        return None
    noise = chosen.noise if settings.noise is None else settings.noise
    if noise == 0:
        return None
    points, weights, width = chosen.nodes(noise)
    return empirical(
        codec.encode(points),
        weights=torch.from_numpy(weights),
        width=width / torch.tensor(codec.scale, dtype=torch.float64),
    )


def compared_levels(run: Run) -> NoiseLevel:
    """Where the errors are looked at: evenly in log-SNR, or the nearest of the levels."""
    process = run.model.process.with_signal()
    return process.grid("uniform-log-snr", min(_LEVELS, process.num_levels or _LEVELS))[:-1]


def errors_by_level(run: Run, denoise: Denoiser | PerChunk, x_0: Tensor) -> Tensor:
    """Squared errors `(levels, batch)` at these levels, with the same noise every time."""
    noise = noise_from(generator(run.settings.seed))
    return squared_errors(_one(denoise), x_0, compared_levels(run), noise)


def regrets_by_level(run: Run, exact: Empirical, x_0: Tensor) -> Tensor:
    """Squared distances of the network from the best possible answer, `(levels, batch)`."""
    noise = noise_from(generator(run.settings.seed))
    return squared_regrets(
        _one(run.model.numeric_denoiser()), exact, x_0, compared_levels(run), noise
    )


def _one(denoise: Denoiser | PerChunk) -> Denoiser:
    """Of points and pictures there is one denoiser for all rows."""
    assert not isinstance(denoise, PerChunk)
    return denoise
