"""The settings of a run: typed, checked, refused when unknown, written back whole.

Names of methods (schedules, networks, samplers, ...) are looked up when the run is put together,
where each is registered.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

# The largest seed that TOML and PyTorch both hold.
LARGEST_SEED = 2**63 - 1

# Beyond what anyone waits for, and within what every counter holds.
Count = Annotated[int, Field(ge=1, le=10**9)]


class Section(BaseModel):
    """A table of the settings file; unknown names are refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False
    )


class DataSettings(Section):
    """Where the data come from and how they enter the model."""

    source: str = Field("s-curve", min_length=1, description="a set's name, a file or a folder")
    rows: int = Field(10_000, ge=2, le=10**8, description="rows to draw of a toy set")
    noise: float | None = Field(
        None, ge=0, le=1e6, description="noise of a toy set, if not its own"
    )
    standardise: bool = Field(True, description="bring every column to mean 0, deviation 1")
    holdout: float = Field(
        0.1, gt=0, le=0.5, description="share of a file's rows kept out of training, to evaluate on"
    )
    size: int | None = Field(
        None, ge=4, le=4096, description="pictures: bring all to this many pixels a side"
    )
    labels: bool | str = Field(
        False,
        description="pictures: learn the classes that folders, or a table beside them, name; a "
        "name: those of that column",
    )
    background: str = Field("white", description="pictures: what lies behind transparent pixels")
    skip_bad: bool = Field(False, description="pictures: leave out those that cannot be used")
    range: tuple[float, float] | Literal["auto"] | None = Field(
        None,
        description="pictures: the values of black and white, for other values than bytes; auto: "
        "the least and the greatest of all",
    )
    frames: Literal["all", "first"] = Field(
        "all", description="pictures: of files of several (pages, frames), all or the first"
    )
    channels: Literal["auto", "first", "last"] = Field(
        "auto", description="pictures in arrays: which axis the channels are, if it is not plain"
    )
    kind: Literal["auto", "points", "table"] = Field(
        "auto",
        description="of a file: up to three columns of decimals are points in space, anything else "
        "a table",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="tables: what a column is, if not what its values suggest; after a colon how "
        "a file writes it (date:day.month.year, continuous:1.234,5)",
    )
    missing: list[str] = Field(
        default_factory=list,
        description="cells that are missing values in every column; of numbers, any of that value",
    )
    rules: list[str] = Field(
        default_factory=list,
        description="tables: what holds in every row (end >= start; total = a + b; city, country); "
        "none: no others are found in the data",
    )
    sha256: str | None = Field(None, description="fingerprint of the data, written by `fit`")

    @field_validator("range")
    @classmethod
    def _in_order(cls, given: Any) -> Any:
        if isinstance(given, tuple) and not given[0] < given[1]:
            raise PydanticCustomError("order", "it goes from a lower value to a higher one")
        return given


class ProcessSettings(Section):
    """The forward process."""

    schedule: str = Field("cosine", description="how noise grows over time")
    num_levels: int = Field(
        0, ge=0, le=1_000_000, description="levels of a discrete table; 0: continuous"
    )
    options: dict[str, bool | int | float | list[float]] = Field(
        default_factory=dict,
        description="the schedule's own arguments",
    )
    zero_terminal_snr: bool = Field(
        False, description="stretch a table until nothing of the data is left at its end"
    )


class NetworkSettings(Section):
    """The network and what it predicts."""

    name: str = Field(
        "vector-mlp",
        description="vector-mlp and step-mlp are for points, unet and dit for pictures",
    )
    width: int = Field(
        64,
        ge=1,
        le=65_536,
        description="of a hidden layer, of a token (dit); channels at full resolution (unet)",
    )
    depth: int = Field(
        3,
        ge=1,
        le=1000,
        description="hidden layers after the first (vector-mlp), blocks at each resolution (unet)",
    )
    parameterisation: str = Field(
        "edm", description="what the network predicts: eps, x_0, v, velocity or edm"
    )
    options: dict[str, bool | int | float | str | list[int]] = Field(
        default_factory=dict, description="the network's own arguments"
    )
    learned_variance: bool = Field(
        False, description="learn the reverse variance too (a table's, with sampler ancestral)"
    )


class TrainingPart(Section):
    """A part of a training that was gone on with after it: the recipe until some step."""

    until: Count = Field(description="the step that was its last")
    steps: Count = Field(description="the step that was to be its last")
    learning_rate: float = Field(gt=0)
    warmup: int = Field(ge=0, le=10**9)
    decay: Literal["constant", "cosine"]


class TrainingSettings(Section):
    """How a network is trained: steps, batches, optimizer, noise levels, averaging."""

    steps: Count = Field(1000, description="of the optimizer, each with a batch")
    epochs: Count | None = Field(None, description="passes over the data; instead of steps")
    batch_size: int = Field(
        256, ge=1, le=10**6, description="rows of a step, of all processes together"
    )
    micro_batch: int = Field(
        0,
        ge=0,
        le=10**6,
        description="rows that a process computes at once, if memory is short; gradients of the "
        "rest of its share are added up. 0: its whole share",
    )
    shard: bool = Field(
        False,
        description="several processes: each holds only its part of the weights, of what the "
        "optimizer remembers and of the average (FSDP), for a network that does not fit",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "float32",
        description="of the network's products while training; its weights are float32. auto: "
        "bfloat16 where a few steps are clearly faster in it, measured before the first",
    )
    compile: bool = Field(
        False,
        description="let PyTorch compile the network: a minute or two before the first step, "
        "faster steps after; needs a C++ compiler",
    )
    reference: int = Field(
        1024,
        ge=0,
        le=10**6,
        description="rows whose mean, as each may have been the noised one, is the target; at "
        "least the batch. Where many are within the noise, one row in four is noised wider. 0: the "
        "noised row itself, noised as the process has it",
    )
    optimizer: Literal["adam", "adamw", "muon"] = Field(
        "adamw", description="Adam, AdamW, or Muon for matrices and AdamW for the rest"
    )
    learning_rate: float = Field(1e-2, gt=0, description="the largest, after the warm-up")
    warmup: int = Field(10, ge=0, le=10**9, description="steps of linear warm-up")
    decay: Literal["constant", "cosine"] = Field(
        "cosine", description="of the learning rate, from the warm-up to the end"
    )
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    flip: bool = Field(
        False, description="pictures: mirror half of them, and tell the network which"
    )
    label_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the labels that is kept from the network: guidance"
    )
    average: float = Field(0.99, ge=0, lt=1, description="decay of the weights' average")
    times: str = Field("stratified", description="how the noise levels of a batch are drawn")
    weighting: str = Field("simple", description="of the loss, by noise level")
    target: str = Field(
        "", description="of a table: a column that most rows ask for, given all others"
    )
    log_every: Count = Field(50, description="steps between two lines of metrics.jsonl")
    checkpoint_every: Count = Field(1000, description="steps between two checkpoints")
    snapshots: int = Field(5, ge=0, le=1000, description="times that samples are drawn on the way")
    past: tuple[TrainingPart, ...] = Field(
        (),
        max_length=1000,
        description="parts of a training that was gone on with, written by `fit --resume`",
    )

    @field_validator("past")
    @classmethod
    def _one_after_another(
        cls, given: tuple[TrainingPart, ...], info: ValidationInfo
    ) -> tuple[TrainingPart, ...]:
        ends = [0, *(part.until for part in given), info.data.get("steps", 0)]
        in_order = all(before < after for before, after in pairwise(ends))
        whole = all(part.until <= part.steps for part in given)
        if given and not (in_order and whole and info.data.get("epochs") is None):
            raise PydanticCustomError(
                "parts", "each part ends after the one before it and before training.steps"
            )
        return given


class SamplingSettings(Section):
    """How samples are drawn unless the command says otherwise."""

    sampler: str = Field("dpm++2m-sde", description="the method; see `sfumato compare samplers`")
    steps: Annotated[int, Field(ge=1, le=10**6)] | Literal["auto"] = Field(
        50, description="of the sampler; auto: as many as `tol` needs, for those without noise"
    )
    grid: str = Field("uniform-log-snr", description="where between noise and data the steps are")
    schedule: str = Field(
        "",
        description="whose noise levels are visited, by name, with its usual options; of discrete "
        "levels with their number (linear-1000). The run's own if not given; not for a fit",
    )
    grid_offset: int = Field(
        0, ge=0, le=1_000_000, description="a table's levels by which each of the grid is noisier"
    )
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="the sampler's own arguments",
    )
    tol: float = Field(
        0.01, gt=0, description="with steps = auto: how far samples may be from the flow's end"
    )
    guidance: float = Field(
        1.0, ge=0, le=100, description="how strongly a class is followed; 1: as it was learned"
    )
    guidance_interval: tuple[float, float] | None = Field(
        None, description="from which log-SNR to which there is guidance; everywhere if not given"
    )
    clip: float | None = Field(
        None, gt=0, description="largest predicted value, in the model's units; off if not given"
    )
    threshold: float | None = Field(
        None, gt=0, le=1, description="quantile of dynamic thresholding at `clip`"
    )
    weights: Literal["averaged", "last"] = Field(
        "averaged", description="which draw: their average over the training, or the last"
    )
    few: Literal[0, 1, 2, 4] = Field(
        0,
        description="network calls of a few-step map that draws in the sampler's place; `fit` then "
        "learns one. 0: the sampler draws",
    )


class StartSettings(Section):
    """The model whose weights the training starts from, if not from random ones."""

    path: str = Field("", description="a run folder, a model file, a folder of diffusers")
    sha256: str | None = Field(None, description="fingerprint of its weights, written by `fit`")


class Settings(Section):
    """Everything that makes a run what it is."""

    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="decides every draw")
    threads: int = Field(
        1,
        ge=0,
        le=1024,
        description="processor threads; 0: PyTorch's own choice, for wide networks",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the network is; auto: networks of pictures on a GPU if any"
    )
    data: DataSettings = DataSettings()
    process: ProcessSettings = ProcessSettings()
    network: NetworkSettings = NetworkSettings()
    start: StartSettings = StartSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = Field(default_factory=dict, validate_default=True)

    @field_validator("sampling", mode="before")
    @classmethod
    def _of_its_process(cls, given: Any, info: ValidationInfo) -> Any:
        """Defaults for a table: from its last level, in no more steps than it has levels."""
        process = info.data.get("process")
        if not isinstance(given, Mapping) or process is None or not process.num_levels:
            return given
        steps = min(process.num_levels, SamplingSettings.model_fields["steps"].default)
        return {"grid": "trailing", "steps": steps, **given}

    def to_dict(self) -> dict[str, Any]:
        """Plain values; settings that are not set are left out, as TOML has no null."""
        return self.model_dump(exclude_none=True)

    def to_toml(self) -> str:
        """The whole settings as a TOML text that `load_toml` reads back to the same."""
        return tomli_w.dumps(self.to_dict())
