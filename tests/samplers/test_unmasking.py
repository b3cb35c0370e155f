"""Levels drawn one after another, against a law of three columns that is known whole."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from sfumato.samplers.unmasking import MOST_ROUNDS, draw_categories, log_prob_categories, orders

SIZES = (2, 3, 4)
# p(k_1, k_2, k_3), nothing about it regular.
LAW = np.random.default_rng(0).dirichlet(np.full(24, 0.7)).reshape(SIZES)


def exact_logits(levels: Tensor) -> Tensor:
    """Log p(level of a column | those that are not hidden), for each column in turn."""
    rows = []
    for row in levels.tolist():
        logits: list[float] = []
        for column, size in enumerate(SIZES):
            seen = [slice(None) if k == SIZES[j] or j == column else k for j, k in enumerate(row)]
            kept = LAW[tuple(k if isinstance(k, slice) else slice(k, k + 1) for k in seen)]
            others = tuple(j for j in range(3) if j != column)
            marginal = kept.sum(others)
            logits += np.log(marginal / marginal.sum()).tolist()
            assert len(marginal) == size
        rows.append(logits)
    return torch.tensor(rows, dtype=torch.float64)


def every_level() -> Tensor:
    return torch.cartesian_prod(*(torch.arange(size) for size in SIZES))


@pytest.mark.parametrize("seed", range(4))
def test_the_chain_rule_gives_the_law_in_any_order(seed: int) -> None:
    found = log_prob_categories(exact_logits, every_level(), SIZES, orders(3, seed, 0))
    np.testing.assert_allclose(found.exp().numpy(), LAW.ravel(), rtol=1e-12)


@pytest.mark.parametrize("most", [1, 24 * 12 * 5])
def test_rounds_asked_about_in_parts_give_the_same(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One round at once and five, of four orders of three."""
    asked = []

    def counted(levels: Tensor) -> Tensor:
        asked.append(len(levels) // 24)
        return exact_logits(levels)

    monkeypatch.setattr("sfumato.samplers.unmasking._MOST_NUMBERS", most)
    found = log_prob_categories(counted, every_level(), SIZES, orders(3, 0, 0))
    assert asked == ([1] * 12 if most == 1 else [5, 5, 2])
    np.testing.assert_allclose(found.exp().numpy(), LAW.ravel(), rtol=1e-12)


def test_a_given_level_is_a_condition_in_every_round() -> None:
    """Whatever stands in its place among the categories, and whatever is given in other rows."""
    levels = every_level()
    some = levels[:, 1] == 2
    given = torch.where(some[:, None], torch.tensor((2, 1, 4)), torch.tensor(SIZES))
    found = log_prob_categories(exact_logits, levels, SIZES, orders(3, 0, 0), given=given).exp()
    conditional = LAW[:, 1] / LAW[:, 1].sum()
    np.testing.assert_allclose(found[some].numpy(), conditional.ravel(), rtol=1e-12)
    np.testing.assert_allclose(found[~some].numpy(), LAW[:, :2].ravel(), rtol=1e-12)


def test_what_may_stand_beside_a_level_goes_by_those_of_its_own_round_too() -> None:
    """All columns in one round, as of very many, the first two of them to be alike."""

    def allowed(seen: Tensor, column: int) -> Tensor | None:
        if column != 1:
            return None
        first = seen[:, :1]
        return (torch.arange(3) == first) | (first == 2)

    every = every_level()
    found = log_prob_categories(exact_logits, every, SIZES, (((0, 1, 2),),), allowed).exp()
    chances = [LAW.sum((1, 2)), LAW.sum((0, 1))]
    expected = [chances[0][i] * chances[1][k] * (i == j) for i, j, k in every.tolist()]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_probabilities_of_a_network_that_contradicts_itself_sum_to_one() -> None:
    """One whose factors belong to no common law: the mean over orders is a law all the same."""
    table = torch.randn(64, sum(SIZES), generator=torch.Generator().manual_seed(0)).double()

    def odd(levels: Tensor) -> Tensor:
        place = (levels * torch.tensor([1, 3, 12])).sum(1) % 64
        return table[place]

    found = log_prob_categories(odd, every_level(), SIZES, orders(3, 0, 0))
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_draws_follow_the_law() -> None:
    n = 20_000
    hidden = torch.tensor(SIZES).expand(n, -1)
    uniform = torch.rand(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = draw_categories(_quick, hidden, SIZES, orders(3, 0, 0), uniform)
    counts = np.bincount(np.ravel_multi_index(drawn.T.numpy(), SIZES), minlength=24)
    assert stats.chisquare(counts, LAW.ravel() * n).pvalue > 1e-3


def _quick(levels: Tensor) -> Tensor:
    """The exact logits, of each different row once."""
    different, back = levels.unique(dim=0, return_inverse=True)
    return exact_logits(different)[back]


def test_draws_given_a_level_follow_the_conditional_law() -> None:
    n = 20_000
    known = torch.tensor((2, 1, 4)).repeat(n, 1)
    uniform = torch.rand(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = draw_categories(_quick, known, SIZES, orders(3, 0, 0), uniform)
    assert (drawn[:, 1] == 1).all()
    conditional = LAW[:, 1] / LAW[:, 1].sum()
    counts = np.bincount(np.ravel_multi_index(drawn[:, [0, 2]].T.numpy(), (2, 4)), minlength=8)
    assert stats.chisquare(counts, conditional.ravel() * n).pvalue > 1e-3


def test_a_barred_level_is_not_drawn_and_the_others_keep_their_odds() -> None:
    n = 20_000
    hidden = torch.tensor((2, 3, 4)).repeat(n, 1)
    hidden[:, :2] = torch.tensor((0, 2))
    uniform = torch.rand(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = draw_categories(_quick, hidden, SIZES, orders(3, 0, 0), uniform, barred=(-1, -1, 3))
    odds = LAW[0, 2, :3] / LAW[0, 2, :3].sum()
    counts = np.bincount(drawn[:, 2].numpy(), minlength=4)
    assert counts[3] == 0
    assert stats.chisquare(counts[:3], odds * n).pvalue > 1e-3


def test_the_network_is_not_asked_where_nothing_is_hidden() -> None:
    def never(levels: Tensor) -> Tensor:
        raise AssertionError

    levels = every_level()
    uniform = torch.rand(levels.shape, dtype=torch.float64)
    assert draw_categories(never, levels, SIZES, orders(3, 0, 0), uniform).equal(levels)


def test_hidden_levels_do_not_count() -> None:
    levels = torch.tensor([(0, 3, 1), (1, 3, 4)])
    found = log_prob_categories(exact_logits, levels, SIZES, orders(3, 0, 0)).exp()
    expected = [LAW[0, :, 1].sum(), LAW[1].sum()]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("columns", [0, 1, 3, MOST_ROUNDS, 3 * MOST_ROUNDS + 5])
def test_an_order_has_every_column_once_in_a_bounded_number_of_rounds(columns: int) -> None:
    for order in orders(columns, 0, 0):
        flat: Sequence[int] = [column for each in order for column in each]
        assert sorted(flat) == list(range(columns))
        assert len(order) <= max(MOST_ROUNDS, 1)
        assert columns == 0 or all(order)
