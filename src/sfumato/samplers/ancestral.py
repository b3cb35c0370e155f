"""Ancestral sampling: draw x_s from q(x_s | x_t, x_0) with the predicted x_0 (DDPM, algorithm 2).

The mean is the posterior's (2-17); the variance is that of the reverse step's two bounds
(Ho et al. 2020, section 3.2): `beta_tilde`, the posterior's own, or `beta`, the forward
step's. For levels that are not neighbours both are those of q between the two levels.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import unknown
from sfumato.process.kernels import posterior, transition_variance
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.random import Noise


@dataclass(frozen=True, slots=True)
class Ancestral:
    """DDPM's sampler.

    Args:
        variance: `beta_tilde` or `beta`.
        last_step_noise: add noise in the step to the clean level too. A fault of many small
            scripts, kept to show what it costs: with `beta` it blurs the result by sqrt(beta_1).

    Raises:
        ArgumentError: if the variance is neither.
    """

    variance: str = "beta_tilde"
    last_step_noise: bool = False

    def __post_init__(self) -> None:
        if self.variance not in ("beta", "beta_tilde"):
            raise unknown("variance", self.variance, ("beta", "beta_tilde"))

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
        """One draw from the reverse chain, eq. (2-7)."""
        prediction = denoise(x_t, t)
        reverse = posterior(x_t, prediction.x_0, t, s)
        if float(s.sigma) == 0 and not self.last_step_noise:
            return reverse.mean, prediction, state
        std = reverse.std
        if self.variance == "beta":
            std = spread(transition_variance(t, s).sqrt(), x_t)
        return reverse.mean + std * noise(x_t), prediction, state
