"""
Draw one coordinate given the other
===================================

A model of points also draws the law of y at a given x. On the S-curve a value of x may meet one,
two or three branches, and no mean of y could say so.
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 250, "training.snapshots": 0}, quiet=True)
places = (0.0, 0.05, 0.1)
drawn = [run.sample(1000, given={"x": place})[:, 1] for place in places]

# %%
# The true law follows from the known density of the S-curve: its values along the line of that x,
# divided by their integral.

y = np.linspace(-0.3, 0.3, 400)
figure, axes = plt.subplots(2, 2, figsize=(7, 5.4), sharey=True, layout="constrained")
axes = axes.ravel()
axes[0].scatter(*run.load_data().train.values[:3000].T, s=1, color="#999999", linewidths=0)
axes[0].set(title="the data", xlabel="x", ylabel="y")
colours = ("#0072b2", "#d55e00", "#009e73")
for axis, place, values, colour in zip(axes[1:], places, drawn, colours, strict=True):
    axes[0].axvline(place, color=colour)
    axis.hist(
        values,
        np.linspace(-0.3, 0.3, 50),
        density=True,
        color=colour,
        alpha=0.5,
        orientation="horizontal",
        label="drawn",
    )
    density = np.exp(run.known_log_density()(np.stack([np.full(400, place), y], 1)))
    axis.plot(density / density.sum() / (y[1] - y[0]), y, color="black", lw=1, label="true")
    axis.set(title=f"x = {place:g}", xlabel="p(y | x)")
figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
