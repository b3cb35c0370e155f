"""What the diffusion peers share: a perceptron as their examples have it, rows at unit scale."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Three hidden layers; the number goes in beside the coordinates, as in torchcfm's examples."""

    def __init__(self, dimension: int, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (dimension + 1, width, width):
            layers += [nn.Linear(inputs, width), nn.SELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, dimension))

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        """Map x `(batch, d)` with a number each, `(batch,)` or `()`."""
        column = number.to(x).expand(len(x)).unsqueeze(1)
        answer: Tensor = self.layers(torch.cat([x, column], 1))
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A sampler of scaled rows, and the way back to the data's units."""

    draw: Callable[[int], Tensor]
    mean: np.ndarray
    scale: np.ndarray

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw `n` rows, `(n, d)`."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            return np.asarray(self.draw(n).double().numpy() * self.scale + self.mean)


def scaled(rows: np.ndarray) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Columns brought to mean 0 and deviation 1, with those means and deviations."""
    mean, scale = rows.mean(0), rows.std(0)
    return torch.from_numpy((rows - mean) / scale).float(), mean, scale
