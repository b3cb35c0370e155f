"""The average of the weights along the way, which samples better than the last of them.

    (1)  average <- average + (1 - d_n) (weights - average),   d_n = min(decay, (1 + n)/(10 + n))

The warm-up of d_n lets a short run forget its random start.
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of the network that follows it by eq. (1) at each `update_parameters`."""

    @torch.no_grad()
    def follow(
        average: tuple[Tensor, ...] | list[Tensor],
        weights: tuple[Tensor, ...] | list[Tensor],
        count: Tensor | int,
    ) -> None:
        n = int(count)
        torch._foreach_lerp_(average, weights, 1 - min(decay, (1 + n) / (10 + n)))

    return AveragedModel(network, multi_avg_fn=follow)
