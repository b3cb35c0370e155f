"""Sfumato's model of points: the denoiser, the process and the sampler of its recipe.

What flow matching has in common with it is here as well: both train a denoiser by the same loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato import config
from sfumato.config import recipes
from sfumato.data.points import Points
from sfumato.data.table import default_names
from sfumato.models.gaussian import EXACT_DIMENSIONS
from sfumato.models.model import Model
from sfumato.runs.data import Dataset
from sfumato.runs.families.family import Budget, Frame, count
from sfumato.runs.fit import prepare

title = "diffusion"
even = True
likelihood = "of its probability flow, by the divergence along it (exact up to 32 columns)"
recipe = (
    "Sfumato's model of points: a perceptron with Fourier features, an EDM denoiser on a "
    "cosine schedule, Muon from 0.035 (of fewer than 5,000 rows or in more than three columns, "
    "AdamW from 0.01) down to 0, averaged weights; DPM-Solver++ 3M SDE"
)


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """A fitted denoiser with its process and sampler."""

    model: Model

    @property
    def calls(self) -> int:
        """One for each step of the sampler."""
        return int(self.model.settings.sampling.steps)

    @property
    def parameters(self) -> int:
        """Of the denoiser's network."""
        return count(self.model.denoiser.network)

    @property
    def estimated(self) -> bool:
        """Of many columns, the divergence is estimated."""
        return bool(self.model.codec.dimension > EXACT_DIMENSIONS)

    def sample(self, n: int, seed: int) -> Tensor:
        """Noise, denoised step by step."""
        return _tensor(np.concatenate(list(self.model.sample_chunks(n, seed=seed))))

    def log_prob(self, x: Tensor) -> Tensor:
        """See `models.gaussian.GaussianModel.log_prob_chunks`."""
        chunks = self.model.log_prob_chunks(x.double().numpy())
        return torch.cat([each.nats for each in chunks])

    def frames(self, n: int, count: int) -> list[Frame]:
        """Times on the way, evenly spaced, noise first."""
        frames = self.model.pictured_frames(n, count)
        titles = ["noise, t = 1", *(f"t = {1 - k / (count - 1):g}" for k in range(1, count))]
        return [Frame(title, _tensor(x)) for title, (_, x) in zip(titles, frames, strict=True)]


def _tensor(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(rows).float()


def fit(rows: Tensor, budget: Budget, seed: int) -> Denoised:
    """With the recipe for as many points of so many columns."""
    return denoiser(rows, budget, seed, recipes.points(*rows.shape))


def denoiser(rows: Tensor, budget: Budget, seed: int, *layers: Mapping[str, Any]) -> Denoised:
    """Fit a denoiser with these changes to the default settings, later ones before earlier."""
    own = {"seed": seed, "training": {"steps": budget.num_steps or 10**6}}
    settings = config.resolve(*layers, own)
    points = Points(rows.double().numpy(), default_names(rows.shape[1]))
    training, model = prepare(settings, Dataset(points, None, settings.data, seed))
    with training.learning():
        for _, batch in zip(budget, training.batches(training.num_steps), strict=False):
            training.descend(batch)
    return Denoised(model.with_network(training.drawing_network(last=False)))
