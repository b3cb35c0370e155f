"""The optimizer, held to PyTorch's own classes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.training.optimizer import AdamW

_FLOAT = (torch.float32,)
_MIXED = (torch.float32, torch.float64)


def _weights(dtypes: tuple[torch.dtype, ...] = _FLOAT) -> list[Tensor]:
    """Three weights, whose dtypes are these in turn."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 4), (4,), ())
    return [
        torch.randn(shape, generator=generator).to(dtypes[k % len(dtypes)]).requires_grad_()
        for k, shape in enumerate(shapes)
    ]


def _loss(weights: list[Tensor], k: int) -> Tensor:
    return sum((weight - k).pow(4).sum() for weight in weights)  # type: ignore[return-value]


@pytest.mark.parametrize("dtypes", [_FLOAT, _MIXED])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_it_steps_as_pytorchs_own(decay: float, dtypes: tuple[torch.dtype, ...]) -> None:
    ours, theirs = _weights(dtypes), _weights(dtypes)
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


def test_a_call_of_the_kernel_has_weights_of_one_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a GPU refuses others; a processor's takes them one by one."""
    called: list[set[torch.dtype]] = []
    kernel = torch._fused_adamw_

    def noted(weights: list[Tensor], *rest: Any, **options: Any) -> None:
        called.append({weight.dtype for weight in weights})
        kernel(weights, *rest, **options)

    monkeypatch.setattr(torch, "_fused_adamw_", noted)
    weights = _weights(_MIXED)
    _loss(weights, 1).backward()
    AdamW(weights, 0.01).step(0.1)
    assert called == [{torch.float32}, {torch.float64}]


def test_a_weight_without_a_gradient_stays() -> None:
    weights = _weights()
    weights[0].grad = torch.ones_like(weights[0])
    AdamW(weights, 0.01).step(0.1)
    assert not torch.equal(weights[0], _weights()[0])
    assert torch.equal(weights[1], _weights()[1])


def test_a_step_without_gradients_is_none() -> None:
    weights = _weights()
    optimizer = AdamW(weights, 0.01)
    assert optimizer.clip(1.0) == 0
    optimizer.step(0.1)
    for weight, before in zip(weights, _weights(), strict=True):
        assert torch.equal(weight, before)
    assert not any(each.any() for each in optimizer.tensors().values())


@pytest.mark.parametrize("dtypes", [_FLOAT, _MIXED])
@pytest.mark.parametrize(
    ("scale", "longest"), [(1e-3, 5.0), (1.0, 5.0), (1.0, 1.0), (1e30, 5.0), (math.nan, 5.0)]
)
def test_it_clips_as_pytorchs_own(
    scale: float, longest: float, dtypes: tuple[torch.dtype, ...]
) -> None:
    ours, theirs = _weights(dtypes), _weights(dtypes)
    for weights in (ours, theirs):
        for weight in weights[:2]:  # the third has none
            weight.grad = torch.ones_like(weight)
        assert weights[1].grad is not None
        weights[1].grad[0] *= scale
        weights[1].grad[1] = 0.3
    before = [weight.grad.clone() for weight in ours if weight.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(theirs, longest).item()
    assert AdamW(ours, 0.01).clip(longest) == pytest.approx(norm, rel=0, abs=0, nan_ok=True)
    for own, other, old in zip(ours[:2], theirs[:2], before, strict=True):
        assert own.grad is not None
        torch.testing.assert_close(own.grad, other.grad, rtol=0, atol=0, equal_nan=True)
        assert torch.equal(own.grad, old) == (norm <= longest)
    assert ours[2].grad is None


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
