"""Models: put together by name, the same samples in any portion, one file that notices damage."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.config import Settings, preset, resolve
from sfumato.data.codec import Codec
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, RunError
from sfumato.model import Model, build_denoiser, build_process, load_model
from sfumato.process.schedules import Cosine
from sfumato.process.tables import Table


def _model(*layers: dict[str, Any]) -> Model:
    settings = resolve({"network": {"width": 16}, "sampling": {"steps": 8}}, *layers)
    rng = np.random.default_rng(0)
    values = rng.normal([5, -3, 7], [1, 10, 0.0], (50, 3))
    codec = Codec.fit(Points(values, ("a", "b", "constant")))
    process = build_process(settings.process)
    denoiser = build_denoiser(settings, codec.dimension, process)
    with torch.no_grad():
        for weight in denoiser.network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return Model(settings, codec, process, denoiser)


@pytest.fixture(scope="module")
def model() -> Model:
    return _model()


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_hundred_are_the_first_of_a_thousand_bit_for_bit(model: Model) -> None:
    thousand = model.sample(1000, seed=4)
    np.testing.assert_array_equal(model.sample(100, seed=4), thousand[:100])
    np.testing.assert_array_equal(model.sample(2500, seed=4)[:1000], thousand)
    pieces = [model.sample(k, seed=4, first=j) for j, k in ((0, 1), (1, 600), (601, 399))]
    np.testing.assert_array_equal(np.concatenate(pieces), thousand)
    assert not np.array_equal(model.sample(100, seed=5), thousand[:100])


def test_samples_are_in_the_datas_units_and_constants_exact(model: Model) -> None:
    rows = model.sample(2000)
    assert rows.shape == (2000, 3)
    assert rows.dtype == np.float64
    assert set(rows[:, 2]) == {model.codec.mean[2]}
    assert rows[:, 1].std() > 3 * rows[:, 0].std()


def test_no_rows_keep_their_columns(model: Model) -> None:
    assert model.sample(0).shape == (0, 3)


def test_frames_end_in_the_samples(model: Model) -> None:
    frames = list(model.frames(30, seed=2))
    assert len(frames) == 9
    np.testing.assert_array_equal(frames[-1][1], model.sample(30, seed=2))
    assert float(frames[-1][0].sigma) == 0


@pytest.mark.parametrize("changes", [{"n": -1}, {"seed": -1}, {"first": -1}])
def test_negative_numbers_are_refused(model: Model, changes: dict[str, int]) -> None:
    (name,) = changes
    with pytest.raises(ArgumentError, match=f"`{name}` must not be negative; got -1"):
        model.sample(**{"n": 5, **changes})


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ({"process": {"schedule": "cosin"}}, "did you mean 'cosine'"),
        ({"process": {"schedule": "scaled-linear"}}, "process.num_levels"),
        ({"process": {"options": {"shfit": 1.0}}}, "did you mean 'shift'"),
        ({"process": {"num_levels": 10, "options": {"num_levels": 3}}}, "unknown option"),
        ({"network": {"name": "vector-mpl"}}, "did you mean 'vector-mlp'"),
        ({"network": {"name": "step-mlp"}}, "process.num_levels"),
        ({"network": {"target": "epsilon"}}, "did you mean 'eps'"),
        ({"sampling": {"sampler": "dimm"}}, "did you mean 'ddim'"),
        ({"sampling": {"grid": "kerras"}}, "did you mean 'karras'"),
        ({"process": {"num_levels": 9}, "sampling": {"grid": "trailing", "steps": 10}}, "1 and 9"),
        ({"process": {"num_levels": 9}, "sampling": {"grid": "uniform-time"}}, "grid of a table"),
    ],
)
def test_names_and_numbers_that_do_not_fit_are_told(settings: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ArgumentError, match=phrase):
        _model(settings).sample(1)


def test_num_levels_decides_between_table_and_schedule() -> None:
    assert isinstance(build_process(Settings().process), Cosine)
    tutorial = build_process(resolve(preset("tutorial")).process)
    assert isinstance(tutorial, Table)
    assert float(tutorial.alpha_bar[-1]) == pytest.approx(0.77800343, abs=1e-8)


def test_the_tutorials_network_has_its_72066_weights() -> None:
    settings = resolve(preset("tutorial"))
    denoiser = build_denoiser(settings, 2, build_process(settings.process))
    assert sum(each.numel() for each in denoiser.network.parameters()) == 72_066


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    _model()
    assert torch.equal(torch.rand(3), expected)


def test_a_saved_model_samples_the_same(model: Model, saved: Path) -> None:
    again = load_model(saved)
    assert again.settings == model.settings
    assert again.codec == model.codec
    np.testing.assert_array_equal(again.sample(50), model.sample(50))


def test_saving_twice_gives_the_same_bytes(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "a.safetensors")
    model.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_every_flipped_bit_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    for place in np.linspace(0, len(content) - 1, 60).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 1
        saved.write_bytes(flipped)
        with pytest.raises(RunError):
            load_model(saved)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match="not a whole safetensors file"):
        load_model(saved)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(RunError, match="not one that sfumato wrote"):
        load_model(tmp_path / "other.safetensors")


def test_a_newer_format_is_refused(saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved)
    save_file(tensors, saved, {"sfumato": json.dumps({"format": 99, "sha256": ""})})
    with pytest.raises(RunError, match="format 99"):
        load_model(saved)


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path, sprung = tmp_path / "model.safetensors", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(_Trap(sprung)))
    with pytest.raises(RunError, match="not a whole safetensors file"):
        load_model(path)
    assert not sprung.exists()
    pickle.loads(path.read_bytes())  # the trap does work
    assert sprung.exists()
