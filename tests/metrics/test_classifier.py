"""The two-sample classifier against the best possible one, and the share of copies."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from sfumato.metrics.classifier import area_under_roc, classifier_auc
from sfumato.metrics.memorisation import nearer_share, nearest_distances


@pytest.mark.parametrize("places", [0, 1, 9])
def test_the_area_is_scikit_learn_s_to_the_bit(places: int) -> None:
    """Of scores with many ties, some and none; where all are the same it is one half."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 10, 500):
        for _ in range(20):
            label = np.append(rng.integers(0, 2, n), [0, 1])
            score = np.round(rng.random(n + 2) + 0.3 * label, places)
            assert area_under_roc(label, score) == roc_auc_score(label, score)
            assert area_under_roc(label == 0, score) == roc_auc_score(label == 0, score)
    assert area_under_roc(label, 0 * score) == 0.5


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_auc_is_that_of_the_best_classifier(shift: float) -> None:
    """For N(0, 1) against N(d, 1) the best AUC is Phi(d/sqrt(2))."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6000, 1)), rng.standard_normal((6000, 1)) + shift
    best = norm.cdf(shift / 2**0.5)
    assert best - 0.03 < classifier_auc(x, y) < best + 0.015


def test_a_quarter_of_a_deviation_is_seen() -> None:
    """The best AUC is 0.570; chance has a standard deviation of 0.0058 on 2 x 5,000 rows."""
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((10_000, 1)), rng.standard_normal((10_000, 1)) + 0.25
    best = norm.cdf(0.25 / 2**0.5)
    assert 0.5 + 4 * 0.0058 < classifier_auc(x, y) < best + 4 * 0.0058


def test_equal_distributions_are_a_coin_toss() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 4000, 3))
    assert abs(classifier_auc(x, y) - 0.5) < 4 * 0.0091  # sd of an AUC from 2 x 2000 rows


def test_the_seed_decides_the_split() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 300, 2))
    assert classifier_auc(x, y, seed=1) == classifier_auc(x, y, seed=1)
    assert classifier_auc(x, y, seed=1) != classifier_auc(x, y, seed=2)


def test_it_scores_rows_that_it_did_not_learn_from() -> None:
    """Pure noise in many columns: learned by heart it would give 1 on the rows it learned."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 200, 30))
    assert classifier_auc(x, y) < 0.65


def test_copies_are_nearer_and_fresh_rows_are_not() -> None:
    rng = np.random.default_rng(4)
    train, held, fresh = rng.standard_normal((3, 2000, 2))
    distances = nearest_distances(held, train)
    assert nearer_share(nearest_distances(train, train), distances) == 1
    near_copies = train + 1e-4
    assert nearer_share(nearest_distances(near_copies, train), distances) > 0.97
    assert nearer_share(nearest_distances(fresh, train), distances) == pytest.approx(0.5, abs=0.04)


def test_nearest_distances_and_share_by_brute_force() -> None:
    rng = np.random.default_rng(5)
    rows, train = rng.integers(0, 4, (30, 2)).astype(float), rng.integers(0, 4, (20, 2))
    distances = np.linalg.norm(rows[:, None] - train, axis=2).min(1)
    np.testing.assert_allclose(nearest_distances(rows, train.astype(float)), distances)
    a, b = distances[:15], distances[15:]
    expected = np.mean([(s < h) + 0.5 * (s == h) for s in a for h in b])
    assert nearer_share(a, b) == pytest.approx(expected)
