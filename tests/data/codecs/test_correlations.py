"""Correlations of rows of a known normal law."""

import numpy as np
import pytest
import torch
from scipy import stats

from sfumato.data.codecs.correlations import correlations


def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def drawn(matrix: np.ndarray, rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(np.zeros(len(matrix)), matrix, rows)


def test_those_of_many_rows_are_found() -> None:
    """A correlation of n rows has the standard error (1 - r²)/sqrt(n)."""
    matrix = np.array([[1, 0.8, 0], [0.8, 1, -0.3], [0, -0.3, 1]])
    found = correlations(torch.from_numpy(drawn(matrix, 20_000)), source()).numpy()
    assert (abs(found - matrix) <= 4 * (1 - matrix**2) / np.sqrt(20_000) + 1e-3).all()
    np.testing.assert_array_equal(np.diag(found), 1.0)


def test_what_decides_another_number_keeps_deciding_it() -> None:
    """z_1 = z_0 and noise of 0.01: the part that z_0 does not decide keeps its size."""
    z = np.random.default_rng(0).normal(size=(1000, 2))
    z[:, 1] = np.sqrt(1 - 1e-4) * z[:, 0] + 0.01 * z[:, 1]
    found = correlations(torch.from_numpy(z), source()).numpy()
    assert np.sqrt(1 - found[0, 1] ** 2) == pytest.approx(0.01, rel=0.1)


def test_few_rows_of_many_columns_predict_new_ones_no_worse_than_independence() -> None:
    """30 rows of 20 numbers: unshrunk, their matrix has almost no width in some directions."""
    matrix = 0.5 * np.eye(20) + 0.5
    z, new = drawn(matrix, 30), drawn(matrix, 2000, seed=1)
    found = correlations(torch.from_numpy(z), source()).numpy()

    def nats(covariance: np.ndarray) -> float:
        law = stats.multivariate_normal(np.zeros(20), covariance)
        return float(law.logpdf(new).mean())

    assert nats(found) > nats(np.eye(20)) + 1
    assert nats(found) > nats(np.corrcoef(z.T)) + 1


def test_missing_numbers_are_left_out() -> None:
    matrix = np.array([[1, 0.8], [0.8, 1]])
    z = drawn(matrix, 20_000)
    rng = np.random.default_rng(1)
    z[rng.random(z.shape) < 0.5] = np.nan  # a quarter of the rows has both
    found = correlations(torch.from_numpy(z), source()).numpy()
    assert found[0, 1] == pytest.approx(0.8, abs=4 * 0.36 / np.sqrt(5000) + 0.01)


def test_numbers_that_no_row_shares_are_unrelated() -> None:
    z = torch.full((40, 2), torch.nan)
    z[:20, 0], z[20:, 1] = torch.randn(20, generator=source()), torch.randn(20, generator=source())
    assert abs(float(correlations(z, source())[0, 1])) < 1e-12
