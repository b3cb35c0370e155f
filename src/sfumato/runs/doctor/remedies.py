"""The price of a run's faults: its own network sampled again with each of them mended.

Only faults whose remedy needs no new training are here, so that the price is measured, not argued.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sfumato.config import resolve
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.models.gaussian import Model
from sfumato.models.registry import build_denoiser
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
    rows = model.codec.encode(run.load_data().train.values).double()
    starts_wrong = (
        start_mismatch(rows.mean(0), rows.std(0), model.process.noisiest)
        > NOTABLE_NATS * rows.shape[1]
    )
    if starts_wrong:
        yield Remedied("started where the process ends", _from_noised(model, run, n))
    if sampling.options.get("last_step_noise"):
        mended = _with(mended, options={"last_step_noise": False})
        yield Remedied("no noise in the last step", mended.sample(n))
    if sampling.weights == "last" and run.folder and (run.folder / CHECKPOINT).is_dir():
        averaged = _averaged(run)
        yield Remedied("averaged weights", replace(model, denoiser=averaged).sample(n))
        mended = replace(mended, denoiser=averaged)
    if starts_wrong and mended is not model:
        yield Remedied("all of these", _from_noised(mended, run, n))


def _with(model: Model, **sampling: object) -> Model:
    return replace(model, settings=resolve(model.settings.to_dict(), {"sampling": sampling}))


def _averaged(run: Run) -> NetworkDenoiser:
    """The denoiser with the averaged weights that the checkpoint keeps."""
    assert run.folder is not None
    tensors, _ = checkpoint.load(run.folder / CHECKPOINT)
    denoiser = build_denoiser(run.settings, run.model.codec, run.model.process)
    prefix = "average."
    denoiser.network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    return denoiser


def _from_noised(model: Model, run: Run, n: int) -> np.ndarray:
    """Samples started from noised data, where the process really ends, instead of from N(0, I)."""
    rows = run.load_data().train.values
    return model.edit(rows[np.arange(n) % len(rows)], 1.0, seed=run.settings.seed)
