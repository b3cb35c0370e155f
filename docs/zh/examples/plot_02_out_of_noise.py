"""
观察点怎样从噪声中浮现
======================

采样器从纯噪声出发，一步一步去掉噪声。``run.model.frames`` 依次给出同一批点在采样器经过的每个噪声
水平上的位置；这里画出其中六个水平。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 200, "training.snapshots": 0}, quiet=True)
frames = list(run.model.frames(2000, steps=30, grid="uniform-log-snr"))

# %%
# 一个噪声水平由两个数表示：信号的系数 alpha 与噪声的系数 sigma。
# 每幅图上方标出两者之比 sigma/alpha，其中数据已标准化，标准差为 1。

shown = [frames[k] for k in (0, 15, 17, 18, 19, 30)]
figure, axes = plt.subplots(2, 3, figsize=(7, 5.4), sharex=True, sharey=True, layout="constrained")
for axis, (level, points) in zip(axes.flat, shown, strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=f"noise {float(level.sigma_ve):.3g}", xlim=(-0.25, 0.25), ylim=(-0.4, 0.4))
figure.supxlabel("x")
figure.supylabel("y")

# %%
# 第一帧的标准差是噪声的标准差，最后一帧的标准差是数据的标准差。

data = run.load_data().train.values
for name, points in {"first": frames[0][1], "last": frames[-1][1], "data": data}.items():
    print(f"{name:5}  deviations {np.round(points.std(0), 3)}")
