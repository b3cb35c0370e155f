"""
See what a wrong start costs
============================

A sampler begins with pure noise, so the process must end there. Where signal is left at its last
level, samples are wrong however good the denoiser is; here it is exact.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import sfumato
from sfumato import grids
from sfumato.denoisers.mixture import gaussian_mixture
from sfumato.process import discrete
from sfumato.samplers import Ancestral

# %%
# The data are normal with mean 1 and deviation 0.5. The first schedule is DDPM's; the second keeps
# 78 % of the variance of the data at its last level; the third is the second, stretched to its end.

exact = gaussian_mixture(torch.ones(1), torch.ones(1, 1), torch.full((1, 1, 1), 0.25))
schedules = {
    "linear, 1000 levels": discrete.linear(1000),
    "sigmoid, 100 levels": discrete.sigmoid(100),
    "sigmoid, stretched": discrete.zero_terminal_snr(discrete.sigmoid(100)),
}
colours = ("#0072b2", "#d55e00", "#009e73")
x = np.linspace(-1.5, 3, 300)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True, layout="constrained")
for axis, colour, (name, schedule) in zip(axes, colours, schedules.items(), strict=True):
    levels = grids.trailing(schedule, schedule.num_levels)  # every level
    drawn = torch.cat([*sfumato.sample_chunks(exact, (1,), levels, Ancestral(), n=2048, seed=0)])
    print(f"{name:20} alpha_bar {schedule.alpha_bar[-1]:.5f}", end="  ")
    print(f"mean {drawn.mean():.2f}, deviation {drawn.std():.2f}")
    axis.hist(drawn[:, 0], 50, density=True, color=colour, alpha=0.5, label="drawn")
    axis.plot(x, np.exp(-2 * (x - 1) ** 2) * np.sqrt(2 / np.pi), color="black", label="data")
    axis.set(title=f"{name}\nmean {drawn.mean():.2f}", xlabel="x")
axes[0].set_ylabel("density")
axes[0].legend()
