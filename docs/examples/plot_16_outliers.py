"""
Find rows that do not fit
=========================

The log density of a row says how probable the model holds it. A row may be odd although each of
its values is common; here 5 penguins of 105 were given the species of another.
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
# Low values are improbable rows.

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
