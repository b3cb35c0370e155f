"""A model of tables for a page that draws its rows itself, without a server.

The page has the same steps as Python: categories one after another, then the numbers by the run's
own sampler, of the same noise (explorer/src/rows.ts). It keeps the rules of the run, and knows
columns that repeat others. What it does not have, `refuse_live` says: another network or sampler.
Of such a run rows are drawn beforehand, and the page says why.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from sfumato.data.codecs.columns import ColumnCodec, NumericCodec, digits_of
from sfumato.data.codecs.relations import Relations
from sfumato.data.codecs.rules import Relation, unit_of
from sfumato.denoisers.compared import Comparisons
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
    network = model.denoiser.network
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
    if denoiser.comparisons is not None:
        arrays |= _compared(denoiser.comparisons)
    # Categories are asked of the model's own network, numbers of the one that draws.
    arrays |= {f"network/{name}": each for name, each in _weights(model.denoiser.network)}
    if network is not model.denoiser.network:
        arrays |= {f"few/{name}": each for name, each in _weights(network)}
    named = [(f"codec/{k}", part) for k, part in enumerate(codec.parts)]
    for name, part in [*named, *((f"slack/{k}", s) for k, s in enumerate(codec.relations.slacks))]:
        if isinstance(part, NumericCodec):
            arrays[f"{name}/knots"] = np.array(part.knots, np.float64)
            arrays[f"{name}/heights"] = np.array(part.heights, np.float64)
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
        "bound": _bound(codec.relations),
        "slacks": list(map(_of_part, codec.relations.slacks)),
        "repeats": [
            {"number": each.number, "other": each.other_number, "code": each.code}
            for each in codec.repeats
        ],
    }
    return header, arrays


def _compared(comparisons: Comparisons) -> dict[str, np.ndarray]:
    """The numbers that are compared."""
    names = ("columns", "curves", "states", "masses", "own", "other", "scales")
    arrays = {name: getattr(comparisons, name).numpy() for name in names}
    arrays["repeats"] = np.array(comparisons.repeats, np.int64).reshape(-1, 3)
    return {
        f"compared/{name}": each.astype(np.int32) if each.dtype.kind == "i" else each
        for name, each in arrays.items()
    }


def _bound(relations: Relations) -> dict[str, Any]:
    """The numbers that rules bind, and what they are to each other."""
    place = {part.name: k for k, part in enumerate(relations.parts)}
    slots = iter(range(len(relations.parts), len(relations.parts) + len(relations.slacks)))
    rules = [
        {
            "text": rule.text,
            "columns": [place[name] for name in rule.names],
            "coefficients": list(rule.coefficients),
            "constant": rule.constant,
            "equal": rule.equal,
            "strict": rule.strict,
            "step": _rounded_to(rule, relations.parts) if rule.equal else 0.0,
            "slack": -1 if rule.slack is None else next(slots),
            "unless": [place[name] for name in rule.unless],
        }
        for rule in relations.implied
    ]
    groups = [
        {
            "slots": group.slots.tolist(),
            "columns": len(group.columns),
            "matrix": group.matrix.tolist(),
            "constants": group.constants.tolist(),
            "unless": group.unless.tolist(),
            "first": group.columns_first,
            "steps": group.steps.tolist(),
            "low": group.ranges[0].tolist(),
            "high": group.ranges[1].tolist(),
            "least": group.least[len(group.columns) :].tolist(),
        }
        for group in relations.groups
    ]
    return {"groups": groups, "rules": rules, "origins": relations.origins.tolist()}


def _rounded_to(rule: Relation, parts: Sequence[NumericCodec]) -> float:
    """How far apart an equation's sums are where its computed column has one digit more."""
    derived = next(part for part in parts if part.name == rule.derived)
    return unit_of(derived) * abs(rule.coefficients[rule.names.index(rule.derived)])


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
