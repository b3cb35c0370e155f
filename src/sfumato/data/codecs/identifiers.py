"""Columns that only name the rows: set aside in learning, made anew in what is drawn.

number  least, least + 1, ...: row k of what is drawn has the number least + k
key     all different, of the shape of the file's, and none of the file's
empty   missing values: free text that never repeats cannot be made anew

A key is an integer written with one alphabet for each of its places: a character that all keys of
the file share, any digit, or any character of a public class such as hexadecimal digits. Text
whose places are neither is left empty. E-mail addresses and UUIDs have alphabets of their kind,
whatever the file's are.

The file's keys, multiplied by a step modulo the number of possible keys, leave a longest stretch
of free integers; new keys are taken from it. Its ends are rounded inwards, as beside them lie keys
of the file. Of the keys the model keeps their most common length (of integers the greatest), what
all of them share, the class of each other place, whether a number may begin with 0, about where
that stretch lies, and how long a run of dashes they hold. Of running numbers it keeps the least.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from zlib import crc32

import numpy as np

from sfumato.data.table import Column

Form = Literal["number", "key", "empty"]

# New keys that a stretch has at least, or a place more is taken.
_ENOUGH = 1000

_DTYPES = ("object", "int64", "float64", "bool", "datetime64[us]")

# A longer text is not a key.
_LONGEST_KEY = 64

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# A domain that belongs to nobody, RFC 2606.
_EMAILS = (*(string.ascii_lowercase,) * 10, *"@example.com")

_HEX = string.digits + "abcdef"
_UUID = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
)
# Version 4 of RFC 9562, which is random.
_UUIDS = (
    *(_HEX,) * 8, "-", *(_HEX,) * 4, "-", "4", *(_HEX,) * 3, "-", "89ab", *(_HEX,) * 3, "-",
    *(_HEX,) * 12,
)  # fmt: skip

# Where all integers are held exactly.
_EXACT = {"int64": 2**63, "float64": 2**53}

# A column of numbers goes on for so many rows at least.
_MOST_ROWS = 10**9

# Of a stranger's keys.
_MOST_PLACES, _MOST_CHARACTERS = 2 * _LONGEST_KEY, 64

# What a place of a random code may hold.
_CLASSES = (
    _HEX, _HEX.upper(), string.ascii_uppercase, string.ascii_lowercase,
    string.digits + string.ascii_uppercase, string.digits + string.ascii_lowercase,
    string.digits + string.ascii_letters,
)  # fmt: skip

# A place that may hold more than digits was seen in so many keys. Where it varies, it has this
# share of the different characters that a random code has there in the mean, and over all such
# places two keys agree at most so many times as often as two random ones: names agree more often.
_LEAST_KEYS, _VARIED, _AGREE = 20, 0.5, 1.4

# The ends of a stretch are rounded to a power of two, at most this share of it.
_ROUNDED = 8


@dataclass(frozen=True, slots=True)
class IdentifierCodec:
    """A column that only names the rows.

    Args:
        name: of the column.
        form: how it is made anew.
        dtype: of the values in memory.
        frame_dtype: what the frame it came from calls its type.
        has_categories: whether that frame declares its categories.
        first: the number of row 0; of keys, where the free stretch begins.
        alphabets: of keys, the characters that each place may have.
        step: of keys, what the integers of the stretch are multiplied by.
        count: of keys, how many the stretch has.
        mark: of keys, what stands before a number where more are drawn than that.
    """

    name: str
    form: Form
    dtype: str
    frame_dtype: str = ""
    has_categories: bool = False
    first: int = 0
    alphabets: tuple[str, ...] = ()
    step: int = 1
    count: int = 0
    mark: str = ""

    @classmethod
    def fit(cls, column: Column) -> "IdentifierCodec":
        """The form of a column, from all rows of the file."""
        dtype, present = column.values.dtype, column.present
        declared = column.name, str(dtype), column.dtype, column.categories is not None
        name, held, frame, categories = declared
        if numbers_the_rows(present) and _can_count_from(first := int(present.min())):
            return cls(name, "number", held, frame, categories, first)
        keys = _keys(present)
        alphabets = _alphabets(keys, as_numbers=dtype.kind != "O") if keys else None
        if keys is None or alphabets is None:
            return cls(name, "empty", held, frame, categories)
        longest = 0
        for key in keys:
            longest = max([longest, *map(len, re.findall("-+", key))])
        while True:
            first, step, count = _stretch(keys, alphabets)
            if count >= max(_ENOUGH, len(keys)):
                break
            alphabets = (*alphabets, string.digits)
        if not _can_hold(held, len(alphabets), count):
            return cls(name, "empty", held, frame, categories)
        mark = "-" * (longest + 1) if dtype.kind == "O" else ""
        return cls(name, "key", held, frame, categories, first, alphabets, step, count, mark)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "IdentifierCodec":
        """The inverse of `asdict`; the values may come from a stranger's file.

        Raises:
            ValueError: if they do not describe one.
            TypeError: as well.
        """
        if not isinstance(plain["alphabets"], list | tuple):
            raise TypeError
        part = cls(**{**plain, "alphabets": tuple(plain["alphabets"])})
        texts = part.name, part.dtype, part.frame_dtype, part.mark, *part.alphabets
        numbers = part.first, part.step, part.count
        sound = all(isinstance(each, str) for each in texts) and part.dtype in _DTYPES
        sound = sound and all(type(each) is int for each in numbers) and part.form in get_args(Form)
        sound = sound and isinstance(part.has_categories, bool)
        if not sound or not (part._sound_key() if part.form == "key" else part._sound_other()):
            raise ValueError
        return part

    def _sound_key(self) -> bool:
        """Whether the fields of keys agree; sizes are bounded before anything is computed."""
        if not 0 < len(self.alphabets) <= _MOST_PLACES:
            return False
        for each in self.alphabets:
            if not 0 < len(each) <= _MOST_CHARACTERS or len(set(each)) != len(each):
                return False
            if not each.isprintable() or any(map(str.isspace, each)):
                return False
        size = math.prod(map(len, self.alphabets))
        if not (0 < self.count <= size and 0 <= self.first <= size and 0 <= self.step <= size):
            return False
        if self.dtype == "object":
            marked = 0 < len(self.mark) <= _LONGEST_KEY + 1 and set(self.mark) == {"-"}
        else:
            digits = all(set(each) <= set(string.digits) for each in self.alphabets)
            marked = digits and self.dtype in _EXACT and not self.mark
            marked = marked and "0" not in self.alphabets[0]  # 07 and 7 are one number
            marked = marked and _can_hold(self.dtype, len(self.alphabets), self.count)
        return marked and math.gcd(self.step, size) == 1

    def _sound_other(self) -> bool:
        """Whether the fields of running numbers, or of missing values, agree."""
        rest = self.alphabets, self.step, self.count, self.mark
        number = self.form == "number"
        counts = self.dtype in _EXACT and _can_count_from(self.first) if number else not self.first
        return counts and rest == ((), 1, 0, "")

    def make(self, first: int, count: int, seed: int) -> Column:
        """Names of the drawn rows `first` and those after it; row k's by the seed and k alone."""
        dtype, missing = np.dtype(self.dtype), np.full(count, self.form == "empty")
        values = np.zeros(count, dtype)
        if self.form == "number":
            values = (self.first + np.arange(first, first + count)).astype(dtype)
        elif self.form == "key":
            values = np.array(self._fresh(range(first, first + count), seed), dtype=object)
            values = values if dtype.kind == "O" else values.astype(np.int64).astype(dtype)
        elif dtype.kind == "O":
            values[:] = ""
        own = tuple(values[~missing].tolist()) if self.has_categories else None
        frame = self.frame_dtype if _fits(values, self.frame_dtype) else ""
        return Column(self.name, values, missing, own, dtype=frame)

    def _fresh(self, rows: range, seed: int) -> list[str]:
        """Keys of the stretch in an order that the seed decides, `a k + b` modulo its length."""
        state = np.random.SeedSequence(seed, spawn_key=(crc32(self.name.encode()),))
        numbers = state.generate_state(8, np.uint64).tobytes()
        a = _coprime(int.from_bytes(numbers[:32], "little") % self.count, self.count)
        b = int.from_bytes(numbers[32:], "little") % self.count
        made, size = [], math.prod(map(len, self.alphabets))
        for k in rows:
            place = self.first + (a * k + b) % self.count
            more = f"{self.mark}{k // self.count}" if k >= self.count else ""
            made.append(_written(self.step * place % size, self.alphabets) + more)
        return made


def numbers_the_rows(values: np.ndarray) -> bool:
    """Whether integers are all different and fill nine tenths of their range."""
    if not len(values) or values.dtype.kind not in "fi" or not _whole(values):
        return False
    spread = int(values.max()) - int(values.min()) + 1
    return len(np.unique(values)) == len(values) and spread * 9 <= len(values) * 10


def _whole(values: np.ndarray) -> bool:
    return bool((np.isfinite(values) & (np.round(values) == values)).all())


def _can_count_from(first: int) -> bool:
    """Whether numbers from `first` on are held exactly by either type."""
    return abs(first) < 2**53 - _MOST_ROWS


def _can_hold(dtype: str, places: int, count: int) -> bool:
    """Whether keys of so many places, and those after the first `count`, are exact in a type."""
    more = len(str(_MOST_ROWS // count)) if count < _MOST_ROWS else 0
    return dtype == "object" or 10 ** (places + more) <= _EXACT[dtype]


def _keys(values: np.ndarray) -> list[str] | None:
    """The keys that a column holds; None if it holds free text, or one of them twice."""
    if values.dtype.kind in "fi" and _whole(values) and (values >= 0).all():
        keys = [str(int(value)) for value in values]
    elif values.dtype == object:
        keys = values.tolist()
    else:
        return None
    sound = len(keys) > 0 and len(set(keys)) == len(keys) and max(map(len, keys)) <= _LONGEST_KEY
    sound = sound and all(map(str.isprintable, keys))
    digits = all(map(re.compile(r"\S*[0-9]\S*").fullmatch, keys))
    return keys if sound and (digits or all(map(_EMAIL.fullmatch, keys))) else None


def _alphabets(keys: Sequence[str], *, as_numbers: bool) -> tuple[str, ...] | None:
    """For each place the characters that new keys may have there; None if they are text.

    The length is the most common one, of numbers the greatest. Digits beside each other are any
    digits, but for a leading 0 that none has, unless all keys share them.
    """
    if not as_numbers and all(map(_EMAIL.fullmatch, keys)):
        return _EMAILS
    if not as_numbers and all(map(_UUID.fullmatch, keys)):
        upper = any(map(str.isupper, keys))
        return tuple(each.upper() if upper else each for each in _UUIDS)
    lengths = Counter(map(len, keys))
    most = max(lengths) if as_numbers else max(lengths, key=lambda n: (lengths[n], n))
    same = [key for key in keys if len(key) == most]
    seen = [Counter(each) for each in zip(*same, strict=True)]
    shared = [len(same) >= _LEAST_KEYS and _shared(keys, same[0], k) for k in range(most)]
    digits = [set(each) <= set(string.digits) for each in seen]
    coded = [k for k in range(most) if not (digits[k] or shared[k])]
    if not all(digits) and len(same) < _LEAST_KEYS:
        return None
    codes = _codes([seen[k] for k in coded])
    if codes is None:
        return None
    made = ["".join(each) for each in seen]
    for k, code in zip(coded, codes, strict=True):
        made[k] = code
    place = 0
    for of_digits, run in _runs(digits):
        if of_digits and not all(shared[place : place + run]):
            zero = "0" in seen[place] and not (as_numbers and place == 0)
            made[place : place + run] = [string.digits[not zero :], *[string.digits] * (run - 1)]
        place += run
    return tuple(made)


def _shared(keys: Sequence[str], key: str, place: int) -> bool:
    """Whether all keys have the character that one has at a place, from either end."""
    return any(
        all(each[k : k + 1 or None] == key[place] for each in keys)
        for k in (place, place - len(key))
    )


def _codes(seen: Sequence[Counter[str]]) -> list[str] | None:
    """The classes of places that vary as those of random codes do; None if some do not.

    Two keys agree at a place of A characters with the probability 1/A if they are random: the
    index of coincidence (Friedman 1922).
    """
    codes, agree, random = [], 0, 0.0
    for each in seen:
        code = next((known for known in _CLASSES if set(each) <= set(known)), "")
        size, n = len(code), each.total()
        if not code or len(each) < _VARIED * size * (1 - (1 - 1 / size) ** n):
            return None
        codes.append(code)
        agree += sum(count * (count - 1) for count in each.values())
        random += n * (n - 1) / size
    return codes if agree <= _AGREE * random else None


def _runs(values: Iterable[bool]) -> list[tuple[bool, int]]:
    """Equal neighbours, and how many."""
    found: list[tuple[bool, int]] = []
    for value in values:
        same = found and found[-1][0] == value
        found[-1:] = [(value, found[-1][1] + 1)] if same else [*found[-1:], (value, 1)]
    return found


def _stretch(keys: Sequence[str], alphabets: Sequence[str]) -> tuple[int, int, int]:
    """Where the longest stretch without a key begins, its step, and how many it has, rounded.

    Keys in a row leave the rest of their range free, with a step of 1. Keys at random leave short
    stretches with any step; with one near the golden ratio their keys do not begin alike.
    """
    size = math.prod(map(len, alphabets))
    places = [dict(zip(each, range(len(each)), strict=True)) for each in alphabets]
    taken = [number for key in keys if (number := _read(key, places)) is not None]
    found = []
    for step in (1, _coprime(size * 618 // 1000, size)):
        inverse = pow(step, -1, size) if size > 1 else 0
        order = sorted(number * inverse % size for number in taken)
        if not order:
            found.append((size, 0, step))
            continue
        ends = [*order[1:], order[0] + size]
        count, start = max(
            (end - start - 1, -start) for start, end in zip(order, ends, strict=True)
        )
        # An end that stood beside a key of the file would give it away.
        unit = 1 << max(0, (count // _ROUNDED).bit_length() - 1)
        first = (unit - start) // unit * unit
        last = (count + 1 - start) // unit * unit
        found.append((max(0, last - first), first % size, step))
    plain, scattered = found
    count, first, step = plain if plain[0] > 8 * scattered[0] else scattered
    return first, step, count


def _coprime(number: int, size: int) -> int:
    """The number or the next one that shares no factor with `size`."""
    number = max(1, number)
    while math.gcd(number, size) != 1:
        number += 1
    return number


def _read(key: str, places: Sequence[dict[str, int]]) -> int | None:
    """The integer that a key is; None if it is of another shape."""
    if len(key) != len(places):
        return None
    number = 0
    for character, place in zip(key, places, strict=True):
        if character not in place:
            return None
        number = number * len(place) + place[character]
    return number


def _written(number: int, alphabets: Sequence[str]) -> str:
    """The inverse of `_read`."""
    characters = []
    for alphabet in reversed(alphabets):
        number, place = divmod(number, len(alphabet))
        characters.append(alphabet[place])
    return "".join(reversed(characters))


def _fits(values: np.ndarray, frame_dtype: str) -> bool:
    """Whether the frame's type is wide enough for integers; int64 is taken where it is not."""
    name = re.match(r"u?int(?:8|16|32)", frame_dtype.lower())
    if name is None or not len(values) or values.dtype.kind not in "fi":
        return True
    return int(values.max()) <= np.iinfo(name[0]).max
