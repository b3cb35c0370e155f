"""Muon against the singular value decomposition and PyTorch's own; several networks."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.networks.dit import DiT
from sfumato.networks.unet import UNet
from sfumato.training.muon import Muon, orthogonal_factors


def _alike(seed: int, rows: int, columns: int, least: float) -> tuple[Tensor, Tensor]:
    """Two matrices with singular values from `least` to 1, and their orthogonal factors."""
    generator = torch.Generator().manual_seed(seed)
    left, _, right = torch.linalg.svd(
        torch.randn(2, rows, columns, generator=generator), full_matrices=False
    )
    values = torch.logspace(float(torch.tensor(least).log10()), 0, min(rows, columns))
    return left * values @ right, left @ right


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (24, 200), (200, 24), (16, 27)])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
def test_singular_vectors_stay_and_values_come_near_to_one(
    rows: int, columns: int, scale: float
) -> None:
    matrices, exact = _alike(0, rows, columns, 0.1)
    found = torch.stack(orthogonal_factors((scale * matrices).unbind()))
    values = torch.linalg.svdvals(found)
    assert 0.65 < float(values.min()) < float(values.max()) < 1.25
    # In the exact factor's frame it is symmetric and positive: no direction is turned.
    turned = found @ exact.mT if rows <= columns else exact.mT @ found
    torch.testing.assert_close(turned, turned.mT, atol=1e-3, rtol=0)
    assert float(torch.linalg.eigvalsh(turned).min()) > 0.65


def test_a_gradient_of_zeros_moves_nothing() -> None:
    (factor,) = orthogonal_factors([torch.zeros(20, 30)])
    assert not factor.any()


def test_matrices_of_different_shapes_have_the_factors_that_each_has_alone() -> None:
    generator = torch.Generator().manual_seed(5)
    shapes = [(20, 30), (30, 20), (20, 20), (64, 20), (20, 30)]
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    together = orthogonal_factors(matrices)
    for matrix, factor in zip(matrices, together, strict=True):
        (alone,) = orthogonal_factors([matrix])
        torch.testing.assert_close(factor, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("rows", "columns"), [(40, 60), (60, 40)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_are_those_of_pytorch(decay: float, rows: int, columns: int) -> None:
    """Whose products are bfloat16's: they differ by its rounding."""
    generator = torch.Generator().manual_seed(1)
    ours, theirs = (nn.Linear(columns, rows, bias=False) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    before = ours.weight.detach().clone()
    optimizer = Muon(ours, decay)
    judge = torch.optim.Muon(
        theirs.parameters(),
        lr=1e-2,
        weight_decay=decay,
        momentum=0.9,
        ns_steps=3,
        adjust_lr_fn="match_rms_adamw",
    )
    for _ in range(5):
        gradient = torch.randn(rows, columns, generator=generator)
        ours.weight.grad, theirs.weight.grad = gradient, gradient.clone()
        optimizer.step(1e-2)
        judge.step()
    moved, expected = (each.weight.detach() - before for each in (ours, theirs))
    assert float((moved - expected).norm() / expected.norm()) < 0.02


def test_a_convolution_is_a_matrix_whatever_lies_next_to_what_in_memory() -> None:
    generator = torch.Generator().manual_seed(2)
    first = nn.Conv2d(16, 24, 3, bias=False)
    second, linear = nn.Conv2d(16, 24, 3, bias=False), nn.Linear(16 * 9, 24, bias=False)
    second.weight.data = first.weight.detach().to(memory_format=torch.channels_last, copy=True)
    linear.weight.data.copy_(first.weight.detach().flatten(1))
    gradient = torch.randn(24, 16, 3, 3, generator=generator)
    for module in (first, second, linear):
        module.weight.grad = gradient.reshape(module.weight.shape).clone()
        Muon(module, 0.01).step(0.1)
    torch.testing.assert_close(first.weight, second.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(first.weight.flatten(1), linear.weight, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_convolutions_of_any_dimension_are_matrices(kind: type[nn.Conv1d]) -> None:
    """Of three inputs too: what counts is the inputs of an output, pixels among them."""
    assert len(Muon(kind(6, 24, 3), 0.0).matrices) == 1
    assert not Muon(kind(5, 24, 1), 0.0).matrices


@pytest.mark.parametrize(
    ("inputs", "outputs", "is_matrix"),
    [(16, 16, True), (16, 40, True), (40, 16, True), (15, 40, False), (40, 15, False)],
)
def test_what_is_narrow_is_no_matrix(inputs: int, outputs: int, is_matrix: bool) -> None:
    assert len(Muon(nn.Linear(inputs, outputs), 0.0).matrices) == is_matrix


def test_all_but_matrices_take_the_steps_of_adamw() -> None:
    wide = nn.Linear(20, 40)
    network = nn.Sequential(nn.Embedding(30, 20), wide, nn.GroupNorm(2, 40), nn.Linear(40, 3))
    optimizer = Muon(network, 0.1)
    assert [matrix is wide.weight for matrix in optimizer.matrices] == [True]
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 3.0)
    before = [weight.detach().clone() for weight in network.parameters()]
    optimizer.step(0.1)
    for weight, old in zip(network.parameters(), before, strict=True):
        if weight is not wide.weight:  # Adam's first step is as long as its rate
            torch.testing.assert_close(weight.detach(), 0.99 * old - 0.1, atol=1e-4, rtol=0)


def test_a_weight_that_modules_share_is_stepped_once_and_a_computed_one_by_its_parts() -> None:
    first, second = nn.Linear(20, 20, bias=False), nn.Linear(20, 20, bias=False)
    second.weight = first.weight
    alone = nn.Linear(20, 20, bias=False)
    alone.load_state_dict(first.state_dict())
    first.weight.grad = torch.randn(20, 20, generator=torch.Generator().manual_seed(4))
    alone.weight.grad = first.weight.grad.clone()
    for network in (nn.Sequential(first, second), alone):
        Muon(network, 0.5).step(0.1)
    assert torch.equal(first.weight, alone.weight)
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(20, 20))
    optimizer = Muon(normed, 0.0)
    assert not optimizer.matrices
    assert len(optimizer.rest.weights) == 3


def test_a_weight_without_a_gradient_stays() -> None:
    first, second = nn.Linear(20, 20), nn.Linear(20, 20)
    first.weight.grad = torch.randn(20, 20)
    before = second.weight.detach().clone()
    Muon(nn.Sequential(first, second), 0.5).step(0.1)
    assert torch.equal(second.weight, before)


@pytest.mark.parametrize(
    "network",
    [UNet(3, 16, (1, 2), 1, (False, True), classes=3), DiT(3, 8, 8, 32, 1, 2)],
)
def test_what_it_remembers_goes_on_to_the_bit(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(3)

    def step(optimizer: Muon) -> None:
        for weight in optimizer.weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step(0.01)

    first = Muon(network, 0.01)
    step(first)
    weights = [weight.detach().clone() for weight in first.weights]
    remembered = {name: tensor.clone() for name, tensor in first.tensors().items()}
    state = generator.get_state()
    step(first)
    expected = [weight.detach().clone() for weight in first.weights]
    with torch.no_grad():
        for weight, old in zip(first.weights, weights, strict=True):
            weight.copy_(old)
    second = Muon(network, 0.01)
    second.restore(remembered)
    generator.set_state(state)
    step(second)
    for weight, other in zip(second.weights, expected, strict=True):
        assert torch.equal(weight, other)
