"""A denoiser's squared error at each noise level, and what it costs beside the least possible.

    (1)  D(level) = E |x_0 - denoise(x_t, level)|²,  least for denoise = E[x_0 | x_t]
    (2)  D - D_least = E |denoise(x_t) - E[x_0 | x_t]|²,  the regret
    (3)  nats = 1/2 integral of (D - D_least) over the SNR

(3) bounds how far the log-likelihood of the reverse SDE (not of the flow) falls short of the
data's own (Kingma et al. 2021, eq. 12-15; Song et al. 2021b, theorem 1). With another set's error
in place of the least it is the difference of the two sets' bounds.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import Noise


@torch.no_grad()
def squared_regrets(
    denoise: Denoiser,
    exact: Denoiser,
    x_0: Float[Tensor, "batch *event"],
    levels: NoiseLevel,
    noise: Noise,
) -> Float[Tensor, "levels batch"]:
    """Eq. (2) before the mean, summed over the elements of a sample: `(levels, batch)`.

    Never negative, and without the chance of the errors themselves. The noise is drawn level by
    level, so that two denoisers given the same draws are compared sample by sample.
    """
    regrets = []
    for k in range(len(levels)):
        x_t = noised(x_0, levels[k]).draw(noise(x_0))
        off = denoise(x_t, levels[k]).x_0 - exact(x_t, levels[k]).x_0
        regrets.append(off.square().flatten(1).sum(1))
    return torch.stack(regrets)


def squared_errors(
    denoise: Denoiser, x_0: Float[Tensor, "batch *event"], levels: NoiseLevel, noise: Noise
) -> Float[Tensor, "levels batch"]:
    """Eq. (1) before the mean: the distance from one who knows x_0. Drawn as `squared_regrets`."""

    def knowing(x_t: Tensor, level: NoiseLevel) -> Prediction:  # noqa: ARG001
        return Prediction(x_0)

    return squared_regrets(denoise, knowing, x_0, levels, noise)


def nats_lost(
    difference: Float[Tensor, "levels *batch"], levels: NoiseLevel
) -> Float[Tensor, "*batch"]:
    """Eq. (3) by the trapezoidal rule over the log-SNR.

    Args:
        difference: of squared errors, at each level.
        levels: noisy ones.
    """
    log_snr = levels.log_snr.sort()
    density = difference[log_snr.indices].movedim(0, -1) * log_snr.values.exp() / 2
    return torch.trapezoid(density, log_snr.values)
