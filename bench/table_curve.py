"""Adult, Shoppers and Default: how hard drawn rows are to tell from real ones, by seconds of a fit."""

import sys
import tempfile
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from bench.few_calls import timed
from bench.measure import Page, table
from bench.standard_sets import NAMES, PUBLISHED, PUBLISHED_SETS, standard_set
from bench.tables import _coded, _detection
from sfumato.config import recipes
from sfumato.runs.fit import fit

_PARTS = (16, 8, 4, 2, 1)
_COLOURS = {"adult": "#0072B2", "shoppers": "#D55E00", "default": "#009E73"}
_MARKS = {"adult": "o", "shoppers": "s", "default": "^"}

_Point = tuple[int, float, float, float]


def measure() -> Page:
    """A fit of its own for each number of steps, so that its rate of learning falls to its end."""
    curves = {name: _curve(name) for name in NAMES}
    rows = [
        [name, f"1/{part}" if part > 1 else "all", f"{steps:,}", f"{fitted:.0f}", f"{drawn:.0f}",
         f"{told:.3f}"]
        for name, curve in curves.items()
        for part, (steps, fitted, drawn, told) in zip(_PARTS, curve, strict=True)
    ]  # fmt: skip
    return Page(
        "Tables by seconds",
        [
            (
                "The recipe of a table in fewer steps (`--set training.steps=...`), each a fit of "
                "its own. As many rows are drawn as were learned from, and XGBoost is asked to tell "
                "them: s = 2 - 2 max(AUC, 1/2), 1 is best, one seed, good to about 0.02. Seconds of "
                "one processor core. Dashed: the best published diffusion model on each set "
                "(TabDiff, more than 10,000 s on a GPU; arXiv 2603.23016)."
            ),
            table(["set", "of the recipe's steps", "steps", "fit, s", "draw, s", "s"], rows),
        ],
        _figure(curves),
    )


def _curve(name: str) -> list[_Point]:
    """Steps, processor seconds to fit and to draw, and s."""
    whole, found = standard_set(name), []
    recipe = recipes.table(len(whole.learn), len(whole.learn.columns))
    for part in _PARTS:
        steps = recipe["training"]["steps"] // part
        # The set has rows of its own to measure by.
        settings = {"data.holdout": 0.01, "training.steps": steps}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / name
            run, fitted = timed(partial(fit, whole.learn, out=out, settings=settings, quiet=True))
            drawn, seconds = timed(partial(run.sample, len(whole.learn), seed=1))
        real, own = _coded(whole, [whole.learn, drawn[list(whole.learn)]])
        found.append((steps, fitted, seconds, _detection(real.numbers, own.numbers)))
        print(f"  {name} {found[-1]}", file=sys.stderr, flush=True)
    return found


def _figure(curves: dict[str, list[_Point]]) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        colour = _COLOURS[name]
        seconds, told = [each[1] for each in curve], [each[3] for each in curve]
        axes.plot(seconds, told, marker=_MARKS[name], color=colour, label=name.capitalize())
        best = PUBLISHED["TabDiff"]["s"][PUBLISHED_SETS.index(name)]
        axes.axhline(best, color=colour, linestyle="--", linewidth=1)
    axes.set(
        xscale="log", xlabel="processor seconds of the fit", ylabel="s (1 is best)", ylim=(0, 1)
    )
    ticks = [15, 30, 60, 120, 240]
    axes.set_xticks(ticks, [str(each) for each in ticks])
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return figure
