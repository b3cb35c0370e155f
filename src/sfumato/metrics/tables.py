"""All measures of a generated table, each with its floor; see `evaluation` for what a floor is.

    shape        mean over columns of 1 - Kolmogorov-Smirnov distance or total variation; 1 is best
    trend        mean over pairs of columns, see `trend`; 1 is best
    detection    can trees tell drawn rows from real ones, see `detection`; 1: they cannot
    alpha_precision, beta_recall, see `alpha_precision`; 1 is best
    efficacy     AUC or R² of what learns from drawn rows and predicts real ones; 1 is best
    dependence   how far the association of two columns is off: the mean over pairs
    worst_*      the worst column or pair: how far its figure lies above what it is between real
                 sets on average, because that is larger for a column of many categories; missing
                 values count, as less than any number or as a category
    1 - precision, recall, density and coverage of rows
    likelihood   Kolmogorov-Smirnov distance of log densities of generated and of held-out rows
    overfit      how much likelier rows learned from are than held-out ones, in nats
    *_intervals  how far the share of hidden values inside imputation intervals is off
    and those of `support`, `coverage` and `privacy`

Most floors are further real sets in the sample's place. Those are parts of the training rows,
which a model may have learned by heart, so figures of the model's own densities and distances have
the floor of `shuffling`; and imputation intervals that of each draw in the truth's place.

Measured on 100 times 150 rows of a known law, five real sets beside each: a perfect model is beyond
a limit in 0 to 5 of a hundred cases, 1.5 on average over the 28 measures; beyond some limit in 30,
and `apart` by some measure in 5.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sfumato.data.table import ColumnType, DataTable, concatenate
from sfumato.errors import DataError
from sfumato.metrics.alpha_precision import alpha_precision_beta_recall
from sfumato.metrics.association import associations
from sfumato.metrics.coded import Coded, coded, coordinates
from sfumato.metrics.coverage import category_coverage, undrawn_pairs
from sfumato.metrics.detection import detection
from sfumato.metrics.efficacy import efficacy, targets
from sfumato.metrics.evaluation import LEAST_ROWS, Measure, judged, judged_share
from sfumato.metrics.images import manifold
from sfumato.metrics.intervals import DRAWS, ROWS, Intervals
from sfumato.metrics.likelihoods import Likelihoods
from sfumato.metrics.marginals import distances, kolmogorov_smirnov, shapes
from sfumato.metrics.privacy import FEW, evaluate_privacy
from sfumato.metrics.shuffling import shuffled
from sfumato.metrics.support import support_measures
from sfumato.metrics.trend import trends


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
            [float(each[k]) for each in floor], 0.02, len(sample), worst=1,
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
    """Measure a table, one figure at a time.

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

    yield _shape(base, sets)
    if len(base.names) > 1:
        yield _trend(base, sets)
    yield _detection(base, sets, seed)
    yield from _alpha_precision(base, sets)
    if len(base.names) > 1:
        predicted = (target,) if target else targets(sets[1], seed=seed)
        yield _efficacy(base, sets, predicted, seed)
    yield from _support(sample, reference, real, train, kinds)
    yield from _coverage(base, sets)
    yield _worst_marginal(base, sets)
    if len(base.names) > 1:
        yield from _dependence(base, sets)
    yield from _neighbourhoods(base, sets)

    if scores is not None:
        rng = np.random.default_rng(seed)
        learned, held, drawn = scores.learned, scores.heldout, scores.generated
        yield judged(
            "likelihood", "law of log densities, generated to held-out",
            kolmogorov_smirnov(drawn, held), shuffled(kolmogorov_smirnov, drawn, held, rng),
            0.05, len(held), worst=1,
        )  # fmt: skip
        yield judged(
            "overfit", "training rows likelier than held-out, nats", _gap(learned, held),
            shuffled(_gap, learned, held, rng), 0.05, len(held),
            f"on average {learned.mean():.4g} and {held.mean():.4g} nats",
        )  # fmt: skip
    for what, found in (filled or {}).items():
        yield _intervals(what, found, min(len(base), ROWS))
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


def _shape(base: Coded, sets: Sequence[Coded]) -> Measure:
    value, *floor = (float(shapes(base, part).mean()) for part in sets)
    return judged(
        "shape", "Shape", value, floor, float(np.mean(floor)) - 0.02, len(base),
        higher_is_better=True, worst=0,
    )  # fmt: skip


def _trend(base: Coded, sets: Sequence[Coded]) -> Measure:
    value, *floor = (float(trends(base, part).mean()) for part in sets)
    return judged(
        "trend", "Trend", value, floor, float(np.mean(floor)) - 0.02, len(base),
        higher_is_better=True, worst=0,
    )  # fmt: skip


def _detection(base: Coded, sets: Sequence[Coded], seed: int) -> Measure:
    value, *floor = (detection(base.features, part.features, seed=seed) for part in sets)
    found = judged(
        "detection", "detection by trees, s", value, floor, 0.9, len(base),
        f"the trees' AUC is {1 - value / 2:.3f}; s depends on the number of rows",
        higher_is_better=True, worst=0,
    )  # fmt: skip
    # Chance takes s above 1 as often as below; what is shown ends there, as the field's score does.
    floor = [min(each, 1.0) for each in found.floor]
    return replace(found, value=min(value, 1.0), floor=tuple(floor), limit=min(found.limit, 1.0))


def _alpha_precision(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    truth, *parts = (each[:FEW] for each in (base, *sets))
    found = zip(*(alpha_precision_beta_recall(truth, part) for part in parts), strict=True)
    names = ("alpha_precision", "alpha-precision"), ("beta_recall", "beta-recall")
    for (name, title), (value, *floor) in zip(names, found, strict=True):
        small = float(np.mean(floor)) - 0.05  # a twentieth of the rows
        yield judged(
            name, title, value, floor, small, len(truth), higher_is_better=True, worst=0
        )  # fmt: skip


def _support(
    sample: DataTable,
    reference: DataTable,
    real: Sequence[DataTable],
    train: DataTable | None,
    kinds: Mapping[str, ColumnType],
) -> Iterator[Measure]:
    known = concatenate(real) if train is None else train
    fresh, own, support = coded([reference, sample, known], kinds)
    yield from support_measures(own, fresh, support)


def _coverage(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    if base.categorical_names:
        value, *floor = (category_coverage(base, part) for part in sets)
        yield judged(
            "category_coverage", "category coverage", value, floor, float(np.mean(floor)) - 0.02,
            len(base), higher_is_better=True, worst=0,
        )  # fmt: skip
    if len(base.categorical_names) > 1:
        found, *fresh = (undrawn_pairs(base, part) for part in sets)
        yield judged_share(
            "undrawn_pairs", "real rows with a pair never drawn", (found, len(base)),
            (sum(fresh), len(base) * len(fresh)), 0.05, len(base),
        )  # fmt: skip


def _worst_marginal(base: Coded, sets: Sequence[Coded]) -> Measure:
    value, *floor = (distances(base, part) for part in sets)
    names, title = [repr(name) for name in base.names], "distance of the worst column"
    return _worst("worst_marginal", title, value, floor, names, len(base))


def _dependence(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    names = [repr(name) for name in base.names]
    first, second = np.triu_indices(len(names), 1)
    truth = associations(base)
    value, *floor = (np.abs(associations(part) - truth)[first, second] for part in sets)
    title, rows = "association of columns off by, mean", len(base)
    means = [float(each.mean()) for each in floor]
    yield judged("dependence", title, float(value.mean()), means, 0.02, rows, worst=1)
    pairs = [f"{names[i]} and {names[j]}" for i, j in zip(first, second, strict=True)]
    yield _worst("worst_pair", "association of the worst pair", value, floor, pairs, rows)


def _neighbourhoods(base: Coded, sets: Sequence[Coded]) -> Iterator[Measure]:
    truth, *points = coordinates([part[:FEW] for part in (base, *sets)])
    found = [manifold(part, truth) for part in points]
    for name in ("precision", "recall", "density", "coverage"):
        value, *floor = (1 - each[name] for each in found)
        small = float(np.mean(floor)) + 0.05  # a twentieth of the rows
        yield judged(name, f"1 - {name}", value, floor, small, len(truth), worst=1)


def _efficacy(base: Coded, sets: Sequence[Coded], predicted: Sequence[str], seed: int) -> Measure:
    found = [[efficacy(part, base, name, seed=seed) for name in predicted] for part in sets]
    value, *floor = (float(np.mean(each)) for each in found)
    numeric = [name in base.numeric_names for name in predicted]
    each = zip(predicted, numeric, found[0], strict=True)
    what = ", ".join(f"{name!r}: {'R²' if r2 else 'AUC'} {score:.3f}" for name, r2, score in each)
    return judged(
        "efficacy", "efficacy", value, floor, float(np.mean(floor)) - 0.02, len(base),
        f"predicted {what}; every model learns from as many rows", higher_is_better=True,
        worst=float(np.mean(np.where(numeric, 0, 0.5))),
    )  # fmt: skip


def _intervals(what: str, found: Intervals, rows: int) -> Measure:
    # Each draw in the truth's place in turn, because cells of one row are not independent.
    off, *floor = (abs(float(found.observed(k)[0] - found.nominal[0])) for k in range(DRAWS + 1))
    error_of, filling = {
        "numbers": ("RMSE in deviations", "mean"), "categories": ("share wrong", "commonest one")
    }[what]  # fmt: skip
    return judged(
        f"{what}_intervals", f"imputation intervals of {what} off by", off, floor, 0.05, rows,
        f"of {len(found.depth):,} hidden cells {found.observed()[0]:.3g} are within intervals of "
        f"{found.nominal[0]:.3g}; {error_of} "
        f"{found.error:.3g}, by the {filling} {found.plain_error:.3g}",
        worst=float(found.nominal[0]),
    )  # fmt: skip


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
    top = float(above[worst])
    return judged(name, f"{title}, above real", top, chance, 0.05, rows, detail, worst=1)


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.mean() - b.mean())
