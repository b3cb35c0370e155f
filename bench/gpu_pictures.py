"""CIFAR-10 by class on one GPU in bfloat16: Fréchet distance by minutes of training, and its speed.

Needs `$SFUMATO_CIFAR10` and a GPU that PyTorch sees; six minutes.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from bench import cifar10
from bench.machine import matmul_rate
from bench.measure import Page, Timing, ratio, side_by_side, table
from bench.picture_networks import diffusers_network, diffusers_step, operations_of, our_step
from sfumato.data.images import Images
from sfumato.data.io.sheets import sheet
from sfumato.metrics.features import Classifier, train_classifier
from sfumato.metrics.images import frechet_distance
from sfumato.models.model import Model
from sfumato.runs.fit import prepare, resolve
from sfumato.training.loop import train


@dataclass(frozen=True, slots=True)
class Trial:
    """What is measured: on a GPU as it stands, smaller where the page itself is tried.

    Args:
        device: where the networks are.
        minutes: of training, after which samples are drawn.
        width: of the network whose weights the samples are drawn with.
        batch: pictures in a step.
        drawn: samples of each class, a multiple of a chunk.
        steps: of the sampler.
        side_of_product: of the square matrices whose product is the peak.
        calls: steps in one timing.
    """

    device: str = "cuda"
    minutes: tuple[float, ...] = (1.0, 2.0, 4.0)
    width: int = 128
    batch: int = 256
    drawn: int = 64
    steps: int = 50
    side_of_product: int = 8192
    calls: int = 20


def measure() -> Page:
    """On the GPU."""
    if not torch.cuda.is_available():
        sys.exit("bench gpu_pictures: PyTorch sees no GPU here.")
    found = cifar10.pictures()
    if found is None:
        sys.exit("bench gpu_pictures: set SFUMATO_CIFAR10 to the archive of pictures.")
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)  # for the judge, which is on the processor
    try:
        return page(Trial(), *found)
    finally:
        torch.set_num_threads(before)


def page(trial: Trial, pixels: np.ndarray, labels: np.ndarray) -> Page:
    """Of all pictures a tenth is kept for the judge alone."""
    order = np.random.default_rng(0).permutation(len(pixels))
    kept, used = np.split(order, [len(pixels) // 10])
    judge = train_classifier(pixels[used], labels[used], len(cifar10.CLASSES))
    real = judge(pixels[kept])
    floor = frechet_distance(real, judge(pixels[used[: trial.drawn * len(cifar10.CLASSES)]]))
    speed = _speed(trial, pixels[used])
    print(f"  {speed}", file=sys.stderr, flush=True)
    train_set = Images(pixels[used], labels[used], cifar10.CLASSES, [""] * len(used))
    curve, shown = [], np.empty(0)
    for minutes, steps, drawn in _curve(trial, train_set):
        right = np.mean(judge.classify(drawn) == _classes(trial))
        curve.append((minutes, steps, frechet_distance(real, judge(drawn)), right))
        print(f"  {curve[-1]}", file=sys.stderr, flush=True)
        shown = drawn
    return Page("Pictures on a GPU", _parts(trial, judge, floor, speed, curve),
                _figure(floor, curve, shown, trial.drawn))  # fmt: skip


# ------------------------------------------------------------------------------- its speed


def _speed(trial: Trial, pixels: np.ndarray) -> list[list[str]]:
    """A row for each library."""
    network = diffusers_network(trial.width)
    operations = operations_of(network)
    x_0 = torch.from_numpy(pixels[: trial.batch]).permute(0, 3, 1, 2).float() / 127.5 - 1
    side = trial.side_of_product
    peak = matmul_rate(side, side, side, torch.bfloat16, trial.device)
    timed: Mapping[str, Timing] = side_by_side(
        {
            "Sfumato": our_step(pixels, trial.width, trial.batch, "bfloat16"),
            "diffusers": diffusers_step(
                network.to(trial.device), x_0.to(trial.device), bfloat16=True
            ),
        },
        rounds=5,
        calls=trial.calls,
    )
    return [
        [
            name,
            f"{trial.batch / timing.median:,.0f}",
            f"{1 / ratio(timed['Sfumato'], timing):.2f}",
            f"{trial.batch * 3 * operations / timing.median / peak:.0%}",
        ]
        for name, timing in timed.items()
    ]


# ------------------------------------------------------------------------------- the curve


def _curve(trial: Trial, pictures: Images) -> Iterator[tuple[float, int, np.ndarray]]:
    """Minutes of training, steps and samples; one training, which ends after the last minutes."""
    changes = {
        "device": trial.device,
        "data.labels": True,
        "network.width": trial.width,
        "network.depth": 2,
        "training.precision": "bfloat16",
        "training.batch_size": trial.batch,
        "training.average": 0.999,
        "training.log_every": trial.calls,
    }
    records = train(prepare(*resolve(pictures, changes | {"training.steps": 2 * trial.calls}))[0])
    next(records)
    began = time.perf_counter()
    next(records)
    steps = int(60 * trial.minutes[-1] / (time.perf_counter() - began) * trial.calls)
    training, model = prepare(*resolve(pictures, changes | {"training.steps": steps}))
    spent, due = 0.0, list(trial.minutes)
    began = time.perf_counter()
    for record in train(training):
        now = (spent + time.perf_counter() - began) / 60
        last = record.step == steps
        if due and (now >= due[0] or last):
            spent = 60 * now
            yield now, record.step, _drawn(trial, model.with_network(training.average.network))
            due = [] if last else [each for each in due if each > now]
            began = time.perf_counter()


def _classes(trial: Trial) -> np.ndarray:
    return np.repeat(np.arange(len(cifar10.CLASSES)), trial.drawn)


def _drawn(trial: Trial, model: Model) -> np.ndarray:
    """As many of each class, by the recipe's own sampler."""
    parts = [
        part
        for name in cifar10.CLASSES
        for part in model.sample_chunks(trial.drawn, given={"class": name}, steps=trial.steps)
    ]
    return np.concatenate(parts)


# -------------------------------------------------------------------------------- the page


def _parts(
    trial: Trial,
    judge: Classifier,
    floor: float,
    speed: list[list[str]],
    curve: list[tuple[float, int, float, float]],
) -> list[str]:
    where = torch.cuda.get_device_name() if trial.device == "cuda" else "a processor"
    return [
        (
            f"On {where}, bfloat16, batches of {trial.batch}. One training of the recipe's U-Net "
            f"of width {trial.width} and depth 2 with classes; its rate of learning falls until "
            "the last of the minutes, and the averaged weights draw on the way "
            f"{trial.drawn} pictures of each class by the recipe's own sampler in {trial.steps} steps. **Fréchet "
            "distance** to a tenth of the pictures, which no training saw, in the features of a "
            f"small classifier ({judge.accuracy:.0%} right on unseen pictures); that of as many "
            f"real training pictures is {floor:.2f}. **Right**: the share that this classifier "
            "takes for the class asked for."
        ),
        table(
            ["minutes", "steps", "Fréchet distance", "of the floor", "right"],
            [
                [f"{minutes:.1f}", steps, f"{distance:.2f}", f"{distance / floor:.1f}",
                 f"{right:.0%}"]
                for minutes, steps, distance, right in curve
            ],
        ),
        (
            "Training steps of one network in both loops, in turn: that of DDPM's CIFAR-10 models "
            "(see [picture_networks](picture_networks.md)), with AdamW. `of the peak`: three "
            "forward passes a step, at the rate of a product of square matrices of "
            f"{trial.side_of_product:,}."
        ),
        table(["", "pictures/s", "× as fast", "of the peak"], speed),
    ]  # fmt: skip


def _figure(
    floor: float, curve: list[tuple[float, int, float, float]], drawn: np.ndarray, each: int
) -> Figure:
    """The curve, and ten pictures of each class."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes, grid = figure.subplots(1, 2)
    axes.plot([row[0] for row in curve], [row[2] for row in curve], "o-", color="#0072B2")
    axes.axhline(floor, color="0.4", linewidth=1, linestyle="--", label="real pictures")
    axes.legend(frameon=False)
    axes.set(xlabel="minutes of training", ylabel="Fréchet distance", yscale="log", xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    shown = np.concatenate([drawn[k : k + 10] for k in range(0, len(drawn), each)])
    picture = sheet(shown, min(10, each))
    grid.imshow(picture, interpolation="nearest")
    middles = (np.arange(len(cifar10.CLASSES)) + 0.5) * len(picture) / len(cifar10.CLASSES)
    grid.set_yticks(middles, cifar10.CLASSES)
    grid.set_xticks([])
    grid.spines[:].set_visible(False)
    return figure
