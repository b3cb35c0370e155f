"""Floors and verdicts: calibrated where the model is perfect, decided where it is not."""

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, t

from sfumato.errors import DataError
from sfumato.metrics import classifier
from sfumato.metrics.distances import energy_distance
from sfumato.metrics.evaluation import Evaluation, Measure, evaluate, judged, judged_share


def _sets(count: int, rows: int = 200, *, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).standard_normal((count, rows, 2)))


def _verdicts(sample: np.ndarray, **options: Any) -> dict[str, str]:
    reference, train, *real = _sets(7, len(sample), seed=99)
    return {m.name: m.verdict for m in evaluate(sample, reference, real, train, **options)}


def test_the_limit_is_the_prediction_interval_by_hand() -> None:
    floor = [0.1, 0.3, 0.2, 0.4]
    spread = math.sqrt(sum((x - 0.25) ** 2 for x in floor) / 3)
    limit = 0.25 + t.ppf(0.99, 3) * spread * math.sqrt(1 + 1 / 4)
    measure = judged("m", "measure", 0.3, floor, 2.0, 100)
    assert measure.limit == pytest.approx(limit)
    assert measure.verdict == "cannot be told apart"
    assert judged("m", "measure", limit * 1.01, floor, 2.0, 100).verdict == "close"
    assert judged("m", "measure", 2.01, floor, 2.0, 100).verdict == "apart"
    # Where chance alone reaches beyond what is small, twice its reach is still close.
    assert judged("m", "measure", 2 * limit - 0.26, floor, 0.0, 100).verdict == "close"
    assert judged("m", "measure", 2 * limit - 0.24, floor, 0.0, 100).verdict == "apart"
    assert "cannot be told apart" in measure.sentence
    assert "0.3" in measure.sentence


def test_where_more_is_better_all_is_mirrored() -> None:
    floor = [0.1, 0.3, 0.2, 0.4]
    for value in (0.3, 0.9, 2.01):
        below = judged("m", "measure", value, floor, 0.5, 100)
        mirrored = [1 - each for each in floor]
        above = judged("m", "measure", 1 - value, mirrored, 0.5, 100, higher_is_better=True)
        assert above.verdict == below.verdict
        assert above.limit == pytest.approx(1 - below.limit)
        assert above.beyond_chance == below.beyond_chance


def test_a_measure_whose_limit_is_halfway_to_the_worst_has_no_power() -> None:
    floor = [0.1, 0.3, 0.2, 0.4]
    reach = judged("m", "measure", 0.3, floor, 2.0, 100).limit - 0.25
    for worst, verdict in (
        (0.25 + 1.99 * reach, "no power"),
        (0.25 + 2.01 * reach, "cannot be told apart"),
    ):
        assert judged("m", "measure", 0.3, floor, 2.0, 100, worst=worst).verdict == verdict
    # What it sees all the same counts.
    assert judged("m", "measure", 0.25 + 1.5 * reach, floor, 0, 100, worst=1).verdict == "close"


@pytest.mark.parametrize(("amiss", "verdict"), [(10, "cannot be told apart"), (11, "apart")])
def test_a_share_is_judged_by_counts(amiss: int, verdict: str) -> None:
    """None of 300 fresh: a chance below 1 - 0.01^(1/300), of which 300 values have up to 10."""
    found = judged_share("m", "measure", (amiss, 300), (0, 300), 0.001, 300)
    assert found.verdict == verdict
    assert found.limit == 10 / 300
    assert (
        binom.cdf(9, 300, 1 - 0.01 ** (1 / 300)) < 0.99 <= binom.cdf(10, 300, 1 - 0.01 ** (1 / 300))
    )
    mirrored = judged_share(
        "m", "measure", (amiss, 300), (0, 300), 0.001, 300, higher_is_better=True
    )
    assert (mirrored.value, mirrored.verdict) == (1 - amiss / 300, verdict)


def test_fresh_rows_pass_the_limit_of_shares_less_than_once_in_a_hundred_times() -> None:
    rng = np.random.default_rng(0)
    for chance in (0.001, 0.02, 0.3):
        pairs = Counter(map(tuple, rng.binomial(400, chance, (4000, 2)).tolist()))
        beyond = sum(
            times * judged_share("m", "", (a, 400), (b, 400), 0, 400).beyond_chance
            for (a, b), times in pairs.items()
        )
        assert beyond < 40


def test_a_perfect_model_passes_the_limit_once_in_a_hundred_times() -> None:
    rng = np.random.default_rng(0)
    trials = 5000
    beyond = sum(
        judged("m", "", values[0], values[1:].tolist(), 0, 1).verdict != "cannot be told apart"
        for values in rng.standard_normal((trials, 7))
    )
    assert beyond == pytest.approx(0.01 * trials, abs=4 * math.sqrt(0.01 * trials))


def test_energy_distance_of_perfect_models_is_beyond_chance_as_rarely_as_told() -> None:
    """Its values lean to the right: 3.5 in a hundred, and never far beyond."""
    rng = np.random.default_rng(0)
    trials, verdicts = 400, []
    for _ in range(trials):
        reference, *sets = rng.standard_normal((8, 40, 2))
        value, *floor = (energy_distance(reference, part) for part in sets)
        verdicts.append(judged("m", "", value, floor, 0, 40).verdict)
    beyond = trials - verdicts.count("cannot be told apart")
    assert beyond == pytest.approx(0.035 * trials, abs=3 * math.sqrt(0.035 * trials))
    assert verdicts.count("apart") <= 0.015 * trials


def test_real_rows_cannot_be_told_apart_and_others_can() -> None:
    verdicts = [v for seed in range(4) for v in _verdicts(_sets(1, seed=seed)[0]).values()]
    assert verdicts.count("cannot be told apart") >= len(verdicts) - 2  # 1 in 100 by chance
    assert "apart" not in verdicts
    moved = _verdicts(_sets(1)[0] + 1.0)
    assert moved["classifier_auc"] == moved["energy_distance"] == moved["mmd"] == "apart"
    assert moved["sliced_wasserstein"] == "apart"


def test_copies_of_the_training_rows_are_seen() -> None:
    train = _sets(2, seed=99)[1]
    assert _verdicts(train)["memorisation"] == "apart"


def test_units_do_not_matter() -> None:
    reference, train, *real = _sets(7)
    sample = _sets(1, seed=5)[0] * 1.2

    def values(unit: np.ndarray, offset: float) -> list[float]:
        scaled = [x * unit + offset for x in (sample, reference, *real)]
        found = evaluate(scaled[0], scaled[1], scaled[2:], train * unit + offset)
        return [measure.value for measure in found]

    plain = values(np.ones(2), 0.0)
    assert values(np.array([1e6, 1e-6]), 0.0) == pytest.approx(plain, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("constant", [7.0, 0.1])  # the standard deviation of 0.1s is 7e-17
def test_a_constant_column_does_not_count(constant: float) -> None:
    reference, train, *real = [np.c_[x, np.full(len(x), constant)] for x in _sets(7)]
    sample = np.c_[_sets(1, seed=5)[0], np.full(200, constant)]
    for measure in evaluate(sample, reference, real, train):
        assert math.isfinite(measure.value)
        assert measure.verdict == "cannot be told apart"


def test_the_gap_in_log_density_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_TREES", 2)  # which another measure takes

    def log_density(values: np.ndarray) -> np.ndarray:
        return np.asarray(-0.5 * (values**2).sum(1) - math.log(2 * math.pi))

    rows = _sets(1, 2000, seed=5)[0]
    assert _verdicts(rows, log_density=log_density)["log_density_gap"] == "cannot be told apart"
    # N(0, 1.1²) against N(0, 1) in the plane: a gap of 1.1² - 1 = 0.21 nats.
    assert _verdicts(rows * 1.1, log_density=log_density)["log_density_gap"] == "apart"


def test_too_few_rows_and_other_shapes_are_told() -> None:
    reference, train, *real = _sets(7, 10)
    with pytest.raises(DataError, match="at least 20 rows"):
        next(evaluate(reference, reference, real, train))
    reference, train, *real = _sets(7, 30)
    with pytest.raises(DataError, match="same rows and columns"):
        next(evaluate(reference[:, :1], reference, real, train))


def test_a_sample_with_nan_is_told_and_counted() -> None:
    reference, train, *real = _sets(7)
    sample = _sets(1, seed=5)[0]
    sample[3], sample[5, 0] = np.nan, np.inf
    with pytest.raises(DataError, match=r"^3 of the sample's values are NaN or infinite"):
        next(evaluate(sample, reference, real, train))


def test_rows_that_are_all_alike_are_told() -> None:
    same = np.full((30, 2), 0.1)
    with pytest.raises(DataError, match="every column of the real rows is constant"):
        next(evaluate(same, same, [same, same], same))


def test_few_rows_of_many_columns_are_measured() -> None:
    reference, train, *real, sample = np.random.default_rng(0).standard_normal((9, 20, 100))
    for measure in evaluate(sample, reference, real, train):
        assert math.isfinite(measure.value)
        blind = measure.name in ("classifier_auc", "memorisation")
        assert measure.verdict == ("no power" if blind else "cannot be told apart")


def test_the_seed_decides_the_whole() -> None:
    reference, train, *real = _sets(7)
    sample = _sets(1, seed=5)[0]
    first, again, other = (
        tuple(evaluate(sample, reference, real, train, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_few_points_have_no_power_and_what_is_far_off_is_seen_all_the_same() -> None:
    rng = np.random.default_rng(4)
    reference, *real = rng.normal(size=(7, 24, 2))
    train, near, far = (rng.normal(shift, 1, (n, 2)) for shift, n in ((0, 200), (0, 24), (6, 24)))

    def verdicts(sample: np.ndarray) -> dict[str, str]:
        return {each.name: each.verdict for each in evaluate(sample, reference, real, train)}

    seen = verdicts(near)
    assert seen["classifier_auc"] == seen["memorisation"] == "no power"
    assert verdicts(far)["classifier_auc"] in ("close", "apart")


def test_the_whole_is_as_bad_as_its_worst_and_plain_json() -> None:
    def measure(verdict: Any) -> Measure:
        return Measure("m", "title", 1.0, (0.1, 0.2), 0.3, 0.4, 10, verdict)

    good, fair, bad = (measure(v) for v in ("cannot be told apart", "close", "apart"))
    assert Evaluation((good, good), 10).verdict == "cannot be told apart"
    assert Evaluation((good, fair), 10).verdict == "close"
    assert Evaluation((bad, fair, good), 10).verdict == "apart"
    blind = measure("no power")
    assert Evaluation((good, good, good, good, blind), 10).verdict == "cannot be told apart"
    assert Evaluation((good, good, good, blind), 10).verdict == "no power"
    assert Evaluation((fair, blind, blind), 10).verdict == "close"
    assert Evaluation((good, blind), 10).note.startswith("No power with 10 rows of each: title.")
    assert Evaluation((good, fair), 10).note == ""
    plain = json.loads(json.dumps(Evaluation((good, bad), 10).to_dict()))
    assert plain["verdict"] == "apart"
    assert [m["verdict"] for m in plain["measures"]] == ["cannot be told apart", "apart"]


def test_a_notebook_shows_every_measure() -> None:
    rng = np.random.default_rng(0)
    sample, reference, *real, train = (rng.normal(size=(60, 2)) for _ in range(9))
    found = Evaluation(tuple(evaluate(sample, reference, real, train)), 60)
    shown = found._repr_html_()
    assert shown.count("<tr>") == 1 + len(found.measures)
    assert all(measure.title in shown for measure in found.measures)
    assert f"<b>{found.verdict}</b>" in shown
