"""
编写自己的采样器
================

采样器规定怎样从一个噪声水平走到下一个更低的水平。十二行代码就能写出二阶的 DPM-Solver++，
训练好的运行便用它来采样。
"""

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

import sfumato
from sfumato import Denoiser, Noise, NoiseLevel, Prediction


class SecondOrder:
    """DPM-Solver++(2M)，各步在对数信噪比上等距：Lu et al. (2022)，算法 2。"""

    def start(self) -> None:
        """还没有任何预测。"""

    def step(
        self, denoise: Denoiser, x: Tensor, t: NoiseLevel, s: NoiseLevel, last: Tensor, _: Noise
    ) -> tuple[Tensor, Prediction, Tensor]:
        """在 DDIM 的一步中，用外推半步的预测代替 x_0。"""
        now = denoise(x, t)
        ahead = now.x_0 if last is None or s.sigma == 0 else 1.5 * now.x_0 - 0.5 * last
        return s.alpha * ahead + s.sigma / t.sigma * (x - t.alpha * ahead), now, now.x_0


run = sfumato.fit("moons", settings={"training.steps": 200, "training.snapshots": 0}, quiet=True)

# %%
# 两种方法都从同样的噪声出发，沿同一个概率流前进。因此误差就是与极多小步所到达的终点之间的距离。

end = run.sample(500, sampler=SecondOrder(), steps=250)
steps = [5, 10, 20, 40, 80]
figure, axis = plt.subplots(figsize=(6.5, 4), layout="constrained")
samplers = {
    "DDIM": (sfumato.samplers.DDIM(), "s--", "#d55e00"),
    "own, second order": (SecondOrder(), "o-", "#0072b2"),
}
for name, (sampler, marks, colour) in samplers.items():
    ways = [run.sample(500, sampler=sampler, steps=k) for k in steps]
    error = [np.median(np.linalg.norm(way - end, axis=1)) for way in ways]
    axis.loglog(steps, error, marks, color=colour, label=name)
    print(f"{name:18}", *(f"{each:.4f}" for each in error))
axis.set(xlabel="network calls", ylabel="median distance from the flow's end", xticks=steps)
axis.set_xticks(steps, steps)
axis.minorticks_off()
axis.legend()
