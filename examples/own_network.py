"""Your own network: anything that maps (x, log-SNR) to x's shape."""

import torch
from torch import Tensor, nn

from sfumato.config import TrainingSettings
from sfumato.data.toy import draw
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.process import grids, parameterisations, schedules
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import sample_chunks
from sfumato.training.loop import train
from sfumato.training.regression import regression_training


class MyNetwork(nn.Module):
    """A small perceptron that is shown the log-SNR as a third coordinate."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2)
        )

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """Map x `(batch, 2)` and one log-SNR each to x's shape."""
        told = (log_snr / 10).expand(len(x)).unsqueeze(1)
        return self.layers(torch.cat([x, told], dim=1))  # type: ignore[no-any-return]


def main(steps: int = 1000) -> Tensor:
    """Train it on two moons and draw 1,000 new points."""
    x = torch.tensor(draw("moons", 5000, seed=0).values, dtype=torch.float32)
    schedule = schedules.Cosine(shift=2.0)
    denoise = NetworkDenoiser(MyNetwork(), parameterisations.edm)
    training = regression_training(denoise, schedule, x, TrainingSettings(steps=steps), seed=0)
    for record in train(training):
        print(f"step {record.step}, loss {record.loss:.3f}")
    levels = grids.uniform_log_snr(schedule, 50)
    return torch.cat(list(sample_chunks(denoise, (2,), levels, DDIM(), n=1000, seed=0)))


if __name__ == "__main__":
    print("mean and deviation of the samples:", *torch.std_mean(main(), dim=0))
