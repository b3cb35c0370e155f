"""What the network is asked for: not the row that was noised, but the mean of all it may have been.

Of a group of n rows one, chosen evenly, is noised to x_t. Given x_t and the group, that row was
row j with probability

    (1)  w_j ∝ q(x_t | x_j) = N(x_t; alpha x_j, sigma²),   E[x_0 | x_t, group] = sum_j w_j x_j

The mean over groups is E[x_0 | x_t], as that of the row itself is, whatever n; its variance is
less (Rao-Blackwell), by far where many rows are within the noise. Xu et al. (2023), "stable target
field", who take the rows of (1) besides the row itself from elsewhere.

But for a factor that does not depend on j, log w_j = (alpha/sigma²) x_t·x_j - (SNR/2) |x_j|²:
attention of x_t over the rows, which PyTorch computes without holding the n weights of a sample.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sfumato.process.noise import NoiseLevel, spread

# Samples of a group that are computed at once; larger blocks would be emptier.
_TOGETHER = 16


def as_keys(rows: Float[Tensor, "*groups n elements"]) -> Tensor:
    """Each row with its |x_j|² behind it, `(*groups, 1, 1, n, elements + 1)`.

    One batch and one head: without them PyTorch takes a path that holds the weights.
    """
    return torch.cat([rows, rows.square().sum(-1, keepdim=True)], -1)[..., None, None, :, :]


def posterior_means(
    x_t: Float[Tensor, "batch *event"],
    level: NoiseLevel,
    group: Int[Tensor, " batch"],
    keys: Sequence[Tensor],
) -> Float[Tensor, "batch *event"]:
    """Eq. (1) for each noised sample, over the rows of its group.

    Args:
        x_t: noised rows, `(batch, *event)`.
        level: one for each, `(batch,)`; noisy.
        group: the number of each one's group, `(batch,)`.
        keys: of each group's rows, nearly always with those that were noised; see `as_keys`.
    """
    noised = x_t.flatten(1)
    towards = spread(level.alpha / level.sigma**2, noised) * noised
    queries = torch.cat([towards, (-level.snr / 2).to(noised)[:, None]], 1)
    order = group.argsort(stable=True)
    own, counts = group[order].unique_consecutive(return_counts=True)
    # Each group's queries begin a block of their own; what is left of its last stays 0.
    blocks = (counts + _TOGETHER - 1) // _TOGETHER
    before = _TOGETHER * (blocks.cumsum(0) - blocks) - (counts.cumsum(0) - counts)
    place = torch.empty_like(order)
    place[order] = before.repeat_interleave(counts) + torch.arange(len(order))
    filled = queries.new_zeros(int(blocks.sum()), 1, _TOGETHER, queries.shape[1])
    filled.view(-1, queries.shape[1])[place] = queries
    found = []
    for k, some in zip(own.tolist(), filled.split(blocks.tolist()), strict=True):
        rows = keys[k].expand(len(some), -1, -1, -1)
        found.append(scaled_dot_product_attention(some, rows, rows, scale=1.0))
    return torch.cat(found).flatten(0, 2)[place, :-1].view_as(x_t)
