"""Filling in what is missing: any sampling method, with what is known put back at every level.

    (1)  known parts    x_s = alpha_s x_0 + sigma_s eps        q(x_s | x_0) itself
         others         x_s of the method's own step
    (2)  after a step, back again by q(x_t | x_s) and the step once more, a few times

One pass of (1) alone gives parts that fit at each level's noise but not to each other; (2), the
resampling of Lugmayr et al. (2022), algorithm 1, lets the two settle. At the clean level what is
known is x_0 exactly.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.kernels import noised, transition
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import Noise
from sfumato.samplers.driver import Stepper

S = TypeVar("S")


@dataclass(frozen=True, slots=True, eq=False)
class Inpainting(Generic[S]):
    """Fills in what is not known: another method's steps, the known part put back at every level.

    Replacement (G-6), and with `times` above 1 the resampling of RePaint: Lugmayr et al. (2022),
    algorithm 1.

    Args:
        stepper: the method.
        x_0: clean samples, `(batch, *event)`; what they hold where nothing is known is not used.
        known: where they are known, shaped like x_0.
        times: how often each step is taken; 1 is replacement alone.

    Raises:
        ArgumentError: if `times` is not positive.
    """

    stepper: Stepper[S]
    x_0: Float[Tensor, "batch *event"]
    known: Bool[Tensor, "batch *event"]
    times: int = 5

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ArgumentError(f"`times` must be at least 1; got {self.times}.")

    def start(self) -> S:
        """The method's own state."""
        return self.stepper.start()

    def step(
        self, denoise: Denoiser, x_t: Tensor, t: NoiseLevel, s: NoiseLevel, state: S, noise: Noise
    ) -> tuple[Tensor, Prediction, S]:
        """The method's step, and what is known put back (G-6); `times` times, each again from t.

        Going back, a method forgets what came before.
        """
        for left in reversed(range(self.times)):
            x_s, prediction, after = self.stepper.step(denoise, x_t, t, s, state, noise)
            held = self.x_0 if float(s.sigma) == 0 else noised(self.x_0, s).draw(noise(x_s))
            x_s = torch.where(self.known, held.to(x_s), x_s)
            if left:
                x_t, state = transition(x_s, t, s).draw(noise(x_s)), self.stepper.start()
        return x_s, prediction, after
