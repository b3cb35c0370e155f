"""The folders in which Hugging Face's diffusers keeps a diffusion model of pictures.

    model_index.json                          what kind of pipeline, and its parts
    unet/config.json                          a UNet2DModel
    unet/diffusion_pytorch_model.safetensors  its weights
    scheduler/scheduler_config.json           its scheduler

Read, such a model is a U-Net with an embedding of the step of a discrete schedule. Written, so is
ours: the features of each step's log-SNR become diffusers' `learned` embedding of the step, a
continuous process becomes a discrete one of 1,000 levels, and of classes one is chosen, or any,
whose embedding joins a bias.
"""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from sfumato import atomic, config
from sfumato.config import Settings
from sfumato.data.codecs.images import ImageCodec
from sfumato.denoisers.denoiser import log_snr
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
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.registry import build_denoiser, build_process, device_of, unet_options
from sfumato.networks.attention import SelfAttention
from sfumato.networks.unet import UNet
from sfumato.process.discrete import DiscreteSchedule

# Levels that a continuous process is cut into.
_LEVELS = 1000

_PIPELINES = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline")

# What a UNet2DModel must be to be read; its own defaults where its file does not say.
_KNOWN: Mapping[str, tuple[Any, ...]] = {
    "center_input_sample": (False,),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_type": ("conv",),
    "upsample_type": ("conv",),
    "act_fn": ("silu", "swish"),
    "add_attention": (True,),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
}

# ---------------------------------------------------------------------------------- names

# Ours and theirs, in the order in which they are replaced.
_NAMES = (
    (r"^time_emb\.0\.", "time_embedding.linear_1."),
    (r"^time_emb\.2\.", "time_embedding.linear_2."),
    (r"^time_proj\.embedding\.", "time_proj."),
    (r"^mid\.blocks\.", "mid_block.resnets."),
    (r"^mid_attention\.", "mid_block.attentions.0."),
    (r"^norm_out\.", "conv_norm_out."),
    (r"^down\.(\d+)\.downsample\.", r"down_blocks.\1.downsamplers.0."),
    (r"^up\.(\d+)\.upsample\.", r"up_blocks.\1.upsamplers.0."),
    (r"^(down|up)\.(\d+)\.blocks\.", r"\1_blocks.\2.resnets."),
    (r"^(down|up)\.(\d+)\.attentions\.", r"\1_blocks.\2.attentions."),
    (r"\.(norm|conv)_([12])\.", r".\1\2."),
    (r"\.emb_proj\.", ".time_emb_proj."),
    (r"\.skip\.", ".conv_shortcut."),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"\.attention\.proj\.", ".to_out.0."),
)

# Before version 0.15 the parts of attention had other names, which many stored weights still have.
_OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def _theirs(name: str) -> list[str]:
    """Their names of one of our weights: three, where ours holds query, key and value."""
    for own, their in _NAMES:
        name = re.sub(own, their, name)
    if ".attention.qkv." in name:
        return [name.replace("attention.qkv", part) for part in ("to_q", "to_k", "to_v")]
    return [name]


def _found(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        for new, old in _OLD_NAMES.items():
            name = name.replace(f".{new}.", f".{old}.")
    return tensors[name]


# ---------------------------------------------------------------------------------- reading


def read_pipeline(folder: Path) -> GaussianModel:
    """The model that diffusers wrote to `folder`; as it may be a stranger's, all of it is checked.

    Raises:
        RunError: if a part is missing, damaged, or of a kind that is not known here.
    """
    place = part_of(folder, "unet")
    unet = read_json(place / UNET_CONFIG)
    config_of_scheduler = _scheduler_of(folder)
    tensors = read_weights(place)
    try:
        scheduler = read_scheduler(config_of_scheduler)
        codec, settings = _codec(unet), _settings(unet, scheduler)
        process = build_process(settings.process)
        # First without memory: a stranger's file may ask for a network of any size.
        with torch.device("meta"):
            skeleton = build_denoiser(settings, codec, process).network.state_dict()
        own = {
            name: torch.cat([_found(tensors, each) for each in _theirs(name)]) for name in skeleton
        }
        if {k: v.shape for k, v in skeleton.items()} != {k: v.shape for k, v in own.items()}:
            raise RunError("its weights are not those of its config.json.")
        if sum(len(_theirs(name)) for name in own) != len(tensors):
            raise RunError("it has weights that its config.json does not speak of.")
        denoiser = build_denoiser(settings, codec, process)
        denoiser.network.load_state_dict(own)
        denoiser.network.to(device_of(settings, codec))
    except KeyError as error:
        raise RunError(f"{folder} cannot be read: {error} is missing.") from error
    except SfumatoError as error:
        raise RunError(f"{folder} cannot be read: {error}") from error
    except (RuntimeError, TypeError, ValueError, ArithmeticError, IndexError, AttributeError):
        raise RunError(f"{folder} cannot be read: its configuration makes no sense.") from None
    for note in scheduler.notes:
        warnings.warn(f"{folder}: {note}", ForeignWarning, stacklevel=1)
    return GaussianModel(settings, codec, process, denoiser)


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


def _codec(unet: Mapping[str, Any]) -> ImageCodec:
    size = unet["sample_size"]
    height, width = size if isinstance(size, list) else (size, size)
    channels = unet.get("in_channels", 3)
    if channels not in (1, 3) or not all(
        isinstance(side, int) and 1 <= side <= 4096 for side in (height, width)
    ):
        raise RunError(
            f"pictures in 1 or 3 channels of known size can be read; got {channels} channels of "
            f"{size}."
        )
    return ImageCodec(height, width, channels)


def _settings(unet: Mapping[str, Any], scheduler: ReadScheduler) -> Settings:
    """The settings by which both parts of a pipeline are built here."""
    for name, known in _KNOWN.items():
        if unet.get(name, known[0]) not in known:
            raise RunError(f"a unet whose {name} is {unet[name]!r} is not known here.")
    return config.resolve(
        {
            "threads": 0,
            "data": {"source": "array"},
            "process": scheduler.process,
            "network": _network_settings(unet, scheduler.time_embedding)
            | {"parameterisation": scheduler.parameterisation}
            | {"learned_variance": scheduler.learned_variance},
            "training": {"reference": 0},
            "sampling": scheduler.sampling,
        }
    )


def _network_settings(unet: Mapping[str, Any], time_embedding: str) -> dict[str, Any]:
    widths, kinds = unet["block_out_channels"], unet["down_block_types"]
    mirrored = [kind.replace("Down", "Up") for kind in reversed(kinds)]
    if set(kinds) - {"DownBlock2D", "AttnDownBlock2D"} or mirrored != unet["up_block_types"]:
        raise RunError("a unet of other blocks than (Attn)DownBlock2D and their mirror image.")
    width = widths[0]
    if any(each % width for each in widths) or unet.get("time_embedding_dim") not in (
        None,
        4 * width,
    ):
        raise RunError("a unet whose channels are not multiples of its first.")
    groups = unet.get("norm_num_groups", 32)
    scale_shift = unet.get("resnet_time_scale_shift", "default") == "scale_shift"
    if unet.get("attn_norm_num_groups") != groups and (
        scale_shift or unet.get("attn_norm_num_groups") is not None
    ):
        raise RunError("a unet whose attention in the middle has a norm of its own, or none.")
    embedding = unet.get("time_embedding_type", "positional")
    if embedding not in ("positional", "learned"):
        raise RunError(f"a unet whose time_embedding_type {embedding!r} is not known here.")
    size = unet["sample_size"]
    side = max(size) if isinstance(size, list) else size
    return {
        "name": "unet",
        "width": width,
        "depth": unet.get("layers_per_block", 2),
        "options": {
            "multipliers": [each // width for each in widths],
            "attention": [
                -(-side // 2**k) for k, kind in enumerate(kinds) if kind == "AttnDownBlock2D"
            ],
            "head_width": unet.get("attention_head_dim", 8) or 0,
            "dropout": float(unet.get("dropout", 0.0)),
            "scale_shift": scale_shift,
            "time_embedding": time_embedding if embedding == "positional" else "learned-step",
            "step_shift": int(unet.get("freq_shift", 0)),
            "cosine_first": bool(unet.get("flip_sin_to_cos", True)),
            "groups": groups,
            "eps": unet.get("norm_eps", 1e-5),
            "one_sided": unet.get("downsample_padding", 1) == 0,
        },
    }


# ---------------------------------------------------------------------------------- writing


def write_pipeline(model: Model, folder: Path, *, given: Mapping[str, Any] | None = None) -> None:
    """Write the model as a DDPMPipeline that diffusers reads.

    Args:
        model: a U-Net of pictures.
        folder: where to; made.
        given: `{"class": ...}`, what the pipeline is to draw, where the model knows classes; any of
            them where not given.

    Raises:
        ArgumentError: if diffusers has no such model, and why.
        RunError: if the folder is there already, or cannot be written.
    """
    if not isinstance(model, GaussianModel) or not isinstance(model.denoiser.network, UNet):
        raise ArgumentError(
            f"diffusers' UNet2DModel is a unet of pictures, and this is a "
            f"{model.settings.network.name!r}; write it to onnx."
        )
    schedule = model.process.discrete(_LEVELS)
    unet, tensors = _unet(model, schedule, given)
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


def _unet(
    model: GaussianModel, schedule: DiscreteSchedule, given: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Their config and weights of our U-Net."""
    network, codec = model.denoiser.network, model.codec
    assert isinstance(network, UNet)
    assert isinstance(codec, ImageCodec)
    if codec.height % network.factor or codec.width % network.factor:
        raise ArgumentError(
            f"diffusers' unet takes pictures whose sides {network.factor} divides; these are "
            f"{codec.width} x {codec.height}. Fit with another --set data.size."
        )
    norms = {each.num_groups for each in network.modules() if isinstance(each, nn.GroupNorm)}
    if len(norms) > 1:
        raise ArgumentError(
            "diffusers' unet has one number of groups for all norms, and this network has "
            f"{sorted(norms)}; fit with a network.width that 32 divides."
        )
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    number = model.class_number(given)
    if number is not None:
        class_emb = weights.pop("class_emb.weight")[number]
        weights["time_emb.2.bias"] = weights["time_emb.2.bias"] + class_emb
    options = unet_options(model.settings.network)
    time = {
        "time_embedding_type": "positional",
        "freq_shift": options.step_shift,
        "flip_sin_to_cos": options.cosine_first,
    }
    if options.time_embedding != "step":
        time = {"time_embedding_type": "learned", "num_train_timesteps": schedule.num_levels}
    if options.time_embedding == "log-snr":
        each = log_snr(schedule.levels[1:]).float().to(network.conv_in.weight.device)
        weights["time_proj.embedding.weight"] = network.time_proj(each).cpu()
    attending = [bool(stage.attentions) for stage in network.down]
    attends = ["AttnDownBlock2D" if each else "DownBlock2D" for each in attending]
    groups = norms.pop()
    described = {
        "_class_name": "UNet2DModel",
        "_diffusers_version": VERSION,
        "sample_size": [codec.height, codec.width],
        "in_channels": codec.channels,
        "out_channels": network.conv_out.out_channels,
        **time,
        "down_block_types": attends,
        "up_block_types": [each.replace("Down", "Up") for each in reversed(attends)],
        "block_out_channels": [model.settings.network.width * m for m in options.multipliers],
        "layers_per_block": model.settings.network.depth,
        "downsample_padding": 0 if options.one_sided else 1,
        "dropout": options.dropout,
        "attention_head_dim": _head_width(network),
        "norm_num_groups": groups,
        "attn_norm_num_groups": groups,
        "norm_eps": options.eps,
        "resnet_time_scale_shift": "scale_shift" if options.scale_shift else "default",
    }
    tensors: dict[str, Tensor] = {}
    for name, value in weights.items():
        theirs = _theirs(name)
        tensors |= dict(zip(theirs, value.chunk(len(theirs)), strict=True))
    return described, {name: value.contiguous() for name, value in tensors.items()}


def _head_width(network: UNet) -> int | None:
    """Channels of a head as diffusers has it, the same in every attention; None: one head each."""
    attentions = [each for each in network.modules() if isinstance(each, SelfAttention)]
    if all(each.heads == 1 for each in attentions):
        return None
    widths = {each.proj.in_features // each.heads for each in attentions}
    if len(widths) > 1:
        raise ArgumentError(
            "diffusers' unet has heads of one width, and this network has heads of "
            f"{sorted(widths)} channels; fit with network.options.head_width=0 (one head each)."
        )
    return widths.pop()
