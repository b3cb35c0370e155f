"""Other people's libraries, each used as its own documentation says: one module a peer.

They are no dependency of Sfumato; `pip install 'sfumato[bench]'` brings them. A module is imported
only when its peer is measured, so that none pays for another's import. smalldiffusion is not here:
it imports torchvision, which does not import beside the CPU build of PyTorch that the pinned
environment has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
from torch import Tensor, nn


class Fitted(Protocol):
    """What a peer has learned."""

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw `n` rows in the data's units, `(n, d)`."""
        ...


class Scored(Fitted, Protocol):
    """A peer that also knows densities."""

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Nats per row, `(n,)`, in the data's units."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, and how its documentation says that it is used.

    Args:
        name: of the distribution on PyPI, with the model where it has several.
        recipe: what its documentation or example says, in a sentence, with the address.
        steps: how many training steps that is (for methods without steps, 1).
        fit: `(rows, seed, steps)` to what was learned.
        training_step: `(network, rows)` to a function that does one of its training steps, data
            loading included, on a network `(x, number) -> x`; None where it has no such thing.
        draw: `(network, n, steps)` to a function that draws n samples in so many network calls;
            None where it has no such thing.
    """

    name: str
    recipe: str
    steps: int
    fit: Callable[[np.ndarray, int, int], Fitted]
    training_step: Callable[[nn.Module, Tensor], Callable[[], None]] | None = None
    draw: Callable[[nn.Module, int, int], Callable[[], Tensor]] | None = None


NAMES = (
    "tutorial",
    "diffusers_ddpm",
    "azula_edm",
    "torchcfm_flow_matching",
    "zuko_flow",
    "gaussian_mixture",
    "kernel_density",
)


def peer(name: str) -> Peer:
    """The peer of one of NAMES.

    Raises:
        ImportError: if its library is not installed.
    """
    made: Peer = import_module(f"bench.peers.{name}").PEER
    return made
