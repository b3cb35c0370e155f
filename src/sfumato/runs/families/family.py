"""What every family of generative models answers, and the steps that it is given.

Rows are standardised: `(n, d)` float32, each column of mean 0 and deviation 1.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from sfumato.process.streams import SAMPLING, TRAINING, chunk_size, generator
from sfumato.progress import ProgressLine

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One stage of the way from noise to data.

    Args:
        title: what is seen, in a few words.
        rows: `(n, d)`, the same rows in each stage; none where only components are seen.
        by: what was done to the stage before it.
        means: of the components of a mixture, `(k, d)`, if they are to be seen.
        covariances: of these components, `(k, d, d)`.
    """

    title: str
    rows: Tensor
    by: str = ""
    means: Tensor | None = None
    covariances: Tensor | None = None


class Budget(Protocol):
    """The steps of a training: iterated, it gives the share of them that is done before each."""

    @property
    def num_steps(self) -> int | None:
        """How many there are; None where a clock decides."""
        ...

    def __iter__(self) -> Iterator[float]:
        """From 0 to below 1, one for each step."""
        ...


class Fitted(Protocol):
    """A fitted model."""

    @property
    def calls(self) -> int:
        """Network calls for each sample."""
        ...

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        ...

    @property
    def estimated(self) -> bool:
        """Whether its log densities are estimates."""
        ...

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw `(n, d)`; row k depends on the seed and k alone."""
        ...

    def log_prob(self, x: Tensor) -> Tensor | None:
        """Log densities in nats, `(n,)`; None where the model has none."""
        ...

    def frames(self, n: int, count: int) -> list[Frame]:
        """Up to `count` stages from noise to the samples of seed 0, noise first."""
        ...


class Family(Protocol):
    """A way to learn a distribution: a module of this package."""

    @property
    def title(self) -> str:
        """What it is called."""
        ...

    @property
    def recipe(self) -> str:
        """How it is trained, in a sentence."""
        ...

    @property
    def likelihood(self) -> str:
        """How its log densities are had, or why there are none."""
        ...

    @property
    def even(self) -> bool:
        """Whether all of its steps take the same time, so that their number can be settled."""
        ...

    def fit(self, rows: Tensor, budget: Budget, seed: int) -> Fitted:
        """Learn from rows `(n, d)`; the seed and the number of steps decide the result."""
        ...


@dataclass(slots=True)
class Steps:
    """So many steps.

    Args:
        num_steps: how many.
        line: shows how many are done.
        made: steps that were begun.
    """

    num_steps: int
    line: ProgressLine | None = None
    made: int = 0

    def __iter__(self) -> Iterator[float]:
        """The share that is done before each step."""
        for step in range(self.num_steps):
            self.made = step + 1
            yield step / self.num_steps
            if self.line is not None:
                self.line.advance_to(step + 1)


@dataclass(slots=True)
class Clock:
    """Steps until so many processor seconds are spent, by all threads together.

    Args:
        seconds: how many.
        made: steps that were begun.
        spent: seconds that they took.
    """

    seconds: float
    made: int = 0
    spent: float = 0.0
    num_steps: None = None

    def __iter__(self) -> Iterator[float]:
        """The share of the seconds that is spent before each step; one step at least."""
        began = time.process_time()
        while self.made == 0 or self.spent < self.seconds:
            self.made += 1
            yield min(self.spent / self.seconds, 1.0)
            self.spent = time.process_time() - began


def cosine(done: float) -> float:
    """The part of the learning rate that is left when a share of the steps is done."""
    return 0.5 * (1 + math.cos(math.pi * done))


def seeded(make: Callable[[], N], seed: int) -> N:
    """A network whose first weights the seed decides."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return make()


def batches(rows: Tensor, size: int, seed: int) -> tuple[Callable[[], Tensor], torch.Generator]:
    """A function that draws `size` of the rows, and the generator that it draws with."""
    source = generator(seed, TRAINING)
    return lambda: rows[torch.randint(len(rows), (size,), generator=source)], source


@torch.no_grad()
def in_chunks(n: int, seed: int, draw: Callable[[torch.Generator, int], Tensor]) -> Tensor:
    """The first `n` samples of a seed, computed in whole chunks, each of a stream of its own."""
    size = chunk_size((1,))
    chunks = [draw(generator(seed, SAMPLING, k), size) for k in range(max(1, -(-n // size)))]
    return torch.cat(chunks)[:n]


def count(*networks: nn.Module) -> int:
    """How many numbers the networks learn."""
    return sum(each.numel() for network in networks for each in network.parameters())
