"""TIFF as microscopes and scanners write it (by tifffile), and pictures of 16 bits elsewhere."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.data.images import Images, PictureReading
from sfumato.data.io.gather import from_pil
from sfumato.data.io.images import read_images, read_mask
from sfumato.data.io.sheets import write_images
from sfumato.errors import DataError

tifffile = pytest.importorskip("tifffile")

RANDOM = np.random.default_rng(0)
AUTO = PictureReading(range="auto")


def written(folder: Path, *pictures: np.ndarray, **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for k, each in enumerate(pictures):
        tifffile.imwrite(folder / f"{k}.tif", each, **options)
    return folder


def read(folder: Path, **asked: Any) -> Images:
    return read_images(folder, PictureReading(**{"range": "auto", **asked}))


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_values_of_every_type_come_as_they_are(tmp_path: Path, kind: str, order: str) -> None:
    whole = np.iinfo(kind) if kind[0] in "ui" else None
    ends = (whole.min, whole.max) if whole else (-1.5, 1000.0)
    pictures = [np.array([[ends[0], 1, 7], [3, 0, ends[1]]], kind) for _ in range(2)]
    found = read(written(tmp_path / "x", *pictures, photometric="minisblack", byteorder=order))
    assert found.pixels.dtype == kind
    np.testing.assert_array_equal(found.pixels[..., 0], pictures)
    assert found.range == ends


def test_the_same_value_is_the_same_in_all_files(tmp_path: Path) -> None:
    dark, light = np.full((4, 4), 150, "i4"), np.full((4, 4), 150, "i4")
    light[0, 0] = 300
    found = read(written(tmp_path / "x", dark, light))
    assert found.pixels[:, 1, 1, 0].tolist() == [150, 150]
    assert found.range == (150.0, 300.0)
    with pytest.raises(DataError, match=r"0\.tif \(int32, 150 to 150\).*data\.range=\[0,1023\]"):
        read_images(tmp_path / "x")


def test_white_is_zero_is_turned_at_every_depth(tmp_path: Path) -> None:
    for kind, top in (("u1", 255), ("u2", 65535)):
        stored = np.array([[0, 10, top]], kind)
        place = written(tmp_path / kind, stored, stored, photometric="miniswhite")
        np.testing.assert_array_equal(read(place).pixels[0, 0, :, 0], [top, top - 10, 0])
    place = written(tmp_path / "i2", np.zeros((2, 2), "i2"), photometric="miniswhite")
    with pytest.raises(DataError, match="values of int16 of which zero is white"):
        read(place)


def test_any_number_of_channels_in_either_order(tmp_path: Path) -> None:
    bands = RANDOM.integers(0, 60000, (2, 6, 7, 5), dtype=np.uint16)
    for name, planar in (("contig", "contig"), ("separate", "separate")):
        stored = bands if planar == "contig" else np.moveaxis(bands, 3, 1)
        place = written(tmp_path / name, *stored, planarconfig=planar, photometric="minisblack")
        np.testing.assert_array_equal(read(place).pixels, bands)
    for kind, photometric in (("u2", "rgb"), ("f4", "rgb"), ("u1", "minisblack")):
        for channels in (2, 3, 4):
            values = (bands[..., :channels] % 200).astype(kind)
            options: dict[str, Any] = {"planarconfig": "contig"}
            if channels > 2 and photometric == "rgb":
                options |= {"photometric": "rgb", "extrasamples": [0] * (channels - 3)}
            else:
                options |= {"photometric": "minisblack"}
            place = written(tmp_path / f"{kind}{channels}", *values, **options)
            np.testing.assert_array_equal(read(place, range=(0, 255)).pixels, values)


def test_pages_are_pictures_and_named_axes_are_kept(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 4096, (3, 4, 5), dtype=np.uint16)
    found = read(written(tmp_path / "stack", stack, photometric="minisblack"))
    np.testing.assert_array_equal(found.pixels[..., 0], stack)
    assert list(found.names) == ["0.tif[0]", "0.tif[1]", "0.tif[2]"]
    assert found.notes[0].startswith("3 pages or frames, in files with several: 1 ")
    first = read(tmp_path / "stack", frames="first")
    np.testing.assert_array_equal(first.pixels[..., 0], stack[:1])
    assert first.notes == ("1 cut to the first of 3 frames",)
    hyper = RANDOM.integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    expected = np.moveaxis(hyper, 1, 3)
    for name, options in (
        ("ome", {"ome": True, "metadata": {"axes": "ZCYX"}}),
        ("imagej", {"imagej": True, "metadata": {"axes": "ZCYX"}}),
    ):
        place = written(tmp_path / name, hyper, photometric="minisblack", **options)
        np.testing.assert_array_equal(read(place).pixels, expected)


def test_smaller_copies_of_a_page_are_no_pictures(tmp_path: Path) -> None:
    page = RANDOM.integers(0, 4096, (32, 32), dtype=np.uint16)
    (tmp_path / "x").mkdir()
    with tifffile.TiffWriter(tmp_path / "x" / "0.tif") as file:
        file.write(page, subifds=1, photometric="minisblack")
        file.write(page[::2, ::2], subfiletype=1, photometric="minisblack")
        file.write(page[::4, ::4], subfiletype=1, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path / "x").pixels[..., 0], [page])


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_copies_and_masks_among_the_pages_are_no_pictures(
    tmp_path: Path, kind: str, big: bool, order: str
) -> None:
    page = RANDOM.integers(0, 256, (2, 32, 32)).astype(kind)
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
    for masks in (False, True):
        with tifffile.TiffWriter(tmp_path / "0.tif", bigtiff=big, byteorder=order) as file:
            for each in page:
                file.write(each[::2, ::2], subfiletype=1, **options)
                file.write(each, **options)
                if masks:
                    file.write(each > 9, **{**options, "subfiletype": 4, "photometric": 4})
        found = read(tmp_path)
        np.testing.assert_array_equal(found.pixels[..., 0], page)
        assert len(read(tmp_path, size=16)) == 2
        first = read(tmp_path, frames="first")
        np.testing.assert_array_equal(first.pixels[..., 0], page[:1])
        assert first.notes == ("1 cut to the first of 2 frames",)
        if kind == "u1" and not masks and (order, big) != (">", True):  # which Pillow opens
            with Image.open(tmp_path / "0.tif") as opened:
                np.testing.assert_array_equal(from_pil([opened]).pixels[..., 0], page)
    tifffile.imwrite(tmp_path / "0.tif", page[0], subfiletype=1)
    with pytest.raises(DataError, match=r"smaller copies or masks of a picture that is not in "):
        read(tmp_path)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("photometric", ["cfa", "linear_raw"])
def test_what_a_sensor_saw_is_no_picture(tmp_path: Path, below: bool, photometric: str) -> None:
    thumbnail = RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for flag in (0, 1):
        with tifffile.TiffWriter(tmp_path / "a.dng") as file:
            file.write(thumbnail, photometric="rgb", subfiletype=flag, subifds=int(below))
            shape = (16, 16, 3)[: 3 if photometric == "linear_raw" else 2]
            file.write(np.zeros(shape, np.uint16), photometric=photometric)
        for asked in ({}, {"size": 8}, {"frames": "first"}):
            with pytest.raises(DataError, match=r"camera raw; develop it .*: a\.dng"):
                read(tmp_path, **asked)


def _directory(mark: bytes, following: int) -> bytes:
    """A TIFF of 4 x 4 bytes whose directory is at 16 and names the next one."""
    tags = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 256, 277: 1, 278: 4, 279: 16}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 16) + mark.ljust(8, b"\0")
    whole = head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return whole.ljust(256, b"\0") + bytes(range(16))


def test_canon_s_mark_is_camera_raw(tmp_path: Path) -> None:
    (tmp_path / "0.cr2").write_bytes(_directory(b"", 0))
    assert read(tmp_path).pixels.ravel().tolist() == list(range(16))
    (tmp_path / "0.cr2").write_bytes(_directory(b"CR\2\0", 0))
    with pytest.raises(DataError, match=r"camera raw; develop it .*: 0\.cr2"):
        read(tmp_path)


def test_directories_that_name_themselves_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "0.tif").write_bytes(_directory(b"", 16))
    assert read(tmp_path).pixels.ravel().tolist() == list(range(16))


def test_later_pages_may_be_of_any_type(tmp_path: Path) -> None:
    page = RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)
    signed, bands = np.full((8, 8), -5, np.int8), np.full((8, 8, 2), 0.5, np.float32)
    with tifffile.TiffWriter(tmp_path / "0.tif") as file:
        file.write(page, photometric="minisblack")
        file.write(signed, photometric="minisblack")
    np.testing.assert_array_equal(read(tmp_path).pixels[..., 0], [page, signed.astype(int)])
    with pytest.raises(
        DataError, match=r"1 of 2 .*: 0\.tif\[1\] \(int8, -5 to -5\)\. Do: data\.range=\[-5,255\]"
    ):
        read_images(tmp_path)
    np.testing.assert_array_equal(read(tmp_path, range=(-5, 255)).pixels, read(tmp_path).pixels)
    with tifffile.TiffWriter(tmp_path / "0.tif") as file:
        file.write(page, photometric="minisblack")
        file.write(bands, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"not bytes: 0\.tif\[1\] \(float32, 0\.5 to 0\.5\)"):
        read_images(tmp_path)
    with pytest.raises(DataError, match=r"not .*channels.*: 0\.tif\[\d\] \(\d channel"):
        read(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"truncate": True},
        {"imagej": True, "truncate": True},
        {"volumetric": True, "tile": (16,) * 3},
    ],
)
def test_stacks_of_one_directory_are_read_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    stack = RANDOM.integers(0, 256, (16, 16, 16), dtype=np.uint8)
    metadata = {"metadata": {"axes": "ZYX"}}
    tifffile.imwrite(tmp_path / "0.tif", stack, photometric="minisblack", **options, **metadata)
    np.testing.assert_array_equal(read(tmp_path).pixels[..., 0], stack)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "group4"])
@pytest.mark.filterwarnings("default")  # a program shows them, and goes on
def test_pages_of_bytes_that_are_cut_off_are_missed(
    tmp_path: Path,
    compression: str,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    numbers = RANDOM.integers(0, 256, (6, 24, 24), dtype=np.uint8)
    pages = [Image.fromarray(each) for each in numbers]
    pages = [each.convert("1") if compression == "group4" else each for each in pages]
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": pages[1:],
        "compression": compression,
    }
    pages[0].save(tmp_path / "0.tif", **options)
    pages[0].save(tmp_path / "1.tif")
    whole, content = read(tmp_path).pixels[:6], (tmp_path / "0.tif").read_bytes()
    for length in (*range(40, len(content) - 40, 19), *range(len(content) - 40, len(content))):
        (tmp_path / "0.tif").write_bytes(content[:length])
        found = read(tmp_path, skip_bad=True)
        if len(found) == 7:
            np.testing.assert_array_equal(found.pixels[:6], whole)
        else:
            assert found.left_out == ("0.tif: truncated or damaged",)
    (tmp_path / "0.tif").write_bytes(content[:4] + b"\0" * 40)
    assert read(tmp_path, skip_bad=True).left_out == ("0.tif: truncated or damaged",)
    assert capfd.readouterr().err == ""
    assert not recwarn


def test_compression_is_read_or_the_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = RANDOM.integers(0, 4096, (8, 8), dtype=np.uint16)
    place = written(tmp_path / "x", page, compression="zlib", predictor=True)
    np.testing.assert_array_equal(read(place).pixels[..., 0], [page])
    content = (place / "0.tif").read_bytes()
    (place / "0.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"truncated or damaged: 0\.tif"):
        read(place)
    (place / "0.tif").write_bytes(content)
    monkeypatch.setattr("sfumato.data.io.tiff.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install 'sfumato\[tiff\]'"):
        read(place)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_no_page_of_a_stack_that_is_cut_off_is_lost_in_silence(tmp_path: Path, kind: str) -> None:
    stack = RANDOM.integers(0, 256, (5, 8, 8)).astype(kind)
    place = written(tmp_path / "x", stack, compression="zlib", photometric="minisblack")
    whole = (place / "0.tif").read_bytes()
    assert len(read(place)) == 5
    refused = []
    for length in range(16, len(whole), 31):
        (place / "0.tif").write_bytes(whole[:length])
        try:
            assert len(read(place)) == 5, length  # only the end of the last directory is cut
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > len(whole) / 62
    assert all("truncated or damaged: 0.tif" in each for each in refused)


def test_values_that_are_not_finite_and_types_that_differ_are_told(tmp_path: Path) -> None:
    hole = np.full((2, 2), np.nan, "f4")
    with pytest.raises(DataError, match="not finite"):
        read(written(tmp_path / "nan", hole, hole))
    place = written(tmp_path / "mixed", np.full((2, 2), 9, "u2"), np.full((2, 2), 3, "u1"))
    found = read(place)
    assert found.pixels.max(axis=(1, 2, 3)).tolist() == [9, 3]
    assert found.notes == ("values as they are: 1 of uint16, 1 of uint8",)
    with pytest.raises(DataError, match=r"1 of 2 .* not bytes: 0\.tif \(uint16, 9 to 9\)"):
        read_images(place)


def test_a_size_is_reached_without_leaving_the_range(tmp_path: Path) -> None:
    page = np.zeros((40, 40), np.uint16)
    page[:, 20:] = 4095
    found = read(written(tmp_path / "x", page, page), size=10)
    assert found.pixels.dtype == np.uint16
    assert found.range == (0.0, 4095.0)  # the filter alone would go beyond both
    np.testing.assert_array_equal(found.pixels[0, :, [0, 1, -2, -1], 0].T[0], [0, 0, 4095, 4095])


def test_more_than_eight_bits_of_colour_are_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codecs = pytest.importorskip("imagecodecs")
    deep = RANDOM.integers(0, 65536, (8, 8, 3), dtype=np.uint16)
    opaque = np.concatenate([deep, np.full((8, 8, 1), 65535, np.uint16)], axis=2)
    (tmp_path / "a.png").write_bytes(codecs.png_encode(deep))
    (tmp_path / "b.png").write_bytes(codecs.png_encode(opaque))
    (tmp_path / "c.jp2").write_bytes(codecs.jpeg2k_encode(deep, reversible=True))
    found = read(tmp_path)
    np.testing.assert_array_equal(found.pixels, [deep] * 3)
    (tmp_path / "d.png").write_bytes(codecs.png_encode(opaque // 2))
    with pytest.raises(DataError, match=r"1 of 4 .*transparent, in more than 8 bits; .*: d\.png"):
        read(tmp_path)
    monkeypatch.setattr("sfumato.data.io.decode.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"PNG of more than 8 bits .*pip install 'sfumato\[tiff\]'"):
        read(tmp_path)


def test_bits_that_pillow_scales_or_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codecs = pytest.importorskip("imagecodecs")
    grey = RANDOM.integers(0, 1024, (8, 8), dtype=np.uint16)
    for bits in (10, 12, 15, 16):
        encoded = codecs.jpeg2k_encode(grey, bitspersample=bits, reversible=True)
        (tmp_path / f"{bits}.jp2").write_bytes(encoded)
    (tmp_path / "signed.jp2").write_bytes(codecs.jpeg2k_encode(grey.astype("i2"), reversible=True))
    (tmp_path / "lossless.jpg").write_bytes(codecs.ljpeg_encode(grey, bitspersample=12))
    np.testing.assert_array_equal(read(tmp_path).pixels[..., 0], [grey] * 6)
    lossy = codecs.jpeg8_encode(np.stack([grey] * 3, axis=2), bitspersample=12, level=100)
    (tmp_path / "lossy.jpg").write_bytes(lossy)
    found = read(tmp_path).pixels
    assert found.shape == (7, 8, 8, 3)
    assert np.abs(found[5, :, :, 0].astype(int) - grey).max() < 12
    monkeypatch.setattr("sfumato.data.io.decode.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"6 of 7 .*JPEG of more than 8 bits or lossless: pip inst"):
        read(tmp_path)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_bytes_needs_no_other_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progressive: bool
) -> None:
    monkeypatch.setattr("sfumato.data.io.decode.find_spec", lambda _: None)
    numbers = RANDOM.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(numbers).save(tmp_path / "0.jpg", progressive=progressive, quality=90)
    with Image.open(tmp_path / "0.jpg") as image:
        np.testing.assert_array_equal(read(tmp_path).pixels, [np.asarray(image)])


@pytest.mark.parametrize("kind", ["png", "jp2", "jpg"])
def test_a_header_that_claims_too_many_pixels_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    codecs = pytest.importorskip("imagecodecs")
    deep = RANDOM.integers(0, 1024, (8, 8, 3), dtype=np.uint16)
    content = {
        "png": codecs.png_encode(deep),
        "jp2": codecs.jpeg2k_encode(deep, bitspersample=10, reversible=True),
        "jpg": codecs.ljpeg_encode(deep[..., 0], bitspersample=12),
    }[kind]
    before, after = {
        "png": (struct.pack(">II", 8, 8), struct.pack(">II", 6000, 6000)),
        "jp2": (b"\xff\x4f\xff\x51", None),
        "jpg": (struct.pack(">HH", 8, 8), struct.pack(">HH", 6000, 6000)),
    }[kind]
    place = content.index(before)
    if after is None:  # the ends of the reference grid, after two lengths
        place, after = place + 8, struct.pack(">II", 6000, 6000)
    (tmp_path / f"0.{kind}").write_bytes(content)
    assert len(read(tmp_path)) == 1
    (tmp_path / f"0.{kind}").write_bytes(content[:place] + after + content[place + len(after) :])
    for name in ("png_decode", "jpeg2k_decode", "jpeg_decode"):  # none is asked for so much
        monkeypatch.setattr(codecs, name, None)
    with pytest.raises(DataError, match=rf"beyond 25 megapixels: 0\.{kind}"):
        read(tmp_path)


def test_a_page_may_be_too_large_or_pages_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = (8, 20, 8, 12)
    first, *rest = [Image.new("L", (side, side), side) for side in sides]
    first.save(tmp_path / "0.tif", save_all=True, append_images=rest)
    monkeypatch.setattr("sfumato.data.io.decode.LARGEST", 300)
    with pytest.raises(DataError, match=r"beyond 25 megapixels: 0\.tif"):
        read(tmp_path, skip_bad=False)
    monkeypatch.undo()
    monkeypatch.setattr("sfumato.data.io.decode._LARGEST_STACK", 500)
    with pytest.raises(DataError, match=r"4 frames, more than are read at once: 0\.tif"):
        read(tmp_path)
    assert len(read(tmp_path, size=8)) == 4  # of which no more is held


def test_tags_that_share_their_values_are_not_held_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = RANDOM.integers(0, 256, (4, 8, 8), dtype=np.uint8)
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": None, "rowsperstrip": 1}
    tifffile.imwrite(tmp_path / "0.tif", pages, **options)
    np.testing.assert_array_equal(read(tmp_path).pixels[..., 0], pages)
    monkeypatch.setattr("sfumato.data.io.tiff_directories._MOST_VALUES", 3 * 16)
    with pytest.raises(DataError, match=r"truncated or damaged: 0\.tif"):
        read(tmp_path)


# The example of the manual page pgm(5) of Netpbm.
FEEP = b"""P2
# feep.pgm
24 7
15
0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0
0  3  3  3  3  0  0  7  7  7  7  0  0 11 11 11 11  0  0 15 15 15 15  0
0  3  0  0  0  0  0  7  0  0  0  0  0 11  0  0  0  0  0 15  0  0 15  0
0  3  3  3  0  0  0  7  7  7  0  0  0 11 11 11  0  0  0 15 15 15 15  0
0  3  0  0  0  0  0  7  0  0  0  0  0 11  0  0  0  0  0 15  0  0  0  0
0  3  0  0  0  0  0  7  7  7  7  0  0 11 11 11 11  0  0 15  0  0  0  0
0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0  0
"""


def test_pgm_is_not_scaled_by_its_own_white(tmp_path: Path) -> None:
    values = np.full((2, 3), 500, ">u2")
    for white, comment in ((1000, b""), (2000, b"#third"), (4095, b""), (65535, b"")):
        header = b"P5 # a comment\n3 2\n#another\n%d%b\n" % (white, comment)
        (tmp_path / f"{white}.pgm").write_bytes(header + values.tobytes())
    found = read(tmp_path, range=(0, 4095))
    assert found.pixels.dtype == np.uint16
    np.testing.assert_array_equal(found.pixels[..., 0], [values] * 4)
    with pytest.raises(DataError, match=r"4 of 4 .*not bytes: 1000\.pgm \(uint16, 500 to 500\)"):
        read_images(tmp_path)
    content = (tmp_path / "1000.pgm").read_bytes()
    for damaged in (content[:-1], content.replace(b"\n1000\n", b"\n0\n"),
                    content.replace(b"\n1000\n", b"\n65536\n")):  # fmt: skip
        (tmp_path / "1000.pgm").write_bytes(damaged)
        with pytest.raises(DataError, match=r"1 of 4 .*truncated or damaged: 1000\.pgm"):
            read(tmp_path)


def test_pgm_and_ppm_in_text_and_colour(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(FEEP)
    with pytest.raises(DataError, match=r"a\.pgm \(uint16, 0 to 15\)\. Do: data\.range=\[0,15\]"):
        read_images(tmp_path)
    pixels = read(tmp_path).pixels
    assert pixels.shape == (1, 7, 24, 1)
    assert pixels[0, 1, :, 0].tolist() == [
        0,
        *4 * [3],
        0,
        0,
        *4 * [7],
        0,
        0,
        *4 * [11],
        0,
        0,
        *4 * [15],
        0,
    ]
    deep = RANDOM.integers(0, 1024, (7, 24, 3), dtype=np.uint16)
    (tmp_path / "a.pgm").unlink()
    (tmp_path / "b.ppm").write_bytes(b"P6 24 7 1023\n" + deep.astype(">u2").tobytes())
    (tmp_path / "c.ppm").write_text("P3 24 7 1023\n" + " ".join(map(str, deep.ravel().tolist())))
    np.testing.assert_array_equal(read(tmp_path).pixels, [deep, deep])
    Image.fromarray(deep[..., 0]).save(tmp_path / "b.ppm")  # by Pillow, white at 65535
    Image.fromarray(deep.astype(np.uint8)).save(tmp_path / "c.ppm")
    Image.fromarray(deep[..., 0] > 500).save(tmp_path / "d.ppm")
    found = read(tmp_path).pixels
    np.testing.assert_array_equal(found[0], deep[..., :1].repeat(3, axis=2))
    np.testing.assert_array_equal(found[1], deep.astype(np.uint8))
    assert set(found[2].ravel().tolist()) == {0, 255}


def test_bytes_in_other_colours_are_read_and_said(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 6), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    Image.new("RGB", (8, 6)).save(tmp_path / "b.jp2")
    Image.new("RGB", (8, 6)).save(tmp_path / "c.ppm")
    Image.new("RGB", (8, 6)).save(tmp_path / "d.png")
    assert read_images(tmp_path).notes == ("1 CMYK, brought to red, green and blue",)


@pytest.mark.parametrize(("kind", "channels"), [("u2", 1), ("u2", 5), ("f4", 1), ("i2", 3)])
def test_what_is_written_comes_back(tmp_path: Path, kind: str, channels: int) -> None:
    pixels = RANDOM.integers(0, 4096, (3, 6, 7, channels)).astype(kind)
    write_images(tmp_path / "all.tif", pixels)
    write_images(tmp_path / "folder", pixels)
    (tmp_path / "one").mkdir()
    (tmp_path / "all.tif").rename(tmp_path / "one" / "all.tif")
    for place in ("one", "folder"):
        np.testing.assert_array_equal(read(tmp_path / place).pixels, pixels)
    ending = ".png" if (kind, channels) == ("u2", 1) else ".tif"
    assert {path.suffix for path in (tmp_path / "folder").iterdir()} == {ending}


def test_what_is_transparent_in_a_mask_is_not_white(tmp_path: Path) -> None:
    mask = np.zeros((2, 3, 4), np.uint8)
    mask[0, 0] = 255  # white; the rest is clear
    mask[1, 0] = (0, 0, 0, 255)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    white, clear = read_mask(tmp_path / "mask.png", 2, 3)
    np.testing.assert_array_equal(white, [[True, False, False], [False, False, False]])
    assert clear == 4
