"""How far apart the numbers of a row are that have one unit, as a network is given it.

Of numbers a and b that are compared, z their coordinates, u what `data.codecs.units` says,

    (1)  f = asinh((u(a) - u(b)) / s)

where both are there, and 0 elsewhere. Of a noisy number z is its best linear estimate. Each u(z) is
read from values at even z, between which it is taken to be a line. A category may say that a value
is a frequent one, whose u is known, or that of another column.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.codecs.repeats import in_order
from sfumato.data.codecs.units import Unit

# From where to where u is read, and how many values in each 1 of z.
_END, _EACH = 4, 128


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Numbers that are compared.

    Args:
        columns: their places among the numbers of a row, `(K,)`.
        curves: u of each at even z, `(K, values)`, float64.
        states: the places of their categories; -1 where one is always a number, `(K,)`.
        masses: u by category, NaN where that does not tell it, `(K, categories)`, float64.
        repeats: each column that may repeat another, the other, and the category that says so; a
            column comes after the one that it repeats.
        own: for each comparison a place in `columns`, `(P,)`.
        other: what it is compared with, `(P,)`.
        scales: s of eq. (1), `(P,)`, float64.
    """

    columns: Int[Tensor, " K"]
    curves: Float[Tensor, "K values"]
    states: Int[Tensor, " K"]
    masses: Float[Tensor, "K categories"]
    repeats: tuple[tuple[int, int, int], ...]
    own: Int[Tensor, " P"]
    other: Int[Tensor, " P"]
    scales: Float[Tensor, " P"]

    @classmethod
    def of(
        cls, units: Sequence[Unit], parts: Sequence[NumericCodec], states: Sequence[int]
    ) -> "Comparisons":
        """The comparisons of all units.

        Args:
            units: not empty.
            parts: the numeric columns, in the order of a row's numbers.
            states: for each the place of its category; -1 where it has none.
        """
        z = np.linspace(-_END, _END, 2 * _END * _EACH + 1)
        place = {part.name: k for k, part in enumerate(parts)}
        columns = [place[name] for unit in units for name in unit.names]
        compared = [parts[k] for k in columns]
        curves, masses = list[np.ndarray](), list[np.ndarray]()
        pairs = list[tuple[int, int]]()
        width = max(len(part.point_masses) for part in compared) + 1
        for unit in units:
            pairs += [(a + len(curves), b + len(curves)) for a, b in unit.pairs]
            for part in (parts[place[name]] for name in unit.names):
                curves.append(unit.scores(part.value_at(z)))
                known = unit.scores(np.array(part.point_masses, np.float64))
                masses.append(np.r_[np.nan, known, np.full(width - 1 - len(known), np.nan)])
        own, other = torch.tensor(pairs).T
        names = [part.name for part in compared]
        repeating = [part for part in in_order(parts) if {part.name, part.repeats} <= set(names)]
        return cls(
            torch.tensor(columns),
            torch.from_numpy(np.stack(curves)),
            torch.tensor([states[k] for k in columns]),
            torch.from_numpy(np.stack(masses)),
            tuple((names.index(p.name), names.index(p.repeats), p.repeat_code) for p in repeating),
            own,
            other,
            torch.tensor([scale for unit in units for scale in unit.scales], dtype=torch.float64),
        )

    def __len__(self) -> int:
        """How many."""
        return len(self.scales)

    def __call__(
        self,
        z: Float[Tensor, "batch C"],
        there: Bool[Tensor, "batch C"],
        categories: Int[Tensor, "batch D"],
    ) -> Float[Tensor, "batch P"]:
        """Eq. (1), in the precision of z.

        Args:
            z: the numbers, or estimates of them.
            there: which of them there are.
            categories: see `networks.table_mlp.TableCondition`.
        """
        apart = self._apart(self._scores(z, there, categories)).nan_to_num()
        return apart.to(z).asinh()  # runtimes of ONNX have none of float64

    def along(
        self,
        z: Float[Tensor, "batch C"],
        there: Bool[Tensor, "batch C"],
        categories: Int[Tensor, "batch D"],
        tangents: Float[Tensor, "batch k C"],
    ) -> Float[Tensor, "batch k P"]:
        """By how much eq. (1) grows along tangents of z; the other arguments as of a call."""
        scores = self._scores(z, there, categories)
        du = self._repeated(scores.slope[:, None] * tangents[..., self.columns], scores.codes)
        gain = (1 / self.scales / (1 + self._apart(scores) ** 2).sqrt()).nan_to_num()
        return gain[:, None] * (du[..., self.own] - du[..., self.other])

    def _apart(self, scores: "_Scores") -> Float[Tensor, "batch P"]:
        """What the asinh is taken of; NaN where one of the two is not there."""
        return (scores.u[:, self.own] - scores.u[:, self.other]) / self.scales

    def _scores(self, z: Tensor, there: Tensor, categories: Tensor) -> "_Scores":
        values, places = self.curves.shape[1], torch.arange(len(self.columns))
        own = z[:, self.columns].double()
        at = (own.clamp(-_END, _END) + _END) * _EACH
        first = at.detach().long().clamp(0, values - 2)  # NaN too has a place
        low, high = (self.curves.flatten()[first + k + values * places] for k in (0, 1))
        none = torch.zeros_like(z[:, :1], dtype=torch.int64)  # of a column without categories
        codes = torch.cat([categories, none], 1)[:, self.states]
        mass = self.masses[places, codes.clamp(max=self.masses.shape[1] - 1)]
        is_mass = mass.isfinite() & (codes < self.masses.shape[1])
        line = torch.where(there[:, self.columns], low + (high - low) * (at - first), math.nan)
        u = torch.where(is_mass, mass, line)
        flat = is_mass | (own.abs() > _END)
        return _Scores(
            self._repeated(u, codes),
            torch.where(flat, 0.0, (high - low) * _EACH),
            codes,
        )

    def _repeated(self, of: Shaped[Tensor, "batch *k K"], codes: Tensor) -> Tensor:
        """What is of each column, or of the one that it repeats."""
        columns = list(of.unbind(-1))
        for own, other, code in self.repeats:
            is_other = (codes[:, own] == code).view(-1, *[1] * (of.ndim - 2))
            columns[own] = torch.where(is_other, columns[other], columns[own])
        return torch.stack(columns, -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Of the compared columns: u, NaN where there is none, its slope, and their categories."""

    u: Float[Tensor, "batch K"]
    slope: Float[Tensor, "batch K"]
    codes: Int[Tensor, "batch K"]
