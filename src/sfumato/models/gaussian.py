"""A fitted model of points or pictures: settings, codec, process and denoiser together."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.config import SamplingSettings, Settings, resolve
from sfumato.data.codecs.points import BIN_WIDTH, AnyCodec, ImageCodec
from sfumato.denoisers.clipping import Clipped
from sfumato.denoisers.denoiser import (
    Denoiser,
    NetworkDenoiser,
    PerChunk,
    log_snr,
)
from sfumato.denoisers.guidance import Guided, Labelled, Told, Unlabelled
from sfumato.errors import ArgumentError, DataError, unknown
from sfumato.likelihood.flow import Adaptive, LogProb, log_prob, rademacher, rk4
from sfumato.likelihood.variational import BoundTerms, variational_bound
from sfumato.models.registry import (
    build_grid,
    build_stepper,
    told_of,
)
from sfumato.process.grids import uniform_log_snr
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.process.schedules import Schedule
from sfumato.process.streams import (
    DEQUANTISING,
    LABELLING,
    PROBING,
    Noise,
    chunk_size,
    generator,
    noise_from,
)
from sfumato.samplers.driver import (
    Stepper,
    chunk_frames,
    draws_noise,
    filled_up,
    last_frame,
    sample_chunks,
    sample_frames,
    walk_rows,
)
from sfumato.samplers.inpainting import Inpainting
from sfumato.samplers.runge_kutta import RungeKutta
from sfumato.samplers.steps import Choice, choose_steps

# Up to here the exact divergence is as quick as an estimate that is good for something.
_EXACT_DIMENSIONS = 32


Label = str | int | None
"""A class by its name or number; None for any."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """All that sampling needs.

    Args:
        settings: of the run that made it.
        codec: between rows in the data's own units and the network's.
        process: the forward process.
        denoiser: the trained denoiser.
    """

    settings: Settings
    codec: AnyCodec
    process: Process
    denoiser: NetworkDenoiser

    def _sampling(self, changes: Mapping[str, Any]) -> SamplingSettings:
        """The run's own sampling settings, with some changed; another method, its own options."""
        return resolve(self.settings.to_dict(), {"sampling": changes}).sampling

    @property
    def told(self) -> Told:
        """What numbers the network is told for classes."""
        return told_of(self.settings, self.codec)

    @property
    def unlabelled(self) -> Denoiser:
        """The denoiser of samples whose class, if there are classes, is not known."""
        return Unlabelled(self.denoiser, self.told.any) if self.told.count else self.denoiser

    def _denoise(
        self, settings: SamplingSettings, seed: int = 0, label: Label = None
    ) -> Denoiser | PerChunk:
        """The denoiser as the settings want it; of classes, each sample's own."""
        if not self.told.count:
            if label is not None:
                raise ArgumentError("this model learned no classes; leave the label out.")
            if settings.guidance != 1:
                raise ArgumentError(
                    "there is nothing to guide: this model learned no classes (fit with "
                    "data.labels=true); leave guidance at 1."
                )
            return self._held(self.denoiser, settings)
        labels = self._labels_by_chunk(seed, label)

        def of_chunk(chunk: int) -> Denoiser:
            own = labels(chunk)
            denoise: Denoiser = Labelled(self.denoiser, own)
            if settings.guidance != 1:
                denoise = Guided(
                    denoise, self.unlabelled, settings.guidance, settings.guidance_interval
                )
            return self._held(denoise, settings)

        return PerChunk(of_chunk)

    @staticmethod
    def _held(denoise: Denoiser, settings: SamplingSettings) -> Denoiser:
        if settings.clip is None and settings.threshold is None:
            return denoise
        return Clipped(denoise, settings.clip or 1.0, settings.threshold)

    def _labels_by_chunk(self, seed: int, label: Label) -> Callable[[int], Tensor]:
        """What the network is told for each sample of a chunk."""
        size = chunk_size(self.codec.event)
        shares = torch.tensor(self.codec.shares if isinstance(self.codec, ImageCodec) else ())
        if label is not None or not len(shares):
            told = self.class_number(label)
            assert told is not None
            return lambda _: torch.full((size,), told)

        def drawn(chunk: int) -> Tensor:
            # Evenly over the shares, in an order of its own: no class comes up short by chance.
            source = generator(seed, LABELLING, chunk)
            even = (torch.arange(size) + torch.rand(1, generator=source)) / size
            labels = torch.bucketize(even, shares.cumsum(0), right=True).clamp(max=len(shares) - 1)
            return labels[torch.randperm(size, generator=source)]

        return drawn

    def class_number(self, label: Label = None) -> int | None:
        """The number that the network is told for a class, or for any; None where it is told none.

        Raises:
            ArgumentError: if there is no such class.
        """
        classes = self.codec.classes if isinstance(self.codec, ImageCodec) else ()
        if label is None:
            return self.told.any if self.told.count else None
        if not classes:
            raise ArgumentError("this model learned no classes; leave the label out.")
        if label in classes:
            return classes.index(str(label))
        if isinstance(label, str) and not label.isdecimal():
            raise unknown("class", label, classes)
        label = int(label)
        if not 0 <= label < len(classes):
            raise ArgumentError(f"a class is its name, or 0 to {len(classes) - 1}; got {label}.")
        return label

    def labels(
        self, n: int, *, seed: int = 0, first: int = 0, label: Label = None
    ) -> np.ndarray | None:
        """The classes of the samples that `sample` draws, `(n,)`; None where none are known.

        Not asked for one, a sample is of any class, as often as the training pictures are.
        """
        if not isinstance(self.codec, ImageCodec) or not self.codec.classes:
            return None
        size, of_chunk = chunk_size(self.codec.event), self._labels_by_chunk(seed, label)
        chunks = range(first // size, -(-(first + n) // size) if n else first // size)
        every = [of_chunk(chunk) for chunk in chunks]
        whole = torch.cat([torch.empty(0, dtype=torch.int64), *every]).numpy()
        return whole[first % size :][:n]

    def check_sampling(self) -> None:
        """Refuse settings that could not be sampled with; nothing is drawn.

        Raises:
            ArgumentError: saying which.
        """
        settings = self.settings.sampling
        self._stepper(settings)
        levels = build_grid(settings, self.process, 1 if settings.steps == "auto" else None)
        self.denoiser.parameterisation(levels[0])  # eps has no x_0 where no signal is left

    def _stepper(self, settings: SamplingSettings) -> Stepper[Any]:
        if settings.options.get("variance") == "learned" and not self.denoiser.learns_variance:
            raise ArgumentError(
                "this model learned no variance; take variance beta_tilde or beta, or fit with "
                "network.learned_variance=true."
            )
        return build_stepper(settings)

    def choose_steps(self, **sampling: Any) -> Choice:
        """The number of steps that keeps `tol`, see `samplers.steps.choose_steps`.

        Raises:
            ArgumentError: if the method draws noise, or none is enough.
        """
        settings = self._sampling(sampling)
        return choose_steps(
            self._denoise(settings),
            self.codec.event,
            lambda num_steps: build_grid(settings, self.process, num_steps),
            build_stepper(settings),
            tol=settings.tol,
            most=self.process.num_levels or None,
        )

    def _way(
        self,
        changes: Mapping[str, Any],
        start: float = 1.0,
        seed: int = 0,
        label: Label = None,
    ) -> tuple[Denoiser | PerChunk, NoiseLevel, Stepper[Any]]:
        """Denoiser, levels and method: the run's own, with some sampling settings changed."""
        settings = self._sampling(changes)
        stepper = self._stepper(settings)
        steps = (
            self.choose_steps(**changes).num_steps if settings.steps == "auto" else settings.steps
        )
        # Part of the way takes part of the steps.
        levels = build_grid(
            settings, self.process.until(float(start)), max(1, round(steps * start))
        )
        return self._denoise(settings, seed, label), levels, stepper

    def sample_chunks(
        self, n: int, *, seed: int = 0, first: int = 0, label: Label = None, **sampling: Any
    ) -> Iterator[np.ndarray]:
        """Like `sample`, a chunk of rows at a time, for progress and for what is too large.

        Raises:
            ArgumentError: if n, seed or first is negative, or a sampling setting is wrong.
        """
        for name, value in {"n": n, "seed": seed, "first": first}.items():
            if value < 0:
                raise ArgumentError(f"`{name}` must not be negative; got {value}.")
        denoise, levels, stepper = self._way(sampling, seed=seed, label=label)
        chunks = sample_chunks(
            denoise, self.codec.event, levels, stepper, n=n, seed=seed, first=first
        )
        return (self.codec.decode(x) for x in chunks)

    def nothing(self) -> np.ndarray:
        """No rows, in the shape and type of the data's own: `(0, ...)`."""
        return self.codec.decode(torch.empty(0, *self.codec.event))

    def sample(
        self, n: int, *, seed: int = 0, first: int = 0, label: Label = None, **sampling: Any
    ) -> np.ndarray:
        """Draw `n` rows in the data's own units, `(n, columns)` float64, or pictures as bytes.

        Row k depends on the seed and k alone: `sample(100)` is the start of `sample(1000)`, and
        `sample(500, first=500)` its second half.

        Args:
            n: how many.
            seed: names an endless list of samples.
            first: where in that list to begin.
            label: the class of all of them, its name or number; see `labels` where not given.
            **sampling: changes to the settings under `[sampling]`: sampler, steps, grid, options,
                guidance.

        Raises:
            ArgumentError: if n, seed or first is negative, the class is unknown, or a sampling
                setting is wrong.
        """
        rows = self.sample_chunks(n, seed=seed, first=first, label=label, **sampling)
        return np.concatenate([self.nothing(), *rows])

    def edit_chunks(
        self, rows: np.ndarray, start: float, *, seed: int = 0, **sampling: Any
    ) -> Iterator[np.ndarray]:
        """Like `edit`, a chunk of rows at a time.

        Raises:
            ArgumentError: if the start is not in (0, 1], or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        return self._walked(rows, start, seed, sampling, fresh_noise=True)

    def edit(self, rows: np.ndarray, start: float, *, seed: int = 0, **sampling: Any) -> np.ndarray:
        """Noise rows to an intermediate time and sample from there: like them, but not them.

        Meng et al. (2022), SDEdit. Row k depends on itself, the seed and k alone.

        Args:
            rows: `(n, columns)` in the data's own units.
            start: the time, above 0 (all is kept) to 1 (nothing is), or the share of the levels.
            seed: of the noise.
            **sampling: as for `sample`.

        Raises:
            ArgumentError: if the start is not in (0, 1], or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        return np.concatenate([rows[:0], *self.edit_chunks(rows, start, seed=seed, **sampling)])

    def denoise(
        self, rows: np.ndarray, start: float, *, seed: int = 0, **sampling: Any
    ) -> np.ndarray:
        """Sample the rest of the way from rows that hold the noise of time `start` already.

        Args:
            rows: x_t `(n, columns)`, decoded as the pictures of the forward process are.
            start: their time, above 0 to 1, or their share of the levels.
            seed: of the method's own noise.
            **sampling: as for `sample`.

        Raises:
            ArgumentError: if the start is not in (0, 1], or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        walked = self._walked(rows, start, seed, sampling, fresh_noise=False)
        return np.concatenate([rows[:0], *walked])

    def inpaint(
        self,
        rows: np.ndarray,
        known: np.ndarray,
        *,
        times: int = 5,
        seed: int = 0,
        label: Label = None,
        **sampling: Any,
    ) -> np.ndarray:
        """Fill in what is not known of rows or pictures; what is known stays as it is, exactly.

        Lugmayr et al. (2022), RePaint. Row k depends on itself, the seed and k alone.

        Args:
            rows: in the data's own units; what they hold where nothing is known is not looked at.
            known: True where they are known, shaped like the rows.
            times: how often each step is taken, see `samplers.inpainting`.
            seed: of the noise.
            label: the class of all of them; see `labels` where not given.
            **sampling: as for `sample`.

        Raises:
            ArgumentError: if `times` is not positive, or a sampling setting is wrong.
            DataError: if the rows do not fit the model, or `known` does not fit the rows.
        """
        if known.shape != rows.shape or known.dtype != np.bool_:
            raise DataError(
                f"`known` is True or False for each of {rows.shape}; got {known.dtype} of "
                f"{known.shape}."
            )
        denoise, levels, stepper = self._way(sampling, seed=seed, label=label)
        # Where nothing is known there may be anything, which must not reach the codec.
        x_0 = self.codec.encode(np.where(known, rows, self._usual())).double()
        mask = self.codec.places(known)
        size = chunk_size(self.codec.event)
        filled = [rows[:0]]
        for chunk, (given, there) in enumerate(zip(x_0.split(size), mask.split(size), strict=True)):
            whole = filled_up(given)
            held = Inpainting(stepper, whole, filled_up(there.to(whole)).bool(), times)
            frames = chunk_frames(denoise, self.codec.event, levels, held, seed=seed, chunk=chunk)
            filled.append(self.codec.decode(last_frame(frames).x_t[: len(given)]))
        return np.where(known, rows, np.concatenate(filled))

    def _usual(self) -> np.ndarray:
        """A row in the middle of the data, `(1, ...)`."""
        return self.codec.decode(torch.zeros(1, *self.codec.event))

    def interpolate(
        self,
        first: int,
        last: int,
        n: int,
        *,
        seed: int = 0,
        label: Label = None,
        **sampling: Any,
    ) -> np.ndarray:
        """From one sample of a seed to another: their noises on a great circle, without new noise.

        Song, Meng & Ermon (2021), section 5.3. The ends are what `sample` draws with the same
        deterministic method.

        Args:
            first: number of a sample.
            last: number of another.
            n: how many, both ends among them; 2 to the size of a chunk.
            seed: names the list of samples.
            label: the class of all of them; any, where not given.
            **sampling: as for `sample`; a method that draws noise gives way to DPM-Solver++ 2M.

        Raises:
            ArgumentError: if a number is out of its range, or a sampling setting is wrong.
        """
        size = chunk_size(self.codec.event)
        if not 2 <= n <= size or min(first, last) < 0:
            raise ArgumentError(
                f"an interpolation is between samples 0, 1, ..., in 2 to {size} pictures; got "
                f"{first}, {last} and {n}."
            )
        denoise, levels, stepper = self._way({"sampler": "dpm++2m", **sampling}, label=label)
        if label is None:  # what lies between is of no class that was drawn for a sample
            denoise = self._held(self.unlabelled, self._sampling(sampling))
        if draws_noise(stepper, levels):
            raise ArgumentError("a method that draws noise has no way between two samples.")

        def noise_of(k: int) -> Tensor:
            chunk = chunk_frames(
                denoise, self.codec.event, levels, stepper, seed=seed, chunk=k // size
            )
            return next(chunk).x_t[k % size]

        a, b = noise_of(first), noise_of(last)
        angle = torch.acos((a.flatten() @ b.flatten() / (a.norm() * b.norm())).clamp(-1, 1))
        share = torch.linspace(0, 1, n, dtype=torch.float64)[(..., *[None] * a.dim())]
        if float(angle) > 1e-6:
            x = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / angle.sin()
        else:
            x = a + share * (b - a)
        (walked,) = walk_rows(denoise, x, levels, stepper, seed=seed, fresh_noise=False)
        return self.codec.decode(walked)

    def _walked(
        self,
        rows: np.ndarray,
        start: float,
        seed: int,
        sampling: Mapping[str, Any],
        *,
        fresh_noise: bool,
    ) -> Iterator[np.ndarray]:
        denoise, levels, stepper = self._way(sampling, start)
        if isinstance(stepper, RungeKutta):
            raise ArgumentError(
                "runge-kutta chooses its steps for all rows together, so that a row would depend "
                "on the others; take unipc or dpm++2m."
            )
        noisiest = self.process.until(float(start)).noisiest
        if not fresh_noise and not torch.isclose(levels[0].log_snr, noisiest.log_snr):
            raise ArgumentError(
                f"the grid {self._sampling(sampling).grid!r} does not begin at the level that the "
                f"rows are at; take sampling.grid={self.process.default_grid}."
            )
        x = self.codec.encode(rows).double()
        walked = walk_rows(denoise, x, levels, stepper, seed=seed, fresh_noise=fresh_noise)
        return (self.codec.decode(each) for each in walked)

    def frames(
        self, n: int, *, seed: int = 0, label: Label = None, **sampling: Any
    ) -> Iterator[tuple[NoiseLevel, np.ndarray]]:
        """The same samples on their way from noise: each level with its `(n, columns)` rows."""
        denoise, levels, stepper = self._way(sampling, seed=seed, label=label)
        walk = sample_frames(denoise, self.codec.event, levels, stepper, n=n, seed=seed)
        return ((levels[k], self.codec.decode(x)) for k, x in enumerate(walk))

    def log_prob(
        self,
        rows: np.ndarray,
        *,
        steps: int = 50,
        tol: float | None = None,
        probes: int | None = None,
        seed: int = 0,
    ) -> Iterator[LogProb]:
        """The density of rows by the probability flow, in the data's own units, chunk by chunk.

        Constant columns carry no density and are not looked at. Bytes of pictures are spread evenly
        over their bins first; the mean over that is at most the log probability of the bytes.

        Args:
            rows: `(n, columns)`.
            steps: of the fixed-step method (fourth order, four network calls each).
            tol: relative and absolute tolerance of an adaptive method, instead of steps.
            probes: Hutchinson's estimate of the divergence from so many directions, instead of
                the exact one, which costs as many passes as there are columns. Not given, it is
                exact up to 32 columns and 32 probes beyond.
            seed: of the probes.

        Raises:
            ArgumentError: if an argument is out of its range, or the network knows only the
                levels of its own discrete schedule.
            DataError: if the rows do not fit the model.
        """
        if probes is None and self.codec.dimension > _EXACT_DIMENSIONS:
            probes = _EXACT_DIMENSIONS
        schedule = self._continuous()
        levels = uniform_log_snr(schedule, steps + 1)
        integrate = rk4 if tol is None else Adaptive(tol, tol)
        jacobian = self.codec.log_abs_det_jacobian
        size, pictures = chunk_size(self.codec.event), isinstance(self.codec, ImageCodec)
        for chunk, x_0 in enumerate(self.codec.encode(rows).double().split(size)):
            directions = None
            if pictures:  # the density of a byte and what is below it: Uria et al. (2013)
                source = generator(seed, DEQUANTISING, chunk)
                below = torch.rand(size, *self.codec.event, generator=source, dtype=torch.float64)
                x_0 = x_0 + BIN_WIDTH * (below[: len(x_0)] - 0.5)
            if probes is not None:
                # Drawn for a whole chunk, so that a row's do not depend on how many follow it.
                whole = rademacher(probes, generator(seed, PROBING, chunk))(
                    x_0.new_empty(size, *x_0.shape[1:])
                )
                directions = partial(_first_of, whole)
            found = log_prob(self.unlabelled, x_0, levels, probes=directions, integrate=integrate)
            yield replace(found, nats=found.nats + jacobian)

    def _continuous(self) -> Schedule:
        """The process in continuous time, which the network must be able to follow."""
        if self.process.num_levels and self.denoiser.conditioning is not log_snr:
            raise ArgumentError(
                "this network knows only the levels of its own discrete schedule, and the flow "
                "passes between them; take the variational bound (--bound)."
            )
        return self.process.continuous()

    def variational_bound(
        self,
        rows: np.ndarray,
        *,
        variance: str | None = None,
        num_levels: int = 1000,
        seed: int = 0,
    ) -> Iterator[BoundTerms]:
        """The bound on -log p(rows) of the model's own reverse chain, chunk by chunk.

        In nats for the encoded rows; add `codec.log_abs_det_jacobian` to minus the bound to have
        it in the data's own units. Of pictures it is that of their bytes' probability (the decoder
        of Ho et al. 2020, section 3.3), to which nothing is added. A continuous process is cut
        into `num_levels` levels.

        Args:
            rows: `(n, columns)`.
            variance: of the reverse steps: `beta`, `beta_tilde` or `learned`; not given, learned
                where the network learned it and `beta` elsewhere.
            num_levels: T, where the process is continuous.
            seed: of the noise.

        Raises:
            ArgumentError: if the variance is unknown or was not learned.
            DataError: if the rows do not fit the model.
        """
        schedule = self.process.discrete(num_levels)
        if variance is None:
            variance = "learned" if self.denoiser.learns_variance else "beta"
        # The decoder of pictures gives the probability of a byte, that of points a density.
        bin_width = BIN_WIDTH if isinstance(self.codec, ImageCodec) else None
        size = chunk_size(self.codec.event)
        for chunk, x_0 in enumerate(self.codec.encode(rows).double().split(size)):
            yield variational_bound(
                self.unlabelled,
                x_0,
                schedule,
                noise=partial(_whole_chunk, noise_from(generator(seed, PROBING, chunk))),
                variance=variance,
                bin_width=bin_width,
            )

    def pictured_frames(
        self, n: int, count: int, *, seed: int = 0
    ) -> list[tuple[NoiseLevel, np.ndarray]]:
        """`count` frames for a picture, even in time, noise first; steps repeat or are left out.

        A continuous schedule is walked evenly in time here, and in no fewer steps than frames,
        because a sampler's own grid may dwell where nothing is to be seen.
        """
        own = self.settings.sampling.steps
        if own == "auto":
            own = SamplingSettings.model_fields["steps"].default
        even: dict[str, Any] = {"steps": own}
        if not self.process.num_levels:
            even = {"steps": max(own, count - 1), "grid": "uniform-time"}
        frames = list(self.frames(n, seed=seed, **even))
        return [frames[k] for k in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def _whole_chunk(noise: Noise, x: Tensor) -> Tensor:
    """Noise drawn for a whole chunk, so that a row's does not depend on how many follow it."""
    return noise(x.new_empty(chunk_size(x.shape[1:]), *x.shape[1:]))[: len(x)]


def _first_of(directions: Tensor, x: Tensor) -> Tensor:
    return directions[:, : len(x)]
