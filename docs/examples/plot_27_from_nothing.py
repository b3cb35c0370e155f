"""
Write a whole diffusion model
=============================

A DDPM in plain PyTorch: betas, a perceptron, a loop that trains and a loop that samples.
The numbers in the comments are those of :doc:`/equations`.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn

torch.manual_seed(0)
rows = torch.tensor(make_moons(10_000, noise=0.05, random_state=0)[0], dtype=torch.float32)
data = (rows - rows.mean(0)) / rows.std(0)

T = 200
beta = torch.linspace(1e-4, 0.02, T) * 1000 / T  # of 1000 levels, rescaled (S-14)
alpha_bar = (1 - beta).cumprod(0)  # (2-4); the level of step t is at index t - 1
log_snr = alpha_bar.logit()  # (4-1)

waves = 2 * torch.randn(2, 32)  # a perceptron learns fine detail from waves of x
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
    """The noise that the network finds in x_t, `(batch, 2)`, at the levels i `(batch,)`."""
    angles = x_t @ waves
    return network(torch.column_stack([x_t, angles.sin(), angles.cos(), log_snr[i] / 5]))


# %%
# **Training** (L-4): noise some rows to levels drawn at random, and let the network predict the
# noise.

steps = 2000
optimizer = torch.optim.Adam(network.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
for _ in range(steps):
    x_0 = data[torch.randint(len(data), (256,))]
    i = torch.randint(T, (256,))
    eps = torch.randn_like(x_0)
    x_t = alpha_bar[i, None].sqrt() * x_0 + (1 - alpha_bar[i, None]).sqrt() * eps  # (3-1)
    loss = (eps - predicted(x_t, i)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()

# %%
# **Sampling** (2-7): from pure noise, one level after another, with the mean (2-19) and variance
# (2-16). The last step has no noise.

x = torch.randn(3000, 2)
stages = {T: x}
with torch.no_grad():
    for i in reversed(range(T)):
        eps = predicted(x, torch.full((len(x),), i))
        x = (x - beta[i] / (1 - alpha_bar[i]).sqrt() * eps) / (1 - beta[i]).sqrt()  # (2-19)
        if i > 0:
            beta_tilde = (1 - alpha_bar[i - 1]) / (1 - alpha_bar[i]) * beta[i]  # (2-16)
            x = x + beta_tilde.sqrt() * torch.randn_like(x)
        stages[i] = x

figure, axes = plt.subplots(1, 5, figsize=(12, 2.7), sharex=True, sharey=True, layout="constrained")
for axis, t in zip(axes, (T, 60, 20, 0), strict=False):
    axis.scatter(*stages[t].T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=f"level {t}", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
axes[4].set(title="data", aspect="equal")
axes[4].scatter(*data[:3000].T, s=1, color="#d55e00", linewidths=0)
