"""DPM-Solver++(2S): second order without memory of earlier steps.

Lu et al. (2022b), algorithm 1. Two neighbouring steps of the grid make one step of the method:
the first goes to the middle level by DDIM, the second starts again from where the pair began,
with both predictions: with h from begin to s and r = (lambda_middle - lambda_begin)/h,

    I = (1 - e^(-h)) (x_0(begin) + (x_0(middle) - x_0(begin)) / (2 r))

So only levels of the grid are visited, one network call each, and a network that knows no others
can be sampled from.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import Noise
from sfumato.samplers.exponential import exponential_step, log_ratio

Begin = tuple[Tensor, NoiseLevel, Tensor] | None
"""Where the pair began: x, its level, its predicted x_0."""


@dataclass(frozen=True, slots=True)
class DPMSolverSinglestep:
    """DPM-Solver++(2S), of order two: two steps of the grid, a network call each, make one.

    Lu et al. (2022b), algorithm 1.
    """

    def start(self) -> Begin:
        """The next step is the first of a pair."""
        return None

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: Begin,
        noise: Noise,
    ) -> tuple[Tensor, Prediction, Begin]:
        """Half of a pair; a step to the clean level, or from no signal, is DDIM's and ends it."""
        prediction = denoise(x_t, t)
        x_0, step = prediction.x_0, log_ratio(s) - log_ratio(t)
        if state is None or math.isinf(step):
            x_s = exponential_step(x_t, -math.expm1(-step) * x_0, t, s, noise)
            return x_s, prediction, None if math.isinf(step) else (x_t, t, x_0)
        x_begin, begin, x_0_begin = state
        h = log_ratio(s) - log_ratio(begin)
        r = (log_ratio(t) - log_ratio(begin)) / h
        integral = -math.expm1(-h) * (x_0_begin + (x_0 - x_0_begin) / (2 * r))
        return exponential_step(x_begin, integral, begin, s, noise), prediction, None
