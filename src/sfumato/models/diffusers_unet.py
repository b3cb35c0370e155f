"""A UNet2DModel of diffusers and our U-Net: the same network under two names.

Every setting of a UNet2DModel is read, or has one value that is known and is refused by its name
where it has another. Of what is unusual in diffusers:

    attention_head_dim    24 at 64 channels is 2 heads of 24, so that 48 channels attend
    attn_norm_num_groups  where not set, with scale_shift, the attention in the middle has no norm
    downsample_type       `resnet` is for blocks with attention alone, as is upsample_type
    num_train_timesteps   a learned table of times may be longer than the scheduler
    num_class_embeds      classes by number, none of which stands for any of them
    time_embedding_type   `fourier` takes the log of the step, which is not finite at step 0, where
                          DDPM's and DDIM's samples end: it is refused
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.data.codecs.images import ImageCodec
from sfumato.denoisers.denoiser import log_snr
from sfumato.errors import ArgumentError, RunError
from sfumato.models.diffusers_scheduler import VERSION, ReadScheduler
from sfumato.models.gaussian import GaussianModel
from sfumato.models.registry import UNetOptions, unet_options
from sfumato.networks.attention import SelfAttention
from sfumato.networks.embeddings import LearnedStepEmbedding
from sfumato.networks.unet import UNet
from sfumato.process.discrete import DiscreteSchedule

# The settings of a UNet2DModel and the defaults of diffusers.
_SETTINGS: Mapping[str, Any] = {
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ["DownBlock2D", *["AttnDownBlock2D"] * 3],
    "mid_block_type": "UNetMidBlock2D",
    "up_block_types": [*["AttnUpBlock2D"] * 3, "UpBlock2D"],
    "block_out_channels": [224, 448, 672, 896],
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "downsample_padding": 1,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "dropout": 0.0,
    "act_fn": "silu",
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default",
    "add_attention": True,
    "class_embed_type": None,
    "num_class_embeds": None,
    "num_train_timesteps": None,
}

# What is known of settings that have few values.
_KNOWN: Mapping[str, tuple[Any, ...]] = {
    "center_input_sample": (False,),
    "freq_shift": (0, 1),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_padding": (0, 1),
    "downsample_type": ("conv", "resnet"),
    "upsample_type": ("conv", "resnet"),
    "act_fn": ("silu", "swish"),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "class_embed_type": (None,),
}

# More would be names alone; ImageNet has 21,841 at most.
_MOST_CLASSES = 100_000

# ---------------------------------------------------------------------------------- names

# Ours and theirs, in the order in which they are replaced.
_NAMES = (
    (r"^time_emb\.0\.", "time_embedding.linear_1."),
    (r"^time_emb\.2\.", "time_embedding.linear_2."),
    (r"^time_proj\.embedding\.", "time_proj."),
    (r"^class_emb\.", "class_embedding."),
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


def read_unet(
    given: Mapping[str, Any], scheduler: ReadScheduler
) -> tuple[ImageCodec, dict[str, Any]]:
    """The codec and the settings of the network that a UNet2DModel is.

    Args:
        given: its config.json.
        scheduler: which gives it the time, and takes what it answers.

    Raises:
        RunError: if one of its settings is not known here.
    """
    kind = given.get("_class_name", "UNet2DModel")
    if kind != "UNet2DModel":
        raise RunError(f"a network {kind} is not known here; a UNet2DModel is.")
    for key, value in given.items():
        if key not in _SETTINGS and not key.startswith("_") and value is not None:
            raise _unknown(key, value)
    unet = {key: given.get(key, default) for key, default in _SETTINGS.items()}
    for key, known in _KNOWN.items():
        if unet[key] not in known:
            raise _unknown(key, unet[key])
    codec = _codec(unet)
    outputs = codec.channels * (1 + scheduler.learned_variance)
    if unet["out_channels"] != outputs:
        raise RunError(
            f"its out_channels is {unet['out_channels']}; with its in_channels {codec.channels} "
            f"and its scheduler's variance_type it must be {outputs}."
        )
    return codec, _network_settings(unet, scheduler)


def _unknown(key: str, value: Any, why: str = "") -> RunError:
    return RunError(f"a unet whose {key} is {value!r} is not known here{why}.")


def _codec(unet: Mapping[str, Any]) -> ImageCodec:
    size, channels = unet["sample_size"], unet["in_channels"]
    height, width = size if isinstance(size, list) else (size, size)
    if not all(isinstance(each, int) and 1 <= each <= 4096 for each in (channels, height, width)):
        raise RunError(
            f"pictures of known size can be read; got {channels} channels of {size} (in_channels, "
            "sample_size)."
        )
    count = unet["num_class_embeds"] or 0
    if not 0 <= count <= _MOST_CLASSES:
        raise _unknown("num_class_embeds", count)
    classes = tuple(str(number) for number in range(count))
    return ImageCodec(height, width, channels, classes, (1 / count,) * count if count else ())


def _network_settings(unet: Mapping[str, Any], scheduler: ReadScheduler) -> dict[str, Any]:
    widths = unet["block_out_channels"]
    down, up = (
        [each.removeprefix("UNetRes") for each in unet[f"{way}_block_types"]]
        for way in ("down", "up")
    )
    if set(down) - {"DownBlock2D", "AttnDownBlock2D"} or len(down) != len(widths):
        raise _unknown("down_block_types", unet["down_block_types"])
    if up != [each.replace("Down", "Up") for each in reversed(down)]:
        raise _unknown(
            "up_block_types", unet["up_block_types"], ": they must mirror its down_block_types"
        )
    width = widths[0]
    if any(each % width for each in widths):
        raise _unknown("block_out_channels", widths, ": they must be multiples of the first")
    attends = [each == "AttnDownBlock2D" for each in down]
    size = unet["sample_size"]
    sides = [-(-max(size if isinstance(size, list) else [size]) // 2**k) for k in range(len(down))]
    attention = [side for side, each in zip(sides, attends, strict=True) if each]
    if [side in attention for side in sides] != attends:
        raise _unknown("down_block_types", down, f" at a sample_size of {size}")
    if not isinstance(unet["norm_num_groups"], int):
        raise _unknown("norm_num_groups", unet["norm_num_groups"])
    head_width = unet["attention_head_dim"] or 0
    attending = [each for each, here in zip(widths, attends, strict=True) if here]
    attending += widths[-1:] if unet["add_attention"] else []
    if head_width > min(attending, default=head_width):
        raise _unknown(
            "attention_head_dim",
            head_width,
            f": attention of {min(attending)} channels has no room for a head",
        )
    mid_groups = unet["attn_norm_num_groups"] or 0
    scale_shift = unet["resnet_time_scale_shift"] == "scale_shift"
    if scale_shift and unet["attn_norm_num_groups"] is None:
        mid_groups = -1
    return {
        "name": "unet",
        "width": width,
        "depth": unet["layers_per_block"],
        "options": {
            "multipliers": [each // width for each in widths],
            "attention": attention,
            "head_width": head_width,
            "heads_divide": False,
            "dropout": float(unet["dropout"]),
            "scale_shift": scale_shift,
            "time_embedding": _time_embedding(unet, scheduler),
            "step_shift": int(unet["freq_shift"]),
            "cosine_first": bool(unet["flip_sin_to_cos"]),
            "groups": unet["norm_num_groups"],
            "eps": unet["norm_eps"],
            "one_sided": unet["downsample_padding"] == 0,
            "time_width": unet["time_embedding_dim"] or 0,
            "mid_attention": bool(unet["add_attention"]),
            "mid_groups": mid_groups,
            "residual_down": unet["downsample_type"] == "resnet",
            "residual_up": unet["upsample_type"] == "resnet",
            # Of its classes none stands for any; one without is as ours, and can be given some.
            "any_class": not unet["num_class_embeds"],
        },
    }


def _time_embedding(unet: Mapping[str, Any], scheduler: ReadScheduler) -> str:
    kind, length = unet["time_embedding_type"], unet["num_train_timesteps"]
    if kind == "positional":
        return scheduler.time_embedding
    if kind == "fourier":
        raise _unknown(
            "time_embedding_type", kind, ": it takes the log of the step, not finite at step 0"
        )
    if kind != "learned" or scheduler.time_embedding != "step":
        raise _unknown("time_embedding_type", kind)
    steps = scheduler.process["num_levels"]
    if length is None or length < steps:
        raise _unknown("num_train_timesteps", length, f": its scheduler has {steps} steps")
    return "learned-step"


def load_unet(
    network: nn.Module, tensors: Mapping[str, Tensor], options: UNetOptions
) -> dict[str, Tensor]:
    """Their weights under the names of our network's, which may be on the device `meta`.

    Raises:
        KeyError: if a weight is missing.
        RunError: if the weights are not those of the network, or diffusers makes no such network.
    """
    _check_groups(network, options)
    skeleton = network.state_dict()
    own = {name: torch.cat([_found(tensors, each) for each in _theirs(name)]) for name in skeleton}
    for name, part in network.named_modules():
        if isinstance(part, LearnedStepEmbedding):  # steps that the scheduler never comes to
            table = f"{name}.embedding.weight"
            own[table] = own[table][: len(skeleton[table])]
    for name, value in skeleton.items():
        if value.shape != own[name].shape:
            raise RunError(
                f"its weights are not those of its config.json: {_theirs(name)[0]} is "
                f"{tuple(own[name].shape)} and ours {name} {tuple(value.shape)}."
            )
    if sum(len(_theirs(name)) for name in own) != len(tensors):
        raise RunError("it has weights that its config.json does not speak of.")
    return own


def _check_groups(network: nn.Module, options: UNetOptions) -> None:
    """Refuse norms of fewer groups than asked for, which diffusers does not make."""
    for name, part in network.named_modules():
        if not isinstance(part, nn.GroupNorm):
            continue
        key, groups = "norm_num_groups", options.groups
        if name.startswith("mid_attention.") and options.mid_groups:
            key, groups = "attn_norm_num_groups", options.mid_groups
        if part.num_groups != groups:
            raise _unknown(key, groups, f": it does not divide {part.num_channels} channels")


# ---------------------------------------------------------------------------------- writing


def write_unet(
    model: GaussianModel,
    schedule: DiscreteSchedule,
    given: Mapping[str, Any] | None,
    *,
    classes: bool = False,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config.json and the weights of the UNet2DModel that our U-Net is.

    Args:
        model: a U-Net of pictures.
        schedule: the levels that the scheduler has.
        given: the class that it is to draw; where none is, any.
        classes: keep all, as they are where the model knows no sample of any.

    Raises:
        ArgumentError: if diffusers has no such network, and why.
    """
    network, codec = model.denoiser.network, model.codec
    assert isinstance(network, UNet)
    assert isinstance(codec, ImageCodec)
    options = unet_options(model.settings.network)
    _check_sides(codec, network.factor, options)
    groups, mid_groups = _groups(network, options)
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    count, labels = None, model.class_labels
    if classes and (given or not labels.count):
        raise ArgumentError(
            "all classes are kept, or one is given; leave `classes` or `given` out."
            if given
            else "this model learned no classes; leave `classes` out."
        )
    if classes or (not labels.knows_any and not given):
        count = labels.count
    elif (number := model.class_number(given)) is not None:
        class_emb = weights.pop("class_emb.weight")[number]
        weights["time_emb.2.bias"] = weights["time_emb.2.bias"] + class_emb
    time: dict[str, Any] = {
        "time_embedding_type": "positional",
        "freq_shift": options.step_shift,
        "flip_sin_to_cos": options.cosine_first,
    }
    if options.time_embedding != "step":
        time = {"time_embedding_type": "learned", "num_train_timesteps": schedule.num_levels}
    if options.time_embedding == "log-snr":
        each = log_snr(schedule.levels[1:]).float().to(network.conv_in.weight.device)
        weights["time_proj.embedding.weight"] = network.time_proj(each).cpu()
    attends = ["AttnDownBlock2D" if each.attentions else "DownBlock2D" for each in network.down]
    described = {
        "_class_name": "UNet2DModel",
        "_diffusers_version": VERSION,
        "sample_size": [codec.height, codec.width],
        "in_channels": codec.channels,
        "out_channels": network.conv_out.out_channels,
        **time,
        "time_embedding_dim": options.time_width or None,
        "down_block_types": attends,
        "up_block_types": [each.replace("Down", "Up") for each in reversed(attends)],
        "block_out_channels": [model.settings.network.width * m for m in options.multipliers],
        "layers_per_block": model.settings.network.depth,
        "downsample_padding": 0 if options.one_sided else 1,
        "downsample_type": "resnet" if options.residual_down else "conv",
        "upsample_type": "resnet" if options.residual_up else "conv",
        "dropout": options.dropout,
        "attention_head_dim": _head_width(network),
        "norm_num_groups": groups,
        "attn_norm_num_groups": mid_groups,
        "norm_eps": options.eps,
        "resnet_time_scale_shift": "scale_shift" if options.scale_shift else "default",
        "add_attention": options.mid_attention,
        "num_class_embeds": count,
    }
    tensors: dict[str, Tensor] = {}
    for name, value in weights.items():
        theirs = _theirs(name)
        tensors |= dict(zip(theirs, value.chunk(len(theirs)), strict=True))
    return described, {name: value.contiguous() for name, value in tensors.items()}


def _check_sides(codec: ImageCodec, factor: int, options: UNetOptions) -> None:
    if not codec.height % factor and not codec.width % factor:
        return
    halvings = 0
    while not codec.height % 2 ** (halvings + 1) and not codec.width % 2 ** (halvings + 1):
        halvings += 1
    fewer = str(options.multipliers[: halvings + 1]).replace(" ", "")
    raise ArgumentError(
        f"diffusers' unet takes pictures whose sides {factor} divides; these are "
        f"{codec.width} x {codec.height}. Fit with --set network.options.multipliers={fewer}, or "
        "with another --set data.size."
    )


def _groups(network: UNet, options: UNetOptions) -> tuple[int, int | None]:
    """Their norm_num_groups and attn_norm_num_groups."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for name, part in network.named_modules():
        if isinstance(part, nn.GroupNorm):
            found[name.startswith("mid_attention.")].add(part.num_groups)
    middle, others = found[True], found[False]
    if len(others) > 1:
        raise ArgumentError(
            "diffusers' unet has one number of groups for all norms, and this network has "
            f"{sorted(others)}; fit with a network.width that 32 divides."
        )
    if not middle and options.mid_attention and not options.scale_shift:
        raise ArgumentError(
            "diffusers' unet has a norm before the attention in the middle unless it has "
            "scale_shift; fit with network.options.mid_groups=0."
        )
    return others.pop(), middle.pop() if middle else None


def _head_width(network: UNet) -> int | None:
    """Channels of a head as diffusers has it, the same in every attention; None: one head each."""
    attentions = [each for each in network.modules() if isinstance(each, SelfAttention)]
    if all(
        each.proj.in_features == each.proj.out_features == each.head_width for each in attentions
    ):
        return None
    widths = {each.head_width for each in attentions}
    if len(widths) > 1:
        raise ArgumentError(
            "diffusers' unet has heads of one width, and this network has heads of "
            f"{sorted(widths)} channels; fit with network.options.head_width=0 (one head each)."
        )
    return widths.pop()
