"""What a large table costs: seconds and memory, each size in a process of its own."""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from bench.measure import Page, table
from bench.pictures import bars

_SIZES = ((100_000, 30), (1_000_000, 10))
_SAMPLED, _SCORED = 10_000, 200
_GOAL_SECONDS, _GOAL_GIB = 180, 3


def measure() -> Page:
    """Fit each table and draw from it, on all cores."""
    rows, bar = [], {}
    for count, columns in _SIZES:
        told = _in_a_process(count, columns)
        rows.append(
            [f"{count:,} × {columns}", f"{told['steps']:,}", f"{told['fit']:.0f}",
             f"{told['fit_cpu']:.0f}", f"{told['sample']:.1f}", f"{told['score']:.1f}",
             f"{told['before']:.2f}", f"{told['peak']:.2f}"]
        )  # fmt: skip
        bar[f"{count:,} × {columns}, fit"] = told["fit"]
        bar[f"{count:,} × {columns}, {_SAMPLED:,} rows drawn"] = told["sample"]
    return Page(
        "Large tables",
        [
            (
                "A data frame of pandas: a third of the columns are numbers (heavy tails, many "
                "zeros, missing values), the rest integers, dates, booleans and categories of 3 to 500 "
                f"values, all driven by two hidden numbers. Fit with the defaults, then {_SAMPLED:,} rows are "
                f"drawn and {_SCORED} scored, on {os.cpu_count()} cores that others used too: wall "
                "seconds, and the processor's for the fit. Memory is the process's peak; `before` is "
                "what it had with the table made and nothing fitted, libraries and frame. The goal "
                f"for the first is {_GOAL_SECONDS} s and {_GOAL_GIB} GiB."
            ),
            table(["table", "steps", "fit, s", "fit, CPU s", f"draw {_SAMPLED:,}, s",
                   f"score {_SCORED}, s", "before, GiB", "peak, GiB"], rows),
        ],
        bars(bar, "seconds", log=True),
    )  # fmt: skip


def mixed_frame(rows: int, columns: int, seed: int = 0) -> Any:
    """A table of mixed columns, nine kinds of them in turn."""
    import pandas

    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((rows, 2))
    made: dict[str, Any] = {}
    for k in range(columns):
        moved = hidden @ rng.standard_normal(2) + 0.5 * rng.standard_normal(rows)
        made[f"c{k}"] = _COLUMNS[k % len(_COLUMNS)](moved, rng)
    return pandas.DataFrame(made)


def _often_nothing(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(x)) < 0.4, 0.0, np.exp(x))


def _holed(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(x)) < 0.2, np.nan, x)


def _words(levels: int) -> Any:
    def made(x: np.ndarray, rng: np.random.Generator) -> Any:
        import pandas

        names = rng.permutation([f"level {k}" for k in range(levels)])
        places = (levels * (0.5 + np.arctan(x) / np.pi)).astype(int)
        return pandas.Series(names[places], dtype="str")

    return made


_COLUMNS = (
    lambda x, _: np.sinh(x),
    _often_nothing,
    _words(3),
    lambda x, _: np.round(np.exp(2 + x / 2)).astype(int),
    _holed,
    lambda x, _: x > 0.5,
    _words(20),
    lambda x, _: np.datetime64("2020-01-01") + (100 * x).astype("timedelta64[D]"),
    _words(500),
)


def _in_a_process(rows: int, columns: int) -> dict[str, float]:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "bench.table_cost", str(rows), str(columns)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _told(rows: int, columns: int) -> dict[str, float]:
    from sfumato import DiffusionModel

    frame = mixed_frame(rows, columns)
    before = _peak()
    began, used = time.perf_counter(), time.process_time()
    model = DiffusionModel(random_state=0).fit(frame)
    fitted, fit_cpu = time.perf_counter(), time.process_time() - used
    model.sample(_SAMPLED, random_state=0)
    sampled = time.perf_counter()
    model.score_samples(frame.head(_SCORED))
    return {
        "steps": model.model_.settings.training.steps,
        "fit": fitted - began,
        "fit_cpu": fit_cpu,
        "sample": sampled - fitted,
        "score": time.perf_counter() - sampled,
        "before": before,
        "peak": _peak(),
    }


def _peak() -> float:
    """GiB that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    print(json.dumps(_told(int(sys.argv[1]), int(sys.argv[2]))))
