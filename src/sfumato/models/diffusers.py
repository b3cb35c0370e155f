"""The folders in which Hugging Face's diffusers keeps a diffusion model of pictures.

    model_index.json                          what kind of pipeline, and its parts
    unet/config.json                          a UNet2DModel
    unet/diffusion_pytorch_model.safetensors  its weights
    scheduler/scheduler_config.json           its scheduler

Read, such a model is a U-Net with an embedding of the step of a discrete schedule, or of the time
of a flow or of EDM. Written, ours is the former: the features of each step's log-SNR become
diffusers' `learned` embedding of the step, a continuous process becomes a discrete one of 1,000
levels, and of classes one is chosen, or any, whose embedding joins a bias.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_safetensors

from sfumato import atomic, config
from sfumato.config import Settings, recipes
from sfumato.data.codecs.images import ImageCodec
from sfumato.data.images import BYTES
from sfumato.errors import ArgumentError, ForeignWarning, RunError, SfumatoError
from sfumato.models.diffusers_files import (
    INDEX,
    SCHEDULER_CONFIG,
    UNET_CONFIG,
    WEIGHTS,
    part_of,
    read_json,
    read_weights,
)
from sfumato.models.diffusers_scheduler import (
    VERSION,
    ReadScheduler,
    read_scheduler,
    write_scheduler,
)
from sfumato.models.diffusers_unet import load_unet, read_unet, write_unet
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.registry import build_denoiser, build_process, place, unet_options
from sfumato.networks.skeleton import shapes_only
from sfumato.networks.unet import UNet

# Levels that a continuous process is cut into.
_LEVELS = 1000

# Of a fit that starts from such a network: as in diffusers' own examples.
_FINE_TUNING = {"optimizer": "adamw", "learning_rate": 1e-4}

_PIPELINES = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline")

# ---------------------------------------------------------------------------------- reading


def read_pipeline(folder: Path) -> GaussianModel:
    """The model that diffusers wrote to `folder`; as it may be a stranger's, all of it is checked.

    Raises:
        RunError: if a part is missing, damaged, or of a kind that is not known here.
    """
    of_scheduler = _scheduler_of(folder)
    where = part_of(folder, "unet")
    of_unet, tensors = read_json(where / UNET_CONFIG), read_weights(where)
    try:
        scheduler = read_scheduler(of_scheduler)
        codec, network = read_unet(of_unet, scheduler)
        settings = _settings(codec, network, scheduler)
        process = build_process(settings.process)
        # First without memory: a stranger's file may ask for a network of any size.
        with shapes_only():
            skeleton = build_denoiser(settings, codec, process).network
        own = load_unet(skeleton, tensors, unet_options(settings.network))
        denoiser = build_denoiser(settings, codec, process)
        denoiser.network.load_state_dict(own)
        place(denoiser.network, settings, codec)
    except KeyError as error:
        raise RunError(f"{folder} cannot be read: {error} is missing.") from error
    except SfumatoError as error:
        raise RunError(f"{folder} cannot be read: {error}") from error
    except (RuntimeError, TypeError, ValueError, ArithmeticError, IndexError, AttributeError):
        raise RunError(f"{folder} cannot be read: its configuration makes no sense.") from None
    for note in scheduler.notes:
        warnings.warn(f"{folder}: {note}", ForeignWarning, stacklevel=1)
    return GaussianModel(settings, codec, process, denoiser)


def _settings(codec: ImageCodec, network: Mapping[str, Any], scheduler: ReadScheduler) -> Settings:
    """The settings by which both parts of a pipeline are built here."""
    hidden = {"label_dropout": 0.0} if codec.classes else {}
    training = recipes.images(codec.height, codec.width)["training"] | _FINE_TUNING
    return config.resolve(
        {
            "threads": 0,
            "data": {"source": "array", "labels": bool(codec.classes)},
            "process": scheduler.process,
            "network": {
                **network,
                "parameterisation": scheduler.parameterisation,
                "learned_variance": scheduler.learned_variance,
            },
            "training": training | hidden,
            "sampling": scheduler.sampling,
        }
    )


def _scheduler_of(folder: Path) -> Mapping[str, Any]:
    """The configuration of the scheduler; a network alone has none, and its defaults are taken."""
    index = folder / INDEX
    if index.is_file() and (kind := read_json(index).get("_class_name")) not in _PIPELINES:
        raise RunError(f"{folder} holds a {kind}; {' or '.join(_PIPELINES)} can be read.")
    path = part_of(folder, "scheduler") / SCHEDULER_CONFIG
    if index.is_file() or path.is_file():
        return read_json(path)
    warnings.warn(
        f"{folder} has no scheduler_config.json: the network is taken to be trained on "
        "DDPMScheduler's default levels; put the file beside its config.json if it was not",
        ForeignWarning,
        stacklevel=1,
    )
    return {"_class_name": "DDPMScheduler"}


# ---------------------------------------------------------------------------------- writing


def write_pipeline(
    model: Model, folder: Path, *, given: Mapping[str, Any] | None = None, classes: bool = False
) -> None:
    """Write the model as a DDPMPipeline that diffusers reads.

    Args:
        model: a U-Net of pictures.
        folder: where to; made.
        given: `{"class": ...}`, what the pipeline is to draw, where the model knows classes; any of
            them where not given.
        classes: keep all of them, as a network that takes class_labels: each class by its place,
            and last, if the model knows it, any.

    Raises:
        ArgumentError: if diffusers has no such model, and why, or there are no classes to keep.
        RunError: if the folder is there already, or cannot be written.
    """
    if not isinstance(model.denoiser.network, UNet):
        raise ArgumentError(
            f"diffusers' UNet2DModel is a unet of pictures, and this is a "
            f"{model.settings.network.name!r}; write it to onnx."
        )
    assert isinstance(model, GaussianModel)
    assert isinstance(model.codec, ImageCodec)
    low, high = model.codec.range
    if (low, high) != BYTES:
        warnings.warn(
            f"diffusers' pictures are of bytes: what is {low:.10g} to {high:.10g} here is 0 to 255 "
            f"there, and {folder} does not say so",
            ForeignWarning,
            stacklevel=2,
        )
    schedule = model.process.discrete(_LEVELS)
    unet, tensors = write_unet(model, schedule, given, classes=classes)
    scheduler = write_scheduler(model, schedule)
    index = {
        "_class_name": "DDPMPipeline",
        "_diffusers_version": VERSION,
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    try:
        folder.mkdir(parents=True)
        for part in ("unet", "scheduler"):
            (folder / part).mkdir()
        _write_json(folder / "unet" / UNET_CONFIG, unet)
        atomic.write_bytes(folder / "unet" / WEIGHTS, save_safetensors(tensors, {"format": "pt"}))
        _write_json(folder / "scheduler" / SCHEDULER_CONFIG, scheduler)
        _write_json(folder / INDEX, index)
    except FileExistsError:
        raise RunError(f"{folder} is already there and is never overwritten.") from None
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}.") from error


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    atomic.write_bytes(path, json.dumps(content, indent=2).encode())
