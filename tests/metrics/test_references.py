"""Laws that predictions are compared with: of data whose law is linear, they are that law."""

import numpy as np
import pytest
from scipy import stats

from sfumato.metrics.coded import Coded
from sfumato.metrics.references import (
    ShiftedLaws,
    features,
    linear_categories,
    linear_numbers,
    unconditional_categories,
    unconditional_numbers,
)


def rows(n: int, seed: int) -> Coded:
    """x with missing values, y = 2 x + N(0, 0.5²) + 3 [group 1], in units of a million."""
    rng = np.random.default_rng(seed)
    x, group = rng.normal(size=n), rng.integers(0, 3, n)
    y = 2 * x + 3 * (group == 1) + rng.normal(0, 0.5, n)
    x[rng.random(n) < 0.1] = np.nan
    return Coded(("x", "y"), ("group",), np.stack([x, 1e6 * y], 1), group[:, None])


def test_a_ridge_s_law_is_the_truth_where_that_is_linear() -> None:
    train, test = rows(2000, 0), rows(500, 1)
    seen, new = features(train, test, "y")
    law = linear_numbers(seen, train.numeric[:, 1], new, lambda values: values)
    truth, there = test.numeric[:, 1], ~np.isnan(test.numeric[:, 0])
    assert np.std((truth - law.shift)[there]) == pytest.approx(0.5e6, rel=0.1)
    below, upto = law.cdf(truth)
    assert stats.kstest((below + upto) / 2, "uniform").pvalue > 0.01
    low, high = law.quantiles([0.05, 0.95]).T
    assert ((low < truth) & (truth < high)).mean() == pytest.approx(0.9, abs=0.05)


def test_log_densities_of_normal_errors_are_scipy_s() -> None:
    """On a grid of the probability of the value's step, however narrow that is."""
    errors = np.sort(np.random.default_rng(0).normal(1, 2, 500))
    law, truth = ShiftedLaws(np.array([0.0, 3.0, -60.0]), errors, np.round), np.arange(3.0)
    normal = stats.norm(law.shift + errors.mean(), errors.std())
    np.testing.assert_allclose(law.normal_log_density(truth, 0.0), normal.logpdf(truth))
    wide = normal.sf(truth - 0.5) - normal.sf(truth + 0.5)  # far out this keeps its digits
    np.testing.assert_allclose(np.exp(law.normal_log_density(truth, 1.0)), wide, rtol=1e-9)
    narrow = normal.logpdf(truth) + np.log(1e-6)
    np.testing.assert_allclose(law.normal_log_density(truth, 1e-6), narrow, rtol=1e-6)


def test_features_are_scaled_and_the_target_is_not_among_them() -> None:
    train, test = rows(400, 0), rows(100, 1)
    seen, new = features(train, test, "y")
    assert seen.shape[1] == new.shape[1] == 2 + 3  # x, whether it is missing, three groups
    there = ~np.isnan(train.numeric[:, 0])
    assert seen[there, 0].mean() == pytest.approx(0, abs=1e-12)
    assert seen[there, 0].std() == pytest.approx(1)
    np.testing.assert_array_equal(seen[:, 1] == 1, ~there)
    np.testing.assert_array_equal(seen[:, 2:].sum(1), 1)
    huge = Coded(("x", "y"), (), train.numeric * 1e300, train.categories[:, :0])
    assert np.isfinite(features(huge, huge, "y")[0]).all()


def test_without_other_columns_the_linear_law_is_the_unconditional_one() -> None:
    y = np.random.default_rng(0).normal(size=(100, 1))
    alone = Coded(("y",), (), y, np.empty((100, 0), np.int64))
    seen, new = features(alone, alone, "y")
    law = linear_numbers(seen, y[:, 0], new, lambda values: values)
    np.testing.assert_allclose(law.shift, y.mean())


def test_a_logistic_regression_s_probabilities_are_bayes_where_those_are_linear() -> None:
    """Two normal laws of one width: log odds x + log odds of the classes."""
    rng = np.random.default_rng(2)
    k = rng.integers(0, 2, 6000)
    x = rng.normal(k - 0.5, 1)[:, None]
    found = linear_categories(x[:5000], k[:5000], x[5000:], 3)
    expected = 1 / (1 + np.exp(-x[5000:, 0]))
    np.testing.assert_allclose(found[:, 1], expected, atol=0.05)
    np.testing.assert_array_equal(found[:, 2], 0)  # no training row has it
    one = linear_categories(x[:50], np.full(50, 2), x[:4], 3)
    assert one.tolist() == [[0, 0, 1]] * 4


def test_unconditional_laws_are_those_of_the_training_rows() -> None:
    known = np.array([3.0, 1.0, 1.0, 7.0])
    law = unconditional_numbers(known, 2, lambda values: values)
    assert isinstance(law, ShiftedLaws)
    below, upto = law.cdf(np.array([1.0, 5.0]))
    assert (below.tolist(), upto.tolist()) == ([0, 0.75], [0.5, 0.75])
    np.testing.assert_array_equal(law.quantiles([0.5]), [[2.0], [2.0]])
    found = unconditional_categories(np.array([0, 0, 2]), 3, 2)
    np.testing.assert_allclose(found, [[0.5, 1 / 6, 1 / 3]] * 2)  # Laplace's rule of succession
