"""A few-step map on Adult and Shoppers: told from real rows as often as the sampler's, and how fast."""

import tempfile
from functools import partial
from pathlib import Path

from bench.few_calls import mapped, timed
from bench.measure import Page, table
from bench.standard_sets import standard_set
from bench.tables import _coded, _detection
from sfumato.models.few import CALLS
from sfumato.runs.fit import fit

_SETS = ("adult", "shoppers")


def measure() -> Page:
    """Fit with the defaults, learn the map, draw as many rows, and let XGBoost tell them."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in _SETS:
            whole = standard_set(name)
            out = Path(folder) / name
            settings = {"data.holdout": 0.01}  # the set has rows of its own to measure by
            run, fitted = timed(partial(fit, whole.learn, out=out, settings=settings, quiet=True))
            run, learned = mapped(run)
            usual = 0.0
            for calls in (0, *CALLS):
                drawn, seconds = timed(partial(run.sample, len(whole.learn), seed=1, few=calls))
                usual = usual or seconds
                real, own = _coded(whole, [whole.learn, drawn[list(whole.learn)]])
                told = _detection(real.numbers, own.numbers)
                steps = run.settings.sampling.steps
                by = f"map, {calls} calls" if calls else f"sampler, {steps} steps"
                rows.append([name, by, f"{told:.3f}", f"{seconds:.1f}", f"1/{usual / seconds:.1f}"])
            rows.append([name, "learning the map; the fit", "", f"{learned:.0f}; {fitted:.0f}", ""])
    return Page(
        "Few network calls on tables",
        [
            (
                "As many rows drawn as were learned from, and XGBoost asked to tell them (s = 2 - 2 "
                "max(AUC, 1/2), 1 is best, one seed of each: good to about 0.02). The map draws the "
                "numbers; the categories before them, one call each, are the network's own, and most "
                "of what is left. Seconds of one core, in one run."
            ),
            table(["set", "drawn by", "s", "seconds", "of the sampler's time"], rows),
        ],
    )
