"""Forward-mode growth of a table network's answers, beside PyTorch's."""

import pytest
import torch

from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.networks.tangents import with_trace

NUMBERS, SIZES, BATCH = 4, (2, 5), 6


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("beside", [0, 4, 7])
@pytest.mark.parametrize("each_its_noise", [False, True])
def test_growth_is_that_of_forward_mode_differentiation(
    depth: int, beside: int, *, each_its_noise: bool
) -> None:
    """Three tangents of four numbers, one of which is answered for twice; some are not noisy."""
    torch.manual_seed(0)
    network = TableMLP(NUMBERS, SIZES, width=24, depth=depth, features=8, beside=beside)
    for weights in network.parameters():  # those that begin at nothing too
        torch.nn.init.normal_(weights, std=0.4)
    network = network.double().eval()
    noisy = torch.rand(BATCH, NUMBERS) < 0.7
    known = ~noisy & (torch.rand(BATCH, NUMBERS) < 0.5)
    condition = TableCondition(
        torch.randn(BATCH, NUMBERS).double(), known, noisy, torch.randint(0, 2, (BATCH, 2))
    )
    sizes = [NUMBERS, beside] if beside else [NUMBERS]
    inputs = [torch.randn(BATCH, size).double() for size in sizes]
    tangents = [torch.randn(BATCH, 3, size).double() for size in sizes]
    noise = torch.randn(BATCH if each_its_noise else ()).double()
    places = torch.tensor([2, 0, 2])

    def answers(x: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = network(x, noise, condition, *more)[0]
        return answer

    expected = torch.zeros(BATCH).double()
    for k, place in enumerate(places):
        along = tuple(each[:, k] for each in tangents)
        expected += torch.autograd.functional.jvp(answers, tuple(inputs), along)[1][:, place]
    with torch.no_grad():
        answer, growth = with_trace(network, inputs, noise, condition, tangents, places)
    torch.testing.assert_close(answer, answers(*inputs))
    torch.testing.assert_close(growth, expected)
    assert float(growth.abs().mean()) > 0.1
