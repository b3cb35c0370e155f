"""Timings are paired, and the floor is where real rows are."""

import time

import numpy as np
import pytest

import bench.floor
from bench.floor import ROWS, Floor
from bench.measure import Timing, ratio, side_by_side, table
from sfumato.data.toy import draw


def test_a_ratio_is_that_of_the_rounds() -> None:
    # A machine that is ten times slower in the second round changes nothing.
    one, other = Timing((2.0, 20.0, 2.0), ()), Timing((1.0, 10.0, 1.0), ())
    assert ratio(one, other) == 2


def test_candidates_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []
    timings = side_by_side(
        {"a": lambda: turns.append("a"), "b": lambda: time.sleep(0.01)}, rounds=3, calls=2
    )
    assert turns == ["a"] * 8
    assert len(timings["a"].wall) == len(timings["b"].cpu) == 3
    assert timings["b"].median >= 0.01


def test_a_table_is_markdown() -> None:
    assert table(["x", "y"], [[1, "two"]]) == "| x | y |\n| --- | --- |\n| 1 | two |"


def test_real_rows_are_at_the_floor_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.floor, "_PAIRWISE", 1000)
    floor = Floor("eight-gaussians")
    real = draw("eight-gaussians", ROWS, seed=5, stream="other").values
    assert floor.distance(real).at_floor
    blurred = real + 0.05 * np.random.default_rng(0).standard_normal(real.shape)
    assert not floor.distance(blurred).at_floor
    assert floor.distance(real * [2.0, 1.0]).auc > 0.9
