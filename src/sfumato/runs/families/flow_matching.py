"""Flow matching with the conditional optimal-transport path: Lipman et al. (2023), eq. 23.

    (1)  E |v(x_t, t) - (eps - x_0)|²,   x_t = (1 - t) x_0 + t eps,  t uniform in [0, 1]

Here it is a denoiser on the rectified-flow schedule whose network predicts the velocity, trained
without a weight: the same objective (times run from data to noise). Samples follow
dx/dt = v(x_t, t) from noise to data.
"""

from typing import Any

from torch import Tensor

from sfumato.config import recipes
from sfumato.runs.families.diffusion import Denoised, denoiser
from sfumato.runs.families.family import Budget

title = "flow matching"
even = True
likelihood = "of its flow, by the divergence along it (exact up to 32 columns)"
recipe = (
    "optimal-transport path, velocity predicted by the same perceptron as in diffusion, in "
    "batches of the same size, Adam from 0.003 down to 0, averaged weights; Euler's method in 100 "
    "steps of equal time"
)
SETTINGS: dict[str, Any] = {
    "process": {"schedule": "rectified-flow"},
    "network": {"parameterisation": "velocity"},
    "training": {
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "reference": 0,
        "times": "stratified",
        "weighting": "simple",
        "average": 0.999,
    },
    "sampling": {"sampler": "euler", "grid": "uniform-time", "steps": 100},
}


def fit(rows: Tensor, budget: Budget, seed: int) -> Denoised:
    """Eq. (1) by Sfumato's own training loop, network and batches of the sizes of diffusion."""
    recipe = recipes.points(*rows.shape)
    sizes = {part: recipe.get(part, {}) for part in ("network", "training")}
    return denoiser(rows, budget, seed, sizes, SETTINGS)
