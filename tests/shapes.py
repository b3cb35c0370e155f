"""Shapes in annotations, checked once for each combination of them.

Whether jaxtyping accepts a call is decided by the shapes and types of what goes in and what comes
out. A sampler calls the same function with the same ones a thousand times, and the checks would
take longer than all that they check; so it is kept which were found right.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from types import FunctionType, NoneType
from typing import Any

import jaxtyping
from jaxtyping import config

_Function = Callable[..., Any]


@dataclass
class _Found:
    """Of a function, what was found right.

    Args:
        values_count: whether its annotations speak of values, and not of types and shapes alone.
        right: of what goes in, what may come out.
    """

    values_count: bool
    right: dict[Any, set[Any]] = field(default_factory=dict)


# By module, name and code of a function: one within another is made anew for every call of it.
_found: dict[tuple[Any, ...], _Found] = {}
_checked_every_time = jaxtyping.jaxtyped


def check_once() -> None:
    """From here on, functions of modules that are imported are checked so."""
    jaxtyping.jaxtyped = jaxtyped  # type: ignore[assignment]


def jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    """In the place of `jaxtyping.jaxtyped`, for functions and data classes."""
    strict = _checked_every_time(typechecker=typechecker)

    def decorate(given: Any) -> Any:
        if isinstance(given, FunctionType):
            return _once(given, strict)
        if isinstance(given, type) and is_dataclass(given) and "__init__" in vars(given):
            given.__init__ = _once(given.__init__, strict)  # type: ignore[method-assign, arg-type]
            return given
        return strict(given)

    return decorate


def _once(function: FunctionType, strict: Callable[[_Function], _Function]) -> _Function:
    where = (function.__module__, function.__qualname__, function.__code__)
    if where not in _found:
        # An axis may be named by a value, "{n}".
        text = repr([*function.__annotations__.values()])
        _found[where] = _Found("{" in text or "Literal" in text)
    found = _found[where]
    right, values_count = found.right, found.values_count
    looks = _LOOKS[values_count]
    checked = functools.cache(lambda: strict(function))
    answer, answered = _answering(function)
    checked_answer = functools.cache(lambda: strict(answer))

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if config.jaxtyping_disable:
            return function(*args, **kwargs)
        key = tuple(looks.of(args)), tuple(kwargs) and (*kwargs, *looks.of(kwargs.values()))
        outs = right.get(key)
        if outs is None:
            out = checked()(*args, **kwargs)
            right[key] = {_kind(out, values_count)}
            return out
        out = function(*args, **kwargs)
        if (kind := _kind(out, values_count)) not in outs:
            answered[:] = [out]
            checked_answer()(*args, **kwargs)
            answered.clear()
            outs.add(kind)
        return out

    return wrapped


def _answering(function: FunctionType) -> tuple[_Function, list[Any]]:
    """A function that is annotated as that one, and answers what is put into the list."""
    answered: list[Any] = []

    def answer(*_: Any, **__: Any) -> Any:
        return answered[0]

    same = FunctionType(answer.__code__, function.__globals__, closure=answer.__closure__)
    return functools.wraps(function)(same), answered


def _kind(value: Any, values_count: bool) -> Any:
    """All of a value that the checks look at: equal for values that they cannot tell apart."""
    seen = _LOOKS[values_count][type(value)]
    return type(value) if seen is None else seen(value)


class _Looks(dict[type, Callable[[Any], Any] | None]):
    """For each type what of its values counts; None: the type alone. Found once for each type."""

    def __init__(self, values_count: bool) -> None:
        self.values_count = values_count

    def __missing__(self, kind: type) -> Callable[[Any], Any] | None:
        self[kind] = seen = self._look(kind)
        return seen

    def _look(self, kind: type) -> Callable[[Any], Any] | None:
        if hasattr(kind, "shape") and hasattr(kind, "dtype"):
            return lambda array: (kind, array.shape, array.dtype)
        if issubclass(kind, (NoneType, float, int, str)):
            return (lambda value: (kind, value)) if self.values_count else None
        if issubclass(kind, type):
            return lambda value: (kind, value)
        if issubclass(kind, Mapping):
            return lambda each: (kind, *each, *self.of(each.values()))
        if issubclass(kind, Collection):
            return lambda each: (kind, *self.of(each))
        return None

    def of(self, values: Iterable[Any]) -> list[Any]:
        """What counts of each."""
        return [
            type(value) if (seen := self[type(value)]) is None else seen(value) for value in values
        ]


_LOOKS = (_Looks(False), _Looks(True))
