"""Runs: data split, folders never overwritten, fitting that learns, saves, stops and resumes."""

import io
import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout

import sfumato
from fitted import TINY, normal_rows
from sfumato import config
from sfumato.data.io.rows import write_rows
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, DataError, DivergedError, RunError
from sfumato.models.file import save_model
from sfumato.models.gaussian import GaussianModel
from sfumato.runs.fit import begin, finish, fit, resolve, resume
from sfumato.runs.folder import LOCK, new_folder
from sfumato.runs.job import Stopped, fitting
from sfumato.runs.kinds import KINDS
from sfumato.runs.run import SNAPSHOT_FRAMES, SNAPSHOT_STEPS, Run, open_run
from sfumato.training import checkpoint
from sfumato.training.regression import Regression


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_three_lines_of_python(here: Path) -> None:
    run = sfumato.fit("moons", settings=TINY, quiet=True)
    x = run.sample(100)
    assert x.shape == (100, 2)
    assert run.folder == Path("runs/moons-001")
    assert {path.name for path in run.folder.iterdir()} == {
        ".lock",
        "README.md",
        "config.toml",
        "model.safetensors",
        "checkpoint",
        "metrics.jsonl",
        "snapshots",
    }
    np.testing.assert_array_equal(open_run(run.folder).sample(100), x)
    np.testing.assert_array_equal(open_run(run.folder / "model.safetensors").sample(100), x)


def test_runs_are_numbered_after_the_highest(here: Path) -> None:
    for name in ("moons-001", "moons-007", "moons-old"):
        (here / "runs" / name).mkdir(parents=True)
    with begin(*resolve("moons", TINY)) as job:
        assert job.folder == Path("runs/moons-008")


def test_samples_come_from_the_averaged_weights_unless_the_last_are_asked_for(
    here: Path, moons: Run
) -> None:
    last = fit("moons", settings={**TINY, "sampling.weights": "last"}, out="last", quiet=True)
    for run, part in ((moons, "average."), (last, "network.")):
        assert run.folder is not None
        tensors, _ = checkpoint.load(run.folder / "checkpoint")
        assert not torch.equal(
            tensors["average.output_proj.weight"], tensors["network.output_proj.weight"]
        )
        saved = open_run(run.folder).model.denoiser.network.state_dict()
        assert torch.equal(saved["output_proj.weight"], tensors[f"{part}output_proj.weight"])
        in_memory = run.model.denoiser.network.state_dict()
        assert torch.equal(in_memory["output_proj.weight"], saved["output_proj.weight"])


def test_metrics_and_snapshots_are_there_to_read(moons: Run) -> None:
    assert [record["step"] for record in moons.records()] == [10, 20, 30, 40, 50, 60]
    assert [step for step, _ in moons.snapshots()] == [10, 20, 60]
    assert all(frames.shape == (10, 1024, 2) for _, frames in moons.snapshots())


def test_rows_in_memory_and_in_a_file_give_the_same_model(of_array: Run, of_file: Run) -> None:
    np.testing.assert_array_equal(of_array.sample(50), of_file.sample(50))


def test_a_share_of_a_file_is_never_learned_from(here: Path) -> None:
    write_rows(here / "rows.npy", Points(normal_rows(200), ("x0", "x1", "x2")))
    settings, data = resolve("rows.npy", {"data.holdout": 0.25})
    assert data.heldout is not None
    assert len(data.train.values) == 150
    assert len(data.heldout.values) == 50
    together = np.concatenate([data.train.values, data.heldout.values])
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(normal_rows(200), axis=0))
    assert settings.data.sha256 is not None


@pytest.mark.parametrize("holdout", [0.01, 0.5])
def test_three_rows_are_enough_whatever_the_share(holdout: float) -> None:
    _, data = resolve(normal_rows(3), {"data.holdout": holdout})
    assert data.heldout is not None
    assert (len(data.train.values), len(data.heldout.values)) == (2, 1)


def test_a_file_that_changed_is_not_taken_for_the_old_one(of_file: Run) -> None:
    assert of_file.folder is not None
    file = Path(of_file.settings.data.source)
    before = file.read_bytes()
    write_rows(file, Points(normal_rows() + 1, ("x0", "x1", "x2")))
    with pytest.raises(DataError, match="not what this run began with"):
        open_run(of_file.folder).load_data()
    file.write_bytes(before)
    assert len(open_run(of_file.folder).load_data().train) == 900


def test_an_existing_folder_is_never_overwritten(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="never overwritten"):
        fit("moons", settings=TINY, out="mine", quiet=True)
    assert [path.name for path in (here / "mine").iterdir()] == ["thesis.txt"]
    (here / "empty").mkdir()
    with begin(*resolve("moons", TINY), "empty") as job:
        assert job.folder == Path("empty")


def test_a_folder_that_cannot_be_made_is_told(here: Path) -> None:
    (here / "file").touch()
    with pytest.raises(RunError, match="cannot write to"):
        fit("moons", settings=TINY, out="file/run", quiet=True)


def test_a_folder_in_use_is_told(here: Path) -> None:
    (here / "run").mkdir()
    with (
        FileLock(here / "run" / LOCK),
        pytest.raises(RunError, match="in use by another process"),
    ):
        fit("moons", settings=TINY, out="run", quiet=True)


def test_a_run_is_held_from_before_its_checkpoint_is_read(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = _stop_at(30, signal.SIGINT)
    held = []
    load = checkpoint.load

    def noted_load(place: Path, *names: Any) -> Any:
        with pytest.raises(Timeout):
            FileLock(folder / LOCK).acquire(timeout=0)
        held.append(place)
        return load(place, *names)

    monkeypatch.setattr(checkpoint, "load", noted_load)
    with resume(folder) as job:
        next(fitting(job))
        with pytest.raises(Timeout):
            FileLock(folder / LOCK).acquire(timeout=0)
    assert held == [folder / "checkpoint"]
    FileLock(folder / LOCK).acquire(timeout=0)


def test_a_number_that_is_taken_in_the_meantime_is_left_to_its_owner(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def late(self: Path, *args: Any, **kwargs: Any) -> None:
        if self.name == "moons-001" and not self.exists():
            mkdir(self)  # by the other process
        mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", late)
    with new_folder(None, "moons") as folder:
        assert folder == Path("runs/moons-002")
    assert not list((here / "runs" / "moons-001").iterdir())


def test_a_folder_that_was_filled_in_the_meantime_is_not_overwritten(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "run").mkdir()
    acquire = FileLock.acquire

    def late(self: FileLock, *args: Any, **kwargs: Any) -> Any:
        (here / "run" / "config.toml").write_text("# by the other process")
        return acquire(self, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", late)
    with pytest.raises(RunError, match="never overwritten"):
        fit("moons", settings=TINY, out="run", quiet=True)
    assert (here / "run" / "config.toml").read_text() == "# by the other process"


def test_only_a_run_is_offered_to_go_on_with(here: Path) -> None:
    (here / "my run").mkdir()
    (here / "my run" / "config.toml").touch()
    (here / "other").mkdir()
    (here / "other" / "thesis.txt").touch()
    with pytest.raises(RunError, match="sfumato fit --resume --out 'my run'"):
        fit("moons", settings=TINY, out="my run", quiet=True)
    with pytest.raises(RunError, match=r"choose another --out\.$"):
        fit("moons", settings=TINY, out="other", quiet=True)


def test_wrong_settings_are_told_before_a_folder_is_made(here: Path) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'ddim'"):
        fit("moons", settings={**TINY, "sampling.sampler": "dimm"}, quiet=True)
    assert not (here / "runs").exists()


def _stop_at(step: int, signum: int) -> tuple[Path, int]:
    settings, data = resolve("moons", TINY)
    with begin(settings, data, "stopped") as job:
        walk = fitting(job)
        while next(walk).step < step:
            pass
        os.kill(os.getpid(), signum)
        with pytest.raises(Stopped) as stopped:
            next(walk)
    return job.folder, stopped.value.exit_code


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resuming_is_bit_exact(
    here: Path, moons: Run, signum: int, code: int
) -> None:
    before = signal.getsignal(signum)

    folder, exit_code = _stop_at(30, signum)

    assert exit_code == code
    assert signal.getsignal(signum) is before
    with resume(folder) as job:
        assert job.training.step == 30
        run = finish(job, quiet=True)
    assert moons.folder is not None
    assert (folder / "model.safetensors").read_bytes() == (
        moons.folder / "model.safetensors"
    ).read_bytes()
    for name in ("step", "loss", "gradient_norm"):
        ours = [record[name] for record in run.records()]
        assert ours == [record[name] for record in moons.records()]


def test_resuming_after_a_kill_goes_on_from_the_last_checkpoint(
    here: Path, moons: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the process had died without a word: the generator is dropped, and cannot save."""
    settings, data = resolve("moons", TINY)
    with begin(settings, data, "killed") as job:
        walk = fitting(job)
        while next(walk).step < 50:
            pass
        with monkeypatch.context() as dead:
            dead.setattr("sfumato.runs.job._save", lambda _: None)
            del walk  # closes it where it stands
    folder = job.folder
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 55, "lo')  # a line that was being written

    with resume(folder) as resumed:
        assert resumed.training.step == 40
        run = finish(resumed, quiet=True)

    assert [r["step"] for r in run.records()] == [10, 20, 30, 40, 50, 60]
    assert moons.folder is not None
    assert (folder / "model.safetensors").read_bytes() == (
        moons.folder / "model.safetensors"
    ).read_bytes()


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(here: Path) -> None:
    settings, data = resolve("moons", TINY)
    with begin(settings, data, "run") as job:
        walk = fitting(job)
        while next(walk).step < 30:
            pass
        training = job.training
        assert isinstance(training.data, torch.Tensor)
        training.data.fill_(float("nan"))
        training.restore(training.tensors(), training.numbers())  # prepares the steps anew
        with pytest.raises(DivergedError, match=r"training\.learning_rate"):
            list(walk)
    with resume(job.folder) as resumed:
        assert resumed.training.step == 20


def test_a_run_that_was_killed_at_its_first_save_begins_anew(here: Path, moons: Run) -> None:
    settings, data = resolve("moons", TINY)
    with begin(settings, data, "killed") as job:
        (job.folder / "checkpoint").mkdir()
        (job.folder / "checkpoint" / ".state-0-a.safetensors").write_bytes(b"half")
    with resume(Path("killed")) as job:
        finish(job, quiet=True)
    assert moons.folder is not None
    assert _model_of(Path("killed")) == _model_of(moons.folder)


def test_a_lost_checkpoint_does_not_begin_a_trained_run_anew(here: Path) -> None:
    folder, _ = _stop_at(30, signal.SIGINT)
    shutil.rmtree(folder / "checkpoint")
    with pytest.raises(RunError, match="no checkpoint"), resume(folder):
        pass


def test_resuming_brings_the_model_up_to_the_checkpoint(own_moons: Run) -> None:
    """As if the process had died between the last checkpoint and its model."""
    run = own_moons
    assert run.folder is not None
    whole = _model_of(run.folder)
    run.model.denoiser.network.state_dict()["output_proj.weight"].zero_()
    save_model(run.model, run.folder / "model.safetensors")
    assert _model_of(run.folder) != whole
    with resume(run.folder):
        pass
    assert _model_of(run.folder) == whole


def _model_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_run_that_cannot_be_resumed_is_not_said_to_be(here: Path) -> None:
    settings, data = resolve(normal_rows(), TINY)
    with begin(settings, data, "array") as job, pytest.raises(Stopped) as stopped:  # noqa: PT012
        walk = fitting(job)
        next(walk)
        os.kill(os.getpid(), signal.SIGINT)
        next(walk)
    assert str(stopped.value) == "stopped at step 10; saved."


def test_the_last_line_of_the_metrics_may_be_half_written(own_moons: Run) -> None:
    run = own_moons
    assert run.folder is not None
    path = run.folder / "metrics.jsonl"
    whole = run.records()
    text = path.read_text()
    for half in ("{", '{"step": 55, "lo', text.splitlines()[0]):
        path.write_text(text + half)
        assert run.records() == whole


def test_a_damaged_line_of_the_metrics_is_named(here: Path) -> None:
    folder, _ = _stop_at(30, signal.SIGINT)
    path = folder / "metrics.jsonl"
    first, _, third = path.read_bytes().splitlines()
    phrase = "line 2 of stopped/metrics.jsonl is damaged"
    lines = b"", b"{", b"3", b'{"step": 30}', third.replace(b"30", b'"30"'), b"\xff", b"[" * 100_000
    for line in lines:
        path.write_bytes(b"\n".join([first, line, third, b""]))
        with pytest.raises(RunError, match=phrase):
            open_run(folder).records()
    with pytest.raises(RunError, match=phrase), resume(folder) as job:
        finish(job, quiet=True)


def test_a_damaged_snapshot_is_named(own_moons: Run) -> None:
    run = own_moons
    assert run.folder is not None
    path = run.folder / "snapshots" / "step-0000020.npy"
    whole = path.read_bytes()
    contents = [b"", b"half", pickle.dumps([1]), whole[:-9], _saved(np.savez, np.zeros((10, 4, 2)))]
    arrays = np.zeros(5), np.zeros((9, 4, 2)), np.zeros((10, 4, 3)), np.full((10, 4, 2), "a")
    contents += [_saved(np.save, array) for array in arrays]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"step-0000020\.npy is damaged; delete it"):
            run.snapshots()
    path.unlink()
    assert [step for step, _ in run.snapshots()] == [10, 60]


def test_points_are_averaged_over_near_rows(moons: Run) -> None:
    model = moons.model
    prepared = KINDS["points"].prepare(moons.settings, moons.load_data(), model.codec)
    objective = prepared.objective(model.denoiser, model.process)
    assert isinstance(objective, Regression)
    assert objective.near is not None
    assert len(objective.near.chance) == len(prepared.rows)


def test_a_snapshot_is_drawn_in_few_even_steps(own_moons: Run, tmp_path: Path) -> None:
    calls = []
    model = own_moons.model
    hook = model.denoiser.network.register_forward_hook(lambda *_: calls.append(1))
    assert isinstance(model, GaussianModel)
    frames = model.pictured_frames(5, SNAPSHOT_FRAMES, steps=SNAPSHOT_STEPS)
    assert len(calls) == SNAPSHOT_STEPS < 30
    times = [float(model.process.time(level.log_snr)) for level, _ in frames[:-1]]
    np.testing.assert_allclose(times, 1 - np.arange(SNAPSHOT_FRAMES - 1) / 9, atol=1e-6)
    model.pictured_frames(5, 40, steps=SNAPSHOT_STEPS)  # no fewer than frames
    assert len(calls) == SNAPSHOT_STEPS + 39
    hook.remove()
    settings = {**TINY, "training.steps": 1, "training.snapshots": 1, "sampling.steps": 60}
    with pytest.MonkeyPatch.context() as patch:
        asked = []
        own = GaussianModel.pictured_frames

        def counted(self: GaussianModel, n: int, count: int, **named: Any) -> Any:
            asked.append(named)
            return own(self, n, count, **named)

        patch.setattr(GaussianModel, "pictured_frames", counted)
        sfumato.fit("moons", settings=settings, out=tmp_path / "run", quiet=True)
    assert asked == [{"steps": SNAPSHOT_STEPS}]


def test_snapshots_come_in_the_order_of_their_steps(own_moons: Run) -> None:
    run = own_moons
    assert run.folder is not None
    shutil.rmtree(run.folder / "snapshots")
    (run.folder / "snapshots").mkdir()
    for step in ("9999999", "10000000"):
        np.save(run.folder / "snapshots" / f"step-{step}.npy", np.zeros((10, 4, 2)))
    assert [step for step, _ in run.snapshots()] == [9999999, 10000000]


def _saved(save: Callable[[io.BytesIO, np.ndarray], None], array: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, array)
    return file.getvalue()


def test_a_seed_of_the_samples_may_be_as_large_as_any(here: Path) -> None:
    run = fit("moons", settings=TINY, seed=config.LARGEST_SEED, quiet=True)
    assert run.folder is not None
    assert open_run(run.folder).settings.seed == config.LARGEST_SEED
    assert run.evaluate(n=20, seed=config.LARGEST_SEED).rows == 20


def test_half_written_and_foreign_folders_are_told(here: Path) -> None:
    with pytest.raises(RunError, match="no run folder or model file"):
        open_run("none")
    (here / "foreign").mkdir()
    with pytest.raises(RunError, match="not a run folder"):
        open_run("foreign")
    with pytest.raises(RunError, match="not a run folder"):
        _resume_nothing()
    (here / "foreign" / "config.toml").write_text(config.resolve().to_toml())
    with pytest.raises(RunError, match="no model yet"):
        open_run("foreign")
    (here / "foreign" / "config.toml").write_text("seed = ")
    with pytest.raises(RunError, match="settings of foreign are damaged"):
        _resume_nothing()


def _resume_nothing() -> None:
    with resume(Path("foreign")):
        pass


@pytest.mark.parametrize(
    ("rows", "phrase"),
    [
        (np.zeros((5, 2)), "every column is constant"),
        (np.ones(5), "every column is constant"),
        (np.ones((2, 2, 2)), "rows of numbers have two dimensions"),
        (np.zeros((5, 2)), "^array: among the rows to learn from, "),
        (np.ones((2, 2)), "array has 2 rows of data; at least 3 rows"),
        (np.array([["a", "b"]]), "array has 1 row of data; at least 3 rows"),
        (np.array([["a", "b"]] * 3), "every column is constant"),
        (np.ones((3, 2), complex), "holds values of type complex128; numbers or text"),
        (np.array([[1.0, np.nan], [np.inf, 2]]), "data row 2, column 'x0': inf is infinite"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_told(
    here: Path, rows: np.ndarray, phrase: str
) -> None:
    with pytest.raises(DataError, match=phrase):
        fit(rows, settings=TINY, quiet=True)


def test_evaluation_of_a_file_measures_at_the_heldout_size(of_file: Run) -> None:
    evaluation = of_file.evaluate(quiet=True)
    assert evaluation.rows == 100
    assert {measure.name for measure in evaluation.measures} == {
        "classifier_auc",
        "energy_distance",
        "mmd",
        "sliced_wasserstein",
        "memorisation",
    }
    json.dumps(evaluation.to_dict())
    with pytest.raises(ArgumentError, match="at least 20"):
        of_file.evaluate(n=5)


def test_real_rows_in_the_samples_place_cannot_be_told_apart(moons: Run) -> None:
    """The whole way from a run to a verdict, with the truth in the model's place."""
    real = moons.load_data().fresh(99, 2000)
    verdicts = {m.name: m.verdict for m in moons.evaluate(n=2000, sample=real).measures}
    assert set(verdicts.values()) == {"cannot be told apart"}
    shifted = moons.evaluate(n=2000, sample=real + 0.3)
    assert shifted.verdict == "apart"


def test_the_callers_number_of_threads_comes_back(here: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run = fit("moons", settings={**TINY, "training.steps": 10, "threads": 1}, quiet=True)
        rows = run.sample(50)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(run.sample(50), rows)


def test_a_set_without_noise_has_no_density_to_measure_with() -> None:
    _, without = resolve("moons", {"data.noise": 0.0, "data.rows": 50})
    _, noisy = resolve("moons", {"data.rows": 50})
    assert without.log_density() is None
    assert noisy.log_density() is not None


def test_a_notebook_shows_what_a_run_is(moons: Run) -> None:
    shown = moons._repr_html_()
    assert "<th>source</th><td>moons</td>" in shown
    assert "training" in shown
    assert "<th>settings</th>" not in shown
