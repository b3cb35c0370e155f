"""
生成表格的新行
==============

表格可以含有数值、文字和缺失值。帕尔默站的企鹅数据随软件包一起提供：344 只企鹅，八列。
模型生成完整的行，列与类型都相同。
"""

import matplotlib.pyplot as plt

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 300}, quiet=True)
real, drawn = run.load_data().train.to_pandas(), run.sample(300).to_pandas()
drawn.head()

# %%
# 生成的行里也有缺失值：性别缺得最多，测量值很少缺。

print(f"{'missing, %':18} {'real':>5} {'drawn':>6}")
for name in real.columns[real.isna().any()]:
    print(f"{name:18} {100 * real[name].isna().mean():5.1f} {100 * drawn[name].isna().mean():6.1f}")

# %%
# 每个物种在各项测量值中的位置都保持不变。

colours = {"Adelie": "#0072b2", "Chinstrap": "#d55e00", "Gentoo": "#009e73"}
figure, axes = plt.subplots(
    1, 2, figsize=(7.5, 3.6), sharex=True, sharey=True, layout="constrained"
)
for axis, rows, title in zip(axes, (real, drawn), ("real", "drawn"), strict=True):
    for species, some in rows.groupby("species"):
        axis.scatter(
            some["bill_length_mm"],
            some["bill_depth_mm"],
            s=9,
            color=colours[species],
            label=species,
        )
    axis.set(title=title, xlabel="bill length, mm")
axes[0].set_ylabel("bill depth, mm")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
