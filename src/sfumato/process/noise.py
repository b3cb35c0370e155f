"""How noisy a sample is: the pair (alpha, sigma) in x_t = alpha x_0 + sigma eps.

Every schedule, discrete or continuous, ends in such pairs, and nothing above this file asks
where they came from. The signal-to-noise ratio alpha²/sigma² orders them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid


@dataclass(frozen=True, slots=True, eq=False)
class NoiseLevel:
    """One noise level, or a batch of them.

    Args:
        alpha: scale of the signal, shape `()` or `(batch,)`, float64 by habit.
        sigma: scale of the noise, same shape. Zero means clean.
    """

    alpha: Float[Tensor, "*levels"]
    sigma: Float[Tensor, "*levels"]

    @classmethod
    def from_log_snr(cls, log_snr: Float[Tensor, "*levels"]) -> "NoiseLevel":
        """The variance-preserving level (alpha² + sigma² = 1) of a log-SNR, exact at both ends.

        sqrt(sigmoid(-log_snr)) keeps its digits where sqrt(1 - alpha²) has lost them all.
        """
        return cls(
            alpha=torch.exp(logsigmoid(log_snr) / 2), sigma=torch.exp(logsigmoid(-log_snr) / 2)
        )

    @classmethod
    def clean(cls) -> "NoiseLevel":
        """No noise: alpha 1, sigma 0."""
        return cls(
            alpha=torch.ones((), dtype=torch.float64), sigma=torch.zeros((), dtype=torch.float64)
        )

    @property
    def log_snr(self) -> Tensor:
        """log(alpha²/sigma²); infinite where clean."""
        return 2 * (self.alpha.log() - self.sigma.log())

    @property
    def snr(self) -> Tensor:
        """alpha²/sigma²."""
        return (self.alpha / self.sigma) ** 2

    @property
    def sigma_ve(self) -> Tensor:
        """sigma/alpha: the noise beside a signal of scale one (EDM's sigma)."""
        return self.sigma / self.alpha

    def __len__(self) -> int:
        """Number of levels in the batch."""
        return len(self.alpha)

    def __getitem__(self, index: int | slice | Tensor) -> "NoiseLevel":
        """Some levels of a batch, as a list is indexed."""
        return NoiseLevel(self.alpha[index], self.sigma[index])

    def like(self, x: Tensor) -> "NoiseLevel":
        """The same levels in x's dtype and device, shaped to multiply a batch x."""
        return NoiseLevel(spread(self.alpha, x), spread(self.sigma, x))


def spread(numbers: Tensor, x: Tensor) -> Tensor:
    """One number for all samples `()` or one for each `(batch,)`, made to multiply a batch x.

    Numbers are formed in float64 and cast here, last.
    """
    return numbers.to(x).reshape(numbers.shape + (1,) * (x.ndim - 1 if numbers.ndim else 0))


def then_clean(levels: NoiseLevel) -> NoiseLevel:
    """The same levels with the clean one appended, where every sampler ends."""
    return NoiseLevel(
        torch.cat([levels.alpha, levels.alpha.new_ones(1)]),
        torch.cat([levels.sigma, levels.sigma.new_zeros(1)]),
    )
