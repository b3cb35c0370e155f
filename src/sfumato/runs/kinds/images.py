"""Pictures of one size."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.config import Settings, recipes
from sfumato.data.codecs.images import EncodedImages, ImageCodec
from sfumato.data.images import BYTES, Images, PictureReading, with_range
from sfumato.data.io.images import holds_images, is_picture, read_image, read_images
from sfumato.data.io.memory import accept
from sfumato.data.io.sheets import check_image_target, write_images
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics.evaluation import Evaluation
from sfumato.metrics.features import trained_once
from sfumato.metrics.images import evaluate_images
from sfumato.models.model import Model
from sfumato.models.registry import class_labels_of
from sfumato.networks.unet import UNet
from sfumato.process.process import Process
from sfumato.progress import tracked
from sfumato.runs.data import Dataset, RealSets
from sfumato.runs.kinds import points
from sfumato.runs.kinds.kind import Prepared, RowsLike
from sfumato.training.loop import Objective
from sfumato.training.regression import regression

name = "images"
unit = "pictures"
sampled = 64
sample_file = "samples.png"
example = ("64", "new.png")
guesses = 1  # a mean of pictures is none


def check_target(path: Path, model: Model) -> None:  # noqa: ARG001
    """See `io.images.check_image_target`."""
    check_image_target(path)


# As of points: rows are arrays.
shares, joined, take = points.shares, points.joined, points.take
to_fill, incomplete, put_back = points.to_fill, points.incomplete, points.put_back
unseen = points.unseen


def recipe(data: Dataset[Images], asked: Settings) -> dict[str, Any]:  # noqa: ARG001
    """See `config.recipes.images`."""
    return recipes.images(*data.train.pixels.shape[1:3])


def prepare(settings: Settings, data: Dataset[Images], codec: ImageCodec | None = None) -> Prepared:
    """Values that are encoded as they are looked at; who has no class is of any.

    Raises:
        DataError: if there are fewer than two pictures, or all are one colour, or some are of no
            class and the network has no number for any.
    """
    own = codec or ImageCodec.fit(data.train)
    class_labels = class_labels_of(settings, own)
    labels = None
    if data.train.labels is not None:
        known = torch.from_numpy(data.train.labels)
        if not class_labels.knows_any and (known < 0).any():
            raise DataError(
                f"{int((known < 0).sum()):,} pictures have no class, and the network "
                "(any_class=false) has no number for them; leave them out."
            )
        labels = torch.where(known < 0, class_labels.any, known)

    def objective(denoiser: NetworkDenoiser, process: Process) -> Objective:
        return regression(
            denoiser,
            process,
            settings.training,
            own.event,
            class_labels=class_labels,
            labels=labels,
        )

    return Prepared(own, EncodedImages(own, data.train.pixels), objective)


def start_layer(model: Model) -> dict[str, Any]:
    """Classes where the start knows some, and its range of values."""
    own, codec = model.settings.data, model.codec
    values = {} if _wanted(codec) is None else {"range": codec.range}
    return {
        "labels": own.labels if codec.classes else False,
        "background": own.background,
        **values,
    }


def adopt(model: Model, data: Dataset[Images]) -> tuple[ImageCodec, list[str]]:
    """Pictures of the same shape and range; classes may be others.

    Raises:
        DataError: if the shape or the range is another.
    """
    start, codec = model.codec, ImageCodec.fit(data.train)
    if (codec.height, codec.width) != (start.height, start.width):
        square = start.height == start.width
        remedy = f"--set data.size={start.height}" if square else "pictures of that size"
        raise DataError(
            f"its pictures are {start.width} x {start.height} pixels, and these "
            f"{codec.width} x {codec.height}; take {remedy}."
        )
    if codec.channels != start.channels:
        raise DataError(
            f"its pictures have {start.channels} channel{'s' * (start.channels > 1)}, and these "
            f"{codec.channels}; bring them to its colours first."
        )
    if codec.range != start.range:
        ends = [" to ".join(f"{end:.10g}" for end in each.range) for each in (start, codec)]
        raise DataError(f"its values go from {ends[0]}, and these from {ends[1]}.")
    groups = {
        "as in the start": [name for name in codec.classes if name in start.classes],
        "new": [name for name in codec.classes if name not in start.classes],
        "left out": [name for name in start.classes if name not in codec.classes],
    }
    said = [
        f"{', '.join(names[:10])}{', ...' * (len(names) > 10)} {how}"
        for how, names in groups.items()
        if names
    ]
    return codec, [f"Classes: {'; '.join(said)}"] if said else []


def describe(data: Dataset[Images], model: Model) -> list[str]:
    """Size, classes, what is to be known of the pictures, and what was left out."""
    codec = model.codec
    kept = f"; {len(data.heldout):,} kept to evaluate on" if data.heldout else ""
    names = ", ".join(" ".join(each.split()) for each in codec.classes[:10])
    names += ", ..." if len(codec.classes) > 10 else ""
    classes = f" in {len(codec.classes)} classes ({names})" if codec.classes else ""
    labels = np.empty(0) if data.train.labels is None else data.train.labels
    bare = int((labels < 0).sum())
    return [
        f"Data: {len(data.train):,} pictures of {_size(codec)}{classes}{kept}",
        *(f"Of them: {each}" for each in data.train.notes),
        *([f"Of them: {bare:,} without a class, learned as of any"] if bare else []),
        *_padded(model),
        *(f"Left out: {each}" for each in data.train.left_out),
    ]


def _padded(model: Model) -> list[str]:
    """Said before the training, as it cannot be changed after it."""
    network, codec = model.denoiser.network, model.codec
    if not isinstance(network, UNet):
        return []
    sides = codec.width, codec.height
    width, height = (-(-each // network.factor) * network.factor for each in sides)
    if (width, height) == sides:
        return []
    said = f"the network pads each to {width} x {height}, which diffusers does not"
    size = f"data.size={max(width, height)}"
    cut = ", which takes the middle square of each" if codec.width != codec.height else ""
    return [f"Of them: {said}; to export to it, fit with --set {size}{cut}"]


def _size(codec: ImageCodec) -> str:
    named = {1: "grey", 3: "colour"}
    colours = named.get(codec.channels, f"{codec.channels} channels")
    low, high = codec.range
    is_plain = codec.dtype == "uint8" and codec.range == BYTES
    values = "" if is_plain else f", {codec.dtype} from {low:.10g} to {high:.10g}"
    return f"{codec.width} x {codec.height} pixels, {colours}{values}"


def summary(model: Model) -> dict[str, str]:
    """Size and classes."""
    classes = model.codec.classes
    return {"pictures": _size(model.codec)} | ({"classes": ", ".join(classes)} if classes else {})


def read_like(
    model: Model,
    source: Any,
    *,
    missing: bool = False,  # noqa: ARG001
    partial: bool = False,  # noqa: ARG001
) -> RowsLike:
    """Pictures of the model's size, in its range.

    A single file is brought to that size; those of a folder or an archive must have it.

    Raises:
        DataError: if they cannot be read or are of another size.
    """
    codec, own = model.codec, PictureReading.of(model.settings.data)
    shape = codec.height, codec.width, codec.channels
    # Sizes are not changed, and classes not looked at.
    reading = replace(own, range=_wanted(codec), size=None, labels=False, shape=shape)
    if not isinstance(source, str | os.PathLike):
        found = accept(source, reading)[0]
        if not isinstance(found, Images):
            raise DataError("this model is of pictures, and these are rows of numbers or text.")
    elif not is_picture(path := Path(source)) and holds_images(path):
        found = read_images(path, reading)
    else:
        pixels = read_image(path, *shape, own.background)[None]
        found = with_range(Images(pixels, None, (), [str(path)]), reading.range)
    codec.encode(found.pixels[:1])  # refuses another size or type
    return RowsLike(found.pixels.astype(codec.dtype, copy=False), lambda pixels: pixels)


def _wanted(codec: ImageCodec) -> tuple[float, float] | None:
    """The range that others of the model's pictures have to lie in; bytes have one of their own."""
    return None if codec.dtype == "uint8" and codec.range == BYTES else codec.range


def give(model: Model, rows: np.ndarray, data: Dataset[Images] | None) -> np.ndarray:  # noqa: ARG001
    """Values `(n, height, width, channels)`."""
    return rows


def named(model: Model, rows: np.ndarray, seed: int, first: int) -> np.ndarray:  # noqa: ARG001
    """The rows themselves."""
    return rows


def container(model: Model, rows: np.ndarray) -> Images:
    """Without classes."""
    names = [f"picture {k + 1}" for k in range(len(rows))]
    return Images(rows, None, (), names, range=model.codec.range)


def rows(container: Images) -> np.ndarray:
    """The pixels."""
    return container.pixels


def write(
    path: Path,
    rows: np.ndarray,
    model: Model,
    labels: np.ndarray | None = None,
    *,
    in_a_row: bool = False,
) -> None:
    """A sheet for the eye; or a folder, an array or a TIFF of the values; an .npz has labels."""
    visible = model.codec.visible
    write_images(path, rows, labels, columns=len(rows) if in_a_row else None, visible=visible)


def check_scored(path: Path, like: RowsLike) -> None:  # noqa: ARG001
    """Scores of pictures are not written.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError("scores of pictures are printed, not written; leave --to out.")


def write_scored(path: Path, like: RowsLike, model: Model, nats: np.ndarray) -> None:  # noqa: ARG001
    """As `check_scored`."""
    check_scored(path, like)


def unfilled(rows: np.ndarray) -> list[str]:  # noqa: ARG001
    """None: every value is filled."""
    return []


def count_missing(rows: np.ndarray) -> int:  # noqa: ARG001
    """Pictures have no missing cells; what to fill in is masked."""
    return 0


def best_guess(
    model: Model,  # noqa: ARG001
    drawn: np.ndarray,
    draws: int,  # noqa: ARG001
    rows: np.ndarray,  # noqa: ARG001
) -> np.ndarray:
    """The one draw."""
    return drawn


def evaluate(
    model: Model,
    real: RealSets[Images],
    sample: np.ndarray,
    *,
    log_prob: Callable[..., np.ndarray],  # noqa: ARG001
    complete: Callable[..., list[Any]],  # noqa: ARG001
    target: str | None,  # noqa: ARG001
    seed: int,
    labels: np.ndarray | None,
    quiet: bool,
) -> Evaluation:
    """By the features of a classifier of the training pictures; see `metrics.images`.

    Raises:
        ArgumentError: if a column is to be predicted.
        DataError: if the sample is too small, or the training pictures cannot be had.
    """
    train, rows = real.train, len(real.reference)
    if train is None:
        raise DataError(
            "the pictures that this run learned from cannot be had, and their classifier gives the "
            "features to measure by."
        )
    if len(sample) < rows:
        raise DataError(f"{rows} pictures are needed to measure; got {len(sample)}.")
    scaled = model.codec.on_byte_scale
    learned, labelled = scaled(train.pixels), train
    if train.labels is not None and (train.labels < 0).any():
        labelled = train.take(np.flatnonzero(train.labels >= 0))
    classifier = trained_once(
        learned if labelled is train else scaled(labelled.pixels),
        labelled.labels,
        len(train.classes),
        seed=model.settings.seed % 2**32,
    )
    measured = evaluate_images(
        scaled(sample[:rows]),
        scaled(real.reference.pixels),
        [scaled(each.pixels) for each in real.others],
        learned,
        classifier=classifier,
        asked=None if labels is None else labels[:rows],
        seed=seed,
    )
    total = 7 + (train.labels is not None)
    measures = tuple(tracked(measured, "evaluate", total, "measures", quiet=quiet))
    return Evaluation(measures, rows, classifier.name)
