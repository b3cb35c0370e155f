"""The denoiser of a table."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.denoisers.table import TableDenoiser, TracedNumbers
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import edm


def network() -> TableMLP:
    torch.manual_seed(0)
    made = TableMLP(2, (3,), width=16, depth=1)
    for weights in made.parameters():
        nn.init.normal_(weights, std=0.3)
    return made


def condition(noisy: list[list[bool]]) -> TableCondition:
    rows = len(noisy)
    nothing = torch.zeros(rows, 2, dtype=torch.bool)
    categories = torch.zeros(rows, 1, dtype=torch.int64)
    return TableCondition(torch.zeros(rows, 2), nothing, torch.tensor(noisy), categories)


def test_a_number_that_is_not_there_is_answered_as_one_of_n_0_1() -> None:
    """E[x_0 | x_t] of N(0, 1) data at alpha² + sigma² = 1 is alpha x_t."""
    level = NoiseLevel.from_log_snr(torch.linspace(-4, 4, 5, dtype=torch.float64))
    x_t = torch.randn(5, 2, dtype=torch.float64)
    answer = TableDenoiser(network(), edm)(x_t, level, condition([[True, False]] * 5)).x_0
    torch.testing.assert_close(answer[:, 1], level.alpha * x_t[:, 1])
    assert (answer[:, 0] != level.alpha * x_t[:, 0]).all()


class Listening(nn.Module):
    """Keeps what noise number it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.zeros(1))
        self.heard = torch.empty(0)

    def forward(
        self, x: Tensor, number: Tensor, condition: TableCondition
    ) -> tuple[Tensor, Tensor]:
        self.heard = number
        return torch.zeros_like(x), torch.zeros(len(x), 3)


def test_rows_with_nothing_noisy_have_the_number_of_no_signal() -> None:
    """So that what is asked about levels does not depend on a noise that is not there."""
    ears = Listening()
    level = NoiseLevel.from_log_snr(torch.tensor([1.0, 2.0], dtype=torch.float64))
    TableDenoiser(ears, edm)(torch.zeros(2, 2), level, condition([[True, False], [False, False]]))
    assert ears.heard.tolist() == [1.0, -30.0]
    TableDenoiser(ears, edm).logits(torch.zeros(2, 2), torch.zeros(2, 1, dtype=torch.int64))
    assert ears.heard.tolist() == [-30.0, -30.0]


@pytest.mark.parametrize("correlated", [False, True])
def test_the_trace_is_that_of_the_jacobian(*, correlated: bool) -> None:
    """Of numbers 3, 0 and 2 of four; of some rows they are known or missing."""
    torch.manual_seed(1)
    made = TableMLP(4, (3,), width=16, depth=2, residuals=correlated)
    for weights in made.parameters():
        nn.init.normal_(weights, std=0.3)
    factor = torch.randn(4, 2).double()
    matrix = factor @ factor.T + 0.2 * torch.eye(4)
    scale = matrix.diagonal().rsqrt()
    correlations = scale[:, None] * matrix * scale if correlated else None
    noisy = torch.tensor([[1, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]]).bool()
    known = torch.tensor([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]]).bool()
    condition = TableCondition(
        torch.randn(3, 4).double(), known, noisy, torch.zeros(3, 1, dtype=torch.int64)
    )
    denoise = TracedNumbers(
        TableDenoiser(made.double(), edm, correlations=correlations), condition,
        torch.tensor([3, 0, 2]),
    )  # fmt: skip
    x_t = torch.randn(3, 3).double()
    for log_snr in (-5.0, 0.0, 6.0):
        level = NoiseLevel.from_log_snr(torch.tensor(log_snr, dtype=torch.float64))
        found, trace = denoise.with_trace(x_t, level)
        jacobian = torch.autograd.functional.jacobian(lambda x, a=level: denoise(x, a).x_0, x_t)
        torch.testing.assert_close(found.x_0, denoise(x_t, level).x_0)
        torch.testing.assert_close(trace, torch.einsum("bibi->b", jacobian))
