"""Pictures of every kind that people have, and what is said of those that cannot be used."""

import errno
import io
import os
import shutil
import struct
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from sfumato.data import scratch
from sfumato.data.images import Images, PictureReading, digits, fingerprint
from sfumato.data.io import files, gather
from sfumato.data.io.images import holds_images, read_image, read_images
from sfumato.data.io.picture_arrays import as_images
from sfumato.errors import DataError, PictureWarning


def _rgb(seed: int = 0, height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures"
    place.mkdir()
    for k in range(4):
        Image.fromarray(_rgb(k)).save(place / f"{k}.png")
    return place


def test_pixels_come_as_they_are_in_the_order_of_their_names(folder: Path) -> None:
    found = read_images(folder)
    np.testing.assert_array_equal(found.pixels, np.stack([_rgb(k) for k in range(4)]))
    assert list(found.names) == ["0.png", "1.png", "2.png", "3.png"]
    assert (found.labels, found.classes) == (None, ())


def _saved(folder: Path, image: Image.Image, name: str = "one.png", **options: Any) -> np.ndarray:
    image.save(folder / name, **options)
    return np.asarray(read_images(folder).pixels[0])


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    place = tmp_path / "empty"
    place.mkdir()
    return place


def test_grey_has_one_channel_and_colour_three(empty: Path) -> None:
    grey = _rgb()[:, :, 0]
    np.testing.assert_array_equal(_saved(empty, Image.fromarray(grey))[:, :, 0], grey)
    Image.fromarray(_rgb(1)).save(empty / "two.png")
    both = read_images(empty).pixels
    assert both.shape == (2, 6, 8, 3)
    np.testing.assert_array_equal(both[0], np.repeat(grey[:, :, None], 3, 2))


def test_more_than_bytes_is_refused_with_the_range_that_takes_it(empty: Path) -> None:
    for k, dark in enumerate((0, 100)):
        deep = np.array([[dark, 257, 4095]], np.uint16)
        Image.fromarray(deep).save(empty / f"{k}.png")
    with pytest.raises(
        DataError, match=r"2 of 2 .* not bytes: 0\.png \(uint16, 0 to 4095\)"
    ) as told:
        read_images(empty)
    assert "data.range=[0,4095]" in str(told.value)
    for wanted in ((0, 4095), "auto"):
        found = read_images(empty, PictureReading(range=wanted))
        assert (found.range, found.pixels.dtype.name) == ((0, 4095), "uint16")
        np.testing.assert_array_equal(found.pixels[:, 0, :, 0], [[0, 257, 4095], [100, 257, 4095]])
    with pytest.raises(DataError, match="2 of 2 pictures cannot be used") as none_left:
        read_images(empty, PictureReading(skip_bad=True))
    assert "skip_bad" not in str(none_left.value)
    with pytest.raises(DataError, match=r"from 0 to 4095, outside of data\.range=\[0,1023\]"):
        read_images(empty, PictureReading(range=(0, 1023)))


def test_a_palette_and_cmyk_become_colours(empty: Path) -> None:
    flat = np.full((6, 8, 3), (200, 30, 60), np.uint8)
    palette = _saved(empty, Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE))
    np.testing.assert_array_equal(palette, flat)
    (empty / "one.png").unlink()
    cmyk = _saved(empty, Image.new("CMYK", (8, 6), (0, 255, 255, 0)), "one.tif")
    np.testing.assert_array_equal(cmyk[0, 0], (255, 0, 0))


def test_what_is_transparent_lies_over_the_background(empty: Path) -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 0] = 100
    pixels[0, :, 3] = (0, 255, 51)  # nothing, all, a fifth
    Image.fromarray(pixels).save(empty / "one.png")
    seen = read_images(empty, PictureReading(background="#0000ff")).pixels[0, 0]
    np.testing.assert_array_equal(seen, [(0, 0, 255), (100, 0, 0), (20, 0, 204)])
    np.testing.assert_array_equal(read_images(empty).pixels[0, 0, 0], (255, 255, 255))
    Image.new("LA", (3, 1), (100, 51)).save(empty / "one.png")
    assert read_images(empty).pixels.shape[3] == 1  # grey over white is grey
    over_red = read_images(empty, PictureReading(background="#ff0000")).pixels[0, 0, 0]
    np.testing.assert_array_equal(over_red, (224, 20, 20))
    with pytest.raises(DataError, match="must be a colour"):
        read_images(empty, PictureReading(background="off-white"))


def test_exif_turns_a_picture_upright(empty: Path) -> None:
    upright = _rgb()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(upright)).save(empty / "one.png", exif=exif)
    np.testing.assert_array_equal(read_images(empty).pixels[0], upright)


def test_a_size_keeps_the_middle_square(empty: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255  # the middle third is white
    Image.fromarray(wide).save(empty / "one.png")
    assert (read_images(empty, PictureReading(size=10)).pixels[0] > 230).all()
    assert read_images(empty, PictureReading(size=10)).pixels.shape == (1, 10, 10, 3)


def test_a_large_jpeg_is_brought_down_as_if_it_had_been_decoded_in_full(empty: Path) -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, np.arange(512) % 64 < 32] = 255
    (empty / "one.jpg").write_bytes(_encoded(stripes, "JPEG", quality=95))
    whole = Image.fromarray(stripes).resize((100, 100), Image.Resampling.LANCZOS)
    found = read_images(empty, PictureReading(size=100)).pixels[0]
    assert abs(found.astype(int) - np.asarray(whole)).mean() < 2


def _claiming(width: int, height: int) -> bytes:
    """A PNG that says it is huge."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_one_error_names_all_that_cannot_be_used(folder: Path) -> None:
    (folder / "void.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "half.jpg").write_bytes(_encoded(_rgb(9, 60, 80), "JPEG")[:700])
    (folder / "huge.png").write_bytes(_claiming(30_000, 30_000))
    Image.fromarray(_rgb(5, 9, 9)).save(folder / "other.png")
    (folder / "notes.txt").write_text("not looked at")
    (folder / ".hidden.png").write_bytes(b"")
    with pytest.raises(DataError) as told:
        read_images(folder)
    message = str(told.value)
    assert "5 of 9 pictures cannot be used" in message
    for part in (
        "empty: void.jpg",
        "not a picture: text.jpg",
        "truncated or damaged: half.jpg",
        "beyond 25 megapixels: huge.png",
        "not 8 x 6 as most are: other.png (9 x 9 pixels)",
        "--set data.size=32",
        "--set data.skip_bad=true",
    ):
        assert part in message
    assert "\n" not in message
    kept = read_images(folder, PictureReading(skip_bad=True))
    assert list(kept.names) == ["0.png", "1.png", "2.png", "3.png"]
    assert len(kept.left_out) == 6
    assert kept.left_out[-1] == "1 .txt, 1 hidden"
    assert len(read_images(folder, PictureReading(size=4, skip_bad=True)).pixels) == 5


def test_an_error_is_one_line_whatever_a_file_is_called(folder: Path) -> None:
    (folder / "two\nlines \u2028 é 画 $x$.png").write_bytes(b"")
    with (folder / os.fsdecode(b"no \xff text.png")).open("wb"):
        pass
    with pytest.raises(DataError) as told:
        read_images(folder)
    message = str(told.value)
    assert len(message.splitlines()) == 1
    assert "no ? text.png" in message
    assert "two?lines ? é 画 $x$.png" in message
    message.encode()
    for each in read_images(folder, PictureReading(skip_bad=True)).left_out:
        assert len(each.encode().splitlines()) == 1


def test_a_place_without_pictures_is_refused(empty: Path) -> None:
    (empty / "table.csv").write_text("1,2")
    with pytest.raises(DataError, match="no picture that can be used"):
        read_images(empty)


def _classes(place: Path) -> None:
    for name in ("train/dog/1.png", "train/cat/1.png", "train/cat/2.png"):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_rgb(len(name))).save(path)


def test_the_first_folder_that_differs_is_the_class(empty: Path) -> None:
    _classes(empty)
    found = read_images(empty, PictureReading(labels=True))
    assert found.classes == ("cat", "dog")
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, [0, 0, 1])
    assert read_images(empty, PictureReading(labels=False)).classes == ()


def test_archives_are_read_where_they_are(empty: Path, tmp_path: Path) -> None:
    _classes(empty)
    names = sorted(path for path in empty.rglob("*.png"))
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in reversed(names):
            archive.write(path, path.relative_to(empty))
        archive.writestr("__MACOSX/._1.png", b"junk")
    with tarfile.open(tmp_path / "all.tar.xz", "w:xz") as stream:
        for path in names[::-1]:
            stream.add(path, path.relative_to(empty))
        link = tarfile.TarInfo("train/dog/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        stream.addfile(link)
    expected = fingerprint(read_images(empty))
    assert fingerprint(read_images(tmp_path / "all.zip")) == expected
    assert fingerprint(read_images(tmp_path / "all.tar.xz")) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "all.zip", "all.tar.xz"}


def test_a_broken_archive_is_told(tmp_path: Path) -> None:
    for name in ("broken.zip", "broken.tar.gz"):
        (tmp_path / name).write_bytes(b"neither")
        with pytest.raises(DataError, match="cannot read"):
            read_images(tmp_path / name)


def test_an_archive_that_ends_too_early_is_not_taken_for_a_whole_one(
    folder: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "whole.tar", "w") as stream:
        for path in sorted(folder.iterdir()):
            stream.add(path, path.name)
        payload = stream.offset  # zeros follow
    whole = (tmp_path / "whole.tar").read_bytes()
    cut = tmp_path / "cut.tar"
    for length in range(256, payload + 1, 256):
        cut.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cannot read"):
            read_images(cut, PictureReading(skip_bad=True))
    cut.write_bytes(whole[: payload + 512])
    assert len(read_images(cut).pixels) == 4
    (start,) = (k for k in range(0, payload, 512) if whole[k:].startswith(b"2.png"))
    cut.write_bytes(whole[:start] + b"?" + whole[start + 1 :])
    with pytest.raises(DataError, match="cut off or damaged"):
        read_images(cut, PictureReading(skip_bad=True))


def test_a_damaged_entry_of_a_zip_is_named(folder: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    content = bytearray((tmp_path / "all.zip").read_bytes())
    content[content.index(b"IDAT", content.index(b"2.png")) + 9] ^= 1
    (tmp_path / "all.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"1 of 4 .* truncated or damaged: 2\.png"):
        read_images(tmp_path / "all.zip")
    assert len(read_images(tmp_path / "all.zip", PictureReading(skip_bad=True)).pixels) == 3


def test_a_file_too_large_for_a_picture_is_not_even_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = min(path.stat().st_size for path in folder.iterdir())
    (folder / "large.bmp").write_bytes(bytes(10_000))
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    with tarfile.open(tmp_path / "all.tar", "w") as stream:
        stream.add(folder, "pictures")
    monkeypatch.setattr(files, "LARGEST_FILE", 10 * least)
    for place in (folder, tmp_path / "all.zip", tmp_path / "all.tar"):
        with pytest.raises(DataError, match=r"1 of 5 .* beyond 256 MiB: \S*large\.bmp"):
            read_images(place)


def test_links_are_followed_but_not_in_circles(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.fromarray(_rgb(7)).save(elsewhere / "7.png")
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder)
    assert list(read_images(folder).names) == ["0.png", "1.png", "2.png", "3.png", "linked/7.png"]
    (folder / "gone.png").symlink_to("nothing.png")
    (folder / "loop.png").symlink_to("loop.png")
    with pytest.raises(DataError, match="2 of 7 pictures") as told:
        read_images(folder)
    assert "no such file or directory: gone.png" in str(told.value)
    assert ": loop.png" in str(told.value)


@pytest.mark.parametrize("little", [0, 2**30])
def test_threads_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, little: int) -> None:
    (folder / "1b.png").write_bytes(b"neither")
    (folder / "2b.jpg").write_bytes(_encoded(_rgb(9, 60, 80), "JPEG")[:700])
    for k in range(4, 60):
        Image.fromarray(_rgb(k)).save(folder / f"{k}.png")
    monkeypatch.setattr(gather, "_LITTLE", little)
    with pytest.raises(DataError) as told:
        read_images(folder)
    assert "not a picture: 1b.png" in str(told.value)
    assert "truncated or damaged: 2b.jpg" in str(told.value)
    found = read_images(folder, PictureReading(skip_bad=True))
    assert len(found.names) == 60
    for name, pixels in zip(found.names, found.pixels, strict=True):
        np.testing.assert_array_equal(pixels, _rgb(int(Path(name).stem)))


def test_what_memory_does_not_hold_lies_in_a_file_without_a_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)  # so that TMPDIR is looked at again
    monkeypatch.setattr(scratch, "IN_MEMORY", 200)
    Image.fromarray(_rgb(9)[:, :, 0]).save(folder / "grey.png")
    (folder / "broken.png").write_bytes(b"neither")
    found = read_images(folder, PictureReading(skip_bad=True))
    assert isinstance(found.pixels, np.memmap)
    assert not list(place.iterdir())
    for k in range(4):
        np.testing.assert_array_equal(found.pixels[k], _rgb(k))
    np.testing.assert_array_equal(found.pixels[4], np.repeat(_rgb(9)[:, :, :1], 3, 2))
    some = found.take(np.array([4, 1, 2]))
    assert isinstance(some.pixels, np.memmap)
    np.testing.assert_array_equal(some.pixels, np.asarray(found.pixels)[[4, 1, 2]])
    assert list(some.names) == ["grey.png", "1.png", "2.png"]


def test_a_disk_without_room_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "IN_MEMORY", 200)
    usage = shutil.disk_usage(folder)._replace(free=100)
    with monkeypatch.context() as context:
        context.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DataError, match=r"no room in .* for 4 pictures of 8 x 6.* TMPDIR"):
            read_images(folder)

    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda *_, **__: Full())
    with pytest.raises(DataError, match=r"no room in .* TMPDIR"):
        read_images(folder)


def test_a_fingerprint_changes_with_a_pixel_and_a_label() -> None:
    found = digits()
    pixels = found.pixels.copy()
    pixels[3, 2, 1, 0] ^= 1
    assert found.labels is not None
    labels = found.labels.copy()
    labels[0] = 1
    others = [
        Images(pixels, found.labels, found.classes, found.names),
        Images(found.pixels, labels, found.classes, found.names),
        Images(found.pixels, None, (), found.names),
    ]
    assert len({fingerprint(each) for each in (found, *others)}) == 4


def test_digits_are_those_of_scikit_learn() -> None:
    found, known = digits(), load_digits()
    np.testing.assert_allclose(found.pixels[..., 0] * (16 / 255), known.images, atol=0.04)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, known.target)


def test_digits_that_were_changed_are_whole_the_next_time() -> None:
    found, known = digits(), load_digits()
    assert found.labels is not None
    found.pixels[:], found.labels[:] = 0, 0
    again = digits()
    np.testing.assert_allclose(again.pixels[..., 0] * (16 / 255), known.images, atol=0.04)
    np.testing.assert_array_equal(again.labels, known.target)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_arrays_are_pictures_if_they_have_their_shape(tmp_path: Path, ending: str) -> None:
    pixels, path = np.stack([_rgb(k) for k in range(3)]), tmp_path / f"x{ending}"
    if ending == ".npy":
        np.save(path, pixels)
    else:
        np.savez(path, pixels=pixels, labels=np.array([0, 1, 1]))
    assert holds_images(path)
    found = read_images(path, PictureReading(labels=True))
    np.testing.assert_array_equal(found.pixels, pixels)
    assert read_images(path).labels is None
    assert found.classes == (() if ending == ".npy" else ("0", "1"))
    assert read_images(path, PictureReading(size=4)).pixels.shape == (3, 4, 4, 3)
    np.save(tmp_path / "points.npy", np.zeros((5, 2)))
    assert not holds_images(tmp_path / "points.npy")


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((2, 4, 4, 3)), r"are bytes \(uint8"),
        (np.zeros((2, 4, 4, 4), np.uint8), "data.channels=last"),
        (np.zeros((2, 4), np.uint8), "got shape"),
        ([1, 2], "are int64 of .* from 1 to 2"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(pixels: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        as_images(pixels)


def test_one_picture_is_brought_to_the_shape_asked_for(tmp_path: Path) -> None:
    Image.fromarray(_rgb()).save(tmp_path / "one.png")
    np.testing.assert_array_equal(read_image(tmp_path / "one.png", 6, 8, 3), _rgb())
    with pytest.warns(PictureWarning) as said:
        assert read_image(tmp_path / "one.png", 5, 5, 1).shape == (5, 5, 1)
    assert [str(each.message).rpartition("/")[2] for each in said] == [
        "one.png has 8 x 6 pixels; its middle 6 x 6 is resized to 5 x 5"
    ]
    with pytest.warns(PictureWarning, match="has 8 x 6 pixels; it is resized to 16 x 12"):
        assert read_image(tmp_path / "one.png", 12, 16, 3).shape == (12, 16, 3)
    film = [Image.new("L", (4, 4), k) for k in (9, 70)]
    film[0].save(tmp_path / "two.tif", save_all=True, append_images=film[1:])
    with pytest.warns(PictureWarning, match=r"two\.tif holds 2 pictures; the first is used"):
        assert read_image(tmp_path / "two.tif", 4, 4, 1).max() == 9
    with pytest.raises(DataError, match="cannot read"):
        read_image(tmp_path / "none.png", 5, 5, 1)
