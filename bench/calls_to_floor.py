"""The fewest network calls that bring each sampler to the floor, and how far fewer leave it."""

import tempfile
from pathlib import Path

import numpy as np

from bench.floor import ROWS, Distance, Floor
from bench.measure import Page, table
from bench.pictures import curves
from sfumato.config import resolve
from sfumato.denoisers.denoiser import Denoiser
from sfumato.models.model import Model
from sfumato.models.registry import build_grid, build_stepper
from sfumato.runs.exact import exact_denoiser
from sfumato.runs.fit import fit
from sfumato.samplers.driver import sample_chunks

_METHODS = {
    "ancestral": ("ancestral", 1),
    "ddim": ("ddim", 1),
    "heun": ("heun", 2),
    "dpm++2m": ("dpm++2m", 1),
    "dpm++3m": ("dpm++3m", 1),
    "unipc": ("unipc", 1),
    "dpm++2m-sde": ("dpm++2m-sde", 1),
}
_CALLS = (5, 6, 8, 10, 12, 16, 20, 30, 50, 100, 200)
_GRIDS = ("uniform-time", "uniform-log-snr")


def measure() -> Page:
    """On the S-curve: the best possible denoiser, and the network of a default fit."""
    floor = Floor("s-curve")
    with tempfile.TemporaryDirectory() as folder:
        run = fit("s-curve", out=Path(folder) / "run", quiet=True)
        exact = exact_denoiser(run)
        assert exact is not None
        rows: list[list[object]] = []
        lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for label, denoise in (("exact denoiser", exact), ("default fit", run.model.denoiser)):
            lines[label] = {}
            for method in _METHODS:
                for grid in _GRIDS:
                    found = {}
                    for calls in _CALLS:
                        found[calls] = _distance(run.model, denoise, method, grid, calls, floor)
                        if found[calls].at_floor:
                            break
                    last = max(found)
                    reached = found[last].at_floor
                    rows.append([label, method, grid, last if reached else f"more than {last}",
                                 *found[last].cells])  # fmt: skip
                    if grid == "uniform-log-snr":
                        lines[label][method] = [
                            (made, max(each.auc - 0.5, 1e-4)) for made, each in found.items()
                        ]
    return Page(
        "Network calls to the floor",
        [
            (
                f"{ROWS:,} samples of the S-curve by each sampler in {', '.join(map(str, _CALLS))} "
                "network calls, up to the first at which AUC, gap and energy distance are at the floor "
                "(see time_to_floor). The exact denoiser shows what the method needs; the network of a "
                "default fit, what its own errors add."
            ),
            table(
                [
                    "denoiser",
                    "sampler",
                    "grid",
                    "calls",
                    "AUC",
                    "gap, nats",
                    "energy (largest of real)",
                ],
                rows,
            ),
        ],
        curves(
            {f"network calls, {label}": each for label, each in lines.items()},
            ylabel="classifier AUC above one half",
            level=0.015,
        ),
    )


def _distance(
    model: Model, denoise: Denoiser, method: str, grid: str, calls: int, floor: Floor
) -> Distance:
    name, per_step = _METHODS[method]
    # Heun's last step, to the clean level, is a single call.
    steps = (calls + per_step - 1) // per_step
    changes = {"sampling": {"sampler": name, "grid": grid, "steps": steps}}
    settings = resolve(model.settings.to_dict(), changes).sampling
    levels, stepper = build_grid(settings, model.process), build_stepper(settings)
    chunks = sample_chunks(denoise, (2,), levels, stepper, n=ROWS, seed=1)
    return floor.distance(np.concatenate([model.codec.decode(x) for x in chunks]))
