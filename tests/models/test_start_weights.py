"""Weights of a network with other classes: what it did, it does."""

from typing import Any

import pytest
import torch

from sfumato.config import resolve
from sfumato.data.codecs.images import ImageCodec
from sfumato.errors import ArgumentError
from sfumato.models.build import build_model
from sfumato.models.model import Model
from sfumato.models.start import take_weights

_NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"name": "unet", "width": 8, "depth": 1, "options": {"multipliers": [1]}},
    "dit": {"name": "dit", "width": 16, "depth": 1, "options": {"head_width": 8}},
}


def _model(network: str, classes: str, *, flip: bool = False, **options: Any) -> Model:
    """Every weight is drawn, so that a class makes a difference."""
    training = {"flip": flip} | ({} if options.get("any_class", True) else {"label_dropout": 0.0})
    of_network = _NETWORKS[network]
    of_network = {**of_network, "options": {**of_network["options"], **options}}
    settings = resolve({"network": of_network, "training": training})
    codec = ImageCodec(4, 4, 1, tuple(classes), (1 / max(1, len(classes)),) * len(classes))
    model = build_model(settings, codec)
    source = torch.Generator().manual_seed(len(classes) + flip)
    with torch.no_grad():
        for weight in model.denoiser.network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=source) / 4)
    return model


def _answer(model: Model, label: int | None) -> torch.Tensor:
    """What its network says of some pictures of one class, by its number."""
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(9))
    condition = None if label is None else torch.full((3,), label)
    with torch.no_grad():
        network = model.denoiser.network.eval()
        answer: torch.Tensor = network(x, torch.tensor([0.3, -1.0, 2.0]), condition)
    return answer


# The classes of the start and of what starts there, each with mirrored pictures (') or not; then
# the number of each class in the latter and in the former: where a class is new, that of any.
_CASES: list[tuple[str, str, dict[int | None, int | None]]] = [
    ("", "", {None: None}),
    ("ab", "ab", {0: 0, 1: 1, 2: 2}),
    ("ab", "ba", {0: 1, 1: 0, 2: 2}),
    ("ab", "bcd", {0: 1, 1: 2, 2: 2, 3: 2}),
    ("", "ab", {0: None, 1: None, 2: None}),
    ("ab", "", {None: 2}),
    ("ab", "cb'", {0: 2, 1: 1, 2: 2, 3: 2, 4: 1, 5: 2}),
    ("ab'", "cb'", {0: 2, 1: 1, 2: 2, 3: 5, 4: 4, 5: 5}),
    ("ab'", "b", {0: 1, 1: 2}),
    ("ab'", "", {None: 2}),
    ("", "'", {0: None, 1: None}),
    ("'", "a'", {0: 0, 1: 0, 2: 1, 3: 1}),
]


@pytest.mark.parametrize("network", _NETWORKS)
@pytest.mark.parametrize(("old", "new", "numbers"), _CASES)
def test_classes_are_kept_by_name_and_new_ones_begin_as_any(
    network: str, old: str, new: str, numbers: dict[int | None, int | None]
) -> None:
    start, model = (
        _model(network, classes.removesuffix("'"), flip=classes.endswith("'"))
        for classes in (old, new)
    )
    take_weights(model, start)
    for number, of_start in numbers.items():
        torch.testing.assert_close(_answer(model, number), _answer(start, of_start))
    if {0, 1} <= numbers.keys() and numbers[0] != numbers[1]:
        assert not torch.allclose(_answer(model, 0), _answer(model, 1))


def test_where_no_number_is_for_any_a_new_class_begins_as_the_mean() -> None:
    start, model = (_model("unet", classes, any_class=False) for classes in ("ab", "bc"))
    take_weights(model, start)
    torch.testing.assert_close(_answer(model, 0), _answer(start, 1))
    rows = [each.denoiser.network.class_emb.weight for each in (start, model)]
    torch.testing.assert_close(rows[1][1], rows[0].mean(0))


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ArgumentError, match="weights are of another network"):
        take_weights(_model("unet", "ab", residual_down=True), _model("dit", "ab"))
