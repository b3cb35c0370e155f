"""What the explorer's page needs of a run of points, to draw with its network by itself.

A noise level is six numbers: alpha, sigma, the number that the network takes, and c_in, c_skip and
c_out of its parameterisation (`process.parameterisations`), so that the page needs no schedule, no
grid and no parameterisation of its own: whatever the run has, its levels are exact.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.data.codecs.points import PointCodec
from sfumato.data.points import Points
from sfumato.denoisers.denoiser import NetworkDenoiser, knows_all_levels
from sfumato.denoisers.empirical import Empirical, empirical
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.metrics.evaluation import chance_reaches
from sfumato.models.few import as_map
from sfumato.models.format_4 import weight_names
from sfumato.models.gaussian import GaussianModel
from sfumato.models.registry import build_grid, process_of, usual_schedules
from sfumato.networks.branches import Branches
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.process.noise import then_clean
from sfumato.process.parameterisations import Parameterisation
from sfumato.process.process import Process
from sfumato.runs.data import FLOOR_SETS, Dataset, real_sets
from sfumato.runs.exact import compared_levels, exact_denoiser
from sfumato.runs.explorer.binary import header_of, written
from sfumato.runs.explorer.levels import OPTIONS, levels_of, matrices
from sfumato.runs.folder import CHECKPOINT
from sfumato.runs.run import Run
from sfumato.training import checkpoint

# Stops of the slider between noise and data.
_STOPS = 256
# Numbers of steps that the page offers, besides the run's own.
_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 100)
# And along schedules that are not the run's.
_FEWER_STEPS = (1, 2, 4, 8, 16, 32, 50)
# Real rows that it holds: of each of two sets, and at most so many to be the exact denoiser's.
_ROWS = 2000

_NETWORKS: Mapping[type[nn.Module], str] = {VectorMLP: "vector-mlp", StepMLP: "step-mlp"}


def payload(run: Run, other: nn.Module | None = None) -> bytes:
    """All that the page shows of a run of points, fitted or half fitted.

    Args:
        run: of points with one to three columns that vary.
        other: the network with the weights that the run does not draw with (the last ones of
            averaged ones) while it is being fitted; else they are those of its checkpoint.

    Raises:
        ArgumentError: if the page has no place for such a run; says why.
    """
    model = explorable(run)
    data = _rows_of(run)
    arrays = dict(_arrays(run, model, data, other))
    exact, known = _exact(run, model, data)
    if exact is not None:
        arrays |= {
            "exact/points": exact.points.numpy(),
            "exact/log_weights": exact.log_weights.numpy(),
            "exact/width": exact.width.numpy(),
        }
    codec, settings = model.codec, model.settings
    assert isinstance(codec, PointCodec)
    varies = [k for k, scale in enumerate(codec.scale) if scale > 0]
    header = header_of(run) | {
        "columns": [codec.columns[k] for k in varies],
        "mean": [codec.mean[k] for k in varies],
        "scale": [codec.scale[k] for k in varies],
        "network": _described(model.denoiser.network),
        "branches": 1 if model.few is None else _unbranched(model.few.network)[1],
        "sampling": settings.sampling.model_dump(
            include={"sampler", "grid", "options", "weights", "few"}
        )
        | {"steps": _steps_of(model)},
        "rows": None if data is None else len(data.train),
        "schedule": _called(settings.process.schedule, settings.process.num_levels),
        "schedules": _described_schedules(model.denoiser),
        "chance": chance_reaches(FLOOR_SETS),
        "exact": None if exact is None else ("distribution" if known else "training rows"),
    }
    return written(header, arrays)


def explorable(run: Run) -> GaussianModel:
    """The model of a run that the page can show.

    Raises:
        ArgumentError: for more than three columns, a network of another kind, or samples that
            are clipped.
    """
    model = run.model
    assert isinstance(model, GaussianModel)
    if model.codec.dimension > 3:
        raise ArgumentError(
            "the explorer shows points of one to three columns; this run has "
            f"{model.codec.dimension} that vary."
        )
    if type(model.denoiser.network) not in _NETWORKS:
        raise ArgumentError(
            "the explorer computes the networks vector-mlp and step-mlp in the browser; this run "
            f"has {type(model.denoiser.network).__name__}."
        )
    sampling = model.settings.sampling
    if sampling.clip is not None or sampling.threshold is not None:
        raise ArgumentError(
            "the explorer does not clip predictions, and this run is sampled with sampling.clip or "
            "sampling.threshold; fit it without them."
        )
    if unknown := sorted(set(sampling.options) - OPTIONS):
        raise ArgumentError(
            f"the explorer's samplers do not know sampling.options.{unknown[0]}, with which this "
            "run is sampled; fit it without."
        )
    return model


def _rows_of(run: Run) -> Dataset[Points] | None:
    """The rows of the run; None where they cannot be had."""
    try:
        return run.load_data()
    except (RunError, DataError):
        return None


def _arrays(
    run: Run, model: GaussianModel, data: Dataset[Points] | None, other: nn.Module | None
) -> Iterator[tuple[str, np.ndarray]]:
    denoiser, process = model.denoiser, model.process
    stops = min(_STOPS, process.num_levels or _STOPS)
    yield "axis", levels_of(denoiser, process.grid("uniform-log-snr", stops))
    yield "compared", levels_of(denoiser, then_clean(compared_levels(run)))
    own = _steps_of(model)
    for name in dict.fromkeys((*process.suggested_grids, model.settings.sampling.grid)):
        # A grid that is not suggested for a table may have no room for other numbers of steps.
        any_number = name in process.suggested_grids or not process.num_levels
        for steps in sorted({own, *_STEPS} if any_number else {own}):
            if steps <= (process.num_levels or steps):
                yield f"grid/{name}/{steps}", _grid(model, name, steps)
    if knows_all_levels(denoiser.conditioning):
        yield from _along_others(denoiser.parameterisation).items()
    for name, network in _networks(run, model, other):
        yield from _weights(f"network/{name}", network, model.codec.dimension)
    if model.few is not None:
        own_map = as_map(denoiser, model.few.network)
        yield from _weights("network/few", model.few.network, model.codec.dimension)
        for calls in model.few.times:
            yield f"few/{calls}", levels_of(own_map, model.few.levels(process, calls))
    if data is not None:
        for name, rows in _real(data):
            yield f"rows/{name}", model.codec.encode(rows.values[:_ROWS]).numpy()


def _grid(model: GaussianModel, name: str, steps: int) -> np.ndarray:
    sampling = model.settings.sampling.model_copy(update={"grid": name})
    return levels_of(model.denoiser, build_grid(sampling, model.process, steps))


def _steps_of(model: GaussianModel) -> int:
    sampling = model.settings.sampling
    return model.choose_steps().num_steps if sampling.steps == "auto" else sampling.steps


def _called(schedule: str, num_levels: int) -> str:
    """The name of a schedule: there is a linear one, and one of 1,000 levels."""
    return f"{schedule}-{num_levels}" if num_levels else schedule


@cache
def _schedules() -> Mapping[str, Process]:
    """Every schedule that is registered, with its usual options."""
    return {name: process_of(name) for name in usual_schedules()}


def _described_schedules(denoiser: NetworkDenoiser) -> dict[str, Any]:
    """The log-SNR of their noisiest and cleanest level; none where the network knows none else."""
    if not knows_all_levels(denoiser.conditioning):
        return {}
    return {
        name: [float(each.noisiest.log_snr), float(each.least_noisy.log_snr)]
        for name, each in _schedules().items()
    }


@cache
def _along_others(parameterisation: Parameterisation) -> Mapping[str, np.ndarray]:
    """The grids of all schedules, for a network that takes the log-SNR."""
    denoiser = NetworkDenoiser(nn.Identity(), parameterisation)
    return {
        f"schedule/{name}/{grid}/{steps}": levels_of(denoiser, process.grid(grid, steps))
        for name, process in _schedules().items()
        for grid in process.suggested_grids
        for steps in _FEWER_STEPS
    }


def _networks(
    run: Run, model: GaussianModel, given: nn.Module | None
) -> Iterator[tuple[str, nn.Module]]:
    """The weights that the run draws with, and the others (averaged or last) where it has them."""
    drawing = model.settings.sampling.weights
    other = "last" if drawing == "averaged" else "averaged"
    yield drawing, model.denoiser.network
    if given is not None:
        yield other, given
        return
    if run.folder is None or not any((run.folder / CHECKPOINT).glob("*.json")):
        return
    part = "network." if other == "last" else "average."
    renamed = weight_names(model.settings.network.name)
    tensors, _ = checkpoint.load(run.folder / CHECKPOINT, renamed)
    state = {
        name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)
    }
    network = deepcopy(model.denoiser.network)
    network.load_state_dict(state)
    yield other, network


def _unbranched(network: nn.Module) -> tuple[nn.Module, int]:
    """The perceptron of a network, and its candidate answers."""
    return (network.network, network.count) if isinstance(network, Branches) else (network, 1)


def _weights(prefix: str, network: nn.Module, dimension: int) -> Iterator[tuple[str, np.ndarray]]:
    """Of a variance nothing."""
    network, branches = _unbranched(network)
    ends = ("output_proj", "linear_skip_out")
    held = (
        (name, _answers(value, branches, dimension) if name.startswith(ends) else value)
        for name, value in network.state_dict().items()
    )
    for name, matrix in matrices(held):
        yield f"{prefix}/{name}", matrix
    if isinstance(network, VectorMLP):
        yield f"{prefix}/frequencies", network.noise_features.frequencies.cpu().numpy()


def _answers(value: Tensor, branches: int, dimension: int) -> Tensor:
    """What belongs to the coordinates of each candidate, and to the logits if it has any."""
    if branches == 1:
        return value[:dimension]
    candidates = value[:-branches].unflatten(0, (branches, -1))[:, :dimension]
    return torch.cat([candidates.flatten(0, 1), value[-branches:]])


def _described(network: nn.Module) -> dict[str, Any]:
    hidden: Any = network.hidden
    return {
        "name": _NETWORKS[type(network)],
        "width": hidden[0].out_features,
        "layers": len(hidden),
    }


def _real(data: Dataset[Points]) -> list[tuple[str, Points]]:
    """A real set to look at, and others of as many rows for the floor."""
    try:
        sets = real_sets(data, _ROWS)
    except DataError:
        return [("real", data.train)]
    others = [(f"other/{k}", each) for k, each in enumerate(sets.others)]
    return [("real", sets.reference), *others]


def _exact(
    run: Run, model: GaussianModel, data: Dataset[Points] | None
) -> tuple[Empirical | None, bool]:
    """The exact denoiser: of the distribution where it is known, else of the training rows."""
    known = exact_denoiser(run)
    if known is not None:
        return known, True
    if data is None:
        return None, False
    return empirical(model.codec.encode(data.train.values[:_ROWS])), False
