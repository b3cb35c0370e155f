"""
Walk from one sample to another
===============================

Each sample belongs to a point of noise. ``run.interpolate`` moves from the noise of one sample to
that of another on a great circle, and follows the probability flow from each point on the way.
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 200, "training.snapshots": 0}, quiet=True)
data = run.load_data().train.values
pairs = ((0, 1), (4, 5), (1, 4))
walks = [run.interpolate(first, last, 60, seed=3) for first, last in pairs]

figure, axes = plt.subplots(1, 3, figsize=(8, 3.8), sharex=True, sharey=True, layout="constrained")
for axis, walk, (first, last) in zip(axes, walks, pairs, strict=True):
    axis.scatter(*data[:3000].T, s=1, color="#bbbbbb", linewidths=0, label="data")
    axis.plot(*walk[[0, -1]].T, "--", color="#e69f00", label="straight line")
    axis.plot(*walk.T, ".-", color="#0072b2", ms=4, lw=0.8, label="interpolation")
    axis.plot(*walk[[0, -1]].T, "o", color="#d55e00", label="ends")
    axis.set(title=f"sample {first} to sample {last}", xlabel="x")
axes[0].set_ylabel("y")
legend = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
legend.legend_handles[0].set_sizes([20])

# %%
# The walk follows the data, but for a jump where two branches lie side by side; the straight line
# leaves them. So the mean log density along the walk is higher.

for (first, last), walk in zip(pairs, walks, strict=True):
    line = np.linspace(walk[0], walk[-1], 60)
    both = [run.known_log_density()(points).mean() for points in (walk, line)]
    print(f"{first} to {last}: mean true log density {both[0]:.1f} nats, on the line {both[1]:.1f}")
