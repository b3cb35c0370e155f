"""Where diffusion earns its keep: against what a user would pick instead, by dimension."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.measure import Page, table
from bench.peers import peer
from bench.pictures import curves
from sfumato.data.toy import draw, toy_set
from sfumato.metrics.classifier import classifier_auc
from sfumato.runs.fit import fit

_ROWS, _SCORED, _SAMPLED = 10_000, 1000, 5000
_EMBEDDED = (
    ("spirals", (2, 5, 10, 20, 50)),
    ("s-curve", (2, 5, 10)),
    ("checkerboard", (2, 5, 10)),
)
_OTHERS = ("gaussian_mixture", "kernel_density", "zuko_flow")
_WIDE = 0.5  # deviation of the coordinates that a set is put among

LogProb = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows to learn from, rows to score and to be told apart from; nats of the truth if known."""

    train: np.ndarray
    unseen: np.ndarray
    truth: float


def embedded(name: str, dimension: int) -> Problem:
    """A toy set's two columns among normal ones, bent by a random smooth map.

    The map moves each half of the coordinates by a smooth function of the other half, twice, and
    turns the whole: no volume changes, and so the density of a point is that of where it came from.
    """
    rng = np.random.default_rng(dimension)
    half = max(1, dimension // 2)
    halves = [slice(0, half), slice(half, dimension)] * 2
    bends = []
    for moved in halves:
        inputs, outputs = dimension - len(range(dimension)[moved]), len(range(dimension)[moved])
        bends.append((rng.standard_normal((inputs, 16)) / np.sqrt(inputs),
                      rng.standard_normal((16, outputs)) / 4))  # fmt: skip
    turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    scale = draw(name, _ROWS, seed=1).values.std()

    def drawn(n: int, stream: str) -> tuple[np.ndarray, float]:
        flat = draw(name, n, seed=0, stream=stream).values
        rest = _WIDE * np.random.default_rng([n, dimension]).standard_normal((n, dimension - 2))
        x = np.concatenate([flat / scale, rest], 1)
        for moved, (into, out) in zip(halves, bends, strict=True):
            kept = np.delete(x, np.arange(dimension)[moved], axis=1)
            x[:, moved] += np.sin(kept @ into) @ out
        nats = _log_density(name, flat).mean() + 2 * np.log(scale)
        normal = -0.5 * (rest / _WIDE) ** 2 - np.log(_WIDE * np.sqrt(2 * np.pi))
        return x @ turn, float(nats + normal.sum(1)[:_SCORED].mean())

    unseen, truth = drawn(_SAMPLED, "unseen")
    return Problem(drawn(_ROWS, "train")[0], unseen, truth)


def _log_density(name: str, flat: np.ndarray) -> np.ndarray:
    if name == "checkerboard":  # even on eight squares of side one
        return np.full(_SCORED, -np.log(8))
    chosen = toy_set(name)
    assert chosen.log_density is not None
    return chosen.log_density(flat[:_SCORED], chosen.noise)


def digits() -> Problem:
    """The 64 pixels of scikit-learn's digits, 0 to 16, made continuous by a uniform draw."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    pixels = rng.permutation(load_digits().data)
    x = (pixels + rng.random(pixels.shape)) / 17
    return Problem(x[:1300], x[1300:], float("nan"))


def measure() -> Page:
    """Every method on every problem."""
    problems = {
        (name, dimension): embedded(name, dimension)
        for name, dimensions in _EMBEDDED
        for dimension in dimensions
    } | {("digits", 64): digits()}
    rows: list[list[object]] = []
    short: dict[str, list[tuple[float, float]]] = {}
    for (name, dimension), problem in problems.items():
        for method, (seconds, sample, log_prob) in _fitted(problem).items():
            nats = float(log_prob(problem.unseen[:_SCORED]).mean())
            auc = classifier_auc(problem.unseen, sample)
            known = not np.isnan(problem.truth)
            behind = f"{problem.truth - nats:.3f}" if known else f"({nats:.2f} nats a row)"
            rows.append([name, dimension, method, behind, f"{auc:.3f}", f"{seconds:.1f}"])
            if name == "spirals":
                short.setdefault(method, []).append((dimension, max(problem.truth - nats, 1e-3)))
    return Page(
        "Worth using?",
        [
            (
                f"Each method learns from {_ROWS:,} rows. `Short of the truth` is the true mean log "
                f"density of {_SCORED:,} unseen rows less the model's, in nats a row; of the digits "
                "(1,300 rows to learn from, 64 pixels) the truth is not known and the model's own is "
                f"given. The AUC is that of {_SAMPLED:,} samples against unseen rows. A set of more "
                "than two dimensions is the toy set among normal coordinates of deviation "
                f"{_WIDE}, bent by a random smooth map that keeps volumes, and turned."
            ),
            table(
                ["set", "dimension", "method", "short of the truth, nats", "AUC", "fit, s"], rows
            ),
        ],
        curves({"dimension (spirals)": short}, ylabel="nats short of the truth on unseen rows"),
    )


def _fitted(problem: Problem) -> Mapping[str, tuple[float, np.ndarray, LogProb]]:
    """Seconds, samples and log density of each method."""
    found: dict[str, tuple[float, np.ndarray, LogProb]] = {}
    count = len(problem.unseen)
    for label, steps in (("Sfumato", None), ("Sfumato, 5,000 steps", 5000)):
        if steps and problem.train.shape[1] > 2:
            continue
        # The least that may be kept back: the other methods see all rows.
        changes = {"data.holdout": 0.01, "training.snapshots": 0}
        if steps:
            changes["training.steps"] = steps
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run = fit(problem.train, out=Path(folder) / "run", settings=changes, quiet=True)
            seconds = time.perf_counter() - began
            found[label] = seconds, run.sample(count), run.log_prob
    for name in _OTHERS:
        other = peer(name)
        began = time.perf_counter()
        fitted = other.fit(problem.train, 0, other.steps)
        seconds = time.perf_counter() - began
        found[other.name] = seconds, fitted.sample(count, 0), fitted.log_prob  # type: ignore[attr-defined]
    return found
