"""Libraries in environments of their own: what comes back from them, and when they fail."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import environments
from bench.environments import drawn_by
from bench.isolated import PEERS, IsolatedPeer
from bench.standard_sets import NAMES, PUBLISHED


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environments, "KEPT", tmp_path)
    return tmp_path


def peer(module: str) -> IsolatedPeer:
    return next(each for each in PEERS if each.module == module)


def rows(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n)
    return pd.DataFrame(
        {
            "x": x / 3,
            "n": rng.integers(0, 50, n),
            "code": np.array(["10", "20", "NA"])[(x > 0) + (x > 1).astype(int)],
        }
    )


def test_independent_columns_have_the_marginals_and_nothing_else(kept: Path) -> None:
    learn = rows()
    drawn = drawn_by(peer("independent_columns"), "made", learn, ["code"], 1).rows
    assert drawn is not None
    for name in learn:
        assert sorted(drawn[name]) == sorted(learn[name])  # to the last digit, through the file
    assert abs(np.corrcoef(drawn["x"], drawn["code"] == "NA")[0, 1]) < 0.2
    assert np.corrcoef(learn["x"], learn["code"] == "NA")[0, 1] > 0.6
    # What is there is not made again.
    drawn_again = drawn_by(peer("independent_columns"), "made", learn[:0], ["code"], 1).rows
    pd.testing.assert_frame_equal(drawn_again, drawn)


def test_a_mixture_draws_categories_and_integers() -> None:
    drawn = drawn_by(peer("gaussian_mixture"), "made", rows(), ["code"], 1).rows
    assert drawn is not None
    assert set(drawn["code"]) <= {"10", "20", "NA"}
    assert drawn["n"].dtype.kind == "i"
    assert np.corrcoef(drawn["x"], drawn["code"] == "NA")[0, 1] > 0.4


def test_what_fails_is_said_in_a_line() -> None:
    found = drawn_by(IsolatedPeer("no_such", "none", ""), "made", rows(), ["code"], 1)
    assert found.rows is None
    assert found.error == "ModuleNotFoundError: No module named 'bench.isolated.no_such'"


def test_what_takes_too_long_is_stopped() -> None:
    found = drawn_by(peer("gaussian_mixture"), "made", rows(), ["code"], 1 / 120)
    assert found.rows is None
    assert found.error.startswith("did not end within ")


def test_every_published_figure_is_of_every_set() -> None:
    for figures in PUBLISHED.values():
        assert all(len(values) == len(NAMES) for values in figures.values())
        assert all(0 <= v <= 1 for f, values in figures.items() if f != "fit" for v in values)
