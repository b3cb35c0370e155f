"""The exponential integral's weights against mpmath."""

import mpmath as mp
import pytest

from sfumato.samplers.exponential import interpolating_weights


@pytest.mark.parametrize("nodes", [(0.0,), (0.0, -0.3), (0.0, -0.3, -0.5), (0.2, 0.0, -0.1)])
@pytest.mark.parametrize("c", [1.0, 1.7, 2.0])
@pytest.mark.parametrize("h", [0.02, 0.2, 2.0])
def test_polynomials_through_the_nodes_are_integrated_exactly(
    nodes: tuple[float, ...], c: float, h: float
) -> None:
    weights = interpolating_weights(nodes, h, c)
    for power in range(len(nodes)):
        exact = mp.quad(lambda u, p=power: c * mp.exp(-c * (h - u)) * u**p, [0, h])
        ours = sum(w * node**power for w, node in zip(weights, nodes, strict=True))
        assert ours == pytest.approx(float(exact), rel=1e-9, abs=1e-15)
