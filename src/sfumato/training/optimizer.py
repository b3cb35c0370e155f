"""What optimizers have in common; Adam and AdamW by PyTorch's own fused step; learning rates.

PyTorch's optimizer classes import its compiler when they are made, which takes as long as fitting
a small network does; and what they and their functions look through at every step takes as long as
the step itself of a small network. The kernels that they call are called here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from sfumato import distributed
from sfumato.config import TrainingPart, TrainingSettings


def with_gradients(
    weights: Sequence[Tensor], groups: Iterable[Sequence[int]]
) -> Iterator[tuple[list[int], list[Tensor]]]:
    """Of each group of weights the numbers of those that have gradients, and these."""
    for group in groups:
        found = [(k, grad) for k in group if (grad := weights[k].grad) is not None]
        if found:
            used, grads = zip(*found, strict=True)
            yield list(used), list(grads)


class Optimizer(ABC):
    """Takes steps of weights by their gradients.

    Args:
        weights: what is to be trained; changed in place.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self.weights: list[Tensor] = list(weights)
        groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        for k, weight in enumerate(self.weights):
            groups.setdefault((weight.device, weight.dtype), []).append(k)
        self._groups = list(groups.values())  # one call of a kernel wants one device and dtype

    @abstractmethod
    def step(self, learning_rate: float) -> None:
        """One step by the weights' gradients; a weight without one stays."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, by name."""

    def forget_gradients(self) -> None:
        """Gradients are added to what is there; nothing is."""
        for weight in self.weights:
            weight.grad = None

    def _gradients(self) -> Iterator[tuple[list[int], list[Tensor]]]:
        return with_gradients(self.weights, self._groups)

    @torch.no_grad()
    def clip(self, max_norm: float) -> float:
        """Shorten all gradients together to `max_norm`: Pascanu et al. (2013), algorithm 1.

        As `torch.nn.utils.clip_grad_norm_` does, to the bit.

        Returns:
            Their norm before that, 0 where there are none.
        """
        groups = [grads for _, grads in self._gradients()]
        if not groups:
            return 0.0
        device = groups[0][0].device
        norms = [torch.stack(torch._foreach_norm(grads)).to(device) for grads in groups]
        norm = distributed.whole(torch.linalg.vector_norm(torch.cat(norms))).cpu()
        share = max_norm / (norm + 1e-6)
        if not share >= 1:  # of a norm that is no number, no gradient stays one
            for grads in groups:
                torch._foreach_mul_(grads, share.to(grads[0].device))
        return norm.item()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` gave.

        Raises:
            KeyError: if a part is missing.
            RuntimeError: if one is of another shape.
        """
        for name, own in self.tensors().items():
            distributed.put(tensors[name], own)


class AdamW(Optimizer):
    """Kingma & Ba (2015), with the decoupled weight decay of Loshchilov & Hutter (2019).

    Args:
        weights: what is to be trained; changed in place.
        weight_decay: share of a weight that a step of rate 1 takes away; 0 is Adam.
        betas: what the means of gradients and of their squares keep at each step.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__(weights)
        self.weight_decay = weight_decay
        self.betas = betas
        self.means: list[Tensor] = [torch.zeros_like(weight) for weight in self.weights]
        self.squares: list[Tensor] = [torch.zeros_like(weight) for weight in self.weights]
        self.counts: list[Tensor] = [
            torch.zeros((), device=weight.device) for weight in self.weights
        ]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One step by the weights' gradients; a weight without one stays."""
        for used, grads in self._gradients():
            counts = [self.counts[k] for k in used]
            torch._foreach_add_(counts, 1)
            torch._fused_adamw_(
                [self.weights[k] for k in used],
                grads,
                [self.means[k] for k in used],
                [self.squares[k] for k in used],
                [],
                counts,
                amsgrad=False,
                lr=learning_rate,
                beta1=self.betas[0],
                beta2=self.betas[1],
                weight_decay=self.weight_decay,
                eps=1e-8,
                maximize=False,
            )

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, by name."""
        parts = {"mean": self.means, "square": self.squares, "count": self.counts}
        return {f"{k}.{name}": part[k] for name, part in parts.items() for k in range(len(part))}


def learning_rate(step: int, num_steps: int, settings: TrainingSettings) -> float:
    """The rate of step 0 ... num_steps - 1: linear warm-up, then constant or a cosine to zero.

    A training that was gone on with has one such course after another, each warming up from the
    rate at which the one before it ended: warm restarts, Loshchilov & Hutter (2017), with a ramp,
    Ibrahim et al. (2024). At a constant rate that changes nothing.

    It depends on the step alone, so that a checkpoint need not hold it.
    """
    begun, before = 0, 0.0
    for part in settings.past:
        if step < part.until:
            return _course(part, step - begun, part.steps - begun, before)
        before = _course(part, part.until - 1 - begun, part.steps - begun, before)
        begun = part.until
    return _course(settings, step - begun, num_steps - begun, before)


def _course(recipe: TrainingPart | TrainingSettings, step: int, steps: int, before: float) -> float:
    """The rate of a step of one course, which begins at the rate `before`."""
    ramp = min(1.0, (step + 1) / (recipe.warmup + 1))
    first = before / recipe.learning_rate
    left = 1.0
    if recipe.decay == "cosine":
        left = 0.5 * (1 + math.cos(math.pi * step / steps))
    return recipe.learning_rate * (first + (1 - first) * ramp) * left
