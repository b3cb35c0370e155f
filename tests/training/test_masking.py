"""What a table's network learns to predict, and from what."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from sfumato.config import TrainingSettings
from sfumato.data.codecs.table import TableCells, TableRows
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import edm
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import Cosine
from sfumato.training.loop import Training
from sfumato.training.loss import WEIGHTINGS
from sfumato.training.masking import (
    MaskedRows,
    Masking,
    Requested,
    cross_entropies,
    masking,
    table_loss,
)

# Three columns of categories; the second of two numbers is there where the last category is 0.
MASKING = Masking((2, 4, 3), (-1, 2))
N = 20_000


def rows() -> TableRows:
    source = torch.Generator().manual_seed(0)
    numbers = torch.randn(N, 2, generator=source)
    codes = [torch.randint(0, size, (N, 1), generator=source) for size in MASKING.sizes]
    return TableRows(numbers, torch.cat(codes, 1))


@pytest.fixture(scope="module")
def requested() -> Requested:
    source = torch.Generator().manual_seed(1)
    return MASKING(rows(), torch.rand(N, MASKING.draws, generator=source))


def share(mask: Tensor) -> tuple[int, int]:
    return int(mask.sum()), len(mask)


def test_a_row_is_of_categories_or_of_numbers_never_of_both(requested: Requested) -> None:
    for_levels, for_numbers = requested.hidden.any(1), requested.condition.is_noisy.any(1)
    assert not (for_levels & for_numbers).any()
    assert stats.binomtest(*share(for_levels), MASKING.share).pvalue > 1e-3
    assert MASKING.share == 0.4  # three levels, two numbers: as many as may be


def test_any_number_of_categories_is_hidden_as_often_and_any_of_them(requested: Requested) -> None:
    hidden = requested.hidden[requested.hidden.any(1)]
    counts = torch.bincount(hidden.sum(1), minlength=4)[1:]
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    single = hidden[hidden.sum(1) == 1].sum(0)
    assert stats.chisquare(single.numpy()).pvalue > 1e-3


def test_a_hidden_category_is_given_as_hidden_and_the_others_as_they_are(
    requested: Requested,
) -> None:
    sizes = torch.tensor(MASKING.sizes)
    assert (
        requested.condition.categories[requested.hidden] == sizes.expand(N, -1)[requested.hidden]
    ).all()
    assert (requested.condition.categories == rows().categories)[~requested.hidden].all()


def test_no_number_gives_its_own_hidden_category_away(requested: Requested) -> None:
    """The second number is known only in rows whose last category is 0, which gives it away."""
    assert not (requested.condition.is_known[:, 1] & requested.hidden[:, 2]).any()
    assert requested.condition.is_known[requested.hidden[:, 0]].any()


def test_missing_numbers_are_neither_known_nor_requested(requested: Requested) -> None:
    gone = rows().categories[:, 2] != 0
    assert not requested.condition.is_known[gone, 1].any()
    assert not requested.condition.is_noisy[gone, 1].any()


def test_known_numbers_are_given_and_nothing_else(requested: Requested) -> None:
    condition = requested.condition
    assert condition.known.equal(torch.where(condition.is_known, rows().numeric, 0.0))
    assert not (condition.is_known & condition.is_noisy).any()


def test_every_number_that_is_there_is_known_or_requested_in_rows_of_numbers(
    requested: Requested,
) -> None:
    of_numbers = ~requested.hidden.any(1)
    there = torch.stack([torch.ones(N, dtype=torch.bool), rows().categories[:, 2] == 0], 1)
    either = requested.condition.is_known | requested.condition.is_noisy
    assert either[of_numbers].equal(there[of_numbers])


def test_half_of_the_rows_know_nothing_and_the_others_half_in_the_mean(
    requested: Requested,
) -> None:
    first = requested.condition.is_known[:, 0][~requested.hidden.any(1)]
    assert stats.binomtest(*share(first), 0.25).pvalue > 1e-3


class Fixed(nn.Module):
    """Answers 0 for numbers, and the same logits for every row."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.log(torch.tensor([0.5, 0.5, 0.1, 0.2, 0.3, 0.4])))

    def forward(
        self, x: Tensor, number: Tensor, condition: TableCondition
    ) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), self.logits.expand(len(x), -1)


def test_the_loss_is_the_log_loss_of_categories_and_the_square_of_numbers() -> None:
    """By hand, for a network that always answers the same."""
    denoise = TableDenoiser(Fixed(), edm)
    x_0, eps = torch.tensor([[1.0, 2.0]] * 3), torch.tensor([[0.5, -1.0]] * 3)
    alpha = torch.tensor([0.8] * 3, dtype=torch.float64)
    level = NoiseLevel(alpha, (1 - alpha**2).sqrt())
    no = torch.zeros(3, 2, dtype=torch.bool)
    noisy = torch.tensor([[True, True], [False, True], [False, False]])
    hidden = torch.tensor([[False, False], [False, False], [True, True]])
    codes = torch.tensor([[0, 0], [0, 0], [1, 2]])
    requested = Requested(TableCondition(torch.zeros(3, 2), no, noisy, codes), hidden)
    weight = WEIGHTINGS["simple"](edm, None)  # type: ignore[arg-type]
    found = table_loss(denoise, TableRows(x_0, codes), level, eps, weight, requested, (2, 4))
    # F is 0 and its target alpha... : (x_0 - alpha x_t)/sigma = sigma x_0 - alpha eps.
    errors = (0.6 * x_0[0] - 0.8 * eps[0]).square()
    # A number counts as four categories do.
    expected = [
        4 * float(errors.sum() / 2),
        4 * float(errors[1] / 2),
        (-math.log(0.5) - math.log(0.3)) / 2,
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("apart", [1.0, 1e4])
def test_all_columns_at_once_are_pytorchs_own_cross_entropies(apart: float) -> None:
    """Values and gradients, also where one column's logits are far above another's."""
    sizes = (2, 1, 30, 5)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, sum(sizes), generator=generator)
    logits = (logits + apart * torch.tensor([1, 1, 0, *[-1] * 30, *[2] * 5])).requires_grad_()
    codes = torch.stack([torch.randint(size, (50,), generator=generator) for size in sizes], 1)
    weight = torch.rand(50, len(sizes), generator=generator)

    def gradient(nats: Tensor) -> Tensor:
        return torch.autograd.grad((nats * weight).sum(), logits)[0]

    each = zip(logits.split(sizes, 1), codes.unbind(1), strict=True)
    expected = torch.stack(
        [nn.functional.cross_entropy(own, code, reduction="none") for own, code in each], 1
    )
    found = cross_entropies(logits, codes, sizes)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=apart * 1e-6)
    torch.testing.assert_close(gradient(found), gradient(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "states", "expected"),
    [
        ((), (-1,), 0.0),
        ((2,), (), 1.0),
        ((2,) * 9, (-1,), 0.4),
        ((2,) * 3, (-1,) * 7, 0.3),
        ((2,), (-1,) * 9, 0.25),
    ],
)
def test_either_task_gets_its_share(
    sizes: tuple[int, ...], states: tuple[int, ...], expected: float
) -> None:
    drawn = Masking(sizes, states)
    assert drawn.share == expected
    data = TableRows(torch.zeros(50, len(states)), torch.zeros(50, len(sizes)).long())
    found = drawn(data, torch.rand(50, drawn.draws))
    assert found.hidden.any(1).all() == (expected == 1.0)
    assert found.condition.is_noisy.shape == (50, len(states))


def training(**settings: Any) -> Training:
    recipe = TrainingSettings.model_validate({"reference": 0, "batch_size": 40} | settings)
    torch.manual_seed(0)
    network = TableMLP(2, MASKING.sizes, width=16, depth=1)
    denoiser = TableDenoiser(network, edm)
    objective = masking(
        denoiser, ContinuousProcess(Cosine()), recipe, MASKING.sizes, MASKING.states
    )
    points = rows()  # without cells
    cells = TableCells(points.numeric, points.numeric, points.categories)
    return Training(denoiser, objective, cells, recipe, seed=0)


def test_rows_of_a_batch_do_not_depend_on_each_other() -> None:
    """So that a batch may be computed in parts."""
    learner = training()
    (batch,) = learner.batches(1)
    parts = [batch[:7], batch[7:]]
    assert [len(part) for part in parts] == [7, 33]
    whole = learner.objective.losses(learner.denoiser, batch)
    some = torch.cat([learner.objective.losses(learner.denoiser, part) for part in parts])
    torch.testing.assert_close(some, whole, rtol=1e-5, atol=1e-5)


def test_a_batch_is_of_rows_of_the_table() -> None:
    batch = next(training().batches(1))
    assert isinstance(batch, MaskedRows)
    known = {
        (*n, *c) for n, c in zip(rows().numeric.tolist(), rows().categories.tolist(), strict=True)
    }
    of_batch = zip(batch.rows.numeric.tolist(), batch.rows.categories.tolist(), strict=True)
    assert {(*n, *c) for n, c in of_batch} <= known


@pytest.mark.parametrize("setting", [{"reference": 64}, {"times": "importance"}])
def test_what_needs_the_loss_of_whole_rows_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(setting))):
        training(**setting)
