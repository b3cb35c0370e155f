"""The process's own conditional distributions, between any two levels s (less noisy) and t.

    (2-4)   q(x_t | x_0) = N(alpha_t x_0, sigma_t²)
    (2-1)   q(x_t | x_s) = N(alpha_{t|s} x_s, sigma_{t|s}²),
            alpha_{t|s} = alpha_t / alpha_s,  sigma_{t|s}² = sigma_t² - alpha_{t|s}² sigma_s²
    (2-17)  q(x_s | x_t, x_0) = N(mu, sigma_{t|s}² sigma_s² / sigma_t²),
            mu = alpha_{t|s} sigma_s²/sigma_t² x_t + alpha_s sigma_{t|s}²/sigma_t² x_0
    (2-19)  the same mean from eps:  mu = (x_t - sigma_{t|s}²/sigma_t eps) / alpha_{t|s}

With neighbouring levels of a discrete schedule sigma_{t|s}² is beta and the posterior's variance
beta_tilde. Kingma et al. (2021), appendix A, give the general pair.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.process.gaussian import Gaussian
from sfumato.process.noise import NoiseLevel, spread


def noised(x_0: Float[Tensor, "batch *event"], t: NoiseLevel) -> Gaussian:
    """q(x_t | x_0), eq. (2-4)."""
    level = t.like(x_0)
    return Gaussian(level.alpha * x_0, level.sigma)


def transition_variance(t: NoiseLevel, s: NoiseLevel) -> Float[Tensor, "*levels"]:
    """sigma_{t|s}² of eq. (2-1), float64; beta between neighbours.

    Written as sigma_t² (1 - SNR_t/SNR_s), whose limits are exact: sigma_t² where s is clean or
    nothing of the signal is left at t.
    """
    log_ratio = t.log_snr.double() - s.log_snr.double()
    return -(t.sigma.double() ** 2) * torch.expm1(log_ratio)


def transition(x_s: Float[Tensor, "batch *event"], t: NoiseLevel, s: NoiseLevel) -> Gaussian:
    """q(x_t | x_s), eq. (2-1)."""
    std = transition_variance(t, s).sqrt()
    return Gaussian(spread(t.alpha / s.alpha, x_s) * x_s, spread(std, x_s))


def posterior_variance(t: NoiseLevel, s: NoiseLevel) -> Float[Tensor, "*levels"]:
    """The variance of eq. (2-17), float64; beta_tilde between neighbours, 0 when s is clean."""
    return transition_variance(t, s) * (s.sigma / t.sigma) ** 2


def learned_variance(
    t: NoiseLevel, s: NoiseLevel, fraction: Float[Tensor, "batch *event"]
) -> Float[Tensor, "batch *event"]:
    """beta^f beta_tilde^(1 - f) for f = `fraction`: Nichol & Dhariwal (2021), eq. 15.

    Where s is clean beta_tilde is 0 and has no logarithm; the variance is beta there.
    """
    upper, lower = transition_variance(t, s), posterior_variance(t, s)
    lower = torch.where(lower > 0, lower, upper)
    log_upper, log_lower = spread(upper.log(), fraction), spread(lower.log(), fraction)
    return (log_lower + fraction * (log_upper - log_lower)).exp()


def posterior(
    x_t: Float[Tensor, "batch *event"],
    x_0: Float[Tensor, "batch *event"],
    t: NoiseLevel,
    s: NoiseLevel,
) -> Gaussian:
    """q(x_s | x_t, x_0), eq. (2-17)."""
    from_x_t = t.alpha / s.alpha * (s.sigma / t.sigma) ** 2
    from_x_0 = s.alpha * transition_variance(t, s) / t.sigma**2
    mean = spread(from_x_t, x_t) * x_t + spread(from_x_0, x_t) * x_0
    return Gaussian(mean, spread(posterior_variance(t, s).sqrt(), x_t))


def posterior_mean_from_eps(
    x_t: Float[Tensor, "batch *event"],
    eps: Float[Tensor, "batch *event"],
    t: NoiseLevel,
    s: NoiseLevel,
) -> Float[Tensor, "batch *event"]:
    """The mean of eq. (2-17) with x_0 = (x_t - sigma_t eps)/alpha_t put in: eq. (2-19)."""
    from_eps = transition_variance(t, s) / t.sigma
    return spread(s.alpha / t.alpha, x_t) * (x_t - spread(from_eps, x_t) * eps)
