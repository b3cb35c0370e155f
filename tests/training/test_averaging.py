"""The weights' average against the recursion written out by hand."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from sfumato.training.averaging import Average


@pytest.mark.parametrize("decay", [0.9, 0.0])
def test_follows_the_recursion_with_its_warm_up(decay: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    average = Average(network, deepcopy(network), decay)
    expected = None
    for n, weight in enumerate([3.0, 5.0, -1.0, 2.0, 8.0, 8.0, 8.0, 1.0]):
        nn.init.constant_(network.weight, weight)
        average.follow()
        if expected is None:
            expected = weight  # the first weights are the first average
        else:
            expected += (1 - min(decay, (1 + n) / (10 + n))) * (weight - expected)
        assert next(average.network.parameters()).item() == pytest.approx(expected)


def test_a_short_run_forgets_its_random_start() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = Average(network, deepcopy(network), 0.9999)
    nn.init.constant_(network.weight, 100.0)
    average.follow()
    nn.init.constant_(network.weight, 1.0)
    for _ in range(200):
        average.follow()
    # Without the warm-up 98 of the first 100 would be left.
    assert next(average.network.parameters()).item() == pytest.approx(1.0, abs=1e-3)


def test_the_network_itself_is_not_touched() -> None:
    network = nn.Linear(3, 3)
    before = network.weight.detach().clone()
    average = Average(network, deepcopy(network), 0.9)
    average.follow()
    torch.testing.assert_close(network.weight, before, rtol=0, atol=0)
    assert average.network.weight is not network.weight
