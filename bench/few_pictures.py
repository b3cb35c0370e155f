"""One picture, four, and 64: the same network drawn with by `run.sample` and by diffusers."""

import os
import tempfile
from collections.abc import Callable

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from bench.measure import Page, ratio, side_by_side, table
from sfumato.runs.run import Run, open_run

_STEPS, _COUNTS = 100, (1, 4, 64)
_SIZES = {8: (32, 64), 16: (32, 64, 64), 32: (32, 64, 128)}  # side: channels of each resolution
_ROUNDS = 3
_GOAL = 1.3


def measure() -> Page:
    """DDIM in a hundred steps, a folder of diffusers with random weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        rows = [row for side in _SIZES for row in _rows(side)]
    finally:
        torch.set_num_threads(before)
    return Page(
        "Few pictures",
        [
            (
                f"A U-Net of diffusers with random weights, {os.cpu_count()} threads, {_STEPS} steps of "
                "DDIM: diffusers' own pipeline, and `run.sample` of the same folder opened by Sfumato. "
                "`×` is how many times as long Sfumato takes, the median of the rounds' ratios (goal: at "
                f"most {_GOAL}). Sfumato computes pictures 1, 3, 12 and 48 together and then 64 each, so "
                "that a picture is the same whatever is drawn with it; diffusers' pictures depend on that."
            ),
            table(["side", "pictures", "diffusers, s", "Sfumato, s", "×"], rows),
        ],
    )


def _rows(side: int) -> list[list[object]]:
    network = UNet2DModel(
        sample_size=side,
        in_channels=3,
        out_channels=3,
        block_out_channels=_SIZES[side],
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D",) * len(_SIZES[side]),
        up_block_types=("UpBlock2D",) * len(_SIZES[side]),
    )
    pipeline = DDIMPipeline(network, DDIMScheduler(clip_sample=False))
    pipeline.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory() as folder:
        pipeline.save_pretrained(folder)
        run = open_run(folder)
        found = []
        for n in _COUNTS:
            timed = side_by_side({"theirs": _theirs(pipeline, n), "ours": _ours(run, n)}, _ROUNDS)
            seconds = [f"{timed[name].median:.2f}" for name in ("theirs", "ours")]
            found.append([side, n, *seconds, f"{ratio(timed['ours'], timed['theirs']):.2f}"])
    return found


def _theirs(pipeline: DDIMPipeline, n: int) -> Callable[[], object]:
    return lambda: pipeline(batch_size=n, num_inference_steps=_STEPS, output_type="np")


def _ours(run: Run, n: int) -> Callable[[], object]:
    return lambda: run.sample(n, sampler="ddim", steps=_STEPS)
