"""What the DPM-Solver++ family and UniPC share: the flow's linear part is solved exactly.

In lambda = log(alpha/sigma), with h = lambda_s - lambda_t and c = 1 + eta, the reverse process
from level t to s is (Lu et al. 2022b, eq. 8; with noise, eta > 0, their appendix A.2)

    (1)  x_s = sigma_s/sigma_t e^(-eta h) x_t + alpha_s I + sigma_s sqrt(1 - e^(-2 eta h)) z,
    (2)  I = integral over 0 < u < h of c e^(-c (h - u)) x_0(lambda_t + u) du

and only the predicted x_0 has to be approximated: by a polynomial through predictions at known
lambdas, whose integral (2) is exact. eta = 0 is the probability flow, eta = 1 the reverse SDE.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.streams import Noise


def log_ratio(level: NoiseLevel) -> float:
    """Lambda = log(alpha/sigma), half the log-SNR."""
    return float(level.log_snr) / 2


@lru_cache(maxsize=1024)
def interpolating_weights(nodes: tuple[float, ...], h: float, c: float = 1.0) -> tuple[float, ...]:
    """Weights w with I = sum_k w_k x_0(lambda_t + nodes_k) for every polynomial through the nodes.

    They are remembered, as every chunk of samples takes the same steps.

    Args:
        nodes: where predictions are known, as offsets in lambda from level t; all different.
        h: the step, finite.
        c: 1 + eta.
    """
    # Moments of eq. (2)'s kernel: m_0 = 1 - e^(-ch), then by parts m_j = h^j - j/c m_(j-1).
    moments = [-math.expm1(-c * h)]
    for j in range(1, len(nodes)):
        moments.append(h**j - j / c * moments[-1])
    powers = [[node**j for node in nodes] for j in range(len(nodes))]
    system, right = (torch.tensor(each, dtype=torch.float64) for each in (powers, moments))
    return tuple(torch.linalg.solve(system, right).tolist())


def exponential_step(
    x_t: Tensor, integral: Tensor, t: NoiseLevel, s: NoiseLevel, noise: Noise, eta: float = 0.0
) -> Tensor:
    """Eq. (1), given the integral (2)."""
    kept = s.sigma / t.sigma
    if eta == 0:
        return spread(kept, x_t) * x_t + spread(s.alpha, x_t) * integral
    exponent = eta * (t.log_snr - s.log_snr)  # -2 eta h
    decay = torch.exp(exponent / 2)
    x_s = spread(kept * decay, x_t) * x_t + spread(s.alpha, x_t) * integral
    if float(s.sigma) == 0:
        return x_s
    fresh = s.sigma * (-torch.expm1(exponent)).sqrt()
    return x_s + spread(fresh, x_t) * noise(x_t)
