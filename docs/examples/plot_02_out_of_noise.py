"""
Watch points emerge from noise
==============================

A sampler starts from pure noise and removes it step by step. ``run.model.frames`` yields the same
points at every noise level that the sampler visits; six of these levels are shown here.
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 200, "training.snapshots": 0}, quiet=True)
frames = list(run.model.frames(2000, steps=30, grid="uniform-log-snr"))

# %%
# A level is a pair of numbers, the signal's scale alpha and the noise's scale sigma. Above each
# panel stands their ratio sigma/alpha, where the data have a deviation of one.

shown = [frames[k] for k in (0, 15, 17, 18, 19, 30)]
figure, axes = plt.subplots(2, 3, figsize=(7, 5.4), sharex=True, sharey=True, layout="constrained")
for axis, (level, points) in zip(axes.flat, shown, strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=f"noise {float(level.sigma_ve):.3g}", xlim=(-0.25, 0.25), ylim=(-0.4, 0.4))
figure.supxlabel("x")
figure.supylabel("y")

# %%
# The deviation of the first frame is that of noise, the deviation of the last that of the data.

data = run.load_data().train.values
for name, points in {"first": frames[0][1], "last": frames[-1][1], "data": data}.items():
    print(f"{name:5}  deviations {np.round(points.std(0), 3)}")
