"""Categories drawn one after another, each given those before it.

    (1)  p(k_1, ..., k_D) = prod_i p(k_o(i) | k_o(1), ..., k_o(i-1))     for any order o

A network that has learned p(k_j | any of the others) gives every factor. It is the reverse of a
process that hides categories one by one, diffusion with an absorbing state: Austin et al. (2021),
section 3.1; Hoogeboom et al. (2022), who let the order be drawn at random. Here it is one of a few,
so that

    (2)  p(k) = mean over the orders of (1)

is a probability in closed form, of the very samples that are drawn. Of very many columns several
are drawn at once, as if independent given those before: (1) and (2) still hold. Where rules let
only some categories stand beside those before, the others have the probability 0.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfumato.process.streams import generator

NUM_ORDERS = 4

# Network calls for a row; of more columns several are drawn at once.
MOST_ROUNDS = 64

# Categories seen and logits that are held at once while rows are scored: 32 MiB.
_MOST_NUMBERS = 2**22

Order = tuple[tuple[int, ...], ...]
"""Columns, round after round."""

Logits = Callable[[Tensor], Tensor]
"""Categories `(batch, D)`, a column's number of them where it is hidden, to `(batch, their sum)`,
float64."""


Allowed = Callable[[Tensor, int], Tensor | None]
"""Categories as above and a column to those that may stand there, `(batch, its number)`, if not
all."""


def orders(columns: int, seed: int, stream: int) -> tuple[Order, ...]:
    """A few orders of so many columns, drawn at random."""
    source = generator(seed, stream)
    rounds = min(columns, MOST_ROUNDS)
    found = []
    for _ in range(NUM_ORDERS):
        shuffled = torch.randperm(columns, generator=source)
        found.append(tuple(tuple(part.tolist()) for part in shuffled.tensor_split(max(rounds, 1))))
    return tuple(found)


def _places(sizes: Sequence[int]) -> list[slice]:
    """Where each column's categories stand among all."""
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def draw_categories(
    logits: Logits,
    categories: Int[Tensor, "batch D"],
    sizes: Sequence[int],
    orders: Sequence[Order],
    uniform: Float[Tensor, "batch D"],
    barred: Sequence[int] = (),
    allowed: Allowed | None = None,
) -> Int[Tensor, "batch D"]:
    """Draw those that are hidden, eq. (1); row r by order r modulo their number.

    Args:
        logits: of the network; rows must not depend on each other in it.
        categories: known ones; a column's number of categories where it is hidden.
        sizes: how many categories each column has.
        orders: see `orders`.
        uniform: on [0, 1), what each level is drawn with.
        barred: of each column a level that is not drawn; -1 for none.
        allowed: which categories may stand beside the known ones; all where not given.
    """
    categories, places, hidden = categories.clone(), _places(sizes), torch.tensor(sizes)
    for turn in range(max((len(order) for order in orders), default=0)):
        columns = [order[turn] for order in orders]
        asked = [
            bool((categories[k :: len(orders), own] == hidden[list(own)]).any())
            for k, own in enumerate(columns)
        ]
        if not any(asked):
            continue
        answers = logits(categories)
        for k, own in enumerate(columns):
            rows = slice(k, None, len(orders))
            for column in own:
                chance = answers[rows, places[column]].clone()
                if barred and barred[column] >= 0:
                    chance[:, barred[column]] = -math.inf
                may = None if allowed is None else allowed(categories[rows], column)
                if may is not None:
                    chance = chance.masked_fill(~may, -math.inf)
                below = chance.softmax(1).cumsum(1)
                drawn = (below <= uniform[rows, column, None] * below[:, -1:]).sum(1)
                here = categories[rows, column]
                categories[rows, column] = torch.where(here == sizes[column], drawn, here)
    return categories


def log_prob_categories(
    logits: Logits,
    categories: Int[Tensor, "batch D"],
    sizes: Sequence[int],
    orders: Sequence[Order],
    allowed: Allowed | None = None,
    given: Int[Tensor, "batch D"] | None = None,
) -> Float[Tensor, " batch"]:
    """Eq. (2) in nats, of those categories that are not hidden.

    No round waits for another, as all categories are there: the network is asked about as many at
    once as `_MOST_NUMBERS` lets stand in memory.

    Args:
        logits: as for `draw_categories`, of the batch in one round after another.
        categories: a column's number of categories where it is hidden.
        sizes: how many categories each column has.
        orders: see `orders`.
        allowed: as for `draw_categories`.
        given: those that are conditions; a column's number of categories where there is none.
    """
    places, batch = _places(sizes), len(categories)
    given = torch.tensor(sizes).expand(batch, -1) if given is None else given
    rounds = _rounds(categories, given, sizes, orders)
    together = max(1, _MOST_NUMBERS // max(1, batch * (len(sizes) + sum(sizes))))
    found = torch.zeros(len(orders), batch, dtype=torch.float64)
    while some := list(islice(rounds, together)):
        answers = logits(torch.cat([seen for *_, seen in some])).unflatten(0, (len(some), batch))
        for (k, columns, seen), answer in zip(some, answers, strict=True):
            for column in columns:
                own = categories[:, column]
                chance, may = answer[:, places[column]], None
                if allowed is not None:
                    may = allowed(seen, column)
                if may is not None:
                    chance = chance.masked_fill(~may, -math.inf)
                chance = chance.log_softmax(1)
                found_here = chance.gather(1, own[:, None].clamp(max=sizes[column] - 1))[:, 0]
                there = (own < sizes[column]) & (seen[:, column] == sizes[column])
                found[k] += torch.where(there, found_here, 0.0)
                seen[:, column] = torch.where(there, own, seen[:, column])
    return found.logsumexp(0) - math.log(len(orders))


def _rounds(
    categories: Tensor, given: Tensor, sizes: Sequence[int], orders: Sequence[Order]
) -> Iterator[tuple[int, list[int], Tensor]]:
    """Of each round in which there is something to tell: its order, columns, and what is seen."""
    open_ = (given == torch.tensor(sizes)).any(0)
    for k, order in enumerate(orders):
        after = given
        for each in order:
            if columns := [column for column in each if open_[column]]:
                seen, after = after.clone(), after.clone()
                for column in columns:
                    hidden = after[:, column] == sizes[column]
                    after[:, column] = torch.where(hidden, categories[:, column], after[:, column])
                yield k, columns, seen
