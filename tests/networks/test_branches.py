"""Candidate answers: a copy of a network that answers with the likeliest of several."""

import pytest
import torch

from sfumato.networks.branches import Branches, branched, can_branch
from sfumato.networks.mlp import StepMLP, VectorMLP
from sfumato.networks.skeleton import shapes_only
from sfumato.process.streams import generator

X = torch.randn(50, 2, generator=generator(1))
STEP = torch.tensor(3)


@pytest.fixture(params=["vector-mlp", "step-mlp", "with a variance"])
def network(request: pytest.FixtureRequest) -> VectorMLP | StepMLP:
    torch.manual_seed(0)
    if request.param == "step-mlp":
        return StepMLP(2, 10, 16)
    made = VectorMLP(2, 16, 2, outputs=4 if request.param == "with a variance" else None)
    for parameter in made.parameters():  # the last layer begins at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return made


@torch.no_grad()
def test_its_candidates_begin_as_its_answer(network: VectorMLP | StepMLP) -> None:
    own = branched(network, 5)
    answers, logits = own.candidates(X, STEP)
    expected = network(X, STEP)
    assert answers.shape == (50, 5, expected.shape[1])
    assert logits.shape == (50, 5)
    assert not logits.any()
    # Products of another shape may be added up in another order.
    torch.testing.assert_close(answers, expected[:, None].expand_as(answers))
    torch.testing.assert_close(own(X, STEP), expected)


@torch.no_grad()
def test_the_likeliest_candidate_is_the_answer(network: VectorMLP | StepMLP) -> None:
    own = branched(network, 3, generator(2))
    chooser = torch.zeros(3, 16)
    chooser[1, 0], chooser[2, 0] = 1.0, -1.0  # by the sign of one unit: 1 or 2, never 0
    own.network.output_proj.weight[-3:] = chooser
    answers, logits = own.candidates(X, STEP)
    chosen = logits.argmax(1)
    assert set(chosen.tolist()) >= {1}
    for row, k in enumerate(chosen):
        torch.testing.assert_close(own(X, STEP)[row], answers[row, k])


@torch.no_grad()
def test_scattered_candidates_differ_and_the_generator_decides_them(
    network: VectorMLP | StepMLP,
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, again, other = (branched(network, 4, generator(seed)) for seed in (3, 3, 4))
    answers, logits = first.candidates(X, STEP)
    assert not logits.any()
    assert (answers.std(1) > 0.01).all()
    for name, value in first.state_dict().items():
        assert value.equal(again.state_dict()[name])
    assert not torch.equal(answers, other.candidates(X, STEP)[0])
    for name, value in network.state_dict().items():
        assert value.equal(before[name])


def test_it_is_trained_where_the_network_was(network: VectorMLP | StepMLP) -> None:
    own = branched(network, 4, generator(3))
    assert all(weight.requires_grad for weight in own.parameters())
    own(X, STEP).sum().backward()
    assert own.network.output_proj.weight.grad is not None
    assert own.network.output_proj.weight.dtype == network.output_proj.weight.dtype
    network.output_proj.requires_grad_(requires_grad=False)
    frozen = branched(network, 4).network
    assert not frozen.output_proj.weight.requires_grad
    assert frozen.hidden[0].weight.requires_grad
    assert branched(network.double(), 4).network.output_proj.weight.dtype == torch.float64


def test_without_values_it_takes_no_memory() -> None:
    with shapes_only():
        made = VectorMLP(2, 16, 2)
    own = branched(made, 200)
    assert own.network.output_proj.weight.is_meta
    assert own.network.output_proj.weight.shape == (600, 16)


def test_what_is_only_like_it_does_not_branch() -> None:
    class Own(VectorMLP):
        pass

    assert can_branch(VectorMLP(2, 8, 1))
    assert can_branch(StepMLP(2, 10, 8))
    assert not can_branch(Own(2, 8, 1))
    assert not can_branch(torch.nn.Linear(2, 2))
    assert not can_branch(Branches(VectorMLP(2, 8, 1), 2))
