"""Runs: data split, folders never overwritten, fitting that learns, saves, stops and resumes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

import sfumato
from sfumato import config
from sfumato.data.files import write_points
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, DataError, DivergedError, RunError
from sfumato.fitting import Stopped, begin, fit, fitting, resume
from sfumato.run import LOCK, Run, open_run
from sfumato.source import settings_for
from sfumato.training import checkpoint

TINY: dict[str, Any] = {
    "training.steps": 60,
    "training.batch_size": 64,
    "training.log_every": 10,
    "training.checkpoint_every": 20,
    "training.snapshots": 2,
    "data.size": 400,
    "network.width": 16,
    "sampling.steps": 8,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _rows(n: int = 300) -> np.ndarray:
    return np.random.default_rng(0).normal([1, 2, 3], [1, 5, 0.1], (n, 3))


def test_three_lines_of_python(here: Path) -> None:
    run = sfumato.fit("moons", settings=TINY, quiet=True)
    x = run.sample(100)
    assert x.shape == (100, 2)
    assert run.folder == Path("runs/moons-001")
    assert {path.name for path in run.folder.iterdir()} == {
        ".lock",
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
    assert fit("moons", settings=TINY, quiet=True).folder == Path("runs/moons-008")


def test_samples_come_from_the_averaged_weights_unless_the_last_are_asked_for(here: Path) -> None:
    for weights, part in (("averaged", "average."), ("last", "network.")):
        settings = {**TINY, "sampling.weights": weights}
        run = fit("moons", settings=settings, out=weights, quiet=True)
        assert run.folder is not None
        tensors, _ = checkpoint.load(run.folder / "checkpoint")
        assert not torch.equal(tensors["average.out.weight"], tensors["network.out.weight"])
        saved = open_run(run.folder).model.denoiser.network.state_dict()
        assert torch.equal(saved["out.weight"], tensors[f"{part}out.weight"])
        in_memory = run.model.denoiser.network.state_dict()
        assert torch.equal(in_memory["out.weight"], saved["out.weight"])


def test_metrics_and_snapshots_are_there_to_read(here: Path) -> None:
    run = fit("moons", settings=TINY, quiet=True)
    assert [record["step"] for record in run.records()] == [10, 20, 30, 40, 50, 60]
    assert [step for step, _ in run.snapshots()] == [10, 20, 60]
    assert all(frames.shape == (10, 1024, 2) for _, frames in run.snapshots())


def test_rows_in_memory_and_in_a_file_give_the_same_model(here: Path) -> None:
    write_points(here / "rows.npy", Points(_rows(), ("x0", "x1", "x2")))
    from_memory = fit(_rows(), settings=TINY, quiet=True)
    from_file = fit("rows.npy", settings=TINY, quiet=True)
    np.testing.assert_array_equal(from_memory.sample(50), from_file.sample(50))


def test_a_share_of_a_file_is_never_learned_from(here: Path) -> None:
    write_points(here / "rows.npy", Points(_rows(200), ("x0", "x1", "x2")))
    settings, data = settings_for("rows.npy", {"data.holdout": 0.25})
    assert data.heldout is not None
    assert len(data.train.values) == 150
    assert len(data.heldout.values) == 50
    together = np.concatenate([data.train.values, data.heldout.values])
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(_rows(200), axis=0))
    assert settings.data.sha256 is not None


def test_a_file_that_changed_is_not_taken_for_the_old_one(here: Path) -> None:
    write_points(here / "rows.npy", Points(_rows(), ("x0", "x1", "x2")))
    run = fit("rows.npy", settings=TINY, quiet=True)
    write_points(here / "rows.npy", Points(_rows() + 1, ("x0", "x1", "x2")))
    assert run.folder is not None
    with pytest.raises(DataError, match="not the file that this run began with"):
        open_run(run.folder).load_data()


def test_an_existing_folder_is_never_overwritten(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="never overwritten"):
        fit("moons", settings=TINY, out="mine", quiet=True)
    assert [path.name for path in (here / "mine").iterdir()] == ["thesis.txt"]
    (here / "empty").mkdir()
    assert fit("moons", settings=TINY, out="empty", quiet=True).folder == Path("empty")


def test_a_folder_that_cannot_be_made_is_told(here: Path) -> None:
    (here / "file").touch()
    with pytest.raises(RunError, match="cannot write to"):
        fit("moons", settings=TINY, out="file/run", quiet=True)


def test_a_folder_in_use_is_told(here: Path) -> None:
    settings, data = settings_for("moons", TINY)
    training, model, folder = begin(settings, data, "run")
    with FileLock(folder / LOCK), pytest.raises(RunError, match="in use by another process"):
        next(fitting(training, model, folder))


def test_wrong_settings_are_told_before_a_folder_is_made(here: Path) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'ddim'"):
        fit("moons", settings={**TINY, "sampling.sampler": "dimm"}, quiet=True)
    assert not (here / "runs").exists()


def _stop_at(step: int, signum: int) -> tuple[Path, int]:
    settings, data = settings_for("moons", TINY)
    training, model, folder = begin(settings, data, "stopped")
    walk = fitting(training, model, folder)
    while next(walk).step < step:
        pass
    os.kill(os.getpid(), signum)
    with pytest.raises(Stopped) as stopped:
        next(walk)
    return folder, stopped.value.exit_code


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resuming_is_bit_exact(here: Path, signum: int, code: int) -> None:
    straight = fit("moons", settings=TINY, out="straight", quiet=True)
    before = signal.getsignal(signum)

    folder, exit_code = _stop_at(30, signum)

    assert exit_code == code
    assert signal.getsignal(signum) is before
    training, model, _ = resume(folder)
    assert training.step == 30
    for _ in fitting(training, model, folder):
        pass
    assert straight.folder is not None
    assert (folder / "model.safetensors").read_bytes() == (
        straight.folder / "model.safetensors"
    ).read_bytes()
    for name in ("step", "loss", "gradient_norm"):
        ours = [record[name] for record in Run(model, folder).records()]
        assert ours == [record[name] for record in straight.records()]


def test_resuming_after_a_kill_goes_on_from_the_last_checkpoint(here: Path) -> None:
    """As if the process had died without a word: the generator is simply dropped."""
    straight = fit("moons", settings=TINY, out="straight", quiet=True)
    settings, data = settings_for("moons", TINY)
    training, model, folder = begin(settings, data, "killed")
    walk = fitting(training, model, folder)
    while next(walk).step < 50:
        pass
    del walk  # closes it where it stands
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 55, "lo')  # a line that was being written

    training, model, _ = resume(folder)
    assert training.step == 40
    for _ in fitting(training, model, folder):
        pass

    assert [r["step"] for r in Run(model, folder).records()] == [10, 20, 30, 40, 50, 60]
    assert straight.folder is not None
    assert (folder / "model.safetensors").read_bytes() == (
        straight.folder / "model.safetensors"
    ).read_bytes()


def test_a_loss_that_is_not_finite_leaves_the_last_checkpoint(here: Path) -> None:
    settings, data = settings_for("moons", TINY)
    training, model, folder = begin(settings, data, "run")
    walk = fitting(training, model, folder)
    while next(walk).step < 30:
        pass
    training.data.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"training\.learning_rate"):
        list(walk)
    training, *_ = resume(folder)
    assert training.step == 20


def test_half_written_and_foreign_folders_are_told(here: Path) -> None:
    with pytest.raises(RunError, match="no run folder or model file"):
        open_run("none")
    (here / "foreign").mkdir()
    with pytest.raises(RunError, match="not a run folder"):
        open_run("foreign")
    with pytest.raises(RunError, match="not a run folder"):
        resume(Path("foreign"))
    (here / "foreign" / "config.toml").write_text(config.resolve().to_toml())
    with pytest.raises(RunError, match="no model yet"):
        open_run("foreign")
    (here / "foreign" / "config.toml").write_text("seed = ")
    with pytest.raises(RunError, match="settings of foreign are damaged"):
        resume(Path("foreign"))


@pytest.mark.parametrize(
    ("rows", "phrase"),
    [
        (np.zeros((5, 2)), "every column is constant"),
        (np.ones(5), "array \\(n, columns\\)"),
        (np.ones((2, 2)), "at least 3 rows"),
        (np.array([["a", "b"]]), "must be numbers"),
        (np.array([[1.0, np.nan], [np.inf, 2]]), "2 of the values are NaN or infinite"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_told(
    here: Path, rows: np.ndarray, phrase: str
) -> None:
    with pytest.raises(DataError, match=phrase):
        fit(rows, settings=TINY, quiet=True)


def test_evaluation_of_a_file_measures_at_the_heldout_size(here: Path) -> None:
    write_points(here / "rows.npy", Points(_rows(1000), ("x0", "x1", "x2")))
    run = fit("rows.npy", settings={**TINY, "data.holdout": 0.1}, quiet=True)
    evaluation = run.evaluate(quiet=True)
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
        run.evaluate(n=5)


def test_real_rows_in_the_samples_place_cannot_be_told_apart(here: Path) -> None:
    """The whole way from a run to a verdict, with the truth in the model's place."""
    run = fit("moons", settings=TINY, quiet=True)
    real = run.load_data().fresh(99, 2000)
    verdicts = {m.name: m.verdict for m in run.evaluate(n=2000, sample=real).measures}
    assert set(verdicts.values()) == {"cannot be told apart"}
    shifted = run.evaluate(n=2000, sample=real + 0.3)
    assert shifted.verdict == "apart"


def test_the_callers_number_of_threads_comes_back(here: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run = fit("moons", settings={**TINY, "threads": 1}, quiet=True)
        rows = run.sample(50)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(run.sample(50), rows)


def test_a_set_without_noise_has_no_density_to_measure_with(here: Path) -> None:
    _, without = settings_for("moons", {"data.noise": 0.0, "data.size": 50})
    _, noisy = settings_for("moons", {"data.size": 50})
    assert without.log_density() is None
    assert noisy.log_density() is not None
