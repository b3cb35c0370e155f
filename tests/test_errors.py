"""Errors for users: one line, the nearest name, an exit code each."""

import pickle

import pytest

from sfumato.errors import (
    ArgumentError,
    DataError,
    MissingDependencyError,
    RunError,
    SfumatoError,
    unknown,
)

NAMES = ["linear", "cosine", "sigmoid", "scaled-linear"]


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("cosin", "cosine"),
        ("Linear", "linear"),
        ("SIGMOD", "sigmoid"),
        ("scaled_linear", "scaled-linear"),
    ],
)
def test_the_nearest_name_is_offered(given: str, nearest: str) -> None:
    message = str(unknown("schedule", given, NAMES))
    assert f"; did you mean {nearest!r}? Known: cosine, " in message


def test_a_name_like_no_other_gets_the_list_alone() -> None:
    message = str(unknown("schedule", "zzz", NAMES))
    assert message == "unknown schedule 'zzz'; known: cosine, linear, scaled-linear, sigmoid."


def test_the_message_says_what_was_looked_for_and_what_was_given() -> None:
    assert str(unknown("schedule", "zzz", NAMES)).startswith("unknown schedule 'zzz'; ")


def test_the_message_is_one_line() -> None:
    assert "\n" not in str(unknown("schedule", "a\nb", NAMES))


def test_no_message_holds_a_control_character() -> None:
    held = "".join(map(chr, range(0xA0)))
    message = str(SfumatoError(f"a {held} b \u202e\u2028 é–\ud800"))
    left = [each for each in message if each < " " or "\x7f" <= each < "\xa0"]
    assert left == ["\t", "\n"]
    assert r"\x1a\x1b\x1c" in message
    assert message.endswith(r" b \u202e\u2028 é–\ud800")
    assert str(SfumatoError(message)) == message


@pytest.mark.parametrize(
    ("error", "code", "builtin"),
    [
        (ArgumentError, 2, ValueError),
        (DataError, 3, ValueError),
        (RunError, 4, Exception),
        (MissingDependencyError, 5, ImportError),
    ],
)
def test_exit_codes_and_kin(error: type[SfumatoError], code: int, builtin: type[Exception]) -> None:
    assert error.exit_code == code
    assert issubclass(error, builtin)
    assert issubclass(error, SfumatoError)


@pytest.mark.parametrize("kind", [DataError, MissingDependencyError])
def test_a_frequent_mistake_has_a_code_and_values_beside_its_message(
    kind: type[SfumatoError],
) -> None:
    error = pickle.loads(pickle.dumps(kind("line 3 is empty.", code="empty-line", line=3)))
    assert (str(error), error.code, error.values) == ("line 3 is empty.", "empty-line", {"line": 3})
    assert (kind("else.").code, kind("else.").values) == ("", {})


def test_an_unknown_name_is_an_argument_error() -> None:
    assert isinstance(unknown("schedule", "zzz", NAMES), ArgumentError)
