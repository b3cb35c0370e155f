"""
用一次、两次或四次网络调用生成
==============================

采样器需要大约五十次网络调用。第二个网络可以学会这些调用的终点，
于是只需要很少几次。``sfumato.distill`` 从一次运行中学到这样的映射，并把它存放在该运行里。
"""

import time

import matplotlib.pyplot as plt

import sfumato

run = sfumato.fit("moons", settings={"training.steps": 150, "training.snapshots": 0}, quiet=True)
run = sfumato.distill(run).run

# %%
# ``few`` 是映射的调用次数；0 表示使用采样器，也就是映射的老师。

figure, axes = plt.subplots(2, 2, figsize=(7, 4.8), sharex=True, sharey=True, layout="constrained")
for axis, few in zip(axes.flat, (0, 1, 2, 4), strict=True):
    begin = time.perf_counter()
    points = run.sample(3000, few=few)
    seconds = time.perf_counter() - begin
    calls = f"{few} call{'s' * (few > 1)} of the map" if few else "the sampler, 50 calls"
    print(f"{calls:22}  {seconds:.2f} s")
    axis.scatter(*points.T, s=1, color="#d55e00" if few else "#0072b2", linewidths=0)
    axis.set(title=calls, aspect="equal", xlim=(-1.6, 2.6), ylim=(-1, 1.5))
figure.supxlabel("x")
figure.supylabel("y")

# %%
# 一次调用会在两个月牙之间留下一些点。加入新的噪声并继续调用，大多数点就回到月牙上。
