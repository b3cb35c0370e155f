"""Scores of rows under a run's model, gathered into what a person reads.

flow     log p(x) of the probability flow, row by row
bound    minus the variational bound, term by term
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sfumato import distributed
from sfumato.likelihood.variational import mean_and_error
from sfumato.models.model import require
from sfumato.progress import collected
from sfumato.runs.run import Run


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
        target: the columns that it is of, given the rest of each row; None for whole rows.
    """

    rows: int
    nats: float
    standard_error: float | None
    bits_per_dimension: float
    truth: float | None = None
    probe_error: float | None = None
    terms: Mapping[str, tuple[float, float | None]] | None = None
    target: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is not known is left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        at_least = "at least " if self.terms else ""
        error = "" if self.standard_error is None else f" ± {self.standard_error:.4f}"
        mean = f"{at_least}{self.nats:.4f}{error} nats"
        bits = f"{self.bits_per_dimension:.4f} bits a number"
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        of = "" if self.target is None else f"{', '.join(self.target)} given the rest, of "
        lines = [f"Mean log density of {of}{rows}: {mean} ({bits})"]
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


def check_targets(run: Run, target: Sequence[str]) -> None:
    """Refuse what cannot be a target, before rows are read or scored.

    Raises:
        ArgumentError: if a target is no column that varies, or the run learned no table.
    """
    require(run.model, "predict")
    for name in target:
        run.model.codec.places(name)


def score_of(
    run: Run,
    rows: Any,
    *,
    target: Sequence[str] | None = None,
    seed: int = 0,
    quiet: bool = True,
    **options: Any,
) -> tuple[Score, np.ndarray]:
    """The rows' mean log density, and each row's own, `(n,)` nats.

    Args:
        run: whose model scores them.
        rows: as the model takes them.
        target: columns of a table whose density, given the rest of each row, is asked for.
        seed: of an estimated divergence.
        quiet: show no progress.
        **options: of the model's `log_prob_chunks`.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if the rows do not fit the model.
    """
    if target is not None:
        check_targets(run, target)
        options["target"] = target
    chunks = run.model.log_prob_chunks(rows, seed=seed, **options)
    with distributed.threads(run.settings.threads):
        found = collected(chunks, "score", len(rows), run.kind.unit, quiet=quiet)
    nats = torch.cat([each.nats for each in found]).numpy()
    errors = [each.standard_error for each in found if each.standard_error is not None]
    estimated = float(torch.cat(errors).square().mean().sqrt()) if errors else None
    return _summary(run, rows, nats, target, probe_error=estimated), nats


def bound_of(run: Run, rows: Any, *, seed: int = 0, quiet: bool = True) -> tuple[Score, np.ndarray]:
    """Minus the variational bound of the rows, and each row's own, `(n,)` nats.

    Raises:
        ArgumentError: if the model has no such bound.
        DataError: if the rows do not fit the model.
    """
    require(run.model, "bound")
    chunks = run.model.variational_bound(rows, seed=seed)
    with distributed.threads(run.settings.threads):
        found = collected(chunks, "bound", len(rows), run.kind.unit, quiet=quiet)
    terms = {
        "L_T": torch.cat([each.L_T for each in found]),
        "L_t": torch.cat([each.L_t.sum(1) for each in found]),
        "L_0": torch.cat([each.L_0 for each in found]),
    }
    nats = run.model.codec.bound_unit - sum(terms.values(), torch.zeros(()))
    terms_by_name = {
        "L_T (end of the process)": _mean(terms["L_T"]),
        "L_t (steps between)": _mean(terms["L_t"]),
        "L_0 (decoder)": _mean(terms["L_0"]),
    }
    return _summary(run, rows, nats.numpy(), terms=terms_by_name), nats.numpy()


def _mean(values: torch.Tensor) -> tuple[float, float | None]:
    """Mean and its standard error, which a single value has not."""
    return mean_and_error(values) if len(values) > 1 else (float(values), None)


def _summary(
    run: Run,
    rows: Any,
    nats: np.ndarray,
    target: Sequence[str] | None = None,
    *,
    probe_error: float | None = None,
    terms: Mapping[str, tuple[float, float | None]] | None = None,
) -> Score:
    density, dimension = run.known_log_density(), run.model.codec.dimension
    if target is not None:
        parts = [part for part in run.model.codec.parts if part.name in target]
        dimension = sum(part.is_numeric + len(part.sizes) for part in parts)
    mean, error = _mean(torch.from_numpy(nats))
    return Score(
        rows=len(rows),
        nats=mean,
        standard_error=error,
        bits_per_dimension=-mean / (dimension * math.log(2)),
        truth=None if density is None else float(density(rows).mean()),
        probe_error=probe_error,
        terms=terms,
        target=None if target is None else tuple(dict.fromkeys(target)),
    )
