"""One training step: ours, a bare hand-written loop's, and the peers', with the same network."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bench.machine import matmul_rate
from bench.measure import Page, ratio, side_by_side, table
from bench.peers import NAMES, peer
from bench.pictures import bars
from sfumato.data.toy import draw
from sfumato.networks.mlp import VectorMLP
from sfumato.runs.fit import prepare, resolve
from sfumato.training.loop import Training, train

_SHAPES = ((64, 256), (64, 1024), (128, 1024), (256, 2048))
_STEPS = 50


def measure() -> Page:
    """Fifty steps at a time, in turn."""
    rows, picture = [], {}
    for width, batch in _SHAPES:
        candidates = {
            "Sfumato": _ours(width, batch, 0),
            "Sfumato, with its reference": _ours(width, batch, max(1024, batch)),
            "a bare loop": _repeated(_bare(VectorMLP(2, width), batch)),
        }
        for name in NAMES:
            other = peer(name)
            if other.training_step is not None and name != "tutorial":
                x = torch.from_numpy(draw("s-curve", batch, seed=0).values).float()
                candidates[other.name] = _repeated(other.training_step(VectorMLP(2, width), x))
        timings = side_by_side(candidates, rounds=7)
        network = VectorMLP(2, width)
        weights = sum(w.numel() for w in network.parameters() if w.ndim == 2)
        bound = 6 * weights * batch / matmul_rate(batch, width, width)
        bare = timings["a bare loop"]
        for name, timing in timings.items():
            rows.append([f"{width} × {batch}", name, f"{timing.median / _STEPS * 1e3:.2f}",
                         f"{ratio(timing, bare):.2f}",
                         f"{bound * _STEPS / timing.median:.0%}"])  # fmt: skip
            if (width, batch) == (64, 1024):
                picture[name] = timing.median / _STEPS * 1e3
    peaks = [
        [f"{n}", *(f"{matmul_rate(1024, n, n, kind) / 1e9:.0f}" for kind in _KINDS)]
        for n in (64, 128, 256, 1024)
    ]
    return Page(
        "The cost of a training step",
        [
            (
                "The same network (VectorMLP), two columns, float32. The bare loop holds the rows in a "
                "tensor, draws indices, times and noise, and takes a fused AdamW step, as ours here; no average, no "
                "clipping, no check of the loss: ours has all three. `of the peak` is what the matrix "
                "products alone would take, forwards and back, at the rate measured for that shape. "
                "The reference (training.reference) is the attention over 1,024 rows that makes a "
                "step's target quieter; see docs/performance.md."
            ),
            table(["width × batch", "", "ms a step", "of the bare loop", "of the peak"], rows),
            "Matrix products of 1,024 × n by n × n, GFLOP/s:",
            table(["n", "float32", "bfloat16"], peaks),
        ],
        bars(picture, "milliseconds a step, width 64, batch 1,024"),
    )


_KINDS = (torch.float32, torch.bfloat16)


def _repeated(step: Callable[[], object]) -> Callable[[], None]:
    def several() -> None:
        for _ in range(_STEPS):
            step()

    return several


def _ours(width: int, batch: int, reference: int) -> Callable[[], None]:
    changes = {"network.width": width, "training.batch_size": batch,
               "training.reference": reference, "training.steps": 10**6,
               "training.optimizer": "adamw", "training.learning_rate": 0.01}  # fmt: skip
    training: Training = prepare(*resolve("s-curve", changes))[0]
    records = train(training)
    assert training.settings.log_every == _STEPS

    def several() -> None:
        next(records)

    return several


def _bare(network: nn.Module, batch: int) -> Callable[[], None]:
    data = torch.from_numpy(np.asarray(draw("s-curve", 10_000, seed=0).values)).float()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        x_0 = data[torch.randint(len(data), (batch,))]
        t, eps = torch.rand(batch), torch.randn(batch, 2)
        alpha, sigma = (torch.pi / 2 * t).cos()[:, None], (torch.pi / 2 * t).sin()[:, None]
        answer: Tensor = network(alpha * x_0 + sigma * eps, t)
        loss = (answer - (alpha * eps - sigma * x_0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
