"""The U-Net: its formula, its size beside the published one, and what it must not mix up."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm, silu

from sfumato.networks.attention import SelfAttention
from sfumato.networks.unet import ResidualBlock, UNet


def _awake(network: nn.Module) -> nn.Module:
    """With no weight at zero, as the last layers are at first."""
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=source))
    return network


def _noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    return _awake(UNet(3, 8, (1, 2, 2), 1, (False, True, True), head_width=4, classes=4))


LABELS = torch.tensor([0, 3])


@pytest.mark.parametrize("size", [(7, 5), (8, 8), (12, 20), (1, 9)])
def test_any_size_comes_back_in_its_shape(unet: nn.Module, size: tuple[int, int]) -> None:
    x = _noise(2, 3, *size)
    assert unet(x, torch.zeros(2), LABELS).shape == x.shape


def test_a_size_that_does_not_fit_is_padded_by_its_edges(unet: nn.Module) -> None:
    x = _noise(2, 3, 7, 8)
    whole = torch.cat([x, x[:, :, -1:]], dim=2)
    torch.testing.assert_close(
        unet(x, torch.zeros(2), LABELS), unet(whole, torch.zeros(2), LABELS)[:, :, :7]
    )


def test_pictures_of_a_batch_know_nothing_of_each_other(unet: nn.Module) -> None:
    x, number = _noise(2, 3, 8, 8), torch.tensor([0.5, -3.0])
    both = unet(x, number, LABELS)
    for k in range(2):
        alone = unet(x[k : k + 1], number[k : k + 1], LABELS[k : k + 1])
        torch.testing.assert_close(both[k : k + 1], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(unet(x, torch.tensor(0.5), LABELS)[0], both[0], rtol=1e-4, atol=1e-5)


def test_the_number_the_class_and_every_pixel_matter(unet: nn.Module) -> None:
    x, label = _noise(1, 3, 8, 8), torch.tensor([1])
    answer = unet(x, torch.zeros(1), label)
    assert not torch.allclose(unet(x, torch.ones(1), label), answer, atol=1e-3)
    assert not torch.allclose(unet(x, torch.zeros(1), label + 1), answer, atol=1e-3)
    moved = x.clone()
    moved[0, 0, 0, 0] += 1
    assert ((unet(moved, torch.zeros(1), label) - answer).abs().amax((0, 1)) > 1e-6).all()


def test_at_first_it_answers_nothing_and_then_every_weight_learns(unet: nn.Module) -> None:
    assert not UNet(1, 8)(_noise(2, 1, 8, 8), torch.zeros(2)).any()
    unet.zero_grad()
    unet(_noise(2, 3, 8, 8), torch.tensor([0.3, 2.0]), LABELS).square().sum().backward()
    idle = [
        name for name, each in unet.named_parameters() if each.grad is None or not each.grad.any()
    ]
    assert not idle


def test_it_has_the_published_number_of_weights() -> None:
    # Ho et al. (2020), appendix B: 35.7 million on CIFAR-10; 35,746,307 in diffusers' UNet2DModel.
    with torch.device("meta"):
        network = UNet(
            3, 128, (1, 2, 2, 2), 2, (False, True, False, False), head_width=None, scale_shift=False
        )
    assert sum(each.numel() for each in network.parameters()) == 35_746_307


@pytest.mark.parametrize("scale_shift", [False, True])
def test_a_residual_block_is_its_formula(scale_shift: bool) -> None:
    block = ResidualBlock(4, 6, 5, scale_shift=scale_shift, dropout=0.0, groups=2, eps=1e-5)
    _awake(block)
    x, emb = _noise(2, 4, 5, 5), _noise(2, 5)
    w = dict(block.named_parameters())
    h = silu(group_norm(x, 2, w["norm_1.weight"], w["norm_1.bias"]))
    h = conv2d(h, w["conv_1.weight"], w["conv_1.bias"], padding=1)
    modulation = (emb @ w["emb_proj.weight"].T + w["emb_proj.bias"])[:, :, None, None]
    if scale_shift:
        h = group_norm(h, 2, w["norm_2.weight"], w["norm_2.bias"])
        h = h * (1 + modulation[:, :6]) + modulation[:, 6:]
    else:
        h = group_norm(h + modulation, 2, w["norm_2.weight"], w["norm_2.bias"])
    h = conv2d(silu(h), w["conv_2.weight"], w["conv_2.bias"], padding=1)
    skip = conv2d(x, w["skip.weight"], w["skip.bias"])
    torch.testing.assert_close(block(x, emb), skip + h)


def test_recomputing_changes_no_answer_and_no_gradient() -> None:
    x, number = _noise(2, 1, 8, 8), torch.tensor([0.3, 2.0])
    grads = []
    for recompute in (False, True):
        torch.manual_seed(3)
        network = _awake(UNet(1, 8, (1, 2), 1, (False, True), recompute=recompute))
        network(x, number).square().sum().backward()
        grads.append([each.grad for each in network.parameters()])
    for plain, again in zip(*grads, strict=True):
        torch.testing.assert_close(plain, again)


def test_dropout_is_for_training_only() -> None:
    network = _awake(UNet(1, 8, (1,), 1, (False,), dropout=0.5))
    x, number = _noise(2, 1, 8, 8), torch.zeros(2)
    assert not torch.equal(network(x, number), network(x, number))
    network.eval()
    assert torch.equal(network(x, number), network(x, number))


def test_attention_is_a_softmax_over_positions() -> None:
    attention = SelfAttention(6, heads=2)
    x = _noise(2, 5, 6)
    query, key, value = attention.qkv(x).chunk(3, dim=-1)
    heads = []
    for k in (slice(0, 3), slice(3, 6)):
        weights = (query[..., k] @ key[..., k].transpose(1, 2) / 3**0.5).softmax(-1)
        heads.append(weights @ value[..., k])
    torch.testing.assert_close(attention(x), attention.proj(torch.cat(heads, -1)))
