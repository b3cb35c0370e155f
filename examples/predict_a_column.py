"""Predicting a column, with its uncertainty.

Three species of penguins were weighed and measured at Palmer Station, Antarctica. How heavy is a
penguin, given the rest of its row? One fitted model answers that for every column, not with one
value but with how likely each value is. The `# %%` cells open as a notebook in most editors;
`python predict_a_column.py` runs them all and leaves four pictures.
"""

# %%
from importlib.resources import files

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sfumato

SETTINGS = globals().get("SETTINGS", {})  # changes to the recipe: none, but where this is tested
TARGET = "body_mass_g"
LEVELS = np.arange(1, 20) / 20

penguins = pd.read_csv(str(files("sfumato.data") / "penguins.csv"))
shuffled = penguins.dropna(subset=[TARGET]).sample(frac=1, random_state=0)
train, test = shuffled[:-100], shuffled[-100:]
truth = test[TARGET].to_numpy(float)
print(f"{len(train)} penguins to learn from, {len(test)} to check with\n{train.head(3)}")

# %% [markdown]
# ## One model of all columns
#
# It learns
#
# $$p(\text{any columns} \mid \text{any others}),$$
#
# because in training a random part of each row is known and the rest is to be predicted. Text and
# missing values stay as they are, and no column is the target until one is asked for.

# %%
model = sfumato.DiffusionModel(settings=SETTINGS, random_state=0).fit(train)
mean = model.predict(test, TARGET)
spread = train[TARGET].std()
print(f"root mean squared error: {np.sqrt(((mean - truth) ** 2).mean()):.0f} g, of {spread:.0f} g")

# %% [markdown]
# ## Intervals
#
# The 5 % quantile is what one penguin in twenty is lighter than, so that
#
# $$P(q_{0.05} \le y \le q_{0.95} \mid \text{the rest of the row}) = 0.9 .$$
#
# What stands in the target's column is not looked at.

# %%
low, high = model.predict_interval(test, 0.9, TARGET).T
inside = (low <= truth) & (truth <= high)
print(f"{inside.mean():.0%} of the penguins lie in their 90 % interval")

figure = Figure(figsize=(7, 3), layout="constrained")
axes = figure.subplots()
order, place = mean.argsort(), np.arange(len(test))
axes.vlines(place, low[order], high[order], color="#0072B2", alpha=0.4, linewidth=3)
axes.scatter(place, truth[order], s=10, color=np.where(inside[order], "#22262B", "#D55E00"))
axes.set(xlabel="penguins kept out, by their predicted mean", ylabel="body mass, g")
figure.savefig("predict-intervals.png", dpi=120)

# %% [markdown]
# ## Is it calibrated?
#
# If the laws are right, then at every level $q$
#
# $$P(y \le q\text{-quantile}) = q .$$
#
# So the share of the held-out penguins below their quantile is held against the level. The band is
# what chance does to a hundred right laws, in 19 cases of 20 at each level.

# %%
quantiles = model.predict_quantiles(test, list(LEVELS), TARGET)
below = (truth[:, None] <= quantiles).mean(0)
chance = stats.binom(len(test), LEVELS).interval(0.95)
print(f"farthest from the level: {abs(below - LEVELS).max():.2f}")

figure = Figure(figsize=(3.6, 3.4), layout="constrained")
axes = figure.subplots()
least, most = (np.asarray(end) / len(test) for end in chance)
axes.fill_between(LEVELS, least, most, color="#D8DCE0", label="chance")
axes.plot(LEVELS, LEVELS, color="#757D85", linewidth=1)
axes.plot(LEVELS, below, "o-", color="#0072B2", markersize=3, label="the model")
axes.set(xlabel="level", ylabel="share of the truth below the quantile")
axes.legend(frameon=False)
figure.savefig("predict-calibration.png", dpi=120)

# %% [markdown]
# ## Two scores of whole laws
#
# A law may be calibrated and wide. Two scores reward both, and the true law is the best in the mean
# by either (Gneiting & Raftery 2007). The continuous ranked probability score,
#
# $$\text{CRPS} = E|Y - y| - \tfrac12 E|Y - Y'| ,$$
#
# is in grams, an absolute error for a single value. It is about twice the mean pinball loss over
# the levels. The log score is $\log p(y \mid \text{the rest})$, which the model's probability flow
# gives. Both beside a law that looks at nothing: the weights of all penguins learned from.


# %%
def pinball(predicted: np.ndarray) -> float:
    """Twice the mean pinball loss over the levels: the CRPS, as far as these tell."""
    error = truth[:, None] - predicted
    return float(2 * np.maximum(LEVELS * error, (LEVELS - 1) * error).mean())


anyone = np.broadcast_to(np.quantile(train[TARGET], LEVELS), quantiles.shape)
print(f"CRPS: {pinball(quantiles):.0f} g; of a law that looks at nothing {pinball(anyone):.0f} g")
nats = model.score_samples(test, target=TARGET)
normal = stats.norm(train[TARGET].mean(), spread).logpdf(truth)
print(
    f"log score: {nats.mean():.2f} nats; of a normal law that looks at nothing {normal.mean():.2f}"
)

# %% [markdown]
# ## Conditions for each row
#
# Any part of a row may be known. Here are three rows of conditions, the last of which says the
# species alone. Each is drawn 500 times, whole rows at once. Where the sex is not known the law is
# a mixture of both,
#
# $$p(y \mid \text{species}) = \sum_{\text{sex}} p(\text{sex} \mid \text{species})\,
# p(y \mid \text{sex, species}) ,$$
#
# and has a hump for each, which no mean and deviation would show.

# %%
conditions = pd.DataFrame({"species": ["Gentoo"] * 3, "sex": ["female", "male", None]})
drawn = model.sample(500, random_state=0, given=conditions)
figure = Figure(figsize=(7, 2.8), layout="constrained")
for k, axes in enumerate(figure.subplots(1, 3, sharex=True, sharey=True)):
    masses = drawn[TARGET][500 * k : 500 * (k + 1)].astype(float)
    axes.hist(masses, np.arange(3500, 6700, 125), color="#0072B2", alpha=0.6)
    axes.set(title=f"Gentoo, {('female', 'male', 'not known')[k]}", xlabel="body mass, g")
figure.savefig("predict-conditions.png", dpi=120)

# %% [markdown]
# ## Another column, without another fit
#
# A category has the probability of each of its values, in the order of `categories`. Of all
# penguins to which the model gives some probability of being male, that share should be.

# %%
sexed = test.dropna(subset=["sex"])
probability = model.predict_proba(sexed, "sex")[:, model.categories("sex").tolist().index("male")]
is_male = (sexed.sex == "male").to_numpy()
print(f"sex: {((probability > 0.5) == is_male).mean():.0%} right")

figure = Figure(figsize=(3.6, 3.4), layout="constrained")
axes = figure.subplots()
bins = np.digitize(probability, [0.1, 0.3, 0.5, 0.7, 0.9])
for each in np.unique(bins):
    some = bins == each
    share = is_male[some].mean()
    axes.scatter(probability[some].mean(), share, s=8 * some.sum(), color="#0072B2")
axes.axline((0, 0), slope=1, color="#757D85", linewidth=1)
axes.set(xlabel="predicted probability of male", ylabel="share that is male")
figure.savefig("predict-sex.png", dpi=120)

# %% [markdown]
# ## A regressor, for scikit-learn
#
# `DiffusionRegressor` learns for one target. It asks for it in most rows of the training, sets the
# width of its laws by rows that it keeps out at first, and fits into a pipeline, `GridSearchCV` and
# `cross_val_score`. Frames go through with their text and missing cells.

# %%
features = FunctionTransformer(lambda rows: rows.drop(columns=[TARGET, "year"]))
regressor = sfumato.DiffusionRegressor(settings=SETTINGS, random_state=0)
pipeline = make_pipeline(features, regressor).fit(train, train[TARGET])
print(f"R²: {pipeline.score(test, truth):.2f}")
print("laws widened by {:.2f} at their quartiles, {:.2f} at the ends".format(*regressor.widening_))
ends = regressor.predict_interval(features.transform(test), 0.9)
print(f"{((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean():.0%} lie in their 90 % interval")
print(f"CRPS: {regressor.law(features.transform(test)).crps(truth).mean():.0f} g")
