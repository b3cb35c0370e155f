"""A model of tables for a page that draws its rows itself, without a server.

The page has the same steps as Python: categories one after another, then the numbers by the run's
own sampler, of the same noise (explorer/src/rows.ts). It keeps rules of categories that may stand
together. What it does not have, `refuse_live` says: rules of numbers, columns that repeat others,
another network or sampler. Of such a run rows are drawn beforehand, and the page says why.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from sfumato.data.codecs.columns import ColumnCodec, NumericCodec, digits_of
from sfumato.data.codecs.rules import Relation
from sfumato.errors import ArgumentError
from sfumato.models.few import as_map, map_of
from sfumato.models.registry import build_grid
from sfumato.models.table import TableModel
from sfumato.networks.table_mlp import TableMLP
from sfumato.runs.explorer.levels import levels_of, matrices, refuse_sampler


def refuse_live(model: TableModel) -> None:
    """Refuse a model that the page cannot draw with.

    Raises:
        ArgumentError: saying why.
    """
    codec, network = model.codec, model.denoiser.network
    if any(isinstance(rule, Relation) for rule in codec.rules):
        raise ArgumentError("the page does not keep rules between numbers.", code="page-rules")
    if codec.repeats:
        raise ArgumentError(
            "the page does not draw columns that repeat others.", code="page-repeats"
        )
    if type(network) is not TableMLP:
        name = type(network).__name__
        raise ArgumentError(
            f"the page does not have the network {name}.", code="page-network", network=name
        )
    if network.output_proj.in_features % 8 or network.directions.shape[1] % 4:
        raise ArgumentError(
            "the page computes networks whose width is a multiple of 8, and their Fourier features "
            "a multiple of 4.",
            code="page-width",
        )
    if not _by_map(model):
        refuse_sampler(model.settings.sampling)


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
