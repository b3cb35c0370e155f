"""The codec: an inverse, exact constants, the Jacobian, nothing taken on trust."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.data.codecs.points import PointCodec
from sfumato.data.points import Points
from sfumato.errors import DataError, RunError


def _points(values: np.ndarray) -> Points:
    return Points(values, tuple(f"c{k}" for k in range(values.shape[1])))


@given(
    centre=st.floats(-1e12, 1e12),
    log_scale=st.floats(-290, 290),
    seed=st.integers(0, 1000),
)
def test_decode_inverts_encode(centre: float, log_scale: float, seed: int) -> None:
    scale = 10.0**log_scale
    values = centre + scale * np.random.default_rng(seed).standard_normal((20, 2))
    if (np.ptp(values, axis=0) == 0).any():
        return  # lost in the centre's own rounding: constant
    codec = PointCodec.fit(_points(values))
    error = np.abs(codec.decode(codec.encode(values)) - values)
    # float32 holds the encoded value to 1e-7 of itself; float64 holds the centre.
    assert (error <= 1e-5 * scale + 4e-16 * np.abs(values)).all()


def test_encoded_columns_have_mean_zero_and_deviation_one() -> None:
    values = np.random.default_rng(0).normal([1e9, 1e-9, -5], [1e-2, 1e-12, 1e200], (500, 3))
    x = PointCodec.fit(_points(values)).encode(values)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_a_range_wider_than_the_largest_number_is_no_hindrance() -> None:
    values = np.array([[-1.7e308], [-1.7e308], [-1.7e308], [1.7e308]])
    codec = PointCodec.fit(_points(values))
    np.testing.assert_allclose(codec.decode(codec.encode(values)), values, rtol=1e-6)


@given(order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_the_order_of_the_columns_does_not_matter(order: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).normal([0, 1e6, -3, 1e-8], [1, 1e-3, 50, 1e-9], (20, 4))
    values[:, 2] = 7.0
    x = PointCodec.fit(_points(values)).encode(values)
    varying = {0: 0, 1: 1, 3: 2}
    expected = x[:, [varying[k] for k in order if k in varying]]
    swapped = values[:, order]
    assert torch.equal(PointCodec.fit(_points(swapped)).encode(swapped), expected)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, -1e300, 5e-324, 0.0, 2.0**53 - 1])
def test_a_constant_column_comes_back_bit_for_bit(constant: float) -> None:
    values = np.random.default_rng(0).standard_normal((30, 3))
    values[:, 1] = constant
    codec = PointCodec.fit(_points(values))
    assert codec.dimension == 2
    again = codec.decode(torch.randn(50, 2))
    assert set(again[:, 1].tolist()) == {constant}


def test_without_standardising_values_stay() -> None:
    values = np.array([[1.5, 7.0, -2.0], [2.5, 7.0, -4.0]])
    codec = PointCodec.fit(_points(values), standardise=False)
    assert codec.encode(values).tolist() == [[1.5, -2.0], [2.5, -4.0]]
    np.testing.assert_array_equal(codec.decode(codec.encode(values)), values)


def test_jacobian_is_that_of_encode() -> None:
    values = np.random.default_rng(1).normal([3, -1], [0.2, 40], (100, 2))
    codec = PointCodec.fit(_points(values))
    step = 0.5 * np.eye(2)
    origin = codec.encode(values[:1]).double()
    jacobian = torch.cat(
        [(codec.encode(values[:1] + step[k]).double() - origin) / 0.5 for k in range(2)]
    )
    assert codec.log_abs_det_jacobian == pytest.approx(
        math.log(abs(float(torch.linalg.det(jacobian)))), rel=1e-4
    )


def test_survives_json_exactly() -> None:
    values = np.random.default_rng(2).normal([1 / 3, 1e-200], [1e7, 1e-201], (40, 2))
    codec = PointCodec.fit(_points(values))
    assert PointCodec.from_dict(json.loads(json.dumps(codec.to_dict()))) == codec


@pytest.mark.parametrize(
    "damage",
    [
        {"columns": ["a"]},
        {"mean": [1.0, math.nan]},
        {"scale": [1.0, -1.0]},
        {"scale": [math.inf, 1.0]},
        {"scale": [0.0, 0.0]},
        {"mean": ["x", 1]},
        {"mean": None},
        {"scale": [1.0, 10**400]},
        {"columns": "ab"},
        {"columns": ["a", "a"]},
    ],
)
def test_a_damaged_description_is_refused(damage: dict[str, Any]) -> None:
    sound = {"columns": ["a", "b"], "mean": [0.0, 1.0], "scale": [1.0, 2.0]}
    PointCodec.from_dict(sound)
    with pytest.raises(RunError, match="damaged"):
        PointCodec.from_dict(sound | damage)


def test_what_cannot_be_encoded_is_told() -> None:
    with pytest.raises(DataError, match="every column is constant"):
        PointCodec.fit(_points(np.ones((5, 2))))
    with pytest.raises(DataError, match="at least 2 rows"):
        PointCodec.fit(_points(np.ones((1, 2))))
    codec = PointCodec.fit(_points(np.arange(6.0).reshape(3, 2)))
    with pytest.raises(DataError, match="2 columns are expected"):
        codec.encode(np.zeros((3, 3)))
    plain = PointCodec.fit(_points(np.array([[0.0, 1], [5, 1e300]])), standardise=False)
    with pytest.raises(DataError, match=r"row 2, column 'c1': 1e\+300 does not fit"):
        plain.encode(np.array([[0.0, 1], [5, 1e300]]))
