"""A perceptron for tables: of a row some values are known, some are noisy, some are missing.

It predicts both parts of a row: the clean values of the noisy numeric columns, and the probability
of each category of a column whose category is not known.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, silu

from sfumato.networks.embeddings import FourierEmbedding


@dataclass(frozen=True, slots=True, eq=False)
class TableCondition:
    """What a network knows of rows besides their noisy values.

    Args:
        known: numeric values that are known, `(batch, numeric)`, 0 elsewhere.
        is_known: which those are, `(batch, numeric)`.
        is_noisy: which numeric values it is to predict, `(batch, numeric)`; the rest is missing.
        categories: `(batch, columns)` int64; a column's number of categories where its category is
            not known.
    """

    known: Tensor
    is_known: Tensor
    is_noisy: Tensor
    categories: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What the blocks of a `TableMLP` begin with.

    Args:
        values: noisy and known numbers, `(batch, 2 numeric)`.
        phase: of their sines and cosines, `(batch, features)`.
        h: the units, `(batch, width)`.
        gain: of the linear skip, `(batch or 1, numeric)`.
    """

    values: Tensor
    phase: Tensor
    h: Tensor
    gain: Tensor


class TableMLP(nn.Module):
    """A residual perceptron with an embedding of each category.

    Args:
        numeric: number of numeric columns, in and out.
        categories: number of categories of each categorical column.
        width: units of each hidden layer.
        depth: residual blocks.
        features: random directions whose sine and cosine are added to the numeric values.
        dropout: share of the hidden units that training leaves out.
        beside: how many more inputs it takes, that are worked out of the numbers.
    """

    directions: Tensor
    offsets: Tensor

    def __init__(
        self,
        numeric: int,
        categories: Sequence[int],
        width: int = 256,
        depth: int = 3,
        features: int = 64,
        dropout: float = 0.0,
        *,
        beside: int = 0,
    ) -> None:
        super().__init__()
        self.numeric, self.categories = numeric, tuple(categories)
        directions = torch.randn(2 * numeric, features)
        lengths = torch.logspace(0, math.log10(6), features) * min(1, 3 / max(numeric, 1))
        if numeric:
            directions = normalize(directions, dim=0) * lengths
        self.register_buffer("directions", directions)
        # Each column has one row more in the embedding than categories: `not known`.
        offsets = torch.tensor([0, *(count + 1 for count in categories)]).cumsum(0)[:-1]
        self.register_buffer("offsets", offsets, persistent=False)
        self.noise_features = FourierEmbedding(16, shortest=6.0, longest=60.0)
        self.noise_proj = nn.Linear(16, width)
        embedded = max(1, sum(categories) + len(categories))
        self.category_embedding = nn.EmbeddingBag(embedded, width, mode="sum")
        nn.init.normal_(self.category_embedding.weight, std=1 / math.sqrt(max(len(categories), 1)))
        self.input_proj = _linear(4 * numeric + 2 * features * (numeric > 0) + beside, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(depth))
        self.norm_out = nn.LayerNorm(width)
        self.output_proj = _linear(width, numeric)
        self.category_logits = _linear(width, sum(categories))
        self.linear_skip = _linear(2 * numeric, numeric, bias=False)
        self.linear_gain = _linear(16, numeric)
        for zero in (self.output_proj, self.category_logits):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)
        nn.init.zeros_(self.linear_skip.weight)

    def forward(
        self,
        x: Tensor,
        noise: Tensor,
        condition: TableCondition,
        *beside: Tensor,
        logits: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Predict the noisy numeric values, 0 for the others, and the logits of all categories.

        Args:
            x: numeric values, `(batch, numeric)`; those that are not noisy are ignored.
            noise: how noisy they are, their log-SNR, `(batch,)` or `()`.
            condition: what is known.
            beside: one if it takes any, `(batch, beside)`.
            logits: whether they are asked for; they take a tenth to a fifth of a call.

        Returns:
            `(batch, numeric)` and `(batch, sum of categories)`, or `(batch, 0)`.
        """
        start = self.start(x, noise, condition, *beside)
        h = start.h
        for block in self.blocks:
            h = block(h)
        h = self.norm_out(h)
        found = self.category_logits(h) if logits else h[:, :0]
        return self.answers(h, start, condition), found

    def start(
        self, x: Tensor, noise: Tensor, condition: TableCondition, *beside: Tensor
    ) -> "Start":
        """What comes before the blocks; arguments as of `forward`."""
        noisy, known = condition.is_noisy.to(x), condition.is_known.to(x)
        values = torch.cat([x * noisy, condition.known.to(x) * known], 1)
        phase = values @ self.directions
        fourier_features = [phase.sin(), phase.cos()] if self.numeric else []
        noise_features = self.noise_features(torch.atleast_1d(noise))
        h = self.input_proj(torch.cat([values, noisy, known, *fourier_features, *beside], 1))
        h = h + self.noise_proj(noise_features)
        if self.categories:
            h = h + self.category_embedding(condition.categories + self.offsets)
        return Start(values, phase, h, self.linear_gain(noise_features))

    def answers(self, h: Tensor, start: "Start", condition: TableCondition) -> Tensor:
        """The answers for the numbers, `(batch, numeric)`, of the last layer's units."""
        # Rows as columns: the other way round, MKL's last digit of a row goes by its place.
        linear_skip = (self.linear_skip.weight @ start.values.T).T * start.gain
        output: Tensor = (self.output_proj(h) + linear_skip) * condition.is_noisy.to(h)
        return output


def _linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A layer, possibly without inputs or outputs, of which PyTorch would warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inputs, outputs, bias=bias)


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear_1 = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        """Units `(batch, width)` to units."""
        residual: Tensor = self.linear_2(self.dropout(silu(self.linear_1(self.norm(h)))))
        return h + residual
