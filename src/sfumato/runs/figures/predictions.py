"""The figure of how well a column of a table is predicted."""

from matplotlib.figure import Figure

from sfumato.metrics.predictions import NumberPicture, Predictions
from sfumato.plots import predictions as plots
from sfumato.plots.columns import plain


def figure_of(found: Predictions) -> Figure:
    """Of numbers a fan chart, the PIT and some laws; of categories reliability and ROC."""
    title = f"Predictions of {plain(found.target, 40)} in {found.rows:,} rows not learned from"
    picture = found.picture
    if isinstance(picture, NumberPicture):
        laws = [
            plots.Law(each.why, each.values, each.weights, each.is_mass, each.truth)
            for each in picture.densities
        ]
        return plots.numbers(
            found.target, picture.truth, picture.quantiles, picture.pit, picture.pit_chance, laws,
            picture.step, title, dated=found.unit == "days",
        )  # fmt: skip
    bins = picture.bins
    return plots.categories(
        picture.event, picture.probability, bins.claimed, bins.observed, (bins.low, bins.high),
        picture.curves, title,
    )  # fmt: skip
