"""zuko: a neural spline flow, trained by maximum likelihood as its README does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import zuko

from bench.peers import Fitted, Peer
from bench.peers.points import scaled

_STEPS, _BATCH = 2000, 512


@dataclass(frozen=True, slots=True, eq=False)
class _Flow:
    flow: Any
    mean: np.ndarray
    scale: np.ndarray

    def sample(self, n: int, seed: int) -> np.ndarray:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            return np.asarray(self.flow().sample((n,)).double().numpy() * self.scale + self.mean)

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        x = torch.from_numpy((rows - self.mean) / self.scale).float()
        with torch.no_grad():
            values = torch.cat([self.flow().log_prob(part) for part in x.split(1000)])
        return np.asarray(values.double().numpy() - np.log(self.scale).sum())


def _fit(rows: np.ndarray, seed: int, steps: int) -> Fitted:
    data, mean, scale = scaled(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = zuko.flows.NSF(data.shape[1], transforms=3, hidden_features=[64] * 3)
        optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
        for _ in range(steps):
            loss = -flow().log_prob(data[torch.randint(len(data), (_BATCH,))]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return _Flow(flow, mean, scale)


PEER = Peer(
    name="zuko",
    recipe="NSF of its README (three transforms, 64-wide), Adam 1e-3; it names no length: 2,000 "
    "steps of 512 rows here",
    steps=_STEPS,
    fit=_fit,
)
