"""Pictures of many files, or of a list, as one set of one size.

Nothing is dropped silently: what cannot be used is named, all of it in one error, with what to do;
what is no picture is counted by its ending.

Pictures are decoded once, a thread for each processor where that pays. What does not fit IN_MEMORY
then lies in a file without a name, which the system pages in as it is asked for and frees when the
program ends.
"""

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from PIL import Image

from sfumato.data.images import BYTES, Images, PictureReading, colour, range_remedy, value_range
from sfumato.data.io.decode import Decoded, decoded, frames_of
from sfumato.data.io.files import by_ending, legible
from sfumato.data.io.labels import role_of, training_part
from sfumato.data.io.scans import ENDINGS
from sfumato.data.scratch import Spool, gathered
from sfumato.errors import DataError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", *ENDINGS)
"""Endings of files that have to be pictures."""

AS_IT_IS = PictureReading()

Content = bytes | Image.Image
"""What is decoded: a file's content, or a picture of Pillow."""

# Bytes of a file below which threads cost more than they bring, as most of its time is Python's,
# which one thread at a time has (JPEGs of some 250 pixels a side; bench/decoding.py).
_LITTLE = 2**14

Classes = Callable[[Sequence[str]], tuple[tuple[str, ...], np.ndarray | None, list[str]]]
"""From files to the names of the classes, the number of each file, and what to say of them."""


def no_classes(_: Sequence[str]) -> tuple[tuple[str, ...], None, list[str]]:
    """Of pictures whose classes are not known or not asked for."""
    return (), None, []


def from_pil(pictures: Sequence[Any], reading: PictureReading = AS_IT_IS) -> Images:
    """Pictures of Pillow, in their order.

    Raises:
        DataError: as `gather`.
    """
    contents: Iterator[tuple[str, Content | DataError]] = (
        (f"picture {k + 1}", each if isinstance(each, Image.Image) else DataError("no picture"))
        for k, each in enumerate(pictures)
    )
    return gather(contents, "the list", reading, in_python=True)


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a file cannot be used.

    Args:
        reason: that others may have as well.
        detail: of this one.
        mended_by: the setting that mends it, if one does.
    """

    reason: str
    detail: str = ""
    mended_by: Literal["size", "range", ""] = ""


@dataclass(slots=True, eq=False)
class _Facts:
    """What is known of the files that were decoded.

    Args:
        file: of each picture, used or not, the file that it is in.
        bad: files and pictures that cannot be used, and why.
        notes: what is to be said of each file.
        range: least and greatest value of each picture that is not of bytes.
        again: how often the name of a file came once more.
    """

    file: dict[str, str] = field(default_factory=dict)
    bad: dict[str, _Fault] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    range: dict[str, tuple[float, float]] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)


def gather(
    found: Iterable[tuple[str, Content | DataError]],
    where: str,
    reading: PictureReading,
    classes_of: Classes = no_classes,
    *,
    others: Sequence[str] = (),
    samples: bool = False,
    in_python: bool = False,
) -> Images:
    """The pictures of files, of the size that most of them have.

    Args:
        found: names, and contents or why there is none.
        where: they are from, for messages.
        reading: how.
        classes_of: gives the classes of the files that are used.
        others: files that are no pictures; complete once `found` is at its end.
        samples: whether files of one key are parts of a sample, as in webdataset.
        in_python: whether they were handed over in Python: they stay in their order, and remedies
            are settings in Python.

    Raises:
        DataError: if some cannot be used and are not to be left out, or none can.
    """
    colour(reading.background)  # refuses what is none
    facts = _Facts()
    with Spool() as spool:
        for name, result in _in_threads(partial(_decode, reading=reading), found):
            _take(spool, facts, name, result)
        parts = _only_training(spool, facts, where)
        roles = _set_roles_aside(spool, facts, samples=samples)
        usual = _set_aside(spool, facts, reading)
        if facts.bad and (usual is None or not reading.skip_bad):
            option = _in_python if in_python else _assigned
            raise DataError(_complaint(where, facts, list(spool.shapes), option))
        if usual is None:
            what = f" ({by_ending(others)} lie there)" if others else ""
            raise DataError(
                f"{where} holds no picture that can be used{what}; give a folder or archive of "
                f"{', '.join(PICTURES)} files, or an array."
            )
        names = list(spool.shapes)
        if not in_python:  # the pages of a file stay in their order
            names.sort(key=facts.file.__getitem__)
        types = Counter(spool.dtypes[name] for name in names)
        channels = max(spool.shapes[name][2] for name in names)
        shape = (len(names), *usual, channels)
        pixels = gathered(map(spool.__getitem__, names), shape, np.result_type(*types))
    files = [facts.file[name] for name in names]
    classes, numbers, said = _classes_of_pictures(files, classes_of)
    return Images(
        pixels,
        numbers,
        classes,
        names,
        tuple(_left_out(facts, set(files), parts, roles, others)),
        (*said, *_noted(files, facts, [spool.shapes[name] for name in names], types)),
        value_range(pixels, reading.range, where),
        files if len(set(files)) < len(files) else (),
    )


def _take(spool: Spool, facts: _Facts, name: str, result: Decoded | DataError) -> None:
    """Keep what a file holds, or why it cannot be used."""
    if name in facts.bad or name in facts.notes:
        facts.again[name] += 1
        facts.bad[f"{name} (again, {facts.again[name]})"] = _Fault("a name that comes twice")
        return
    if isinstance(result, DataError):
        facts.bad[name] = _Fault(str(result))
        return
    facts.notes[name] = result.notes
    for k, frame in enumerate(result.frames):
        picture = f"{name}[{k}]" if len(result.frames) > 1 else name
        facts.file[picture] = name
        if frame.dtype != np.uint8:
            low, high = float(frame.min()), float(frame.max())
            if not math.isfinite(low) or not math.isfinite(high):
                facts.bad[picture] = _Fault("values that are not finite (NaN)")
                continue
            facts.range[picture] = low, high
        spool[picture] = frame


def _classes_of_pictures(
    files: Sequence[str], classes_of: Classes
) -> tuple[tuple[str, ...], np.ndarray | None, list[str]]:
    """Of each picture the class of its file."""
    every = list(dict.fromkeys(files))
    classes, numbers, said = classes_of(every)
    if numbers is None:
        return classes, None, said
    number = dict(zip(every, numbers, strict=True))
    return classes, np.array([number[file] for file in files], np.int64), said


def _left_out(
    facts: _Facts,
    used: set[str],
    parts: Sequence[str],
    roles: Mapping[str, int],
    others: Sequence[str],
) -> list[str]:
    """A line for each reason, and one for what is no picture; by them each file is counted."""
    left = [f"{few}: {reason}" for reason, few in _by_reason(facts)]
    files = _bad_files(facts)
    if len(files - used) < len(facts.bad):
        left.append(f"files: {len(files - used):,} whole, {len(files & used):,} in part")
    left += [f"{count:,} {role} beside other pictures" for role, count in roles.items()]
    return [*left, *parts, *([by_ending(others)] if others else [])]


def _decode(content: Content, reading: PictureReading) -> Decoded:
    if isinstance(content, bytes):
        return decoded(content, reading)
    return frames_of(content, reading)


def _only_training(spool: Spool, facts: _Facts, where: str) -> list[str]:
    """Of a set that is delivered in parts the one to learn from; what to say of the others."""
    files = [*facts.notes, *facts.bad]
    kept, parts = training_part(files, where)
    for name in [name for name in spool.shapes if facts.file[name] not in kept]:
        del spool.shapes[name]
    facts.bad = {name: why for name, why in facts.bad.items() if name in kept}
    return parts


def _set_roles_aside(spool: Spool, facts: _Facts, *, samples: bool) -> Mapping[str, int]:
    """Files that belong to another: `01_mask.png` beside `01.jpg`; how many of each ending."""
    file = {name: facts.file.get(name, name) for name in [*spool.shapes, *facts.bad]}
    found = {each: role_of(each, samples=samples) for each in file.values()}
    whole = {key for key, role in found.values() if not role}
    aside = {each: role for each, (key, role) in found.items() if role and key in whole}
    for name in [name for name in spool.shapes if file[name] in aside]:
        del spool.shapes[name]
    facts.bad = {name: why for name, why in facts.bad.items() if file[name] not in aside}
    return Counter(aside.values())


def _set_aside(spool: Spool, facts: _Facts, reading: PictureReading) -> tuple[int, ...] | None:
    """Name those of another type, size or number of channels; the size of the others."""

    def refuse(name: str, fault: _Fault) -> None:
        facts.bad[name] = fault
        del shapes[name]

    shapes = spool.shapes
    for name, (low, high) in facts.range.items():
        if name in shapes and reading.range is None:
            detail = f"{spool.dtypes[name]}, {low:.10g} to {high:.10g}"
            refuse(name, _Fault("not bytes", detail, "range"))
    sizes = Counter(shape[:2] for shape in shapes.values())
    usual = max(sizes, key=lambda size: (sizes[size], size)) if sizes else None
    for name in [name for name, shape in shapes.items() if shape[:2] != usual]:
        assert usual is not None
        height, width, _ = shapes[name]
        reason = f"not {usual[1]} x {usual[0]} as most are"
        refuse(name, _Fault(reason, f"{width} x {height} pixels", "size"))
    bands = {name: 0 if shape[2] in (1, 3) else shape[2] for name, shape in shapes.items()}
    counts = Counter(bands.values())
    most = max(counts, key=lambda each: (counts[each], each), default=0)
    reason = f"not {most} channels as most have" if most else "not grey or colour as most are"
    for name in [name for name, each in bands.items() if each != most]:
        refuse(name, _Fault(reason, f"{shapes[name][2]} channels"))
    return usual


def _noted(
    files: Sequence[str],
    facts: _Facts,
    shapes: Sequence[tuple[int, ...]],
    types: Mapping[np.dtype[Any], int],
) -> list[str]:
    """What to say of the pictures, with how many it holds for."""
    said = []
    if several := [count for count in Counter(files).values() if count > 1]:
        said.append(
            f"{sum(several):,} pages or frames, in files with several: {len(several):,} "
            "(data.frames=first takes one of each)"
        )
    counts = Counter(note for file in set(files) for note in facts.notes[file])
    said += [f"{count:,} {note}" for note, count in sorted(counts.items())]
    grey = sum(shape[2] == 1 for shape in shapes)
    if 0 < grey < len(shapes):
        said.append(f"{grey:,} grey ones, given colour")
    if len(types) > 1:
        each = sorted((dtype.name, count) for dtype, count in types.items())
        shown = ", ".join(f"{count:,} of {name}" for name, count in each)
        said.append(f"values as they are: {shown}")
    return said


def _by_reason(facts: _Facts) -> list[tuple[str, str]]:
    """Each reason why files cannot be used, with the first of them and how many more."""
    reasons: dict[str, list[str]] = {}
    for name, fault in sorted(facts.bad.items(), key=lambda each: each[0]):
        detail = f" ({fault.detail})" if fault.detail else ""
        reasons.setdefault(fault.reason, []).append(f"{legible(name)}{detail}")
    return [
        (reason, ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3))
        for reason, names in reasons.items()
    ]


def _bad_files(facts: _Facts) -> set[str]:
    """The files in which something cannot be used."""
    return {facts.file.get(name, name) for name in facts.bad}


def _complaint(
    where: str, facts: _Facts, good: Sequence[str], option: Callable[[str, Any], str]
) -> str:
    """All that cannot be used, gathered by its reason."""
    faults = "; ".join(f"{reason}: {names}" for reason, names in _by_reason(facts))
    mended = Counter(fault.mended_by for fault in facts.bad.values())
    fixes = [f"{option('size', 32)} brings all to one size"] if mended["size"] else []
    if mended["range"]:
        ends = [each for pair in facts.range.values() for each in pair]
        ends += BYTES if good else ()  # what is good without a range is bytes
        fixes.append(range_remedy(min(ends), max(ends)))
    if mended[""]:
        fixes.append("mend or remove them")
    if good:
        fixes.append(f"{option('skip_bad', True)} leaves them out")
    bad, count, total = _bad_files(facts), len(facts.bad), len(facts.bad) + len(good)
    files = bad | {facts.file[name] for name in good}
    of_files = f" ({len(bad)} of {len(files)} files)" if 1 < len(files) < total else ""
    return f"{where}: {count} of {total} pictures{of_files} cannot be used: {faults}. Do: " + (
        ", or ".join(fixes) + "."
    )


def _assigned(name: str, value: Any) -> str:
    """A setting on the command line."""
    return f"--set data.{name}={str(value).lower()}"


def _in_python(name: str, value: Any) -> str:
    """A setting in Python."""
    return f"settings={{'data.{name}': {value!r}}}"


def _in_threads(
    decode: Callable[[Any], Decoded], files: Iterable[tuple[str, Content | DataError]]
) -> Iterator[tuple[str, Decoded | DataError]]:
    """What becomes of each file, in their order; decoders let other threads run beside them."""

    def result_of(content: Content | DataError) -> Decoded | DataError:
        try:
            return content if isinstance(content, DataError) else decode(content)
        except DataError as error:
            return error

    workers = os.cpu_count() or 1
    waiting: deque[tuple[str, Callable[[], Decoded | DataError]]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        for name, content in files:
            if not isinstance(content, bytes) or len(content) < _LITTLE:
                waiting.append((name, partial(result_of, content)))
            else:
                waiting.append((name, threads.submit(result_of, content).result))
            if len(waiting) > 2 * workers:  # no more than that lie about, which may be large
                first, result = waiting.popleft()
                yield first, result()
        for name, result in waiting:
            yield name, result()
