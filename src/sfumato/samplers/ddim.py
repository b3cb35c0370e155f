"""DDIM: keep the predicted noise, or part of it, on the way to the next level.

Song, Meng & Ermon (2021), eq. 12 and 16, between any two levels:

    x_s = alpha_s x_0 + sqrt(sigma_s² - tau²) eps + tau z,   tau = eta sqrt(beta_tilde)

with eps = (x_t - alpha_t x_0)/sigma_t. eta = 0 is deterministic and of first order in the
step; eta = 1 is ancestral sampling with variance beta_tilde.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.kernels import posterior_variance
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise


@dataclass(frozen=True, slots=True)
class DDIM:
    """The sampler that may leave out steps, and noise.

    Args:
        eta: share of the posterior's standard deviation that is drawn afresh, 0 to 1.

    Raises:
        ArgumentError: if eta is outside 0 to 1.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ArgumentError(f"`eta` must lie between 0 and 1; got {self.eta}.")

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
        """Eq. 12."""
        prediction = denoise(x_t, t)
        now = t.like(x_t)
        eps = (x_t - now.alpha * prediction.x_0) / now.sigma
        fresh = self.eta**2 * posterior_variance(t, s)
        kept = (s.sigma**2 - fresh).clamp(min=0).sqrt()
        x_s = spread(s.alpha, x_t) * prediction.x_0 + spread(kept, x_t) * eps
        if float(fresh) > 0:
            x_s = x_s + spread(fresh.sqrt(), x_t) * noise(x_t)
        return x_s, prediction, state
