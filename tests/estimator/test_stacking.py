"""What simpler learners expect of a target before a network goes on from it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import VotingRegressor
from sklearn.metrics import roc_auc_score

from quick import few_folds, few_trees
from sfumato import DiffusionClassifier, DiffusionRegressor
from sfumato.data.column_types import column_types_of
from sfumato.data.io.frames import from_frame
from sfumato.estimator import stacking
from sfumato.estimator.stacking import Coding, StackedMean, StackedOdds

N = 400
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=N),
        "b": RNG.normal(size=N),
        "word": RNG.choice(["x", "y", "z"], N),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 900, N), "D"),
        "yes": RNG.random(N) < 0.5,
    }
)
FEATURES = from_frame(FRAME)
TYPES = column_types_of(FEATURES, {})


@pytest.fixture(scope="module", autouse=True)
def fewer_trees() -> Any:
    with few_folds(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "_BOOSTED_TREES", 60)
        patch.setattr(stacking, "_EXTRA_TREES", 20)
        patch.setitem(stacking._PERCEPTRON, "hidden_layer_sizes", (32, 32))
        patch.setitem(stacking._PERCEPTRON, "max_iter", 40)
        yield


def test_noise_is_not_expected_by_rows_that_taught_it() -> None:
    """Trees know rows of noise by heart; of the rows themselves others are asked."""
    noise = RNG.normal(size=N)
    first, expected = StackedMean.fit(FEATURES, TYPES, noise, seed=0)
    assert stats.pearsonr(expected, noise).pvalue > 1e-3 or np.ptp(expected) < 1e-9
    x = first.coding.matrix(FEATURES)
    boosted = stacking._regressors(first.coding, FEATURES, 0)[1].fit(x, noise).predict(x)
    assert np.corrcoef(boosted, noise)[0, 1] > 0.8  # as if there were something to learn
    assert first.shrinkage > 0.97  # more rows would teach nothing either


def test_a_line_is_left_to_the_line_and_a_step_to_the_trees() -> None:
    new = from_frame(FRAME.assign(a=RNG.uniform(-5, 5, N)))  # where no tree has been
    first, _ = StackedMean.fit(FEATURES, TYPES, 3 * FRAME.a.to_numpy() + 7, seed=0)
    np.testing.assert_allclose(first.predict(new), 3 * new["a"].values + 7, atol=0.1)
    step = np.where(FRAME.a > 0.3, 5.0, 1.0) + (FRAME.word == "y")
    first, expected = StackedMean.fit(FEATURES, TYPES, step.to_numpy(), seed=0)
    assert sum(
        weight
        for each, weight in zip(first.learners, first.weights.coef_, strict=True)
        if isinstance(each, VotingRegressor) or "extratreesregressor" in each.named_steps
    ) > 0.8  # fmt: skip
    assert np.sqrt(np.square(expected - step).mean()) < 0.5


def test_what_is_smooth_is_left_to_kernels_and_perceptrons() -> None:
    a, b = np.random.default_rng(1).uniform(-2, 2, (2, 2400))
    rows = from_frame(pd.DataFrame({"a": a, "b": b}))
    y = np.sin(2 * a) * np.cos(b)
    with few_trees():
        first, expected = StackedMean.fit(rows, column_types_of(rows, {}), y, seed=0)
    # Of so many rows, what has no part in it, as a line, is left out.
    assert len(first.learners) == len(first.weights.coef_) < 6
    assert np.sqrt(np.square(expected - y).mean()) < 0.1 * y.std()
    assert np.sqrt(np.square(first.predict(rows) - y).mean()) < 0.1 * y.std()


@pytest.mark.parametrize(("noise", "limits"), [(0.02, (0.8, 0.94)), (1.0, (0.96, 1.05))])
def test_errors_on_new_rows_are_smaller_by_what_the_last_fifth_of_the_rows_teaches(
    noise: float, limits: tuple[float, float]
) -> None:
    """Beside new rows; where learners of more rows are better, and where all is noise."""
    found, new = [], np.arange(300, 4300)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-2, 2, (4300, 3))
        y = np.sin(2 * x[:, 0]) * np.cos(x[:, 1]) + x[:, 2] ** 2 / 2
        y += noise * rng.normal(size=len(x))
        rows = from_frame(pd.DataFrame(x, columns=["a", "b", "c"]))
        types = column_types_of(rows, {})
        with few_trees():
            first, expected = StackedMean.fit(rows.take(np.arange(300)), types, y[:300], seed=seed)
        of_rows = abs(expected - y[:300]).mean()
        of_new = abs(first.predict(rows.take(new)) - y[new]).mean()
        found.append((first.shrinkage, of_new / of_rows))
    expected_ratio, ratio = np.exp(np.log(found).mean(0))
    assert limits[0] < ratio < limits[1]
    assert expected_ratio == pytest.approx(ratio, rel=0.1)
    assert expected_ratio <= 1


def test_what_has_no_part_in_the_mixture_is_not_asked() -> None:
    y = 3 * FRAME.a.to_numpy() + 7
    first, _ = StackedMean.fit(FEATURES, TYPES, y, seed=0)
    assert len(first.learners) == len(first.weights.coef_) < 6
    assert (first.weights.coef_ > 0).all()


def test_what_is_missing_or_new_is_no_number() -> None:
    coding = Coding.fit(FEATURES, TYPES)
    rows = FRAME[:3].assign(a=[None, 1.0, 2.0], word=["y", "never seen", None])
    found = coding.matrix(from_frame(rows))
    assert np.isnan(found).tolist() == [
        [True, False, False, False, False],
        [False, False, True, False, False],
        [False, False, True, False, False],
    ]
    words = coding.categories["word"]
    assert found[0, 2] == words["y"]
    assert sorted(words.values()) == [0, 1, 2]
    # Row 0 lacks a number and row 2 a word, which no training row does.
    assert coding.known(from_frame(rows)).tolist() == [False, True, False]


def test_odds_of_rows_are_those_of_trees_that_have_not_seen_them() -> None:
    code = (FRAME.a + RNG.normal(size=N) > 0).to_numpy().astype(np.int64)
    first, expected = StackedOdds.fit(FEATURES, TYPES, code, seed=0)
    best = roc_auc_score(code, FRAME.a)  # a rises with the odds
    assert roc_auc_score(code, -expected[:, 0]) < best + 0.02
    assert roc_auc_score(code, -first.predict(FEATURES)[:, 0]) > best + 0.05


def test_a_target_that_is_often_nought_keeps_its_share_of_noughts() -> None:
    """What is left of a nought after what is expected is none: the target stays as it is."""
    y = np.where(RNG.random(N) < 0.4, 0.0, np.exp(FRAME.a + 0.1 * RNG.normal(size=N)))
    model = DiffusionRegressor(steps=100, width=32, random_state=0)
    with few_trees():
        model.fit(FRAME[["a", "b"]], y)
    law = model.law(FRAME[["a", "b"]][:50])
    assert law.is_mass.any()
    assert (law.weights * law.is_mass).sum(1).mean() == pytest.approx(0.4, abs=0.15)


def test_predictions_stay_in_the_targets_range_and_on_its_grid() -> None:
    y = np.round(20 + 5 * FRAME.a.to_numpy() + RNG.normal(size=N), 1)
    with few_trees():
        model = DiffusionRegressor(steps=30, width=16, random_state=0).fit(FRAME, y)
    assert model.first_ is not None
    far = FRAME.assign(a=FRAME.a * 100)
    found = model.predict_quantiles(far, [0.05, 0.5, 0.95])
    assert (found >= y.min()).all()
    assert (found <= y.max()).all()
    np.testing.assert_array_equal(np.round(found, 1), found)


def test_classes_without_many_rows_go_without_trees() -> None:
    code = np.r_[np.zeros(N - 3), np.ones(3)].astype(int)
    model = DiffusionClassifier(steps=2, width=16, random_state=0).fit(FRAME, code)
    assert model.first_ is None
    assert model.predict_proba(FRAME[:5]).shape == (5, 2)


@pytest.mark.parametrize("seed", [2**32 - 1, 2**63 - 1])
def test_seeds_larger_than_scikit_learn_s_are_taken(seed: int) -> None:
    rows = FEATURES.take(np.arange(60))
    y = FRAME.a.to_numpy()[:60]
    _, expected = StackedMean.fit(rows, TYPES, y, seed=seed)
    assert np.corrcoef(expected, y)[0, 1] > 0.9
    _, odds = StackedOdds.fit(rows, TYPES, (y > 0).astype(int), seed=seed)
    assert odds.shape == (60, 1)
