"""How fast pictures are read, beside a plain loop of Pillow, and whether a network waits for them.

PICTURES=cifar10-train.tar.xz python -m bench decoding  reads that archive; else one is made.
"""

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps

from bench.measure import Page, ratio, side_by_side, table
from bench.pictures import bars
from sfumato.data import scratch
from sfumato.data.images import PictureReading
from sfumato.data.io.images import read_images
from sfumato.runs.fit import prepare, resolve

_PHOTOGRAPHS, _WIDE, _HIGH, _SIZE = 60, 1600, 1200, 64
_STEPS = 15


def measure() -> Page:
    """Read them both ways in turn; then train on them, from memory and from a file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        archive = _archive(place)
        photographs = place / "photographs"
        photographs.mkdir()
        for k in range(_PHOTOGRAPHS):
            _picture(k, _WIDE, _HIGH).save(photographs / f"{k}.jpg", quality=90)
        rows, picture = [], {}
        for what, path, size in (
            ("the archive", archive, None),
            (f"photographs of {_WIDE} × {_HIGH}", photographs, None),
            (f"the same, to {_SIZE} × {_SIZE}", photographs, _SIZE),
        ):
            both = {"Sfumato": _ours(path, size), "a plain loop": _plain(path, size)}
            timings = side_by_side(both, rounds=3)
            count = _PHOTOGRAPHS if path is photographs else _count(archive)
            rates = {name: count / timing.median for name, timing in timings.items()}
            faster = 1 / ratio(timings["Sfumato"], timings["a plain loop"])
            rows.append([what, f"{count:,}", *(f"{rate:,.0f}" for rate in rates.values()),
                         f"{faster:.2f}"])  # fmt: skip
            picture[what] = faster
        waits = [
            [where, *_step(archive, most)]
            for where, most in (("memory", scratch.IN_MEMORY), ("a file", 0))
        ]
    made = "" if "PICTURES" in os.environ else " (made for this, 5,000 of them)"
    return Page(
        "Reading pictures",
        [
            (
                f"From files to one array of bytes, pictures a second. The archive, {archive.name}"
                f"{made}, holds JPEGs of 32 × 32. A plain loop is `np.asarray(Image.open(file)"
                ".convert('RGB'))` for each (and `ImageOps.fit` to a size); it turns no picture upright "
                "and looks at none that is damaged. Small files are decoded one after another, since "
                "most of their time is Python's own; those beyond 16 KiB by a thread for each of "
                f"{os.cpu_count()} processors."
            ),
            table(["", "pictures", "Sfumato", "a plain loop", "×"], rows),
            (
                "**Does the network wait?** Pictures are decoded once, before training, and are bytes "
                "from then on. A batch is handed over between two steps, by the same thread: rows "
                "picked, made numbers, mirrored, times and noise drawn. Milliseconds, the median of "
                f"{_STEPS} batches of the recipe for 32 × 32 pixels, beside the step that each is for; "
                "from memory, and from the file in which more than a gibibyte lies."
            ),
            table(
                ["pictures in", "picking rows, ms", "whole batch, ms", "step, ms", "share"], waits
            ),
        ],
        bars(picture, "times a plain loop's pictures a second"),
    )


def _picture(seed: int, width: int, height: int) -> Image.Image:
    """Soft blots under grain, which take a JPEG about what a photograph does."""
    rng = np.random.default_rng(seed)
    blots = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    smooth = np.asarray(blots.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-5, 6, smooth.shape, np.int16)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def _archive(place: Path) -> Path:
    """The one that is given, or one of pictures that are made."""
    if "PICTURES" in os.environ:
        return Path(os.environ["PICTURES"])
    path = place / "made.tar"
    with tarfile.open(path, "w") as tar:
        for k in range(5000):
            target = io.BytesIO()
            _picture(k, 32, 32).save(target, "JPEG")
            entry = tarfile.TarInfo(f"{k}.jpg")
            entry.size = target.tell()
            target.seek(0)
            tar.addfile(entry, target)
    return path


def _count(archive: Path) -> int:
    with tarfile.open(archive) as tar:
        return sum(member.isfile() for member in tar)


def _ours(path: Path, size: int | None) -> Callable[[], object]:
    return lambda: read_images(path, PictureReading(size=size))


def _contents(path: Path) -> Iterator[IO[bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.jpg")):
            with file.open("rb") as content:
                yield content
        return
    with tarfile.open(path) as tar:
        for member in tar:
            packed = tar.extractfile(member)
            if packed is not None:
                yield io.BytesIO(packed.read())


def _plain(path: Path, size: int | None) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        found = []
        for content in _contents(path):
            image = Image.open(content).convert("RGB")
            if size is not None:
                image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
            found.append(np.asarray(image))
        return np.stack(found)

    return read


@contextmanager
def _holding(most: int) -> Iterator[None]:
    """Let no more than so many bytes of pixels lie in memory."""
    before, scratch.IN_MEMORY = scratch.IN_MEMORY, most
    try:
        yield
    finally:
        scratch.IN_MEMORY = before


def _step(archive: Path, most: int) -> list[str]:
    """Milliseconds of picking rows, of a whole batch, of a step; the batch's share of both."""
    with _holding(most):
        settings, data = resolve(archive, {"training.flip": True})
        assert isinstance(data.train.values, np.memmap) == (most == 0)
    training, _ = prepare(settings, data)
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    picked, handed, stepped = [], [], []
    for turn in range(_STEPS + 3):
        started = time.perf_counter()
        training.data[torch.randint(len(data.train.values), (settings.training.batch_size,))]
        found = time.perf_counter()
        (batch,) = training.batches(1)
        ready = time.perf_counter()
        with training.learning():
            training.descend(batch)
        if turn >= 3:
            picked.append(found - started)
            handed.append(ready - found)
            stepped.append(time.perf_counter() - ready)
    torch.set_num_threads(before)
    share = median(handed) / (median(handed) + median(stepped))
    return [*(f"{1e3 * median(each):.2f}" for each in (picked, handed, stepped)), f"{share:.1%}"]
