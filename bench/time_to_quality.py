"""Processor seconds until pictures are as good as those of the peers' loops after twenty minutes."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from bench import cifar10
from bench.measure import Page, table
from bench.peers.denoising_diffusion_pytorch import NAME as LUCIDRAINS
from bench.peers.denoising_diffusion_pytorch import AsItsOwn, diffusion
from sfumato.data.io.sheets import sheet
from sfumato.metrics.features import train_classifier
from sfumato.metrics.images import frechet_distance
from sfumato.runs.fit import fit
from sfumato.runs.run import Run

_BUDGET = 1200.0  # processor seconds of a peer's loop
_SHARES = (1 / 3, 1 / 6)  # of it, for ours
_GOAL = 1 / 3
_BATCH = 16  # of both peers' defaults
_DRAWN, _CALLS = 500, 50
_FLOORS = 4  # sets of as many real pictures
_SIDES = (16, 32)
_CLASSES = ("airplane", "automobile", "horse")
_SHOWN, _TICKS = 10, (200, 400, 800, 1200)


def measure() -> Page:
    """Digits, and three classes of CIFAR-10 (`$SFUMATO_CIFAR10`, a .tar.xz of train/CLASS/*.jpg)."""
    sets = _sets()
    # A process of one thread each, all of whose methods meet the same load.
    with ProcessPoolExecutor(len(sets), get_context("spawn")) as pool:
        asked = {name: pool.submit(_of_set, name, *sets[name]) for name in sets}
        found = {name: asked[name].result() for name in sets}
    return Page("Time to quality", _parts(found), _figure(found))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Of one set: each method's Fréchet distance by its processor seconds, and some samples."""

    accuracy: float
    floor: float
    weights: int
    distances: Mapping[str, list[tuple[float, float]]]
    steps: Mapping[str, list[int]]
    samples: Mapping[str, np.ndarray]

    def ratio(self, peer: str) -> float | None:
        """The least share of the peer's seconds in which ours is as good; None if it never is."""
        seconds, distance = self.distances[peer][0]
        good = [used / seconds for used, own in self.distances["Sfumato"] if own <= distance]
        return min(good, default=None)


def _sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    digits = load_digits()
    sets = {
        "digits, 8 × 8": ((digits.images * 255 / 16).astype(np.uint8)[..., None], digits.target)
    }
    found = cifar10.pictures(_CLASSES)
    if found is not None:
        pixels, labels = found
        for side in _SIDES:
            k = pixels.shape[1] // side
            blocks = pixels.reshape(len(pixels), side, k, side, k, 3)
            small = blocks.mean((2, 4)).round().astype(np.uint8)
            sets[f"CIFAR-10, {side} × {side}"] = (small, labels)
    return sets


def _of_set(name: str, pixels: np.ndarray, labels: np.ndarray) -> _Found:
    torch.set_num_threads(1)
    order = np.random.default_rng(0).permutation(len(pixels))
    kept = len(pixels) // 10
    heldout, train = pixels[order[:kept]], pixels[order[kept:]]
    judge = train_classifier(train, labels[order[kept:]], int(labels.max()) + 1)
    real = judge(heldout)
    sets = np.split(train[: _FLOORS * (len(train) // _FLOORS)], _FLOORS)
    floor = np.mean([frechet_distance(real, judge(each[:_DRAWN])) for each in sets])

    def distance(drawn: np.ndarray) -> float:
        return frechet_distance(real, judge(drawn))

    found: dict[str, list[tuple[float, float]]] = {"Sfumato": []}
    steps: dict[str, list[int]] = {"Sfumato": []}
    samples: dict[str, np.ndarray] = {}
    for share in _SHARES:
        run, seconds, made = _ours(train, share * _BUDGET)
        drawn = run.sample(_DRAWN, steps=_CALLS)
        found["Sfumato"].append((seconds, distance(drawn)))
        _say(name, "Sfumato", found["Sfumato"][-1])
        steps["Sfumato"].append(made)
        samples.setdefault("Sfumato", drawn[:_SHOWN])
    for peer, method in {"diffusers": _diffusers, LUCIDRAINS: _lucidrains}.items():
        draw, seconds, made = method(_same_network(run), train)
        # DDIM without noise, and with as much as DDPM has: the better one counts.
        both = [draw(eta) for eta in (0.0, 1.0)]
        best = min(both, key=distance)
        found[peer], steps[peer], samples[peer] = [(seconds, distance(best))], [made], best[:_SHOWN]
        _say(name, peer, found[peer][-1])
    weights = sum(weight.numel() for weight in _same_network(run).parameters())
    return _Found(judge.accuracy, float(floor), weights, found, steps, samples)


def _say(pictures: str, method: str, found: tuple[float, float]) -> None:
    seconds, distance = found
    print(f"  {pictures}, {method}: {distance:.2f} in {seconds:.0f} s", file=sys.stderr, flush=True)


def _until(budget: float, step: Callable[[], None], began: float) -> int:
    """Take steps until so many processor seconds have passed; how many they were."""
    made = 0
    while time.process_time() - began < budget:
        step()
        made += 1
    return made


# ------------------------------------------------------------------------------------ ours


def _ours(train: np.ndarray, budget: float) -> tuple[Run, float, int]:
    """The default fit with as many steps as the seconds allow."""
    changes = {"training.snapshots": 0, "data.holdout": 0.01, "threads": 1}

    def fitted(steps: int) -> tuple[Run, float]:
        began = time.process_time()
        run = fit(train, settings=changes | {"training.steps": steps}, quiet=True)
        return run, time.process_time() - began

    few, many = 5, 25
    first, second = fitted(few)[1], fitted(many)[1]
    each = (second - first) / (many - few)
    steps = int((budget - first) / each) + few
    return *fitted(steps), steps


def _same_network(run: Run) -> UNet2DModel:
    """The network of our run as diffusers makes it, with its own embedding of the step."""
    with tempfile.TemporaryDirectory() as folder:
        run.export("diffusers", Path(folder) / "run")
        config = UNet2DModel.load_config(Path(folder) / "run" / "unet")
    torch.manual_seed(0)
    own = {"time_embedding_type": "positional", "num_train_timesteps": None}
    network: UNet2DModel = UNet2DModel.from_config({**config, **own})
    return network


def _batches(train: np.ndarray) -> Iterator[Tensor]:
    """Pictures of -1 to 1 in the order of a shuffling loader, for ever."""
    rows = torch.from_numpy(train).permute(0, 3, 1, 2).float() / 127.5 - 1
    while True:
        yield from (part for part in rows[torch.randperm(len(rows))].split(_BATCH)
                    if len(part) == _BATCH)  # fmt: skip


def _bytes(pictures: Tensor | np.ndarray) -> np.ndarray:
    """Of 0 to 1, `(n, height, width, channels)`."""
    return (np.asarray(pictures) * 255).round().clip(0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------- diffusers


def _diffusers(
    network: UNet2DModel, train: np.ndarray
) -> tuple[Callable[[float], np.ndarray], float, int]:
    """examples/unconditional_image_generation/train_unconditional.py with --use_ema."""
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
    )
    average = EMAModel(
        network.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75
    )
    batches = _batches(train)

    def step(rate: torch.optim.lr_scheduler.LRScheduler) -> None:
        x_0 = next(batches)
        noise = torch.randn(x_0.shape)
        t = torch.randint(0, 1000, (len(x_0),))
        mse_loss(network(scheduler.add_noise(x_0, noise, t), t).sample, noise).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        average.step(network.parameters())

    torch.manual_seed(0)
    # Its cosine ends with the loop, whose length is asked for beforehand.
    began = time.process_time()
    timed = 20
    endless = get_cosine_schedule_with_warmup(optimizer, 500, 10**9)
    for _ in range(timed):
        step(endless)
    each = (time.process_time() - began) / timed
    rate = get_cosine_schedule_with_warmup(optimizer, 500, int(_BUDGET / each))
    made = timed + _until(_BUDGET, lambda: step(rate), began)
    seconds = time.process_time() - began
    average.copy_to(network.parameters())

    def draw(eta: float) -> np.ndarray:
        pipeline = DDIMPipeline(network, DDIMScheduler(num_train_timesteps=1000))
        pipeline.set_progress_bar_config(disable=True)
        source = torch.Generator().manual_seed(0)
        drawn = [
            pipeline(100, source, eta=eta, num_inference_steps=_CALLS, output_type="np").images
            for _ in range(_DRAWN // 100)
        ]
        return _bytes(np.concatenate(drawn))

    return draw, seconds, made


# ------------------------------------------------------------- denoising-diffusion-pytorch


def _lucidrains(
    network: UNet2DModel, train: np.ndarray
) -> tuple[Callable[[float], np.ndarray], float, int]:
    """The steps of its Trainer (predicted v, a sigmoid of betas), without mirrored pictures."""
    from ema_pytorch import EMA

    model = diffusion(AsItsOwn(network, train.shape[3]), train.shape[1], _CALLS)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.99))
    average = EMA(model, beta=0.995, update_every=10)
    batches = _batches(train)

    def step() -> None:
        model.train()
        model((next(batches) + 1) / 2).backward()  # it scales them itself
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()

    torch.manual_seed(0)
    began = time.process_time()
    made = _until(_BUDGET, step, began)
    seconds = time.process_time() - began

    def draw(eta: float) -> np.ndarray:
        torch.manual_seed(0)
        average.ema_model.eval()
        average.ema_model.ddim_sampling_eta = eta
        with torch.inference_mode():
            drawn = [average.ema_model.sample(batch_size=100) for _ in range(_DRAWN // 100)]
        return _bytes(torch.cat(drawn).permute(0, 2, 3, 1))

    return draw, seconds, made


# -------------------------------------------------------------------------------- the page


def _parts(found: Mapping[str, _Found]) -> list[str]:
    rows = [
        [
            name if k == 0 else "",
            method,
            f"{seconds:.0f}",
            of_set.steps[method][place],
            f"{distance:.2f}",
            f"{distance / of_set.floor:.1f}",
        ]
        for name, of_set in found.items()
        for k, (method, place, (seconds, distance)) in enumerate(
            (method, place, pair)
            for method, pairs in of_set.distances.items()
            for place, pair in enumerate(pairs)
        )
    ]
    ratios = [
        [name, *(_told(of_set.ratio(peer)) for peer in ("diffusers", LUCIDRAINS))]
        for name, of_set in found.items()
    ]
    networks = "; ".join(
        f"{name}: {of_set.weights / 1e6:.2f} M weights, {of_set.accuracy:.0%}"
        for name, of_set in found.items()
    )
    return [
        (
            "One network, the U-Net of Sfumato's defaults as diffusers makes it (the peers with the "
            "embedding of the step that diffusers has by default), one thread, in one run, seed 0. "
            "**diffusers**: the loop of its `train_unconditional` with `--use_ema` (batch "
            f"{_BATCH}, AdamW 1e-4, 500 steps of warm-up, a cosine that ends with the loop). "
            f"**{LUCIDRAINS}**: the steps of its Trainer (batch {_BATCH}, Adam 1e-4, predicted v, "
            f"sigmoid schedule). Each for {_BUDGET:.0f} processor seconds. **Sfumato**: "
            "`sfumato.fit` by its own recipe, with as many steps as a third and a sixth "
            "of these seconds allow, two fits."
        ),
        (
            f"{_DRAWN} pictures in {_CALLS} calls; the peers' by DDIM without noise and with "
            "eta = 1, of which the better counts. **Fréchet distance** to a tenth of the pictures, "
            "which no training saw, in the features of a small classifier of these pictures; "
            f"*floor*: the mean of {_FLOORS} sets of as many training pictures. CIFAR-10: "
            f"{', '.join(_CLASSES)}. Weights of the network, and how often the judge is right on "
            f"unseen pictures: {networks}."
        ),
        table(["pictures", "", "processor s", "steps", "Fréchet distance", "of the floor"], rows),
        (
            "**The least share of a peer's seconds in which Sfumato is as good** "
            f"(goal: {_GOAL:.2f}):"
        ),
        table(["pictures", "diffusers", LUCIDRAINS], ratios),
    ]


def _told(ratio: float | None) -> str:
    return f"more than {max(_SHARES):.2f}" if ratio is None else f"{ratio:.2f}"


def _figure(found: Mapping[str, _Found]) -> Figure:
    """A curve for each set, and under it what each method draws."""
    colours = {"Sfumato": "#0072B2", "diffusers": "#D55E00", LUCIDRAINS: "#009E73"}
    figure = Figure(figsize=(4.2 * len(found), 6.5), layout="constrained")
    grid = figure.add_gridspec(1 + len(colours), len(found), height_ratios=(6, 1, 1, 1))
    for column, (name, each) in enumerate(found.items()):
        axes = figure.add_subplot(grid[0, column])
        for method, pairs in each.distances.items():
            axes.plot(*zip(*pairs, strict=True), "o-", color=colours[method], label=method)
        axes.axhline(each.floor, color="0.4", linewidth=1, linestyle="--", label="real pictures")
        axes.set(title=name, xlabel="processor seconds", xscale="log", yscale="log")
        axes.set_xticks(_TICKS, [f"{tick:,}" for tick in _TICKS])
        axes.set_xticks([], minor=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        if column == 0:
            axes.set_ylabel("Fréchet distance")
            axes.legend(frameon=False, fontsize=8)
        for row, (method, pictures) in enumerate(each.samples.items(), 1):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(sheet(pictures, _SHOWN).squeeze(), cmap="gray", interpolation="nearest")
            axes.set_title(method, fontsize=8, color=colours[method])
            axes.axis("off")
    return figure
