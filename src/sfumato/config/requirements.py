"""What a setting or an option must be, in words, from what pydantic says is wrong with it."""

from collections.abc import Sequence

from pydantic_core import ErrorDetails

_KINDS = {
    "int": "an integer",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a table of names and values",
}

_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
# How Typer says that a value is none of those that an option can have.
_CHOICE = " is not one of "


def requirement(faults: Sequence[ErrorDetails]) -> str:
    """`must be at least 1, or 'auto'`: what a value must be, of which each kind it may be failed.

    Args:
        faults: of one value, as pydantic lists them.
    """
    said = dict.fromkeys(_phrase(fault) for fault in faults)
    if None in said:
        return "is wrong: " + ", or ".join(map(_message, faults))
    first, *others = (str(phrase) for phrase in said)
    return "must be " + ", or ".join([first, *others])


def _phrase(fault: ErrorDetails) -> str | None:
    """What the value must be; None for a fault that says it in a sentence of its own."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        limit = context[name]
        return f"{words} {limit if isinstance(limit, int) else f'{limit:.15g}'}"
    if kind == "literal_error":
        expected = str(context["expected"])
        return f"one of {expected}" if " or " in expected else expected
    if kind == "string_too_short":
        return "text that is not empty"
    if kind == "too_long":
        return f"a list of {context['max_length']}"
    if kind == "missing":  # of the values of a list of fixed length
        return "a longer list"
    if kind == "value_error" and _CHOICE in fault["msg"]:
        return f"one of {fault['msg'].partition(_CHOICE)[2].rstrip('.')}"
    return _KINDS.get(kind.partition("_")[0])


def _message(fault: ErrorDetails) -> str:
    """A fault in pydantic's words, or in those of a check of our own."""
    text = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return text[0].lower() + text[1:]
