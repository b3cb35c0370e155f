"""A regressor, a classifier, and the predictions of a model of a table."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from quick import few_trees
from sfumato import DiffusionClassifier, DiffusionModel, DiffusionRegressor
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError, DataError
from sfumato.estimator import predictors, stacking
from sfumato.models.predictive import PredictedNumbers

QUICK = {
    "network.depth": 1,
    "training.batch_size": 64,
    "training.learning_rate": 5e-3,
    "training.warmup": 5,
    "training.average": 0.9,
}


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Small learners, and two parts of few rows instead of five that are kept out in turn."""
    with few_trees(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictors, "_PARTS", 2)
        yield


# scikit-learn's checks that ask for a score.
_OF_QUALITY = ("check_classifiers_train", "check_regressors_train")


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        DiffusionClassifier(steps=20, width=16, settings=QUICK, random_state=0),
        DiffusionRegressor(steps=10, width=16, settings=QUICK, random_state=0),
    ]
)
def test_scikit_learn_s_own_checks(
    estimator: BaseEstimator, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that do not ask how well it predicts are answered after a few steps as well."""
    if check.func.__name__ not in _OF_QUALITY:
        estimator = clone(estimator).set_params(steps=3, width=8)
        monkeypatch.setattr(stacking, "_FOLDS", 2)
    check(estimator)


NOISE, N = 0.3, 2000
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, N))
FRAME = pd.DataFrame({"a": A, "b": B})
Y = 2 * A - B + NOISE * RNG.normal(size=N)
NEW = pd.DataFrame(RNG.uniform(-1.5, 1.5, (200, 2)), columns=["a", "b"])
MEAN = (2 * NEW.a - NEW.b).to_numpy()


@pytest.fixture(scope="module")
def regressor() -> DiffusionRegressor:
    return DiffusionRegressor(steps=150, width=32, random_state=0).fit(FRAME, Y)


def test_a_linear_law_is_predicted_with_its_noise(regressor: DiffusionRegressor) -> None:
    """y = 2a - b + e: mean, quantiles and interval are those of a normal law."""
    assert np.sqrt(np.square(regressor.predict(NEW) - MEAN).mean()) < 0.4 * NOISE
    low, high = regressor.predict_interval(NEW, 0.9).T
    expected = 2 * stats.norm.ppf(0.95) * NOISE
    assert (high - low).mean() == pytest.approx(expected, rel=0.15)
    truth = MEAN + NOISE * RNG.normal(size=len(NEW))
    inside = int(((low <= truth) & (truth <= high)).sum())
    assert stats.binomtest(inside, len(NEW), 0.9).pvalue > 1e-4
    # The mean CRPS of a normal law about its own mean is s / sqrt(pi).
    crps = regressor.law(NEW).crps(truth).mean()
    assert crps == pytest.approx(NOISE / math.sqrt(math.pi), rel=0.2)


def test_quantiles_rise_and_draws_are_quantiles(regressor: DiffusionRegressor) -> None:
    quantiles = regressor.predict_quantiles(NEW, [0.1, 0.5, 0.9])
    assert quantiles.shape == (200, 3)
    assert (np.diff(quantiles) > 0).all()
    drawn = regressor.sample(NEW, 50)
    assert drawn.shape == (200, 50)
    assert abs(np.median(drawn, axis=1) - quantiles[:, 1]).max() < 0.1


def test_missing_features_widen_the_law(regressor: DiffusionRegressor) -> None:
    """Without a, y is as wide as 2a and e together."""
    unknown = NEW[:60].assign(a=np.nan)
    low, high = regressor.predict_interval(unknown, 0.68).T
    assert (high - low).mean() == pytest.approx(2 * math.hypot(2, NOISE), rel=0.25)


def test_a_row_of_which_nothing_is_known_where_laws_have_a_point_mass(
    regressor: DiffusionRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its law is of draws, and those of the other rows stay as they are."""
    law = DiffusionRegressor._law

    def massed(self: DiffusionRegressor, rows: DataTable) -> PredictedNumbers:
        found = law(self, rows)
        values, weights, is_mass = (
            np.c_[each, np.full(len(found), one)]
            for each, one in ((found.values, 0.0), (found.weights / 2, 0.5), (found.is_mass, True))
        )
        return PredictedNumbers.rising(found.part, values, weights, is_mass.astype(bool))

    monkeypatch.setattr(DiffusionRegressor, "_law", massed)
    unknown = NEW[:2].copy()
    unknown.iloc[1] = np.nan
    found = regressor.law(unknown)
    assert found.is_mass.sum(1).tolist() == [1, 0]
    np.testing.assert_allclose(found.weights.sum(1), 1)
    np.testing.assert_allclose(found.weights[0][found.is_mass[0]], 0.5)
    assert (np.diff(found.values) >= 0).all()


@pytest.mark.parametrize("levels", [[0.0], [1.0], [0.5, 1.5], [math.nan]])
def test_levels_out_of_range_are_refused(
    regressor: DiffusionRegressor, levels: list[float]
) -> None:
    with pytest.raises(ArgumentError, match="above 0 and below 1"):
        regressor.predict_quantiles(NEW[:2], levels)
    with pytest.raises(ArgumentError, match="above 0 and below 1"):
        regressor.predict_interval(NEW[:2], levels[-1] if len(levels) == 1 else 1.5)


@pytest.mark.parametrize("n", [0, -2])
def test_no_values_of_a_law_are_refused(regressor: DiffusionRegressor, n: int) -> None:
    with pytest.raises(ArgumentError, match=f"`n` must be at least 1; got {n}"):
        regressor.sample(NEW[:2], n)


def test_an_array_after_a_frame_and_a_frame_after_an_array_go_by_place(
    regressor: DiffusionRegressor,
) -> None:
    few = NEW[:20]
    with pytest.warns(UserWarning, match="feature names"):
        found = regressor.predict(few.to_numpy())
    np.testing.assert_array_equal(found, regressor.predict(few))
    of_array = DiffusionRegressor(steps=3, width=16, random_state=0)
    of_array.fit(FRAME.to_numpy()[:300], Y[:300])
    with pytest.warns(UserWarning, match="feature names"):
        found = of_array.predict(few)
    np.testing.assert_array_equal(found, of_array.predict(few.to_numpy()))


def test_columns_whose_names_are_numbers_are_known_again() -> None:
    model = DiffusionRegressor(steps=10, width=16, random_state=0)
    numbered = pd.DataFrame(FRAME.to_numpy()[:600])
    found = model.fit(numbered, Y[:600]).predict(pd.DataFrame(NEW.to_numpy()))
    assert np.sqrt(np.square(found - MEAN).mean()) < 0.4 * NOISE


@pytest.mark.parametrize("settings", [{"training.steps": 7}, {"training": {"steps": 7}}])
def test_steps_that_are_asked_for_in_the_settings_are_taken(settings: dict[str, Any]) -> None:
    model = DiffusionRegressor(width=8, settings=settings, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        fits: list[int] = []
        learn = DiffusionModel.fit_table

        def counted(own: DiffusionModel, table: DataTable) -> DiffusionModel:
            found = learn(own, table)
            fits.append(found.model_.settings.training.steps)
            return found

        patch.setattr(DiffusionModel, "fit_table", counted)
        model.fit(FRAME[:600], Y[:600])
    assert fits == [7] * 3  # without each of two parts, and with all rows


def test_an_array_of_dates_is_one_line() -> None:
    days = (np.datetime64("2024-01-01") + np.arange(N))[:, None]
    with pytest.raises(DataError, match="dates come in data frames"):
        DiffusionRegressor(steps=1).fit(days, Y)


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        (np.full(N, 3.0), "y is 3 in every row"),
        (np.where(np.arange(N) == 5, math.nan, Y), "NaN or infinity"),
        (Y[:-1], "X has 2000 rows, and y has 1999"),
        (None, "requires y"),
        (np.where(A > 0, "up", "down"), "'(up|down)' and the like, which are no numbers"),
        (np.datetime64("2024-01-01") + np.arange(N), "y holds dates or times; give numbers"),
    ],
)
def test_a_target_that_cannot_be_learned_is_one_line(y: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        DiffusionRegressor(steps=1).fit(FRAME, y)


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="one class only"):
        DiffusionClassifier(steps=1).fit(FRAME, ["a"] * N)


def test_classes_keep_their_type_and_probabilities_are_bayes() -> None:
    """Two normal laws of a: log odds are 2a; frames with categories and missing values."""
    label = np.where(RNG.random(N) < 0.5, "low", "high")
    a = np.where(label == "high", 1.0, -1.0) + RNG.normal(size=N)
    frame = pd.DataFrame({"a": a, "c": pd.Categorical(RNG.choice(["x", "y"], N))})
    frame.loc[RNG.random(N) < 0.1, "a"] = None
    shallow = {"network.depth": 1}
    model = DiffusionClassifier(steps=200, width=32, settings=shallow, random_state=0)
    model.fit(frame, label)
    assert model.classes_.tolist() == ["high", "low"]
    new = pd.DataFrame({"a": np.linspace(-2, 2, 41), "c": ["x"] * 41})
    found = model.predict_proba(new)
    np.testing.assert_allclose(found.sum(1), 1)
    assert abs(found[:, 0] - 1 / (1 + np.exp(-2 * new.a))).mean() < 0.05
    assert set(model.predict(new)) == {"high", "low"}


def test_they_work_in_a_pipeline_and_a_search() -> None:
    steps = make_pipeline(StandardScaler(), DiffusionRegressor(width=16, random_state=0))
    search = GridSearchCV(steps, {"diffusionregressor__steps": [3, 6]}, cv=2)
    search.fit(FRAME.to_numpy()[:200], Y[:200])
    assert search.best_score_ > 0.5


@pytest.fixture(scope="module")
def model() -> DiffusionModel:
    frame = FRAME.assign(y=Y, kind=np.where(A > 0, "up", "down"))
    shallow = {"network.depth": 1}
    return DiffusionModel(steps=300, width=32, settings=shallow, random_state=0).fit(frame)


def test_any_column_of_one_model_is_predicted(model: DiffusionModel) -> None:
    """The target need not be in the frame; a column that is not there is not known."""
    rows = NEW.assign(kind=np.where(NEW.a > 0, "up", "down"))
    assert np.corrcoef(model.predict(rows, "y"), MEAN)[0, 1] > 0.98
    assert model.predict_quantiles(rows, [0.1, 0.9], "y").shape == (200, 2)
    assert model.predict_interval(rows, 0.8, "y").shape == (200, 2)
    sure = abs(NEW.a) > 0.3
    with pytest.warns(UserWarning, match="X lacks 'y': taken as not known"):
        assert (model.predict(NEW, "kind") == rows.kind)[sure].mean() > 0.95
    with pytest.warns(UserWarning, match="X lacks 'y'"):
        proba = model.predict_proba(NEW, "kind")
    assert model.categories("kind").tolist() == ["down", "up"]
    np.testing.assert_allclose(proba.sum(1), 1)


def test_conditions_per_row_are_kept_and_drawn_so_often(model: DiffusionModel) -> None:
    conditions = pd.DataFrame({"kind": ["up", None, "down"], "a": [1.0, None, -0.5]})
    drawn = model.sample(4, random_state=0, given=conditions)
    assert drawn.kind[:4].tolist() == ["up"] * 4
    assert drawn.kind[8:].tolist() == ["down"] * 4
    assert drawn.a[:4].tolist() == [1.0] * 4
    assert drawn.a[8:].tolist() == [-0.5] * 4
    assert not drawn.isna().any().any()
    assert drawn.b.nunique() == 12
    assert len(model.sample(0, random_state=0, given=conditions)) == 0
    with pytest.raises(ArgumentError, match="`n` must not be negative; got -1"):
        model.sample(-1, given=conditions)
    again = model.sample(4, random_state=0, given=conditions[:1])
    pd.testing.assert_frame_equal(again, drawn[:4])


def test_the_log_density_of_a_target_is_that_of_a_normal_law(model: DiffusionModel) -> None:
    """y = 2a - b + e: the mean log score of the true law is -log(noise) - log(2 pi e) / 2."""
    rows = NEW.assign(y=MEAN + NOISE * np.random.default_rng(5).normal(size=len(NEW)))
    rows = rows.assign(kind=np.where(NEW.a > 0, "up", "down"))
    found = model.score_samples(rows, target="y")
    truth = stats.norm(MEAN, NOISE).logpdf(rows.y)
    assert found.mean() == pytest.approx(truth.mean(), abs=0.25)
    assert np.corrcoef(found, truth)[0, 1] > 0.7


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda m: m.predict(NEW, "z"), "unknown column that varies 'z'"),
        (lambda m: m.predict_proba(NEW, "y"), "is of numbers; use predict_quantiles"),
        (lambda m: m.predict_quantiles(NEW, [0.5], "kind"), "is of categories; use predict_proba"),
        (lambda m: m.categories("y"), "unknown column of categories 'y'"),
        (lambda m: m.predict(pd.DataFrame({"q": [1.0]}), "y"), "none of the columns"),
    ],
)
def test_what_cannot_be_asked_is_one_line(model: DiffusionModel, ask: Any, reason: str) -> None:
    with pytest.raises((ArgumentError, DataError), match=reason):
        ask(model)


def test_integers_that_count_the_rows_are_a_feature() -> None:
    """Days, say, which a table sets aside as names of its rows; text that does so stays aside."""
    days = pd.DataFrame({"day": np.arange(60), "key": [f"A-{7 * k:03}" for k in range(60)]})
    y = np.sin(days.day / 9)
    fitted = DiffusionRegressor(steps=2, width=16, random_state=0).fit(days, y)
    assert fitted.model_.kinds_ == {"day": "integer", "key": "identifier", "target": "continuous"}
    asked = DiffusionRegressor(steps=2, width=16, columns={"day": "identifier"})
    with pytest.raises(DataError, match="X has no column to predict from"):
        asked.fit(days, y)


def test_a_feature_that_never_varies_is_no_hindrance() -> None:
    """Neither one value nor missing values only; of such features alone nothing is predicted."""
    fixed = FRAME.assign(c=7.0, nothing=np.nan)[:150]
    fitted = DiffusionRegressor(steps=2, width=16, random_state=0).fit(fixed, Y[:150])
    assert np.isfinite(fitted.predict(fixed[:5])).all()
    code = (Y[:150] > 0).astype(int)
    fitted = DiffusionClassifier(steps=2, width=16, random_state=0).fit(fixed, code)
    assert fitted.predict(fixed[:5]).shape == (5,)
    with pytest.raises(DataError, match="X has no column to predict from"):
        DiffusionRegressor(steps=2).fit(fixed[["c"]], Y[:150])


def test_rows_with_names_and_missing_values_are_predicted() -> None:
    named = FRAME[:150].assign(key=[f"A-{7 * k:03}" for k in range(150)])
    fitted = DiffusionRegressor(steps=2, width=16, random_state=0).fit(named, Y[:150])
    assert np.isfinite(fitted.predict(named[:3].assign(a=[1.0, None, 0.5]))).all()


def test_features_of_another_type_are_the_same_or_named(regressor: DiffusionRegressor) -> None:
    """Codes become floats where one is missing, and the other rows are predicted as before."""
    code = np.arange(150) % 3
    frame = pd.DataFrame({"a": A[:150], "code": code})
    fitted = DiffusionRegressor(
        columns={"code": "categorical"}, steps=2, width=16, random_state=0
    ).fit(frame, 10.0 * code + A[:150])
    found = fitted.predict(frame[:6].assign(code=[0, 1, 2, 0, 1, None]))
    np.testing.assert_allclose(found[:5], fitted.predict(frame[:5]), rtol=1e-6)
    told = "the column 'a' holds text, such as 'far' in row 1; the model learned numbers there"
    with pytest.raises(DataError, match=told):
        regressor.predict(NEW[:2].assign(a="far"))


def test_classes_that_are_missing_are_named() -> None:
    y = np.where(A > 0, "up", "down").astype(object)
    y[A > 1] = None
    for own in (y, pd.Series(y), pd.Series(y, dtype="string")):
        with pytest.raises(DataError, match="y holds missing values; leave these rows out"):
            DiffusionClassifier(steps=2).fit(FRAME, own)


def test_a_target_without_a_reason_to_predict_it_is_named() -> None:
    """Dropped, always the same, or the only column."""
    frame = FRAME.assign(y=Y, c=1)
    model = DiffusionModel(steps=2, width=16, random_state=0, columns={"a": "dropped"}).fit(frame)
    with pytest.raises(ArgumentError, match="'a' was dropped when the model was fitted"):
        model.predict(frame, "a")
    with pytest.raises(ArgumentError, match="'c' is the same in every row of training"):
        model.predict(frame, "c")
    own = {"data.kind": "table"}
    alone = DiffusionModel(steps=2, width=16, random_state=0, settings=own).fit(frame[["y"]])
    with pytest.raises(ArgumentError, match="'y' is the only one that the model learned"):
        alone.predict(frame[["y"]], "y")


def test_points_are_refused_with_the_setting_that_makes_a_table() -> None:
    points = DiffusionModel(steps=5, width=16, random_state=0).fit(FRAME)
    with pytest.raises(AttributeError) as raised:
        points.predict(FRAME, "a")
    assert "data.kind=table" in str(raised.value.__cause__)
