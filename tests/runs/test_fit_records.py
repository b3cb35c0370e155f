"""A fit that gives its records one at a time is a fit like any other."""

import gc
import json
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sfumato
from fitted import TINY
from sfumato import Run
from sfumato.errors import ArgumentError, RunError


def _weights(run: Run) -> list[np.ndarray]:
    return [each.detach().numpy() for each in run.model.denoiser.network.parameters()]


def test_the_records_are_those_on_disk_and_the_run_is_that_of_fit(
    moons: Run, tmp_path: Path
) -> None:
    records = list(sfumato.fit_records("moons", settings=TINY, out=tmp_path / "run"))
    assert [record.step for record in records] == list(range(10, 70, 10))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    for record, line in zip(records, lines, strict=True):
        on_disk = json.loads(line)
        del on_disk["seconds"]
        assert asdict(record) == on_disk
    run = sfumato.open(tmp_path / "run")
    assert run.is_finished()
    assert (tmp_path / "run" / "README.md").exists()
    for own, other in zip(_weights(run), _weights(moons), strict=True):
        np.testing.assert_array_equal(own, other)


def test_a_loop_that_is_left_leaves_a_run_that_goes_on(moons: Run, tmp_path: Path) -> None:
    for record in sfumato.fit_records("moons", settings=TINY, out=tmp_path / "run"):
        if record.step == 30:  # 20 was a checkpoint
            break
    stopped = sfumato.open(tmp_path / "run")
    assert stopped.summary()["training"].startswith("step 30 of 60")
    before = _weights(stopped)
    run = sfumato.resume(tmp_path / "run", quiet=True)
    assert any((own != other).any() for own, other in zip(before, _weights(run), strict=True))
    for own, other in zip(_weights(run), _weights(moons), strict=True):
        np.testing.assert_array_equal(own, other)


def test_records_without_a_place_for_their_run_are_refused_at_once() -> None:
    with pytest.raises(ArgumentError, match="say where that is to be, out='runs/mine'"):
        sfumato.fit_records("moons", settings=TINY)


def test_records_that_are_kept_hold_the_folder_until_they_are_closed(tmp_path: Path) -> None:
    records = sfumato.fit_records("moons", settings=TINY, out=tmp_path / "run")
    next(records)
    with pytest.raises(RunError, match="in use"):
        sfumato.resume(tmp_path / "run", quiet=True)
    records.close()
    assert sfumato.resume(tmp_path / "run", quiet=True).is_finished()


def test_between_records_signals_and_threads_are_the_callers(tmp_path: Path) -> None:
    handler, threads = signal.getsignal(signal.SIGINT), torch.get_num_threads()
    both = (
        sfumato.fit_records("moons", settings={**TINY, "threads": 2}, out=tmp_path / name)
        for name in "ab"
    )
    for _ in zip(*both, strict=False):
        assert signal.getsignal(signal.SIGINT) is handler
        assert torch.get_num_threads() == threads
        break
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.get_num_threads() == threads


def test_an_exception_in_the_loop_saves_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the loop is what raises
        for record in sfumato.fit_records("moons", settings=TINY, out=tmp_path / "run"):
            if record.step == 30:
                raise KeyboardInterrupt
    gc.collect()
    assert sfumato.resume(tmp_path / "run", quiet=True).is_finished()


def test_a_fault_is_said_as_by_fit(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="unknown data set 'nosuch'"):
        next(iter(sfumato.fit_records("nosuch", out=tmp_path / "run")))
    with pytest.raises(ArgumentError, match=r"torch\.nn\.Module"):
        next(iter(sfumato.fit_records("moons", network=nn.Linear, out=tmp_path / "run")))  # type: ignore[arg-type]
