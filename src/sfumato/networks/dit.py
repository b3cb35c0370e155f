"""A transformer over the patches of a picture, conditioned on the time and perhaps a class.

Each block adds to its tokens the output of attention, and then of a perceptron:

    (1)  h <- h + gate * F((1 + scale) norm(h) + shift),  shift, scale, gate = linear(silu(emb))

Peebles & Xie (2023), "DiT", their adaLN-Zero: the linear map begins at zero, so that every block
begins as the identity. Sines encode the position of a token; they have no weights.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, silu
from torch.utils.checkpoint import checkpoint

from sfumato.networks.attention import SelfAttention
from sfumato.networks.embeddings import FourierEmbedding


class TransformerBlock(nn.Module):
    """Attention and a perceptron, each as eq. (1).

    Args:
        width: size of a token.
        heads: of the attention.
        emb_width: size of the embedding of time and class.
    """

    def __init__(self, width: int, heads: int, emb_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = SelfAttention(width, heads)
        self.linear_1 = nn.Linear(width, 4 * width)
        self.linear_2 = nn.Linear(4 * width, width)
        self.modulation = nn.Linear(emb_width, 6 * width)
        for zero in (self.modulation.weight, self.modulation.bias):
            nn.init.zeros_(zero)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        """Map tokens `(batch, tokens, width)`, emb `(batch or 1, emb_width)`, to the same shape."""
        shift, scale, gate, *of_mlp = self.modulation(emb)[:, None].chunk(6, dim=-1)
        h = h + gate * self.attention(torch.addcmul(shift, self.norm(h), 1 + scale))
        shift, scale, gate = of_mlp
        hidden = self.linear_1(torch.addcmul(shift, self.norm(h), 1 + scale))
        return h + gate * self.linear_2(gelu(hidden, approximate="tanh"))  # type: ignore[no-any-return]


class DiT(nn.Module):
    """Pictures of one size, any number of channels.

    Where the patches do not divide the size, the edges are repeated and cut off again.

    Args:
        channels: of the picture.
        height: pixels.
        width: pixels.
        tokens: size of a token, a multiple of four times the heads.
        depth: blocks.
        heads: of each block's attention.
        patch: side of a patch in pixels.
        classes: number of classes, 0 for none.
        outputs: channels of the output, where not those of the picture.
        recompute: store only the input of each block: less memory for a third more time.
    """

    pos_embed: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        tokens: int = 192,
        depth: int = 6,
        heads: int = 3,
        *,
        patch: int = 2,
        classes: int = 0,
        outputs: int | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.patch, self.outputs, self.recompute = patch, outputs or channels, recompute
        rows, columns = -(-height // patch), -(-width // patch)
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        # Half of a token encodes the row, half the column, from neighbours to far ends.
        sines = FourierEmbedding(tokens // 2, shortest=2.0 * torch.pi, longest=20_000 * torch.pi)
        pos_embed = torch.cat([sines(row.float()), sines(column.float())], dim=-1)
        self.register_buffer("pos_embed", pos_embed.flatten(0, 1), persistent=False)
        self.time_proj = FourierEmbedding(tokens, shortest=3.0, longest=120.0)
        self.time_emb = nn.Sequential(
            nn.Linear(tokens, tokens), nn.SiLU(), nn.Linear(tokens, tokens)
        )
        self.class_emb = nn.Embedding(classes, tokens) if classes else None
        self.patch_embed = nn.Conv2d(channels, tokens, patch, stride=patch)
        self.blocks = nn.ModuleList(TransformerBlock(tokens, heads, tokens) for _ in range(depth))
        self.norm_out = nn.LayerNorm(tokens, elementwise_affine=False)
        self.modulation_out = nn.Linear(tokens, 2 * tokens)
        self.output_proj = nn.Linear(tokens, patch**2 * self.outputs)
        for zero in (self.modulation_out, self.output_proj):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """Map x `(batch, channels, height, width)` to `(batch, outputs, height, width)`.

        Args:
            x: the pictures.
            time: how noisy they are, their log-SNR, `(batch,)` or `()`.
            label: their classes, `(batch,)`; needed if and only if the network has classes.
        """
        emb = self.time_emb(torch.atleast_2d(self.time_proj(time)))
        if self.class_emb is not None:
            emb = emb + self.class_emb(label)
        emb = silu(emb)
        height, width = x.shape[2:]
        bottom, right = -height % self.patch, -width % self.patch
        if bottom or right:
            x = pad(x, (0, right, 0, bottom), mode="replicate")
        patches = self.patch_embed(x)
        rows, columns = patches.shape[2:]
        h = patches.flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                h = checkpoint(block, h, emb, use_reentrant=False)
            else:
                h = block(h, emb)
        shift, scale = self.modulation_out(emb)[:, None].chunk(2, dim=-1)
        output = self.output_proj(torch.addcmul(shift, self.norm_out(h), 1 + scale))
        whole = output.unflatten(1, (rows, columns)).unflatten(3, (self.patch, self.patch, -1))
        whole = whole.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return whole[:, :, :height, :width]  # type: ignore[no-any-return]
