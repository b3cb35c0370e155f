"""The examples run in an empty folder, in fewer steps than they have, and do what they say."""

import re
import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial import KDTree
from sklearn.datasets import make_moons

import sfumato
from quick import few_trees
from sfumato.errors import RunError

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))

# The parts of one's own; the others are to be read as a page.
SHORT = [each for each in EXAMPLES if each.name.startswith("own_")]

Ran = Callable[..., dict[str, Any]]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs an example in an empty folder; gives its names."""
    monkeypatch.chdir(tmp_path)
    fit, settings = sfumato.fit, sfumato.TrainingSettings
    torch.manual_seed(0)

    def run(name: str, *, steps: int = 300, **names: Any) -> dict[str, Any]:
        monkeypatch.setattr(sfumato, "fit", partial(fit, settings={"training.steps": steps}))
        monkeypatch.setattr(
            sfumato, "TrainingSettings", lambda **own: settings(**own | {"steps": steps})
        )
        (path,) = (each for each in EXAMPLES if each.name == name)
        return runpy.run_path(str(path), init_globals=names, run_name="__main__")

    return run


def assert_is_moons(sample: np.ndarray) -> None:
    """By the moments of scikit-learn's own, and by how far rows are from the nearest of them."""
    real = make_moons(5000, noise=0.05, random_state=1)[0]
    np.testing.assert_allclose(sample.mean(0), real.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(sample.T), np.cov(real.T), atol=0.06)
    nearest, _ = KDTree(real).query(sample)
    assert np.quantile(nearest, 0.9) < 0.1  # of a Gaussian of the same moments it is 0.45


def test_the_measure_of_moons_can_fail() -> None:
    real = make_moons(1000, noise=0.05, random_state=2)[0]
    assert_is_moons(real)
    gaussian = np.random.default_rng(0).multivariate_normal(real.mean(0), np.cov(real.T), 1000)
    with pytest.raises(AssertionError):
        assert_is_moons(gaussian)


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 25
    ours = [line for line in lines if re.match(r"\s*(import|from) sfumato\b", line)]
    assert set(ours) <= {
        "import sfumato",
        *(o for o in ours if o.startswith("from sfumato import")),
    }
    assert 1 <= len(ours) <= 2


def test_each_example_is_tested_here() -> None:
    assert [each.stem for each in EXAMPLES] == [
        "own_loss_weighting",
        "own_network",
        "own_sampler",
        "own_schedule",
        "predict_a_column",
    ]


def test_own_network(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran("own_network.py", steps=500)
    run = found["run"]
    assert_is_moons(run.sample(1000))
    assert isinstance(run.model.denoiser.network, found["MyNetwork"])
    # What the example printed are rows of the saved model, whose weights are the run's.
    again = sfumato.open("own-network.safetensors", network=found["MyNetwork"]())
    np.testing.assert_array_equal(again.sample(1000), run.sample(1000))
    assert str(run.sample(5)) in capsys.readouterr().out
    with pytest.raises(RunError, match=r"network=\.\.\."):
        sfumato.open("own-network.safetensors")


def test_own_schedule(ran: Ran) -> None:
    found = ran("own_schedule.py")
    run, again = found["run"], found["again"]
    assert_is_moons(run.sample(1000))
    np.testing.assert_array_equal(again.sample(1000), run.sample(1000))
    # alpha² = sigmoid(log SNR): at the two ends 1/(1 + e^-10) and 1/(1 + e^8).
    alpha_bar = [float(run.model.process.at(torch.tensor(u)).alpha) ** 2 for u in (0.0, 1.0)]
    np.testing.assert_allclose(alpha_bar, [1 / (1 + np.exp(-10)), 1 / (1 + np.exp(8))], rtol=1e-6)
    with pytest.raises(RunError, match=r"process=\.\.\."):
        sfumato.open(run.folder)


def test_own_sampler(ran: Ran) -> None:
    sampler = ran("own_sampler.py")["MySampler"]()
    run = sfumato.open("runs/own-sampler")
    sample = run.sample(1000, sampler=sampler)
    assert_is_moons(sample)
    # Ours of that name takes steps of any length; on an even grid it is the same method.
    even: dict[str, Any] = {"grid": "uniform-log-snr", "steps": 20}
    ours = run.sample(1000, sampler="dpm++2m", **even)
    np.testing.assert_allclose(run.sample(1000, sampler=sampler, **even), ours, atol=1e-4)
    ddim = run.sample(1000, sampler="ddim", **even)
    assert np.abs(ddim - ours).max() > 1e-3  # of first order: another method is told from it


def test_own_loss_weighting(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    found = ran("own_loss_weighting.py", steps=500)
    assert_is_moons(
        torch.cat(
            list(
                sfumato.sample_chunks(
                    found["denoise"], (2,), found["levels"], sfumato.samplers.DDIM(), n=1000, seed=0
                )
            )
        ).numpy()
    )
    assert found["training"].step == 500
    losses = [float(each) for each in re.findall(r"loss ([\d.]+)", capsys.readouterr().out)]
    assert losses[-1] < losses[0] / 5
    # The weight is what the loss of a row is multiplied by: twice the weight, twice the loss.
    objective = found["training"].objective
    level = sfumato.NoiseLevel.from_log_snr(torch.linspace(-5, 8, 7, dtype=torch.float64))
    expected = np.minimum(np.exp(np.linspace(-5, 8, 7)), 20)
    np.testing.assert_allclose(objective.weight(level).numpy(), expected)


def test_predict_a_column(ran: Ran, tmp_path: Path) -> None:
    """A small network and few steps: it is ahead of what looks at nothing all the same."""
    small = {"training.steps": 60, "network.width": 32, "sampling.steps": 6}
    with few_trees():
        found = ran("predict_a_column.py", SETTINGS=small)
    truth = found["truth"]
    error = np.sqrt(((found["mean"] - truth) ** 2).mean())
    assert error < 0.6 * truth.std()
    assert stats.binomtest(int(found["inside"].sum()), len(truth), 0.9).pvalue > 1e-4
    assert found["nats"].mean() > found["normal"].mean() + 1
    # Its pinball loss over 19 levels is nearly the CRPS of the empirical law, by its own formula.
    train = found["train"]["body_mass_g"].to_numpy()
    spread = np.abs(train[:, None] - train).mean()
    crps = np.abs(truth[:, None] - train).mean() - spread / 2
    assert found["pinball"](found["anyone"]) == pytest.approx(crps, rel=0.1)
    assert found["pinball"](found["quantiles"]) < 0.7 * crps
    female, male, either = (found["drawn"]["body_mass_g"].to_numpy().reshape(3, 500)).astype(float)
    assert female.mean() < either.mean() < male.mean()
    assert found["pipeline"].score(found["test"], truth) > 0.6
    pictures = sorted(each.name for each in tmp_path.glob("*.png"))
    names = ("calibration", "conditions", "intervals", "sex")
    assert pictures == [f"predict-{name}.png" for name in names]
