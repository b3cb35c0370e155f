"""
Draw rows under conditions
==========================

``given=`` fixes the values of any columns; the model draws the others to match. No row is drawn
and rejected, so a rare condition costs no more than a common one.
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 200}, quiet=True)
real = run.load_data().train.to_pandas()

# %%
# The body mass of Gentoo penguins of either sex: one call for each condition, no new fit.

figure, axes = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, layout="constrained")
bins = np.arange(3500, 6600, 200)
for axis, sex, colour in zip(axes, ("female", "male"), ("#d55e00", "#0072b2"), strict=True):
    drawn = run.sample(1000, given={"species": "Gentoo", "sex": sex}).to_pandas()
    true = real.query("species == 'Gentoo' and sex == @sex")["body_mass_g"]
    print(
        f"{sex:6}  real mean {true.mean():.0f} g, drawn mean {drawn['body_mass_g'].mean():.0f} g,",
        "all Gentoo:",
        (drawn["species"] == "Gentoo").all(),
    )
    axis.hist(drawn["body_mass_g"], bins, density=True, color=colour, alpha=0.5, label="drawn")
    axis.hist(true, bins, density=True, histtype="step", color="black", label="real")
    axis.set(title=f"Gentoo, {sex}", yticks=[], ylabel="density")
axes[1].set_xlabel("body mass, g")
axes[0].legend()
