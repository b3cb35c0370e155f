"""Noise by named streams: repeatable, independent, and blind to the global generator."""

import math

import pytest
import torch
from torch import Tensor

from sfumato.process.streams import CHUNK, SAMPLING, Chunk, generator, noise_from, table_chunks


def draw(seed: int, *path: int, n: int = 2000) -> Tensor:
    return noise_from(generator(seed, *path))(torch.empty(n, dtype=torch.float64))


def test_a_stream_is_named_by_its_seed_and_path() -> None:
    assert torch.equal(draw(7, 3, 1), draw(7, 3, 1))


def test_a_stream_ignores_the_global_generator() -> None:
    torch.manual_seed(1)
    first = draw(7)
    torch.manual_seed(2)
    assert torch.equal(first, draw(7))


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0,), (0, 0)), ((5, 1, 2), (5, 12)), ((0, 1), (1, 0))],
)
def test_streams_of_other_names_are_uncorrelated(
    one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    product = draw(*one) * draw(*other)
    assert abs(float(product.mean())) < 4 / math.sqrt(len(product))


def test_large_seeds_are_told_apart() -> None:
    assert not torch.equal(draw(2**64 - 1, n=4), draw(2**63, n=4))


def test_successive_draws_go_on() -> None:
    noise = noise_from(generator(0))
    first, second = noise(torch.empty(50)), noise(torch.empty(50))
    assert not torch.equal(first, second)


def test_noise_is_standard_normal() -> None:
    x = draw(11, n=100_000)
    assert abs(float(x.mean())) < 4 / math.sqrt(1e5)
    assert abs(float(x.var()) - 1) < 4 * math.sqrt(2 / 1e5)
    assert abs(float((x**4).mean()) - 3) < 4 * math.sqrt(96 / 1e5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_has_the_shape_and_dtype_it_is_asked_for(dtype: torch.dtype) -> None:
    z = noise_from(generator(0))(torch.empty(3, 2, 5, dtype=dtype))
    assert (z.shape, z.dtype) == (torch.Size([3, 2, 5]), dtype)


def test_rows_of_a_table_lie_in_parts_of_one_sheet_and_then_in_sheets() -> None:
    parts = list(table_chunks(2000, 100))
    assert [(each.first, each.size) for each in parts] == [
        (64, 192), (256, 768), (1024, 1024), (2048, 1024)
    ]  # fmt: skip
    assert [(each.first, each.size) for each in table_chunks(64)] == [(0, 64)]
    assert not list(table_chunks(0, 5))


def test_the_parts_of_a_sheet_have_its_own_draws() -> None:
    sheet, parts = Chunk(0, CHUNK, 0, CHUNK), list(table_chunks(CHUNK))
    whole = sheet.uniform(3, 7, 1)
    assert whole.dtype == torch.float64
    assert len(whole.unique()) == 3 * CHUNK
    assert torch.cat([each.uniform(3, 7, 1) for each in parts]).equal(whole)
    noise = [each.noise(7, SAMPLING)(torch.empty(each.size, 2)) for each in parts]
    assert torch.cat(noise).equal(sheet.noise(7, SAMPLING)(torch.empty(CHUNK, 2)))
