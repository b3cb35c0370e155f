"""The figures of a run that learned a table: columns, dependence, densities, holes, privacy.

Each takes the run, and the study of its rows where one was made already.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sfumato.data.codecs.columns import CategoricalCodec
from sfumato.data.table import DataTable, stacked
from sfumato.errors import DataError
from sfumato.metrics.study import TableStudy
from sfumato.plots import columns as draw_columns
from sfumato.plots.columns import ColumnPanel, shown_values
from sfumato.runs.figures.points import loss_figure
from sfumato.runs.table_run import TableRun

# Rows to draw where there are too few real ones to draw as many.
_SHOWN = 1000

TableFigure = Callable[..., Figure]


def _name(run: TableRun) -> str:
    return draw_columns.plain(Path(run.settings.data.source).name, 40)


def _panels(
    run: TableRun, real: DataTable, generated: DataTable | None, study: TableStudy | None
) -> list[ColumnPanel]:
    """The columns that vary, or all of them where none was measured."""
    measures = {} if study is None else study.columns
    return [
        ColumnPanel(
            part.name,
            shown_values(real[part.name], part.kind),
            None if generated is None else shown_values(generated[part.name], part.kind),
            measures[part.name].value if part.name in measures else None,
            measures[part.name].verdict if part.name in measures else "",
            _in_order(part) if isinstance(part, CategoricalCodec) else (),
        )
        for part in run.model.codec.parts
        if study is None or part.name in measures
    ]


def _in_order(part: CategoricalCodec) -> tuple[str, ...]:
    """The levels as words, where their order means something."""
    return tuple(map(str, part.categories)) if part.ordered or part.kind == "ordinal" else ()


def data_figure(run: TableRun, study: TableStudy | None = None) -> Figure:  # noqa: ARG001
    """The columns that were learned from."""
    train = run.load_data().train
    title = f"{_name(run)}, {len(train):,} rows learned from"
    return draw_columns.marginals(_panels(run, train, None, None), title)


def marginals_figure(run: TableRun, study: TableStudy | None = None) -> Figure:
    """Each column, held-out beside generated; all rows where too few were held out to measure."""
    if study is None:
        run = replace(run, data=run.load_data())  # read once
        if not run.can_be_measured():
            return unmeasured_figure(run)
        study = run.study()
    panels = _panels(run, study.reference, study.sample, study)
    title = f"{len(study.reference):,} held-out rows beside as many generated"
    return draw_columns.marginals(panels, title)


def unmeasured_figure(run: TableRun, sample: DataTable | None = None) -> Figure:
    """Each column of all real rows, beside that of generated ones."""
    data = run.load_data()
    real = stacked([data.train, data.heldout])
    sample = run.sample(_SHOWN) if sample is None else sample
    return draw_columns.marginals(
        _panels(run, real, sample, None), f"All {len(real):,} rows beside generated ones"
    )


def dependence_figure(run: TableRun, study: TableStudy | None = None) -> Figure:
    """How strongly the columns go together, two by two.

    Raises:
        DataError: if fewer than two columns vary.
    """
    names, real, generated = (study or run.study()).dependence()
    if len(names) < 2:
        raise DataError("only one column varies; dependence is between two.")
    title = "Association of columns: rank correlation, Cramér's V, correlation ratio"
    return draw_columns.dependence(names, real, generated, title)


def likelihoods_figure(run: TableRun, study: TableStudy | None = None) -> Figure:
    """Log densities of rows learned from, held out and generated."""
    found = (study or run.study()).likelihoods
    return draw_columns.likelihoods(
        found.learned, found.heldout, found.generated, "How probable rows are under the model"
    )


def intervals_figure(run: TableRun, study: TableStudy | None = None) -> Figure:
    """Whether imputed values lie about hidden ones as they claim to.

    Raises:
        DataError: if no cell could be hidden.
    """
    found = (study or run.study()).intervals
    if not found:
        raise DataError("every cell of the held-out rows is a hole; there is none to hide.")
    nominal = next(iter(found.values())).nominal
    lines = {
        name: (each.observed(), np.stack([each.observed(k) for k in range(1, each.depth.shape[1])]))
        for name, each in found.items()
    }
    return draw_columns.intervals(nominal, lines, "Intervals of imputation")


def nearest_figure(run: TableRun, study: TableStudy | None = None) -> Figure:
    """How near generated and held-out rows come to rows learned from."""
    generated, heldout = (study or run.study()).nearest()
    return draw_columns.nearest(generated, heldout, "Does it copy?")


TABLE_FIGURES: Mapping[str, TableFigure] = {
    "data": data_figure,
    "marginals": marginals_figure,
    "dependence": dependence_figure,
    "loss": lambda run, _=None: loss_figure(run),
    "likelihoods": likelihoods_figure,
    "intervals": intervals_figure,
    "nearest": nearest_figure,
}
