"""Scores of predicted laws against closed forms, scipy and scikit-learn."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    brier_score_loss,
    log_loss,
    mean_pinball_loss,
    roc_auc_score,
    roc_curve,
)

from sfumato.metrics.predictions import (
    LEVELS,
    Predictions,
    Score,
    averaged,
    chosen_rows,
    judged_categories,
    judged_numbers,
    two_parts,
)
from sfumato.metrics.references import ShiftedLaws
from sfumato.metrics.scoring_rules import (
    area,
    areas,
    binomial_limits,
    brier,
    calibration_error,
    crps_of_values,
    log_score,
    pinball,
    pit_distance,
    pit_shares,
    reliability,
)

RNG = np.random.default_rng
NORMAL = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)


def as_they_are(values: np.ndarray) -> np.ndarray:
    return values


def normal(mean: np.ndarray, deviation: float = 1.0) -> ShiftedLaws:
    return ShiftedLaws(mean, deviation * NORMAL, as_they_are)


def by_name(scores: tuple[Score, ...]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def by_definition(values: np.ndarray, weights: np.ndarray, truth: float) -> float:
    """Gneiting & Raftery (2007), eq. 21, over all pairs."""
    error = (weights * abs(values - truth)).sum()
    pairs = weights[:, None] * weights * abs(values[:, None] - values)
    return float(error - pairs.sum() / 2)


# ------------------------------------------------------------------------------------ numbers


def test_crps_of_a_normal_law_is_its_closed_form() -> None:
    mean, truth = np.array([0.0, 1.0, -2.0, 5.0]), np.array([0.3, -1.0, 2.0, 5.0])
    z = (truth - mean) / 2
    # Gneiting & Raftery (2007), eq. 5, with the sign turned.
    expected = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi)
    np.testing.assert_allclose(normal(mean, 2.0).crps(truth), 2 * expected, atol=2e-3)


def test_crps_is_its_definition_over_all_pairs() -> None:
    rng = RNG(0)
    values, weights = np.sort(rng.normal(size=(5, 7)), 1), rng.dirichlet(np.ones(7), 5)
    truth = np.array([-9.0, 0.0, 0.1, values[3, 2], 9.0])
    expected = [by_definition(*row) for row in zip(values, weights, truth, strict=True)]
    np.testing.assert_allclose(crps_of_values(values, weights, truth), expected, atol=1e-12)
    shifted = ShiftedLaws(np.full(5, 0.5), values[0], as_they_are)
    expected = [by_definition(values[0] + 0.5, np.full(7, 1 / 7), each) for each in truth]
    np.testing.assert_allclose(shifted.crps(truth), expected, atol=1e-12)


def test_pinball_loss_is_scikit_learn_s() -> None:
    rng = RNG(1)
    quantiles, truth = rng.normal(size=(50, 2)), rng.normal(size=50)
    found = pinball(quantiles, np.array([0.1, 0.7]), truth).mean(0)
    expected = [
        mean_pinball_loss(truth, quantiles[:, k], alpha=level) for k, level in ((0, 0.1), (1, 0.7))
    ]
    np.testing.assert_allclose(found, expected)


def test_the_pit_s_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    places = RNG(2).beta(2, 1, 300)
    expected = stats.kstest(places, "uniform").statistic
    assert pit_distance(places, places) == pytest.approx(expected, abs=2e-3)
    expected_shares = np.histogram(places, 10, (0, 1))[0] / 300
    np.testing.assert_allclose(pit_shares(places, places, 10), expected_shares, atol=1e-12)


def test_a_jump_is_spread_over_the_bins_that_it_covers() -> None:
    """Half of [0.2, 0.6] in each of two bins; a truth at an end of its law is in the bin there."""
    shares = pit_shares(np.array([0.2]), np.array([0.6]), 5)
    np.testing.assert_allclose(shares, [0, 0.5, 0.5, 0, 0], atol=1e-12)
    for end in (0.0, 1.0):
        shares = pit_shares(np.array([end]), np.array([end]), 5)
        assert shares.tolist() == [1 - end, 0, 0, 0, end]


def test_the_pit_of_counts_is_uniform_under_their_own_law_alone() -> None:
    mean = RNG(3).uniform(0.5, 4, 4000)
    counts = RNG(4).poisson(mean)
    for factor, is_right in ((1.0, True), (1.3, False)):
        law = stats.poisson(factor * mean)
        off = pit_distance(law.cdf(counts - 1), law.cdf(counts))
        assert (off < stats.kstwo.ppf(0.99, 4000)) == is_right


def test_limits_of_chance_hold_ninety_nine_of_a_hundred_shares() -> None:
    low, high = binomial_limits(0.9, 250)
    outside = stats.binom.cdf(250 * low - 0.5, 250, 0.9) + stats.binom.sf(250 * high, 250, 0.9)
    assert 0.001 < outside <= 0.01


@pytest.mark.parametrize(
    ("factor", "said"), [(1.0, "as it should be"), (0.6, "narrow"), (1.6, "wide")]
)
def test_intervals_of_the_right_width_pass_and_others_do_not(factor: float, said: str) -> None:
    mean = RNG(5).normal(size=1500)
    truth = mean + RNG(6).normal(size=1500)
    laws = {"model": normal(mean, factor), "unconditional": normal(0 * mean, math.sqrt(2))}
    scores, picture = judged_numbers(laws, truth, 0.0)
    found = by_name(scores)
    expected = 2 * stats.norm.cdf(factor * stats.norm.ppf(0.95)) - 1
    assert found["coverage_90"].values["model"] == pytest.approx(expected, abs=0.03)
    width = 2 * factor * stats.norm.ppf(0.95)
    assert found["width_90"].values["model"] == pytest.approx(width, rel=1e-3)
    low, high = found["pit"].chance["model"]
    assert (low <= found["pit"].values["model"] <= high) == (factor == 1)
    assert found["pit"].values["unconditional"] < found["pit"].chance["unconditional"][1]
    predictions = Predictions("y", 1500, "", scores, picture)
    (sentence,) = (each for each in predictions.sentences if "in 90 % intervals" in each)
    assert said in sentence
    np.testing.assert_allclose(picture.quantiles[0], mean[0] + factor * stats.norm.ppf(LEVELS),
                               atol=2e-3)  # fmt: skip


def test_the_right_law_leads_by_the_known_difference_in_crps() -> None:
    """In the mean the score of N(0, s²) under itself is s/sqrt(pi)."""
    mean = RNG(7).normal(size=4000)
    truth = mean + RNG(8).normal(size=4000)
    laws = {"model": normal(mean), "unconditional": normal(0 * mean, math.sqrt(2))}
    crps, right = by_name(judged_numbers(laws, truth, 0.0)[0])["crps"], normal(mean)
    assert crps.values["model"] == pytest.approx(
        1 / math.sqrt(math.pi), abs=4 * crps.errors["model"]
    )
    lead, error = crps.leads["unconditional"]
    assert lead == pytest.approx((math.sqrt(2) - 1) / math.sqrt(math.pi), abs=4 * error)
    assert "better than that of the unconditional law" in crps.lead
    assert crps.errors["model"] == pytest.approx(stats.sem(right.crps(truth)), rel=1e-9)


def test_on_a_grid_intervals_claim_what_they_hold_with_their_ends() -> None:
    """Of a fair die the interval from the 5 to the 95 % quantile is all of it."""
    die = ShiftedLaws(np.zeros(600), np.repeat(np.arange(1.0, 7), 50), np.round)
    truth = RNG(9).integers(1, 7, 600).astype(float)
    found = by_name(judged_numbers({"model": die}, truth, 1.0)[0])
    assert found["coverage_90"].values["model"] == 1
    assert [*found["coverage_90"].chance["model"]] == [1, 1]
    assert found["pit"].values["model"] < found["pit"].chance["model"][1]


def test_dates_are_scored_in_days() -> None:
    day = 86_400e6
    laws = ShiftedLaws(np.full(30, 18_000 * day), day * NORMAL, lambda x: x.astype("M8[us]"))
    truth = 18_000 * day + day * RNG(10).normal(size=30)
    found = by_name(judged_numbers({"model": laws}, truth, 0.0, day)[0])
    plain = by_name(judged_numbers({"model": normal(np.zeros(30))}, truth / day - 18_000, 0.0)[0])
    for name in ("crps", "pinball", "width_90", "coverage_90"):
        assert found[name].values["model"] == pytest.approx(plain[name].values["model"], abs=1e-4)


def test_two_points_an_even_and_a_normal_law_by_otsu() -> None:
    even, weights = np.linspace(0, 1, 999), np.full(999, 1 / 999)
    bell = stats.norm.ppf((np.arange(999) + 0.5) / 999)
    found = two_parts(np.stack([even, bell, (even > 0.5) * 1.0, 0 * even]), np.stack([weights] * 4))
    np.testing.assert_allclose(found, [0.75, 2 / math.pi, 1, 0], atol=3e-3)


def test_rows_are_chosen_by_their_rule_and_no_row_twice() -> None:
    values = np.tile(np.arange(8.0)[:, None], (1, 4)) * [0, 1, 2, 3]
    values[5] = [0, 0, 16, 16]
    below = np.full(8, 0.5)
    below[2], below[6] = 0.01, 0.97
    found = chosen_rows(values, np.full((8, 4), 0.25), values[:, -1] - values[:, 0], below, below)
    assert len(found) == 6
    reasons = {why: row for row, why in found.items()}
    assert reasons["narrowest interval"] == 0
    assert reasons["widest interval"] == 7
    assert reasons["most like two humps"] == 5
    assert reasons["truth lowest in its law"] == 2
    assert reasons["truth highest in its law"] == 6
    assert reasons["typical width"] == 4


# --------------------------------------------------------------------------------- categories


def predicted(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and truths drawn from them."""
    rng = RNG(seed)
    probabilities = rng.dirichlet(np.ones(k), n)
    return probabilities, (rng.random(n)[:, None] > probabilities.cumsum(1)).sum(1)


def test_scores_of_two_categories_are_scikit_learn_s() -> None:
    probabilities, truth = predicted(300, 2)
    assert brier(probabilities, truth).mean() == pytest.approx(
        brier_score_loss(truth, probabilities[:, 1])
    )
    assert log_score(probabilities, truth).mean() == pytest.approx(log_loss(truth, probabilities))
    rough = probabilities.round(1)  # equal ones count half
    expected = roc_auc_score(truth, rough[:, 1])
    assert areas(rough, truth).mean() == pytest.approx(expected)
    _, picture = judged_categories({"model": rough}, truth, ["no", "yes"])
    rarer = int(truth.mean() <= 0.5)
    assert [*picture.curves] == [["no", "yes"][rarer]]
    curve, under = picture.curves[["no", "yes"][rarer]]
    assert under == pytest.approx(expected)
    false, true, _ = roc_curve(truth == rarer, rough[:, rarer], drop_intermediate=False)
    np.testing.assert_allclose(curve, [false, true], atol=1e-12)


def test_scores_of_more_categories_are_scikit_learn_s() -> None:
    probabilities, truth = predicted(400, 4)
    assert log_score(probabilities, truth).mean() == pytest.approx(log_loss(truth, probabilities))
    expected = roc_auc_score(truth, probabilities, multi_class="ovr", average="weighted")
    assert areas(probabilities, truth).mean() == pytest.approx(expected)
    # Brier (1950): over all categories, each a forecast of its own.
    each = [brier_score_loss(truth == k, probabilities[:, k]) for k in range(4)]
    assert brier(probabilities, truth).mean() == pytest.approx(sum(each))


def test_the_area_s_error_is_delong_s() -> None:
    """DeLong et al. (1988), eq. 3 to 6: from all pairs."""
    rng = RNG(3)
    happened = rng.random(300) < 0.3
    score = rng.normal(size=300) + happened
    wins = (score[happened][:, None] > score[~happened]).astype(float)
    expected = wins.mean(1).var(ddof=1) / happened.sum()
    expected += wins.mean(0).var(ddof=1) / (~happened).sum()
    terms = area(score, happened)
    assert terms.mean() == pytest.approx(wins.mean())
    assert terms.var() / 300 == pytest.approx(expected, rel=0.02)


def test_an_impossible_truth_costs_a_bounded_amount() -> None:
    assert log_score(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-math.log(1e-15))


def test_equal_probabilities_are_in_one_bin() -> None:
    probability, happened = np.full(200, 0.3), RNG(4).random(200) < 0.3
    found = reliability(probability, happened)
    assert found.rows.tolist() == [200]
    assert found.claimed[0] == pytest.approx(0.3)
    assert found.observed[0] == happened.mean()
    mixed = reliability(np.r_[probability, np.linspace(0.4, 1, 200)], np.r_[happened, happened])
    assert mixed.rows.sum() == 400
    assert mixed.rows.max() == 200


@pytest.mark.parametrize("categories", [2, 5])
def test_right_probabilities_pass_and_those_too_sure_do_not(categories: int) -> None:
    probabilities, truth = predicted(2000, categories, 5)
    sure = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    names = [str(k) for k in range(categories)]
    for law, is_right in ((probabilities, True), (sure, False)):
        scores, picture = judged_categories({"model": law}, truth, names)
        found = by_name(scores)["calibration"]
        assert found.values["model"] == calibration_error(picture.bins)
        assert (found.values["model"] < found.chance["model"][1]) == is_right
        inside = (picture.bins.low <= picture.bins.observed) & (
            picture.bins.observed <= picture.bins.high
        )
        assert inside.all() == is_right
        assert len(picture.curves) == (1 if categories == 2 else 5)


def test_a_difference_within_chance_is_said_to_be() -> None:
    values = RNG(6).normal(5, 1, 100)
    near = averaged("crps", "CRPS", {"model": values, "linear": values[::-1]})
    assert "within chance" in near.lead
    assert "linear model" in near.lead
    far = averaged("auc", "AUC", {"model": values, "linear": values + 1}, "more")
    assert far.leads["linear"][0] == pytest.approx(-1)
    assert "worse than" in far.lead


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.04112, 0.00143, "0.0411 ± 0.0014"),
        (0.660618, 0.000318, "0.6606 ± 0.0003"),
        (0.660618, 0.0000318, "0.6606 ± 3e-05"),
        (460123.0, 45890.0, "460000 ± 46000"),
        (5.383e-8, 2.91e-9, "5.38e-08 ± 2.9e-09"),
        (0.0, 0.25, "0.00 ± 0.25"),
        (55.44, 1e-15, "55.44"),
    ],
)
def test_a_value_is_shown_as_finely_as_its_error_allows(
    value: float, error: float, shown: str
) -> None:
    score = Score("s", "score", {"model": value}, {"model": error}, {}, {})
    assert score.cell("model") == shown
    share = Score("s", "share", {"model": 0.825}, {"model": 0.019}, {}, {}, is_share=True)
    assert share.cell("model") == "82.5 ± 1.9 %"
