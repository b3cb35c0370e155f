"""What the network is asked for: not the row that was noised, but the mean of all it may have been.

Of a group of n rows one, chosen evenly, is noised to x_t. Given x_t and the group, that row was
row j with probability

    (1)  w_j ∝ q(x_t | x_j) = N(x_t; alpha x_j, sigma²),   E[x_0 | x_t, group] = sum_j w_j x_j

The mean over groups is E[x_0 | x_t], as that of the row itself is, whatever n; its variance is
less (Rao-Blackwell), by far where many rows are within the noise. Xu et al. (2023), "stable target
field", who take the rows of (1) besides the row itself from elsewhere.

Any groups will do in which the noise has no say. With much noise a group is a batch of rows chosen
evenly. With little noise few of those are within the noise, and the group is a part of the data
whose rows are near each other: a leaf of a k-d tree, Bentley (1975). Little noise is

    (2)  4 sigma/alpha <= the width of the leaves, which is the deviation of a coordinate in them

where it takes few rows out of their part.

But for a factor that does not depend on j, log w_j = (alpha/sigma²) x_t·x_j - (SNR/2) |x_j|²:
attention of x_t over the rows, which PyTorch computes without holding the n weights of a sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sfumato.process.noise import NoiseLevel, spread

# The factor of eq. (2).
_WITHIN = 4


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhoods:
    """The data in parts of rows that are near each other. Made by `neighbourhoods`.

    Args:
        keys: of the rows of each part, see `as_keys`.
        part: which part each row is in, `(n,)`.
        width: deviation of a coordinate in a part, the root of the mean square over all.
    """

    keys: tuple[Tensor, ...]
    part: Int[Tensor, " n"]
    width: float

    def suit(self, level: NoiseLevel) -> Tensor:
        """Where eq. (2) holds, shaped like the level."""
        return _WITHIN * level.sigma_ve <= self.width


def neighbourhoods(rows: Float[Tensor, "n *event"], at_most: int) -> Neighbourhoods:
    """Halve the rows along their widest coordinate until no part has more than `at_most`."""
    flat = rows.flatten(1)
    parts, waiting = [], [torch.arange(len(flat))]
    while waiting:
        index = waiting.pop()
        if len(index) <= at_most:
            parts.append(index)
            continue
        own = flat[index]
        along = own[:, own.var(0).argmax()].argsort(stable=True)
        waiting += index[along].tensor_split(2)
    part = torch.empty(len(flat), dtype=torch.int64)
    for k, index in enumerate(parts):
        part[index] = k
    keys = tuple(as_keys(flat[index]) for index in parts)
    squares = sum(float(flat[i].var(0, correction=0).sum()) * len(i) for i in parts)
    return Neighbourhoods(keys, part, math.sqrt(squares / max(1, flat.numel())))


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
        keys: of each group's rows, those that were noised among them; see `as_keys`.
    """
    order = group.argsort(stable=True)
    noised = x_t.flatten(1)
    towards = spread(level.alpha / level.sigma**2, noised) * noised
    against = (-level.snr / 2).to(noised)
    queries = torch.cat([towards, against[:, None]], 1)[None, None, order]
    own, counts = group[order].unique_consecutive(return_counts=True)
    found = [
        scaled_dot_product_attention(some, keys[k], keys[k], scale=1.0)
        for k, some in zip(own.tolist(), queries.split(counts.tolist(), 2), strict=True)
    ]
    means = torch.empty_like(noised)
    means[order] = torch.cat(found, 2)[0, 0, :, :-1]
    return means.view_as(x_t)
