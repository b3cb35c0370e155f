"""Where a folder of diffusers keeps its parts: two layouts, variants, shards.

    model_index.json                  what kind of pipeline; not in the folder of a network alone
    unet/config.json                  or config.json beside it, as google/ddpm-cifar10-32 is stored
    scheduler/scheduler_config.json   or scheduler_config.json beside it; not beside a network alone
    diffusion_pytorch_model.safetensors             the weights, beside config.json, or
    diffusion_pytorch_model.fp16.safetensors        a variant of them, or
    diffusion_pytorch_model.safetensors.index.json  the names of the files that hold them

The folder may be a stranger's: nothing is read from outside of it, and no pickle is opened.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sfumato.errors import RunError

INDEX = "model_index.json"
UNET_CONFIG = "config.json"
SCHEDULER_CONFIG = "scheduler_config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"

_INDEX_OF_SHARDS = "diffusion_pytorch_model.safetensors.index"


def is_pipeline(path: Path) -> bool:
    """Whether this is a folder that diffusers wrote."""
    if (path / INDEX).is_file() or (path / "unet" / UNET_CONFIG).is_file():
        return True
    try:  # others write a config.json too
        return "_diffusers_version" in read_json(path / UNET_CONFIG)
    except RunError:
        return False


def part_of(folder: Path, name: str) -> Path:
    """The folder of a part, which is the whole folder where the part has none of its own."""
    return folder / name if (folder / name).is_dir() else folder


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        RunError: if it is missing or damaged.
    """
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"there is no {path}; download the whole folder.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged; take another copy.") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged; take another copy.")
    return found


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights in a folder as float32: whole, or one variant of them, or in shards.

    Raises:
        RunError: if there are none, or several variants, or a file is damaged.
    """
    whole, shards = folder / WEIGHTS, folder / f"{_INDEX_OF_SHARDS}.json"
    if whole.is_file():
        return _read_safetensors(whole)
    if shards.is_file():
        return _read_shards(shards)
    stem, suffix = WEIGHTS.rsplit(".", 1)
    variants = [
        *folder.glob(f"{_INDEX_OF_SHARDS}.*.json"),
        *(each for each in folder.glob(f"{stem}.*.{suffix}") if "-of-" not in each.name),
    ]
    if len(variants) > 1:
        raise RunError(
            f"{folder} holds {' and '.join(sorted(each.name for each in variants))}; keep the one "
            "that is to be read."
        )
    for found in variants:
        return _read_shards(found) if found.suffix == ".json" else _read_safetensors(found)
    pickled = any(folder.glob("*.bin"))
    why = (
        "; its .bin is a pickle, which could run any code and is not opened: say "
        "save_pretrained(..., safe_serialization=True) where it was made"
        if pickled
        else "; download the whole folder"
    )
    raise RunError(f"there is no {whole}{why}.")


def _read_safetensors(path: Path, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """The weights of one file, all of them or those of the names given."""
    try:
        with safe_open(path, framework="pt") as file:
            asked = file.keys() if names is None else names
            return {name: file.get_tensor(name).float() for name in asked}
    except FileNotFoundError:
        raise RunError(f"there is no {path}; download the whole folder.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path} is not a whole safetensors file ({error}).") from error


def _read_shards(path: Path) -> dict[str, Tensor]:
    """The weights of the files that an index names, each from the file that it names."""
    places = read_json(path).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(each, str) for each in places.values()):
        raise RunError(f"{path} is damaged; take another copy.")
    names: dict[str, list[str]] = defaultdict(list)
    for name, file in places.items():
        if Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
            raise RunError(f"{path} names {file!r}, which is no safetensors file beside it.")
        names[file].append(name)
    tensors: dict[str, Tensor] = {}
    for file, held in names.items():
        tensors |= _read_safetensors(path.parent / file, held)
    return tensors
