"""
让生成的每一行都遵守规则
========================

像 ``end >= start`` 这样的规则，若在数据的每一行都成立，在生成的每一行也应当成立。把它写进设置，
它就严格成立，而且不会因此丢弃任何一行。
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
# 同一张表训练两次。``none`` 表示不遵守任何规则，连数据中自动找到的也不遵守。

drawn = {}
for title, rules in {"without the rule": ["none"], "with end >= start": ["end >= start"]}.items():
    settings = {"training.steps": 100, "data.rules": rules}
    drawn[title] = sfumato.fit(orders, settings=settings, quiet=True).sample(1500)
    broken = (drawn[title]["end"] < drawn[title]["start"]).sum()
    print(f"{title:18} {broken} of 1500 drawn rows break it")

# %%
# 两者之间的时间差，它不应为负。

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
