"""A fitted model of points or pictures: settings, codec, process and denoiser together."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.config import SamplingSettings, Settings
from sfumato.data.codecs.images import ImageCodec
from sfumato.data.codecs.points import PointCodec
from sfumato.denoisers.clipping import Clipped
from sfumato.denoisers.denoiser import (
    Conditioned,
    Denoiser,
    NetworkDenoiser,
    PerChunk,
    knows_all_levels,
)
from sfumato.denoisers.guidance import ClassLabels, Guided
from sfumato.errors import ArgumentError, DataError, ForeignWarning, unknown
from sfumato.likelihood.flow import Adaptive, LogProb, log_prob, rademacher, rk4
from sfumato.likelihood.variational import BoundTerms, variational_bound
from sfumato.models.few import FewSteps, as_map, map_of, refuse_few
from sfumato.models.model import refuse_negative
from sfumato.models.registry import (
    build_grid,
    build_stepper,
    changed_sampling,
    class_labels_of,
    refuse_part_way,
    sampled_process,
    split_stepper,
)
from sfumato.process.grids import unit_log_snr
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.process.schedules import Schedule
from sfumato.process.streams import (
    DEQUANTISING,
    LABELLING,
    PROBING,
    Chunk,
    chunks,
    generator,
)
from sfumato.samplers.driver import (
    Frame,
    Stepper,
    chunk_frames,
    draws_noise,
    filled_up,
    in_step,
    last_frame,
    sample_chunks,
    sample_frames,
    walk_rows,
)
from sfumato.samplers.inpainting import Inpainting
from sfumato.samplers.renoising import Renoising
from sfumato.samplers.runge_kutta import RungeKutta
from sfumato.samplers.steps import Choice, choose_steps

# Up to here the exact divergence is as quick as an estimate that is good for something.
EXACT_DIMENSIONS = 32
# Directions of pictures, of which each costs a pass of a large network.
_PICTURE_PROBES = 4


@dataclass(frozen=True, slots=True, eq=False)
class GaussianModel:
    """A diffusion of numbers: all that drawing, filling in and scoring need.

    Args:
        settings: of the run that made it.
        codec: between rows in the data's own units and the network's.
        process: the forward process.
        denoiser: the trained denoiser.
        few: its few-step map, if one was learned.
    """

    settings: Settings
    codec: PointCodec | ImageCodec
    process: Process
    denoiser: NetworkDenoiser
    few: FewSteps | None = None

    def with_network(self, network: nn.Module) -> "GaussianModel":
        """The same model with another network, to draw with."""
        return replace(self, denoiser=replace(self.denoiser, network=network))

    def _sampling(self, changes: Mapping[str, Any]) -> SamplingSettings:
        """The run's own sampling settings, with some changed; another method, its own options."""
        return changed_sampling(self.settings, changes)

    def _sampled(self, settings: SamplingSettings) -> Process:
        """The process whose levels sampling visits."""
        return sampled_process(settings, self.process, self.denoiser.conditioning)

    @property
    def class_labels(self) -> ClassLabels:
        """The class numbers that the network takes."""
        return class_labels_of(self.settings, self.codec)

    @property
    def unlabelled(self) -> Denoiser:
        """The denoiser of samples whose class, if there are classes, is not known."""
        if not self.class_labels.count:
            return self.denoiser
        return Conditioned(self.denoiser, torch.tensor(self.class_number()))

    def _denoise(
        self,
        settings: SamplingSettings,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
    ) -> Denoiser | PerChunk:
        """The denoiser as the settings want it; of classes, each sample's own."""
        if not self.class_labels.count:
            self.class_number(given)  # refuses one
            if settings.guidance != 1:
                raise ArgumentError(
                    "there is nothing to guide: this model learned no classes (pictures have them, "
                    "with data.labels=true); leave guidance at 1."
                )
            return self._clipped(self.denoiser, settings)
        labels = self._labels_by_chunk(seed, given)
        return PerChunk(lambda chunk: self.conditional(labels(chunk), settings))

    def conditional(self, condition: Tensor | None, settings: SamplingSettings) -> Denoiser:
        """The denoiser of samples of these class numbers, guided and clipped as settings say."""
        denoise = self.unlabelled if condition is None else Conditioned(self.denoiser, condition)
        if settings.guidance != 1:
            denoise = Guided(
                denoise, self.unlabelled, settings.guidance, settings.guidance_interval
            )
        return self._clipped(denoise, settings)

    @staticmethod
    def _clipped(denoise: Denoiser, settings: SamplingSettings) -> Denoiser:
        if settings.clip is None and settings.threshold is None:
            return denoise
        return Clipped(denoise, settings.clip or 1.0, settings.threshold)

    def _labels_by_chunk(
        self, seed: int, given: Mapping[str, Any] | None
    ) -> Callable[[Chunk], Tensor]:
        """The class number of each sample of a chunk."""
        shares = torch.tensor(self.codec.shares)
        if given or not len(shares):
            number = self.class_number(given)
            assert number is not None
            return lambda chunk: torch.full((chunk.size,), number)

        def drawn(chunk: Chunk) -> Tensor:
            # Evenly over the shares, in an order of its own: no class comes up short by chance.
            source, n = generator(seed, LABELLING, chunk.stream), chunk.sheet
            even = (torch.arange(n) + torch.rand(1, generator=source)) / n
            labels = torch.bucketize(even, shares.cumsum(0), right=True).clamp(max=len(shares) - 1)
            return labels[torch.randperm(n, generator=source)][chunk.within]

        return drawn

    def class_number(self, given: Mapping[str, Any] | None = None) -> int | None:
        """The network's number of a class, or of any; None for a network that takes none.

        Args:
            given: `{"class": its name or number}`.

        Raises:
            ArgumentError: if there is no such class, or the network knows none of any class.
        """
        if not given:
            labels = self.class_labels
            if not labels.knows_any:
                raise ArgumentError(
                    "this model knows no sample without a class (network.options.any_class is "
                    "false): name one (--given class=NAME) and leave guidance at 1."
                )
            return labels.any if labels.count else None
        classes, (name, *others) = self.codec.classes, given
        if not classes:
            raise ArgumentError(f"this model learned no classes; leave {name!r} out.")
        if name != "class" or others:
            raise unknown(
                "name of what is given", others[0] if name == "class" else name, ["class"]
            )
        label = given["class"]
        if str(label) in classes:  # of a class that is named by a number, too
            return classes.index(str(label))
        if not isinstance(label, int) and not str(label).isdecimal():
            raise unknown("class", str(label), classes)
        if not 0 <= int(label) < len(classes):
            raise ArgumentError(f"a class is its name, or 0 to {len(classes) - 1}; got {label}.")
        return int(label)

    def labels(
        self, n: int, *, seed: int = 0, first: int = 0, given: Mapping[str, Any] | None = None
    ) -> np.ndarray | None:
        """The classes of the samples that are drawn, `(n,)`; None where none are known.

        Where none is given, a sample is of any class, as often as the training pictures are.
        """
        if not self.codec.classes:
            return None
        of_chunk = self._labels_by_chunk(seed, given)
        parts = list(chunks(self.codec.event, n, first))
        whole = torch.cat([torch.empty(0, dtype=torch.int64), *map(of_chunk, parts)]).numpy()
        return whole[first - parts[0].first :][:n] if parts else whole

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
        process = self._sampled(settings)
        return choose_steps(
            self._denoise(settings),
            self.codec.event,
            lambda num_steps: build_grid(settings, process, num_steps),
            build_stepper(settings),
            tol=settings.tol,
            most=process.num_levels or None,
        )

    def _sampler(
        self,
        changes: Mapping[str, Any],
        start: float = 1.0,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        *,
        in_few: bool = False,
    ) -> tuple[Denoiser | PerChunk, NoiseLevel, Stepper[Any]]:
        """Denoiser, levels and method: the run's own, with some sampling settings changed.

        `in_few`: the few-step map may do it, if it is what draws.
        """
        named, own = split_stepper(changes)
        settings = self._sampling(named)
        refuse_few(named, own, from_noise=in_few)
        # Until a map that is to draw is learned, the sampler does.
        if settings.few and own is None and in_few and (self.few or named.get("few")):
            return self._few(settings, seed, given)
        stepper = self._stepper(settings) if own is None else own
        steps = self.choose_steps(**named).num_steps if settings.steps == "auto" else settings.steps
        process = self._sampled(settings)
        if start < 1:
            refuse_part_way(settings)
        # A part of the process takes that part of the steps.
        _warn_of_strides(settings, steps, process.num_levels)
        part = process.until(float(start))
        levels = build_grid(settings, part, max(1, round(steps * start)))
        return self._denoise(settings, seed, given), levels, stepper

    def _few(
        self, settings: SamplingSettings, seed: int, given: Mapping[str, Any] | None
    ) -> tuple[Denoiser | PerChunk, NoiseLevel, Stepper[Any]]:
        """The few-step map, which learned guidance and clipping with the rest."""
        few = map_of(self.few)
        mapped = replace(self, denoiser=as_map(self.denoiser, few.network))
        plain = settings.model_copy(update={"guidance": 1.0, "clip": None, "threshold": None})
        levels = few.levels(self.process, settings.few)
        return mapped._denoise(plain, seed, given), levels, Renoising()

    def sample_chunks(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> Iterator[np.ndarray]:
        """Like `sample`, a chunk of rows at a time, for progress and for what is too large.

        Raises:
            ArgumentError: as `sample`.
        """
        refuse_negative(n=n, seed=seed, first=first)
        if given and self.codec.columns:
            rows = np.repeat(self.condition(given), n, axis=0)
            return self.complete_chunks(rows, None, seed=seed, first=first, **sampling)
        denoise, levels, stepper = self._sampler(sampling, seed=seed, given=given, in_few=True)
        drawn = sample_chunks(
            denoise, self.codec.event, levels, stepper, n=n, seed=seed, first=first
        )
        return (self.codec.decode(x) for x in drawn)

    def condition(self, given: Mapping[str, Any]) -> np.ndarray:
        """One row of the columns `(1, columns)`: the values given, and NaN elsewhere.

        Pictures have no columns: there is no row, and what is given must be a class.

        Raises:
            ArgumentError: if a column or a class is unknown, or a value is no finite number.
        """
        if not self.codec.columns:
            self.class_number(given)
            return self.empty()
        row = np.full((1, len(self.codec.columns)), np.nan)
        for name, value in given.items():
            if name not in self.codec.columns:
                raise unknown("column", name, self.codec.columns)
            try:
                number = float(value)
            except (TypeError, ValueError) as error:
                raise ArgumentError(f"the column {name!r} holds numbers; got {value!r}.") from error
            if not math.isfinite(number):
                raise ArgumentError(f"the column {name!r} holds finite numbers; got {value!r}.")
            row[0, self.codec.columns.index(name)] = number
        return row

    def encoded(self, rows: np.ndarray) -> Tensor:
        """As the network sees them, `(n, *event)` float64.

        Raises:
            DataError: if the rows do not fit the model.
        """
        return self.codec.encode(rows).double()

    def numeric_denoiser(self, *, seed: int = 0) -> Denoiser:  # noqa: ARG002
        """The denoiser of samples of any class."""
        return self.unlabelled

    def empty(self) -> np.ndarray:
        """No rows, in the shape and type of the data's own: `(0, ...)`."""
        return self.codec.decode(torch.empty(0, *self.codec.event))

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> np.ndarray:
        """Draw `n` rows in the data's own units, `(n, columns)` float64, or pictures as bytes.

        Row k depends on the seed, what is given and k alone.

        Args:
            n: how many.
            seed: names an endless list of samples.
            first: where in that list to begin.
            given: of points, values of some columns (the others are filled in as by
                `complete_chunks`); of pictures `{"class": its name or number}`.
            **sampling: changes to the settings under `[sampling]`: sampler, steps, grid, options,
                guidance; `sampler` may be a `Stepper`.

        Raises:
            ArgumentError: if n, seed or first is negative, the class or a column is unknown, a
                value given is no number, or a sampling setting is wrong.
        """
        rows = self.sample_chunks(n, seed=seed, first=first, given=given, **sampling)
        return np.concatenate([self.empty(), *rows])

    def edit_chunks(
        self, rows: np.ndarray, start: float, *, seed: int = 0, **sampling: Any
    ) -> Iterator[np.ndarray]:
        """Rows noised to an intermediate time and sampled from there, a chunk at a time.

        Meng et al. (2022), SDEdit. Row k depends on itself, the seed and k alone.

        Args:
            rows: `(n, columns)` in the data's own units, or pictures.
            start: the time, above 0 (all is kept) to 1 (nothing is), or the share of the levels.
            seed: of the noise.
            **sampling: as for `sample`.

        Raises:
            ArgumentError: if the start is not in (0, 1], or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        denoise, levels, stepper = self._sampler(sampling, start)
        if isinstance(stepper, RungeKutta):
            raise ArgumentError(
                "runge-kutta chooses its steps for all rows together, so that a row would depend "
                "on the others; take unipc or dpm++2m."
            )
        walked = walk_rows(
            denoise, self.encoded(rows), levels, stepper, seed=seed, fresh_noise=True
        )
        return (self.codec.decode(each) for each in walked)

    def complete_chunks(
        self,
        rows: np.ndarray,
        known: np.ndarray | None,
        *,
        draws: int = 1,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        times: int = 5,
        first: int = 0,
        **sampling: Any,
    ) -> Iterator[np.ndarray]:
        """Fill in what is not known; what is known stays as it is, exactly. Chunk by chunk.

        Lugmayr et al. (2022), RePaint. Row k depends on itself, the seed and k alone.

        Args:
            rows: in the data's own units; what they hold where nothing is known is not looked at.
            known: True where they are known, shaped like the rows; where they are not NaN if None.
            draws: each row so many times, one after another.
            seed: of the noise.
            given: of pictures, the class of all of them.
            times: how often each step is taken, see `samplers.inpainting`.
            first: the number of the first row among the samples of the seed.
            **sampling: as for `sample`.

        Raises:
            ArgumentError: if `times` is not positive, or a sampling setting is wrong.
            DataError: if the rows do not fit the model, or `known` does not fit the rows.
        """
        known = np.isfinite(rows) if known is None else known
        check_known(known, rows.shape)
        rows, known = np.repeat(rows, draws, axis=0), np.repeat(known, draws, axis=0)
        _, walks = self._completions(rows, known, seed, given, times, first, sampling)
        for own, before, walk in walks:
            filled = self.codec.decode(last_frame(walk).x_t[before : before + len(rows[own])])
            yield np.where(known[own], rows[own], filled)

    def completion(
        self,
        rows: np.ndarray,
        known: np.ndarray,
        *,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        times: int = 5,
        **sampling: Any,
    ) -> tuple[NoiseLevel, Iterator[Frame]]:
        """As `complete_chunks`, on the way: the levels, and a frame at each, encoded.

        After the frames' last row there are others, which fill up its chunk.
        """
        levels, walks = self._completions(rows, known, seed, given, times, 0, sampling)
        return levels, in_step([walk for _, _, walk in walks])

    def _completions(
        self,
        rows: np.ndarray,
        known: np.ndarray,
        seed: int,
        given: Mapping[str, Any] | None,
        times: int,
        first: int,
        sampling: Mapping[str, Any],
    ) -> tuple[NoiseLevel, Iterator[tuple[slice, int, Iterator[Frame]]]]:
        """The levels, and of each chunk its rows, how many others come first, and its frames."""
        denoise, levels, stepper = self._sampler(sampling, seed=seed, given=given)
        # Where nothing is known there may be anything, which must not reach the codec.
        x_0 = self.encoded(np.where(known, rows, self._typical_row()))
        mask, event = self.codec.places(known).to(x_0), self.codec.event

        def walks() -> Iterator[tuple[slice, int, Iterator[Frame]]]:
            for chunk in chunks(event, len(rows), first):
                before = max(first - chunk.first, 0)
                done = chunk.first + before - first
                own = slice(done, done + chunk.size - before)
                clean, there = (filled_up(each[own], chunk.size, before) for each in (x_0, mask))
                held = Inpainting(stepper, clean, there.bool(), times)
                walk = chunk_frames(denoise, event, levels, held, seed=seed, chunk=chunk)
                yield own, before, walk

        return levels, walks()

    def _typical_row(self) -> np.ndarray:
        """A row in the middle of the data, `(1, ...)`."""
        return self.codec.decode(torch.zeros(1, *self.codec.event))

    def interpolate(
        self,
        first: int,
        last: int,
        n: int,
        *,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> np.ndarray:
        """From one sample of a seed to another: their noises on a great circle, without new noise.

        Song, Meng & Ermon (2021), section 5.3. The ends are what `sample` draws with the same
        deterministic method.

        Args:
            first: number of a sample.
            last: number of another.
            n: how many, both ends among them; 2 or more.
            seed: names the list of samples.
            given: `{"class": ...}` of all of them; any, where not given.
            **sampling: as for `sample`; a method that draws noise gives way to DPM-Solver++ 2M.

        Raises:
            ArgumentError: if a number is out of its range, or a sampling setting is wrong.
        """
        if n < 2 or min(first, last) < 0:
            raise ArgumentError(
                "an interpolation is between samples 0, 1, ..., in 2 or more pictures; got "
                f"{first}, {last} and {n}."
            )
        denoise, levels, stepper = self._sampler({"sampler": "dpm++2m", **sampling}, given=given)
        if not given:  # what lies between is of no class that was drawn for a sample
            denoise = self._clipped(self.unlabelled, self._sampling(sampling))
        if draws_noise(stepper, levels):
            raise ArgumentError("a method that draws noise has no path between two samples.")

        def noise_of(k: int) -> Tensor:
            noise = sample_frames(
                denoise, self.codec.event, levels, stepper, n=1, seed=seed, first=k
            )
            return next(noise)[0]

        a, b = noise_of(first), noise_of(last)
        angle = torch.acos((a.flatten() @ b.flatten() / (a.norm() * b.norm())).clamp(-1, 1))
        share = torch.linspace(0, 1, n, dtype=torch.float64)[(..., *[None] * a.dim())]
        if float(angle) > 1e-6:
            x = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / angle.sin()
        else:
            x = a + share * (b - a)
        walked = walk_rows(denoise, x, levels, stepper, seed=seed, fresh_noise=False)
        return self.codec.decode(torch.cat(list(walked)))

    def frames(
        self, n: int, *, seed: int = 0, given: Mapping[str, Any] | None = None, **sampling: Any
    ) -> Iterator[tuple[NoiseLevel, np.ndarray]]:
        """The same samples on their way from noise: each level with its `(n, columns)` rows."""
        denoise, levels, stepper = self._sampler(sampling, seed=seed, given=given, in_few=True)
        walk = sample_frames(denoise, self.codec.event, levels, stepper, n=n, seed=seed)
        return ((levels[k], self.codec.decode(x)) for k, x in enumerate(walk))

    def walk(
        self, n: int, *, seed: int = 0, given: Mapping[str, Any] | None = None, **sampling: Any
    ) -> tuple[NoiseLevel, Iterator[Frame]]:
        """As `frames`, with what is predicted on the way: the levels, and a frame at each, encoded.

        After the frames' first `n` samples there may be others, of the same chunk.
        """
        denoise, levels, stepper = self._sampler(sampling, seed=seed, given=given, in_few=True)
        event = self.codec.event
        walks = [
            chunk_frames(denoise, event, levels, stepper, seed=seed, chunk=chunk)
            for chunk in chunks(event, n)
        ]
        return levels, in_step(walks)

    def log_prob_chunks(
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
                exact up to 32 columns, of more columns from 32 probes, of pictures from 4.
            seed: of the probes.

        Raises:
            ArgumentError: if an argument is out of its range, or the network knows only the
                levels of its own discrete schedule.
            DataError: if the rows do not fit the model.
        """
        if probes is None and self.codec.dimension > EXACT_DIMENSIONS:
            probes = _PICTURE_PROBES if self.codec.bin_width else EXACT_DIMENSIONS
        schedule = self._continuous()
        levels = unit_log_snr(schedule, steps + 1)
        integrate = rk4 if tol is None else Adaptive(tol, tol)
        jacobian = self.codec.log_abs_det_jacobian
        bin_width, event, encoded = self.codec.bin_width, self.codec.event, self.encoded(rows)
        for chunk in chunks(event, len(encoded)):
            x_0, directions = encoded[chunk.first : chunk.first + chunk.size], None
            if bin_width:  # the density of a byte and what is below it: Uria et al. (2013)
                source = generator(seed, DEQUANTISING, chunk.stream)
                below = torch.rand(chunk.sheet, *event, generator=source, dtype=torch.float64)
                x_0 = x_0 + bin_width * (below[chunk.within][: len(x_0)] - 0.5)
            if probes is not None:
                # Drawn for a whole sheet, so that a row's do not depend on how many follow it.
                whole = rademacher(probes, generator(seed, PROBING, chunk.stream))(
                    x_0.new_empty(chunk.sheet, self.codec.dimension)
                )
                directions = partial(_first_of, whole[:, chunk.within])
            found = log_prob(self.unlabelled, x_0, levels, probes=directions, integrate=integrate)
            yield replace(found, nats=found.nats + jacobian)

    def _continuous(self) -> Schedule:
        """The process in continuous time, which the network must be able to follow."""
        if self.process.num_levels and not knows_all_levels(self.denoiser.conditioning):
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
        bin_width = self.codec.bin_width
        encoded = self.encoded(rows)
        for chunk in chunks(self.codec.event, len(encoded)):
            yield variational_bound(
                self.unlabelled,
                encoded[chunk.first : chunk.first + chunk.size],
                schedule,
                noise=chunk.noise(seed, PROBING),
                variance=variance,
                bin_width=bin_width,
            )

    def pictured_frames(
        self, n: int, count: int, *, seed: int = 0, steps: int | None = None
    ) -> list[tuple[NoiseLevel, np.ndarray]]:
        """`count` frames for a picture, even in time, noise first; steps repeat or are left out.

        A continuous schedule is walked evenly in time here, and in no fewer steps than frames,
        because a sampler's own grid may dwell where nothing is to be seen. `steps` are that walk's;
        the settings' where not given. A discrete one is walked as the settings say.
        """
        own, most = self.settings.sampling.steps, self.process.num_levels
        if own == "auto":
            own = SamplingSettings.model_fields["steps"].default
            own = min(own, most) if most else own
        even: dict[str, Any] = {"steps": own}
        if not most:
            even = {"steps": max(steps or own, count - 1), "grid": "uniform-time"}
        frames = list(self.frames(n, seed=seed, **even))
        return [frames[k] for k in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def _warn_of_strides(settings: SamplingSettings, steps: int, num_levels: int) -> None:
    """Say that diffusers' DDIM draws others from a model of its own, where it does.

    Its step from index t aims at t - T // K, whatever index it visits next.
    """
    strays = num_levels % steps or (settings.grid == "linspace" and steps < num_levels)
    if settings.options.get("unclipped_eps") and num_levels and strays:
        warnings.warn(
            f"{steps} steps of the grid {settings.grid} over {num_levels} levels: the steps of "
            "diffusers' DDIMScheduler end at other levels than the next ones begin at, or begin "
            "too low; here each ends where the next begins, so that the samples are others",
            ForeignWarning,
            stacklevel=2,
        )


def check_known(known: np.ndarray, shape: tuple[int, ...]) -> None:
    """What is known of rows of a shape is said for each of their numbers.

    Raises:
        DataError: if it is not.
    """
    if known.shape != shape or known.dtype != np.bool_:
        raise DataError(
            f"`known` is True or False for each of {shape}; got {known.dtype} of {known.shape}."
        )


def _first_of(directions: Tensor, x: Tensor) -> Tensor:
    return directions[:, : len(x)]
