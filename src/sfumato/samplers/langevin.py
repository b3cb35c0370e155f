"""Predictor and corrector: an ancestral step, then Langevin steps at the level it reached.

Song et al. (2021), algorithms 4 and 5. With the score (alpha x_0 - x)/sigma² of the noised data,

    x <- x + e score + sqrt(2 e) z,    e = 2 (snr sigma)²

Theirs is e = 2 (snr |z|/|score|)² with lengths averaged over the batch (and a factor 1 - beta for
the variance-preserving process). Here the lengths are sqrt(d) and sqrt(d)/sigma, those of the noise
and of the score given x_0: a choice, so that a sample does not depend on others. The steps keep
the level's distribution, up to a widening of at most snr²/(1 - snr²) of its variance.
"""

from dataclasses import dataclass

from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.kernels import posterior
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise


@dataclass(frozen=True, slots=True)
class PredictorCorrector:
    """Ancestral sampling (beta_tilde) with Langevin corrections; 1 + corrections calls a step.

    Song et al. (2021), algorithms 4 and 5, with a step of Langevin of 2 (snr sigma)², so that a
    sample does not depend on others.

    Args:
        corrections: Langevin steps at each level.
        snr: their size beside the noise.

    Raises:
        ArgumentError: if there is no correction, or snr is outside 0 to 1.
    """

    corrections: int = 1
    snr: float = 0.16

    def __post_init__(self) -> None:
        if self.corrections < 1:
            raise ArgumentError(f"`corrections` must be at least 1; got {self.corrections}.")
        if not 0 < self.snr < 1:
            raise ArgumentError(f"`snr` must lie between 0 and 1; got {self.snr}.")

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
        """One predictor step and its corrections; none where s is clean."""
        prediction = denoise(x_t, t)
        reverse = posterior(x_t, prediction.x_0, t, s)
        if float(s.sigma) == 0:
            return reverse.mean, prediction, state
        x = reverse.draw(noise(x_t))
        alpha, sigma = spread(s.alpha, x), spread(s.sigma, x)
        size = 2 * (self.snr * sigma) ** 2
        for _ in range(self.corrections):
            score = (alpha * denoise(x, s).x_0 - x) / sigma**2
            x = x + size * score + (2 * size).sqrt() * noise(x)
        return x, prediction, state
