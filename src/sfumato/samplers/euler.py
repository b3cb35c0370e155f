"""Euler's method for the probability flow, and its ancestral form: DDIM under other names.

In y = x/alpha and sigma_ve = sigma/alpha the flow is (Karras et al. 2022, eq. 1 with eq. 3)

    (1)  dy/dsigma_ve = (y - x_0) / sigma_ve

Euler's step y_s = y_t + (sigma_ve_s - sigma_ve_t) (y_t - x_0)/sigma_ve_t, multiplied by alpha_s, is
alpha_s x_0 + sigma_s eps: DDIM with eta = 0. The ancestral form goes to a smaller noise and adds
what is missing, sigma_up² = sigma_ve_s² (1 - sigma_ve_s²/sigma_ve_t²), which is beta_tilde in y:
DDIM with eta = 1.
"""

from sfumato.samplers.ddim import DDIM


def euler() -> DDIM:
    """The probability flow (4-5) by Euler's method: DDIM with eta 0. First order, deterministic."""
    return DDIM(eta=0.0)


def euler_ancestral() -> DDIM:
    """Euler's step to less noise than asked for, and fresh noise up to it: DDIM with eta 1."""
    return DDIM(eta=1.0)
