"""
Guide samples towards a condition
=================================

Guidance goes from the estimate without a condition towards the one with it, and past it. With
exact denoisers of Gaussian mixtures one sees what that does to the samples' law.
"""

import matplotlib.pyplot as plt
import torch

import sfumato
from sfumato import grids, samplers, schedules
from sfumato.denoisers.mixture import gaussian_mixture

means = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]])
covariances = 0.25 * torch.eye(2).repeat(3, 1, 1)
everything = gaussian_mixture(torch.ones(3), means, covariances)
wanted = gaussian_mixture(torch.ones(1), means[1:2], covariances[1:2])
levels = grids.uniform_log_snr(schedules.Cosine(), 40)

# %%
# The condition is the component on the right. At guidance 1 its own law is drawn; beyond it the
# samples move away from the other components and narrow.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
for axis, guidance in zip(axes, (1.0, 2.0, 4.0), strict=True):
    guided = sfumato.Guided(wanted, everything, guidance, None)
    chunks = sfumato.sample_chunks(guided, (2,), levels, samplers.DDIM(), n=1000, seed=0)
    drawn = torch.cat([*chunks])
    for mean in means:
        axis.add_patch(plt.Circle(mean.tolist(), 1, color="#bbbbbb", alpha=0.4, lw=0))
    axis.scatter(*drawn.T, s=2, color="#0072b2", linewidths=0)
    axis.plot(*drawn.mean(0), "P", ms=10, color="#d55e00", mec="white")
    axis.set(title=f"guidance {guidance:g}", aspect="equal", xlim=(-2.2, 4), ylim=(-2.5, 3))
    mean, deviation = drawn.mean(0).tolist(), drawn.std(0).tolist()
    print(f"guidance {guidance:g}: mean ({mean[0]:.2f}, {mean[1]:.2f}),", end=" ")
    print(f"deviations ({deviation[0]:.2f}, {deviation[1]:.2f})")

# %%
# Grey: two deviations of each component. Orange: the mean of the samples.
