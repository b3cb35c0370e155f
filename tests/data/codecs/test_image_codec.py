"""Pictures of any range to the network's numbers and back."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from sfumato.data.codecs.images import ImageCodec
from sfumato.data.images import BYTES, Images, value_range
from sfumato.errors import DataError, RunError

RANDOM = np.random.default_rng(0)


def images(pixels: np.ndarray, labels: np.ndarray | None = None, classes: Any = ()) -> Images:
    names = [str(k) for k in range(len(pixels))]
    wanted = None if pixels.dtype == np.uint8 else "auto"
    return Images(pixels, labels, classes, names, range=value_range(pixels, wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4", "f8"])
def test_values_come_back_and_fill_the_range_of_the_network(kind: str) -> None:
    pixels = (RANDOM.random((4, 5, 6, 2)) * 4000 - (kind[0] != "u") * 2000).astype(kind)
    codec = ImageCodec.fit(images(pixels))
    x = codec.encode(pixels)
    assert (x.dtype, x.shape) == (torch.float32, (4, 2, 5, 6))
    if kind != "u1":
        assert (float(x.min()), float(x.max())) == (-1, 1)
    back = codec.decode(x)
    assert back.dtype == pixels.dtype
    np.testing.assert_allclose(back, pixels, rtol=0, atol=0 if kind[0] != "f" else 4e-4)
    outside = codec.decode(torch.tensor([-9.0, 9.0]).reshape(2, 1, 1, 1).expand(2, 2, 5, 6))
    assert (outside.min(), outside.max()) == codec.range


def test_bytes_are_encoded_as_ever() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    codec = ImageCodec(16, 16, 1)
    expected = torch.arange(256).float().div(127.5).sub(1)
    assert torch.equal(codec.encode(pixels).flatten(), expected)
    assert codec.bin_width == 2 / 255
    assert codec.on_byte_scale(pixels) is pixels
    np.testing.assert_array_equal(codec.visible(pixels), pixels)


@pytest.mark.parametrize(
    ("kind", "ends", "width"),
    [
        ("uint16", (0, 4095), 2 / 4095),
        ("uint8", (0, 1), 2),
        ("int32", (0, 10**6), None),
        ("float32", (0, 1), None),
    ],
)
def test_integers_have_bins_and_decimals_a_density(
    kind: str, ends: tuple[float, float], width: float | None
) -> None:
    codec = ImageCodec(3, 3, 2, range=ends, dtype=kind)
    assert codec.bin_width == width
    # log|det| of a map that stretches each of 18 numbers by 2/(high - low).
    assert codec.log_abs_det_jacobian == pytest.approx(18 * math.log(2 / (ends[1] - ends[0])))
    assert codec.bound_unit == (0 if width else codec.log_abs_det_jacobian)


def test_what_is_seen_of_other_pictures_is_bytes() -> None:
    codec = ImageCodec(1, 2, 5, range=(-1, 3), dtype="float32")
    pixels = np.array([[[[-1, 1, 3, 9, 9], [0, 0, 0, 9, 9]]]], np.float32)
    np.testing.assert_array_equal(codec.visible(pixels), [[[[0, 128, 255], [64, 64, 64]]]])
    assert codec.visible(pixels[..., :2]).shape == (1, 1, 2, 1)
    np.testing.assert_allclose(codec.on_byte_scale(pixels)[0, 0, 0, :3], [0, 127.5, 255])


def test_other_types_are_refused_and_narrower_ones_taken() -> None:
    codec = ImageCodec(2, 2, 1, range=(0, 4095), dtype="uint16")
    assert codec.encode(np.zeros((1, 2, 2, 1), np.uint8)).max() == -1
    with pytest.raises(DataError, match="expected, as values of uint16; got float32"):
        codec.encode(np.zeros((1, 2, 2, 1), np.float32))


def test_a_description_is_read_back_and_one_of_bytes_needs_no_range() -> None:
    codec = ImageCodec(2, 3, 5, ("a", "b"), (0.25, 0.75), (-3.5, 1e4), "float32")
    assert ImageCodec.from_dict(codec.to_dict()) == codec
    earlier = {"height": 2, "width": 3, "channels": 1, "classes": [], "shares": []}
    assert ImageCodec.from_dict({"pictures": earlier}) == ImageCodec(2, 3, 1)
    assert ImageCodec(2, 3, 1).range == BYTES
    for damage in ({"range": [3, 3]}, {"range": [0]}, {"range": [0, math.inf]}, {"dtype": "O"}):
        with pytest.raises(RunError, match="damaged"):
            ImageCodec.from_dict({"pictures": earlier | damage})


def test_shares_are_of_the_pictures_that_have_a_class() -> None:
    pixels = RANDOM.integers(0, 256, (4, 2, 2, 1), dtype=np.uint8)
    codec = ImageCodec.fit(images(pixels, np.array([0, -1, 1, 1]), ("a", "b")))
    assert codec.shares == pytest.approx((1 / 3, 2 / 3))
    with pytest.raises(DataError, match="no picture has a class"):
        ImageCodec.fit(images(pixels, np.full(4, -1), ("a",)))
