"""A transformer over the patches of a picture, told one number and perhaps a class per sample.

Each block adds to its tokens what attention, and then a perceptron, make of them:

    (1)  h <- h + gate * F((1 + scale) norm(h) + shift),  shift, scale, gate = linear(silu(told))

Peebles & Xie (2023), "DiT", their adaLN-Zero: the linear map begins at zero, so that every block
begins as the identity. Where a token is, is told by sines, which nothing has to learn.
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
        width: numbers in a token.
        heads: of the attention.
        told: numbers that tell of the noise and the class.
    """

    def __init__(self, width: int, heads: int, told: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attend = SelfAttention(width, heads)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.tell = nn.Linear(told, 6 * width)
        for nothing_yet in (self.tell.weight, self.tell.bias):
            nn.init.zeros_(nothing_yet)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Map tokens `(batch, tokens, width)`, told `(batch or 1, told)`, to the same shape."""
        shift, scale, gate, *after = self.tell(told)[:, None].chunk(6, dim=-1)
        h = h + gate * self.attend(torch.addcmul(shift, self.norm(h), 1 + scale))
        shift, scale, gate = after
        wide = self.widen(torch.addcmul(shift, self.norm(h), 1 + scale))
        return h + gate * self.narrow(gelu(wide, approximate="tanh"))  # type: ignore[no-any-return]


class DiT(nn.Module):
    """Pictures of one size, any number of channels.

    Sizes that the patches do not divide are padded by their edges and cut again.

    Args:
        channels: of the picture.
        height: pixels.
        width: pixels.
        tokens: numbers in a token, a multiple of four times the heads.
        depth: blocks.
        heads: of each block's attention.
        patch: side of a patch in pixels.
        classes: classes that can be told, 0 for none.
        outputs: channels that it answers with, if not as many as the picture's.
        recompute: hold no activation of a block but its input: less memory for a third more time.
    """

    places: Tensor

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
        down, across = -(-height // patch), -(-width // patch)
        row, column = torch.meshgrid(torch.arange(down), torch.arange(across), indexing="ij")
        # Half of a token's numbers tell the row, half the column, from neighbours to far ends.
        sines = FourierEmbedding(tokens // 2, shortest=2.0 * torch.pi, longest=20_000 * torch.pi)
        places = torch.cat([sines(row.float()), sines(column.float())], dim=-1)
        self.register_buffer("places", places.flatten(0, 1), persistent=False)
        self.embed = FourierEmbedding(tokens, shortest=3.0, longest=120.0)
        self.tell = nn.Sequential(nn.Linear(tokens, tokens), nn.SiLU(), nn.Linear(tokens, tokens))
        self.classes = nn.Embedding(classes, tokens) if classes else None
        self.enter = nn.Conv2d(channels, tokens, patch, stride=patch)
        self.blocks = nn.ModuleList(TransformerBlock(tokens, heads, tokens) for _ in range(depth))
        self.norm = nn.LayerNorm(tokens, elementwise_affine=False)
        self.tell_last = nn.Linear(tokens, 2 * tokens)
        self.leave = nn.Linear(tokens, patch**2 * self.outputs)
        for last in (self.tell_last, self.leave):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, number: Tensor, label: Tensor | None = None) -> Tensor:
        """Map x `(batch, channels, height, width)` to `(batch, outputs, height, width)`.

        Args:
            x: the pictures.
            number: how noisy they are, `(batch,)` or `()`.
            label: their classes, `(batch,)`; needed if and only if the network knows classes.
        """
        told = self.tell(torch.atleast_2d(self.embed(number)))
        if self.classes is not None:
            told = told + self.classes(label)
        told = silu(told)
        height, width = x.shape[2:]
        below, beside = -height % self.patch, -width % self.patch
        if below or beside:
            x = pad(x, (0, beside, 0, below), mode="replicate")
        patches = self.enter(x)
        down, across = patches.shape[2:]
        h = patches.flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                h = checkpoint(block, h, told, use_reentrant=False)
            else:
                h = block(h, told)
        shift, scale = self.tell_last(told)[:, None].chunk(2, dim=-1)
        answer = self.leave(torch.addcmul(shift, self.norm(h), 1 + scale))
        whole = answer.unflatten(1, (down, across)).unflatten(3, (self.patch, self.patch, -1))
        whole = whole.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return whole[:, :, :height, :width]  # type: ignore[no-any-return]
