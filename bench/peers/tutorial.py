"""The tutorial's loop, written out from its description with PyTorch alone."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from bench.peers import Fitted, Peer
from bench.peers.points import Sampled

_LEVELS, _BATCH = 100, 128
_BETA = torch.sigmoid(torch.linspace(-6, 6, _LEVELS)) * (0.5e-2 - 1e-5) + 1e-5
_ALPHA_BAR = torch.cumprod(1 - _BETA, 0)


class _Network(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        sizes = (dimension, 128, 128, 128)
        self.hidden = nn.ModuleList(nn.Linear(sizes[k], sizes[k + 1]) for k in range(3))
        self.steps = nn.ModuleList(nn.Embedding(_LEVELS, 128) for _ in range(3))
        self.out = nn.Linear(128, dimension)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        for layer, embedding in zip(self.hidden, self.steps, strict=True):
            x = torch.relu(layer(x) + embedding(t))
        answer: Tensor = self.out(x)
        return answer


def _loss(network: nn.Module, x_0: Tensor) -> Tensor:
    half = torch.randint(0, _LEVELS, ((len(x_0) + 1) // 2,))
    t = torch.cat([half, _LEVELS - 1 - half])[: len(x_0)]
    eps = torch.randn_like(x_0)
    alpha_bar = _ALPHA_BAR[t].unsqueeze(1)
    x_t = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps
    answer: Tensor = network(x_t, t)
    return (eps - answer).square().mean()


def _one_step(network: nn.Module) -> Callable[[Tensor], None]:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    average = {name: weight.detach().clone() for name, weight in network.named_parameters()}

    def step(x_0: Tensor) -> None:
        loss = _loss(network, x_0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        for name, weight in network.named_parameters():
            average[name] = 0.999 * average[name] + 0.001 * weight.detach()

    return step


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Network(rows.shape[1])
        data = TensorDataset(torch.from_numpy(rows).float())
        loader = DataLoader(data, batch_size=_BATCH, shuffle=True)
        one_step = _one_step(network)
        done = 0
        while done < steps:
            for (x_0,) in islice(loader, steps - done):
                one_step(x_0)
                done += 1
    return Sampled(lambda n: _draw(network, n, rows.shape[1]), np.zeros(()), np.ones(()))


def _draw(network: nn.Module, n: int, dimension: int) -> Tensor:
    x = torch.randn(n, dimension)
    for t in reversed(range(_LEVELS)):
        eps = network(x, torch.full((n,), t))
        mean = (x - _BETA[t] / (1 - _ALPHA_BAR[t]).sqrt() * eps) / (1 - _BETA[t]).sqrt()
        x = mean + _BETA[t].sqrt() * torch.randn_like(x)
    return x


def _training_step(network: nn.Module, rows: Tensor) -> Callable[[], None]:
    one_step = _one_step(network)
    return lambda: one_step(rows)


PEER = Peer(
    name="the tutorial's loop",
    recipe="4,000 epochs of 79 batches of 128 rows, Adam 1e-3, 100 ancestral steps",
    steps=316_000,
    fit=_fit,
    training_step=_training_step,
)
