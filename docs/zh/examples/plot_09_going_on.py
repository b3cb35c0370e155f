"""
让已结束的训练再走若干步
========================

``sfumato.resume`` 从一次运行结束的地方继续。权重、优化器的状态和权重的平均都保留下来；
学习率先升到原先最大值的一部分，然后再次下降。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

settings = {"training.steps": 150, "training.snapshots": 0, "training.log_every": 10}
run = sfumato.fit("s-curve", settings=settings, quiet=True)
fresh = run.real_sets(n=1000).reference.values[:300]
before = run.log_prob(fresh, steps=12).mean()

# %%
# 前后两段训练在同一个文件夹里，记录也连成一个序列。

run = sfumato.resume(run.folder, settings={"training.steps": 700}, quiet=True)
after, truth = run.log_prob(fresh, steps=12).mean(), run.known_log_density()(fresh).mean()
for name, nats in {"after 150 steps": before, "after 700": after, "the truth": truth}.items():
    print(f"{name:16} mean log density of fresh points: {nats:.3f} nats")

step, loss, rate = np.array([[r["step"], r["loss"], r["learning_rate"]] for r in run.records()]).T
figure, axes = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, layout="constrained")
axes[0].semilogy(step, loss, color="#0072b2")
axes[0].set_ylabel("loss")
axes[0].set_yticks([0.05, 0.1, 0.2], ["0.05", "0.1", "0.2"])
axes[0].minorticks_off()
axes[1].plot(step, rate, color="#009e73")
axes[1].set(xlabel="step", ylabel="learning rate")
for axis in axes:
    axis.axvline(150, color="#d55e00", linestyle="--", label="resumed")
axes[0].legend()
