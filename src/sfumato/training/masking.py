"""Learning a table: a part of each row is known, and the network predicts the rest.

Each row of a batch has one of two tasks, at random:

    (1)  its categories: a number of them, evenly 1 ... D, is hidden; how probable is each?
             loss   mean over the hidden of -log p(category)
         The sum of D such losses bounds -log p of all categories: Hoogeboom et al. (2022), eq. 11.
    (2)  its numbers: all categories are known, and the numbers that are not missing are noised;
         what were they?
             loss   4 times that of a denoiser, over the noisy ones; once where there is no (1)

In half of the rows nothing else is known. In the other half each number is known, clean, with a
probability drawn for the row, so that a table can be completed from any part of it: training with
masks, as Tashiro et al. (2021) do for series. A hidden category whose column has a number too hides
that number. Where one column is the target, three rows in four ask for it alone, all others known.
A number that has a cell is put elsewhere in it each time that it is seen. Where rules
bind numbers, some are left out, and some are known because the known ones determine them, as when
rows are drawn (`data.codecs.relations`). Where a number is known that may repeat another which
is not, task (1) asks in half of the rows whether it does; elsewhere the other is known if so
(`data.codecs.repeats`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sfumato.config import TrainingSettings
from sfumato.data.codecs.relations import ABSENT, FREE, KNOWN, Relations
from sfumato.data.codecs.repeats import Repeat
from sfumato.data.codecs.table import TableCells, TableRows
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel, spread
from sfumato.process.process import Process
from sfumato.training.loop import Rows
from sfumato.training.loss import Weighting, named_weighting
from sfumato.training.times import TimeDraw, named_time_draw


@dataclass(frozen=True, slots=True, eq=False)
class Requested:
    """What is known of rows, and which of their categories are to be predicted.

    Args:
        condition: what is known, and which numbers are to be predicted.
        hidden: which categories are to be predicted, `(batch, D)`.
    """

    condition: TableCondition
    hidden: Bool[Tensor, "batch D"]

    def each(self, change: Callable[[Tensor], Tensor]) -> "Requested":
        """The same with every tensor changed."""
        condition = TableCondition(
            *(change(getattr(self.condition, field.name)) for field in fields(TableCondition))
        )
        return Requested(condition, change(self.hidden))


@dataclass(frozen=True, slots=True)
class Asked:
    """The one column that most rows ask for, all others known.

    Args:
        number: its place among the numbers; -1 if it has none.
        category: its place among the categories; -1 if it has none.
    """

    number: int
    category: int


# Share of the rows that ask for it; the others know any part, as without it.
_ASKED = 0.75

# How numbers depend on each other takes longer to learn than categories do. So where there are
# both, at most this share of the rows asks for categories, and a number's error counts so often.
_MOST_OF_CATEGORIES, _OF_NUMBERS = 0.4, 4.0


@dataclass(frozen=True, slots=True)
class Masking:
    """Draws which part of a row is known.

    Args:
        sizes: how many categories each column has, `(D,)`.
        states: for each number the place of the category that says whether the number is there;
            -1: always.
        relations: of numbers that rules bind, whose slacks are numbers too; None where none are.
        asked: the column that three rows in four ask for; None where all are alike.
        repeats: the columns that repeat others.
    """

    sizes: tuple[int, ...]
    states: tuple[int, ...]
    relations: Relations | None = None
    asked: Asked | None = None
    repeats: tuple[Repeat, ...] = ()

    @property
    def numbers(self) -> int:
        """How many numbers a row has, slacks among them."""
        return len(self.states) + (len(self.relations.slacks) if self.relations else 0)

    @property
    def share(self) -> float:
        """Share of the rows of eq. (1): as there are categories, but enough of either task."""
        categories, numbers = len(self.sizes), len(self.states)
        if not numbers or not categories:
            return float(categories > 0)
        return min(_MOST_OF_CATEGORIES, max(0.25, categories / (categories + numbers)))

    @property
    def draws(self) -> int:
        """How many uniform numbers a row needs."""
        return 4 + len(self.sizes) + len(self.states) + (self.asked is not None)

    def __call__(self, rows: TableRows, uniform: Float[Tensor, "batch draws"]) -> Requested:
        """Mask rows by their uniform numbers."""
        count = len(self.sizes)
        task, how_many, any_known, rate = uniform[:, :4].unbind(1)
        by_category, by_number, *ask = uniform[:, 4:].split(
            [count, len(self.states), *([1] if self.asked else [])], 1
        )
        of_categories = (task < self.share)[:, None]
        # NumPy sorts many short rows several times faster than PyTorch does.
        rank = torch.from_numpy(by_category.numpy().argsort(1).argsort(1))
        hidden = of_categories & (rank < 1 + (how_many * count).floor()[:, None])
        known = by_number < (rate * (any_known < 0.5))[:, None]
        if self.asked:
            number, category = self.asked.number, self.asked.category
            asks = ask[0] < _ASKED
            # Of a number that has a category too, half of them ask for either.
            first = task[:, None] < (category >= 0) / (1 + (number >= 0))
            of_categories = torch.where(asks, first, of_categories)
            hidden = torch.where(asks, first & (torch.arange(count) == category), hidden)
            known = torch.where(asks, torch.arange(len(self.states)) != number, known)
        # Of several that are open some are decided already, as when they are one after another.
        may_ask = of_categories & (by_category < 0.5)
        hidden, known, shown = self._open(rows.categories, may_ask, hidden, known)
        there, unhidden = self._there(rows.categories, hidden)
        known = there & unhidden & known
        noisy = there & ~known
        if self.relations:
            known, noisy = self._bound(self.relations, there & unhidden, known)
        sizes = torch.tensor(self.sizes, dtype=torch.int64)
        known = known | shown
        condition = TableCondition(
            torch.where(known, rows.numeric, 0.0),
            known,
            noisy & ~of_categories,
            torch.where(hidden, sizes, rows.categories),
        )
        return Requested(condition, hidden)

    def _open(
        self, categories: Tensor, may_ask: Tensor, hidden: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers that are known beside others that are not and that they may repeat.

        Args:
            categories: of the rows.
            may_ask: which categories may be asked for, as `hidden`.
            hidden: which categories are hidden.
            known: which numbers are known, if they are there.

        Returns:
            The last two, and which numbers are shown though their category is asked for.
        """
        shown = torch.zeros(len(known), self.numbers, dtype=torch.bool)
        if not self.repeats:
            return hidden, known, shown
        hidden, known = hidden.clone(), known.clone()
        for each in self.repeats:
            own, told = categories[:, each.category], known[:, each.other_number]
            if each.other_category >= 0:
                of_other = categories[:, each.other_category]
                decides = ~torch.isin(of_other, torch.tensor(each.other_codes))
                told = (told | decides) & ~hidden[:, each.other_category]
            valued = (own == 0) | (own == each.code)
            open_ = valued & known[:, each.number] & ~hidden[:, each.category] & ~told
            asked = open_ & may_ask[:, each.category]
            hidden[asked, each.category] = True
            shown[asked, each.number] = True
            known[open_ & ~asked & (own == each.code), each.other_number] = True
        return hidden, known, shown

    @staticmethod
    def _bound(relations: Relations, there: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Which numbers are known and which are noisy, `(batch, C)`, slacks among them."""
        state = np.where(there, np.where(known, KNOWN, FREE), ABSENT)
        roles = torch.from_numpy(relations.roles(state))
        return roles == KNOWN, roles == FREE

    def _there(self, categories: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Which numbers are there, and of which the column's own category is not hidden."""
        state = torch.tensor(self.states, dtype=torch.int64)
        always = state < 0
        if not len(self.sizes):
            every = torch.ones(len(categories), len(state), dtype=torch.bool)
            return every, every
        at = state.clamp(min=0)
        return always | (categories[:, at] == 0), always | ~hidden[:, at]


def table_loss(
    denoise: TableDenoiser,
    rows: TableRows,
    level: NoiseLevel,
    eps: Float[Tensor, "batch C"],
    weight: Weighting,
    requested: Requested,
    sizes: Sequence[int],
    target: Float[Tensor, "batch C"] | None = None,
) -> Float[Tensor, " batch"]:
    """The loss of each row's task, per number or category of its kind: `(batch,)`.

    A number's counts 4 times where there are categories too.

    Args:
        denoise: under training.
        rows: clean.
        level: one each, `(batch,)`.
        eps: standard normal noise of the numbers.
        weight: of each noise level.
        requested: see `Masking`.
        sizes: how many categories each column has; those that are hidden are predicted too.
        target: of the numbers, in the place of the clean ones.
    """
    x_0 = rows.numeric
    x_t = noised(x_0, level).draw(eps)
    found = denoise.both(x_t, level, requested.condition)
    # In units of what the best linear estimate leaves: a number that others nearly decide counts
    # as much as one that stands alone.
    unit = spread(denoise.parameterisation(level).c_out, x_t) / found.std
    aim = x_0 if target is None else target
    error = ((found.x_0 - aim) * unit).square() * requested.condition.is_noisy
    of_numbers = spread(weight(level), error) * error / max(x_0.shape[1], 1)
    loss = of_numbers.sum(1)
    if not sizes:
        return loss
    loss = _OF_NUMBERS * loss
    asked = requested.hidden.any(1).nonzero()[:, 0]
    hidden = requested.hidden[asked]
    nats = cross_entropies(found.logits.float()[asked], rows.categories[asked], sizes)
    return loss.index_add(0, asked, (nats * hidden).sum(1) / hidden.sum(1))


def cross_entropies(
    logits: Float[Tensor, "batch categories"],
    categories: Int[Tensor, "batch D"],
    sizes: Sequence[int],
) -> Float[Tensor, "batch D"]:
    """-log p of the category of each column, all columns at once: `(batch, D)`.

    That is the log of the sum of exp of its logits, minus the logit of the category.

    Args:
        logits: of all categories, one column after another, `(batch, sum of sizes)`.
        categories: of the rows, `(batch, D)`.
        sizes: how many categories each column has, each at least 1.
    """
    counts = torch.tensor(sizes, device=logits.device)
    own = logits.gather(1, categories + counts.cumsum(0) - counts)
    # Rows stand last, so that each category is one long operation.
    each = logits.T.contiguous()
    column = torch.arange(len(sizes), device=logits.device).repeat_interleave(counts)
    highest = torch.stack([of.amax(0) for of in each.detach().split(list(sizes))])
    parts = (each - highest.index_select(0, column)).exp()
    total = torch.zeros_like(highest).index_add(0, column, parts)
    return (highest + total.log()).T - own


@dataclass(frozen=True, slots=True, eq=False)
class MaskedRows:
    """A batch of `MaskedModelling`.

    Args:
        rows: clean.
        level: noise levels, `(batch,)`.
        eps: noise of the numbers, `(batch, C)`.
        requested: what is known and what is to be predicted.
        target: what is predicted in the numbers' place, and no category then; or None.
    """

    rows: TableRows
    level: NoiseLevel
    eps: Float[Tensor, "batch C"]
    requested: Requested
    target: Float[Tensor, "batch C"] | None = None

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)

    @property
    def x_t(self) -> Tensor:
        """The numbers noised, `(batch, C)`."""
        return noised(self.rows.numeric, self.level).draw(self.eps)

    @property
    def condition(self) -> TableCondition:
        """What is known of the rows."""
        return self.requested.condition

    @property
    def is_noisy(self) -> Tensor:
        """Which rows have a number to predict, `(batch,)`."""
        return self.condition.is_noisy.any(1)

    def __getitem__(self, some: slice | Tensor) -> "MaskedRows":
        """Some of the rows."""
        return MaskedRows(
            TableRows(self.rows.numeric[some], self.rows.categories[some]),
            self.level[some],
            self.eps[some],
            self.requested.each(lambda each: each[some]),
            None if self.target is None else self.target[some],
        )

    def to(self, device: torch.device) -> "MaskedRows":
        """The same rows on a device; levels stay on the CPU, in float64."""
        return MaskedRows(
            TableRows(self.rows.numeric.to(device), self.rows.categories.to(device)),
            self.level,
            self.eps.to(device),
            self.requested.each(lambda each: each.to(device)),
            None if self.target is None else self.target.to(device),
        )


@dataclass(frozen=True, slots=True, eq=False)
class MaskedModelling:
    """The objective of tables. `masking` makes it from settings.

    Args:
        process: where noise levels come from.
        masking: draws which part of a row is known.
        weight: of each noise level in the loss of numbers.
        times: draws of u.
    """

    process: Process
    masking: Masking
    weight: Weighting
    times: TimeDraw

    @property
    def min_rows(self) -> int:
        """A step sees the rows of its batch alone."""
        return 0

    @property
    def numbers_per_row(self) -> int:
        """The uniform numbers of a row's mask and of the places in its cells."""
        return self.masking.draws + self.masking.numbers

    @property
    def is_adaptive(self) -> bool:
        """No draw depends on a loss."""
        return False

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """U, eps, the uniform numbers of the masks, the places in cells: `(size, ...)` each."""
        return (
            self.times(size, generator),
            torch.randn(size, self.masking.numbers, generator=generator),
            torch.rand(size, self.masking.draws, generator=generator),
            torch.rand(size, self.masking.numbers, generator=generator),
        )

    def batch(
        self,
        data: Rows[TableCells],
        index: Int[Tensor, "steps rows"],
        own: slice,
        draws: tuple[Tensor, ...],
    ) -> MaskedRows:
        """The masked rows of several steps, one step after another; see `loop.Objective`."""
        u, eps, uniform, share = draws
        rows = data[index[:, own].flatten()].drawn(share)
        return MaskedRows(rows, self.process.at(u), eps, self.masking(rows, uniform))

    def prepared(self, denoiser: TableDenoiser, batch: MaskedRows) -> MaskedRows:  # noqa: ARG002
        """The same: all is drawn, and what is computed of it is little beside the network."""
        return batch

    def losses(self, denoiser: TableDenoiser, batch: MaskedRows) -> Float[Tensor, " batch"]:
        """The loss of each row, `(batch,)`."""
        return table_loss(
            denoiser,
            batch.rows,
            batch.level,
            batch.eps,
            self.weight,
            batch.requested,
            self.masking.sizes if batch.target is None else (),
            batch.target,
        )

    def simplified(self, times: TimeDraw, weight: Weighting) -> "MaskedModelling":
        """The same at other times, weighed otherwise."""
        return replace(self, times=times, weight=weight)

    def tensors(self) -> dict[str, Tensor]:
        """Nothing is remembered."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing was remembered."""


def masking(
    denoiser: TableDenoiser,
    process: Process,
    settings: TrainingSettings,
    sizes: Sequence[int],
    states: Sequence[int],
    relations: Relations | None = None,
    asked: Asked | None = None,
    repeats: Sequence[Repeat] = (),
) -> MaskedModelling:
    """The objective of tables, as the settings say.

    Args:
        denoiser: to be trained.
        process: where noise levels come from.
        settings: the recipe.
        sizes: see `Masking`.
        states: see `Masking`.
        relations: see `Masking`.
        asked: see `Masking`.
        repeats: see `Masking`.

    Raises:
        ArgumentError: if a time draw or weighting is unknown, or not for tables.
    """
    times = named_time_draw(settings.times, process)
    if settings.times == "importance":
        raise ArgumentError(
            "training.times=importance follows the loss of whole rows, and of a table's a part "
            "is known; take another."
        )
    if settings.reference:
        raise ArgumentError(
            "training.reference averages over whole rows, and of a table's a part is known; "
            "set it to 0."
        )
    weighting = named_weighting(settings.weighting, denoiser.parameterisation, process)
    masks = Masking(tuple(sizes), tuple(states), relations, asked, tuple(repeats))
    return MaskedModelling(process, masks, weighting, times)
