"""A denoiser as ONNX, for runtimes without PyTorch or Python.

    denoiser.onnx   (x_t, alpha, sigma, number[, label]) -> x_0
    sampling.json   the levels that the run samples at, and what the numbers stand for

A sampler is a loop around such a denoiser; the deterministic DDIM, from the first level to the
last, is

    (1)  x_s = alpha_s x_0 + sigma_s (x_t - alpha_t x_0) / sigma_t

The batch may be of any size; pictures are of the size that was learned.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sfumato import storage
from sfumato.assembly import build_grid
from sfumato.data.codec import PictureCodec
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.errors import MissingDependencyError, RunError
from sfumato.model import Model
from sfumato.process.noise import NoiseLevel

_DENOISER, _SAMPLING = "denoiser.onnx", "sampling.json"


class _Told(nn.Module):
    """A denoiser whose number is told from outside: what a table makes of a level is no tensor."""

    def __init__(self, denoiser: NetworkDenoiser) -> None:
        super().__init__()
        self.network = denoiser.network
        self.denoiser = denoiser

    def forward(
        self, x_t: Tensor, alpha: Tensor, sigma: Tensor, number: Tensor, label: Tensor | None = None
    ) -> Tensor:
        told = NetworkDenoiser(
            self.network,
            self.denoiser.parameterisation,
            lambda _: number,
            self.denoiser.learns_variance,
        )
        return told(x_t, NoiseLevel(alpha, sigma), label).x_0


def write_onnx(model: Model, folder: Path) -> None:
    """Write the model's denoiser as ONNX, and what is needed to sample with it.

    Args:
        model: any.
        folder: where to; made.

    Raises:
        MissingDependencyError: if the packages that write ONNX are not installed.
        RunError: if the folder is there already, or cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "writing ONNX needs two more packages; say `pip install 'sfumato[onnx]'`."
        ) from error
    described = _described(model)
    try:
        folder.mkdir(parents=True)
        with storage.replacing(folder / _DENOISER) as path:
            _export(model, path)
        storage.write_bytes(folder / _SAMPLING, json.dumps(described, indent=2).encode())
    except FileExistsError:
        raise RunError(f"{folder} is already there and is never overwritten.") from None
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}.") from error


def _export(model: Model, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    n = 2
    level = build_grid(model.settings.sampling, model.process, 1)[:1]
    number = model.denoiser.conditioning(level)
    number = number.float() if number.is_floating_point() else number
    inputs: dict[str, Tensor] = {
        "x_t": torch.zeros(n, *model.codec.event),
        "alpha": level.alpha.float().expand(n).clone(),
        "sigma": level.sigma.float().expand(n).clone(),
        "number": number.expand(n).clone(),
    }
    if model.told.count:
        inputs["label"] = torch.full((n,), model.told.any)
    told = _Told(model.denoiser).cpu()
    # The exporter speaks of its own inner life, on which nobody here can act.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            told,
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=["x_0"],
            dynamic_shapes=[{0: batch} for _ in inputs],
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _described(model: Model) -> dict[str, Any]:
    """What a stranger must know to sample with the denoiser."""
    sampling = model.settings.sampling
    levels = build_grid(sampling, model.process, 50 if sampling.steps == "auto" else None)
    noisy = levels[:-1]
    told: dict[str, Any] = {
        "event": list(model.codec.event),
        "levels": {
            "alpha": levels.alpha.tolist(),
            "sigma": levels.sigma.tolist(),
            "number": model.denoiser.conditioning(noisy).tolist(),
        },
        "start": "standard normal noise times sqrt(alpha^2 + sigma^2) of the first level",
        "step": "x = alpha[k+1] x_0 + sigma[k+1] (x - alpha[k] x_0) / sigma[k]",
        "codec": model.codec.to_dict(),
        "decode": "(x + 1) 127.5, rounded, channels last"
        if isinstance(model.codec, PictureCodec)
        else "x scale + mean",
    }
    if model.told.count:
        names = model.codec.classes if isinstance(model.codec, PictureCodec) else ()
        told["labels"] = {name: k for k, name in enumerate(names)} | {"any": model.told.any}
    return told
