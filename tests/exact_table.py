"""A model of tables whose network is exact: what it draws, fills and scores has a known law.

Rows are a word k, "a" or "b", and two numbers that are Gaussian given k and correlated; the second
has missing values, more often with "b". What the network answers is worked out from that law.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from sfumato import config
from sfumato.config import recipes
from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.data.table import Column, DataTable
from sfumato.denoisers.table import TableDenoiser
from sfumato.models.table import TableModel
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import edm
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import Cosine

SHARE_B = 0.3
HOLES = torch.tensor([0.1, 0.6])  # of the second number, given a, b
MEANS = torch.tensor([[0.5, -0.5], [-1.0, 1.0]]).double()
COVARIANCE = torch.tensor([[0.5, 0.3], [0.3, 0.4]]).double()


class Exact(nn.Module):
    """The answers of a network that has learned the law perfectly."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("one", nn.Parameter(torch.ones(1)))

    def forward(
        self, x: Tensor, number: Tensor, condition: TableCondition
    ) -> tuple[Tensor, Tensor]:
        level = NoiseLevel.from_log_snr(number.expand(len(x)))
        scalings = edm(level)
        alpha, sigma = level.alpha[:, None], level.sigma[:, None]
        gain = torch.where(condition.is_known, 1.0, alpha * condition.is_noisy)
        noise = torch.where(
            condition.is_known, 1e-12, torch.where(condition.is_noisy, sigma**2, 1.0)
        )
        seen = torch.where(condition.is_known, condition.known.to(x), x * condition.is_noisy)
        mean = MEANS[condition.categories[:, 0].clamp(max=1)]
        cross = COVARIANCE * gain[:, None]
        within = gain[:, :, None] * cross + torch.diag_embed(noise)
        error = seen - gain * mean
        x_0 = mean + (cross @ torch.linalg.solve(within, error[..., None]))[..., 0]
        answer = (x_0 - scalings.c_skip[:, None] * x) / scalings.c_out[:, None]
        return answer * condition.is_noisy, _logits(condition)


def _logits(condition: TableCondition) -> Tensor:
    """Log p(word | the rest) and log p(hole or not | the rest)."""
    words = torch.log(torch.tensor([1 - SHARE_B, SHARE_B]).double()).expand(
        len(condition.categories), 2
    )
    known = condition.is_known.double()
    # What is not known is looked at through infinite noise: it tells nothing of the word.
    within = known[:, :, None] * COVARIANCE * known[:, None] + torch.diag_embed(1 - known)
    for k in (0, 1):
        law = torch.distributions.MultivariateNormal(torch.zeros(2).double(), within)
        likelihood = law.log_prob(known * (condition.known.double() - MEANS[k]))
        words = words + torch.eye(2).double()[k] * likelihood[:, None]
    word, state = condition.categories.T
    of_state = torch.log(torch.stack([1 - HOLES, HOLES])).double()  # (state, word)
    seen = torch.cat([of_state, torch.zeros(1, 2).double()])[state]
    words = (words + seen).log_softmax(1)
    certain = torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]]).double()
    given = torch.where((word == 2)[:, None], words, certain[word.clamp(max=1)])
    states = (given[:, None] + of_state).logsumexp(2)
    return torch.cat([words, states.log_softmax(1)], 1)


def wide(name: str, *, missing: bool) -> NumericCodec:
    """From -9 to 9, its map the identity."""
    knots, heights = (0.0, 18.0), (-9.0, 9.0)
    return NumericCodec(name, "continuous", (), missing, 0.0, -9.0, 9.0, knots, heights, "float64")


def exact_model() -> TableModel:
    """The model, its codec the identity."""
    words = CategoricalCodec("word", "categorical", ("a", "b"), has_missing=False, dtype="object")
    codec = TableCodec(
        (words, wide("x", missing=False), wide("y", missing=True)),
        10**9,
        ("word", "x", "y"),
    )
    settings = config.resolve(recipes.table(1000, 3))
    return TableModel(
        settings,
        codec,
        ContinuousProcess(Cosine(shift=1.0)),
        TableDenoiser(Exact().double(), edm),
    )


def rows(words: list[str], x: list[float], y: list[float]) -> DataTable:
    """NaN is a hole."""
    return DataTable(
        (
            Column("word", np.array(words, object), np.array([w == "?" for w in words])),
            Column("x", np.nan_to_num(np.array(x)), np.isnan(x)),
            Column("y", np.nan_to_num(np.array(y)), np.isnan(y)),
        )
    )
