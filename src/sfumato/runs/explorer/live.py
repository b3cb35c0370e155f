"""A model of tables for a page that draws its rows itself, without a server.

The page has the same steps as Python: categories one after another, then the numbers by the run's
own sampler, of the same noise (explorer/src/rows.ts). It keeps rules of categories that may stand
together. What it does not have are rules of numbers, and columns that repeat others; of such a run
rows are drawn beforehand.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from torch import nn

from sfumato.data.codecs.columns import ColumnCodec, NumericCodec, digits_of
from sfumato.data.codecs.rules import Relation
from sfumato.models.few import as_map, map_of
from sfumato.models.registry import build_grid
from sfumato.models.table import TableModel
from sfumato.networks.table_mlp import TableMLP
from sfumato.runs.explorer.levels import OPTIONS, levels_of, matrices

# The samplers of explorer/src/samplers.ts.
_SAMPLERS = {"ancestral", "ddim", "dpm++2m", "dpm++2m-sde", "heun", "unipc"}


def can_be_live(model: TableModel) -> bool:
    """Whether the page can draw as the model does."""
    sampling, codec = model.settings.sampling, model.codec
    by_sampler = sampling.sampler in _SAMPLERS and set(sampling.options) <= OPTIONS
    return (
        _is_of_the_kernel(model.denoiser.network)
        and not any(isinstance(rule, Relation) for rule in codec.rules)
        and not codec.repeats
        and (by_sampler or _by_map(model))
        and sampling.options.get("variance") != "learned"
    )


def _is_of_the_kernel(network: nn.Module) -> bool:
    """Whether explorer/kernel/kernel.ts can multiply by its weights."""
    if type(network) is not TableMLP:
        return False
    width, features = network.output_proj.in_features, network.directions.shape[1]
    return width % 8 == 0 and features % 4 == 0


def _by_map(model: TableModel) -> bool:
    """Whether its few-step map draws."""
    return bool(model.settings.sampling.few) and model.few is not None


def live_model(model: TableModel) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the page is told of the model, and its arrays."""
    sampling, codec = model.settings.sampling, model.codec
    network = model.denoiser.network
    denoiser, method = model.denoiser, sampling.sampler
    if _by_map(model):
        few = map_of(model.few)
        denoiser, method, network = as_map(denoiser, few.network), "renoising", few.network
        levels = few.levels(model.process, sampling.few)
    else:
        levels = build_grid(sampling, model.process)
    arrays = {"levels": levels_of(denoiser, levels)}
    if denoiser.correlations is not None:
        arrays["correlations"] = denoiser.correlations.double().numpy()
    # Categories are asked of the model's own network, numbers of the one that draws.
    arrays |= {f"network/{name}": each for name, each in _weights(model.denoiser.network)}
    if network is not model.denoiser.network:
        arrays |= {f"few/{name}": each for name, each in _weights(network)}
    for k, part in enumerate(codec.parts):
        if isinstance(part, NumericCodec):
            arrays[f"codec/{k}/knots"] = np.array(part.knots, np.float64)
            arrays[f"codec/{k}/heights"] = np.array(part.heights, np.float64)
    for k, (_, codes) in enumerate(codec.combinations.lists):
        arrays[f"together/{k}"] = codes.numpy().astype(np.int32)
    header = {
        "together": [list(places) for places, _ in codec.combinations.lists],
        "method": method,
        "options": dict(sampling.options),
        "sizes": list(codec.sizes),
        "states": list(codec.states),
        "orders": [[list(each) for each in order] for order in model.orders],
        "missing": list(codec.missing_categories),
        "parts": list(map(_of_part, codec.parts)),
    }
    return header, arrays


def _weights(network: Any) -> Iterator[tuple[str, np.ndarray]]:
    features = "frequencies", network.noise_features.frequencies
    return matrices(chain(network.state_dict().items(), [features]))


def _of_part(part: ColumnCodec) -> dict[str, Any]:
    """How a column is between its values and what the network knows."""
    if not isinstance(part, NumericCodec):
        return {"sizes": list(part.sizes), "categories": len(part.categories)}
    return {
        "sizes": list(part.sizes),
        "masses": list(part.point_masses),
        "low": part.low,
        "high": part.high,
        "reach": list(part.reach),
        "step": part.grid_step,
        "whole": part.dtype != "float64",
        "digits": digits_of(part.grid_step),
        "milli": 1000 if part.kind == "date" else 1,
    }
