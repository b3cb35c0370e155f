"""The U-Net of pictures, conditioned on the time and, if it has classes, on a class.

A pyramid of resolutions goes down and up again; at each resolution the way up also sees the output
of the way down. A residual block adds to its input

    conv(silu(norm(emb_proj(conv(silu(norm(x)))))))

where `emb_proj` brings in the embedding of time and class: added before the norm (Ho et al. 2020,
appendix B), or as the norm's scale and shift (Dhariwal & Nichol 2021, table 3). Some resolutions
have self-attention.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu
from torch.utils.checkpoint import checkpoint

from sfumato.networks.attention import SelfAttention
from sfumato.networks.embeddings import FourierEmbedding


def _divisor(groups: int, channels: int) -> int:
    """The largest divisor of the channels that is not above `groups`."""
    return next(each for each in range(min(groups, channels), 0, -1) if channels % each == 0)


class ResidualBlock(nn.Module):
    """Two convolutions with the embedding between them, and a skip of the input.

    Args:
        channels: in.
        outputs: channels out.
        emb_channels: size of the embedding of time and class.
        scale_shift: use it as scale and shift of the second norm, not as a term before it.
        dropout: share of the second convolution's inputs that training leaves out.
        groups: of the norms, at most.
        eps: added to the norms' variances.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        emb_channels: int,
        *,
        scale_shift: bool,
        dropout: float,
        groups: int,
        eps: float,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.norm_1 = nn.GroupNorm(_divisor(groups, channels), channels, eps)
        self.conv_1 = nn.Conv2d(channels, outputs, 3, padding=1)
        self.emb_proj = nn.Linear(emb_channels, outputs * (1 + scale_shift))
        self.norm_2 = nn.GroupNorm(_divisor(groups, outputs), outputs, eps)
        self.dropout = nn.Dropout(dropout)
        self.conv_2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Identity() if channels == outputs else nn.Conv2d(channels, outputs, 1)
        for zero in (self.conv_2.weight, self.conv_2.bias):
            nn.init.zeros_(zero)  # type: ignore[arg-type]

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map x `(batch, channels, height, width)` to `outputs` channels.

        Args:
            x: features.
            emb: of time and class, `(batch or 1, emb_channels)`.
        """
        h = self.conv_1(silu(self.norm_1(x)))
        emb = self.emb_proj(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = emb.chunk(2, dim=1)
            h = torch.addcmul(shift, self.norm_2(h), 1 + scale)
        else:
            h = self.norm_2(h + emb)
        return self.skip(x) + self.conv_2(self.dropout(silu(h)))  # type: ignore[no-any-return]


class AttentionBlock(nn.Module):
    """Self-attention over all positions of a picture, and a skip of the input.

    Args:
        channels: in and out.
        heads: of the attention.
        groups: of the norm, at most.
        eps: added to the norm's variance.
    """

    def __init__(self, channels: int, heads: int, *, groups: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_divisor(groups, channels), channels, eps)
        self.attention = SelfAttention(channels, heads)
        for zero in (self.attention.proj.weight, self.attention.proj.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` to the same shape."""
        attended: Tensor = self.attention(self.norm(x).flatten(2).transpose(1, 2))
        return x + attended.transpose(1, 2).reshape(x.shape)


class Downsample(nn.Module):
    """Half the resolution, by a convolution of stride two.

    Args:
        channels: in and out.
        one_sided: pad at the right and the bottom only, as DDPM's published weights need it.
    """

    def __init__(self, channels: int, *, one_sided: bool) -> None:
        super().__init__()
        self.one_sided = one_sided
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if one_sided else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, channels, 2 h, 2 w)` to `(batch, channels, h, w)`."""
        return self.conv(pad(x, (0, 1, 0, 1)) if self.one_sided else x)  # type: ignore[no-any-return]


class Upsample(nn.Module):
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
    """One resolution on the way down or up: blocks, each perhaps with attention.

    Args:
        blocks: residual blocks.
        attentions: one for each block, or none at all.
        downsample: to the next resolution on the way down; None at the last.
        upsample: to the next resolution on the way up; None at the last.
    """

    def __init__(
        self,
        blocks: Sequence[ResidualBlock],
        attentions: Sequence[AttentionBlock],
        *,
        downsample: Downsample | None = None,
        upsample: Upsample | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attentions = nn.ModuleList(attentions)
        self.downsample = downsample
        self.upsample = upsample

    def block(self, k: int, x: Tensor, emb: Tensor) -> Tensor:
        """The k-th block and its attention."""
        x = self.blocks[k](x, emb)
        return self.attentions[k](x) if self.attentions else x


class UNet(nn.Module):
    """Pictures of any size, any number of channels.

    Where the pyramid does not divide the size, the edges are repeated and cut off again.

    Args:
        channels: of the picture.
        width: channels after the first convolution, a multiple of four.
        multipliers: channels at each resolution, the full one first, as multiples of `width`.
        depth: residual blocks at each resolution on the way down; one more on the way up.
        attention: whether each resolution has self-attention.
        head_width: channels of an attention head, at most; None: one head.
        classes: number of classes, 0 for none.
        outputs: channels of the output, where not those of the picture.
        scale_shift: use the embedding as scale and shift of the norms.
        dropout: in the residual blocks, while training.
        time_proj: the features of the time, `(batch,) -> (batch, width)`; where not given, sines
            of wavelengths suited to a log-SNR.
        groups: of the norms, at most.
        eps: added to the norms' variances.
        one_sided: see `Downsample`.
        recompute: store only the input of each block, and compute the rest again for the
            gradient: less memory for a third more time (Chen et al. 2016).
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
        time_proj: nn.Module | None = None,
        groups: int = 32,
        eps: float = 1e-5,
        one_sided: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        emb_channels = 4 * width
        widths = [width * each for each in multipliers]
        last = len(widths) - 1
        self.recompute = recompute
        self.factor = 2**last
        self.time_proj = time_proj or FourierEmbedding(width, shortest=3.0, longest=120.0)
        self.time_emb = nn.Sequential(
            nn.Linear(width, emb_channels), nn.SiLU(), nn.Linear(emb_channels, emb_channels)
        )
        self.class_emb = nn.Embedding(classes, emb_channels) if classes else None

        def residual(inputs: int, outputs: int) -> ResidualBlock:
            return ResidualBlock(
                inputs,
                outputs,
                emb_channels,
                scale_shift=scale_shift,
                dropout=dropout,
                groups=groups,
                eps=eps,
            )

        def attention_block(channels: int) -> AttentionBlock:
            heads = _divisor(max(1, channels // (head_width or channels)), channels)
            return AttentionBlock(channels, heads, groups=groups, eps=eps)

        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        # The order in which the parts are made decides their random weights.
        down, up, skips, now = [], [], [width], width
        for k, here in enumerate(widths):
            blocks = [residual(now if j == 0 else here, here) for j in range(depth)]
            downsample = Downsample(here, one_sided=one_sided) if k < last else None
            attentions = [attention_block(here) for _ in blocks if attention[k]]
            down.append(Stage(blocks, attentions, downsample=downsample))
            skips += [here] * (depth + (k < last))
            now = here
        self.down = nn.ModuleList(down)
        self.mid = Stage([residual(now, now), residual(now, now)], [])
        self.mid_attention = attention_block(now)
        for k, here in reversed(list(enumerate(widths))):
            blocks = [residual((here if j else now) + skips.pop(), here) for j in range(depth + 1)]
            upsample = Upsample(here) if k > 0 else None
            attentions = [attention_block(here) for _ in blocks if attention[k]]
            up.append(Stage(blocks, attentions, upsample=upsample))
            now = here
        self.up = nn.ModuleList(up)
        self.norm_out = nn.GroupNorm(_divisor(groups, now), now, eps)
        self.conv_out = nn.Conv2d(now, outputs or channels, 3, padding=1)
        for zero in (self.conv_out.weight, self.conv_out.bias):
            nn.init.zeros_(zero)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """Map x `(batch, channels, height, width)` to `(batch, outputs, height, width)`.

        Args:
            x: the pictures.
            time: how noisy they are, `(batch,)` or `()`: what `time_proj` takes, their log-SNR or
                the step.
            label: their classes, `(batch,)`; needed if and only if the network has classes.
        """
        emb = self.time_emb(torch.atleast_2d(self.time_proj(time)))
        if self.class_emb is not None:
            emb = emb + self.class_emb(label)
        emb = silu(emb)
        height, width = x.shape[2:]
        bottom, right = -height % self.factor, -width % self.factor
        if bottom or right:
            x = pad(x, (0, right, 0, bottom), mode="replicate")
        h = self.conv_in(x.contiguous(memory_format=torch.channels_last))
        skips = [h]
        for stage in self.down:
            for k in range(len(stage.blocks)):  # type: ignore[arg-type]
                h = self._run(stage.block, k, h, emb)
                skips.append(h)
            if stage.downsample is not None:
                h = stage.downsample(h)  # type: ignore[operator]
                skips.append(h)
        h = self._run(self.mid.block, 0, h, emb)
        h = self._run(self.mid.block, 1, self.mid_attention(h), emb)
        for stage in self.up:
            for k in range(len(stage.blocks)):  # type: ignore[arg-type]
                h = self._run(stage.block, k, torch.cat([h, skips.pop()], dim=1), emb)
            if stage.upsample is not None:
                h = stage.upsample(h)  # type: ignore[operator]
        output = self.conv_out(silu(self.norm_out(h)))
        return output[:, :, :height, :width]  # type: ignore[no-any-return]

    def _run(self, block: object, k: int, x: Tensor, emb: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(block, k, x, emb, use_reentrant=False)  # type: ignore[no-any-return]
        return block(k, x, emb)  # type: ignore[no-any-return,operator]
