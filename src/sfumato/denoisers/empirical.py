"""The exact denoiser of a finite set of points: what a network that memorises would answer.

For x_0 uniform over n points p_k, or over weighted points each blurred to N(p_k, width²), and
x_t = alpha x_0 + sigma eps, with v = alpha² width² + sigma² for each coordinate,

    (1)  E[x_0 | x_t] = sum_k r_k (p_k + alpha width²/v (x_t - alpha p_k)),
         r_k ∝ w_k N(x_t; alpha p_k, v)

(De Bortoli 2022; Karras et al. 2022, eq. 57, where width = 0.) With width = 0 it reproduces the
points themselves. Points along a curve, blurred by the curve's noise, make it the exact denoiser
of a noisy curve.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Prediction
from sfumato.errors import ArgumentError, DataError
from sfumato.process.noise import NoiseLevel

# Elements of each array made on the way, a few at a time: 32 MiB of float64 each.
_BLOCK = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class Empirical:
    """The set as a distribution, and its exact denoiser. Made by `empirical`.

    Args:
        points: `(n, *event)`, float64.
        log_weights: `(n,)`, of a distribution.
        width: deviation of each point's blur, shaped like one sample.
    """

    points: Float[Tensor, "n *event"]
    log_weights: Float[Tensor, " n"]
    width: Float[Tensor, "*event"]

    def __call__(self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel) -> Prediction:
        """Eq. (1); x_t `(batch, *event)`, level `()` or `(batch,)`; memory stays bounded.

        Raises:
            ArgumentError: if x_t has another shape than the points, or level and width are both 0.
        """
        means = torch.cat([x_t[:0], *(mean for mean, _, _ in self._posterior(x_t, level))])
        at = level.like(x_t.double())
        variance = (at.alpha * self.width) ** 2 + at.sigma**2
        gain = at.alpha * self.width**2 / variance
        x_0 = means + gain * (x_t.double() - at.alpha * means)
        return Prediction(x_0.to(x_t))

    def log_density(
        self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel
    ) -> Float[Tensor, " batch"]:
        """Log q(x_t) in nats, `(batch,)`."""
        parts = (top + total.log() for _, top, total in self._posterior(x_t, level))
        return torch.cat([x_t.new_empty(0), *parts])

    def _posterior(self, x_t: Tensor, level: NoiseLevel) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For blocks of rows: sum_k r_k p_k, and log q(x_t) in two parts, its top and the rest.

        The sum over points runs block by block with the largest exponent so far taken out.
        """
        if x_t.shape[1:] != self.points.shape[1:]:
            raise ArgumentError(
                f"the points are of shape {tuple(self.points.shape[1:])}; got rows of "
                f"{tuple(x_t.shape[1:])}."
            )
        if not bool((level.sigma > 0).all() or (self.width > 0).all()):
            raise ArgumentError(
                "at the clean level points without width have no density; give a width, or a level "
                "with noise."
            )
        flat, width = self.points.flatten(1), self.width.flatten()
        rows = max(1, min(len(x_t), _BLOCK // max(4096, flat.shape[1])))
        for start in range(0, len(x_t), rows):
            x = x_t[start : start + rows].double()
            at = (level[start : start + rows] if level.alpha.ndim else level).like(x.flatten(1))
            variance = ((at.alpha * width) ** 2 + at.sigma**2).expand(len(x), -1)
            slope, bend = at.alpha * x.flatten(1) / variance, at.alpha**2 / variance
            top = x.new_full((len(x), 1), -math.inf)
            total, mean = torch.zeros_like(top), torch.zeros_like(slope)
            for block, weight in self._blocks(flat, len(x)):
                exponent = slope @ block.T - bend @ (block.T**2) / 2 + weight
                higher = torch.maximum(top, exponent.amax(1, keepdim=True))
                part, carry = (exponent - higher).exp(), (top - higher).exp()
                total = total * carry + part.sum(1, keepdim=True)
                mean, top = mean * carry + part @ block, higher
            # What is the same for every point: |x|²/2v and the Gaussian's own constant.
            own = x.flatten(1) ** 2 / variance + variance.log() + math.log(2 * math.pi)
            yield (mean / total).reshape(x.shape), top[:, 0] - own.sum(1) / 2, total[:, 0]

    def _blocks(self, flat: Tensor, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        size = max(1, _BLOCK // max(rows, flat.shape[1]))
        return zip(flat.split(size), self.log_weights.split(size), strict=True)


def empirical(
    points: Tensor, *, weights: Tensor | None = None, width: Tensor | float = 0.0
) -> Empirical:
    """The uniform distribution over points, or a weighted and blurred one.

    Args:
        points: `(n, *event)`.
        weights: `(n,)`, positive; scaled to sum to one.
        width: deviation of the blur, one number or one for each coordinate.

    Raises:
        ArgumentError: if there is no point, the weights do not fit, or the width is negative.
        DataError: if a point is not finite.
    """
    points = points.double()
    if points.ndim < 2 or len(points) == 0:
        raise ArgumentError(
            f"an empirical set needs points (n, ...), n at least 1; got {tuple(points.shape)}."
        )
    if not bool(points.isfinite().all()):
        raise DataError("a point is NaN or infinite; drop or fill it.")
    weights = torch.ones(len(points)) if weights is None else weights
    if weights.shape != (len(points),) or not bool(((weights > 0) & weights.isfinite()).all()):
        raise ArgumentError(f"`weights` must be {len(points)} positive numbers, one for a point.")
    spread = torch.as_tensor(width, dtype=torch.float64).expand(points.shape[1:])
    if not bool((spread >= 0).all()):
        raise ArgumentError(f"`width` must not be negative; got {float(spread.min()):g}.")
    log_weights = weights.double().log()
    return Empirical(points, log_weights - log_weights.logsumexp(0), spread)
