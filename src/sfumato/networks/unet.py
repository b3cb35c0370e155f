"""The U-Net of pictures, told one number and, if it knows classes, one class per sample.

Down a pyramid of resolutions and up again; at each resolution the way up sees what the way down
saw. A residual block adds to its input

    conv(silu(norm(tell(conv(silu(norm(x)))))))

where `tell` brings in the number: added before the norm (Ho et al. 2020, appendix B), or as the
norm's scale and shift (Dhariwal & Nichol 2021, table 3). Some resolutions attend to themselves.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu
from torch.utils.checkpoint import checkpoint

from sfumato.networks.attention import SelfAttention
from sfumato.networks.embeddings import FourierEmbedding


def _no_longer_than(groups: int, channels: int) -> int:
    """The most groups, up to `groups`, that the channels can be parted into."""
    return next(each for each in range(min(groups, channels), 0, -1) if channels % each == 0)


class ResidualBlock(nn.Module):
    """Two convolutions around what is told, beside the input itself.

    Args:
        channels: in.
        outputs: channels out.
        told: numbers that tell of the noise and the class.
        scale_shift: tell them as scale and shift of the second norm, not as a term before it.
        dropout: share of the second convolution's inputs that is left out in training.
        groups: of the norms, at most.
        eps: added to the norms' variances.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        told: int,
        *,
        scale_shift: bool,
        dropout: float,
        groups: int,
        eps: float,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.norm_1 = nn.GroupNorm(_no_longer_than(groups, channels), channels, eps)
        self.conv_1 = nn.Conv2d(channels, outputs, 3, padding=1)
        self.tell = nn.Linear(told, outputs * (1 + scale_shift))
        self.norm_2 = nn.GroupNorm(_no_longer_than(groups, outputs), outputs, eps)
        self.dropout = nn.Dropout(dropout)
        self.conv_2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.beside = nn.Identity() if channels == outputs else nn.Conv2d(channels, outputs, 1)
        for nothing_yet in (self.conv_2.weight, self.conv_2.bias):
            nn.init.zeros_(nothing_yet)  # type: ignore[arg-type]

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Map x `(batch, channels, height, width)`, told `(batch or 1, told)`, to `outputs`."""
        h = self.conv_1(silu(self.norm_1(x)))
        told = self.tell(told)[:, :, None, None]
        if self.scale_shift:
            scale, shift = told.chunk(2, dim=1)
            h = torch.addcmul(shift, self.norm_2(h), 1 + scale)
        else:
            h = self.norm_2(h + told)
        return self.beside(x) + self.conv_2(self.dropout(silu(h)))  # type: ignore[no-any-return]


class AttentionBlock(nn.Module):
    """Self-attention over all positions of a picture, beside the input itself.

    Args:
        channels: in and out.
        heads: of the attention.
        groups: of the norm, at most.
        eps: added to the norm's variance.
    """

    def __init__(self, channels: int, heads: int, *, groups: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_no_longer_than(groups, channels), channels, eps)
        self.attend = SelfAttention(channels, heads)
        for nothing_yet in (self.attend.answer.weight, self.attend.answer.bias):
            nn.init.zeros_(nothing_yet)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` to the same shape."""
        seen: Tensor = self.attend(self.norm(x).flatten(2).transpose(1, 2))
        return x + seen.transpose(1, 2).reshape(x.shape)


class Shrink(nn.Module):
    """Half the resolution, by a convolution of stride two.

    Args:
        channels: in and out.
        one_sided: padded at the far sides only, as the first weights of the field were made.
    """

    def __init__(self, channels: int, *, one_sided: bool) -> None:
        super().__init__()
        self.one_sided = one_sided
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if one_sided else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, 2 h, 2 w)` to `(batch, channels, h, w)`."""
        return self.conv(pad(x, (0, 1, 0, 1)) if self.one_sided else x)  # type: ignore[no-any-return]


class Grow(nn.Module):
    """Twice the resolution: each pixel four times, then a convolution.

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, h, w)` to `(batch, channels, 2 h, 2 w)`."""
        return self.conv(interpolate(x, scale_factor=2.0, mode="nearest"))  # type: ignore[no-any-return]


class Stage(nn.Module):
    """One resolution on the way down or up: blocks, each perhaps with attention, then a change.

    Args:
        blocks: residual blocks.
        attentions: one for each block, or none at all.
        change: to the next resolution; None at the last.
    """

    def __init__(
        self,
        blocks: Sequence[ResidualBlock],
        attentions: Sequence[AttentionBlock],
        change: nn.Module | None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attentions = nn.ModuleList(attentions)
        self.change = change

    def block(self, k: int, x: Tensor, told: Tensor) -> Tensor:
        """The k-th block and its attention."""
        x = self.blocks[k](x, told)
        return self.attentions[k](x) if self.attentions else x


class UNet(nn.Module):
    """Pictures of any size, any number of channels.

    Sizes that the pyramid does not divide are padded by their edges and cut again.

    Args:
        channels: of the picture.
        width: channels after the first convolution, a multiple of four.
        multipliers: channels at each resolution, the full one first, as multiples of `width`.
        depth: residual blocks at each resolution on the way down; one more on the way up.
        attention: whether each resolution attends to itself.
        head_width: channels of an attention head, at most; None: one head.
        classes: classes that can be told, 0 for none.
        outputs: channels that it answers with, if not as many as the picture's.
        scale_shift: tell the number as scale and shift of the norms.
        dropout: in the residual blocks, while training.
        embed: the features of the number, `(batch,) -> (batch, width)`; sines of wavelengths
            suited to a log-SNR where not given.
        groups: of the norms, at most.
        eps: added to the norms' variances.
        one_sided: see `Shrink`.
        recompute: hold no activation of a block but its input, and compute it again on the way
            back: less memory for a third more time (Chen et al. 2016).
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 2),
        depth: int = 2,
        attention: Sequence[bool] = (False, False, True),
        *,
        head_width: int | None = 64,
        classes: int = 0,
        outputs: int | None = None,
        scale_shift: bool = True,
        dropout: float = 0.0,
        embed: nn.Module | None = None,
        groups: int = 32,
        eps: float = 1e-5,
        one_sided: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        told = 4 * width
        widths = [width * each for each in multipliers]
        last = len(widths) - 1
        self.recompute = recompute
        self.factor = 2**last
        self.embed = embed or FourierEmbedding(width, shortest=3.0, longest=120.0)
        self.tell = nn.Sequential(nn.Linear(width, told), nn.SiLU(), nn.Linear(told, told))
        self.classes = nn.Embedding(classes, told) if classes else None

        def residual(inputs: int, outputs: int) -> ResidualBlock:
            return ResidualBlock(
                inputs,
                outputs,
                told,
                scale_shift=scale_shift,
                dropout=dropout,
                groups=groups,
                eps=eps,
            )

        def attending(channels: int) -> AttentionBlock:
            heads = _no_longer_than(max(1, channels // (head_width or channels)), channels)
            return AttentionBlock(channels, heads, groups=groups, eps=eps)

        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        down, up, seen, now = [], [], [width], width
        for k, here in enumerate(widths):
            blocks = [residual(now if j == 0 else here, here) for j in range(depth)]
            change = Shrink(here, one_sided=one_sided) if k < last else None
            down.append(Stage(blocks, [attending(here) for _ in blocks if attention[k]], change))
            seen += [here] * (depth + (k < last))
            now = here
        self.down = nn.ModuleList(down)
        self.middle = Stage([residual(now, now), residual(now, now)], [], None)
        self.middle_attention = attending(now)
        for k, here in reversed(list(enumerate(widths))):
            blocks = [residual((here if j else now) + seen.pop(), here) for j in range(depth + 1)]
            grow = Grow(here) if k > 0 else None
            up.append(Stage(blocks, [attending(here) for _ in blocks if attention[k]], grow))
            now = here
        self.up = nn.ModuleList(up)
        self.norm = nn.GroupNorm(_no_longer_than(groups, now), now, eps)
        self.leave = nn.Conv2d(now, outputs or channels, 3, padding=1)
        for nothing_yet in (self.leave.weight, self.leave.bias):
            nn.init.zeros_(nothing_yet)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

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
        below, beside = -height % self.factor, -width % self.factor
        if below or beside:
            x = pad(x, (0, beside, 0, below), mode="replicate")
        h = self.enter(x.contiguous(memory_format=torch.channels_last))
        seen = [h]
        for stage in self.down:
            for k in range(len(stage.blocks)):  # type: ignore[arg-type]
                h = self._run(stage.block, k, h, told)
                seen.append(h)
            if stage.change is not None:
                h = stage.change(h)  # type: ignore[operator]
                seen.append(h)
        h = self._run(self.middle.block, 0, h, told)
        h = self._run(self.middle.block, 1, self.middle_attention(h), told)
        for stage in self.up:
            for k in range(len(stage.blocks)):  # type: ignore[arg-type]
                h = self._run(stage.block, k, torch.cat([h, seen.pop()], dim=1), told)
            if stage.change is not None:
                h = stage.change(h)  # type: ignore[operator]
        answer = self.leave(silu(self.norm(h)))
        return answer[:, :, :height, :width]  # type: ignore[no-any-return]

    def _run(self, block: object, k: int, x: Tensor, told: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(block, k, x, told, use_reentrant=False)  # type: ignore[no-any-return]
        return block(k, x, told)  # type: ignore[no-any-return,operator]
