"""diffusers: DDPMScheduler in the training loop of its documentation, on a perceptron."""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from bench.peers import Fitted, Peer
from bench.peers.points import Perceptron, Sampled, scaled

_BATCH, _STEPS = 16, 50 * 625


def _one_step(network: nn.Module, steps: int) -> Callable[[Tensor], None]:
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    rate = get_cosine_schedule_with_warmup(optimizer, min(500, steps // 10), steps)

    def step(x_0: Tensor) -> None:
        noise = torch.randn(x_0.shape)
        t = torch.randint(0, scheduler.config.num_train_timesteps, (len(x_0),))
        answer = network(scheduler.add_noise(x_0, noise, t), t / 1000)
        mse_loss(answer, noise).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()

    return step


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:
    data, mean, scale = scaled(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Perceptron(data.shape[1])
        one_step = _one_step(network, steps)
        done = 0
        while done < steps:
            for (x_0,) in DataLoader(TensorDataset(data), batch_size=_BATCH, shuffle=True):
                if done < steps:
                    one_step(x_0)
                    done += 1
    return Sampled(lambda n: _ancestral(network, n, data.shape[1]), mean, scale)


def _ancestral(network: nn.Module, n: int, dimension: int) -> Tensor:
    # Points have no range of -1 to 1 to be clipped to.
    scheduler = DDPMScheduler(num_train_timesteps=1000, clip_sample=False)
    scheduler.set_timesteps(1000)
    x = torch.randn(n, dimension)
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t / 1000), t, x).prev_sample
    return x


def _draw(network: nn.Module, n: int, steps: int) -> Callable[[], Tensor]:
    scheduler = DDIMScheduler(num_train_timesteps=1000, clip_sample=False)
    scheduler.set_timesteps(steps)

    @torch.no_grad()
    def draw() -> Tensor:
        x = torch.randn(n, 2)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t / 1000), int(t), x).prev_sample
        return x

    return draw


def _training_step(network: nn.Module, rows: Tensor) -> Callable[[], None]:
    one_step = _one_step(network, _STEPS)
    return lambda: one_step(rows)


PEER = Peer(
    name="diffusers",
    recipe="the loop of its tutorial `basic_training`: 50 epochs, batch 16, AdamW 1e-4 with a "
    "cosine; DDPMScheduler, 1,000 ancestral steps",
    steps=_STEPS,
    fit=_fit,
    training_step=_training_step,
    draw=_draw,
)
