"""How cost grows with rows, columns, steps and width, and the exponent of each."""

import subprocess
import sys

import numpy as np

from bench.measure import Page, table
from bench.pictures import curves

_ROWS = (10**3, 10**4, 10**5, 10**6, 10**7)
_COLUMNS = (2, 5, 10, 30, 100, 300, 1000)
_STEPS = (100, 200, 400, 800, 1600)
_WIDTHS = (32, 64, 128, 256, 512, 1024)

# A process of its own, so that its peak memory is its own.
_CHILD = """
import resource, sys, tempfile, time, torch, numpy as np
from sfumato.runs.fit import fit
torch.set_num_threads(1)
rows, columns, steps, width = map(int, sys.argv[1:])
data = np.random.default_rng(0).standard_normal((rows, columns))
size = data.nbytes / 2**20
changes = {"training.steps": steps, "network.width": width, "training.batch_size": 256,
           "training.optimizer": "adamw", "training.learning_rate": 0.01,
           "training.reference": 1024, "training.snapshots": 0, "data.holdout": 0.01}
with tempfile.TemporaryDirectory() as folder:
    fit(data[:2000], out=folder + "/warm", settings={**changes, "training.steps": 20}, quiet=True)
    began = time.perf_counter()
    run = fit(data, out=folder + "/run", settings=changes, quiet=True)
    fitted = time.perf_counter()
    run.sample(4096)
    sampled = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(fitted - began, sampled - fitted, peak, size)
"""


def _measured(rows: int, columns: int, steps: int, width: int) -> tuple[float, float, float, float]:
    """Seconds to fit, to draw 4,096, peak memory, size of the data in MiB; the quicker of two."""
    runs = [_once(rows, columns, steps, width) for _ in range(2)]
    return min(runs)


def _once(rows: int, columns: int, steps: int, width: int) -> tuple[float, float, float, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CHILD,
         str(rows), str(columns), str(steps), str(width)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    fitted, sampled, peak, size = map(float, done.stdout.split())
    return fitted, sampled, peak, size


def measure() -> Page:
    """One of the four changed at a time, from 10,000 rows × 2 columns, 200 steps, width 64."""
    base = {"rows": 10**4, "columns": 2, "steps": 200, "width": 64}
    parts, panels = [], {}
    for name, values in (
        ("rows", _ROWS), ("columns", _COLUMNS), ("steps", _STEPS), ("width", _WIDTHS),
    ):  # fmt: skip
        found = [_measured(**{**base, name: value}) for value in values]
        rows = [
            [f"{value:,}", f"{fitted:.2f}", f"{sampled:.2f}", f"{peak:.0f}", f"{size:.0f}"]
            for value, (fitted, sampled, peak, size) in zip(values, found, strict=True)
        ]
        fit_exponents = _exponents(values, [each[0] for each in found])
        draw_exponents = _exponents(values, [each[1] for each in found])
        parts.append(
            f"## {name.capitalize()}\n\nExponent of the fit's seconds {fit_exponents}; of drawing "
            f"{draw_exponents}."
        )
        parts.append(table([name, "fit, s", "draw 4,096, s", "peak memory, MiB",
                            "of it the data in float64, MiB"], rows))  # fmt: skip
        panels[name] = {
            "fit": [(v, each[0]) for v, each in zip(values, found, strict=True)],
            "draw 4,096": [(v, each[1]) for v, each in zip(values, found, strict=True)],
        }
    return Page(
        "Scaling",
        [
            (
                "Normal numbers, 256 rows a step with a reference of 1,024, one thing changed at a "
                "time from 10,000 rows, 2 columns, 200 steps, width 64. An exponent is the slope of "
                "log seconds over log size by least squares: over all, and between the last two. Of two "
                "processes for each the quicker counts."
            ),
            *parts,
        ],
        curves(panels, ylabel="seconds"),
    )


def _exponents(sizes: tuple[int, ...], seconds: list[float]) -> str:
    x, y = np.log(sizes), np.log(seconds)
    overall, last = np.polyfit(x, y, 1)[0], (y[-1] - y[-2]) / (x[-1] - x[-2])
    return f"{overall:.2f} (at the end {last:.2f})"
