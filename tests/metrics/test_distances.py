"""Distances against closed forms and SciPy's own."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from sfumato.metrics.distances import (
    energy_distance,
    mmd,
    pair_means,
    sliced_wasserstein_2,
)


def _normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_energy_distance_is_scipys_without_its_bias() -> None:
    x, y = _normal(0, (400, 1)), _normal(1, (300, 1)) * 2 + 0.5
    # SciPy's is the root of the V-statistic: pairs of a row with itself count, as zeros.
    biased = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    within_x = np.abs(x - x.T).sum() / 400**2
    within_y = np.abs(y - y.T).sum() / 300**2
    expected = biased - within_x / (400 - 1) - within_y / (300 - 1)
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-4)


def test_pairs_in_many_blocks_are_scipys() -> None:
    """Rows that take several blocks, the last of them shorter."""
    x, y, h = _normal(0, (1100, 3)), _normal(1, (700, 3)) + 0.3, 1.3
    for distances, means in ((cdist(x, y), pair_means(x, y, h)), (pdist(x), pair_means(x, x, h))):
        assert means.distance == pytest.approx(distances.mean(), rel=1e-12)
        assert means.kernel == pytest.approx(np.exp(-(distances**2) / (2 * h**2)).mean(), rel=1e-12)


def test_where_the_rows_lie_does_not_matter() -> None:
    """An offset of 1e6 deviations: in single precision the distances would be off by 1%."""
    x, y = _normal(0, (300, 2)), _normal(1, (300, 2)) * 1.1
    assert energy_distance(x + 1e6, y + 1e6) == pytest.approx(energy_distance(x, y), rel=1e-6)


def test_energy_distance_of_shifted_gaussians_is_the_closed_form() -> None:
    """For N(0,1) and N(d,1): 2 E|X-Y| - 2 E|X-X'|, with E|N(m, 2)| in closed form."""
    shift, n = 0.7, 4000

    def mean_abs(m: float) -> float:
        return 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * math.erf(m / 2)

    expected = 2 * mean_abs(shift) - 2 * mean_abs(0)
    found = energy_distance(_normal(0, (n, 1)), _normal(1, (n, 1)) + shift)
    assert found == pytest.approx(expected, abs=0.04)
    assert expected > 0.25  # the tolerance is a small part of it


def _mmd(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    return mmd(*(pair_means(a, b, bandwidth) for a, b in ((x, y), (x, x), (y, y))))


def test_equal_distributions_give_zero_on_average() -> None:
    energies, mmds = [], []
    for seed in range(150):
        x, y = _normal(2 * seed, (30, 3)), _normal(2 * seed + 1, (30, 3))
        energies.append(energy_distance(x, y))
        mmds.append(_mmd(x, y, 1.5))
    for values, bias in ((energies, 2 * 2.26 / 30), (mmds, 2 * 0.5 / 30)):
        error = np.std(values) / len(values) ** 0.5
        assert abs(np.mean(values)) < 4 * error
        assert bias > 6 * error  # a V-statistic would have been noticed


def test_mmd_of_shifted_gaussians_is_the_closed_form() -> None:
    """E k(X, Y) = h/sqrt(h² + 2) exp(-d²/(2 (h² + 2))) for N(0,1), N(d,1)."""
    shift, h, n = 1.0, 0.8, 4000
    same = h / math.sqrt(h**2 + 2)
    expected = 2 * same * (1 - math.exp(-(shift**2) / (2 * (h**2 + 2))))
    found = _mmd(_normal(0, (n, 1)), _normal(1, (n, 1)) + shift, h)
    assert found == pytest.approx(expected, abs=0.02)
    assert expected > 0.15


def test_sliced_wasserstein_of_a_shift() -> None:
    """Every projection is moved by the shift's part along it: root mean square |shift|/sqrt(d)."""
    x = _normal(0, (3000, 4))
    shift = np.array([3.0, 0, 0, 0])
    found = sliced_wasserstein_2(x, x + shift, projections=2000)
    assert found == pytest.approx(3 / 2, rel=0.05)


def test_in_one_dimension_it_is_the_distance_of_quantiles() -> None:
    x, y = _normal(0, (500, 1)), 2 * _normal(1, (500, 1)) + 1
    expected = math.sqrt(np.mean((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2))
    assert sliced_wasserstein_2(x, y) == pytest.approx(expected)
    assert sliced_wasserstein_2(x, np.repeat(x, 3, axis=0)) == pytest.approx(0, abs=1e-12)


def test_close_points_keep_their_distance() -> None:
    """Differences of 1e-3 on values of one: lost by the matrix-product form of the distance."""
    x = np.full((50, 2), 1.0)
    y = x + np.array([1e-3, 0])
    assert energy_distance(x, y) == pytest.approx(2e-3, rel=1e-3)
