"""
测量采样器的收敛阶
==================

高斯混合的去噪器是精确已知的，因此可以单独看采样器自身的误差，而不受任何网络的影响。
在双对数坐标上，p 阶方法的误差以斜率 -p 下降。
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import sfumato
from sfumato import NoiseLevel, samplers
from sfumato.denoisers.mixture import gaussian_mixture

means = torch.tensor([[-1.0, 0.0], [0.8, 0.6], [0.4, -0.9]])
covariances = torch.diag_embed(torch.tensor([[0.09, 0.16], [0.16, 0.04], [0.25, 0.09]]))
exact = gaussian_mixture(torch.tensor([0.3, 0.4, 0.3]), means, covariances)


def end_of(sampler: samplers.Stepper, steps: int) -> torch.Tensor:
    """概率流从 256 个噪声点出发所到达的终点；终点处的水平仍有少许噪声。"""
    levels = NoiseLevel.from_log_snr(torch.linspace(-10, 5, steps + 1, dtype=torch.float64))
    return next(sfumato.sample_chunks(exact, (2,), levels, sampler, n=256, seed=0))


# %%
# 参考解由三阶方法走 600 步得到。

methods = {
    "DDIM": (samplers.DDIM(), "s-", "#d55e00"),
    "Heun": (samplers.Heun(), "^-", "#e69f00"),
    "DPM-Solver++ 2M": (samplers.dpm_solver.dpm_solver_2m(), "o-", "#0072b2"),
    "UniPC": (samplers.UniPC(), "D-", "#009e73"),
}
truth = end_of(samplers.dpm_solver.dpm_solver_3m(), 600)
steps = np.array([16, 32, 64, 128])
figure, axis = plt.subplots(figsize=(6.5, 4.4), layout="constrained")
for name, (sampler, marks, colour) in methods.items():
    errors = [float((end_of(sampler, k) - truth).norm(dim=1).mean()) for k in steps]
    slope = np.polyfit(np.log(steps[1:]), np.log(errors[1:]), 1)[0]
    axis.loglog(steps, errors, marks, color=colour, label=f"{name}: slope {slope:.1f}")
axis.set(xlabel="steps", ylabel="mean distance from the flow's end")
axis.set_xticks(steps, steps)
axis.minorticks_off()
axis.legend()
