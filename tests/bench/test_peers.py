"""The peers of the benchmarks do what they are said to do, where they are installed."""

import numpy as np
import pytest

from bench.peers import NAMES, Peer, Scored, peer
from sfumato.data.toy import draw


def _peer(name: str) -> Peer:
    try:
        return peer(name)
    except ImportError as error:
        pytest.skip(f"make bench installs what {name} needs: {error}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_each_peer_fits_and_samples_and_the_seed_decides(name: str) -> None:
    rows = draw("moons", 500, seed=0).values
    other = _peer(name)
    fitted = other.fit(rows, 0, min(other.steps, 20))
    sample = fitted.sample(100, 3)
    assert sample.shape == (100, 2)
    assert np.isfinite(sample).all()
    np.testing.assert_array_equal(sample, fitted.sample(100, 3))
    assert not np.array_equal(sample, fitted.sample(100, 4))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["gaussian_mixture", "kernel_density", "zuko_flow"])
def test_a_density_integrates_to_one_in_the_datas_units(name: str) -> None:
    other = _peer(name)
    fitted: Scored = other.fit(3 * draw("moons", 1000, seed=0).values, 0, 20)  # type: ignore[assignment]
    x = np.linspace(-15, 15, 301)
    grid = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2)
    assert np.exp(fitted.log_prob(grid)).sum() * 0.01 == pytest.approx(1, abs=0.02)
