"""What a table's network is asked while it learns."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from sfumato.denoisers.table import TableDenoiser
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import edm
from sfumato.training.loss import WEIGHTINGS
from sfumato.training.masking import Asked, Masking, table_loss

# Three columns with levels; of the two numbers the second is there where the last level is 0.
MASKING = Masking((2, 4, 3), (-1, 2))
N = 20_000


def rows() -> Tensor:
    source = torch.Generator().manual_seed(0)
    numbers = torch.randn(N, 2, generator=source)
    levels = [torch.randint(0, size, (N, 1), generator=source) for size in MASKING.sizes]
    return torch.cat([numbers, *levels], 1)


@pytest.fixture(scope="module")
def asked() -> Asked:
    source = torch.Generator().manual_seed(1)
    return MASKING(rows(), torch.rand(N, MASKING.draws, generator=source))


def share(mask: Tensor) -> tuple[int, int]:
    return int(mask.sum()), len(mask)


def test_a_row_is_asked_for_levels_or_for_numbers_never_for_both(asked: Asked) -> None:
    for_levels, for_numbers = asked.hidden.any(1), asked.told.is_noisy.any(1)
    assert not (for_levels & for_numbers).any()
    assert stats.binomtest(*share(for_levels), MASKING.share).pvalue > 1e-3
    assert MASKING.share == 0.6  # three levels, two numbers


def test_any_number_of_levels_is_hidden_as_often_and_any_of_them(asked: Asked) -> None:
    hidden = asked.hidden[asked.hidden.any(1)]
    counts = torch.bincount(hidden.sum(1), minlength=4)[1:]
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    single = hidden[hidden.sum(1) == 1].sum(0)
    assert stats.chisquare(single.numpy()).pvalue > 1e-3


def test_a_hidden_level_is_told_as_hidden_and_the_others_as_they_are(asked: Asked) -> None:
    sizes = torch.tensor(MASKING.sizes)
    assert (asked.told.categories[asked.hidden] == sizes.expand(N, -1)[asked.hidden]).all()
    assert (asked.told.categories == asked.levels)[~asked.hidden].all()
    assert asked.levels.equal(rows()[:, 2:].long())


def test_no_number_gives_its_own_hidden_level_away(asked: Asked) -> None:
    """The second number is known only of rows whose last level is 0, which would tell it."""
    assert not (asked.told.is_known[:, 1] & asked.hidden[:, 2]).any()
    assert asked.told.is_known[asked.hidden[:, 0]].any()


def test_numbers_that_are_not_there_are_neither_known_nor_asked_for(asked: Asked) -> None:
    gone = asked.levels[:, 2] != 0
    assert not asked.told.is_known[gone, 1].any()
    assert not asked.told.is_noisy[gone, 1].any()


def test_known_numbers_are_told_and_nothing_else(asked: Asked) -> None:
    told = asked.told
    assert told.known.equal(torch.where(told.is_known, rows()[:, :2], 0.0))
    assert not (told.is_known & told.is_noisy).any()


def test_every_number_that_is_there_is_known_or_asked_for_where_numbers_are(asked: Asked) -> None:
    of_numbers = ~asked.hidden.any(1)
    there = torch.stack([torch.ones(N, dtype=torch.bool), asked.levels[:, 2] == 0], 1)
    either = asked.told.is_known | asked.told.is_noisy
    assert either[of_numbers].equal(there[of_numbers])


def test_half_of_the_rows_know_nothing_and_the_others_half_in_the_mean(asked: Asked) -> None:
    first = asked.told.is_known[:, 0][~asked.hidden.any(1)]
    assert stats.binomtest(*share(first), 0.25).pvalue > 1e-3


class Fixed(nn.Module):
    """Answers 0 for numbers, and the same logits for every row."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.log(torch.tensor([0.5, 0.5, 0.1, 0.2, 0.3, 0.4])))

    def forward(self, x: Tensor, number: Tensor, told: TableCondition) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), self.logits.expand(len(x), -1)


def test_the_loss_is_the_log_loss_of_levels_and_the_square_of_numbers() -> None:
    """By hand, for a network that always answers the same."""
    denoise = TableDenoiser(Fixed(), edm)
    x_0, eps = torch.tensor([[1.0, 2.0]] * 3), torch.tensor([[0.5, -1.0]] * 3)
    alpha = torch.tensor([0.8] * 3, dtype=torch.float64)
    level = NoiseLevel(alpha, (1 - alpha**2).sqrt())
    no = torch.zeros(3, 2, dtype=torch.bool)
    noisy = torch.tensor([[True, True], [False, True], [False, False]])
    hidden = torch.tensor([[False, False], [False, False], [True, True]])
    levels = torch.tensor([[0, 0], [0, 0], [1, 2]])
    asked = Asked(TableCondition(torch.zeros(3, 2), no, noisy, levels), hidden, levels)
    weight = WEIGHTINGS["simple"](edm, None)  # type: ignore[arg-type]
    found = table_loss(denoise, x_0, level, eps, weight, asked, (2, 4))
    # F is 0 and its target alpha... : (x_0 - alpha x_t)/sigma = sigma x_0 - alpha eps.
    errors = (0.6 * x_0[0] - 0.8 * eps[0]).square()
    expected = [
        float(errors.sum() / 2),
        float(errors[1] / 2),
        (-math.log(0.5) - math.log(0.3)) / 2,
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("sizes", "states", "expected"),
    [((), (-1,), 0.0), ((2,), (), 1.0), ((2,) * 9, (-1,), 0.75), ((2,), (-1,) * 9, 0.25)],
)
def test_either_question_gets_its_share(
    sizes: tuple[int, ...], states: tuple[int, ...], expected: float
) -> None:
    masking = Masking(sizes, states)
    assert masking.share == expected
    data = torch.zeros(50, len(sizes) + len(states))
    found = masking(data, torch.rand(50, masking.draws))
    assert found.hidden.any(1).all() == (expected == 1.0)
    assert found.told.is_noisy.shape == (50, len(states))
