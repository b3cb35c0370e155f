"""All measures of a generated table, each with its floor; see `evaluation` for what a floor is.

    marginals    for each column the Kolmogorov-Smirnov distance (numbers; missing is less than any)
                 or the total variation (categories; missing is one): the mean over columns
    dependence   how far the association of two columns is off: the mean over pairs
    worst_*      the worst column or pair: how far its figure lies above what it is between real
                 sets on average, because that is larger for a column of many levels
    classifier_auc, 1 - precision, recall, density and coverage of rows, efficacy
    likelihood   Kolmogorov-Smirnov distance of log densities of generated and of held-out rows
    overfit      how much likelier rows learned from are than held-out ones, in nats
    *_intervals  how far the share of hidden values inside imputation intervals is off
    and those of `privacy`

Most floors are further real sets in the sample's place. Those are parts of the training rows,
which a model may have learned by heart, so figures of the model's own densities and distances have
the floor of `shuffling`; and imputation intervals that of each draw in the truth's place.

Measured on 180 times 150 rows of a known law, five real sets beside each: a perfect model is beyond
a limit in 1 to 4 of a hundred cases, 2 on average over the measures; beyond some limit in 26, and
`apart` by some measure in 2.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sfumato.data.table import ColumnType, DataTable
from sfumato.errors import DataError
from sfumato.metrics.association import associations
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.coded import Coded, coded, coordinates
from sfumato.metrics.efficacy import error, targets
from sfumato.metrics.evaluation import LEAST_ROWS, Measure, judged
from sfumato.metrics.images import manifold
from sfumato.metrics.intervals import DRAWS, ROWS, Intervals
from sfumato.metrics.likelihoods import Likelihoods
from sfumato.metrics.marginals import distances, kolmogorov_smirnov
from sfumato.metrics.privacy import FEW, evaluate_privacy
from sfumato.metrics.shuffling import shuffled


def column_measures(
    sample: DataTable,
    reference: DataTable,
    real: Sequence[DataTable],
    *,
    kinds: Mapping[str, ColumnType],
) -> list[Measure]:
    """The marginals one by one, each beside its floor; named as the column, in the table's order.

    One column in a hundred is beyond its limit by chance.

    Args:
        sample: generated rows.
        reference: as many real rows that were not used in training.
        real: two or more further real sets of as many rows.
        kinds: of every column.

    Raises:
        DataError: as `evaluate_table`.
    """
    base, own, *others = _checked(sample, reference, real, kinds)
    value, *floor = (distances(base, part) for part in (own, *others))
    titles = dict.fromkeys(base.numeric_names, "Kolmogorov-Smirnov distance")
    found = {
        name: judged(
            name, titles.get(name, "total variation"), float(value[k]),
            [float(each[k]) for each in floor], 0.02, len(sample),
        )
        for k, name in enumerate(base.names)
    }  # fmt: skip
    return [found[name] for name in reference.names if name in found]


def evaluate_table(
    sample: DataTable,
    reference: DataTable,
    real: Sequence[DataTable],
    train: DataTable | None,
    *,
    kinds: Mapping[str, ColumnType],
    scores: Likelihoods | None = None,
    filled: Mapping[str, Intervals] | None = None,
    target: str | None = None,
    seed: int = 0,
) -> Iterator[Measure]:
    """Measure a table, one figure at a time; larger is worse in all of them.

    Args:
        sample: generated rows.
        reference: as many real rows that were not used in training.
        real: two or more further real sets of as many rows.
        train: the rows that the model learned from, to see what it gives away of them; None
            where they are not known.
        kinds: of every column; those constant or dropped are not looked at.
        scores: log densities of rows, where they are known.
        filled: where hidden values lie among those imputed, where that is known.
        target: the column to predict; where not given, up to three that are predicted best.
        seed: of splits, trees and what is hidden.

    Raises:
        DataError: if there are too few rows, the tables do not agree, no column varies, or the
            target is not one that does.
    """
    base, own, *others = _checked(sample, reference, real, kinds)
    sets = (own, *others)
    if target is not None and target not in base.names:
        raise DataError(f"there is no column {target!r} that varies, to be predicted.")

    yield from _marginals(base, sets)
    if len(base.names) > 1:
        yield from _dependence(base, sets)
    auc, *auc_floor = (
        classifier_auc(base.features, x.features, categorical=base.categorical, seed=seed)
        for x in sets
    )
    yield judged("classifier_auc", "classifier two-sample AUC", auc, auc_floor, 0.55, len(base))
    yield from _neighbourhoods(base, sets)
    if len(base.names) > 1:
        predicted = (target,) if target else targets(sets[1], seed=seed)
        yield _efficacy(base, sets, predicted, seed)

    if scores is not None:
        rng = np.random.default_rng(seed)
        learned, held, drawn = scores.learned, scores.heldout, scores.generated
        yield judged(
            "likelihood", "law of log densities, generated to held-out",
            kolmogorov_smirnov(drawn, held), shuffled(kolmogorov_smirnov, drawn, held, rng),
            0.05, len(held),
        )  # fmt: skip
        yield judged(
            "overfit", "training rows likelier than held-out, nats", _gap(learned, held),
            shuffled(_gap, learned, held, rng), 0.05, len(held),
            f"on average {learned.mean():.4g} and {held.mean():.4g} nats",
        )  # fmt: skip
    for what, found in (filled or {}).items():
        yield _coverage(what, found, min(len(base), ROWS))
    if train is not None:
        base, own, known = coded([reference, sample, train], kinds)
        yield from evaluate_privacy(own, base, known, scores=scores, seed=seed)


def _checked(
    sample: DataTable,
    reference: DataTable,
    real: Sequence[DataTable],
    kinds: Mapping[str, ColumnType],
) -> list[Coded]:
    """The reference, the sample and the real sets, coded alike.

    Raises:
        DataError: if they cannot be compared.
    """
    rows = len(sample)
    if rows < LEAST_ROWS:
        raise DataError(f"at least {LEAST_ROWS} rows of each kind are needed; got {rows}.")
    parts = [reference, sample, *real]
    if len({(each.names, len(each)) for each in parts}) > 1 or len(real) < 2:
        raise DataError("the sample and the real sets must have the same rows and columns.")
    found = coded(parts, kinds)
    if not found[0].names:
        raise DataError("every column is constant or dropped; there is nothing to measure.")
    return found


def _marginals(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    value, *floor = (distances(base, part) for part in sets)
    title, rows = "distance of columns, mean", len(base)
    yield judged("marginals", title, *_means(value, floor), 0.02, rows)
    names = [repr(name) for name in base.names]
    yield _worst("worst_marginal", "distance of the worst column", value, floor, names, rows)


def _dependence(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    names = [repr(name) for name in base.names]
    first, second = np.triu_indices(len(names), 1)
    truth = associations(base)
    value, *floor = (np.abs(associations(part) - truth)[first, second] for part in sets)
    title, rows = "association of columns off by, mean", len(base)
    yield judged("dependence", title, *_means(value, floor), 0.02, rows)
    pairs = [f"{names[i]} and {names[j]}" for i, j in zip(first, second, strict=True)]
    yield _worst("worst_pair", "association of the worst pair", value, floor, pairs, rows)


def _neighbourhoods(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    truth, *points = coordinates([part[:FEW] for part in (base, *sets)])
    found = [manifold(part, truth) for part in points]
    for name in ("precision", "recall", "density", "coverage"):
        value, *floor = (1 - each[name] for each in found)
        small = float(np.mean(floor)) + 0.05  # a twentieth of the rows
        yield judged(name, f"1 - {name}", value, floor, small, len(truth))


def _efficacy(base: Coded, sets: Sequence[Coded], predicted: Sequence[str], seed: int) -> Measure:
    value, *floor = (
        float(np.mean([error(part, base, name, seed=seed) for name in predicted])) for part in sets
    )
    what = f"predicted: {', '.join(map(repr, predicted))}; every model learns from as many rows"
    small = float(np.mean(floor)) + 0.02
    return judged("efficacy", "error of what learns from it", value, floor, small, len(base), what)


def _coverage(what: str, found: Intervals, rows: int) -> Measure:
    # Each draw in the truth's place in turn, because cells of one row are not independent.
    off, *floor = (abs(float(found.observed(k)[0] - found.nominal[0])) for k in range(DRAWS + 1))
    error_of, filling = {
        "numbers": ("RMSE in deviations", "mean"), "levels": ("share wrong", "commonest level")
    }[what]  # fmt: skip
    return judged(
        f"{what}_intervals", f"imputation intervals of {what} off by", off, floor, 0.05, rows,
        f"of {len(found.depth):,} hidden cells {found.observed()[0]:.3g} are within intervals of "
        f"{found.nominal[0]:.3g}; {error_of} "
        f"{found.error:.3g}, by the {filling} {found.plain_error:.3g}",
    )  # fmt: skip


def _means(value: np.ndarray, floor: Sequence[np.ndarray]) -> tuple[float, list[float]]:
    return float(value.mean()), [float(each.mean()) for each in floor]


def _worst(
    name: str,
    title: str,
    value: np.ndarray,
    floor: Sequence[np.ndarray],
    names: Sequence[str],
    rows: int,
) -> Measure:
    """The largest of several figures above what each is between real sets on average.

    A real set's own figures are not among those that it is compared with.

    Args:
        name: short name.
        title: in plain words.
        value: of the sample, `(n,)`.
        floor: of each real set, `(n,)` each.
        names: of the figures.
        rows: rows of each set.
    """
    total, k = np.sum(floor, axis=0), len(floor)
    above = value - total / k
    chance = [float((each - (total - each) / (k - 1)).max()) for each in floor]
    worst = int(above.argmax())
    detail = f"{names[worst]}: {value[worst]:.3g}, between real sets {total[worst] / k:.3g}"
    return judged(name, f"{title}, above real", float(above[worst]), chance, 0.05, rows, detail)


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.mean() - b.mean())
