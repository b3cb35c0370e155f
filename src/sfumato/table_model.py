"""A fitted model of tables: rows drawn, completed and scored, from whatever is known of them.

First the levels of a row, one after another (`samplers.unmasking`), then its numbers, by diffusion
given the levels. Both ask a network that was trained on rows of which any part was known, so that
a condition is told and not waited for, and holes are filled given all that is there.

    log p(row) = log p(levels) + log p(numbers | levels)
"""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.assembly import build_grid, build_stepper
from sfumato.config import SamplingSettings, Settings, resolve
from sfumato.data.cells import LARGEST_EXACT
from sfumato.data.columns import Levels
from sfumato.data.table import Column, DataTable, stacked
from sfumato.data.table_codec import EncodedTable, TableCodec
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, DataError, unknown
from sfumato.likelihood.flow import Probes, log_prob, rademacher
from sfumato.networks.table_mlp import Told
from sfumato.process.grids import uniform_log_snr
from sfumato.process.random import CHUNK, LEVELS, ORDERS, PROBING, generator
from sfumato.process.schedules import Schedule
from sfumato.samplers.driver import chunk_frames, last_frame
from sfumato.samplers.unmasking import Order, draw_levels, log_prob_levels, orders

# Rows scored at once: of many numbers they take a second or two.
_SCORED = 256

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
    """

    settings: Settings
    codec: TableCodec
    process: Schedule
    denoiser: TableDenoiser

    def with_network(self, network: nn.Module) -> "TableModel":
        """The same model with the weights of another network, to draw with."""
        return replace(self, denoiser=replace(self.denoiser, network=network))

    @property
    def _orders(self) -> tuple[Order, ...]:
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
        build_grid(settings, self.process)

    def nothing(self) -> DataTable:
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
            DataError: as `sample`.
        """
        for name, value in {"n": n, "seed": seed, "first": first}.items():
            if value < 0:
                raise ArgumentError(f"`{name}` must not be negative; got {value}.")
        row = self.condition(given or {})
        known = self._known(row, None if given is None else _names_given(row, given))
        settings, zeros = self._sampling(sampling), torch.zeros(CHUNK, dtype=torch.int64)

        def chunks() -> Iterator[DataTable]:
            for chunk in range(first // CHUNK, -(-(first + n) // CHUNK) if n else 0):
                whole = self._drawn(known.chosen(zeros), settings, seed, chunk, barred=False)
                offset = chunk * CHUNK
                rows = np.arange(max(first - offset, 0), min(first + n - offset, CHUNK))
                yield _put_back(whole.chosen(rows), row, given or {})

        return chunks()

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
            given: values of some columns, which all rows are to have; None for a hole.
            **sampling: changes to the settings under `[sampling]`.

        Raises:
            ArgumentError: if n, seed or first is negative, a column is unknown, or a sampling
                setting is wrong.
            DataError: if a value given was never seen.
        """
        drawn = self.sample_chunks(n, seed=seed, first=first, given=given, **sampling)
        return stacked([self.nothing(), *drawn])

    def condition(self, given: Mapping[str, Any]) -> DataTable:
        """One row of the model's columns: the values given, and holes elsewhere.

        Raises:
            ArgumentError: if a column is unknown.
            DataError: if a value is not of its column's type, or was never seen there.
        """
        for name in given:
            if name not in self.codec.columns:
                raise unknown("column", name, self.codec.columns)
        row = DataTable(
            tuple(
                _single(column.name, given.get(column.name), column.values.dtype)
                for column in self.nothing()
            )
        )
        for strange, part in zip(self.codec.encode(row).strange[0], self.codec.parts, strict=True):
            if strange and part.name in given:
                if given[part.name] is None:
                    raise DataError(f"the column {part.name!r} is never empty; give a value.")
                seen = part.values if isinstance(part, Levels) else ()
                known = f"{', '.join(map(repr, seen[:6]))}{', ...' * (len(seen) > 6)}"
                raise DataError(
                    f"the column {part.name!r} never was {given[part.name]!r} in what the model "
                    f"learned; give one of {known}."
                )
        return row

    def impute_chunks(
        self, table: DataTable, draws: int, *, seed: int = 0, **sampling: Any
    ) -> Iterator[DataTable]:
        """Rows with holes, each filled `draws` times in a row, a chunk of drawn rows at a time.

        Raises:
            ArgumentError: if there are no draws, or a sampling setting is wrong.
            DataError: if the rows do not fit the model.
        """
        if draws < 1:
            raise ArgumentError(f"`draws` must be at least 1; got {draws}.")
        settings, own = self._sampling(sampling), self.own(table)
        known = self._known(own, ~np.stack([column.missing for column in own], axis=1))

        def chunks() -> Iterator[DataTable]:
            total = len(table) * draws
            for chunk, first in enumerate(range(0, total, CHUNK)):
                rows = torch.arange(first, min(first + CHUNK, total)) // draws
                part = known.chosen(rows)
                whole = self._drawn(_filled_up(part), settings, seed, chunk, barred=True)
                yield whole.chosen(np.arange(len(rows)))

        return chunks()

    def own(self, table: DataTable) -> DataTable:
        """The model's columns of a table.

        Raises:
            DataError: if it lacks one.
        """
        return DataTable(tuple(self._column(table, name) for name in self.codec.columns))

    def _column(self, table: DataTable, name: str) -> Column:
        try:
            return table[name]
        except KeyError:
            raise DataError(
                f"the column {name!r} is missing; the model's are "
                f"{', '.join(self.codec.columns[:8])}."
            ) from None

    def log_prob(
        self, table: DataTable, *, steps: int = 20, probes: int | None = None, seed: int = 0
    ) -> Iterator[np.ndarray]:
        """Of each row log p(levels) + log p(numbers | levels) in nats, chunk by chunk.

        A density in the columns' own units for numbers, a probability for levels; of a number on a
        grid (integers, cents) its probability over the grid's step (see `data.columns`), of a date
        its probability. What was never seen in a column, a level or a hole, all of it together, has
        the probability 1/(n + 1) after n rows, Laplace's rule.
        Computed in float64, so that a row's does not depend on the rows beside it.

        Args:
            table: rows.
            steps: of the flow's fixed-step method.
            probes: Hutchinson's estimate of the divergence, from directions that a row's own
                numbers and the seed decide; exact up to 64 numbers if not given, and 64 probes
                beyond.
            seed: of the probes.

        Raises:
            DataError: if the rows do not fit the model.
        """
        encoded, rows = self.codec.encode(table), self.codec.rows
        seen = math.log(rows / (rows + 1)) * self.codec.can_be_strange
        nats = encoded.log_width + np.where(encoded.strange, -math.log(rows + 1), seen).sum(1)
        exact = replace(self.denoiser, network=deepcopy(self.denoiser.network).double())
        numbers, levels = encoded.numbers, self._hidden(encoded.levels)
        for first in range(0, len(table), _SCORED):
            some = slice(first, first + _SCORED)
            part = torch.from_numpy(nats[some])
            if self.codec.sizes:
                part = part + self._log_prob_levels(exact, levels[some])
            if self.codec.event[0]:
                part = part + self._log_prob_numbers(
                    exact, numbers[some], levels[some], steps, probes, seed
                )
            yield part.numpy()

    def _hidden(self, levels: Tensor) -> Tensor:
        """Levels as the network is told them, -1 as what it is told for `not known`."""
        return torch.where(levels < 0, torch.tensor(self.codec.sizes, dtype=torch.int64), levels)

    def _log_prob_levels(self, denoise: TableDenoiser, levels: Tensor) -> Tensor:
        no_number = torch.full((len(levels), *self.codec.event), math.nan, dtype=torch.float64)
        return log_prob_levels(
            lambda seen: denoise.logits(no_number, seen), levels, self.codec.sizes, self._orders
        )

    def _log_prob_numbers(
        self,
        denoise: TableDenoiser,
        numbers: Tensor,
        levels: Tensor,
        steps: int,
        probes: int | None,
        seed: int,
    ) -> Tensor:
        count = self.codec.event[0]
        if probes is None and count > _EXACT_DIMENSIONS:
            probes = _EXACT_DIMENSIONS
        directions: Probes | None = None
        if probes is not None:
            drawn = _own_directions(numbers, probes, seed)
            directions = lambda _: drawn  # noqa: E731 - log_prob would draw them by place
        there = self.codec.present(levels) & numbers.isfinite()
        nothing = torch.zeros_like(numbers)
        told = Told(nothing, torch.zeros_like(there), there, levels)
        x_0 = torch.where(there, numbers, nothing).double()
        grid = uniform_log_snr(self.process, steps + 1)
        found = log_prob(denoise.given(told), x_0, grid, probes=directions).nats
        # A number that is not there was carried along as the 0 of N(0, 1).
        return found + (~there).sum(1) * 0.5 * math.log(2 * math.pi)

    def _sampling(self, changes: Mapping[str, Any]) -> SamplingSettings:
        settings = resolve(self.settings.to_dict(), {"sampling": changes})
        replace(self, settings=settings).check_sampling()
        return settings.sampling

    def _known(self, table: DataTable, known: np.ndarray | None) -> EncodedTable:
        """Rows as the network sees them, what is not known `(n, columns)` hidden."""
        encoded = self.codec.encode(table)
        known = np.zeros((len(table), len(self.codec.parts)), bool) if known is None else known
        of_number = [k for k, part in enumerate(self.codec.parts) if part.has_number]
        of_level = [k for k, part in enumerate(self.codec.parts) if part.sizes]
        seen = torch.from_numpy(known)
        # Beyond what was seen the network has learned nothing: the nearest that was stands for it.
        low, high = torch.from_numpy(self.codec.ends).to(encoded.numbers)
        numbers = encoded.numbers.clamp(low, high)
        return EncodedTable(
            torch.where(seen[:, of_number], numbers, math.nan),
            torch.where(seen[:, of_level], encoded.levels, -1),
            encoded.log_width,
            encoded.strange,
        )

    def _drawn(
        self,
        known: EncodedTable,
        settings: SamplingSettings,
        seed: int,
        chunk: int,
        *,
        barred: bool,
    ) -> DataTable:
        """A chunk of rows, whole: what is known as it was encoded, the rest drawn."""
        sizes, numbers = self.codec.sizes, known.numbers.double()
        levels = self._hidden(known.levels)
        if sizes:
            uniform = torch.rand(
                levels.shape, generator=generator(seed, LEVELS, chunk), dtype=torch.float64
            )
            levels = draw_levels(
                lambda seen: self.denoiser.logits(numbers, seen),
                levels,
                sizes,
                self._orders,
                uniform,
                self.codec.holes if barred else (),
            )
        there, is_known = self.codec.present(levels), numbers.isfinite()
        asked = there & ~is_known
        if asked.any():
            told = Told(numbers.nan_to_num(), is_known, asked, levels)
            walk = chunk_frames(
                self.denoiser.given(told),
                self.codec.event,
                build_grid(settings, self.process),
                build_stepper(settings),
                seed=seed,
                chunk=chunk,
            )
            numbers = torch.where(asked, last_frame(walk).x_t, numbers)
        return self.codec.decode(torch.where(there, numbers, math.nan), levels)


def _names_given(row: DataTable, given: Mapping[str, Any]) -> np.ndarray:
    return np.array([[column.name in given for column in row]])


def _own_directions(numbers: Tensor, count: int, seed: int) -> Tensor:
    """Hutchinson's directions `(count, rows, numbers)`, a row's own wherever it stands."""
    drawn = [
        rademacher(count, generator(seed, PROBING, crc32(row.tobytes())))(torch.empty(len(row)))
        for row in numbers.numpy()
    ]
    return torch.stack(drawn, dim=1).double()


def _single(name: str, value: Any, dtype: np.dtype[Any]) -> Column:
    """One value in a column of a type, or a hole."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    try:
        held = np.zeros(1, dtype) if missing else np.array([_of_type(value, dtype)], dtype)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        what = {"f": "a number", "i": "a whole number", "b": "true or false", "M": "a date"}
        raise DataError(f"the column {name!r} holds {what[dtype.kind]}; got {value!r}.") from error
    return Column(name, held, np.array([missing]))


def _of_type(value: Any, dtype: np.dtype[Any]) -> Any:
    """The value if a column of this type may hold it; raises what `_single` catches."""
    if dtype.kind == "O":
        return str(value)
    if dtype.kind == "b":
        known = {"true": True, "false": False}
        return known[str(value).strip().lower()]
    if dtype.kind == "M":
        if isinstance(value, int | float):
            raise TypeError
        return np.datetime64(value, "us")
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
    same = row.chosen(np.zeros(len(drawn), np.int64))
    return DataTable(
        tuple(same[column.name] if column.name in given else column for column in drawn)
    )


def completed(table: DataTable, rows: np.ndarray, drawn: DataTable) -> DataTable:
    """The table with the holes of some rows filled from what was drawn for them."""
    filled = []
    for column in table:
        if column.name not in drawn.names or not column.missing.any():
            filled.append(column)
            continue
        new, missing = drawn[column.name], column.missing.copy()
        values = column.values.astype(np.promote_types(column.values.dtype, new.values.dtype))
        hole = column.missing[rows]
        values[rows[hole]] = new.values[hole]
        missing[rows[hole]] = new.missing[hole]  # of a column that never had a value
        filled.append(replace(column, values=values, missing=missing))
    return DataTable(tuple(filled))


def _filled_up(part: EncodedTable) -> EncodedTable:
    """With rows of which nothing is known to a whole chunk, as a chunk is always computed whole."""
    short = CHUNK - len(part)
    return EncodedTable(
        torch.cat([part.numbers, torch.full((short, part.numbers.shape[1]), math.nan)]),
        torch.cat([part.levels, torch.full((short, part.levels.shape[1]), -1)]),
        np.pad(part.log_width, (0, short)),
        np.pad(part.strange, ((0, short), (0, 0))),
    )
