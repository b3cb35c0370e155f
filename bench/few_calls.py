"""A few-step map on toy sets and digits: how near the floor in 1, 2 and 4 calls, how soon, how fast."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.floor import LARGEST_AUC, LARGEST_GAP, ROWS, Floor
from bench.measure import Page, table
from sfumato.models.few import CALLS
from sfumato.runs import distill
from sfumato.runs.fit import fit
from sfumato.runs.run import Run

_SEEDS = {
    "s-curve": 5,
    "moons": 3,
    "eight-gaussians": 3,
    "spirals": 3,
    "rings": 3,
}
T = TypeVar("T")


def measure() -> Page:
    """Fit, learn the map, draw by the sampler and by the map; toy sets, then digits."""
    rows, counts = [], []
    with tempfile.TemporaryDirectory() as folder:
        _sets(Path(folder), "moons", 0, Floor("moons"))  # what Python imports counts for nobody
        for name, seeds in _SEEDS.items():
            floor, reached = Floor(name), dict.fromkeys((0, *CALLS), 0)
            ratios = []
            for seed in range(seeds):
                found, ratio = _sets(Path(folder), name, seed, floor)
                rows += [row for row, _, _ in found]
                for _, calls, at_floor in found:
                    reached[calls] += at_floor
                ratios.append(ratio)
            learned, *drawn = np.median(ratios, axis=0)
            counts.append(
                [name, *(f"{reached[each]} of {seeds}" for each in (0, *CALLS)),
                 f"{learned:.2f}", *(f"1/{1 / each:.0f}" for each in drawn)]
            )  # fmt: skip
        digits = _digits(Path(folder))
    heading = ["set", "sampler at the floor", *(f"{each} calls" for each in CALLS)]
    heading += ["learning the map / fit", *(f"drawing, {each} calls" for each in CALLS)]
    of_seeds = ["set", "seed", "drawn by", "AUC", "gap, nats", "energy (largest of real)"]
    return Page(
        "Few network calls",
        [
            (
                f"{ROWS:,} samples of default fits, drawn by the fit's own sampler and by "
                "the map that `sfumato distill` learned from its network. At the floor: classifier "
                f"AUC at most {LARGEST_AUC}, mean true log density within {LARGEST_GAP} nats, energy "
                "distance no more than the largest of twenty real sets. Seconds are a processor's; "
                "ratios are of the same run."
            ),
            table(heading, counts),
            "## Each seed",
            table([*of_seeds, "seconds"], rows),
            (
                "## Handwritten digits\n\n8 x 8 pixels in ten classes, the default fit; Fréchet "
                "distance by the features of a classifier of its own, the mean of three draws of as "
                "many as were kept out."
            ),
            table(["drawn by", "Fréchet", "over the sampler's", "seconds"], digits),
        ],
    )


def timed(do: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and the processor seconds that it took."""
    began = time.process_time()
    return do(), time.process_time() - began


def mapped(run: Run) -> tuple[Run, float]:
    """The run with a map, and the seconds that learning it took, without measuring it."""
    learn = partial(distill.learn_map, run, tuple(CALLS), seed=0, measure=False, quiet=True)
    found, seconds = timed(learn)
    return found.run, seconds


def _sets(
    folder: Path, name: str, seed: int, floor: Floor
) -> tuple[list[tuple[list[object], int, bool]], list[float]]:
    out = folder / f"{name}-{seed}-{len(list(folder.iterdir()))}"
    run, fitted = timed(lambda: fit(name, out=out, seed=seed, quiet=True))
    run, learned = mapped(run)
    found: list[tuple[list[object], int, bool]] = []
    seconds = {}
    for calls in (0, *CALLS):
        sample, seconds[calls] = timed(partial(run.sample, ROWS, seed=seed, few=calls))
        distance = floor.distance(sample)
        by = f"map, {calls} calls" if calls else "sampler"
        cells = [name, seed, by, *distance.cells, f"{seconds[calls]:.3f}"]
        found.append((cells, calls, distance.at_floor))
    return found, [learned / fitted, *(seconds[each] / seconds[0] for each in CALLS)]


def _digits(folder: Path) -> list[list[object]]:
    settings = {"data.labels": True}
    run, fitted = timed(lambda: fit("digits", out=folder / "d", settings=settings, quiet=True))
    run, learned = mapped(run)
    rows: list[list[object]] = []
    usual = 0.0
    for calls in (0, *CALLS):
        found, seconds = [], 0.0
        for seed in range(3):
            drawing = distill.in_few(run, calls)
            evaluation, spent = timed(partial(drawing.evaluate, seed=seed))
            seconds += spent / 3
            found += [each.value for each in evaluation.measures if each.name == "frechet"]
        mean = float(np.mean(found))
        usual = usual or mean
        by = f"map, {calls} calls" if calls else "sampler, 50 steps"
        rows.append([by, f"{mean:.3f}", f"{mean / usual:.2f}", f"{seconds:.1f} with measuring"])
    rows.append(["learning the map / fit", "", f"{learned / fitted:.2f}", f"{learned:.0f}"])
    return rows
