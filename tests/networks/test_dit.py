"""The transformer: its block's formula, where its patches go, and what it must not mix up."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from sfumato.networks.dit import DiT, TransformerBlock


def _awake(network: nn.Module) -> nn.Module:
    """With no weight at zero, as the last layers are at first."""
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=source))
    return network


def _noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


NUMBER, LABEL = torch.tensor([0.5, -3.0]), torch.tensor([0, 3])


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (4, 12), (1, 3)])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_any_size_comes_back_in_its_shape(size: tuple[int, int], patch: int) -> None:
    network = _awake(DiT(3, *size, tokens=16, depth=1, heads=2, patch=patch, outputs=6))
    assert network(_noise(2, 3, *size), NUMBER).shape == (2, 6, *size)


def test_a_size_that_does_not_fit_is_padded_by_its_edges() -> None:
    odd, even = _awake(DiT(1, 5, 6, 16, 2, 2)), DiT(1, 6, 6, 16, 2, 2)
    even.load_state_dict(odd.state_dict())
    x = _noise(2, 1, 5, 6)
    whole = torch.cat([x, x[:, :, -1:]], dim=2)
    torch.testing.assert_close(odd(x, NUMBER), even(whole, NUMBER)[:, :, :5])


def test_without_its_blocks_a_patch_answers_for_itself_where_it_is() -> None:
    network = _awake(DiT(2, 6, 10, 16, 0, 2, patch=2))
    x = _noise(1, 2, 6, 10)
    plain = network(x, NUMBER[:1])
    for row in range(6):
        for column in range(10):
            moved = x.clone()
            moved[0, 1, row, column] += 1
            changed = (network(moved, NUMBER[:1]) != plain)[0].any(0)
            own = torch.zeros(6, 10, dtype=torch.bool)
            own[row // 2 * 2 : row // 2 * 2 + 2, column // 2 * 2 : column // 2 * 2 + 2] = True
            assert torch.equal(changed, own)


def test_with_them_every_pixel_matters_everywhere_and_so_does_its_place() -> None:
    network = _awake(DiT(1, 6, 6, 16, 2, 2))
    x = _noise(1, 1, 6, 6)
    plain = network(x, NUMBER[:1])
    moved = x.clone()
    moved[0, 0, 5, 0] += 1
    assert (network(moved, NUMBER[:1]) != plain).all()
    for dimension in (2, 3):  # were it not told where a patch is, it would not notice
        there = network(x.roll(2, dimension), NUMBER[:1]).roll(-2, dimension)
        assert not torch.allclose(there, plain, atol=0.01)


def test_the_number_and_the_class_matter_and_pictures_of_a_batch_do_not_mix() -> None:
    network = _awake(DiT(1, 4, 4, 16, 2, 2, classes=4))
    x = _noise(2, 1, 4, 4)
    both = network(x, NUMBER, LABEL)
    for k in range(2):
        alone = network(x[k : k + 1], NUMBER[k : k + 1], LABEL[k : k + 1])
        torch.testing.assert_close(both[k : k + 1], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(x, NUMBER + 1, LABEL), both, atol=1e-3)
    assert not torch.allclose(network(x, NUMBER, 3 - LABEL), both, atol=1e-3)
    torch.testing.assert_close(network(x, NUMBER[0], LABEL)[0], both[0], rtol=1e-4, atol=1e-5)


def test_a_block_is_its_formula_and_at_first_the_identity() -> None:
    block = TransformerBlock(8, 2, 5)
    h, emb = _noise(2, 6, 8), _noise(2, 5, seed=2)
    assert torch.equal(block(h, emb), h)
    _awake(block)
    # Peebles & Xie (2023), figure 3, and its reference code's order of the six.
    shift, scale, gate, *of_mlp = (emb @ block.modulation.weight.T + block.modulation.bias)[
        :, None
    ].chunk(6, 2)
    expected = h + gate * block.attention(layer_norm(h, (8,)) * (1 + scale) + shift)
    shift, scale, gate = of_mlp
    hidden = block.linear_1(layer_norm(expected, (8,)) * (1 + scale) + shift)
    bell = hidden * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (hidden + 0.044715 * hidden**3))) / 2
    torch.testing.assert_close(block(h, emb), expected + gate * block.linear_2(bell))


def test_at_first_it_answers_nothing_and_then_every_weight_learns() -> None:
    network = DiT(1, 4, 4, 16, 2, 2, classes=4)
    assert not network(_noise(2, 1, 4, 4), NUMBER, LABEL).any()
    _awake(network)
    network(_noise(2, 1, 4, 4), NUMBER, LABEL).square().sum().backward()
    idle = [n for n, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert not idle


def test_recomputing_changes_no_answer_and_no_gradient() -> None:
    found = []
    for recompute in (False, True):
        torch.manual_seed(3)
        network = _awake(DiT(1, 4, 4, 16, 2, 2, recompute=recompute))
        answer = network(_noise(2, 1, 4, 4), NUMBER)
        answer.square().sum().backward()
        found.append([answer.detach(), *(each.grad for each in network.parameters())])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)
