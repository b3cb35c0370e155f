"""A few-step map learned from a run of every kind: kept, drawn with, gone on with, refused."""

import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import sfumato
from fitted import TINY, squares
from sfumato import distributed
from sfumato.config import Settings
from sfumato.errors import ArgumentError, DataError, ForeignWarning, RunError
from sfumato.metrics.evaluation import Evaluation, judged
from sfumato.models.few import FewSteps, times_of
from sfumato.models.file import load_model, save_model
from sfumato.models.model import changed
from sfumato.networks.branches import Branches
from sfumato.networks.mlp import VectorMLP
from sfumato.runs import compare, distill, job
from sfumato.runs.distill import Distilled, in_few
from sfumato.runs.fit import finish, resume
from sfumato.runs.run import Run
from sfumato.training.flow_ends import BranchedFlowEnds
from sfumato.training.loop import Training

# Rows, steps of the solver, steps of training for one of the fit, rows of a step for one.
_QUICK = (200, 6, 0.5, 1)


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Little is learned, and nothing is measured."""

    def unmeasured(*_: object, **__: object) -> None:
        raise DataError("too few rows")

    with pytest.MonkeyPatch.context() as patch:
        for kind in distill._RECIPES:
            patch.setitem(distill._RECIPES, kind, _QUICK)
        patch.setattr(Run, "evaluate", unmeasured)
        yield


def _copy(run: Run, folder: Path) -> Run:
    assert run.folder is not None
    shutil.copytree(run.folder, folder)
    return replace(run, folder=folder)


@pytest.fixture(scope="module")
def mapped(moons: Run, quick: None, tmp_path_factory: pytest.TempPathFactory) -> Distilled:
    return distill.distill(_copy(moons, tmp_path_factory.mktemp("mapped") / "run"))


def _weights(run: Run) -> dict[str, np.ndarray]:
    assert run.model.few is not None
    return {k: v.numpy() for k, v in run.model.few.network.state_dict().items()}


def test_a_map_is_kept_in_the_run_beside_its_network(mapped: Distilled, moons: Run) -> None:
    folder = mapped.run.folder
    assert folder is not None
    again = sfumato.open(folder)
    assert again.model.few is not None
    assert isinstance(again.model.few.network, Branches)
    assert sorted(again.model.few.times) == [1, 2, 4]
    for name, value in _weights(mapped.run).items():
        np.testing.assert_array_equal(_weights(again)[name], value)
    # The run's own network is what it was, for likelihood and all else.
    for name, weight in moons.model.denoiser.network.state_dict().items():
        assert weight.equal(again.model.denoiser.network.state_dict()[name])
    rows = moons.sample(20)
    np.testing.assert_array_equal(again.log_prob(rows, steps=5), moons.log_prob(rows, steps=5))
    np.testing.assert_array_equal(again.sample(20, few=0), moons.sample(20))
    # Nothing is left that only going on needed.
    left = sorted(each.name for each in (folder / "few").iterdir())
    assert left == ["metrics.jsonl", "plan.toml"]


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_the_seed_and_the_place_decide_a_row(mapped: Distilled, calls: int) -> None:
    whole = mapped.run.sample(1500, seed=3, few=calls)
    np.testing.assert_array_equal(mapped.run.sample(5, seed=3, few=calls), whole[:5])
    np.testing.assert_array_equal(
        mapped.run.sample(300, seed=3, first=1200, few=calls), whole[1200:]
    )
    assert not np.array_equal(mapped.run.sample(5, seed=4, few=calls), whole[:5])
    assert len(list(mapped.run.model.frames(3, few=calls))) == calls + 1


def test_the_network_is_called_so_often(mapped: Distilled) -> None:
    assert mapped.run.model.few is not None
    asked: list[int] = []
    hook = mapped.run.model.few.network.register_forward_hook(lambda *_: asked.append(1))
    own = mapped.run.model.denoiser.network.register_forward_hook(lambda *_: asked.append(2))
    for calls in (1, 2, 4):
        asked.clear()
        mapped.run.sample(3, few=calls)
        assert asked == [1] * calls
    hook.remove()
    own.remove()


def test_what_is_asked_of_the_sampler_is_the_samplers(mapped: Distilled, moons: Run) -> None:
    drawing = in_few(mapped.run, 2)
    np.testing.assert_array_equal(drawing.sample(9), mapped.run.sample(9, few=2))
    np.testing.assert_array_equal(drawing.sample(9, steps=5), moons.sample(9, steps=5))
    rows = moons.sample(9)
    np.testing.assert_array_equal(drawing.edit(rows, 0.5), moons.edit(rows, 0.5))
    np.testing.assert_array_equal(
        drawing.sample(9, given={"x": 0.1}), moons.sample(9, given={"x": 0.1})
    )
    np.testing.assert_array_equal(drawing.interpolate(0, 1, 3), moons.interpolate(0, 1, 3))
    own = moons.sample(9, sampler=sfumato.samplers.DDIM())
    np.testing.assert_array_equal(drawing.sample(9, sampler=sfumato.samplers.DDIM()), own)


def test_an_export_says_that_it_has_no_map(mapped: Distilled, tmp_path: Path) -> None:
    with pytest.warns(ForeignWarning, match="theirs: the few-step map is not part of it"):
        mapped.run.export("onnx", tmp_path / "theirs")


def test_what_cannot_be_is_said(mapped: Distilled, moons: Run, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="leave steps out"):
        mapped.run.sample(3, few=2, steps=5)
    with pytest.raises(ArgumentError, match="draws from noise alone"):
        mapped.run.edit(moons.sample(3), 0.5, few=2)
    with pytest.raises(ArgumentError, match="draws from noise alone"):
        mapped.run.sample(3, given={"x": 0.1}, few=2)
    with pytest.raises(ArgumentError, match="no few-step map yet"):
        moons.sample(3, few=2)
    moons.save(tmp_path / "alone.safetensors")
    with pytest.raises(ArgumentError, match="give a run folder"):
        distill.distill(sfumato.open(tmp_path / "alone.safetensors"))
    with pytest.raises(ArgumentError, match="1, 2, 4 network calls; got 3"):
        distill.distill(_copy(moons, tmp_path / "run"), [3])
    with pytest.raises(RunError, match="nothing to go on with"):
        distill.distill(replace(moons, folder=tmp_path / "run"), resume=True)


def test_a_stopped_map_goes_on_bit_for_bit(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = distill.distill(_copy(moons, tmp_path / "whole"), [1, 2, 4], seed=7)
    half = _copy(moons, tmp_path / "half")
    fitting = job.fitting

    def stopped(begun: Any, *, quiet: bool) -> Iterator[Any]:
        for record in fitting(begun, quiet=quiet):
            yield record
            if record.step >= 20:  # its checkpoint is there
                raise job.Stopped(2, record.step, begun)

    monkeypatch.setattr(distill, "fitting", stopped)
    with pytest.raises(job.Stopped, match=r"sfumato distill --resume .*half"):
        distill.distill(half, [1, 2, 4], seed=7)
    assert half.folder is not None
    assert sfumato.open(half.folder).model.few is None  # the run is what it was
    monkeypatch.setattr(distill, "fitting", fitting)
    with pytest.raises(ArgumentError, match="keeps its calls and its seed"):
        distill.distill(half, [4], resume=True)
    plan = half.folder / "few" / "plan.toml"
    text = plan.read_text()
    plan.write_text("calls = 3")
    with pytest.raises(RunError, match=r"plan\.toml is damaged; begin anew"):
        distill.distill(half, resume=True)
    plan.write_text(text)
    with monkeypatch.context() as other:  # as a version without candidates has it
        other.setattr(distill, "can_branch", lambda _: False)
        with pytest.raises(RunError, match=r"is no map as it is learned here.*begin anew"):
            distill.distill(half, resume=True)
    done = distill.distill(half, resume=True)
    assert done.run.model.few is not None
    assert sorted(done.run.model.few.times) == [1, 2, 4]
    for name, value in _weights(whole.run).items():
        np.testing.assert_array_equal(_weights(done.run)[name], value)


def _guided(settings: Settings, guidance: float) -> Settings:
    sampling = settings.sampling.model_copy(update={"guidance": guidance})
    return settings.model_copy(update={"sampling": sampling})


def test_a_table_is_drawn_and_filled_by_a_map(of_table: Run, tmp_path: Path) -> None:
    run = distill.distill(_copy(of_table, tmp_path / "run")).run
    drawn = run.sample(40, few=2).to_pandas()
    assert len(drawn) == 40
    given = run.sample(30, few=1, given={"team": "old", "years": 60}).to_pandas()
    assert set(given["team"]) == {"old"}
    assert set(given["years"]) == {60}
    holes = [{"years": 50, "height": None, "team": None}] * 3
    for filled in run.complete(pd.DataFrame(holes), draws=2, few=2):
        assert set(filled["years"]) == {50}
        assert not filled.isna().any(axis=None)
    # Categories are the run's own, whatever draws the numbers.
    own = run.sample(40, few=0).to_pandas()
    assert list(own["team"]) == list(drawn["team"])
    rows = [{"years": 50, "height": 1.7, "team": "old"}]
    with pytest.raises(ArgumentError, match="draws from noise alone"):
        run.edit(rows, 0.5, few=2)
    with pytest.raises(ArgumentError, match="its own sampler"):
        run.sample(3, few=2, sampler=sfumato.samplers.DDIM())


def test_pictures_of_classes_are_drawn_by_a_map(tmp_path: Path) -> None:
    settings = {
        "training.steps": 20,
        "training.batch_size": 16,
        "training.snapshots": 0,
        "training.warmup": 0,
        "training.learning_rate": 0.01,
        "training.average": 0.5,
        "training.flip": True,
        "network.width": 16,
        "network.options": {"multipliers": [1]},
        "sampling.guidance": 2.0,
        "sampling.clip": 1.0,
        "data.labels": True,
    }
    names = np.where(np.arange(180) % 2, "above", "below")
    folder = tmp_path / "pictures"
    for k, (pixels, name) in enumerate(zip(squares(), names, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / name / f"{k}.png")
    run = sfumato.fit(folder, out=tmp_path / "run", settings=settings, quiet=True)
    plain = changed(run.model, settings=_guided(run.settings, 1.0))
    shutil.copytree(tmp_path / "run", tmp_path / "plain")
    unguided = distill.distill(replace(run, model=plain, folder=tmp_path / "plain"), [2]).run
    run = distill.distill(run, [2]).run
    # Guidance is learned with the rest.
    assert any(
        not np.array_equal(value, _weights(unguided)[name]) for name, value in _weights(run).items()
    )
    above = run.sample(3, few=2, given={"class": "above"})
    assert above.shape == (3, 4, 4, 1)
    assert not np.array_equal(above, run.sample(3, few=2, given={"class": "below"}))


@pytest.mark.parametrize("network", ["vector-mlp", "step-mlp"])
def test_a_map_of_a_discrete_schedule(tmp_path: Path, network: str) -> None:
    own = {"process.num_levels": 30, "network.name": network, "network.parameterisation": "eps"}
    run = sfumato.fit("moons", settings=TINY | own, out=tmp_path / "run", quiet=True)
    found = distill.distill(run)
    assert np.isfinite(found.run.sample(5, few=4)).all()
    assert np.isfinite(sfumato.open(tmp_path / "run").sample(5, few=1)).all()


def test_fit_learns_a_map_where_it_is_to_draw(tmp_path: Path) -> None:
    run = sfumato.fit(
        "moons", settings=TINY | {"sampling.few": 2}, out=tmp_path / "run", quiet=True
    )
    assert run.model.few is not None
    assert sorted(run.model.few.times) == [2]
    opened = sfumato.open(tmp_path / "run")
    np.testing.assert_array_equal(opened.sample(5), run.sample(5, few=2))
    with resume(tmp_path / "run") as finished:  # what it keeps is not lost
        assert finished.model.few is not None
    assert sfumato.open(tmp_path / "run").model.few is not None


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("num_levels", [3, 8, 20, 1000])
def test_the_calls_of_a_discrete_process_differ(
    tmp_path: Path, schedule: str, num_levels: int
) -> None:
    own = {"process.schedule": schedule, "process.num_levels": num_levels}
    own |= {"training.steps": 2, "sampling.steps": min(num_levels, 8)}
    run = sfumato.fit("moons", settings=TINY | own, out=tmp_path / "run", quiet=True)
    found = distill.distill(run)
    few = found.run.model.few
    assert few is not None
    for calls, times in few.times.items():
        levels = few.levels(run.model.process, calls)
        assert len(times) == calls
        assert (levels.sigma_ve.diff() < 0).all()
    assert np.isfinite(sfumato.open(tmp_path / "run").sample(3, few=max(few.times))).all()
    if 4 not in few.times:
        with pytest.raises(ArgumentError, match="this process has no such levels"):
            distill.distill(run, [4])


def test_a_second_map_takes_the_place_of_the_first(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first was chosen for counts no more."""
    run = _copy(moons, tmp_path / "run")
    measure = judged("classifier_auc", "AUC", 0.5, [0.5, 0.51, 0.52], 0.02, 100)
    monkeypatch.setattr(Run, "evaluate", lambda *_, **__: Evaluation((measure,), 100))
    run = distill.distill(run).run
    assert run.settings.sampling.few == 4
    assert distill.distill(run, [1]).chosen == 1
    far = judged("classifier_auc", "AUC", 0.9, [0.5, 0.51, 0.52], 0.02, 100)
    monkeypatch.setattr(Run, "evaluate", lambda *_, **__: Evaluation((far,), 100))
    assert distill.distill(sfumato.open(tmp_path / "run"), [1, 2]).chosen == 0
    assert sfumato.open(tmp_path / "run").sample(3).shape == (3, 2)


def test_a_map_is_of_a_finished_run(moons: Run, tmp_path: Path) -> None:
    run = _copy(moons, tmp_path / "run")
    assert run.folder is not None
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    (run.folder / "metrics.jsonl").write_text("".join(f"{each}\n" for each in lines[:-1]))
    with pytest.raises(ArgumentError, match=r"not finished.*fit --resume --out"):
        distill.distill(run)


def test_a_run_without_its_settings_is_refused_before_anything_is_learned(
    moons: Run, tmp_path: Path
) -> None:
    run = _copy(moons, tmp_path / "run")
    (tmp_path / "run" / "config.toml").unlink()
    with pytest.raises(RunError, match=r"not a run folder: it has no config\.toml"):
        distill.distill(run)
    assert not (tmp_path / "run" / "few").exists()


def test_fit_goes_on_with_a_map_that_it_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the fit and the map: the sampler draws, and `fit --resume` learns it."""
    fitting = job.fitting

    def stopped(begun: Any, *, quiet: bool) -> Iterator[Any]:
        yield next(iter(fitting(begun, quiet=quiet)))
        raise job.Stopped(2, 1, begun)

    monkeypatch.setattr(distill, "fitting", stopped)
    settings = TINY | {"sampling.few": 2}
    with pytest.raises(KeyboardInterrupt):
        sfumato.fit("moons", settings=settings, out=tmp_path / "run", quiet=True)
    monkeypatch.setattr(distill, "fitting", fitting)
    run = sfumato.open(tmp_path / "run")
    np.testing.assert_array_equal(run.sample(5), run.sample(5, few=0))
    with resume(tmp_path / "run") as begun:
        done = finish(begun, quiet=True)
    assert done.model.few is not None
    np.testing.assert_array_equal(done.sample(5), done.sample(5, few=2))


def test_a_map_draws_nearer_to_the_flow_than_the_denoiser_in_one_call(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(distill._RECIPES, "points", (4000, 24, 6.0, 4))
    monkeypatch.setattr(compare, "SAMPLERS", {"ddim": sfumato.samplers.DDIM})
    run = distill.distill(_copy(moons, tmp_path / "run")).run
    entries = [
        each for each in compare.compare_samplers(run, (1, 2)) if isinstance(each, compare.Entry)
    ]
    by_map = {each.num_calls: each for each in entries if each.sampler == "few-step map"}
    (ddim, *_) = (each for each in entries if each.sampler == "ddim" and each.num_calls == 1)
    assert by_map[1].flow is not None
    assert ddim.flow is not None
    assert by_map[1].flow < 0.2 * ddim.flow
    assert by_map[1].distance < 0.5 * ddim.distance
    assert by_map[2].distance < 0.5 * ddim.distance


def test_a_map_that_cannot_be_is_refused_before_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArgumentError, match="no numeric column"):
        sfumato.fit(
            [{"a": "x", "b": "u"}, {"a": "y", "b": "v"}] * 50,
            settings={"sampling.few": 2},
            out=tmp_path / "table",
            quiet=True,
        )
    few_levels = TINY | {"process.num_levels": 8, "process.schedule": "linear", "sampling.few": 4}
    with pytest.raises(ArgumentError, match="this process has no such levels"):
        sfumato.fit("moons", settings=few_levels, out=tmp_path / "moons", quiet=True)
    monkeypatch.setattr(distributed, "count", lambda: 2)
    with pytest.raises(ArgumentError, match="learned by one process"):
        sfumato.fit("moons", settings={"sampling.few": 2}, out=tmp_path / "moons", quiet=True)
    assert not list(tmp_path.iterdir())


def test_samples_at_the_floor_are_drawn_from_then_on(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"equal": 0.5, "unlike": 0.9}
    for name, chosen in (("equal", 4), ("unlike", 0)):
        measure = judged("classifier_auc", "AUC", value[name], [0.5, 0.51, 0.52], 0.02, 100)
        evaluation = Evaluation((measure,), 100)
        monkeypatch.setattr(Run, "evaluate", lambda *_, found=evaluation, **__: found)
        run = _copy(moons, tmp_path / str(chosen))
        made = distill.distill(run)
        assert made.chosen == chosen
        assert sfumato.open(tmp_path / str(chosen)).settings.sampling.few == chosen


def test_the_map_stands_beside_the_samplers(
    mapped: Distilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "SAMPLERS", {"ddim": sfumato.samplers.DDIM})
    monkeypatch.setattr(compare, "_REFERENCE_STEPS", 60)
    calls = compare.calls_of(mapped.run)
    assert calls == (1, 2, 4, 10, 20, 40, 80)
    found = [
        each
        for each in compare.compare_samplers(mapped.run, (1, 2, 4))
        if isinstance(each, compare.Comparison)
    ]
    own = [entry for entry in found[0].entries if entry.sampler == "few-step map"]
    assert [entry.num_calls for entry in own] == [1, 2, 4]
    assert [entry.flow is None for entry in own] == [False, True, True]
    assert not [entry for entry in found[1].entries if entry.sampler == "few-step map"]
    compare.figure_of(found)


@pytest.mark.parametrize(
    ("few", "reason"),
    [
        ({"1": [0.5]}, "called at the times"),
        ({"2": [1.0, 1.0]}, "called at the times"),
        ({"2": "often"}, "does not describe a model"),
        ({"4": [1.0]}, "does not say when it makes each"),
        ({"0": []}, "does not say when it makes each"),
        ({"-3": [1.0]}, "does not say when it makes each"),
        ({"1": "1"}, "does not say when it makes each"),
        ({"100": [1 - k / 100 for k in range(100)]}, "does not say when it makes each"),
        ({"1": [10**400]}, "does not describe a model"),
        ({}, "of no number of calls"),
        ([1, 2], "does not describe a model"),
        (None, "its weights are not those of its settings|does not describe"),
    ],
)
def test_a_damaged_map_is_refused(
    mapped: Distilled, tmp_path: Path, few: object, reason: str
) -> None:
    with pytest.raises(RunError, match=reason):
        load_model(_changed(mapped.run, tmp_path, few=few))


def _changed(run: Run, folder: Path, **header: object) -> Path:
    """The run's file, with other entries in its header; without one that is None."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    from sfumato.models.file import _digest

    assert run.folder is not None
    with safe_open(run.folder / "model.safetensors", framework="pt") as file:
        own = json.loads(file.metadata()["sfumato"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    own = {key: value for key, value in (own | header).items() if value is not None}
    own["sha256"] = _digest(own, tensors)
    save_file(tensors, folder / "bad.safetensors", {"sfumato": json.dumps(own)})
    return folder / "bad.safetensors"


@pytest.mark.parametrize("count", [0, 1, -3, 2.0, True, "16", [16], 10**9])
def test_a_strange_number_of_candidates_is_refused(
    mapped: Distilled, tmp_path: Path, count: object
) -> None:
    with pytest.raises(RunError, match=r"its few-step map has .* candidate answers"):
        load_model(_changed(mapped.run, tmp_path, branches=count))


@pytest.mark.parametrize("count", [None, 15, 17])
def test_another_number_of_candidates_is_refused(
    mapped: Distilled, tmp_path: Path, count: object
) -> None:
    with pytest.raises(RunError, match="its weights are not those of its settings"):
        load_model(_changed(mapped.run, tmp_path, branches=count))


def test_a_map_of_one_answer_opens_and_draws(moons: Run, tmp_path: Path) -> None:
    """As files of before had it, and as a network has it whose last layer is not known."""
    run = _copy(moons, tmp_path / "run")
    assert run.folder is not None
    network = deepcopy(run.model.denoiser.network)
    few = FewSteps(network, {1: times_of(run.model.process, 1)})
    before = replace(run, model=changed(run.model, few=few))
    save_model(before.model, run.folder / "model.safetensors")
    again = sfumato.open(run.folder)
    assert again.model.few is not None
    assert type(again.model.few.network) is type(network)
    np.testing.assert_array_equal(again.sample(20, few=1), before.sample(20, few=1))


def test_a_map_of_points_that_muon_learned_is_learned_by_adamw(tmp_path: Path) -> None:
    asked = TINY | {"training.optimizer": "muon", "training.steps": 10}
    run = sfumato.fit("moons", out=tmp_path / "run", settings=asked, quiet=True)
    (tmp_path / "few").mkdir()
    times = {2: times_of(run.model.process, 2)}
    own = distill._begun(run, times, tmp_path / "few", 3, quiet=True).training.settings
    fitted = run.settings.training
    assert (fitted.optimizer, own.optimizer) == ("muon", "adamw")
    assert own.learning_rate == pytest.approx(fitted.learning_rate / 3)
    assert own.batch_size == _QUICK[3] * fitted.batch_size / 2


def test_points_learn_by_scattered_candidates_from_as_many_ends_as_planned(
    moons: Run, tmp_path: Path
) -> None:
    run = _copy(moons, tmp_path / "run")
    (tmp_path / "few").mkdir()
    times = {each: times_of(run.model.process, each) for each in (1, 2, 4)}
    training = distill._begun(run, times, tmp_path / "few", 3, quiet=True).training
    assert isinstance(training.objective, BranchedFlowEnds)
    assert len(training.data) == _QUICK[0]
    assert training.settings.batch_size == _QUICK[3] * run.settings.training.batch_size
    network = training.network
    assert isinstance(network, Branches)
    assert network.count == distill._BRANCHES
    with torch.no_grad():
        answers, _ = network.candidates(torch.randn(9, 2), torch.tensor(-5.0))
    assert (answers.std(1) > 0.1).all()


def test_ends_are_of_fewer_rows_after_a_short_fit_of_wide_ones_and_for_fewer_calls(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "few").mkdir()

    def begun(run: Run, *calls: int) -> Training:
        times = {each: times_of(moons.model.process, each) for each in calls}
        return distill._begun(run, times, tmp_path / "few", 3, quiet=True).training

    def rows_of(run: Run) -> int:
        return len(begun(run, 1, 2, 4).data)

    def after(steps: int, batch: int) -> Run:
        training = moons.settings.training.model_copy(update={"steps": steps, "batch_size": batch})
        return replace(moons, model=changed(moons.model, settings=moons.settings.model_copy(
            update={"training": training})))  # fmt: skip

    monkeypatch.setitem(distill._RECIPES, "points", (500, 6, 0.5, 1))
    assert [rows_of(after(*of)) for of in ((10, 100), (30, 100), (90, 100))] == [100, 300, 500]
    assert rows_of(after(1, 100)) == 64
    monkeypatch.setattr(distill, "_NUMBERS", 2 * 450)  # of two numbers each
    assert rows_of(after(90, 100)) == 450
    # Of the four levels the noisiest counts twice: two fifths and three fifths of rows and steps.
    some = [begun(after(90, 100), *calls) for calls in ((1,), (2,), (1, 2), (4,))]
    assert [len(each.data) for each in some] == [180, 270, 270, 450]
    assert [each.num_steps for each in some] == [18, 27, 27, 45]


def test_candidates_share_the_parts_of_the_data_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight Gaussians in one call: hardly a point between them, where one answer leaves many."""
    monkeypatch.setitem(distill._RECIPES, "points", (8000, 24, 1.0, 3))
    settings = {"training.steps": 300, "training.snapshots": 0, "network.width": 32}
    run = sfumato.fit("eight-gaussians", settings=settings, out=tmp_path / "run", quiet=True)
    between, chosen = {}, 0
    for name in ("candidates", "one answer"):
        if name == "one answer":
            monkeypatch.setattr(distill, "can_branch", lambda _: False)
        made = distill.learn_map(run, [1], seed=0, measure=False, quiet=True).run
        assert made.model.few is not None
        network = made.model.few.network
        if isinstance(network, Branches):
            with torch.no_grad():
                _, logits = network.candidates(torch.randn(4000, 2), torch.tensor(-10.0))
            chosen = len(logits.argmax(1).unique())
        rows = made.sample(4000, few=1)
        angle = np.arange(8) * np.pi / 4
        radius = np.median(np.linalg.norm(rows, axis=1))
        centres = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
        nearest = np.linalg.norm(rows[:, None] - centres, axis=2).min(1)
        between[name] = (nearest > 0.2 * radius).mean()
    assert chosen >= 4
    assert between["candidates"] < 0.5 * between["one answer"]


class _Own(VectorMLP):
    """A network of a user's own."""


@pytest.mark.parametrize("network", [VectorMLP, _Own])
def test_a_network_of_ones_own_learns_a_map(tmp_path: Path, network: type[VectorMLP]) -> None:
    """With candidates where its last layer is known."""
    out = tmp_path / "run"
    run = sfumato.fit("moons", network=network(2, 16, 1), settings=TINY, out=out, quiet=True)
    few = distill.distill(run).run.model.few
    assert few is not None
    assert isinstance(few.network, Branches) == (network is VectorMLP)
    opened = sfumato.open(out, network=network(2, 16, 1))
    assert opened.model.few is not None
    assert type(opened.model.few.network) is type(few.network)
    assert np.isfinite(opened.sample(5, few=2)).all()
