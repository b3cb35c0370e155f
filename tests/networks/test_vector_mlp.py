"""VectorMLP: any dimension, one number for all or each, everything learns, seeds decide."""

import pytest
import torch

from sfumato.networks.embeddings import FourierEmbedding
from sfumato.networks.mlp import VectorMLP


@pytest.mark.parametrize("dimension", [1, 2, 7, 300])
def test_any_dimension_in_and_out(dimension: int) -> None:
    network = VectorMLP(dimension, width=8, depth=2)
    x = torch.randn(5, dimension)
    each = network(x, torch.full((5,), 1.5))
    assert each.shape == x.shape
    torch.testing.assert_close(network(x, torch.tensor(1.5)), each)
    assert network(x[:0], torch.tensor(1.5)).shape == (0, dimension)


def test_begins_at_zero_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    network = VectorMLP(3, width=8)
    x, number = torch.randn(64, 3), torch.randn(64)
    assert not network(x, number).any()
    for begins_at_zero in (network.output_proj.weight, network.linear_skip_out.weight):
        torch.nn.init.normal_(begins_at_zero)
    network(x, number).square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool((weight.grad != 0).any()), name


def test_rows_do_not_see_each_other_and_the_number_matters() -> None:
    torch.manual_seed(1)
    network = VectorMLP(2, width=16)
    torch.nn.init.normal_(network.output_proj.weight)
    x, number = torch.randn(10, 2), torch.linspace(-5, 5, 10)
    whole = network(x, number)
    torch.testing.assert_close(network(x[3:4], number[3:4]), whole[3:4])
    assert not torch.allclose(network(x, number + 1), whole, atol=1e-3)


def test_wavelengths_run_from_broad_to_thin_in_any_dimension() -> None:
    # A wave along a direction of length k has the wavelength 2 pi/k.
    for dimension, share in ((1, 1.0), (3, 1.0), (30, 0.1)):
        lengths = VectorMLP(dimension).directions.norm(dim=0)
        assert float(lengths.min()) == pytest.approx(share, rel=1e-4)
        assert float(lengths.max()) == pytest.approx(6 * share, rel=1e-4)


def test_the_linear_part_is_of_a_strength_for_each_number() -> None:
    torch.manual_seed(3)
    network = VectorMLP(4, width=8)
    torch.nn.init.normal_(network.linear_skip_out.weight)
    x, number = torch.randn(6, 4), torch.tensor(0.7)
    torch.testing.assert_close(network(2 * x, number), 2 * network(x, number))
    assert not torch.allclose(network(x, number), network(x, number + 1), atol=1e-3)


def test_the_directions_travel_with_the_weights() -> None:
    torch.manual_seed(2)
    one = VectorMLP(2)
    other = VectorMLP(2)
    other.load_state_dict(one.state_dict())
    x, number = torch.randn(4, 2), torch.zeros(4)
    torch.testing.assert_close(one(x, number), other(x, number))
    assert torch.equal(one.directions, other.directions)


def test_the_embedding_repeats_with_its_wavelengths() -> None:
    embed = FourierEmbedding(4, shortest=2.0, longest=8.0)
    number = torch.tensor([0.3])
    now, after_short, after_long = embed(number), embed(number + 2), embed(number + 8)
    torch.testing.assert_close(after_short[:, [1, 3]], now[:, [1, 3]])
    torch.testing.assert_close(after_long, now, atol=1e-5, rtol=0)
    assert not torch.allclose(after_short, now, atol=1e-2)
    torch.testing.assert_close((now**2).sum(), torch.tensor(2.0))
