"""
看去噪器算的是什么
==================

去噪器给出的，是所有可能变成这个带噪点的干净点的均值。若只有几个点，这个均值可以精确算出：
它是各点的加权平均，越近的点权重越大。
"""

import matplotlib.pyplot as plt
import torch

from sfumato import NoiseLevel
from sfumato.denoisers.empirical import empirical

points = torch.tensor([[-1.0, -0.6], [0.9, -0.9], [0.1, 0.3], [1.1, 1.0], [-0.9, 1.1]])
exact = empirical(points)
side = torch.linspace(-2, 2, 13, dtype=torch.float64)
x = torch.cartesian_prod(side, side)

# %%
# 箭头从每个带噪点指向它的估计值。噪声小时，估计值就是最近的点；噪声大时，不论带噪点在哪里，
# 估计值都接近所有点的均值。

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
for axis, sigma in zip(axes, (0.1, 0.7, 3.0), strict=True):
    level = NoiseLevel(torch.tensor(1.0), torch.tensor(sigma))
    x_0 = exact(x, level).x_0
    axis.quiver(
        *x.T, *(x_0 - x).T, angles="xy", scale_units="xy", scale=1, color="#56b4e9", width=0.004
    )
    axis.scatter(*x_0.T, s=10, color="#0072b2", label="estimates", zorder=3)
    axis.scatter(*points.T, s=70, marker="*", color="#d55e00", label="points", zorder=4)
    axis.set(title=f"noise {sigma}", aspect="equal", xlabel="x")
axes[0].set_ylabel("y")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
