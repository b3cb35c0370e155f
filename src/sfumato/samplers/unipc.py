"""UniPC: predict the next level from past predictions, correct it once its own is known.

Zhao et al. (2023), algorithms 1 and 2 with B(h) = e^-h - 1 (bh2, data prediction). The network
call that the predictor makes at a level also serves the corrector, so that a step costs one
call and the order rises by one. The step is eq. (1) of `exponential`; I is the exact integral
of the polynomial through the predictions, with the paper's own choice of 1/2 where a single
difference is known:

    predictor, one difference    I = (1 - e^(-h)) (x_0 + (x_0 - x_0 before) / (2 r))
    corrector, one difference    I = (1 - e^(-h)) (x_0 + x_0 next) / 2
"""

import math
from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import Noise
from sfumato.samplers.exponential import exponential_step, interpolating_weights, log_ratio

Known = tuple[tuple[float, Tensor], ...]
"""Predictions, newest first: lambda and x_0."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The step before: where it began, its level, and predictions, newest first."""

    x: Tensor
    level: NoiseLevel
    known: Known


@dataclass(frozen=True, slots=True)
class UniPC:
    """UniPC: a predictor, and a corrector from the same network call.

    Zhao et al. (2023), algorithms 1 and 2, of predictions of x_0, with B(h) = e^-h - 1 (bh2).

    Args:
        order: of the predictor, 1 or 2; with the corrector the method's is one more.

    Raises:
        ArgumentError: if the order is another.
    """

    order: int = 2

    def __post_init__(self) -> None:
        if self.order not in (1, 2):
            raise ArgumentError(f"`order` must be 1 or 2; got {self.order}.")

    def start(self) -> Past | None:
        """Nothing to correct yet."""
        return None

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: Past | None,
        noise: Noise,
    ) -> tuple[Tensor, Prediction, Past | None]:
        """Correct x_t with the prediction made at it, then predict x_s."""
        prediction = denoise(x_t, t)
        now = log_ratio(t)
        h = log_ratio(s) - now
        known: Known = ((now, prediction.x_0),)
        if state is not None:
            integral = _corrected(prediction.x_0, state.known, now - state.known[0][0])
            x_t = exponential_step(state.x, integral, state.level, t, noise)
            known += state.known
        x_s = exponential_step(x_t, _predicted(known[: self.order], h), t, s, noise)
        if math.isinf(now):
            return x_s, prediction, None
        return x_s, prediction, Past(x_t, t, known[: self.order])


def _predicted(known: Known, h: float) -> Tensor:
    (now, x_0), *before = known
    if math.isinf(h) or not before:
        return -math.expm1(-h) * x_0
    r = (now - before[0][0]) / h
    return -math.expm1(-h) * (x_0 + (x_0 - before[0][1]) / (2 * r))


def _corrected(after: Tensor, known: Known, h: float) -> Tensor:
    if len(known) == 1:
        return -math.expm1(-h) * (known[0][1] + after) / 2
    nodes = (h, *(node - known[0][0] for node, _ in known))
    weights = interpolating_weights(nodes, h)
    values = [after, *(x_0 for _, x_0 in known)]
    return sum((w * each for w, each in zip(weights, values, strict=True)), 0 * after)
