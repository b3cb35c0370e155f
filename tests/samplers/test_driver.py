"""The driver: every frame in turn, no graph, and samples that belong to their number."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from sfumato.denoisers.denoiser import Denoiser, NetworkDenoiser, Prediction, step_of
from sfumato.errors import ArgumentError
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.process import discrete, grids
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import eps
from sfumato.process.streams import CHUNK, Chunk, Noise, generator, noise_from
from sfumato.samplers import SAMPLERS
from sfumato.samplers.ancestral import Ancestral
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import (
    chunk_frames,
    sample_chunks,
    sample_frames,
    trajectory,
    walk_rows,
)

TABLE = discrete.sigmoid(30)
LEVELS = grids.trailing(TABLE, 5)
WHOLE = Chunk(0, CHUNK, 0, CHUNK)


def network() -> NetworkDenoiser:
    torch.manual_seed(0)
    return NetworkDenoiser(StepMLP(2, 30, 64), eps, step_of(TABLE))


def network_of_all_levels() -> NetworkDenoiser:
    """Some methods visit levels that are not the table's."""
    torch.manual_seed(0)
    return NetworkDenoiser(VectorMLP(2, 32, 2), eps)


def draw(n: int, *, seed: int = 0, first: int = 0) -> Tensor:
    chunks = sample_chunks(network(), (2,), LEVELS, Ancestral(), n=n, seed=seed, first=first)
    return torch.cat([torch.empty(0, 2, dtype=torch.float64), *chunks])


def falling(*sigma_ve: float) -> NoiseLevel:
    sigma = torch.tensor(sigma_ve, dtype=torch.float64)
    return NoiseLevel(torch.ones_like(sigma), sigma)


def keep(x_t: Tensor, level: NoiseLevel) -> Prediction:
    return Prediction(x_t)


@dataclass(frozen=True, slots=True)
class Counting:
    """Notes the levels it steps between in its state; adds one and the noise."""

    def start(self) -> list[tuple[float, float]]:
        return []

    def step(
        self,
        denoise: Denoiser,
        x_t: Tensor,
        t: NoiseLevel,
        s: NoiseLevel,
        state: list[tuple[float, float]],
        noise: Noise,
    ) -> tuple[Tensor, Prediction, list[tuple[float, float]]]:
        went = [*state, (float(t.sigma), float(s.sigma))]
        return x_t + noise(x_t), Prediction(torch.tensor(went)), went


def test_every_level_gets_a_frame() -> None:
    x = torch.zeros(3, 2, dtype=torch.float64)
    frames = list(trajectory(keep, x, falling(3, 2, 1, 0), DDIM(), noise=torch.zeros_like))
    assert [float(frame.level.sigma) for frame in frames] == [3, 2, 1, 0]
    assert torch.equal(frames[0].x_t, x)
    assert frames[0].prediction is None
    assert all(frame.prediction is not None for frame in frames[1:])


def test_the_state_is_handed_on_and_steps_join() -> None:
    x = torch.zeros(1, 1)
    *_, last = trajectory(keep, x, falling(5, 3, 2, 0), Counting(), noise=torch.ones_like)
    assert last.prediction is not None
    assert last.prediction.x_0.tolist() == [[5, 3], [3, 2], [2, 0]]
    assert float(last.x_t) == 3  # three draws of the noise it was given


def test_the_dtype_of_the_start_is_kept() -> None:
    x = torch.zeros(2, 1, dtype=torch.float32)
    frames = trajectory(keep, x, falling(2, 1, 0), Ancestral(), noise=noise_from(generator(0)))
    assert {frame.x_t.dtype for frame in frames} == {torch.float32}


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_no_frame_keeps_a_graph(sampler: str) -> None:
    x = torch.zeros(2, 2, dtype=torch.float64)
    noise = noise_from(generator(0))
    frames = list(trajectory(network_of_all_levels(), x, LEVELS, SAMPLERS[sampler](), noise=noise))
    assert not any(frame.x_t.requires_grad for frame in frames)
    predictions = [frame.prediction for frame in frames if frame.prediction is not None]
    assert not any(prediction.x_0.requires_grad for prediction in predictions)


def test_gradients_are_on_between_frames() -> None:
    frames = trajectory(keep, torch.zeros(1, 1), falling(2, 1, 0), DDIM(), noise=torch.zeros_like)
    for _ in frames:
        assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    "sigma_ve", [(), (1.0,), (0.0, 1.0), (2.0, 2.0, 0.0), (3.0, 1.0, 2.0, 0.0), (math.nan, 0.0)]
)
def test_levels_must_fall(sigma_ve: tuple[float, ...]) -> None:
    frames = trajectory(keep, torch.zeros(1, 1), falling(*sigma_ve), DDIM(), noise=torch.zeros_like)
    with pytest.raises(ArgumentError, match="falling noise"):
        next(frames)


def test_a_start_without_signal_is_a_fall() -> None:
    levels = NoiseLevel(
        torch.tensor([0.0, 0.6, 1.0]).double(), torch.tensor([1.0, 0.8, 0]).double()
    )
    x = torch.tensor([[0.5]], dtype=torch.float64)
    *_, last = trajectory(keep, x, levels, Ancestral(), noise=torch.zeros_like)
    assert bool(last.x_t.isfinite().all())


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_100_samples_are_the_first_of_1000_and_of_3000(sampler: str) -> None:
    def of(n: int) -> Tensor:
        denoise = network_of_all_levels()
        chunks = sample_chunks(denoise, (2,), LEVELS, SAMPLERS[sampler](), n=n, seed=4)
        return torch.cat(list(chunks))

    many = of(3000)
    assert many.shape == (3000, 2)
    assert torch.equal(of(100), many[:100])
    assert torch.equal(of(1000), many[:1000])


@pytest.mark.parametrize("cuts", [(0, 1, 2500), (0, 1000, 1024, 1025, 2500), (0, 2048, 2500)])
def test_pieces_are_the_whole(cuts: tuple[int, ...]) -> None:
    pieces = [draw(stop - start, first=start) for start, stop in pairwise(cuts)]
    assert torch.equal(torch.cat(pieces), draw(2500))


def test_no_two_samples_start_alike() -> None:
    assert len({tuple(x) for x in draw(3000).tolist()}) == 3000


def test_seeds_name_other_samples() -> None:
    assert not torch.equal(draw(10, seed=1), draw(10, seed=2))


def test_samples_do_not_hear_the_global_generator() -> None:
    first = draw(10)
    torch.rand(5)
    assert torch.equal(first, draw(10))


def test_no_samples() -> None:
    assert draw(0).shape == (0, 2)
    assert draw(0, first=1500).shape == (0, 2)
    frames = list(sample_frames(network(), (2,), LEVELS, DDIM(), n=0, seed=0))
    assert [frame.shape for frame in frames] == [(0, 2)] * 6


@pytest.mark.parametrize(
    ("n", "first"), [(100, 0), (1500, 0), (1500, 1000), (1024, 1024), (1, 2047)]
)
def test_the_last_frames_are_the_samples(n: int, first: int) -> None:
    frames = list(sample_frames(network(), (2,), LEVELS, Ancestral(), n=n, seed=0, first=first))
    assert [frame.shape for frame in frames] == [(n, 2)] * 6
    assert torch.equal(frames[-1], draw(n, first=first))


@pytest.mark.parametrize(("n", "first"), [(100, 0), (2048, 0), (2500, 1000), (1, 1023)])
def test_a_chunk_is_never_larger_than_chunk(n: int, first: int) -> None:
    sizes = [
        len(chunk)
        for chunk in sample_chunks(network(), (2,), LEVELS, DDIM(), n=n, seed=0, first=first)
    ]
    assert sum(sizes) == n
    assert all(0 < size <= CHUNK for size in sizes)


@pytest.mark.parametrize("event", [(), (3,), (2, 3, 4)])
def test_any_event(event: tuple[int, ...]) -> None:
    drawn = torch.cat(list(sample_chunks(keep, event, falling(2, 1, 0), DDIM(), n=5, seed=0)))
    assert drawn.shape == (5, *event)
    assert drawn.dtype == torch.float64


class Convolution:
    """A denoiser that mixes neighbours, and notes how many pictures it is given."""

    def __init__(self) -> None:
        torch.manual_seed(2)
        self.network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 1, 1))
        self.seen: list[int] = []

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: object = None) -> Prediction:
        self.seen.append(len(x_t))
        return Prediction(self.network(x_t.float()).double())


def pictures(n: int, first: int = 0) -> tuple[Tensor, list[int]]:
    denoise, levels = Convolution(), falling(2, 0)
    chunks = sample_chunks(denoise, (1, 6, 6), levels, DDIM(), n=n, seed=5, first=first)
    return torch.cat(list(chunks)), denoise.seen


@pytest.mark.parametrize(
    ("n", "first", "computed"),
    [
        (1, 0, [1]),
        (4, 0, [1, 3]),
        (5, 0, [1, 3, 12]),
        (64, 0, [1, 3, 12, 48]),
        (1, 3, [3]),
        (60, 4, [12, 48]),
        (1, 64, [64]),
        (66, 63, [48, 64, 64]),
    ],
)
def test_few_pictures_cost_what_few_cost_and_are_the_first_of_many(
    n: int, first: int, computed: list[int]
) -> None:
    drawn, seen = pictures(n, first)
    assert seen == computed
    assert torch.equal(drawn, pictures(200)[0][first : first + n])


def test_few_given_pictures_cost_what_few_cost() -> None:
    def walked(x: Tensor) -> tuple[Tensor, list[int]]:
        denoise = Convolution()
        walk = walk_rows(denoise, x, falling(2, 0), DDIM(), seed=5, fresh_noise=True)
        return torch.cat(list(walk)), denoise.seen

    rows = noise_from(generator(9))(torch.empty(20, 1, 6, 6, dtype=torch.float64))
    few, seen = walked(rows[:4])
    assert seen == [1, 3]
    assert torch.equal(few, walked(rows)[0][:4])


def start(levels: NoiseLevel, seed: int) -> Iterator[Tensor]:
    frames = chunk_frames(keep, (64,), levels, DDIM(), seed=seed, chunk=WHOLE)
    yield next(frames).x_t


@pytest.mark.parametrize(
    ("levels", "std"),
    [(LEVELS, 1.0), (falling(80, 1, 0), math.hypot(1, 80))],
    ids=["variance preserving", "variance exploding"],
)
def test_the_start_has_the_variance_of_unit_data_at_the_first_level(
    levels: NoiseLevel, std: float
) -> None:
    (x,) = start(levels, seed=3)
    assert x.shape == (CHUNK, 64)
    assert abs(float(x.mean())) < 4 * std / math.sqrt(x.numel())
    assert abs(float(x.std()) / std - 1) < 4 / math.sqrt(2 * x.numel())


def test_the_start_and_the_first_noise_are_independent() -> None:
    seen: list[Tensor] = []

    @dataclass(frozen=True, slots=True)
    class Listening:
        def start(self) -> None:
            pass

        def step(
            self,
            denoise: Denoiser,
            x_t: Tensor,
            t: NoiseLevel,
            s: NoiseLevel,
            state: None,
            noise: Noise,
        ) -> tuple[Tensor, Prediction, None]:
            seen.extend([x_t, noise(x_t)])
            return x_t, Prediction(x_t), None

    list(chunk_frames(keep, (64,), LEVELS[-2:], Listening(), seed=3, chunk=WHOLE))
    x, z = seen
    assert abs(float((x * z).mean())) < 4 / math.sqrt(x.numel())
