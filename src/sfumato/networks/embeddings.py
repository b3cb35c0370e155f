"""Features of a single number."""

import math

import torch
from torch import Tensor, nn


class FourierEmbedding(nn.Module):
    """Sines and cosines of a number at geometrically spaced wavelengths; nothing is learned.

    Args:
        features: how many, even.
        shortest: shortest wavelength, in the number's own units.
        longest: longest wavelength.
    """

    frequencies: Tensor

    def __init__(self, features: int, shortest: float, longest: float) -> None:
        super().__init__()
        wavelengths = torch.logspace(
            math.log10(longest), math.log10(shortest), features // 2, dtype=torch.float64
        )
        self.register_buffer("frequencies", (2 * math.pi / wavelengths).float(), persistent=False)

    def forward(self, number: Tensor) -> Tensor:
        """`(...)` to `(..., features)`."""
        angle = number.unsqueeze(-1) * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1)
