"""Several candidate answers in the place of one, so that an answer can change abruptly.

    (1)  F(x) = F_k(x) of the k whose logit l_k(x) is greatest

A perceptron's answer is smooth; the end of a probability flow is not, where the flow divides. Each
candidate is smooth, and the choice between them breaks where the flow does. It is a mixture density
network, Bishop (1994), read at its likeliest component.
"""

from copy import deepcopy
from typing import TypeGuard

import torch
from torch import Tensor, nn

from sfumato.networks.mlp import StepMLP, VectorMLP


class Branches(nn.Module):
    """A perceptron with several candidate answers, which answers with the likeliest.

    Args:
        network: answers with `count` candidates, one after another, and then their logits;
            `branched` makes one.
        count: how many candidates.
    """

    def __init__(self, network: VectorMLP | StepMLP, count: int) -> None:
        super().__init__()
        self.network = network
        self.count = count

    def candidates(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Every candidate `(batch, count, outputs)` and its logit `(batch, count)`."""
        found = self.network(x, noise)
        answers, logits = found[:, : -self.count], found[:, -self.count :]
        return answers.unflatten(1, (self.count, -1)), logits

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Eq. (1), `(batch, outputs)`, of x `(batch, dimension)` as the network takes it."""
        answers, logits = self.candidates(x, noise)
        return answers[torch.arange(len(x), device=x.device), logits.argmax(1)]


def can_branch(network: nn.Module) -> TypeGuard[VectorMLP | StepMLP]:
    """Whether its last layer is known here; that of a subclass may do anything."""
    return type(network) in (VectorMLP, StepMLP)


def branched(
    network: VectorMLP | StepMLP, count: int, generator: torch.Generator | None = None
) -> Branches:
    """A copy of a network whose candidates are all its own answer, as likely as each other.

    Args:
        network: to begin from; it stays as it is.
        count: how many candidates.
        generator: where given, scatters the candidates about that answer, by half of unit scale:
            alike they would learn alike.
    """
    wide = deepcopy(network)
    wide.output_proj = _repeated(network.output_proj, count)
    if isinstance(wide, VectorMLP):
        assert isinstance(network, VectorMLP)
        wide.linear_skip_out = _repeated(network.linear_skip_out, count)
    if generator is not None:
        outputs = network.output_proj.out_features
        with torch.no_grad():
            bias = wide.output_proj.bias[: count * outputs]
            bias += _SCATTER * torch.randn(bias.shape, generator=generator).to(bias)
    return Branches(wide, count)


_SCATTER = 0.5


def _repeated(layer: nn.Linear, count: int) -> nn.Linear:
    """As many copies of its outputs, and as many zeros, the logits."""
    weight, outputs = layer.weight, (layer.out_features + 1) * count
    made = nn.Linear(layer.in_features, outputs, bias=layer.bias is not None, device="meta")
    made.weight = _padded(weight, count)
    if layer.bias is not None:
        made.bias = _padded(layer.bias, count)
    return made


def _padded(value: Tensor, count: int) -> nn.Parameter:
    own = value.detach()
    logits = own.new_zeros(count, *own.shape[1:])
    return nn.Parameter(torch.cat([*[own] * count, logits]), value.requires_grad)
