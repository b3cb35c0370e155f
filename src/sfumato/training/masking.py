"""Learning a table: whatever is known of a row, the rest follows from it.

Each row of a batch is asked one of two questions, by lot:

    (1)  its levels: a number of them, evenly 1 ... D, is hidden; how probable is each one's own?
             loss   mean over the hidden of -log p(level)
         The sum of D such losses bounds -log p of all levels: Hoogeboom et al. (2022), eq. 11.
    (2)  its numbers: all levels are known, and those numbers that are there are noised; what were
         they?
             loss   that of a denoiser, over the noisy ones

In half of the rows nothing else is known. In the other half each number is known, clean, with a
probability drawn for the row, so that a table can be completed from any part of it: training with
masks, as Tashiro et al. (2021) do for series. A hidden level whose column has a number too hides
that number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sfumato.denoisers.table import TableDenoiser
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel, spread
from sfumato.training.loss import Weighting


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is asked of the rows of a batch.

    Args:
        told: what the network is told.
        hidden: which levels it is asked for, `(batch, D)`.
        levels: what they are, `(batch, D)`.
    """

    told: TableCondition
    hidden: Tensor
    levels: Tensor

    def __getitem__(self, some: slice) -> "Asked":
        """Of some of the rows."""
        told = TableCondition(
            *(getattr(self.told, each.name)[some] for each in fields(TableCondition))
        )
        return Asked(told, self.hidden[some], self.levels[some])

    def to(self, device: torch.device) -> "Asked":
        """The same on a device."""
        told = TableCondition(
            *(getattr(self.told, each.name).to(device) for each in fields(TableCondition))
        )
        return Asked(told, self.hidden.to(device), self.levels.to(device))


@dataclass(frozen=True, slots=True)
class Masking:
    """Which part of a row is known.

    Args:
        sizes: how many levels each column has, `(D,)`.
        states: for each number the column of the level that says whether it is there; -1: always.
    """

    sizes: tuple[int, ...]
    states: tuple[int, ...]

    @property
    def share(self) -> float:
        """Of rows that are asked eq. (1): as there are levels, but enough for either."""
        levels, numbers = len(self.sizes), len(self.states)
        if not numbers or not levels:
            return float(levels > 0)
        return min(0.75, max(0.25, levels / (levels + numbers)))

    @property
    def draws(self) -> int:
        """How many uniform numbers a row needs."""
        return 4 + len(self.sizes) + len(self.states)

    def __call__(self, rows: Tensor, uniform: Tensor) -> Asked:
        """Ask the rows `(batch, C + D)` by their uniform numbers `(batch, draws)`."""
        numbers, levels = len(self.states), len(self.sizes)
        which, count, any_known, rate = uniform[:, :4].unbind(1)
        by_level, by_number = uniform[:, 4:].split([levels, numbers], 1)
        values, own = rows[:, :numbers], rows[:, numbers:].long()
        of_levels = (which < self.share)[:, None]
        rank = by_level.argsort(1).argsort(1)
        hidden = of_levels & (rank < 1 + (count * levels).floor()[:, None])
        there, unhidden = self._there(own, hidden)
        known = there & unhidden & (by_number < (rate * (any_known < 0.5))[:, None])
        noisy = there & ~known & ~of_levels
        told = TableCondition(
            torch.where(known, values, 0.0),
            known,
            noisy,
            torch.where(hidden, torch.tensor(self.sizes, dtype=torch.int64), own),
        )
        return Asked(told, hidden, own)

    def _there(self, own: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Which numbers there are, and whose own level is not hidden."""
        state = torch.tensor(self.states, dtype=torch.int64)
        always = state < 0
        if not len(self.sizes):
            every = torch.ones(len(own), len(state), dtype=torch.bool)
            return every, every
        at = state.clamp(min=0)
        return always | (own[:, at] == 0), always | ~hidden[:, at]


def table_loss(
    denoise: TableDenoiser,
    x_0: Tensor,
    level: NoiseLevel,
    eps: Tensor,
    weight: Weighting,
    asked: Asked,
    sizes: Sequence[int],
) -> Tensor:
    """The loss of each row's question, per number or level of its kind: `(batch,)`.

    Args:
        denoise: under training.
        x_0: clean numbers, `(batch, C)`.
        level: one each, `(batch,)`.
        eps: standard normal noise, shaped like x_0.
        weight: of each level of noise.
        asked: see `Masking`.
        sizes: how many levels each column has.
    """
    x_t = spread(level.alpha, x_0) * x_0 + spread(level.sigma, x_0) * eps
    prediction, logits = denoise.both(x_t, level, asked.told)
    error = (prediction.x_0 - x_0).square() * asked.told.is_noisy
    numbers = spread(weight(level), error) * error / max(x_0.shape[1], 1)
    loss = numbers.sum(1)
    if not sizes:
        return loss
    wrong = torch.stack(
        [
            cross_entropy(own, asked.levels[:, k], reduction="none")
            for k, own in enumerate(logits.float().split(list(sizes), 1))
        ],
        1,
    )
    return loss + (wrong * asked.hidden).sum(1) / asked.hidden.sum(1).clamp(min=1)
