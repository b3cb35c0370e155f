"""
Take the denoiser out of a run
==============================

For a method of one's own one needs E[x_0 | x_t] of a fitted run, or the score of its noised data.
Both are there at any noise level, and PyTorch differentiates through them.
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
x = model.codec.encode(rows)  # standardised, as the network sees them; `decode` leads back


def score(x_t: Tensor, level: NoiseLevel) -> Tensor:
    """The gradient of the noised data's log density, `(batch, 2)`, by Tweedie's formula (4-3)."""
    return (level.alpha * model.denoiser(x_t, level).x_0 - x_t) / level.sigma**2


# %%
# Of this set the exact score is known: eight Gaussians of standard deviation 0.15 around a circle.

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
