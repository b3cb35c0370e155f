"""Which class a picture is of: by its folder, by a table beside the pictures, by an array.

Classes are in the order in which people count: 2 before 10.
"""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from sfumato.data.io.files import legible
from sfumato.errors import DataError

# Folders that are named in one line.
_SHOWN = 4

# Parts that a set is delivered in; the first is learned from.
_TRAIN = {"train", "training"}
_PARTS = {*_TRAIN, "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"}

TABLES = ("labels.csv", "metadata.csv", "labels.jsonl", "metadata.jsonl")
"""Files that may say the class of each picture: imagefolder's of Hugging Face, Kaggle's."""

LABELS = ("label", "labels", "class", "classes", "category", "target", "targets", "y", "cls")
"""What people call the classes."""


def natural(name: str) -> tuple[list[Any], str]:
    """A key to sort by that takes digits as numbers; 01 comes before 1."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], name


def numbered(
    given: Any, count: int, names: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers `(n,)`, -1 where there is none, and the names of the classes.

    Args:
        given: for each picture its class: an integer, text, a boolean; as `(n,)`, `(n, 1)` or,
            without names, one number of 0 and 1 for each class. None, -1, NaN and empty text are no
            class.
        count: how many pictures there are.
        names: of the classes, where integers stand for them.

    Raises:
        DataError: if they are no classes, saying why.
    """
    values = _one_for_each(given, count, one_hot=names is None)
    if names is not None:
        numbers = np.array([_number(each, names) for each in values], np.int64)
        if numbers.max(initial=-1) >= len(names):
            raise DataError(
                f"the label {numbers.max()} is none of the {len(names)} classes that are named."
            )
        return numbers, tuple(names)
    texts = [_text(each) for each in values]
    classes = tuple(sorted({each for each in texts if each is not None}, key=natural))
    number = {name: k for k, name in enumerate(classes)}
    return np.array([-1 if each is None else number[each] for each in texts], np.int64), classes


def _one_for_each(given: Any, count: int, *, one_hot: bool) -> list[Any]:
    """A class for each picture, whatever the shape."""
    cells = given.tolist() if isinstance(given, np.ndarray) else list(given)
    if len(cells) != count:
        raise DataError(f"there are {len(cells):,} labels and {count:,} pictures.")
    rows = [list(each) if isinstance(each, list | tuple | np.ndarray) else [each] for each in cells]
    if all(len(row) == 1 for row in rows):
        return [row[0] for row in rows]
    one_hot = one_hot and len({len(row) for row in rows}) == 1
    if one_hot and all(sorted(row) == [0] * (len(row) - 1) + [1] for row in rows):
        return [row.index(1) for row in rows]
    raise DataError(
        "a picture has several labels, and one class for each can be learned; choose one, or leave "
        "data.labels out."
    )


def _number(value: Any, names: Sequence[str]) -> int:
    text = _text(value)
    if text is None:
        return -1
    if text.isdecimal():
        return int(text)
    if text not in names:
        raise DataError(f"the label {text!r} is none of the {len(names)} classes that are named.")
    return names.index(text)


def _text(value: Any) -> str | None:
    """The name of a class, or None where there is none."""
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float):
        if value % 1:
            raise DataError(
                f"the label {value:g} is a measure and no class; leave data.labels out, or give "
                "classes."
            )
        value = int(value)
    if isinstance(value, dict):
        raise DataError("a label is a structure of several values; name one of them.")
    text = str(value).strip()
    return None if text in ("", "-1") else text


def by_folder(names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """The first folder by which the paths differ, and its number for each name.

    Who lies beside such folders has no class. Parts that a set is delivered in are none.
    """
    folders = _differing(names)
    if folders is None:
        return (), None
    numbers, classes = numbered(folders, len(names))
    return classes, numbers


def folder_shares(names: Sequence[str]) -> str:
    """How many pictures are in each of the folders by which the paths differ; empty if they do not.

    Who does not ask for classes learns them mixed, and may have meant one of them alone.
    """
    folders = _differing(names)
    remark = "" if folders is None else " (data.labels=true makes them classes)"
    if folders is None:  # some may lie in a folder, and others beside it
        folders = [next(iter(each), None) for each in map(_folders, names)]
    shares = Counter("no folder" if each is None else each for each in folders)
    return _listed(shares, "{1:,} in {0}") + remark if len(shares) > 1 else ""


def _listed(counts: Mapping[str, int], how: str) -> str:
    """The first of these and how many there are of each, in the words of `how`."""
    few = sorted(counts.items(), key=lambda each: natural(each[0]))[:_SHOWN]
    shown = ", ".join(how.format(legible(name), count) for name, count in few)
    return shown + f", and {len(counts) - _SHOWN} more" * (len(counts) > _SHOWN)


def _folders(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts[:-1]


def _differing(names: Sequence[str]) -> list[str | None] | None:
    """Of each path the first folder by which they differ, None beside it; None if they do not."""
    above = [_folders(name) for name in names]
    for depth in range(max(map(len, above), default=0)):
        found = [parts[depth] if len(parts) > depth else None for parts in above]
        if len(set(found) - {None}) > 1:
            return found
    return None


def training_part(names: Sequence[str], where: str) -> tuple[set[str], list[str]]:
    """The names to learn from, and a line for those of other parts, and for those of none.

    A set that is delivered as folders `train` and `test` (or `val`) side by side, wherever that is,
    is learned from `train`: the others are to test with, and none of them is a class.

    Raises:
        DataError: if parts lie side by side, and none of them is for training.
    """
    places = _places(names)
    if not places:
        return set(names), []
    train, _ = training_key(dict.fromkeys(sorted(set().union(*places.values()))), where)
    part_of = {name: _part(name, places) for name in names}
    learned = {name for name, part in part_of.items() if part.lower() == train}
    others = Counter(part for name, part in part_of.items() if name not in learned)
    return learned, _not_learned(others, train, "{0} ({1:,})")


def _not_learned(others: Mapping[str, int], train: str, how: str) -> list[str]:
    """A line for the parts that are to test with, and one for what is no part."""
    tests = {name: count for name, count in others.items() if name.lower() in _PARTS}
    rest = {name: count for name, count in others.items() if name not in tests}
    said = {"what is to test with": tests, f"what lies beside {train}": rest}
    return [f"{what}: {_listed(counts, how)}" for what, counts in said.items() if counts]


def _part(name: str, places: Collection[tuple[str, ...]]) -> str:
    """The part that a picture is in; else, what it lies in beside them."""
    parts = PurePosixPath(name).parts
    depth = next((each for each in range(len(parts)) if parts[:each] in places), None)
    if depth is None:  # one of its classes may have the training part alone
        return next((each for each in parts[:-1] if each.lower() in _PARTS), parts[0])
    return parts[depth]


def _places(names: Sequence[str]) -> dict[tuple[str, ...], set[str]]:
    """The folders in which parts of a set lie side by side, and those parts."""
    held: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in names:
        above = _folders(name)
        for depth, folder in enumerate(above):
            if folder.lower() in _PARTS:
                held[above[:depth]].add(folder.lower())
    return {above: parts for above, parts in held.items() if len(parts) > 1}


def training_key(parts: Mapping[str, Any], where: str) -> tuple[str, list[str]]:
    """Of parts by name the one to learn from, and the others.

    Raises:
        DataError: if there are several, and none of them is for training.
    """
    train = [name for name in parts if name.lower() in _TRAIN]
    if len(train) != 1 and len(parts) != 1:
        raise DataError(f"{where} has the parts {', '.join(parts) or 'none'}; give one of them.")
    chosen = (train or list(parts))[0]
    return chosen, [name for name in parts if name != chosen]


def training_shards(names: Iterable[str], where: str) -> tuple[list[str], list[str]]:
    """Of the files that a set is cut into those to learn from, and what to say of the others.

    Their part is a folder (`train/0000.parquet`), or a word of their name (`train-00000.tar`), or
    what their name begins with.

    Raises:
        DataError: as `training_key`.
    """
    shards: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=natural):
        path = PurePosixPath(name)
        words = [*path.parts[:-1], *re.split("[-_.]", path.name)]
        known = next((each.lower() for each in words if each.lower() in _PARTS), None)
        shards[known or re.split("[-_.]?[0-9]|[.]", path.name)[0] or "no part"].append(name)
    train, others = training_key(shards, where)
    counts = {part: len(shards[part]) for part in others}
    return shards[train], _not_learned(counts, train, "{0}")


def by_table(
    tables: Mapping[str, bytes], names: Sequence[str], column: str | None, beside: str = ""
) -> tuple[tuple[str, ...], np.ndarray | None, str]:
    """Classes, numbers and what to say of them, by tables that lie beside the pictures.

    The column whose cells name pictures says which; the class is in the column that is asked for,
    in one that is called so (label, class, ...), or in the only other one.

    Args:
        tables: paths and contents of `TABLES`.
        names: of the pictures.
        column: to take the classes from.
        beside: what a file beside a picture has instead of a class, see `values_beside`.

    Returns:
        Without numbers, and why, if no table names pictures and has such a column, and no column is
        asked for.

    Raises:
        DataError: if a column is asked for, and no table has it; if a table cannot be read.
    """
    tried = [beside] if beside else []
    for where in sorted(tables):
        rows = _rows(where, tables[where])
        columns = [name for name in (rows[0] if rows else {}) if name]
        if (files := _naming(where, rows, columns, names)) is None:
            first = next((repr(row.get(columns[0])) for row in rows if columns), "no rows")
            called_here = f"it has {first}, and a picture is called {names[0]!r}"
            tried.append(f"{where} names no picture here: {called_here}")
            continue
        others = [name for name in columns if name != files[0]]
        called = [name for name in others if name.strip().lower() in LABELS]
        chosen = column if column in others else None
        if column is None:
            chosen = next(iter(called or (others if len(others) == 1 else [])), None)
        if chosen is None:
            shown = (
                f"{', '.join(others)} (data.labels=COLUMN takes one)" if others else "no classes"
            )
            tried.append(f"{where} has {shown}")
            continue
        given: dict[str, Any] = dict.fromkeys(names)
        for row, name in zip(rows, files[1], strict=True):
            if name is not None:
                if given[name] not in (None, row.get(chosen)):
                    raise DataError(f"{where} has several classes for {name}; leave one.")
                given[name] = row.get(chosen)
        numbers, classes = numbered(list(given.values()), len(names))
        lost = files[1].count(None)
        said = f"; {lost:,} of its rows name no picture here" if lost else ""
        return classes, numbers, f"classes by {where}, column {chosen!r}{said}"
    found = "; ".join(tried)
    if column is not None:
        found = found or f"no table ({', '.join(TABLES)}) lies beside the pictures"
        raise DataError(f"there is no column {column!r} of classes for these pictures: {found}.")
    return (), None, found


BESIDE = ("cls", "json")
"""Endings of the files that say the class of a picture of the same name, as webdataset has it."""


def split_key(name: str) -> tuple[str, str]:
    """Of a file of a sample its key, and the rest of its name: `a/01.seg.png` is a/01, seg.png."""
    folder, slash, last = name.rpartition("/")
    key, _, ending = last.partition(".")
    return folder + slash + key, ending.lower()


_ENDING = re.compile(r"(\.[^./]+(?:\.gz)?)$", re.IGNORECASE)

# What belongs to a picture and says so in its name: `01_mask.png`, `01-seg-2.png`.
_ROLE = re.compile(
    r"(.+?)([._-](?:masks?|seg|segmentation|labels?|gt|matte|trimap))(?:[._-]?[0-9]+)?"
    + _ENDING.pattern,
    re.IGNORECASE,
)


def role_of(name: str, *, samples: bool) -> tuple[str, str]:
    """The key of the picture that a file belongs to, and as what: `01_mask.png` is 01, _mask.png.

    A picture itself has its own key and no role.

    Args:
        name: of the file.
        samples: whether all after the first dot is a role, as webdataset has it: `01.depth.png`.
    """
    key, ending = split_key(name)
    if samples and "." in ending:
        return key, f".{ending}"
    if found := _ROLE.fullmatch(name):
        return found[1], (found[2] + found[3]).lower()
    return (key, "") if samples else (_ENDING.sub("", name), "")


def by_key(
    beside: Mapping[str, bytes], names: Sequence[str], column: str | None
) -> tuple[tuple[str, ...], np.ndarray, str] | None:
    """Classes, numbers and what to say of them, by a file beside each picture.

    Args:
        beside: names and contents of files with an ending of `BESIDE`.
        names: of the pictures.
        column: of a .json, the value to take; one of `LABELS` where not given.

    Returns:
        None if no picture has such a file.

    Raises:
        DataError: if a .json has no such value.
    """
    given: dict[str, Any] = {}
    for name, content in beside.items():
        key, ending = split_key(name)
        text = content.decode("utf-8", errors="replace")
        if ending == "cls" and column is None:
            given[key] = text
        elif ending == "json":
            given.setdefault(key, _in_json(name, text, column))
    keys = [split_key(name)[0] for name in names]
    if not any(given.get(key) is not None for key in keys):
        return None
    numbers, classes = numbered([given.get(key) for key in keys], len(names))
    return classes, numbers, "classes by the file beside each picture"


def values_beside(beside: Mapping[str, bytes], names: Sequence[str]) -> str:
    """What the first .json beside a picture has, where that is no class; empty if none is there."""
    keys = {split_key(name)[0] for name in names}
    for name, content in beside.items():
        key, ending = split_key(name)
        if ending != "json" or key not in keys:
            continue
        values = _of_json(name, content.decode("utf-8", errors="replace"))
        if isinstance(values, dict):
            return f"{name} has {', '.join(values) or 'no values'} (data.labels=NAME takes one)"
    return ""


def _of_json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{name} cannot be read ({error}); mend or remove it.") from error


def _in_json(name: str, text: str, column: str | None) -> Any:
    values = _of_json(name, text)
    if not isinstance(values, dict):
        return values
    return next((values[k] for k in ([column] if column else LABELS) if k in values), None)


def _rows(where: str, content: bytes) -> list[dict[str, Any]]:
    try:
        text = content.decode("utf-8-sig")
        if where.lower().endswith(".jsonl"):
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            if not all(isinstance(row, dict) for row in rows):
                raise ValueError("a line is no object")
            return rows
        first = text.partition("\n")[0]
        comma = max(",;\t", key=first.count)
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=comma))
    except (ValueError, csv.Error) as error:
        raise DataError(f"{where} cannot be read ({error}); mend or remove it.") from error


def _naming(
    where: str, rows: list[dict[str, Any]], columns: Iterable[str], names: Sequence[str]
) -> tuple[str, list[str | None]] | None:
    """The column that names most pictures, and the picture of each row.

    Raises:
        DataError: if the first line names a picture, and so no columns.
    """
    folder = PurePosixPath(where).parent
    known: dict[str, str | None] = {}
    exact: dict[str, str] = {}
    for name in names:  # by its path from the table, its last name, and that without its ending
        path = PurePosixPath(name)
        if path.is_relative_to(folder):
            exact |= {str(path): name, str(path.relative_to(folder)): name}
            for short in {path.name, path.stem}:
                known[short] = None if short in known else name
    known |= exact
    if set(columns) & ({PurePosixPath(name).name for name in names} | set(exact)):
        raise DataError(f"{where} has no first line of names; add one: file,class")
    best: tuple[str, list[str | None]] | None = None
    for column in columns:
        cells = [str(row.get(column)).strip() for row in rows]
        found = [known.get(cell.replace("\\", "/").removeprefix("./")) for cell in cells]
        hits = len(found) - found.count(None)
        if hits and (best is None or hits > len(best[1]) - best[1].count(None)):
            best = column, found
    return best
