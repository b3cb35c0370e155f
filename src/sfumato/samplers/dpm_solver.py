"""DPM-Solver++, multistep: a polynomial through the last predictions, one network call a step.

Lu et al. (2022b), algorithm 2, for the second order and the SDE form; the step is eq. (1) of
`exponential`. With r = (lambda_t - lambda_before)/h,

    order 2   I = (1 - e^(-ch)) (x_0 + (x_0 - x_0 before) / (2 r))
    order 3   I = the exact integral of the parabola through the last three predictions

The last step, to the clean level, is infinite in lambda: there x_0 itself is the answer.
Order 1 is DDIM, and so is the first step, having one prediction: an error of h². From pure noise,
where x_0 hardly changes, it is tiny; from half-way down it would hold order 3 to order 2. There,
without noise, the next step's call also corrects the first step, as UniPC's does: to the exact
integral of the line through both predictions, which leaves an error of h³,

    (1)  x_s <- x_s + alpha_s (1 - (1 - e^(-h))/h) (x_0 next - x_0)
"""

import math
from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise
from sfumato.samplers.exponential import exponential_step, interpolating_weights, log_ratio

Past = tuple[tuple[float, Tensor], ...]
"""Earlier predictions, newest first: lambda and x_0."""


@dataclass(frozen=True, slots=True)
class DPMSolver:
    """The multistep solver.

    Args:
        order: 2 or 3.
        eta: 0 for the probability flow, 1 for the reverse SDE; the more above it, the more of a
            Langevin walk at each level comes on top, which mends what the network gets wrong.
        noise_below: the largest sigma/alpha at which noise is drawn. From more noise the flow is
            followed: nothing is there to mend yet, and long noisy steps cost accuracy (the interval
            of Karras et al. 2022, algorithm 2).

    Raises:
        ArgumentError: if the order is neither, eta is negative or not finite, or the largest
            sigma/alpha is not above 0.
    """

    order: int = 2
    eta: float = 0.0
    noise_below: float = math.inf

    def __post_init__(self) -> None:
        if self.order not in (2, 3):
            raise ArgumentError(f"`order` must be 2 or 3; got {self.order}.")
        if not 0 <= self.eta < math.inf:
            raise ArgumentError(f"`eta` must be a finite number, 0 or more; got {self.eta}.")
        if not self.noise_below > 0:
            raise ArgumentError(f"`noise_below` must be above 0; got {self.noise_below}.")

    def start(self) -> Past:
        """No predictions yet."""
        return ()

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: Past,
        noise: Noise,
    ) -> tuple[Tensor, Prediction, Past]:
        """Algorithm 2; the first steps are of lower order, having fewer predictions."""
        prediction = denoise(x_t, t)
        now = log_ratio(t)
        h = log_ratio(s) - now
        eta = self.eta if float(t.sigma_ve) <= self.noise_below else 0.0
        if self.order == 3 and eta == 0 and len(state) == 1:
            x_t = _corrected(x_t, t, (now, prediction.x_0), state[0])
        known = ((now, prediction.x_0), *state)[: self.order]
        integral = _integral(known, h, 1 + eta)
        x_s = exponential_step(x_t, integral, t, s, noise, eta)
        # Where no signal is left lambda is infinite, and no polynomial passes through it.
        kept = known[: self.order - 1] if math.isfinite(now) else ()
        return x_s, prediction, kept


def _integral(known: Past, h: float, c: float) -> Tensor:
    """Eq. (2) of `exponential`, of the polynomial through what is known; c = 1 + eta."""
    (now, x_0), *before = known
    if math.isinf(h) or not before:
        return -math.expm1(-c * h) * x_0
    if len(before) == 1:
        r = (now - before[0][0]) / h
        return -math.expm1(-c * h) * (x_0 + (x_0 - before[0][1]) / (2 * r))
    weights = interpolating_weights(tuple(node - now for node, _ in known), h, c)
    return sum((w * each for w, (_, each) in zip(weights, known, strict=True)), 0 * x_0)


def _corrected(
    x_s: Tensor, s: NoiseLevel, after: tuple[float, Tensor], first: tuple[float, Tensor]
) -> Tensor:
    """Eq. (1): where the first step ends, now that the prediction there is known."""
    h = after[0] - first[0]
    return x_s + spread(s.alpha, x_s) * (1 + math.expm1(-h) / h) * (after[1] - first[1])


def dpm_solver_2m() -> DPMSolver:
    """Second order, deterministic: Lu et al. (2022b), algorithm 2."""
    return DPMSolver(2)


def dpm_solver_3m() -> DPMSolver:
    """Third order, deterministic; also where a walk starts half-way."""
    return DPMSolver(3)


def dpm_solver_2m_sde(eta: float = 1.0, noise_below: float = math.inf) -> DPMSolver:
    """The second-order step of the reverse SDE."""
    return DPMSolver(2, eta, noise_below)


def dpm_solver_3m_sde(eta: float = 1.0, noise_below: float = math.inf) -> DPMSolver:
    """The third-order step of the reverse SDE."""
    return DPMSolver(3, eta, noise_below)
