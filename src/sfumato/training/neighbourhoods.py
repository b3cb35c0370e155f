"""All rows, so arranged that a mean over them takes only those that are within the noise.

A noised row x_t is at the place x_t/alpha. Of the weights of `training.stable_targets`, rows that
are farther from there than

    (1)  reach = (sqrt(d) + 2.5) sigma/alpha

in d numbers have together about a two-thousandth: the norm of d normal numbers is as rarely longer.
So space is halved again and again at the median of its rows' widest coordinate, which is a k-d
tree, Bentley (1975), and each part knows the rows within reach of it. The less noise, the smaller
the parts: there is such a tree's foliage for each octave of sigma/alpha.

Where even so there are too many rows, they are cut into classes by chance, and a row is averaged
over those of its own class: the noise has no say in which these are.
"""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfumato.training.stable_targets import as_keys

# The last octave has a quarter of the most rows within reach, or is the last of so many. A part is
# halved while that leaves out a quarter of its rows and an eighth of the most rows are in it.
_LEAST, _OCTAVES, _KEPT, _WITHIN = 4, 16, 1.5, 8


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """How space is halved: node 1 is all of it, and the halves of node k are 2 k and 2 k + 1.

    Args:
        axis: the coordinate that each node is cut across, `(nodes,)`; -1 where it is not.
        cut: at which value, `(nodes,)`; what is beyond it is in the second half.
    """

    axis: Int[Tensor, " nodes"]
    cut: Float[Tensor, " nodes"]

    def leaf(self, places: Float[Tensor, "n d"], number: Int[Tensor, " nodes"]) -> Tensor:
        """The number of the leaf that each place is in, `(n,)`; inner nodes have the number -1."""
        node = torch.ones(len(places), dtype=torch.int64)
        while (inner := number[node] < 0).any():
            along = places.gather(1, self.axis[node].clamp_min(0)[:, None])[:, 0]
            node = torch.where(inner, 2 * node + (along > self.cut[node]), node)
        return number[node]


@dataclass(frozen=True, slots=True, eq=False)
class Octave:
    """The parts of space for an octave of noise.

    Args:
        noise: the most sigma/alpha.
        number: of each leaf, in the nodes of `Cuts`, `(nodes,)`; -1 elsewhere.
        classes: into how many the rows are cut.
        first: number of its first group; of each leaf there follow its classes.
    """

    noise: float
    number: Int[Tensor, " nodes"]
    classes: int
    first: int


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhoods:
    """Groups of rows for every place and level. Made by `neighbourhoods`.

    Args:
        cuts: of space.
        octaves: of noise, the least first; the last has no most.
        chance: the rows in an order by chance, which decides their classes, `(n,)`.
        keys: of the rows of each group, see `stable_targets.as_keys`.
    """

    cuts: Cuts
    octaves: tuple[Octave, ...]
    chance: Int[Tensor, " n"]
    keys: tuple[Tensor, ...]

    def groups(
        self,
        places: Float[Tensor, "batch d"],
        noise: Float[Tensor, " batch"],
        row: Int[Tensor, " batch"],
    ) -> Int[Tensor, " batch"]:
        """The number of each noised row's group.

        Args:
            places: x_t/alpha, `(batch, d)`.
            noise: sigma/alpha, `(batch,)`.
            row: which row was noised, `(batch,)`.
        """
        of_octave, group = self._octave(noise), torch.empty_like(row)
        for k, octave in enumerate(self.octaves):
            own = (of_octave == k).nonzero()[:, 0]
            leaf = self.cuts.leaf(places[own], octave.number)
            of_class = self.chance[row[own]] % octave.classes
            group[own] = octave.first + leaf * octave.classes + of_class
        return group

    def candidates(self, noise: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Of how many rows a mean is, those that are left out for their distance among them."""
        classes = torch.tensor([octave.classes for octave in self.octaves], dtype=noise.dtype)
        return len(self.chance) / classes[self._octave(noise)]

    def _octave(self, noise: Tensor) -> Tensor:
        most = torch.tensor([octave.noise for octave in self.octaves[:-1]], dtype=noise.dtype)
        return torch.searchsorted(most, noise)


def neighbourhoods(rows: Float[Tensor, "n *event"], at_most: int) -> Neighbourhoods:
    """Arrange rows so that a mean over a group takes about `at_most` rows or fewer.

    Args:
        rows: `(n, *event)`, at least one.
        at_most: that many rows, in the mean over all rows that may be noised.
    """
    flat = rows.flatten(1)
    cuts = _cuts(flat, max(1, at_most // _WITHIN))
    chance = torch.randperm(len(flat), generator=torch.Generator().manual_seed(0))
    octaves: list[Octave] = []
    keys: list[Tensor] = []
    for noise, number, leaves, mean in reversed(list(_foliage(flat, cuts, at_most))):
        classes = 2 ** max(0, math.ceil(math.log2(mean / at_most)))
        octaves.append(Octave(noise, number, classes, len(keys)))
        keys += _of_leaves(flat, leaves, chance % classes, classes)
    return Neighbourhoods(cuts, tuple(octaves), chance, tuple(keys))


def _of_leaves(
    flat: Tensor, leaves: list[Tensor], of_class: Tensor, classes: int
) -> Iterator[Tensor]:
    """The keys of each leaf's classes, one leaf after another."""
    reached, sizes = torch.cat(leaves), torch.tensor([len(leaf) for leaf in leaves])
    group = classes * torch.arange(len(leaves)).repeat_interleave(sizes) + of_class[reached]
    counts = group.bincount(minlength=classes * len(leaves)).tolist()
    own = as_keys(flat[reached[group.argsort(stable=True)]]).split(counts, -2)
    # A row whose noise is beyond its reach still finds some of its class: all, held once.
    whole: dict[int, Tensor] = {}
    for k, (of, count) in enumerate(zip(own, counts, strict=True)):
        if not count and k % classes not in whole:
            whole[k % classes] = as_keys(flat[of_class == k % classes])
        yield of if count else whole[k % classes]


def _cuts(flat: Tensor, at_most: int) -> Cuts:
    """Halve at medians so often that no part has more than `at_most` rows that share no value."""
    depth = max(0, math.ceil(math.log2(len(flat) / at_most)))
    axis = torch.full((2 ** (depth + 1),), -1)
    cut = torch.zeros(2 ** (depth + 1), dtype=flat.dtype)
    waiting = [(1, torch.arange(len(flat)))] if depth else []
    while waiting:
        node, rows = waiting.pop()
        own = flat[rows]
        widest = int((own.amax(0) - own.amin(0)).argmax())
        along = own[:, widest]
        middle = _middle(along)
        first = along <= middle
        if not 0 < int(first.sum()) < len(first):
            continue
        axis[node], cut[node] = widest, middle
        if 2 * node < 2**depth:
            waiting += [(2 * node, rows[first]), (2 * node + 1, rows[~first])]
    return Cuts(axis, cut)


def _middle(along: Tensor) -> Tensor:
    """Where to halve: at the median, or between it and the next value if rows share it.

    At a value that many rows share, all of them would be within reach of both halves.
    """
    middle = along.median()
    if int((along == middle).sum()) < 2:
        return middle
    values = along.unique()
    upper = min(int(torch.searchsorted(values, middle)) + 1, len(values) - 1)
    halfway: Tensor = values[max(0, upper - 1) : upper + 1].mean()
    return halfway


def _foliage(
    flat: Tensor, cuts: Cuts, at_most: int
) -> Iterator[tuple[float, Tensor, list[Tensor], float]]:
    """For each octave its most noise, the leaves' numbers, their rows, and how many in the mean.

    The widest comes first; an octave that nothing is halved for is left out. The mean is over all
    rows, each in its leaf.
    """
    width = float((flat - flat.mean(0)).square().mean().sqrt())
    columns = flat.T.contiguous()
    reach = math.sqrt(flat.shape[1]) + 2.5
    least = at_most / _LEAST
    octaves = _OCTAVES if math.isfinite(width) else 1
    for noise in (math.inf, *(width / 2**k for k in range(1, octaves))):
        number = torch.full_like(cuts.axis, -1)
        leaves: list[Tensor] = []
        waiting = [(1, torch.arange(len(flat)))]
        while waiting:
            node, rows = waiting.pop()
            axis = int(cuts.axis[node])
            if axis >= 0 and len(rows) > least:
                along, cut = columns[axis][rows], cuts.cut[node]
                halves = [rows[along <= cut + reach * noise], rows[along > cut - reach * noise]]
                if sum(map(len, halves)) <= _KEPT * len(rows):
                    waiting += [(2 * node, halves[0]), (2 * node + 1, halves[1])]
                    continue
            number[node] = len(leaves)
            leaves.append(rows)
        inside = cuts.leaf(flat, number).bincount(minlength=len(leaves)).tolist()
        mean = sum(map(operator.mul, inside, map(len, leaves))) / len(flat)
        if math.isinf(noise) or len(leaves) > 1:
            yield noise, number, leaves, mean
        if mean <= least:
            return
