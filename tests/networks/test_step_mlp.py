"""The tutorial's network: its size, and its forward pass written out in numpy."""

import math

import numpy as np
import pytest
import torch

from sfumato.networks.mlp import StepMLP


def make(dimension: int = 2, steps: int = 100, width: int = 128) -> StepMLP:
    torch.manual_seed(0)
    return StepMLP(dimension, steps, width)


def rounding(answers: torch.Tensor) -> float:
    """What float32 may leave of another order of addition: each layer sums up to 128 products."""
    sums = 3 * 128
    return 4 * math.sqrt(sums) * torch.finfo(torch.float32).eps * float(answers.abs().max())


def test_it_has_the_tutorials_number_of_parameters() -> None:
    # 3 embeddings of 100 x 128, 2x128+128, 2 x (128x128+128), 128x2+2.
    assert sum(parameter.numel() for parameter in make().parameters()) == 72_066


@pytest.mark.parametrize("step", [1, 2, 57, 100])
def test_forward_by_hand(step: int) -> None:
    network = make()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    x = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    h = x
    for layer in range(3):
        h = h @ weights[f"hidden.{layer}.weight"].T + weights[f"hidden.{layer}.bias"]
        h = np.maximum(
            h + weights[f"step_embeddings.{layer}.weight"][step - 1], 0
        )  # step 1 is row 0
    by_hand = h @ weights["output_proj.weight"].T + weights["output_proj.bias"]
    with torch.no_grad():
        ours = network(torch.from_numpy(x), torch.full((5,), step))
    assert np.abs(ours.numpy() - by_hand).max() < rounding(torch.from_numpy(by_hand))


def test_one_step_for_all_equals_a_step_each() -> None:
    network, x = make(), torch.ones(4, 2)
    with torch.no_grad():
        assert torch.equal(network(x, torch.tensor(7)), network(x, torch.full((4,), 7)))


def test_each_sample_hears_its_own_step() -> None:
    network, x = make(), torch.ones(2, 2)
    with torch.no_grad():
        together = network(x, torch.tensor([3, 90]))
        alone = torch.cat([network(x[:1], torch.tensor([3])), network(x[1:], torch.tensor([90]))])
    # Products of another shape may be added up in another order.
    assert float((together - alone).abs().max()) < rounding(together)
    assert float((together[0] - together[1]).abs().min()) > 100 * rounding(together)


def test_every_step_has_weights_of_its_own() -> None:
    network = make(steps=9)
    network(torch.ones(9, 2), torch.arange(1, 10)).sum().backward()
    for embedding in network.step_embeddings:
        gradient = embedding.weight.grad
        assert isinstance(gradient, torch.Tensor)
        assert bool((gradient != 0).any(1).all())


@pytest.mark.parametrize("step", [0, 101])
def test_a_step_outside_the_embedding_is_an_error(step: int) -> None:
    with pytest.raises(IndexError):
        make()(torch.ones(1, 2), torch.tensor([step]))


@pytest.mark.parametrize("dimension", [1, 3, 17])
def test_any_dimension(dimension: int) -> None:
    network = make(dimension, 10, 16)
    assert network(torch.ones(4, dimension), torch.tensor(1)).shape == (4, dimension)
