"""The optimizer, held to PyTorch's own classes."""

import pytest
import torch
from torch import Tensor

from sfumato.training.optimizer import AdamW


def _weights() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 4), (4,), ())
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def _loss(weights: list[Tensor], k: int) -> Tensor:
    return sum((weight - k).pow(4).sum() for weight in weights)  # type: ignore[return-value]


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_it_steps_as_pytorchs_own(decay: float) -> None:
    ours, theirs = _weights(), _weights()
    optimizer = AdamW(ours, decay)
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    reference = kind(theirs, lr=1.0, weight_decay=decay)
    for k in range(20):
        rate = 0.1 / (1 + k)
        for group in reference.param_groups:
            group["lr"] = rate
        optimizer.forget_gradients()
        reference.zero_grad()
        _loss(ours, k).backward()
        _loss(theirs, k).backward()
        optimizer.step(rate)
        reference.step()
    torch.testing.assert_close(ours, theirs)
    assert not torch.equal(ours[0], _weights()[0])


def test_a_weight_without_a_gradient_stays() -> None:
    weights = _weights()
    weights[0].grad = torch.ones_like(weights[0])
    AdamW(weights, 0.01).step(0.1)
    assert not torch.equal(weights[0], _weights()[0])
    assert torch.equal(weights[1], _weights()[1])


def test_what_is_restored_is_all_that_it_remembers() -> None:
    straight, stopped = _weights(), _weights()
    one, first = AdamW(straight, 0.01), AdamW(stopped, 0.01)
    second = AdamW(stopped, 0.01)
    for k in range(6):
        optimizer = first if k < 3 else second
        if k == 3:
            second.restore(first.tensors())
        for weights, each in ((straight, one), (stopped, optimizer)):
            each.forget_gradients()
            _loss(weights, k).backward()
            each.step(0.1)
    for a, b in zip(straight, stopped, strict=True):
        assert torch.equal(a, b)
    with pytest.raises(KeyError):
        second.restore({})
