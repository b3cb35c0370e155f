"""Perceptrons for vectors, told one number per sample."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from sfumato.networks.embeddings import FourierEmbedding


class StepMLP(nn.Module):
    """The tutorial's network: three hidden layers, each told the step by a learned embedding.

    2 -> 128 -> 128 -> 128 -> 2 with ReLU; the embedding of the step is added before each of
    the three activations. 72,066 parameters for 100 steps in the plane.

    Args:
        dimension: number of coordinates, in and out.
        num_steps: how many steps there are to embed.
        width: units of each hidden layer.
    """

    def __init__(self, dimension: int, num_steps: int, width: int = 128) -> None:
        super().__init__()
        self.num_steps = num_steps
        widths = [dimension, width, width, width]
        self.hidden = nn.ModuleList(
            nn.Linear(before, after) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.steps = nn.ModuleList(nn.Embedding(num_steps, width) for _ in self.hidden)
        self.out = nn.Linear(width, dimension)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Map x `(batch, dimension)` at steps 1 ... num_steps, `(batch,)` or `()`, to x's shape."""
        row = step.long() - 1
        for layer, embedding in zip(self.hidden, self.steps, strict=True):
            x = relu(layer(x) + embedding(row))
        return self.out(x)  # type: ignore[no-any-return]


class ResidualMLP(nn.Module):
    """PROVISIONAL."""

    def __init__(self, dimension: int, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.embed = nn.Sequential(FourierEmbedding(32, 1.0, 60.0), nn.Linear(32, width), nn.SiLU())
        self.enter = nn.Linear(dimension, width)
        self.tell = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, dimension)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        """Map x `(batch, dimension)` with a number each, `(batch,)` or `()`, to x's shape."""
        told = self.embed(number)
        h = self.enter(x)
        for tell, first, second in zip(self.tell, self.first, self.second, strict=True):
            h = h + second(torch.nn.functional.silu(first(h) + tell(told)))
        return self.out(torch.nn.functional.silu(h))  # type: ignore[no-any-return]
