"""
用自己的噪声调度训练
====================

噪声调度把 [0, 1] 中的时刻映射为噪声水平，其逆映射是 ``time``。有这两个方法的类就够了；
把它作为 ``process`` 传入。
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import sfumato


class Even:
    """对数信噪比从 10 均匀降到 -8；alpha² + sigma² = 1。"""

    def __call__(self, t: Tensor) -> sfumato.NoiseLevel:
        """每个时刻的噪声水平。"""
        return sfumato.NoiseLevel.from_log_snr(10 - 18 * t)

    def time(self, log_snr: Tensor) -> Tensor:
        """每个对数信噪比所对应的时刻。"""
        return (10 - log_snr) / 18


settings = {"training.steps": 250, "training.snapshots": 0}
run = sfumato.fit("circles", process=Even(), settings=settings, quiet=True)

# %%
# 左图：自己的调度与软件包自带的余弦调度。中图与右图：数据与样本。

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
