"""A fitted run: its process, its sampling settings, and what its network has learned.

regret        the nats that the network's errors cost beside the least possible ones, where
              the data's exact denoiser is known
few calls     whether those of its few-step map are enough
convergence   the nats by which held-out rows are worse off than training rows, and whether
              samples are told from real rows
copies        whether samples lie nearer to the training rows than held-out rows do
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato import distributed
from sfumato.errors import DataError
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import sliced_wasserstein_2
from sfumato.metrics.evaluation import Evaluation
from sfumato.metrics.memorisation import nearer_share, nearest_distances
from sfumato.metrics.regret import nats_lost
from sfumato.models.few import FewSteps
from sfumato.process.streams import generator
from sfumato.runs.doctor.process import NOT_MEASURED, Finding, examine_process
from sfumato.runs.exact import (
    compared_levels,
    errors_by_level,
    exact_denoiser,
    regrets_by_level,
)
from sfumato.runs.run import Run

# Nats, or an AUC beside the largest between real sets, that a user would want to know of.
_NOTABLE_NATS = 0.05
_NOTABLE_AUC = 0.01
_NOTABLE_COPIES = 0.55
# Rows whose errors are averaged, of pictures fewer; rows that are sampled.
_ROWS, _PICTURES = 2048, 128
_SAMPLED = 5000
_LEAST = 100


def examine_run(
    run: Run, data: Any = None, *, evaluation: Evaluation | None = None
) -> Iterator[Finding]:
    """Look at everything; what needs 100 unseen rows and has fewer is left out.

    Args:
        run: a fitted run.
        data: real rows that it has not seen, or a file of them; its own where not given.
        evaluation: of the run, if it was made already.

    Raises:
        RunError: if the rows it was fitted to cannot be had.
        DataError: if the rows do not fit the model.
    """
    for each in _examined(run, data, evaluation):
        # Sentences speak of rows; of another kind of data they are called what they are.
        yield Finding(*(text.replace("rows", run.kind.unit) for text in astuple(each)))


def _examined(run: Run, data: Any, evaluation: Evaluation | None) -> Iterator[Finding]:
    rows = run.model.encoded(run.kind.rows(run.load_data().train))
    if rows.shape[1]:
        width = run.model.codec.bin_width
        yield from examine_process(
            run.settings.process, rows, process=run.model.process, bin_width=width
        )
    yield from _sampling(run)
    if run.model.few is not None:
        with distributed.threads(run.settings.threads):
            yield _few_calls(run, run.model.few, rows)
    with distributed.threads(run.settings.threads):
        yield from _LEARNED[run.kind.name](run, data, evaluation)


def _points(run: Run, data: Any, evaluation: Evaluation | None) -> Iterator[Finding]:  # noqa: ARG001
    known = run.load_data()
    if data is not None:
        unseen = run.kind.read_like(run.model, data).rows
    else:
        unseen = known.fresh(0, _SAMPLED) if known.heldout is None else known.heldout.values
    yield from _regret(run)
    if len(unseen) >= _LEAST:
        train, heldout = (run.model.encoded(rows) for rows in (known.train.values, unseen))
        found = _generalisation(run, train, heldout, _ROWS)
        yield found
        yield from _sampled(run, known.train.values, unseen, memorises=not found.sound)
    else:
        yield _too_few(run, len(unseen))


def _too_few(run: Run, count: int) -> Finding:
    return Finding(
        f"How unseen {run.kind.unit} fare",
        NOT_MEASURED,
        f"{count} were kept out of training, and {_LEAST} are needed; give others (--data FILE).",
    )


def _images(run: Run, data: Any, evaluation: Evaluation | None) -> Iterator[Finding]:
    known = run.load_data()
    if data is not None:
        unseen = run.kind.read_like(run.model, data).rows
    else:
        unseen = run.kind.rows(known.heldout)
    if len(unseen) >= _LEAST:
        seen = run.kind.rows(known.train)
        train, heldout = (run.model.encoded(rows[:_PICTURES]) for rows in (seen, unseen))
        yield _generalisation(run, train, heldout, _PICTURES)
    else:
        yield _too_few(run, len(unseen))
    yield from _measured(run, data, evaluation, "frechet")


def _table(run: Run, data: Any, evaluation: Evaluation | None) -> Iterator[Finding]:
    yield from _measured(run, data, evaluation, "detection")


_LEARNED: Mapping[str, Callable[[Run, Any, Evaluation | None], Iterator[Finding]]] = {
    "points": _points,
    "images": _images,
    "table": _table,
}

_LONGER = "train longer (training.steps), or a wider network (network.width)"
_LESS = "fewer steps (training.steps), a narrower network (network.width), or more rows"

# Where one finding would ask for more steps and another for fewer, how unseen rows fare decides.
_NO_LONGER = "what is said of the memorising; more training.steps would add to it"
_CROWDED = (
    "not as copies, for unseen rows fare as training rows do, but as samples still crowd where "
    "rows are dense"
)

# Of a measure beyond chance: what that means, and what to do.
_JUDGED: Mapping[str, tuple[str, str, str, str]] = {
    "classifier_auc": (
        "Trees do not tell samples from real rows",
        "Trees tell samples from real rows",
        "training has not converged, or the network is too narrow",
        _LONGER,
    ),
    "detection": (
        "Trees do not tell samples from real rows",
        "Trees tell samples from real rows",
        "training has not converged, or the network is too narrow",
        _LONGER,
    ),
    "frechet": (
        "Samples are as far from real pictures as others of these are",
        "Samples are farther from real pictures than others of these are",
        "training has not converged, or the sampler is too coarse",
        "train longer (training.steps); `sfumato compare samplers` tells what the sampler costs",
    ),
    "overfit": (
        "Unseen rows are as likely as training rows",
        "Unseen rows are less likely than training rows",
        "the network has begun to memorise them",
        _LESS,
    ),
    "memorisation": (
        "Samples are no copies",
        "Samples lie too near to training rows",
        "the training data are partly copied",
        _LESS,
    ),
    "copies": (
        "Samples do not repeat training rows",
        "Samples repeat training rows",
        "rows come out value by value as they were learned",
        _LESS,
    ),
}


_SOUND = ("no power", "cannot be told apart")


def _measured(
    run: Run, data: Any, evaluation: Evaluation | None, distance: str
) -> Iterator[Finding]:
    """What the measures of an evaluation say of convergence and of copies."""
    try:
        evaluation = run.evaluate(against=data) if evaluation is None else evaluation
    except DataError as error:
        if data is not None:
            raise
        yield Finding("How far samples are from real ones", NOT_MEASURED, str(error))
        return
    verdicts = {measure.name: measure.verdict for measure in evaluation.measures}
    memorises = any(verdicts.get(name, "no power") not in _SOUND for name in ("overfit", "copies"))
    apart = verdicts.get(distance, "no power") not in _SOUND
    generalises = verdicts.get("overfit") == "cannot be told apart" and not memorises
    for measure in evaluation.measures:
        if measure.name not in {distance, "overfit", "memorisation", "copies"}:
            continue
        well, badly, meaning, remedy = _JUDGED[measure.name]
        if measure.name == "memorisation" and apart and generalises:
            meaning, remedy = _CROWDED, _LONGER
        elif measure.name == distance and memorises:
            remedy = _NO_LONGER
        reaches = "down to" if measure.higher_is_better else "up to"
        number = f"{measure.value:.3g}, by chance {reaches} {measure.limit:.3g}"
        if measure.verdict == "no power":
            why = f"By the measure {measure.title!r}: with {measure.rows:,} rows it has no power."
            yield Finding(well, number, why)
        elif measure.verdict == "cannot be told apart":
            yield Finding(well, number, f"By the measure {measure.title!r}: {measure.verdict}.")
        else:
            yield Finding(badly, number, f"By the measure {measure.title!r}: {meaning}.", remedy)


def _steps(run: Run) -> int:
    steps = run.settings.sampling.steps
    return steps if isinstance(steps, int) else run.model.choose_steps().num_steps


def _sampling(run: Run) -> Iterator[Finding]:
    sampling = run.settings.sampling
    noisy = sampling.options.get("variance") in ("beta", "learned")  # beta_tilde is 0 there
    if sampling.options.get("last_step_noise") and noisy:
        added = float(run.model.process.grid(sampling.grid, _steps(run))[-2].sigma)
        yield Finding(
            "Noise is added in the last step",
            f"{added:.4f}",
            f"Every sample is blurred by a standard deviation of {added:.4f} in the model's units, "
            "after all the noise was removed.",
            "sampling.options.last_step_noise=false",
        )
    if sampling.weights == "last":
        yield Finding(
            "The weights are not averaged",
            f"decay {run.settings.training.average:g} unused",
            "The last step's weights still carry the noise of the last batches.",
            "sampling.weights=averaged",
        )


def _few_calls(run: Run, few: FewSteps, rows: Tensor) -> Finding:
    """Whether more network calls than the few-step map makes would draw nearer to real rows."""
    calls: int = run.settings.sampling.few or max(few.times)
    n = min(_ROWS if rows.ndim == 2 else _PICTURES, len(rows) // 3)
    order = torch.randperm(len(rows), generator=generator(run.settings.seed))
    real, *others = (rows[each].flatten(1).numpy() for each in order[: 3 * n].split(n))

    def off(asked: int) -> float:
        drawn = run.model.encoded(run.draw(n, few=asked))
        return sliced_wasserstein_2(drawn.flatten(1).numpy(), real)

    by_map, by_sampler = off(calls), off(0)
    chance = max(sliced_wasserstein_2(each, real) for each in others)
    number = f"sliced W2 {by_map:.3g}, the sampler's {by_sampler:.3g}"
    between = f"Between sets of {n:,} real rows it is up to {chance:.3g}"
    if by_map <= max(1.2 * by_sampler, chance):
        return Finding(
            "Few network calls draw as the sampler does",
            number,
            f"{between}; {calls} of its map are enough.",
        )
    beyond = [each for each in few.times if each > calls]
    more = f"sampling.few={min(beyond)} or " if beyond else ""
    return Finding(
        "More network calls are worth it",
        number,
        f"{between}; the map's {calls} are too few, or it needs longer to learn.",
        f"{more}sampling.few=0 (sample --calls)",
    )


def _regret(run: Run) -> Iterator[Finding]:
    exact = exact_denoiser(run)
    if exact is None:
        yield Finding(
            "How near the network is to the best possible",
            "not known",
            "The best one is known for some of the toy sets only; what can be said is how unseen "
            "rows fare beside training rows.",
        )
        return
    fresh = run.model.encoded(run.load_data().fresh(1, _ROWS))
    levels, over = compared_levels(run), regrets_by_level(run, exact, fresh)
    each = nats_lost(over, levels)
    nats, error = float(each.mean()), float(each.std()) / len(each) ** 0.5
    where = int((over.mean(1) * levels.snr).argmax())
    least = float(errors_by_level(run, exact, fresh)[where].mean())
    place = (
        f"most of it near log-SNR {float(levels.log_snr[where]):.1f}, where its squared error is "
        f"{float(over[where].mean()) / least:.1%} above the least possible"
    )
    number = f"{nats:.3f} ± {error:.3f} nats"
    if nats < _NOTABLE_NATS + 2 * error:
        yield Finding(
            "The network is near the best possible", number, f"Its errors cost that much; {place}."
        )
        return
    yield Finding(
        "The network is above the exact floor",
        number,
        f"Its errors cost that much log-likelihood; {place}.",
        _LONGER,
    )


def _generalisation(run: Run, train: Tensor, heldout: Tensor, most: int) -> Finding:
    levels, n = compared_levels(run), min(most, len(train), len(heldout))
    # The same noise for both, so that most of its chance goes out of the difference.
    seen, unseen = (
        errors_by_level(run, run.model.numeric_denoiser(), x[:n]) for x in (train, heldout)
    )
    each = nats_lost(unseen - seen, levels)
    nats, error = float(each.mean()), float(each.std()) / n**0.5
    number = f"{nats:+.3f} ± {error:.3f} nats"
    if nats < _NOTABLE_NATS + 2 * error:
        return Finding(
            "Unseen rows fare as training rows do",
            number,
            "The bound of held-out rows is no worse than that of the rows it learned from.",
        )
    return Finding(
        "Unseen rows fare worse than training rows",
        number,
        "The bound of held-out rows is that much worse than that of the rows it learned from: "
        "the network has begun to memorise them.",
        _LESS,
    )


def _sampled(
    run: Run, train: np.ndarray, heldout: np.ndarray, *, memorises: bool
) -> Iterator[Finding]:
    """What a sample beside real rows shows: trees' AUC, and nearness to the training rows."""
    n = min(_SAMPLED, len(heldout), len(train))
    sample, real = run.draw(n), heldout[:n]
    order = np.random.default_rng(run.settings.seed).permutation(len(train))
    auc, chance = classifier_auc(real, sample), classifier_auc(real, train[order[:n]])
    # The standard error of an AUC of halves of n rows (Hanley & McNeil 1982, at 1/2).
    limit = max(chance, 0.5) + _NOTABLE_AUC + 2 * (1 / (3 * n)) ** 0.5
    number = f"AUC {auc:.3f}"
    if auc <= limit:
        yield Finding(
            "Trees do not tell samples from real rows",
            number,
            f"Between two sets of {n:,} real rows it is {chance:.3f}.",
        )
    else:
        yield Finding(
            "Trees tell samples from real rows",
            number,
            f"Between two sets of {n:,} real rows it is {chance:.3f}; training has not converged, "
            "or the sampler is too coarse.",
            _NO_LONGER
            if memorises
            else "`sfumato compare samplers` tells which: more sampling.steps, or more "
            "training.steps",
        )
    scale = np.where(train.std(0) > 0, train.std(0), 1.0)
    far = [nearest_distances(rows / scale, train / scale) for rows in (sample, real)]
    share, number = nearer_share(*far), ""
    number = f"{share:.3f} (0.5 is fresh)"
    if share <= _NOTABLE_COPIES + 2 * (1 / (6 * n)) ** 0.5:
        yield Finding(
            "Samples are no copies",
            number,
            "A sample is as far from the training rows as a held-out row is.",
        )
    else:
        crowded = auc > limit and not memorises
        why = _CROWDED if crowded else "the training data are partly copied"
        yield Finding(
            "Samples lie too near to training rows",
            number,
            "A sample is nearer to its nearest training row than a held-out row is, that often: "
            f"{why}.",
            _LONGER if crowded else _LESS,
        )
