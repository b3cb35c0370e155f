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

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(5, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """The answer for x, `(batch, 2)`, at one log-SNR for all rows or one for each."""
        return self.layers(torch.column_stack([x, (3 * x).sin(), log_snr.expand(len(x)) / 10]))


torch.manual_seed(0)
settings = {"training.steps": 800, "training.snapshots": 0}
run = sfumato.fit("moons", network=Waves(), settings=settings, quiet=True)

# %%
# The run works as any other. Only opening it again takes the network once more, whose weights are
# then those of the run's folder.

again = sfumato.open(run.folder, network=Waves())
real, drawn = run.load_data().train.values[:3000], again.sample(3000)
same = (drawn[:5] == run.sample(5)).all()
print(f"{sum(each.numel() for each in Waves().parameters()):,} weights; same samples: {same}")

figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True, sharey=True, layout="constrained")
for axis, points, title in zip(axes, (real, drawn), ("data", "drawn"), strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=title, aspect="equal", xlabel="x")
axes[0].set_ylabel("y")
