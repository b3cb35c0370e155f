"""torchcfm: conditional flow matching as in its two-dimensional examples."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torchcfm.conditional_flow_matching import ConditionalFlowMatcher

from bench.peers import Fitted, Peer
from bench.peers.points import Perceptron, Sampled, scaled


def _one_step(network: nn.Module) -> Callable[[Tensor], None]:
    matcher = ConditionalFlowMatcher(sigma=0.0)
    optimizer = torch.optim.Adam(network.parameters())

    def step(x_1: Tensor) -> None:
        optimizer.zero_grad()
        t, x_t, velocity = matcher.sample_location_and_conditional_flow(torch.randn_like(x_1), x_1)
        (network(x_t, t) - velocity).square().mean().backward()
        optimizer.step()

    return step


def _euler(network: nn.Module, n: int, steps: int, dimension: int) -> Tensor:
    x = torch.randn(n, dimension)
    for k in range(steps):
        x = x + network(x, torch.tensor(k / steps)) / steps
    return x


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:
    data, mean, scale = scaled(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Perceptron(data.shape[1], width=64)
        one_step = _one_step(network)
        for _ in range(steps):
            one_step(data[torch.randint(len(data), (256,))])
    return Sampled(lambda n: _euler(network, n, 100, data.shape[1]), mean, scale)


def _draw(network: nn.Module, n: int, steps: int) -> Callable[[], Tensor]:
    @torch.no_grad()
    def draw() -> Tensor:
        return _euler(network, n, steps, 2)

    return draw


def _training_step(network: nn.Module, rows: Tensor) -> Callable[[], None]:
    one_step = _one_step(network)
    return lambda: one_step(rows)


PEER = Peer(
    name="torchcfm",
    recipe="its two-dimensional example: width 64, batch 256, Adam, 20,000 steps, Euler in 100",
    steps=20_000,
    fit=_fit,
    training_step=_training_step,
    draw=_draw,
)
