"""Folders of diffusers: what it wrote is the same model here, what we write the same there."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import sfumato
from sfumato import config
from sfumato.data.codecs.images import ImageCodec
from sfumato.errors import ArgumentError, RunError
from sfumato.models.diffusers import read_pipeline, write_pipeline
from sfumato.models.gaussian import GaussianModel
from sfumato.models.registry import build_denoiser, build_process
from sfumato.process.noise import NoiseLevel
from sfumato.samplers.driver import last_frame, trajectory

diffusers: Any


@pytest.fixture(scope="module", autouse=True)
def their_library() -> None:
    """Imported by the first test: a worker that runs none of them does without."""
    global diffusers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        diffusers = pytest.importorskip("diffusers")


# As google/ddpm-cifar10-32 is stored, but narrower.
_CIFAR: dict[str, Any] = {
    "sample_size": 32,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (32, 64, 64, 64),
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}
# For whole walks: the same four resolutions, a quarter of the pixels, fewer layers of each kind.
_SMALL = _CIFAR | {"sample_size": 16, "layers_per_block": 1}
_MODERN: dict[str, Any] = {
    "sample_size": (16, 24),
    "in_channels": 1,
    "out_channels": 1,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (32, 64),
    "attention_head_dim": 16,
    "norm_num_groups": 16,
    "attn_norm_num_groups": 16,
    "resnet_time_scale_shift": "scale_shift",
    "time_embedding_type": "learned",
    "num_train_timesteps": 20,
}


def _random_unet(**config: Any) -> Any:
    """One whose every weight is drawn, so that nothing that is left out goes unnoticed."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(**config).eval()
    with torch.no_grad():
        for weight in unet.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return unet


def _write(folder: Path, unet: Any, scheduler: Any, kind: str = "DDPMPipeline") -> Any:
    pipeline = getattr(diffusers, kind)(unet, scheduler)
    pipeline.save_pretrained(folder)
    return pipeline


@pytest.mark.parametrize("kind", [_CIFAR, _MODERN])
def test_a_unet_of_diffusers_answers_the_same_here(tmp_path: Path, kind: dict[str, Any]) -> None:
    unet = _random_unet(**kind)
    _write(tmp_path / "their", unet, diffusers.DDPMScheduler(num_train_timesteps=20))
    model = read_pipeline(tmp_path / "their")
    height, width = np.broadcast_to(kind["sample_size"], 2)
    x = torch.randn(3, kind.get("in_channels", 3), height, width)
    for step in (0, 7, 19):
        with torch.no_grad():
            their = unet(x, torch.full((3,), step)).sample
            own = model.denoiser.network(x, torch.full((3,), step + 1))
        assert float(their.abs().max()) > 0.1
        torch.testing.assert_close(own, their, rtol=0, atol=1e-5)


def _same_noise(shape: tuple[int, ...], seed: int) -> Any:
    """Noise in the order in which a pipeline of diffusers draws it from a generator."""
    source = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(shape, generator=source).to(x)


@pytest.mark.parametrize(
    "scheduler",
    [
        {"variance_type": "fixed_large"},
        {"variance_type": "fixed_small", "beta_schedule": "squaredcos_cap_v2"},
        {"prediction_type": "v_prediction", "beta_schedule": "sigmoid", "clip_sample": False},
        {"prediction_type": "sample", "beta_schedule": "scaled_linear", "clip_sample_range": 0.5},
        {"trained_betas": np.linspace(0.01, 0.3, 10).tolist(), "rescale_betas_zero_snr": True,
         "prediction_type": "v_prediction"},
        {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 1e4},
        {"thresholding": True, "dynamic_thresholding_ratio": 0.8},
        {"variance_type": "learned_range", "clip_sample": False},
    ],
)  # fmt: skip
def test_a_pipeline_of_diffusers_draws_the_same_samples_here(
    tmp_path: Path, scheduler: dict[str, Any]
) -> None:
    own_betas = {"beta_start": 1e-3, "beta_end": 0.3} | scheduler
    made = diffusers.DDPMScheduler(num_train_timesteps=10, **own_betas)
    outputs = 3 * (1 + (scheduler.get("variance_type") == "learned_range"))
    unet = _random_unet(**_SMALL, out_channels=outputs)
    their = _write(tmp_path / "their", unet, made)
    their.set_progress_bar_config(disable=True)
    drawn = their(
        batch_size=2,
        num_inference_steps=10,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    ).images
    x = _drawn_here(read_pipeline(tmp_path / "their"), 2, 3)
    own = (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert own.std() > 0.05
    np.testing.assert_allclose(own, drawn, rtol=0, atol=2e-4)


def _drawn_here(model: GaussianModel, n: int, seed: int) -> Tensor:
    denoise, levels, stepper = model._sampler({})
    noise = _same_noise((n, *model.codec.event), seed)
    x = noise(torch.empty(n, *model.codec.event, dtype=torch.float64))
    return last_frame(trajectory(denoise, x, levels, stepper, noise=noise)).x_t  # type: ignore[arg-type]


def test_ddim_of_diffusers_draws_the_same_samples_here(tmp_path: Path) -> None:
    made = diffusers.DDIMScheduler(num_train_timesteps=100, clip_sample=False)
    unet = _random_unet(**_SMALL)
    their = _write(tmp_path / "their", unet, made, "DDIMPipeline")
    their.set_progress_bar_config(disable=True)
    drawn = their(
        batch_size=2,
        num_inference_steps=50,
        generator=torch.Generator().manual_seed(3),
        output_type="np",
    ).images
    x = _drawn_here(read_pipeline(tmp_path / "their"), 2, 3)
    np.testing.assert_allclose((x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1), drawn, atol=2e-4)


def test_weights_with_the_names_of_old_are_read(tmp_path: Path) -> None:
    unet = _random_unet(**_CIFAR)
    _write(tmp_path / "their", unet, diffusers.DDPMScheduler(num_train_timesteps=20))
    path = tmp_path / "their" / "unet" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, value in load_file(path).items():
        for new, before in old.items():
            name = name.replace(new, before)
        renamed[name] = value
    assert any("proj_attn" in name for name in renamed)
    save_file(renamed, path)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        own = read_pipeline(tmp_path / "their").denoiser.network(x, torch.tensor([4]))
        torch.testing.assert_close(own, unet(x, 3).sample, rtol=0, atol=1e-5)


def _own_model(codec: ImageCodec, **changes: Any) -> GaussianModel:
    settings = config.resolve(
        {"network": {"name": "unet", "width": 32, "depth": 1, "parameterisation": "v"}}, changes
    )
    process = build_process(settings.process)
    denoiser = build_denoiser(settings, codec, process)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in denoiser.network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return GaussianModel(settings, codec, process, denoiser)


_CLASSES = {"classes": ("cat", "dog"), "shares": (0.5, 0.5)}


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (None, (16, 8)),
        ({"class": "dog"}, (16, 8)),
        (None, (28, 28)),  # of MNIST, MedMNIST and their like: no power of two
        (None, (20, 12)),
    ],
)
def test_what_is_written_answers_the_same_in_diffusers(
    tmp_path: Path, given: dict[str, str] | None, size: tuple[int, int]
) -> None:
    codec = ImageCodec(*size, 3, **_CLASSES)  # type: ignore[arg-type]
    model = _own_model(codec, network=config.recipes.images(*size)["network"])
    write_pipeline(model, tmp_path / "ours", given=given)
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path / "ours")
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    for step in (0, 500, 999):
        alpha_bar = pipeline.scheduler.alphas_cumprod[step].double()
        level = NoiseLevel(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())
        number = torch.full((2,), model.class_number(given) or 0)
        with torch.no_grad():
            own = model.denoiser(x, level, number).x_0
            their = pipeline.unet(x.float(), step).sample.double()
        their = alpha_bar.sqrt() * x - (1 - alpha_bar).sqrt() * their  # of a v-prediction
        torch.testing.assert_close(own, their, rtol=0, atol=2e-3 if step == 0 else 2e-5)


@pytest.mark.parametrize(
    ("learned", "sampling"),
    [
        (False, {"options": {"variance": "beta"}, "clip": 0.7}),
        (False, {"options": {"variance": "beta_tilde"}, "threshold": 0.8}),
        (True, {"options": {"variance": "learned"}}),
    ],
)
def test_what_is_written_draws_the_same_in_their_pipeline(
    tmp_path: Path, learned: bool, sampling: dict[str, Any]
) -> None:
    model = _own_model(
        ImageCodec(8, 8, 3),
        process={"schedule": "cosine", "num_levels": 20},
        network={"learned_variance": learned},
        sampling={"sampler": "ancestral", "steps": 20, **sampling},
    )
    write_pipeline(model, tmp_path / "ours")
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path / "ours")
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        batch_size=2,
        num_inference_steps=20,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images
    own = (_drawn_here(model, 2, 0) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert own.std() > 0.05
    np.testing.assert_allclose(own, drawn, rtol=0, atol=1e-3)


def test_what_was_trained_here_is_drawn_by_their_pipeline(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flat = np.broadcast_to(rng.choice([40, 200], (64, 1, 1, 1)), (64, 4, 4, 1)).astype(np.uint8)
    run = sfumato.fit(
        flat,
        out=tmp_path / "run",
        quiet=True,
        settings={
            "process.schedule": "cosine",
            "process.num_levels": 25,
            "process.options": {},
            "network.width": 32,
            "network.depth": 1,
            "network.options": {"multipliers": [1, 2], "attention": [False, True]},
            "training.steps": 220,
            "training.batch_size": 16,
            "training.snapshots": 0,
        },
    )
    write_pipeline(run.model, tmp_path / "ours")
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path / "ours")
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        batch_size=64,
        num_inference_steps=25,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images
    means = drawn.mean((1, 2, 3)) * 255
    # Noise alone has means near 128; after so short a training some lie between.
    off = np.minimum(abs(means - 40), abs(means - 200))
    assert np.quantile(off, 0.75) < 40
    assert 16 < (means > 120).sum() < 48
    # And back: the folder is a model here too, and draws what diffusers drew.
    x = _drawn_here(read_pipeline(tmp_path / "ours"), 64, 0)
    own = (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(own, drawn, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("changes", "size", "told"),
    [
        ({"network": {"parameterisation": "edm"}}, 8, "network.parameterisation"),
        ({"network": {"name": "dit", "width": 64}}, 8, "onnx"),
        ({}, 10, "data.size"),
        ({"network": {"width": 20}}, 8, "groups"),
        ({"sampling": {"threshold": 0.9, "clip": 0.5}}, 8, "sampling.clip"),
        ({"network": {"width": 32, "options": {"multipliers": [1, 4]}}}, 16, "head_width"),
    ],
)
def test_what_diffusers_has_no_word_for_is_said(
    tmp_path: Path, changes: dict[str, Any], size: int, told: str
) -> None:
    model = _own_model(ImageCodec(size, size, 1), **changes)
    with pytest.raises(ArgumentError, match=told):
        write_pipeline(model, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "their"
    _write(folder, _random_unet(**_CIFAR), diffusers.DDPMScheduler(num_train_timesteps=20))
    for part, change, told in [
        ("unet/config.json", {"act_fn": "gelu"}, "act_fn"),
        ("unet/config.json", {"block_out_channels": [32, 48, 64, 64]}, "multiples"),
        ("unet/config.json", {"block_out_channels": [32, 64, 64, 96]}, "missing"),
        ("unet/config.json", {"in_channels": 4}, "out_channels is 3.*must be 4"),
        ("unet/config.json", {"sample_size": None}, "None"),
        ("unet/config.json", {"num_class_embeds": 10}, "class_embedding"),
        ("unet/config.json", {"class_embed_type": "timestep"}, "class_embed_type"),
        ("unet/config.json", {"block_out_channels": []}, "read"),
        ("scheduler/scheduler_config.json", {"_class_name": "VQScheduler"}, "VQScheduler"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "laplace"}, "laplace"),
        ("scheduler/scheduler_config.json", {"trained_betas": [2.0] * 20}, "beta"),
        ("scheduler/scheduler_config.json", {"thresholding": True, "sample_max_value": 1.5}, "1.5"),
        ("model_index.json", {"_class_name": "StableDiffusionPipeline"}, "StableDiffusion"),
    ]:
        path = folder / part
        sound = path.read_text()
        path.write_text(json.dumps(json.loads(sound) | change))
        with pytest.raises(RunError, match=told):
            read_pipeline(folder)
        path.write_text(sound)
    read_pipeline(folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(RunError, match="pickle"):
        read_pipeline(folder)
