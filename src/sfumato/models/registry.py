"""Names in the settings become objects: process, network, grid, sampler.

Each family is registered in one place, and an unknown name is answered with the nearest known one.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

import torch
from torch import nn

from sfumato import distributed
from sfumato.config import NetworkSettings, ProcessSettings, SamplingSettings, Settings, resolve
from sfumato.data.codecs import Codec
from sfumato.data.codecs.images import ImageCodec
from sfumato.data.codecs.points import PointCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.denoisers.compared import Comparisons
from sfumato.denoisers.denoiser import (
    Conditioning,
    NetworkDenoiser,
    edm_noise,
    flow_time,
    knows_all_levels,
    log_snr,
    step_of,
)
from sfumato.denoisers.guidance import ClassLabels
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, unknown
from sfumato.networks.dit import DiT
from sfumato.networks.embeddings import LearnedStepEmbedding, StepEmbedding
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.networks.table_mlp import TableMLP
from sfumato.networks.unet import UNet, layout
from sfumato.process.conversions import from_schedule
from sfumato.process.discrete import (
    DISCRETE_SCHEDULES,
    DiscreteSchedule,
    given,
    zero_terminal_snr,
)
from sfumato.process.grids import noisier
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import FOREIGN, PARAMETERISATIONS
from sfumato.process.process import ContinuousProcess, DiscreteProcess, Process
from sfumato.process.schedules import SCHEDULES
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import Stepper

T = TypeVar("T")


def _build(kind: str, make: Callable[..., T], options: Mapping[str, Any], **own: Any) -> T:
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
        # An integer may be written either way.
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
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a name",
    list[int]: "a list of integers",
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
    if name == OWN:
        raise ArgumentError(
            "this run has a schedule of its own; open it with sfumato.open(path, process=...)."
        )
    if name not in SCHEDULES and (name not in _DISCRETE or not num_levels):
        if name in _DISCRETE:
            raise ArgumentError(
                f"the schedule {name!r} is discrete; say how many levels it has "
                "(process.num_levels=1000)."
            )
        raise unknown("schedule", name, {*_DISCRETE, *SCHEDULES})
    kind = f"schedule {name!r}"
    if not num_levels:
        continuous = ContinuousProcess(_build(kind, SCHEDULES[name], options))
        if settings.zero_terminal_snr:
            raise ArgumentError(
                "process.zero_terminal_snr is for a discrete schedule (process.num_levels=1000); "
                "a continuous schedule ends at its log_snr_min."
            )
        return continuous
    if name in _DISCRETE:
        discrete = _build(kind, _DISCRETE[name], options, num_levels=num_levels)
    else:
        discrete = from_schedule(_build(kind, SCHEDULES[name], options), num_levels)
    return DiscreteProcess(zero_terminal_snr(discrete) if settings.zero_terminal_snr else discrete)


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is built for.

    Args:
        event: shape of a sample.
        class_labels: the class numbers that it takes.
        process: the forward process.
        outputs: channels (dimension 1) of the network's output.
        categories: of a table, how many each categorical column has.
        beside: of a table, how many residuals and comparisons its network takes, see
            `denoisers.table`.
    """

    event: tuple[int, ...]
    class_labels: ClassLabels
    process: Process
    outputs: int
    categories: tuple[int, ...] = ()
    beside: int = 0


Builder = Callable[[NetworkSettings, Task], tuple[nn.Module, Conditioning]]
"""Builds a network, and says what it takes of a noise level."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """`network.options` of a network that has none."""


def _vector_mlp(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    _build("network 'vector-mlp'", NoOptions, settings.options)
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
    _build("network 'step-mlp'", NoOptions, settings.options)
    (dimension,) = task.event
    network = StepMLP(dimension, num_levels, settings.width, task.outputs)
    return network, step_of(task.process.discrete(num_levels))


# What a unet's embedding of the time is made from.
_TIME_EMBEDDINGS = ("log-snr", "step", "learned-step", "flow-time", "edm-noise")


_CONTINUOUS_TIMES: Mapping[str, Conditioning] = {"flow-time": flow_time, "edm-noise": edm_noise}


@dataclass(frozen=True, slots=True)
class UNetOptions:
    """`network.options` of a unet; see `networks.unet.UNet`.

    DDPM's own form is time_embedding="step", scale_shift=false, head_width=0, step_shift=1.

    Args:
        multipliers: channels at each resolution, as multiples of the width.
        attention: resolutions with self-attention, by their longer side in pixels.
        head_width: channels of an attention head; 0: one head.
        heads_divide: make heads wider where their width does not divide the channels.
        dropout: in the residual blocks.
        scale_shift: use the embedding of time and class as scale and shift of the norms.
        time_embedding: what it is made from: sines of the log-SNR ("log-snr"), sines of the step of
            a discrete schedule ("step"), a vector learned for each step ("learned-step"), sines of
            `flow_time` or of `edm_noise`, see `denoisers.denoiser`.
        step_shift: of the sines of a step, see `networks.embeddings.StepEmbedding`.
        cosine_first: of the sines of a step.
        groups: of the norms.
        eps: added to the norms' variances.
        one_sided: pad at the right and the bottom only where the resolution is halved.
        time_width: channels of the embedding of time and class; 0: four times the width.
        mid_attention: self-attention between the way down and the way up.
        mid_groups: of its norm; 0: as the others; -1: no norm.
        residual_down: halve the resolutions with attention by a residual block.
        residual_up: double them so.
        any_class: a row of the embedding of classes for any of them.
        recompute: less memory for more time.
    """

    multipliers: list[int] = field(default_factory=lambda: [1, 2, 2])
    attention: list[int] = field(default_factory=lambda: [4, 8, 16])
    head_width: int = 64
    heads_divide: bool = True
    dropout: float = 0.0
    scale_shift: bool = True
    time_embedding: str = "log-snr"
    step_shift: int = 0
    cosine_first: bool = False
    groups: int = 32
    eps: float = 1e-5
    one_sided: bool = False
    time_width: int = 0
    mid_attention: bool = True
    mid_groups: int = 0
    residual_down: bool = False
    residual_up: bool = False
    any_class: bool = True
    recompute: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.multipliers) <= 8 or not all(1 <= m <= 64 for m in self.multipliers):
            raise ArgumentError(
                "`multipliers` are numbers from 1 to 64, one for each of up to 8 resolutions; got "
                f"{self.multipliers}."
            )
        if self.time_embedding not in _TIME_EMBEDDINGS:
            raise unknown("time_embedding", self.time_embedding, _TIME_EMBEDDINGS)
        if self.step_shift not in (0, 1):
            raise ArgumentError(f"`step_shift` is 0 or 1; got {self.step_shift}.")
        if not self.eps > 0 or self.groups < 1:
            raise ArgumentError("`eps` must be above 0 and `groups` at least 1.")
        if not 0 <= self.dropout < 1:
            raise ArgumentError(f"`dropout` is from 0 to below 1; got {self.dropout}.")
        if self.head_width < 0:
            raise ArgumentError(f"`head_width` must not be negative; got {self.head_width}.")
        if not 0 <= self.time_width <= 65_536 or self.mid_groups < -1:
            raise ArgumentError("`time_width` is from 0 to 65,536, `mid_groups` from -1 on.")


def unet_options(settings: NetworkSettings) -> UNetOptions:
    """The options of a unet, those that are not set included.

    Raises:
        ArgumentError: if one is unknown or wrong.
    """
    return _build("network 'unet'", UNetOptions, settings.options)


def _unet(settings: NetworkSettings, task: Task) -> tuple[nn.Module, Conditioning]:
    options = unet_options(settings)
    channels, *size = task.event
    if settings.width % 4:
        raise ArgumentError(f"the width of a unet must be a multiple of 4; got {settings.width}.")
    sides = (-(-max(size) // 2**k) for k in range(len(options.multipliers)))
    time_proj, conditioning = _time_proj(options, settings.width, task.process)
    network = UNet(
        channels,
        settings.width,
        options.multipliers,
        settings.depth,
        [side in options.attention for side in sides],
        head_width=options.head_width or None,
        heads_divide=options.heads_divide,
        classes=task.class_labels.count,
        outputs=task.outputs,
        scale_shift=options.scale_shift,
        dropout=options.dropout,
        time_proj=time_proj,
        groups=options.groups,
        eps=options.eps,
        one_sided=options.one_sided,
        emb_channels=options.time_width or None,
        mid_attention=options.mid_attention,
        mid_groups=None if options.mid_groups == -1 else options.mid_groups,
        residual_down=options.residual_down,
        residual_up=options.residual_up,
        recompute=options.recompute,
    )
    return network, conditioning


def _time_proj(
    options: UNetOptions, width: int, process: Process
) -> tuple[nn.Module | None, Conditioning]:
    """The features of a unet's time, and what they are made from."""
    if options.time_embedding == "log-snr":
        return None, log_snr
    sines = StepEmbedding(width, options.step_shift, cosine_first=options.cosine_first)
    if options.time_embedding in _CONTINUOUS_TIMES:
        return sines, _CONTINUOUS_TIMES[options.time_embedding]
    if not process.num_levels:
        raise ArgumentError(
            f"time_embedding={options.time_embedding} needs a discrete schedule; set "
            "process.num_levels (1000, say) or leave time_embedding=log-snr."
        )
    conditioning = step_of(process.discrete(process.num_levels))
    if options.time_embedding == "learned-step":
        return LearnedStepEmbedding(process.num_levels, width), conditioning
    return sines, conditioning


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
    options = _build("network 'dit'", DiTOptions, settings.options)
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
        classes=task.class_labels.count,
        outputs=task.outputs,
        recompute=options.recompute,
    )
    return network, log_snr


@dataclass(frozen=True, slots=True)
class TableMLPOptions:
    """`network.options` of a table-mlp; see `networks.table_mlp.TableMLP`.

    Args:
        features: random directions whose sine and cosine are added to the numeric values.
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
    options = _build("network 'table-mlp'", TableMLPOptions, settings.options)
    (numeric,) = task.event
    network = TableMLP(
        numeric,
        task.categories,
        settings.width,
        settings.depth,
        features=options.features,
        dropout=options.dropout,
        beside=task.beside,
    )
    return network, log_snr


# For each kind of data what its networks are built by.
_NETWORKS: Mapping[str, Mapping[str, Builder]] = {
    "points": {"vector-mlp": _vector_mlp, "step-mlp": _step_mlp},
    "table": {"table-mlp": _table_mlp},
    "images": {"unet": _unet, "dit": _dit},
}
NETWORKS: Mapping[str, Builder] = {
    name: build for of_kind in _NETWORKS.values() for name, build in of_kind.items()
}


def class_labels_of(settings: Settings, codec: Codec) -> ClassLabels:
    """The class numbers that the network of these settings takes.

    Raises:
        ArgumentError: if what is to be mirrored is not a picture, or has no number.
    """
    if settings.training.flip and codec.kind != "images":
        raise ArgumentError("training.flip mirrors pictures; these data are none.")
    knows_any = not codec.classes or bool(settings.network.options.get("any_class", True))
    if not knows_any and (settings.training.flip or settings.training.label_dropout):
        raise ArgumentError(
            "a network with any_class=false has no number for a class that is hidden or mirrored; "
            "set training.label_dropout=0 and training.flip=false."
        )
    return ClassLabels(len(codec.classes), settings.training.flip, knows_any)


def build_denoiser(
    settings: Settings,
    codec: PointCodec | ImageCodec,
    process: Process,
    own: nn.Module | None = None,
) -> NetworkDenoiser:
    """An untrained denoiser for what the codec encodes; the seed decides its weights.

    Raises:
        ArgumentError: if the network or the parameterisation is unknown, or does not fit the
            process or the data.
    """
    network = settings.network
    outputs = codec.event[0] * (1 + network.learned_variance)
    task = Task(codec.event, class_labels_of(settings, codec), process, outputs)
    built, conditioning = _built(settings, codec, task, own)
    parameterisation = {**PARAMETERISATIONS, **FOREIGN}[network.parameterisation]
    return NetworkDenoiser(built, parameterisation, conditioning, network.learned_variance)


def build_table_denoiser(
    settings: Settings, codec: TableCodec, process: Process, own: nn.Module | None = None
) -> TableDenoiser:
    """An untrained denoiser for tables; the seed decides its weights.

    Raises:
        ArgumentError: if the network is unknown or not for tables, or something is set that is for
            points or pictures alone.
    """
    if settings.network.parameterisation != "edm" or settings.network.learned_variance:
        raise ArgumentError(
            "the c_skip of edm carries a table's missing values along; leave "
            "network.parameterisation=edm and network.learned_variance=false."
        )
    correlations, comparisons, beside = None, None, 0  # a user's own network takes neither
    if codec.correlations and own is None:
        correlations = torch.tensor(codec.correlations, dtype=torch.float64)
        beside = len(correlations)
        if codec.units:
            comparisons = Comparisons.of(codec.units, codec.numeric_parts, codec.states)
            beside += len(comparisons)
    task = Task(
        codec.event,
        class_labels_of(settings, codec),
        process,
        codec.event[0],
        codec.sizes,
        beside,
    )
    built, conditioning = _built(settings, codec, task, own)
    parameterisation = PARAMETERISATIONS[settings.network.parameterisation]
    return TableDenoiser(built, parameterisation, conditioning, correlations, comparisons)


# The settings' name for a network or a schedule that was given as an object.
OWN = "own"


def _built(
    settings: Settings, codec: Codec, task: Task, own: nn.Module | None
) -> tuple[nn.Module, Conditioning]:
    """The network that the settings name, if it is for such data, or a user's own."""
    network = settings.network
    if network.parameterisation not in {*PARAMETERISATIONS, *FOREIGN}:
        raise unknown("parameterisation", network.parameterisation, PARAMETERISATIONS)
    if own is not None:
        if isinstance(own, type) or not isinstance(own, nn.Module):
            raise ArgumentError(f"`network` is a torch.nn.Module, made; got {own!r}.")
        conditioned = codec.kind == "table" or task.class_labels.count > 0
        called = ["x", "log_snr", "condition"][: 2 + conditioned]
        try:
            inspect.signature(own.forward).bind(*called)
        except TypeError as error:
            raise ArgumentError(
                f"a network is called with ({', '.join(called)}), and {type(own).__name__}.forward "
                f"is not: {error}."
            ) from error
        return own, log_snr
    if network.name == OWN:
        raise ArgumentError(
            "this run has a network of its own; open it with sfumato.open(path, network=...)."
        )
    if network.name not in NETWORKS:
        raise unknown("network", network.name, NETWORKS)
    suited = _NETWORKS[codec.kind]
    if network.name not in suited:
        data = {"images": "pictures", "table": "tables"}.get(codec.kind, codec.kind)
        raise ArgumentError(
            f"the network {network.name!r} is not for {data}; take {' or '.join(suited)}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        return NETWORKS[network.name](network, task)


def place(network: nn.Module, settings: Settings, codec: Codec) -> torch.device:
    """Bring a network to where these settings want it, as far as there is such a place here.

    Returns:
        Where it is now.
    """
    pictures = settings.device == "auto" and codec.kind == "images"
    wanted = pictures or settings.device == "cuda"
    device = distributed.own_device() if wanted else torch.device("cpu")
    network.to(device)
    for part in network.modules():
        if isinstance(part, UNet):
            part.to(memory_format=layout(device))  # type: ignore[call-overload]
    return device


def changed_sampling(settings: Settings, changes: Mapping[str, Any]) -> SamplingSettings:
    """A run's own sampling settings, with some changed; another method has its own options.

    A few-step map has nothing that could be changed, and gives way to what is asked for.

    Raises:
        ArgumentError: if a setting is unknown or out of its range, or is none of a map that is
            asked for with it.
    """
    others = sorted(changes.keys() - {"few"})
    found = resolve(settings.to_dict(), {"sampling": changes}).sampling
    if not others or not found.few:
        return found
    if changes.get("few"):
        raise ArgumentError(
            f"a few-step map makes its calls as it learned to; leave {' and '.join(others)} out, "
            "or the map (sampling.few, --calls)."
        )
    return found.model_copy(update={"few": 0})


def split_stepper(changes: Mapping[str, Any]) -> tuple[Mapping[str, Any], Stepper[Any] | None]:
    """Changes to the sampling settings, without a method of the user's own, and that method.

    Raises:
        ArgumentError: if `sampler` is neither a name nor a method.
    """
    own = changes.get("sampler")
    if own is None or isinstance(own, str):
        return changes, None
    if isinstance(own, type) or not isinstance(own, Stepper):
        raise ArgumentError(
            "`sampler` is a name, or an object with `start()` and `step(denoise, x_t, t, s, state, "
            f"noise)`; got {own!r}."
        )
    return {name: value for name, value in changes.items() if name != "sampler"}, own


def usual_schedules() -> tuple[str, ...]:
    """All schedules with their usual options, by the names that `process_of` takes."""
    discrete = (f"{name}-{make().num_levels}" for name, make in DISCRETE_SCHEDULES.items())
    return (*SCHEDULES, *discrete)


def process_of(name: str) -> Process:
    """The process of a schedule with its usual options.

    Args:
        name: of the schedule; of discrete levels with how many they are, as "linear-1000".

    Raises:
        ArgumentError: if it is unknown, or is one of discrete levels without their number.
    """
    stem, _, levels = name.rpartition("-")
    if re.fullmatch("[1-9][0-9]{0,5}", levels) and stem in {*SCHEDULES, *DISCRETE_SCHEDULES}:
        return build_process(ProcessSettings(schedule=stem, num_levels=int(levels)))
    if name in SCHEDULES:
        return ContinuousProcess(SCHEDULES[name]())
    raise unknown("schedule (sampling.schedule)", name, usual_schedules())


def sampled_process(
    settings: SamplingSettings, process: Process, conditioning: Conditioning
) -> Process:
    """The process whose levels sampling visits: `sampling.schedule`, or the run's own.

    Args:
        settings: may name a schedule.
        process: the run's own.
        conditioning: the number that its network takes.

    Raises:
        ArgumentError: if the schedule is unknown, or the network knows the levels of its own alone.
    """
    if not settings.schedule:
        return process
    if not knows_all_levels(conditioning):
        raise ArgumentError(
            "this network knows the noise levels of its own schedule alone; leave "
            "sampling.schedule out."
        )
    return process_of(settings.schedule)


def refuse_part_way(settings: SamplingSettings) -> None:
    """A start between noise and data is a time of the run's own schedule.

    Raises:
        ArgumentError: if another one is to be walked.
    """
    if settings.schedule:
        raise ArgumentError(
            "sampling.schedule is for samples that begin at noise: a start is a time of the run's "
            "own schedule. Leave it out here."
        )


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
    levels = process.grid(settings.grid, steps)
    if not settings.grid_offset:
        return levels
    if not process.num_levels:
        raise ArgumentError(
            "sampling.grid_offset counts the levels of a discrete schedule, and this process is "
            "continuous; leave it at 0."
        )
    return noisier(process.discrete(process.num_levels), levels, settings.grid_offset)


def build_stepper(settings: SamplingSettings) -> Stepper[Any]:
    """The sampling method.

    Raises:
        ArgumentError: if it, or one of its options, is unknown.
    """
    if settings.sampler not in SAMPLERS:
        raise unknown("sampler", settings.sampler, SAMPLERS)
    return _build(f"sampler {settings.sampler!r}", SAMPLERS[settings.sampler], settings.options)
