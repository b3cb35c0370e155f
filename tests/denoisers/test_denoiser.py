"""A network behind its target: what it is shown, what it is told, what becomes of its answer."""

import math

import pytest
import torch
from torch import Tensor, nn

from sfumato.denoisers.denoiser import NetworkDenoiser, edm_noise, flow_time, step_of
from sfumato.errors import ArgumentError
from sfumato.process import discrete
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import PARAMETERISATIONS, edm, eps


class Knows(nn.Module):
    """Answers what it was given, and remembers what it was shown and told."""

    def __init__(self, answer: Tensor, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=dtype))
        self.answer = answer

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        self.shown, self.told = x, number
        return self.answer.to(self.weight)


def batch() -> tuple[Tensor, Tensor, NoiseLevel, Tensor]:
    """x_0, eps, three levels that preserve no variance, and x_t made of them."""
    source = torch.Generator().manual_seed(0)
    x_0, noise = torch.randn(2, 3, 2, 5, dtype=torch.float64, generator=source)
    levels = NoiseLevel(torch.tensor([0.9, 0.5, 2.0]).double(), torch.tensor([0.1, 3, 1]).double())
    alpha, sigma = levels.alpha[:, None, None], levels.sigma[:, None, None]
    return x_0, noise, levels, alpha * x_0 + sigma * noise


@pytest.mark.parametrize("name", PARAMETERISATIONS)
def test_a_network_that_knows_the_target_gives_x_0(name: str) -> None:
    x_0, noise, levels, x_t = batch()
    alpha, sigma = levels.alpha[:, None, None], levels.sigma[:, None, None]
    power = alpha**2 + sigma**2
    answer = {
        "eps": noise,
        "x_0": x_0,
        "v": (alpha * noise - sigma * x_0) / torch.hypot(alpha, sigma),
        "velocity": noise - x_0,
        "edm": (x_0 - alpha / power * x_t) * power.sqrt() / sigma,
    }[name]
    denoise = NetworkDenoiser(Knows(answer), PARAMETERISATIONS[name])
    assert torch.allclose(denoise(x_t, levels).x_0, x_0, rtol=0, atol=1e-13)


def test_the_network_sees_the_scaled_sample() -> None:
    _, noise, levels, x_t = batch()
    network = Knows(noise)
    NetworkDenoiser(network, edm)(x_t, levels)
    scale = (levels.alpha**2 + levels.sigma**2).sqrt()[:, None, None]
    assert torch.allclose(network.shown, x_t / scale, rtol=1e-14)


def test_networks_of_flows_and_of_edm_are_told_their_own_times() -> None:
    # 1000 t, and log(sigma)/4 of x_0 + sigma eps; one more, as embeddings count steps from 1.
    t = torch.tensor([1e-3, 0.25, 1.0]).double()
    torch.testing.assert_close(flow_time(NoiseLevel(1 - t, t)), 1 + 1000 * t)
    torch.testing.assert_close(flow_time(NoiseLevel(2 - 2 * t, 2 * t)), 1 + 1000 * t)
    sigma = torch.tensor([0.002, 0.5, 80.0]).double()
    torch.testing.assert_close(edm_noise(NoiseLevel(3 + 0 * t, 3 * sigma)), 1 + sigma.log() / 4)


def test_the_network_is_told_the_log_snr() -> None:
    _, noise, levels, x_t = batch()
    network = Knows(noise)
    NetworkDenoiser(network, eps)(x_t, levels)
    assert network.told.tolist() == pytest.approx(
        [2 * math.log(9), 2 * math.log(1 / 6), math.log(4)]
    )


def test_the_network_is_told_one_number_for_one_level() -> None:
    _, noise, levels, x_t = batch()
    network = Knows(noise)
    NetworkDenoiser(network, eps)(x_t, levels[0])
    assert network.told.shape == ()


def test_a_step_network_is_told_the_tables_index() -> None:
    table = discrete.linear(100)
    network = Knows(torch.zeros(3, 2))
    i = torch.tensor([1, 57, 100])
    NetworkDenoiser(network, eps, step_of(table))(torch.zeros(3, 2).double(), table.levels[i])
    assert torch.equal(network.told, i)


def test_a_step_network_refuses_levels_of_another_table() -> None:
    denoise = NetworkDenoiser(Knows(torch.zeros(1, 2)), eps, step_of(discrete.linear(100)))
    with pytest.raises(ArgumentError, match="its own discrete schedule"):
        denoise(torch.zeros(1, 2), discrete.cosine(100).levels[50])


def test_a_float32_network_serves_float64_samples() -> None:
    _, noise, levels, x_t = batch()
    network = Knows(noise, torch.float32)
    estimate = NetworkDenoiser(network, eps)(x_t, levels).x_0
    assert (network.shown.dtype, network.told.dtype) == (torch.float32, torch.float32)
    assert estimate.dtype == torch.float64


def test_the_combination_is_made_in_the_samples_precision() -> None:
    # c_skip x_t keeps float64 digits though the network answers in float32.
    x_t = torch.tensor([[1 / 3]], dtype=torch.float64)
    level = NoiseLevel(torch.tensor(0.7).double(), torch.tensor(0.2).double())
    network = Knows(torch.zeros(1, 1), torch.float32)
    estimate = NetworkDenoiser(network, eps)(x_t, level).x_0
    assert float(estimate) == pytest.approx(1 / 3 / float(level.alpha), rel=1e-15)


def test_a_gradient_passes_to_the_network() -> None:
    network = nn.Linear(2, 2)

    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, x: Tensor, number: Tensor) -> Tensor:
            answer: Tensor = self.inner(x)
            return answer

    level = NoiseLevel(torch.tensor(0.5).double(), torch.tensor(0.5).double())
    NetworkDenoiser(Told(), eps)(torch.ones(1, 2).double(), level).x_0.sum().backward()
    # x_0 = 2 x_t - F, so dx_0/dbias = -1.
    assert network.bias.grad is not None
    assert network.bias.grad.tolist() == [-1.0, -1.0]


def test_the_second_half_of_the_channels_is_the_variances_fraction() -> None:
    x_0, noise, levels, x_t = batch()  # two channels of five numbers each
    interpolation = torch.tensor([-1.0, 1.0]).double()[:, None].expand(3, 2, 5)
    network = Knows(torch.cat([noise, interpolation], 1))
    prediction = NetworkDenoiser(network, eps, learns_variance=True)(x_t, levels)
    assert torch.allclose(prediction.x_0, x_0, rtol=0, atol=1e-13)
    expected = torch.tensor([0.0, 1.0]).double()[:, None].expand(3, 2, 5)
    assert prediction.var_fraction is not None
    assert torch.equal(prediction.var_fraction, expected)


def test_a_variance_that_is_not_learned_is_not_there() -> None:
    _, noise, levels, x_t = batch()
    assert NetworkDenoiser(Knows(noise), eps)(x_t, levels).var_fraction is None


@pytest.mark.parametrize(("learns", "channels"), [(True, 2), (True, 3), (False, 4), (False, 1)])
def test_a_wrong_number_of_channels_is_told(learns: bool, channels: int) -> None:
    _, _, levels, x_t = batch()
    network = Knows(torch.zeros(3, channels, 5))
    denoise = NetworkDenoiser(network, eps, learns_variance=learns)
    wanted = rf"\(3, {4 if learns else 2}, 5\); got \(3, {channels}, 5\)"
    with pytest.raises(ArgumentError, match=wanted):
        denoise(x_t, levels)
