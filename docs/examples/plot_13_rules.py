"""
Keep a rule in every drawn row
==============================

A rule such as ``end >= start`` that holds in every row of the data is to hold in every row that is
drawn. Stated as a setting it holds exactly, and no row is rejected for it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sfumato

rng = np.random.default_rng(0)
start = rng.gamma(3, 2, 1500).round(2)
end = (start + rng.exponential(0.7, 1500)).round(2)
orders = pd.DataFrame({"start": start, "end": end, "city": rng.choice(["Rome", "Oslo"], 1500)})

# %%
# The same table is fitted twice. ``none`` says that no rule is to be kept, not even one that is
# found in the data.

drawn = {}
for title, rules in {"without the rule": ["none"], "with end >= start": ["end >= start"]}.items():
    settings = {"training.steps": 100, "data.rules": rules}
    drawn[title] = sfumato.fit(orders, settings=settings, quiet=True).sample(1500)
    broken = (drawn[title]["end"] < drawn[title]["start"]).sum()
    print(f"{title:18} {broken} of 1500 drawn rows break it")

# %%
# The time between the two, which must not be negative.

figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
bins = np.arange(-1.105, 3, 0.1)
colours = dict(zip(drawn, ("#d55e00", "#0072b2"), strict=True))
axis.hist(end - start, bins, color="#bbbbbb", label="data")
for title, rows in drawn.items():
    axis.hist(
        rows["end"] - rows["start"],
        bins,
        histtype="step",
        lw=1.8,
        color=colours[title],
        label=title,
    )
axis.axvline(0, color="black", lw=1, ls=":")
axis.set(xlabel="end less start", ylabel="rows")
axis.legend()
