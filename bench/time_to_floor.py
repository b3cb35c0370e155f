"""Seconds from the start of a fit until 10,000 samples are at the floor, ours and the peers'."""

import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.floor import LARGEST_AUC, LARGEST_GAP, ROWS, Floor
from bench.measure import Page, table
from bench.peers import NAMES, Peer, peer
from bench.pictures import bars
from sfumato.data.toy import draw
from sfumato.runs.fit import fit

_SETS = ("s-curve", "moons", "spirals", "rings", "eight-gaussians")
_SEEDS = 5
_FEW = 2  # network calls of the map
_LONGEST = 60.0  # seconds that a peer is given; what its own recipe takes beyond is extrapolated


def measure() -> Page:
    """Fit, sample, compare with real rows; five seeds of five sets, and the peers on the first."""
    floors = {name: Floor(name) for name in _SETS}
    own, seconds = [], []
    warm = {"training.steps": 20, "sampling.few": _FEW}
    _ours("s-curve", 0, warm)  # what Python imports on the way counts for nobody
    for name, floor in floors.items():
        for seed in range(_SEEDS):
            row, taken = _measured(name, seed, floor)
            own.append(row)
            if name == "s-curve":
                seconds.append(taken)
    ours = float(np.median(seconds))
    by_map = [
        _measured("s-curve", seed, floors["s-curve"], {"sampling.few": _FEW})
        for seed in range(_SEEDS)
    ]
    mapped = float(np.median([taken for _, taken in by_map]))
    others, whole = [], {"Sfumato": ours}
    for peer_name in NAMES:
        line, total = _peer(peer(peer_name), floors["s-curve"], ours)
        others.append(line)
        whole[line[0]] = total
    tutorial = whole["the tutorial's loop"]
    heading = ["fit, s", "sample, s", "CPU, s", "AUC", "gap, nats", "energy (largest of real)",
               "at the floor"]  # fmt: skip
    reached = sum(row[-1] == "yes" for row in own if row[0] == "s-curve")
    reached_by_map = sum(each[-1] == "yes" for each, _ in by_map)
    return Page(
        "Time to the floor",
        [
            (
                f"Fit {ROWS:,} rows with the defaults and draw {ROWS:,}. At the floor: classifier AUC "
                f"at most {LARGEST_AUC}, mean true log density within {LARGEST_GAP} nats, energy "
                "distance no more than the largest of twenty real sets. Each seed is that of the "
                "rows, the fit and the samples. On the S-curve fit and sampling take "
                f"**{ours:.2f} s** in the median, 1/{tutorial / ours:.0f} of the tutorial's loop, and "
                f"are at the floor for {reached} of {_SEEDS} seeds."
            ),
            table(["set", "seed", *heading], own),
            (
                f"## With a map of {_FEW} calls, on the S-curve\n\nThe same with `sampling.few` = "
                f"{_FEW}: the fit learns a few-step map of its network too, and the samples are "
                f"drawn by it. **{mapped:.2f} s** in the median, 1/{tutorial / mapped:.0f} of the "
                f"tutorial's loop; at the floor for {reached_by_map} of {_SEEDS} seeds."
            ),
            table(["set", "seed", *heading], [each for each, _ in by_map]),
            (
                "## Others, on the S-curve\n\nEach trains as its documentation says (`recipe`), seed "
                f"0. What would take longer than {_LONGEST:.0f} s is stopped there: its whole time is "
                "extrapolated from the steps that were done, and its figures are those of the shorter "
                "training, with its schedule made for it."
            ),
            table(
                [
                    "",
                    "recipe",
                    "whole fit, s",
                    "of ours, fit and sample",
                    "steps done",
                    *heading[3:],
                ],
                others,
            ),
        ],
        bars(whole, "seconds to fit and draw 10,000 of the S-curve", log=True),
    )


def _measured(
    name: str, seed: int, floor: Floor, changes: Mapping[str, object] | None = None
) -> tuple[list[int | str], float]:
    """A line of the page, and the seconds of fit and samples together."""
    fitted, sampled, cpu, sample = _ours(name, seed, changes)
    distance = floor.distance(sample)
    row = [name, seed, f"{fitted:.2f}", f"{sampled:.2f}", f"{cpu:.2f}", *distance.cells,
           "yes" if distance.at_floor else "no"]  # fmt: skip
    return row, fitted + sampled


def _ours(
    name: str, seed: int, changes: Mapping[str, object] | None
) -> tuple[float, float, float, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), time.process_time()
        run = fit(name, out=Path(folder) / "run", seed=seed, settings=changes or {}, quiet=True)
        fitted = time.perf_counter()
        sample = run.sample(ROWS, seed=seed)
        done, cpu = time.perf_counter(), time.process_time() - used
    return fitted - began, done - fitted, cpu, sample


def _peer(other: Peer, floor: Floor, ours: float) -> tuple[list[str], float]:
    rows = draw("s-curve", ROWS, seed=0).values
    if other.steps == 1:
        steps = 1
    else:
        few = max(20, other.steps // 500)
        other.fit(rows, 0, few)
        began = time.perf_counter()
        other.fit(rows, 0, few)
        steps = min(other.steps, math.floor(few * _LONGEST / (time.perf_counter() - began)))
    began = time.perf_counter()
    fitted = other.fit(rows, 0, steps)
    trained = time.perf_counter()
    sample = fitted.sample(ROWS, 0)
    sampled = time.perf_counter() - trained
    distance = floor.distance(sample)
    whole = (trained - began) * other.steps / steps
    stopped = "" if steps == other.steps else ", extrapolated"
    row = [other.name, other.recipe, f"{whole:.1f}{stopped}", f"{(whole + sampled) / ours:.1f}",
           f"{steps:,} of {other.steps:,}", *distance.cells,
           "yes" if distance.at_floor else "no"]  # fmt: skip
    return row, whole + sampled
