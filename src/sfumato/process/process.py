"""The forward process: a schedule, continuous or discrete, behind one protocol.

Nothing outside this package asks which of the two a process is. A uniform draw u in [0, 1] names a
noise level of either:

                    continuous                  discrete, T levels
    at(u)           the level of time u         level 1 + floor(u T)
    time(log_snr)   the time of the log-SNR     (i - 1/2)/T, i the nearest level
    snr_rate        -dSNR/du                    T (SNR_{i-1} - SNR_i);  T/sigma_1² at level 1

Level 1 has no SNR_0: the step from it to the clean sample has the variance sigma_1² = beta_1.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import ArgumentError, unknown
from sfumato.process import discrete
from sfumato.process.conversions import Interpolated, from_schedule
from sfumato.process.discrete import DiscreteSchedule
from sfumato.process.grids import CONTINUOUS_GRIDS, DISCRETE_GRIDS
from sfumato.process.noise import NoiseLevel, then_clean
from sfumato.process.schedules import Schedule, Until


@runtime_checkable
class Process(Protocol):
    """Which noise levels there are, and how training and sampling visit them."""

    @property
    def num_levels(self) -> int:
        """T: the number of noisy levels; 0 where time is continuous."""
        ...

    @property
    def noisiest(self) -> NoiseLevel:
        """The last level, shape `()`."""
        ...

    @property
    def least_noisy(self) -> NoiseLevel:
        """The first noisy level, shape `()`."""
        ...

    @property
    def default_grid(self) -> str:
        """Name of the grid that begins at the noisiest level and divides time evenly."""
        ...

    @property
    def suggested_grids(self) -> tuple[str, ...]:
        """Names of the grids that are worth comparing."""
        ...

    def at(self, u: Float[Tensor, "*draws"]) -> NoiseLevel:
        """The level of each u in [0, 1], shape kept."""
        ...

    def time(self, log_snr: Float[Tensor, "*levels"]) -> Float[Tensor, "*levels"]:
        """A u that `at` takes to the level of this log-SNR, or to the level nearest to it."""
        ...

    def snr_rate(self, level: NoiseLevel) -> Float[Tensor, "*levels"]:
        """How fast the SNR falls per unit of u at each level, shape kept."""
        ...

    def until(self, end: float) -> "Process":
        """The part from clean to the time `end`, 0 < end <= 1, to start part way."""
        ...

    def with_signal(self) -> "Process":
        """The part whose log-SNR is finite."""
        ...

    def grid(self, name: str, num_steps: int) -> NoiseLevel:
        """The levels that a sampler visits in `num_steps` steps: noisiest first, clean last."""
        ...

    def evenly(self, count: int) -> NoiseLevel:
        """`count` levels evenly in time, clean first, the noisiest last."""
        ...

    def continuous(self) -> Schedule:
        """The process in continuous time, over the levels that hold signal."""
        ...

    def discrete(self, num_levels: int) -> DiscreteSchedule:
        """The process in discrete levels: its own, or `num_levels` where time is continuous."""
        ...

    def coordinate(self, level: NoiseLevel) -> str:
        """Where one level stands in the process, to label a figure with."""
        ...


AnyProcess = Process | Schedule | DiscreteSchedule
"""What `as_process` accepts."""


def _check_end(end: float) -> None:
    if not 0 < end <= 1:
        raise ArgumentError(f"the start must be above 0 (clean) and at most 1; got {end}.")


_CLEAN = "t = 0"


@dataclass(frozen=True, slots=True)
class ContinuousProcess:
    """A continuous schedule as a process.

    Args:
        schedule: times in [0, 1] to noise levels.
    """

    schedule: Schedule

    num_levels: ClassVar[int] = 0
    default_grid: ClassVar[str] = "uniform-time"
    suggested_grids: ClassVar[tuple[str, ...]] = (
        "uniform-time",
        "uniform-log-snr",
        "softplus",
        "karras",
    )

    @property
    def noisiest(self) -> NoiseLevel:
        """The level of t = 1."""
        return self.schedule(torch.ones((), dtype=torch.float64))

    @property
    def least_noisy(self) -> NoiseLevel:
        """The level of t = 0."""
        return self.schedule(torch.zeros((), dtype=torch.float64))

    def at(self, u: Float[Tensor, "*draws"]) -> NoiseLevel:
        """The level of the time u."""
        return self.schedule(u)

    def time(self, log_snr: Float[Tensor, "*levels"]) -> Float[Tensor, "*levels"]:
        """The time at which the log-SNR is reached; outside [0, 1] where it is never reached."""
        return self.schedule.time(log_snr)

    def snr_rate(self, level: NoiseLevel) -> Float[Tensor, "*levels"]:
        """-dSNR/dt = -SNR / (dt/dlog SNR); the schedule's `time` must be differentiable."""
        log_snr = level.log_snr.detach().requires_grad_()
        with torch.enable_grad():
            (dt,) = torch.autograd.grad(self.schedule.time(log_snr).sum(), log_snr)
        return -level.snr / dt

    def until(self, end: float) -> "ContinuousProcess":
        """The schedule over times from 0 to `end`.

        Raises:
            ArgumentError: unless 0 < end <= 1.
        """
        _check_end(end)
        return ContinuousProcess(Until(self.schedule, float(end)))

    def with_signal(self) -> "ContinuousProcess":
        """Itself: a continuous schedule has finite ends."""
        return self

    def grid(self, name: str, num_steps: int) -> NoiseLevel:
        """One of `CONTINUOUS_GRIDS`.

        Raises:
            ArgumentError: if the grid is unknown, or the number of steps is out of its range.
        """
        if name not in CONTINUOUS_GRIDS:
            raise unknown("grid of a continuous schedule (sampling.grid)", name, CONTINUOUS_GRIDS)
        return CONTINUOUS_GRIDS[name](self.schedule, num_steps)

    def evenly(self, count: int) -> NoiseLevel:
        """Clean, then the levels of t = 1/(count - 1), ..., 1."""
        noisy = self.schedule(torch.linspace(1, 0, count, dtype=torch.float64)[:-1])
        return then_clean(noisy)[torch.arange(count - 1, -1, -1)]

    def continuous(self) -> Schedule:
        """The schedule itself."""
        return self.schedule

    def discrete(self, num_levels: int) -> DiscreteSchedule:
        """The levels of t = 1/T, ..., 1.

        Raises:
            ArgumentError: as `from_schedule`.
        """
        return from_schedule(self.schedule, num_levels)

    def coordinate(self, level: NoiseLevel) -> str:
        """The time, as "t = 0.52"."""
        return f"t = {float(self.time(level.log_snr)):.2f}" if float(level.sigma) else _CLEAN


@dataclass(frozen=True, eq=False)
class DiscreteProcess:
    """A discrete schedule as a process.

    Args:
        schedule: T noisy levels.
    """

    schedule: DiscreteSchedule

    default_grid: ClassVar[str] = "trailing"
    suggested_grids: ClassVar[tuple[str, ...]] = ("trailing", "uniform-log-snr", "karras")

    @property
    def num_levels(self) -> int:
        """T: the number of noisy levels."""
        return self.schedule.num_levels

    @property
    def noisiest(self) -> NoiseLevel:
        """Level T."""
        return self.schedule.levels[-1]

    @property
    def least_noisy(self) -> NoiseLevel:
        """Level 1."""
        return self.schedule.levels[1]

    def at(self, u: Float[Tensor, "*draws"]) -> NoiseLevel:
        """Level 1 + floor(u T); u = 1 is level T."""
        index = (u * self.num_levels).floor().long().clamp(0, self.num_levels - 1)
        return self.schedule.levels[1 + index]

    def time(self, log_snr: Float[Tensor, "*levels"]) -> Float[Tensor, "*levels"]:
        """The middle of the draws that `at` takes to the nearest level."""
        return (self.schedule.nearest(log_snr).double() - 0.5) / self.num_levels

    @cached_property
    def _rates(self) -> Float[Tensor, " T"]:
        levels = self.schedule.levels
        return self.num_levels * torch.cat([levels.sigma[1:2] ** -2, -levels.snr[1:].diff()])

    def snr_rate(self, level: NoiseLevel) -> Float[Tensor, "*levels"]:
        """T (SNR_{i-1} - SNR_i); T/sigma_1² at level 1."""
        return self._rates[self.schedule.index(level) - 1]

    def until(self, end: float) -> "DiscreteProcess":
        """The first `end T` levels, rounded, at least one.

        Raises:
            ArgumentError: unless 0 < end <= 1.
        """
        _check_end(end)
        last = max(1, round(end * self.num_levels))
        return DiscreteProcess(discrete.until(self.schedule, last))

    def with_signal(self) -> "DiscreteProcess":
        """Without a last level that holds no signal (zero terminal SNR).

        Raises:
            ArgumentError: if that level is its only one.
        """
        return DiscreteProcess(discrete.with_signal(self.schedule))

    def grid(self, name: str, num_steps: int) -> NoiseLevel:
        """One of `DISCRETE_GRIDS`.

        Raises:
            ArgumentError: if the grid is unknown, or the number of steps is out of its range.
        """
        if name not in DISCRETE_GRIDS:
            raise unknown("grid of a discrete schedule (sampling.grid)", name, DISCRETE_GRIDS)
        return DISCRETE_GRIDS[name](self.schedule, num_steps)

    def evenly(self, count: int) -> NoiseLevel:
        """`count` of the levels 0 (clean), ..., T; some come twice where there are too few."""
        return self.schedule.levels[torch.linspace(0, self.num_levels, count).round().long()]

    def continuous(self) -> Schedule:
        """The levels that hold signal, and those between them.

        Raises:
            ArgumentError: if fewer than two levels hold signal.
        """
        return Interpolated(discrete.with_signal(self.schedule))

    def discrete(self, num_levels: int) -> DiscreteSchedule:  # noqa: ARG002
        """The schedule itself, whatever number is given."""
        return self.schedule

    def coordinate(self, level: NoiseLevel) -> str:
        """The index, as "t = 37"."""
        return f"t = {int(self.schedule.index(level))}" if float(level.sigma) else _CLEAN


def as_process(given: object) -> Process:
    """The process of a schedule; a process is returned as it is.

    A schedule of a user's own is any object with `__call__(t) -> NoiseLevel` and its inverse
    `time(log_snr)`. It is checked at 101 times.

    Raises:
        ArgumentError: if it has not these, or its log-SNR is not finite, does not fall with t, or
            is not what `time` inverts.
    """
    if isinstance(given, type):
        raise ArgumentError(
            f"a process is an object, and {given.__name__} is a class; give {given.__name__}(...)."
        )
    if isinstance(given, Process):
        return given
    if isinstance(given, DiscreteSchedule):
        return DiscreteProcess(given)
    if not isinstance(given, Schedule):
        raise ArgumentError(
            "a process is a Process, a DiscreteSchedule, or a schedule with the methods "
            f"`__call__(t)` and `time(log_snr)`; got {type(given).__name__}."
        )
    _check(given)
    return ContinuousProcess(given)


# Far more than rounding takes from the inverse of any schedule here.
_INVERSE_TOLERANCE = 1e-3


def _check(schedule: Schedule) -> None:
    name = type(schedule).__name__
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    level = schedule(t)
    if not isinstance(level, NoiseLevel):
        raise ArgumentError(
            f"the schedule {name} must return a NoiseLevel of each time; got "
            f"{type(level).__name__}."
        )
    if not level.alpha.shape == level.sigma.shape == t.shape:
        raise ArgumentError(
            f"the schedule {name} must keep the shape of its times, {tuple(t.shape)}; got alpha of "
            f"{tuple(level.alpha.shape)} and sigma of {tuple(level.sigma.shape)}."
        )
    log_snr = level.log_snr
    wrong = ~log_snr.isfinite()
    if wrong.any():
        at = float(t[wrong][0])
        raise ArgumentError(
            f"the schedule {name} has no finite log-SNR at t = {at:.2f}; keep alpha and sigma "
            "above 0 at both ends."
        )
    rises = ~(log_snr.diff() < 0)
    if rises.any():
        at = int(rises.nonzero()[0])
        raise ArgumentError(
            f"the log-SNR of the schedule {name} must fall with t (t = 1 is the most noise); it "
            f"does not from t = {float(t[at]):.2f} to {float(t[at + 1]):.2f}."
        )
    back = schedule.time(log_snr)
    if back.shape != t.shape or not bool(((back - t).abs() <= _INVERSE_TOLERANCE).all()):
        raise ArgumentError(
            f"`time` of the schedule {name} must be the inverse of its call: time(s(t).log_snr) "
            "is t. It returned other times."
        )
