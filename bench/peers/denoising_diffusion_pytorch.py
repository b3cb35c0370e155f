"""denoising-diffusion-pytorch without torchvision, which its network and its loss do not use.

No torchvision fits every PyTorch, so that an empty module stands in for it while it is imported.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from torch import Tensor, nn

NAME = "denoising-diffusion-pytorch"


@contextmanager
def _without_torchvision() -> Iterator[None]:
    names = ("torchvision", "torchvision.transforms", "torchvision.utils")
    if importlib.util.find_spec("torchvision"):
        yield
        return
    made = {name: ModuleType(name) for name in names}
    for name, module in made.items():
        module.__spec__ = ModuleSpec(name, None)
    made["torchvision"].transforms = made["torchvision.transforms"]  # type: ignore[attr-defined]
    made["torchvision"].utils = made["torchvision.utils"]  # type: ignore[attr-defined]
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _package() -> Any:
    with _without_torchvision():
        return importlib.import_module("denoising_diffusion_pytorch")


def unet(width: int, multipliers: tuple[int, ...]) -> nn.Module:
    """Its own network."""
    made: nn.Module = _package().Unet(width, dim_mults=multipliers)
    return made


def diffusion(network: nn.Module, side: int, calls: int | None = None) -> Any:
    """Its process and loss around a network; with `calls`, its samples are DDIM's."""
    return _package().GaussianDiffusion(network, image_size=side, sampling_timesteps=calls)


class AsItsOwn(nn.Module):
    """A network of diffusers with what its GaussianDiffusion asks of a network."""

    self_condition = False

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.network, self.channels, self.out_dim = network, channels, channels

    def forward(self, x: Tensor, t: Tensor, _: None = None) -> Tensor:
        """Its answer for pictures `(b, channels, side, side)` at steps `(b,)`."""
        answer: Tensor = self.network(x, t).sample
        return answer
