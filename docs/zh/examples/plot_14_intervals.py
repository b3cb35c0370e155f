"""
预测一列，并给出不确定性
========================

表格模型可以由其余各列预测任何一列，给出的是整个分布。90 % 的区间应当在十行中有九行包含真值；
这里用未参与训练的 100 只企鹅来检验。
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
# ``predict`` 返回每一行的分布，由它可得均值、分位数和区间。该列中原有的值不会被使用。

law = run.predict(test, "body_mass_g", values=25, steps=8)
mean, (low, high) = law.mean(), law.interval(0.9).T
truth = test["body_mass_g"].to_numpy()
inside = (low <= truth) & (truth <= high)
print(f"{inside.sum()} of 100 penguins lie in their interval")
print(f"root mean squared error {np.sqrt(((mean - truth) ** 2).mean()):.0f} g,", end=" ")
print(f"deviation of the column {truth.std():.0f} g")

# %%
# 各行按预测均值排列：竖线是区间，点是真值。

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
