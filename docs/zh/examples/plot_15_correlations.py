"""
比较表格的相关系数
==================

行不只是各列的拼凑。若模型学会了哪些列相互依赖，生成的行的相关系数就与真实的行接近。
"""

import matplotlib.pyplot as plt
import numpy as np

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 250}, quiet=True)
names = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
real, drawn = run.load_data().train.to_pandas(), run.sample(500).to_pandas()
rng = np.random.default_rng(0)
shuffled = real[names].apply(lambda column: rng.permutation(column))

# %%
# Spearman 秩相关系数。第三幅图中，真实数据的各列各自打乱：每一列单独看仍然正确，
# 但列与列之间的依赖已不复存在。

labels = ["bill length", "bill depth", "flipper", "mass"]
tables = {"real": real[names], "drawn": drawn[names], "columns shuffled": shuffled}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), sharey=True, layout="constrained")
for axis, (title, rows) in zip(axes, tables.items(), strict=True):
    matrix = rows.astype(float).corr("spearman").to_numpy()
    image = axis.imshow(matrix, vmin=-1, vmax=1, cmap="PuOr")
    for (i, j), value in np.ndenumerate(matrix):
        axis.text(
            j,
            i,
            f"{value:.2f}",
            ha="center",
            va="center",
            color="white" if abs(value) > 0.7 else "black",
        )
    axis.set(title=title, xticks=range(4), yticks=range(4), yticklabels=labels)
    axis.set_xticklabels(labels, rotation=30, ha="right")
figure.colorbar(image, ax=axes, shrink=0.8, label="rank correlation")
