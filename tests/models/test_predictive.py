"""Laws of one column given the others, of the model whose network is exact, in closed form."""

import math

import numpy as np
import pytest
from scipy import stats

from exact_table import COVARIANCE, MEANS, SHARE_B, exact_model, rows, wide
from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.table import Column
from sfumato.errors import ArgumentError
from sfumato.models.predictive import PredictedCategories, PredictedNumbers, predict_chunks
from sfumato.models.table import TableModel

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


@pytest.fixture(scope="module")
def model() -> TableModel:
    return exact_model()


def numbers(found: object) -> PredictedNumbers:
    assert isinstance(found, PredictedNumbers)
    return found


def test_a_number_s_quantiles_are_those_of_its_conditional_law(model: TableModel) -> None:
    """Of y given x and the word a Gaussian; more rows than are computed at once."""
    x = np.linspace(-1.5, 1.5, 70)
    table = rows(["a"] * 70, x.tolist(), [math.nan] * 70)
    found = [numbers(each) for each in predict_chunks(model, table, "y")]
    (mean_x, mean_y), (var_x, cross), (_, var_y) = *MEANS[:1].numpy(), *COVARIANCE.numpy()
    law = stats.norm(mean_y + cross / var_x * (x - mean_x), math.sqrt(var_y - cross**2 / var_x))
    quantiles = np.concatenate([each.quantiles(LEVELS) for each in found])
    np.testing.assert_allclose(quantiles, law.ppf(LEVELS[:, None]).T, atol=0.02)
    means = np.concatenate([each.mean() for each in found])
    np.testing.assert_allclose(means, law.mean(), atol=0.006)
    truth = np.full(70, 0.3)
    z = (truth - law.mean()) / law.std()
    # Gneiting & Raftery (2007), eq. 5: the score of a normal law.
    expected = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi)
    starts = np.cumsum([0, *(len(each.values) for each in found)])
    crps = np.concatenate(
        [each.crps(truth[a : a + len(each.values)]) for a, each in zip(starts, found, strict=False)]
    )
    np.testing.assert_allclose(crps, law.std() * expected, atol=0.004)


def test_a_number_of_which_the_word_is_not_known_has_two_humps(model: TableModel) -> None:
    """x given nothing is a mixture of two Gaussians."""
    table = rows(["?"] * 400, [math.nan] * 400, [math.nan] * 400)
    found = [numbers(each) for each in predict_chunks(model, table, "x")]
    values = np.concatenate([each.values for each in found]).ravel()
    deviation = math.sqrt(float(COVARIANCE[0, 0]))

    words = [stats.norm(float(MEANS[k, 0]), deviation).cdf(values) for k in (0, 1)]
    expected = (1 - SHARE_B) * words[0] + SHARE_B * words[1]
    order = values.argsort()
    assert abs(expected[order] - (np.arange(len(order)) + 0.5) / len(order)).max() < 0.02


def test_a_word_s_probabilities_are_bayes(model: TableModel) -> None:
    x = np.linspace(-2, 2, 9)
    table = rows(["?"] * 9, x.tolist(), [math.nan] * 9)
    (found,) = predict_chunks(model, table, "word")
    assert isinstance(found, PredictedCategories)
    deviation = math.sqrt(float(COVARIANCE[0, 0]))
    joint = np.array([
        share * stats.norm(float(MEANS[k, 0]), deviation).pdf(x)
        for k, share in enumerate((1 - SHARE_B, SHARE_B))
    ]).T  # fmt: skip
    expected = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    assert found.most_probable().tolist() == ["ab"[k] for k in expected.argmax(1)]


def test_what_stands_in_the_target_is_not_looked_at(model: TableModel) -> None:
    (blank,) = predict_chunks(model, rows(["a"], [0.3], [math.nan]), "y")
    (filled,) = predict_chunks(model, rows(["a"], [0.3], [2.0]), "y")
    np.testing.assert_array_equal(numbers(blank).values, numbers(filled).values)


def test_a_row_s_law_does_not_depend_on_the_rows_beside_it(model: TableModel) -> None:
    table = rows(["a", "b"] * 30, np.linspace(-1, 1, 60).tolist(), [math.nan] * 60)
    every = np.concatenate([numbers(each).values for each in predict_chunks(model, table, "y")])
    few = np.concatenate(
        [numbers(each).values for each in predict_chunks(model, table.take(np.arange(5)), "y")]
    )
    np.testing.assert_array_equal(every[:5], few)


def test_the_probability_of_less_jumps_at_a_point_mass() -> None:
    """Half at 0; the rest 1, 2, 3 and 4, that stand for all numbers about them."""
    values, weights = np.arange(5.0)[None].repeat(7, 0), np.array([0.5, *[0.125] * 4])
    is_mass = np.arange(5) == 0
    law = PredictedNumbers(
        wide("y", missing=False), values, np.tile(weights, (7, 1)), np.tile(is_mass, (7, 1))
    )
    below, upto = law.cdf(np.array([-1, 0, 0.5, 1, 2.5, 4, 5]))
    np.testing.assert_allclose(below, [0, 0, 0.53125, 0.5625, 0.75, 0.9375, 0.9375])
    np.testing.assert_allclose(upto, [0, 0.5, 0.53125, 0.5625, 0.75, 0.9375, 1])
    places = np.array([0.53125, 0.75, 0.9])  # where the law has no jump, its quantiles are inverse
    found = np.diag(law.quantiles(places))
    np.testing.assert_allclose(law.cdf(np.r_[found, np.zeros(4)])[0][:3], places)


def test_more_values_are_the_same_law_in_finer_steps(model: TableModel) -> None:
    table = rows(["a"] * 5, [0.3] * 5, [math.nan] * 5)
    (found,) = predict_chunks(model, table, "y", values=200)
    law = stats.norm(
        float(MEANS[0, 1] + COVARIANCE[0, 1] / COVARIANCE[0, 0] * (0.3 - MEANS[0, 0])),
        math.sqrt(float(COVARIANCE[1, 1] - COVARIANCE[0, 1] ** 2 / COVARIANCE[0, 0])),
    )
    assert numbers(found).values.shape == (5, 200)
    expected = law.ppf((np.arange(200) + 0.5) / 200)
    np.testing.assert_allclose(numbers(found).values[0], expected, atol=0.02)


def test_a_finer_law_is_the_one_that_its_values_are_of() -> None:
    """Of a normal law and of two humps; the chord from 2 to 6 % would be too wide by 0.04."""
    part = wide("y", missing=False)
    places, levels = (np.arange(16) + 0.5) / 16, np.array([0.01, 0.05, 0.3, 0.5, 0.95, 0.99])
    grid = np.linspace(-3, 3, 100_001)
    humps = 0.35 * stats.norm(-1, 0.3).cdf(grid) + 0.65 * stats.norm(1, 0.3).cdf(grid)
    values = np.stack([stats.norm(0.2, 0.5).ppf(places), np.interp(places, humps, grid)])
    nothing = np.zeros(values.shape, bool)
    coarse = PredictedNumbers(part, values, np.full(values.shape, 1 / 16), nothing)
    fine = coarse.finer(64)
    assert fine.values.shape == (2, 64)
    assert (np.diff(fine.values) >= 0).all()
    np.testing.assert_allclose(fine.weights.sum(1), 1)
    found = fine.quantiles(levels)
    np.testing.assert_allclose(found[0], stats.norm(0.2, 0.5).ppf(levels), atol=0.02)
    assert abs(np.interp(found[1], grid, humps) - levels).max() < 0.012
    low, high = coarse.interval(0.9)[0]  # of 16 values alone
    assert high - low > 1.03 * 2 * stats.norm(0, 0.5).ppf(0.95)


def test_a_finer_law_keeps_its_point_masses() -> None:
    part = wide("y", missing=False)
    values = np.array([[-0.5, 0.0, 0.1, 0.2], [0.0, 0.3, 0.4, 0.6]])
    weights, is_mass = np.array([[0.2, 0.4, 0.2, 0.2], [0.7, 0.1, 0.1, 0.1]]), values == 0
    fine = PredictedNumbers(part, values, weights, is_mass).finer(30)
    assert fine.values.shape == (2, 31)
    assert fine.is_mass.sum(1).tolist() == [1, 1]
    assert (fine.values[fine.is_mass] == 0).all()
    np.testing.assert_allclose(fine.weights[fine.is_mass], [0.4, 0.7])
    np.testing.assert_allclose(fine.weights.sum(1), 1)


def test_a_widened_law_is_wider_by_other_factors_at_its_quartiles_and_its_ends() -> None:
    places = (np.arange(4000) + 0.5) / 4000
    values = 3 + 2 * stats.norm.ppf(places)[None]
    part = NumericCodec.fit(Column("y", values[0], np.zeros(4000, bool)), "continuous")
    law = PredictedNumbers(part, values, np.full((1, 4000), 1 / 4000), np.zeros((1, 4000), bool))
    asked = np.array([0.25, 0.4, 0.5, 0.75, 0.85, 0.95, 0.99])
    # Of the normal law; between 75 % and 95 % from 1.5 to 0.8 by equal ratios in z.
    z = stats.norm.ppf(asked)
    share = (z[4] - z[3]) / (z[5] - z[3])
    factors = [1.5, 1.5, 1, 1.5, 1.5 ** (1 - share) * 0.8**share, 0.8, 0.8]
    found = law.widened([1.5, 0.8]).quantiles(asked)[0]
    np.testing.assert_allclose(found, 3 + 2 * z * factors, atol=0.02)
    np.testing.assert_allclose(law.widened([1, 1]).values, values, atol=1e-12)


def test_rows_that_fill_a_chunk_cost_no_calls(model: TableModel) -> None:
    """A call of the network for each step, and one of whether y is there."""
    calls = []
    hook = model.denoiser.network.register_forward_hook(lambda *_: calls.append(1))
    (found,) = predict_chunks(model, rows(["a"] * 5, [0.3] * 5, [math.nan] * 5), "y", steps=7)
    hook.remove()
    assert len(found) == 5
    assert len(calls) == 7 + 1


def test_an_unknown_target_is_named(model: TableModel) -> None:
    with pytest.raises(ArgumentError, match="'yy'"):
        predict_chunks(model, rows(["a"], [0.3], [1.0]), "yy")
