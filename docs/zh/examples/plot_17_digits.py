"""
用引导生成某一类的图片
======================

图片的训练方法与点和表格相同。学习了类别之后，由 ``given`` 指定类别，引导则使样本更贴近该类别。
这里只对一个小型 transformer 做了短时间的训练。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

settings = {
    "data.labels": True,
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
# 每一行是一类手写数字，大小为 8 x 8 像素。左图按学到的分布生成。加上引导，它们彼此更相像，
# 也更像各自的类别。


def in_rows(guidance: float) -> np.ndarray:
    """五个类别各五张图片，之间用黑色隔开。"""
    rows = []
    for digit in (0, 2, 3, 4, 7):
        drawn = run.sample(5, given={"class": digit}, guidance=guidance, steps=15)
        rows.append(np.hstack(np.pad(drawn[..., 0], [(0, 0), (1, 1), (1, 1)])))
    return np.vstack(rows)


figure, axes = plt.subplots(1, 2, figsize=(7, 3.8), layout="constrained")
for axis, guidance in zip(axes, (1, 3), strict=True):
    axis.imshow(in_rows(guidance), cmap="gray")
    axis.set(title=f"guidance {guidance}", xticks=[], yticks=4.5 + 10 * np.arange(5))
    axis.set_yticklabels([0, 2, 3, 4, 7])
axes[0].set_ylabel("class")
