"""
用自己的数组或数据框训练
========================

点可以用数组、列表、张量或数据框给出，单位与尺度不限。样本以同样的容器返回，列名与单位也相同。
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sfumato

rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, 4000)
pressure = 101_325 + 800 * np.sin(2 * angle) + rng.normal(0, 40, 4000)
temperature = 293 + 6 * np.sin(3 * angle) + rng.normal(0, 0.3, 4000)

# %%
# 给出数组，返回的也是数组。

settings = {"training.steps": 400, "training.snapshots": 0}
run = sfumato.fit(np.stack([pressure, temperature], axis=1), settings=settings, quiet=True)
print(type(run.sample(3)).__name__, run.sample(3).round(1), sep="\n")

# %%
# 数据框有列名，返回的数据框也带有这些列名。

frame = pd.DataFrame({"pressure, Pa": pressure, "temperature, K": temperature})
run = sfumato.fit(frame, settings=settings, quiet=True)
drawn = run.sample(4000)
print(drawn.describe().loc[["mean", "std", "min", "max"]].round(1))

figure, axes = plt.subplots(
    1, 2, figsize=(7.5, 3.6), sharex=True, sharey=True, layout="constrained"
)
for axis, rows, title in zip(axes, (frame, drawn), ("given", "drawn"), strict=True):
    axis.scatter(*rows.to_numpy().T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=title, xlabel=rows.columns[0])
    axis.ticklabel_format(useOffset=False)
axes[0].set_ylabel(frame.columns[1])
