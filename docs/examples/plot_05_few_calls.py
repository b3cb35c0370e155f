"""
Draw in one, two or four network calls
======================================

A sampler takes about fifty network calls. A second network can learn where these calls end, and
then needs very few. ``sfumato.distill`` learns such a map from a run, and keeps it in the run.
"""

import time

import matplotlib.pyplot as plt

import sfumato

run = sfumato.fit("moons", settings={"training.steps": 150, "training.snapshots": 0}, quiet=True)
run = sfumato.distill(run).run

# %%
# ``few`` is the number of calls of the map; 0 asks for the sampler, which is the map's teacher.

figure, axes = plt.subplots(2, 2, figsize=(7, 4.8), sharex=True, sharey=True, layout="constrained")
for axis, few in zip(axes.flat, (0, 1, 2, 4), strict=True):
    begin = time.perf_counter()
    points = run.sample(3000, few=few)
    seconds = time.perf_counter() - begin
    calls = f"{few} call{'s' * (few > 1)} of the map" if few else "the sampler, 50 calls"
    print(f"{calls:22}  {seconds:.2f} s")
    axis.scatter(*points.T, s=1, color="#d55e00" if few else "#0072b2", linewidths=0)
    axis.set(title=calls, aspect="equal", xlim=(-1.6, 2.6), ylim=(-1, 1.5))
figure.supxlabel("x")
figure.supylabel("y")

# %%
# One call leaves points between the two moons. New noise and further calls bring most of them
# back.
