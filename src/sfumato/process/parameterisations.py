"""What a network predicts, as three numbers for each noise level.

The network's input is c_in x_t and its output F; the estimate of the clean sample is
x_0 = c_skip x_t + c_out F. Nothing above the denoiser knows which of these was chosen::

    name        F                       c_skip               c_out
    eps         eps                     1/alpha              -sigma/alpha
    x_0         x_0                     0                    1
    v           (alpha eps - sigma x_0)/sqrt(a² + s²)
                                        alpha/(a² + s²)      -sigma/sqrt(a² + s²)
    velocity    eps - x_0               1/(alpha + sigma)    -sigma/(alpha + sigma)
    edm         unit variance for data of standard deviation d:
                                        alpha d²/(a² d² + s²)   sigma d/sqrt(a² d² + s²)

    flow        as velocity, of a network that takes x_t/(alpha + sigma)
    edm-half    as edm, of a network for data of standard deviation d = 1/2

Multiplying x_t, alpha and sigma by one number changes no estimate: networks see the ratio alone.

Sources: Ho et al. (2020); Salimans & Ho (2022); Lipman et al. (2023); Karras et al. (2022),
table 1, carried over to any (alpha, sigma).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel


@dataclass(frozen=True, slots=True, eq=False)
class Scalings:
    """x_0 = c_skip x_t + c_out F(c_in x_t); each shaped like the level it belongs to."""

    c_skip: Float[Tensor, "*levels"]
    c_out: Float[Tensor, "*levels"]
    c_in: Float[Tensor, "*levels"]


Parameterisation = Callable[[NoiseLevel], Scalings]


def _unit_input(level: NoiseLevel) -> Tensor:
    """Keeps x_t of unit-variance data at unit variance; 1 where alpha² + sigma² = 1."""
    return (level.alpha**2 + level.sigma**2).rsqrt()


def eps(level: NoiseLevel) -> Scalings:
    """F is the noise.

    Raises:
        ArgumentError: at alpha = 0, where the noise says nothing about x_0.
    """
    # Where PyTorch only traces what is computed, for ONNX, levels have no values to look at.
    if not torch.compiler.is_compiling() and not bool((level.alpha > 0).all()):
        raise ArgumentError(
            "eps determines no x_0 at a level with alpha = 0 (no signal left); use `v` instead."
        )
    return Scalings(1 / level.alpha, -level.sigma / level.alpha, _unit_input(level))


def x_0(level: NoiseLevel) -> Scalings:
    """F is the clean sample itself."""
    return Scalings(torch.zeros_like(level.alpha), torch.ones_like(level.alpha), _unit_input(level))


def v(level: NoiseLevel) -> Scalings:
    """F is alpha eps - sigma x_0 where alpha² + sigma² = 1, and the same at any other scale."""
    power = level.alpha**2 + level.sigma**2
    return Scalings(level.alpha / power, -level.sigma * power.rsqrt(), power.rsqrt())


def velocity(level: NoiseLevel) -> Scalings:
    """F is eps - x_0, the straight path's direction."""
    total = level.alpha + level.sigma
    return Scalings(1 / total, -level.sigma / total, _unit_input(level))


def flow(level: NoiseLevel) -> Scalings:
    """F is the velocity, of a network that takes x_t at the scale where alpha + sigma = 1."""
    total = level.alpha + level.sigma
    return Scalings(1 / total, -level.sigma / total, 1 / total)


def edm(level: NoiseLevel, data_std: float = 1.0) -> Scalings:
    """F has unit variance in and out at every level, for data of standard deviation `data_std`."""
    power = (level.alpha * data_std) ** 2 + level.sigma**2
    return Scalings(
        level.alpha * data_std**2 / power, level.sigma * data_std * power.rsqrt(), power.rsqrt()
    )


def edm_half(level: NoiseLevel) -> Scalings:
    """As `edm`, for data of standard deviation 1/2, as Karras et al. (2022) take it of pictures."""
    return edm(level, 0.5)


PARAMETERISATIONS: Mapping[str, Parameterisation] = {
    "eps": eps,
    "x_0": x_0,
    "v": v,
    "velocity": velocity,
    "edm": edm,
}

# Of networks that other libraries trained: their input has another scale.
FOREIGN: Mapping[str, Parameterisation] = {"flow": flow, "edm-half": edm_half}
