"""Features of a scalar: how noisy a sample is, or the step of a process."""

import math

import torch
from torch import Tensor, nn


class FourierEmbedding(nn.Module):
    """Sines and cosines of a scalar at geometrically spaced wavelengths; it has no weights.

    Args:
        features: how many, even.
        shortest: shortest wavelength, in the scalar's own units.
        longest: longest wavelength.
    """

    frequencies: Tensor

    def __init__(self, features: int, shortest: float, longest: float) -> None:
        super().__init__()
        wavelengths = torch.logspace(
            math.log10(longest), math.log10(shortest), features // 2, dtype=torch.float64
        )
        self.register_buffer("frequencies", (2 * math.pi / wavelengths).float(), persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        """`(...)` to `(..., features)`."""
        angle = value.unsqueeze(-1) * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class StepEmbedding(nn.Module):
    """Sines and cosines of a step 1, 2, ..., T, as DDPM feeds it to its network.

    Ho et al. (2020), after Vaswani et al. (2017), section 3.5: frequencies from 1 to 1/10,000,
    geometrically. Their code counts the steps from 0, and so does this.

    Args:
        features: how many, even.
        shift: 1 where the lowest frequency is 1/10,000 itself, as in DDPM's code; 0 where it is
            the next that would come.
        cosine_first: put the cosines before the sines.
    """

    frequencies: Tensor

    def __init__(self, features: int, shift: int = 1, *, cosine_first: bool = False) -> None:
        super().__init__()
        half = features // 2
        power = torch.arange(half, dtype=torch.float64) / (half - shift)
        self.register_buffer("frequencies", (10_000**-power).float(), persistent=False)
        self.cosine_first = cosine_first

    def forward(self, step: Tensor) -> Tensor:
        """`(...)` to `(..., features)`."""
        angle = (step - 1).float().unsqueeze(-1) * self.frequencies
        both = [angle.sin(), angle.cos()]
        return torch.cat(both[::-1] if self.cosine_first else both, dim=-1)


class LearnedStepEmbedding(nn.Module):
    """A learned vector for each step 1, 2, ..., T.

    Args:
        num_levels: T.
        features: how many.
    """

    def __init__(self, num_levels: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_levels, features)

    def forward(self, step: Tensor) -> Tensor:
        """`(...)` to `(..., features)`."""
        return self.embedding(step.long() - 1)  # type: ignore[no-any-return]
