"""
在给定条件下生成行
==================

``given=`` 固定任意几列的值，其余各列由模型按这些值生成。没有一行是生成之后再丢弃的，
因此罕见的条件并不比常见的条件费时。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 200}, quiet=True)
real = run.load_data().train.to_pandas()

# %%
# 雌性与雄性巴布亚企鹅（Gentoo）的体重：每个条件只需一次调用，无须重新训练。

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
