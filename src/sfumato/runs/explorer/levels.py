"""Noise levels and weights as the page takes them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.table import TableDenoiser
from sfumato.process.noise import NoiseLevel

# The options of samplers that the page has; any other would change what it draws.
OPTIONS = {"eta", "noise_below", "variance", "last_step_noise"}


def levels_of(denoiser: NetworkDenoiser | TableDenoiser, levels: NoiseLevel) -> np.ndarray:
    """Six numbers a level, `(levels, 6)` float64; the clean one, at the end, is asked nothing."""
    noisy = levels[:-1]
    scalings = denoiser.parameterisation(noisy)
    columns = (
        noisy.alpha,
        noisy.sigma,
        denoiser.conditioning(noisy).double(),
        scalings.c_in,
        scalings.c_skip,
        scalings.c_out,
    )
    clean = [float(levels.alpha[-1]), 0.0, 0.0, 1.0, 1.0, 0.0]
    return np.vstack([torch.stack(columns, 1).numpy(), clean])


def matrices(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, np.ndarray]]:
    """Weights in float32, matrices `(inputs, outputs)`, as the page multiplies them."""
    for name, value in tensors:
        held = value.detach().cpu().float()
        if name.endswith(".weight") and held.ndim == 2 and "embedding" not in name:
            held = held.T
        yield name, held.contiguous().numpy()
