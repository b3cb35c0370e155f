"""How many nats a discrete reverse chain needs at most for a sample, term by term.

    (1)  -log p(x_0) <= L_T + sum_{i=2}^{T} L_{i-1} + L_0,  in expectation over q:
             L_T     = KL(q(x_T | x_0) || N(0, I))
             L_{i-1} = KL(q(x_{i-1} | x_i, x_0) || p(x_{i-1} | x_i))
             L_0     = -log p(x_0 | x_1)
    (2)  p(x_{i-1} | x_i) = N(mu(x_i, E[x_0 | x_i]), variance),  mu of (2-17)

Ho et al. (2020), eq. 5, with the two fixed variances of their section 3.2 or the learned one of
Nichol & Dhariwal (2021), eq. 15.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser
from sfumato.errors import ArgumentError, unknown
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.gaussian import Gaussian, discretised_log_likelihood, kl
from sfumato.process.kernels import learned_variance, noised, posterior
from sfumato.process.noise import spread
from sfumato.process.streams import Noise


@dataclass(frozen=True, slots=True, eq=False)
class BoundTerms:
    """The terms of eq. (1), nats per sample.

    Args:
        L_T: what the end of the process still knows of the sample, `(batch,)`.
        L_t: the T - 1 steps between noisy levels, the least noisy first, `(batch, T - 1)`.
        L_0: the decoder, `(batch,)`; of a density it may be negative.
        dimension: numbers in one sample.
    """

    L_T: Float[Tensor, " batch"]
    L_t: Float[Tensor, "batch steps"]
    L_0: Float[Tensor, " batch"]
    dimension: int

    def __len__(self) -> int:
        """How many samples."""
        return len(self.L_T)

    @property
    def nats(self) -> Float[Tensor, " batch"]:
        """The bound on -log p(x_0), `(batch,)`."""
        return self.L_T + self.L_t.sum(1) + self.L_0

    @property
    def bits_per_dimension(self) -> Float[Tensor, " batch"]:
        """The same in bits per number of a sample, `(batch,)`."""
        return self.nats / (self.dimension * math.log(2))


def mean_and_error(values: Float[Tensor, " batch"]) -> tuple[float, float]:
    """Mean over a batch of two or more, and its standard error."""
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


@torch.no_grad()
def variational_bound(
    denoise: Denoiser,
    x_0: Float[Tensor, "batch *event"],
    schedule: DiscreteSchedule,
    *,
    noise: Noise,
    variance: str = "beta_tilde",
    bin_width: float | None = None,
) -> BoundTerms:
    """The variational bound on the negative log likelihood of each row, term by term, in nats.

    (L-2), each expectation over q estimated by one fresh draw per sample and level.

    Args:
        denoise: the denoiser; asked once per level.
        x_0: samples, `(batch, *event)`; their dtype is that of the sums.
        schedule: the process, T levels.
        noise: where eps comes from, for level 1, 2, ..., T in turn.
        variance: `beta_tilde`, `beta`, or `learned` (the denoiser's own fraction). In the step to
            the clean level beta_tilde is 0, and no density: beta_tilde of level 2 stands in for it
            (Nichol & Dhariwal's clipping), or beta_1 when T = 1. A learned variance is beta_1
            there.
        bin_width: of data that take 2/bin_width + 1 values from -1 to 1 (8 bits: 2/255), whose
            probability the decoder is then asked for; None for its density.

    Raises:
        ArgumentError: if the variance is unknown, is `learned` and the denoiser gives none, or
            `bin_width` does not divide 2.
        DataError: if a value of x_0 is none of those that `bin_width` allows.
    """
    fixed = {"beta": schedule.beta, "beta_tilde": schedule.beta_tilde.clone()}
    fixed["beta_tilde"][0] = schedule.beta_tilde[1] if schedule.num_levels > 1 else schedule.beta[0]
    if variance not in (*fixed, "learned"):
        raise unknown("variance", variance, (*fixed, "learned"))
    levels = schedule.levels

    def step(i: int) -> tuple[Tensor, Gaussian]:
        """A draw of x_i, and p(x_{i-1} | x_i) of eq. (2)."""
        t, s = levels[i], levels[i - 1]
        x_t = noised(x_0, t).draw(noise(x_0))
        prediction = denoise(x_t, t)
        mean = posterior(x_t, prediction.x_0, t, s).mean
        if variance != "learned":
            return x_t, Gaussian(mean, spread(fixed[variance][i - 1].sqrt(), x_t))
        if prediction.var_fraction is None:
            raise ArgumentError(
                "this denoiser learned no variance (its `var_fraction` is None); "
                "take variance='beta_tilde' or 'beta'."
            )
        return x_t, Gaussian(mean, learned_variance(t, s, prediction.var_fraction).sqrt())

    _, decoder = step(1)
    log_p = (
        decoder.log_density(x_0)
        if bin_width is None
        else discretised_log_likelihood(x_0, decoder, bin_width)
    )
    between = x_0.new_empty(len(x_0), schedule.num_levels - 1)
    for i in range(2, schedule.num_levels + 1):
        x_t, reverse = step(i)
        apart = kl(posterior(x_t, x_0, levels[i], levels[i - 1]), reverse)
        between[:, i - 2] = apart.flatten(1).sum(1)
    prior = Gaussian(torch.zeros_like(x_0), torch.ones_like(x_0))
    return BoundTerms(
        L_T=kl(noised(x_0, levels[-1]), prior).flatten(1).sum(1),
        L_t=between,
        L_0=-log_p.flatten(1).sum(1),
        dimension=math.prod(x_0.shape[1:]),
    )
