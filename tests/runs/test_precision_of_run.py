"""The precision that a run chose is on record, and measuring leaves no trace."""

import gc
import weakref
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

import sfumato
from fitted import TINY
from sfumato.runs import fit as fitting_module
from sfumato.runs.fit import begin, finish, resolve, resume
from sfumato.runs.job import fitting
from sfumato.training.precision import Precision


def _weights(run: sfumato.Run) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = run.model.denoiser.network.state_dict()
    return found


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_auto_ends_in_the_weights_of_what_it_chose(
    name: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = TINY | {"training.precision": name}
    whole = sfumato.fit("moons", out=tmp_path / "stated", settings=stated, quiet=True)

    def chosen(trial: Any) -> Precision:
        for batch in trial.batches(2):  # as measuring does
            with trial.learning():
                trial.descend(batch)
        return Precision(name, "measured")

    monkeypatch.setattr(fitting_module, "faster", chosen)
    settings, data = resolve("moons", TINY | {"training.precision": "auto"})
    with begin(settings, data, tmp_path / "auto") as job:
        assert job.notes == ("measured",)
        list(islice(fitting(job), 2))

    def never(_: Any) -> Precision:
        raise AssertionError("a run that goes on does not measure again")

    monkeypatch.setattr(fitting_module, "faster", never)
    with resume(tmp_path / "auto") as job:
        run = finish(job, quiet=True)
    assert run.settings.training.precision == name
    for key, value in _weights(whole).items():
        assert torch.equal(_weights(run)[key], value)


def test_what_was_measured_with_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and not when Python next looks for what holds itself."""
    trials = []

    def chosen(trial: Any) -> Precision:
        trials.append(weakref.ref(trial))
        next(trial.batches(1))
        return Precision("float32", "measured")

    monkeypatch.setattr(fitting_module, "faster", chosen)
    gc.disable()
    try:
        fitting_module._measured(*resolve("moons", TINY))
        assert trials[0]() is None
    finally:
        gc.enable()
