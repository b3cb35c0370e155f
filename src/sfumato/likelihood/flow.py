"""The model's density at a point: a flow carries the point to noise, whose density is known.

With E[x_0 | x_t] from the denoiser, s = sigma/alpha, alpha² + sigma² = 1 and d coordinates,

    (1)  dx_t/dlog s = alpha (alpha x_t - E[x_0 | x_t])
    (2)  log p(x_0) = d log alpha(s_min) + log N(x_t at s_max; 0, I)
                      + integral over log s from s_min to s_max of the divergence of (1)
    (3)  tr(J) = E[v^T J v],  each coordinate of v +1 or -1

(1) is Karras et al. (2022), eq. 1 with eq. 3, dy/dlog s = y - E[x_0 | x_t] for y = x_t/alpha,
written for x_t, which stays where it is if the data are N(0, I). (2) is Song et al. (2021), eq. 39;
(3) Hutchinson (1990). Any other pair (alpha, sigma) of the same s gives the same density, since a
denoiser sees the same sample at another scale.

(1) has no beginning in log s at s = 0. It starts at the least noise with x_t = alpha x_0, so (2) is
the density of the data blurred by N(0, s_min²): the clean one wherever that varies little over
s_min. At the other end N(0, I) stands for x_t, as it does when samples are drawn; data of another
mean or variance are off there by about mean/s_max nats per coordinate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError, DataError
from sfumato.process.gaussian import Gaussian
from sfumato.process.noise import NoiseLevel

# Bounds the memory of one backward pass; smaller costs time, larger wins none.
_ROWS_AT_ONCE = 2048

Integrator = Callable[["Flow", Tensor, list[float]], tuple[Tensor, Tensor, int]]
"""(flow, points, rising times): the points at the last time, the divergence integrated on the way
there, and how often the flow was asked."""

Probes = Callable[[Tensor], Tensor]
"""Directions v for points `(batch, d)`: `(k, batch, d)`, independent, with E[v v^T] = I."""


@runtime_checkable
class Traced(Protocol):
    """A denoiser that works out the trace of its derivative for less than d backward passes."""

    def with_trace(
        self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel
    ) -> tuple[Prediction, Float[Tensor, " batch"]]:
        """The prediction at one level, and the trace of the derivative of its x_0 by x_t."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LogProb:
    """Log densities.

    Args:
        nats: log p(x_0) of each row, `(batch,)`, float64.
        standard_error: of each row's nats, from the spread of its probes; None where there were
            fewer than two, as with the exact divergence.
        num_calls: how often the denoiser was asked about the whole batch, derivatives included.
    """

    nats: Float[Tensor, " batch"]
    standard_error: Float[Tensor, " batch"] | None
    num_calls: int

    def __len__(self) -> int:
        """How many rows."""
        return len(self.nats)


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """The field (1) of flat rows, at a time log s.

    Args:
        denoise: see `log_prob`.
        event: the shape of a sample.
        directions: v of (3), or the axes, `(k, batch, d)`.
        exact: whether they are the axes.
    """

    denoise: Denoiser
    event: torch.Size
    directions: Float[Tensor, "k batch d"]
    exact: bool

    @property
    def columns(self) -> int:
        """How many numbers tell the divergence of a row: one, or an estimate for each direction."""
        return 1 if self.exact else len(self.directions)

    def velocity(self, time: float, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
        """Eq. (1)."""
        level = _level(time)
        alpha = float(level.alpha)
        return alpha * (alpha * x - self._estimate(level, x))

    def with_divergence(
        self, time: float, x: Float[Tensor, "batch d"]
    ) -> tuple[Float[Tensor, "batch d"], Float[Tensor, "batch columns"]]:
        """Eq. (1) and its divergence."""
        level = _level(time)
        alpha, d = float(level.alpha), x.shape[1]
        if self.exact and isinstance(self.denoise, Traced):
            answer, trace = self.denoise.with_trace(x.reshape(-1, *self.event), level)
            clean = self._checked(answer, x, level)
            return alpha * (alpha * x - clean), alpha * (alpha * d - trace[:, None])
        velocities, divergences = [], []
        for part, directions in zip(
            x.split(_ROWS_AT_ONCE), self.directions.split(_ROWS_AT_ONCE, dim=1), strict=True
        ):
            with torch.enable_grad():
                part = part.detach().requires_grad_()
                clean = self._estimate(level, part)
            # Rows are independent, so that one backward pass serves one direction of each.
            products = torch.stack([(_pulled(clean, part, u) * u).sum(1) for u in directions], 1)
            trace = products.sum(1, keepdim=True) if self.exact else products
            velocities.append(alpha * (alpha * part - clean).detach())
            divergences.append(alpha * (alpha * d - trace))
        return torch.cat(velocities), torch.cat(divergences)

    def _estimate(self, level: NoiseLevel, x: Tensor) -> Tensor:
        """E[x_0 | x_t]."""
        return self._checked(self.denoise(x.reshape(-1, *self.event), level), x, level)

    def _checked(self, prediction: Prediction, x: Tensor, level: NoiseLevel) -> Tensor:
        """The flat answer about x."""
        answer, shape = prediction.x_0, (len(x), *self.event)
        if answer.shape != shape:
            raise ArgumentError(
                f"the denoiser answers {shape} with {tuple(answer.shape)}; "
                "give it points of its own dimension."
            )
        if not bool(answer.isfinite().all()):
            raise ArgumentError(
                f"the denoiser answers NaN or infinity at sigma/alpha = "
                f"{float(level.sigma_ve):.4g}; its weights may have diverged in training."
            )
        return answer.flatten(1)


def rk4(flow: Flow, x: Tensor, times: list[float]) -> tuple[Tensor, Tensor, int]:
    """Kutta's 3/8 rule, of fourth order, one step from each time to the next.

    The divergence, dearer than the flow itself, is asked at the times alone. The integral is that
    of a cubic spline through its values as a function of the step's number, of fourth order too on
    times that are even after a smooth map, as `process.grids.unit_log_snr`.

    Rows know nothing of each other: each gets what it would get alone.
    """
    from scipy.interpolate import CubicSpline

    number = np.arange(len(times))
    weights = CubicSpline(number, np.eye(len(times))).integrate(0, len(times) - 1)
    weights = (weights * CubicSpline(number, times)(number, 1)).tolist()
    k1, divergence = flow.with_divergence(times[0], x)
    growth = weights[0] * divergence
    for (now, then), weight in zip(pairwise(times), weights[1:], strict=True):
        h = then - now
        k2 = flow.velocity(now + h / 3, x + h / 3 * k1)
        k3 = flow.velocity(now + 2 * h / 3, x + h * (k2 - k1 / 3))
        k4 = flow.velocity(then, x + h * (k1 - k2 + k3))
        x = x + h / 8 * (k1 + 3 * (k2 + k3) + k4)
        k1, divergence = flow.with_divergence(then, x)
        growth = growth + weight * divergence
    return x, growth, 4 * (len(times) - 1) + 1


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Steps as long as the tolerance allows: Dormand & Prince's method of order 8 (scipy).

    All rows take the same steps, chosen by the root mean square of their errors: a row's value
    depends, within the tolerance, on the rows beside it.

    Args:
        rtol: error allowed in a step, relative to a number of the state.
        atol: the same, absolute.

    Raises:
        ArgumentError: if a tolerance is out of its range.
    """

    rtol: float = 1e-5
    atol: float = 1e-5

    def __post_init__(self) -> None:
        if not (1e-13 <= self.rtol < 1 and self.atol > 0):
            raise ArgumentError(
                f"`rtol` must lie between 1e-13 and 1 and `atol` above 0; got {self.rtol:.3g} and "
                f"{self.atol:.3g}."
            )

    def __call__(self, flow: Flow, x: Tensor, times: list[float]) -> tuple[Tensor, Tensor, int]:
        """From the first time to the last; those between are not visited.

        Raises:
            ArgumentError: if the tolerance cannot be reached.
        """
        from scipy.integrate import DOP853

        rows, d = x.shape

        def state(values: Any) -> Tensor:
            return torch.from_numpy(values).to(x).view(rows, d + flow.columns)

        def flat(tensor: Tensor) -> Any:
            return tensor.flatten().cpu().numpy()

        solver = DOP853(
            lambda time, values: flat(
                torch.cat(flow.with_divergence(time, state(values)[:, :d]), dim=1)
            ),
            times[0],
            flat(torch.cat([x, x.new_zeros(rows, flow.columns)], dim=1)),
            times[-1],
            rtol=self.rtol,
            atol=self.atol,
        )
        while solver.status == "running":
            solver.step()
        if solver.status == "failed":
            raise ArgumentError(
                f"the flow cannot be followed to rtol={self.rtol:.3g}, atol={self.atol:.3g} beyond "
                f"sigma/alpha = {math.exp(solver.t):.4g}; allow more, or take fixed steps (rk4)."
            )
        found = state(solver.y)
        return found[:, :d], found[:, d:], solver.nfev


def rademacher(count: int, source: torch.Generator) -> Probes:
    """Hutchinson's probes, eq. (3): each coordinate +1 or -1.

    Args:
        count: directions per row; their backward passes take the place of the exact divergence's d.
        source: drawn from on the CPU, row after row of each direction.

    Raises:
        ArgumentError: if there is none.
    """
    if count < 1:
        raise ArgumentError(f"`count` must be at least 1; got {count}.")

    def draw(y: Tensor) -> Tensor:
        signs = torch.randint(0, 2, (count, *y.shape), generator=source)
        return (2 * signs - 1).to(y)

    return draw


def _times(levels: NoiseLevel) -> list[float]:
    """Log(sigma/alpha) of the noisy levels, least noise first."""
    falling = levels.sigma_ve[levels.sigma > 0].double()
    if len(falling) < 2 or not bool((falling.diff() < 0).all() and falling.isfinite().all()):
        raise ArgumentError(
            "the flow needs two or more noisy levels, the noise finite and falling; got "
            f"sigma/alpha {', '.join(f'{s:.4g}' for s in falling.tolist()[:3])}, ..."
        )
    return falling.log().flip(0).tolist()


def _pulled(answer: Tensor, x: Tensor, u: Tensor) -> Tensor:
    """u^T J of an answer about x: less work than `torch.func.vjp`, and the same numbers."""
    if not answer.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(
        answer, x, u, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]


def _level(time: float) -> NoiseLevel:
    return NoiseLevel.from_log_snr(torch.tensor(-2 * time, dtype=torch.float64))


@torch.no_grad()
def log_prob(
    denoise: Denoiser,
    x_0: Shaped[Tensor, "batch *event"],
    levels: NoiseLevel,
    *,
    probes: Probes | None = None,
    integrate: Integrator = rk4,
) -> LogProb:
    """The log density of each row by the probability flow, in nats.

    (4-6), in float64 whatever the denoiser computes in. Song et al. (2021), eq. 39.

    Args:
        denoise: the denoiser, asked at levels between the given ones too; rows must not depend
            on each other in it.
        x_0: points, `(batch, *event)`.
        levels: noise falling, see `process.grids`; a clean last one is left out. They are where
            the fixed steps begin and end, best by `unit_log_snr` there (on a mixture under the
            default cosine schedule 20 of them err by less than 1e-3 nats, 40 by less than 1e-4);
            an adaptive method takes only the two ends.
        probes: None for the exact divergence, d backward passes a call unless the denoiser is
            `Traced`; `rademacher(k, ...)` for Hutchinson's estimate, k passes, with directions kept
            along the path (Grathwohl et al. 2019).
        integrate: `rk4` or `Adaptive(...)`.

    Raises:
        ArgumentError: if the levels are fewer than two, do not fall or have no signal, if the
            denoiser's answer is not shaped like x_0 or not finite, or a tolerance cannot be
            reached.
        DataError: if x_0 is not of floating point or not finite.
    """
    times = _times(levels)
    if not x_0.is_floating_point():
        raise DataError(f"densities need numbers of floating point; got {x_0.dtype}. Convert them.")
    start = x_0.double().flatten(1)
    unusable = (~start.isfinite().all(1)).nonzero().flatten().tolist()
    if unusable:
        raise DataError(
            f"{len(unusable)} of {len(start)} rows have NaN or infinite values, the first being "
            f"row {unusable[0]}; they have no density. Leave them out."
        )
    batch, d = len(start), start.shape[1]
    vectors = torch.eye(d).to(start).unsqueeze(1) if probes is None else probes(start)
    vectors = vectors.expand(len(vectors), batch, d)

    log_alpha = _level(times[0]).alpha.log().to(start)
    flow = Flow(denoise, x_0.shape[1:], vectors, probes is None)
    end, growth, num_calls = integrate(flow, log_alpha.exp() * start, times)
    prior = Gaussian(torch.zeros_like(end), torch.ones_like(end))
    return LogProb(
        nats=d * log_alpha + prior.log_density(end).sum(1) + growth.mean(1),
        standard_error=growth.std(1) / math.sqrt(flow.columns) if flow.columns > 1 else None,
        num_calls=num_calls,
    )
