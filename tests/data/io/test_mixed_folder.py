"""A stranger's folder of 300 files: each of them is accounted for in what is said of the data."""

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from sfumato.config import DataSettings, Settings
from sfumato.data.images import Images, PictureReading
from sfumato.data.io.decode import decoded
from sfumato.data.io.images import read_images
from sfumato.data.source import read_source
from sfumato.errors import DataError
from sfumato.runs.data import load
from sfumato.runs.kinds import images

RANDOM = np.random.default_rng(0)


def picture(kind: str, seed: int = 0, side: int = 8) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind)
    return target.getvalue()


def stranger(place: Path) -> Path:
    """300 files: pictures under right, other and no endings, and all else that lies about."""
    place.mkdir()
    files: dict[str, bytes] = {}
    for ending, kind in (
        ("jpg", "JPEG"), ("JPEG", "JPEG"), ("jfif", "JPEG"), ("png", "PNG"), ("webp", "WEBP"),
        ("bmp", "BMP"), ("tif", "TIFF"), ("ppm", "PPM"), ("jp2", "JPEG2000"), ("avif", "AVIF"),
        ("", "PNG"), ("dat", "JPEG"),
    ):  # fmt: skip
        for k in range(20):
            name = f"{kind}-{k}.{ending}" if ending else f"{kind}-{k}"
            files[f"{ending or 'none'}/{name}"] = picture(kind, k)
    for k in range(20):
        files[f"txt/{k}.txt"] = b"a note"
    for k in range(10):
        files[f"json/{k}.json"] = json.dumps({"k": k}).encode()
        files[f"raw/{k}.CR2"] = b"\x01\x02raw"
    files |= {f"deep/{k}.png": b"" for k in range(5)}
    files |= {f"small/{k}.png": picture("PNG", k, 5) for k in range(4)}
    files |= {f".cache/{k}.png": picture("PNG", k) for k in range(3)}
    files |= {"Thumbs.db": b"x", "cut.jpg": picture("JPEG")[:300], "text.png": b"no picture"}
    files |= {"clear.png": _clear(), "README": b"what this is"}
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)
    deep = np.full((8, 8), 4000, np.uint16)
    for k in range(5):
        Image.fromarray(deep).save(place / "deep" / f"{k}.png")
    frames = [Image.fromarray(RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(3)]
    frames[0].save(place / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(place / "pages.tiff", save_all=True, append_images=frames[1:])
    (place / "table.csv").write_text("a,b\n1,2\n")
    assert sum(path.is_file() for path in place.rglob("*")) == 300
    return place


def _clear() -> bytes:
    target = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(target, "PNG")
    return target.getvalue()


def told(found: Images, settings: Settings) -> str:
    data = load(settings)
    codec = images.prepare(settings, data).codec
    model: Any = SimpleNamespace(codec=codec, denoiser=SimpleNamespace(network=None))
    return "\n".join(images.describe(data, model))


def test_each_of_300_files_is_accounted_for(tmp_path: Path) -> None:
    place = stranger(tmp_path / "x")
    with pytest.raises(DataError) as refused:
        read_images(place)
    assert "11 of 258 pictures (11 of 254 files) cannot be used" in str(refused.value)
    for part in (
        "not bytes: deep/0.png (uint16, 4000 to 4000), ",
        "not 8 x 8 as most are: small/0.png (5 x 5 pixels), ",
        "truncated or damaged: cut.jpg",
        "not a picture: text.png",
        "data.range=[0,4095] says which",
    ):
        assert part in str(refused.value)
    found = read_images(place, PictureReading(skip_bad=True))
    assert len({name.partition("[")[0] for name in found.names}) == 243
    assert len(found) == 243 + 2 * 2  # of two files, three frames each
    *bad, others = found.left_out
    assert bad == [
        "cut.jpg: truncated or damaged",
        ", ".join(f"deep/{k}.png (uint16, 4000 to 4000)" for k in range(3))
        + " and 2 more: not bytes",
        ", ".join(f"small/{k}.png (5 x 5 pixels)" for k in range(3))
        + " and 1 more: not 8 x 8 as most are",
        "text.png: not a picture",
    ]
    assert others == "20 .txt, 10 .cr2, 10 .json, 4 hidden, 1 .csv, 1 without an ending"
    assert 243 + 11 + 20 + 10 + 10 + 4 + 1 + 1 == 300
    assert found.notes[0].startswith("20 in JPEG, 20 in avif, 20 in bmp, 20 in dat, and 9 more (")
    assert found.notes[1].startswith("6 pages or frames, in files with several: 2 (")
    assert "1 transparent, on white (data.background)" in found.notes
    changes = {"source": str(place), "skip_bad": True}
    settings = Settings.model_validate({"data": changes})
    block = told(found, settings)
    assert block.splitlines()[0] == (
        "Data: 222 pictures of 8 x 8 pixels, colour; 25 kept to evaluate on"
    )
    assert all(f"Left out: {each}" in block for each in (*bad, others))


def test_what_is_no_picture_is_counted_in_an_archive_too(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "x.zip", "w") as archive:
        for k in range(3):
            archive.writestr(f"{k}.jfif", picture("JPEG", k))
        archive.writestr("__MACOSX/._0.jfif", b"junk")
        archive.writestr("labels.csv", "file,class\n0,a\n1,b\n2,a\n")  # no table, then
    asked = DataSettings(source=str(tmp_path / "x.zip"), labels=True)
    found = read_source(asked)[0]
    assert isinstance(found, Images)
    assert (len(found), found.classes) == (3, ("a", "b"))
    assert found.left_out == ("1 .csv, 1 hidden",)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.xyz").write_bytes(b"none")
    with pytest.raises(DataError, match=r"holds no picture that can be used \(1 \.xyz lie there\)"):
        read_images(tmp_path / "none")


def test_the_frames_of_a_film_are_not_kept_out_singly(tmp_path: Path) -> None:
    for k in range(12):
        frames = [Image.new("L", (4, 4), 20 * k + j) for j in range(5)]
        frames[0].save(tmp_path / f"{k}.tif", save_all=True, append_images=frames[1:])
    data = load(Settings.model_validate({"data": {"source": str(tmp_path), "holdout": 0.3}}))
    assert isinstance(data.heldout, Images)
    train, heldout = (set(each.files) for each in (data.train, data.heldout))
    assert (len(data.train), len(data.heldout)) == (42, 18)
    assert len(heldout) == 4  # three whole films, and the beginning of one
    assert len(train & heldout) == 1
    every = np.concatenate([data.train.pixels, data.heldout.pixels])[:, 0, 0, 0]
    assert len(set(every.tolist())) == 60


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("count", [1, 5])
def test_no_frame_of_a_film_that_is_cut_off_is_lost_in_silence(
    tmp_path: Path, kind: str, count: int
) -> None:
    numbers = RANDOM.integers(0, 256, (count, 12, 12), dtype=np.uint8)
    first, *rest = map(Image.fromarray, numbers)
    target = io.BytesIO()
    first.save(target, kind, save_all=True, append_images=rest)
    content = target.getvalue()
    whole = decoded(content, PictureReading()).frames
    assert len(whole) == count
    for length in range(40, len(content)):
        try:
            found = decoded(content[:length], PictureReading()).frames
        except DataError:
            continue
        np.testing.assert_array_equal(found, whole, str(length))
    with pytest.raises(DataError, match="truncated or damaged"):
        decoded(content[: len(content) // 2], PictureReading())


def test_zeros_between_the_blocks_of_a_film_are_no_damage() -> None:
    numbers = RANDOM.integers(0, 256, (2, 12, 12), dtype=np.uint8)
    target = io.BytesIO()
    first, second = map(Image.fromarray, numbers)
    first.save(target, "GIF", save_all=True, append_images=[second])
    content = target.getvalue()
    assert content[-2:] == b"\0;"
    padded = content[:-1] + b"\0\0\0;"
    np.testing.assert_array_equal(
        decoded(padded, PictureReading()).frames, decoded(content, PictureReading()).frames
    )


@pytest.mark.parametrize(("count", "said"), [(1, "1 picture;"), (2, "2 pictures;")])
def test_too_few_pictures_are_not_called_rows(tmp_path: Path, count: int, said: str) -> None:
    for k in range(count):
        (tmp_path / f"{k}.png").write_bytes(picture("PNG", k))
    settings = Settings.model_validate({"data": {"source": str(tmp_path)}})
    with pytest.raises(DataError, match=rf"has {said} at least 3 are needed, 2 to learn from"):
        load(settings)


def test_names_that_come_twice_in_an_archive_are_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("a.png", "b.png", "a.png", "a.png"):
            content = picture("PNG", 1)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(
        DataError, match=r"2 of 4 .* a name that comes twice: a\.png \(again, 1\), a"
    ):
        read_images(tmp_path / "x.tar")
    assert list(read_images(tmp_path / "x.tar", PictureReading(skip_bad=True)).names) == [
        "a.png",
        "b.png",
    ]


def test_one_file_of_many_bands_does_not_throw_out_the_grey_ones(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    for k in range(3):
        Image.new("L", (8, 8), k).save(tmp_path / f"grey{k}.png")
        Image.new("RGB", (8, 8), (k, 0, 9)).save(tmp_path / f"colour{k}.png")
    bands = np.zeros((8, 8, 5), np.uint8)
    tifffile.imwrite(tmp_path / "five.tif", bands, photometric="minisblack", planarconfig="contig")
    with pytest.raises(
        DataError, match=r"1 of 7 .*: not grey or colour .*: five\.tif \(5 channels"
    ):
        read_images(tmp_path)
    found = read_images(tmp_path, PictureReading(skip_bad=True))
    assert found.pixels.shape == (6, 8, 8, 3)
    assert found.notes == ("3 grey ones, given colour",)
    for k in range(9):
        tifffile.imwrite(
            tmp_path / f"{k}.tif", bands, photometric="minisblack", planarconfig="contig"
        )
    with pytest.raises(DataError, match=r"6 of 16 .*: not 5 channels as most have: colour0\.png"):
        read_images(tmp_path)


def test_files_of_pages_are_counted_by_the_block_alone(tmp_path: Path) -> None:
    def pages(name: str, *sides: int) -> None:
        first, *rest = [Image.new("L", (side, side), side) for side in sides]
        first.save(tmp_path / name, save_all=True, append_images=rest)

    pages("whole0.tif", 8, 8, 8)
    pages("whole1.tif", 8, 8)
    pages("part.tif", 8, 3, 8, 3)
    pages("small.tif", 3, 3, 3)
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "note.txt").write_text("a note")
    with pytest.raises(DataError, match=r"6 of 14 pictures \(3 of 6 files\) cannot be used"):
        read_images(tmp_path)
    found = read_images(tmp_path, PictureReading(skip_bad=True))
    assert len(found) == 8
    assert found.notes[0].startswith("7 pages or frames, in files with several: 3")
    assert found.left_out[-2:] == ("files: 2 whole, 1 in part", "1 .txt")
    assert sum(1 for _ in tmp_path.iterdir()) == 8 - 7 + 3 + 2 + 1
    (tmp_path / "part.tif").unlink()
    found = read_images(tmp_path, PictureReading(skip_bad=True))
    assert found.left_out[-2] == "files: 2 whole, 0 in part"


def test_pages_of_another_size_are_named_one_by_one(tmp_path: Path) -> None:
    pages = [Image.new("L", (8, 8)), Image.new("L", (3, 3)), Image.new("L", (8, 8), 9)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"1 of 3 .*not 8 x 8 as most are: a\.tif\[1\] \(3 x 3"):
        read_images(tmp_path)
    found = read_images(tmp_path, PictureReading(skip_bad=True))
    assert list(found.names) == ["a.tif[0]", "a.tif[2]"]
    assert found.left_out == (
        "a.tif[1] (3 x 3 pixels): not 8 x 8 as most are",
        "files: 0 whole, 1 in part",
    )


def test_a_phone_s_previews_are_no_pictures(tmp_path: Path) -> None:
    shown = [Image.new("RGB", (8, 8), (k, 0, 0)) for k in (200, 10)]
    shown[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=shown[1:])
    found = read_images(tmp_path)
    assert len(found) == 1
    assert found.notes == ("1 with previews beside, which are not used",)


def test_heic_is_read_by_its_library_or_the_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.new("RGB", (64, 64), (200, 30, 60)).save(tmp_path / "IMG_1", "HEIF")
    pixels = read_images(tmp_path).pixels[0]
    assert np.abs(pixels.astype(int) - (200, 30, 60)).max() < 6
    monkeypatch.setattr("sfumato.data.io.decode.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install 'sfumato\[heic\]': IMG_1"):
        read_images(tmp_path)
