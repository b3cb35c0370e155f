"""A forward process held against data, from closed forms; nothing is trained or sampled.

(1)  KL(q(x_T) || prior), with q(x_T) a Gaussian of the noised data's moments, per column
(2)  what Gaussian data of a column's mean and deviation come out as, when the exact reverse
     chain is begun at N(0, 1) instead of q(x_T): the moments of affine steps
(3)  the least noise beside the finest detail that the rows show: the narrowest direction
     among each row's nearest neighbours
"""

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato import config
from sfumato.config import ProcessSettings
from sfumato.errors import ArgumentError
from sfumato.models.build import build_model
from sfumato.models.registry import build_process
from sfumato.process.gaussian import Gaussian, kl
from sfumato.process.kernels import posterior
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.process.schedules import SCHEDULES
from sfumato.process.streams import generator
from sfumato.runs.data import Source
from sfumato.runs.fit import resolve
from sfumato.runs.kinds import KINDS

# Nats of a column that the end may know of a row and not be noticed in 10,000 samples.
NOTABLE_NATS = 0.01
# Share of a deviation by which samples may be off before their moments are called wrong.
_NOTABLE_SHIFT = 0.02
# Detail that is blurred by this share of its own width loses a tenth of a nat.
_NOTABLE_BLUR = 0.5
# Neighbourhoods: the least number of rows, the share of width to length that is a direction, how
# many are looked at, and of how many rows.
_NEIGHBOURS, _LONG, _LOOKED_AT, _KNOWN = 30, 0.5, 300, 10_000
_CHAIN = 1000

# The number of a finding for which too little is at hand.
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        title: in a few words.
        number: what it comes to, with its unit.
        sentence: what it means.
        remedy: what to set instead; empty where all is well.
    """

    title: str
    number: str
    sentence: str
    remedy: str = ""

    @property
    def state(self) -> str:
        """In a word: "sound", "fault", or "not measured"."""
        return "fault" if self.remedy else NOT_MEASURED if self.number == NOT_MEASURED else "sound"

    @property
    def sound(self) -> bool:
        """Whether it was measured and there is nothing to mend."""
        return self.state == "sound"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"state": self.state, "sound": self.sound, **asdict(self)}


def examine_settings(source: Source | None, *layers: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at the process that settings make, before anything is fitted.

    Args:
        source: the rows that it is to noise, as a run on them would have it; None: judge it without
            rows, as a run on points would have it.
        layers: settings.

    Raises:
        ArgumentError: if the settings name nothing that is known, or there is nothing to noise.
        DataError: if the rows cannot be used.
    """
    if source is None:
        points = config.resolve(config.recipes.points(10_000, 2), *layers)
        yield from examine_process(points.process)
        return
    settings, found = resolve(source, {}, *layers)
    kind = KINDS[found.kind]
    model = build_model(settings, kind.prepare(settings, found).codec)
    if not math.prod(model.codec.event):
        raise ArgumentError(
            f"{settings.data.source} has no numeric column, and categories are not noised: there "
            "is no process to judge."
        )
    rows = model.encoded(kind.rows(found.train))
    yield from examine_process(settings.process, rows, bin_width=model.codec.bin_width)


def examine_process(
    settings: ProcessSettings,
    rows: Tensor | None = None,
    *,
    process: Process | None = None,
    bin_width: float | None = None,
) -> Iterator[Finding]:
    """Look at a process, and at the rows that it is to noise.

    Args:
        settings: that name the process.
        rows: `(n, *event)` float64, as the model sees them; without, the start is judged by data of
            mean 1 and deviation 1/2, and nothing else can be.
        process: the process, where it is a user's own.
        bin_width: distance of neighbouring values of the rows, where they are integers.

    Raises:
        ArgumentError: if the settings name nothing that is known.
    """
    process = build_process(settings) if process is None else process
    if rows is None:
        yield _start(settings, process, *torch.tensor([[1.0], [0.5]], dtype=torch.float64))
        yield from _rescaling(process, settings)
        return
    of_pictures = rows.dim() > 2
    rows = rows.flatten(1)
    rows = rows[:, rows.amax(0) > rows.amin(0)]
    yield _start(settings, process, rows.mean(0), rows.std(0))
    yield from _rescaling(process, settings)
    yield _least_noise(settings, process, len(rows), bin_width or detail(rows))
    if not of_pictures:  # whose range is brought to [-1, 1], which no setting changes
        yield _scale(process, rows)


def prior(level: NoiseLevel) -> Gaussian:
    """Where sampling starts: zero mean, and the spread of unit data at that level."""
    return Gaussian(torch.zeros((), dtype=torch.float64), level.alpha.hypot(level.sigma))


def start_mismatch(mean: Tensor, std: Tensor, level: NoiseLevel) -> float:
    """Eq. (1) in nats, summed over the columns.

    KL is quadratic in x_0, so that a root-mean-square value of it stands for all rows.
    """
    typical = mean.hypot(std)
    return float(kl(Gaussian(level.alpha * typical, level.sigma), prior(level)).sum())


def come_out(mean: Tensor, std: Tensor, process: Process) -> tuple[Tensor, Tensor]:
    """Eq. (2): mean and deviation of each column's samples by ancestral steps (beta_tilde).

    A discrete process is walked through all its levels, a continuous one through 1,000.
    """
    levels = process.grid("uniform-log-snr", process.num_levels or _CHAIN)
    begin = prior(levels[0])
    at, variance = begin.mean.expand_as(mean), (begin.std**2).expand_as(std)
    probe = torch.stack([torch.zeros_like(mean), torch.ones_like(mean)])
    for k in range(len(levels) - 1):
        t, s = levels[k], levels[k + 1]
        gain = t.alpha * std**2 / ((t.alpha * std) ** 2 + t.sigma**2)
        step = posterior(probe, mean + gain * (probe - t.alpha * mean), t, s)
        offset, slope = step.mean[0], step.mean[1] - step.mean[0]
        at, variance = offset + slope * at, slope**2 * variance + step.std**2
    return at, variance.sqrt()


def detail(rows: Tensor) -> float:
    """Eq. (3): the median over rows of the deviation along the narrowest local direction.

    Neighbourhoods grow until they are longer than wide: smaller ones lie inside the structure,
    and show no more than how dense the rows are.
    """
    from sklearn.neighbors import NearestNeighbors

    unlike = torch.unique(rows, dim=0)
    unlike = unlike[torch.randperm(len(unlike), generator=generator(0))[:_KNOWN]]
    n, d = unlike.shape
    k = max(_NEIGHBOURS, 2 * d)
    if n <= k:  # too few to tell a direction
        return float(rows.std(0).min())
    near = NearestNeighbors().fit(unlike.numpy())
    while True:
        index = near.kneighbors(unlike[:_LOOKED_AT].numpy(), k, return_distance=False)
        around = unlike[torch.from_numpy(index)]
        spread = torch.linalg.svdvals(around - around.mean(1, keepdim=True)) / (k - 1) ** 0.5
        narrow = float(spread[:, -1].median())
        if narrow < _LONG * float(spread[:, 0].median()) or 2 * k > n // 10:
            return narrow
        k *= 2


def _several(values: Tensor) -> str:
    shown = ", ".join(f"{value:.3f}" for value in values.tolist()[:4])
    return shown + (", ..." if len(values) > 4 else "")


def _start(settings: ProcessSettings, process: Process, mean: Tensor, std: Tensor) -> Finding:
    end = process.noisiest
    nats = start_mismatch(mean, std, end)
    reached = (end.alpha * std).hypot(end.sigma)
    if nats <= NOTABLE_NATS * len(mean):
        # By the flow, which keeps quantiles: what the mismatch alone does, without a step's error.
        shift, ratio = (end.alpha * mean).abs() / reached, prior(end).std / reached
        return Finding(
            "The start is where the process ends",
            f"L_T = {nats:.2g} nats",
            f"The difference shifts samples by at most {float(shift.max()):.1g} of a "
            f"deviation and stretches them by {float((ratio - 1).abs().max()):.1g}.",
        )
    left = float(end.alpha**2 / (end.alpha**2 + end.sigma**2))
    known = f"At the last level alpha_bar is {left:.3f} instead of nearly 0"
    found_mean, found_std = come_out(mean, std, process)
    off = torch.maximum((found_mean - mean).abs() / std, (found_std / std - 1).abs())
    if float(off.max()) <= _NOTABLE_SHIFT:
        sentence = (
            f"{known}: the data's means and deviations happen to be those of the start, which "
            "hides it from both, but their shape is still there and the start has none of it."
        )
    else:
        sentence = (
            f"{known}, so the noised data have standard deviations of {_several(reached)}, but "
            f"sampling starts from {float(prior(end).std):.3g}. Gaussian data of this mean and "
            f"deviation (means {_several(mean)}; deviations {_several(std)}) would come out with "
            f"means {_several(found_mean)} and deviations {_several(found_std)}."
        )
    return Finding(
        "The start is not where the process ends",
        f"L_T = {nats:.3f} nats",
        sentence,
        _more_noise(settings),
    )


def _more_noise(settings: ProcessSettings) -> str:
    """How to end in noise, with the schedule's own option where it has one."""
    if settings.num_levels:
        return (
            "process.zero_terminal_snr=true (with network.parameterisation=v), or a schedule that "
            "ends in noise: process.schedule=linear with its own betas"
        )
    if settings.schedule not in SCHEDULES:
        return "a lower log-SNR at t = 1 of your own schedule"
    options = inspect.signature(SCHEDULES[settings.schedule]).parameters
    for name, value in {"log_snr_min": -10, "sigma_max": 80, "beta_max": 20}.items():
        if name in options:
            return f"more noise at the end: process.options.{name}={value}"
    raise AssertionError(settings.schedule)


def _less_noise(settings: ProcessSettings, sigma_ve: float) -> str:
    """How to begin with less noise, with the schedule's own option where it has one."""
    if settings.num_levels:
        return "a smaller first beta (process.options.beta_start), or more levels"
    if settings.schedule not in SCHEDULES:
        return f"a log-SNR of {-2 * math.log(sigma_ve):.0f} at t = 0 of your own schedule"
    options = inspect.signature(SCHEDULES[settings.schedule]).parameters
    log_snr = math.ceil(-2 * math.log(sigma_ve))
    for name, value in {"log_snr_max": f"{log_snr}", "sigma_min": f"{sigma_ve:.2g}"}.items():
        if name in options:
            return f"less noise at the start: process.options.{name}={value}"
    return "less noise at the start: process.options.time_min=1e-6"


def _rescaling(process: Process, settings: ProcessSettings) -> Iterator[Finding]:
    """Betas that were meant for another number of levels."""
    meant = settings.options.get("reference_levels")
    if meant is None or meant != settings.num_levels:
        return
    options = {k: v for k, v in settings.options.items() if k != "reference_levels"}
    usual = build_process(settings.model_copy(update={"options": options}))
    given, rescaled = (float(each.noisiest.alpha**2) for each in (process, usual))
    if abs(given - rescaled) < 1e-4:
        return
    yield Finding(
        "T was changed, but not beta",
        f"alpha_bar_T = {given:.3g}",
        f"With betas rescaled to {settings.num_levels} levels it would be {rescaled:.3g}.",
        "leave process.options.reference_levels out",
    )


def _least_noise(settings: ProcessSettings, process: Process, rows: int, width: float) -> Finding:
    noise = float(process.least_noisy.sigma_ve)
    number = f"{noise:.4g} beside {width:.4g}"
    if noise <= _NOTABLE_BLUR * width:
        return Finding(
            "The least noise is below the data's detail",
            number,
            f"The finest structure that {rows:,} rows show is {width / noise:.0f} times as "
            "wide as the least noise.",
        )
    return Finding(
        "The least noise hides the data's detail",
        number,
        "Structure that is narrower than the least noise is never looked at, and comes out "
        "blurred or averaged away.",
        _less_noise(settings, 0.2 * width),
    )


def _scale(process: Process, rows: Tensor) -> Finding:
    typical = float(rows.std(0).mean())
    # Each level of a discrete process once, 100 of a continuous one.
    levels = process.at(torch.linspace(0, 1, process.num_levels or 100, dtype=torch.float64))
    below, of = int((levels.sigma_ve < typical).sum()), len(levels)
    if 0.5 < typical < 2:
        return Finding(
            "The data are scaled to the noise",
            f"standard deviation {typical:.3f}",
            f"{below} of {of} levels have less noise than the data's own spread.",
        )
    return Finding(
        "The data are not scaled to the noise",
        f"standard deviation {typical:.3f} instead of 1",
        f"Only {below} of {of} levels have less noise than the data's own spread; most of the "
        "training looks at inputs in which nothing of the data can be seen.",
        "data.standardise=true",
    )
