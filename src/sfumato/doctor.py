"""What a run's settings cost: known faults of diffusion recipes, each with its number and remedy.

A fault is stated from closed forms, and where the remedy needs no new training it is tried on
the trained network, so that its price is measured rather than argued.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from sfumato.config import resolve
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.model import Model, build_denoiser, build_grid, build_stepper
from sfumato.process.gaussian import Gaussian, kl
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.random import generator, noise_from
from sfumato.process.tables import Table
from sfumato.run import CHECKPOINT, Run
from sfumato.samplers.driver import trajectory
from sfumato.training import checkpoint

# A start this close to where the process ends cannot be noticed in 10,000 samples.
_NOTABLE_NATS = 0.01


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Args:
        title: in a few words.
        number: what it comes to, with its unit.
        sentence: what it means.
        remedy: what to set instead.
    """

    title: str
    number: str
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True, eq=False)
class Remedied:
    """Samples of the same trained network with one fault mended, or as the settings say."""

    title: str
    sample: np.ndarray


def noisiest(model: Model) -> NoiseLevel:
    """The level at which sampling starts."""
    return build_grid(model.settings.sampling, model.process)[0]


def findings(run: Run) -> Iterator[Finding]:
    """Go through the known faults; a sound run yields nothing."""
    model, sampling = run.model, run.settings.sampling
    rows = model.codec.encode(run.load_data().train.values).double()
    mean, std = rows.mean(0), rows.std(0)

    end = noisiest(model)
    reached = Gaussian(end.alpha * mean, (end.alpha**2 * std**2 + end.sigma**2).sqrt())
    start = Gaussian(torch.zeros(()), (end.alpha**2 + end.sigma**2).sqrt())
    nats = float(kl(reached, start).sum())
    if nats > _NOTABLE_NATS:
        widths = ", ".join(f"{value:.3f}" for value in reached.std.tolist()[:4])
        yield Finding(
            "The start is not where the process ends",
            f"{nats:.3f} nats",
            f"At the last level alpha_bar is {float(end.alpha**2):.3f} instead of nearly 0, so the "
            f"noised data have standard deviations of {widths}, but sampling starts from "
            f"{float(start.std):.0f}.",
            "a schedule that ends in noise: process.schedule=cosine, or linear with its own range",
        )
    if sampling.sampler == "ancestral" and sampling.last_step_noise:
        last = build_grid(sampling, model.process)[-2]
        added = float(last.sigma if sampling.variance == "beta" else 0 * last.sigma)
        yield Finding(
            "Noise is added in the last step",
            f"{added:.4f}",
            f"Every sample is blurred by a standard deviation of {added:.4f} in the model's units, "
            f"after all the noise was removed.",
            "sampling.last_step_noise=false",
        )
    if sampling.weights == "last":
        yield Finding(
            "The weights are not averaged",
            f"decay {run.settings.training.average:g} unused",
            "The last step's weights still carry the noise of the last batches.",
            "sampling.weights=averaged",
        )
    typical = float(std.mean())
    if not 0.5 < typical < 2:
        below, of = _levels_below(model, typical)
        yield Finding(
            "The data are not scaled to the noise",
            f"standard deviation {typical:.3f} instead of 1",
            f"Only {below} of {of} levels have less noise than the data's own spread; most of the "
            "training looks at inputs in which nothing of the data can be seen.",
            "data.standardise=true",
        )


def _levels_below(model: Model, std: float) -> tuple[int, int]:
    """How many levels have noise/signal below `std`, of how many."""
    if isinstance(model.process, Table):
        levels = model.process.levels[1:]
    else:
        levels = model.process(torch.linspace(0, 1, 100, dtype=torch.float64))
    return int((levels.sigma_ve < std).sum()), len(levels)


def remedied(run: Run, n: int) -> Iterator[Remedied]:
    """Samples with each fault mended that needs no new training, alone and all together."""
    sampling = run.settings.sampling
    model = run.model
    mended = model
    titles = {finding.title for finding in findings(run)}
    starts_wrong = "The start is not where the process ends" in titles
    if starts_wrong:
        yield Remedied("started where the process ends", _from_noised(model, run, n))
    if sampling.last_step_noise:
        mended = _with(mended, last_step_noise=False)
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
    denoiser = build_denoiser(run.settings, run.model.codec.dimension, run.model.process)
    prefix = "average."
    denoiser.network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    return denoiser


def _from_noised(model: Model, run: Run, n: int) -> np.ndarray:
    """Samples started from noised data, where the process really ends, instead of from N(0, I)."""
    levels = build_grid(model.settings.sampling, model.process)
    stepper = build_stepper(model.settings.sampling)
    rows = model.codec.encode(run.load_data().train.values).double()
    noise = noise_from(generator(run.settings.seed))
    chosen = torch.arange(n) % len(rows)
    x = noised(rows[chosen], levels[0]).draw(noise(rows[chosen]))
    *_, last = trajectory(model.denoiser, x, levels, stepper, noise=noise)
    return model.codec.decode(last.x_t)
