"""What resuming needs, on disk, so that a run can be killed at any moment.

The state is written under a new name and flushed; then a manifest with its SHA-256 takes the
place of the old one in a single rename. The manifest is the commit record: before it the old
checkpoint stands, after it the new one. Nothing is pickled.
"""

import json
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from sfumato import atomic
from sfumato.errors import RunError

_MANIFEST = "manifest.json"
_FORMAT = 2


def save(folder: Path, tensors: dict[str, Tensor], numbers: dict[str, int]) -> None:
    """Replace the checkpoint in `folder` by this one, or leave the old one whole.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    state = folder / f"state-{numbers['step']}.safetensors"
    atomic.write_bytes(
        state, save_safetensors({name: value.contiguous() for name, value in tensors.items()})
    )
    manifest = {
        "format": _FORMAT,
        "numbers": numbers,
        "sha256": {state.name: atomic.sha256(state)},
    }
    atomic.write_bytes(folder / _MANIFEST, json.dumps(manifest, indent=2).encode())
    for old in folder.glob("*state-*.safetensors"):
        if old != state:
            old.unlink(missing_ok=True)


def load(
    folder: Path, renamed: Callable[[str], str] = str
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The tensors and numbers of the checkpoint in `folder`.

    Args:
        folder: of the checkpoint.
        renamed: the name now of a weight that has its old name in format 1.

    Raises:
        RunError: if there is none, or it is damaged.
    """
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        ((name, checksum),) = manifest["sha256"].items()
        numbers = {key: int(value) for key, value in manifest["numbers"].items()}
        version = manifest["format"]
        known = version in (1, _FORMAT) and Path(name).name == name
    except FileNotFoundError:
        raise RunError(
            f"there is no checkpoint in {folder}; start a new run.", code="no-checkpoint"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"the checkpoint's record {path} cannot be read; start a new run.",
            code="no-checkpoint",
        ) from error
    if not known:
        raise RunError(f"{path} is of a format that this version does not know.")
    state = folder / name
    if not state.is_file() or atomic.sha256(state) != checksum:
        raise RunError(
            f"the checkpoint {state} is missing or damaged (its SHA-256 differs from the record); "
            "start a new run.",
            code="no-checkpoint",
        )
    try:
        tensors = load_safetensors(state.read_bytes())
    except SafetensorError as error:
        raise RunError(f"the checkpoint {state} is not a safetensors file.") from error
    if version == 1:
        tensors = {_renamed(name, renamed): value for name, value in tensors.items()}
    return tensors, numbers


def _renamed(name: str, renamed: Callable[[str], str]) -> str:
    """The name of a tensor, of which those of the network and its average end in a weight's."""
    part, _, weight = name.partition(".")
    return f"{part}.{renamed(weight)}" if part in ("network", "average") else name
