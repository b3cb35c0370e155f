"""What the answers of a table's network grow by along tangents of its input, in forward mode.

All tangents pass the network together, so that a layer is one large product of matrices. A
backward pass for each number takes as many and more, as it works out a whole row of the Jacobian
where one number of it is asked for. With n = (h - mean)/std the standardised units h, of which
there are m, and W' = W diag(gain) with rows made to sum to 0,

    (1)  d(W LayerNorm(h) + b) = (W' dh - W'n (n . dh)/m) / std
    (2)  d silu(a) = sigma(a) (1 + a (1 - sigma(a))) da

As one answer is asked of each tangent, the layers that follow the last product by (2) are dot
products.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from sfumato.networks.table_mlp import Block, TableCondition, TableMLP


def with_trace(
    network: TableMLP,
    inputs: Sequence[Float[Tensor, "batch _"]],
    noise: Float[Tensor, "*batch"],
    condition: TableCondition,
    tangents: Sequence[Float[Tensor, "batch k _"]],
    places: Int[Tensor, " k"],
) -> tuple[Float[Tensor, "batch numeric"], Float[Tensor, " batch"]]:
    """The answers for numbers, and the growth of some along tangents of their own, summed.

    Args:
        network: in evaluation mode.
        inputs: x, `(batch, numeric)`, and what the network takes beside, if anything.
        noise: as the network takes it.
        condition: what is known.
        tangents: of each input, k of each row.
        places: whose answer's growth is asked of each tangent; 0 where it is not noisy.
    """
    batch, _, n = tangents[0].shape
    noisy = condition.is_noisy.to(inputs[0])
    start = network.start(inputs[0], noise, condition, *inputs[1:])
    x, *beside = (each * noisy[:, places, None] for each in tangents)
    x = x * noisy[:, None]
    phase = x @ network.directions[:n]
    sine, cosine = start.phase.sin()[:, None], start.phase.cos()[:, None]
    moving = torch.cat([x, phase * cosine, phase * -sine, *beside], 2).flatten(0, 1)
    weight = network.input_proj.weight
    h, dh = start.h, moving @ torch.cat([weight[:, :n], weight[:, 4 * n :]], 1).T

    *blocks, last = cast("list[Block]", list(network.blocks))
    inner = torch.empty_like(dh)
    for block in blocks:
        h = _through(block, h, dh, inner)
        dh.addmm_(inner, block.linear_2.weight.T)
    h = _through(last, h, dh, inner)

    unit, inverse, weight = _standardised(network.norm_out, network.output_proj, h)
    weight, final = weight[places], last.linear_2.weight
    growth = (
        dh.view(batch, -1) @ weight.flatten() + inner.view(batch, -1) @ (weight @ final).flatten()
    )
    along = _along(unit, dh) + _along(unit @ final, inner)
    growth = inverse[:, 0] * (growth - (along * (unit @ weight.T)).sum(1))
    skip = (x * network.linear_skip.weight[places, :n]).sum(2) * start.gain[:, places]
    return network.answers(network.norm_out(h), start, condition), growth + skip.sum(1)


def _through(block: Block, h: Tensor, dh: Tensor, inner: Tensor) -> Tensor:
    """The units after a block; `inner` becomes the tangents that its last layer takes."""
    unit, inverse, weight = _standardised(block.norm, block.linear_1, h)
    a = block.linear_1(block.norm(h))
    slope = a.sigmoid() * (1 + a * (1 - a.sigmoid())) * inverse
    torch.mm(dh, weight.T, out=inner)
    rows = inner.view(len(h), -1, inner.shape[1])
    rows.addcmul_(_along(unit, dh)[..., None], (unit @ weight.T)[:, None], value=-1)
    rows.mul_(slope[:, None])
    after: Tensor = h + block.linear_2(silu(a))
    return after


def _standardised(
    norm: nn.LayerNorm, linear: nn.Linear, h: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """n, 1/std and W' of (1)."""
    centred = h - h.mean(1, keepdim=True)
    inverse = (centred.square().mean(1, keepdim=True) + norm.eps).rsqrt()
    weight = linear.weight * norm.weight
    return centred * inverse, inverse, weight - weight.mean(1, keepdim=True)


def _along(
    unit: Float[Tensor, "batch m"], dh: Float[Tensor, "batch_k m"]
) -> Float[Tensor, "batch k"]:
    """(n . dh)/m of each tangent; a row times a matrix is much faster here than its transpose."""
    rows = dh.view(len(unit), -1, dh.shape[1])
    return torch.bmm(unit[:, None] / unit.shape[1], rows.transpose(1, 2))[:, 0]
