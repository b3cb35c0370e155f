"""A variational autoencoder: Kingma & Welling (2014), with a learned variance of the decoder.

An encoder gives q(z | x) = N(m(x), s(x)²), a decoder p(x | z) = N(g(z), sigma²), and z ~ N(0, I).
Both descend minus the evidence lower bound,

    (1)  -E_q[log p(x | z)] + KL(q(z | x) || N(0, I))

sigma is learned, one for each column: sigma-VAE, Rybkin et al. (2021). log p(x) is estimated by
importance sampling: Burda et al. (2016), eq. 8,

    (2)  log 1/K sum_k p(x | z_k) p(z_k)/q(z_k | x),   z_k ~ q(z | x)

which is at most log p(x) on average, and nearer to it the larger K is.
"""

import math
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.networks.mlp import perceptron
from sfumato.process.gaussian import Gaussian, kl
from sfumato.process.streams import PROBING, generator
from sfumato.runs.families.family import Budget, Frame, batches, cosine, count, in_chunks, seeded
from sfumato.training.averaging import Average
from sfumato.training.optimizer import AdamW

title = "VAE"
even = True
WIDTH, DEPTH, BATCH, RATE, DECAY = 64, 3, 256, 1e-2, 0.999
FIRST_SIGMA = 0.14  # with a wide one the latent numbers are given up at once
DRAWS, ROWS = 256, 256  # of z for each row in eq. (2), and rows at once
likelihood = f"estimated by importance sampling, {DRAWS} draws; too low on average"
recipe = (
    f"encoder and decoder of {DEPTH} x {WIDTH}, a latent number and a learned variance for each "
    f"column (sigma-VAE), batches of {BATCH}, Adam from {RATE:g} down to 0, averaged weights"
)
_PRIOR = Gaussian(torch.zeros(()), torch.ones(()))


class AutoEncoder(nn.Module):
    """Encoder, decoder, and the decoder's deviation of each column."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.encoder = perceptron(d, WIDTH, DEPTH, 2 * d)
        self.decoder = perceptron(d, WIDTH, DEPTH, d)
        self.log_sigma = nn.Parameter(torch.full((d,), math.log(FIRST_SIGMA)))

    def posterior(self, x: Tensor) -> Gaussian:
        """q(z | x)."""
        mean, log_std = self.encoder(x).chunk(2, dim=-1)
        return Gaussian(mean, log_std.clamp(-7, 7).exp())

    def likelihood(self, z: Tensor) -> Gaussian:
        """p(x | z)."""
        return Gaussian(self.decoder(z), self.log_sigma.exp())


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """A fitted autoencoder; only its decoder draws."""

    network: AutoEncoder
    parameters: int
    calls: int = 1
    estimated: bool = True

    def _stages(self, source: torch.Generator, size: int) -> Tensor:
        """z, the decoder's mean, and the sample, `(size, 3, d)`."""
        z, eps = torch.randn(2, size, len(self.network.log_sigma), generator=source)
        x = self.network.likelihood(z)
        return torch.stack([z, x.mean, x.draw(eps)], dim=1)

    def sample(self, n: int, seed: int) -> Tensor:
        """A latent z, one call of the decoder, and noise of its variance."""
        return in_chunks(n, seed, self._stages)[:, -1]

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Eq. (2), a few rows at a time; a row's draws do not depend on how many follow it."""
        found = []
        for chunk, part in enumerate(x.split(ROWS)):
            q = self.network.posterior(part)
            eps = torch.randn(DRAWS, ROWS, part.shape[1], generator=generator(0, PROBING, chunk))
            z = q.draw(eps[:, : len(part)])
            log_joint = self.network.likelihood(z).log_density(part) + _PRIOR.log_density(z)
            log_ratio = (log_joint - q.log_density(z)).sum(-1)
            found.append(log_ratio.logsumexp(0) - math.log(DRAWS))
        return torch.cat(found)

    def frames(self, n: int, count: int) -> list[Frame]:  # noqa: ARG002
        """The latent z, the mean that one call makes of it, and the sample."""
        stages = in_chunks(n, 0, self._stages).unbind(1)
        titles = "noise z", "mean g(z)", "x = g(z) + σ eps"
        by = "", "one network call", "noise of\ndeviation σ"
        return [Frame(*each) for each in zip(titles, stages, by, strict=True)]


def fit(rows: Tensor, budget: Budget, seed: int) -> Decoder:
    """Descend eq. (1), with one draw of z for each row."""
    network = seeded(lambda: AutoEncoder(rows.shape[1]), seed)
    average = Average(network, deepcopy(network), DECAY)
    optimizer = AdamW(network.parameters(), 0.0)
    draw, source = batches(rows, BATCH, seed)
    for done in budget:
        x = draw()
        q = network.posterior(x)
        z = q.draw(torch.randn(x.shape, generator=source))
        bound = network.likelihood(z).log_density(x) - kl(q, _PRIOR)
        optimizer.forget_gradients()
        (-bound.sum(1).mean()).backward()
        optimizer.clip(10.0)
        optimizer.step(RATE * cosine(done))
        average.follow()
    assert isinstance(average.network, AutoEncoder)
    return Decoder(average.network, count(network))
