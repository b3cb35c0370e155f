"""Holding the predicted x_0 inside a range, for data that are known to lie in it.

Off unless asked for: it is a lie about data that leave the range, standardised points among
them. It wraps any denoiser, so that every sampler sees the same held prediction.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel, spread


@dataclass(frozen=True, slots=True)
class Clipped:
    """Static clipping, or dynamic thresholding where a quantile is given.

    Args:
        denoise: the denoiser.
        limit: x_0 is clipped to [-limit, limit], in the model's units.
        quantile: dynamic thresholding (Saharia et al. 2022, section 2.3): where this quantile
            of a sample's |x_0| is above the limit, the sample is clipped there and scaled down
            to the limit, instead of being clipped at the limit.

    Raises:
        ArgumentError: if the limit is not positive or the quantile not between 0 and 1.
    """

    denoise: Denoiser
    limit: float
    quantile: float | None = None

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ArgumentError(f"`limit` must be above 0; got {self.limit}.")
        if self.quantile is not None and not 0 < self.quantile <= 1:
            raise ArgumentError(f"`quantile` must lie between 0 and 1; got {self.quantile}.")

    def __call__(self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel) -> Prediction:
        """The prediction, held."""
        prediction = self.denoise(x_t, level)
        x_0 = prediction.x_0
        if self.quantile is None:
            return replace(prediction, x_0=x_0.clamp(-self.limit, self.limit), unclipped=x_0)
        threshold = x_0.abs().flatten(1).quantile(self.quantile, dim=1).clamp(min=self.limit)
        ratio = spread(threshold / self.limit, x_0)
        held = (x_0 / ratio).clamp(-self.limit, self.limit)
        return replace(prediction, x_0=held, unclipped=x_0)
