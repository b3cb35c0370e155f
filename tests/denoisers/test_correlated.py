"""The posterior of correlated numbers, beside the textbook's inverse of one matrix."""

import numpy as np
import torch

from sfumato.denoisers.correlated import posterior
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel

COUNT, ROWS = 5, 200


def correlations() -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    factors = torch.randn(COUNT, 3, generator=source, dtype=torch.float64)
    found = factors @ factors.T + 0.1 * torch.eye(COUNT, dtype=torch.float64)
    scale = found.diagonal().rsqrt()
    return scale[:, None] * found * scale


def case() -> tuple[torch.Tensor, NoiseLevel, TableCondition]:
    """Every number of a row is noisy, known or missing at random, each row at its own level."""
    source = torch.Generator().manual_seed(1)
    state = torch.randint(0, 3, (ROWS, COUNT), generator=source)
    values = torch.randn(2, ROWS, COUNT, generator=source, dtype=torch.float64)
    known = state == 0
    condition = TableCondition(
        torch.where(known, values[0], 0.0), known, state == 1, torch.zeros(ROWS, 0).long()
    )
    log_snr = 12 * torch.rand(ROWS, generator=source, dtype=torch.float64) - 6
    return values[1], NoiseLevel.from_log_snr(log_snr), condition


def by_inverse(
    x_t: np.ndarray, alpha: float, sigma: float, state: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of z given alpha z + sigma eps, or z itself: one Gaussian conditioned."""
    known, is_known, is_noisy = state
    covariance, seen = correlations().numpy(), is_known | is_noisy
    gain = np.where(is_known, 1.0, alpha)[seen]
    noise = np.where(is_known, 0.0, sigma**2)[seen]
    values = np.where(is_known, known, x_t)[seen]
    cross = covariance[:, seen] * gain
    within = gain[:, None] * covariance[np.ix_(seen, seen)] * gain + np.diag(noise)
    solved = np.linalg.solve(within, np.c_[values, cross.T])
    return cross @ solved[:, 0], np.diag(covariance - cross @ solved[:, 1:])


def test_mean_and_variance_are_those_of_one_conditioned_gaussian() -> None:
    x_t, level, condition = case()
    found = posterior(correlations(), x_t, level, condition)
    for k in range(ROWS):
        known, is_known, is_noisy = (
            each[k].numpy() for each in (condition.known, condition.is_known, condition.is_noisy)
        )
        noise = float(level.alpha[k]), float(level.sigma[k])
        mean, variance = by_inverse(x_t[k].numpy(), *noise, (known, is_known, is_noisy))
        np.testing.assert_allclose(found.mean[k, is_noisy], mean[is_noisy], atol=1e-5)
        np.testing.assert_allclose(found.std[k, is_noisy] ** 2, variance[is_noisy], atol=1e-6)


def test_the_residual_is_what_the_others_do_not_say_in_its_own_deviations() -> None:
    """Leave one out: its own observation beside the prediction by all others."""
    x_t, level, condition = case()
    found = posterior(correlations(), x_t, level, condition).residual
    assert (found[~condition.is_noisy] == 0).all()
    for row, j in condition.is_noisy[:60].nonzero().tolist():
        known, is_known, is_noisy = (
            each[row].numpy().copy()
            for each in (condition.known, condition.is_known, condition.is_noisy)
        )
        is_noisy[j] = False
        alpha, sigma = float(level.alpha[row]), float(level.sigma[row])
        mean, variance = by_inverse(x_t[row].numpy(), alpha, sigma, (known, is_known, is_noisy))
        expected = x_t[row, j] - alpha * mean[j]
        expected /= np.sqrt(alpha**2 * variance[j] + sigma**2)
        np.testing.assert_allclose(found[row, j], expected, atol=1e-4)


def test_rows_at_one_level_are_as_rows_at_a_level_each() -> None:
    x_t, _, condition = case()
    level = NoiseLevel.from_log_snr(torch.tensor(1.5, dtype=torch.float64))
    each = NoiseLevel(level.alpha.expand(ROWS), level.sigma.expand(ROWS))
    one = posterior(correlations(), x_t, level, condition)
    other = posterior(correlations(), x_t, each, condition)
    for name in ("mean", "std", "residual"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-9)


def test_one_noisy_number_among_known_ones_is_as_any() -> None:
    """All rows at one level, and only the third number is noisy, as where it is predicted."""
    x_t, _, condition = case()
    third = (torch.arange(COUNT) == 2).expand(ROWS, COUNT)
    condition = TableCondition(
        torch.where(third, 0.0, condition.known), condition.is_known & ~third, third,
        condition.categories,
    )  # fmt: skip
    level = NoiseLevel.from_log_snr(torch.tensor(1.5, dtype=torch.float64))
    found = posterior(correlations(), x_t, level, condition)
    noise = float(level.alpha), float(level.sigma)
    for k in range(20):
        state = (condition.known[k].numpy(), condition.is_known[k].numpy(), third[k].numpy())
        mean, variance = by_inverse(x_t[k].numpy(), *noise, state)
        np.testing.assert_allclose(found.mean[k, 2], mean[2], atol=1e-5)
        np.testing.assert_allclose(found.std[k, 2] ** 2, variance[2], atol=1e-6)


def test_growth_with_a_number_is_the_derivative() -> None:
    """Each row at its own level, and all at one; with a number that is not noisy nothing grows."""
    x_t, levels, condition = case()
    one = NoiseLevel.from_log_snr(torch.tensor(1.0, dtype=torch.float64))
    for level in (levels, one):
        before = posterior(correlations(), x_t, level, condition)
        found = before.slopes(level, condition.is_noisy)
        for j in range(COUNT):
            moved = x_t + (torch.arange(COUNT) == j)
            after = posterior(correlations(), moved, level, condition)
            mean = (after.mean - before.mean) * condition.is_noisy
            torch.testing.assert_close(found[0][:, :, j], mean, rtol=1e-6, atol=1e-6)
            residual = after.residual - before.residual
            torch.testing.assert_close(found[1][:, :, j], residual, rtol=1e-6, atol=1e-6)


def test_where_no_number_is_noisy_there_is_nothing_to_say() -> None:
    x_t, _, condition = case()
    nothing = TableCondition(
        condition.known, condition.is_known, torch.zeros_like(condition.is_known),
        condition.categories,
    )  # fmt: skip
    level = NoiseLevel.from_log_snr(torch.tensor(1.5, dtype=torch.float64))
    assert (posterior(correlations(), x_t, level, nothing).residual == 0).all()


def test_a_number_that_another_decides_is_decided() -> None:
    """z_1 = z_0 but for a variance of 1e-6: given z_0, z_1 is it, whatever noise hides z_1."""
    tied = torch.tensor([[1.0, 1 - 5e-7], [1 - 5e-7, 1.0]], dtype=torch.float64)
    no = torch.tensor([[False, False]])
    condition = TableCondition(
        torch.tensor([[1.7, 0.0]]), ~no & torch.tensor([True, False]),
        ~no & torch.tensor([False, True]), torch.zeros(1, 0).long(),
    )  # fmt: skip
    level = NoiseLevel.from_log_snr(torch.tensor([-20.0], dtype=torch.float64))
    found = posterior(tied, torch.tensor([[0.0, -3.0]]), level, condition)
    assert abs(float(found.mean[0, 1]) - 1.7) < 1e-5
    assert abs(float(found.std[0, 1]) - 1e-3) < 1e-5
