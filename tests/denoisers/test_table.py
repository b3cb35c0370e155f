"""The denoiser of a table."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.denoisers.compared import Comparisons
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
    """Keeps what noise number it was given, and what beside."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.zeros(1))
        self.heard = torch.empty(0)
        self.beside: tuple[Tensor, ...] = ()

    def forward(
        self, x: Tensor, number: Tensor, condition: TableCondition, *beside: Tensor
    ) -> tuple[Tensor, Tensor]:
        self.heard, self.beside = number, beside
        return torch.zeros_like(x), torch.zeros(len(x), 3)


def test_rows_with_nothing_noisy_have_the_number_of_no_signal() -> None:
    """So that what is asked about levels does not depend on a noise that is not there."""
    ears = Listening()
    level = NoiseLevel.from_log_snr(torch.tensor([1.0, 2.0], dtype=torch.float64))
    TableDenoiser(ears, edm)(torch.zeros(2, 2), level, condition([[True, False], [False, False]]))
    assert ears.heard.tolist() == [1.0, -30.0]
    TableDenoiser(ears, edm).logits(torch.zeros(2, 2), torch.zeros(2, 1, dtype=torch.int64))
    assert ears.heard.tolist() == [-30.0, -30.0]


def comparisons() -> Comparisons:
    """Of numbers 0, 2 and 3, of which the last may be a frequent value or that of the first."""
    none = float("nan")
    return Comparisons(
        columns=torch.tensor([0, 2, 3]),
        curves=torch.rand(3, 1025).double().cumsum(1) / 100,
        states=torch.tensor([-1, -1, 0]),
        masses=torch.tensor([[none, none], [none, none], [none, 2.5]]).double(),
        repeats=((2, 0, 2),),
        own=torch.tensor([0, 0, 1]),
        other=torch.tensor([1, 2, 2]),
        scales=torch.tensor([0.3, 0.6, 0.9]).double(),
    )


def test_known_numbers_are_compared_and_the_best_estimates_of_noisy_ones() -> None:
    """Numbers 0, 2 and 3 of a known, a noisy and a missing one, and of two known ones."""
    ears, compared, none = Listening(), comparisons(), torch.zeros(2, 4, dtype=torch.bool)
    correlations = torch.full((4, 4), 0.5).double().fill_diagonal_(1)
    denoise = TableDenoiser(ears, edm, correlations=correlations, comparisons=compared)
    known, noisy = none.clone(), none.clone()
    known[0, 0] = known[1, 0] = known[1, 2] = noisy[0, 2] = True
    z = torch.tensor([[1.0, 0, 0, 0], [-0.5, 0, 0.25, 0]]).double()
    codes = torch.full((2, 1), 3)  # not known
    level = NoiseLevel.from_log_snr(torch.tensor(0.5, dtype=torch.float64))
    condition = TableCondition(z, known, noisy, codes)
    estimate = denoise(torch.ones(2, 4).double(), level, condition).x_0  # nothing is added to it
    expected = compared(torch.where(noisy, estimate, z), known | noisy, codes)
    assert (expected[:, 0] != 0).all()
    torch.testing.assert_close(ears.beside[0][:, 4:], expected.float())
    assert not ears.beside[0][:, 5:].any()  # the last number is missing
    denoise.logits(torch.where(known, z, torch.nan), codes)
    assert not ears.beside[0][0, 4:].any()
    torch.testing.assert_close(ears.beside[0][1, 4:], expected[1].float())


@pytest.mark.parametrize("beside", ["nothing", "residuals", "residuals and comparisons"])
def test_the_trace_is_that_of_the_jacobian(beside: str) -> None:
    """Of numbers 3, 0 and 2 of four; of some rows they are known or missing."""
    torch.manual_seed(1)
    correlated, compared = beside != "nothing", beside.endswith("comparisons")
    made = TableMLP(4, (3,), width=16, depth=2, beside=4 * correlated + 3 * compared)
    for weights in made.parameters():
        nn.init.normal_(weights, std=0.3)
    factor = torch.randn(4, 2).double()
    matrix = factor @ factor.T + 0.2 * torch.eye(4)
    scale = matrix.diagonal().rsqrt()
    correlations = scale[:, None] * matrix * scale if correlated else None
    noisy = torch.tensor([[1, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]])
    known = torch.tensor([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    categories = torch.tensor([0, 0, 0, 1, 2])  # of the last two the last number is 2.5, the first
    condition = TableCondition(
        torch.randn(5, 4).double(), known.bool(), noisy.bool(), categories[:, None]
    )
    whole = TableDenoiser(
        made.double(),
        edm,
        correlations=correlations,
        comparisons=comparisons() if compared else None,
    )
    denoise = TracedNumbers(whole, condition, torch.tensor([3, 0, 2]))
    x_t = torch.randn(5, 3).double()
    x_t[3] = 9.0  # beyond where the curves of comparisons end
    for log_snr in (-5.0, 0.0, 6.0):
        level = NoiseLevel.from_log_snr(torch.tensor(log_snr, dtype=torch.float64))
        found, trace = denoise.with_trace(x_t, level)
        jacobian = torch.autograd.functional.jacobian(lambda x, a=level: denoise(x, a).x_0, x_t)
        torch.testing.assert_close(found.x_0, denoise(x_t, level).x_0)
        torch.testing.assert_close(trace, torch.einsum("bibi->b", jacobian))
