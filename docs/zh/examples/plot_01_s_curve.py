"""
学习一个分布，再从中抽样
========================

三行代码就能用一组点训练扩散模型，并生成新的点。结论说明新的点与真实的点相差多远，
并与两组真实的点之间仅由偶然造成的差别并列。
"""

import matplotlib.pyplot as plt

import sfumato

run = sfumato.fit("s-curve", settings={"training.steps": 300}, quiet=True)
real, drawn = run.load_data().train.values, run.sample(5000)

figure, axes = plt.subplots(1, 2, figsize=(5, 4), sharex=True, sharey=True, layout="constrained")
for axis, points, title in zip(axes, (real[:5000], drawn), ("real", "drawn"), strict=True):
    axis.scatter(*points.T, s=1, color="#0072b2", linewidths=0)
    axis.set(title=title, aspect="equal", xlabel="x")
axes[0].set_ylabel("y")

# %%
# 每个度量都与其下限并列
# ----------------------
# 单独一个度量说明不了什么；要看的是，两组真实数据之间是否也相差这么多。

evaluation = run.evaluate(n=1000)
for measure in evaluation.measures:
    print(measure.sentence)
