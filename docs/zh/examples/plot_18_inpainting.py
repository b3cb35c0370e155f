"""
补全图片的一部分
================

``run.complete`` 在已知像素的条件下生成未知的像素。已知的部分原样保留；多次生成可以看出，
这张图片还可能是什么样子。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

settings = {
    "network.name": "dit",
    "network.width": 96,
    "network.depth": 2,
    "network.options.patch": 4,
    "training.steps": 300,
    "training.batch_size": 48,
    "training.learning_rate": 3e-3,
    "training.average": 0.97,
    "training.snapshots": 0,
}
run = sfumato.fit("digits", settings=settings, quiet=True)

# %%
# 五张未参与训练的图片，已知的是左半边。

pictures = run.real_sets(n=100).reference.pixels[:5]
known = np.zeros(pictures.shape, bool)
known[:, :, :4] = True
filled = run.complete(pictures, known, draws=4, steps=15, times=3)
print("known pixels stay:", all((each[known] == pictures[known]).all() for each in filled))

columns = {"true": pictures, "known": np.where(known, pictures, 110)}
columns |= {f"draw {k + 1}": each for k, each in enumerate(filled)}
figure, axes = plt.subplots(5, 6, figsize=(6, 5), layout="constrained")
for column, (title, some) in zip(axes.T, columns.items(), strict=True):
    column[0].set_title(title)
    for axis, picture in zip(column, some, strict=True):
        axis.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
