"""What is not checked again had the same shapes; whatever differs is checked, and refused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from shapes import jaxtyped

checked: Callable[[Any], Any] = jaxtyped(typechecker=beartype)


@pytest.fixture(autouse=True)
def checks() -> Iterator[None]:
    """They are off above the lower floors."""
    jaxtyping.config.update("jaxtyping_disable", False)
    yield
    jaxtyping.config.update("jaxtyping_disable", True)


@checked
def rows_of(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"], out: Any) -> Float[Tensor, " n"]:
    return out  # type: ignore[no-any-return]


@checked
def in_way(way: Literal["sum", "mean"], sizes: list[Float[Tensor, "..."]]) -> str:
    return way


@checked
def first_rows(x: Float[Tensor, "rows d"], n: int) -> Float[Tensor, "{n} d"]:
    return x[:3]


@checked
@dataclass
class Pair:
    one: Float[Tensor, "*shape"]
    other: Float[Tensor, "*shape"]


X, Y = torch.zeros(3, 2), torch.zeros(3)


def test_of_arguments_that_differ_each_is_checked() -> None:
    for _ in range(2):
        assert rows_of(X, X, Y) is Y
        for wrong in (X[:2], X[:, :1], X.long(), X[0], X.numpy(), None):
            with pytest.raises(TypeCheckError):
                rows_of(X, wrong, Y)
            with pytest.raises(TypeCheckError):
                rows_of(X, out=Y, y=wrong)
    assert len(rows_of(X[:1], X[:1], Y[:1])) == 1


def test_of_answers_that_differ_each_is_checked() -> None:
    for _ in range(2):
        assert rows_of(X, X, Y) is Y
        for wrong in (Y[:2], X, Y.long(), None):
            with pytest.raises(TypeCheckError):
                rows_of(X, X, wrong)


def test_values_count_where_annotations_speak_of_them_and_what_is_in_a_list_does() -> None:
    for _ in range(2):
        assert in_way("sum", [X]) == "sum"
        with pytest.raises(TypeCheckError):
            in_way("product", [X])
        with pytest.raises(TypeCheckError):
            in_way("sum", [X.long()])


def test_a_value_that_names_an_axis_counts() -> None:
    for _ in range(2):
        assert len(first_rows(X, 3)) == 3
        with pytest.raises(TypeCheckError):
            first_rows(X, 2)


def test_another_number_is_not_checked_again_and_another_type_is() -> None:
    checks: list[tuple[Any, ...]] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        strict = beartype(function)

        @wraps(function)
        def counting(*args: Any, **kwargs: Any) -> Any:
            checks.append(args)
            return strict(*args, **kwargs)

        return counting

    def scaled(x: Float[Tensor, "n d"], by: float) -> float:
        return by

    scaled = jaxtyped(typechecker=counted)(scaled)
    scaled(X, 1.0)
    once = len(checks)
    assert once > 0
    for by in (2.0, 3.0, 2.0):
        assert scaled(X, by) == by
    assert len(checks) == once
    with pytest.raises(TypeCheckError):
        scaled(X, "2")  # type: ignore[arg-type]


def test_data_classes_are_checked_as_they_are_made() -> None:
    for _ in range(2):
        assert Pair(X, X).one is X
        with pytest.raises(TypeCheckError):
            Pair(X, Y)


def test_the_checks_of_the_lower_floors_are_such() -> None:
    from sfumato.process.noise import NoiseLevel

    for _ in range(2):
        assert len(NoiseLevel(Y, Y)) == 3
        with pytest.raises(TypeCheckError):
            NoiseLevel(Y, Y[:2])
