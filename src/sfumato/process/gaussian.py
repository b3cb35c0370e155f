"""Gaussians with independent coordinates: density, divergence, and the draw one can learn through.

(1-6)  KL(p || q) = log(s_q/s_p) + (s_p² + (m_p - m_q)²) / (2 s_q²) - 1/2
(1-7)  x = mean + std eps,  eps ~ N(0, 1)
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """N(mean, std²), coordinate by coordinate; shapes need only broadcast."""

    mean: Tensor
    std: Tensor

    def draw(self, eps: Tensor) -> Tensor:
        """The reparameterised draw (1-7): a gradient passes to mean and std."""
        return self.mean + self.std * eps

    def log_density(self, x: Tensor) -> Tensor:
        """Log N(x; mean, std²) in nats, per coordinate."""
        z = (x - self.mean) / self.std
        return -0.5 * z**2 - self.std.log() - 0.5 * math.log(2 * math.pi)


def kl(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p || q) in nats, per coordinate (1-6)."""
    ratio = p.std / q.std
    # The two parts are each small when p is near q; added up in any other order they cancel.
    return 0.5 * ((p.mean - q.mean) / q.std) ** 2 + (0.5 * (ratio**2 - 1) - ratio.log())
