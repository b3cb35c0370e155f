"""A perceptron for tables: what it may see of a row, and what not."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.networks.table_mlp import TableCondition, TableMLP

NUMBERS, SIZES, BATCH = 3, (2, 5), 4


@pytest.fixture
def network() -> TableMLP:
    torch.manual_seed(0)
    made = TableMLP(NUMBERS, SIZES, width=32, depth=2, dropout=0.2)
    for weights in made.parameters():  # those that begin at nothing too
        torch.nn.init.normal_(weights, std=0.3)
    return made.eval()


def condition() -> TableCondition:
    """The first number known, the second noisy, the third not there."""
    known = torch.tensor([True, False, False]).expand(BATCH, -1)
    noisy = torch.tensor([False, True, False]).expand(BATCH, -1)
    levels = torch.tensor([[0, 4], [1, 5], [2, 0], [2, 5]])
    return TableCondition(torch.randn(BATCH, NUMBERS), known, noisy, levels)


def ask(network: TableMLP, x: Tensor, of: TableCondition) -> tuple[Tensor, Tensor]:
    answer, logits = network(x, torch.linspace(-5, 5, BATCH), of)
    return answer, logits


def test_only_noisy_numbers_are_answered(network: TableMLP) -> None:
    answer, logits = ask(network, torch.randn(BATCH, NUMBERS), condition())
    assert answer.shape == (BATCH, NUMBERS)
    assert logits.shape == (BATCH, sum(SIZES))
    assert (answer[:, [0, 2]] == 0).all()
    assert (answer[:, 1] != 0).all()


def test_the_numbers_alone_are_those_beside_the_logits(network: TableMLP) -> None:
    x, of = torch.randn(BATCH, NUMBERS), condition()
    answer, _ = ask(network, x, of)
    alone, none = network(x, torch.linspace(-5, 5, BATCH), of, logits=False)
    assert alone.equal(answer)
    assert none.shape == (BATCH, 0)


def test_what_is_not_known_is_not_seen(network: TableMLP) -> None:
    """Noisy values of numbers that are not noisy, known values of those that are not known."""
    x, of = torch.randn(BATCH, NUMBERS), condition()
    before = ask(network, x, of)
    other_x = torch.where(of.is_noisy, x, torch.randn(BATCH, NUMBERS))
    other = replace(of, known=torch.where(of.is_known, of.known, torch.randn(BATCH, NUMBERS)))
    for one, again in zip(before, ask(network, other_x, other), strict=True):
        assert one.equal(again)


@pytest.mark.parametrize("part", ["noisy", "known", "level", "number"])
def test_what_is_known_is_seen(network: TableMLP, part: str) -> None:
    x, of = torch.randn(BATCH, NUMBERS), condition()
    before = ask(network, x, of)
    number = torch.linspace(-5, 5, BATCH)
    if part == "noisy":
        x = x + of.is_noisy
    elif part == "known":
        of = replace(of, known=of.known + of.is_known)
    elif part == "level":
        of = replace(of, categories=(of.categories + 1) % torch.tensor([3, 6]))
    else:
        number = number + 1
    for one, changed in zip(before, network(x, number, of), strict=True):
        differs = (one != changed).any(1)
        assert differs.all()


def test_rows_do_not_depend_on_each_other(network: TableMLP) -> None:
    x, of, number = torch.randn(BATCH, NUMBERS), condition(), torch.linspace(-5, 5, BATCH)
    whole = network(x, number, of)
    for row in range(BATCH):
        one = slice(row, row + 1)
        alone = network(
            x[one], number[one],
            TableCondition(of.known[one], of.is_known[one], of.is_noisy[one], of.categories[one]),
        )  # fmt: skip
        for each, of_whole in zip(alone, whole, strict=True):
            torch.testing.assert_close(each, of_whole[one], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("numbers", "sizes"), [(3, ()), (0, (2, 5))])
def test_tables_of_one_kind_of_column_have_a_network(numbers: int, sizes: tuple[int, ...]) -> None:
    network = TableMLP(numbers, sizes, width=8, depth=1)
    nothing = torch.zeros(BATCH, numbers, dtype=torch.bool)
    levels = torch.zeros(BATCH, len(sizes), dtype=torch.int64)
    x = torch.randn(BATCH, numbers)
    answer, logits = network(x, torch.zeros(BATCH), TableCondition(x, nothing, ~nothing, levels))
    assert answer.shape == (BATCH, numbers)
    assert logits.shape == (BATCH, sum(sizes))


def test_an_untrained_network_knows_nothing() -> None:
    """All levels alike, and the answer that is right for numbers that are N(0, 1)."""
    network = TableMLP(NUMBERS, SIZES, width=32, depth=2)
    answer, logits = ask(network, torch.randn(BATCH, NUMBERS), condition())
    assert (answer == 0).all()
    assert (logits == 0).all()
