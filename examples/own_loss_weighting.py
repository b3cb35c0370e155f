"""A loss weighting of your own, in a training loop of your own."""

import torch
from sklearn.datasets import make_moons
from torch import Tensor

import sfumato
from sfumato import grids, parameterisations, samplers, schedules


def my_weight(level: sfumato.NoiseLevel) -> Tensor:
    """The SNR, at most 20: Hang et al. (2023), with a gamma for thin curves."""
    return level.snr.clamp(max=20)


x = torch.tensor(make_moons(5000, noise=0.05)[0], dtype=torch.float32)
schedule, settings = schedules.Cosine(shift=2.0), sfumato.TrainingSettings(steps=1000)
denoise = sfumato.NetworkDenoiser(sfumato.VectorMLP(2), parameterisations.edm)
training = sfumato.regression_training(denoise, schedule, x, settings, seed=0, weighting=my_weight)
for record in sfumato.train(training):
    print(f"step {record.step}, loss {record.loss:.4f}")
levels = grids.uniform_log_snr(schedule, 50)
chunks = sfumato.sample_chunks(denoise, (2,), levels, samplers.DDIM(), n=1000, seed=0)
print(torch.std_mean(torch.cat(list(chunks)), 0))
