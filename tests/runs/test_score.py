"""Scores of a run: the S-curve within 0.03 nats of the truth, and what a score says."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sfumato import fit
from sfumato.errors import DataError
from sfumato.models.gaussian import GaussianModel
from sfumato.runs.run import Run
from sfumato.runs.score import bound_of, score_of


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    rows = np.random.default_rng(0).normal([5, -1], [3, 0.1], (400, 2))
    settings = {"training.steps": 30, "training.snapshots": 0, "network.width": 16}
    return fit(rows, out=tmp_path_factory.mktemp("tiny") / "run", settings=settings, quiet=True)


@pytest.fixture
def tiny(fitted: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """It is scored in few steps, and its bound is of few levels."""
    for scored, option, few in (
        (GaussianModel.log_prob_chunks, "steps", 10),
        (GaussianModel.variational_bound, "num_levels", 100),
    ):
        assert scored.__kwdefaults__
        monkeypatch.setitem(scored.__kwdefaults__, option, few)
    return fitted


def test_the_s_curve_is_scored_within_three_hundredths_of_a_nat(s_curve: Run) -> None:
    rows = s_curve.load_data().fresh(99, 3000)
    score, nats = score_of(s_curve, rows)
    density = s_curve.known_log_density()
    assert density is not None
    assert score.truth == pytest.approx(float(density(rows).mean()))
    # Paired row by row, so that chance is that of the difference: 0.003 nats.
    assert 0 < float((density(rows) - nats).mean()) < 0.03


def test_the_mean_and_its_error(tiny: Run) -> None:
    rows = tiny.sample(100)
    score, nats = score_of(tiny, rows)
    assert score.nats == pytest.approx(nats.mean())
    assert score.standard_error == pytest.approx(nats.std(ddof=1) / 10)
    assert score.bits_per_dimension == pytest.approx(-nats.mean() / (2 * math.log(2)))
    assert np.array_equal(nats, tiny.log_prob(rows))


def test_the_terms_of_the_bound_are_those_of_the_library(tiny: Run) -> None:
    rows = tiny.sample(50)
    score, nats = bound_of(tiny, rows)
    (terms,) = tiny.model.variational_bound(rows)
    assert score.terms is not None
    told = [value for value, _ in score.terms.values()]
    assert told == pytest.approx(
        [float(terms.L_T.mean()), float(terms.L_t.sum(1).mean()), float(terms.L_0.mean())]
    )
    assert np.allclose(nats, tiny.model.codec.log_abs_det_jacobian - terms.nats.numpy())


def test_an_estimated_divergence_tells_its_own_error(tiny: Run) -> None:
    rows = tiny.sample(40)
    exact, _ = score_of(tiny, rows)
    probed, _ = score_of(tiny, rows, probes=8)
    (found,) = tiny.model.log_prob_chunks(rows, probes=8)
    assert exact.probe_error is None
    assert found.standard_error is not None
    assert probed.probe_error == pytest.approx(float(found.standard_error.square().mean().sqrt()))
    assert "estimated" in str(probed)


def test_one_row_has_no_error_and_is_json(tiny: Run) -> None:
    for each in (score_of, bound_of):
        score, _ = each(tiny, tiny.sample(1))
        assert score.standard_error is None
        json.loads(json.dumps(score.to_dict()), parse_constant=pytest.fail)
        assert "±" not in str(score)


def test_rows_are_read_by_the_names_of_their_columns(tiny: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x1,else,x0\n1,2,3\n4,5,6\n")
    like = tiny.kind.read_like(tiny.model, tmp_path / "rows.csv")
    assert like.rows.tolist() == [[3, 1], [6, 4]]
    assert like.source == ("x0", "x1")
    (tmp_path / "less.csv").write_text("x1,else\n1,2\n4,5\n")
    with pytest.raises(DataError, match="lacks the column x0"):
        tiny.kind.read_like(tiny.model, tmp_path / "less.csv")


def test_rows_that_share_no_name_are_read_by_place(tiny: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([[3.0, 1.0], [6.0, 4.0]]))
    (tmp_path / "named.csv").write_text("b,a\n3,1\n6,4\n")
    for name in ("rows.npy", "named.csv"):
        like = tiny.kind.read_like(tiny.model, tmp_path / name)
        assert like.rows.tolist() == [[3, 1], [6, 4]]
    (tmp_path / "more.csv").write_text("c,b,a\n1,2,3\n")
    with pytest.raises(DataError, match=r"3 columns, which are matched by place, and this run has"):
        tiny.kind.read_like(tiny.model, tmp_path / "more.csv")
