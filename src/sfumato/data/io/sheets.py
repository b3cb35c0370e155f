"""Pictures to files: a sheet of all of them, a folder, or an array."""

from pathlib import Path

import numpy as np

from sfumato.atomic import replacing
from sfumato.data.images import as_pil
from sfumato.errors import ArgumentError

_SHEETS = (".png", ".jpg", ".webp")
_ARRAYS = (".npz", ".npy")


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
    """
    ending = path.suffix.lower()
    if ending and ending not in (*_SHEETS, *_ARRAYS):
        raise ArgumentError(
            f"cannot write {path}: pictures go to a sheet ({', '.join(_SHEETS)}), an array "
            f"({', '.join(_ARRAYS)}), or a folder (no ending)."
        )
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
) -> None:
    """Write a sheet, a folder of PNG files, or arrays; a single picture is its own sheet.

    Args:
        path: its ending decides.
        pixels: bytes `(n, height, width, channels)`.
        labels: `(n,)`, kept in an .npz only.
        columns: of a sheet; as nearly square as can be where not given.

    Raises:
        ArgumentError: as `check_image_target`, or if there is nothing to put on a sheet.
        OSError: if it cannot be written.
    """
    check_image_target(path)
    ending = path.suffix.lower()
    if not ending:
        path.mkdir(exist_ok=True)
        digits = max(5, len(str(len(pixels))))
        for k, picture in enumerate(pixels):
            as_pil(picture).save(path / f"{k:0{digits}d}.png")
        return
    if ending in _SHEETS and not len(pixels):
        raise ArgumentError("a sheet needs at least one picture.")
    with replacing(path) as temporary:
        if ending in _SHEETS:
            as_pil(pixels[0] if len(pixels) == 1 else sheet(pixels, columns)).save(temporary)
        elif ending == ".npy":
            np.save(temporary, pixels, allow_pickle=False)
        elif labels is None:
            np.savez_compressed(temporary, pixels=pixels)
        else:
            np.savez_compressed(temporary, pixels=pixels, labels=labels)
