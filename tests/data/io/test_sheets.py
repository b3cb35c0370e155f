"""Pictures to files and back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.data.images import PictureReading
from sfumato.data.io.images import read_images
from sfumato.data.io.sheets import check_image_target, sheet, write_images
from sfumato.errors import ArgumentError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), dtype=np.uint8)


def test_a_sheet_holds_every_picture_in_order() -> None:
    whole = sheet(PIXELS)
    times = round(600 / (3 * 5 + 1))
    small = whole[::times, ::times]
    assert small.shape == (3 * 6 + 1, 3 * 5 + 1, 3)
    for k, picture in enumerate(PIXELS):
        top, left = 1 + k // 3 * 6, 1 + k % 3 * 5
        np.testing.assert_array_equal(small[top : top + 5, left : left + 4], picture)
    assert (small[13:18, 6:10] == 255).all()  # where an eighth would be


def test_folders_and_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    write_images(tmp_path / "folder", PIXELS)
    np.testing.assert_array_equal(read_images(tmp_path / "folder").pixels, PIXELS)
    write_images(tmp_path / "a.npz", PIXELS, np.arange(7))
    found = read_images(tmp_path / "a.npz", PictureReading(labels=True))
    np.testing.assert_array_equal(found.pixels, PIXELS)
    assert found.classes == tuple("0123456")
    write_images(tmp_path / "a.npy", PIXELS)
    np.testing.assert_array_equal(read_images(tmp_path / "a.npy").pixels, PIXELS)


def test_a_single_picture_is_written_as_it_is(tmp_path: Path) -> None:
    write_images(tmp_path / "one.png", PIXELS[:1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.png")), PIXELS[0])


@pytest.mark.parametrize("name", ["a.csv", "none/a.png", "taken"])
def test_where_nothing_can_be_written_is_told_early(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    with pytest.raises(ArgumentError):
        check_image_target(tmp_path / name)
    with pytest.raises(ArgumentError, match="at least one"):
        write_images(tmp_path / "none.png", PIXELS[:0])
