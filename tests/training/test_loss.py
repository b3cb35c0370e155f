"""Eq. (1) of the loss against each target's own mean squared error, and against its least value."""

import pytest
import torch
from torch import Tensor

from sfumato.denoisers.denoiser import NetworkDenoiser, Prediction
from sfumato.process import tables
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameters import PARAMETERISATIONS
from sfumato.training.loss import loss, simple, snr


class _Fixed(torch.nn.Module):
    """A network that answers the same whatever it is shown."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        return self.answer


def _target(name: str, x_0: Tensor, eps: Tensor, level: NoiseLevel) -> Tensor:
    alpha, sigma = level.alpha.unsqueeze(1), level.sigma.unsqueeze(1)
    return {
        "eps": eps,
        "x_0": x_0,
        "v": alpha * eps - sigma * x_0,
        "velocity": eps - x_0,
        "edm": (alpha * eps - sigma * x_0).neg(),  # for unit-variance data and a VP level
    }[name]


@pytest.mark.parametrize("name", PARAMETERISATIONS)
def test_simple_weighting_is_the_mean_squared_error_of_the_networks_own_answer(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    x_0, eps, answer = torch.randn(3, 7, 4, generator=source, dtype=torch.float64)
    level = NoiseLevel.from_log_snr(torch.linspace(-6, 6, 7, dtype=torch.float64))
    denoise = NetworkDenoiser(_Fixed(answer), PARAMETERISATIONS[name])

    measured = loss(denoise, x_0, level, eps, simple(PARAMETERISATIONS[name]))

    expected = (answer - _target(name, x_0, eps, level)).square().mean(1)
    torch.testing.assert_close(measured, expected)


@pytest.mark.parametrize("name", ["x_0", "v", "edm"])
def test_snr_weighting_is_the_error_in_eps_whatever_the_target(name: str) -> None:
    source = torch.Generator().manual_seed(1)
    x_0, eps, answer = torch.randn(3, 5, 2, generator=source, dtype=torch.float64)
    level = NoiseLevel.from_log_snr(torch.linspace(-4, 4, 5, dtype=torch.float64))
    parameterisation = PARAMETERISATIONS[name]
    denoise = NetworkDenoiser(_Fixed(answer), parameterisation)
    alpha, sigma = level.alpha.unsqueeze(1), level.sigma.unsqueeze(1)
    x_t = alpha * x_0 + sigma * eps
    eps_hat = (x_t - alpha * denoise(x_t, level).x_0) / sigma

    measured = loss(denoise, x_0, level, eps, snr(parameterisation))

    torch.testing.assert_close(measured, (eps_hat - eps).square().mean(1))


@pytest.mark.parametrize(
    ("table", "least"),
    [
        # Least L_simple on N(0, 1), averaged over the levels: closed form in float64.
        (tables.linear(1000), 0.2755132),
        (tables.sigmoid(100), 0.9355223),
        (tables.linear(50, reference_levels=50), 0.8511442),
    ],
)
def test_exact_denoiser_reaches_the_least_simple_loss(table: tables.Table, least: float) -> None:
    def exact(x_t: Tensor, level: NoiseLevel) -> Prediction:
        return Prediction(level.like(x_t).alpha * x_t)  # E[x_0 | x_t] for N(0, 1), VP

    source = torch.Generator().manual_seed(2)
    rows = 400_000
    x_0, eps = torch.randn(2, rows, 1, generator=source, dtype=torch.float64)
    level = table.levels[1 + torch.arange(rows) % table.num_levels]

    values = loss(exact, x_0, level, eps, snr(PARAMETERISATIONS["eps"]))

    error = float(values.std()) / rows**0.5
    assert abs(float(values.mean()) - least) < 4 * error
    assert error < 0.005
