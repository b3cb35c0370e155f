"""
写出一个完整的扩散模型
======================

只用 PyTorch 的 DDPM：一组 beta、一个感知机、一个训练循环和一个采样循环。
注释中的编号见 :doc:`/equations`。
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn

torch.manual_seed(0)
rows = torch.tensor(make_moons(10_000, noise=0.05, random_state=0)[0], dtype=torch.float32)
data = (rows - rows.mean(0)) / rows.std(0)

T = 200
beta = torch.linspace(1e-4, 0.02, T) * 1000 / T  # 1000 个水平的 beta，重新缩放 (S-14)
alpha_bar = (1 - beta).cumprod(0)  # (2-4)；第 t 步的水平在下标 t - 1 处
log_snr = alpha_bar.logit()  # 式 (4-1)

waves = 2 * torch.randn(2, 32)  # 有了 x 的各种波，感知机才学得会细节
hidden = (
    nn.Linear(67, 128),
    nn.SiLU(),
    nn.Linear(128, 128),
    nn.SiLU(),
    nn.Linear(128, 128),
    nn.SiLU(),
)
network = nn.Sequential(*hidden, nn.Linear(128, 2))


def predicted(x_t: Tensor, i: Tensor) -> Tensor:
    """网络认为 x_t `(batch, 2)` 中含有的噪声，水平为 i `(batch,)`。"""
    angles = x_t @ waves
    return network(torch.column_stack([x_t, angles.sin(), angles.cos(), log_snr[i] / 5]))


# %%
# **训练** (L-4)：把一些行加噪到随机抽取的水平，让网络预测其中的噪声。

steps = 2000
optimizer = torch.optim.Adam(network.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
for _ in range(steps):
    x_0 = data[torch.randint(len(data), (256,))]
    i = torch.randint(T, (256,))
    eps = torch.randn_like(x_0)
    x_t = alpha_bar[i, None].sqrt() * x_0 + (1 - alpha_bar[i, None]).sqrt() * eps  # 式 (3-1)
    loss = (eps - predicted(x_t, i)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()

# %%
# **采样** (2-7)：从纯噪声出发，逐个水平往回走，均值用 (2-19)，方差用 (2-16)。最后一步不加噪声。

x = torch.randn(3000, 2)
stages = {T: x}
with torch.no_grad():
    for i in reversed(range(T)):
        eps = predicted(x, torch.full((len(x),), i))
        x = (x - beta[i] / (1 - alpha_bar[i]).sqrt() * eps) / (1 - beta[i]).sqrt()  # 式 (2-19)
        if i > 0:
            beta_tilde = (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i]) * beta[i]  # 式 (2-16)
            x = x + beta_tilde.sqrt() * torch.randn_like(x)
        stages[i] = x

figure, axes = plt.subplots(1, 5, figsize=(12, 2.7), sharex=True, sharey=True, layout="constrained")
for axis, t in zip(axes, (T, 60, 20, 0), strict=False):
    axis.scatter(*stages[t].T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=f"level {t}", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
axes[4].set(title="data", aspect="equal")
axes[4].scatter(*data[:3000].T, s=1, color="#d55e00", linewidths=0)
