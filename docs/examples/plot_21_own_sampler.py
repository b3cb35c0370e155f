"""
Write a sampler of one's own
============================

A sampler says how to get from one noise level to the next lower one. Twelve lines make
DPM-Solver++ of second order, and a fitted run samples with it.
"""

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

import sfumato
from sfumato import Denoiser, Noise, NoiseLevel, Prediction


class SecondOrder:
    """DPM-Solver++(2M) for steps that are even in log-SNR: Lu et al. (2022), algorithm 2."""

    def start(self) -> None:
        """No prediction yet."""

    def step(
        self, denoise: Denoiser, x: Tensor, t: NoiseLevel, s: NoiseLevel, last: Tensor, _: Noise
    ) -> tuple[Tensor, Prediction, Tensor]:
        """The prediction, carried on by half a step, in the place of x_0 in DDIM's step."""
        now = denoise(x, t)
        ahead = now.x_0 if last is None or s.sigma == 0 else 1.5 * now.x_0 - 0.5 * last
        return s.alpha * ahead + s.sigma / t.sigma * (x - t.alpha * ahead), now, now.x_0


run = sfumato.fit("moons", settings={"training.steps": 200, "training.snapshots": 0}, quiet=True)

# %%
# Both methods follow the same flow from the same noise. So their error is the distance from where
# very many small steps end.

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
