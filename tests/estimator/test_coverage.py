"""Laws of `DiffusionRegressor` beside the true ones: coverage of intervals, and CRPS."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from quick import few_trees
from sfumato import DiffusionRegressor
from sfumato.data.table import DataTable
from sfumato.estimator import stacking
from sfumato.estimator.stacking import StackedMean
from sfumato.metrics.scoring_rules import crps_of_values
from sfumato.models.predictive import PredictedNumbers

NEW = 1000


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with few_trees(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "_FOLDS", 5)
        yield


def features(rows: int, seed: int) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-2, 2, (rows, 3)), rng


def fitted(x: np.ndarray, y: np.ndarray, width: int = 32) -> DiffusionRegressor:
    return DiffusionRegressor(steps=100, width=width, random_state=0).fit(x, y)


def inside(law: PredictedNumbers, y: np.ndarray, share: float = 0.9) -> int:
    low, high = law.interval(share).T
    return int(((low <= y) & (y <= high)).sum())


def within_chance(held: int, share: float = 0.9) -> bool:
    """Whether so many of the new rows are what 999 of 1,000 right laws would hold."""
    return stats.binomtest(held, NEW, share).pvalue > 1e-3


def true_crps(values: np.ndarray, truth: np.ndarray) -> float:
    """The mean CRPS of laws that are given by many equally likely values, `(rows, values)`."""
    weights = np.full(values.shape, 1 / values.shape[1])
    return float(crps_of_values(values, weights, truth).mean())


def test_a_width_that_differs_by_row_is_found() -> None:
    """y = 2a + s(b) e."""
    x, rng = features(1000 + NEW, 0)
    width = 0.2 + 0.6 / (1 + np.exp(-3 * x[:, 1]))
    y = 2 * x[:, 0] + width * rng.normal(size=len(x))
    model, (x, y, width) = fitted(x[:1000], y[:1000]), (x[1000:], y[1000:], width[1000:])
    law = model.law(x)
    assert within_chance(inside(law, y))
    assert inside(law, y, 0.5) == pytest.approx(NEW / 2, abs=0.08 * NEW)
    places = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    best = true_crps(2 * x[:, :1] + width[:, None] * places, y)
    assert best == pytest.approx((width / math.sqrt(math.pi)).mean(), rel=0.05)
    assert law.crps(y).mean() < 1.05 * best
    low, high = law.interval(0.9).T
    assert np.corrcoef(high - low, width)[0, 1] > 0.8


def test_a_law_of_two_humps_is_found() -> None:
    """y is one more than a or one less, and a little noise: in the middle there is nothing."""
    x, rng = features(1000 + NEW, 0)
    y = x[:, 0] + np.where(rng.random(len(x)) < 0.4, 1, -1) + 0.25 * rng.normal(size=len(x))
    law, x, y = fitted(x[:1000], y[:1000]).law(x[1000:]), x[1000:], y[1000:]
    assert within_chance(inside(law, y))
    noise = 0.25 * stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    humps = np.sort(np.r_[noise[::5] + 1, noise[2::5] + 1, noise[::5] - 1, noise[2::5] - 1,
                          noise[4::5] - 1])  # fmt: skip
    assert law.crps(y).mean() < 1.04 * true_crps(x[:, :1] + humps, y)
    between = [law.cdf(x[:, 0] + off)[0].mean() for off in (-0.4, 0.4)]
    assert between[1] - between[0] < 0.15  # a normal law of this width has 0.3


def test_intervals_are_no_wider_than_learners_of_all_rows_need() -> None:
    """Where every row teaches much, learners of a part of the rows are farther off than theirs."""
    held, before = 0, 0
    for seed in range(3):
        x, rng = features(300 + NEW, seed)
        y = np.sin(2 * x[:, 0]) * np.cos(x[:, 1]) + x[:, 2] ** 2 / 2
        y += 0.02 * rng.normal(size=len(x))
        model = fitted(x[:300], y[:300], width=16)
        assert isinstance(model.first_, StackedMean)
        held += inside(model.law(x[300:]), y[300:])
        model.widening_ /= model.first_.shrinkage
        before += inside(model.law(x[300:]), y[300:])
    # Of 300 rows each, and the error of a fit is common to all new rows.
    assert held / (3 * NEW) == pytest.approx(0.9, abs=0.025)
    assert before / (3 * NEW) > 0.925


@pytest.mark.parametrize(("rows", "parts"), [(150, [30] * 5), (800, [160] * 3)])
def test_of_few_rows_several_parts_judge(
    rows: int, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, seen = DiffusionRegressor._judged, []

    def judged(self: DiffusionRegressor, held: DataTable) -> tuple[np.ndarray, np.ndarray]:
        seen.append(held)
        return judge(self, held)

    monkeypatch.setattr(DiffusionRegressor, "_judged", judged)
    x, rng = features(rows, 0)
    DiffusionRegressor(steps=3, width=8, random_state=0).fit(x, x[:, 0] + rng.normal(size=rows))
    assert [len(each) for each in seen] == parts
    values = np.concatenate([each["x0"].values for each in seen])
    assert len(np.unique(values)) == sum(parts)


def test_few_rows_are_not_learned_by_heart() -> None:
    """In the 200 steps of the recipe 120 rows are: the CRPS is a fourth above the true law's."""
    x, rng = features(120 + NEW, 0)
    y = x[:, 0] + rng.normal(size=len(x))
    model = DiffusionRegressor(random_state=0).fit(x[:120], y[:120])
    assert model.model_.steps is not None
    assert model.model_.steps < 100
    assert model.law(x[120:]).crps(y[120:]).mean() < 1.12 / math.sqrt(math.pi)
