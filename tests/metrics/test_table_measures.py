"""Measures of tables against scipy and closed forms, and what each of them finds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom, f_oneway, ks_2samp, norm, pearsonr, rankdata, spearmanr
from scipy.stats.contingency import association
from small_table import columns
from table_law import KINDS, impute, log_prob, table

from sfumato.data.table import Column, ColumnType, DataTable, concatenate
from sfumato.errors import DataError
from sfumato.metrics.alpha_precision import alpha_precision_beta_recall
from sfumato.metrics.association import associations
from sfumato.metrics.coded import Coded, coded, coordinates
from sfumato.metrics.coverage import category_coverage, undrawn_pairs
from sfumato.metrics.detection import binned, detection
from sfumato.metrics.efficacy import efficacy, error, targets
from sfumato.metrics.evaluation import Evaluation, Measure
from sfumato.metrics.intervals import DRAWS, Imputer, intervals
from sfumato.metrics.likelihoods import likelihoods
from sfumato.metrics.marginals import kolmogorov_smirnov, shapes, total_variation
from sfumato.metrics.privacy import distances_to
from sfumato.metrics.study import TableStudy
from sfumato.metrics.support import Known, support_measures
from sfumato.metrics.tables import column_measures, evaluate_table
from sfumato.metrics.trend import trends

ROWS, SETS = 400, 5


def of(**columns: Any) -> DataTable:
    """A table of lists, in which None is a hole."""

    def column(name: str, values: Sequence[Any]) -> Column:
        missing = np.array([value is None for value in values])
        there = next((value for value in values if value is not None), 0.0)
        filled = [there if value is None else value for value in values]
        return Column(
            name, np.array(filled, dtype=object if isinstance(there, str) else None), missing
        )

    return DataTable(tuple(column(name, values) for name, values in columns.items()))


def changed(rows: DataTable, name: str, how: Callable[[Column], Column]) -> DataTable:
    return DataTable(tuple(how(each) if each.name == name else each for each in rows))


def code(rows: DataTable, kinds: Mapping[str, ColumnType] = KINDS) -> Coded:
    return coded([rows], kinds)[0]


# ------------------------------------------------------------------------ distances of columns


def test_distances_of_numbers_are_scipys_with_holes_below_all() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 200).astype(float), rng.integers(2, 9, 150).astype(float)
    x[rng.random(200) < 0.3] = np.nan
    lowest = [np.nan_to_num(values, nan=-1e9) for values in (x, y)]
    expected = ks_2samp(lowest[0], lowest[1], method="asymp").statistic
    assert kolmogorov_smirnov(x, y) == pytest.approx(expected)


def test_where_only_the_share_of_holes_differs_it_is_the_distance() -> None:
    values = np.linspace(0, 1, 1000)
    fewer, more = values.copy(), values.copy()
    fewer[::10], more[::5] = np.nan, np.nan
    assert kolmogorov_smirnov(fewer, more) == pytest.approx(0.1, abs=1e-3)
    assert total_variation(np.repeat([0, -1], [90, 10]), np.repeat([0, -1], [8, 2])) == (
        pytest.approx(0.1)
    )


def test_total_variation_by_hand() -> None:
    # (.5, .5, 0) against (.25, .25, .5): half of .25 + .25 + .5
    assert total_variation(np.array([0, 1]), np.array([0, 1, 2, 2])) == pytest.approx(0.5)
    assert total_variation(np.array([0, 0]), np.array([1])) == 1


# --------------------------------------------------------------------------------- association


def numbers(values: np.ndarray) -> Coded:
    return Coded(
        tuple(f"x{k}" for k in range(values.shape[1])), (), values, np.empty((len(values), 0), int)
    )


def levels(*codes: np.ndarray) -> Coded:
    names = tuple(f"l{k}" for k in range(len(codes)))
    return Coded((), names, np.empty((len(codes[0]), 0)), np.stack(codes, axis=1))


def test_numbers_go_together_as_scipys_spearman_says() -> None:
    rng = np.random.default_rng(1)
    x = np.round(rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4)))  # with ties
    np.testing.assert_allclose(associations(numbers(x)), spearmanr(x).statistic, atol=1e-12)


def test_with_holes_over_the_rows_that_have_both() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((200, 2)) @ np.array([[1, 0.6], [0, 0.8]])
    x[rng.random((200, 2)) < 0.3] = np.nan
    ranked = rankdata(x, axis=0, nan_policy="omit")
    both = ~np.isnan(x).any(1)
    expected = pearsonr(ranked[both, 0], ranked[both, 1]).statistic
    assert associations(numbers(x))[0, 1] == pytest.approx(expected)


def test_levels_go_together_as_scipys_v_says_less_its_bias() -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 4, 300)
    b = np.where(rng.random(300) < 0.5, a, rng.integers(0, 3, 300))
    n = 300
    counts = np.histogram2d(a, b, bins=(4, 4))[0]
    phi2 = association(counts.astype(int), method="cramer") ** 2 * 3
    # Bergsma (2013): phi² and the numbers of rows and columns, corrected.
    corrected = phi2 - 3 * 3 / (n - 1)
    expected = math.sqrt(corrected / (4 - 9 / (n - 1) - 1))
    assert associations(levels(a, b))[0, 1] == pytest.approx(expected)


def test_numbers_go_with_levels_as_the_f_test_says() -> None:
    rng = np.random.default_rng(4)
    group = rng.integers(0, 5, 250)
    x = rng.standard_normal(250) + 0.5 * group
    ranked = rankdata(x)
    f = f_oneway(*(ranked[group == k] for k in range(5))).statistic
    # eta² = 4F/(4F + n - 5); epsilon² = 1 - (n - 1)/(n - 5) (1 - eta²)
    eta2 = 4 * f / (4 * f + 245)
    expected = math.sqrt(1 - 249 / 245 * (1 - eta2))
    mixed = replace(numbers(x[:, None]), categorical_names=("l",), categories=group[:, None])
    assert associations(mixed)[0, 1] == pytest.approx(expected)


def test_what_is_independent_does_not_seem_associated_for_having_many_levels() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(50):
        a, b = rng.integers(0, 25, (2, 200))
        mixed = replace(levels(a, b), numeric_names=("x",), numeric=rng.random((200, 1)))
        found.append(associations(mixed))
    # Without the corrections Cramer's V would be 0.34 on average, the correlation ratio too.
    assert np.mean(found, axis=0)[np.triu_indices(3, 1)].max() < 0.12


def test_perfect_and_absent_association() -> None:
    a = np.arange(60) % 3
    np.testing.assert_allclose(associations(levels(a, 2 - a, 0 * a))[0], [1, 1, 0], atol=1e-9)
    constant = numbers(np.stack([np.arange(60.0), np.full(60, 7.0), np.full(60, np.nan)], axis=1))
    np.testing.assert_array_equal(associations(constant), np.eye(3))


# --------------------------------------------------------------------------------- coordinates


def test_every_column_varies_by_one_in_all() -> None:
    rows = table(3000, 0)
    (points,) = coordinates([code(rows)])
    assert points.var(0).sum() == pytest.approx(len(KINDS), rel=1e-6)


def test_distances_do_not_depend_on_units_or_tails() -> None:
    rows, other = table(200, 0), table(200, 1)

    def bent(part: DataTable) -> DataTable:
        return changed(part, "x", lambda c: replace(c, values=np.exp(3 * c.values)))

    plain = coordinates(coded([rows, other], KINDS))
    curved = coordinates(coded([bent(rows), bent(other)], KINDS))
    np.testing.assert_allclose(plain[1], curved[1])


def test_holes_lie_apart_and_like_holes_together() -> None:
    kinds: dict[str, ColumnType] = {"x": "continuous", "w": "categorical"}
    rows = of(x=[1.0, 2.0, None, None], w=["a", None, "a", None])
    (points,) = coordinates([code(rows, kinds)])
    twice = np.concatenate([points, points])
    apart = np.linalg.norm(twice[:, None] - twice, axis=2)
    assert (np.isclose(apart, 0) == np.tile(np.eye(4, dtype=bool), (2, 2))).all()


def test_the_nearest_known_row_is_that_of_brute_force() -> None:
    known, rows = coded([table(50, 0), table(30, 1)], KINDS)
    points, others = coordinates([known, rows])
    expected = np.linalg.norm(others[:, None] - points, axis=2).min(1)
    np.testing.assert_allclose(distances_to(known, rows)[0], expected, atol=1e-7)


# ----------------------------------------------------------------------------------- intervals


def test_what_intervals_claim_is_what_order_statistics_of_uniforms_hold() -> None:
    found = intervals(impute, table(50, 0), KINDS)["numbers"]
    # The i-th of D uniform numbers is Beta(i, D + 1 - i).
    expected = [
        beta(DRAWS + 1 - i, i).mean() - beta(i, DRAWS + 1 - i).mean()
        for i in range(1, DRAWS // 2 + 1)
    ]
    np.testing.assert_allclose(found.nominal, expected)
    assert found.nominal[0] == pytest.approx(19 / 21)


def test_exact_draws_hold_what_they_claim_and_keep_to_it_with_ties() -> None:
    """Whole numbers, dates and skewed levels tie heavily; the claim is exact all the same."""
    found = [intervals(impute, table(300, seed), KINDS, seed=seed) for seed in range(12)]
    for what in ("numbers", "categories"):
        depth = np.concatenate([each[what].depth for each in found])
        observed = replace(found[0][what], depth=depth).observed()
        # Cells of one row share their class, which at most doubles the variance.
        chance = np.sqrt(2 * 0.25 / len(depth))
        np.testing.assert_allclose(observed, found[0][what].nominal, atol=4 * chance)


def test_imputing_beats_the_mean_where_columns_tell_of_each_other() -> None:
    found = intervals(impute, table(300, 0, holes=0), KINDS)
    assert found["numbers"].error < 0.9 * found["numbers"].plain_error
    assert found["categories"].error < 0.9 * found["categories"].plain_error
    # The mean is off by one standard deviation.
    assert found["numbers"].plain_error == pytest.approx(1, abs=0.1)


def test_a_hole_that_was_not_filled_is_told() -> None:
    with pytest.raises(DataError, match=r"imputing left \d+ cells empty"):
        intervals(lambda rows, draws: [rows] * draws, table(50, 0), KINDS)


# ------------------------------------------------------------ as other libraries measure them

SMALL: dict[str, ColumnType] = {
    "x": "continuous", "y": "continuous", "n": "continuous", "word": "categorical",
    "flag": "categorical",
}  # fmt: skip


def small(*names: str) -> list[Coded]:
    """The two tables of `small_table`, which says how the figures below were printed."""
    both = (columns(shift) for shift in (0.0, 0.4))
    return coded([of(**{name: each[name] for name in names}) for each in both], SMALL)


def test_shape_is_sdmetrics() -> None:
    printed = [0.9666666666666667, 0.9019607843137255, 0.6333333333333333, 0.95, 0.9166666666666666]
    # SDMetrics takes a category that one table lacks to have a share of 1e-6.
    np.testing.assert_allclose(shapes(*small(*SMALL)), printed, atol=1e-7)


def test_trend_is_sdmetrics() -> None:
    printed = [
        0.9946161350851528, 0.97506097168387, 0.6499999999999999, 0.8166666666666667,
        0.9576716310275135, 0.7666666666666667, 0.7833333333333333, 0.5833333333333333,
        0.5833333333333334, 0.9,
    ]  # fmt: skip
    np.testing.assert_allclose(trends(*small(*SMALL)), printed, atol=1e-9)


def test_trend_sees_nothing_in_a_parabola_and_something_in_a_constant() -> None:
    """As SDMetrics: y = x² and y shuffled have the same correlation, none, with x."""
    x = np.linspace(-1, 1, 400)
    mixed = np.random.default_rng(0).permutation(x**2)
    apart = trends(numbers(np.stack([x, x**2], 1)), numbers(np.stack([x, mixed], 1)))[0]
    assert apart == pytest.approx(1, abs=0.05)
    line = trends(numbers(np.stack([x, x], 1)), numbers(np.stack([x, 0 * x], 1)))[0]
    assert line == pytest.approx(0.5)  # 1 - |1 - 0|/2


def test_alpha_precision_and_beta_recall_are_synthcitys() -> None:
    found = alpha_precision_beta_recall(*small("x", "n", "word", "flag"))
    np.testing.assert_allclose(found, [0.6933333333333334, 0.34999999999999987], atol=1e-12)


def test_alpha_precision_of_a_scaled_disc_is_known() -> None:
    """Uniform in a disc of radius 1 and of radius q: P_a = min(1, a/q²)."""
    rng = np.random.default_rng(0)

    def disc(radius: float) -> Coded:
        r, turn = radius * np.sqrt(rng.random(4000)), 2 * np.pi * rng.random(4000)
        return numbers(np.stack([r * np.cos(turn), r * np.sin(turn)], 1))

    alphas = np.linspace(0, 1, 30)
    for q in (0.7, 1.0):
        curve = np.minimum(1, alphas / q**2)
        expected = 1 - np.abs(alphas - curve).sum() / alphas.sum()
        precision, recall = alpha_precision_beta_recall(disc(1.0), disc(q))
        assert precision == pytest.approx(expected, abs=0.03)
    # Of one law: the nearest of all rows is in one set as often as in the other, so that R_b = b/2.
    assert recall == pytest.approx(0.5, abs=0.03)


def test_missing_values_are_a_category_of_their_own_to_alpha_precision() -> None:
    rows = table(200, 0)
    filled = table(200, 1, holes=0)
    assert alpha_precision_beta_recall(*coded([rows, table(200, 2)], KINDS))[0] > 0.85
    assert alpha_precision_beta_recall(*coded([rows, filled], KINDS))[0] < 0.85


def test_boundary_and_category_measures_are_sdmetrics() -> None:
    for name, printed in (("x", 0.9833333333333333), ("y", 0.9607843137254902), ("n", 0.63333333)):
        real, drawn = small(name)
        found = {each.name: each for each in support_measures(drawn, real, real)}
        assert found["boundary_adherence"].value == pytest.approx(printed)
    for name, covered, adheres in (("word", 0.8, 0.9833333333333333), ("flag", 1.0, 1.0)):
        real, drawn = small(name)
        assert category_coverage(real, drawn) == pytest.approx(covered)
        found = {each.name: each for each in support_measures(drawn, real, real)}
        assert found["category_adherence"].value == pytest.approx(adheres)


def test_detection_is_that_of_the_best_classifier_and_chance_is_about_one() -> None:
    """For N(0, 1) against N(d, 1) the best AUC is Phi(d/sqrt(2)), and s = 2 - 2 AUC."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 6000, 1))
    best = 2 - 2 * norm.cdf(1 / 2**0.5)
    assert detection(x, y + 1) == pytest.approx(best, abs=0.04)
    assert detection(x, y) == pytest.approx(1, abs=0.05)
    assert detection(x, x + 99) < 1e-3


def test_bins_leave_room_for_what_is_beside_a_lump() -> None:
    """Nine of ten values are 0; of the others the drawn ones lie in every second of 60 stripes.

    The best classifier knows all but the zeros: AUC = 1 - 0.9²/2, s = 0.9². Bins of even mass would
    leave 25 for the stripes.
    """
    rng = np.random.default_rng(0)

    def stripes(which: int) -> np.ndarray:
        x = 1 + (2 * rng.integers(0, 30, 20_000) + which + rng.random(20_000)) / 60
        return np.where(rng.random(20_000) < 0.9, 0.0, x)[:, None]

    real, drawn = stripes(0), stripes(1)
    assert detection(real, drawn) == pytest.approx(0.81, abs=0.03)
    codes = binned(real[:, 0])
    assert codes.max() < 254
    assert (np.diff(codes[np.argsort(real[:, 0], kind="stable")]) >= 0).all()
    assert len(np.unique(codes[real[:, 0] > 0])) > 200
    assert np.isnan(binned(np.array([1.0, np.nan, 3.0]))).tolist() == [False, True, False]


# --------------------------------------------------------------------------------------- support


def lumps(n: int, seed: int, *, smeared: float = 0.0) -> DataTable:
    """A column of two lumps, 2.3 to 9.0 and -999 in six of a hundred rows; and a second column.

    Args:
        n: rows.
        seed: of the draw.
        smeared: the share of rows that lie in the gap between the lumps instead.
    """
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(n) < 0.06, -999.0, rng.uniform(2.3, 9.0, n))
    x = np.where(rng.random(n) < smeared, rng.uniform(-900, 0, n), x)
    return of(x=list(x), word=list(np.array(["a", "b"])[rng.integers(0, 2, n)]))


LUMPS: dict[str, ColumnType] = {"x": "continuous", "word": "categorical"}


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("smeared", [0.0, 0.06])
def test_values_where_none_can_be_are_apart(smeared: float) -> None:
    """Six of a hundred rows have a value inside a gap; the table must not pass for a real one."""
    reference, train, *real = (lumps(300, 20 + k) for k in range(8))
    sample = lumps(300, 0, smeared=smeared)
    found = {m.name: m for m in evaluate_table(sample, reference, real, train, kinds=LUMPS)}
    whole = Evaluation(tuple(found.values()), 300)
    if smeared:
        assert found["gaps"].value == pytest.approx(0.06, abs=0.04)
        assert found["gaps"].verdict == whole.verdict == "apart"
        assert found["gaps"].detail.startswith("'x': ")
    else:
        assert found["gaps"].value == found["gaps"].floor[0] == 0
        assert found["gaps"].verdict == "cannot be told apart"
        assert whole.verdict != "apart"


def test_what_is_a_gap_and_what_is_not() -> None:
    known = Known.of(np.array([*np.linspace(0, 1, 50), *np.linspace(5, 6, 50), 40.0]))
    inside = known.inside_gaps(np.array([0.51, 1.0, 3.0, 5.0, 20.0, -7.0, 99.0, np.nan]))
    # 20 lies between 6 and 40, where one value alone is on the other side.
    assert inside.tolist() == [False, False, True, False, False, False, False, False]
    known = Known.of(np.arange(12.0).repeat(10))  # integers: each is a twelfth of the range
    assert known.inside_gaps(np.array([2.0, 2.5])).tolist() == [False, True]
    assert known.recurs
    assert known.unseen(np.array([2.0, 2.5, np.nan])).tolist() == [False, True, False]
    assert not Known.of(np.linspace(0, 1, 50)).recurs


def test_a_lattice_is_told_from_what_lies_between_its_points() -> None:
    rng = np.random.default_rng(0)

    def sums(n: int) -> np.ndarray:
        """Sums of 0.89, 1.79 and 3.13, as prices are: an uneven lattice without wide gaps."""
        return np.asarray(rng.integers(0, 6, (n, 3)) @ [0.89, 1.79, 3.13])[:, None]

    train, fresh, sample = numbers(sums(4000)), numbers(sums(400)), numbers(sums(400))
    off = numbers(sample.numeric + 0.004 * (rng.random((400, 1)) < 0.06))
    kept, found = (
        {m.name: m for m in support_measures(each, fresh, train)} for each in (sample, off)
    )
    assert kept["unseen_values"].verdict == "cannot be told apart"
    assert found["unseen_values"].verdict == "apart"
    assert found["gaps"].verdict == found["boundary_adherence"].verdict == "cannot be told apart"


def test_limits_of_shares_are_those_of_clopper_and_pearson() -> None:
    """Fresh rows have none amiss of 300: the chance is below 1 - 0.01^(1/300) = 1.52 %."""
    fresh, sample, known = coded([lumps(300, k) for k in (20, 0, 21)], LUMPS)
    (gaps,) = (m for m in support_measures(sample, fresh, known) if m.name == "gaps")
    assert gaps.limit == binom.ppf(0.99, 300, 1 - 0.01 ** (1 / 300)) / 300


def test_pairs_of_categories_that_never_occur_are_apart() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, (5, 500))
    b = (a + rng.integers(0, 3, a.shape)) % 6  # half of the 36 pairs occur
    train, fresh, good, other, _ = (levels(x, y) for x, y in zip(a, b, strict=True))
    bad = levels(a[2], np.where(rng.random(500) < 0.06, (a[2] + 4) % 6, b[2]))
    for sample, verdict in ((good, "cannot be told apart"), (bad, "apart")):
        found = {m.name: m for m in support_measures(sample, fresh, train)}
        assert found["unseen_pairs"].verdict == verdict
    few = levels(np.zeros(500, int), np.zeros(500, int))
    assert undrawn_pairs(fresh, few) == 500 - ((a[1] == 0) & (b[1] == 0)).sum()
    assert undrawn_pairs(fresh, fresh) == 0
    assert undrawn_pairs(fresh, other) < 10


@pytest.mark.usefixtures("few_trees")
def test_twenty_rows_have_no_power_and_it_is_said() -> None:
    reference, *real = (lumps(20, 40 + k) for k in range(7))
    rows = concatenate([lumps(20, 60 + k) for k in range(10)])
    found = tuple(evaluate_table(lumps(20, 1), reference, real, rows, kinds=LUMPS))
    blind = {each.name for each in found if each.verdict == "no power"}
    assert {"detection", "efficacy", "gaps"} <= blind
    whole = Evaluation(found, 20)
    assert whole.verdict == "no power"
    assert whole.note.startswith("No power with 20 rows of each: ")
    assert "detection by trees" in whole.note
    # What they see all the same counts.
    far = changed(lumps(20, 0), "x", lambda c: replace(c, values=c.values + 5000))
    apart = tuple(evaluate_table(far, reference, real, rows, kinds=LUMPS))
    assert Evaluation(apart, 20).verdict == "apart"


# ------------------------------------------------------------------------------------ efficacy


def test_the_error_of_foretelling_is_none_or_all() -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2000, 3))
    known = replace(numbers(x), categorical_names=("sign",), categories=(x[:, :1] > 0).astype(int))
    train, test = known[:1000], known[1000:]
    assert error(train, test, "sign") < 0.01
    assert error(train, test, "x2") > 0.97  # nothing tells of it
    shuffled = replace(train, categories=rng.permutation(train.categories))
    assert error(shuffled, test, "sign") > 0.85
    one_level = replace(train, categories=0 * train.categories)
    assert error(one_level, test, "sign") == 1
    # The AUC, which is 1/2 by guessing, and R², which is 0.
    assert efficacy(one_level, test, "sign") == 0.5
    assert efficacy(train, test, "sign") > 0.995
    assert efficacy(train, test, "x2") < 0.03
    assert set(targets(known)[:2]) == {"sign", "x0"}


# --------------------------------------------------------------------------- all of them at once


def measured(
    sample: DataTable,
    train: DataTable | None = None,
    *,
    log_prob: Callable[[DataTable], np.ndarray] | None = None,
    impute: Imputer | None = None,
    last: str = "",
    **options: Any,
) -> dict[str, Measure]:
    """All measures, or all up to one."""
    reference, *real = (table(len(sample), 100 + k) for k in range(SETS + 1))
    if log_prob is not None:
        known = concatenate(real) if train is None else train
        options["scores"] = likelihoods(log_prob, sample, reference, known)
    if impute is not None:
        options["filled"] = intervals(impute, reference, KINDS)
    found = {}
    for each in evaluate_table(sample, reference, real, train, kinds=KINDS, **options):
        found[each.name] = each
        if each.name == last:
            break
    return found


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what stands beside the measures by trees, whose floors the same trees set."""
    monkeypatch.setattr("sfumato.metrics.detection._TREES", 2)
    monkeypatch.setattr("sfumato.metrics.efficacy._TREES", 2)


def verdicts(found: Mapping[str, Measure]) -> dict[str, str]:
    return {name: each.verdict for name, each in found.items()}


@pytest.mark.usefixtures("few_trees")
def test_a_perfect_model_is_beyond_chance_as_rarely_as_chance_is() -> None:
    found = [
        verdict
        for seed in range(4)
        for verdict in verdicts(
            measured(table(150, seed), table(500, 50 + seed), log_prob=log_prob, impute=impute)
        ).values()
    ]
    assert len(found) == 4 * 28
    # 2 in 100 on average: more than 6 of 112 have a chance of 2 %.
    assert len(found) - found.count("cannot be told apart") <= 6
    assert "apart" not in found


@pytest.mark.usefixtures("few_trees")
def test_a_shifted_column_is_found_and_named() -> None:
    shifted = changed(table(ROWS, 0), "x", lambda c: replace(c, values=c.values + 4))
    found = measured(shifted, last="worst_marginal")
    assert found["shape"].verdict == found["worst_marginal"].verdict == "apart"
    assert found["worst_marginal"].detail.startswith("'x': ")
    assert found["detection"].verdict == "apart"


def test_shuffled_columns_are_found_by_dependence_and_not_by_marginals() -> None:
    rng = np.random.default_rng(0)
    rows = table(ROWS, 0)
    shuffled = DataTable(tuple(each.take(rng.permutation(ROWS)) for each in rows))
    found = verdicts(measured(shuffled, last="worst_pair"))
    assert found["shape"] == found["worst_marginal"] == "cannot be told apart"
    assert found["dependence"] == found["worst_pair"] == found["efficacy"] == "apart"
    assert found["detection"] == "apart"


@pytest.mark.usefixtures("few_trees")
def test_a_missing_level_and_a_strange_one_are_found() -> None:
    rows = table(ROWS, 0)
    for word in ("a", "never seen"):
        values = np.where(rows["word"].values == "c", word, rows["word"].values)
        recoded = changed(rows, "word", partial(replace, values=values))
        found = measured(recoded, last="worst_marginal")
        assert found["worst_marginal"].verdict == "apart"
        assert found["worst_marginal"].detail.startswith("'word': ")


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("name", ["x", "word"])
def test_too_many_holes_are_found(name: str) -> None:
    rng = np.random.default_rng(0)
    holed = changed(
        table(ROWS, 0), name, lambda c: replace(c, missing=c.missing | (rng.random(ROWS) < 0.3))
    )
    found = measured(holed, last="worst_marginal")
    assert found["worst_marginal"].verdict == "apart"
    assert found["worst_marginal"].detail.startswith(f"{name!r}: ")


@pytest.mark.usefixtures("few_trees")
def test_a_narrowed_law_costs_recall_and_a_widened_one_precision() -> None:
    rows = table(ROWS, 0)
    near = rows.take(np.argsort(-log_prob(rows))[np.arange(ROWS) % (ROWS // 8)])
    assert verdicts(measured(near, last="coverage"))["coverage"] == "apart"
    rng = np.random.default_rng(0)
    uniform = DataTable(tuple(each.take(rng.integers(0, ROWS, ROWS)) for each in rows))
    assert verdicts(measured(uniform, last="coverage"))["precision"] != "cannot be told apart"


@pytest.mark.usefixtures("few_trees")
def test_copies_are_found_by_every_measure_of_privacy() -> None:
    train = table(ROWS, 50, holes=0)
    found = measured(train, train)
    assert found["copies"].value == 1
    assert found["copies"].verdict == found["memorisation"].verdict == "apart"
    assert found["distance_attack"].verdict == "apart"
    assert found["distance_attack"].value > 0.9


@pytest.mark.usefixtures("few_trees")
def test_rows_that_levels_must_share_are_no_copies() -> None:
    kinds: dict[str, ColumnType] = {"word": "categorical", "truth": "boolean"}
    sample, reference, train, *real = (
        DataTable(tuple(table(200, k, holes=0)[name] for name in kinds)) for k in range(6)
    )
    found = {m.name: m for m in evaluate_table(sample, reference, real, train, kinds=kinds)}
    assert found["copies"].value == 1
    assert found["copies"].verdict == "cannot be told apart"
    assert (
        found["memorisation"].verdict
        == found["distance_attack"].verdict
        == ("cannot be told apart")
    )


@pytest.mark.usefixtures("few_trees")
def test_a_density_that_knows_its_training_rows_is_found() -> None:
    train = table(ROWS, 50)
    known = set(train["x"].values.tolist())

    def learned_by_heart(rows: DataTable) -> np.ndarray:
        return log_prob(rows) + 3.0 * np.array([x in known for x in rows["x"].values.tolist()])

    found = verdicts(measured(table(ROWS, 0), train, log_prob=learned_by_heart))
    assert found["overfit"] == found["density_attack"] == "apart"
    assert found["likelihood"] == found["copies"] == "cannot be told apart"


@pytest.mark.usefixtures("few_trees")
def test_samples_that_are_too_likely_are_found() -> None:
    rows = table(3 * ROWS, 0)
    likely = rows.take(np.argsort(-log_prob(rows))[:ROWS])
    assert verdicts(measured(likely, log_prob=log_prob))["likelihood"] == "apart"


@pytest.mark.usefixtures("few_trees")
def test_imputing_that_is_too_sure_is_found() -> None:
    def sure(rows: DataTable, draws: int) -> Sequence[DataTable]:
        drawn = impute(rows, draws)
        return [drawn[0], drawn[1]] * (draws // 2)  # two draws, as if they were twenty

    found = verdicts(measured(table(ROWS, 0), impute=sure))
    assert found["numbers_intervals"] == found["categories_intervals"] == "apart"


@pytest.mark.usefixtures("few_trees")
def test_the_target_is_the_one_asked_for() -> None:
    found = measured(table(150, 0), target="truth")["efficacy"]
    assert found.detail.startswith(f"predicted 'truth': AUC {found.value:.3f};")
    with pytest.raises(DataError, match="no column 'price' that varies"):
        measured(table(150, 0), target="price")


@pytest.mark.usefixtures("few_trees")
def test_the_same_seed_gives_the_same_figures() -> None:
    options: dict[str, Any] = {"log_prob": log_prob, "impute": impute, "seed": 3}
    first, again = (measured(table(60, 0), table(90, 1), **options) for _ in range(2))
    assert first == again


def test_columns_one_by_one_in_the_tables_order() -> None:
    reference, *real = (table(ROWS, 100 + k) for k in range(SETS + 1))
    shifted = changed(table(ROWS, 0), "n", lambda c: replace(c, values=c.values + 2))
    found = column_measures(shifted, reference, real, kinds=KINDS)
    assert [each.name for each in found] == list(KINDS)
    assert [each.name for each in found if each.verdict == "apart"] == ["n"]


@pytest.mark.usefixtures("few_trees")
def test_nothing_says_that_nobody_can_be_recognised() -> None:
    train = table(100, 1)
    found = measured(table(100, 0), train, log_prob=log_prob, impute=impute)
    assert not any("anonym" in each.sentence.lower() for each in found.values())
    assert "never that it does not" in found["distance_attack"].sentence


# --------------------------------------------------------------------------------- odd tables

ODD: dict[
    str, tuple[dict[str, ColumnType], Callable[[int, np.random.Generator], dict[str, Any]]]
] = {
    "one column of numbers": ({"a": "continuous"}, lambda n, r: {"a": list(r.random(n))}),
    "one column of levels": ({"a": "boolean"}, lambda n, r: {"a": list(r.random(n) < 0.2)}),
    "levels only": (
        {"a": "categorical", "b": "ordinal"},
        lambda n, r: {"a": [f"{k}" for k in r.integers(0, 9, n)], "b": list(r.integers(0, 3, n))},
    ),
    "as many levels as rows": (
        {"a": "categorical", "b": "continuous"},
        lambda n, r: {"a": [f"{k}" for k in r.integers(0, 9**9, n)], "b": list(r.random(n))},
    ),
    "holes nearly everywhere": (
        {"a": "continuous", "b": "categorical"},
        lambda n, r: {
            "a": [x if x < 0.05 else None for x in r.random(n)],
            "b": ["x" if x < 0.05 else None for x in r.random(n)],
        },
    ),
    "holes only": (
        {"a": "continuous", "b": "categorical", "c": "integer"},
        lambda n, r: {"a": [None] * n, "b": [None] * n, "c": list(r.integers(0, 5, n))},
    ),
    "hardly varying": (
        {"a": "integer", "b": "boolean", "c": "constant", "d": "dropped"},
        lambda n, r: {
            "a": list((r.random(n) < 0.004).astype(int)),
            "b": [True] * n,
            "c": [1.0] * n,
            "d": [f"{k}" for k in range(n)],
        },
    ),
    "huge and tiny": (
        {"a": "continuous", "b": "continuous"},
        lambda n, r: {"a": list(r.standard_cauchy(n) * 1e300), "b": list(r.random(n) * 1e-300)},
    ),
}


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("rows", [20, 70])
@pytest.mark.parametrize("odd", ODD)
def test_odd_tables_are_measured_all_the_same(odd: str, rows: int) -> None:
    kinds, make = ODD[odd]
    sample, reference, *real = (of(**make(rows, np.random.default_rng(k))) for k in range(7))

    def fill(holed: DataTable, draws: int) -> Sequence[DataTable]:
        return [
            DataTable(tuple(replace(c, missing=np.zeros(rows, dtype=bool)) for c in holed))
        ] * draws

    def zero(part: DataTable) -> np.ndarray:
        return np.zeros(len(part))

    study = TableStudy(sample, reference, real, concatenate(real), kinds, zero, fill)
    found = list(study.measures())
    assert len(found) == study.number_of_measures
    assert all(math.isfinite(each.value) and math.isfinite(each.limit) for each in found)
    assert {each.name for each in found} >= {"shape", "detection", "coverage", "copies"}


@pytest.mark.usefixtures("few_trees")
def test_tables_that_cannot_be_compared_are_refused() -> None:
    few, rows = table(10, 0), table(30, 0)
    with pytest.raises(DataError, match="at least 20 rows"):
        next(evaluate_table(few, few, [few, few], None, kinds=KINDS))
    with pytest.raises(DataError, match="same rows and columns"):
        next(evaluate_table(rows, few, [rows, rows], None, kinds=KINDS))
    with pytest.raises(DataError, match="same rows and columns"):
        next(evaluate_table(rows, rows, [rows], None, kinds=KINDS))
    with pytest.raises(DataError, match="constant or dropped"):
        next(evaluate_table(rows, rows, [rows] * 2, None, kinds=dict.fromkeys(KINDS, "constant")))
    with pytest.raises(DataError, match="1 of 150 log densities are NaN or infinite"):
        measured(rows, log_prob=lambda part: np.where(np.arange(len(part)) == 3, -np.inf, 0.0))


def test_levels_are_numbered_from_the_commonest_of_the_reference() -> None:
    kinds: dict[str, ColumnType] = {"w": "categorical"}
    first = of(w=["b", "a", "b", None])
    other = of(w=["new", "a", "b", "b"])
    assert [each.categories[:, 0].tolist() for each in coded([first, other], kinds)] == [
        [0, 1, 0, -1], [2, 1, 0, 0]
    ]  # fmt: skip
    many = of(w=[f"{k:04}" for k in range(1000)])
    features = code(many, kinds).features[:, 0]
    assert (features.min(), features.max()) == (0, 254)
    assert all(a <= b for a, b in pairwise(features))
