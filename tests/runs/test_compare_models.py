"""Families of models side by side: the same budget, the same measures, in the data's units."""

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato.data.toy import toy_set
from sfumato.errors import ArgumentError, DataError, DivergedError, MissingDependencyError
from sfumato.runs import compare_models as module
from sfumato.runs.compare_models import (
    COLUMNS,
    ModelComparison,
    cells,
    compare_models,
    facts,
    figure_of,
    floors,
    prepare,
)
from sfumato.runs.families import FAMILIES, Budget, Fitted, gan
from sfumato.runs.report.models import write_comparison

FEW = {"gan": 2, "vae": 2, "flow": 2, "flow-matching": 2, "diffusion": 2, "mixture": 5}


@pytest.fixture(scope="module", autouse=True)
def few_rows() -> Iterator[None]:
    """As many rows as the floors need, and a score of some."""
    with pytest.MonkeyPatch.context() as patch:
        for name, rows in {"_MEASURED": 200, "_SCORED": 100, "_DRAWN": 300, "_SHOWN": 50}.items():
            patch.setattr(module, name, rows)
        yield


@pytest.fixture(scope="module")
def every() -> ModelComparison:
    return compare_models("moons", steps=FEW)


def test_each_family_has_its_line(every: ModelComparison) -> None:
    assert [each.name for each in every.entries] == list(FAMILIES)
    for each in every.entries:
        assert each.steps == FEW[each.name]
        assert each.seconds >= 0
        assert each.sample.shape == (200, 2)
        assert len(cells(each)) == len(COLUMNS) == len(floors(every))
        assert (each.log_prob is None) == (each.name == "gan")
        assert each.estimated == (each.name == "vae")
    density = toy_set("moons").log_density
    assert density is not None
    assert every.truth == pytest.approx(float(density(every.real[:100], 0.08).mean()))
    assert "no log density" in " ".join(facts(every, every.entries[0]))


def test_the_numbers_are_plain(every: ModelComparison, tmp_path: Path) -> None:
    told = json.loads(json.dumps(every.to_dict()))
    assert told["truth"] == every.truth
    assert [each["name"] for each in told["entries"]] == list(FAMILIES)
    measures = [each["name"] for each in told["entries"][0]["evaluation"]["measures"]]
    assert "energy_distance" in measures
    assert "log_density_gap" in measures
    page = write_comparison(every, tmp_path).read_text()
    for each in every.entries:
        assert each.title in page
        assert f"{each.parameters:,}" in page
    assert json.loads((tmp_path / "comparison.json").read_text()) == told
    assert (tmp_path / "models.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_has_a_row_for_each_family(every: ModelComparison) -> None:
    axes = figure_of(every).axes
    assert len(axes) == 7 * len(FAMILIES)
    assert [each.get_ylabel() for each in axes[::7]] == [e.title for e in FAMILIES.values()]


def test_log_densities_are_in_the_datas_units() -> None:
    rows = np.random.default_rng(0).normal([5, -3], [10, 0.2], (1500, 2))
    (entry,) = compare_models(rows, models=["mixture"], steps={"mixture": 1}).entries
    entropy = math.log(2 * math.pi * math.e) + math.log(10 * 0.2)  # of the Gaussian they are from
    assert entry.log_prob is not None
    assert entry.log_prob_error is not None
    assert entry.log_prob == pytest.approx(-entropy, abs=4 * entry.log_prob_error)
    assert entry.sample.mean(0) == pytest.approx([5, -3], abs=3)
    assert entry.sample.std(0) == pytest.approx([10, 0.2], rel=0.2)


def test_the_same_steps_give_the_same_rows() -> None:
    one, other = (compare_models("circles", models=["gan"], steps={"gan": 3}) for _ in range(2))
    for a, b in zip(one.entries, other.entries, strict=True):
        assert np.array_equal(a.sample, b.sample)


def test_a_constant_column_is_put_back() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 3))
    rows[:, 1] = 7
    found = compare_models(rows, models=["gan"], steps={"gan": 1})
    assert set(found.entries[0].sample[:, 1]) == {7.0}
    shown = figure_of(found).axes[5].collections[0].get_offsets()
    assert np.array_equal(np.asarray(shown), found.real[:50, [0, 2]])


def test_seconds_become_steps_by_what_a_step_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def fit(rows: Tensor, budget: Budget, seed: int) -> Fitted:
        for _ in budget:
            now[0] += 0.25
        return gan.Generator(torch.nn.Identity(), rows.shape[1], 0)

    monkeypatch.setattr(gan, "fit", fit)
    (entry,) = compare_models("moons", models=["gan"], seconds=30).entries
    assert entry.steps == 120
    assert entry.seconds == 30


def test_the_clock_stops_a_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = compare_models("moons", models=["mixture"], seconds=1e-9).entries
    assert entry.steps == 1


def test_what_is_not_finite_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan.Generator, "sample", lambda *_: torch.full((300, 2), math.nan))
    with pytest.raises(DivergedError, match="the GAN drew values that are NaN or infinite"):
        compare_models("moons", models=["gan"], steps={"gan": 1})


def test_without_zuko_the_flow_is_left_out_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    task = prepare("moons")
    assert task.chosen == tuple(name for name in FAMILIES if name != "flow")
    (note,) = task.notes
    assert note.startswith("flow is left out: the normalizing flow needs zuko; install it")
    with pytest.raises(MissingDependencyError, match="needs zuko"):
        prepare("moons", models=["flow"])


def test_columns_that_teach_nothing_are_named() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.permutation(400) + 7.0, np.full(400, 2.5), rng.normal(size=400)])
    notes = prepare(rows, models=["mixture"]).notes
    assert len(notes) == 2
    assert notes[0].startswith("the column 'x0' numbers the rows, 7 to 406, and is learned like")
    assert notes[1] == "the column 'x1' is 2.5 in every row; each family draws that."
    assert prepare("moons", models=["mixture"]).notes == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"models": ["vea"]}, "did you mean 'vae'"),
        ({"models": []}, "name at least one family"),
        ({"seconds": 0}, "`seconds` must be a number above 0; got 0"),
        ({"seconds": math.inf}, "above 0"),
        ({"seconds": math.nan}, "above 0"),
        ({"seconds": "20"}, "`seconds` must be a number above 0; got '20'"),
        ({"steps": {"gan": 0}}, "`steps` must be integers of at least 1; gan has 0"),
        ({"steps": {1: 5}}, r"unknown family of models \(in `steps`\) '1'"),
        ({"steps": {"gan": 2.5}}, "integers of at least 1; gan has 2.5"),
        ({"steps": {"gan": "x"}}, "integers of at least 1; gan has 'x'"),
        (
            {"steps": {"gna": 5}},
            r"unknown family of models \(in `steps`\) 'gna'; did you mean 'gan'",
        ),
    ],
)
def test_wrong_options_are_one_line(options: dict[str, object], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        prepare("moons", **options)  # type: ignore[arg-type]


def test_the_mark_of_an_estimate_follows_the_model(every: ModelComparison) -> None:
    entry = next(each for each in every.entries if each.name == "diffusion")
    assert not cells(entry)[3].startswith("~")
    estimate = replace(entry, estimated=True)
    assert cells(estimate)[3] == f"~{cells(entry)[3]}"
    assert any("log density about" in line for line in facts(every, estimate))


def test_too_few_rows_are_none() -> None:
    with pytest.raises(DataError, match="has 139 rows; at least 140"):
        prepare(np.random.default_rng(0).normal(size=(139, 2)))
