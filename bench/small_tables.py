"""Sfumato on tables, beside what PyPI has: how good rows, densities and fillings are, and how soon."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench import table_measures as measures
from bench.measure import Page, table
from bench.peers.tables import NAMES, TablePeer, table_peer
from bench.pictures import points
from bench.table_sets import NAMES as SETS
from bench.table_sets import TableSet, table_set

_SEEDS, _HIDDEN, _FILLED = 3, 0.2, 300
_OURS, _REAL = "Sfumato", "real rows"

# Of each figure: its heading, its format, and whether more is better.
_FIGURES = {
    "efficacy": ("efficacy", "{:.3f}", True),
    "auc": ("AUC", "{:.3f}", False),
    "nats": ("nats a row", "{:.2f}", True),
    "numbers": ("RMSE of hidden numbers", "{:.3f}", False),
    "levels": ("hidden categories wrong", "{:.3f}", False),
    "seconds": ("fit and sample, s", "{:.2f}", False),
}
_NOTED = 2.0  # standard errors within which two figures are the same

Figures = dict[str, float]
Found = dict[str, dict[str, list[Figures]]]
"""By set and method, the figures of each seed."""


def measure() -> Page:
    """Every method on every set."""
    peers = [table_peer(name) for name in NAMES]
    found = measured(SETS, peers)
    sections = [f"## {name}\n\n{_size(table_set(name))}\n\n{_table(found[name])}" for name in SETS]
    return Page(
        "Small tables",
        [
            _METHOD,
            *([_GOES] if "BENCH_KEEP" in os.environ else []),
            _verdict(found),
            *sections,
            _recipes(peers),
        ],
        points(*_drawn(found)),
    )


def measured(sets: Sequence[str], peers: Sequence[TablePeer]) -> Found:
    """The figures of methods on sets.

    Where BENCH_KEEP names a file, they are kept there, and those that are there already are taken
    from it: the whole takes long, and can be interrupted so.
    """
    file = Path(os.environ["BENCH_KEEP"]) if "BENCH_KEEP" in os.environ else None
    kept = json.loads(file.read_text()) if file and file.exists() else {}

    def cell(key: str, make: Callable[[], Figures]) -> Figures:
        if key not in kept:
            kept[key] = make()
            print(key, kept[key], file=sys.stderr, flush=True)
            if file:
                file.write_text(json.dumps(kept, indent=1))
        return dict(kept[key])

    found: Found = {}
    for name in sets:
        whole = table_set(name)
        found[name] = {_REAL: []}
        for seed in range(_SEEDS):
            learn, held = whole.split(seed)
            found[name][_REAL].append(cell(f"{name}/{_REAL}/{seed}", lambda: _real(learn, held)))  # noqa: B023
            for peer in peers:
                if seed < (peer.seeds or _SEEDS) and name not in peer.left_out:
                    figures = cell(
                        f"{name}/{peer.name}/{seed}", lambda: _figures(peer, learn, held, seed)  # noqa: B023
                    )  # fmt: skip
                    found[name].setdefault(peer.name, []).append(figures)
    return found


def _real(learn: TableSet, held: TableSet) -> Figures:
    """What real rows reach in the samples' place, and the truth where it is known."""
    found = {
        "efficacy": measures.efficacy(learn, learn.rows, held.rows),
        "auc": measures.auc(learn.rows, held.rows),
    }
    if learn.log_prob is not None:
        found["nats"] = float(learn.log_prob(held.rows).mean())
    return found


def _figures(peer: TablePeer, learn: TableSet, held: TableSet, seed: int) -> Figures:
    began = time.process_time()
    fitted = peer.fit(learn, seed)
    found: Figures = {}
    if "sample" in peer.can:
        rows = fitted.sample(len(learn.rows), seed)
        found["seconds"] = time.process_time() - began
        found["efficacy"] = measures.efficacy(learn, rows, held.rows)
        found["auc"] = measures.auc(rows, held.rows)
    if "log_prob" in peer.can:
        found["nats"] = float(fitted.log_prob(held.rows).mean())
    if "impute" in peer.can:
        truth = np.tile(held.rows, (max(1, _FILLED // len(held.rows)), 1))
        hidden = np.random.default_rng(seed).random(truth.shape) < _HIDDEN
        hidden &= ~np.isnan(truth)
        filled = fitted.impute(np.where(hidden, np.nan, truth))
        found |= measures.imputation(learn, truth, filled, hidden)
    return found


# ------------------------------------------------------------------------------------- the page


def _mean(cells: Sequence[Figures], figure: str) -> float | None:
    values = [each[figure] for each in cells if figure in each]
    return statistics.fmean(values) if values else None


def _cell(cells: Sequence[Figures], figure: str) -> str:
    values, form = [each[figure] for each in cells if figure in each], _FIGURES[figure][1]
    if not values:
        return ""
    spread = f" ± {form.format(statistics.stdev(values))}" if len(values) > 1 else ""
    return form.format(statistics.fmean(values)) + spread


def _table(methods: Mapping[str, Sequence[Figures]]) -> str:
    shown = [f for f in _FIGURES if any(f in each for cells in methods.values() for each in cells)]
    rows = [[name, *(_cell(cells, f) for f in shown)] for name, cells in methods.items()]
    return table(["", *(_FIGURES[figure][0] for figure in shown)], rows)


def _size(whole: TableSet) -> str:
    rows, columns = whole.rows.shape
    kinds = [f"{whole.kinds.count(kind)} of kind {kind}" for kind in dict.fromkeys(whole.kinds)]
    return f"{rows:,} rows, {columns} columns: {', '.join(kinds)}."


def _beside(methods: Mapping[str, Sequence[Figures]], figure: str) -> str:
    """Sfumato beside the best of the others, on the seeds that both have."""
    ahead = {
        name: found
        for name, cells in methods.items()
        if name not in (_OURS, _REAL) and (found := _ahead(methods[_OURS], cells, figure))
    }
    if not ahead:
        return ""
    best = min(ahead, key=lambda name: statistics.fmean(ahead[name]))
    mean, each = statistics.fmean(ahead[best]), ahead[best]
    own = [one[figure] for one in methods[_OURS]]
    error = statistics.stdev(each) if len(each) > 1 else 2**0.5 * statistics.stdev(own)
    error /= len(each) ** 0.5
    if mean >= 0:
        return "best"
    if -mean <= _NOTED * error:
        return f"within noise ({best})"
    return f"**{_FIGURES[figure][1].format(-mean)} behind** {best}"


def _ahead(ours: Sequence[Figures], theirs: Sequence[Figures], figure: str) -> list[float]:
    """By how much Sfumato is better, for each seed."""
    sign = 1 if _FIGURES[figure][2] else -1
    least = 0.5 if figure == "auc" else -np.inf  # an AUC below one half is chance
    return [
        sign * (max(one[figure], least) - max(other[figure], least))
        for one, other in zip(ours, theirs, strict=False)
        if figure in one and figure in other
    ]


def _verdict(found: Found) -> str:
    figures = [figure for figure in _FIGURES if figure != "seconds"]
    rows = []
    for name, methods in found.items():
        ours = _mean(methods[_OURS], "seconds") or np.nan
        deep = [
            f"{other}: {seconds / ours:.1f}"
            for other in ("ForestDiffusion", "CTGAN")
            if (seconds := _mean(methods.get(other, []), "seconds")) is not None
        ]
        rows.append([name, *(_beside(methods, f) for f in figures), ", ".join(deep)])
    heading = ["", *(_FIGURES[f][0] for f in figures), "their seconds over ours"]
    return f"## Sfumato beside the best of the others\n\n{table(heading, rows)}"


def _recipes(peers: Sequence[TablePeer]) -> str:
    return "## Who is who\n\n" + table(["", "recipe"], [[p.name, p.recipe] for p in peers])


def _drawn(found: Found) -> tuple[dict[str, dict[str, list[float | None]]], list[str]]:
    names = list(dict.fromkeys(name for methods in found.values() for name in methods))
    names.remove(_OURS)
    panels = {
        heading: {
            name: [_mean(found[each].get(name, []), figure) for each in found]
            for name in (_OURS, *names)
            if any(_mean(found[each].get(name, []), figure) is not None for each in found)
        }
        for figure, (heading, *_) in _FIGURES.items()
        if figure != "nats"
    }
    return panels, list(found)


_METHOD = f"""\
Each set is split at random, four fifths to learn from and one fifth held out; the seed is that of
the split, the fit and the draws. Figures are means over {_SEEDS} seeds with their standard deviation
where it says `±`; columns that do not vary in the rows to learn from are left out for all. Every
method draws as many rows as it learned from. What is better:

- **efficacy**, higher: a random forest and a linear model (logistic, or ridge) learn the last column
  from drawn rows and predict it for held-out ones: the mean of the two accuracies, or of R² where
  the last column is a number. `{_REAL}`: they learn from the rows that the method learned from.
- **AUC**, lower, 0.5 is best: a random forest tells drawn rows from held-out ones, five-fold
  cross-validation. `{_REAL}`: the rows to learn from in the place of drawn ones.
- **nats a row**, higher: mean log likelihood of held-out rows, on one footing. It is the probability
  of categories, of missing values and of values that many rows have, times the density of other numbers; numbers on
  a grid (of decimals, of integers) have a probability, and count with that over the grid's step.
  Sfumato's `score_samples` does so by the cell's normal mass (`sfumato.data.codecs.columns`); the mixture and
  the kernel density learn numbers that were spread evenly over their cells, and are scored by the mean
  of their density over the cell (8 places in it). They know numbers only: all else of a row is its
  *state*, whose probability is its share of the rows, and each state of 20 rows or more has a
  density of its own, all others one between them. Where the truth is known it stands in the row
  `{_REAL}`. What a method cannot do is left empty.
- **hidden cells**, lower: {_HIDDEN:.0%} of the cells of held-out rows are hidden at random and
  filled with best guesses (of fewer than {_FILLED // 2} rows several times): the root mean square
  error of numbers in standard deviations, and the share of categories that are wrong.
- **seconds** of processor time, fit and draw together, of one thread on a machine that others used.

The best of the others is the one furthest ahead on the seeds that both have. `within noise`: the
mean of the differences, seed by seed, is less than {_NOTED:.0f} of its standard errors; lenient, with
{_SEEDS} seeds. Where a peer has one seed, the difference is taken to vary as that of two of
Sfumato's own seeds. AUCs below one half count as one half."""

_GOES = """\
Measured in several goes, figures kept from one to the next (BENCH_KEEP): the time below is that of
the last one."""
