"""How far from the exact end of the probability flow: solvers of a fitted network, and its map."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.few_calls import mapped
from bench.measure import Page, table
from bench.pictures import curves
from sfumato.denoisers.denoiser import Denoiser
from sfumato.denoisers.mixture import GaussianMixture, gaussian_mixture
from sfumato.models.few import as_map, ends_of_flow
from sfumato.models.gaussian import GaussianModel
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.process.streams import generator
from sfumato.runs.exact import exact_denoiser
from sfumato.runs.fit import fit
from sfumato.runs.run import Run

_SETS = ("one Gaussian", "eight-gaussians", "s-curve")
_CALLS = (1, 2, 4, 8, 16, 32, 64)
_REFERENCE = 600  # steps of the solver for the exact end
_POINTS = 4000
_FAR = 0.5
_GRID = "uniform-log-snr"
_MEAN, _STD = (0.5, -1.0), (0.4, 1.5)


def measure() -> Page:
    """From the same noise: the exact flow, the network's by UniPC in so many calls, the map."""
    ends: list[list[object]] = []
    levels: list[list[object]] = []
    panels: dict[str, Mapping[str, Sequence[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in _SETS:
            run, exact = _fitted(name, Path(folder) / name)
            with torch.no_grad():
                of_ends, of_levels, lines = _judged(name, run, exact)
            ends, levels = ends + of_ends, levels + of_levels
            panels[f"network calls, {name}"] = lines
    return Page(
        "Few calls beside the exact flow",
        [
            (
                f"{_POINTS:,} points of noise, and where the exact probability flow takes each: in "
                "closed form for one Gaussian, else that of the exact denoiser (a mixture) in "
                f"{_REFERENCE} steps of UniPC. Distances are in deviations of the data (root of the "
                "mean square over the coordinates). UniPC walks the flow of the exact denoiser or of "
                "the network of a default fit, on the best of the grids for so many calls; the map was "
                "learned from that network."
            ),
            table(["set", "by", "calls", "median", "nine of ten within", f"beyond {_FAR}"], ends),
            (
                "## One jump from less noise\n\nThe map alone, from rows of the data noised to each "
                "level at which it is called."
            ),
            table(["set", "sigma/alpha", "median", "nine of ten within", f"beyond {_FAR}"], levels),
        ],
        curves(panels, ylabel="median distance from the exact end"),
    )


def _fitted(name: str, out: Path) -> tuple[Run, Denoiser]:
    """A default fit with its map, and the exact denoiser of its data as the model sees them."""
    if name == "one Gaussian":
        rows = np.random.default_rng(0).normal(_MEAN, _STD, (5000, 2))
        run = fit(rows, out=out, quiet=True)
        codec = run.model.codec
        mean = codec.encode(np.array([_MEAN]))
        std = torch.tensor(_STD, dtype=torch.float64) / torch.tensor(codec.scale)
        return mapped(run)[0], gaussian_mixture(torch.ones(1), mean, std.square().diag()[None])
    run = fit(name, out=out, quiet=True)
    exact = exact_denoiser(run)
    assert exact is not None
    return mapped(run)[0], exact


def _judged(
    name: str, run: Run, exact: Denoiser
) -> tuple[list[list[object]], list[list[object]], Mapping[str, Sequence[tuple[float, float]]]]:
    model = run.model
    assert isinstance(model, GaussianModel)
    assert model.few is not None
    process, own_map = model.process, as_map(model.denoiser, model.few.network)
    noisiest = process.at(torch.tensor(1.0, dtype=torch.float64))
    x = torch.randn(_POINTS, 2, generator=generator(1), dtype=torch.float64)
    x = noisiest.like(x).sigma * x
    truth = _end(exact, x, noisiest, process)
    rows: list[list[object]] = []
    lines: dict[str, list[tuple[float, float]]] = {}
    for by, denoise in (("UniPC, exact denoiser", exact), ("UniPC, network", model.denoiser)):
        lines[by] = []
        for calls in _CALLS:
            tried = (
                _distances(ends_of_flow(denoise, x, noisiest, process.grid(grid, calls)), truth)
                for grid in process.suggested_grids
            )
            off = min(tried, key=lambda each: float(np.median(each)))
            rows.append([name, by, calls, *_cells(off)])
            lines[by].append((calls, float(np.median(off))))
    off = _distances(own_map(x, noisiest).x_0, truth)
    rows.append([name, "map", 1, *_cells(off)])
    lines["map"] = [(1, float(np.median(off)))]
    levels: list[list[object]] = []
    data = model.codec.encode(run.load_data().train.values[:_POINTS]).double()
    for time in sorted({time for each in model.few.times.values() for time in each}):
        level = process.at(torch.tensor(time, dtype=torch.float64))
        x_t = noised(data, level).draw(torch.randn(data.shape, generator=generator(2)).double())
        off = _distances(own_map(x_t, level).x_0, _end(exact, x_t, level, process))
        levels.append([name, f"{float(level.sigma_ve):.3g}", *_cells(off)])
    return rows, levels, lines


def _end(exact: Denoiser, x_t: Tensor, level: NoiseLevel, process: Process) -> Tensor:
    """Where the exact flow ends: of one Gaussian N(m, s²) in closed form, see docs/few-calls.md."""
    if isinstance(exact, GaussianMixture) and len(exact.means) == 1:
        at, mean, axes, variances = (
            level.like(x_t),
            exact.means[0],
            exact.axes[0],
            exact.variances[0],
        )
        narrower = (variances / (at.alpha**2 * variances + at.sigma**2)).sqrt()
        return mean + ((x_t - at.alpha * mean) @ axes * narrower) @ axes.T
    return ends_of_flow(exact, x_t, level, process.grid(_GRID, _REFERENCE))


def _distances(ends: Tensor, truth: Tensor) -> np.ndarray:
    distances: np.ndarray = (ends - truth).square().mean(1).sqrt().numpy()
    return distances


def _cells(off: np.ndarray) -> list[str]:
    return [
        f"{np.median(off):.2g}",
        f"{np.quantile(off, 0.9):.2g}",
        f"{100 * np.mean(off > _FAR):.2f} %",
    ]
