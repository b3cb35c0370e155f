"""A fitted model: settings, codec, process and denoiser put together, and its one-file form.

This is where names in the settings become objects; each family is registered in one place and
an unknown name is answered with the nearest known one.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from sfumato import storage
from sfumato.config import NetworkSettings, ProcessSettings, SamplingSettings, Settings, resolve
from sfumato.data.codec import Codec
from sfumato.denoisers.denoiser import Conditioning, NetworkDenoiser, log_snr, step_of
from sfumato.errors import ArgumentError, RunError, SfumatoError, unknown
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.process.grids import SCHEDULE_GRIDS, TABLE_GRIDS
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameters import PARAMETERISATIONS
from sfumato.process.schedules import SCHEDULES, Schedule
from sfumato.process.tables import TABLES, Table
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import Stepper, sample_chunks, sample_frames

_FORMAT = 1


def build_process(settings: ProcessSettings) -> Schedule | Table:
    """The forward process: a table when `num_levels` is given, else a continuous schedule.

    Raises:
        ArgumentError: if the name, or one of its options, is unknown.
    """
    known: Mapping[str, Callable[..., Schedule | Table]] = (
        TABLES if settings.num_levels else SCHEDULES
    )
    if settings.schedule not in known:
        if settings.schedule in TABLES:
            raise ArgumentError(
                f"the schedule {settings.schedule!r} is a table; say how many levels it has "
                "(process.num_levels=1000)."
            )
        raise unknown("schedule", settings.schedule, {*TABLES, *SCHEDULES})
    make = known[settings.schedule]
    for name in settings.options:
        if name == "num_levels" or name not in inspect.signature(make).parameters:
            options = set(inspect.signature(make).parameters) - {"num_levels"}
            raise unknown(f"option of the schedule {settings.schedule!r}", name, options)
    if settings.num_levels:
        return make(num_levels=settings.num_levels, **settings.options)
    return make(**settings.options)


def _vector_mlp(
    settings: NetworkSettings, dimension: int, _: Schedule | Table
) -> tuple[nn.Module, Conditioning]:
    return VectorMLP(dimension, settings.width, settings.depth), log_snr


def _step_mlp(
    settings: NetworkSettings, dimension: int, process: Schedule | Table
) -> tuple[nn.Module, Conditioning]:
    if not isinstance(process, Table):
        raise ArgumentError(
            "the network 'step-mlp' embeds the steps of a table; set process.num_levels "
            "(or take network.name=vector-mlp)."
        )
    return StepMLP(dimension, process.num_levels, settings.width), step_of(process)


NETWORKS: Mapping[
    str, Callable[[NetworkSettings, int, Schedule | Table], tuple[nn.Module, Conditioning]]
] = {"vector-mlp": _vector_mlp, "step-mlp": _step_mlp}


def build_denoiser(
    settings: Settings, dimension: int, process: Schedule | Table
) -> NetworkDenoiser:
    """An untrained denoiser for rows of `dimension` numbers; the seed decides its weights.

    Raises:
        ArgumentError: if the network or the target is unknown, or does not fit the process.
    """
    if settings.network.target not in PARAMETERISATIONS:
        raise unknown("target", settings.network.target, PARAMETERISATIONS)
    if settings.network.name not in NETWORKS:
        raise unknown("network", settings.network.name, NETWORKS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network, conditioning = NETWORKS[settings.network.name](
            settings.network, dimension, process
        )
    return NetworkDenoiser(network, PARAMETERISATIONS[settings.network.target], conditioning)


def build_grid(settings: SamplingSettings, process: Schedule | Table) -> NoiseLevel:
    """The levels that sampling visits.

    Raises:
        ArgumentError: if the grid is unknown, is not for this kind of process, or the number of
            steps is out of its range.
    """
    if isinstance(process, Table):
        if settings.grid not in TABLE_GRIDS:
            raise unknown("grid of a table", settings.grid, TABLE_GRIDS)
        return TABLE_GRIDS[settings.grid](process, settings.steps)
    if settings.grid not in SCHEDULE_GRIDS:
        raise unknown("grid of a continuous schedule", settings.grid, SCHEDULE_GRIDS)
    return SCHEDULE_GRIDS[settings.grid](process, settings.steps)


def build_stepper(settings: SamplingSettings) -> Stepper[Any]:
    """The sampling method, given those of the settings that it has a field for.

    Raises:
        ArgumentError: if it is unknown.
    """
    if settings.sampler not in SAMPLERS:
        raise unknown("sampler", settings.sampler, SAMPLERS)
    kind = SAMPLERS[settings.sampler]
    own = {field.name for field in fields(kind)} & set(SamplingSettings.model_fields)
    return kind(**{name: getattr(settings, name) for name in own})  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """All that sampling needs.

    Args:
        settings: of the run that made it.
        codec: between rows in the data's own units and the network's.
        process: the forward process.
        denoiser: the trained denoiser.
    """

    settings: Settings
    codec: Codec
    process: Schedule | Table
    denoiser: NetworkDenoiser

    def _way(self, changes: Mapping[str, Any]) -> tuple[NoiseLevel, Stepper[Any]]:
        """Grid and method: the run's own, with some sampling settings changed."""
        settings = resolve(self.settings.to_dict(), {"sampling": changes}).sampling
        return build_grid(settings, self.process), build_stepper(settings)

    def sample_chunks(
        self, n: int, *, seed: int = 0, first: int = 0, **sampling: Any
    ) -> Iterator[np.ndarray]:
        """Like `sample`, a chunk of rows at a time, for progress and for what is too large.

        Raises:
            ArgumentError: if n, seed or first is negative, or a sampling setting is wrong.
        """
        for name, value in {"n": n, "seed": seed, "first": first}.items():
            if value < 0:
                raise ArgumentError(f"`{name}` must not be negative; got {value}.")
        levels, stepper = self._way(sampling)
        event = (self.codec.dimension,)
        chunks = sample_chunks(self.denoiser, event, levels, stepper, n=n, seed=seed, first=first)
        return (self.codec.decode(x) for x in chunks)

    def sample(self, n: int, *, seed: int = 0, first: int = 0, **sampling: Any) -> np.ndarray:
        """Draw `n` rows in the data's own units, `(n, columns)` float64.

        Row k depends on the seed and k alone: `sample(100)` is the start of `sample(1000)`, and
        `sample(500, first=500)` its second half.

        Args:
            n: how many.
            seed: names an endless list of samples.
            first: where in that list to begin.
            **sampling: changes to the settings under `[sampling]`: sampler, steps, grid, eta.

        Raises:
            ArgumentError: if n, seed or first is negative, or a sampling setting is wrong.
        """
        rows = list(self.sample_chunks(n, seed=seed, first=first, **sampling))
        return np.concatenate([np.empty((0, len(self.codec.columns))), *rows])

    def frames(
        self, n: int, *, seed: int = 0, **sampling: Any
    ) -> Iterator[tuple[NoiseLevel, np.ndarray]]:
        """The same samples on their way from noise: each level with its `(n, columns)` rows."""
        levels, stepper = self._way(sampling)
        event = (self.codec.dimension,)
        walk = sample_frames(self.denoiser, event, levels, stepper, n=n, seed=seed)
        return ((levels[k], self.codec.decode(x)) for k, x in enumerate(walk))

    def pictured_frames(
        self, n: int, count: int, *, seed: int = 0
    ) -> list[tuple[NoiseLevel, np.ndarray]]:
        """`count` frames for a picture, even in time, noise first; steps repeat or are left out.

        A continuous schedule is walked evenly in time here, because a sampler's own grid may
        dwell where nothing is to be seen.
        """
        even = {} if isinstance(self.process, Table) else {"grid": "uniform-time"}
        frames = list(self.frames(n, seed=seed, **even))
        return [frames[k] for k in np.linspace(0, len(frames) - 1, count).round().astype(int)]

    def save(self, path: Path) -> None:
        """Write the one file that is enough to sample from.

        The header holds settings, codec and a SHA-256 over them and every tensor, because
        safetensors itself does not notice a flipped bit.

        Raises:
            OSError: if it cannot be written.
        """
        tensors = {
            name: value.detach().cpu().contiguous()
            for name, value in self.denoiser.network.state_dict().items()
        }
        header = {
            "format": _FORMAT,
            "settings": self.settings.to_dict(),
            "codec": self.codec.to_dict(),
        }
        header["sha256"] = _digest(header, tensors)
        storage.write_bytes(path, save_safetensors(tensors, {"sfumato": json.dumps(header)}))


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the header without its own sum, and each tensor's name, type, shape, bytes."""
    digest = hashlib.sha256()
    told = {key: value for key, value in header.items() if key != "sha256"}
    digest.update(json.dumps(told, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def load_model(path: Path) -> Model:
    """Read a model file; as it may come from a stranger, everything in it is checked.

    Raises:
        RunError: if it is missing, damaged, foreign, or of a newer format.
    """
    if not path.is_file():
        raise RunError(f"there is no model file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"{path} is not a whole safetensors file ({error}); it was not opened as anything else."
        ) from error
    if "sfumato" not in metadata:
        raise RunError(f"{path} is a safetensors file, but not one that sfumato wrote.")
    try:
        header = json.loads(metadata["sfumato"])
        version, checksum = header["format"], header["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"the header of {path} is damaged; take another copy.") from error
    if version != _FORMAT:
        raise RunError(f"{path} is of format {version!r}; this version reads format {_FORMAT}.")
    if checksum != _digest(header, tensors):
        raise RunError(
            f"{path} is damaged: its SHA-256 is not the recorded one. Take another copy."
        )
    try:
        settings = resolve(header["settings"])
        codec = Codec.from_dict(header["codec"])
        process = build_process(settings.process)
        # First without memory: a stranger's header may ask for a network of any size.
        with torch.device("meta"):
            skeleton = build_denoiser(settings, codec.dimension, process).network.state_dict()
        if {k: v.shape for k, v in skeleton.items()} != {k: v.shape for k, v in tensors.items()}:
            raise RunError("its weights are not those of its settings.")
        denoiser = build_denoiser(settings, codec.dimension, process)
        denoiser.network.load_state_dict(tensors)
    except (SfumatoError, RuntimeError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} does not describe a model that this version knows: {error}"
        ) from error
    return Model(settings, codec, process, denoiser)
