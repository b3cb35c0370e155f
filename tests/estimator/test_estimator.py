"""scikit-learn's face."""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - IterativeImputer is one
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from quick import few_guesses, small_chunks
from sfumato import DiffusionImputer, DiffusionModel
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.estimator import imputer
from sfumato.models.gaussian import GaussianModel
from sfumato.models.table import TableModel

QUICK = {"training.batch_size": 64}


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Rows, draws of a missing value and steps along a flow, as few as will do."""
    with small_chunks(), few_guesses(), pytest.MonkeyPatch.context() as patch:
        for each in (GaussianModel, TableModel):
            defaults = each.log_prob_chunks.__kwdefaults__
            assert defaults
            patch.setitem(defaults, "steps", 10)
        yield


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        DiffusionModel(steps=10, width=16, settings=QUICK, random_state=0),
        DiffusionImputer(steps=10, random_state=0),
    ]
)
def test_scikit_learn_s_own_checks(
    monkeypatch: pytest.MonkeyPatch, estimator: BaseEstimator, check: Any
) -> None:
    """They ask the same rows one by one, for which a few steps do as well as many."""
    quick = partial(DiffusionModel, width=16, settings={"sampling.steps": 5})
    monkeypatch.setattr(imputer, "DiffusionModel", quick)
    defaults = GaussianModel.log_prob_chunks.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "steps", 5)
    check(estimator)


N = 300
RNG = np.random.default_rng(0)
SEX = RNG.choice(["F", "M"], N)
AGE = RNG.integers(18, 80, N)


def pandas_frame() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "age": pd.array(AGE, dtype="Int16"),
            "sex": pd.Categorical(SEX, categories=["M", "F", "X"]),
            "wage": (AGE * 50.5 + 300 * (SEX == "F") + RNG.normal(0, 50, N)).round(2),
            "since": pd.Timestamp("2020-02-01") + pd.to_timedelta(RNG.integers(0, 900, N), "D"),
            "smokes": RNG.random(N) < 0.3,
            "land": "FR",
        }
    )
    frame.loc[RNG.random(N) < 0.1, "age"] = None
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pandas_frame()


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> DiffusionModel:
    quick = {"sampling.steps": 8}
    return DiffusionModel(steps=150, width=64, settings=quick, random_state=0).fit(frame)


def test_frames_come_out_as_they_went_in(model: DiffusionModel, frame: pd.DataFrame) -> None:
    drawn = model.sample(200, random_state=1)
    pd.testing.assert_series_equal(drawn.dtypes, frame.dtypes)
    assert list(drawn["sex"].cat.categories) == ["M", "F", "X"]
    assert not (drawn["sex"] == "X").any()  # declared, but never seen
    assert drawn["age"].isna().any()
    assert drawn["age"].dropna().between(18, 79).all()
    assert drawn["wage"].between(frame["wage"].min(), frame["wage"].max()).all()
    assert (drawn["wage"].round(2) == drawn["wage"]).all()
    assert (drawn["since"].dt.normalize() == drawn["since"]).all()
    assert (drawn["land"] == "FR").all()
    assert model.kinds_["land"] == "constant"


def test_polars_frames_too(frame: pd.DataFrame) -> None:
    of_polars = pl.DataFrame({"age": AGE, "sex": list(SEX)})
    drawn = DiffusionModel(steps=5, width=16, random_state=0).fit(of_polars).sample(7)
    assert isinstance(drawn, pl.DataFrame)
    assert drawn.schema == of_polars.schema


def test_rows_drawn_with_a_condition_have_it(model: DiffusionModel) -> None:
    given = {"age": 40, "sex": "F", "since": "2021-03-04"}
    drawn = model.sample(50, random_state=1, given=given)
    pd.testing.assert_series_equal(drawn.dtypes, model.sample(50, random_state=1).dtypes)
    assert list(drawn["sex"].cat.categories) == ["M", "F", "X"]
    assert (drawn["age"] == 40).all()
    assert (drawn["sex"] == "F").all()
    assert (drawn["since"] == pd.Timestamp("2021-03-04")).all()
    for hole in (None, np.nan, np.float32("nan"), pd.NA, pd.NaT):
        assert model.sample(9, given={"age": hole})["age"].isna().all()


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2021, 3, 4, tzinfo=UTC),
        pd.Timestamp("2021-03-04", tz="Asia/Tokyo"),
        "2021-03-04T00:00:00Z",
        "2021-03-04 00:00+09:00",
        pd.Timestamp("2021-03-04T00:00:00.000000001"),
        np.datetime64("2021-03-04T00:00:00.000000001"),
        20210304,
    ],
)
def test_a_moment_that_cannot_be_held_is_not_moved_but_refused(
    model: DiffusionModel, moment: Any
) -> None:
    with pytest.raises(ArgumentError, match="'since' holds a date; got"):
        model.sample(1, given={"since": moment})


def test_the_first_rows_are_the_same_however_many(model: DiffusionModel) -> None:
    pd.testing.assert_frame_equal(
        model.sample(10, random_state=5), model.sample(40, random_state=5).head(10)
    )


def test_a_fit_is_decided_by_its_seed(frame: pd.DataFrame) -> None:
    def fitted(seed: int) -> pd.DataFrame:
        quick = {"sampling.steps": 4}
        model = DiffusionModel(steps=10, width=16, settings=quick, random_state=seed)
        return model.fit(frame).sample(20, 0)

    pd.testing.assert_frame_equal(fitted(1), fitted(1))
    assert not fitted(1)["wage"].equals(fitted(2)["wage"])


def test_holes_are_filled_and_nothing_else_changes(
    model: DiffusionModel, frame: pd.DataFrame
) -> None:
    holes = frame.copy()
    holes.loc[::3, "wage"] = np.nan
    holes.loc[1::3, "sex"] = None
    for filled in (model.impute(holes), *model.impute(holes, draws=2)):
        assert not filled.isna().any().any()
        assert filled.dtypes.equals(frame.dtypes)
        for name in frame:
            there = holes[name].notna()
            assert (filled.loc[there, name] == holes.loc[there, name]).all()
    one, two = model.impute(holes, draws=2)
    assert not one["wage"].equals(two["wage"])


def test_draws_know_what_stands_beside_the_hole(model: DiffusionModel, frame: pd.DataFrame) -> None:
    """Wage is age times 50.5, give or take 150: after 150 steps that is found."""
    holes = frame.assign(wage=np.nan)[frame["age"].notna()]
    filled = model.impute(holes)
    real = frame.loc[holes.index, "wage"]
    assert np.corrcoef(filled["wage"], real)[0, 1] > 0.97


def test_scores_are_told_row_by_row(model: DiffusionModel, frame: pd.DataFrame) -> None:
    nats = model.score_samples(frame.head(50))
    assert nats.shape == (50,)
    assert model.score(frame.head(50)) == pytest.approx(nats.mean())
    odd = frame.head(50).assign(wage=frame["wage"].max())  # all at the very top, whatever the age
    assert model.score(odd) < nats.mean() - 1
    alone = model.score_samples(frame.head(50).iloc[::-1].tail(1))
    assert alone[0] == pytest.approx(nats[0], abs=1e-7)


def test_a_file_brings_it_back(model: DiffusionModel, frame: pd.DataFrame, tmp_path: Path) -> None:
    model.save(tmp_path / "model.safetensors")
    again = DiffusionModel.load(tmp_path / "model.safetensors")
    pd.testing.assert_frame_equal(again.sample(30, 3), model.sample(30, 3))
    np.testing.assert_array_equal(
        again.score_samples(frame.head(9)), model.score_samples(frame.head(9))
    )
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(RunError, match="not a whole safetensors file"):
        DiffusionModel.load(tmp_path / "model.safetensors")


def test_it_is_chosen_by_its_likelihood() -> None:
    """Of a thing to choose, two steps of training against sixty."""
    rows = RNG.normal(size=(200, 2)) @ np.array([[1.0, 0.9], [0.0, 0.3]])
    search = GridSearchCV(
        DiffusionModel(width=32, settings=QUICK, random_state=0), {"steps": [2, 60]}, cv=2
    ).fit(rows)
    assert search.best_params_ == {"steps": 60}


def test_rows_keep_their_index_as_with_other_imputers(
    model: DiffusionModel, frame: pd.DataFrame
) -> None:
    part = frame.sample(40, random_state=0)
    assert part.isna().any().any()
    assert (model.impute(part).index == part.index).all()


def test_a_column_that_was_left_out_may_be_there_and_comes_back_with_a_file(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    named = frame.assign(id=[f"row {k}" for k in range(N)])
    quick = {"sampling.steps": 4}
    model = DiffusionModel(
        columns={"id": "dropped"}, steps=5, width=16, settings=quick, random_state=0
    ).fit(named)
    model.save(tmp_path / "m.safetensors")
    again = DiffusionModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        again.score_samples(named.head(5)), model.score_samples(named.head(5))
    )
    assert again.get_params()["steps"] == 5
    assert (again.impute(named.head(5))["id"] == named["id"].head(5)).all()
    assert again.kinds_ == model.kinds_


def test_a_model_of_an_array_comes_back_as_one(tmp_path: Path) -> None:
    rows = RNG.normal(size=(50, 2))
    model = DiffusionModel(steps=5, width=16, random_state=0).fit(rows)
    model.save(tmp_path / "m.safetensors")
    again = DiffusionModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.sample(5, 0), model.sample(5, 0))
    with pytest.warns(UserWarning, match="feature names"):
        framed = again.score_samples(pd.DataFrame(rows, columns=["a", "b"]))
    np.testing.assert_array_equal(framed, again.score_samples(rows))


def of_every_type() -> dict[str, Any]:
    """Frames of each library with columns of types that only it has, and some holes."""
    words, cents = list(SEX), [Decimal(int(each)).scaleb(-2) for each in AGE]
    holed = [None if k % 7 == 0 else int(each) for k, each in enumerate(AGE)]
    codes = pa.array([0 if each == "F" else 2 for each in words], pa.int8())
    coded = pa.DictionaryArray.from_arrays(codes, pa.array([30, 20, 10]))
    return {
        "pandas": pd.DataFrame(
            {
                "code": pd.Categorical.from_codes(
                    codes.to_pylist(), pd.Index([30, 20, 10], dtype=pd.ArrowDtype(pa.int64()))
                ),
                "view": pd.Series(words, dtype=pd.ArrowDtype(pa.string_view())),
                "sparse": pd.Series(AGE - 18, dtype="Sparse[int32]"),
                "cents": pd.Series(cents, dtype=object),
                "age": pd.Series(holed, dtype="UInt8"),
                "empty": pd.Series([None] * N, dtype=pd.ArrowDtype(pa.null())),
            }
        ),
        "polars": pl.DataFrame(
            {
                "sex": pl.Series(words, dtype=pl.Categorical(pl.Categories("sexes"))),
                "enum": pl.Series(words, dtype=pl.Enum(["X", "M", "F"])),
                "half": pl.Series(AGE / 2, dtype=pl.Float16),
                "wide": pl.Series(holed, dtype=pl.Int128),
                "cents": pl.Series(cents, dtype=pl.Decimal(8, 3)),
                "empty": pl.Series([None] * N, dtype=pl.Null),
            }
        ),
        "pyarrow": pa.table(
            {
                "code": coded,
                "view": pa.array(words, pa.string_view()),
                "age": pa.array(holed, pa.uint8()),
                "cents": pa.array(cents, pa.decimal128(7, 2)),
                "empty": pa.nulls(N),
            }
        ),
    }


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_types_come_back_from_fit_sample_impute_and_a_file(library: str, tmp_path: Path) -> None:
    frame = of_every_type()[library]

    def types(of: Any) -> list[Any]:
        return of.schema.types if library == "pyarrow" else list(of.dtypes)

    quick = {"sampling.steps": 2}
    model = DiffusionModel(steps=2, width=8, settings=quick, random_state=0).fit(frame)
    model.save(tmp_path / "m.safetensors")
    for each in (model, DiffusionModel.load(tmp_path / "m.safetensors")):
        drawn = each.sample(40, random_state=1)
        (filled,) = each.impute(drawn, draws=1)
        for made in (drawn, filled, each.impute(frame[:3], draws=1)[0]):
            assert type(made) is type(frame)
            assert types(made) == types(frame)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_rows_with_categories_of_their_own_are_filled(
    library: str, model: DiffusionModel, frame: pd.DataFrame
) -> None:
    """Made of ten rows of men, their categories are men alone."""
    rows = frame[frame["sex"] == "M"].head(10).assign(sex=["M", *[None] * 9])
    of_pandas = rows.assign(sex=pd.Categorical(rows["sex"]))
    men = [None if pd.isna(each) else each for each in rows["sex"]]
    given: dict[str, Any] = {
        "pandas": of_pandas,
        "polars": pl.from_pandas(rows).with_columns(sex=pl.Series(men, dtype=pl.Enum(["M"]))),
        "pyarrow": pa.Table.from_pandas(rows, preserve_index=False).set_column(
            1, "sex", pa.array(men).dictionary_encode()
        ),
    }
    filled = model.impute(given[library], draws=2)
    cells = [list(map(str, each["sex"])) for each in filled]
    assert all(set(each) == {"M", "F"} for each in cells)


def test_a_column_of_nothing_stays_empty() -> None:
    rows = pd.DataFrame({"x": RNG.normal(size=60), "none": np.nan, "words": [None] * 60})
    rows.loc[3, "x"] = np.nan
    filled = DiffusionModel(steps=5, width=16, random_state=0).fit(rows).impute(rows)
    assert filled["x"].notna().all()
    assert filled[["none", "words"]].isna().all().all()


def test_frames_without_names_are_numbered() -> None:
    rows = pd.DataFrame(RNG.normal(size=(50, 2)))
    assert list(DiffusionModel(steps=5, width=16).fit(rows).sample(3).columns) == ["0", "1"]


def test_dropout_is_for_training_alone() -> None:
    rows = RNG.normal(size=(60, 2))
    options = {"data.kind": "table", "network.options": {"dropout": 0.5}, "sampling.steps": 4}
    model = DiffusionModel(steps=5, width=16, settings=options, random_state=0).fit(rows)
    np.testing.assert_array_equal(model.sample(9, 0), model.sample(9, 0))
    np.testing.assert_array_equal(model.score_samples(rows), model.score_samples(rows))


def test_a_value_far_beyond_is_unlikely_and_said() -> None:
    rows = RNG.normal(size=(80, 4))
    model = DiffusionModel(steps=20, width=16, random_state=0).fit(rows)
    with pytest.warns(UserWarning, match="'x0': 1 of 1 values lie beyond"):
        far = model.score_samples(np.array([[1e39, 0.0, 0.0, 0.0]]))
    assert far < model.score_samples(rows).min()


def test_points_have_no_bounds_but_those_of_32_bits() -> None:
    rows = RNG.normal(size=(80, 2))
    model = DiffusionModel(steps=20, width=16, random_state=0).fit(rows)
    far = model.score_samples(np.array([[30.0, 0.0]]))
    assert far < model.score_samples(rows).min()
    with pytest.raises(DataError, match=r"row 1, column 'x0': 1e.40 does not fit"):
        model.score_samples(np.array([[1e40, 0.0]]))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (np.array([[2**63 + 1], [1]], np.uint64), f"row 1, column 'x0': {2**63 + 1} is an integer"),
        (np.array([[1], [2**60]]), rf"row 2, column 'x0': {2**60} is an integer beyond 2\^53"),
        (
            np.array([[2**60], ["a"]], object)[:1].repeat(2, 0),
            f"'x0': {2**60} is an integer beyond",
        ),
        (np.array([[1e200], [1.0]]), r"'x0' goes from 1 to 1e\+200, beyond what can be measured"),
        (np.array([["2024-01-01"], ["2024-01-02"]], "datetime64[D]"), "data frames"),
    ],
)
def test_arrays_that_cannot_be_held_are_refused(values: np.ndarray, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        DiffusionModel(steps=5).fit(values)


def test_cells_of_object_arrays_are_what_they_are() -> None:
    rows = np.array(
        [["01", True, 3, pd.NA], ["nan", False, None, 2.5], ["01", True, 4, 1.5]] * 20, object
    )
    model = DiffusionModel(steps=5, width=16, random_state=0).fit(rows)
    drawn = model.sample(60, 0)
    assert set(drawn[:, 0]) <= {"01", "nan"}
    assert set(drawn[:, 1]) <= {True, False}
    assert set(drawn[:, 2]) <= {None, 3, 4}
    assert set(drawn[:, 3]) <= {None, 1.5, 2.5}


def test_it_imputes_in_a_pipeline() -> None:
    x = RNG.normal(size=(60, 2))
    y = x @ [1.0, 2.0]
    x[RNG.random(60) < 0.3, 1] = np.nan
    line = make_pipeline(DiffusionImputer(steps=5, random_state=0), LinearRegression())
    assert line.fit(x, y).predict(x).shape == (60,)
    framed = clone(line[0]).set_output(transform="pandas").fit(pd.DataFrame(x, columns=["a", "b"]))
    assert list(framed.transform(pd.DataFrame(x, columns=["a", "b"])).columns) == ["a", "b"]


def test_a_column_without_a_value_is_left_out_as_by_iterative_imputer() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[::4, 0], x[:, 1] = np.nan, np.nan
    peer, named = IterativeImputer(), pd.DataFrame(x, columns=["a", "none", "b"])
    with pytest.warns(UserWarning, match="without any observed values"):
        theirs = peer.fit_transform(named)
    imputer = DiffusionImputer(steps=2, random_state=0)
    with pytest.warns(UserWarning, match="columns without any value are left out.*: 'none'"):
        imputer.fit(named)
    filled = imputer.transform(named)
    assert list(filled.columns) == ["a", "b"]
    assert list(imputer.get_feature_names_out()) == list(peer.get_feature_names_out())
    assert filled.shape == theirs.shape
    assert filled.notna().all().all()
    with pytest.warns(UserWarning, match="'x1'"):
        of_array = clone(imputer).fit(x)
    assert of_array.transform(x).shape == theirs.shape
    assert list(of_array.get_feature_names_out()) == ["x0", "x2"]
    later = named.assign(none=7.0)  # what comes later in such a column is not looked at
    with pytest.warns(UserWarning, match="'none'"):
        assert list(imputer.transform(later).columns) == ["a", "b"]
    with pytest.warns(UserWarning, match="'none'"):
        framed = clone(imputer).set_output(transform="pandas").fit(named)
    assert list(framed.transform(named).columns) == ["a", "b"]


def test_a_column_without_a_value_is_kept_as_zeros_as_by_iterative_imputer() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[::4, 0], x[:, 1] = np.nan, np.nan
    later = x.copy()
    later[::2, 1] = 7.0
    peer = IterativeImputer(keep_empty_features=True).fit(x)
    imputer = DiffusionImputer(steps=2, keep_empty_features=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert imputer.fit(x) is imputer
    with pytest.warns(UserWarning, match="'x1': 20 of 20 values were never seen"):
        filled = imputer.transform(later)
    np.testing.assert_array_equal(filled[:, 1], peer.transform(later)[:, 1])
    assert np.isfinite(filled).all()
    assert list(imputer.get_feature_names_out()) == list(peer.get_feature_names_out())
    for posterior in (True, False):
        given = imputer.set_params(sample_posterior=posterior).transform(x)
        np.testing.assert_array_equal(given[:, 1], np.zeros(40))


def test_columns_without_a_value_are_kept_in_their_frames() -> None:
    x = pd.DataFrame({"x": RNG.normal(size=40), "none": pd.Series([None] * 40, dtype="Int8")})
    x["bools"] = pd.Series([None] * 40, dtype="boolean")
    imputer = DiffusionImputer(steps=2, keep_empty_features=True, random_state=0).fit(x)
    filled = imputer.transform(x)
    assert filled.dtypes.equals(x.dtypes)
    assert (filled["none"] == 0).all()
    assert not filled["bools"].any()
    of_polars = pl.DataFrame({"x": x["x"].to_numpy(), "none": pl.Series([None] * 40)})
    assert of_polars["none"].dtype == pl.Null
    filled = clone(imputer).fit(of_polars).transform(of_polars)
    assert filled["none"].to_list() == [0] * 40
    for empty, what in (("str", "text"), ("datetime64[us]", "dates")):
        rows = x.assign(none=pd.Series([None] * 40, dtype=empty))
        with pytest.raises(DataError, match=f"'none' has no value, and a column of {what} cannot"):
            clone(imputer).fit(rows)


def test_arrays_of_words_are_columns_of_words() -> None:
    rows = np.array([["a", 1.5], ["b", None], ["a", 2.5], ["a", 1.5]] * 9, dtype=object)
    model = DiffusionModel(steps=5, width=16, random_state=0).fit(rows)
    drawn = model.sample(50)
    assert drawn.dtype == object
    assert set(drawn[:, 0]) <= {"a", "b"}
    assert set(drawn[:, 1]) <= {None, 1.5, 2.5}


@pytest.mark.parametrize(
    ("change", "error", "fault"),
    [
        ({"columns": {"ag": "integer"}}, ArgumentError, "unknown column 'ag'"),
        ({"columns": {"sex": "integer"}}, ArgumentError, "cannot be integer"),
        ({"settings": {"training.stepz": 3}}, ArgumentError, "unknown setting 'training.stepz'"),
        ({"settings": {"sampling.few": 2}}, ArgumentError, "lies in a run's folder"),
        ({"settings": {"network.name": "unet"}}, ArgumentError, "'unet' is not for tables"),
        (
            {"settings": {"network.parameterisation": "eps"}},
            ArgumentError,
            "network.parameterisation=edm",
        ),
        ({"settings": {"process.num_levels": 100}}, ArgumentError, "process.num_levels at 0"),
        ({"settings": {"training.reference": 64}}, ArgumentError, "training.reference"),
        ({"steps": 0}, ArgumentError, "training.steps"),
        ({"random_state": -1}, ArgumentError, "`random_state` must not be negative"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    frame: pd.DataFrame, change: dict[str, Any], error: type[Exception], fault: str
) -> None:
    with pytest.raises(error, match=fault):
        DiffusionModel(**{"steps": 5, "width": 16, "random_state": 0, **change}).fit(frame)


def test_rows_of_other_columns_are_refused(model: DiffusionModel, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="age"):
        model.score_samples(frame.drop(columns="age"))
    with pytest.raises(DataError, match="holds text"):
        model.score_samples(frame.assign(wage="much"))
    with pytest.raises(DataError, match="1 sample"):
        DiffusionModel().fit(frame.head(1))
