"""What is minimised: the weighted squared error of the predicted clean sample.

    (1)  L(x_0, eps) = w(level) |x_0 - denoise(alpha x_0 + sigma eps, level)|²

    weighting       w in eq. (1), SNR = alpha²/sigma²        counts the same at every level
    simple          1/c_out²                                 what the network itself answers
    snr             SNR                                      eps
    truncated-snr   max(SNR, 1)                              the worse of x_0 and eps
    min-snr         min(SNR, 5)
    edm             (sigma'² + s²)/(sigma' s)²,              EDM's own answer, for data of
                    sigma' = sigma/alpha                     standard deviation s
    variational     -1/2 dSNR/du                             nats of the variational bound
    sigmoid         -1/2 dSNR/du sigmoid(b - log SNR)        those above a soft end of the SNR

The last two are rates per unit of a uniform draw u (see `training.times`), which is why they need
the process; with u drawn otherwise their mean is another integral, except by importance. The others
take the density of the draw as part of what they weigh, as their authors do.

A learned reverse variance needs the bound as well, because eq. (1) does not see it:

    (2)  L + 0.001 T KL(q(x_s | x_t, x_0) || p(x_s | x_t)),   the mean of p held fixed

Nichol & Dhariwal (2021), eq. 16; where s is clean the divergence becomes -log p(x_0 | x_t).
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Prediction
from sfumato.errors import ArgumentError, unknown
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.gaussian import Gaussian, kl
from sfumato.process.kernels import learned_variance, posterior
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.parameterisations import Parameterisation
from sfumato.process.process import Process

Weighting = Callable[[NoiseLevel], Tensor]
"""Weight of each level in eq. (1)."""

BOUND_SHARE = 0.001
"""Share of the bound in eq. (2): Nichol & Dhariwal's lambda."""


def simple(parameterisation: Parameterisation) -> Weighting:
    """W = 1/c_out²; for eps DDPM's L_simple: Ho et al. (2020), eq. 14."""
    return lambda level: parameterisation(level).c_out ** -2


def snr(level: NoiseLevel) -> Tensor:
    """W = SNR: L_simple whatever the network predicts."""
    return level.snr


def truncated_snr(level: NoiseLevel) -> Tensor:
    """W = max(SNR, 1): Salimans & Ho (2022), section 4."""
    return level.snr.clamp(min=1)


def min_snr(level: NoiseLevel, gamma: float = 5.0) -> Tensor:
    """W = min(SNR, gamma): Hang et al. (2023)."""
    return level.snr.clamp(max=gamma)


def edm(level: NoiseLevel, data_std: float = 1.0) -> Tensor:
    """W = 1/sigma'² + 1/s²: Karras et al. (2022), table 1, for data of deviation s."""
    return level.snr + data_std**-2


def variational(process: Process) -> Weighting:
    """W = -1/2 dSNR/du: Kingma et al. (2021), section 5; eq. (1) is then nats per element.

    Of a discrete process T/2 (SNR_{i-1} - SNR_i), their section 4. The step to the clean level has
    the variance beta_1, and so the weight T/(2 beta_1).
    """
    return lambda level: process.snr_rate(level) / 2


def sigmoid(process: Process, bias: float = 0.0) -> Weighting:
    """The variational weight with detail far above the log-SNR b given up.

    W = -1/2 dSNR/du sigmoid(b - log SNR): Kingma & Gao (2023); Hoogeboom et al. (2024), eq. 4.
    """
    per_nat = variational(process)
    return lambda level: per_nat(level) * torch.sigmoid(bias - level.log_snr)


WEIGHTINGS: Mapping[str, Callable[[Parameterisation, Process], Weighting]] = {
    "simple": lambda parameterisation, _: simple(parameterisation),
    "snr": lambda *_: snr,
    "truncated-snr": lambda *_: truncated_snr,
    "min-snr": lambda *_: min_snr,
    "edm": lambda *_: edm,
    "variational": lambda _, process: variational(process),
    "sigmoid": lambda _, process: sigmoid(process),
}


def named_weighting(name: str, parameterisation: Parameterisation, process: Process) -> Weighting:
    """The weighting of a name.

    Raises:
        ArgumentError: if there is none.
    """
    if name not in WEIGHTINGS:
        raise unknown("weighting", name, WEIGHTINGS)
    return WEIGHTINGS[name](parameterisation, process)


def loss(
    prediction: Prediction, x_0: Float[Tensor, "batch *event"], weight: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Eq. (1) for each sample, averaged over its elements: `(batch,)`.

    Args:
        prediction: at x_t = alpha x_0 + sigma eps.
        x_0: clean samples, `(batch, *event)`; or an expectation of x_0 given more than x_t alone
            (see `training.stable_targets`): the same is learned, with less noise.
        weight: of each sample's level, `(batch,)`.
    """
    error = (prediction.x_0 - x_0).square().flatten(1).mean(1)
    return spread(weight, error) * error


def hybrid_loss(
    prediction: Prediction,
    x_t: Float[Tensor, "batch *event"],
    x_0: Float[Tensor, "batch *event"],
    level: NoiseLevel,
    weight: Float[Tensor, " batch"],
    schedule: DiscreteSchedule,
    target: Float[Tensor, "batch *event"] | None = None,
) -> Float[Tensor, " batch"]:
    """Eq. (2) for each sample, averaged over its elements: `(batch,)`.

    Args:
        prediction: at x_t, with a variance.
        x_t: alpha x_0 + sigma eps, `(batch, *event)`.
        x_0: clean samples, `(batch, *event)`.
        level: of x_t, `(batch,)`.
        weight: of each sample's level in eq. (1), `(batch,)`.
        schedule: the one that `level` is of.
        target: an expectation in x_0's place in eq. (1) alone: the bound is not linear in x_0.

    Raises:
        ArgumentError: if the prediction has no variance.
    """
    bound = variance_bound(prediction, x_t, x_0, level, schedule)
    error = loss(prediction, x_0 if target is None else target, weight)
    return error + BOUND_SHARE * schedule.num_levels * bound


def variance_bound(
    prediction: Prediction,
    x_t: Float[Tensor, "batch *event"],
    x_0: Float[Tensor, "batch *event"],
    level: NoiseLevel,
    schedule: DiscreteSchedule,
) -> Float[Tensor, " batch"]:
    """One step's term of the variational bound, nats per element; no gradient to the mean.

    Args:
        prediction: at x_t, with a variance.
        x_t: what was predicted from, `(batch, *event)`.
        x_0: the truth.
        level: of x_t, `(batch,)`.
        schedule: the one that `level` is of.

    Raises:
        ArgumentError: if the prediction has no variance.
    """
    if prediction.var_fraction is None:
        raise ArgumentError(
            "this denoiser learns no variance (its `var_fraction` is None); take `loss`, or a "
            "NetworkDenoiser with learns_variance=True."
        )
    s = schedule.levels[schedule.index(level) - 1]
    mean = posterior(x_t, prediction.x_0.detach(), level, s).mean
    reverse = Gaussian(mean, learned_variance(level, s, prediction.var_fraction).sqrt())
    truth = posterior(x_t, x_0, level, s)
    to_clean = truth.std == 0
    # The branch that is not taken must be finite too, or its gradient is not a number.
    apart = kl(Gaussian(truth.mean, truth.std.masked_fill(to_clean, 1.0)), reverse)
    return torch.where(to_clean, -reverse.log_density(x_0), apart).flatten(1).mean(1)
