"""The price of a run's faults: its own network sampled again with each of them mended.

Only faults whose remedy needs no new training are here, so that the price is measured, not argued.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from sfumato.config import resolve
from sfumato.metrics.classifier import classifier_auc
from sfumato.metrics.distances import energy_distance
from sfumato.models.format_4 import weight_names
from sfumato.models.model import Model
from sfumato.runs.doctor.process import NOTABLE_NATS, start_mismatch
from sfumato.runs.folder import CHECKPOINT
from sfumato.runs.run import Run
from sfumato.training import checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class Remedied:
    """Samples of the same trained network with one fault mended, or as the settings say."""

    title: str
    sample: np.ndarray


def remedied(run: Run, n: int) -> Iterator[Remedied]:
    """Samples with each fault mended that needs no new training, alone and all together."""
    sampling = run.settings.sampling
    model = run.model
    mended = model
    rows = model.encoded(run.load_data().train.values)
    starts_wrong = (
        start_mismatch(rows.mean(0), rows.std(0), model.process.noisiest)
        > NOTABLE_NATS * rows.shape[1]
    )
    if starts_wrong:
        yield Remedied("started where the process ends", _from_noised(model, run, n))
    if sampling.options.get("last_step_noise"):
        mended = _with(mended, options={"last_step_noise": False})
        yield Remedied("no noise in the last step", _drawn(mended, n))
    if sampling.weights == "last" and run.folder and (run.folder / CHECKPOINT).is_dir():
        averaged = _averaged(run)
        yield Remedied("averaged weights", _drawn(averaged, n))
        mended = mended.with_network(averaged.denoiser.network)
    if starts_wrong and mended is not model:
        yield Remedied("all of these", _from_noised(mended, run, n))


def _with(model: Model, **sampling: object) -> Model:
    return replace(model, settings=resolve(model.settings.to_dict(), {"sampling": sampling}))  # type: ignore[type-var]


def _drawn(model: Model, n: int) -> np.ndarray:
    return np.concatenate([model.empty(), *model.sample_chunks(n)])


def _averaged(run: Run) -> Model:
    """The model with the averaged weights that the checkpoint keeps."""
    assert run.folder is not None
    renamed = weight_names(run.settings.network.name)
    tensors, _ = checkpoint.load(run.folder / CHECKPOINT, renamed)
    network, prefix = deepcopy(run.model.denoiser.network), "average."
    network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    return run.model.with_network(network)


def _from_noised(model: Model, run: Run, n: int) -> np.ndarray:
    """Samples started from noised data, where the process really ends, instead of from N(0, I)."""
    rows = run.load_data().train.values
    some = rows[np.arange(n) % len(rows)]
    return np.concatenate([model.empty(), *model.edit_chunks(some, 1.0, seed=run.settings.seed)])


@dataclass(frozen=True, slots=True)
class Cost:
    """What a remedy gains: the measures of the same network with and without it.

    Args:
        title: which fault is mended.
        auc: of trees that tell the sample from real rows.
        energy: energy distance to real rows.
        log_density_gap: mean log true density above that of real rows, where it is known.
    """

    title: str
    auc: float
    energy: float
    log_density_gap: float | None


def costs(run: Run, sample: np.ndarray) -> Iterator[Cost]:
    """The same measures for a sample of points as it is and with each fault mended."""
    data = run.load_data()
    if data.kind != "points":
        return
    real = data.heldout.values if data.heldout is not None else data.fresh(0, len(sample))
    n = min(len(sample), len(real))
    density = data.log_density()
    truth = float(density(real).mean()) if density else 0.0
    few = min(n, 4000)
    scale = np.where(real.std(0) > 0, real.std(0), 1.0)
    for each in (Remedied("as the settings say", sample[:n]), *remedied(run, n)):
        yield Cost(
            each.title,
            classifier_auc(real[:n], each.sample),
            energy_distance(real[:few] / scale, each.sample[:few] / scale),
            float(density(each.sample).mean()) - truth if density else None,
        )
