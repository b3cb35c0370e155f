"""Names in the settings become objects: process, network, grid, sampler.

Each family is registered in one place, and an unknown name is answered with the nearest known one.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

import torch
from torch import nn

from sfumato import distributed
from sfumato.config import NetworkSettings, ProcessSettings, SamplingSettings, Settings
from sfumato.data.codecs.points import AnyCodec, ImageCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.denoisers.denoiser import Conditioning, NetworkDenoiser, log_snr, step_of
from sfumato.denoisers.guidance import Told
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, unknown
from sfumato.networks.dit import DiT
from sfumato.networks.embeddings import LearnedStep, StepEmbedding
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.networks.table_mlp import TableMLP
from sfumato.networks.unet import UNet
from sfumato.process.conversions import from_schedule
from sfumato.process.discrete import (
    DISCRETE_SCHEDULES,
    DiscreteSchedule,
    given,
    zero_terminal_snr,
)
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import PARAMETERISATIONS
from sfumato.process.process import ContinuousProcess, DiscreteProcess, Process
from sfumato.process.schedules import SCHEDULES
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import Stepper

T = TypeVar("T")


def _made(kind: str, make: Callable[..., T], options: Mapping[str, Any], **own: Any) -> T:
    """`make(**own, **options)`, the options checked by name and by kind."""
    known = {
        name: parameter.annotation
        for name, parameter in inspect.signature(make).parameters.items()
        if name != "num_levels"
    }
    given = {}
    for name, value in options.items():
        if not known:
            raise ArgumentError(f"the {kind} has no options; got {name!r}.")
        if name not in known:
            raise unknown(f"option of the {kind}", name, known)
        want = known[name]
        # A whole number may be written either way.
        if want in (int, float) and not isinstance(value, bool | str) and want(value) == value:
            value = want(value)
        of = get_args(want)
        whole = not of or (isinstance(value, list) and all(isinstance(v, of) for v in value))
        if not whole or not isinstance(value, get_origin(want) or want):
            raise ArgumentError(
                f"the option {name!r} of the {kind} must be {_KINDS[want]}; got {value!r}."
            )
        given[name] = value
    return make(**own, **given)


_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a name",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
}


# The named discrete schedules, and betas that are given one by one.
_DISCRETE: Mapping[str, Callable[..., DiscreteSchedule]] = {**DISCRETE_SCHEDULES, "given": given}


def build_process(settings: ProcessSettings) -> Process:
    """The forward process: discrete when `num_levels` is given, else continuous.

    The name of a continuous schedule, with `num_levels`, gives levels along it.

    Raises:
        ArgumentError: if the name, or one of its options, is unknown.
    """
    name, options, num_levels = settings.schedule, settings.options, settings.num_levels
    if name not in SCHEDULES and (name not in _DISCRETE or not num_levels):
        if name in _DISCRETE:
            raise ArgumentError(
                f"the schedule {name!r} is discrete; say how many levels it has "
                "(process.num_levels=1000)."
            )
        raise unknown("schedule", name, {*_DISCRETE, *SCHEDULES})
    kind = f"schedule {name!r}"
    if not num_levels:
        continuous = ContinuousProcess(_made(kind, SCHEDULES[name], options))
        if settings.zero_terminal_snr:
            raise ArgumentError(
                "process.zero_terminal_snr is for a discrete schedule (process.num_levels=1000); "
                "a continuous schedule ends at its log_snr_min."
            )
        return continuous
    if name in _DISCRETE:
        discrete = _made(kind, _DISCRETE[name], options, num_levels=num_levels)
    else:
        discrete = from_schedule(_made(kind, SCHEDULES[name], options), num_levels)
    return DiscreteProcess(zero_terminal_snr(discrete) if settings.zero_terminal_snr else discrete)


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is built for.

    Args:
        event: shape of a sample.
        told: what numbers it is told for classes.
        process: the forward process.
        outputs: channels (dimension 1) that it answers with.
        levels: how many each column of a table has that has levels.
    """

    event: tuple[int, ...]
    told: Told
    process: Process
    outputs: int
    levels: tuple[int, ...] = ()


def _vector_mlp(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    (dimension,) = task.event
    network = VectorMLP(dimension, settings.width, settings.depth, outputs=task.outputs)
    return network, log_snr


def _step_mlp(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    num_levels = task.process.num_levels
    if not num_levels:
        raise ArgumentError(
            "the network 'step-mlp' embeds the steps of a discrete schedule; set "
            "process.num_levels (or take network.name=vector-mlp)."
        )
    (dimension,) = task.event
    network = StepMLP(dimension, num_levels, settings.width, task.outputs)
    return network, step_of(task.process.discrete(num_levels))


# What a unet may be told of the noise.
_TELLING = ("log-snr", "step", "learned-step")


@dataclass(frozen=True, slots=True)
class UNetOptions:
    """`network.options` of a unet; see `networks.unet.UNet`.

    DDPM's own form is told="step", scale_shift=false, head_width=0, step_shift=1.

    Args:
        multipliers: channels at each resolution, as multiples of the width.
        attention: resolutions that attend to themselves, by their longer side in pixels.
        head_width: channels of an attention head; 0: one head.
        dropout: in the residual blocks.
        scale_shift: tell the noise as scale and shift of the norms.
        told: the noise, as its log-SNR, as the step of a discrete schedule, or by features learned
            for each step.
        step_shift: of a step's sines, see `networks.embeddings.StepEmbedding`.
        cosine_first: of a step's sines.
        groups: of the norms.
        eps: added to the norms' variances.
        one_sided: pad at the far sides only where the resolution is halved.
        recompute: less memory for more time.
    """

    multipliers: list[int] = field(default_factory=lambda: [1, 2, 2])
    attention: list[int] = field(default_factory=lambda: [4, 8, 16])
    head_width: int = 64
    dropout: float = 0.0
    scale_shift: bool = True
    told: str = "log-snr"
    step_shift: int = 0
    cosine_first: bool = False
    groups: int = 32
    eps: float = 1e-5
    one_sided: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.multipliers) <= 8 or not all(1 <= m <= 64 for m in self.multipliers):
            raise ArgumentError(
                "`multipliers` are numbers from 1 to 64, one for each of up to 8 resolutions; got "
                f"{self.multipliers}."
            )
        if self.told not in _TELLING:
            raise unknown("way of telling the noise (`told`)", self.told, _TELLING)
        if self.step_shift not in (0, 1):
            raise ArgumentError(f"`step_shift` is 0 or 1; got {self.step_shift}.")
        if not self.eps > 0 or self.groups < 1:
            raise ArgumentError("`eps` must be above 0 and `groups` at least 1.")
        if not 0 <= self.dropout < 1:
            raise ArgumentError(f"`dropout` is from 0 to below 1; got {self.dropout}.")
        if self.head_width < 0:
            raise ArgumentError(f"`head_width` must not be negative; got {self.head_width}.")


def unet_options(settings: NetworkSettings) -> UNetOptions:
    """The options of a unet, those that are not set included.

    Raises:
        ArgumentError: if one is unknown or wrong.
    """
    return _made("network 'unet'", UNetOptions, settings.options)


def _unet(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    options = unet_options(settings)
    channels, *size = task.event
    if settings.width % 4:
        raise ArgumentError(f"the width of a unet must be a multiple of 4; got {settings.width}.")
    sides = (-(-max(size) // 2**k) for k in range(len(options.multipliers)))
    embed, conditioning = _telling(options, settings.width, task.process)
    network = UNet(
        channels,
        settings.width,
        options.multipliers,
        settings.depth,
        [side in options.attention for side in sides],
        head_width=options.head_width or None,
        classes=task.told.count,
        outputs=task.outputs,
        scale_shift=options.scale_shift,
        dropout=options.dropout,
        embed=embed,
        groups=options.groups,
        eps=options.eps,
        one_sided=options.one_sided,
        recompute=options.recompute,
    )
    return network, conditioning


def _telling(
    options: UNetOptions, width: int, process: Process
) -> tuple[nn.Module | None, Conditioning]:
    """What a unet makes of the number that tells the noise, and that number."""
    if options.told == "log-snr":
        return None, log_snr
    if not process.num_levels:
        raise ArgumentError(
            f"a unet that is told {options.told!r} needs a discrete schedule; set "
            "process.num_levels (1000, say) or leave told=log-snr."
        )
    conditioning = step_of(process.discrete(process.num_levels))
    if options.told == "learned-step":
        return LearnedStep(process.num_levels, width), conditioning
    embed = StepEmbedding(width, options.step_shift, cosine_first=options.cosine_first)
    return embed, conditioning


@dataclass(frozen=True, slots=True)
class DiTOptions:
    """`network.options` of a dit; see `networks.dit.DiT`.

    Args:
        patch: side of a patch in pixels.
        head_width: channels of an attention head; divides the width.
        recompute: less memory for more time.
    """

    patch: int = 2
    head_width: int = 64
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.patch < 1 or self.head_width < 1:
            raise ArgumentError("`patch` and `head_width` must be at least 1.")


def _dit(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    options = _made("network 'dit'", DiTOptions, settings.options)
    heads = max(1, settings.width // options.head_width)
    if settings.width % 4 or settings.width % heads:
        raise ArgumentError(
            "the width of a dit must be a multiple of 4 and of its heads "
            f"({settings.width} // {options.head_width} = {heads}); got {settings.width}."
        )
    channels, height, width = task.event
    network = DiT(
        channels,
        height,
        width,
        settings.width,
        settings.depth,
        heads,
        patch=options.patch,
        classes=task.told.count,
        outputs=task.outputs,
        recompute=options.recompute,
    )
    return network, log_snr


@dataclass(frozen=True, slots=True)
class TableMLPOptions:
    """`network.options` of a table-mlp; see `networks.table_mlp.TableMLP`.

    Args:
        features: random directions whose sine and cosine are added to the numbers.
        dropout: share of the hidden units that training leaves out.
    """

    features: int = 64
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.features <= 65_536:
            raise ArgumentError(f"`features` must be from 1 to 65,536; got {self.features}.")
        if not 0 <= self.dropout < 1:
            raise ArgumentError(f"`dropout` is from 0 to below 1; got {self.dropout}.")


def _table_mlp(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    options = _made("network 'table-mlp'", TableMLPOptions, settings.options)
    (numbers,) = task.event
    network = TableMLP(
        numbers,
        task.levels,
        settings.width,
        settings.depth,
        features=options.features,
        dropout=options.dropout,
    )
    return network, log_snr


# For points, for tables and for pictures: what they are built by.
_POINT_NETWORKS = {"vector-mlp": _vector_mlp, "step-mlp": _step_mlp}
_TABLE_NETWORKS = {"table-mlp": _table_mlp}
_PICTURE_NETWORKS = {"unet": _unet, "dit": _dit}
NETWORKS: Mapping[str, Callable[[NetworkSettings, Task], tuple[nn.Module, Conditioning]]] = {
    **_POINT_NETWORKS,
    **_TABLE_NETWORKS,
    **_PICTURE_NETWORKS,
}


def _suited_networks(codec: AnyCodec | TableCodec) -> tuple[str, Mapping[str, Any]]:
    """What kind of data these are, and the networks for it."""
    if isinstance(codec, ImageCodec):
        return "pictures", _PICTURE_NETWORKS
    if isinstance(codec, TableCodec):
        return "tables", _TABLE_NETWORKS
    return "points", _POINT_NETWORKS


def told_of(settings: Settings, codec: AnyCodec) -> Told:
    """What numbers the network of these settings is told for classes.

    Raises:
        ArgumentError: if what is to be mirrored is not a picture.
    """
    if isinstance(codec, ImageCodec):
        return Told(len(codec.classes), settings.training.flip)
    if settings.training.flip:
        raise ArgumentError("training.flip mirrors pictures; these data are none.")
    return Told(0)


def build_denoiser(settings: Settings, codec: AnyCodec, process: Process) -> NetworkDenoiser:
    """An untrained denoiser for what the codec encodes; the seed decides its weights.

    Raises:
        ArgumentError: if the network or the target is unknown, or does not fit the process or the
            data.
    """
    network = settings.network
    outputs = codec.event[0] * (1 + network.learned_variance)
    task = Task(codec.event, told_of(settings, codec), process, outputs)
    built, conditioning = _built(settings, codec, task)
    return NetworkDenoiser(
        built, PARAMETERISATIONS[network.target], conditioning, network.learned_variance
    )


def build_table_denoiser(settings: Settings, codec: TableCodec, process: Process) -> TableDenoiser:
    """An untrained denoiser for tables; the seed decides its weights.

    Raises:
        ArgumentError: if the network is unknown or not for tables, or something is set that is for
            points or pictures alone.
    """
    if settings.network.target != "edm" or settings.network.learned_variance:
        raise ArgumentError(
            "a number that a row has not is answered as edm's c_skip does; of a table leave "
            "network.target=edm and network.learned_variance=false."
        )
    if settings.training.flip:
        raise ArgumentError("training.flip mirrors pictures; these data are a table.")
    task = Task(codec.event, Told(0), process, codec.event[0], codec.sizes)
    built, conditioning = _built(settings, codec, task)
    return TableDenoiser(built, PARAMETERISATIONS[settings.network.target], conditioning)


def _built(
    settings: Settings, codec: AnyCodec | TableCodec, task: Task
) -> tuple[nn.Module, Conditioning]:
    """The network that the settings name, if it is for such data."""
    network = settings.network
    if network.target not in PARAMETERISATIONS:
        raise unknown("target", network.target, PARAMETERISATIONS)
    if network.name not in NETWORKS:
        raise unknown("network", network.name, NETWORKS)
    kind, suited = _suited_networks(codec)
    if network.name not in suited:
        raise ArgumentError(
            f"the network {network.name!r} is not for {kind}; take {' or '.join(suited)}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return NETWORKS[network.name](network, task)


def device_of(settings: Settings, codec: AnyCodec | TableCodec) -> torch.device:
    """Where the network of these settings belongs, as far as there is such a place here."""
    pictures = settings.device == "auto" and isinstance(codec, ImageCodec)
    if pictures or settings.device == "cuda":
        return distributed.own_device()
    return torch.device("cpu")


def build_grid(
    settings: SamplingSettings, process: Process, num_steps: int | None = None
) -> NoiseLevel:
    """The levels that sampling visits.

    Args:
        settings: name the grid.
        process: the forward process.
        num_steps: instead of the settings' own.

    Raises:
        ArgumentError: if the grid is unknown, is not for this kind of process, or the number of
            steps is out of its range or still to be chosen.
    """
    steps = settings.steps if num_steps is None else num_steps
    if steps == "auto":
        raise ArgumentError("the number of steps is `auto` and was not chosen yet; give a number.")
    return process.grid(settings.grid, steps)


def build_stepper(settings: SamplingSettings) -> Stepper[Any]:
    """The sampling method.

    Raises:
        ArgumentError: if it, or one of its options, is unknown.
    """
    if settings.sampler not in SAMPLERS:
        raise unknown("sampler", settings.sampler, SAMPLERS)
    return _made(f"sampler {settings.sampler!r}", SAMPLERS[settings.sampler], settings.options)
