"""Training on past the end of a run: the same as training so far at once, and nothing stale."""

import math
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sfumato
from fitted import SHORT, TINY, normal_rows, people, squares
from quick import blank_figures
from sfumato import TrainingSettings
from sfumato.data.io.rows import write_rows
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, RunError
from sfumato.runs import distill
from sfumato.runs.continued import set_aside
from sfumato.runs.figures import points
from sfumato.runs.fit import begin, finish, resolve, resume
from sfumato.runs.job import fitting
from sfumato.runs.report import write_report
from sfumato.runs.run import Run
from sfumato.training.optimizer import learning_rate

# Draws of dropout belong to a group of steps, and so groups end where the first run does.
_CONSTANT = {"training.decay": "constant", "training.warmup": 3, "training.log_every": 5}
_UNET = {"network.width": 16, "network.options": {"multipliers": [1], "dropout": 0.3}}


def _wide(folder: Path) -> str:
    rows = np.random.default_rng(0).normal(size=(200, 5))
    write_rows(folder / "wide.csv", Points(rows, tuple("abcde")))
    return str(folder / "wide.csv")


def _people(folder: Path) -> str:
    path = folder / "people.csv"
    columns = people()
    lines = [",".join(columns)]
    rows = zip(*columns.values(), strict=True)
    lines += [",".join("" if value is None else str(value) for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _grey(folder: Path) -> str:
    np.save(folder / "grey.npy", squares())
    return str(folder / "grey.npy")


def _labelled(folder: Path) -> str:
    path, pixels = folder / "colour.npz", np.repeat(squares(), 3, axis=3)
    np.savez(path, pixels=pixels, labels=np.arange(len(pixels)) % 2)
    return str(path)


KINDS: dict[str, tuple[Callable[[Path], str], dict[str, Any]]] = {
    "points": (lambda _: "moons", TINY),
    "discrete": (lambda _: "moons", TINY | {"process.num_levels": 20}),
    "wide points": (_wide, SHORT | {"network.width": 16, "data.kind": "points"}),
    "table": (_people, SHORT | {"network.width": 16, "network.options": {"dropout": 0.2}}),
    "grey": (_grey, SHORT | _UNET),
    "labelled": (_labelled, SHORT | _UNET | {"data.labels": True, "training.flip": True}),
}


def _same(run: Run, other: Run) -> bool:
    weights = [each.model.denoiser.network.state_dict() for each in (run, other)]
    return weights[0].keys() == weights[1].keys() and all(
        torch.equal(value, weights[1][name]) for name, value in weights[0].items()
    )


def _fit(source: str, out: Path, settings: dict[str, Any], **changes: Any) -> Run:
    named = {name.replace("_", ".", 1): value for name, value in changes.items()}
    return sfumato.fit(source, out=out, settings=settings | named, quiet=True)


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_constant_rate_it_is_as_if_trained_so_far_at_once(kind: str, tmp_path: Path) -> None:
    make, settings = KINDS[kind]
    source = make(tmp_path)
    recipe = settings | _CONSTANT
    at_once = _fit(source, tmp_path / "at-once", recipe, training_steps=20)
    part = _fit(source, tmp_path / "part", recipe, training_steps=10)
    assert not _same(part, at_once)
    on = sfumato.resume(tmp_path / "part", settings={"training.steps": 20}, quiet=True)
    assert _same(on, at_once)
    assert on.records()[-1]["step"] == 20


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_again_it_ends_in_the_same_weights(kind: str, tmp_path: Path) -> None:
    make, settings = KINDS[kind]
    source = make(tmp_path)
    _fit(source, tmp_path / "run", settings, training_steps=9, training_log_every=4)
    shutil.copytree(tmp_path / "run", tmp_path / "stopped")
    more = {"training": {"steps": 21, "checkpoint_every": 4}}
    straight = sfumato.resume(tmp_path / "run", settings=more, quiet=True)
    with resume(tmp_path / "stopped", changes=more) as job:
        list(islice(fitting(job), 2))
    # Said again, the same wish changes nothing.
    again = sfumato.resume(tmp_path / "stopped", settings=more, quiet=True)
    assert _same(again, straight)
    assert [part.until for part in again.settings.training.past] == [9]
    assert again.settings == straight.settings


@pytest.mark.parametrize("kind", ["points", "grey"])
def test_its_settings_alone_lead_to_the_same_weights(kind: str, tmp_path: Path) -> None:
    make, settings = KINDS[kind]
    source, new = make(tmp_path), tmp_path / "new"
    _fit(source, tmp_path / "run", settings, training_steps=10, training_log_every=4)
    for steps in (19, 23):
        on = sfumato.resume(tmp_path / "run", settings={"training.steps": steps}, quiet=True)
    again = sfumato.fit(source, out=new, settings=on.settings.to_dict(), quiet=True)
    assert _same(again, on)
    assert (new / "config.toml").read_text() == (tmp_path / "run" / "config.toml").read_text()


def test_the_rate_begins_where_it_stood_and_falls_again() -> None:
    first: dict[str, Any] = {"learning_rate": 0.1, "warmup": 4, "decay": "cosine"}
    past = [{"until": 50, "steps": 100, **first}]
    settings = TrainingSettings(steps=200, learning_rate=0.04, warmup=9, past=past)
    alone = TrainingSettings(steps=100, **first)
    rates = [learning_rate(step, 200, settings) for step in range(200)]
    assert rates[:50] == [learning_rate(step, 100, alone) for step in range(50)]
    stood = 0.1 * 0.5 * (1 + math.cos(math.pi * 49 / 100))
    for k in range(150):
        ramp = stood + (0.04 - stood) * min(1, (k + 1) / 10)
        assert rates[50 + k] == pytest.approx(ramp * 0.5 * (1 + math.cos(math.pi * k / 150)))


@pytest.mark.parametrize(
    ("settings", "changes", "expected"),
    [
        ({}, {}, 0.3 * 0.01),  # from nothing to three tenths
        ({"training.decay": "constant"}, {}, 0.01),  # it stands there
        ({}, {"training.learning_rate": 0.02}, 0.02),
        ({}, {"training.learning_rate": 0.01}, 0.01),  # what it was, and yet asked for
    ],
)
def test_the_rate_goes_up_again_in_part(
    settings: dict[str, Any], changes: dict[str, Any], expected: float, tmp_path: Path
) -> None:
    _fit("moons", tmp_path / "run", TINY | settings, training_steps=20)
    more = {"training.steps": 40, **changes}
    run = sfumato.resume(tmp_path / "run", settings=more, quiet=True)
    assert run.settings.training.learning_rate == pytest.approx(expected)
    on = sfumato.resume(tmp_path / "run", settings={"training.steps": 60}, quiet=True)
    highest = max(0.01, expected)
    kept = highest if settings else 0.3 * highest
    assert on.settings.training.learning_rate == pytest.approx(kept)


def test_an_unfinished_run_goes_on_to_another_end(tmp_path: Path) -> None:
    settings, data = resolve("moons", TINY | {"training.checkpoint_every": 10})
    with begin(settings, data, tmp_path / "run") as job:
        list(islice(fitting(job), 2))
    run = sfumato.resume(tmp_path / "run", settings={"training.steps": 30}, quiet=True)
    (part,) = run.settings.training.past
    assert (part.until, part.steps) == (20, 60)
    assert [record["step"] for record in run.records()] == [10, 20, 30]
    assert run.summary()["trained on"].startswith("steps 1 to 20 (of 60) at learning rate 0.01")


def test_epochs_become_steps(tmp_path: Path) -> None:
    # 400 rows in batches of 64 are 7 steps a pass.
    _fit("moons", tmp_path / "run", TINY, training_epochs=2)
    run = sfumato.resume(tmp_path / "run", settings={"training.epochs": 5}, quiet=True)
    assert run.records()[-1]["step"] == 35
    assert (run.settings.training.steps, run.settings.training.epochs) == (35, None)
    run = sfumato.resume(tmp_path / "run", settings={"training.steps": 40}, quiet=True)
    assert [part.until for part in run.settings.training.past] == [14, 35]


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        (
            {"training.steps": 60},
            "finished at step 60, and training.steps=60 asks for no step more",
        ),
        (
            {"training.steps": 12},
            "finished at step 60, and training.steps=12 asks for no step more",
        ),
        ({"training.learning_rate": 0.1}, "asks for no step more; give more than 60"),
        ({"training.steps": 80, "training.batch_size": 8}, "training.batch_size is not 8 in"),
        ({"training.steps": 80, "network.width": 8}, "network.width is not 8 in"),
        ({"training.steps": 80, "data.rows": 9}, "data.rows is not 9 in"),
        ({"training.steps": 80, "seed": 9}, "seed is not 9 in"),
        ({"training.past": []}, "asks for no step more"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_touched(
    own_moons: Run, changes: dict[str, Any], phrase: str
) -> None:
    folder = own_moons.folder
    assert folder is not None

    def content() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}

    before = content()
    with pytest.raises(ArgumentError, match=phrase):
        sfumato.resume(folder, settings=changes, quiet=True)
    assert content() == before


@pytest.mark.parametrize(
    "past",
    [
        [{"until": 90, "steps": 90}],  # after the end
        [{"until": 30, "steps": 20}],  # past its own end
        [{"until": 30, "steps": 30}, {"until": 20, "steps": 40}],
    ],
)
def test_parts_that_do_not_follow_each_other_are_refused(past: list[dict[str, Any]]) -> None:
    recipe = {"learning_rate": 0.1, "warmup": 0, "decay": "cosine"}
    with pytest.raises(ArgumentError, match="each part ends after the one before it"):
        resolve("moons", TINY | {"training.past": [part | recipe for part in past]})


def test_rows_in_memory_cannot_be_had_again(tmp_path: Path) -> None:
    sfumato.fit(normal_rows(), out=tmp_path / "run", settings=TINY, quiet=True)
    with pytest.raises(RunError, match=r"cannot be resumed.*start=sfumato.open"):
        sfumato.resume(tmp_path / "run", settings={"training.steps": 80})


# -------------------------------------------------------------------------------- what was made


def test_reports_and_maps_of_older_weights_are_set_aside(
    of_file: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(distill._RECIPES, "points", (200, 6, 0.5, 1))
    monkeypatch.setattr(points, "ANIMATION_FRAMES", 3)
    monkeypatch.setattr(points, "SAMPLED", 200)
    assert of_file.folder is not None
    folder = tmp_path / "own"
    shutil.copytree(of_file.folder, folder)
    distill.learn_map(sfumato.open(folder), [1, 2], seed=0, measure=False, quiet=True)
    with blank_figures():
        write_report(sfumato.open(folder), quiet=True)
    made = {"report.html", "evaluation.json", "figures", "samples.csv", "few"}
    assert made <= {path.name for path in folder.iterdir()}
    old = sfumato.open(folder).sample(5, few=2)
    (folder / "notes.txt").write_text("the user's own")

    with resume(folder, changes={"training": {"steps": 80}}) as job:
        said = " ".join(job.notes)
        assert "step-0000060" in said
        assert "sfumato distill" in said
        # Killed now, it is no finished run that a map could be learned of.
        between = sfumato.open(folder)
        assert not between.is_finished()
        assert between.model.few is None
        assert between.summary()["training"].startswith("step 60 of 80")
        run = finish(job, quiet=True)
    assert run.is_finished()
    assert run.model.few is None
    names = {path.name for path in folder.iterdir()}
    assert not made & names
    assert "notes.txt" in names
    aside = folder / "before" / "step-0000060"
    assert {path.name for path in aside.iterdir()} == made | {"model.safetensors"}
    np.testing.assert_array_equal(sfumato.open(aside / "model.safetensors").sample(5, few=2), old)


def test_a_report_of_a_run_that_was_stopped_is_set_aside_too(tmp_path: Path) -> None:
    settings, data = resolve("moons", TINY | {"training.checkpoint_every": 10})
    with begin(settings, data, tmp_path / "run") as job:
        list(islice(fitting(job), 2))
    (tmp_path / "run" / "report.html").write_text("of step 20")
    with resume(tmp_path / "run") as job:
        assert "report.html" in job.notes[0]
        finish(job, quiet=True)
    assert not (tmp_path / "run" / "report.html").exists()
    aside = tmp_path / "run" / "before" / "step-0000020"
    assert [path.name for path in aside.iterdir()] == ["report.html"]


def test_a_kill_between_setting_aside_and_going_on_loses_nothing(own_moons: Run) -> None:
    folder = own_moons.folder
    assert folder is not None
    (folder / "report.html").write_text("of step 60")
    (folder / "figures").mkdir()
    set_aside(folder, 60, "samples.csv", model=True)
    (folder / "figures").mkdir()
    (folder / "report.html").write_text("of step 60, made again")
    sfumato.resume(folder, settings={"training.steps": 70}, quiet=True)
    aside = folder / "before" / "step-0000060"
    assert {path.name for path in aside.iterdir()} == {
        "report.html",
        "figures",
        "model.safetensors",
    }
    assert (aside / "report.html").read_text() == "of step 60, made again"


def test_a_map_that_the_settings_ask_for_is_learned_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(distill._RECIPES, "points", (200, 6, 0.5, 1))
    first = _fit("moons", tmp_path / "run", TINY, sampling_few=2)
    run = sfumato.resume(tmp_path / "run", settings={"training.steps": 80}, quiet=True)
    assert run.settings.sampling.few == 2
    assert first.model.few is not None
    assert run.model.few is not None
    old, new = (each.network.state_dict() for each in (first.model.few, run.model.few))
    assert any(not torch.equal(old[name], value) for name, value in new.items())
