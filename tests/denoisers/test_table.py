"""The denoiser of a table."""

import torch
from torch import Tensor, nn

from sfumato.denoisers.table import TableDenoiser
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import edm


def network() -> TableMLP:
    torch.manual_seed(0)
    made = TableMLP(2, (3,), width=16, depth=1)
    for weights in made.parameters():
        nn.init.normal_(weights, std=0.3)
    return made


def told(noisy: list[list[bool]]) -> TableCondition:
    rows = len(noisy)
    nothing = torch.zeros(rows, 2, dtype=torch.bool)
    levels = torch.zeros(rows, 1, dtype=torch.int64)
    return TableCondition(torch.zeros(rows, 2), nothing, torch.tensor(noisy), levels)


def test_a_number_that_is_not_there_is_answered_as_one_of_n_0_1() -> None:
    """E[x_0 | x_t] of N(0, 1) data at alpha² + sigma² = 1 is alpha x_t."""
    level = NoiseLevel.from_log_snr(torch.linspace(-4, 4, 5, dtype=torch.float64))
    x_t = torch.randn(5, 2, dtype=torch.float64)
    answer = TableDenoiser(network(), edm)(x_t, level, told([[True, False]] * 5)).x_0
    torch.testing.assert_close(answer[:, 1], level.alpha * x_t[:, 1])
    assert (answer[:, 0] != level.alpha * x_t[:, 0]).all()


class Listening(nn.Module):
    """Keeps what noise it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.zeros(1))
        self.heard = torch.empty(0)

    def forward(self, x: Tensor, number: Tensor, told: TableCondition) -> tuple[Tensor, Tensor]:
        self.heard = number
        return torch.zeros_like(x), torch.zeros(len(x), 3)


def test_rows_with_nothing_noisy_are_told_that_all_is_noise() -> None:
    """So that what is asked about levels does not depend on a noise that is not there."""
    ears = Listening()
    level = NoiseLevel.from_log_snr(torch.tensor([1.0, 2.0], dtype=torch.float64))
    TableDenoiser(ears, edm)(torch.zeros(2, 2), level, told([[True, False], [False, False]]))
    assert ears.heard.tolist() == [1.0, -30.0]
    TableDenoiser(ears, edm).logits(torch.zeros(2, 2), torch.zeros(2, 1, dtype=torch.int64))
    assert ears.heard.tolist() == [-30.0, -30.0]
