"""DICOM, NIfTI and FITS as their own libraries write them."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.data.images import Images, PictureReading
from sfumato.data.io.images import holds_images, read_images
from sfumato.data.io.scans import scanned
from sfumato.errors import DataError

RANDOM = np.random.default_rng(0)
SLICE = RANDOM.integers(0, 4096, (6, 7), dtype=np.uint16)


def read(path: Path, **asked: Any) -> Images:
    return read_images(path, PictureReading(**{"range": "auto", **asked}))


def dicom(path: Path, values: np.ndarray, kind: str = "MONOCHROME2", **tags: Any) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.pixels.utils import set_pixel_data
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    scan = pydicom.Dataset()
    scan.file_meta = pydicom.dataset.FileMetaDataset()
    scan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    scan.SOPClassUID, scan.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    set_pixel_data(scan, values, kind, 12 if values.dtype == np.uint16 else 8)
    for name, value in tags.items():
        setattr(scan, name, value)
    scan.save_as(path, enforce_file_format=True)


def test_dicom_gives_the_values_that_it_means(tmp_path: Path) -> None:
    for k in range(2):  # Hounsfield units, under names without an ending
        dicom(tmp_path / f"IM{k}", SLICE, RescaleSlope=1, RescaleIntercept=-1024)
    found = read(tmp_path)
    np.testing.assert_array_equal(found.pixels[0, :, :, 0], SLICE.astype(int) - 1024)
    assert found.pixels.dtype == np.int32
    assert found.range == (SLICE.min() - 1024.0, SLICE.max() - 1024.0)
    with pytest.raises(DataError, match=r"not bytes: IM0 \(int32, "):
        read_images(tmp_path)


@pytest.mark.parametrize("group", ["frame", "shared", "both", "shared alone"])
def test_slope_and_intercept_of_enhanced_dicom(tmp_path: Path, group: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import EnhancedCTImageStorage

    def stated(*scale: float) -> Any:
        group, item = pydicom.Dataset(), pydicom.Dataset()
        if scale:
            item.RescaleSlope, item.RescaleIntercept = scale
            group.PixelValueTransformationSequence = [item]
        return group

    frames = np.stack([SLICE, SLICE // 2, SLICE // 3])
    where, _, alone = group.partition(" ")
    each = {"frame": [1, 2, 3], "shared": [2, 2, 2], "both": [5, 2, 5]}[where]
    groups: dict[str, Any] = {
        "SharedFunctionalGroupsSequence": [
            stated(*({"frame": (), "shared": (2, -1024), "both": (5, -1024)}[where]))
        ]
    }
    if not alone:
        groups["PerFrameFunctionalGroupsSequence"] = [
            stated(*(() if where == "shared" or slope == 5 else (slope, -1024))) for slope in each
        ]
    dicom(tmp_path / "a.dcm", frames, SOPClassUID=EnhancedCTImageStorage, **groups)
    found = read(tmp_path / "a.dcm")
    slopes = np.array(each)[:, None, None]
    np.testing.assert_array_equal(found.pixels[..., 0], frames.astype(int) * slopes - 1024)
    assert found.pixels.dtype == np.int32


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize("syntax", ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian"])
def test_dicom_without_a_preamble(tmp_path: Path, meta: bool, syntax: str) -> None:
    dicom(tmp_path / "a.dcm", SLICE)
    pydicom = pytest.importorskip("pydicom")
    scan = pydicom.dcmread(tmp_path / "a.dcm")
    scan.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    scan.preamble = None
    if not meta:
        del scan.file_meta
    implicit = syntax.startswith("Implicit")
    scan.save_as(tmp_path / "IM1", implicit_vr=implicit, little_endian=True)
    assert (tmp_path / "IM1").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read(tmp_path).pixels[..., 0], [SLICE, SLICE])


def test_two_small_integers_are_no_dicom(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    for first, second in ((8, 32), (8, 1), (2, 200)):
        (tmp_path / f"{second}.bin").write_bytes(struct.pack("<90I", first, second, *88 * [7]))
    assert read_images(tmp_path).left_out == ("3 .bin",)


def test_white_is_zero_in_monochrome1(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", SLICE, "MONOCHROME1")
    found = read(tmp_path)
    np.testing.assert_array_equal(found.pixels[0, :, :, 0], 4095 - SLICE)
    assert found.pixels.dtype == np.uint16


def test_frames_and_colours_of_dicom(tmp_path: Path) -> None:
    frames = RANDOM.integers(0, 4096, (3, 6, 7), dtype=np.uint16)
    dicom(tmp_path / "a.dcm", frames)
    assert holds_images(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read(tmp_path / "a.dcm").pixels[..., 0], frames)
    colour = RANDOM.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    dicom(tmp_path / "a.dcm", colour, "RGB")
    np.testing.assert_array_equal(read_images(tmp_path).pixels[0], colour)
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[:-40])
    with pytest.raises(DataError, match=r"DICOM that cannot be decoded \(.*\): a\.dcm"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["brain.nii", "brain.nii.gz"])
def test_the_slices_of_nifti_are_pictures(tmp_path: Path, name: str) -> None:
    nibabel = pytest.importorskip("nibabel")
    volume = RANDOM.integers(-500, 500, (5, 6, 4)).astype(np.int16)
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image.to_filename(tmp_path / name)
    found = read(tmp_path / name)
    np.testing.assert_array_equal(found.pixels[..., 0], volume.transpose(2, 1, 0))
    assert found.pixels.dtype == np.int16
    image.header.set_slope_inter(0.5, -1)
    image.to_filename(tmp_path / name)
    expected = np.asarray(nibabel.load(tmp_path / name).dataobj).transpose(2, 1, 0)
    np.testing.assert_allclose(read(tmp_path).pixels[..., 0], expected)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-60])
    with pytest.raises(DataError, match="1 of 1 pictures"):
        read(tmp_path)


def test_fits_of_unsigned_values_is_not_off_by_half_its_range(tmp_path: Path) -> None:
    pytest.importorskip("astropy")
    from astropy.io import fits

    sky = np.array([[0, 40000, 65535], [1, 2, 3]], np.uint16)
    cube = RANDOM.random((2, 2, 3)).astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(sky), fits.ImageHDU(sky)]).writeto(tmp_path / "sky.fits")
    found = read(tmp_path / "sky.fits")
    np.testing.assert_array_equal(found.pixels[..., 0], [sky, sky])
    fits.PrimaryHDU(cube).writeto(tmp_path / "sky.fits", overwrite=True)
    np.testing.assert_array_equal(read(tmp_path).pixels[..., 0], cube)
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))])
    table.writeto(tmp_path / "sky.fits", overwrite=True)
    with pytest.raises(DataError, match="a FITS file without an image"):
        read(tmp_path)


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.data.io.scans.find_spec", lambda _: None)
    for kind, extra in (("DICOM", "dicom"), ("NIfTI", "nifti"), ("FITS", "fits")):
        with pytest.raises(DataError, match=rf"pip install 'sfumato\[{extra}\]'"):
            scanned(kind, b"", 1)


def test_one_file_of_pages_is_a_set_of_pictures(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.fromarray(np.full((4, 4), 40 * k, np.uint8)) for k in range(4)]
    target = io.BytesIO()
    frames[0].save(target, "TIFF", save_all=True, append_images=frames[1:])
    (tmp_path / "stack.tif").write_bytes(target.getvalue())
    assert holds_images(tmp_path / "stack.tif")
    found = read_images(tmp_path / "stack.tif")
    assert found.pixels[:, 0, 0, 0].tolist() == [0, 40, 80, 120]
    (tmp_path / "P1.tsv").write_text("P1\tP2\n1\t2\n")
    assert not holds_images(tmp_path / "P1.tsv")
