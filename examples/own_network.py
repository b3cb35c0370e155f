"""A network of your own: any module that maps (x, log-SNR) to x's shape."""

import torch
from torch import Tensor, nn

import sfumato


class MyNetwork(nn.Module):
    """A perceptron of x, waves of x, and the log-SNR."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(5, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """The answer for x, `(batch, 2)`, at one log-SNR for all rows or one for each."""
        return self.layers(torch.column_stack([x, (3 * x).sin(), log_snr.expand(len(x)) / 10]))


run = sfumato.fit("moons", network=MyNetwork(), out="runs/own-network")
run.save("own-network.safetensors")
print(sfumato.open("own-network.safetensors", network=MyNetwork()).sample(5))
