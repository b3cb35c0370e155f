"""
Fit a network of one's own
==========================

Any PyTorch module that maps noisy points and a log-SNR to the shape of the points can be the
network. It takes part in everything: fitting, sampling, likelihoods, saving.
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

import sfumato


class Waves(nn.Module):
    """A perceptron of x, of waves of x, and of the log-SNR."""

    def __init__(self, waves: int) -> None:
        super().__init__()
        self.waves = waves
        self.layers = nn.Sequential(
            nn.Linear(3 + 2 * waves, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
        )

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """The answer for x, `(batch, 2)`, at one log-SNR for all rows or one for each."""
        waves = [(2.0**k * x).sin() for k in range(self.waves)]
        return self.layers(torch.column_stack([x, *waves, log_snr.expand(len(x)) / 10]))


# %%
# The same perceptron with four waves and without any, in equally many steps.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True, layout="constrained")
for axis, waves in zip(axes[1:], (0, 4), strict=True):
    torch.manual_seed(0)
    settings = {"training.steps": 500, "training.snapshots": 0}
    run = sfumato.fit("spirals", network=Waves(waves), settings=settings, quiet=True)
    drawn = run.sample(3000)
    print(f"{waves} waves: mean true log density {run.known_log_density()(drawn).mean():.1f} nats")
    axis.scatter(*drawn.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=f"drawn, {waves} waves", aspect="equal", xlabel="x")
axes[0].scatter(*run.load_data().train.values[:3000].T, s=1, color="#d55e00", linewidths=0)
axes[0].set(title="data", aspect="equal", xlabel="x", ylabel="y")
