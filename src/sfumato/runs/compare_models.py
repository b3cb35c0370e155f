"""Families of generative models side by side: the same rows, the same processor seconds.

Each family learns from standardised rows for as many processor seconds as the others, by all
threads together (one, here). How many steps that is, is settled before: a trial of a twentieth of
the seconds, which is thrown away and counts for nobody, says what a step costs. So the rate of
learning falls along the budget, and the same seed with the same number of steps gives the same
model. A mixture, whose steps differ in length, is stopped by the clock.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from sfumato import distributed
from sfumato.data.codecs.points import PointCodec
from sfumato.data.column_types import column_types_of
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, DataError, DivergedError, MissingDependencyError, unknown
from sfumato.metrics.evaluation import LEAST_ROWS, Evaluation, Measure, evaluate
from sfumato.progress import ProgressLine, tracked
from sfumato.runs.data import FLOOR_SETS, Dataset, RealSets, Source, real_sets
from sfumato.runs.families import FAMILIES, Clock, Family, Fitted, Frame, Steps, flow
from sfumato.runs.fit import resolve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 60.0
# Rows that are drawn, measured, scored and shown; stages of a picture.
_DRAWN, _MEASURED, _SCORED, _SHOWN, _STAGES = 10_000, 4000, 1000, 2000, 5
_TRIAL, _LEAST_TRIAL = 0.05, 0.2


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One family.

    Args:
        name: short, for scripts.
        title: what it is called.
        recipe: how it was trained.
        steps: of the training; the seed and this number decide the model.
        seconds: of a processor, that the training took.
        draw_seconds: of a processor, for 10,000 rows.
        calls: of a network, for each row drawn.
        parameters: numbers that were learned.
        evaluation: of its rows, beside the floors.
        log_prob: mean log density of unseen rows in nats, in the data's units; None where there is
            none.
        log_prob_error: standard error of that mean.
        likelihood: how that is had, or why there is none.
        estimated: whether it is an estimate.
        sample: rows that were measured.
        frames: stages from noise to data, in standardised units.
    """

    name: str
    title: str
    recipe: str
    steps: int
    seconds: float
    draw_seconds: float
    calls: int
    parameters: int
    evaluation: Evaluation
    log_prob: float | None
    log_prob_error: float | None
    likelihood: str
    estimated: bool
    sample: np.ndarray = field(repr=False)
    frames: Sequence[Frame] = field(repr=False)

    def measure(self, name: str) -> Measure | None:
        """A measure by its name; None if it was not taken."""
        return next((each for each in self.evaluation.measures if each.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        left = ("evaluation", "sample", "frames")
        plain = {f: getattr(self, f) for f in self.__dataclass_fields__ if f not in left}
        return plain | {"evaluation": self.evaluation.to_dict()}


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """All families on one source.

    Args:
        source: its name.
        columns: of the rows.
        rows: how many were learned from.
        seconds: the budget of each family.
        seed: of everything.
        truth: true mean log density of the rows that were scored, where it is known.
        entries: family by family.
        notes: why a family is missing, and which columns teach nothing, a line each.
        real: rows that nobody learned from.
    """

    source: str
    columns: tuple[str, ...]
    rows: int
    seconds: float
    seed: int
    truth: float | None
    entries: tuple[ModelEntry, ...]
    notes: tuple[str, ...]
    real: np.ndarray = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        plain = {f: getattr(self, f) for f in self.__dataclass_fields__ if f != "real"}
        return plain | {"entries": [each.to_dict() for each in self.entries]}


def compare_models(source: Source, *, quiet: bool = True, **options: Any) -> ModelComparison:
    """Fit each family to the same rows for as many processor seconds, draw, and measure.

    Args:
        source: a toy set's name, a file or rows, see `runs.data.Source`; numbers only.
        quiet: show no progress.
        **options: as for `prepare`.

    Raises:
        ArgumentError: as `prepare`.
        DataError: as `prepare`.
        MissingDependencyError: as `prepare`.
        DivergedError: if a family draws values that are not finite.
    """
    return prepare(source, **options).compared(quiet=quiet)


def prepare(
    source: Source,
    *,
    seconds: float = SECONDS,
    models: Sequence[str] | None = None,
    seed: int = 0,
    steps: Mapping[str, int] | None = None,
) -> "Task":
    """Load the rows and check all that is asked for; nothing is fitted yet.

    Args:
        source: see `compare_models`.
        seconds: of a processor, for each training.
        models: names in `FAMILIES`; all that can be had where not given.
        seed: decides every draw.
        steps: of families by name, in the place of seconds: what an earlier comparison recorded
            gives the same model.

    Raises:
        ArgumentError: if a name is unknown, or the seconds or steps are not above 0.
        DataError: if the source holds pictures, text or missing values, or too few rows.
        MissingDependencyError: if a family is named whose library is not installed.
    """
    if not isinstance(seconds, int | float | np.number) or not 0 < seconds < math.inf:
        raise ArgumentError(f"`seconds` must be a number above 0; got {seconds!r}.")
    fixed = dict(steps or {})
    for name, each in fixed.items():
        if name not in FAMILIES:
            raise unknown("family of models (in `steps`)", str(name), FAMILIES)
        if not isinstance(each, int | np.integer) or each < 1:
            raise ArgumentError(f"`steps` must be integers of at least 1; {name} has {each!r}.")
    chosen, missing = _chosen(models)
    data = _numbers(source, seed)
    real = real_sets(data, _MEASURED)
    codec = PointCodec.fit(data.train)
    notes = (*missing, *_of_columns(data))
    return Task(data, real, codec, float(seconds), fixed, tuple(chosen), notes, seed)


def _chosen(models: Sequence[str] | None) -> tuple[list[str], tuple[str, ...]]:
    """The families to fit, and why one is left out of those that nobody named."""
    if models is not None and not models:
        raise ArgumentError(f"name at least one family: {', '.join(FAMILIES)}.")
    for name in models or ():
        if name not in FAMILIES:
            raise unknown("family of models", name, FAMILIES)
    chosen = list(dict.fromkeys(models or FAMILIES))
    if "flow" in chosen:
        try:
            flow.library()
        except MissingDependencyError as error:
            if models is not None:
                raise
            chosen.remove("flow")
            return chosen, (f"flow is left out: {error}",)
    return chosen, ()


def _numbers(source: Source, seed: int) -> Dataset[Points]:
    """The rows of a source, numbers all, and enough of them to measure by.

    Raises:
        DataError: saying why not.
    """
    try:
        _, data = resolve(source, {"data.kind": "points", "seed": seed})
    except DataError as error:
        if found := _without_numbers(source, seed):
            name, held = found
            raise DataError(
                f"the column {name!r} holds {held}, and these families are compared "
                "on numbers alone; leave it out, or learn the table with `sfumato fit`."
            ) from error
        raise
    name = data.settings.source
    if data.kind != "points":
        raise DataError(
            f"{name} holds pictures, and these families are compared on rows of numbers; "
            "`sfumato fit` learns pictures."
        )
    least = (FLOOR_SETS + 1) * LEAST_ROWS
    rows = len(data.train) + len(data.heldout or ())
    if rows < least:
        raise DataError(
            f"{name} has {rows} rows; at least {least} are needed, to learn from and to measure by."
        )
    return data


def _of_columns(data: Dataset[Points]) -> Iterator[str]:
    """The columns that no family can learn from, a line each."""
    sets = [data.train.values, *([] if data.heldout is None else [data.heldout.values])]
    for name, values in zip(data.train.columns, np.concatenate(sets).T, strict=True):
        if values.min() == values.max():
            yield f"the column {name!r} is {values[0]:g} in every row; each family draws that."
        elif (np.diff(np.sort(values)) == 1).all():
            yield (
                f"the column {name!r} numbers the rows, {values.min():g} to {values.max():g}, and "
                "is learned like the others; leave it out, unless it means something."
            )


# What a column without numbers holds, by its type; categories where it is none of these.
_HELD = {
    "boolean": "booleans", "constant": "one value that is no number", "date": "dates",
    "identifier": "keys, which name the rows",
}  # fmt: skip


def _without_numbers(source: Source, seed: int) -> tuple[str, str] | None:
    """The first column of a table that holds no numbers, and what it holds."""
    _, data = resolve(source, {"seed": seed})
    if data.kind != "table":
        return None
    types = column_types_of(data.train, {})
    for each in data.train:
        if not np.issubdtype(each.values.dtype, np.number):
            return each.name, _HELD.get(types[each.name], "categories")
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be compared. Made by `prepare`.

    Args:
        data: the rows.
        real: rows to measure by.
        codec: brings rows to mean 0 and deviation 1.
        seconds: of a processor, for each training.
        steps: of families by name, in the place of seconds.
        chosen: names of the families.
        notes: why a family is missing, and which columns teach nothing, a line each.
        seed: decides every draw.
    """

    data: Dataset[Points]
    real: RealSets[Points]
    codec: PointCodec
    seconds: float
    steps: Mapping[str, int]
    chosen: tuple[str, ...]
    notes: tuple[str, ...]
    seed: int

    def compared(self, *, quiet: bool = True) -> ModelComparison:
        """Fit and measure one family after the other.

        Raises:
            DivergedError: if one draws values that are not finite.
        """
        with distributed.threads(1):
            entries = tuple(self._entry(name, quiet) for name in self.chosen)
        return ModelComparison(
            self.data.settings.source,
            self.data.train.columns,
            len(self.data.train),
            self.seconds,
            self.seed,
            self.truth,
            entries,
            self.notes,
            self.real.reference.values,
        )

    @property
    def scored(self) -> np.ndarray:
        """Unseen rows whose log densities are taken."""
        return self.real.reference.values[:_SCORED]

    @property
    def truth(self) -> float | None:
        """Their true mean log density, where the source has one in closed form."""
        known = self.real.log_density
        return None if known is None else float(known(self.scored).mean())

    def _entry(self, name: str, quiet: bool) -> ModelEntry:
        """Fit one family and measure it."""
        family = FAMILIES[name]
        try:
            model, made, spent = self._fitted(name, family, quiet)
        except DivergedError as error:
            raise _diverged(family) from error
        began = time.process_time()
        drawn = model.sample(_DRAWN, self.seed)
        drawing = time.process_time() - began
        if not bool(drawn.isfinite().all()):
            raise _diverged(family)
        sample = self.codec.decode(drawn[: len(self.real.reference)])
        nats = self._nats(model)
        return ModelEntry(
            name,
            family.title,
            family.recipe,
            made,
            spent,
            drawing,
            model.calls,
            model.parameters,
            self._evaluation(name, sample, quiet),
            None if nats is None else float(nats.mean()),
            None if nats is None else float(nats.std() / math.sqrt(len(nats))),
            family.likelihood,
            model.estimated,
            sample,
            model.frames(_SHOWN, _STAGES),
        )

    def _fitted(self, name: str, family: Family, quiet: bool) -> tuple[Fitted, int, float]:
        """The model, the steps that were made, and the processor seconds that they took."""
        rows = self.codec.encode(self.data.train.values)
        budget: Steps | Clock = Clock(self.seconds)
        if name in self.steps:
            budget = Steps(self.steps[name])
        elif family.even:
            budget = Steps(_affordable(family, rows, self.seconds, self.seed))
        total = budget.num_steps or 1
        with ProgressLine(f"fit {name}", total, "steps", quiet=quiet) as line:
            if isinstance(budget, Steps):
                budget.line = line
            began = time.process_time()
            model = family.fit(rows, budget, self.seed)
            return model, budget.made, time.process_time() - began

    def _nats(self, model: Fitted) -> Tensor | None:
        """Log densities of unseen rows in the data's units, `(n,)`."""
        nats = model.log_prob(self.codec.encode(self.scored))
        return None if nats is None else nats.double() + self.codec.log_abs_det_jacobian

    def _evaluation(self, name: str, sample: np.ndarray, quiet: bool) -> Evaluation:
        """As `sfumato evaluate` measures points."""
        train, known = self.real.train, self.real.log_density
        measures = evaluate(
            sample,
            self.real.reference.values,
            [each.values for each in self.real.others],
            None if train is None else train.values,
            log_density=known,
            seed=self.seed,
        )
        total = 5 + (known is not None)
        each = tracked(measures, f"measure {name}", total, "measures", quiet=quiet)
        return Evaluation(tuple(each), len(sample))


def _affordable(family: Family, rows: Tensor, seconds: float, seed: int) -> int:
    """How many steps fit into the seconds, by a trial of its own that is thrown away."""
    family.fit(rows, Steps(1), seed)  # what is imported on the way counts for nobody
    trial = Clock(max(_TRIAL * seconds, _LEAST_TRIAL))
    family.fit(rows, trial, seed)
    return max(1, round(seconds * trial.made / trial.spent))


def _diverged(family: Family) -> DivergedError:
    return DivergedError(
        f"the {family.title} drew values that are NaN or infinite; give it more --seconds, or "
        "leave it out (--models)."
    )


def figure_of(comparison: ModelComparison) -> "Figure":
    """A row for each family: how it goes from noise to data, its samples over the data, numbers."""
    from sfumato.plots.families import Stage, Way, families

    varies = comparison.real.max(0) > comparison.real.min(0)  # as in the stages
    ways = [
        Way(
            each.title,
            [
                Stage(
                    frame.title,
                    frame.by,
                    frame.rows.numpy(),
                    None if frame.means is None else frame.means.numpy(),
                    None if frame.covariances is None else frame.covariances.numpy(),
                )
                for frame in each.frames
            ],
            each.sample[:_SHOWN, varies],
            facts(comparison, each),
        )
        for each in comparison.entries
    ]
    unit = "second" if comparison.seconds == 1 else "seconds"
    source = Path(comparison.source).name  # a whole path would not fit
    title = f"{source}: {comparison.seconds:g} processor {unit} for each family"
    columns = [name for name, each in zip(comparison.columns, varies, strict=True) if each]
    return families(ways, comparison.real[:_SHOWN, varies], columns, title)


# The measures of a table and a figure: heading, words, digits behind the point.
_SHOWN_MEASURES = {
    "energy_distance": ("energy", "energy distance", 4),
    "classifier_auc": ("AUC", "classifier AUC", 3),
    "log_density_gap": ("gap", "log density gap, nats", 3),
}
COLUMNS = (
    *(heading for heading, _, _ in _SHOWN_MEASURES.values()), "log p", "train, s", "steps",
    "draw, s", "calls", "parameters",
)  # fmt: skip


def cells(entry: ModelEntry) -> list[str]:
    """A family's numbers under `COLUMNS`; a dash where there is none."""
    density = "–" if entry.log_prob is None else f"{entry.log_prob:.3f}"
    return [
        *(_written(entry, name, "value") for name in _SHOWN_MEASURES),
        f"~{density}" if entry.estimated else density,
        f"{entry.seconds:.1f}",
        f"{entry.steps:,}",
        f"{entry.draw_seconds:.2f}",
        str(entry.calls),
        f"{entry.parameters:,}",
    ]


def floors(comparison: ModelComparison) -> list[str]:
    """What chance reaches of each distance, and the true log density, under `COLUMNS`."""
    reached = [_written(comparison.entries[0], name, "limit") for name in _SHOWN_MEASURES]
    truth = "–" if comparison.truth is None else f"{comparison.truth:.3f}"
    return [*reached, truth, *[""] * 5]


def _written(entry: ModelEntry, name: str, what: str) -> str:
    """The value of a measure, or its limit."""
    measure = entry.measure(name)
    return "–" if measure is None else f"{getattr(measure, what):.{_SHOWN_MEASURES[name][2]}f}"


def facts(comparison: ModelComparison, entry: ModelEntry) -> list[str]:
    """What is written beside a family's pictures, a line each."""
    lines = []
    for name, (_, words, _) in _SHOWN_MEASURES.items():
        if entry.measure(name) is not None:
            value, limit = (_written(entry, name, each) for each in ("value", "limit"))
            lines.append(f"{words} {value} (chance: {limit})")
    if entry.log_prob is None:
        lines.append("no log density: it only draws")
    else:
        about = "about " if entry.estimated else ""
        known = "" if comparison.truth is None else f" (truth: {comparison.truth:.2f})"
        lines.append(f"log density {about}{entry.log_prob:.2f} nats{known}")
    calls = "1 network call" if entry.calls == 1 else f"{entry.calls or 'no'} network calls"
    lines.append(f"{calls} to draw a row")
    lines.append(f"{entry.parameters:,} parameters")
    lines.append(f"{entry.steps:,} steps in {entry.seconds:.3g} s")
    return lines
