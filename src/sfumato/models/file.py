"""A model in one file, which is enough to sample from; it may come from a stranger."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from sfumato import atomic
from sfumato.config import resolve
from sfumato.data.codecs import codec_from_dict
from sfumato.errors import RunError, SfumatoError
from sfumato.models import format_4
from sfumato.models.build import build_model
from sfumato.models.few import FewSteps
from sfumato.models.model import Model, changed
from sfumato.models.registry import OWN, place
from sfumato.networks.branches import Branches, branched, can_branch
from sfumato.process.process import AnyProcess

_FORMAT = 5

# Before the names of the weights of the few-step map.
_FEW = "few/"


def save_model(model: Model, path: Path) -> None:
    """Write the one file that is enough to sample from.

    The header holds settings, codec and a SHA-256 over them and every tensor, because
    safetensors itself does not notice a flipped bit.

    Raises:
        OSError: if it cannot be written.
    """
    tensors = _held(model.denoiser.network)
    header = {
        "format": _FORMAT,
        "settings": model.settings.to_dict(),
        "codec": model.codec.to_dict(),
    }
    if model.few is not None:
        tensors |= {f"{_FEW}{name}": value for name, value in _held(model.few.network).items()}
        header["few"] = {str(calls): [*times] for calls, times in model.few.times.items()}
        if isinstance(model.few.network, Branches):
            header["branches"] = model.few.network.count
    header["sha256"] = _digest(header, tensors)
    atomic.write_bytes(path, save_safetensors(tensors, {"sfumato": json.dumps(header)}))


def weights_sha256(network: nn.Module) -> str:
    """The fingerprint of a network's weights, whatever file they are in."""
    return _digest({}, _held(network))


def _held(network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network."""
    state = network.state_dict()
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the header without its own sum, and each tensor's name, type, shape, bytes."""
    digest = hashlib.sha256()
    summed = {key: value for key, value in header.items() if key != "sha256"}
    digest.update(json.dumps(summed, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name} {dtype} {tuple(tensor.shape)}".encode())
        # As bytes first: NumPy has no bfloat16 and no float8.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_model(
    path: Path, *, network: nn.Module | None = None, process: AnyProcess | None = None
) -> Model:
    """Read a model file; as it may come from a stranger, everything in it is checked.

    Args:
        path: the file.
        network: where the model has a network of a user's own: one of the same shape.
        process: where it has a schedule of a user's own: the same.

    Raises:
        RunError: if it is missing, damaged, foreign, or of a newer format, or needs a network or
            process that is not given.
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
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"the header of {path} is damaged; take another copy.") from error
    if version not in (4, _FORMAT):
        raise RunError(
            f"{path} is of format {version!r}; this version reads formats 4 and {_FORMAT}."
        )
    if checksum != _digest(header, tensors):
        raise RunError(
            f"{path} is damaged: its SHA-256 is not the recorded one. Take another copy."
        )
    unknown_model = f"{path} does not describe a model that this version knows"
    try:
        if version == 4:
            header, tensors = format_4.translated(header, tensors)
        settings = resolve(header["settings"])
        codec = codec_from_dict(header["codec"])
    except _DAMAGE as error:
        raise RunError(f"{unknown_model}: {error}") from error
    _refuse_unlike(path, "network", settings.network.name, network)
    _refuse_unlike(path, "process", settings.process.schedule, process)
    try:
        if network is None:  # without memory: a stranger's header may ask for one of any size
            shapes = build_model(settings, codec, process=process, values=False)
            skeleton = shapes.denoiser.network
        else:
            skeleton = network
        of_few = {n.removeprefix(_FEW): each for n, each in tensors.items() if n.startswith(_FEW)}
        tensors = {name: each for name, each in tensors.items() if not name.startswith(_FEW)}
        _refuse_other_weights(tensors, skeleton)
        if of_few or "few" in header:
            if not header["few"]:
                raise RunError("its few-step map is of no number of calls.")
            _refuse_other_weights(of_few, _of_map(skeleton, header))
        model = build_model(settings, codec, network=network, process=process)
        if of_few:
            times = {
                int(calls): _times(int(calls), given) for calls, given in header["few"].items()
            }
            few = FewSteps(_of_map(model.denoiser.network, header), times)
            few.network.load_state_dict(of_few)
            place(few.network, settings, codec)
            model = changed(model, few=few)
        model.denoiser.network.load_state_dict(tensors)
        place(model.denoiser.network, settings, codec)
    except _DAMAGE as error:
        raise RunError(f"{unknown_model}: {error}") from error
    return model


def _of_map(network: nn.Module, header: Mapping[str, Any]) -> nn.Module:
    """A network as the few-step map has it, with candidates if its header says how many."""
    if "branches" not in header:
        return deepcopy(network)
    count = header["branches"]
    if not (type(count) is int and 1 < count <= _MOST_BRANCHES and can_branch(network)):
        raise RunError(f"its few-step map has {count!r} candidate answers.")
    return branched(network, count)


# Far more than any map has; a stranger's header may ask for any number.
_MOST_BRANCHES, _MOST_CALLS = 256, 64


def _refuse_other_weights(tensors: Mapping[str, Tensor], skeleton: nn.Module) -> None:
    """Refuse weights that are of another network, or of other types."""
    made = skeleton.state_dict()
    shapes = {name: value.shape for name, value in made.items()}
    if shapes != {name: value.shape for name, value in tensors.items()}:
        raise RunError("its weights are not those of its settings.")
    for name, tensor in tensors.items():
        if tensor.dtype != made[name].dtype:
            raise RunError(f"its weight {name} is {tensor.dtype}, not {made[name].dtype}.")


def _times(calls: int, given: Any) -> tuple[float, ...]:
    """When a few-step map of so many calls makes them: times that fall from 1."""
    if type(given) is not list or not 0 < len(given) == calls <= _MOST_CALLS:
        raise RunError(f"its few-step map of {calls} calls does not say when it makes each.")
    times = tuple(map(float, given))
    falling = all(later < earlier for earlier, later in pairwise(times))
    if times[0] != 1 or not falling or times[-1] < 0:
        raise RunError(f"its few-step map is called at the times {given}.")
    return times


# What a header raises that is not one of ours, or is damaged.
_DAMAGE = (
    SfumatoError,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)


def _refuse_unlike(path: Path, what: str, name: str, given: object) -> None:
    """A user's own network or process is given if and only if the model was made with one."""
    if name == OWN and given is None:
        raise RunError(
            f"{path} was fitted with a {what} of the user's own; open it with "
            f"sfumato.open({str(path)!r}, {what}=...)."
        )
    if name != OWN and given is not None:
        raise RunError(f"{path} was fitted with the {what} {name!r}; leave `{what}` out.")
