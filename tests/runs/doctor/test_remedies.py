"""The doctor against closed forms: the tutorial's faults by number, a sound run by silence."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.config import preset
from sfumato.data.toy import draw
from sfumato.runs.doctor import examine_run, remedied
from sfumato.runs.fit import begin, finish, resolve
from sfumato.runs.run import Run


def _fit(folder: Path, layer: Mapping[str, Any], changes: Mapping[str, Any]) -> Run:
    settings, data = resolve("s-curve", changes, layer)
    with begin(settings, data, folder / "run") as job:
        return finish(job, quiet=True)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Run:
    changes = {"training.epochs": 1, "data.rows": 2000, "training.snapshots": 0}
    return _fit(tmp_path_factory.mktemp("tutorial"), preset("tutorial"), changes)


def test_the_tutorials_faults_have_their_numbers(tutorial: Run) -> None:
    """Each derived here from the tutorial's description in plain float64."""
    found = {each.title: each for each in examine_run(tutorial) if not each.sound}
    assert {
        "The start is not where the process ends",
        "Noise is added in the last step",
        "The weights are not averaged",
        "The data are not scaled to the noise",
    } <= set(found)

    betas = [(0.005 - 1e-5) / (1 + math.exp(-(-6 + 12 * i / 99))) + 1e-5 for i in range(100)]
    alpha_bar = math.prod(1 - beta for beta in betas)
    assert alpha_bar == pytest.approx(0.77800343, abs=1e-8)
    values = draw("s-curve", 2000, seed=0).values
    square = values.mean(0) ** 2 + values.var(0, ddof=1)
    nats = float((0.5 * (alpha_bar * square - alpha_bar - math.log(1 - alpha_bar))).sum())
    start = found["The start is not where the process ends"]
    assert start.number == f"L_T = {nats:.3f} nats"
    assert "0.778" in start.sentence
    reached = math.sqrt(alpha_bar * values.var(0, ddof=1)[0] + 1 - alpha_bar)
    assert f"{reached:.3f}" in start.sentence

    last = found["Noise is added in the last step"]
    assert last.number == f"{math.sqrt(betas[0]):.4f}"

    scale = found["The data are not scaled to the noise"]
    spread = float(values.std(0, ddof=1).mean())
    bars = np.cumprod(1 - np.array(betas))
    below = int((np.sqrt((1 - bars) / bars) < spread).sum())
    assert f"{spread:.3f}" in scale.number
    assert f"{below} of 100 levels" in scale.sentence

    assert "decay 0.999 unused" in found["The weights are not averaged"].number


def test_remedies_are_tried_on_the_same_network(tutorial: Run) -> None:
    tried = {each.title: each.sample for each in remedied(tutorial, 700)}
    assert list(tried) == [
        "started where the process ends",
        "no noise in the last step",
        "averaged weights",
        "all of these",
    ]
    assert all(sample.shape == (700, 2) for sample in tried.values())
    as_asked = tutorial.sample(700)
    # Same seed and network: only the last step's noise is gone, of variance beta_1.
    difference = as_asked - tried["no noise in the last step"]
    beta_1 = (0.005 - 1e-5) / (1 + math.exp(6)) + 1e-5
    assert difference.std() == pytest.approx(math.sqrt(beta_1), rel=0.08)
    # Started from noised data, whose deviation is 0.48 and not 1, samples spread less.
    assert tried["started where the process ends"].std() < as_asked.std()
