"""
计算任意一点的对数密度
======================

扩散模型有概率密度，由它的概率流给出：``run.log_prob`` 返回对数密度，单位为奈特。
双月形数据集 moons 的真实密度是已知的，因此可以与模型比较。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("moons", settings={"training.steps": 250, "training.snapshots": 0}, quiet=True)
samples = run.sample(2000)

# %%
# 网格上各点的密度。``steps`` 是求解概率流的步数。

x, y = np.linspace(-1.5, 2.5, 44), np.linspace(-1, 1.5, 30)
grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
learned, true = run.log_prob(grid, steps=12), run.known_log_density()(grid)

figure, axes = plt.subplots(2, 2, figsize=(7.5, 5), layout="constrained")
axes[0, 0].scatter(*samples.T, s=1, color="#0072b2", linewidths=0)
axes[0, 0].set(
    title="samples", aspect="equal", xlim=x[[0, -1]], ylim=y[[0, -1]], xlabel="x", ylabel="y"
)
for axis, nats, title in zip(axes[:, 1], (learned, true), ("model", "truth"), strict=True):
    image = axis.pcolormesh(x, y, nats.reshape(30, 44), vmin=-8, vmax=1, cmap="cividis")
    axis.set(title=f"log density, {title}", aspect="equal", xlabel="x", ylabel="y")
figure.colorbar(image, ax=axes[:, 1], label="nats", extend="min")
axes[1, 0].plot(y, learned.reshape(30, 44)[:, 16], color="#0072b2", label="model")
axes[1, 0].plot(y, true.reshape(30, 44)[:, 16], "--", color="#d55e00", label="truth")
axes[1, 0].set(title=f"along x = {x[16]:.2f}", xlabel="y", ylabel="nats", ylim=(-8, 1))
axes[1, 0].legend()

# %%
# 在有数据的地方，两者一致，用新的点即可验证。在远离数据的地方，模型什么也没有见过，
# 它的密度带有淡淡的尾翼，真实的密度则没有。

fresh = run.real_sets(n=500).reference.values[:400]
difference = run.log_prob(fresh, steps=12) - run.known_log_density()(fresh)
print(f"model less truth on fresh points: mean {difference.mean():+.3f} nats,", end=" ")
print(f"median of the absolute value {np.median(abs(difference)):.3f} nats")
