"""
已知一个坐标，抽取另一个坐标
============================

点的模型也能在给定 x 时从 y 的分布中抽样。在 S 形曲线上，同一个 x 可能遇到一支、两支或三支曲线，
单凭 y 的均值无法看出这一点。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 250, "training.snapshots": 0}, quiet=True)
places = (0.0, 0.05, 0.1)
drawn = [run.sample(1000, given={"x": place})[:, 1] for place in places]

# %%
# 真实的条件分布可由 S 形曲线的已知密度求出：取该 x 所在直线上的密度值，再除以它们的积分。

y = np.linspace(-0.3, 0.3, 400)
figure, axes = plt.subplots(2, 2, figsize=(7, 5.4), sharey=True, layout="constrained")
axes = axes.ravel()
axes[0].scatter(*run.load_data().train.values[:3000].T, s=1, color="#999999", linewidths=0)
axes[0].set(title="the data", xlabel="x", ylabel="y")
colours = ("#0072b2", "#d55e00", "#009e73")
for axis, place, values, colour in zip(axes[1:], places, drawn, colours, strict=True):
    axes[0].axvline(place, color=colour)
    axis.hist(
        values,
        np.linspace(-0.3, 0.3, 50),
        density=True,
        color=colour,
        alpha=0.5,
        orientation="horizontal",
        label="drawn",
    )
    density = np.exp(run.known_log_density()(np.stack([np.full(400, place), y], 1)))
    axis.plot(density / density.sum() / (y[1] - y[0]), y, color="black", lw=1, label="true")
    axis.set(title=f"x = {place:g}", xlabel="p(y | x)")
figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
