"""Ancestral sampling: draw x_s from q(x_s | x_t, x_0) with the predicted x_0 (DDPM, algorithm 2).

The mean is the posterior's (2-17); the variance is that of the reverse step's two bounds
(Ho et al. 2020, section 3.2): `beta_tilde`, the posterior's own, or `beta`, the forward
step's; or, `learned`, the denoiser's own place between them (Nichol & Dhariwal 2021, eq. 15).
For levels that are not neighbours the bounds are those of q between the two levels.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError, unknown
from sfumato.process.kernels import learned_variance, posterior, transition_variance
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise

VARIANCES = ("beta", "beta_tilde", "learned")


@dataclass(frozen=True, slots=True)
class Ancestral:
    """DDPM's ancestral sampling: a draw of the posterior from each level to the next.

    Ho, Jain & Abbeel (2020), algorithm 2, with one of the two variances of their section 3.2, or
    the learned one of Nichol & Dhariwal (2021), eq. 15.

    Args:
        variance: `beta_tilde`, `beta` or `learned`.
        last_step_noise: add noise in the step to the clean level too. A fault of many small
            scripts, kept to show what it costs: with `beta` (or `learned`, which is beta there) it
            blurs the result by sqrt(beta_1).

    Raises:
        ArgumentError: if the variance is none of them.
    """

    variance: str = "beta_tilde"
    last_step_noise: bool = False

    def __post_init__(self) -> None:
        if self.variance not in VARIANCES:
            raise unknown("variance", self.variance, VARIANCES)

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
        """One draw from the reverse chain (2-7).

        Raises:
            ArgumentError: if the variance is to be the learned one and the denoiser has none.
        """
        prediction = denoise(x_t, t)
        reverse = posterior(x_t, prediction.x_0, t, s)
        if float(s.sigma) == 0 and not self.last_step_noise:
            return reverse.mean, prediction, state
        std = reverse.std
        if self.variance == "beta":
            std = spread(transition_variance(t, s).sqrt(), x_t)
        elif self.variance == "learned":
            if prediction.var_fraction is None:
                raise ArgumentError(
                    "this denoiser learned no variance (its `var_fraction` is None); take "
                    "variance 'beta_tilde' or 'beta', or train one that does."
                )
            std = learned_variance(t, s, prediction.var_fraction).sqrt()
        return reverse.mean + std * noise(x_t), prediction, state
