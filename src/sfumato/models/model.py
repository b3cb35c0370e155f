"""What every fitted model can be asked, whatever kind of data it learned."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import nn

from sfumato.config import Settings
from sfumato.errors import ArgumentError
from sfumato.process.process import Process


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

    def empty(self) -> Any:
        """No rows, of the data's own shape and types."""
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
        """Samples `first ... first + n - 1` of a seed, a chunk at a time."""
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

    def log_prob_chunks(self, rows: Any, *, seed: int = 0, **options: Any) -> Iterator[Any]:
        """The `LogProb` of rows in nats, in the data's own units, chunk by chunk."""
        ...

    def labels(
        self, n: int, *, seed: int = 0, first: int = 0, given: Mapping[str, Any] | None = None
    ) -> np.ndarray | None:
        """The classes of the samples that are drawn, `(n,)`; None where there are none."""
        ...


# What only some models can do, the method that does it, and why the others cannot.
_ABILITIES = {
    "bound": ("variational_bound", "a table has its likelihood itself; leave --bound out"),
    "interpolate": (
        "interpolate",
        "between two rows of a table there is no path: categories have no values between them",
    ),
    "inpaint": (
        "inpaint",
        "a table has missing values, not masked pixels; take `sfumato impute`",
    ),
}


def supports(model: Model, ability: str) -> bool:
    """Whether a model can do something."""
    return hasattr(model, _ABILITIES[ability][0])


def require(model: Model, ability: str) -> None:
    """Refuse what a model cannot do.

    Raises:
        ArgumentError: saying why it cannot.
    """
    if not supports(model, ability):
        raise ArgumentError(f"{_ABILITIES[ability][1]}.")
