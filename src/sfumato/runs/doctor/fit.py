"""A fitted run: its process, its sampling settings, and what its network has learned.

regret        the nats that the network's errors cost beside the least possible ones, where
              the data's exact denoiser is known
convergence   the nats by which held-out rows are worse off than training rows, and whether
              trees tell samples from real rows
copies        whether samples lie nearer to the training rows than held-out rows do
"""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from sfumato import distributed
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.memorisation import nearer_share, nearest_distances
from sfumato.metrics.regret import nats_lost
from sfumato.models.registry import build_grid
from sfumato.runs.doctor.exact import (
    errors_by_level,
    exact_denoiser,
    regrets_by_level,
    ruler_levels,
)
from sfumato.runs.doctor.process import Finding, examine_process
from sfumato.runs.run import Run

# Nats, or an AUC beside the largest between real sets, that a user would want to know of.
_NOTABLE_NATS = 0.05
_NOTABLE_AUC = 0.01
_NOTABLE_COPIES = 0.55
_ROWS = 2048
_SAMPLED = 5000


def examine_run(run: Run, heldout: np.ndarray | None = None) -> Iterator[Finding]:
    """Look at everything; what needs 100 unseen rows and has fewer is left out.

    Args:
        run: a fitted run.
        heldout: real rows `(n, columns)` it has not seen; its own where not given.

    Raises:
        RunError: if the rows it was fitted to cannot be had.
        DataError: if the rows do not fit the model.
    """
    model, data = run.model, run.load_data()
    rows = model.codec.encode(data.train.values).double()
    yield from examine_process(run.settings.process, rows)
    yield from _sampling(run)
    if heldout is None:
        heldout = data.fresh(0, _SAMPLED) if data.heldout is None else data.heldout.values
    with distributed.threads(run.settings.threads):
        yield from _regret(run)
        if len(heldout) >= 100:
            yield _generalisation(run, rows, model.codec.encode(heldout).double())
            yield from _sampled(run, data.train.values, heldout)


def _sampling(run: Run) -> Iterator[Finding]:
    sampling = run.settings.sampling
    noisy = sampling.options.get("variance") in ("beta", "learned")  # beta_tilde is 0 there
    if sampling.options.get("last_step_noise") and noisy:
        added = float(build_grid(sampling, run.model.process)[-2].sigma)
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
    fresh = run.model.codec.encode(run.load_data().fresh(1, _ROWS)).double()
    levels, over = ruler_levels(run), regrets_by_level(run, exact, fresh)
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
        "train longer (training.steps), or a wider network (network.width)",
    )


def _generalisation(run: Run, train: Tensor, heldout: Tensor) -> Finding:
    levels, n = ruler_levels(run), min(_ROWS, len(train), len(heldout))
    # The same noise for both, so that most of its chance goes out of the difference.
    seen, unseen = (errors_by_level(run, run.model.denoiser, x[:n]) for x in (train, heldout))
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
        "the network has begun to learn them by heart.",
        "fewer steps (training.steps), a narrower network (network.width), or more rows",
    )


def _sampled(run: Run, train: np.ndarray, heldout: np.ndarray) -> Iterator[Finding]:
    """What a sample beside real rows shows: trees' AUC, and nearness to the training rows."""
    n = min(_SAMPLED, len(heldout), len(train))
    sample, real = run.sample(n), heldout[:n]
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
            "`sfumato compare samplers` tells which: more sampling.steps, or more training.steps",
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
        yield Finding(
            "Samples lie too near to training rows",
            number,
            "A sample is nearer to its nearest training row than a held-out row is, that often: "
            "the training data are partly copied.",
            "fewer steps (training.steps), a narrower network (network.width), or more rows",
        )
