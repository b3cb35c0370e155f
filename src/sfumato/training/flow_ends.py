"""Learning where the probability flow of a fitted denoiser ends: how a few-step map is made.

    (1)  f(x_t, t) the clean end of the flow through x_t,   x_t = alpha x_0 + sigma eps
    (2)  loss of a row   w(t) |f_theta(x_t, t) - f(x_t, t)|²

for rows x_0 of the data, at the few levels t that sampling will call the map at. The ends are
computed once, and learned in many passes. A denoiser's target scatters about its mean; the end of a
path does not, so that (2) falls as far as the network is able to follow: the regression of Luhman &
Luhman (2021) from pure noise, of Song et al. (2023) from the levels between.

As f is a function, and no mean over what it is asked about, the rows need not be distributed as
the process has them. A later call is asked about whatever the jump before it left, beside the data
too, where the process hardly ever is: its rows are noised by eq. (1) of `training.wider_noise`.

Where the flow divides, f breaks, and a perceptron does not. One with several candidates f_k and a
share pi_k for each (`networks.branches`), the softmax of its logits, learns by

    (3)  -log sum_k pi_k(x_t) (1 + d e_k/(nu c²))^(-(nu + d)/2),   e_k the loss (2) of f_k

for d coordinates, whose mean of squares |.|² is: the likelihood of a mixture of Student's t
distributions of nu = 4 degrees of freedom and of scale c = 0.1. Their long tails leave a candidate
to the ends that are near it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.networks.branches import Branches
from sfumato.process.noise import spread
from sfumato.training.loop import Batch, Objective, Rows
from sfumato.training.masking import MaskedModelling, MaskedRows
from sfumato.training.regression import AskedRows, NoisedRows, Regression
from sfumato.training.wider_noise import widths

B = TypeVar("B", NoisedRows, MaskedRows)


def noised_among(
    objective: Regression | MaskedModelling,
    data: Rows[Any],
    times: Sequence[float],
    count: int,
    generator: torch.Generator,
) -> tuple[Any, Tensor]:
    """Rows noised to each of the times, twice as many to the first as to any other.

    From there the way is longest. All samples start there, so that it is noised as the process
    has it; rows at the other times are noised wider.

    Args:
        objective: of the fit; what is known of a row is drawn as it draws it.
        data: its rows.
        times: u of each level, the noisiest first.
        count: how many; those without a noisy number are left out of them.
        generator: decides all.

    Returns:
        The batch, and which of the times each of its rows has, `(rows,)`.
    """
    which = (torch.arange(count) % (len(times) + 1) - 1).clamp(min=0)
    every = torch.tensor(times, dtype=torch.float64)[which]
    at_times = objective.simplified(lambda *_: every, objective.weight)
    index = torch.randint(len(data), (1, count), generator=generator)
    draws = at_times.draw(count, generator)
    batch = at_times.batch(data, index, slice(0, count), draws)
    kept = batch.is_noisy.nonzero().flatten()
    batch, which = batch[kept], which[kept]
    part = (which > 0) * torch.rand(len(which), generator=generator)
    width = widths(part, batch.eps.shape[1:].numel())
    return replace(batch, eps=spread(width, batch.eps) * batch.eps), which


@dataclass(frozen=True, slots=True, eq=False)
class FlowEnds(Objective):
    """Eq. (2) as an objective, whose data are noised rows with the ends of their flows.

    Args:
        objective: of the fit, simplified; weighs the levels.
    """

    objective: Regression | MaskedModelling

    @property
    def min_rows(self) -> int:
        """A step sees the rows of its batch alone."""
        return 0

    @property
    def numbers_per_row(self) -> int:
        """As of the objective."""
        return self.objective.numbers_per_row

    @property
    def is_adaptive(self) -> bool:
        """No draw depends on a loss."""
        return False

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Nothing: the rows are noised already."""
        return ()

    def batch(self, data: B, index: Tensor, own: slice, draws: tuple[Tensor, ...]) -> B:  # noqa: ARG002
        """The rows of several steps, one step after another."""
        return data[index[:, own].flatten()]

    def prepared(self, denoiser: Any, batch: Any) -> Batch:
        """As of the objective."""
        return self.objective.prepared(denoiser, batch)

    def losses(self, denoiser: Any, batch: Any) -> Tensor:
        """Eq. (2), `(batch,)`."""
        found: Tensor = self.objective.losses(denoiser, batch)
        return found

    def tensors(self) -> dict[str, Tensor]:
        """Nothing is remembered."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing was remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class BranchedFlowEnds(FlowEnds):
    """Eq. (3) as an objective, of a network with candidates; `objective` is that of points."""

    def losses(self, denoiser: NetworkDenoiser, batch: AskedRows) -> Tensor:
        """Eq. (3), `(batch,)`."""
        network, question, ends = denoiser.network, batch.question, batch.rows.target
        assert isinstance(network, Branches)
        assert ends is not None
        found = network.candidates(question.scaled, question.number)
        answers, logits = (each.to(ends) for each in found)
        dimension = ends.shape[1]  # a variance, if there is one, is behind the coordinates
        own = question.c_out[:, None] * answers[..., :dimension]
        squares = (question.skipped[:, None] + own - ends[:, None]).square().mean(2)
        errors = batch.weight[:, None] * squares
        power = -(_FREEDOM + dimension) / 2
        fits = power * torch.log1p(dimension * errors / (_FREEDOM * _SCALE**2))
        return -torch.logsumexp(logits.log_softmax(1) + fits, 1)


# nu and c of eq. (3).
_FREEDOM, _SCALE = 4, 0.1


def with_ends(batch: B, ends: Tensor) -> B:
    """The rows, to be predicted to end there; `ends` is shaped like their numbers."""
    return replace(batch, target=ends)
