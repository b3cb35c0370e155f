"""Pictures to files: a sheet for the eye; a folder, an array or a TIFF of the values."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.atomic import replacing
from sfumato.data.images import as_pil
from sfumato.errors import ArgumentError, MissingDependencyError

_SHEETS = (".png", ".jpg", ".webp")
_ARRAYS = (".npz", ".npy")
_TIFF = (".tif", ".tiff")


def sheet(
    pixels: np.ndarray, columns: int | None = None, gap: int = 1, legible: int = 600
) -> np.ndarray:
    """Pictures side by side on white, row by row, as nearly square as they can be.

    Args:
        pixels: `(n, height, width, channels)`, n at least 1.
        columns: how many in a row.
        gap: between them, in their own pixels.
        legible: width up to which every pixel is enlarged, so that digits of 8 x 8 are seen.

    Returns:
        Bytes `(height, width, channels)`, every pixel enlarged to a square.
    """
    n, height, width, channels = pixels.shape
    across = columns or int(np.ceil(np.sqrt(n)))
    down = -(-n // across)
    whole = np.full(
        (down * (height + gap) + gap, across * (width + gap) + gap, channels), 255, np.uint8
    )
    for k, picture in enumerate(pixels):
        top, left = gap + k // across * (height + gap), gap + k % across * (width + gap)
        whole[top : top + height, left : left + width] = picture
    times = max(1, round(legible / whole.shape[1]))
    return whole.repeat(times, axis=0).repeat(times, axis=1)


def check_image_target(path: Path) -> None:
    """Refuse early what `write_images` could not do late.

    Raises:
        ArgumentError: if the ending is unknown, or the folder is missing or taken.
        MissingDependencyError: if it is a TIFF, and tifffile is not installed.
    """
    ending = path.suffix.lower()
    if ending and ending not in (*_SHEETS, *_ARRAYS, *_TIFF):
        raise ArgumentError(
            f"cannot write {path}: pictures go to a sheet ({', '.join(_SHEETS)}), an array "
            f"({', '.join(_ARRAYS)}), a TIFF ({', '.join(_TIFF)}), or a folder (no ending)."
        )
    if ending in _TIFF:
        _tifffile()
    if not path.parent.is_dir():
        raise ArgumentError(f"there is no folder {path.parent}; make it first.")
    if not ending and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ArgumentError(f"{path} is there already and is not empty; choose another --to.")


def write_images(
    path: Path,
    pixels: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    columns: int | None = None,
    visible: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Write a sheet, a folder, arrays or a TIFF; a single picture is its own sheet.

    A folder has PNG files of what PNG holds (bytes in grey or colour, 16 bits in grey), else TIFF.

    Args:
        path: its ending decides.
        pixels: values `(n, height, width, channels)`.
        labels: `(n,)`, kept in an .npz only.
        columns: of a sheet; as nearly square as can be where not given.
        visible: values to bytes in grey or colour, for a sheet; not needed if they are such.

    Raises:
        ArgumentError: as `check_image_target`, or if there is nothing to put on a sheet.
        MissingDependencyError: if TIFF is written, and tifffile is not installed.
        OSError: if it cannot be written.
    """
    check_image_target(path)
    ending = path.suffix.lower()
    if not ending:
        path.mkdir(exist_ok=True)
        digits = max(5, len(str(len(pixels))))
        for k, picture in enumerate(pixels):
            _write_one(path / f"{k:0{digits}d}", picture)
        return
    if ending in _SHEETS and not len(pixels):
        raise ArgumentError("a sheet needs at least one picture.")
    with replacing(path) as temporary:
        if ending in _SHEETS:
            shown = pixels if visible is None else visible(pixels)
            as_pil(shown[0] if len(shown) == 1 else sheet(shown, columns)).save(temporary)
        elif ending in _TIFF:
            _write_tiff(temporary, pixels)
        elif ending == ".npy":
            np.save(temporary, pixels, allow_pickle=False)
        elif labels is None:
            np.savez_compressed(temporary, pixels=pixels)
        else:
            np.savez_compressed(temporary, pixels=pixels, labels=labels)


def _write_one(stem: Path, picture: np.ndarray) -> None:
    channels = picture.shape[2]
    of_png = {"uint8": (1, 3), "uint16": (1,)}
    if channels in of_png.get(picture.dtype.name, ()):
        as_pil(picture).save(stem.with_suffix(".png"))
    else:
        _write_tiff(stem.with_suffix(".tif"), picture[None])


def _write_tiff(path: Path, pixels: np.ndarray) -> None:
    """A page for each picture, with all of its channels."""
    channels = pixels.shape[3]
    values = pixels[..., 0] if channels == 1 else pixels
    photometric = "rgb" if channels == 3 else "minisblack"
    interleaved = {} if channels == 1 else {"planarconfig": "contig"}
    _tifffile().imwrite(path, values, photometric=photometric, **interleaved)


def _tifffile() -> Any:
    """The library.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    if find_spec("tifffile") is None:
        raise MissingDependencyError("a TIFF needs tifffile: pip install 'sfumato[tiff]'.")
    import tifffile

    return tifffile
