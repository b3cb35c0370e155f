"""Checkpoints: whole or not there, damage noticed, the old one standing until the new one is."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato import atomic
from sfumato.errors import RunError
from sfumato.training import checkpoint


def _state(value: float) -> dict[str, Tensor]:
    return {"network.weight": torch.full((4, 3), value), "generator": torch.arange(5).byte()}


def test_round_trip_and_the_old_state_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    checkpoint.save(folder, _state(1.0), {"step": 5, "position": 2})
    checkpoint.save(folder, _state(2.0), {"step": 10, "position": 4})
    tensors, numbers = checkpoint.load(folder)
    assert numbers == {"step": 10, "position": 4}
    assert torch.equal(tensors["network.weight"], torch.full((4, 3), 2.0))
    assert tensors["generator"].dtype == torch.uint8
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "state-10.safetensors",
    ]


@pytest.mark.parametrize("dies_at", [1, 2])
def test_dying_while_saving_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """Death in the first write (the state) or in the second (the manifest that commits it)."""
    checkpoint.save(tmp_path, _state(1.0), {"step": 5, "position": 2})
    writes = 0
    real = atomic.write_bytes

    def dying(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == dies_at:
            raise OSError("no space left on device")
        real(path, content)

    monkeypatch.setattr(atomic, "write_bytes", dying)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, _state(2.0), {"step": 10, "position": 4})
    tensors, numbers = checkpoint.load(tmp_path)
    assert numbers["step"] == 5
    assert torch.equal(tensors["network.weight"], torch.full((4, 3), 1.0))


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_a_flipped_bit_is_noticed(tmp_path: Path, where: float) -> None:
    checkpoint.save(tmp_path, _state(1.0), {"step": 5, "position": 2})
    path = tmp_path / "state-5.safetensors"
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        checkpoint.load(tmp_path)


def test_none_a_half_and_a_foreign_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no checkpoint"):
        checkpoint.load(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"format": 1, "num')
    with pytest.raises(RunError, match="cannot be read"):
        checkpoint.load(tmp_path)
    escape = {"format": 1, "numbers": {"step": 1}, "sha256": {"../../etc/passwd": "0"}}
    manifest.write_text(json.dumps(escape))
    with pytest.raises(RunError, match="format"):
        checkpoint.load(tmp_path)
    manifest.write_text(json.dumps({"format": 1, "numbers": {"step": 1}, "sha256": {"gone": "0"}}))
    with pytest.raises(RunError, match="missing"):
        checkpoint.load(tmp_path)
