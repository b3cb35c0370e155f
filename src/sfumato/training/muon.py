"""Muon: a step of a matrix that has singular values all alike; AdamW for all that is no matrix.

    (1)  m <- mu m + (1 - mu) g
    (2)  O = orthogonal factor of mu m + (1 - mu) g
    (3)  W <- (1 - rate decay) W - rate 0.2 sqrt(max(rows, columns)) O

Jordan et al. (2024). The factor in (3) makes a step about as large, in the mean square, as AdamW's
are at the same rate: Liu et al. (2025), eq. 4. Of X = U S V' the orthogonal factor is U V'; three
steps

    (4)  X <- a X + b (X X') X + c (X X')² X

bring the singular values of X / |X| near to 1. Each is a polynomial of A = X X' times X, and what
A is after it follows from A, so that the steps are taken with A, which is smaller than X:

    (5)  P = a I + b A + c A²,   Q <- P Q,   A <- P A P;   at last O = Q X
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato import distributed
from sfumato.training.optimizer import AdamW, Optimizer, with_gradients

_MOMENTUM = 0.9

# a, b, c of eq. (4), those of Jordan et al.: they take small singular values up fast.
_STEPS = 3
_A, _B, _C = 3.4445, -4.7750, 2.0315

# Of fewer rows or columns a weight is rather a few vectors, such as those of a last layer.
_LEAST = 16


def orthogonal_factors(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Nearly U V' of each matrix X = U S V', by eq. (5).

    Singular values of 0.68 to 1.21 for those of X that are at least 0.02 |X|; smaller ones for
    smaller ones, and zeros for zeros.

    Args:
        matrices: `(rows, columns)`, of the same number of rows or columns, whichever are fewer, and
            of one device and precision.
    """
    # With rows as columns where those are fewer, so that X X' is small.
    wide = [each if each.shape[0] <= each.shape[1] else each.mT for each in matrices]
    lefts = _left_factors(torch.stack([each @ each.mT for each in wide]))
    found = [left @ each for left, each in zip(lefts, wide, strict=True)]
    return [
        each if each.shape == matrix.shape else each.mT
        for each, matrix in zip(found, matrices, strict=True)
    ]


def _left_factors(gram: Float[Tensor, "k n n"]) -> Float[Tensor, "k n n"]:
    """The Q of eq. (5) by which each X is to be multiplied, given its X X'."""
    least = torch.finfo(gram.dtype).tiny
    size = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=least)[:, None, None]  # |X|²
    gram = gram / size
    factor = step = _polynomial(gram)
    for _ in range(_STEPS - 1):
        gram = step @ gram @ step
        step = _polynomial(gram)
        factor = step @ factor
    return factor * size.rsqrt()


def _polynomial(gram: Tensor) -> Tensor:
    """P of eq. (5)."""
    step = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
    step.diagonal(dim1=1, dim2=2).add_(_A)
    return step


class Muon(Optimizer):
    """Eq. (1) to (3) for weights of linear layers and convolutions, AdamW for the rest.

    A convolution's kernel is a matrix of a row for each of its outputs.

    Args:
        network: what is to be trained; its weights are changed in place.
        weight_decay: share of a weight that a step of rate 1 takes away.
    """

    def __init__(self, network: nn.Module, weight_decay: float) -> None:
        super().__init__(network.parameters())
        self.weight_decay = weight_decay
        self.matrices: list[Tensor] = list(_matrices(network))
        self.momenta: list[Tensor] = [torch.zeros_like(weight) for weight in self.matrices]
        taken = {id(weight) for weight in self.matrices}
        self.rest = AdamW((each for each in self.weights if id(each) not in taken), weight_decay)
        alike: dict[tuple[torch.device, torch.dtype, int], list[int]] = {}
        for k, weight in enumerate(self.matrices):
            size = min(len(weight), weight[0].numel())
            alike.setdefault((weight.device, weight.dtype, size), []).append(k)
        self._alike = list(alike.values())  # one product of many matrices costs less

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One step by the weights' gradients; a weight without one stays."""
        self.rest.step(learning_rate)
        for used, grads in with_gradients(self.matrices, self._alike):
            momenta = [self.momenta[k] for k in used]
            torch._foreach_lerp_(momenta, grads, 1 - _MOMENTUM)
            ahead = torch._foreach_lerp(grads, momenta, _MOMENTUM)
            # Pixels before channels, as they lie in memory; the order of columns changes nothing.
            kernels = [distributed.whole(each).movedim(1, -1) for each in ahead]
            weights = [self.matrices[k] for k in used]
            torch._foreach_mul_(weights, 1 - learning_rate * self.weight_decay)
            factors = orthogonal_factors([each.flatten(1) for each in kernels])
            for weight, kernel, factor in zip(weights, kernels, factors, strict=True):
                rate = learning_rate * 0.2 * math.sqrt(max(factor.shape))
                step = factor.reshape(kernel.shape).movedim(-1, 1)
                weight.sub_(distributed.part(step, weight), alpha=rate)

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, by name."""
        momenta = {f"{k}.momentum": momentum for k, momentum in enumerate(self.momenta)}
        return momenta | {f"rest.{name}": part for name, part in self.rest.tensors().items()}


def _matrices(network: nn.Module) -> Iterator[Tensor]:
    """The weights of linear layers and convolutions that are matrices of some size, each once."""
    own = {id(weight) for weight in network.parameters()}
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            weight = module.weight
            # Modules may share a weight, or have one that is computed from others.
            if id(weight) in own and min(len(weight), weight[0].numel()) >= _LEAST:
                own.remove(id(weight))
                yield weight
