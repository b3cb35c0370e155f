"""What a folder of diffusers means: beside diffusers itself, which reads or draws the same."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import sfumato
from sfumato.errors import ForeignWarning, RunError

diffusers: Any


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
