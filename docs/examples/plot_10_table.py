"""
Draw new rows of a table
========================

A table may hold numbers, text and missing values. The penguins of Palmer Station come with the
package: 344 birds, eight columns. The model draws whole rows with the same columns and types.
"""

import matplotlib.pyplot as plt

import sfumato

run = sfumato.fit("penguins", settings={"training.steps": 300}, quiet=True)
real, drawn = run.load_data().train.to_pandas(), run.sample(300).to_pandas()
drawn.head()

# %%
# Values are missing in drawn rows too: the sex most often, a measurement seldom.

print(f"{'missing, %':18} {'real':>5} {'drawn':>6}")
for name in real.columns[real.isna().any()]:
    print(f"{name:18} {100 * real[name].isna().mean():5.1f} {100 * drawn[name].isna().mean():6.1f}")

# %%
# Each species keeps its place among the measurements.

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
