"""
Fit with a noise schedule of one's own
======================================

A schedule maps times in [0, 1] to noise levels, and has an inverse, ``time``. A class with these
two methods is enough; it is passed as ``process``.
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import sfumato


class Even:
    """The log-SNR falls evenly from 10 to -8; alpha² + sigma² = 1."""

    def __call__(self, t: Tensor) -> sfumato.NoiseLevel:
        """The noise level at each time."""
        return sfumato.NoiseLevel.from_log_snr(10 - 18 * t)

    def time(self, log_snr: Tensor) -> Tensor:
        """The time of each log-SNR."""
        return (10 - log_snr) / 18


settings = {"training.steps": 250, "training.snapshots": 0}
run = sfumato.fit("circles", process=Even(), settings=settings, quiet=True)

# %%
# Left: the schedule beside the package's cosine. Middle and right: data and samples.

t = torch.linspace(0, 1, 200, dtype=torch.float64)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
axes[0].plot(t, Even()(t).log_snr, color="#0072b2", label="own")
axes[0].plot(t, sfumato.schedules.Cosine()(t).log_snr, "--", color="#d55e00", label="cosine")
axes[0].set(title="schedules", xlabel="time", ylabel="log-SNR")
axes[0].legend()
data = run.load_data().train.values[:3000]
for axis, points, title in zip(axes[1:], (data, run.sample(3000)), ("data", "drawn"), strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(
        title=title, aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xlabel="x", ylabel="y"
    )
