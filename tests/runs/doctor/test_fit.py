"""The doctor's look at a run: sound where it is, and each fault made on purpose is found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfumato import fit
from sfumato.data.points import Points
from sfumato.data.toy import draw
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.errors import DataError
from sfumato.metrics.evaluation import Evaluation, Measure
from sfumato.models.gaussian import GaussianModel
from sfumato.process.noise import NoiseLevel
from sfumato.runs.doctor import Finding, examine_run
from sfumato.runs.exact import errors_by_level, exact_denoiser, regrets_by_level
from sfumato.runs.run import Run

QUICK = {"training.snapshots": 0, "training.batch_size": 256}


def found(run: Run, heldout: np.ndarray | None = None) -> dict[str, Finding]:
    return {each.title: each for each in examine_run(run, heldout)}


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Eight round clusters, whose exact denoiser is a mixture of eight."""
    folder = tmp_path_factory.mktemp("eight")
    settings: dict[str, Any] = {**QUICK, "training.steps": 600, "data.rows": 4000}
    return fit("eight-gaussians", out=folder / "run", settings=settings, quiet=True)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("begun")
    settings: dict[str, Any] = {**QUICK, "training.steps": 3, "data.rows": 4000}
    return fit("eight-gaussians", out=folder / "run", settings=settings, quiet=True)


@pytest.fixture(scope="module")
def of_eight(eight: Run) -> dict[str, Finding]:
    return found(eight)


@pytest.fixture(scope="module")
def of_begun(begun: Run) -> dict[str, Finding]:
    return found(begun)


class Answers(nn.Module):
    """A network that answers as the exact denoiser does, told the log-SNR."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.exact = exact_denoiser(run)

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        assert self.exact is not None
        return self.exact(x.double(), NoiseLevel.from_log_snr(log_snr.double())).x_0


def exact(run: Run) -> Run:
    """The same run with a perfect network."""
    from sfumato.process.parameterisations import x_0

    assert isinstance(run.model, GaussianModel)
    denoiser = NetworkDenoiser(Answers(run), x_0)
    return replace(run, model=replace(run.model, denoiser=denoiser))


def test_the_exact_denoiser_is_that_of_the_encoded_data(eight: Run) -> None:
    # Its density at clean points is the true one, less the codec's own change of units.
    rows = draw("eight-gaussians", 500, seed=9).values
    denoise = exact_denoiser(eight)
    density = eight.load_data().log_density()
    assert denoise is not None
    assert density is not None
    encoded = eight.model.codec.encode(rows).double()
    ours = denoise.log_density(encoded, NoiseLevel.clean()) + eight.model.codec.log_abs_det_jacobian
    assert np.allclose(ours.numpy(), density(rows), atol=1e-4)


def test_no_network_is_below_the_least_possible_error(eight: Run) -> None:
    x_0 = eight.model.codec.encode(draw("eight-gaussians", 4000, seed=11).values).double()
    exact = exact_denoiser(eight)
    assert exact is not None
    ours, least = (
        errors_by_level(eight, each, x_0).mean(1) for each in (eight.model.denoiser, exact)
    )
    assert bool((ours >= least * 0.999).all())


def test_the_regret_is_the_difference_of_the_errors(begun: Run) -> None:
    # E|x_0 - D|² - E|x_0 - E[x_0 | x_t]|² = E|D - E[x_0 | x_t]|², whatever D is.
    x_0 = begun.model.codec.encode(draw("eight-gaussians", 8000, seed=11).values).double()
    exact = exact_denoiser(begun)
    assert exact is not None
    ours, least = (errors_by_level(begun, each, x_0) for each in (begun.model.denoiser, exact))
    over = regrets_by_level(begun, exact, x_0)
    off = ours - least - over
    assert bool((off.mean(1).abs() < 5 * off.std(1) / 8000**0.5 + 1e-9).all())


def test_a_perfect_network_has_no_regret(eight: Run) -> None:
    told = found(exact(eight))["The network is near the best possible"]
    assert abs(float(told.number.split()[0])) < 1e-3


def test_a_network_that_learned_nothing_is_above_the_floor(of_begun: dict[str, Finding]) -> None:
    assert not of_begun["The network is above the exact floor"].sound
    assert not of_begun["Trees tell samples from real rows"].sound
    assert float(of_begun["The network is above the exact floor"].number.split()[0]) > 0.3


def test_a_trained_one_is_nearer(
    of_eight: dict[str, Finding], of_begun: dict[str, Finding]
) -> None:
    def regret(findings: dict[str, Finding]) -> float:
        (told,) = (f for title, f in findings.items() if title.startswith("The network is"))
        return float(told.number.split()[0])

    assert regret(of_eight) < regret(of_begun) / 3


def test_a_network_that_memorises_is_found_out(tmp_path: Path) -> None:
    """The exact denoiser of 40 training rows: what it samples are those rows."""
    from sfumato.denoisers.empirical import empirical
    from sfumato.process.parameterisations import x_0

    rows = np.random.default_rng(0).normal(size=(2000, 2))
    run = fit(rows, out=tmp_path / "run", settings={**QUICK, "training.steps": 1}, quiet=True)
    assert isinstance(run.model, GaussianModel)
    data = run.load_data()
    seen = data.train.values[:40]

    class Memory(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.points = empirical(run.model.codec.encode(seen))

        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return self.points(x.double(), NoiseLevel.from_log_snr(log_snr.double())).x_0

    learned = replace(
        run,
        model=replace(run.model, denoiser=NetworkDenoiser(Memory(), x_0)),
        data=replace(data, train=Points(seen, data.train.columns)),
    )
    told = found(learned, data.train.values[1000:])
    assert not told["Unseen rows fare worse than training rows"].sound
    near = told["Samples lie too near to training rows"]
    assert not near.sound
    assert near.remedy.startswith("fewer steps")
    assert not any("more training.steps" in f.remedy.partition(";")[0] for f in told.values())


def test_a_network_that_has_learned_nothing_is_not_told_to_learn_less(tmp_path: Path) -> None:
    """One that says 0, the mean, whatever it sees: no row is copied, but all are crowded there."""
    from sfumato.process.parameterisations import x_0

    class Mean(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return torch.zeros_like(x)

    rows = np.random.default_rng(0).normal(size=(2000, 2))
    run = fit(rows, out=tmp_path / "run", settings={**QUICK, "training.steps": 1}, quiet=True)
    assert isinstance(run.model, GaussianModel)
    told = found(replace(run, model=replace(run.model, denoiser=NetworkDenoiser(Mean(), x_0))))
    assert told["Unseen rows fare as training rows do"].sound
    assert "more training.steps" in told["Trees tell samples from real rows"].remedy
    near = told["Samples lie too near to training rows"]
    assert not near.sound
    assert near.remedy.startswith("train longer")
    assert "not as copies" in near.sentence
    assert not any("fewer steps" in each.remedy for each in told.values())


@pytest.mark.parametrize("overfit", ["cannot be told apart", "apart", "no power"])
def test_remedies_of_a_table_do_not_contradict_each_other(of_table: Run, overfit: Any) -> None:
    def measure(name: str, verdict: Any) -> Measure:
        return Measure(name, name, 0.9, (0.5,), 0.55, 0.02, 100, verdict)

    measures = measure("detection", "apart"), measure("overfit", overfit)
    evaluation = Evaluation((*measures, measure("memorisation", "apart")), 100)
    told = [each.remedy for each in examine_run(of_table, evaluation=evaluation)]
    asked = {word for word in ("fewer steps", "train longer") if any(word in r for r in told)}
    if overfit != "no power":  # which says nothing of whether rows are memorised
        assert asked == {"fewer steps" if overfit == "apart" else "train longer"}


def test_what_cannot_be_known_is_said(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2))
    run = fit(rows, out=tmp_path / "run", settings={**QUICK, "training.steps": 1}, quiet=True)
    assert found(run)["How near the network is to the best possible"].number == "not known"


def test_unseen_rows_may_be_given(eight: Run) -> None:
    other = draw("eight-gaussians", 3000, seed=77).values
    assert found(eight, other)["Unseen rows fare as training rows do"].sound
    # Rows of something else are worse off, and trees tell.
    assert not found(eight, 2 * other)["Unseen rows fare worse than training rows"].sound


def test_rows_that_are_given_and_do_not_fit_are_refused(of_table: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        list(examine_run(of_table, tmp_path / "none.csv"))
    (tmp_path / "other.csv").write_text("other\n" + "1.5\n2.5\n" * 100)
    with pytest.raises(DataError):
        list(examine_run(of_table, tmp_path / "other.csv"))


def test_nothing_is_claimed_from_few_rows(eight: Run) -> None:
    titles = set(found(eight, draw("eight-gaussians", 20, seed=7).values))
    assert not any("Trees" in title or "Unseen" in title for title in titles)


def test_looking_changes_nothing(eight: Run, of_eight: dict[str, Finding]) -> None:
    before = torch.get_num_threads(), eight.sample(10)
    assert [each.to_dict() for each in examine_run(eight)] == [
        each.to_dict() for each in of_eight.values()
    ]
    assert torch.get_num_threads() == before[0]
    assert np.array_equal(eight.sample(10), before[1])
