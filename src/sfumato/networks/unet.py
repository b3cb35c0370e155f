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


def layout(device: torch.device) -> torch.memory_format:
    """The order of the numbers in memory that a network is fast in on a device.

    On a processor the channels of a pixel lie side by side. A GPU's group norm brings such tensors
    into the other order and back: a training step took 1.2 times as long on an H200.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


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
        resample: changes the resolution of both ways before the first convolution, if given.
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
        resample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.resample = resample
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
        h = silu(self.norm_1(x))
        if self.resample is not None:
            x, h = self.resample(x), self.resample(h)
        h = self.conv_1(h)
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
        head_width: see `SelfAttention`.
        groups: of the norm, at most; None: no norm.
        eps: added to the norm's variance.
    """

    def __init__(
        self, channels: int, heads: int, head_width: int | None, *, groups: int | None, eps: float
    ) -> None:
        super().__init__()
        self.norm: nn.Module = nn.Identity()
        if groups is not None:
            self.norm = nn.GroupNorm(_divisor(groups, channels), channels, eps)
        self.attention = SelfAttention(channels, heads, head_width)
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

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:  # noqa: ARG002
        """Map `(batch, channels, 2 h, 2 w)` to `(batch, channels, h, w)`; no embedding is used."""
        return self.conv(pad(x, (0, 1, 0, 1)) if self.one_sided else x)  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Twice the resolution: each pixel four times, then a convolution.

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:  # noqa: ARG002
        """Map `(batch, channels, h, w)` to `(batch, channels, 2 h, 2 w)`; no embedding is used."""
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
        downsample: Downsample | ResidualBlock | None = None,
        upsample: Upsample | ResidualBlock | None = None,
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
        heads_divide: where `head_width` does not divide the channels, make the heads wider, so that
            they share all channels; otherwise fewer channels attend.
        classes: number of classes, 0 for none.
        outputs: channels of the output, where not those of the picture.
        scale_shift: use the embedding as scale and shift of the norms.
        dropout: in the residual blocks, while training.
        time_proj: the features of the time, `(batch,) -> (batch, width)`; where not given, sines
            of wavelengths suited to a log-SNR.
        groups: of the norms, at most.
        eps: added to the norms' variances.
        one_sided: see `Downsample`.
        emb_channels: size of the embedding of time and class; None: four times the width.
        mid_attention: whether there is self-attention between the way down and the way up.
        mid_groups: of its norm, at most; None: no norm; 0: as `groups`.
        residual_down: a residual block halves the resolutions that have attention; not a
            convolution.
        residual_up: the same, where they are doubled.
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
        heads_divide: bool = True,
        classes: int = 0,
        outputs: int | None = None,
        scale_shift: bool = True,
        dropout: float = 0.0,
        time_proj: nn.Module | None = None,
        groups: int = 32,
        eps: float = 1e-5,
        one_sided: bool = False,
        emb_channels: int | None = None,
        mid_attention: bool = True,
        mid_groups: int | None = 0,
        residual_down: bool = False,
        residual_up: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        emb_channels = emb_channels or 4 * width
        widths = [width * each for each in multipliers]
        last = len(widths) - 1
        self.recompute = recompute
        self.factor = 2**last
        self.time_proj = time_proj or FourierEmbedding(width, shortest=3.0, longest=120.0)
        self.time_emb = nn.Sequential(
            nn.Linear(width, emb_channels), nn.SiLU(), nn.Linear(emb_channels, emb_channels)
        )
        self.class_emb = nn.Embedding(classes, emb_channels) if classes else None

        def residual(inputs: int, outputs: int, resample: nn.Module | None = None) -> ResidualBlock:
            return ResidualBlock(
                inputs,
                outputs,
                emb_channels,
                scale_shift=scale_shift,
                dropout=dropout,
                groups=groups,
                eps=eps,
                resample=resample,
            )

        def attention_block(channels: int, groups: int | None = groups) -> AttentionBlock:
            heads, wide = max(1, channels // (head_width or channels)), head_width
            if heads_divide or head_width is None or head_width > channels:
                heads, wide = _divisor(heads, channels), None
            return AttentionBlock(channels, heads, wide, groups=groups, eps=eps)

        def downsample(k: int, channels: int) -> Downsample | ResidualBlock | None:
            if k == last:
                return None
            if residual_down and attention[k]:
                return residual(channels, channels, nn.AvgPool2d(2))
            return Downsample(channels, one_sided=one_sided)

        def upsample(k: int, channels: int) -> Upsample | ResidualBlock | None:
            if k == 0:
                return None
            if residual_up and attention[k]:
                return residual(channels, channels, nn.Upsample(scale_factor=2.0))
            return Upsample(channels)

        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        # The order in which the parts are made decides their random weights.
        down, up, skips, now = [], [], [width], width
        for k, here in enumerate(widths):
            blocks = [residual(now if j == 0 else here, here) for j in range(depth)]
            smaller = downsample(k, here)
            attentions = [attention_block(here) for _ in blocks if attention[k]]
            down.append(Stage(blocks, attentions, downsample=smaller))
            skips += [here] * (depth + (k < last))
            now = here
        self.down = nn.ModuleList(down)
        self.mid = Stage([residual(now, now), residual(now, now)], [])
        self.mid_attention: nn.Module = nn.Identity()
        if mid_attention:
            self.mid_attention = attention_block(now, groups if mid_groups == 0 else mid_groups)
        for k, here in reversed(list(enumerate(widths))):
            blocks = [residual((here if j else now) + skips.pop(), here) for j in range(depth + 1)]
            larger = upsample(k, here)
            attentions = [attention_block(here) for _ in blocks if attention[k]]
            up.append(Stage(blocks, attentions, upsample=larger))
            now = here
        self.up = nn.ModuleList(up)
        self.norm_out = nn.GroupNorm(_divisor(groups, now), now, eps)
        self.conv_out = nn.Conv2d(now, outputs or channels, 3, padding=1)
        for zero in (self.conv_out.weight, self.conv_out.bias):
            nn.init.zeros_(zero)  # type: ignore[arg-type]
        self.to(memory_format=layout(self.conv_in.weight.device))  # type: ignore[call-overload]

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
        h = self.conv_in(x.contiguous(memory_format=layout(x.device)))
        skips = [h]
        for stage in self.down:
            for k in range(len(stage.blocks)):  # type: ignore[arg-type]
                h = self._run(stage.block, k, h, emb)
                skips.append(h)
            if stage.downsample is not None:
                h = stage.downsample(h, emb)  # type: ignore[operator]
                skips.append(h)
        h = self._run(self.mid.block, 0, h, emb)
        h = self._run(self.mid.block, 1, self.mid_attention(h), emb)
        for stage in self.up:
            for k in range(len(stage.blocks)):  # type: ignore[arg-type]
                h = self._run(stage.block, k, torch.cat([h, skips.pop()], dim=1), emb)
            if stage.upsample is not None:
                h = stage.upsample(h, emb)  # type: ignore[operator]
        output = self.conv_out(silu(self.norm_out(h)))
        return output[:, :, :height, :width]  # type: ignore[no-any-return]

    def _run(self, block: object, k: int, x: Tensor, emb: Tensor) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(block, k, x, emb, use_reentrant=False)  # type: ignore[no-any-return]
        return block(k, x, emb)  # type: ignore[no-any-return,operator]
