"""Arrays of pictures: which axis is which, and the files in which they are passed on."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from sfumato.config import DataSettings
from sfumato.data.images import Images, PictureReading
from sfumato.data.io.picture_arrays import as_images
from sfumato.data.source import read_source, take_source
from sfumato.errors import DataError, MissingDependencyError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 6, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 1, 0, 3])


def read(path: Path, **settings: Any) -> Images:
    found = read_source(DataSettings(source=str(path), **settings))[0]
    assert isinstance(found, Images)
    return found


def classes(found: Images) -> list[str]:
    assert found.labels is not None
    return [found.classes[k] for k in found.labels]


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((9, 3, 8, 8), "first"),
        ((9, 1, 8, 8), "first"),
        ((9, 5, 8, 10), "first"),
        ((9, 8, 8, 5), "last"),
        ((9, 2, 2, 3), "last"),
        ((9, 4, 4, 1), "last"),
        ((9, 8, 8, 2), "last"),
    ],
)
def test_channels_are_the_short_axis(shape: tuple[int, ...], axis: str) -> None:
    values = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    expected = np.moveaxis(values, 1, 3) if axis == "first" else values
    np.testing.assert_array_equal(as_images(values).pixels, expected)
    assert bool(as_images(values).notes) == (axis == "first")


@pytest.mark.parametrize("shape", [(9, 3, 3, 3), (9, 5, 5, 5), (32, 32, 3, 9), (9, 1, 8, 3)])
def test_an_axis_that_is_not_plain_is_asked_for(shape: tuple[int, ...]) -> None:
    values = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    with pytest.raises(DataError, match=r"is not plain; say data\.channels=last .* transposed"):
        as_images(values)
    last = as_images(values, reading=PictureReading(channels="last"))
    np.testing.assert_array_equal(last.pixels, values)
    first = as_images(values, reading=PictureReading(channels="first"))
    np.testing.assert_array_equal(first.pixels, np.moveaxis(values, 1, 3))
    like = as_images(values, reading=PictureReading(shape=(shape[1], shape[2], shape[3])))
    np.testing.assert_array_equal(like.pixels, values)


def test_values_of_other_types_have_a_range_or_are_refused() -> None:
    tensor = torch.rand(4, 3, 8, 8)
    here = DataSettings(source="array")
    with pytest.raises(DataError, match=r"are float32 of .*: data\.range=\[0,1\] says"):
        take_source(tensor, here)
    found = take_source(tensor, here.model_copy(update={"range": (0.0, 1.0)}))[0]
    assert isinstance(found, Images)
    np.testing.assert_array_equal(found.pixels, tensor.permute(0, 2, 3, 1).numpy())
    signed = np.array([[[-1.0, 0.5], [1, 0]]])
    with pytest.raises(DataError, match=r"data\.range=\[-1,1\] says"):
        as_images(signed)
    binary = as_images(np.array([[[True, False], [False, False]]] * 2))
    assert (binary.range, binary.pixels.dtype.name) == ((0.0, 1.0), "uint8")
    with pytest.raises(DataError, match=r"integers, and data\.range=\[0,9\.5\] is not"):
        as_images(np.full((2, 5, 5), 9, np.int16), reading=PictureReading(range=(0, 9.5)))


def test_of_medmnist_and_of_keras_the_training_part_is_taken(tmp_path: Path) -> None:
    parts = {
        f"{part}_{what}": value
        for part in ("train", "val", "test")
        for what, value in (("images", COLOUR), ("labels", LABELS[:, None].astype(np.uint8)))
    }
    np.savez(tmp_path / "pathmnist.npz", allow_pickle=False, **parts)
    found = read(tmp_path / "pathmnist.npz", labels=True)
    np.testing.assert_array_equal(found.pixels, COLOUR)
    assert classes(found) == ["3", "1", "1", "0", "3"]
    assert found.left_out == ("the arrays val_images, val_labels, test_images, test_labels",)
    np.savez(tmp_path / "mnist.npz", x_test=GREY, x_train=GREY, y_train=LABELS, y_test=LABELS)
    found = read(tmp_path / "mnist.npz", labels=True)
    np.testing.assert_array_equal(found.pixels[..., 0], GREY)
    assert classes(found) == ["3", "1", "1", "0", "3"]
    np.savez(tmp_path / "two.npz", data=GREY, kind=np.array(list("abcab")), depth=LABELS)
    assert classes(read(tmp_path / "two.npz", labels="kind")) == list("abcab")
    with pytest.raises(DataError, match="no array 'sort'; it has data, kind, depth"):
        read(tmp_path / "two.npz", labels="sort")


@pytest.mark.parametrize("packed", [False, True])
def test_the_files_of_mnist_are_read_with_their_labels(tmp_path: Path, packed: bool) -> None:
    def written(name: str, values: np.ndarray) -> Path:  # yann.lecun.com/exdb/mnist
        content = struct.pack(">HBB", 0, 8, values.ndim)
        content += struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
        return path

    path = written("train-images-idx3-ubyte", GREY)
    np.testing.assert_array_equal(read(path).pixels[..., 0], GREY)
    written("train-labels-idx1-ubyte", LABELS.astype(np.uint8))
    assert classes(read(path, labels=True)) == ["3", "1", "1", "0", "3"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="not a whole file of arrays"):
        read(path)


def test_hdf5_that_h5py_writes(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["scan/images"], file["scan/mean"] = COLOUR.astype(np.uint16) * 16, 3.5
        file["scan/labels"] = np.array([b"a", b"b", b"a", b"b", b"a"])
    with pytest.raises(DataError, match=r"are uint16 .*: data\.range=\[0,4095\]"):
        read(tmp_path / "x.h5")
    found = read(tmp_path / "x.h5", range=(0, 4095), labels=True)
    np.testing.assert_array_equal(found.pixels, COLOUR.astype(np.uint16) * 16)
    assert classes(found) == list("ababa")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["left"], file["right"] = GREY, GREY
    with pytest.raises(DataError, match="holds the arrays left, right; name the pictures"):
        read(tmp_path / "y.h5")
    (tmp_path / "y.h5").write_bytes(b"none")
    with pytest.raises(DataError, match="not a whole file"):
        read(tmp_path / "y.h5")


def test_hdf5_without_its_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.hdf5").touch()
    monkeypatch.setattr("sfumato.data.io.array_files.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sfumato\[hdf5\]'"):
        read(tmp_path / "x.hdf5")


def test_matlab_that_scipy_writes(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"images": COLOUR, "y": LABELS[:, None]})
    found = read(tmp_path / "x.mat", labels=True)
    np.testing.assert_array_equal(found.pixels, COLOUR)
    assert classes(found) == ["3", "1", "1", "0", "3"]
    savemat(tmp_path / "svhn.mat", {"X": RANDOM.integers(0, 256, (8, 8, 3, 5), dtype=np.uint8)})
    with pytest.raises(DataError, match="other orders are transposed first"):
        read(tmp_path / "svhn.mat")


@pytest.mark.parametrize(
    "name", ["x.pt", "x.pkl", "x.dcm", "x.nii.gz", "x.fits", "x.mat", "new.mat"]
)
def test_what_is_not_read_is_refused_by_its_own_name(tmp_path: Path, name: str) -> None:
    new = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"
    (tmp_path / name).write_bytes(new if name == "new.mat" else b"none")
    said = dict.fromkeys(["x.dcm", "x.nii.gz", "x.fits", "x.tif"], f"not a picture: {name}")
    said |= dict.fromkeys(["x.pt", "x.pkl"], "pickle.*np.save")
    said |= {"new.mat": "7.3; save it with -v7"}
    with pytest.raises(DataError, match=said.get(name, "not a whole file")) as refused:
        read(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert ".csv" not in str(refused.value)
