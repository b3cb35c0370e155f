"""What a folder of diffusers means: beside diffusers itself, which reads or draws the same."""

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import sfumato
from command_line import Command
from sfumato import config
from sfumato.data.codecs.images import ImageCodec
from sfumato.errors import ArgumentError, ForeignWarning, RunError
from sfumato.models.gaussian import GaussianModel
from sfumato.models.model import Model
from sfumato.models.registry import build_denoiser, build_process, class_labels_of
from sfumato.process.noise import NoiseLevel
from sfumato.runs.run import Run, open_run
from sfumato.samplers.driver import last_frame, trajectory

diffusers: Any
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # theirs, in NumPy 2


@pytest.fixture(scope="module", autouse=True)
def their_library() -> None:
    """Imported by the first test: a worker that runs none of them does without."""
    global diffusers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        diffusers = pytest.importorskip("diffusers")


_TINY: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (8, 16),
    "attention_head_dim": 8,
    "norm_num_groups": 4,
}


def _unet(**changes: Any) -> Any:
    """One whose every weight is drawn, so that nothing that is left out goes unnoticed."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**_TINY | changes).eval()
    with torch.no_grad():
        for weight in unet.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return unet


def _scheduler(name: str = "DDPMScheduler", **changes: Any) -> Any:
    return getattr(diffusers, name)(**{"num_train_timesteps": 20, "beta_end": 0.3} | changes)


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# ---------------------------------------------------------------------------------- layouts

_OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def _whole(folder: Path) -> None:
    """As `save_pretrained` leaves it."""


def _without_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def _in_the_root(folder: Path) -> None:
    """As google/ddpm-cifar10-32 is stored, the names of its weights included."""
    for part in ("unet", "scheduler"):
        for file in (folder / part).iterdir():
            file.rename(folder / file.name)
        (folder / part).rmdir()
    weights = folder / "diffusion_pytorch_model.safetensors"
    renamed = {}
    for name, value in load_file(weights).items():
        for new, old in _OLD.items():
            name = name.replace(f".{new}.", f".{old}.")
        renamed[name] = value
    assert any("proj_attn" in name for name in renamed)
    save_file(renamed, weights)


def _in_the_root_without_index(folder: Path) -> None:
    _in_the_root(folder)
    _without_index(folder)


def _variant(folder: Path) -> None:
    unet = diffusers.UNet2DModel.from_pretrained(folder / "unet")
    shutil.rmtree(folder / "unet")
    unet.save_pretrained(folder / "unet", variant="fp16")
    assert [each.name for each in (folder / "unet").glob("*.safetensors")] == [
        "diffusion_pytorch_model.fp16.safetensors"
    ]


def _shards(folder: Path, **how: Any) -> None:
    unet = diffusers.UNet2DModel.from_pretrained(folder / "unet")
    shutil.rmtree(folder / "unet")
    unet.save_pretrained(folder / "unet", max_shard_size="20KB", **how)
    assert len(list((folder / "unet").glob("*.safetensors"))) > 2


def _shards_of_a_variant(folder: Path) -> None:
    _shards(folder, variant="fp16")


@pytest.mark.parametrize(
    "laid_out",
    [
        _whole,
        _without_index,
        _in_the_root,
        _in_the_root_without_index,
        _variant,
        _shards,
        _shards_of_a_variant,
    ],
)
def test_every_layout_of_a_folder_is_the_same_model(tmp_path: Path, laid_out: Any) -> None:
    unet, scheduler = _unet(), _scheduler()
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    laid_out(tmp_path / "their")
    model = sfumato.open(tmp_path / "their").model
    alpha_bar = model.process.discrete(0).alpha_bar[1:].float()
    torch.testing.assert_close(alpha_bar, scheduler.alphas_cumprod, rtol=0, atol=1e-6)
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        own = model.denoiser.network(x, torch.tensor([4, 4]))
        torch.testing.assert_close(own, unet(x, 3).sample, rtol=0, atol=1e-5)


def test_a_variant_in_half_precision_is_read_as_diffusers_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "their"
    diffusers.DDPMPipeline(_unet().half(), _scheduler()).save_pretrained(folder, variant="fp16")
    unet = diffusers.UNet2DModel.from_pretrained(folder, subfolder="unet", variant="fp16").float()
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        own = sfumato.open(folder).model.denoiser.network(x, torch.tensor([4, 4]))
        torch.testing.assert_close(own, unet(x, 3).sample, rtol=0, atol=1e-5)


@pytest.mark.parametrize("where", [".", "unet"])
def test_a_network_alone_has_the_levels_of_a_default_scheduler(tmp_path: Path, where: str) -> None:
    _unet().save_pretrained(tmp_path / "their" / where)
    with pytest.warns(ForeignWarning, match="has no scheduler_config.json") as said:
        model = sfumato.open(tmp_path / "their").model
    assert len(said) == 1
    their = diffusers.DDPMScheduler().alphas_cumprod
    own = model.process.discrete(0).alpha_bar[1:].float()
    torch.testing.assert_close(own, their, rtol=0, atol=1e-6)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "their"
    diffusers.DDPMPipeline(_unet(), _scheduler()).save_pretrained(whole)
    for lost in (
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "scheduler/scheduler_config.json",
    ):
        folder = tmp_path / lost.replace("/", "-")
        shutil.copytree(whole, folder)
        (folder / lost).unlink()
        with pytest.raises(RunError, match=f"no .*{lost}.*download the whole folder"):
            sfumato.open(folder)


@pytest.mark.parametrize(
    "file", ["../secret.safetensors", "/etc/passwd", "a\\b.safetensors", "x.bin"]
)
def test_a_shard_outside_of_the_folder_is_not_opened(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "their"
    diffusers.DDPMPipeline(_unet(), _scheduler()).save_pretrained(folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "secret.safetensors")
    names = load_file(folder / "secret.safetensors")
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, file)}))
    with pytest.raises(RunError, match="no safetensors file beside it"):
        sfumato.open(folder)


def test_one_of_two_variants_is_not_chosen_by_chance(tmp_path: Path) -> None:
    folder = tmp_path / "their"
    for variant in ("fp16", "non_ema"):
        diffusers.DDPMPipeline(_unet(), _scheduler()).save_pretrained(folder, variant=variant)
    with pytest.raises(RunError, match=r"fp16.safetensors and .*non_ema.safetensors; keep the one"):
        sfumato.open(folder)
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    sfumato.open(folder)


@pytest.mark.parametrize("side", [8, 16])
def test_a_fit_that_starts_from_it_goes_on_as_their_own_examples_do(
    tmp_path: Path, side: int
) -> None:
    folder = tmp_path / "their"
    diffusers.DDPMPipeline(_unet(sample_size=side), _scheduler()).save_pretrained(folder)
    training = sfumato.open(folder).settings.training
    assert (training.optimizer, training.learning_rate) == ("adamw", 1e-4)


@pytest.mark.parametrize("given", [None, 3])
@pytest.mark.parametrize("labels", [False, True])
def test_a_fit_starts_from_a_folder_with_and_without_classes(
    sfumato: Command, tmp_path: Path, given: int | None, labels: bool
) -> None:
    unet = _unet(num_class_embeds=given)
    diffusers.DDPMPipeline(unet, _scheduler()).save_pretrained(tmp_path / "their")
    _in_the_root(tmp_path / "their")
    for k in range(12):  # "2" is a class of theirs, "emu" is none
        (tmp_path / "new" / ("2", "emu")[k % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "new" / ("2", "emu")[k % 2] / f"{k}.png")
    # In so few and small steps the weights stay what they were.
    asked = f"--set data.labels={str(labels).lower()} --set training.learning_rate=1e-9"
    code, _, err = sfumato(f"fit new --from their --out run {asked} --set training.steps=2")
    assert code == 0, err
    model = open_run("run").model
    assert model.codec.classes == (("2", "emu") if labels else ())
    x, step = torch.randn(2, 1, 8, 8), torch.tensor([6, 6])
    with torch.no_grad():
        if given:  # what is new begins as the mean of their classes
            unet.class_embedding.weight[0] = unet.class_embedding.weight.mean(0)
        for k, number in enumerate((2, 0) if labels else (0,)):
            their = unet(x, 5, torch.full((2,), number) if given else None).sample
            own = model.denoiser.network(x, step, *([torch.full((2,), k)] if labels else []))
            torch.testing.assert_close(own, their, rtol=0, atol=1e-4)
    code, _, err = sfumato("sample run -n 2 --steps 3 --to new.npy")
    assert code == 0, err


# ------------------------------------------------------------------------------- schedulers


def _drawn_here(model: Model, n: int, seed: int, at: NoiseLevel | None = None) -> np.ndarray:
    """Pictures of the model's own sampler, from the noise that a pipeline of diffusers draws."""
    assert isinstance(model, GaussianModel)
    shape, source = (n, *model.codec.event), torch.Generator().manual_seed(seed)

    def noise(x: torch.Tensor) -> torch.Tensor:
        return torch.randn(shape, generator=source).to(x)

    denoise, levels, stepper = model._sampler({})
    levels = levels if at is None else at
    x = noise(torch.empty(shape, dtype=torch.float64))
    x = x * (levels.alpha[0] ** 2 + levels.sigma[0] ** 2).sqrt()
    x = last_frame(trajectory(denoise, x, levels, stepper, noise=noise)).x_t  # type: ignore[arg-type]
    return (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()


def _drawn_there(pipeline: Any, n: int, seed: int, steps: int | str) -> np.ndarray:
    pipeline.set_progress_bar_config(disable=True)
    drawn: np.ndarray = pipeline(
        batch_size=n,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images
    return drawn


_OTHER_LEVELS = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}


@pytest.mark.parametrize(
    "scheduler",
    [
        {},  # clip_sample is the default: x_0 is clipped, eps is not
        {"clip_sample_range": 0.5, "prediction_type": "sample"},
        {"thresholding": True, "sample_max_value": 1e4, "dynamic_thresholding_ratio": 0.7},
        {"thresholding": True},
        {"set_alpha_to_one": False},
        {"set_alpha_to_one": False, "clip_sample": False},
        {"steps_offset": 1},
        {"steps_offset": 1, "set_alpha_to_one": False, "beta_schedule": "scaled_linear"},
        {"steps_offset": 3, "prediction_type": "v_prediction"},
        {"steps_offset": 1, "timestep_spacing": "trailing"},
        {"timestep_spacing": "linspace", "beta_schedule": "squaredcos_cap_v2"},
        {"timestep_spacing": "trailing", **_OTHER_LEVELS},
    ],
)
@pytest.mark.filterwarnings("error::sfumato.errors.ForeignWarning")
def test_ddim_draws_what_diffusers_draws(tmp_path: Path, scheduler: dict[str, Any]) -> None:
    their = _scheduler("DDIMScheduler", **{"num_train_timesteps": 12} | scheduler)
    pipeline = diffusers.DDIMPipeline(_unet(), their)
    pipeline.save_pretrained(tmp_path / "their")
    model = sfumato.open(tmp_path / "their").model
    steps = model.settings.sampling.steps
    own, drawn = _drawn_here(model, 2, 5), _drawn_there(pipeline, 2, 5, steps)
    assert ((drawn > 0) & (drawn < 1)).mean() > 0.1
    np.testing.assert_allclose(own, drawn, rtol=0, atol=1e-3)  # theirs is in float32


@pytest.mark.parametrize(
    ("spacing", "steps", "strays"),
    [
        ("leading", 25, False),
        ("trailing", 25, False),
        ("linspace", 100, False),
        ("linspace", 25, True),
        ("trailing", 30, True),
        ("leading", 60, True),
    ],
)
def test_steps_that_ddim_of_diffusers_gets_wrong_are_said(
    tmp_path: Path, spacing: str, steps: int, strays: bool
) -> None:
    scheduler = _scheduler("DDIMScheduler", num_train_timesteps=100, timestep_spacing=spacing)
    diffusers.DDIMPipeline(_unet(), scheduler).save_pretrained(tmp_path / "their")
    # Where a step of theirs aims, beside where the next one starts; and where the first starts.
    scheduler.set_timesteps(steps)
    visited = scheduler.timesteps
    astray = (visited[:-1] - 100 // steps != visited[1:]).any() or visited[0] < 99 - 100 / steps
    assert bool(astray) == strays
    run = sfumato.open(tmp_path / "their")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ForeignWarning)
        run.model.sample_chunks(1, steps=steps)  # which draws nothing yet
    assert [str(each.message).split(":")[0] for each in said] == [
        f"{steps} steps of the grid {spacing} over 100 levels"
    ] * strays


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_a_ddpm_scheduler_with_an_offset_draws_what_diffusers_draws(
    tmp_path: Path, variance: str
) -> None:
    # With the noise that diffusers adds in the last step too, unless it starts from index 0.
    scheduler = _scheduler(steps_offset=1, beta_start=0.01, variance_type=variance)
    pipeline = diffusers.DDPMPipeline(_unet(), scheduler)
    pipeline.save_pretrained(tmp_path / "their")
    model = sfumato.open(tmp_path / "their").model
    own, drawn = _drawn_here(model, 2, 5), _drawn_there(pipeline, 2, 5, 10)
    np.testing.assert_allclose(own, drawn, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"beta_kind": "linear"}, "a DDPMScheduler whose beta_kind is 'linear' is not known"),
        ({"predict_epsilon": False}, "predict_epsilon is False"),
        ({"prediction_type": "flow_prediction"}, "prediction_type 'flow_prediction' is not known"),
        ({"variance_type": "fixed_large_log"}, "variance_type 'fixed_large_log' is not known"),
        (
            {"beta_schedule": "exp"},
            "'exp' is not known here; linear, scaled_linear, sigmoid, squaredcos_cap_v2 are",
        ),
        ({"timestep_spacing": "log"}, "timestep_spacing 'log' is not known"),
        ({"_class_name": "LCMScheduler"}, "a scheduler LCMScheduler is not known"),
        ({"num_train_timesteps": "many"}, "makes no sense"),
        (
            {"_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous"},
            "timestep_type is 'continuous'",
        ),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "a flow of 20 steps"),
        (
            {"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": True},
            "invert_sigmas is True",
        ),
        (
            {"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True},
            "a flow of 20 steps that predicts epsilon",
        ),
        ({"_class_name": "EDMEulerScheduler", "sigma_data": 1.0}, "sigma_data is 1.0"),
        (
            {"_class_name": "EDMEulerScheduler", "prediction_type": "v_prediction"},
            "EDMEulerScheduler whose prediction_type is 'v_prediction'",
        ),
    ],
)
def test_what_a_scheduler_here_does_not_know_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "their"
    diffusers.DDPMPipeline(_unet(), _scheduler()).save_pretrained(folder)
    _edit(folder / "scheduler" / "scheduler_config.json", **change)
    with pytest.raises(RunError, match=said) as error:
        sfumato.open(folder)
    assert "\n" not in str(error.value)


def test_settings_that_a_scheduler_has_no_use_for_are_passed_over(tmp_path: Path) -> None:
    # diffusers keeps what another scheduler was told, and old files say more than it reads now.
    folder = tmp_path / "their"
    ddim = diffusers.DDIMScheduler.from_config(
        _scheduler("DPMSolverMultistepScheduler", solver_order=3).config, clip_sample=False
    )
    diffusers.DDIMPipeline(_unet(), ddim).save_pretrained(folder)
    path = folder / "scheduler" / "scheduler_config.json"
    assert json.loads(path.read_text())["solver_order"] == 3
    _edit(path, variance_type="fixed_large", tensor_format="pt", timestep_values=None)
    model = sfumato.open(folder).model
    own, drawn = (
        _drawn_here(model, 2, 5),
        _drawn_there(diffusers.DDIMPipeline(_unet(), ddim), 2, 5, 20),
    )
    np.testing.assert_allclose(own, drawn, rtol=0, atol=2e-4)


def test_an_offset_that_a_grid_has_no_room_for_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "their"
    ddim = _scheduler("DDIMScheduler", steps_offset=1)
    diffusers.DDIMPipeline(_unet(), ddim).save_pretrained(folder)
    run = sfumato.open(folder)
    with pytest.raises(ArgumentError, match=r"no room for .*grid_offset=1; take fewer"):
        run.sample(1, steps=20)


def test_all_classes_of_ours_are_written_and_read(tmp_path: Path) -> None:
    codec = ImageCodec(8, 8, 1, ("cat", "dog"), (0.5, 0.5))
    options = {"multipliers": [1, 2], "attention": [4], "groups": 4}
    settings = config.resolve({"network": {"name": "unet", "width": 8, "parameterisation": "v",
                                           "options": options}})  # fmt: skip
    process = build_process(settings.process)
    denoiser = build_denoiser(settings, codec, process)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in denoiser.network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    run = Run(GaussianModel(settings, codec, process, denoiser), None)
    run.export("diffusers", tmp_path / "all", classes=True)
    unet = diffusers.UNet2DModel.from_pretrained(tmp_path / "all", subfolder="unet")
    back = sfumato.open(tmp_path / "all").model
    assert back.codec.classes == ("0", "1", "2")  # the last is any
    x, level = torch.randn(2, 1, 8, 8), process.discrete(1000).levels[701]
    for label in range(3):
        number = torch.tensor(label)
        with torch.no_grad():
            v = unet(x, 700, class_labels=number.expand(2)).sample.double()
        x_0 = level.alpha * x - level.sigma * v
        for each in (denoiser, back.denoiser):
            torch.testing.assert_close(each(x.double(), level, number).x_0, x_0, rtol=0, atol=1e-4)
    for wrong in ({"given": {"class": "cat"}}, {}):
        other = run if wrong else Run(_without_classes(run.model), None)
        with pytest.raises(ArgumentError, match="leave `classes`"):
            other.export("diffusers", tmp_path / "none", classes=True, **wrong)


def test_pictures_of_five_channels_go_there_and_back(sfumato: Command, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 5), dtype=np.uint8)
    np.save(tmp_path / "bands.npy", rows)
    tiny = "training.steps=2 network.width=32 network.options.multipliers=[1]"
    sets = " ".join(f"--set {each}" for each in tiny.split())
    for line in (
        f"fit bands.npy --out run {sets}",
        "export run --to diffusers their",
        "sample their -n 2 --steps 3 --to new.npy",
        "sample run -n 2 --to own.npy",
    ):
        code, _, err = sfumato(line)
        assert code == 0, err
    for name in ("new", "own"):
        assert np.load(tmp_path / f"{name}.npy").shape == (2, 8, 8, 5)
    their = diffusers.DDPMPipeline.from_pretrained(tmp_path / "their")
    drawn = _drawn_there(their, 2, 5, 10)
    assert drawn.shape == (2, 8, 8, 5)


def _without_classes(model: Model) -> GaussianModel:
    codec = ImageCodec(8, 8, 1)
    denoiser = build_denoiser(model.settings, codec, model.process)
    return GaussianModel(model.settings, codec, model.process, denoiser)


def test_a_network_without_a_number_for_any_class_is_fitted_with_every_label() -> None:
    codec = ImageCodec(8, 8, 1, ("cat", "dog"), (0.5, 0.5))
    without = {"network": {"name": "unet", "options": {"any_class": False}}}
    assert (
        class_labels_of(config.resolve(without, {"training": {"label_dropout": 0}}), codec).count
        == 2
    )
    with pytest.raises(ArgumentError, match="label_dropout=0"):
        class_labels_of(config.resolve(without), codec)


# A scheduler of which only the process is read, and what is to be said of its sampling.
_SOLVERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("DEISMultistepScheduler", {}, "unipc"),
    ("DPMSolverMultistepScheduler", {"solver_order": 3, "use_karras_sigmas": True}, "dpm++2m"),
    ("DPMSolverMultistepScheduler", {"beta_schedule": "squaredcos_cap_v2"}, "dpm++2m"),
    ("DPMSolverSinglestepScheduler", {"prediction_type": "sample"}, "dpm++2m"),
    ("EulerAncestralDiscreteScheduler", {}, "euler-ancestral"),
    ("EulerDiscreteScheduler", {"prediction_type": "v_prediction"}, "euler"),
    ("HeunDiscreteScheduler", {}, "heun"),
    ("KDPM2AncestralDiscreteScheduler", {"beta_schedule": "scaled_linear"}, "euler-ancestral"),
    ("KDPM2DiscreteScheduler", {}, "heun"),
    ("LMSDiscreteScheduler", {"trained_betas": np.linspace(1e-4, 0.03, 1000).tolist()}, "unipc"),
    ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}, "unipc"),
    ("SASolverScheduler", {}, "dpm++2m-sde"),
    ("UniPCMultistepScheduler", {"solver_type": "bh1"}, "unipc"),
)


@pytest.mark.parametrize(("name", "settings", "sampler"), _SOLVERS)
def test_the_process_of_another_scheduler_is_read_and_its_sampler_said(
    tmp_path: Path, name: str, settings: dict[str, Any], sampler: str
) -> None:
    # Its defaults too: those of Heun and of KDPM2 are the betas of latent models.
    scheduler = getattr(diffusers, name)(**settings)
    unet = _unet()
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    with pytest.warns(
        ForeignWarning, match=re.escape(f"its {name}, and {sampler} samples")
    ) as said:
        run = sfumato.open(tmp_path / "their")
    assert len(said) == 1
    alpha_bar = run.model.process.discrete(0).alpha_bar[1:].float()
    torch.testing.assert_close(alpha_bar, scheduler.alphas_cumprod, rtol=1e-4, atol=1e-7)
    # What diffusers' plainest scheduler makes of the same network's answer.
    plain = diffusers.DDIMScheduler(
        trained_betas=scheduler.betas.tolist(),
        clip_sample=False,
        prediction_type=scheduler.config.prediction_type,
    )
    plain.set_timesteps(1000)
    x, step = torch.randn(2, 1, 8, 8), 600
    with torch.no_grad():
        x_0 = plain.step(unet(x, step).sample, step, x).pred_original_sample
    own = run.model.denoiser(x.double(), run.model.process.discrete(0).levels[step + 1]).x_0
    torch.testing.assert_close(own.float(), x_0, rtol=1e-4, atol=1e-4)
    drawn = _drawn_here(run.model, 1, 5, run.model.process.grid("trailing", 3))
    assert np.isfinite(drawn).all()
    assert drawn.std() > 0.05


@pytest.mark.filterwarnings("default::sfumato.errors.ForeignWarning")
def test_what_is_to_be_said_of_a_folder_is_a_line_each(sfumato: Command, tmp_path: Path) -> None:
    _unet().save_pretrained(tmp_path / "alone")
    solver = diffusers.PNDMScheduler()
    diffusers.PNDMPipeline(_unet(), solver).save_pretrained(tmp_path / "pndm")
    capture = "sample {} -n 1 --to {} --steps 2 --quiet"
    for name, begin in (
        ("alone", "alone has no scheduler_config.json: "),
        (
            "pndm",
            "pndm: its process is that of its PNDMScheduler, and unipc samples from it here, ",
        ),
    ):
        code, _, err = sfumato(capture.format(name, f"{name}.npy"))
        assert code == 0
        assert err.startswith(f"sfumato: {begin}")
        assert err.count("\n") == 1


@pytest.mark.parametrize("variance", ["learned", "learned_range"])
def test_a_solver_takes_the_first_half_of_a_network_that_learned_its_variance(
    tmp_path: Path, variance: str
) -> None:
    unet = _unet(in_channels=3, out_channels=6)  # theirs takes the first three channels
    scheduler = diffusers.DPMSolverMultistepScheduler(variance_type=variance)
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    with pytest.warns(ForeignWarning, match="DPMSolverMultistepScheduler"):
        model = sfumato.open(tmp_path / "their").model
    scheduler.set_timesteps(50)
    x, step = torch.randn(2, 3, 8, 8), scheduler.timesteps[20]
    scheduler._init_step_index(step)
    with torch.no_grad():
        x_0 = scheduler.convert_model_output(unet(x, step).sample, sample=x)
    level = model.process.discrete(0).levels[int(step) + 1]
    torch.testing.assert_close(
        model.denoiser(x.double(), level).x_0.float(), x_0, rtol=0, atol=1e-3
    )


def _at(sigmas: torch.Tensor, alphas: torch.Tensor) -> NoiseLevel:
    return NoiseLevel(alphas.double(), sigmas.double())


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_flow_draws_what_diffusers_draws_at_the_same_levels(tmp_path: Path, shift: float) -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    pipeline = diffusers.DDPMPipeline(_unet(), scheduler)
    pipeline.save_pretrained(tmp_path / "their")
    with pytest.warns(ForeignWarning, match="FlowMatchEulerDiscreteScheduler, and euler samples"):
        model = sfumato.open(tmp_path / "their").model
    drawn = _drawn_there(pipeline, 2, 5, 8)
    levels = _at(scheduler.sigmas, 1 - scheduler.sigmas)
    own = _drawn_here(model, 2, 5, levels)
    np.testing.assert_allclose(own, drawn, rtol=0, atol=1e-4)
    # Their training draws t even and shifts it, and so does a time of ours.
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    level = model.process.at(t)
    shifted = shift * t / (1 + (shift - 1) * t)
    assert (level.sigma - shifted).abs().max() < 2e-3  # ours ends a thousandth before clean


@pytest.mark.parametrize("name", ["FlowMatchEulerDiscreteScheduler", "UniPCMultistepScheduler"])
def test_a_flow_whose_shift_a_pipeline_chooses_has_none(tmp_path: Path, name: str) -> None:
    flow = {"flow_shift": 3.0, "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    settings = {"shift": 3.0} if name.startswith("Flow") else flow
    scheduler = getattr(diffusers, name)(**settings, use_dynamic_shifting=True)
    with pytest.raises(ValueError, match="`mu` must be passed"):
        scheduler.set_timesteps(4)
    diffusers.DDPMPipeline(_unet(), scheduler).save_pretrained(tmp_path / "their")
    with pytest.warns(ForeignWarning) as said:
        model = sfumato.open(tmp_path / "their").model
    assert [name in str(each.message) for each in said] == [True, True]
    assert "use_dynamic_shifting" in str(said[1].message)
    # Their levels with a mu for no shift: even, whatever the fixed shift is.
    scheduler.set_timesteps(1000, mu=0.0)
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    their = scheduler.sigmas[((1 - t) * 1000).long()].double()
    assert (model.process.at(t).sigma - their).abs().max() < 4e-3


@pytest.mark.parametrize(
    "name",
    [
        "DEISMultistepScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSinglestepScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_a_solver_of_a_flow_takes_the_same_answer_for_the_same_picture(
    tmp_path: Path, name: str
) -> None:
    # use_dynamic_shifting: but for UniPC they keep flow_shift where no pipeline gives another.
    flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
    dynamic = not name.startswith("UniPC")
    scheduler = getattr(diffusers, name)(**flow, use_dynamic_shifting=dynamic)
    unet = _unet()
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    with pytest.warns(ForeignWarning, match=name) as said:
        model = sfumato.open(tmp_path / "their").model
    assert len(said) == 1
    scheduler.set_timesteps(20)
    k = 12
    x, t, sigma = torch.randn(2, 1, 8, 8), scheduler.timesteps[k], scheduler.sigmas[k]
    scheduler._step_index = k
    with torch.no_grad():
        x_0 = scheduler.convert_model_output(unet(x, sigma * 1000).sample, sample=x)
    if name.startswith("DEIS"):  # which goes on with the noise
        x_0 = (x - sigma * x_0) / (1 - sigma)
    own = model.denoiser(x.double(), _at(sigma, 1 - sigma)).x_0
    torch.testing.assert_close(own.float(), x_0, rtol=0, atol=1e-4)
    assert float(t) == pytest.approx(float(sigma) * 1000, abs=1)
    assert float(model.process.at(torch.tensor(0.5)).sigma) == pytest.approx(0.75, abs=1e-3)


def test_a_flow_of_a_solver_is_the_same_flow(tmp_path: Path) -> None:
    for name, key in (
        ("UniPCMultistepScheduler", "flow_shift"),
        ("FlowMatchHeunDiscreteScheduler", "shift"),
    ):
        flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
        scheduler = getattr(diffusers, name)(**{key: 3.0} | (flow if key == "flow_shift" else {}))
        diffusers.DDPMPipeline(_unet(), scheduler).save_pretrained(tmp_path / name)
        with pytest.warns(ForeignWarning, match=name):
            model = sfumato.open(tmp_path / name).model
        assert model.settings.network.parameterisation == "flow"
        assert float(model.process.at(torch.tensor(0.5)).sigma) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("schedule", [{}, {"sigma_max": 20.0, "sigma_min": 0.01, "rho": 5.0}])
def test_an_edm_draws_what_diffusers_draws(tmp_path: Path, schedule: dict[str, float]) -> None:
    unet, scheduler = _unet(), diffusers.EDMEulerScheduler(**schedule)
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    with pytest.warns(ForeignWarning, match="EDMEulerScheduler, and euler samples"):
        model = sfumato.open(tmp_path / "their").model
    scheduler.set_timesteps(10)
    source = torch.Generator().manual_seed(5)
    x = scheduler.init_noise_sigma * torch.randn(2, 1, 8, 8, generator=source)
    with torch.no_grad():
        for t in scheduler.timesteps:
            answer = unet(scheduler.scale_model_input(x, t), t).sample
            x = scheduler.step(answer, t, x, generator=source).prev_sample
    drawn = (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    levels = _at(scheduler.sigmas, torch.ones_like(scheduler.sigmas))
    own = _drawn_here(model, 2, 5, levels)
    assert ((drawn > 0) & (drawn < 1)).mean() > 0.1
    np.testing.assert_allclose(own, drawn, rtol=0, atol=1e-3)


def test_a_solver_of_edm_draws_from_the_same_process(tmp_path: Path) -> None:
    unet, scheduler = _unet(), diffusers.EDMDPMSolverMultistepScheduler(sigma_max=20.0, rho=5.0)
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    with pytest.warns(ForeignWarning, match=r"EDMDPMSolverMultistepScheduler, and dpm\+\+2m"):
        model = sfumato.open(tmp_path / "their").model
    scheduler.set_timesteps(10)
    k = 4
    sigma, t = scheduler.sigmas[k], scheduler.timesteps[k]
    x = sigma * torch.randn(2, 1, 8, 8)
    scheduler._step_index = k
    with torch.no_grad():
        answer = unet(scheduler.precondition_inputs(x, sigma), t).sample
        x_0 = scheduler.convert_model_output(answer, sample=x)
    own = model.denoiser(x.double(), _at(sigma, torch.ones(()))).x_0
    torch.testing.assert_close(own.float(), x_0, rtol=0, atol=1e-4)
    ends = model.process.at(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(
        (ends.sigma / ends.alpha).float(), scheduler.sigmas[[-2, 0]], rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("kind", ["DDPM", "DDIM"])
def test_a_parallel_scheduler_draws_as_its_plain_one(tmp_path: Path, kind: str) -> None:
    unet, drawn = _unet(), []
    for name in (f"{kind}Scheduler", f"{kind}ParallelScheduler"):
        their = getattr(diffusers, f"{kind}Pipeline")(unet, _scheduler(name, beta_end=0.2))
        their.save_pretrained(tmp_path / name)  # DDIMPipeline makes of every scheduler a plain one
        _scheduler(name, beta_end=0.2).save_pretrained(tmp_path / name / "scheduler")
        drawn.append(_drawn_here(sfumato.open(tmp_path / name).model, 2, 5))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_allclose(drawn[1], _drawn_there(their, 2, 5, 20), rtol=0, atol=1e-3)


# --------------------------------------------------------------------------------- networks

_RESIDUAL = {
    "down_block_types": ("AttnDownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D", "AttnUpBlock2D"),
    "block_out_channels": (8, 8, 16),
}
_NETWORKS: tuple[dict[str, Any], ...] = (
    {"resnet_time_scale_shift": "scale_shift"},  # without a norm in the middle
    {"resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 4},
    {"attn_norm_num_groups": 8},
    {"add_attention": False},
    {"time_embedding_dim": 20},
    {"downsample_type": "resnet", "upsample_type": "resnet"} | _RESIDUAL,
    {"downsample_type": "resnet", "resnet_time_scale_shift": "scale_shift"} | _RESIDUAL,
    # Which blocks without attention do not look at.
    {"upsample_type": "resnet", "down_block_types": ("DownBlock2D",) * 2,
     "up_block_types": ("UpBlock2D",) * 2},
    {"sample_size": (8, 12), "in_channels": 3, "out_channels": 3, "dropout": 0.5},
    {"in_channels": 5, "out_channels": 5},
    {"downsample_padding": 0, "freq_shift": 1, "flip_sin_to_cos": False, "act_fn": "swish"},
    # 2 heads of 12 at 32 channels, 1 of 12 at 16: 24 and 12 channels attend.
    {"attention_head_dim": 12, "block_out_channels": (16, 32)} | {
        "down_block_types": ("AttnDownBlock2D",) * 2, "up_block_types": ("AttnUpBlock2D",) * 2},
    {"attention_head_dim": None},
    {"attention_head_dim": 5},
    # A table of times that is longer than the scheduler.
    {"time_embedding_type": "learned", "num_train_timesteps": 50},
    {"down_block_types": ("UNetResDownBlock2D", "UNetResAttnDownBlock2D"),
     "up_block_types": ("UNetResAttnUpBlock2D", "UNetResUpBlock2D")},
)  # fmt: skip


@pytest.mark.parametrize("network", _NETWORKS)
def test_a_network_answers_as_diffusers_does_and_is_written_as_it_was(
    tmp_path: Path, network: dict[str, Any]
) -> None:
    unet = _unet(**network)
    diffusers.DDPMPipeline(unet, _scheduler()).save_pretrained(tmp_path / "their")
    run = sfumato.open(tmp_path / "their")
    run.export("diffusers", tmp_path / "back")
    back = diffusers.UNet2DModel.from_pretrained(tmp_path / "back", subfolder="unet")
    height, width = np.broadcast_to(unet.config.sample_size, 2)
    x = torch.randn(2, unet.config.in_channels, height, width)
    for step in (0, 19):
        with torch.no_grad():
            their = unet(x, step).sample
            own = run.model.denoiser.network(x, torch.tensor([step + 1] * 2))
            torch.testing.assert_close(own, their, rtol=0, atol=1e-5)
            torch.testing.assert_close(back(x, step).sample, their, rtol=0, atol=1e-5)
    assert float(their.abs().max()) > 0.1


def test_a_network_of_classes_draws_each_of_them(tmp_path: Path) -> None:
    unet = _unet(num_class_embeds=3)
    diffusers.DDPMPipeline(unet, _scheduler()).save_pretrained(tmp_path / "their")
    run = sfumato.open(tmp_path / "their")
    assert run.model.codec.classes == ("0", "1", "2")
    x, level = torch.randn(2, 1, 8, 8), torch.tensor([6, 6])
    for label in (0, 2):
        with torch.no_grad():
            their = unet(x, 5, class_labels=torch.full((2,), label)).sample
            own = run.model.denoiser.network(x, level, torch.full((2,), label))
            torch.testing.assert_close(own, their, rtol=0, atol=1e-5)
    one, other = (run.sample(2, given={"class": name}, steps=5) for name in ("0", "2"))
    assert (one != other).any()
    labels = run.model.labels(30)
    assert labels is not None
    assert len(set(labels.tolist())) == 3
    # diffusers has no number for any class, so what would need it is refused.
    for refused in (
        lambda: run.sample(1, guidance=2.0, steps=5),
        lambda: list(run.model.variational_bound(np.zeros((1, 8, 8, 1), np.uint8))),
    ):
        with pytest.raises(ArgumentError, match="knows no sample without a class"):
            refused()
    # Written as it was; or one class, as a pipeline that takes no labels.
    run.export("diffusers", tmp_path / "all")
    every = diffusers.UNet2DModel.from_pretrained(tmp_path / "all", subfolder="unet")
    with torch.no_grad():
        again = every(x, 5, class_labels=torch.full((2,), 2)).sample
        torch.testing.assert_close(again, their, rtol=0, atol=1e-5)
    run.export("diffusers", tmp_path / "two", given={"class": "2"})
    two = diffusers.UNet2DModel.from_pretrained(tmp_path / "two", subfolder="unet")
    with torch.no_grad():
        torch.testing.assert_close(two(x, 5).sample, their, rtol=0, atol=1e-5)
    # And a model of ours, in one file, that says the same.
    run.save(tmp_path / "model.safetensors")
    saved = sfumato.open(tmp_path / "model.safetensors").sample(2, given={"class": "2"}, steps=5)
    np.testing.assert_array_equal(saved, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "a network UNet2DConditionModel is not known"),
        ({"center_input_sample": True}, "center_input_sample is True"),
        ({"time_embedding_type": "fourier"}, "'fourier' .* the log of the step, not finite at"),
        ({"mid_block_type": None}, "mid_block_type is None"),
        ({"mid_block_scale_factor": 1.4}, "mid_block_scale_factor is 1.4"),
        ({"downsample_padding": 2}, "downsample_padding is 2"),
        ({"downsample_type": "fir"}, "downsample_type is 'fir'"),
        ({"act_fn": "mish"}, "act_fn is 'mish'"),
        ({"freq_shift": 2}, "freq_shift is 2"),
        ({"resnet_time_scale_shift": "ada_group"}, "resnet_time_scale_shift is 'ada_group'"),
        ({"class_embed_type": "identity"}, "class_embed_type is 'identity'"),
        ({"num_class_embeds": 10**12}, "num_class_embeds is 1000000000000"),
        ({"attention_head_dim": 24}, "attention_head_dim is 24 .* 16 channels has no room"),
        ({"norm_num_groups": 3}, "norm_num_groups is 3 .* does not divide"),
        ({"attn_norm_num_groups": 3}, "attn_norm_num_groups is 3 .* does not divide 16"),
        ({"block_out_channels": [8, 12]}, "multiples of the first"),
        ({"block_out_channels": [8, 16, 16]}, "down_block_types is"),
        ({"down_block_types": ["DownBlock2D", "SkipDownBlock2D"]}, "SkipDownBlock2D"),
        ({"up_block_types": ["UpBlock2D", "UpBlock2D"]}, "up_block_types is .* must mirror"),
        ({"out_channels": 2}, "out_channels is 2; .* it must be 1"),
        ({"in_channels": 2}, "out_channels is 1; with its in_channels 2 .* it must be 2"),
        ({"sample_size": None}, "known size can be read; got 1 channels of None"),
        ({"in_channels": 10**12}, "known size can be read; got 1000000000000 channels"),
        (
            {"time_embedding_type": "learned", "num_train_timesteps": 19},
            "num_train_timesteps is 19",
        ),
        ({"window": 7}, "window is 7"),
        ({"layers_per_block": 2}, "down_blocks.0.resnets.1.norm1.weight' is missing"),
        (
            {"time_embedding_dim": 20},
            "time_embedding.linear_1.weight is .32, 8. and ours .* .20, 8",
        ),
        ({"add_attention": False}, "weights that its config.json does not speak of"),
    ],
)
def test_what_a_network_here_does_not_know_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "their"
    diffusers.DDPMPipeline(_unet(), _scheduler()).save_pretrained(folder)
    _edit(folder / "unet" / "config.json", **change)
    with pytest.raises(RunError, match=said) as error:
        sfumato.open(folder)
    assert "\n" not in str(error.value)


def test_fourier_times_of_diffusers_are_not_finite_at_step_0() -> None:
    unet = _unet(time_embedding_type="fourier")
    with torch.no_grad():
        assert unet(torch.randn(1, 1, 8, 8), 1).sample.isfinite().all()
        assert not unet(torch.randn(1, 1, 8, 8), 0).sample.isfinite().any()


@pytest.mark.filterwarnings("ignore:.*:FutureWarning")
def test_score_sde_is_named(tmp_path: Path) -> None:
    scheduler = diffusers.ScoreSdeVeScheduler()
    unet = _unet(time_embedding_type="fourier")
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path / "their")
    with pytest.raises(RunError, match="a scheduler ScoreSdeVeScheduler is not known here"):
        sfumato.open(tmp_path / "their")
    _edit(tmp_path / "their" / "model_index.json", _class_name="ScoreSdeVePipeline")
    with pytest.raises(RunError, match="holds a ScoreSdeVePipeline; DDPMPipeline or"):
        sfumato.open(tmp_path / "their")


def test_pipelines_of_more_than_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(RunError, match="holds a FluxPipeline"):
        sfumato.open(tmp_path)
