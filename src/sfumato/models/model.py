"""What every fitted model can be asked, whatever kind of data it learned."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from sfumato.config import SamplingSettings, Settings
from sfumato.denoisers.denoiser import Denoiser, PerChunk
from sfumato.errors import ArgumentError
from sfumato.likelihood.flow import LogProb
from sfumato.likelihood.variational import BoundTerms
from sfumato.models.few import FewSteps
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import Process
from sfumato.samplers.steps import Choice


@runtime_checkable
class Model(Protocol):
    """Settings, codec, process and denoiser together.

    Rows are arrays `(n, columns)`, bytes `(n, height, width, channels)`, or a `DataTable`: what the
    codec decodes. Row k depends on the seed, itself and k alone.
    """

    @property
    def settings(self) -> Settings:
        """Of the run that made it."""
        ...

    @property
    def codec(self) -> Any:
        """Between rows in the data's own units and the network's."""
        ...

    @property
    def process(self) -> Process:
        """The forward process."""
        ...

    @property
    def denoiser(self) -> Any:
        """The trained denoiser."""
        ...

    @property
    def few(self) -> FewSteps | None:
        """The few-step map, if one was learned."""
        ...

    def conditional(self, condition: Any, settings: SamplingSettings) -> Denoiser:
        """The denoiser under one condition for each row of a batch, as settings guide and clip."""
        ...

    def empty(self) -> Any:
        """No rows, of the data's own shape and types."""
        ...

    def encoded(self, rows: Any) -> Tensor:
        """The numbers that the process noises, `(n, *event)` float64; 0 where one is missing."""
        ...

    def numeric_denoiser(self, *, seed: int = 0) -> Denoiser | PerChunk:
        """The denoiser of the numbers of a seed's samples, of any class or given categories."""
        ...

    def condition(self, given: Mapping[str, Any]) -> Any:
        """One row of the columns: the values given, and missing ones elsewhere."""
        ...

    def with_network(self, network: nn.Module) -> "Model":
        """The same model with another network, to draw with."""
        ...

    def check_sampling(self) -> None:
        """Refuse settings that could not be sampled with; nothing is drawn."""
        ...

    def sample_chunks(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> Iterator[Any]:
        """Samples of a seed from number `first` on, a chunk at a time."""
        ...

    def complete_chunks(
        self,
        rows: Any,
        known: np.ndarray | None,
        *,
        draws: int = 1,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> Iterator[Any]:
        """Rows with what is not known filled in, each `draws` times in a row, chunk by chunk."""
        ...

    def edit_chunks(
        self, rows: Any, start: float, *, seed: int = 0, **sampling: Any
    ) -> Iterator[Any]:
        """Rows noised to the time `start` and sampled from there, chunk by chunk."""
        ...

    def log_prob_chunks(
        self,
        rows: Any,
        *,
        steps: int = 50,
        tol: float | None = None,
        probes: int | None = None,
        seed: int = 0,
    ) -> Iterator[LogProb]:
        """The `LogProb` of rows in nats, in the data's own units, chunk by chunk."""
        ...

    def frames(
        self, n: int, *, seed: int = 0, given: Mapping[str, Any] | None = None, **sampling: Any
    ) -> Iterator[tuple[NoiseLevel, Any]]:
        """The first samples of a seed on their way from noise: each level with its rows."""
        ...

    def pictured_frames(self, n: int, count: int, *, seed: int = 0) -> list[tuple[NoiseLevel, Any]]:
        """`count` of these frames, even in time, noise first."""
        ...

    def choose_steps(self, **sampling: Any) -> Choice:
        """The number of steps that keeps the tolerance of the sampling settings."""
        ...

    def interpolate(
        self,
        first: int,
        last: int,
        n: int,
        *,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> np.ndarray:
        """From one sample of a seed to another."""
        ...

    def variational_bound(self, rows: Any, *, seed: int = 0) -> Iterator[BoundTerms]:
        """The bound on -log p(rows) of the reverse chain, chunk by chunk."""
        ...

    def class_number(self, given: Mapping[str, Any] | None = None) -> int | None:
        """The network's number of a class, or of any; None for a network that takes none."""
        ...

    def labels(
        self, n: int, *, seed: int = 0, first: int = 0, given: Mapping[str, Any] | None = None
    ) -> np.ndarray | None:
        """The classes of the samples that are drawn, `(n,)`; None where there are none."""
        ...


def changed(model: Model, **parts: Any) -> Model:
    """The same model with other parts: settings, denoiser, few."""
    return replace(model, **parts)  # type: ignore[type-var]


# What models of only some kinds of data can do, and why the others cannot.
_ABILITIES: Mapping[str, tuple[frozenset[str], str]] = {
    "bound": (
        frozenset({"points", "images"}),
        "a table has its likelihood itself; leave --bound out",
    ),
    "interpolate": (
        frozenset({"points", "images"}),
        "between two rows of a table there is no path: categories have no values between them",
    ),
    "inpaint": (
        frozenset({"images"}),
        "rows with missing values are filled by `sfumato impute`; only pictures have masks",
    ),
    "impute": (
        frozenset({"points", "table"}),
        "pictures have no missing values; `sfumato inpaint` fills in a part of one",
    ),
    "predict": (
        frozenset({"table"}),
        "predictions, and conditions row by row, are for tables (--set data.kind=table)",
    ),
    "steps": (
        frozenset({"points", "images"}),
        "the steps of a table are a number; leave `auto`",
    ),
    "snapshots": (
        frozenset({"points", "images"}),
        "samples of a table are not drawn while it is fitted; set training.snapshots=0",
    ),
}


def supports(model: Model, ability: str) -> bool:
    """Whether a model can do something."""
    return model.codec.kind in _ABILITIES[ability][0]


def unsupported(ability: str) -> ArgumentError:
    """The error of what a model cannot do: why it cannot, and what to do."""
    return ArgumentError(f"{_ABILITIES[ability][1]}.")


def refuse_negative(**numbers: int) -> None:
    """Refuse a number of samples, a seed or a place that is below 0.

    Raises:
        ArgumentError: naming the first such number.
    """
    for name, number in numbers.items():
        if number < 0:
            raise ArgumentError(f"`{name}` must not be negative; got {number}.")


def require(model: Model, ability: str) -> None:
    """Refuse what a model cannot do.

    Raises:
        ArgumentError: saying why it cannot.
    """
    if not supports(model, ability):
        raise unsupported(ability)
