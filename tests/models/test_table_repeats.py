"""A model of columns that often repeat another, whose law is known: drawn, scored, predicted.

`a` and `b` are even on 0 ... 15; `b` is `a` in half of the rows, and else on its own:

    p(b = a) = 1/2 + 1/32,   p(a, b) = 1/16 (1/32 + [a = b]/2)
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sfumato
from sfumato.models.predictive import PredictedNumbers
from sfumato.runs.run import Run

K, N = 16, 4000
EQUAL = 1 / 2 + 1 / (2 * K)


def rows(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, own = rng.integers(0, K, (2, N))
    return pd.DataFrame({"a": a, "b": np.where(rng.random(N) < 0.5, a, own)})


@pytest.fixture(scope="module")
def run() -> Run:
    settings: dict[str, Any] = {
        "data.columns": {"a": "integer", "b": "integer"}, "data.rules": ["none"],
        "training.steps": 400, "network.width": 64, "network.depth": 2,
    }  # fmt: skip
    return sfumato.fit(rows(), settings=settings, quiet=True)


def names(run: Run) -> tuple[str, str]:
    """What repeats, and what it repeats."""
    (part,) = (each for each in run.model.codec.parts if each.repeats)
    return part.name, part.repeats


def test_it_is_drawn_equal_as_often_as_it_is(run: Run) -> None:
    drawn = run.sample(4000)
    equal = int((drawn["a"] == drawn["b"]).sum())
    # One of its own may be equal, too.
    assert abs(equal / 4000 - EQUAL) < 0.06
    # Also in the parts: no value of theirs has more or less.
    for k in range(K):
        some = drawn[drawn["a"] == k]
        assert abs((some["b"] == k).mean() - EQUAL) < 0.15


def test_probabilities_of_all_rows_have_the_sum_one(run: Run) -> None:
    every = pd.DataFrame(product(range(K), range(K)), columns=["a", "b"])
    p = np.exp(run.log_prob(every))
    assert p.sum() == pytest.approx(1, abs=0.03)
    assert p[every.a == every.b].sum() == pytest.approx(EQUAL, abs=0.03)


def test_given_what_it_repeats_it_is_that_in_half_of_the_rows(run: Run) -> None:
    own, other = names(run)
    drawn = run.sample(2000, given={other: 5})
    assert (drawn[other] == 5).all()
    assert abs((drawn[own] == 5).mean() - EQUAL) < 0.08
    some = pd.DataFrame({other: range(K), own: [0] * K})
    law = run.predict(some, own)
    assert isinstance(law, PredictedNumbers)
    at = (law.weights * (law.values == np.arange(K)[:, None])).sum(1)
    np.testing.assert_allclose(at, EQUAL, atol=0.12)
    nats = run.log_prob(pd.DataFrame({other: range(K), own: range(K)}), target=own)
    np.testing.assert_allclose(np.exp(nats), EQUAL, atol=0.12)


def test_given_what_repeats_it_the_other_is_that_too(run: Run) -> None:
    own, other = names(run)
    drawn = run.sample(2000, given={own: 5})
    assert (drawn[own] == 5).all()
    assert abs((drawn[other] == 5).mean() - EQUAL) < 0.08
    every = pd.DataFrame({other: range(K), own: [5] * K})
    nats = run.log_prob(every, target=other)
    assert run.log_prob(every[5:6], target=other).tolist() == [nats[5]]
    p = np.exp(nats)
    assert p.sum() == pytest.approx(1, abs=0.06)
    assert p[5] == pytest.approx(EQUAL, abs=0.08)
    law = run.predict(every, other)
    assert isinstance(law, PredictedNumbers)
    np.testing.assert_allclose(law.weights.sum(1), 1)
    at = (law.weights * (law.values == 5)).sum(1)
    np.testing.assert_allclose(at, EQUAL, atol=0.08)


def test_rows_are_filled_and_edited(run: Run) -> None:
    own, other = names(run)
    holes = rows(1)[:500].astype("Int64")
    holes.loc[:249, own] = None
    holes.loc[250:, other] = None
    (filled,) = run.complete(holes, draws=1)
    assert not filled.isna().any().any()
    equal = filled[own] == filled[other]
    assert abs(equal[:250].mean() - EQUAL) < 0.12
    assert abs(equal[250:].mean() - EQUAL) < 0.12
    alike = run.edit(rows(1)[:500], 0.3)
    assert abs((alike["a"] == alike["b"]).mean() - EQUAL) < 0.15


def test_it_is_said_and_kept(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path / "m.safetensors")
    again = sfumato.open(tmp_path / "m.safetensors")
    assert names(again) == names(run)
    pd.testing.assert_frame_equal(again.sample(50), run.sample(50))


def paying(seed: int = 0) -> pd.DataFrame:
    """Of a bill in cents, often 100.01, all is paid in two rows of five; tips go their own way."""
    rng = np.random.default_rng(seed)
    bill = np.where(rng.random(N) < 0.12, 100.01, rng.lognormal(5, 1, N).round(2))
    paid = np.where(rng.random(N) < 0.4, bill, rng.lognormal(4, 1, N).round(0))
    low = rng.integers(0, 1000, N)
    return pd.DataFrame(
        {"bill": bill, "paid": paid, "low": low, "high": low + rng.integers(0, 300, N)}
    )


@pytest.fixture(scope="module")
def paid() -> Run:
    settings: dict[str, Any] = {"training.steps": 250, "network.width": 48, "network.depth": 2}
    return sfumato.fit(paying(), settings=settings, quiet=True)


def test_what_is_decided_stays_known_beside_rules_and_frequent_values(paid: Run) -> None:
    assert names(paid) == ("paid", "bill")
    assert len(paid.model.codec.relations.rules) == 1
    whole = paying()[lambda rows: rows.paid == rows.bill].iloc[:4]
    value = float(whole.paid[whole.bill != 100.01].iloc[0])
    drawn = paid.sample(1000, given={"paid": value})
    share = (drawn.bill == value).mean()
    assert share > 0.2
    nats = paid.log_prob(whole, target="bill") + np.log(0.01)  # the probabilities of cents
    law = paid.predict(whole, "bill")
    assert isinstance(law, PredictedNumbers)
    at = (law.weights * np.isclose(law.values, whole.bill.to_numpy()[:, None])).sum(1)
    np.testing.assert_allclose(np.exp(nats), at, atol=0.03)
    often = paying()[lambda rows: (rows.paid == rows.bill) & (rows.bill == 100.01)].iloc[:3]
    nats = paid.log_prob(often, target="bill") + np.log(0.01)
    assert (nats < 0.01).all()
