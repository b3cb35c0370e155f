"""
多次填补缺失值
==============

缺失的值是未知的，只猜一次会掩盖这一点。``run.complete`` 加上 ``draws=`` 会把一张表填补许多次；
各次结果的离散程度说明，这个值究竟能知道得多准。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 200}, quiet=True)
real = run.load_data().train.to_pandas().dropna().sample(10, random_state=2)
real = real.sort_values("body_mass_g").reset_index(drop=True)

# %%
# 把十只企鹅的体重隐去；在第二张表里，物种、岛屿、性别与鳍肢长度也一并隐去。

mass = real.assign(body_mass_g=np.nan)
most = mass.assign(species=None, island=None, sex=None, flipper_length_mm=np.nan)
draws = {
    title: np.stack([table["body_mass_g"] for table in run.complete(rows, draws=20)], axis=1)
    for title, rows in {"mass alone is hidden": mass, "much else is hidden": most}.items()
}

# %%
# 每个小点是一次抽取。已知的越少，各次抽取平均来说就越分散。

figure, axis = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
colours, place = ("#0072b2", "#e69f00"), np.arange(10)
for shift, colour, (title, masses) in zip((-0.15, 0.15), colours, draws.items(), strict=True):
    axis.scatter(np.repeat(place + shift, 20), masses, s=7, color=colour, alpha=0.6, label=title)
    print(f"{title:20}  mean deviation of the draws {masses.std(axis=1).mean():.0f} g")
axis.hlines(real["body_mass_g"], place - 0.35, place + 0.35, color="black", label="true value")
axis.set(xlabel="penguin", ylabel="body mass, g", xticks=place)
axis.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
