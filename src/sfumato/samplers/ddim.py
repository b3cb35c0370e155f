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
    """DDIM: on any of the levels, with all of the ancestral noise, some, or none.

    Song, Meng & Ermon (2021), eq. 12 and 16, between any two levels: (4-4).

    Args:
        eta: share of the posterior's standard deviation that is drawn afresh, 0 to 1.
        unclipped_eps: where x_0 is clipped, take eps from x_0 as it was before, as diffusers does;
            not the eps that makes x_t of the clipped x_0.
        final_alpha_bar: where the last step ends: alpha² of the level, 1 for the clean one. (The
            noise that is left, if any, is kept in the samples.)

    Raises:
        ArgumentError: if eta or final_alpha_bar is outside 0 to 1.
    """

    eta: float = 0.0
    unclipped_eps: bool = False
    final_alpha_bar: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ArgumentError(f"`eta` must lie between 0 and 1; got {self.eta}.")
        if not 0 < self.final_alpha_bar <= 1:
            raise ArgumentError(
                f"`final_alpha_bar` must be above 0 and at most 1; got {self.final_alpha_bar}."
            )

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
        """From t to s by (4-4)."""
        if float(s.sigma) == 0 and self.final_alpha_bar < 1:
            alpha_bar = s.alpha.new_tensor(self.final_alpha_bar)
            s = NoiseLevel(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())
        prediction = denoise(x_t, t)
        now = t.like(x_t)
        of_eps = prediction.x_0
        if self.unclipped_eps and prediction.unclipped is not None:
            of_eps = prediction.unclipped
        eps = (x_t - now.alpha * of_eps) / now.sigma
        fresh = self.eta**2 * posterior_variance(t, s)
        kept = (s.sigma**2 - fresh).clamp(min=0).sqrt()
        x_s = spread(s.alpha, x_t) * prediction.x_0 + spread(kept, x_t) * eps
        if float(fresh) > 0:
            x_s = x_s + spread(fresh.sqrt(), x_t) * noise(x_t)
        return x_s, prediction, state
