"""Predictions of a model whose network is exact: no law is better, and its claims are kept."""

import math
from dataclasses import replace

import numpy as np
import pytest

from exact_table import COVARIANCE, HOLES, MEANS, SHARE_B, exact_model, rows
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics.predictions import CategoryPicture, NumberPicture, Predictions
from sfumato.runs.judge_predictions import judged_predictions


def drawn(n: int, seed: int, *, holes: bool = True) -> DataTable:
    """From the law that the network knows."""
    rng = np.random.default_rng(seed)
    k = (rng.random(n) < SHARE_B).astype(int)
    x, y = (MEANS.numpy()[k] + rng.multivariate_normal([0, 0], COVARIANCE.numpy(), n)).T
    if holes:
        y[rng.random(n) < HOLES.numpy()[k]] = math.nan
    return rows(["ab"[each] for each in k], x.tolist(), y.tolist())


@pytest.fixture(scope="module")
def numbers() -> Predictions:
    return judged_predictions(exact_model(), drawn(300, 0), drawn(1000, 1), "y")


@pytest.fixture(scope="module")
def words() -> Predictions:
    # A missing y is taken as not known, though it says something of the word.
    new, known = drawn(300, 0, holes=False), drawn(1000, 1, holes=False)
    return judged_predictions(exact_model(), new, known, "word")


def test_a_right_law_of_a_number_passes_and_has_its_own_score(numbers: Predictions) -> None:
    """Given x and the word y is normal, of which the mean CRPS is its deviation / sqrt(pi)."""
    found = {score.name: score for score in numbers.scores}
    (var_x, cross), (_, var_y) = COVARIANCE.numpy()
    deviation = math.sqrt(var_y - cross**2 / var_x)
    crps = found["crps"]
    assert crps.values["model"] == pytest.approx(
        deviation / math.sqrt(math.pi), abs=3 * crps.errors["model"]
    )
    for name in ("coverage_50", "coverage_90", "pit"):
        low, high = found[name].chance["model"]
        assert low <= found[name].values["model"] <= high
    lead, error = crps.leads["linear"]  # whose law is right, too
    assert abs(lead) < 3 * error
    assert crps.leads["unconditional"][0] > 5 * crps.leads["unconditional"][1]


def test_the_log_score_of_a_number_is_the_entropy_of_its_law() -> None:
    """Given y and the word x is normal. Its codec is the identity: it takes x for N(0, 1)."""
    new, known = drawn(200, 0, holes=False), drawn(1000, 1, holes=False)
    judged = judged_predictions(exact_model(), new, known, "x")
    found = {score.name: score for score in judged.scores}["log_score"]
    (var_x, cross), (_, var_y) = COVARIANCE.numpy()
    entropy = 0.5 * math.log(2 * math.pi * math.e * (var_x - cross**2 / var_y))
    assert found.values["model"] == pytest.approx(entropy, abs=3 * found.errors["model"])
    lead, error = found.leads["linear"]  # whose law is right, too
    assert abs(lead) < 3 * error
    x = new["x"].values
    expected = (x**2).mean() / 2 + 0.5 * math.log(2 * math.pi)
    assert found.values["unconditional"] == pytest.approx(expected)


def test_rows_without_the_target_are_left_out_and_counted(numbers: Predictions) -> None:
    empty = int(drawn(300, 0)["y"].missing.sum())
    assert numbers.rows == 300 - empty
    assert f"{empty} rows are left out" in " ".join(numbers.sentences)


def test_what_is_drawn_is_what_was_judged(numbers: Predictions) -> None:
    picture = numbers.picture
    assert isinstance(picture, NumberPicture)
    assert picture.truth.shape == (numbers.rows,)
    assert picture.quantiles.shape == (numbers.rows, 5)
    assert picture.pit.sum() == pytest.approx(1)
    assert len(picture.densities) == 6
    for each in picture.densities:
        (row,) = np.flatnonzero(picture.truth == each.truth)
        middle = each.values[len(each.values) // 2]
        assert middle == pytest.approx(picture.quantiles[row, 2], abs=0.03)


def test_right_probabilities_are_calibrated(words: Predictions) -> None:
    found = {score.name: score for score in words.scores}
    assert found["calibration"].values["model"] < found["calibration"].chance["model"][1]
    assert found["auc"].values["unconditional"] == 0.5
    assert found["brier"].leads["unconditional"][0] > 5 * found["brier"].leads["unconditional"][1]
    assert isinstance(words.picture, CategoryPicture)
    assert words.picture.event == "b"
    text = words.to_dict()
    assert sum(text["reliability"]["rows"]) == words.rows == 300
    assert [each["name"] for each in text["scores"]] == [*found]


def test_without_training_rows_the_model_stands_alone() -> None:
    for target in ("word", "x"):
        found = judged_predictions(exact_model(), drawn(40, 0), None, target)
        assert found.laws == ("model",)
        assert found.sentences


def test_an_unseen_category_is_left_out_and_counted() -> None:
    table = drawn(60, 0)
    column = table["word"]
    values = np.r_[np.array(["z"] * 3, object), column.values[3:]]
    table = DataTable((replace(column, values=values), *table.columns[1:]))
    found = judged_predictions(exact_model(), table, None, "word")
    assert found.rows == 57
    assert found.notes == ("3 rows are left out: their 'word' was never seen in training.",)


def test_what_cannot_be_judged_is_refused_with_the_reason() -> None:
    model, table = exact_model(), drawn(60, 0)
    with pytest.raises(ArgumentError, match="'yy'"):
        judged_predictions(model, table, None, "yy")
    with pytest.raises(DataError, match="at least 10 rows that have a value there; 9 of"):
        judged_predictions(model, drawn(9, 0), None, "x")
    same = table.take(np.flatnonzero(table["word"].values == "a"))
    with pytest.raises(DataError, match="have the same 'word'"):
        judged_predictions(model, same, None, "word")
