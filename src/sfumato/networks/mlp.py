"""Perceptrons for vectors; a scalar for each sample says how noisy it is."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu, silu

from sfumato.networks.embeddings import FourierEmbedding


def perceptron(
    inputs: int,
    width: int,
    depth: int,
    outputs: int,
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> nn.Sequential:
    """A plain perceptron for vectors: `depth` hidden layers of `width` units."""
    layers: list[nn.Module] = []
    for before in (inputs, *[width] * (depth - 1)):
        layers += [nn.Linear(before, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class StepMLP(nn.Module):
    """The tutorial's network: three hidden layers, each with a learned embedding of the step.

    2 -> 128 -> 128 -> 128 -> 2 with ReLU; the embedding of the step is added before each of
    the three activations. 72,066 parameters for 100 steps in the plane.

    Args:
        dimension: number of coordinates, in and out.
        num_levels: how many steps there are to embed.
        width: units of each hidden layer.
        outputs: size of the output, where it is not the number of coordinates.
    """

    def __init__(
        self, dimension: int, num_levels: int, width: int = 128, outputs: int | None = None
    ) -> None:
        super().__init__()
        self.num_levels = num_levels
        widths = [dimension, width, width, width]
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.step_embeddings = nn.ModuleList(nn.Embedding(num_levels, width) for _ in self.hidden)
        self.output_proj = nn.Linear(width, outputs or dimension)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Map x `(batch, dimension)` at step 1 ... num_levels, `(batch,)` or `()`, to outputs."""
        index = step.long() - 1
        for layer, embedding in zip(self.hidden, self.step_embeddings, strict=True):
            x = relu(layer(x) + embedding(index))
        return self.output_proj(x)  # type: ignore[no-any-return]


class VectorMLP(nn.Module):
    """A perceptron for vectors of any dimension, with random Fourier features of its input.

    Thin structure is of high frequency, which a plain perceptron learns last (Rahaman et al.
    2019); random Fourier features of the input (Tancik et al. 2020), at many wavelengths, bring
    it within reach at once. A linear skip runs beside the perceptron, with a gain along each
    direction that depends on the noise: it is the whole solution for Gaussian data, and much of
    it in many dimensions. Every layer sees the noise.

    Args:
        dimension: number of coordinates, in and out; of unit scale.
        width: units of each hidden layer.
        depth: hidden layers after the first.
        features: random directions whose sine and cosine are added to the input.
        outputs: size of the output, where it is not the number of coordinates.
    """

    directions: Tensor
    noise_features: FourierEmbedding
    noise_sizes: list[int]
    hidden: nn.ModuleList
    input_proj: nn.Linear
    noise_proj: nn.Linear
    output_proj: nn.Linear
    linear_skip_in: nn.Linear
    linear_skip_out: nn.Linear

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
        # In many coordinates points are far apart, and long waves already separate them.
        directions = torch.randn(dimension, features)
        lengths = torch.logspace(0, math.log10(6), features) * min(1, 3 / dimension)
        self.register_buffer("directions", normalize(directions, dim=0) * lengths)
        self.noise_features = FourierEmbedding(16, shortest=6.0, longest=60.0)
        self.input_proj = nn.Linear(dimension + 2 * features, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        # One shift for each layer, and the gain of the linear skip.
        self.noise_sizes = [width] * (1 + depth) + [dimension]
        self.noise_proj = nn.Linear(16, sum(self.noise_sizes))
        self.output_proj = nn.Linear(width, outputs or dimension)
        self.linear_skip_in = nn.Linear(dimension, dimension, bias=False)
        self.linear_skip_out = nn.Linear(dimension, outputs or dimension, bias=False)
        nn.init.eye_(self.linear_skip_in.weight)
        for zero in (self.output_proj.weight, self.output_proj.bias, self.linear_skip_out.weight):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Map x `(batch, dimension)` to the outputs.

        Args:
            x: noisy samples.
            noise: how noisy they are, their log-SNR, `(batch,)` or `()`.
        """
        # One noise for all is projected once, (1, ...), and added to every sample.
        projected = self.noise_proj(torch.atleast_2d(self.noise_features(noise)))
        first, *shifts, linear_gain = projected.split(self.noise_sizes, 1)
        phase = x @ self.directions
        h = silu(self.input_proj(torch.cat([x, phase.sin(), phase.cos()], dim=1)) + first)
        for layer, shift in zip(self.hidden, shifts, strict=True):
            h = h + silu(layer(h) + shift)
        linear_skip = self.linear_skip_out(self.linear_skip_in(x) * linear_gain)
        return self.output_proj(h) + linear_skip  # type: ignore[no-any-return]
