"""Pictures in the explorer: drawn and filled in by Python, on their way from noise, for the page.

For one seed they are those of `run.sample` and of `run.complete`. The page shows each picture at a
few stops of its way twice: as the sampler has it there, and as the network predicts it from there.
"""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato import distributed
from sfumato.data.codecs.images import ImageCodec
from sfumato.data.images import BYTES, Images
from sfumato.errors import ArgumentError
from sfumato.models.gaussian import GaussianModel
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import chunks
from sfumato.progress import ProgressLine
from sfumato.runs.data import Dataset
from sfumato.runs.explorer.binary import answer, header_of, written
from sfumato.runs.explorer.calls import NOBODY, Listener, counted
from sfumato.runs.explorer.levels import not_by_itself
from sfumato.runs.explorer.live_pictures import live_model, own_calls, refuse_live
from sfumato.runs.explorer.messages import DrawPictures, FillPicture, Reason
from sfumato.runs.run import Run
from sfumato.samplers.driver import Frame

Content = tuple[dict[str, Any], dict[str, np.ndarray]]
"""A header and arrays, for the page."""

# Stops of a walk, noise and picture included.
_STOPS = 17
# Real pictures to look at and to fill in: at most so many, and of so many bytes, but a few.
_REAL, _REAL_BYTES, _FEW = 64, 3_000_000, 4
# Bytes of one answer; and of a file's header.
_ANSWER, _HEADER = 32_000_000, 100_000

# Of a file: how many pictures at how many stops are tried in turn until there is room (where there
# is no class to choose, fewer are enough), guidance weights besides the run's own, and how many
# pictures are filled in, each part how often.
_SIZES = ((64, 17), (64, 9), (32, 9), (16, 17), (16, 9), (16, 5), (8, 5), (4, 5), (4, 2), (2, 2))
_UNLABELLED = 16
_GUIDANCE = (1.0, 2.0, 4.0)
_FILLED, _FILLINGS = 4, 5
_PARTS = ("right", "lower", "centre")  # as the page's buttons


def payload(run: Run) -> bytes:
    """All that the page shows of a run of pictures before it asks for more."""
    header, arrays = Pictures(run).described()
    return written(header_of(run) | header, arrays)


def carried(run: Run, most: int, *, quiet: bool = True) -> tuple[bytes, list[str]]:
    """All that a page without a server shows, and what it has to do without.

    The model itself, if the page can draw as it does; else pictures that were drawn beforehand.

    Args:
        run: of pictures.
        most: bytes that it may have.
        quiet: show no progress.
    """
    shown = Pictures(run)
    try:
        header, arrays = shown.live(most)
    except ArgumentError as error:
        (header, arrays), left = shown.drawn_beforehand(most, quiet=quiet)
        why = {"why": Reason.of(error).model_dump()}
        return written(header_of(run) | header | why, arrays), [not_by_itself(error), *left]
    return written(header_of(run) | header, arrays), []


def drawn(run: Run, asked: DrawPictures | FillPicture, listener: Listener) -> bytes:
    """The pictures that a page asks for.

    Raises:
        Abandoned: if they are given up.
        ArgumentError: if the model cannot draw so, or there is no such picture or mask.
    """
    shown = Pictures(run)
    if isinstance(asked, DrawPictures):
        content = shown.draw(
            asked.pictures,
            seed=asked.seed,
            label=asked.label,
            guidance=asked.guidance,
            steps=asked.steps,
            calls=asked.calls,
            listener=listener,
        )
    else:
        content = shown.fill(
            asked.picture,
            _bytes(asked.mask),
            draws=asked.draws,
            seed=asked.seed,
            label=asked.label,
            guidance=asked.guidance,
            steps=asked.steps,
            listener=listener,
        )
    return answer(asked.request, *content)


def _bytes(mask: str) -> np.ndarray:
    try:
        return np.frombuffer(b64decode(mask, validate=True), np.uint8)
    except ValueError as error:
        raise ArgumentError("the mask is not in base64.") from error


@dataclass(frozen=True, eq=False)
class Pictures:
    """A run of pictures as the page sees it.

    Args:
        run: the run.
    """

    run: Run

    @property
    def model(self) -> GaussianModel:
        """The run's model."""
        model = self.run.model
        assert isinstance(model, GaussianModel)
        return model

    @property
    def codec(self) -> ImageCodec:
        """Between the pictures and the network's numbers."""
        codec = self.model.codec
        assert isinstance(codec, ImageCodec)
        return codec

    @cached_property
    def real(self) -> Images | None:
        """Some real pictures, not seen in training if there are such, classes in turn."""
        data: Dataset[Images] | None = self.run.known_data()
        if data is None:
            return None
        rows = data.heldout if data.heldout is not None and len(data.heldout) else data.train
        most = max(_REAL_BYTES // self._pixels, _FEW)
        return rows.take(_in_turn(rows)[: min(most, _REAL)])

    def described(self) -> Content:
        """What the page shows before anything is drawn."""
        codec, model = self.codec, self.model
        sampling = model.settings.sampling
        steps = model.choose_steps().num_steps if sampling.steps == "auto" else sampling.steps
        header: dict[str, Any] = {
            "height": codec.height,
            "width": codec.width,
            "classes": list(codec.classes),
            "guided": bool(codec.classes) and model.class_labels.knows_any,
            "sampling": {
                "sampler": sampling.sampler,
                "steps": steps,
                "few": sampling.few if model.few else 0,
                "guidance": sampling.guidance,
            },
            "calls": sorted(model.few.times) if model.few else [],
            "most_steps": model.process.num_levels or None,
            # Whether a PNG holds such a picture exactly.
            "exact": codec.dtype == "uint8" and codec.range == BYTES and codec.channels in (1, 3),
        }
        if self.real is None:
            return header, {}
        header["real_labels"] = self._names(self.real.labels)
        return header, {"real": codec.visible(self.real.pixels)}

    def live(self, most: int) -> Content:
        """What a page shows that draws by itself: the model, and real pictures.

        Args:
            most: bytes that it may have.

        Raises:
            ArgumentError: if it cannot, or has no room; says why.
        """
        header, arrays = self.described()
        steps, few = header["sampling"]["steps"], header["sampling"]["few"]
        refuse_live(self.model, few or own_calls(self.model, steps))
        room = most - sum(each.nbytes for each in arrays.values()) - _HEADER
        about, weights = live_model(self.model, steps, room)
        return header | {"live": about}, arrays | weights

    def draw(
        self,
        pictures: int,
        *,
        seed: int,
        label: str | None = None,
        guidance: float | None = None,
        steps: int | None = None,
        calls: int | None = None,
        listener: Listener = NOBODY,
        stops: int = _STOPS,
    ) -> Content:
        """New pictures on their way from noise; the last are `run.sample(pictures, seed=seed)`.

        Args:
            pictures: how many, up to 64.
            seed: of the samples.
            label: the class of all of them.
            guidance: how strongly it is followed.
            steps: of the sampler.
            calls: of the few-step map; 0: the sampler draws.
            listener: who waits for them.
            stops: at how many moments they are shown, at most.

        Raises:
            ArgumentError: if the model cannot draw so.
            Abandoned: when the listener waits no more.
        """
        model, given = self.model, None if label is None else {"class": label}
        changes = _without_none(guidance=guidance, steps=steps, few=calls)
        with self._computing(pictures, listener) as spent:
            levels, frames = model.walk(pictures, seed=seed, given=given, **changes)
            header, arrays = self._walked(levels, frames, pictures, listener, stops)
            labels = self._names(model.labels(pictures, seed=seed, given=given))
        return header | {"labels": labels} | spent, arrays

    def fill(
        self,
        picture: int,
        mask: np.ndarray,
        *,
        draws: int,
        seed: int,
        label: str | None = None,
        guidance: float | None = None,
        steps: int | None = None,
        listener: Listener = NOBODY,
    ) -> Content:
        """A real picture with a part made anew, several times, as `run.complete` does.

        Args:
            picture: which of `real`.
            mask: 1 where it is to be filled, 0 elsewhere, height x width bytes.
            draws: how many fillings, up to 64.
            seed: of the draws.
            label: the class that it is to have.
            guidance: how strongly that is followed.
            steps: of the sampler.
            listener: who waits for them.

        Raises:
            ArgumentError: if there is no such picture, the mask is of another size or empty, or the
                model cannot draw so.
            Abandoned: when the listener waits no more.
        """
        made_anew = self._checked(picture, mask)
        real = self._wanted_real()
        rows = np.repeat(real.pixels[picture][None], draws, axis=0)
        known = np.broadcast_to(~made_anew[..., None], rows.shape)
        given = None if label is None else {"class": label}
        changes = _without_none(guidance=guidance, steps=steps)
        with self._computing(len(rows), listener) as spent:
            header, arrays = self._filled(rows, known, seed, given, changes, listener, _STOPS)
        return header | spent, arrays

    def drawn_beforehand(self, most: int, *, quiet: bool = True) -> tuple[Content, list[str]]:
        """All that a page without a server shows: walks under some settings, and fillings.

        Args:
            most: bytes that it may have.
            quiet: show no progress.

        Returns:
            It, and what it has to do without; the page says so by the header's `left_out`.
        """
        header, arrays = self.described()
        own, calls = header["sampling"], header["calls"]
        wanted = [
            (own["guidance"], own["few"]),
            *((weight, 0) for weight in (_GUIDANCE if header["guided"] else ())),
            *((own["guidance"], few) for few in (0, *calls) if calls),
        ]
        settings = list(dict.fromkeys(wanted))
        room = most - sum(each.nbytes for each in arrays.values()) - _HEADER
        plan = self._plan(len(settings), own["steps"] + 1, room)
        kept, without = settings[: plan.settings], settings[plan.settings :]

        of_each = [few or own["steps"] for _, few in kept] + [own["steps"]] * (plan.filled > 0)
        seed, walks, before = self.model.settings.seed, [], 0
        with ProgressLine("draw", sum(of_each), "steps", quiet=quiet) as line:

            def progress(done: int, _: int) -> None:
                line.advance_to(before + done)

            listener = Listener(progress)
            for number, (guidance, few) in enumerate(kept):
                changes = {"guidance": None if few else guidance, "calls": few}
                about, drawn = self.draw(
                    plan.pictures, seed=seed, **changes, listener=listener, stops=plan.stops
                )
                walks.append(about | {"guidance": guidance, "few": few})
                arrays |= {f"walk/{number}/{name}": each for name, each in drawn.items()}
                before += of_each[number]
            header["walks"] = walks
            if plan.filled:
                header["fills"], filled = self._fill_beforehand(plan, listener)
                arrays |= filled
        header["left_out"] = {
            "guidance": [guidance for guidance, few in without if not few],
            "few": [few for _, few in without if few],
            "fills": self.real is not None and not plan.filled,
            "pictures": plan.fewer_pictures,
            "stops": plan.fewer_stops,
        }
        return (header, arrays), _said(header["left_out"])

    def _plan(self, settings: int, most_stops: int, room: int) -> "_Plan":
        """The most that so many bytes hold of walks under some settings, and of fillings."""
        real = 0 if self.real is None else len(self.real)
        sizes = [
            (pictures, min(stops, most_stops))
            for pictures, stops in _SIZES
            if self.codec.classes or pictures <= _UNLABELLED
        ]
        for pictures, stops in sizes:
            fewer = sizes[0][0] - pictures, sizes[0][1] - stops
            filled = min(real, _FILLED if pictures >= _UNLABELLED else 1)
            drawn = settings * pictures + filled * len(_PARTS) * _FILLINGS
            if self._size(drawn, stops) <= room:
                return _Plan(pictures, stops, settings, filled, *fewer)
        kept = max(room // self._size(pictures, stops), 1)
        return _Plan(pictures, stops, min(kept, settings), 0, *fewer)

    def _fill_beforehand(self, plan: "_Plan", listener: Listener) -> Content:
        """Three parts of a few pictures, all together, as each row is filled by itself."""
        parts = _parts(self.codec.height, self.codec.width)
        pixels = self._wanted_real().pixels[: plan.filled]
        rows = np.repeat(pixels, len(parts) * _FILLINGS, axis=0)
        made_anew = np.tile(np.repeat(parts, _FILLINGS, axis=0), (plan.filled, 1, 1))
        known = np.broadcast_to(~made_anew[..., None], rows.shape)
        seed = self.model.settings.seed
        with self._computing(len(rows), listener) as spent:
            header, arrays = self._filled(rows, known, seed, None, {}, listener, plan.stops)
        about = {"masks": list(_PARTS), "pictures": plan.filled, "draws": _FILLINGS}
        named = {f"fill/{name}": each for name, each in arrays.items()}
        return header | about | spent, named | {"masks": parts.astype(np.uint8)}

    # ------------------------------------------------------------------------------- the parts

    def _filled(
        self,
        rows: np.ndarray,
        known: np.ndarray,
        seed: int,
        given: Mapping[str, Any] | None,
        changes: Mapping[str, Any],
        listener: Listener,
        stops: int,
    ) -> Content:
        """Rows filled in, on the way."""
        levels, frames = self.model.completion(rows, known, seed=seed, given=given, **changes)

        def put_back(filled: np.ndarray) -> np.ndarray:
            return np.where(known, rows, filled)

        header, arrays = self._walked(levels, frames, len(rows), listener, stops, put_back)
        labels = self._names(self.model.labels(len(rows), seed=seed, given=given))
        return header | {"labels": labels}, arrays

    def _walked(
        self,
        levels: NoiseLevel,
        frames: Iterator[Frame],
        n: int,
        listener: Listener,
        stops: int,
        put_back: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels,
    ) -> Content:
        """The first `n` pictures at some of the levels; `put_back` is for all but what is noisy."""
        last = len(levels) - 1
        room = max(_ANSWER // (2 * n * self._pixels), 2)
        count = min(stops, room, last + 1)
        chosen = sorted({round(last * k / (count - 1)) for k in range(count)})
        noisy, clean = [], []
        for k, frame in enumerate(frames):
            if frame.prediction is not None and k - 1 in chosen:
                clean.append(self._visible(frame.prediction.x_0[:n], put_back))
            if k == last:
                noisy.append(self._visible(frame.x_t[:n], put_back))
            elif k in chosen:
                # At unit scale, whatever the process's: of variance exploding, too.
                scale = torch.hypot(levels.alpha[k], levels.sigma[k])
                noisy.append(self._visible(frame.x_t[:n] / scale))
            listener.progress(k, last)
        clean.append(noisy[-1])
        described = [
            {"step": k, "alpha": float(levels.alpha[k]), "sigma": float(levels.sigma[k])}
            for k in chosen
        ]
        header = {"steps": last, "stops": described}
        return header, {"noisy": np.stack(noisy), "clean": np.stack(clean)}

    def _visible(
        self, x: Tensor, put_back: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels
    ) -> np.ndarray:
        return self.codec.visible(put_back(self.codec.decode(x)))

    def _names(self, labels: np.ndarray | None) -> list[str] | None:
        """Names of classes; empty for pictures of none."""
        classes = self.codec.classes
        if labels is None or not classes:
            return None
        return [classes[label] if label >= 0 else "" for label in labels]

    def _wanted_real(self) -> Images:
        if self.real is None:
            raise ArgumentError(
                "the pictures of this run cannot be had any more, so there is none to fill in."
            )
        return self.real

    def _checked(self, picture: int, mask: np.ndarray) -> np.ndarray:
        """Where to fill in, `(height, width)` booleans."""
        real, (_, height, width) = self._wanted_real(), self.codec.event
        if not 0 <= picture < len(real):
            raise ArgumentError(
                f"`picture` is 0 to {len(real) - 1}, one of those on the page; got {picture}."
            )
        if mask.size != height * width:
            raise ArgumentError(
                f"the mask has {height} x {width} = {height * width} bytes; got {mask.size}."
            )
        if not np.isin(mask, (0, 1)).all():
            raise ArgumentError("the mask is of 0 (kept) and 1 (filled in); it has other bytes.")
        if not mask.any():
            raise ArgumentError("nothing is painted; paint what is to be filled in.")
        return mask.reshape(height, width).astype(bool)

    @property
    def _pixels(self) -> int:
        """Bytes of a picture on the page."""
        codec = self.codec
        empty = np.zeros((1, codec.height, codec.width, codec.channels), codec.dtype)
        return codec.visible(empty).size

    def _size(self, pictures: int, stops: int) -> int:
        """Bytes of a walk."""
        return 2 * pictures * stops * self._pixels

    @contextmanager
    def _computing(self, pictures: int, listener: Listener) -> Iterator[dict[str, Any]]:
        """With the run's threads; what it took is put into the header that is given."""
        spent: dict[str, Any] = {}
        began = time.monotonic()
        with (
            distributed.threads(self.run.settings.threads),
            counted(self.model, listener.is_given_up) as count,
        ):
            yield spent
        # Each chunk has its own calls, as many as one picture.
        parts = len(list(chunks(self.codec.event, pictures)))
        spent |= {"calls": round(count.calls / parts), "seconds": time.monotonic() - began}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a file holds: pictures at stops under each of some settings, and pictures filled in."""

    pictures: int
    stops: int
    settings: int
    filled: int
    fewer_pictures: int
    fewer_stops: int


def _said(left_out: Mapping[str, Any]) -> list[str]:
    """What a file has to do without, for the terminal."""
    return [
        *(f"guidance {weight:g}" for weight in left_out["guidance"]),
        *(f"the map of {few} calls" for few in left_out["few"]),
        *(["pictures filled in"] if left_out["fills"] else []),
        *([f"{left_out['pictures']} of the pictures"] if left_out["pictures"] else []),
        *([f"{left_out['stops']} of the stops on the way"] if left_out["stops"] else []),
    ]


def _parts(height: int, width: int) -> np.ndarray:
    """The parts that are filled in, True there, `(3, height, width)`."""
    down, across = np.mgrid[:height, :width]
    middle = (abs(2 * down + 1 - height) <= height / 2) & (abs(2 * across + 1 - width) <= width / 2)
    return np.stack([across >= width / 2, down >= height / 2, middle])


def _in_turn(pictures: Images) -> np.ndarray:
    """The order in which the first pictures of all classes come first."""
    if pictures.labels is None:
        return np.arange(len(pictures))
    turn = np.zeros(len(pictures), dtype=np.int64)
    for label in np.unique(pictures.labels):
        (own,) = np.nonzero(pictures.labels == label)
        turn[own] = np.arange(len(own))
    return np.lexsort((pictures.labels, turn))


def _without_none(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}
