"""Which network serves numeric columns: that of points, or that of tables, for 1 to 50 columns."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.measure import Page, table
from bench.worth_using import Problem, embedded
from sfumato.metrics.classifier import classifier_auc
from sfumato.runs.fit import fit

_KINDS = ("points", "table")
_SCORED, _SEEDS = 300, (0, 1)


@dataclass(frozen=True, slots=True)
class _Result:
    """Of one fit: nats of unseen rows below the truth (or minus them), AUC, processor seconds."""

    nats: float
    auc: float
    seconds: float


def _one_column() -> Problem:
    """Three Gaussians on a line."""
    means, width = np.array([-2.0, 0.0, 1.0]), 0.2

    def drawn(n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return (rng.choice(means, n) + width * rng.standard_normal(n))[:, None]

    unseen = drawn(5000, 1)
    each = np.exp(-(((unseen[:_SCORED] - means) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return Problem(drawn(10_000, 0), unseen, float(np.log(each.mean(1)).mean()))


def _real(name: str) -> Problem:
    """Numeric columns of a set of scikit-learn, a fifth of its rows unseen."""
    from sklearn import datasets

    x = getattr(datasets, f"load_{name}")().data.astype(float)
    x = x[np.random.default_rng(0).permutation(len(x))]
    cut = len(x) // 5
    return Problem(x[cut:], x[:cut], float("nan"))


def _problems() -> Iterator[tuple[str, Problem]]:
    yield "three Gaussians, 1", _one_column()
    for name, dimensions in (("s-curve", (2, 3, 4, 5, 8, 16, 50)), ("spirals", (2,))):
        for dimension in dimensions:
            yield f"{name}, {dimension}", embedded(name, dimension)
    for name in ("iris", "diabetes"):
        problem = _real(name)
        yield f"{name}, {problem.train.shape[1]}", problem


def _fitted(problem: Problem, kind: str, seed: int) -> _Result:
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        settings = {"data.kind": kind, "training.snapshots": 0, "data.holdout": 0.01}
        run = fit(problem.train, settings=settings, seed=seed, out=Path(folder) / "r", quiet=True)
        seconds = time.process_time() - began
        unseen = problem.unseen
        sample = np.asarray(run.sample(min(len(unseen), 5000), seed=1))
        nats = float(run.log_prob(unseen[:_SCORED]).mean())
        truth = 0.0 if np.isnan(problem.truth) else problem.truth
        return _Result(truth - nats, classifier_auc(unseen[: len(sample)], sample), seconds)


def measure() -> Page:
    """Fit each set as points and as a table, in the same run."""
    rows, better = [], dict.fromkeys(_KINDS, 0)
    for name, problem in _problems():
        found: Mapping[str, list[_Result]] = {
            kind: [_fitted(problem, kind, seed) for seed in _SEEDS] for kind in _KINDS
        }
        means = {
            kind: np.mean([(r.nats, r.auc, r.seconds) for r in results], axis=0)
            for kind, results in found.items()
        }
        better[min(_KINDS, key=lambda kind: means[kind][0])] += 1
        known = "below the truth" if not np.isnan(problem.truth) else "-log p"
        rows.append(
            [
                name,
                known,
                *(f"{means[k][0]:.3f}" for k in _KINDS),
                *(f"{means[k][1]:.3f}" for k in _KINDS),
                *(f"{means[k][2]:.1f}" for k in _KINDS),
            ]
        )
        print(rows[-1], flush=True)
    heading = ["set, columns", "nats", *_KINDS, *(f"AUC, {k}" for k in _KINDS),
               *(f"s, {k}" for k in _KINDS)]  # fmt: skip
    return Page(
        "Numeric columns: the network of points beside that of tables",
        [
            (
                "The same rows fitted as points (`data.kind=points`) and as a table "
                "(`data.kind=table`), each by its own recipe. Nats: how far the mean log density of "
                f"{_SCORED} unseen rows is below the truth, or its negative where the truth is not "
                "known; smaller is better. AUC of trees that tell samples from unseen rows. Processor "
                f"seconds of the fit. Means of {len(_SEEDS)} seeds."
            ),
            table(heading, rows),
            f"In nats points are better on {better['points']} sets, tables on {better['table']}.",
        ],
    )
