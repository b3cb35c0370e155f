"""
取出一个运行的去噪器
====================

自己的方法往往需要一个训练好的运行的 E[x_0 | x_t]，或加噪数据的得分。
两者在任何噪声水平上都可以得到，PyTorch 也能对它们求导。
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import sfumato
from sfumato import NoiseLevel
from sfumato.denoisers.mixture import gaussian_mixture

settings = {"training.steps": 400, "training.snapshots": 0}
run = sfumato.fit("eight-gaussians", settings=settings, quiet=True)
model = run.model
rows = run.load_data().train.values
x = model.codec.encode(rows)  # 已标准化，即网络所见的样子；用 `decode` 换回来


def score(x_t: Tensor, level: NoiseLevel) -> Tensor:
    """加噪数据的对数密度的梯度，`(batch, 2)`，用 Tweedie 公式 (4-3)。"""
    return (level.alpha * model.denoiser(x_t, level).x_0 - x_t) / level.sigma**2


# %%
# 这组数据的精确得分是已知的：圆周上的八个高斯，标准差 0.15。

angles = torch.arange(8, dtype=torch.float64) * torch.pi / 4
centres = 2 * torch.column_stack([angles.cos(), angles.sin()]).numpy()
variances = (0.15 / torch.from_numpy(rows.std(0))).square().diag().expand(8, 2, 2)
exact = gaussian_mixture(torch.ones(8), torch.as_tensor(model.codec.encode(centres)), variances)
x_t = torch.cartesian_prod(*[torch.linspace(-2, 2, 15, dtype=torch.float64)] * 2)
eps = torch.randn(2000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharex=True, sharey=True, layout="constrained")
for axis, log_snr in zip(axes, (4.0, 2.0, -2.0), strict=True):
    level = NoiseLevel.from_log_snr(torch.tensor(log_snr, dtype=torch.float64))
    noisy = level.alpha * torch.as_tensor(x[:2000]) + level.sigma * eps
    with torch.no_grad():
        arrows = score(x_t, level)
        right = (level.alpha * exact(noisy, level).x_0 - noisy) / level.sigma**2
        error = (score(noisy, level) - right).norm() / right.norm()
    print(f"log-SNR {log_snr:4}: the score is {100 * error:.1f} % off")
    axis.scatter(*noisy.T, s=2, color="#999999", linewidths=0)
    axis.quiver(*x_t.T, *arrows.T, angles="xy", color="#0072b2", width=0.004)
    axis.set(title=f"log-SNR {log_snr:g}", aspect="equal", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
