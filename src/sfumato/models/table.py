"""A fitted model of tables: rows drawn, completed and scored, from whatever is known of them.

First the categories of a row, one after another (`samplers.unmasking`), then its numbers, by
diffusion given the categories. Both ask a network that was trained on rows of which any part was
known, so that a condition is an input, no row is rejected, and missing values are filled in given
all that is there.

    log p(row) = log p(categories) + log p(numbers | categories)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.config import SamplingSettings, Settings
from sfumato.data.codecs.columns import CategoricalCodec
from sfumato.data.codecs.repeats import Repeat
from sfumato.data.codecs.rules import broken_by
from sfumato.data.codecs.table import EncodedTable, TableCodec, refuse_others
from sfumato.data.io.arrow import zone_of
from sfumato.data.io.cells import LARGEST_EXACT, sort
from sfumato.data.io.elapsed import elapsed_of, is_held, seconds_of
from sfumato.data.io.forms import in_words, value_in
from sfumato.data.table import Column, DataTable, concatenate, is_no_value, select_columns
from sfumato.denoisers.denoiser import Conditioned, Denoiser, PerChunk, Prediction
from sfumato.denoisers.table import SomeNumbers, TableDenoiser, TracedNumbers
from sfumato.errors import ArgumentError, DataError, unknown
from sfumato.likelihood.flow import LogProb, Probes, log_prob, rademacher
from sfumato.likelihood.variational import BoundTerms
from sfumato.models.few import FewSteps, as_map, map_of, refuse_few
from sfumato.models.model import refuse_negative, unsupported
from sfumato.models.registry import (
    build_grid,
    build_stepper,
    changed_sampling,
    refuse_part_way,
    sampled_process,
    split_stepper,
)
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.process.grids import unit_log_snr
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.process.streams import (
    CHUNK,
    EDITING,
    LEVELS,
    ORDERS,
    PROBING,
    Chunk,
    generator,
    table_chunks,
)
from sfumato.samplers.driver import (
    Frame,
    Stepper,
    chunk_frames,
    count_calls,
    last_frame,
    trajectory,
)
from sfumato.samplers.renoising import Renoising
from sfumato.samplers.steps import Choice
from sfumato.samplers.unmasking import Allowed, Order, draw_categories, log_prob_categories, orders

# Rows scored at once, always so many, so that a row's last digit does not depend on the others;
# of many numbers half, as more win nothing there and a single row costs as much as all.
_SCORED, _MANY_NUMBERS = 128, 16

# The same of rows whose next categories are asked about: a row has dozens of them to score.
_ASKED = 256

# What a column may hold so that it can be measured.
_LARGEST = 1e100

# Up to here the exact divergence is as quick as an estimate that is good for something.
_EXACT_DIMENSIONS = 64


@dataclass(frozen=True, slots=True, eq=False)
class TableModel:
    """All that sampling, imputing and scoring need.

    Args:
        settings: of the run that made it.
        codec: between the columns' own values and the network's.
        process: the forward process, of the numbers.
        denoiser: the trained denoiser.
        few: its few-step map of the numbers, if one was learned.
    """

    settings: Settings
    codec: TableCodec
    process: Process
    denoiser: TableDenoiser
    few: FewSteps | None = None

    def with_network(self, network: nn.Module) -> "TableModel":
        """The same model with another network, to draw with."""
        return replace(self, denoiser=replace(self.denoiser, network=network))

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders in which categories are drawn; see `samplers.unmasking`."""
        return orders(len(self.codec.sizes), self.settings.seed, ORDERS)

    def check_sampling(self) -> None:
        """Refuse settings that could not be sampled with; nothing is drawn.

        Raises:
            ArgumentError: saying which.
        """
        settings = self.settings.sampling
        others = settings.guidance != 1, settings.clip, settings.threshold
        if settings.steps == "auto" or any(others):
            raise ArgumentError(
                "sampling.steps=auto, guidance, clip and threshold are not for tables; leave them."
            )
        build_stepper(settings)
        build_grid(settings, self._sampled(settings))

    def _sampled(self, settings: SamplingSettings) -> Process:
        """The process whose levels sampling visits."""
        return sampled_process(settings, self.process, self.denoiser.conditioning)

    def empty(self) -> DataTable:
        """No rows, of the columns' own types."""
        empty = torch.empty(0, *self.codec.event)
        return self.codec.decode(empty, torch.empty(0, len(self.codec.sizes), dtype=torch.int64))

    def sample_chunks(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> Iterator[DataTable]:
        """Like `sample`, a chunk of rows at a time.

        Raises:
            ArgumentError: as `sample`.
        """
        refuse_negative(n=n, seed=seed, first=first)
        row, known = self._given(given)
        sampler = self._sampler(sampling)

        def chunks() -> Iterator[DataTable]:
            for chunk in table_chunks(n, first):
                drawn = self._drawn(_repeated(known, chunk), sampler, seed, chunk)
                begin, end = max(first - chunk.first, 0), min(first + n - chunk.first, chunk.size)
                yield _put_back(drawn.take(np.arange(begin, end)), row, given or {})

        return chunks()

    def frames(
        self, n: int, *, seed: int = 0, given: Mapping[str, Any] | None = None, **sampling: Any
    ) -> Iterator[tuple[NoiseLevel, DataTable]]:
        """The first samples of a seed, up to a chunk of 1,024, at each level on their way.

        Their categories are there from the beginning: numbers are drawn given them.
        """
        sampler, known = self._sampler(sampling), self._given(given)[1]

        def frames(chunk: Chunk) -> Iterator[tuple[NoiseLevel, DataTable]]:
            own = self.settled(_repeated(known, chunk), seed, chunk)
            categories = self.categories(own, seed, chunk)
            numbers, requested = self.codec.free(own, categories)
            there = self.codec.present(categories)
            for frame in self._walk(numbers, requested, categories, sampler, seed, chunk):
                x = torch.where(there, torch.where(requested, frame.x_t, numbers), math.nan)
                yield frame.level, self.codec.decode(x, categories, own.exact)

        count = min(n, CHUNK)
        for parts in zip(*map(frames, table_chunks(max(1, count))), strict=True):
            whole = concatenate([table for _, table in parts])
            yield parts[0][0], whole.take(np.arange(count))

    def pictured_frames(
        self, n: int, count: int, *, seed: int = 0
    ) -> list[tuple[NoiseLevel, DataTable]]:
        """`count` frames for a picture, even in time, noise first; steps repeat or are left out."""
        steps = max(int(self.settings.sampling.steps), count - 1)
        frames = list(self.frames(n, seed=seed, steps=steps, grid=self.process.default_grid))
        return [frames[k] for k in np.linspace(0, len(frames) - 1, count).round().astype(int)]

    def choose_steps(self, **sampling: Any) -> Choice:  # noqa: ARG002
        """A table's steps are a number.

        Raises:
            ArgumentError: always.
        """
        raise unsupported("steps")

    def interpolate(self, *_: int, **__: Any) -> np.ndarray:
        """There is no path between two rows.

        Raises:
            ArgumentError: always.
        """
        raise unsupported("interpolate")

    def variational_bound(self, *_: DataTable, **__: Any) -> Iterator[BoundTerms]:
        """A table has its likelihood itself.

        Raises:
            ArgumentError: always.
        """
        raise unsupported("bound")

    def class_number(self, given: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """None: a class is a column like others."""
        return

    def labels(
        self,
        n: int,  # noqa: ARG002
        *,
        seed: int = 0,  # noqa: ARG002
        first: int = 0,  # noqa: ARG002
        given: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """None: a class is a column like others."""
        return

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> DataTable:
        """Draw `n` rows; row k depends on the seed, what is given and k alone.

        Args:
            n: how many.
            seed: names an endless list of samples.
            first: where in that list to begin.
            given: values of some columns, which all rows are to have; None for a missing value.
            **sampling: changes to the settings under `[sampling]`.

        Raises:
            ArgumentError: if n, seed or first is negative, a column is unknown, a value given was
                never seen, values given break a rule, or a sampling setting is wrong.
        """
        drawn = self.sample_chunks(n, seed=seed, first=first, given=given, **sampling)
        return concatenate([self.empty(), *drawn])

    def calls(self, row: DataTable) -> int:
        """The network calls that a row takes whose missing values are drawn.

        Args:
            row: of the model's columns.
        """
        settings, stepper = self._sampler({})
        known = np.array([[not column.missing[0] for column in row]])
        hidden = self.hidden(self._hidden(row, known).categories)[0].numpy()
        open_ = hidden == np.array(self.codec.sizes)
        rounds = [sum(any(open_[k] for k in own) for own in order) for order in self.orders]
        numeric = [part.is_numeric for part in self.codec.parts]
        if known[0, numeric].all():
            return max(rounds)
        levels = build_grid(settings, self._sampled(settings))
        return max(rounds) + (settings.few or count_calls(stepper, levels))

    def condition(self, given: Mapping[str, Any]) -> DataTable:
        """One row of the model's columns: the values given, and missing values elsewhere.

        Raises:
            ArgumentError: if a column is unknown, a value is not of its column's type, or a
                category was never seen there.
        """
        for name in given:
            if name in (each.name for each in self.codec.identifiers):
                raise ArgumentError(
                    f"the column {name!r} only names the rows; it is made anew and cannot be given."
                )
            if name not in self.codec.columns:
                raise unknown("column", name, self.codec.columns)
        row = DataTable(tuple(_single(column, given.get(column.name)) for column in self.empty()))
        for unseen, part in zip(self.codec.encode(row).unseen[0], self.codec.parts, strict=True):
            if not unseen or part.name not in given:
                continue
            if row[part.name].missing[0]:
                raise ArgumentError(f"the column {part.name!r} is never empty; give a value.")
            if isinstance(part, CategoricalCodec):  # for a number the nearest that was seen stands
                seen = part.categories
                known = f"{', '.join(map(repr, seen[:6]))}{', ...' * (len(seen) > 6)}"
                raise ArgumentError(
                    f"the column {part.name!r} never was {given[part.name]!r} in what the model "
                    f"learned; give one of {known}."
                )
        return row

    def complete_chunks(
        self,
        rows: DataTable,
        known: np.ndarray | None = None,
        *,
        draws: int = 1,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> Iterator[DataTable]:
        """Rows with missing values, each filled `draws` times in a row, a chunk at a time.

        What there is stays; the rest is drawn given all of it.

        Args:
            rows: of the model's columns, whose missing values are to be filled.
            known: None: a table's missing values are its own to tell.
            draws: each row so many times, one after another.
            seed: of the draws.
            given: None: what is known stands in the rows.
            **sampling: changes to the settings under `[sampling]`.

        Raises:
            ArgumentError: if there are no draws, or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        assert known is None
        assert given is None
        if draws < 1:
            raise ArgumentError(f"`draws` must be at least 1; got {draws}.")
        return self._drawn_given(rows, draws, seed, sampling, missing_allowed=False)

    def conditional_chunks(
        self, rows: DataTable, *, draws: int = 1, seed: int = 0, **sampling: Any
    ) -> Iterator[DataTable]:
        """As `complete_chunks`, but what is drawn may be a missing value, as in rows of the data.

        Raises:
            ArgumentError: as `complete_chunks`.
            DataError: as `complete_chunks`.
        """
        refuse_negative(n=draws, seed=seed)
        return self._drawn_given(rows, draws, seed, sampling, missing_allowed=True)

    def _drawn_given(
        self,
        rows: DataTable,
        draws: int,
        seed: int,
        sampling: Mapping[str, Any],
        *,
        missing_allowed: bool,
    ) -> Iterator[DataTable]:
        """Each row `draws` times in a row, what it lacks drawn given what is there."""
        sampler, own = self._sampler(sampling), self.own(rows)
        known = ~np.stack([column.missing for column in own], axis=1)
        # Conditions are the user's own; rows to fill may be as the data are.
        seen = self.as_known(own, known, found_too=missing_allowed)

        def chunks() -> Iterator[DataTable]:
            total = len(rows) * draws
            for chunk in table_chunks(total):
                index = torch.arange(chunk.first, min(chunk.first + chunk.size, total)) // draws
                whole = filled_up(seen.take(index), chunk.size)
                drawn = self._drawn(whole, sampler, seed, chunk, missing_allowed=missing_allowed)
                yield drawn.take(np.arange(len(index)))

        return chunks()

    def edit_chunks(
        self, rows: DataTable, start: float, *, seed: int = 0, **sampling: Any
    ) -> Iterator[DataTable]:
        """Rows like these, a chunk at a time: noised to the time `start` and sampled from there.

        The forward process of categories hides each with the probability `start` (Austin et al.
        2021, absorbing states); hidden ones are drawn given those that are not, and given each
        number with the probability 1 - start. Numbers are noised, and denoised given the
        categories: Meng et al. (2022), SDEdit. Row k depends on itself, the seed and k alone.

        Args:
            rows: of the model's columns.
            start: the time, above 0 (all is kept) to 1 (nothing is).
            seed: of all noise.
            **sampling: changes to the settings under `[sampling]`.

        Raises:
            ArgumentError: if the start is not in (0, 1], or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        settings, stepper = self._sampler(sampling, from_noise=False)
        if start < 1:
            refuse_part_way(settings)
        process = self._sampled(settings).until(float(start))
        own = self.own(rows)
        encoded = self.as_known(own, np.ones((len(own), len(self.codec.parts)), bool))
        levels = build_grid(settings, process, max(1, round(int(settings.steps) * start)))

        def chunks() -> Iterator[DataTable]:
            for chunk in table_chunks(len(rows)):
                index = torch.arange(chunk.first, min(chunk.first + chunk.size, len(rows)))
                whole = filled_up(encoded.take(index), chunk.size)
                numbers, categories = self._forgotten(whole, start, seed, chunk)
                nothing = replace(
                    whole,
                    numeric=torch.full_like(whole.numeric, math.nan),
                    exact=np.full_like(whole.exact, math.nan),
                )
                unknown_numbers, requested = self.codec.free(nothing, categories)
                source = chunk.noise(seed, EDITING)
                # A number that was not there begins where the coded columns are: at N(0, 1).
                x_0 = torch.where(numbers.isfinite(), numbers, source(numbers))
                x_t = noised(x_0.nan_to_num(), levels[0]).draw(source(numbers))
                denoise = self.conditioned(unknown_numbers, requested, categories)
                walk = trajectory(denoise, x_t, levels, stepper, noise=source)
                x = torch.where(requested, last_frame(walk).x_t, math.nan)
                yield self.codec.decode(x, categories).take(np.arange(len(index)))

        return chunks()

    def _forgotten(
        self, whole: EncodedTable, start: float, seed: int, chunk: Chunk
    ) -> tuple[Tensor, Tensor]:
        """The numbers of a chunk, and its categories of which some are drawn anew."""
        numbers, sizes = whole.numeric.double(), (len(self.codec.sizes), *self.codec.event)
        uniform = chunk.uniform(sum(sizes), seed, LEVELS, chunk.stream, 1)
        hidden, noised_away = (each < start for each in uniform.split(sizes, 1))
        kept, count = ~noised_away, whole.exact.shape[1]
        part = replace(
            whole,
            numeric=torch.where(kept, whole.numeric, math.nan),
            categories=torch.where(hidden, -1, whole.categories),
            exact=np.where(kept[:, :count].numpy(), whole.exact, np.nan),
        )
        return numbers, self.categories(part, seed, chunk)

    def own(self, table: DataTable) -> DataTable:
        """The model's columns of a table.

        Raises:
            DataError: if it lacks one.
        """
        return select_columns(table, self.codec.columns, "the table")

    def encoded(self, rows: DataTable) -> Tensor:
        """The coded numeric values `(n, C)` float64; 0, their mean, where one is missing.

        Raises:
            DataError: if the rows do not fit the model.
        """
        encoded = self.codec.encode(self.own(rows))
        return self.codec.free(encoded, self.hidden(encoded.categories))[0].nan_to_num()

    def numeric_denoiser(self, *, seed: int = 0) -> PerChunk:
        """The denoiser of the numbers of each chunk, given the categories that are drawn there.

        A number that a row's categories say is missing is predicted to be 0.
        """
        nothing = self._given(None)[1]

        def of_chunk(chunk: Chunk) -> Denoiser:
            known = _repeated(nothing, chunk)
            categories = self.categories(known, seed, chunk)
            numbers, requested = self.codec.free(known, categories)
            denoise = self.conditioned(numbers, requested, categories)

            def present(x_t: Tensor, level: NoiseLevel, condition: object = None) -> Prediction:  # noqa: ARG001
                return Prediction(denoise(x_t, level).x_0 * requested)

            return present

        return PerChunk(cache(of_chunk))

    def log_prob_chunks(
        self,
        rows: DataTable,
        *,
        target: str | Sequence[str] | None = None,
        steps: int = 16,
        tol: float | None = None,
        probes: int | None = None,
        seed: int = 0,
    ) -> Iterator[LogProb]:
        """Of each row log p(categories) + log p(numbers | categories) in nats, chunk by chunk.

        A density in the columns' own units for numbers, a probability for categories; of a number
        on a grid (integers, cents) its probability over the grid's step (see
        `data.codecs.columns`), of a date its probability. What was never seen in a column, a
        category, a missing value or a number in a gap, all of it together, has the probability
        1/(n + 1) after n rows, Laplace's rule. So have, of each rule, all rows that break it.
        Computed in chunks of one size, so that a row's does not depend on the rows beside it.

        With targets it is log p(targets | the rest of the row), of the very law that `complete`
        and `sample` draw from. A missing value is a value here: among the conditions it says that
        the cell is empty, where the column ever was, and in a target it has its probability.

        Args:
            rows: of the model's columns.
            target: columns, if not the density of whole rows is asked for.
            steps: of the flow's fixed-step method.
            tol: None: with an adaptive method a row would depend on the rows beside it.
            probes: Hutchinson's estimate of the divergence, from directions that a row's own
                numbers and the seed decide; exact up to 64 numbers if not given, and 64 probes
                for more.
            seed: of the probes.

        Raises:
            ArgumentError: if a tolerance is given, or a target is no column that varies.
            DataError: if the rows do not fit the model, or conditions break a stated rule.
        """
        if tol is not None:
            raise ArgumentError("a tolerance is for points and pictures; leave tol (--tol) out.")
        if target is not None:
            yield from self._log_prob_targets(rows, _named(target), steps, probes, seed)
            return
        own = self.own(rows)
        refuse_others(own, self.codec.parts, "the rows")
        for first in range(0, len(own), CHUNK):
            chunk = own.take(np.arange(first, min(first + CHUNK, len(own))))
            yield from self._log_prob_rows(chunk, steps, probes, seed)

    def _log_prob_rows(
        self, rows: DataTable, steps: int, probes: int | None, seed: int
    ) -> Iterator[LogProb]:
        """Of a chunk of whole rows."""
        encoded, n = self.codec.encode(rows), self.codec.rows
        seen = math.log(n / (n + 1)) * self.codec.can_be_unseen
        nats = encoded.log_width + np.where(encoded.unseen, -math.log(n + 1), seen).sum(1)
        nats += np.where(encoded.broken, -math.log(n + 1), math.log(n / (n + 1))).sum(1)
        # A number in a gap has its probability already; it is carried along as a missing one.
        in_gap = encoded.unseen[:, [part.is_numeric for part in self.codec.parts]]
        categories = self.codec.hide_broken(self.hidden(encoded.categories), encoded.broken)
        numbers = self.codec.free(encoded, categories)[0].to(encoded.numeric)
        numbers[:, : in_gap.shape[1]][torch.from_numpy(in_gap)] = math.nan
        numbers[encoded.numeric.isnan()] = math.nan  # the slack of a rule that is broken
        if self.codec.sizes:
            nats += self._log_prob_categories(categories).numpy()
        size, slots = _rows_at_once(numbers.shape[1]), torch.arange(numbers.shape[1])
        every = torch.ones(size, numbers.shape[1], dtype=torch.bool)
        for some, count in _scored(len(rows), size):
            found = LogProb(torch.from_numpy(nats[some]), None, 0)
            if self.codec.event[0]:
                flow = self._log_prob_numbers(
                    numbers[some], categories[some], steps, probes, seed, every, slots
                )
                found = replace(flow, nats=found.nats + flow.nats)
            yield _first_of(found, count)

    def _log_prob_targets(
        self,
        rows: DataTable,
        targets: frozenset[str],
        steps: int,
        probes: int | None,
        seed: int,
    ) -> Iterator[LogProb]:
        """Log p(targets | the rest): of their categories, then of their numbers given those."""
        parts, sizes, n = self.codec.parts, self.codec.sizes, self.codec.rows
        for name in targets:
            self.codec.places(name)
        own = self.own(rows)
        asked = np.array([part.name in targets for part in parts])
        encoded = self.codec.encode(own)
        known = self.as_known(own, np.tile(~asked, (len(own), 1)))
        of_target = torch.tensor([part.name in targets for part in parts for _ in part.sizes])
        numeric = np.array([part.is_numeric for part in parts])
        known, told = self._told(known, encoded, asked[numeric])
        given = self.hidden(known.categories)
        categories = self.codec.hide_broken(self.hidden(encoded.categories), encoded.broken)
        categories = torch.where(of_target.bool(), categories, given)
        nats, unseen = self.codec.log_width_of(own, targets, encoded, known, categories)
        nats += told
        seen = math.log(n / (n + 1)) * (self.codec.can_be_unseen & asked)
        nats += np.where(unseen, -math.log(n + 1), seen).sum(1)
        of_rule = [not targets.isdisjoint(rule.names) for rule in self.codec.rules]
        broken = encoded.broken[:, of_rule]
        nats += np.where(broken, -math.log(n + 1), math.log(n / (n + 1))).sum(1)
        in_gap = torch.from_numpy(unseen[:, numeric])
        z = encoded.numeric.double()
        z[:, : in_gap.shape[1]][in_gap] = math.nan
        # The slacks of rules may be free, too.
        slacks = np.arange(numeric.sum(), z.shape[1])
        slots = torch.from_numpy(np.r_[np.flatnonzero(asked[numeric]), slacks])
        for some, count in _scored(len(rows), _rows_at_once(len(slots))):
            part, chunk = known.take(some), categories[some]
            found = LogProb(torch.from_numpy(nats[some]), None, 0)
            if of_target.any():
                logits = partial(self._logits_given, self.denoiser, part)
                own_orders = sizes, self.orders, self.allowed
                of_categories = log_prob_categories(logits, chunk, *own_orders, given[some])
                found = replace(found, nats=found.nats + of_categories)
            if len(slots):
                numbers, free = self.codec.free(part, chunk, asked[numeric])
                numbers = torch.where(free, z[some], numbers)
                flow = self._log_prob_numbers(numbers, chunk, steps, probes, seed, free, slots)
                found = replace(flow, nats=found.nats + flow.nats)
            yield _first_of(found, count)

    def _logits_given(self, denoise: TableDenoiser, known: EncodedTable, seen: Tensor) -> Tensor:
        """Eq. (2) of `denoisers.table` of rows in one round after another, see `hidden`."""
        rounds = seen.split(len(known)) if len(known) else (seen,)
        numbers = torch.cat([self.codec.free(known, each)[0] for each in rounds])
        return _logits_of_different(denoise, numbers, seen)

    def hidden(self, categories: Tensor) -> Tensor:
        """Codes as the network takes them: those that are not known, -1, as the number of all."""
        sizes = torch.tensor(self.codec.sizes, dtype=torch.int64)
        return torch.where(categories < 0, sizes, categories)

    def _log_prob_categories(self, categories: Tensor) -> Tensor:
        """Log p(categories), of which no number is known."""
        nothing = torch.full((1, *self.codec.event), math.nan, dtype=torch.float64)
        logits = partial(_logits_of_different, self.denoiser, nothing)
        return log_prob_categories(logits, categories, self.codec.sizes, self.orders, self.allowed)

    def _log_prob_numbers(
        self,
        numbers: Tensor,
        categories: Tensor,
        steps: int,
        probes: int | None,
        seed: int,
        free: Tensor,
        slots: Tensor,
    ) -> LogProb:
        """Log p(free numbers | the others, categories), the flow of some slots alone.

        Args:
            numbers: all, `(n, C)`; NaN where one is missing.
            categories: all, see `hidden`.
            steps: of the flow.
            probes: see `log_prob_chunks`.
            seed: of the probes.
            free: which numbers the density is of, `(n, C)`.
            slots: the places of all that are free in any row, `(slots,)`.
        """
        if probes is None and len(slots) > _EXACT_DIMENSIONS:
            probes = _EXACT_DIMENSIONS
        directions: Probes | None = None
        if probes is not None:
            drawn = _own_directions(numbers, probes, seed)[:, :, slots]
            directions = lambda _: drawn  # noqa: E731 - log_prob would draw them by place
        there = self.codec.present(categories) & numbers.isfinite()
        noisy, known = there & free, there & ~free
        zeros = torch.zeros_like(numbers)
        condition = TableCondition(torch.where(known, numbers, zeros), known, noisy, categories)
        # A subclass may answer anything.
        of = TracedNumbers if type(self.denoiser.network) is TableMLP else SomeNumbers
        x_0 = torch.where(noisy, numbers, zeros)[:, slots].double()
        grid = unit_log_snr(self.process.continuous(), steps + 1)
        found = log_prob(of(self.denoiser, condition, slots), x_0, grid, probes=directions)
        # A number that is not free was carried along as the 0 of N(0, 1).
        carried = (~noisy[:, slots]).sum(1) * 0.5 * math.log(2 * math.pi)
        return replace(found, nats=found.nats + carried)

    def _sampler(
        self, changes: Mapping[str, Any], *, from_noise: bool = True
    ) -> tuple[SamplingSettings, Stepper[Any]]:
        """The run's own sampling settings and method, with some changed."""
        named, own = split_stepper(changes)
        refuse_few(named, own, from_noise=from_noise)
        sampling = changed_sampling(self.settings, named)
        # Until a map that is to draw is learned, the sampler does.
        if not (from_noise and (self.few or named.get("few"))):
            sampling = sampling.model_copy(update={"few": 0})
        settings = self.settings.model_copy(update={"sampling": sampling})
        replace(self, settings=settings).check_sampling()
        if own is not None:
            return sampling.model_copy(update={"few": 0}), own
        return sampling, Renoising() if sampling.few else build_stepper(sampling)

    def _given(self, given: Mapping[str, Any] | None) -> tuple[DataTable, EncodedTable]:
        """One row of what is given, and as the network sees it, the rest hidden."""
        row = self.condition(given or {})
        known = np.array([[column.name in (given or {}) for column in row]])
        hidden = self._hidden(row, known)
        if broken := self._broken(hidden, row, known, found_too=True):
            _, rule, by = broken
            raise ArgumentError(
                f"the values given break {by}; change one of these, or leave it out.",
                code="broken-rule",
                rule=rule,
            )
        return row, hidden

    @property
    def allowed(self) -> Allowed | None:
        """The categories that rules let stand beside others, if there are such rules."""
        return self.codec.combinations.allowed if self.codec.combinations else None

    def as_known(
        self, table: DataTable, known: np.ndarray, *, found_too: bool = False
    ) -> EncodedTable:
        """Rows as the network sees them, what is not known `(n, columns)` hidden.

        Args:
            table: rows.
            known: which columns are known.
            found_too: refuse what breaks a rule that was found, too; it is carried on otherwise.

        Raises:
            DataError: if what is known of a row breaks a rule.
        """
        hidden = self._hidden(table, known)
        if broken := self._broken(hidden, table, known, found_too=found_too):
            row, rule, by = broken
            whose = f"row {row + 1}: its" if len(table) > 1 else "the"
            raise DataError(
                f"{whose} known values break {by}; change one of these, or empty its cell.",
                code="broken-rule",
                rule=rule,
            )
        return hidden

    def _hidden(self, table: DataTable, known: np.ndarray) -> EncodedTable:
        """Rows as the network sees them, whatever rules they break."""
        encoded = self.codec.encode(table, known=known)
        numeric = [k for k, part in enumerate(self.codec.parts) if part.is_numeric]
        categorical = [k for k, part in enumerate(self.codec.parts) if part.sizes]
        seen = torch.from_numpy(known)
        # Outside what was seen the network has learned nothing: the nearest value stands for it.
        low, high = torch.from_numpy(self.codec.z_range).to(encoded.numeric)
        shown = seen[:, numeric]
        if self.codec.relations:  # a slack is known where the rule's columns are
            shown = torch.from_numpy(self.codec.relations.present(shown.numpy()))
        return replace(
            encoded,
            numeric=torch.where(shown, encoded.numeric.clamp(low, high), torch.tensor(math.nan)),
            categories=torch.where(seen[:, categorical], encoded.categories, -1),
            exact=np.where(known[:, numeric], encoded.exact, np.nan)
            if encoded.exact.size
            else encoded.exact,
        )

    def _broken(
        self, hidden: EncodedTable, table: DataTable, known: np.ndarray, *, found_too: bool
    ) -> tuple[int, str, str] | None:
        """The first row whose known values break a rule, that rule, and it in words."""
        found = self.codec.contradicted(hidden, found_too=found_too)
        if found is None:
            return None
        row, rule = found
        shown = {
            column.name for column, is_known in zip(table, known[row], strict=True) if is_known
        }
        columns = [table[name] for name in rule.names if name in shown]
        return row, rule.text, broken_by(rule, columns, row)

    def settled(self, known: EncodedTable, seed: int, chunk: Chunk) -> EncodedTable:
        """What is known of a chunk; whether a number repeats one that is not is drawn."""
        repeats = self.codec.repeats
        if not any(self.codec.undecided(known, each).any() for each in repeats):
            return known
        uniform = chunk.uniform(len(repeats), seed, LEVELS, chunk.stream, 2)
        for k, each in enumerate(repeats):
            same = uniform[:, k] < self.chance_of_repeat(self.denoiser, known, each)
            known = self.codec.decided(known, each, same)
        return known

    def chance_of_repeat(self, denoise: TableDenoiser, known: EncodedTable, each: Repeat) -> Tensor:
        """How probable it is that a number repeats the other; 0 where that is decided: `(n,)`."""
        open_, first = self.codec.undecided(known, each), sum(self.codec.sizes[: each.category])
        found = torch.zeros(len(known), dtype=torch.float64)
        if open_.any():
            logits = self._logits_given(denoise, known, self.hidden(known.categories))
            both = logits[:, [first, first + each.code]].softmax(1)[:, 1]
            found = torch.where(open_, both, found)
        return found

    def _told(
        self, known: EncodedTable, whole: EncodedTable, asked: np.ndarray
    ) -> tuple[EncodedTable, np.ndarray]:
        """What is known once it is told whether numbers repeat targets, and the nats of that.

        Args:
            known: of rows without their targets.
            whole: the same rows.
            asked: which numbers are targets, `(C,)`.
        """
        nats = np.zeros(len(known))
        for each in self.codec.repeats:
            open_ = self.codec.undecided(known, each)
            same = open_ & (whole.categories[:, each.category] == each.code)
            chance = self.chance_of_repeat(self.denoiser, known, each)
            chance = torch.where(same, chance, 1 - chance)
            nats += torch.where(open_, chance.log(), 0.0).numpy()
            known = self.codec.decided(known, each, same)
        # A target that is known by now has a probability.
        for k in np.flatnonzero(asked):
            part = self.codec.numeric_parts[k]
            nats -= np.where(known.numeric[:, k].isfinite().numpy(), math.log(part.unit), 0.0)
        return known, nats

    def categories(
        self, known: EncodedTable, seed: int, chunk: Chunk, *, missing_allowed: bool = True
    ) -> Tensor:
        """The categories of a chunk: known ones, and the others drawn given all that is known."""
        sizes, categories = self.codec.sizes, self.hidden(known.categories)
        if not sizes:
            return categories
        allowed = self.codec.combinations.allowed
        barred = () if missing_allowed else self.codec.missing_categories
        return draw_categories(
            partial(self._logits_given, self.denoiser, known),
            categories,
            sizes,
            self.orders,
            chunk.uniform(len(sizes), seed, LEVELS, chunk.stream),
            barred,
            (lambda seen, column: allowed(seen, column, barred))
            if self.codec.combinations
            else None,
        )

    def conditional(self, condition: TableCondition, settings: SamplingSettings) -> Denoiser:  # noqa: ARG002
        """The denoiser of the numbers of rows of which this is known."""
        return Conditioned(self.denoiser, condition)

    def conditioned(
        self, numbers: Tensor, requested: Tensor, categories: Tensor
    ) -> Conditioned[TableCondition]:
        """The denoiser of the numbers that are to be drawn, given those that are not NaN."""
        is_known = numbers.isfinite()
        condition = TableCondition(numbers.nan_to_num(), is_known, requested, categories)
        return Conditioned(self.denoiser, condition)

    def _walk(
        self,
        numbers: Tensor,
        requested: Tensor,
        categories: Tensor,
        sampler: tuple[SamplingSettings, Stepper[Any]],
        seed: int,
        chunk: Chunk,
    ) -> Iterator[Frame]:
        """The numbers of a chunk on their way from noise, given what is known."""
        settings, stepper = sampler
        levels = build_grid(settings, self._sampled(settings))
        drawing = self
        if settings.few:
            few = map_of(self.few)
            levels = few.levels(self.process, settings.few)
            drawing = replace(self, denoiser=as_map(self.denoiser, few.network))
        denoise = drawing.conditioned(numbers, requested, categories)
        return chunk_frames(denoise, self.codec.event, levels, stepper, seed=seed, chunk=chunk)

    def _drawn(
        self,
        known: EncodedTable,
        sampler: tuple[SamplingSettings, Stepper[Any]],
        seed: int,
        chunk: Chunk,
        *,
        missing_allowed: bool = True,
    ) -> DataTable:
        """A chunk of rows, whole: what is known as it was encoded, the rest drawn."""
        known = self.settled(known, seed, chunk)
        categories = self.categories(known, seed, chunk, missing_allowed=missing_allowed)
        numbers, requested = self.codec.free(known, categories)
        if requested.any():
            x = last_frame(self._walk(numbers, requested, categories, sampler, seed, chunk)).x_t
            numbers = torch.where(requested, x, numbers)
        there = self.codec.present(categories)
        return self.codec.decode(torch.where(there, numbers, math.nan), categories, known.exact)


def _named(target: str | Sequence[str]) -> frozenset[str]:
    """The columns that a target names.

    Raises:
        ArgumentError: if there is none.
    """
    names = frozenset([target] if isinstance(target, str) else target)
    if not names:
        raise ArgumentError("name a column at least as the target, or leave it out.")
    return names


def _rows_at_once(numbers: int) -> int:
    """How many rows are scored at once for the density of so many numbers."""
    return _SCORED if numbers <= _MANY_NUMBERS else _SCORED // 2


def _logits_of_different(denoise: TableDenoiser, numbers: Tensor, seen: Tensor) -> Tensor:
    """Eq. (2) of `denoisers.table`; of rows that are the same, the network is asked about one.

    It is asked in calls of one size, so that a row's last digit does not depend on the others.

    Args:
        denoise: the denoiser.
        numbers: of rows, or of one if all have the same, NaN where one is not known, float64.
        seen: their categories, see `TableModel.hidden`.
    """
    differ = len(numbers) == len(seen)
    rows = (torch.cat([seen, numbers.view(torch.int64)], 1) if differ else seen).numpy()
    # By their bytes, as NaN equals nothing; in a dictionary, ten times as fast as sorted.
    first: dict[bytes, int] = {}
    keys = rows.view(f"V{rows.strides[0]}")[:, 0].tolist()
    same = torch.tensor([first.setdefault(key, k) for k, key in enumerate(keys)])
    one, of_row = same.unique(return_inverse=True)
    found = [
        denoise.logits(numbers[one[some] if differ else [0] * _ASKED], seen[one[some]])[:count]
        for some, count in _scored(len(one), _ASKED)
    ]
    return torch.cat(found)[of_row]


def _scored(count: int, size: int) -> Iterator[tuple[Tensor, int]]:
    """The rows of each chunk, the last row again where there are no more, and how many are new."""
    for first in range(0, count, size):
        rows = torch.arange(first, first + size).clamp(max=count - 1)
        yield rows, min(size, count - first)


def _first_of(found: LogProb, count: int) -> LogProb:
    """Those of the first rows."""
    error = found.standard_error
    return replace(
        found, nats=found.nats[:count], standard_error=None if error is None else error[:count]
    )


def _own_directions(numbers: Tensor, count: int, seed: int) -> Tensor:
    """Hutchinson's directions `(count, rows, numbers)`, a row's own wherever it stands."""
    drawn = [
        rademacher(count, generator(seed, PROBING, crc32(row.tobytes())))(torch.empty(len(row)))
        for row in numbers.numpy()
    ]
    return torch.stack(drawn, dim=1).double()


def _single(column: Column, value: Any) -> Column:
    """One value in a column like another, of its frame's type too, or a missing value."""
    dtype, missing = column.values.dtype, value is None or is_no_value(value)
    empty = np.array([""], object) if dtype.kind == "O" else np.zeros(1, dtype)
    if (
        column.form
        and isinstance(value, str)
        and (read := value_in(column.form, value)) is not None
    ):
        value = read
    try:
        moment = _in_utc(value) if zone_of(column.dtype) else value
        if elapsed_of(column.dtype):
            moment = seconds_of(value)
            if not missing and not is_held(moment, column.dtype):
                raise ValueError
        held = empty if missing else np.array([_of_type(moment, dtype)], dtype)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        what = {"f": "a number", "i": "an integer", "b": "true or false", "M": "a date"}
        if of := elapsed_of(column.dtype):
            spelt = {"time": "a time of the day (hh:mm:ss)", "duration": "a duration (h:mm:ss)"}
            what = dict.fromkeys("fi", spelt[of[0]])
        written = f", written as {in_words(column.form)}" if column.form and not of else ""
        raise ArgumentError(
            f"the column {column.name!r} holds {what[dtype.kind]}{written}; got {value!r}."
        ) from error
    return replace(column, values=held, missing=np.array([missing]))


def _in_utc(value: Any) -> Any:
    """A moment in a time zone as the same in UTC, without one; anything else as it is.

    Raises:
        OverflowError: if it is outside of the years 1 to 9999 there.
    """
    moment = value
    if isinstance(value, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value.strip())
    zoned = getattr(moment, "tzinfo", None) is not None
    return moment.astimezone(UTC).replace(tzinfo=None) if zoned else value


def _of_type(value: Any, dtype: np.dtype[Any]) -> Any:
    """The value if a column of this type may hold it; raises what `_single` catches."""
    if dtype.kind == "O":
        return str(value)
    if dtype.kind == "b":
        known = {"true": True, "false": False}
        return known[str(value).strip().lower()]
    if dtype.kind == "M":
        if isinstance(value, int | float) or getattr(value, "tzinfo", None) is not None:
            raise TypeError
        if isinstance(value, str) and sort(value.strip()).fault:  # NumPy would move a time zone
            raise ValueError
        moment = np.datetime64(value, "us")
        if getattr(value, "nanosecond", 0) or (
            isinstance(value, np.datetime64) and moment != value
        ):
            raise ValueError
        return moment
    if dtype.kind == "f":
        if not abs(number := float(value)) <= _LARGEST:
            raise ValueError
        return number
    whole = int(value) if isinstance(value, int | np.integer) else float(value)
    if int(whole) != whole or abs(whole) > LARGEST_EXACT:
        raise ValueError
    return int(whole)


def _put_back(drawn: DataTable, row: DataTable, given: Mapping[str, Any]) -> DataTable:
    """The columns that were given, as they were given."""
    same = row.take(np.zeros(len(drawn), np.int64))
    return DataTable(
        tuple(same[column.name] if column.name in given else column for column in drawn)
    )


def _repeated(row: EncodedTable, chunk: Chunk) -> EncodedTable:
    """One row for each sample of a chunk."""
    return row.take(torch.zeros(chunk.size, dtype=torch.int64))


def filled_up(part: EncodedTable, size: int) -> EncodedTable:
    """With rows of which nothing is known to a whole chunk, as a chunk is always computed whole."""
    short = size - len(part)
    return EncodedTable(
        torch.cat([part.numeric, torch.full((short, part.numeric.shape[1]), math.nan)]),
        torch.cat([part.categories, torch.full((short, part.categories.shape[1]), -1)]),
        np.pad(part.log_width, (0, short)),
        np.pad(part.unseen, ((0, short), (0, 0))),
        np.pad(part.broken, ((0, short), (0, 0))),
        np.pad(part.exact, ((0, short), (0, 0)), constant_values=np.nan),
    )
