"""Files of arrays of pictures: .npy, .npz, IDX (MNIST's, as it is or .gz), HDF5, MATLAB.

A file that may hold code, as pickles do, is never opened.
"""

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.data.images import Images, PictureReading
from sfumato.data.io.picture_arrays import Arrays, as_images, of_arrays, pictures_among
from sfumato.errors import DataError, MissingDependencyError, SfumatoError

_HDF5, _IDX = (".h5", ".hdf5"), ("ubyte", "ubyte.gz", ".idx", ".idx.gz")

# What people have and is not read, with the reason and what to do.
_REFUSED = {
    **dict.fromkeys(
        (".pt", ".pth", ".pkl", ".pickle", ".joblib"),
        "may hold a pickle, which can run any code when it is opened; save its pictures by np.save",
    ),
}

# Of the third byte of an IDX file.
_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def holds_pictures(path: Path) -> bool:
    """Whether a file holds an array of pictures, or is one that is refused as such."""
    name = path.name.lower()
    try:
        if name.endswith(".npy"):
            return bool(np.load(path, mmap_mode="r", allow_pickle=False).ndim > 2)
        if name.endswith(".npz"):
            with np.load(path, allow_pickle=False) as arrays:
                chosen = pictures_among(arrays.files)
                return chosen is not None and arrays[chosen].ndim > 2
    except Exception:  # what they raise at damaged files is of any kind
        return False
    return name.endswith((*_HDF5, ".mat", *_IDX, *_REFUSED))


def read_arrays(path: Path, reading: PictureReading) -> Images:
    """The pictures of a file of arrays.

    Raises:
        DataError: if it is damaged, holds none, or is of a kind that is not read.
        MissingDependencyError: if it needs an extra that is not installed.
    """
    name, where = path.name.lower(), str(path)
    for ending, why in _REFUSED.items():
        if name.endswith(ending):
            raise DataError(f"{where} {why}.")
    try:
        if name.endswith(".npy"):
            return as_images(np.load(path, mmap_mode="r", allow_pickle=False), None, reading, where)
        if name.endswith(_IDX):
            return as_images(_idx(path), _idx_labels(path), reading, where)
        opened = _npz if name.endswith(".npz") else _mat if name.endswith(".mat") else _hdf5
        with opened(path) as arrays:
            return of_arrays(arrays, reading, where)
    except SfumatoError:
        raise
    except Exception as error:  # what they raise at damaged files is of any kind
        raise DataError(f"{where} is not a whole file of arrays; write it again.") from error


@contextmanager
def _npz(path: Path) -> Iterator[Arrays]:
    with np.load(path, allow_pickle=False) as arrays:
        yield {name: partial(arrays.__getitem__, name) for name in arrays.files}


@contextmanager
def _mat(path: Path) -> Iterator[Arrays]:
    """MATLAB's files up to version 7, by SciPy; 7.3 is HDF5 with its axes in reverse."""
    from scipy.io import loadmat

    try:
        found = loadmat(path)
    except NotImplementedError:
        raise DataError(f"{path} is of MATLAB's version 7.3; save it with -v7.") from None
    arrays = {k: v for k, v in found.items() if isinstance(v, np.ndarray) and k[:2] != "__"}
    yield {name: partial(_itself, value) for name, value in arrays.items()}


def _itself(value: np.ndarray) -> np.ndarray:
    return value


@contextmanager
def _hdf5(path: Path) -> Iterator[Arrays]:
    """Every array of an HDF5 file by its path, through h5py."""
    if find_spec("h5py") is None:
        raise MissingDependencyError(f"{path} needs h5py: pip install 'sfumato[hdf5]'.")
    import h5py

    with h5py.File(path, "r") as file:
        arrays: dict[str, Any] = {}
        file.visititems(
            lambda name, each: (
                arrays.update({name: partial(each.__getitem__, ())})
                if isinstance(each, h5py.Dataset) and each.ndim
                else None
            )
        )
        yield arrays


def _idx(path: Path) -> np.ndarray:
    """An array in LeCun's format: two zeros, a type, the number of axes, their lengths, values."""
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    if content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise DataError(f"{path} is no IDX file; write it again.")
    shape = np.frombuffer(content, ">u4", content[3], 4).tolist()
    values = np.frombuffer(content, _TYPES[content[2]], math.prod(shape), 4 + 4 * content[3])
    return values.reshape(shape)


def _idx_labels(path: Path) -> np.ndarray | None:
    """The labels that lie beside, under MNIST's names."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return _idx(beside) if beside != path and beside.is_file() else None
