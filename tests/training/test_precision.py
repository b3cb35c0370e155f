"""Float32 or bfloat16: what a few steps of this very network say."""

import itertools

import pytest
import torch

from sfumato.runs.fit import prepare, resolve
from sfumato.training import loop, precision
from sfumato.training.loop import Training

_TINY = {"data.rows": 50, "training.batch_size": 8, "network.width": 4}


def _trial(**training: object) -> Training:
    changes = {f"training.{name}": value for name, value in training.items()}
    return prepare(*resolve("moons", _TINY | {"training.precision": "auto"} | changes))[0]


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that says that it has bfloat16."""
    for module in (loop, precision):
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda _: True)


@pytest.mark.parametrize(
    ("plain", "short", "name"),
    [(1.0, 0.5, "bfloat16"), (0.5, 1.0, "float32"), (1.0, 1.0, "float32")],
)
def test_what_is_clearly_faster_is_taken(
    plain: float, short: float, name: str, native: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that goes on by so many seconds at each step, more at the first."""
    trial, now = _trial(), itertools.count()
    clock = [0.0]

    def step(_: object) -> tuple[float, float]:
        clock[0] += (short if trial.in_bfloat16 else plain) + 9 * (next(now) < 2)
        return 0.0, 0.0

    monkeypatch.setattr(trial, "descend", step)
    monkeypatch.setattr("time.process_time", lambda: clock[0])
    found = precision.faster(trial)
    assert found.name == name
    assert f"{plain:.2g} processor seconds in float32 and {short:.2g} in bfloat16" in found.note


def test_the_steps_are_taken_in_both(native: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    autocast = torch.is_autocast_enabled
    forward = torch.nn.Linear.forward

    def noted(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        seen.append(autocast("cpu"))
        return forward(layer, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", noted)
    precision.faster(_trial())
    assert {True, False} == set(seen)


def test_where_nothing_is_native_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda _: False)
    trial = _trial()
    assert precision.faster(trial).name == "float32"
    assert trial.step == 0
