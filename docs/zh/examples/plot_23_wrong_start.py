"""
看错误的起点要付出什么代价
==========================

采样器从纯噪声开始，因此前向过程必须以纯噪声结束。若最后一个水平上仍残留信号，无论去噪器多好，
样本都是错的；这里的去噪器是精确的。
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
# 数据服从均值为 1、标准差为 0.5 的正态分布。第一个调度是 DDPM 的；
# 第二个在最后一个水平上仍保留数据方差的 78 %；第三个是把第二个拉伸到底的结果。

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
    levels = grids.trailing(schedule, schedule.num_levels)  # 所有的水平
    drawn = torch.cat([*sfumato.sample_chunks(exact, (1,), levels, Ancestral(), n=2048, seed=0)])
    print(f"{name:20} alpha_bar {schedule.alpha_bar[-1]:.5f}", end="  ")
    print(f"mean {drawn.mean():.2f}, deviation {drawn.std():.2f}")
    axis.hist(drawn[:, 0], 32, density=True, color=colour, alpha=0.5, label="drawn")
    axis.plot(x, np.exp(-2 * (x - 1) ** 2) * np.sqrt(2 / np.pi), color="black", label="data")
    axis.set(title=f"{name}\nmean {drawn.mean():.2f}", xlabel="x")
axes[0].set_ylabel("density")
axes[0].legend()
