"""
Predict a column with its uncertainty
=====================================

A model of a table predicts any column from the others, as a whole distribution. An interval of
90 % is to hold the truth of nine rows in ten; here 100 penguins that were kept out check it.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sfumato

penguins = pd.read_csv(str(files("sfumato.data") / "penguins.csv")).dropna()
shuffled = penguins.sample(frac=1, random_state=0)
train, test = shuffled[:-100], shuffled[-100:]
run = sfumato.fit(train, settings={"training.steps": 250}, quiet=True)

# %%
# ``predict`` returns the law of each row, which has a mean, quantiles and intervals. The value that
# stands in the column is not looked at.

law = run.predict(test, "body_mass_g", values=25, steps=8)
mean, (low, high) = law.mean(), law.interval(0.9).T
truth = test["body_mass_g"].to_numpy()
inside = (low <= truth) & (truth <= high)
print(f"{inside.sum()} of 100 penguins lie in their interval")
print(f"root mean squared error {np.sqrt(((mean - truth) ** 2).mean()):.0f} g,", end=" ")
print(f"deviation of the column {truth.std():.0f} g")

# %%
# The rows by their predicted mean: a line for each interval, a dot for each true value.

order, place = mean.argsort(), np.arange(100)
figure, axis = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
axis.vlines(place, low[order], high[order], color="#56b4e9", lw=2.5, label="90 % interval")
within = inside[order]
axis.scatter(
    place[within], truth[order][within], s=12, color="black", zorder=3, label="true, inside"
)
axis.scatter(
    place[~within],
    truth[order][~within],
    s=24,
    marker="D",
    color="#d55e00",
    zorder=3,
    label="true, outside",
)
axis.set(xlabel="penguin, by predicted mean", ylabel="body mass, g")
axis.legend()
