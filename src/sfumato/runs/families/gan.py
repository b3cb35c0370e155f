"""A Wasserstein GAN with gradient penalty: Gulrajani et al. (2017), algorithm 1.

A generator G takes noise z to rows; a critic D tells them from real ones. In turn

    (1)  D descends  D(G(z)) - D(x) + lambda (|grad D(x̂)| - 1)²,   x̂ = u x + (1 - u) G(z)
    (2)  G descends  -D(G(z))

with u uniform in [0, 1]. The generator that draws is an average over the steps of G
(Yazıcı et al. 2019).
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.networks.mlp import perceptron
from sfumato.runs.families.family import Budget, Frame, batches, cosine, count, in_chunks, seeded
from sfumato.training.averaging import Average
from sfumato.training.optimizer import AdamW

title = "GAN"
even = True
likelihood = "none: a GAN only draws"

WIDTH, DEPTH, BATCH = 64, 3, 256
CRITIC_STEPS, PENALTY, RATE, BETAS, DECAY = 2, 0.1, 2e-3, (0.5, 0.9), 0.999
recipe = (
    f"Wasserstein GAN with gradient penalty {PENALTY}: two perceptrons of {DEPTH} x {WIDTH}, "
    f"{CRITIC_STEPS} steps of the critic to one of the generator, batches of {BATCH}, Adam "
    f"{BETAS} from {RATE:g} down to 0, averaged weights"
)


@dataclass(frozen=True, slots=True, eq=False)
class Generator:
    """A fitted generator."""

    network: nn.Module
    dimension: int
    parameters: int
    calls: int = 1
    estimated: bool = False

    def sample(self, n: int, seed: int) -> Tensor:
        """Noise, and one call of the network."""
        return in_chunks(n, seed, lambda source, size: self.network(self._noise(source, size)))

    def _noise(self, source: torch.Generator, size: int) -> Tensor:
        return torch.randn(size, self.dimension, generator=source)

    def log_prob(self, x: Tensor) -> None:  # noqa: ARG002
        """None: a generator has no density."""
        return

    def frames(self, n: int, count: int) -> list[Frame]:  # noqa: ARG002
        """Noise, and what one call makes of it."""
        return [
            Frame("noise z", in_chunks(n, 0, self._noise)),
            Frame("x = G(z)", self.sample(n, 0), "one network call"),
        ]


def fit(rows: Tensor, budget: Budget, seed: int) -> Generator:
    """Algorithm 1; a step is one of the generator, after several of the critic."""
    d = rows.shape[1]
    generator = seeded(lambda: perceptron(d, WIDTH, DEPTH, d), seed)
    critic = seeded(lambda: perceptron(d, WIDTH, DEPTH, 1, nn.ReLU), seed + 1)
    average = Average(generator, deepcopy(generator), DECAY)
    down, up = (AdamW(each.parameters(), 0.0, BETAS) for each in (generator, critic))
    real, source = batches(rows, BATCH, seed)

    def drawn() -> Tensor:
        fake: Tensor = generator(torch.randn(BATCH, d, generator=source))
        return fake

    for done in budget:
        for _ in range(CRITIC_STEPS):
            with torch.no_grad():
                fake = drawn()
            x = real()
            up.forget_gradients()
            of_fake, of_real = critic(torch.cat([fake, x])).chunk(2)
            penalty = steepness(critic, x, fake, source)
            (of_fake.mean() - of_real.mean() + PENALTY * penalty).backward()
            up.step(RATE * cosine(done))
        down.forget_gradients()
        (-critic(drawn()).mean()).backward()
        down.step(RATE * cosine(done))
        average.follow()
    return Generator(average.network, d, count(generator, critic))


def steepness(critic: nn.Module, x: Tensor, fake: Tensor, source: torch.Generator) -> Tensor:
    """The penalty of eq. (1), which holds the critic's slope near 1."""
    between = torch.lerp(fake, x, torch.rand(len(x), 1, generator=source)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    squares: Tensor = (slope.norm(dim=1) - 1).square()
    return squares.mean()
