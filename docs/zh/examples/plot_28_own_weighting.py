"""
用自己的函数给损失加权
======================

权重规定每个噪声水平上的误差算多重。任何以 ``NoiseLevel`` 为自变量的函数都可以；
这里把它用在自己的训练循环中。
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import sfumato
from sfumato.denoisers.mixture import gaussian_mixture

# 圆周上的八个高斯：这种数据的最优去噪器是已知的。
angles = torch.arange(8) * torch.pi / 4
centres = 1.4 * torch.column_stack([angles.cos(), angles.sin()])
exact = gaussian_mixture(torch.ones(8), centres, 0.01 * torch.eye(2).expand(8, 2, 2))
torch.manual_seed(0)
x = centres[torch.randint(8, (5000,))] + 0.1 * torch.randn(5000, 2)


def own(level: sfumato.NoiseLevel) -> Tensor:
    """信噪比，至多 20，如 Hang et al. (2023)；形状与水平相同。"""
    return level.snr.clamp(max=20)


weightings = {
    "1: errors of x_0": lambda level: torch.ones_like(level.snr),
    "SNR: errors of eps": lambda level: level.snr,
    "own: SNR, at most 20": own,
}

# %%
# 同一个网络训练三次。图中是它超出精确去噪器的误差，单位为每单位对数信噪比的奈特：
# 每种权重都在自己看重的地方学得最好。

schedule, settings = sfumato.schedules.Cosine(), sfumato.TrainingSettings(steps=600)
at = torch.linspace(-6, 9, 31, dtype=torch.float64)
eps = torch.randn(1000, 2, dtype=torch.float64)
colours = "#0072b2", "#009e73", "#d55e00"
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for (name, weighting), colour in zip(weightings.items(), colours, strict=True):
    torch.manual_seed(1)
    network = sfumato.VectorMLP(2)
    denoise = sfumato.NetworkDenoiser(network, sfumato.parameterisations.edm)
    training = sfumato.regression_training(
        denoise, schedule, x, settings, seed=0, weighting=weighting
    )
    for _ in sfumato.train(training):
        pass
    excess = []
    for log_snr in at:
        level = sfumato.NoiseLevel.from_log_snr(log_snr)
        x_t = level.alpha * x[:1000].double() + level.sigma * eps
        with torch.no_grad():
            error = (denoise(x_t, level).x_0 - exact(x_t, level).x_0).square().sum(1).mean()
        excess.append(float(level.snr * error / 2))
    levels = sfumato.NoiseLevel.from_log_snr(at)
    left.semilogy(at, weighting(levels), color=colour, label=name)
    right.semilogy(at, excess, color=colour)
    print(f"{name:21} {sum(excess) / 2:.3f} nats in all")
left.set(title="weight", xlabel="log-SNR")
right.set(title="error beyond the exact one, nats", xlabel="log-SNR")
left.legend()
