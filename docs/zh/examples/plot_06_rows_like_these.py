"""
生成与已有的行相似的行
======================

``run.edit`` 把给定的行加噪到某个中间时刻，再从那里开始采样。这个时刻决定一行保留多少：
接近 0 时几乎全部保留，等于 1 时什么也不保留。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("moons", settings={"training.steps": 200, "training.snapshots": 0}, quiet=True)
data = run.load_data().train.values
given = np.tile(data[data[:, 1].argmax()], (300, 1))  # 最高的点，重复 300 次
times = (0.2, 0.5, 0.8, 1.0)
edited = [run.edit(given, time) for time in times]

figure, axes = plt.subplots(2, 2, figsize=(7, 4.8), sharex=True, sharey=True, layout="constrained")
for axis, time, points in zip(axes.flat, times, edited, strict=True):
    axis.scatter(*data[:2000].T, s=1, color="#bbbbbb", linewidths=0, label="data")
    axis.scatter(*points.T, s=5, color="#0072b2", linewidths=0, label="drawn")
    axis.scatter(*given[0], s=60, marker="x", color="#d55e00", label="given")
    axis.set(title=f"from time {time}", aspect="equal", xlabel="x", ylabel="y")
    axis.label_outer()
legend = figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
for handle, size in zip(legend.legend_handles, (20, 20, 60), strict=True):
    handle.set_sizes([size])

# %%
# 时刻越晚，新的点离给定的点越远；但它们始终落在数据上。

for time, points in zip(times, edited, strict=True):
    distance = np.linalg.norm(points - given, axis=1)
    print(f"time {time}: median distance {np.median(distance):.2f}")
