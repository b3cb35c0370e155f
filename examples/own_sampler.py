"""A sampler of your own: how to get from the noise level t to the lower one s."""

from torch import Tensor

import sfumato
from sfumato import Denoiser, Noise, NoiseLevel, Prediction


class MySampler:
    """DPM-Solver++(2M) for steps that are even in log-SNR: Lu et al. (2022), algorithm 2."""

    def start(self) -> None:
        """No prediction yet."""

    def step(
        self, denoise: Denoiser, x: Tensor, t: NoiseLevel, s: NoiseLevel, last: Tensor, noise: Noise
    ) -> tuple[Tensor, Prediction, Tensor]:
        """The prediction, carried on by half a step, in the place of x_0 in DDIM's step."""
        now = denoise(x, t)
        ahead = now.x_0 if last is None or s.sigma == 0 else 1.5 * now.x_0 - 0.5 * last
        return s.alpha * ahead + s.sigma / t.sigma * (x - t.alpha * ahead), now, now.x_0


print(sfumato.fit("moons", out="runs/own-sampler").sample(5, sampler=MySampler()))
