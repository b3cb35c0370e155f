"""A perceptron for tables: some of a row is known, some noisy, some not there at all.

It answers both questions that a table asks: what the noisy numbers were, and how probable each
level of a column is whose level is not known.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from sfumato.networks.embeddings import FourierEmbedding


@dataclass(frozen=True, slots=True, eq=False)
class TableCondition:
    """What is known of rows besides noisy numbers.

    Args:
        known: numbers that are known, `(batch, numbers)`, 0 elsewhere.
        is_known: which those are, `(batch, numbers)`.
        is_noisy: which numbers are to be predicted, `(batch, numbers)`; the rest are missing.
        categories: codes `(batch, columns)` int64; the column's number of categories where its
            category is not known.
    """

    known: Tensor
    is_known: Tensor
    is_noisy: Tensor
    categories: Tensor


class TableMLP(nn.Module):
    """A residual perceptron that sees each level as a vector of its own.

    Args:
        numbers: how many, in and out.
        levels: of each column that has them, how many.
        width: units of each hidden layer.
        depth: residual blocks.
        features: random directions whose sine and cosine are added to the numbers.
        dropout: share of the hidden units that training leaves out.
    """

    directions: Tensor
    offsets: Tensor

    def __init__(
        self,
        numbers: int,
        levels: Sequence[int],
        width: int = 256,
        depth: int = 3,
        features: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.numbers, self.sizes = numbers, tuple(levels)
        directions = torch.randn(2 * numbers, features)
        lengths = torch.logspace(0, math.log10(6), features) * min(1, 3 / max(numbers, 1))
        if numbers:
            directions = directions / directions.norm(dim=0) * lengths
        self.register_buffer("directions", directions)
        first = torch.tensor([0, *(size + 1 for size in levels)]).cumsum(0)[:-1]
        self.register_buffer("offsets", first, persistent=False)
        self.embed = FourierEmbedding(16, shortest=6.0, longest=60.0)
        self.told = nn.Linear(16, width)
        self.seen = nn.EmbeddingBag(max(1, sum(levels) + len(levels)), width, mode="sum")
        nn.init.normal_(self.seen.weight, std=1 / math.sqrt(max(len(levels), 1)))
        self.enter = _linear(4 * numbers + 2 * features * (numbers > 0), width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.out = _linear(width, numbers)
        self.choose = _linear(width, sum(levels))
        self.along = _linear(2 * numbers, numbers, bias=False)
        self.strength = _linear(16, numbers)
        for nothing_yet in (self.out, self.choose):
            nn.init.zeros_(nothing_yet.weight)
            nn.init.zeros_(nothing_yet.bias)
        nn.init.zeros_(self.along.weight)

    def forward(
        self, x: Tensor, number: Tensor, condition: TableCondition
    ) -> tuple[Tensor, Tensor]:
        """Answers for the noisy numbers, 0 for the others, and logits of all levels.

        Args:
            x: noisy numbers, `(batch, numbers)`; what the others hold is not looked at.
            number: of the noise, `(batch,)` or `()`.
            condition: what is known.

        Returns:
            `(batch, numbers)` and `(batch, sum of levels)`.
        """
        noisy, known = condition.is_noisy.to(x), condition.is_known.to(x)
        both = torch.cat([x * noisy, condition.known.to(x) * known], 1)
        phase = both @ self.directions
        waves = [phase.sin(), phase.cos()] if self.numbers else []
        about = self.embed(torch.atleast_1d(number))
        h = self.enter(torch.cat([both, noisy, known, *waves], 1)) + self.told(about)
        if self.sizes:
            h = h + self.seen(condition.categories + self.offsets)
        for block in self.blocks:
            h = block(h)
        h = self.norm(h)
        straight = self.along(both) * self.strength(about)
        answer: Tensor = (self.out(h) + straight) * noisy
        return answer, self.choose(h)


def _linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A layer, also of nothing, of which PyTorch would warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inputs, outputs, bias=bias)


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.down = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        inner: Tensor = self.down(self.drop(silu(self.up(self.norm(h)))))
        return h + inner
