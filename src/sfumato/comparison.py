"""How far each sampling method is from exact, against the network calls that it makes.

Two yardsticks, each taken with the run's own network and with an exact denoiser (a Gaussian
mixture fitted to the same rows, whose draws are known too):

    flow        how far samples end from where the probability flow takes the same noise, in
                standard deviations of the data; for methods without noise. The median, because
                noise near a watershed of the flow ends on either side of it.
    distance    sliced Wasserstein-2 distance to real rows, beside that between real rows
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sfumato import parallel
from sfumato.assembly import build_grid, build_stepper
from sfumato.config import SamplingSettings, Settings, resolve
from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.denoisers.mixture import GaussianMixture, gaussian_mixture
from sfumato.errors import ArgumentError
from sfumato.metrics.distances import sliced_wasserstein_2
from sfumato.process.conversions import Interpolated
from sfumato.process.noise import NoiseLevel
from sfumato.process.random import CHUNK, generator
from sfumato.process.schedules import Schedule
from sfumato.process.tables import Table, with_signal
from sfumato.run import Run
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import (
    Stepper,
    chunk_frames,
    draws_noise,
    last_frame,
    sample_chunks,
    trajectory,
)
from sfumato.samplers.runge_kutta import RungeKutta
from sfumato.samplers.unipc import UniPC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CALLS = (5, 10, 20, 40, 80)
# Where a method's grid is chosen.
_MIDDLE = 20
_SCHEDULE_GRIDS = ("uniform-time", "uniform-log-snr", "karras")
_TABLE_GRIDS = ("trailing", "uniform-log-snr", "karras")
# The same as ddim and ancestral, see `samplers.euler`.
_OTHER_NAMES = ("euler", "euler-ancestral")
_COMPONENTS = 8
_REFERENCE_STEPS = 600
_ROWS, _SETS = 2 * CHUNK, 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One method with one number of calls.

    Args:
        sampler: its name.
        grid: the levels it visited, those that suit it best at 20 calls.
        num_calls: how often it asked the denoiser about each sample.
        flow: median distance from the flow's end; None for methods that draw noise.
        distance: to real rows.
    """

    sampler: str
    grid: str
    num_calls: int
    flow: float | None
    distance: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All methods with one denoiser.

    Args:
        title: whose estimates they used.
        calls: how many each method might make.
        floor: the least and largest distance between sets of real rows.
        entries: method by method, calls rising.
    """

    title: str
    calls: tuple[int, ...]
    floor: tuple[float, float]
    entries: tuple[Entry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(slots=True)
class _Counted:
    """A denoiser that counts."""

    denoise: Denoiser
    calls: int = 0

    def __call__(self, x_t: Tensor, level: NoiseLevel) -> Prediction:
        self.calls += 1
        return self.denoise(x_t, level)


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What all methods have in common: denoiser, process, where the flow ends, real rows."""

    settings: Settings
    denoise: Denoiser
    process: Schedule | Table
    event: tuple[int, ...]
    end: Tensor
    real: np.ndarray

    def tried(self, sampler: str, stepper: Stepper[Any], grid: str, num_steps: int) -> Entry:
        """Draw, count, and measure."""
        levels = _levels(self.process, grid, num_steps)
        counted = _Counted(self.denoise)
        x = torch.cat(
            list(sample_chunks(counted, self.event, levels, stepper, n=len(self.real), seed=0))
        )
        known = min(len(x), len(self.end))
        off = (x[:known] - self.end[:known]).flatten(1).square().mean(1).sqrt().median()
        return Entry(
            sampler,
            grid,
            counted.calls // -(-len(x) // CHUNK),
            None if draws_noise(stepper, levels) else float(off / self.end.std()),
            sliced_wasserstein_2(x.numpy(), self.real),
        )

    def stepper(self, sampler: str) -> Stepper[Any]:
        """The method as `run.sample(sampler=...)` draws by it; the run's own has its options.

        Only a variance that the network learned is left out, which the exact denoiser has not.
        """
        settings = resolve(self.settings.to_dict(), {"sampling": {"sampler": sampler}}).sampling
        options = dict(settings.options)
        if options.get("variance") == "learned":
            del options["variance"]
        return build_stepper(settings.model_copy(update={"options": options}))

    def best_grid(self, sampler: str) -> str:
        """The grid that takes the method nearest at 20 calls."""
        grids = _TABLE_GRIDS if isinstance(self.process, Table) else _SCHEDULE_GRIDS
        stepper = self.stepper(sampler)
        num_steps = self.steps_within(stepper, _MIDDLE)
        tried = [self.tried(sampler, stepper, grid, num_steps) for grid in grids]
        return min(tried, key=lambda e: e.distance if e.flow is None else e.flow).grid

    def steps_within(self, stepper: Stepper[Any], num_calls: int) -> int:
        """The most steps that make no more than so many calls."""
        two, three = (self._calls(stepper, num_steps) for num_steps in (2, 3))
        most = self.process.num_levels if isinstance(self.process, Table) else num_calls
        return max(1, min(2 + (num_calls - two) // (three - two), most))

    def _calls(self, stepper: Stepper[Any], num_steps: int) -> int:
        """Calls of a walk from zeros, a single sample."""
        counted = _Counted(self.denoise)
        x = torch.zeros(1, *self.event, dtype=torch.float64)
        levels = _levels(self.process, "trailing", num_steps)
        for _ in trajectory(counted, x, levels, stepper, noise=torch.zeros_like):
            pass
        return counted.calls


def _levels(process: Schedule | Table, grid: str, num_steps: int) -> NoiseLevel:
    if grid == "trailing" and not isinstance(process, Table):
        grid = "uniform-time"
    return build_grid(SamplingSettings(grid=grid), process, num_steps)


def fitted_mixture(rows: Tensor, seed: int) -> GaussianMixture:
    """A Gaussian mixture like the rows `(n, d)`: not the data, but known in every respect."""
    from sklearn.mixture import GaussianMixture as Fit

    components = max(1, min(_COMPONENTS, len(rows) // (10 * rows.shape[1])))
    fit = Fit(components, reg_covar=1e-5, random_state=seed).fit(rows[:10_000].numpy())
    return gaussian_mixture(
        torch.from_numpy(fit.weights_),
        torch.from_numpy(fit.means_),
        torch.from_numpy(fit.covariances_),
    )


def compare_samplers(run: Run, calls: Sequence[int] = CALLS) -> Iterator[Entry | Comparison]:
    """Every method with the run's network, then with an exact denoiser.

    Yields each entry as it is measured, and after the last of a denoiser its `Comparison`.

    Args:
        run: a fitted run whose rows can be had; its own sampler is measured with its own options.
        calls: how many network calls each method may make.

    Raises:
        ArgumentError: if a number of calls is below 1.
        RunError: if its rows cannot be had.
    """
    if not calls or min(calls) < 1:
        raise ArgumentError(f"numbers of network calls must be at least 1; got {list(calls)}.")
    model, data = run.model, run.load_data()
    if isinstance(model.process, Table) and model.process.num_levels < 3:
        raise ArgumentError("a table of fewer than 3 levels leaves samplers nothing to differ in.")
    rows = model.codec.encode(data.train.values).double()
    mixture = fitted_mixture(rows, run.settings.seed)
    shuffled = rows[torch.randperm(len(rows), generator=generator(run.settings.seed))]
    drawn = mixture.draw(_SETS * _ROWS, generator(run.settings.seed))
    for title, denoise, real in (
        ("this run's network", model.denoiser, shuffled),
        ("an exact denoiser, of a Gaussian mixture fitted to the data", mixture, drawn),
    ):
        with parallel.threads(run.settings.threads):
            yield from _compared(run.settings, title, denoise, model.process, real.numpy(), calls)


def _compared(
    settings: Settings,
    title: str,
    denoise: Denoiser,
    process: Schedule | Table,
    real: np.ndarray,
    calls: Sequence[int],
) -> Iterator[Entry | Comparison]:
    size = min(_ROWS, len(real) // _SETS)
    parts = [real[k * size : (k + 1) * size] for k in range(_SETS)]
    between = [sliced_wasserstein_2(parts[0], part) for part in parts[1:]]
    event = real.shape[1:]
    end = _end_of_flow(denoise, process, event)
    bench = _Bench(settings, denoise, process, event, end, parts[0])
    entries = []
    for sampler in _applicable(bench):
        for entry in _method(bench, sampler, calls):
            yield entry
            entries.append(entry)
    yield Comparison(title, tuple(calls), (min(between), max(between)), tuple(entries))


def _method(bench: _Bench, sampler: str, calls: Sequence[int]) -> Iterator[Entry]:
    if sampler == "runge-kutta":
        yield from _adaptive(bench, calls)
        return
    grid, stepper, before = bench.best_grid(sampler), bench.stepper(sampler), 0
    for most in calls:
        entry = bench.tried(sampler, stepper, grid, bench.steps_within(stepper, most))
        if before < entry.num_calls <= most:  # a table's end comes once
            yield entry
            before = entry.num_calls


def _adaptive(bench: _Bench, calls: Sequence[int]) -> Iterator[Entry]:
    """The adaptive method over the whole way at once, for the tolerances that calls allow."""
    tolerances = [10 ** (-k / 2) for k in range(1, 13)]
    tried = [
        bench.tried("runge-kutta", RungeKutta(tol), "uniform-log-snr", 2) for tol in tolerances
    ]
    before = 0
    for most in calls:
        within = [entry for entry in tried if before < entry.num_calls <= most]
        if within:
            yield within[-1]
            before = within[-1].num_calls


def _applicable(bench: _Bench) -> list[str]:
    """Each method once; where the network knows only its table, those that stay on it."""
    names = [name for name in SAMPLERS if name not in _OTHER_NAMES]
    table = bench.process if isinstance(bench.process, Table) else None
    if table is not None and not _takes_any_level(bench.denoise, table, bench.event):
        names.remove("runge-kutta")
    return names


def _end_of_flow(denoise: Denoiser, process: Schedule | Table, event: tuple[int, ...]) -> Tensor:
    """Where the probability flow takes the chunk that every method begins with.

    In fine steps between a table's levels, but for a network that knows no others: then by the
    best method through all of its levels, which is as near to the flow as it can be taken.
    """
    if isinstance(process, Table) and not _takes_any_level(denoise, process, event):
        levels = _levels(process, "trailing", process.num_levels)
    else:
        schedule = Interpolated(with_signal(process)) if isinstance(process, Table) else process
        levels = _levels(schedule, "uniform-log-snr", _REFERENCE_STEPS)
    last = last_frame(chunk_frames(denoise, event, levels, UniPC(), seed=0, chunk=0))
    return last.x_t


def _takes_any_level(denoise: Denoiser, table: Table, event: tuple[int, ...]) -> bool:
    """Whether the denoiser answers between the levels of its table."""
    between = NoiseLevel.from_log_snr(table.levels[1:3].log_snr.mean())
    try:
        denoise(torch.zeros(1, *event, dtype=torch.float64), between)
    except ArgumentError:
        return False
    return True


def most_entries(calls: Sequence[int]) -> int:
    """How many things `compare_samplers` yields at most: for progress."""
    return 2 * (len(calls) * (len(SAMPLERS) - len(_OTHER_NAMES)) + 1)


def figure_of(comparisons: Sequence[Comparison]) -> "Figure":
    """Error against calls, a row of panels for each denoiser."""
    from sfumato.plots.lines import Curve, Panel, sampler_errors

    panels = []
    for each in comparisons:
        curves = {}
        for name, entries in pivoted(each).items():
            had = [entry for entry in entries if entry is not None]
            curves[name] = Curve(
                [entry.num_calls for entry in had],
                [entry.flow for entry in had if entry.flow is not None],
                [entry.distance for entry in had],
            )
        panels.append(Panel(each.title, each.floor, curves))
    return sampler_errors(panels)


def pivoted(comparison: Comparison) -> Mapping[str, list[Entry | None]]:
    """For each method its entry within each number of calls; None where it has no other."""
    table: dict[str, list[Entry | None]] = {}
    for entry in comparison.entries:
        row = table.setdefault(entry.sampler, [None] * len(comparison.calls))
        row[next(k for k, most in enumerate(comparison.calls) if entry.num_calls <= most)] = entry
    return table
