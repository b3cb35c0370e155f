"""Networks with dropout: off wherever one predicts, on in a training step, decided by the seed.

That of an ONNX file is off too: `models/test_onnx.py`.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfumato
from sfumato.config import TrainingSettings
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.estimator import DiffusionModel
from sfumato.models.diffusers import read_pipeline, write_pipeline
from sfumato.models.file import load_model
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.table import TableModel
from sfumato.networks.unet import UNet
from sfumato.process import parameterisations
from sfumato.process.grids import uniform_log_snr
from sfumato.process.schedules import Cosine
from sfumato.runs import distill
from sfumato.runs.doctor.remedies import _averaged
from sfumato.runs.fit import begin, finish, prepare, resolve, resume
from sfumato.runs.job import fitting, sampling_model
from sfumato.runs.run import open_run
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import sample_chunks
from sfumato.training.loop import Training, train
from sfumato.training.regression import regression_training

STEPS: dict[str, Any] = {
    "training.steps": 6,
    "training.warmup": 0,
    "training.learning_rate": 0.02,
    "training.average": 0.5,
    "training.batch_size": 16,
    "training.log_every": 2,
    "training.checkpoint_every": 2,
    "training.snapshots": 0,
    "sampling.steps": 3,
    "threads": 1,
}
PICTURES: dict[str, Any] = STEPS | {
    "network.width": 32,
    "network.options": {"multipliers": [1], "attention": [], "dropout": 0.5},
    "network.parameterisation": "eps",  # which diffusers has too
}
TABLE: dict[str, Any] = STEPS | {"network.width": 8, "network.options": {"dropout": 0.5}}
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
COLUMNS = {"x": np.random.default_rng(1).normal(size=60), "word": ["one", "two", "three"] * 20}

Maker = tuple[nn.Module, Callable[[], np.ndarray | Tensor]]
"""A network that predicts, and a draw with it."""


class Own(nn.Module):
    """A network from outside, in training mode as PyTorch makes it, with both kinds of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 32), nn.BatchNorm1d(32), nn.SiLU(), nn.Dropout(0.5), nn.Linear(32, 2)
        )

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        number = (log_snr / 10).expand(len(x)).unsqueeze(1)
        return self.layers(torch.cat([x, number], dim=1))  # type: ignore[no-any-return]


def own_training(seed: int = 0, **recipe: Any) -> Training:
    torch.manual_seed(5)
    data = torch.randn(64, 2, generator=torch.Generator().manual_seed(1)) + 3
    denoiser = NetworkDenoiser(Own(), parameterisations.edm)
    settings = TrainingSettings(**{"steps": 6, "batch_size": 16, "log_every": 2} | recipe)
    return regression_training(denoiser, Cosine(), data, settings, seed=seed)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of pictures, one that samples with its last weights, and what others make of it."""
    folder = tmp_path_factory.mktemp("runs")
    run = sfumato.fit(PIXELS, out=folder / "averaged", settings=PICTURES, quiet=True)
    last = PICTURES | {"sampling.weights": "last"}
    sfumato.fit(PIXELS, out=folder / "last", settings=last, quiet=True)
    write_pipeline(run.model, folder / "diffusers")
    return folder


def of_pictures(model: Model) -> Maker:
    assert isinstance(model, GaussianModel)
    return model.denoiser.network, lambda: model.sample(5, seed=3)


def untrained(_: Path) -> Maker:
    # With edm, as the noise that an untrained network predicts leaves pixels black and white.
    training, model = prepare(*resolve(PIXELS, PICTURES | {"network.parameterisation": "edm"}))
    torch.manual_seed(0)
    for weight in training.network.parameters():  # of which some begin at nothing
        nn.init.normal_(weight, std=0.1)
    return of_pictures(model)


def fresh_fit(folder: Path, weights: str) -> Maker:
    settings = PICTURES | {"sampling.weights": weights}
    run = sfumato.fit(PIXELS, out=folder / f"fresh-{weights}", settings=settings, quiet=True)
    return of_pictures(run.model)


def half_way(folder: Path, weights: str) -> Maker:
    """Between two records, where snapshots are drawn."""
    settings, data = resolve(PIXELS, PICTURES | {"sampling.weights": weights})
    with begin(settings, data, folder / f"half-way-{weights}") as job:
        list(islice(fitting(job), 2))
        return of_pictures(sampling_model(job))


def opened(folder: Path, name: str) -> Maker:
    return of_pictures(open_run(folder / name).model)


def loaded(folder: Path) -> Maker:
    return of_pictures(load_model(folder / "averaged" / "model.safetensors"))


def foreign(folder: Path) -> Maker:
    model = read_pipeline(folder / "diffusers")
    assert isinstance(model.denoiser.network, UNet)
    assert any(isinstance(m, nn.Dropout) and m.p == 0.5 for m in model.denoiser.network.modules())
    return model.denoiser.network, lambda: model.sample(2, seed=3, steps=3)


def remedy(folder: Path) -> Maker:
    run = open_run(folder / "last")
    return of_pictures(_averaged(run))


def table_run(folder: Path) -> Maker:
    pandas = pytest.importorskip("pandas")
    out = folder / "table"
    run = sfumato.fit(pandas.DataFrame(COLUMNS), out=out, settings=TABLE, quiet=True)
    assert isinstance(run.model, TableModel)
    return run.model.denoiser.network, lambda: run.sample(5, seed=3)["x"].to_numpy()


def table_file(folder: Path) -> Maker:
    pandas = pytest.importorskip("pandas")
    estimator = DiffusionModel(settings=TABLE, random_state=0).fit(pandas.DataFrame(COLUMNS))
    estimator.save(folder / "table.safetensors")
    again = DiffusionModel.load(folder / "table.safetensors")
    return again.model_.denoiser.network, lambda: again.sample(5, 3)["x"].to_numpy()


def estimated(_: Path) -> Maker:
    pandas = pytest.importorskip("pandas")
    estimator = DiffusionModel(settings=TABLE, random_state=0).fit(pandas.DataFrame(COLUMNS))
    return estimator.model_.denoiser.network, lambda: estimator.sample(5, 3)["x"].to_numpy()


def own_network(_: Path) -> Maker:
    training = own_training()
    denoise, grid = training.denoiser, uniform_log_snr(Cosine(), 3)
    assert isinstance(denoise, NetworkDenoiser)
    list(train(training))
    return training.network, lambda: torch.cat(
        list(sample_chunks(denoise, (2,), grid, DDIM(), n=5, seed=3))
    )


MAKERS: dict[str, Callable[[Path], Maker]] = {
    "untrained": untrained,
    "fresh fit": lambda folder: fresh_fit(folder, "averaged"),
    "fresh fit, last weights": lambda folder: fresh_fit(folder, "last"),
    "half-way": lambda folder: half_way(folder, "averaged"),
    "half-way, last weights": lambda folder: half_way(folder, "last"),
    "opened": lambda folder: opened(folder, "averaged"),
    "opened, last weights": lambda folder: opened(folder, "last"),
    "model file": loaded,
    "diffusers folder": foreign,
    "remedy": remedy,
    "table": table_run,
    "table file": table_file,
    "estimator": estimated,
    "own network": own_network,
}


@pytest.mark.parametrize("maker", MAKERS)
def test_two_draws_of_a_seed_are_equal_whoever_made_the_model(runs: Path, maker: str) -> None:
    network, draw = MAKERS[maker](runs)
    assert any(isinstance(each, nn.Dropout) and each.p > 0 for each in network.modules())
    assert not any(each.training for each in network.modules())
    assert np.array_equal(np.asarray(draw()), np.asarray(draw()))
    # What is left out at random is there to be left out.
    still, _ = draw(), network.train()
    assert not np.array_equal(np.asarray(draw()), np.asarray(still))
    network.eval()


def test_a_few_step_map_leaves_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its denoiser is made for each draw, which puts the network in evaluation mode."""
    monkeypatch.setitem(distill._RECIPES, "images", (32, 4, 1.0, 1))
    run = sfumato.fit(PIXELS, out=tmp_path / "run", settings=PICTURES, quiet=True)
    run = distill.learn_map(run, [2], seed=0, measure=False, quiet=True).run
    assert run.model.few is not None
    network = run.model.few.network
    assert any(isinstance(each, nn.Dropout) and each.p > 0 for each in network.modules())
    assert not any(each.training for each in network.modules())
    drawn = run.sample(5, seed=3, few=2)
    network.train()
    np.testing.assert_array_equal(run.sample(5, seed=3, few=2), drawn)


def test_a_step_leaves_out_and_what_follows_does_not() -> None:
    modes: list[bool | None] = []

    class Watched(Own):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            modes.append(self.training)
            return super().forward(x, log_snr)

    data = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    denoise = NetworkDenoiser(Watched(), parameterisations.edm)
    recipe = TrainingSettings(steps=4, batch_size=16, log_every=2)
    training = regression_training(denoise, Cosine(), data, recipe, seed=0)
    for _ in train(training):
        assert not any(each.training for each in training.network.modules())
        assert not any(each.training for each in training.average.network.modules())
        modes.append(None)
    assert modes == [True, True, None, True, True, None]


def weights_of(training: Training) -> Tensor:
    return torch.cat([each.detach().flatten() for each in training.network.parameters()])


def test_the_seed_decides_what_is_left_out_and_pytorch_s_generator_is_left_alone() -> None:
    found = []
    for seed, before in ((0, 1), (0, 2), (7, 1)):
        training = own_training(seed)
        torch.manual_seed(before)
        list(train(training))
        found.append(weights_of(training))
        assert torch.equal(torch.rand(3), torch.rand(3, generator=_seeded(before)))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_run_that_was_stopped_leaves_out_what_it_would_have(tmp_path: Path) -> None:
    settings, data = resolve("digits", PICTURES)
    with begin(settings, data, tmp_path / "whole") as job:
        whole = finish(job, quiet=True)
    with begin(settings, data, tmp_path / "stopped") as job:
        list(islice(fitting(job), 2))
    torch.manual_seed(99)  # another process stands elsewhere
    with resume(tmp_path / "stopped") as job:
        again = finish(job, quiet=True)
    for name, value in whole.model.denoiser.network.state_dict().items():
        assert torch.equal(again.model.denoiser.network.state_dict()[name], value), name


def test_the_average_has_the_running_statistics_of_the_network() -> None:
    training = own_training()
    list(train(training))
    for own, followed in zip(
        training.average.network.buffers(), training.network.buffers(), strict=True
    ):
        assert torch.equal(own, followed)
    statistics = dict(training.average.network.named_buffers())
    assert int(statistics["layers.1.num_batches_tracked"]) == 6
