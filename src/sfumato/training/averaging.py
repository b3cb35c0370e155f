"""The average of the weights along the way, which samples better than the last of them.

    (1)  average <- average + (1 - d_n) (weights - average),   d_n = min(decay, (1 + n)/(10 + n))

The warm-up of d_n lets a short run forget its random start.
"""

import torch
from torch import Tensor, nn


class Average:
    """A copy of a network that follows it by eq. (1).

    PyTorch's own AveragedModel walks both module trees at every step, a tenth of a small
    network's whole step; here the two lists of weights are made once.

    Args:
        followed: what to follow.
        copy: of it, which is to be the average.
        decay: share of the average that each step keeps, once warmed up.
    """

    def __init__(self, followed: nn.Module, copy: nn.Module, decay: float) -> None:
        self.network: nn.Module = copy.requires_grad_(False)
        self.decay = decay
        self.count: int = 0
        self._average: list[Tensor] = list(self.network.parameters())
        self._followed: list[Tensor] = list(followed.parameters())
        self._buffers = list(zip(self.network.buffers(), followed.buffers(), strict=True))

    @torch.no_grad()
    def follow(self) -> None:
        """Take in the network's weights as they are now; the first time, take them over."""
        kept = min(self.decay, (1 + self.count) / (10 + self.count)) if self.count else 0.0
        torch._foreach_lerp_(self._average, self._followed, 1 - kept)
        self.count += 1

    @torch.no_grad()
    def take_buffers(self) -> None:
        """Take over what is not learned by descent (running statistics, say) as it is now."""
        for own, followed in self._buffers:
            own.copy_(followed)
