"""The examples run as they stand and do what they say."""

import runpy
from pathlib import Path

import numpy as np

from sfumato.data.toy import draw

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_own_network_learns_the_moons() -> None:
    sample = runpy.run_path(str(EXAMPLES / "own_network.py"))["main"](400).numpy()
    real = draw("moons", 1000, seed=1).values
    np.testing.assert_allclose(sample.mean(0), real.mean(0), atol=0.15)
    np.testing.assert_allclose(sample.std(0), real.std(0), rtol=0.2)
