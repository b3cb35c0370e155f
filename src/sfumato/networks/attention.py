"""Self-attention over the positions of a picture or a sequence.

    softmax(Q K^T / sqrt(d)) V,  in several heads of d channels each

Vaswani et al. (2017), eq. 1. PyTorch's own kernel computes it without storing the matrix of
weights where it can.
"""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class SelfAttention(nn.Module):
    """Every position attends to every other; a linear map projects the result.

    Args:
        channels: in and out.
        heads: how many.
        head_width: channels of a head; where not given, the heads share the channels, of which
            there must be a multiple.
    """

    def __init__(self, channels: int, heads: int, head_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = head_width or channels // heads
        self.qkv = nn.Linear(channels, 3 * heads * self.head_width)
        self.proj = nn.Linear(heads * self.head_width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, positions, channels)` to the same shape."""
        batch, positions, _ = x.shape
        qkv = self.qkv(x).view(batch, positions, 3, self.heads, self.head_width)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
