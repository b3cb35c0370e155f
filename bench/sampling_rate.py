"""Samples times steps a second, with the same network in everyone's sampler."""

from collections.abc import Callable

import torch
from torch import Tensor

from bench.machine import matmul_rate
from bench.measure import Page, side_by_side, table
from bench.peers import NAMES, peer
from bench.pictures import bars
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.networks.mlp import VectorMLP
from sfumato.process.grids import uniform_log_snr
from sfumato.process.parameterisations import edm
from sfumato.process.schedules import SCHEDULES
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import sample_chunks

_N, _STEPS = 10_000, 20


def measure() -> Page:
    """DDIM, or Euler where there is only that, in twenty steps of 10,000 samples."""
    rows, picture = [], {}
    for width in (64, 128, 256):
        network = VectorMLP(2, width)
        candidates: dict[str, Callable[[], object]] = {"Sfumato": _ours(network)}
        for name in NAMES:
            other = peer(name)
            if other.draw is not None:
                candidates[other.name] = other.draw(network, _N, _STEPS)
        timings = side_by_side(candidates, rounds=5)
        # One number for all: what depends on it alone is no product of matrices.
        weights = sum(
            weight.numel() for name, weight in network.named_parameters()
            if weight.ndim == 2 and not name.startswith("tell")
        )  # fmt: skip
        bound = matmul_rate(1024, width, width) / (2 * weights)
        for name, timing in timings.items():
            rate = _N * _STEPS / timing.median
            rows.append([width, name, f"{rate / 1e6:.2f}", f"{rate / bound:.0%}"])
            if width == 128:
                picture[name] = rate / 1e6
    return Page(
        "Sampling rate",
        [
            (
                f"{_N:,} samples in {_STEPS} steps, the same VectorMLP in two columns. The bound is "
                "that of its matrix products alone, at the rate measured for 1,024 × width by width × "
                "width in float32 (sines and activations come on top). Sfumato draws chunks of 1,024 "
                "whatever is asked for, each with noise of its own, and keeps the state in float64."
            ),
            table(["width", "", "million samples × steps a second", "of the bound"], rows),
        ],
        bars(picture, "million samples × steps a second, width 128"),
    )


def _ours(network: VectorMLP) -> Callable[[], Tensor]:
    denoise = NetworkDenoiser(network, edm)
    levels = uniform_log_snr(SCHEDULES["cosine"](), _STEPS)
    stepper = SAMPLERS["ddim"]()

    def draw() -> Tensor:
        return torch.cat(list(sample_chunks(denoise, (2,), levels, stepper, n=_N, seed=0)))

    return draw
