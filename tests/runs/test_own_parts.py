"""A network, a schedule or a sampler of one's own: fitted with, saved, and asked for again."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfumato
from fitted import SHORT, TINY, normal_rows, people_rows
from sfumato.errors import ArgumentError, RunError
from sfumato.networks.table_mlp import TableMLP
from sfumato.process.noise import NoiseLevel
from sfumato.process.schedules import Cosine
from sfumato.runs.fit import resume
from sfumato.runs.run import Run
from sfumato.samplers import DDIM
from sfumato.training import checkpoint


class OwnNetwork(nn.Module):
    """Two layers, which are told the log-SNR."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.SiLU(), nn.Linear(width, 3))

    def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
        number = (log_snr / 10).expand(len(x)).unsqueeze(1)
        return self.layers(torch.cat([x, number], dim=1))  # type: ignore[no-any-return]


class OwnSchedule:
    """log-SNR falls evenly in time: from 9 to -9."""

    def __call__(self, t: Tensor) -> NoiseLevel:
        return NoiseLevel.from_log_snr(9 - 18 * t)

    def time(self, log_snr: Tensor) -> Tensor:
        return (9 - log_snr) / 18


@pytest.fixture(scope="module")
def of_network(runs: Path, of_file: Run) -> Run:
    torch.manual_seed(0)
    source, out = of_file.settings.data.source, runs / "own-network"
    return sfumato.fit(source, network=OwnNetwork(), settings=TINY, out=out, quiet=True)


@pytest.fixture(scope="module")
def of_schedule(runs: Path, of_file: Run) -> Run:
    source, out = of_file.settings.data.source, runs / "own-schedule"
    return sfumato.fit(source, process=OwnSchedule(), settings=TINY, out=out, quiet=True)


def folder_of(run: Run) -> Path:
    assert run.folder is not None
    return run.folder


# ------------------------------------------------------------------------------------ network


def test_it_is_the_network_given_that_learns(of_network: Run) -> None:
    network = of_network.model.denoiser.network
    assert isinstance(network, OwnNetwork)
    assert of_network.settings.network.name == "own"
    tensors, _ = checkpoint.load(folder_of(of_network) / "checkpoint")
    for name, value in network.state_dict().items():
        assert torch.equal(value, tensors[f"average.{name}"])
    torch.manual_seed(0)
    untrained = OwnNetwork().state_dict()["layers.2.weight"]
    assert not torch.equal(network.state_dict()["layers.2.weight"], untrained)
    losses = [record["loss"] for record in of_network.records()]
    assert losses[-1] < losses[0]


def test_an_own_network_is_filled_from_the_file(of_network: Run, tmp_path: Path) -> None:
    of_network.save(tmp_path / "model.safetensors")
    rows = of_network.sample(50)
    for place in (folder_of(of_network), tmp_path / "model.safetensors"):
        again = sfumato.open(place, network=OwnNetwork())
        np.testing.assert_array_equal(again.sample(50), rows)
        assert again.settings == of_network.settings


def test_without_its_own_network_a_run_is_not_opened(of_network: Run) -> None:
    for place in (folder_of(of_network), folder_of(of_network) / "model.safetensors"):
        with pytest.raises(RunError, match=r"a network of the user's own; .*, network=\.\.\.\)"):
            sfumato.open(place)


def test_a_network_of_another_shape_is_refused(of_network: Run) -> None:
    with pytest.raises(RunError, match="weights are not those"):
        sfumato.open(folder_of(of_network), network=OwnNetwork(width=13))


def test_an_own_network_is_not_for_a_run_that_has_none(moons: Run) -> None:
    with pytest.raises(RunError, match="fitted with the network 'vector-mlp'; leave `network` out"):
        sfumato.open(folder_of(moons), network=OwnNetwork())


@pytest.mark.parametrize("network", [OwnNetwork, lambda x, log_snr: x, "vector-mlp"])
def test_what_is_no_network_is_refused_before_a_folder_is_made(
    network: Any, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match=r"`network` is a torch\.nn\.Module"):
        sfumato.fit(normal_rows(), network=network, settings=TINY, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_network_that_takes_no_noise_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"called with \(x, log_snr\), and Linear\.forward is not"
    ):
        sfumato.fit(
            normal_rows(), network=nn.Linear(3, 3), settings=TINY, out=tmp_path / "run", quiet=True
        )
    assert not (tmp_path / "run").exists()


def test_an_answer_of_another_shape_is_named(tmp_path: Path) -> None:
    class Wrong(OwnNetwork):
        def forward(self, x: Tensor, log_snr: Tensor) -> Tensor:
            return super().forward(x, log_snr)[:, :2]

    with pytest.raises(ArgumentError, match=r"must answer \(64, 3\) with \(64, 3\); got \(64, 2\)"):
        sfumato.fit(normal_rows(), network=Wrong(), settings=TINY, out=tmp_path / "run", quiet=True)


def test_a_run_of_an_own_network_is_not_resumed(of_network: Run) -> None:
    with (
        pytest.raises(RunError, match=r"network or schedule of its own cannot be resumed"),
        resume(folder_of(of_network)),
    ):
        pass


def test_a_table_takes_an_own_network(of_table: Run, tmp_path: Path) -> None:
    codec = of_table.model.codec

    def network() -> TableMLP:
        return TableMLP(codec.event[0], codec.sizes, width=8, depth=1, features=4)

    run = sfumato.fit(
        people_rows(), network=network(), settings=SHORT, out=tmp_path / "run", quiet=True
    )
    again = sfumato.open(tmp_path / "run", network=network())
    rows, expected = again.sample(20), run.sample(20)
    for own, other in zip(rows, expected, strict=True):
        assert own.values.tolist() == other.values.tolist()
        assert own.missing.tolist() == other.missing.tolist()
    with pytest.raises(RunError, match="a network of the user's own"):
        sfumato.open(tmp_path / "run")


# ----------------------------------------------------------------------------------- schedule


def test_an_own_schedule_is_the_process(of_schedule: Run) -> None:
    level = of_schedule.model.process.at(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert level.log_snr.tolist() == pytest.approx([9, 0, -9], abs=1e-9)
    assert of_schedule.settings.process.schedule == "own"


def test_an_own_schedule_is_asked_for_again(of_schedule: Run, tmp_path: Path) -> None:
    of_schedule.save(tmp_path / "model.safetensors")
    rows = of_schedule.sample(50)
    for place in (folder_of(of_schedule), tmp_path / "model.safetensors"):
        again = sfumato.open(place, process=OwnSchedule())
        np.testing.assert_array_equal(again.sample(50), rows)
        with pytest.raises(RunError, match=r"a process of the user's own; .*, process=\.\.\.\)"):
            sfumato.open(place)
    with (
        pytest.raises(RunError, match=r"network or schedule of its own cannot be resumed"),
        resume(folder_of(of_schedule)),
    ):
        pass


def test_an_own_schedule_is_not_for_a_run_that_has_none(moons: Run) -> None:
    with pytest.raises(RunError, match="fitted with the process 'cosine'; leave `process` out"):
        sfumato.open(folder_of(moons), process=OwnSchedule())


def test_ours_handed_over_is_the_one_that_is_named(runs: Path) -> None:
    """The same schedule as an object and by its name: the same model."""
    short = TINY | {"training.steps": 20}
    named = sfumato.fit(
        normal_rows(),
        settings=short | {"process.options.shift": 1.0},
        out=runs / "named-schedule",
        quiet=True,
    )
    given = sfumato.fit(
        normal_rows(), process=Cosine(shift=1.0), settings=short, out=runs / "given", quiet=True
    )
    np.testing.assert_array_equal(given.sample(30), named.sample(30))


def test_a_schedule_that_rises_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    class Rises(OwnSchedule):
        def __call__(self, t: Tensor) -> NoiseLevel:
            return NoiseLevel.from_log_snr(18 * t - 9)

    with pytest.raises(ArgumentError, match="must fall with t"):
        sfumato.fit(normal_rows(), process=Rises(), settings=TINY, out=tmp_path / "a", quiet=True)
    assert not (tmp_path / "a").exists()


# ------------------------------------------------------------------------------------ sampler


class Euler:
    """A step of the probability flow in sigma/alpha, of first order: DDIM without noise."""

    def start(self) -> None:
        """Nothing is remembered."""

    def step(
        self, denoise: Any, x: Tensor, t: NoiseLevel, s: NoiseLevel, state: None, noise: Any
    ) -> tuple[Tensor, Any, None]:
        found = denoise(x, t)
        flow = (x / t.alpha - found.x_0) / t.sigma_ve  # d(x/alpha)/d(sigma/alpha)
        return s.alpha * (x / t.alpha + (s.sigma_ve - t.sigma_ve) * flow), found, None


def test_an_own_sampler_draws(of_array: Run) -> None:
    own = of_array.sample(40, sampler=Euler())
    by_name = of_array.sample(40, sampler="ddim", options={"eta": 0.0})
    np.testing.assert_allclose(own, by_name, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(of_array.sample(10, sampler=Euler()), own[:10])
    np.testing.assert_array_equal(of_array.sample(40, sampler=DDIM()), by_name)
    longer = of_array.sample(40, sampler=Euler(), steps=20)
    assert np.abs(longer - own).max() > 1e-3  # the other settings still hold


def test_an_own_sampler_edits_and_completes(of_array: Run) -> None:
    rows = normal_rows(6)
    kinds: dict[str, Any] = {"options": {"eta": 0.0}}
    np.testing.assert_allclose(
        of_array.edit(rows, 0.5, sampler=Euler()),
        of_array.edit(rows, 0.5, sampler="ddim", **kinds),
        rtol=0,
        atol=1e-5,
    )
    rows[:, 1] = math.nan
    (own,) = of_array.complete(rows, draws=1, sampler=Euler())
    (by_name,) = of_array.complete(rows, draws=1, sampler="ddim", **kinds)
    np.testing.assert_allclose(own, by_name, rtol=0, atol=1e-4)


def test_an_own_sampler_draws_tables_and_pictures(of_table: Run, of_pictures: Run) -> None:
    ddim: dict[str, Any] = {"sampler": "ddim", "options": {"eta": 0.0}}
    own, by_name = of_table.sample(30, sampler=Euler()), of_table.sample(30, **ddim)
    for one, other in zip(own, by_name, strict=True):
        assert one.missing.tolist() == other.missing.tolist()
        if one.values.dtype.kind == "f":
            np.testing.assert_allclose(one.values, other.values, rtol=0, atol=2e-3)
        else:
            assert (one.values == other.values).mean() > 0.9  # integers are rounded
    pictures = of_pictures.sample(4, sampler=Euler()).astype(int)
    assert np.abs(pictures - of_pictures.sample(4, **ddim)).max() <= 1


@pytest.mark.parametrize("sampler", [Euler, 3, object()])
def test_what_is_no_sampler_is_refused(of_array: Run, of_table: Run, sampler: Any) -> None:
    for run in (of_array, of_table):
        with pytest.raises(ArgumentError, match="`sampler` is a name, or an object with"):
            run.sample(3, sampler=sampler)
