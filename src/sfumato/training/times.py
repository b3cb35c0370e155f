"""At which times the loss is looked at: draws of u in [0, 1].

A continuous schedule takes u as its time; a table of T levels takes level 1 + floor(u T). A draw
that is not uniform changes what is minimised, as its authors mean it to; only `importance` divides
the loss by the density, and so estimates the uniform mean with less variance.

    (1)  p(bin) ∝ sqrt(E[L²]),   L/p in place of L
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.special import ndtri

from sfumato.errors import unknown
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Schedule

TimeDraw = Callable[[int, torch.Generator], Tensor]
"""`(batch, generator)` to u `(batch,)`, float64."""


def uniform(batch: int, generator: torch.Generator) -> Tensor:
    """Independent and uniform."""
    return torch.rand(batch, dtype=torch.float64, generator=generator)


def antithetic(batch: int, generator: torch.Generator) -> Tensor:
    """Half uniform, half mirrored: u and 1 - u, the tutorial's t and T - 1 - t.

    Each is uniform, and an easy time comes with a hard one, so the mean varies less.
    """
    half = uniform((batch + 1) // 2, generator)
    return torch.cat([half, 1 - half])[:batch]


def stratified(batch: int, generator: torch.Generator) -> Tensor:
    """One uniform draw in each of `batch` equal strata, in random order.

    Each is uniform over all; together they leave no part of the noise out.
    """
    within = torch.rand(batch, dtype=torch.float64, generator=generator)
    return (torch.randperm(batch, generator=generator) + within) / batch


def logit_normal(batch: int, generator: torch.Generator) -> Tensor:
    """U = sigmoid(z), z ~ N(0, 1): Esser et al. (2024), eq. 19, its draws stratified."""
    return torch.sigmoid(ndtri(stratified(batch, generator)))


@dataclass(frozen=True, slots=True, eq=False)
class LogNormal:
    """ln(sigma/alpha) ~ N(mean, std²): Karras et al. (2022), table 1, its draws stratified.

    Noise beyond the schedule's ends is that of the end; a table takes its nearest level.

    Args:
        process: whose levels are drawn.
        mean: theirs, meant for data of standard deviation 0.5.
        std: theirs.
    """

    process: Schedule | DiscreteSchedule
    mean: float = -1.2
    std: float = 1.2

    def __call__(self, batch: int, generator: torch.Generator) -> Tensor:
        """The u of each level drawn, `(batch,)`."""
        log_snr = -2 * (self.mean + self.std * ndtri(stratified(batch, generator)))
        if isinstance(self.process, DiscreteSchedule):
            return (self.process.nearest(log_snr) - 0.5) / self.process.num_levels
        return self.process.time(log_snr).clamp(0, 1)


class Importance:
    """More often where the loss is large: eq. (1), Nichol & Dhariwal (2021), eq. 18.

    E[L²] is that of the last ten losses of a bin; until each bin has ten, and for a share of 0.001
    ever after (as in their code), the draw is uniform. It is stratified by its own density.

    Args:
        process: a bin for each level of a table, 100 equal parts of a schedule's u.
    """

    remembered = 10
    uniform_share = 0.001

    def __init__(self, process: Schedule | DiscreteSchedule) -> None:
        self.num_bins = process.num_levels if isinstance(process, DiscreteSchedule) else 100
        self.losses = torch.zeros(self.num_bins, self.remembered, dtype=torch.float64)
        self.count = torch.zeros(self.num_bins, dtype=torch.int64)

    def density(self) -> Float[Tensor, " bins"]:
        """Density of u in each bin; their mean is 1."""
        if int(self.count.min()) < self.remembered:
            return torch.ones(self.num_bins, dtype=torch.float64)
        size = self.losses.square().mean(1).sqrt()
        return torch.lerp(size / size.mean(), torch.ones_like(size), self.uniform_share)

    def __call__(self, batch: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
        """Draw u `(batch,)` by inverting the distribution function."""
        density = self.density()
        ends = density.cumsum(0)
        place = stratified(batch, generator) * ends[-1]
        chosen = torch.searchsorted(ends, place, right=True).clamp(max=self.num_bins - 1)
        within = 1 - (ends[chosen] - place) / density[chosen]
        return ((chosen + within) / self.num_bins).clamp(0, 1)

    def reweighted(
        self, u: Float[Tensor, " batch"], losses: Float[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """The losses over the density that u was just drawn from; they are remembered as given."""
        bins = _bin(u, self.num_bins)
        weighted = losses / self.density()[bins].to(losses)
        # Sorted by bin, so that each loss knows how many came before it in its own.
        order = bins.argsort(stable=True)
        bins, new = bins[order], torch.bincount(bins, minlength=self.num_bins)
        rank = torch.arange(len(u)) - (new.cumsum(0) - new)[bins]
        # No slot twice: which of two writes at one place stays is not PyTorch's to say.
        last = rank >= new[bins] - self.remembered
        slot = (self.count[bins] + rank) % self.remembered
        self.losses[bins[last], slot[last]] = losses.detach().to(self.losses)[order][last]
        self.count += new
        return weighted


TIME_DRAWS: Mapping[str, Callable[[Schedule | DiscreteSchedule], TimeDraw]] = {
    "uniform": lambda _: uniform,
    "antithetic": lambda _: antithetic,
    "stratified": lambda _: stratified,
    "logit-normal": lambda _: logit_normal,
    "log-normal": LogNormal,
    "importance": Importance,
}


def named_time_draw(name: str, process: Schedule | DiscreteSchedule) -> TimeDraw:
    """The time draw of a name.

    Raises:
        ArgumentError: if there is none.
    """
    if name not in TIME_DRAWS:
        raise unknown("time draw", name, TIME_DRAWS)
    return TIME_DRAWS[name](process)


def _bin(u: Tensor, num_bins: int) -> Tensor:
    return (u * num_bins).floor().long().clamp(0, num_bins - 1)


def level_at(process: Schedule | DiscreteSchedule, u: Tensor) -> NoiseLevel:
    """The noise level of each u in [0, 1]."""
    if isinstance(process, DiscreteSchedule):
        return process.levels[1 + _bin(u, process.num_levels)]
    return process(u)
