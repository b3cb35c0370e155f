"""What the explorer's page is given, in one binary file that JavaScript reads in place.

4 bytes     length of the header, little-endian
header      JSON: what the arrays are, and everything that is no array
arrays      float64, float32, int32 and bytes, little-endian, each at a multiple of 8 bytes
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import __version__
from sfumato.runs.run import Run

FORMAT = 1

_TYPES = {np.dtype(each).newbyteorder("<").str for each in ("f8", "f4", "i4", "u1")}


def header_of(run: Run) -> dict[str, Any]:
    """What every page says of its run: no path of this machine is in it."""
    return {
        "format": FORMAT,
        "version": __version__,
        "kind": run.model.codec.kind,
        "name": Path(run.settings.data.source).name,  # a toy set, or a file without its folders
        "folder": None if run.folder is None else _called(run.folder),
        "seed": run.settings.seed,
    }


def _called(folder: Path) -> str:
    """A folder as one types it from here; elsewhere its name, as the file may be handed on."""
    try:
        return folder.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return folder.name


def answer(request: int, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """What was drawn for a page that asked for it."""
    whole = {"format": FORMAT, "kind": "answer", "request": request, **header}
    return written(whole, arrays)


def written(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file."""
    described, parts, offset = {}, [], 0
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<").str
        assert dtype in _TYPES, name
        content = np.ascontiguousarray(array, dtype).tobytes()
        content += bytes(-len(content) % 8)
        described[name] = {"dtype": dtype, "shape": list(array.shape), "offset": offset}
        parts.append(content)
        offset += len(content)
    text = json.dumps({**header, "arrays": described}).encode()
    text += b" " * (-(4 + len(text)) % 8)
    return struct.pack("<I", len(text)) + text + b"".join(parts)


def header_in(content: bytes) -> dict[str, Any]:
    """The header of such a file, without the places of its arrays."""
    (length,) = struct.unpack_from("<I", content)
    header: dict[str, Any] = json.loads(content[4 : 4 + length])
    del header["arrays"]
    return header
