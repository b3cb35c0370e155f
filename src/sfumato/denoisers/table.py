"""The denoiser of a table: noisy numbers made clean, levels told by their probability.

Of a row some numbers are known and some noisy, and the rest is not there; of its levels some are
known. What is asked of each is

    (1)  E[x_0 | x_t, what is known]       of the noisy numbers
    (2)  p(level | what is known)          of the levels that are not known

Numbers that are not noisy are answered as if they were independent and N(0, 1), for whom the best
answer is F = 0 (edm's c_skip alone): a sampler may walk them and a flow may carry them at no cost,
and nothing else depends on them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.denoisers.denoiser import FARTHEST, Conditioning, Prediction, log_snr
from sfumato.networks.table_mlp import Told
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.parameters import Parameterisation


@dataclass(frozen=True, slots=True, eq=False)
class TableDenoiser:
    """A network that answers both questions, and how it is told the noise.

    Args:
        network: `(x, number, told)` to answers for numbers and logits, see `networks.table_mlp`;
            it is put in evaluation mode, as by `NetworkDenoiser`.
        parameterisation: turns the answer into x_0; one whose F is 0 for data N(0, 1), as edm.
        conditioning: the number the network is told.
    """

    network: nn.Module
    parameterisation: Parameterisation
    conditioning: Conditioning = log_snr

    def __post_init__(self) -> None:
        self.network.eval()

    @property
    def learns_variance(self) -> bool:
        """No reverse variance is learned."""
        return False

    def both(
        self, x_t: Float[Tensor, "batch numbers"], level: NoiseLevel, told: Told
    ) -> tuple[Prediction, Tensor]:
        """Eq. (1) and the logits of eq. (2), `(batch, sum of levels)`, of one call.

        Rows without a noisy number are told that nothing but noise is left.
        """
        scalings = self.parameterisation(level)
        weight = next(self.network.parameters())
        number = torch.where(told.is_noisy.any(1), self.conditioning(level), -FARTHEST)
        scaled = (spread(scalings.c_in, x_t) * x_t).to(weight)
        answer, logits = self.network(scaled, number.to(weight), told)
        answer = answer.to(x_t)
        x_0 = spread(scalings.c_skip, x_t) * x_t + spread(scalings.c_out, x_t) * answer
        return Prediction(x_0), logits

    def __call__(
        self, x_t: Float[Tensor, "batch numbers"], level: NoiseLevel, told: Told
    ) -> Prediction:
        """Eq. (1)."""
        return self.both(x_t, level, told)[0]

    def given(self, told: Told) -> "Given":
        """The denoiser of rows of which this is known."""
        return Given(self, told)

    @torch.no_grad()
    def logits(self, known: Tensor, levels: Tensor) -> Tensor:
        """Eq. (2) where no number is noisy, `(batch, sum of levels)`, float64.

        Args:
            known: numbers, NaN where they are not known, `(batch, numbers)`.
            levels: see `networks.table_mlp.Told`.
        """
        is_known = known.isfinite()
        told = Told(known.nan_to_num(), is_known, torch.zeros_like(is_known), levels)
        nothing = NoiseLevel.from_log_snr(torch.tensor(-FARTHEST, dtype=torch.float64))
        return self.both(torch.zeros_like(known), nothing, told)[1].double()


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Eq. (1) for rows of which the same is known at every call.

    Args:
        denoise: of a table.
        told: what is known.
    """

    denoise: TableDenoiser
    told: Told

    def __call__(self, x_t: Float[Tensor, "batch numbers"], level: NoiseLevel) -> Prediction:
        """The prediction, given what is known."""
        return self.denoise(x_t, level, self.told)
