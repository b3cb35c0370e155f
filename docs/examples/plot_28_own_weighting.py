"""
Weigh the loss by a function of one's own
=========================================

A weighting says how much an error counts at each noise level. Any function of a ``NoiseLevel`` will
do; here it goes into a training loop of one's own.
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import sfumato
from sfumato.denoisers.mixture import gaussian_mixture

# Eight Gaussians around a circle: data whose best possible denoiser is known.
angles = torch.arange(8) * torch.pi / 4
centres = 1.4 * torch.column_stack([angles.cos(), angles.sin()])
exact = gaussian_mixture(torch.ones(8), centres, 0.01 * torch.eye(2).expand(8, 2, 2))
torch.manual_seed(0)
x = centres[torch.randint(8, (5000,))] + 0.1 * torch.randn(5000, 2)


def own(level: sfumato.NoiseLevel) -> Tensor:
    """The signal-to-noise ratio, at most 20, as in Hang et al. (2023): shaped like the level."""
    return level.snr.clamp(max=20)


weightings = {
    "1: errors of x_0": lambda level: torch.ones_like(level.snr),
    "SNR: errors of eps": lambda level: level.snr,
    "own: SNR, at most 20": own,
}

# %%
# The same network learns three times. The figure shows what each weighting makes it good at: its
# error beyond that of the exact denoiser, in nats for each unit of log-SNR. Each is best where it
# weighs most.

schedule, settings = sfumato.schedules.Cosine(), sfumato.TrainingSettings(steps=600)
at = torch.linspace(-6, 9, 31, dtype=torch.float64)
eps = torch.randn(1000, 2, dtype=torch.float64)
colours = "#0072b2", "#009e73", "#d55e00"
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for (name, weighting), colour in zip(weightings.items(), colours, strict=True):
    torch.manual_seed(1)
    network = sfumato.VectorMLP(2)
    denoise = sfumato.NetworkDenoiser(network, sfumato.parameterisations.edm)
    training = sfumato.regression_training(
        denoise, schedule, x, settings, seed=0, weighting=weighting
    )
    for _ in sfumato.train(training):
        pass
    excess = []
    for log_snr in at:
        level = sfumato.NoiseLevel.from_log_snr(log_snr)
        x_t = level.alpha * x[:1000].double() + level.sigma * eps
        with torch.no_grad():
            error = (denoise(x_t, level).x_0 - exact(x_t, level).x_0).square().sum(1).mean()
        excess.append(float(level.snr * error / 2))
    levels = sfumato.NoiseLevel.from_log_snr(at)
    left.semilogy(at, weighting(levels), color=colour, label=name)
    right.semilogy(at, excess, color=colour)
    print(f"{name:21} {sum(excess) / 2:.3f} nats in all")
left.set(title="weight", xlabel="log-SNR")
right.set(title="error beyond the exact one, nats", xlabel="log-SNR")
left.legend()
