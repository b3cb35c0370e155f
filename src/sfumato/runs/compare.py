"""How far each sampling method is from exact, against the network calls that it makes.

Two yardsticks, each taken with the run's own network and with an exact denoiser (a Gaussian
mixture fitted to the same rows, whose draws are known too):

    flow        how far samples end from where the probability flow takes the same noise, in
                standard deviations of the data; for methods without noise. The median, because
                noise near a watershed of the flow ends on either side of it.
    distance    sliced Wasserstein-2 distance to real rows, beside that between real rows
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sfumato import distributed
from sfumato.config import SamplingSettings
from sfumato.denoisers.denoiser import Denoiser, PerChunk, Prediction
from sfumato.denoisers.mixture import GaussianMixture, from_scikit_learn
from sfumato.errors import ArgumentError
from sfumato.metrics.distances import sliced_wasserstein_2
from sfumato.models.few import FewSteps, as_map
from sfumato.models.model import Model, changed
from sfumato.models.registry import build_stepper
from sfumato.process.grids import uniform_log_snr
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.process.streams import Chunk, chunk_size, chunks, generator
from sfumato.runs.run import Run
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import (
    Stepper,
    count_calls,
    draws_noise,
    sample_chunks,
)
from sfumato.samplers.renoising import Renoising
from sfumato.samplers.runge_kutta import RungeKutta
from sfumato.samplers.unipc import UniPC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CALLS = (5, 10, 20, 40, 80)
# Where a method's grid is chosen.
_MIDDLE = 20
# See `samplers.euler`.
_OTHER_NAMES = {"euler": "the same as ddim", "euler-ancestral": "the same as ancestral"}
_COMPONENTS = 8
_REFERENCE_STEPS, _PICTURE_STEPS = 600, 200
# Sets of real rows, and numbers of a row beyond which there is no exact denoiser.
_SETS, _MOST_EXACT = 4, 1024


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
        left_out: methods without an entry, and why they have none.
    """

    title: str
    calls: tuple[int, ...]
    floor: tuple[float, float]
    entries: tuple[Entry, ...]
    left_out: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(slots=True)
class _Counted:
    """A denoiser, perhaps of each chunk one of its own, that counts."""

    denoise: Denoiser | PerChunk
    calls: int = 0

    def of(self, chunk: Chunk) -> Denoiser:
        """The denoiser of a chunk."""
        own = self.denoise.of(chunk) if isinstance(self.denoise, PerChunk) else self.denoise

        def counting(x_t: Tensor, level: NoiseLevel, condition: object = None) -> Prediction:  # noqa: ARG001
            self.calls += 1
            return own(x_t, level)

        return counting


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What all methods have in common: denoiser, process, where the flow ends, real rows."""

    denoise: Denoiser | PerChunk
    process: Process
    event: tuple[int, ...]
    end: Tensor
    real: np.ndarray
    steppers: Mapping[str, Stepper[Any]]

    def tried(self, sampler: str, stepper: Stepper[Any], grid: str, num_steps: int) -> Entry:
        """Draw, count, and measure."""
        return self.drawn(sampler, stepper, grid, self.process.grid(grid, num_steps))

    def drawn(self, sampler: str, stepper: Stepper[Any], grid: str, levels: NoiseLevel) -> Entry:
        """As `tried`, by any levels."""
        counted = _Counted(self.denoise)
        walk = sample_chunks(
            PerChunk(counted.of), self.event, levels, stepper, n=len(self.real), seed=0
        )
        x = torch.cat(list(walk))
        known = min(len(x), len(self.end))
        off = (x[:known] - self.end[:known]).flatten(1).square().mean(1).sqrt().median()
        return Entry(
            sampler,
            grid,
            counted.calls // len(list(chunks(self.event, len(x)))),
            None if draws_noise(stepper, levels) else float(off / self.end.std()),
            sliced_wasserstein_2(x.flatten(1).numpy(), self.real),
        )

    def nearest(self, sampler: str, num_calls: int) -> Entry:
        """The method on the grid that takes it nearest within so many calls."""
        stepper = self.steppers[sampler]
        tried = [
            self.tried(sampler, stepper, grid, self.steps_within(stepper, grid, num_calls))
            for grid in self.process.suggested_grids
        ]
        return min(tried, key=lambda e: e.distance if e.flow is None else e.flow)

    def steps_within(self, stepper: Stepper[Any], grid: str, num_calls: int) -> int:
        """The most steps that make no more than so many calls."""

        def calls(num_steps: int) -> int:
            return count_calls(stepper, self.process.grid(grid, num_steps))

        # A step makes a call or more.
        tried = range(1, min(num_calls, self.process.num_levels or num_calls) + 1)
        return max(1, bisect_right(tried, num_calls, key=calls))


def fitted_mixture(rows: Tensor, seed: int) -> GaussianMixture:
    """A Gaussian mixture like the rows `(n, d)`: not the data, but known in every respect."""
    from sklearn.mixture import GaussianMixture as Fit

    components = max(1, min(_COMPONENTS, len(rows) // (10 * rows.shape[1])))
    fit = Fit(components, reg_covar=1e-5, random_state=seed).fit(rows[:10_000].numpy())
    return from_scikit_learn(fit)


def calls_of(run: Run) -> tuple[int, ...]:
    """How many network calls methods are compared at, those of the run's few-step map included."""
    if run.model.few is None:
        return CALLS
    few = sorted(run.model.few.times)
    return (*few, *(each for each in CALLS if each > 2 * few[-1]))


def compare_samplers(run: Run, calls: Sequence[int] = CALLS) -> Iterator[Entry | Comparison]:
    """Every method with the run's network, then with an exact denoiser.

    A few-step map that was learned from the network stands beside them.

    Of a table the numeric columns are drawn, given each row's categories. Of more than 1,024
    numbers there is no exact denoiser: its covariances take too long. The run's own sampler has the
    run's options, the others their defaults.

    Yields each entry as it is measured, and after the last of a denoiser its `Comparison`.

    Args:
        run: a fitted run whose rows can be had; its own sampler is measured with its own options.
        calls: how many network calls each method may make; a map, exactly so many.

    Raises:
        ArgumentError: if a number of calls is below 1, or a table has no numeric column.
        RunError: if its rows cannot be had.
    """
    if not calls or min(calls) < 1:
        raise ArgumentError(f"numbers of network calls must be at least 1; got {list(calls)}.")
    model, data, seed = run.model, run.load_data(), run.settings.seed
    if not math.prod(model.codec.event):
        raise ArgumentError(
            "this table has no numeric column, and categories are drawn one by one: there is no "
            "sampler to compare."
        )
    if 0 < model.process.num_levels < 3:
        raise ArgumentError("fewer than 3 noise levels leave samplers nothing to differ in.")
    rows = model.encoded(run.kind.rows(data.train))
    shuffled = rows[torch.randperm(len(rows), generator=generator(seed))]
    sampling = run.settings.sampling
    with distributed.threads(run.settings.threads):
        network = model.numeric_denoiser(seed=0)
        yield from _compared(
            "this run's network",
            network,
            model.process,
            shuffled,
            _steppers(sampling),
            calls,
            model,
        )
        if math.prod(model.codec.event) > _MOST_EXACT:
            return
        mixture = fitted_mixture(rows.flatten(1), seed)
        drawn = mixture.draw(_SETS * _rows(rows), generator(seed))
        title = "an exact denoiser, of a Gaussian mixture fitted to the data"
        steppers = _steppers(_for_exact(sampling))
        yield from _compared(title, mixture, model.process, drawn, steppers, calls)


def _steppers(sampling: SamplingSettings) -> Mapping[str, Stepper[Any]]:
    """Each method once; the run's own with its options."""
    made = {name: make() for name, make in SAMPLERS.items() if name not in _OTHER_NAMES}
    if sampling.sampler in made:
        made[sampling.sampler] = build_stepper(sampling)
    return made


def _for_exact(sampling: SamplingSettings) -> SamplingSettings:
    """Without a variance that the network learned, which an exact denoiser has not."""
    options = {k: v for k, v in sampling.options.items() if (k, v) != ("variance", "learned")}
    return sampling.model_copy(update={"options": options})


def _rows(rows: Tensor) -> int:
    """How many are drawn: two chunks, of pictures one."""
    size = chunk_size(rows.shape[1:])
    return 2 * size if rows.ndim == 2 else size


def _compared(
    title: str,
    denoise: Denoiser | PerChunk,
    process: Process,
    real: Tensor,
    steppers: Mapping[str, Stepper[Any]],
    calls: Sequence[int],
    model: Model | None = None,
) -> Iterator[Entry | Comparison]:
    """All methods with one denoiser, and the few-step map of a model that has one."""
    flat = real.flatten(1).numpy()
    size = min(_rows(real), len(flat) // _SETS)
    parts = [flat[k * size : (k + 1) * size] for k in range(_SETS)]
    between = [sliced_wasserstein_2(parts[0], part) for part in parts[1:]]
    event = real.shape[1:]
    any_level, left_out = _takes_any_level(denoise, process, event), dict(_OTHER_NAMES)
    if not any_level:  # those that stay on its own levels
        left_out["runge-kutta"] = "asks between the levels that this network knows"
        steppers = {name: each for name, each in steppers.items() if name != "runge-kutta"}
    end = _end_of_flow(denoise, process, event, any_level=any_level)
    bench = _Bench(denoise, process, event, end, parts[0], steppers)
    entries = []
    for sampler in steppers:
        for entry in _method(bench, sampler, calls):
            yield entry
            entries.append(entry)
    if model is not None and model.few is not None:
        for entry in _mapped(bench, model, model.few, calls):
            yield entry
            entries.append(entry)
    drawn = {entry.sampler for entry in entries}
    left_out |= {name: f"needs more than {max(calls)} calls" for name in steppers.keys() - drawn}
    floor = min(between), max(between)
    yield Comparison(title, tuple(calls), floor, tuple(entries), dict(sorted(left_out.items())))


def _method(bench: _Bench, sampler: str, calls: Sequence[int]) -> Iterator[Entry]:
    if sampler == "runge-kutta":
        yield from _adaptive(bench, calls)
        return
    stepper, before = bench.steppers[sampler], 0
    middle = bench.nearest(sampler, _MIDDLE)
    middle_steps = bench.steps_within(stepper, middle.grid, _MIDDLE)
    for most in calls:
        num_steps = bench.steps_within(stepper, middle.grid, most)
        entry = (
            middle
            if num_steps == middle_steps
            else bench.tried(sampler, stepper, middle.grid, num_steps)
        )
        if before < entry.num_calls <= most:  # the last of discrete levels comes once
            yield entry
            before = entry.num_calls


def _mapped(bench: _Bench, model: Model, few: FewSteps, calls: Sequence[int]) -> Iterator[Entry]:
    """The few-step map, for each number of calls that it learned and that is asked for."""
    denoise = as_map(model.denoiser, few.network)
    own = replace(bench, denoise=changed(model, denoiser=denoise).numeric_denoiser(seed=0))
    for each in sorted({*few.times} & {*calls}):
        yield own.drawn("few-step map", Renoising(), "own", few.levels(bench.process, each))


def _adaptive(bench: _Bench, calls: Sequence[int]) -> Iterator[Entry]:
    """The adaptive method from end to end at once, for the tolerances that calls allow."""
    before, tried = 0, []
    for k in range(1, 13):
        tried.append(bench.tried("runge-kutta", RungeKutta(10 ** (-k / 2)), "uniform-log-snr", 2))
        if tried[-1].num_calls > max(calls):  # smaller tolerances make more calls still
            break
    for most in calls:
        within = [entry for entry in tried if before < entry.num_calls <= most]
        if within:
            yield within[-1]
            before = within[-1].num_calls


def _end_of_flow(
    denoise: Denoiser | PerChunk, process: Process, event: tuple[int, ...], *, any_level: bool
) -> Tensor:
    """Where the probability flow takes the samples that every method begins with.

    In fine steps in continuous time; for a network that knows no levels but its own, by the best
    method through all of them, which is as near to the flow as it can be taken.
    """
    if any_level:
        steps = _REFERENCE_STEPS if len(event) == 1 else _PICTURE_STEPS
        levels = uniform_log_snr(process.continuous(), steps)
    else:
        levels = process.grid(process.default_grid, process.num_levels)
    walk = sample_chunks(denoise, event, levels, UniPC(), n=chunk_size(event), seed=0)
    return torch.cat(list(walk))


def _takes_any_level(
    denoise: Denoiser | PerChunk, process: Process, event: tuple[int, ...]
) -> bool:
    """Whether the denoiser answers between the levels of its process, where there is a between."""
    if not process.num_levels or isinstance(denoise, PerChunk):
        return True
    levels = process.discrete(process.num_levels).levels
    between = NoiseLevel.from_log_snr(levels[1:3].log_snr.mean())
    try:
        denoise(torch.zeros(1, *event, dtype=torch.float64), between)
    except ArgumentError:
        return False
    return True


def most_entries(calls: Sequence[int]) -> int:
    """How many things `compare_samplers` yields at most: for progress."""
    return 2 * (len(calls) * (len(SAMPLERS) - len(_OTHER_NAMES) + 1) + 1)


def figure_of(comparisons: Sequence[Comparison]) -> "Figure":
    """Error against calls, a row of panels for each denoiser."""
    from sfumato.plots.curves import Curve, Panel, sampler_errors

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
