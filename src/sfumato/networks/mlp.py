"""Perceptrons for vectors, told one number per sample."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, silu

from sfumato.networks.embeddings import FourierEmbedding


class StepMLP(nn.Module):
    """The tutorial's network: three hidden layers, each told the step by a learned embedding.

    2 -> 128 -> 128 -> 128 -> 2 with ReLU; the embedding of the step is added before each of
    the three activations. 72,066 parameters for 100 steps in the plane.

    Args:
        dimension: number of coordinates, in and out.
        num_levels: how many steps there are to embed.
        width: units of each hidden layer.
        outputs: numbers that it answers with, if not as many as the coordinates.
    """

    def __init__(
        self, dimension: int, num_levels: int, width: int = 128, outputs: int | None = None
    ) -> None:
        super().__init__()
        self.num_levels = num_levels
        widths = [dimension, width, width, width]
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.steps = nn.ModuleList(nn.Embedding(num_levels, width) for _ in self.hidden)
        self.out = nn.Linear(width, outputs or dimension)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Map x `(batch, dimension)` at step 1 ... num_levels, `(batch,)` or `()`, to outputs."""
        row = step.long() - 1
        for layer, embedding in zip(self.hidden, self.steps, strict=True):
            x = relu(layer(x) + embedding(row))
        return self.out(x)  # type: ignore[no-any-return]


class VectorMLP(nn.Module):
    """A perceptron for vectors of any dimension that sees them through sines as well.

    Thin structure is of high frequency, which a plain perceptron learns last (Rahaman et al.
    2019); random Fourier features of the input (Tancik et al. 2020), at many wavelengths, bring
    it within reach at once. Beside the perceptron goes a linear map whose strength along each
    direction depends on the number: that is all there is to learn of Gaussian data, and much of
    what there is in many dimensions. The number is told to every layer.

    Args:
        dimension: number of coordinates, in and out; of unit scale.
        width: units of each hidden layer.
        depth: hidden layers after the first.
        features: random directions whose sine and cosine are added to the input.
        outputs: numbers that it answers with, if not as many as the coordinates.
    """

    directions: Tensor

    def __init__(
        self,
        dimension: int,
        width: int = 64,
        depth: int = 3,
        features: int = 64,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        # The sine's wavelength falls with the direction's length: from broad shape to thin lines.
        # Far points of many coordinates are told apart by long waves already.
        directions = torch.randn(dimension, features)
        lengths = torch.logspace(0, math.log10(6), features) * min(1, 3 / dimension)
        self.register_buffer("directions", directions / directions.norm(dim=0) * lengths)
        self.embed = FourierEmbedding(16, shortest=6.0, longest=60.0)
        self.enter = nn.Linear(dimension + 2 * features, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.told = [width] * (1 + depth) + [dimension]
        self.tell = nn.Linear(16, sum(self.told))
        self.out = nn.Linear(width, outputs or dimension)
        self.along = nn.Linear(dimension, dimension, bias=False)
        self.back = nn.Linear(dimension, outputs or dimension, bias=False)
        nn.init.eye_(self.along.weight)
        for nothing_yet in (self.out.weight, self.out.bias, self.back.weight):
            nn.init.zeros_(nothing_yet)

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        """Map x `(batch, dimension)` with a number each, `(batch,)` or `()`, to the outputs."""
        # One number for all is told once, (1, ...), and added to every sample.
        first, *told, strength = self.tell(torch.atleast_2d(self.embed(number))).split(self.told, 1)
        phase = x @ self.directions
        h = silu(self.enter(torch.cat([x, phase.sin(), phase.cos()], dim=1)) + first)
        for layer, told_here in zip(self.hidden, told, strict=True):
            h = h + silu(layer(h) + told_here)
        straight = self.back(self.along(x) * strength)
        return self.out(h) + straight  # type: ignore[no-any-return]
