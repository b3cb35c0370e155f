"""The tables of the benchmarks are what they say, and so are the methods beside them."""

from functools import partial

import numpy as np
import pytest

from bench import table_measures as measures
from bench.peers.tables import NAMES, TablePeer, table_peer
from bench.table_sets import NAMES as SETS
from bench.table_sets import TableSet, table_set
from sfumato import DiffusionModel

_FAST = ("gaussian_mixture", "kernel_density")


def _peer(name: str) -> TablePeer:
    try:
        return table_peer(name)
    except ImportError as error:
        pytest.skip(f"make bench installs what {name} needs: {error}")


@pytest.mark.parametrize("name", SETS)
def test_a_frame_is_the_same_rows(name: str) -> None:
    learn, held = table_set(name).split(0)
    assert len(learn.rows) == pytest.approx(4 * len(held.rows), abs=4)
    np.testing.assert_array_equal(learn.array(learn.frame(held.rows)), held.rows)
    hidden = np.where(np.random.default_rng(0).random(held.rows.shape) < 0.2, np.nan, held.rows)
    np.testing.assert_array_equal(learn.array(learn.frame(hidden)), hidden)


def _small() -> TableSet:
    """A number, one with holes that is often 0, an integer, a category."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 2))
    x[rng.random(150) < 0.4, 1] = 0
    x[rng.random(150) < 0.2, 1] = np.nan
    rows = np.column_stack([x, rng.integers(0, 100, 150), x[:, 0] > 0.3])
    return TableSet("small", rows, ("number", "number", "integer", "category"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in NAMES if name != "forest_diffusion"])
def test_each_method_does_what_it_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "diffusion_model":
        few = partial(DiffusionModel, steps=20, width=16)
        monkeypatch.setattr("bench.peers.tables.diffusion_model.DiffusionModel", few)
    learn, other = _small(), _peer(name)
    fitted = other.fit(learn, 0)
    if "sample" in other.can:
        sample = fitted.sample(50, 3)
        assert sample.shape == (50, 4)
        np.testing.assert_array_equal(sample, fitted.sample(50, 3))
        assert set(sample[:, 3]) <= {0.0, 1.0}
        assert not np.isnan(sample[:, [0, 2, 3]]).any()
    if "log_prob" in other.can:
        assert np.isfinite(fitted.log_prob(learn.rows)).all()
    if "impute" in other.can:
        hidden = learn.rows.copy()
        hidden[::5, 0] = hidden[1::5, 3] = np.nan
        filled = fitted.impute(hidden)
        assert not np.isnan(filled).any()
        assert set(filled[:, 3]) <= {0.0, 1.0}
        np.testing.assert_array_equal(filled[2::5, 0], learn.rows[2::5, 0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", _FAST)
def test_cells_and_categories_have_probabilities_of_one_together(name: str) -> None:
    rng = np.random.default_rng(0)
    level = rng.integers(0, 2, 400)
    count = rng.poisson(20 + 10 * level)
    learn = TableSet("counts", np.column_stack([count, level]), ("integer", "category"))
    every = np.array([[n, k] for n in range(-30, 100) for k in range(2)], dtype=float)
    total = np.exp(_peer(name).fit(learn, 0).log_prob(every)).sum()
    assert total == pytest.approx(400 / 401, abs=0.01)


def test_the_truth_of_the_mixed_set_adds_up() -> None:
    mixed = table_set("made: mixed")
    assert mixed.log_prob is not None
    x, *others = np.meshgrid(
        np.arange(-8, 11, 0.1), range(70), range(4), range(3), range(2), indexing="ij"
    )
    count, *levels = (each.ravel() for each in others)
    empty = np.column_stack([x.ravel(), np.full(x.size, np.nan), count, np.zeros(x.size), *levels])
    share = np.isnan(mixed.rows[:, 1]) & (mixed.rows[:, 3] == 0)
    total = np.exp(mixed.log_prob(empty)).sum() * 0.1
    assert total == pytest.approx(share.mean(), abs=0.02)


def test_the_truth_of_the_copula_knows_its_columns_belong_together() -> None:
    copula = table_set("made: copula")
    assert copula.log_prob is not None
    rows = copula.rows[:300]
    alone = copula.log_prob(rows)
    assert np.isfinite(alone).all()
    assert alone.mean() > copula.log_prob(np.column_stack([rows[:, :6], rows[::-1, 6]])).mean() + 1


def test_measures_at_their_ends() -> None:
    learn, held = table_set("iris").split(0)
    assert measures.auc(held.rows + np.eye(5)[0] * 9, held.rows) > 0.9
    assert measures.efficacy(learn, learn.rows, held.rows) > 0.9
    hidden = np.ones(held.rows.shape, dtype=bool)
    assert measures.imputation(learn, held.rows, held.rows, hidden) == {"numbers": 0, "levels": 0}
