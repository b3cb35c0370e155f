"""A denoiser as ONNX, for runtimes without PyTorch or Python.

    denoiser.onnx   (x_t, alpha, sigma, number[, label]) -> x_0
                    of a table (x_t, alpha, sigma, known, is_known, is_noisy, categories)
                    -> (x_0, logits)
    sampling.json   the levels that the run samples at, and what the numbers stand for

A sampler is a loop around such a denoiser; the deterministic DDIM, from the first level to the
last, is

    (1)  x_s = alpha_s x_0 + sigma_s (x_t - alpha_t x_0) / sigma_t

The batch may be of any size; pictures are of the size that was learned.
"""

import json
import logging
import math
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sfumato import atomic
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, MissingDependencyError, RunError
from sfumato.models.model import Model
from sfumato.models.registry import build_grid, class_labels_of
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.process.noise import NoiseLevel

_DENOISER, _SAMPLING = "denoiser.onnx", "sampling.json"


class _Exported(nn.Module):
    """A denoiser that takes its number as an input: a schedule's index of a level is no tensor."""

    def __init__(self, denoiser: NetworkDenoiser) -> None:
        super().__init__()
        self.network = denoiser.network
        self.denoiser = denoiser

    def forward(
        self, x_t: Tensor, alpha: Tensor, sigma: Tensor, number: Tensor, label: Tensor | None = None
    ) -> Tensor:
        denoise = NetworkDenoiser(
            self.network,
            self.denoiser.parameterisation,
            lambda _: number,
            self.denoiser.learns_variance,
        )
        return denoise(x_t, NoiseLevel(alpha, sigma), label).x_0


def write_onnx(model: Model, folder: Path) -> None:
    """Write the model's denoiser as ONNX, and what is needed to sample with it.

    Args:
        model: any.
        folder: where to; made.

    Raises:
        MissingDependencyError: if the packages that write ONNX are not installed.
        ArgumentError: if a table has no numeric column.
        RunError: if the folder is there already, or cannot be written.
    """
    if not math.prod(model.codec.event):
        raise ArgumentError(
            "this table has no numeric column, and so no denoiser to export; its categories are "
            "drawn one by one."
        )
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
        with atomic.replacing(folder / _DENOISER) as path:
            _export(model, path)
        atomic.write_bytes(folder / _SAMPLING, json.dumps(described, indent=2).encode())
    except FileExistsError:
        raise RunError(f"{folder} is already there and is never overwritten.") from None
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}.") from error


class _SummedEmbedding(nn.Module):
    """As an EmbeddingBag that sums: a gather and a sum, where ONNX has a loop over rows."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, codes: Tensor) -> Tensor:
        return self.weight[codes].sum(1)


class _ExportedTable(nn.Module):
    """A table's denoiser, what is known of a row as inputs beside the noisy numbers."""

    def __init__(self, denoiser: TableDenoiser) -> None:
        super().__init__()
        self.network = denoiser.network
        self.denoiser = denoiser

    def forward(
        self,
        x_t: Tensor,
        alpha: Tensor,
        sigma: Tensor,
        known: Tensor,
        is_known: Tensor,
        is_noisy: Tensor,
        categories: Tensor,
    ) -> tuple[Tensor, Tensor]:
        condition = TableCondition(known, is_known, is_noisy, categories)
        found = self.denoiser.both(x_t, NoiseLevel(alpha, sigma), condition)
        return found.x_0, found.logits


def _inputs(model: Model) -> dict[str, Tensor]:
    """A batch of two, of what the exported denoiser takes."""
    n, event = 2, model.codec.event
    level = build_grid(model.settings.sampling, model.process, 1)[:1]
    inputs = {
        "x_t": torch.zeros(n, *event),
        "alpha": level.alpha.float().expand(n).clone(),
        "sigma": level.sigma.float().expand(n).clone(),
    }
    if model.codec.kind == "table":
        everything = torch.ones(n, *event, dtype=torch.bool)
        sizes = torch.tensor(model.codec.sizes, dtype=torch.int64)
        return inputs | {
            "known": torch.zeros(n, *event),
            "is_known": ~everything,
            "is_noisy": everything,
            "categories": sizes.expand(n, -1).clone(),
        }
    number = model.denoiser.conditioning(level)
    number = number.float() if number.is_floating_point() else number
    inputs["number"] = number.expand(n).clone()
    if class_labels_of(model.settings, model.codec).count:
        inputs["label"] = torch.zeros(n, dtype=torch.int64)
    return inputs


def _export(model: Model, path: Path) -> None:
    batch, inputs = torch.export.Dim("batch", min=1), _inputs(model)
    table = model.codec.kind == "table"
    network = deepcopy(model.denoiser.network).cpu()  # the model's own stays where it is
    if isinstance(network, TableMLP):
        summed = _SummedEmbedding(network.category_embedding.weight)
        network.add_module("category_embedding", summed)
    exported = (_ExportedTable if table else _Exported)(model.denoiser.with_network(network))
    # The exporter speaks of its own inner life, on which nobody here can act.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            exported,
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=["x_0", "logits"] if table else ["x_0"],
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
    described: dict[str, Any] = {
        "event": list(model.codec.event),
        "levels": {
            "alpha": levels.alpha.tolist(),
            "sigma": levels.sigma.tolist(),
            "number": model.denoiser.conditioning(noisy).tolist(),
        },
        "start": "standard normal noise times sqrt(alpha^2 + sigma^2) of the first level",
        "step": "x = alpha[k+1] x_0 + sigma[k+1] (x - alpha[k] x_0) / sigma[k]",
        "codec": model.codec.to_dict(),
        "decode": _DECODING[model.codec.kind],
    }
    if model.codec.kind == "table":
        described["categories"] = list(model.codec.sizes)
        described["unknown"] = "a category that is not known is its column's number of categories"
    elif (labels := class_labels_of(model.settings, model.codec)).count:
        names = {name: k for k, name in enumerate(model.codec.classes)}
        described["labels"] = names | ({"any": labels.any} if labels.knows_any else {})
    return described


_DECODING = {
    "points": "x scale + mean",
    "images": "low + (x + 1) (high - low) / 2 by the range of the codec, rounded if its dtype is "
    "of integers, channels last",
    "table": "numeric columns, then the slacks of rules, by the knots and heights of their codec, "
    "categories by their place; a column whose category is the one after its point masses, if it "
    "repeats another, has that one's value",
}
