"""Model files of format 4 (sfumato 0.1.0): what their names are called now.

The weights of runs' checkpoints have the same old names. Settings are in `config.layers`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from sfumato.config import current

# Of each network, patterns of old names, and what stands in their place.
_WEIGHTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "vector-mlp": (
        (r"^enter\.", "input_proj."),
        (r"^tell\.", "noise_proj."),
        (r"^out\.", "output_proj."),
        (r"^along\.", "linear_skip_in."),
        (r"^back\.", "linear_skip_out."),
    ),
    "step-mlp": (
        (r"^steps\.", "step_embeddings."),
        (r"^out\.", "output_proj."),
    ),
    "table-mlp": (
        (r"^told\.", "noise_proj."),
        (r"^seen\.", "category_embedding."),
        (r"^enter\.", "input_proj."),
        (r"^(blocks\.\d+)\.up\.", r"\1.linear_1."),
        (r"^(blocks\.\d+)\.down\.", r"\1.linear_2."),
        (r"^norm\.", "norm_out."),
        (r"^out\.", "output_proj."),
        (r"^choose\.", "category_logits."),
        (r"^along\.", "linear_skip."),
        (r"^strength\.", "linear_gain."),
    ),
    "dit": (
        (r"^tell\.", "time_emb."),
        (r"^classes\.", "class_emb."),
        (r"^enter\.", "patch_embed."),
        (r"^(blocks\.\d+)\.attend\.ask\.", r"\1.attention.qkv."),
        (r"^(blocks\.\d+)\.attend\.answer\.", r"\1.attention.proj."),
        (r"^(blocks\.\d+)\.widen\.", r"\1.linear_1."),
        (r"^(blocks\.\d+)\.narrow\.", r"\1.linear_2."),
        (r"^(blocks\.\d+)\.tell\.", r"\1.modulation."),
        (r"^tell_last\.", "modulation_out."),
        (r"^leave\.", "output_proj."),
    ),
    "unet": (
        (r"^embed\.steps\.", "time_proj.embedding."),
        (r"^tell\.", "time_emb."),
        (r"^classes\.", "class_emb."),
        (r"^enter\.", "conv_in."),
        (r"^(down\.\d+)\.change\.", r"\1.downsample."),
        (r"^(up\.\d+)\.change\.", r"\1.upsample."),
        (r"^middle\.", "mid."),
        (r"^middle_attention\.", "mid_attention."),
        (r"^norm\.", "norm_out."),
        (r"^leave\.", "conv_out."),
        (r"\.tell\.", ".emb_proj."),
        (r"\.beside\.", ".skip."),
        (r"\.attend\.ask\.", ".attention.qkv."),
        (r"\.attend\.answer\.", ".attention.proj."),
    ),
}

# Of a table's column codecs: their names, and those of their fields.
_CODECS = {"levels": "categorical", "numbers": "numeric"}
_FIELDS = {
    "values": "categories",
    "holes": "has_missing",
    "step": "grid_step",
    "lumps": "point_masses",
}


def weight_names(network: str) -> Callable[[str], str]:
    """What a network's weight of an old name is called now; the name itself where it has none."""

    def renamed(name: str) -> str:
        for old, new in _WEIGHTS.get(network, ()):
            name = re.sub(old, new, name)
        return name

    return renamed


def translated(
    header: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors of a model file of format 4, under the names of now.

    Raises:
        AttributeError, KeyError, TypeError: if the header is not one of format 4.
        ArgumentError: if a setting is given under two names.
    """
    settings = current(header["settings"])
    renamed = weight_names(settings["network"]["name"])
    return (
        {**header, "settings": settings, "codec": _codec(header["codec"])},
        {renamed(name): value for name, value in tensors.items()},
    )


def _codec(codec: Mapping[str, Any]) -> Mapping[str, Any]:
    if "table" not in codec:
        return codec
    return {**codec, "table": [_column(column) for column in codec["table"]]}


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _CODECS.get(kind, kind): {_FIELDS.get(name, name): value for name, value in fields.items()}
        for kind, fields in column.items()
    }
