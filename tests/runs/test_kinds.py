"""What every kind of data can do alike: save, condition, edit, measure, score, compare."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import sfumato
from fitted import TINY, normal_rows, people, people_rows, squares
from quick import small_chunks
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics import detection, features
from sfumato.metrics.distances import sliced_wasserstein_2
from sfumato.process.streams import generator
from sfumato.runs import compare
from sfumato.runs.compare import Comparison, Entry, compare_samplers, pivoted
from sfumato.runs.fit import resolve
from sfumato.runs.run import Run


def same(one: Any, other: Any) -> None:
    """The same rows, in the same container."""
    assert type(one) is type(other)
    if isinstance(one, DataTable):
        assert one.names == other.names
        for own, theirs in zip(one, other, strict=True):
            assert own.missing.tolist() == theirs.missing.tolist()
            assert own.present.tolist() == theirs.present.tolist()
            assert own.values.dtype == theirs.values.dtype
    else:
        np.testing.assert_array_equal(one, other)


@pytest.fixture(params=["of_array", "of_table", "of_pictures"])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.getfixturevalue(request.param)
    return found


def test_what_is_saved_is_opened(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path / "model.safetensors")
    again = sfumato.open(tmp_path / "model.safetensors")
    same(again.draw(20, seed=5), run.draw(20, seed=5))
    assert again.settings == run.settings
    assert again.model.codec == run.model.codec
    again.save(tmp_path / "again.safetensors")
    first, second = (tmp_path / f"{name}.safetensors" for name in ("model", "again"))
    assert first.read_bytes() == second.read_bytes()
    assert run.folder is not None
    assert (run.folder / "model.safetensors").read_bytes() == first.read_bytes()


def test_a_row_is_the_same_however_many_are_drawn(run: Run) -> None:
    whole = run.draw(30, seed=2)
    kind = run.kind
    same(run.draw(7, seed=2, first=11), kind.take(whole, np.arange(11, 18)))


def test_an_edited_row_does_not_depend_on_those_after_it(run: Run) -> None:
    rows = run.draw(12, seed=2)
    edited = run.edit(rows, 0.4, seed=6)
    few = run.edit(run.kind.take(rows, np.arange(3)), 0.4, seed=6)
    assert len(edited) == 12
    same(few, run.kind.take(edited, np.arange(3)))


def test_a_start_outside_the_process_is_refused(run: Run) -> None:
    rows = run.draw(2)
    for start in (0, -0.1, 1.5):
        with pytest.raises(ArgumentError, match="the start must be above 0"):
            run.edit(rows, start)


# --------------------------------------------------------------------------- points, some given


def test_a_table_is_not_learned_on_a_gpu() -> None:
    rows = pd.DataFrame({"x": np.arange(40.0), "y": ["a", "b"] * 20})
    with pytest.raises(ArgumentError, match=r"processor alone; leave device=auto\.$"):
        sfumato.fit(rows, settings={"device": "cuda"}, quiet=True)


@pytest.mark.parametrize(("target", "steps"), [("", 295), ("height", 295), ("team", 100)])
def test_a_column_of_categories_that_is_asked_for_is_learned_in_few_passes(
    target: str, steps: int
) -> None:
    """600 passes over 252 rows (a tenth is kept out) are 295 batches of 512; ten are too few."""
    settings, _ = resolve(people_rows(), {"training.target": target})
    assert settings.training.steps == steps


def test_a_given_column_is_exact_and_the_others_follow(of_array: Run) -> None:
    rows = of_array.sample(40, given={"x1": 0.3})
    assert rows.shape == (40, 3)
    assert (rows[:, 1] == 0.3).all()
    assert len(np.unique(rows[:, 0])) == 40
    both = of_array.sample(5, given={"x0": 1, "x2": np.float32(3.05)})
    assert (both[:, 0] == 1).all()
    assert (both[:, 2] == float(np.float32(3.05))).all()


def test_a_row_with_a_given_column_is_its_own(of_array: Run) -> None:
    given = {"x1": 0.3}
    whole = of_array.sample(1100, seed=4, given=given)
    np.testing.assert_array_equal(of_array.sample(9, seed=4, given=given), whole[:9])
    np.testing.assert_array_equal(
        of_array.sample(6, seed=4, first=1021, given=given), whole[1021:1027]
    )
    assert not np.array_equal(of_array.sample(9, seed=5, given=given), whole[:9])
    assert not np.isin(whole[1024:, 0], whole[:1024, 0]).any()  # the next chunk has its own noise


def test_columns_that_go_together_follow_what_is_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    rows = np.stack([x, x + 0.1 * rng.normal(size=4000)], 1)
    run = sfumato.fit(rows, settings={"training.snapshots": 0, "training.steps": 400},
                      out=tmp_path / "run", quiet=True)  # fmt: skip
    for value in (-1.0, 0.5):
        drawn = run.sample(500, given={"x0": value})[:, 1]
        # Bayes: N(0, 1) and N(x, 0.01): the second is N(x, 0.1²).
        assert drawn.mean() == pytest.approx(value, abs=0.1)
        assert drawn.std() == pytest.approx(0.1, abs=0.06)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"x7": 1.0}, ArgumentError, "unknown column 'x7'"),
        ({"class": "a"}, ArgumentError, "unknown column 'class'"),
        ({"x1": "much"}, ArgumentError, "'x1' holds numbers; got 'much'"),
        ({"x1": math.inf}, ArgumentError, "'x1' holds finite numbers; got inf"),
        ({"x1": math.nan}, ArgumentError, "'x1' holds finite numbers; got nan"),
        ({"x1": None}, ArgumentError, "'x1' holds numbers; got None"),
    ],
)
def test_what_points_cannot_be_given_is_refused(
    of_array: Run, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        of_array.sample(2, given=given)


def test_pictures_without_classes_are_given_none(of_pictures: Run) -> None:
    for name in ("class", "x0"):
        with pytest.raises(ArgumentError, match=f"learned no classes; leave '{name}' out"):
            of_pictures.sample(2, given={name: 1})


def test_between_two_samples_nothing_is_given(of_array: Run) -> None:
    assert of_array.interpolate(0, 1, 4).shape == (4, 3)
    with pytest.raises(ArgumentError, match="learned no classes; leave 'x1' out"):
        of_array.interpolate(0, 1, 4, given={"x1": 0.3})


def test_what_a_table_is_given_stands_in_its_rows(of_table: Run) -> None:
    rows = of_table.sample(20, given={"years": 40, "height": None})
    assert rows["years"].values.tolist() == [40] * 20
    assert rows["height"].missing.all()
    assert set(rows["team"].values) <= {"old", "young"}


# -------------------------------------------------------------------------------- containers


def test_rows_come_back_in_what_they_came_in(of_table: Run) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(people(6)).assign(note=list("abcdef"))
    frame.index = list("uvwxyz")
    edited = of_table.edit(frame, 0.3)
    assert list(edited.columns) == ["years", "height", "team", "note"]
    assert list(edited.index) == list("uvwxyz")
    assert edited["note"].tolist() == list("abcdef")
    whole = of_table.complete(frame)
    assert not whole["height"].isna().any()
    there = ~frame["height"].isna()
    assert (whole["height"][there] == frame["height"][there]).all()
    assert (whole[["years", "team", "note"]] == frame[["years", "team", "note"]]).all(axis=None)
    several = of_table.complete(frame, draws=3, seed=1)
    assert len(several) == 3
    assert len({each["height"].iloc[0] for each in several}) == 3


# -------------------------------------------------------------------------------- evaluation


def other_people(n: int, seed: int, *, shift: int = 0) -> list[dict[str, Any]]:
    """Rows of the same law as `people`, of another seed; or of people older by `shift`."""
    rng = np.random.default_rng(seed)
    years = rng.integers(18, 80, n)
    height = (1.5 + years / 200 + rng.normal(0, 0.1, n)).round(3)
    return [
        {
            "years": int(years[k]) + shift,
            "height": None if rng.random() < 1 / 7 else float(height[k]),
            "team": "old" if years[k] > 45 else "young",
        }
        for k in range(n)
    ]


def test_a_table_is_measured_against_other_rows(
    of_table: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "_TREES", 8)  # enough to tell what forty steps have not learned
    against, sample = other_people(840, 8), other_people(120, 9)
    with small_chunks():
        found = of_table.evaluate(against=against, sample=sample)
        shifted = of_table.evaluate(against=against, sample=other_people(120, 9, shift=30))
        drawn = of_table.evaluate(against=against)
    assert found.rows == 120
    of_model = {"numbers_intervals", "categories_intervals"}  # whose forty steps are too few
    verdicts = {m.name: m.verdict for m in found.measures if m.name not in of_model}
    assert set(verdicts.values()) == {"cannot be told apart"}, verdicts
    for apart in (shifted, drawn):
        assert apart.rows == 120
        assert {m.name: m.verdict for m in apart.measures}["detection"] == "apart"


def test_pictures_are_measured_against_others(
    of_pictures: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_STEPS", 150)  # enough to tell above from below
    every = squares(490)
    against, sample = every[:420], every[420:480]
    with small_chunks():
        found = of_pictures.evaluate(against=against, sample=sample)
        turned = of_pictures.evaluate(against=against, sample=np.rot90(sample, axes=(1, 2)).copy())
    assert found.rows == 60
    assert found.verdict == "cannot be told apart"
    assert turned.verdict == "apart"


def test_too_few_other_rows_or_of_another_kind_are_refused(
    of_table: Run, of_pictures: Run, of_array: Run
) -> None:
    with pytest.raises(DataError, match="the real data needs at least 140 rows"):
        of_table.evaluate(against=other_people(139, 8))
    with pytest.raises(DataError, match="the real data needs at least 140 rows or pictures"):
        of_pictures.evaluate(against=squares(139))
    with pytest.raises(DataError, match="this model is of pictures, and these are rows"):
        of_pictures.evaluate(against=normal_rows(200))
    for run in (of_array, of_table):
        with pytest.raises(DataError, match="and these are pictures"):
            run.evaluate(against=squares(200))
    with pytest.raises(ArgumentError, match="--target is for tables"):
        of_pictures.evaluate(against=squares(200), target="team")


# ------------------------------------------------------------------------------- likelihoods


def test_pictures_are_scored(of_pictures: Run) -> None:
    pixels = squares(3)
    noise = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1)).astype(np.uint8)
    with small_chunks():
        nats = of_pictures.log_prob(pixels, steps=4)
        first = of_pictures.log_prob(pixels[:2], steps=4)
        of_noise = of_pictures.log_prob(noise, steps=4)
    assert nats.shape == (3,)
    assert np.isfinite(nats).all()
    np.testing.assert_allclose(first, nats[:2], atol=1e-3)
    assert of_noise.mean() < nats.mean()


# -------------------------------------------------------------------------- samplers compared


def compared(run: Run, calls: tuple[int, ...]) -> list[Comparison]:
    return [each for each in compare_samplers(run, calls) if isinstance(each, Comparison)]


@pytest.mark.parametrize("kind", ["of_table", "of_pictures"])
def test_samplers_are_compared_on_tables_and_pictures(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in ("_REFERENCE_STEPS", "_PICTURE_STEPS"):  # several times those compared
        monkeypatch.setattr(compare, steps, 60)
    monkeypatch.setattr(compare, "_MIDDLE", 6)
    run: Run = request.getfixturevalue(kind)
    with small_chunks():
        network, exact = compared(run, (6, 12))
    assert network.title == "this run's network"
    assert "exact denoiser" in exact.title
    for each in (network, exact):
        assert each.floor[0] > 0
        rows = pivoted(each)
        assert {"ddim", "dpm++2m", "unipc", "heun", "ancestral"} <= set(rows)
        for name, entries in rows.items():
            had = [entry for entry in entries if entry is not None]
            assert all(b.num_calls > a.num_calls for a, b in pairwise(had)), name
            assert all(entry.num_calls <= 12 for entry in had)
            assert all(np.isfinite(entry.distance) for entry in had)
        ddim = [
            entry.flow for entry in rows["ddim"] if entry is not None and entry.flow is not None
        ]
        assert len(ddim) == 2
        assert ddim[1] < ddim[0]  # nearer to the flow with more calls
        assert all(entry is None or entry.flow is None for entry in rows["ancestral"])


def test_what_is_compared_of_a_table_are_its_own_samples(
    of_table: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "_REFERENCE_STEPS", 60)  # which has no part in the distance
    first = next(compare_samplers(of_table, (6,)))
    assert isinstance(first, Entry)
    model = of_table.model
    rows = model.encoded(of_table.load_data().train)
    shuffled = rows[torch.randperm(len(rows), generator=generator(of_table.settings.seed))]
    real = shuffled[: len(rows) // 4]
    drawn = of_table.draw(
        len(real), seed=0, sampler=first.sampler, grid=first.grid, steps=first.num_calls
    )
    distance = sliced_wasserstein_2(model.encoded(drawn).numpy(), real.numpy())
    # What is drawn is rounded: years to whole ones.
    assert first.distance == pytest.approx(distance, rel=0.02)


def test_a_table_of_categories_has_no_sampler(tmp_path: Path) -> None:
    rows = [{"word": "ab"[k % 2], "other": "xyz"[k % 3]} for k in range(40)]
    settings = {"training.steps": 2, "network.width": 8}
    run = sfumato.fit(rows, settings=settings, out=tmp_path / "run", quiet=True)
    with pytest.raises(ArgumentError, match="no numeric column"):
        next(compare_samplers(run, (5,)))


@pytest.mark.parametrize("held", ["list", "tensor", "pandas", "polars", "pyarrow", "npy", "csv"])
def test_the_same_numbers_are_the_same_model_whatever_holds_them(
    held: str, of_array: Run, tmp_path: Path
) -> None:
    rows = normal_rows()
    columns = dict(zip("xyz", rows.T, strict=True))
    source: Any
    if held == "list":
        source = rows.tolist()
    elif held == "tensor":
        source = torch.from_numpy(rows)
    elif held == "pyarrow":
        source = pytest.importorskip("pyarrow").table(columns)
    elif held in {"pandas", "polars"}:
        source = pytest.importorskip(held).DataFrame(columns)
    elif held == "npy":
        source = tmp_path / "rows.npy"
        np.save(source, rows)
    else:
        source = tmp_path / "rows.csv"
        np.savetxt(source, rows, "%.17g", ",", header="x,y,z", comments="")
    run = sfumato.fit(source, settings=TINY, out=tmp_path / "run", quiet=True)
    own, theirs = (each.model.denoiser.network.state_dict() for each in (run, of_array))
    assert [*own] == [*theirs]
    for name, weight in own.items():
        assert weight.equal(theirs[name])
