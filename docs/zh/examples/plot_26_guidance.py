"""
把样本引向给定的条件
====================

引导从无条件的估计值出发，朝有条件的估计值移动，并且越过它。借助高斯混合的精确去噪器，
可以看出这对样本的分布有什么影响。
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
# 条件是右边的那个分量。引导强度为 1 时，抽样服从它自己的分布；超过 1 时，样本远离其他分量，
# 并且变窄。

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
# 灰色：每个分量的两倍标准差范围。橙色：样本的均值。
