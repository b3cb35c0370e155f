"""Scores of rows under a run's model, gathered into what a person reads.

flow     log p(x) of the probability flow, row by row
bound    minus the variational bound, term by term
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato import distributed
from sfumato.data.codecs.points import ImageCodec
from sfumato.data.images import as_images
from sfumato.data.io.images import holds_images, read_image, read_images
from sfumato.data.io.rows import read_points
from sfumato.data.points import Points
from sfumato.errors import DataError
from sfumato.likelihood.variational import mean_and_error
from sfumato.progress import ProgressLine
from sfumato.runs.data import Data
from sfumato.runs.run import Run
from sfumato.runs.table_run import TableRun


@dataclass(frozen=True, slots=True)
class Score:
    """Mean log density of rows, in the data's own units.

    Args:
        rows: how many.
        nats: mean over the rows.
        standard_error: of the mean, from the spread of the rows, of which the noise of an
            estimated divergence is a part; None for a single row.
        bits_per_dimension: minus the mean, in bits for each column that varies.
        truth: mean true log density of the same rows, where it is known.
        probe_error: standard error of a single row's nats where the divergence was estimated:
            root mean square over the rows.
        terms: of the bound: L_T, L_t and L_0 in nats, with their standard errors.
    """

    rows: int
    nats: float
    standard_error: float | None
    bits_per_dimension: float
    truth: float | None = None
    probe_error: float | None = None
    terms: Mapping[str, tuple[float, float | None]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not known is left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        at_least = "at least " if self.terms else ""
        error = "" if self.standard_error is None else f" ± {self.standard_error:.4f}"
        mean = f"{at_least}{self.nats:.4f}{error} nats"
        bits = f"{self.bits_per_dimension:.4f} bits a number"
        rows = f"{self.rows:,} row{'s' * (self.rows != 1)}"
        lines = [f"Mean log density of {rows}: {mean} ({bits})"]
        if self.truth is not None:
            short = self.truth - self.nats
            lines.append(
                f"Their true mean log density is {self.truth:.4f}: "
                f"{abs(short):.4f} nats {'below' if short >= 0 else 'above'} it."
            )
        if self.probe_error is not None:
            lines.append(f"The divergence was estimated: ± {self.probe_error:.4f} nats a row.")
        for name, (value, spread) in (self.terms or {}).items():
            spread_told = "" if spread is None else f" ± {spread:.4f}"
            lines.append(f"  {name:<28} {value:10.4f}{spread_told} nats")
        return "\n".join(lines)


def read_rows(run: Run, path: Path) -> Data:
    """The rows of a file in the order of the run's columns, or pictures of the run's size.

    A single picture is brought to that size; those of a folder or an archive must have it.

    Raises:
        DataError: if the file cannot be used or lacks one of the columns.
    """
    codec = run.model.codec
    if isinstance(codec, ImageCodec):
        if holds_images(path):
            own = run.settings.data
            return read_images(path, background=own.background, skip_bad=own.skip_bad)
        one = read_image(path, codec.height, codec.width, codec.channels)
        return as_images(one[None])
    points, columns = read_points(path), codec.columns
    missing = [name for name in columns if name not in points.columns]
    if missing:
        raise DataError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing[:5])}; "
            f"this run's are {', '.join(columns)}."
        )
    order = [points.columns.index(name) for name in columns]
    return Points(points.values[:, order], columns)


def score_of(
    run: Run,
    rows: np.ndarray,
    *,
    tol: float | None = None,
    probes: int | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> tuple[Score, np.ndarray]:
    """The rows' mean log density by the flow, and each row's own, `(n,)` nats.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if the rows do not fit the model.
    """
    found = []
    with (
        ProgressLine("score", len(rows), "rows", quiet=quiet) as line,
        distributed.threads(run.settings.threads),
    ):
        done = 0
        for chunk in run.model.log_prob(rows, tol=tol, probes=probes, seed=seed):
            found.append(chunk)
            line.advance_to(done := done + len(chunk.nats))
    nats = torch.cat([each.nats for each in found]).numpy()
    errors = [each.standard_error for each in found if each.standard_error is not None]
    estimated = float(torch.cat(errors).square().mean().sqrt()) if errors else None
    return _summary(run, rows, nats, probe_error=estimated), nats


def bound_of(
    run: Run, rows: np.ndarray, *, seed: int = 0, quiet: bool = True
) -> tuple[Score, np.ndarray]:
    """Minus the variational bound of the rows, and each row's own, `(n,)` nats.

    Raises:
        DataError: if the rows do not fit the model.
    """
    parts: dict[str, list[torch.Tensor]] = {"L_T": [], "L_t": [], "L_0": []}
    with (
        ProgressLine("bound", len(rows), "rows", quiet=quiet) as line,
        distributed.threads(run.settings.threads),
    ):
        done = 0
        for chunk in run.model.variational_bound(rows, seed=seed):
            parts["L_T"].append(chunk.L_T)
            parts["L_t"].append(chunk.L_t.sum(1))
            parts["L_0"].append(chunk.L_0)
            line.advance_to(done := done + len(chunk.L_T))
    terms = {name: torch.cat(values) for name, values in parts.items()}
    # Of pictures the bound is that of a probability, which knows no units.
    codec = run.model.codec
    units = 0.0 if isinstance(codec, ImageCodec) else codec.log_abs_det_jacobian
    nats = units - sum(terms.values(), torch.zeros(()))
    told = {
        "L_T (end of the process)": _mean(terms["L_T"]),
        "L_t (steps between)": _mean(terms["L_t"]),
        "L_0 (decoder)": _mean(terms["L_0"]),
    }
    return _summary(run, rows, nats.numpy(), terms=told), nats.numpy()


def table_score(run: TableRun, nats: np.ndarray) -> Score:
    """What the log densities of a table's rows `(n,)` come to."""
    mean, error = _mean(torch.from_numpy(nats))
    dimension = run.model.codec.dimension
    return Score(len(nats), mean, error, -mean / (dimension * math.log(2)))


def _mean(values: torch.Tensor) -> tuple[float, float | None]:
    """Mean and its standard error, which a single value has not."""
    return mean_and_error(values) if len(values) > 1 else (float(values), None)


def _summary(
    run: Run,
    rows: np.ndarray,
    nats: np.ndarray,
    *,
    probe_error: float | None = None,
    terms: Mapping[str, tuple[float, float | None]] | None = None,
) -> Score:
    density = run.known_log_density()
    mean, error = _mean(torch.from_numpy(nats))
    return Score(
        rows=len(rows),
        nats=mean,
        standard_error=error,
        bits_per_dimension=-mean / (run.model.codec.dimension * math.log(2)),
        truth=None if density is None else float(density(rows).mean()),
        probe_error=probe_error,
        terms=terms,
    )
