"""Gaussians with independent coordinates: density, divergence, and the draw one can learn through.

(1-6)  KL(p || q) = log(s_q/s_p) + (s_p² + (m_p - m_q)²) / (2 s_q²) - 1/2
(1-7)  x = mean + std eps,  eps ~ N(0, 1)
(1)    P(x's bin) = Phi((x + h - mean) / std) - Phi((x - h - mean) / std),  2h the bin's width
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import log_ndtr

from sfumato.errors import ArgumentError, DataError


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


def discretised_log_likelihood(x_0: Tensor, gaussian: Gaussian, bin_width: float) -> Tensor:
    """Log of the probability that a draw falls into x_0's bin, nats per coordinate, eq. (1).

    The bins' centres go from -1 to 1 in steps of their width; the first and the last are open to
    the outside: Ho et al. (2020), eq. 13.

    Args:
        x_0: centres of bins.
        gaussian: broadcasts with x_0.
        bin_width: 2 divided by an integer; 2/255 for 8 bits.

    Raises:
        ArgumentError: if `bin_width` does not divide 2.
        DataError: if a value of x_0 is not the centre of a bin.
    """
    last = round(2 / bin_width) if bin_width > 0 else 0
    if last < 1 or not math.isclose(last * bin_width, 2, rel_tol=1e-6):
        raise ArgumentError(
            f"`bin_width` must be 2 divided by an integer (8 bits: 2/255); got {bin_width:.6g}."
        )
    bins = (x_0 + 1) / bin_width
    # Not (... <= 0.01), so that NaN is met too; float32 places 8 bits to 2e-5 of a bin.
    astray = ~((bins - bins.round().clamp(0, last)).abs() <= 0.01)
    if bool(astray.any()):
        raise DataError(
            f"bins of width {bin_width:.6g} need values -1, -1 + width, ..., 1; "
            f"got {float(x_0[astray][0]):.6g}. Scale the data so, or take a continuous density."
        )
    low = (x_0 - bin_width / 2 - gaussian.mean) / gaussian.std
    high = (x_0 + bin_width / 2 - gaussian.mean) / gaussian.std
    # Mirrored into the lower tail, where log Phi keeps its digits.
    mirrored = low + high > 0
    upper = log_ndtr(torch.where(mirrored, -low, high))
    lower = log_ndtr(torch.where(mirrored, -high, low))
    inside = upper + (-torch.expm1(lower - upper)).log()
    beyond = torch.where(bins < 0.5, log_ndtr(high), log_ndtr(-low))
    return torch.where((bins < 0.5) | (bins > last - 0.5), beyond, inside)
