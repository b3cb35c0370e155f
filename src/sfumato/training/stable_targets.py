"""What the network is asked for: not the row that was noised, but the mean of all it may have been.

Of a batch of n rows one, chosen evenly, is noised to x_t. Given x_t and the batch, that row was
row j with probability

    (1)  w_j ∝ q(x_t | x_j) = N(x_t; alpha x_j, sigma²),   E[x_0 | x_t, batch] = sum_j w_j x_j

The mean over batches is E[x_0 | x_t], as that of the row itself is, whatever n; its variance is
less (Rao-Blackwell), by far where many rows are within the noise. Xu et al. (2023), "stable target
field", who take the rows of (1) besides the row itself from elsewhere.

But for a factor that does not depend on j, log w_j = (alpha/sigma²) x_t·x_j - (SNR/2) |x_j|²:
attention of x_t over the rows, which PyTorch computes without holding the n weights of a sample.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sfumato.process.noise import NoiseLevel, spread


def posterior_means(
    x_t: Float[Tensor, "groups batch *event"],
    level: NoiseLevel,
    rows: Float[Tensor, "groups n *event"],
) -> Float[Tensor, "groups batch *event"]:
    """Eq. (1) for each noised sample, over the rows of its group.

    Args:
        x_t: noised rows, `(groups, batch, *event)`.
        level: one for each, `(groups * batch,)`; noisy.
        rows: clean, `(groups, n, *event)`; those that were noised are among them.
    """
    groups, batch = x_t.shape[:2]
    noised, clean = x_t.flatten(2), rows.flatten(2)
    # A key ends in |x_j|² and a query in -SNR/2; a key is its own value, but for that last number.
    towards = spread(level.alpha / level.sigma**2, noised.flatten(0, 1)).view(groups, batch, 1)
    against = (-level.snr / 2).to(noised).view(groups, batch, 1)
    keys = torch.cat([clean, clean.square().sum(-1, keepdim=True)], -1)
    queries = torch.cat([towards * noised, against], -1)
    # One head: without that dimension PyTorch takes a path that does hold the weights.
    queries, keys = queries.unsqueeze(1), keys.unsqueeze(1)
    means = scaled_dot_product_attention(queries, keys, keys, scale=1.0)
    return means[..., :-1].reshape(x_t.shape)
