"""Few calls of a map to the flow's end: jump to the clean level, add noise, jump again.

    x_s = alpha_s f(x_t, t) + sigma_s z,   z ~ N(0, I)

f(x_t, t) is where the probability flow through x_t ends (`models.few`). If f is exact, each x_s has
exactly the distribution of the process at s; what an inexact jump puts in the wrong place, the new
noise covers, and the next jump begins nearer: Song et al. (2023), algorithm 1.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import Noise


@dataclass(frozen=True, slots=True)
class Renoising:
    """The sampler of a few-step map, whose prediction is no mean but a sample."""

    def start(self) -> None:
        """Nothing is remembered."""

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: None,
        noise: Noise,
    ) -> tuple[Tensor, Prediction, None]:
        """One jump, and noise up to level s; none at the clean level."""
        end = denoise(x_t, t)
        if float(s.sigma) == 0:
            return s.like(x_t).alpha * end.x_0, end, state
        return noised(end.x_0, s).draw(noise(x_t)), end, state
