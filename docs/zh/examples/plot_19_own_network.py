"""
训练自己的网络
==============

任何 PyTorch 模块，只要能由带噪的点和对数信噪比算出与点形状相同的结果，就可以充当网络。
它可以用在每一个环节：训练、采样、似然、保存。
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

import sfumato


class Waves(nn.Module):
    """以 x、x 的正弦和对数信噪比为输入的感知机。"""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(5, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        """对 x（形状 `(batch, 2)`）的输出；对数信噪比可以各行共用，也可以每行一个。"""
        return self.layers(torch.column_stack([x, (3 * x).sin(), log_snr.expand(len(x)) / 10]))


torch.manual_seed(0)
settings = {"training.steps": 800, "training.snapshots": 0}
run = sfumato.fit("moons", network=Waves(), settings=settings, quiet=True)

# %%
# 这次运行的用法与其他运行相同。只是重新打开时要再给出一次网络，其权重取自运行文件夹。

again = sfumato.open(run.folder, network=Waves())
real, drawn = run.load_data().train.values[:3000], again.sample(3000)
same = (drawn[:5] == run.sample(5)).all()
print(f"{sum(each.numel() for each in Waves().parameters()):,} weights; same samples: {same}")

figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True, sharey=True, layout="constrained")
for axis, points, title in zip(axes, (real, drawn), ("data", "drawn"), strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=title, aspect="equal", xlabel="x")
axes[0].set_ylabel("y")
