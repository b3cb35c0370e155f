"""
按对数信噪比比较噪声调度
========================

噪声调度规定样本在每个时刻含有多少噪声。对去噪器来说，起作用的只有信噪比，
因此比较调度最好看信噪比的对数。
"""

import matplotlib.pyplot as plt
import torch

from sfumato import schedules

chosen = {
    "cosine": (schedules.Cosine(), "#0072b2", "-"),
    "linear": (schedules.Linear(), "#d55e00", "-"),
    "sigmoid": (schedules.Sigmoid(), "#009e73", "-"),
    "EDM": (schedules.EDM(), "#cc79a7", "--"),
    "rectified flow": (schedules.RectifiedFlow(), "#e69f00", "--"),
    "Laplace": (schedules.Laplace(), "#56b4e9", "-."),
}
t = torch.linspace(0, 1, 2001, dtype=torch.float64)

# %%
# 右图：时刻均匀抽取时对数信噪比的密度，它说明训练的步数用在哪里。它等于左图曲线斜率绝对值的倒数。

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for name, (schedule, colour, line) in chosen.items():
    log_snr = schedule(t).log_snr
    axes[0].plot(t, log_snr, line, color=colour, label=name)
    density = 1 / torch.gradient(log_snr, spacing=(t,))[0].abs()
    axes[1].plot(log_snr, density, line, color=colour)
axes[0].set(xlabel="time", ylabel="log-SNR", title="level at each time")
axes[1].set(
    xlabel="log-SNR", ylabel="density", title="share of the times", xlim=(-11, 11), ylim=(0, 0.4)
)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
