"""A model of pictures for a page that draws them itself, without a server.

The page has the U-Net once more (explorer/src/unet.ts), the run's own sampler and its few-step map,
guidance, clipping and filling in (explorer/src/picture_drawer.ts), all of the same noise as Python.
What it does not have, `refuse_live` says; of such a run pictures are drawn beforehand.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.data.codecs.images import ImageCodec
from sfumato.errors import ArgumentError
from sfumato.models.few import as_map
from sfumato.models.gaussian import GaussianModel
from sfumato.models.registry import build_grid, build_stepper, sampled_process
from sfumato.networks.attention import SelfAttention
from sfumato.networks.embeddings import FourierEmbedding, LearnedStepEmbedding, StepEmbedding
from sfumato.networks.unet import AttentionBlock, ResidualBlock, UNet
from sfumato.runs.explorer.levels import levels_of, matrices, refuse_sampler, refuse_weights
from sfumato.samplers.driver import count_calls

# Multiply-adds of one picture, all its network calls together: a page does two to three billion
# in a second, in each of two to four workers.
MOST_PRODUCTS = 20_000_000_000

# Numbers of steps that the page offers, besides the run's own.
_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 100)


def own_calls(model: GaussianModel, steps: int) -> int:
    """Network calls for a picture by the run's own sampler and guidance."""
    sampling = model.settings.sampling
    process = sampled_process(sampling, model.process, model.denoiser.conditioning)
    calls = count_calls(build_stepper(sampling), build_grid(sampling, process, steps))
    guided = model.class_labels.count and sampling.guidance != 1
    return 2 * calls if guided else calls


def refuse_live(model: GaussianModel, calls: int) -> None:
    """Refuse a model that the page cannot draw with, or not soon enough.

    Args:
        model: of pictures.
        calls: of the network for a picture by the run's own settings.

    Raises:
        ArgumentError: saying why.
    """
    sampling, network = model.settings.sampling, model.denoiser.network
    refuse_sampler(sampling)
    if sampling.threshold is not None:
        raise ArgumentError(
            "the page clips predictions, but not at a quantile (sampling.threshold).",
            code="page-threshold",
        )
    if type(network) is not UNet:
        name = type(network).__name__
        raise ArgumentError(
            f"the page does not have the network {name}.", code="page-network", network=name
        )
    if not _is_of_the_page(network):
        raise ArgumentError(
            "the page does not have an option of this U-Net: it knows widths that are multiples "
            "of 8, heads of multiples of 4, and resolutions that a convolution changes.",
            code="page-unet",
        )
    products = calls * _products(network, model.codec.event)
    if products > MOST_PRODUCTS:
        needed, most = math.ceil(products / 1e9), MOST_PRODUCTS // 10**9
        raise ArgumentError(
            f"a picture takes {needed:,} billion multiplications, and the page does up to {most}.",
            code="page-products",
            products=needed,
            most=most,
        )


def _is_of_the_page(network: UNet) -> bool:
    """Whether explorer/src/unet.ts has all its parts, in sizes that the kernel takes."""
    inner = [
        each
        for name, each in network.named_modules()
        if isinstance(each, nn.Conv2d | nn.Linear) and name != "conv_out"
    ]
    modules = list(network.modules())
    norms = {each.eps for each in modules if isinstance(each, nn.GroupNorm)}
    return (
        all(_outputs(each) % 8 == 0 for each in inner)
        and all(each.head_width % 4 == 0 for each in modules if isinstance(each, SelfAttention))
        and all(each.resample is None for each in modules if isinstance(each, ResidualBlock))
        and len(norms) == 1
        and type(network.time_proj) in (FourierEmbedding, StepEmbedding, LearnedStepEmbedding)
    )


def _outputs(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features


def _products(network: UNet, event: tuple[int, ...]) -> int:
    """Multiply-adds of a call for one picture, those of its weights."""
    count = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
        nonlocal count
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        count += layer.weight.numel() * output.numel() // _outputs(layer)

    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    hooks = [each.register_forward_hook(add) for each in layers]
    x = torch.zeros(1, *event).to(network.conv_in.weight)
    label = () if network.class_emb is None else (x.new_zeros(1, dtype=torch.int64),)
    try:
        with torch.no_grad():
            network(x, x.new_ones(1), *label)
    finally:
        for hook in hooks:
            hook.remove()
    return count


def live_model(
    model: GaussianModel, steps: int, room: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the page is told of the model, and its arrays.

    Args:
        model: of pictures.
        steps: of the sampler, where nothing else is chosen.
        room: bytes for the weights.

    Raises:
        ArgumentError: if there is no room for them.
    """
    sampling, codec, network = model.settings.sampling, model.codec, model.denoiser.network
    assert isinstance(codec, ImageCodec)
    assert isinstance(network, UNet)
    arrays = dict(_weights("network", network))
    if model.few is not None:
        arrays |= _weights("few", model.few.network)
    refuse_weights(arrays, room)
    process = sampled_process(sampling, model.process, model.denoiser.conditioning)
    offered = {each for each in _STEPS if each <= (process.num_levels or each)} | {steps}
    for each in sorted(offered):
        arrays[f"levels/{each}"] = levels_of(model.denoiser, build_grid(sampling, process, each))
    if model.few is not None:
        own_map = as_map(model.denoiser, model.few.network)
        for calls in model.few.times:
            arrays[f"few/{calls}"] = levels_of(own_map, model.few.levels(model.process, calls))
    if codec.shares:
        # Their sums as PyTorch rounds them: they decide the class of each picture.
        arrays["shares"] = torch.tensor(codec.shares).cumsum(0).numpy()
    labels = model.class_labels
    header = {
        "network": _described(network, codec.event),
        "method": sampling.sampler,
        "options": dict(sampling.options),
        "steps": sorted(offered),
        "clip": sampling.clip,
        "interval": sampling.guidance_interval,
        "any": labels.any if labels.count else None,
        "range": list(codec.range),
        "integers": np.dtype(codec.dtype).kind in "iu",
    }
    return header, arrays


def _described(network: UNet, event: tuple[int, ...]) -> dict[str, Any]:
    time: Any = network.time_proj
    named = dict(network.named_modules())
    norms = {name: each for name, each in named.items() if isinstance(each, nn.GroupNorm)}
    attentions = {
        name: each.attention for name, each in named.items() if isinstance(each, AttentionBlock)
    }
    return {
        "factor": network.factor,
        "channels": event[0],
        "outputs": network.conv_out.out_channels,
        "eps": network.norm_out.eps,
        "groups": {name: each.num_groups for name, each in norms.items()},
        "heads": {name: [each.heads, each.head_width] for name, each in attentions.items()},
        "scale_shift": network.mid.blocks[0].scale_shift,
        "one_sided": any(getattr(stage.downsample, "one_sided", False) for stage in network.down),
        "time": {
            "learned": isinstance(time, LearnedStepEmbedding),
            # A step is counted from 1.
            "first": 0 if isinstance(time, FourierEmbedding) else 1,
            "cosine_first": getattr(time, "cosine_first", False),
        },
    }


def _weights(prefix: str, network: Any) -> Iterator[tuple[str, np.ndarray]]:
    features: Any = getattr(network.time_proj, "frequencies", None)
    extra = [] if features is None else [("frequencies", features)]
    for name, held in matrices(chain(network.state_dict().items(), extra)):
        yield f"{prefix}/{name}", held
