"""What the numbers of a row say of each other: the posterior of a normal law.

Of z ~ N(0, S) each number j is seen with noise of a variance v_j of its own,

    y_j = z_j + sqrt(v_j) eps_j,    v_j = (sigma/alpha)²   a noisy number
                                          almost 0         a known one
                                          infinite         a missing one

and the posterior of z is N(m, P). The numbers are taken in one after another (Kalman, 1960):

    (1)  P <- P - P_j P_j' / (P_jj + v_j),    P = S at first
    (2)  m = P (y / v)

What is new in a number, beside all the others, has the variance 1 (leave-one-out, by the inverse
of S + diag v; Dubrule, 1983):

    (3)  r_j = (y_j - m_j) / sqrt(v_j - P_jj)

Where the numbers are not normal, m is still the best linear estimate, and P the covariance of its
error.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel, spread

# The variance of a known number: not 0, as then a number that it decides would have none either.
_KNOWN = 1e-8

# Of the variance in (3), which rounding may make 0.
_LEAST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Of the noisy numbers of rows; of the others the values mean nothing.

    Args:
        mean: eq. (2), `(batch, C)`.
        std: of each number, from eq. (1), `(batch, C)`.
        residual: eq. (3), `(batch, C)`; 0 where a number is not noisy.
        covariance: eq. (1) of the numbers that are noisy in any row with all, `(some, C, batch)`.
        places: which those are, `(some,)`.
    """

    mean: Float[Tensor, "batch C"]
    std: Float[Tensor, "batch C"]
    residual: Float[Tensor, "batch C"]
    covariance: Float[Tensor, "some C batch"]
    places: Int[Tensor, " some"]

    def slopes(
        self, level: NoiseLevel, is_noisy: Bool[Tensor, "batch C"]
    ) -> tuple[Float[Tensor, "batch C C"], Float[Tensor, "batch C C"]]:
        """By how much each mean, and each residual, grows with each number of x_t.

        Element `[row, i, j]` is the derivative of number i by x_t of number j; 0 where either is
        not noisy.
        """
        mean = self.mean.new_zeros(*self.mean.shape, self.mean.shape[1])
        alpha, sigma = spread(level.alpha, mean), spread(level.sigma, mean)
        mean[:, self.places] = self.covariance.permute(2, 0, 1) * (alpha / sigma**2)
        mean = mean * (is_noisy[:, :, None] & is_noisy[:, None])
        new = (sigma**2 - (alpha * self.std[..., None]) ** 2).clamp(min=_LEAST)
        unit = is_noisy[..., None] * new.rsqrt()
        return mean, unit * (torch.eye(mean.shape[1]).to(mean) - alpha * mean)


def posterior(
    correlations: Float[Tensor, "C C"],
    x_t: Float[Tensor, "batch C"],
    level: NoiseLevel,
    condition: TableCondition,
) -> Posterior:
    """The posterior of numbers that are noisy, known or missing; float64.

    Args:
        correlations: S.
        x_t: the noisy numbers at the level, alpha y; the others are not looked at.
        level: one for all rows `()` or one each `(batch,)`, with noise.
        condition: which numbers are noisy and which are known.
    """
    noisy, known, x_t = condition.is_noisy, condition.is_known, x_t.double()
    alpha, sigma = spread(level.alpha, x_t), spread(level.sigma, x_t)
    precision = torch.where(noisy, (alpha / sigma) ** 2, 0.0)
    precision = torch.where(known, 1 / _KNOWN, precision)
    # y / v, without the y of a level at which alpha is almost 0.
    weighted = torch.where(noisy, alpha / sigma**2 * x_t, 0.0)
    weighted = torch.where(known, condition.known.double() / _KNOWN, weighted)
    if level.alpha.ndim == 0:  # of rows that know the same numbers it is one
        row, of_row = _patterns(noisy, known)
        places = noisy.any(0).nonzero()[:, 0]  # often of one number only, that is predicted
        covariance = _conditioned(correlations, precision[row])[places][..., of_row]
    else:
        places = torch.arange(len(correlations), device=x_t.device)
        covariance = _conditioned(correlations, precision)
    mean, variance = torch.zeros_like(x_t), torch.zeros_like(x_t)
    mean[:, places] = (covariance * weighted.T).sum(1).T
    variance[:, places] = covariance[torch.arange(len(places)), places].T.clamp(min=0)
    new = (sigma**2 - alpha**2 * variance).clamp(min=_LEAST)
    residual = torch.where(noisy, (x_t - alpha * mean) * new.rsqrt(), 0.0)
    return Posterior(mean, variance.sqrt(), residual, covariance, places)


def _patterns(
    noisy: Bool[Tensor, "batch C"], known: Bool[Tensor, "batch C"]
) -> tuple[Int[Tensor, " patterns"], Int[Tensor, " batch"]]:
    """A row of each pattern of what is noisy and what is known, and which pattern each row has."""
    powers = 3 ** torch.arange(noisy.shape[1], device=noisy.device)  # to 3^32, below 2^63
    codes = ((noisy.long() + 2 * known.long()) * powers).sum(1)
    patterns, of_row = codes.unique(return_inverse=True)
    every = torch.arange(len(codes), device=codes.device)
    return torch.zeros_like(patterns).scatter(0, of_row, every), of_row


def _conditioned(
    correlations: Tensor, precision: Float[Tensor, "batch C"]
) -> Float[Tensor, "C C batch"]:
    """Eq. (1) with 1/v; rows stand last, so that each step is a few long operations."""
    covariance = correlations.double()[..., None] + torch.zeros_like(precision[:, 0])
    for j, own in enumerate(precision.T.contiguous()):
        column = covariance[:, j].clone()
        gain = column * (own / (1 + own * column[j]))
        covariance.addcmul_(gain[:, None], column[None], value=-1)
    return covariance
