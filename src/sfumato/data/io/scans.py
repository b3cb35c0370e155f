"""Scans: DICOM of hospitals, NIfTI of brains, FITS of skies, each by its own library.

Values are those that a file means, not those that it stores: slope and intercept are applied. Every
slice, frame or plane is a picture, in the order of the file.
"""

import gzip
import io
import math
import re
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from sfumato.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

ENDINGS = (".dcm", ".nii", ".nii.gz", ".fits")
"""Of files that have to be scans."""


def dicom(content: bytes) -> list[np.ndarray]:
    """The frames of a DICOM file `(height, width, channels)`."""
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_modality_lut
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    scan = dcmread(io.BytesIO(content), force=True)  # without a preamble too
    if "TransferSyntaxUID" not in scan.file_meta:
        implicit = scan.original_encoding[0]
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        scan.file_meta.TransferSyntaxUID = syntax
    kind = scan.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        raise DataError("a palette, which is not read")
    values = scan.pixel_array
    if kind == "MONOCHROME1":  # zero is white
        low = -(2 ** (scan.BitsStored - 1)) if scan.PixelRepresentation else 0
        values = (2 * low + 2**scan.BitsStored - 1 - values.astype(np.int64)).astype(values.dtype)
    values = values.reshape(-1, scan.Rows, scan.Columns, int(scan.SamplesPerPixel))
    pairs = zip(values, _transformations(scan, len(values)), strict=True)
    frames = np.stack([apply_modality_lut(frame, stated) for frame, stated in pairs])
    return _planes(frames if frames.dtype == values.dtype else _as_integers(frames))


def _transformations(scan: "Dataset", frames: int) -> list["Dataset"]:
    """What states the slope and intercept, or the table, of each frame.

    It is the file or, in enhanced DICOM, the functional groups of the frame or of all frames
    (PS3.3, C.7.6.16.2.9).
    """
    name = "PixelValueTransformationSequence"
    shared = scan.get("SharedFunctionalGroupsSequence") or [scan]
    groups = scan.get("PerFrameFunctionalGroupsSequence") or [*shared] * frames
    return [(each.get(name) or shared[0].get(name) or [scan])[0] for each in groups]


def nifti(content: bytes) -> list[np.ndarray]:
    """The slices of a NIfTI file across its third axis; their rows go along the second."""
    import nibabel

    values = _as_integers(np.asarray(nibabel.Nifti1Image.from_bytes(content).dataobj))
    if values.dtype.kind not in "iuf" or values.ndim < 2:
        raise DataError(f"values of {values.dtype} with {values.ndim} axes")
    width, height = values.shape[:2]
    return _planes(values.T.reshape(-1, height, width, 1))


def fits(content: bytes) -> list[np.ndarray]:
    """The planes of all images of a FITS file, with the row first that is first in the file."""
    from astropy.io.fits import open as open_fits

    with open_fits(io.BytesIO(content)) as units:
        found = [unit.data for unit in units if unit.is_image and unit.data is not None]
        planes = [np.array(each) for each in found if each.ndim >= 2]
    if not planes:
        raise DataError("a FITS file without an image")
    return [one for each in planes for one in _planes(each.reshape(-1, *each.shape[-2:], 1))]


def _as_integers(values: np.ndarray) -> np.ndarray:
    """Scaled values as integers where they are such."""
    if values.dtype.kind != "f" or not (np.abs(values) < 2**31).all() or (values % 1).any():
        return values
    return values.astype(np.int32)


def _planes(values: np.ndarray) -> list[np.ndarray]:
    return list(values.astype(values.dtype.newbyteorder("=")))


_READERS: dict[str, tuple[str, Callable[[bytes], list[np.ndarray]]]] = {
    "DICOM": ("pydicom", dicom),
    "NIfTI": ("nibabel", nifti),
    "FITS": ("astropy", fits),
}


# Older DICOM has no preamble: it begins with an element of group 2 or 8, whose type is stated or,
# where it is not, whose number is one of those that come first and whose length is small: 4 of that
# which states the group's length, as otherwise two small integers would begin so.
_BARE = re.compile(
    rb"[\x02\x08]\0.\0(?:UL|UI|OB|CS|DA|TM|LO|SH)"
    rb"|\x08\0(?:\0\0\x04|[\x05\x08\x12\x16\x18]\0.)\0\0\0",
    re.DOTALL,
)


def scan_format(head: bytes) -> str | None:
    """Which of these a file is by its first bytes."""
    if head[128:132] == b"DICM" or _BARE.match(head):
        return "DICOM"
    if head[344:348] in (b"n+1\0", b"n+2\0"):
        return "NIfTI"
    return "FITS" if head.startswith(b"SIMPLE  =") else None


def scanned(kind: str, content: bytes, largest: int) -> list[np.ndarray]:
    """The pictures of a scan.

    Args:
        kind: as `scan_format` says.
        content: of the file.
        largest: values that are held at once.

    Raises:
        DataError: saying in a few words why it cannot be read.
    """
    library, read = _READERS[kind]
    if find_spec(library) is None:
        raise DataError(f"{kind}, which {library} reads: pip install 'sfumato[{kind.lower()}]'")
    try:
        frames = read(content)
    except DataError:
        raise
    except Exception as error:  # what they raise at damaged files is of any kind
        reason = " ".join(str(error).split())[:80]
        raise DataError(f"{kind} that cannot be decoded ({reason})") from None
    if sum(math.prod(each.shape) for each in frames) > largest:
        raise DataError(f"more than {largest:,} values")
    return frames


def unpacked(content: bytes, largest: int) -> bytes:
    """What a .gz holds; other content as it is.

    Raises:
        DataError: if it is damaged or too large.
    """
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            whole = file.read(largest + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("truncated or damaged") from error
    if len(whole) > largest:
        raise DataError("a file beyond 256 MiB")
    return whole
