"""A model in one file, which is enough to sample from; it may come from a stranger."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor

from sfumato import atomic
from sfumato.config import Settings, resolve
from sfumato.data.codecs.points import AnyCodec, codec_from_dict
from sfumato.data.codecs.table import TableCodec
from sfumato.errors import ArgumentError, RunError, SfumatoError
from sfumato.models.gaussian import Model
from sfumato.models.registry import build_denoiser, build_process, build_table_denoiser, device_of
from sfumato.models.table import TableModel

_FORMAT = 4

AnyModel = Model | TableModel


@overload
def untrained(settings: Settings, codec: AnyCodec, *, on: str = "cpu") -> Model: ...
@overload
def untrained(settings: Settings, codec: TableCodec, *, on: str = "cpu") -> TableModel: ...


def untrained(settings: Settings, codec: AnyCodec | TableCodec, *, on: str = "cpu") -> AnyModel:
    """A model whose network has learned nothing yet.

    Args:
        settings: name everything.
        codec: of the data.
        on: the device that the weights are made on; "meta" for none.

    Raises:
        ArgumentError: if a setting names something unknown, or not for these data.
    """
    process = build_process(settings.process)
    if not isinstance(codec, TableCodec):
        with torch.device(on):
            denoiser = build_denoiser(settings, codec, process)
        return Model(settings, codec, process, denoiser)
    if process.num_levels:
        raise ArgumentError("a table's process is continuous; leave process.num_levels at 0.")
    with torch.device(on):
        of_table = build_table_denoiser(settings, codec, process)
    return TableModel(settings, codec, process, of_table)


def save_model(model: AnyModel, path: Path) -> None:
    """Write the one file that is enough to sample from.

    The header holds settings, codec and a SHA-256 over them and every tensor, because
    safetensors itself does not notice a flipped bit.

    Raises:
        OSError: if it cannot be written.
    """
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in model.denoiser.network.state_dict().items()
    }
    header = {
        "format": _FORMAT,
        "settings": model.settings.to_dict(),
        "codec": model.codec.to_dict(),
    }
    header["sha256"] = _digest(header, tensors)
    atomic.write_bytes(path, save_safetensors(tensors, {"sfumato": json.dumps(header)}))


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
    """A model of points or pictures.

    Raises:
        RunError: as `load_any_model`, or if it is of a table.
    """
    model = load_any_model(path)
    if isinstance(model, TableModel):
        raise RunError(f"{path} is a model of a table; load it with DiffusionModel.load.")
    return model


def load_any_model(path: Path) -> AnyModel:
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
        codec = codec_from_dict(header["codec"])
        # First without memory: a stranger's header may ask for a network of any size.
        skeleton = untrained(settings, codec, on="meta").denoiser.network.state_dict()
        if {k: v.shape for k, v in skeleton.items()} != {k: v.shape for k, v in tensors.items()}:
            raise RunError("its weights are not those of its settings.")
        model = untrained(settings, codec)
        model.denoiser.network.load_state_dict(tensors)
        model.denoiser.network.to(device_of(settings, codec))
        if isinstance(model, TableModel):
            model = model.with_network(model.denoiser.network)
    except (SfumatoError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path} does not describe a model that this version knows: {error}"
        ) from error
    return model
