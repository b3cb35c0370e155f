"""Models: put together by name, the same samples in any portion, one file that notices damage."""

import hashlib
import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sfumato import distributed
from sfumato.config import Settings, preset, resolve
from sfumato.data.codecs.images import ImageCodec
from sfumato.data.codecs.points import PointCodec
from sfumato.data.points import Points
from sfumato.errors import ArgumentError, RunError
from sfumato.models.file import load_model, save_model
from sfumato.models.gaussian import GaussianModel
from sfumato.models.registry import build_denoiser, build_process, place
from sfumato.networks.unet import UNet
from sfumato.process import discrete, grids
from sfumato.process.conversions import from_schedule
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import ContinuousProcess, DiscreteProcess
from sfumato.process.schedules import Cosine, Laplace
from sfumato.samplers.ddim import DDIM
from sfumato.samplers.driver import sample_chunks, walk_rows
from sfumato.samplers.unipc import UniPC


def _model(*layers: dict[str, Any]) -> GaussianModel:
    settings = resolve({"network": {"width": 16}, "sampling": {"steps": 8}}, *layers)
    rng = np.random.default_rng(0)
    values = rng.normal([5, -3, 7], [1, 10, 0.0], (50, 3))
    codec = PointCodec.fit(Points(values, ("a", "b", "constant")))
    process = build_process(settings.process)
    denoiser = build_denoiser(settings, codec, process)
    with torch.no_grad():
        for weight in denoiser.network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return GaussianModel(settings, codec, process, denoiser)


@pytest.fixture(scope="module")
def model() -> GaussianModel:
    return _model()


@pytest.fixture
def saved(model: GaussianModel, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_hundred_are_the_first_of_a_thousand_bit_for_bit(model: GaussianModel) -> None:
    thousand = model.sample(1000, seed=4)
    np.testing.assert_array_equal(model.sample(100, seed=4), thousand[:100])
    np.testing.assert_array_equal(model.sample(2500, seed=4)[:1000], thousand)
    pieces = [model.sample(k, seed=4, first=j) for j, k in ((0, 1), (1, 600), (601, 399))]
    np.testing.assert_array_equal(np.concatenate(pieces), thousand)
    assert not np.array_equal(model.sample(100, seed=5), thousand[:100])


def test_samples_are_in_the_datas_units_and_constants_exact(model: GaussianModel) -> None:
    rows = model.sample(2000)
    assert rows.shape == (2000, 3)
    assert rows.dtype == np.float64
    assert isinstance(model.codec, PointCodec)
    assert set(rows[:, 2]) == {model.codec.mean[2]}
    assert rows[:, 1].std() > 3 * rows[:, 0].std()


def test_no_rows_keep_their_columns(model: GaussianModel) -> None:
    assert model.sample(0).shape == (0, 3)


def test_frames_end_in_the_samples(model: GaussianModel) -> None:
    frames = list(model.frames(30, seed=2))
    assert len(frames) == 9
    np.testing.assert_array_equal(frames[-1][1], model.sample(30, seed=2))
    assert float(frames[-1][0].sigma) == 0


@pytest.mark.parametrize("changes", [{"n": -1}, {"seed": -1}, {"first": -1}])
def test_negative_numbers_are_refused(model: GaussianModel, changes: dict[str, Any]) -> None:
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
        ({"network": {"parameterisation": "epsilon"}}, "did you mean 'eps'"),
        ({"sampling": {"sampler": "dimm"}}, "did you mean 'ddim'"),
        ({"sampling": {"grid": "kerras"}}, "did you mean 'karras'"),
        ({"sampling": {"schedule": "laplce"}}, "did you mean 'laplace'"),
        ({"sampling": {"schedule": "lin-1000"}}, "did you mean 'linear-1000'"),
        ({"sampling": {"schedule": "scaled-linear"}}, "did you mean 'scaled-linear-1000'"),
        ({"sampling": {"schedule": "given-5"}}, "unknown schedule .*'given-5'"),
        ({"sampling": {"schedule": "linear-0"}}, "did you mean 'linear'"),
        ({"sampling": {"schedule": "linear-99999999999"}}, "unknown schedule"),
        ({"sampling": {"schedule": "linear-１００"}}, "unknown schedule"),
        (
            {
                "process": {"num_levels": 9},
                "network": {"name": "step-mlp"},
                "sampling": {"grid": "trailing", "schedule": "linear-9"},
            },
            "knows the noise levels of its own schedule alone",
        ),
        ({"sampling": {"grid_offset": 1}}, "grid_offset counts the levels of a discrete schedule"),
        ({"process": {"num_levels": 9}, "sampling": {"grid": "trailing", "steps": 10}}, "1 and 9"),
        (
            {"process": {"num_levels": 9}, "sampling": {"grid": "uniform-time"}},
            "grid of a discrete schedule",
        ),
    ],
)
def test_names_and_numbers_that_do_not_fit_are_told(settings: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ArgumentError, match=phrase):
        _model(settings).sample(1)


@pytest.mark.parametrize(
    ("schedule", "levels"),
    [
        ("linear-1000", grids.trailing(discrete.linear(1000), 20)),
        ("scaled-linear-40", grids.trailing(discrete.scaled_linear(40), 20)),
        ("laplace-50", grids.trailing(from_schedule(Laplace(), 50), 20)),
    ],
)
def test_along_another_schedule_its_levels_are_walked(
    schedule: str, levels: NoiseLevel, model: GaussianModel
) -> None:
    asked: dict[str, Any] = {
        "sampler": "ddim",
        "schedule": schedule,
        "grid": "trailing",
        "steps": 20,
    }
    (z,) = sample_chunks(model.denoiser, (2,), levels, DDIM(), n=50, seed=3)
    np.testing.assert_array_equal(model.sample(50, seed=3, **asked), model.codec.decode(z))


def test_a_start_part_way_is_a_time_of_the_own_schedule(model: GaussianModel) -> None:
    with pytest.raises(ArgumentError, match="a start is a time of the run's own schedule"):
        edited(model, model.sample(3), 0.5, schedule="ve")
    assert edited(model, model.sample(3), 1.0, schedule="ve").shape == (3, 3)


def test_num_levels_decides_between_discrete_and_continuous() -> None:
    continuous = build_process(Settings().process)
    assert isinstance(continuous, ContinuousProcess)
    assert isinstance(continuous.schedule, Cosine)
    tutorial = build_process(resolve(preset("tutorial")).process)
    assert isinstance(tutorial, DiscreteProcess)
    assert float(tutorial.schedule.alpha_bar[-1]) == pytest.approx(0.77800343, abs=1e-8)


def test_the_tutorials_network_has_its_72066_weights() -> None:
    settings = resolve(preset("tutorial"))
    plane = PointCodec(("x", "y"), (0.0, 0.0), (1.0, 1.0))
    denoiser = build_denoiser(settings, plane, build_process(settings.process))
    assert sum(each.numel() for each in denoiser.network.parameters()) == 72_066


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    _model()
    assert torch.equal(torch.rand(3), expected)


def test_a_saved_model_samples_the_same(model: GaussianModel, saved: Path) -> None:
    again = load_model(saved)
    assert isinstance(again, GaussianModel)
    assert again.settings == model.settings
    assert again.codec == model.codec
    np.testing.assert_array_equal(again.sample(50), model.sample(50))


def test_saving_twice_gives_the_same_bytes(model: GaussianModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a.safetensors")
    save_model(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_every_flipped_bit_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    for position in np.linspace(0, len(content) - 1, 60).astype(int):
        flipped = bytearray(content)
        flipped[position] ^= 1
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


OTHER_TYPES = ["float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2",
               "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "int64", "uint8", "bool",
               "complex64"]  # fmt: skip


def _converted(saved: Path, dtype: str) -> None:
    """The same file with its weights in another type, and the header as it was."""
    with safe_open(saved, "pt") as file:
        metadata = file.metadata()
    tensors = {name: each.to(getattr(torch, dtype)) for name, each in load_file(saved).items()}
    save_file(tensors, saved, metadata)


@pytest.mark.parametrize("dtype", OTHER_TYPES)
def test_weights_of_another_type_are_refused(saved: Path, dtype: str) -> None:
    _converted(saved, dtype)
    with pytest.raises(RunError, match="damaged: its SHA-256") as raised:
        load_model(saved)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dtype", OTHER_TYPES)
def test_weights_of_another_type_are_refused_with_their_own_sum(saved: Path, dtype: str) -> None:
    _converted(saved, dtype)
    # The sum is taken from the file's bytes, as anyone can who has read what it is of.
    content = saved.read_bytes()
    size = int.from_bytes(content[:8], "little")
    index = json.loads(content[8 : 8 + size])
    header = json.loads(index.pop("__metadata__")["sfumato"])
    del header["sha256"]
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, each in sorted(index.items()):
        digest.update(f"{name} {dtype} {tuple(each['shape'])}".encode())
        first, last = each["data_offsets"]
        digest.update(content[8 + size + first : 8 + size + last])
    header["sha256"] = digest.hexdigest()
    save_file(load_file(saved), saved, {"sfumato": json.dumps(header)})
    with pytest.raises(RunError, match=f"is torch.{dtype}, not torch.float32") as raised:
        load_model(saved)
    assert "\n" not in str(raised.value)


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


def edited(model: GaussianModel, rows: np.ndarray, start: float, **options: Any) -> np.ndarray:
    return np.concatenate(list(model.edit_chunks(rows, start, **options)))


def _unit(model: GaussianModel, rows: np.ndarray) -> np.ndarray:
    return np.asarray(model.codec.encode(rows).numpy())


# ------------------------------------------------------- options, editing, choosing, likelihood


def test_options_belong_to_a_method(model: GaussianModel) -> None:
    still = model.sample(20, sampler="ddim", options={"eta": 0})
    assert not np.array_equal(still, model.sample(20, sampler="ddim", options={"eta": 1}))
    with pytest.raises(ArgumentError, match="option of the sampler 'heun'"):
        model.sample(1, sampler="heun", options={"eta": 1.0})
    with pytest.raises(ArgumentError, match="must be a number; got 'much'"):
        model.sample(1, sampler="ddim", options={"eta": "much"})
    with pytest.raises(ArgumentError, match="has no options"):
        model.sample(1, sampler="dpm++2m", options={"eta": 1.0})


@pytest.mark.parametrize("name", ["vector-mlp", "step-mlp"])
def test_options_that_a_network_has_not_are_refused(name: str) -> None:
    network = {"name": name, "options": {"dropout": 0.3}}
    with pytest.raises(ArgumentError, match=f"network '{name}' has no options; got 'dropout'"):
        _model({"network": network, "process": {"num_levels": 10}})


def test_another_method_does_not_inherit_options() -> None:
    noisy = _model({"sampling": {"sampler": "ddim", "options": {"eta": 1.0}}})
    assert np.array_equal(noisy.sample(9, sampler="ddim"), noisy.sample(9))
    assert np.array_equal(noisy.sample(9, sampler="dpm++2m"), _model().sample(9, sampler="dpm++2m"))


def test_clipping_is_off_unless_asked_for(model: GaussianModel) -> None:
    # The rows are standardised, and lie well beyond ±1: clipped to it they cannot.
    assert np.abs(_unit(model, model.sample(500))).max() > 1.5
    assert np.abs(_unit(model, model.sample(500, clip=1.0))).max() < 1 + 1e-5
    assert np.abs(_unit(model, model.sample(500, threshold=0.9))).max() < 1 + 1e-5


def test_steps_are_chosen(model: GaussianModel) -> None:
    choice = model.choose_steps(sampler="unipc", tol=0.01)
    chosen = model.sample(50, sampler="unipc", steps="auto", tol=0.01)
    assert np.array_equal(chosen, model.sample(50, sampler="unipc", steps=choice.num_steps))
    with pytest.raises(ArgumentError, match="draws noise"):
        model.sample(5, steps="auto")


def test_editing_from_near_clean_keeps_the_rows_and_from_noise_does_not(
    model: GaussianModel,
) -> None:
    rows = model.sample(300, seed=8)
    unit = partial(_unit, model)
    moved = [
        float(np.abs(unit(edited(model, rows, start)) - unit(rows)).mean())
        for start in (0.02, 0.4, 1)
    ]
    assert moved == sorted(moved)
    assert moved[0] < 0.05
    # From the noisiest level nothing is kept: as far off as rows are from each other.
    apart = np.abs(unit(rows) - unit(rows[::-1])).mean()
    assert moved[2] > 0.7 * apart


def test_an_edited_row_depends_on_itself_and_its_place_alone(model: GaussianModel) -> None:
    rows = model.sample(1500, seed=8)
    whole = edited(model, rows, 0.5, seed=3)
    assert np.array_equal(edited(model, rows[:10], 0.5, seed=3), whole[:10])
    assert not np.array_equal(edited(model, rows[:10], 0.5, seed=4), whole[:10])


def test_rows_that_hold_their_noise_are_walked_from_there() -> None:
    # A flow followed from the noisiest level, in two parts, is the flow followed at once.
    model = _model({"sampling": {"sampler": "unipc", "steps": 60, "grid": "uniform-time"}})
    frames = list(model.frames(20, seed=1))
    (level, half), whole = frames[30], frames[-1][1]
    assert model.process.num_levels == 0
    assert float(model.process.time(level.log_snr)) == pytest.approx(0.5, abs=1e-9)
    levels = model.process.until(0.5).grid("uniform-time", 30)
    walk = walk_rows(
        model.denoiser, model.encoded(half), levels, UniPC(), seed=1, fresh_noise=False
    )
    (rest,) = (model.codec.decode(x) for x in walk)
    assert np.abs(_unit(model, rest) - _unit(model, whole)).max() < 0.01


@pytest.mark.parametrize("start", [0.0, -0.1, 1.5])
def test_the_start_lies_between_clean_and_noise(model: GaussianModel, start: float) -> None:
    with pytest.raises(ArgumentError, match="above 0"):
        edited(model, model.sample(3), start)


def test_editing_with_a_table_starts_at_its_share() -> None:
    table = _model({"process": {"num_levels": 40}, "sampling": {"steps": 40}})
    rows = table.sample(5)
    assert edited(table, rows, 0.5).shape == rows.shape
    assert edited(table, rows, 0.001).shape == rows.shape


def test_log_prob_integrates_to_one() -> None:
    # In the data's own units, so that the codec's change of them counts.
    model = _model()
    assert isinstance(model.codec, PointCodec)
    mean, scale = np.array(model.codec.mean), np.array(model.codec.scale)
    side = np.linspace(-7, 7, 60)
    u, w = np.meshgrid(side, side)
    rows = (
        np.stack([u.ravel(), w.ravel(), np.zeros(u.size)], 1) * np.where(scale > 0, scale, 1) + mean
    )
    nats = np.concatenate([each.nats.numpy() for each in model.log_prob_chunks(rows, steps=30)])
    cell = (side[1] - side[0]) ** 2 * scale[0] * scale[1]
    assert np.exp(nats).sum() * cell == pytest.approx(1, abs=0.02)


def test_log_prob_by_probes_is_near_the_exact_one(model: GaussianModel) -> None:
    rows = model.sample(40)
    exact, *_ = model.log_prob_chunks(rows, steps=20)
    probed, *_ = model.log_prob_chunks(rows, steps=20, probes=50)
    assert exact.standard_error is None
    assert probed.standard_error is not None
    z = (probed.nats - exact.nats) / probed.standard_error
    assert float(z.square().mean()) == pytest.approx(1, abs=0.6)


def test_a_rows_probes_do_not_depend_on_how_many_follow(model: GaussianModel) -> None:
    rows = model.sample(40)
    whole, *_ = model.log_prob_chunks(rows, steps=5, probes=3)
    few, *_ = model.log_prob_chunks(rows[:7], steps=5, probes=3)
    assert torch.allclose(few.nats, whole.nats[:7], atol=1e-4)


def test_a_rows_bound_does_not_depend_on_how_many_follow(model: GaussianModel) -> None:
    rows = model.sample(40)
    whole, *_ = model.variational_bound(rows, num_levels=20)
    few, *_ = model.variational_bound(rows[:7], num_levels=20)
    assert torch.allclose(few.nats, whole.nats[:7], atol=1e-3)


def test_the_next_thousand_rows_have_noise_of_their_own(model: GaussianModel) -> None:
    # The same row again and again: whatever differs is its noise.
    rows = np.repeat(model.sample(1), 2048, axis=0)
    moved = edited(model, rows, 0.5)
    assert not np.isclose(moved[:1024, 0], moved[1024:, 0]).any()
    first, second = model.log_prob_chunks(rows, steps=3, probes=1)
    assert not torch.equal(first.nats, second.nats)
    first_bound, second_bound = model.variational_bound(rows, num_levels=3)
    assert not torch.isclose(first_bound.nats, second_bound.nats).any()


def test_editing_adds_noise() -> None:
    # Without it a deterministic method would take equal rows to one and the same place.
    model = _model({"sampling": {"sampler": "unipc"}})
    moved = edited(model, np.repeat(model.sample(1), 200, axis=0), 0.3)
    assert _unit(model, moved).std(0).min() > 0.02


def test_an_adaptive_method_is_refused_where_rows_must_not_mix(model: GaussianModel) -> None:
    with pytest.raises(ArgumentError, match="depend on the others"):
        edited(model, model.sample(5), 0.5, sampler="runge-kutta")


def test_a_continuous_schedule_with_levels_is_discrete() -> None:
    model = _model({"process": {"schedule": "rectified-flow", "num_levels": 50}})
    assert model.process.num_levels == 50
    assert np.isfinite(model.sample(10)).all()


def test_a_process_without_signal_at_its_end_can_be_scored() -> None:
    model = _model({"process": {"num_levels": 60, "zero_terminal_snr": True}})
    (scored,) = model.log_prob_chunks(model.sample(20), steps=10)
    assert bool(scored.nats.isfinite().all())


def test_a_network_of_steps_is_scored_by_its_bound() -> None:
    model = _model({"process": {"num_levels": 20}, "network": {"name": "step-mlp"}})
    rows = model.sample(5)
    with pytest.raises(ArgumentError, match="--bound"):
        list(model.log_prob_chunks(rows))
    (bound,) = model.variational_bound(rows)
    assert bool(bound.nats.isfinite().all())


def test_settings_are_checked_without_choosing_steps() -> None:
    # An untrained network may well allow no number of steps; that is no reason not to train it.
    settings: dict[str, Any] = {
        "sampling": {"sampler": "ddim", "steps": "auto", "tol": 1e-9},
        "process": {"num_levels": 30},
    }
    model = _model(settings)
    model.check_sampling()
    assert len(model.pictured_frames(5, 4)) == 4
    with pytest.raises(ArgumentError, match="keeps sampling"):
        model.choose_steps()


def test_zero_terminal_snr_is_for_discrete_schedules_and_samples() -> None:
    stretched = _model({"process": {"num_levels": 30, "zero_terminal_snr": True}})
    assert float(stretched.process.noisiest.alpha) == 0
    assert np.isfinite(stretched.sample(20)).all()
    with pytest.raises(ArgumentError, match="for a discrete schedule"):
        _model({"process": {"zero_terminal_snr": True}})
    target = {"num_levels": 30, "zero_terminal_snr": True}
    eps = _model({"process": target, "network": {"parameterisation": "eps"}})
    with pytest.raises(ArgumentError, match="use `v`"):
        eps.check_sampling()
    with pytest.raises(ArgumentError, match="use `v`"):
        eps.sample(1)


def test_a_learned_variance_needs_a_network_that_learned_it() -> None:
    ancestral = {"sampling": {"sampler": "ancestral", "options": {"variance": "learned"}}}
    learned = {"network": {"learned_variance": True}, "process": {"num_levels": 30}}
    assert np.isfinite(_model(ancestral, learned).sample(20)).all()
    with pytest.raises(ArgumentError, match="learned_variance=true"):
        _model(ancestral).sample(1)


def test_a_network_elsewhere_than_on_a_processor_has_channels_in_planes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = torch.device("meta")  # has no numbers, but shapes and their order
    codec = ImageCodec(8, 8, 3)
    network = UNet(3, 8, (1, 2), 1, (False, False))
    assert network.conv_out.weight.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(distributed, "own_device", lambda: elsewhere)
    assert place(network, Settings(), codec) == elsewhere
    for weight in network.parameters():
        assert weight.device == elsewhere
        assert weight.is_contiguous()
    x, time = torch.zeros(2, 3, 8, 8, device=elsewhere), torch.zeros(2, device=elsewhere)
    seen: list[bool] = []
    network.conv_in.register_forward_pre_hook(
        lambda _, given: seen.append(given[0].is_contiguous())
    )
    network(x, time)
    network(x.to(memory_format=torch.channels_last), time)
    assert seen == [True, True]
