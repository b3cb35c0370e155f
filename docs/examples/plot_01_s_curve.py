"""
Fit a distribution and draw from it
===================================

Three lines fit a diffusion model to points and draw new ones. The verdict says how far the new
points are from real ones, beside what chance alone puts between two sets of real points.
"""

import matplotlib.pyplot as plt

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 300}, quiet=True)
real, drawn = run.load_data().train.values, run.sample(5000)

figure, axes = plt.subplots(1, 2, figsize=(5, 4), sharex=True, sharey=True, layout="constrained")
for axis, points, title in zip(axes, (real[:5000], drawn), ("real", "drawn"), strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=title, aspect="equal", xlabel="x")
axes[0].set_ylabel("y")

# %%
# The measures, each beside its floor
# -----------------------------------
# A measure alone says nothing; what counts is whether two real sets come out as far apart.

evaluation = run.evaluate(n=1000)
for measure in evaluation.measures:
    print(measure.sentence)
