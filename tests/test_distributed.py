"""Two processes, as torchrun starts them, do what one does."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import sfumato
from command_line import Command
from fitted import squares
from forked import Forks
from sfumato import distributed
from sfumato.cli import main
from sfumato.errors import ArgumentError
from sfumato.runs.run import Run, open_run

_FITS: dict[str, dict[str, object]] = {
    "moons": {},
    "labelled pictures": {
        "data.labels": True,
        "network.width": 16,
        "network.options.multipliers": [1, 2],
        "training.flip": True,
        "training.batch_size": 16,
        "training.micro_batch": 3,
        "training.checkpoint_every": 5,
    },
    # Few weights and steps: how to share each weight out takes PyTorch longer than a step.
    "sharded pictures": {
        "network.width": 16,
        "network.depth": 1,
        "network.options.multipliers": [1],
        "training.steps": 4,
        "training.batch_size": 16,
        "training.micro_batch": 5,
        "training.optimizer": "muon",
        "training.shard": True,
    },
}
_SHORT: dict[str, object] = {"training.steps": 10, "training.snapshots": 0, "threads": 1}


def _final(folder: Path) -> dict[str, float]:
    last: dict[str, float] = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return last


@dataclass(frozen=True)
class _Two:
    """What two processes wrote.

    Args:
        sources: what each fit learned from.
        folder: of each fit a run, and samples of moons.npy.
        printed: on standard output, of all fits.
    """

    sources: dict[str, str]
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def two(moons: Run, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> _Two:
    """All that two processes do, started once; a lost process has a start of its own."""
    folder = tmp_path_factory.mktemp("two")
    pictures = str(folder / "squares.npz")
    np.savez(pictures, pixels=squares(), labels=np.arange(len(squares())) % 2)
    sources = {name: "moons" if name == "moons" else pictures for name in _FITS}
    lines = [f"sample {moons.folder} -n 2500 --to {folder / 'moons.npy'} --quiet"]
    for name, source in sources.items():
        changes = _SHORT | _FITS[name]
        toml = [f"--set '{key}={str(value).lower()}'" for key, value in changes.items()]
        lines.append(f"fit {source} {' '.join(toml)} --out '{folder / name}'")
    short = "--set training.steps=10 --set training.snapshots=0"
    lines.append(f"fit moons --from {moons.folder} {short} --out {folder / 'on'} --quiet")
    lines.append(f"fit --resume --out {folder / 'on'} --set training.steps=15 --quiet")
    both = forks.start_two(*lines, output=folder / "said")
    assert [each.code() for each in both] == [0, 0], both[0].said() + both[1].said()
    return _Two(sources, folder, both[0].said("out") + both[1].said("out"))


@pytest.mark.parametrize("name", _FITS)
def test_two_processes_learn_what_one_learns(two: _Two, tmp_path: Path, name: str) -> None:
    one = sfumato.fit(
        two.sources[name], out=tmp_path / "one", settings=_SHORT | _FITS[name], quiet=True
    )
    assert _final(two.folder / name)["loss"] == pytest.approx(
        _final(tmp_path / "one")["loss"], 1e-3
    )
    of_two = open_run(two.folder / name)
    for own, other in zip(
        one.model.denoiser.network.parameters(),
        of_two.model.denoiser.network.parameters(),
        strict=True,
    ):
        # Sums in another order, and Adam's first steps divide by next to nothing.
        assert float((own - other).detach().abs().mean()) < 2e-4


def test_two_processes_start_from_a_run_and_train_on(two: _Two, moons: Run, tmp_path: Path) -> None:
    settings = {"training.steps": 10, "training.snapshots": 0}
    sfumato.fit("moons", start=moons, out=tmp_path / "on", settings=settings, quiet=True)
    one = sfumato.resume(tmp_path / "on", settings={"training.steps": 15}, quiet=True)
    of_two = open_run(two.folder / "on")
    assert of_two.settings.training == one.settings.training
    assert [part.until for part in of_two.settings.training.past] == [10]
    assert (two.folder / "on" / "before" / "step-0000010" / "model.safetensors").exists()
    for own, other in zip(
        one.model.denoiser.network.parameters(),
        of_two.model.denoiser.network.parameters(),
        strict=True,
    ):
        assert float((own - other).detach().abs().mean()) < 2e-4


def test_one_of_several_processes_speaks(two: _Two) -> None:
    assert two.printed.count("Run folder:") == len(_FITS)
    quiet = 2  # they say where their run is, once each
    assert two.printed.count("Done:") == len(_FITS) + quiet


def test_samples_are_the_same_whatever_the_number_of_processes(two: _Two, moons: Run) -> None:
    np.testing.assert_array_equal(np.load(two.folder / "moons.npy"), moons.sample(2500))


@pytest.mark.parametrize(("n", "first"), [(0, 0), (1, 0), (10, 3), (64, 64), (1000, 37)])
@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_shares_are_whole_chunks_in_order(
    monkeypatch: pytest.MonkeyPatch, processes: int, n: int, first: int
) -> None:
    monkeypatch.setattr(distributed, "count", lambda: processes)
    starts = [start for start in range(0, first + n, 16) if n and start + 16 > first]
    shares = distributed.shares(n, starts, first)
    assert len(shares) == processes
    where = first
    for begin, length in shares:
        assert begin == where
        where += length
        assert where in (first, first + n) or where % 16 == 0
    assert where == first + n


def test_several_processes_must_know_the_folder(
    sfumato: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "count", lambda: 2)
    code, out, err = sfumato("fit moons")
    assert (code, out) == (2, "")
    assert "say --out" in err
    assert not list(tmp_path.iterdir())


def test_what_several_processes_cannot_do_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["sfumato", "info", "runs/moons-001"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "run this in one" in capsys.readouterr().err


def test_a_batch_that_cannot_be_shared_evenly_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(distributed, "count", lambda: 2)
    with pytest.raises(ArgumentError, match="cannot share 33 evenly"):
        sfumato.fit("moons", out=tmp_path / "a", settings={"training.batch_size": 33}, quiet=True)
    assert not (tmp_path / "a").exists()


def test_a_lost_process_is_restarted_from_the_last_checkpoint(forks: Forks, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    changes = ("training.steps=400", "training.checkpoint_every=50", "training.log_every=10")
    small = ("network.width=16", "training.batch_size=32", "training.snapshots=0", "threads=1")
    sets = " ".join(f"--set {each}" for each in (*changes, *small))
    line = f"fit moons {sets} --out {folder}"
    job = forks.start(line, output=tmp_path / "said", restarts=3)
    metrics = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if metrics.is_file() and metrics.read_text().count("\n") >= 12:
            break
        time.sleep(0.02)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children")
    if not children.is_file():
        os.kill(job.pid, signal.SIGTERM)
        pytest.skip("this system does not say which processes were started")
    os.kill(int(children.read_text().split()[1]), signal.SIGKILL)
    assert job.code() == 0, job.said()
    assert "Going on from step" in job.said("out")
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == list(range(10, 401, 10))


@pytest.mark.parametrize(
    "changes",
    [
        {"network.width": 16},
        {"network.name": "dit", "network.width": 32, "network.depth": 2},
    ],
)
def test_micro_batches_add_up_to_the_batch(tmp_path: Path, changes: dict[str, object]) -> None:
    settings = {
        "training.steps": 6,
        "training.batch_size": 8,
        "training.snapshots": 0,
        "threads": 1,
    }
    whole = sfumato.fit("digits", out=tmp_path / "a", settings=settings | changes, quiet=True)
    parts = sfumato.fit(
        "digits", out=tmp_path / "b", settings=settings | changes | {"training.micro_batch": 3},
        quiet=True,
    )  # fmt: skip
    for own, other in zip(
        whole.model.denoiser.network.parameters(),
        parts.model.denoiser.network.parameters(),
        strict=True,
    ):
        assert float((own - other).detach().abs().mean()) < 2e-4
