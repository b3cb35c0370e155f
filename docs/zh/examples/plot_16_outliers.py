"""
找出异常的行
============

一行的对数密度说明模型认为它出现的可能性有多大。即使每个值都很常见，一行也可能异常；
这里把 105 只企鹅中的 5 只改成了另一个物种。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 250}, quiet=True)
rows = run.load_data().train.to_pandas().dropna().sample(105, random_state=1)
rows = rows.reset_index(drop=True)
odd = rows.index[rows["species"] == "Gentoo"][:5]
rows.loc[odd, ["species", "island"]] = ["Adelie", "Torgersen"]

# %%
# 数值低的行出现的可能性小。

nats = run.log_prob(rows, steps=8)
order = np.argsort(nats)
is_odd = np.isin(order, odd)
print(f"changed rows among the five least probable: {is_odd[:5].sum()}")

figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
place = np.arange(len(rows))
axis.scatter(place[~is_odd], nats[order][~is_odd], s=12, color="#0072b2", label="real row")
axis.scatter(
    place[is_odd],
    nats[order][is_odd],
    s=45,
    marker="D",
    color="#d55e00",
    label="Gentoo called Adelie",
)
axis.set(xlabel="rows, least probable first", ylabel="log density, nats")
axis.legend()
