"""Noise levels and weights as the page takes them, and which samplers it has."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from sfumato.config import SamplingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel

# The options of samplers that the page has; any other would change what it draws.
OPTIONS = {"eta", "noise_below", "variance", "last_step_noise"}
# The samplers of explorer/src/samplers.ts.
SAMPLERS = {
    "ancestral",
    "ddim",
    "dpm++2m",
    "dpm++2m-sde",
    "dpm++3m",
    "dpm++3m-sde",
    "heun",
    "unipc",
}


def refuse_sampler(sampling: SamplingSettings) -> None:
    """Refuse a sampler that the page has not, or an option of one.

    Raises:
        ArgumentError: saying which.
    """
    if sampling.sampler not in SAMPLERS:
        raise ArgumentError(
            f"the page does not have the sampler {sampling.sampler}.",
            code="page-sampler",
            sampler=sampling.sampler,
        )
    if sampling.options.get("variance") == "learned":
        raise ArgumentError("the page does not draw by a learned variance.", code="page-variance")
    if others := sorted(set(sampling.options) - OPTIONS):
        raise ArgumentError(
            f"the page does not have the sampler's option {others[0]}.",
            code="page-option",
            option=others[0],
        )


def refuse_weights(arrays: Mapping[str, np.ndarray], room: int) -> None:
    """Refuse weights that are more than a file has room for.

    Args:
        arrays: of the model; weights are those in float32.
        room: bytes.

    Raises:
        ArgumentError: saying how many there are, and how many there may be.
    """
    held = [each for each in arrays.values() if each.dtype == np.float32]
    others = sum(each.nbytes for each in arrays.values()) - sum(each.nbytes for each in held)
    weights, most = sum(each.size for each in held), max(room - others, 0) // 4
    if weights > most:
        raise ArgumentError(
            f"its networks have {weights:,} numbers; the file has room for {most:,}.",
            code="page-weights",
            weights=f"{weights:,}",
            most=f"{most:,}",
        )


def not_by_itself(why: ArgumentError) -> str:
    """What a file does without that shows what was drawn beforehand."""
    return f"drawing by itself ({str(why).removesuffix('.')})"


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


def _is_embedding(name: str) -> bool:
    """Whether its rows are looked up, and not multiplied by."""
    return "embedding" in name or name == "class_emb.weight"


def matrices(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, np.ndarray]]:
    """Weights in float32, as the page multiplies them.

    Matrices are `(inputs, outputs)`, those of a convolution `(down, across, channels)` by outputs.
    """
    for name, value in tensors:
        held = value.detach().cpu().float()
        if held.ndim == 4:
            held = held.permute(2, 3, 1, 0).flatten(0, 2)
        elif name.endswith(".weight") and held.ndim == 2 and not _is_embedding(name):
            held = held.T
        yield name, held.contiguous().numpy()
