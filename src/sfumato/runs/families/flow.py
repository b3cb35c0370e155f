"""A normalizing flow: the neural spline flow of Durkan et al. (2019), by zuko.

Invertible layers f_1, ..., f_k take rows to noise. With f their composition,

    (1)  log p(x) = log N(f(x); 0, I) + log |det df/dx|

which is exact, and is ascended. Noise is drawn back through the layers' inverses; a layer is
autoregressive, so that its inverse takes a network call for each column.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.errors import MissingDependencyError
from sfumato.runs.families.family import Budget, Frame, batches, cosine, count, in_chunks, seeded
from sfumato.training.optimizer import AdamW

title = "normalizing flow"
even = True
likelihood = "exact, by the change of variables"

LAYERS, WIDTH, BINS, BATCH, RATE = 4, 64, 8, 256, 1e-2
recipe = (
    f"neural spline flow (zuko): {LAYERS} autoregressive layers of {BINS} bins, each by a "
    f"perceptron of 2 x {WIDTH}; maximum likelihood, batches of {BATCH}, Adam from {RATE:g} down "
    "to 0"
)


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """A fitted flow."""

    network: nn.Module
    dimension: int
    estimated: bool = False

    @property
    def calls(self) -> int:
        """One for each column in each layer."""
        return LAYERS * self.dimension

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return count(self.network)

    def _stages(self, source: torch.Generator, size: int) -> Tensor:
        """Noise, and what each further layer makes of it, `(size, 1 + layers, d)`."""
        stages = [torch.randn(size, self.dimension, generator=source)]
        for layer in reversed(self.network().transform.transforms):
            stages.append(layer.inv(stages[-1]))
        return torch.stack(stages, dim=1)

    def sample(self, n: int, seed: int) -> Tensor:
        """Noise, back through all layers."""
        return in_chunks(n, seed, self._stages)[:, -1]

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Eq. (1)."""
        return torch.cat([self.network().log_prob(part) for part in x.split(1024)])

    def frames(self, n: int, count: int) -> list[Frame]:
        """Noise, and after each layer; a few of them, if there are more than asked for."""
        stages = in_chunks(n, 0, self._stages).unbind(1)
        kept = sorted({round(k * LAYERS / (count - 1)) for k in range(count)})
        titles = ["noise z", *(f"after {k} of {LAYERS} layers" for k in range(1, LAYERS + 1))]
        return [Frame(titles[k], stages[k]) for k in kept]


def library() -> Any:
    """zuko, which is an extra.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    try:
        import zuko
    except ImportError as error:
        raise MissingDependencyError(
            "the normalizing flow needs zuko; install it: pip install 'sfumato[compare]'."
        ) from error
    return zuko


def fit(rows: Tensor, budget: Budget, seed: int) -> Flow:
    """Ascend eq. (1).

    Raises:
        MissingDependencyError: if zuko is not installed.
    """
    d, flows = rows.shape[1], library().flows
    network = seeded(
        lambda: flows.NSF(d, transforms=LAYERS, hidden_features=(WIDTH, WIDTH), bins=BINS), seed
    )
    optimizer = AdamW(network.parameters(), 0.0)
    draw, _ = batches(rows, BATCH, seed)
    for done in budget:
        optimizer.forget_gradients()
        (-network().log_prob(draw()).mean()).backward()
        optimizer.clip(1.0)
        optimizer.step(RATE * cosine(done))
    return Flow(network, d)
