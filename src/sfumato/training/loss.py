"""What is minimised: the weighted squared error of the predicted clean sample.

    (1)  L(x_0, eps) = w(level) |x_0 - denoise(alpha x_0 + sigma eps, level)|²

Every target's own mean squared error is this with w = 1/c_out²; for eps that is DDPM's
L_simple (Ho et al. 2020, eq. 14), and w is the signal-to-noise ratio.
"""

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.parameters import Parameterisation

Weighting = Callable[[NoiseLevel], Tensor]
"""Weight of each level in eq. (1)."""


def simple(parameterisation: Parameterisation) -> Weighting:
    """Every level counts the same in what the network predicts: w = 1/c_out²."""
    return lambda level: parameterisation(level).c_out ** -2


def snr(_: Parameterisation) -> Weighting:
    """Every level counts the same in eps, whatever the network predicts: w = alpha²/sigma²."""
    return lambda level: level.snr


WEIGHTINGS: Mapping[str, Callable[[Parameterisation], Weighting]] = {"simple": simple, "snr": snr}


def loss(
    denoise: Denoiser,
    x_0: Float[Tensor, "batch *event"],
    level: NoiseLevel,
    eps: Float[Tensor, "batch *event"],
    weight: Weighting,
) -> Float[Tensor, " batch"]:
    """Eq. (1) for each sample, averaged over its elements: `(batch,)`.

    Args:
        denoise: the denoiser under training.
        x_0: clean samples, `(batch, *event)`.
        level: one level each, `(batch,)`.
        eps: standard normal noise, shaped like x_0.
        weight: weight of each level.
    """
    x_t = noised(x_0, level).draw(eps)
    error = (denoise(x_t, level).x_0 - x_0).square().flatten(1).mean(1)
    return spread(weight(level), error) * error
