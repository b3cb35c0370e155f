"""azula: its KarrasDenoiser on a VP schedule, its DDIM sampler."""

from collections.abc import Callable

import numpy as np
import torch
from azula.denoise import KarrasDenoiser
from azula.noise import VPSchedule
from azula.sample import DDIMSampler
from torch import Tensor, nn

from bench.peers import Fitted, Peer
from bench.peers.points import Perceptron, Sampled, scaled


def _one_step(network: nn.Module) -> Callable[[Tensor], None]:
    denoiser = KarrasDenoiser(network, VPSchedule())
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=1e-3)

    def step(x_0: Tensor) -> None:
        loss = denoiser.loss(x_0, torch.rand(len(x_0))).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _sampler(network: nn.Module, steps: int) -> DDIMSampler:
    return DDIMSampler(KarrasDenoiser(network, VPSchedule()), steps=steps, silent=True)


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:
    data, mean, scale = scaled(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Perceptron(data.shape[1])
        one_step = _one_step(network)
        for _ in range(steps):
            one_step(data[torch.randint(len(data), (256,))])
    sampler = _sampler(network, 64)
    return Sampled(lambda n: sampler(sampler.init((n, data.shape[1]))), mean, scale)


def _draw(network: nn.Module, n: int, steps: int) -> Callable[[], Tensor]:
    sampler = _sampler(network, steps)

    @torch.no_grad()
    def draw() -> Tensor:
        samples: Tensor = sampler(sampler.init((n, 2)))
        return samples

    return draw


def _training_step(network: nn.Module, rows: Tensor) -> Callable[[], None]:
    one_step = _one_step(network)
    return lambda: one_step(rows)


PEER = Peer(
    name="azula",
    recipe="the loop of its README (denoiser.loss, Adam 1e-3, DDIM in 64 steps); it names no batch "
    "and no length: 256 rows and torchcfm's 20,000 steps here",
    steps=20_000,
    fit=_fit,
    training_step=_training_step,
    draw=_draw,
)
