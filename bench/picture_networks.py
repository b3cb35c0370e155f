"""Training and sampling steps of picture networks, beside diffusers and denoising-diffusion-pytorch."""

import os
from collections.abc import Callable, Mapping

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.flop_counter import FlopCounterMode

from bench.machine import matmul_rate
from bench.measure import Page, Timing, ratio, side_by_side, table
from bench.peers.denoising_diffusion_pytorch import NAME as LUCIDRAINS
from bench.peers.denoising_diffusion_pytorch import diffusion, unet
from bench.pictures import bars
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.networks.unet import UNet
from sfumato.process.discrete import DISCRETE_SCHEDULES
from sfumato.process.grids import trailing
from sfumato.process.parameterisations import PARAMETERISATIONS
from sfumato.process.streams import PICTURES
from sfumato.runs.fit import prepare, resolve
from sfumato.samplers import SAMPLERS
from sfumato.samplers.driver import sample_chunks
from sfumato.training.loop import train

_SIDE, _STEPS = 32, 2
# Width of ours and of diffusers', width of denoising-diffusion-pytorch's for as many weights, batch.
_SIZES = ((48, 52, 32), (128, 144, 16))
_PYRAMID = (1, 2, 2, 2)


def measure() -> Page:
    """The network of DDPM's CIFAR-10 models, whole and narrow, in everyone's own loop."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return _measured()
    finally:
        torch.set_num_threads(before)


def _measured() -> Page:
    rows, picture = [], {}
    rate = matmul_rate(1024, 1024, 1024)
    for width, their_width, batch in _SIZES:
        networks = _networks(width, their_width)
        pixels = np.random.default_rng(0).integers(0, 256, (256, _SIDE, _SIDE, 3), np.uint8)
        x_0 = torch.from_numpy(pixels[:batch]).permute(0, 3, 1, 2).float() / 127.5 - 1
        training: dict[str, Callable[[], object]] = {
            "Sfumato": our_step(pixels, width, batch, "float32"),
            "diffusers": diffusers_step(networks["diffusers"], x_0),
            LUCIDRAINS: _lucidrains(networks[LUCIDRAINS], x_0),
            "Sfumato, bfloat16": our_step(pixels, width, batch, "bfloat16"),
            "diffusers, bfloat16": diffusers_step(networks["diffusers"], x_0, bfloat16=True),
        }
        trained = side_by_side(training, rounds=5, calls=_STEPS)
        del training
        drawing: dict[str, Callable[[], object]] = {
            "Sfumato": _our_samples(networks["Sfumato"]),
            "diffusers": _diffusers_samples(networks["diffusers"]),
            LUCIDRAINS: _lucidrains_samples(networks[LUCIDRAINS]),
        }
        drawn = side_by_side(drawing, rounds=5)
        for name, timing in trained.items():
            network = networks[name.partition(",")[0]]
            operations = operations_of(network)
            cells = [batch * 3 * operations / timing.median / rate, *_row(trained, name, batch)]
            sampled = ["", "", ""]
            if name in drawn:
                pictures = PICTURES * _STEPS
                share = pictures * operations / drawn[name].median / rate
                sampled = [*_row(drawn, name, pictures), f"{share:.0%}"]
            rows.append([f"{_weights(network) / 1e6:.1f}", f"{operations / 1e9:.1f}", name,
                         cells[1], cells[2], f"{cells[0]:.0%}", *sampled])  # fmt: skip
            picture[f"{name}, {_weights(network) / 1e6:.0f} M"] = batch / timing.median
    return Page(
        "Networks of pictures",
        [
            (
                f"Pictures of {_SIDE} × {_SIDE} in colour, {os.cpu_count()} threads. Sfumato's and "
                "diffusers' networks are the same one, weight for weight (time_embedding=step, one head, at "
                "16 × 16): that of DDPM's CIFAR-10 models, and one of width 48. denoising-diffusion-"
                "pytorch has another block and linear attention everywhere; its width is what gives "
                "as many weights on the same pyramid. Its torchvision, which its network and its "
                "loss do not use, is stood in for by an empty module. Training: batches of "
                f"{', '.join(str(batch) for *_, batch in _SIZES)}, each library's own loop "
                "(diffusers' train_unconditional: AdamW, clipping, a cosine; the other's Trainer: Adam, "
                "clipping, an average every ten steps; ours: AdamW, clipping, an average every step), "
                f"pictures in memory. Sampling: DDIM, {PICTURES} pictures. `×` is how many times as "
                "many pictures a second Sfumato does, the median of the rounds' ratios; with bfloat16 "
                "beside bfloat16. `of the peak` takes three forward passes for a training step, at the "
                f"rate of 1,024 cubed in float32, {rate / 1e9:.0f} GFLOP/s here."
            ),
            table(["M weights", "GFLOP a picture", "", "training, pictures/s", "×", "of the peak",
                   "sampling, pictures × steps/s", "×", "of the peak"], rows),
        ],
        bars(picture, "training, pictures a second"),
    )  # fmt: skip


def _row(timings: Mapping[str, Timing], name: str, pictures: int) -> list[str]:
    ours = timings["Sfumato, bfloat16" if "bfloat16" in name else "Sfumato"]
    return [f"{pictures / timings[name].median:.1f}", f"{1 / ratio(ours, timings[name]):.2f}"]


def _weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def operations_of(network: nn.Module) -> float:
    """Of one picture through the network, two to each multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, _SIDE, _SIDE), torch.zeros(1, dtype=torch.int64))
    return float(counter.get_total_flops())


def _networks(width: int, their_width: int) -> dict[str, nn.Module]:
    ours = UNet(3, width, _PYRAMID, 2, (False, True, False, False), head_width=None,
                scale_shift=False, groups=16 if width % 32 else 32)  # fmt: skip
    return {
        "Sfumato": ours,
        "diffusers": diffusers_network(width),
        LUCIDRAINS: unet(their_width, _PYRAMID),
    }


def diffusers_network(width: int) -> nn.Module:
    """Diffusers' network of the shape of ours."""
    theirs: nn.Module = UNet2DModel(
        sample_size=_SIDE,
        block_out_channels=tuple(width * each for each in _PYRAMID),
        layers_per_block=2,
        norm_num_groups=16 if width % 32 else 32,
        attention_head_dim=None,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )
    return theirs


# ------------------------------------------------------------------------------------ ours


def our_step(pixels: np.ndarray, width: int, batch: int, precision: str) -> Callable[[], object]:
    """A step of our loop on the network of diffusers' shape."""
    changes = {
        "network.width": width,
        "network.depth": 2,
        "network.parameterisation": "eps",
        "network.options": {
            "multipliers": list(_PYRAMID),
            "attention": [16],
            "head_width": 0,
            "time_embedding": "step",
            "scale_shift": False,
            "groups": 16 if width % 32 else 32,
        },
        "process.schedule": "linear",
        "process.num_levels": 1000,
        "training.batch_size": batch,
        "training.steps": 10**6,
        "training.log_every": 1,
        "training.precision": precision,
        "training.optimizer": "adamw",  # as the peers' loops
        "training.learning_rate": 1e-4,
    }
    records = train(prepare(*resolve(pixels, changes))[0])
    return lambda: next(records)


def _our_samples(network: nn.Module) -> Callable[[], object]:
    table_of = DISCRETE_SCHEDULES["linear"](num_levels=1000)
    denoise = NetworkDenoiser(network, PARAMETERISATIONS["eps"])
    levels, stepper = trailing(table_of, _STEPS), SAMPLERS["ddim"]()

    def draw() -> Tensor:
        event = (3, _SIDE, _SIDE)
        return torch.cat(list(sample_chunks(denoise, event, levels, stepper, n=PICTURES, seed=0)))

    return draw


# ------------------------------------------------------------------------------- diffusers


def diffusers_step(
    network: nn.Module, x_0: Tensor, *, bfloat16: bool = False
) -> Callable[[], object]:
    """The loop of examples/unconditional_image_generation/train_unconditional.py."""
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
    )
    rate = get_cosine_schedule_with_warmup(optimizer, 500, 10**6)

    def step() -> None:
        noise = torch.randn(x_0.shape, device=x_0.device)
        t = torch.randint(0, 1000, (len(x_0),), device=x_0.device)
        with torch.autocast(x_0.device.type, torch.bfloat16, enabled=bfloat16):
            answer = network(scheduler.add_noise(x_0, noise, t), t).sample
        loss = mse_loss(answer.float(), noise)
        loss.item()  # it is written to the log
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()

    return step


def _diffusers_samples(network: nn.Module) -> Callable[[], object]:
    scheduler = DDIMScheduler(num_train_timesteps=1000)
    scheduler.set_timesteps(_STEPS)

    @torch.no_grad()
    def draw() -> Tensor:
        x = torch.randn(PICTURES, 3, _SIDE, _SIDE)
        for t in scheduler.timesteps:
            x = scheduler.step(network(x, t).sample, int(t), x).prev_sample
        return x

    return draw


# ------------------------------------------------------------- denoising-diffusion-pytorch


def _lucidrains(network: nn.Module, x_0: Tensor) -> Callable[[], object]:
    """The steps of its Trainer, without its reading of files."""
    from ema_pytorch import EMA

    model = diffusion(network, _SIDE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.99))
    average = EMA(model, beta=0.995, update_every=10)
    pictures = (x_0 + 1) / 2  # it scales them itself

    def step() -> None:
        model.train()
        loss = model(pictures)
        loss.item()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()

    return step


def _lucidrains_samples(network: nn.Module) -> Callable[[], object]:
    model = diffusion(network, _SIDE, _STEPS)
    model.eval()

    def draw() -> Tensor:
        with torch.inference_mode():
            samples: Tensor = model.sample(batch_size=PICTURES)
        return samples

    return draw
