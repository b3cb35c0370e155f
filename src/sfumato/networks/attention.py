"""Self-attention over the positions of a picture or a sequence.

    softmax(Q K^T / sqrt(d)) V,  in several heads of d channels each

Vaswani et al. (2017), eq. 1, by PyTorch's own kernel, which never holds the matrix of weights
where it can do without.
"""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class SelfAttention(nn.Module):
    """Every position looks at every other; the answer is projected back.

    Args:
        channels: in and out; a multiple of the heads.
        heads: how many.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Linear(channels, 3 * channels)
        self.answer = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, positions, channels)` to the same shape."""
        batch, positions, channels = x.shape
        asked = self.ask(x).view(batch, positions, 3, self.heads, channels // self.heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(query, key, value)
        return self.answer(seen.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]
