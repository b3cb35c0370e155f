"""What the doctor says of a run that a few-step map draws for."""

import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.models.few import FewSteps, times_of
from sfumato.models.model import changed
from sfumato.runs.distill import in_few
from sfumato.runs.doctor import Finding
from sfumato.runs.doctor.fit import _few_calls
from sfumato.runs.run import Run


def _with_map(run: Run, scale: float) -> Run:
    """A map of the run's own network, whose answers are multiplied."""
    network = deepcopy(run.model.denoiser.network)
    with torch.no_grad():
        for weight in list(network.parameters())[-2:]:
            weight.mul_(scale)
    few = FewSteps(network, {calls: times_of(run.model.process, calls) for calls in (1, 2, 4)})
    return in_few(replace(run, model=changed(run.model, few=few)), 1)


def _found(run: Run) -> Finding:
    assert run.model.few is not None
    rows = run.model.encoded(run.kind.rows(run.load_data().train))
    return _few_calls(run, run.model.few, rows)


def test_too_few_calls_are_said_with_what_to_do(moons: Run) -> None:
    """The network's mean of all rows in one call, where there are two moons."""
    run = _with_map(moons, 1.0)
    found = _found(run)
    assert found.title == "More network calls are worth it"
    assert found.remedy.startswith("sampling.few=2 or sampling.few=0")
    most = _found(in_few(run, 4))
    assert most.remedy in ("", "sampling.few=0 (sample --calls)")


def test_a_map_as_good_as_the_sampler_is_enough(
    moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moons.folder is not None
    shutil.copytree(moons.folder, tmp_path / "run")
    run = _with_map(moons, 1.0)
    own = run.kind.rows(run.load_data().train)
    # Real rows in the samples' place.
    monkeypatch.setattr(Run, "draw", lambda *_, **__: own[: len(own) // 3])
    found = _found(run)
    assert found.title == "Few network calls draw as the sampler does"
    assert not found.remedy
