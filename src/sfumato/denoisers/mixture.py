"""The exact denoiser of a Gaussian mixture: the truth that samplers are held to.

For x_0 ~ sum_k w_k N(m_k, C_k) and x_t = alpha x_0 + sigma eps,

    (1)  E[x_0 | x_t] = sum_k r_k(x_t) (m_k + alpha C_k S_k^-1 (x_t - alpha m_k))
    (2)  S_k = alpha² C_k + sigma² I,    r_k ∝ w_k N(x_t; alpha m_k, S_k)

One component gives the Gaussian; its estimate is affine in x_t.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel


@dataclass(frozen=True, slots=True, eq=False)
class GaussianMixture:
    """A mixture as data distribution, and its exact denoiser. Made by `gaussian_mixture`.

    Args:
        log_weights: `(k,)`.
        means: `(k, d)`.
        axes: eigenvectors of each covariance, in columns, `(k, d, d)`.
        variances: eigenvalues of each covariance, `(k, d)`.
    """

    log_weights: Float[Tensor, " k"]
    means: Float[Tensor, "k d"]
    axes: Float[Tensor, "k d d"]
    variances: Float[Tensor, "k d"]

    def _components(self, x_t: Tensor, level: NoiseLevel) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates of x_t - alpha m_k on each component's axes, their variances, log r_k."""
        if x_t.shape[1:] != self.means.shape[1:]:
            raise ArgumentError(
                f"this mixture has {self.means.shape[1]} columns; got rows {tuple(x_t.shape)}."
            )
        at = level.like(x_t)
        alpha, sigma = at.alpha.unsqueeze(-1), at.sigma.unsqueeze(-1)
        offset = x_t.unsqueeze(-2) - alpha * self.means
        along = torch.einsum("kij,bki->bkj", self.axes, offset)
        total = alpha**2 * self.variances + sigma**2
        log_density = -0.5 * (along**2 / total + total.log() + math.log(2 * math.pi)).sum(-1)
        return along, total, self.log_weights + log_density

    def __call__(self, x_t: Float[Tensor, "batch d"], level: NoiseLevel) -> Prediction:
        """Eq. (1); x_t `(batch, d)`, level `()` or `(batch,)`."""
        along, total, log_joint = self._components(x_t, level)
        alpha = level.like(x_t).alpha.unsqueeze(-1)
        means = self.means + torch.einsum(
            "kij,bkj->bki", self.axes, alpha * self.variances / total * along
        )
        return Prediction((log_joint.softmax(-1).unsqueeze(-1) * means).sum(-2).to(x_t))

    def log_density(
        self, x_t: Float[Tensor, "batch d"], level: NoiseLevel
    ) -> Float[Tensor, " batch"]:
        """Log q(x_t) in nats, `(batch,)`; at the clean level, of the mixture itself."""
        return self._components(x_t, level)[2].logsumexp(-1)

    def draw(self, n: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
        """`n` independent draws, `(n, d)`."""
        component = torch.multinomial(
            self.log_weights.exp(), n, replacement=True, generator=generator
        )
        eps = torch.randn(n, self.means.shape[1], dtype=self.means.dtype, generator=generator)
        along = self.variances[component].sqrt() * eps
        return self.means[component] + torch.einsum("bij,bj->bi", self.axes[component], along)


def gaussian_mixture(weights: Tensor, means: Tensor, covariances: Tensor) -> GaussianMixture:
    """The mixture with full covariances, in float64.

    Args:
        weights: `(k,)`, positive; scaled to sum to one.
        means: `(k, d)`.
        covariances: `(k, d, d)`, symmetric and positive definite.

    Raises:
        ArgumentError: if shapes disagree, a weight is not positive, or a covariance is not
            symmetric positive definite.
    """
    weights, means, covariances = weights.double(), means.double(), covariances.double()
    k, d = means.shape if means.ndim == 2 else (0, 0)
    if k == 0 or weights.shape != (k,) or covariances.shape != (k, d, d):
        raise ArgumentError(
            "a mixture needs weights (k,), means (k, d) and covariances (k, d, d); got "
            f"{tuple(weights.shape)}, {tuple(means.shape)} and {tuple(covariances.shape)}."
        )
    if not all(bool(each.isfinite().all()) for each in (weights, means, covariances)):
        raise ArgumentError("a weight, mean or covariance is NaN or infinite; mend it.")
    if not bool((weights > 0).all()):
        raise ArgumentError(f"every weight must be positive; got {weights.tolist()}.")
    if not torch.allclose(covariances, covariances.mT):
        raise ArgumentError("every covariance must be symmetric; average it with its transpose.")
    variances, axes = torch.linalg.eigh(covariances)
    if not bool((variances > 0).all()):
        raise ArgumentError(
            f"every covariance must be positive definite; the least eigenvalue is "
            f"{float(variances.min()):.3g}. Add a small multiple of the identity."
        )
    return GaussianMixture((weights / weights.sum()).log(), means, axes, variances)


def from_scikit_learn(fit: Any) -> GaussianMixture:
    """What a fitted `sklearn.mixture.GaussianMixture` with full covariances has learned."""
    parts = (fit.weights_, fit.means_, fit.covariances_)
    return gaussian_mixture(*map(torch.from_numpy, parts))
