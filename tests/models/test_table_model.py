"""What a model of tables draws, fills and scores, beside the law of its exact network."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from exact_table import COVARIANCE, HOLES, MEANS, SHARE_B, exact_model, rows, wide
from sfumato import config
from sfumato.config import recipes
from sfumato.data.codecs.columns import CategoricalCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.data.table import Column, DataTable, concatenate
from sfumato.denoisers.table import SomeNumbers, TableDenoiser
from sfumato.errors import ArgumentError, DataError
from sfumato.likelihood import flow
from sfumato.models import table as table_models
from sfumato.models.build import build_model
from sfumato.models.table import TableModel
from sfumato.networks.table_mlp import TableCondition, TableMLP
from sfumato.runs.run import Run


@pytest.fixture(scope="module")
def model() -> TableModel:
    return exact_model()


def log_prob(model: TableModel, table: DataTable, **options: Any) -> np.ndarray:
    return np.concatenate([each.nats.numpy() for each in model.log_prob_chunks(table, **options)])


def test_the_density_of_a_row_is_the_law_s(model: TableModel) -> None:
    """Levels, numbers and holes: log p(k) p(hole | k) N(x, y | k), or N(x | k) beside a hole."""
    table = rows(["a", "b", "a", "b"], [0.2, -0.7, 1.3, 0.1], [-0.1, 1.5, math.nan, math.nan])
    found = log_prob(model, table, steps=60)
    both = [stats.multivariate_normal(MEANS[k].numpy(), COVARIANCE.numpy()) for k in (0, 1)]
    first = [stats.norm(float(MEANS[k, 0]), math.sqrt(0.5)) for k in (0, 1)]
    expected = [
        math.log(0.7 * 0.9) + both[0].logpdf([0.2, -0.1]),
        math.log(0.3 * 0.4) + both[1].logpdf([-0.7, 1.5]),
        math.log(0.7 * 0.1) + first[0].logpdf(1.3),
        math.log(0.3 * 0.6) + first[1].logpdf(0.1),
    ]
    # The flow's end is taken for N(0, 1), which it is but for the mean over its noise: 1 in 150.
    np.testing.assert_allclose(found, expected, atol=0.015)


def of_y_given_x(k: int, x: float) -> Any:
    """The law of the second number given the word and the first."""
    (var_x, cross), (_, var_y) = COVARIANCE.numpy()
    mean = float(MEANS[k, 1]) + cross / var_x * (x - float(MEANS[k, 0]))
    return stats.norm(mean, math.sqrt(var_y - cross**2 / var_x))


def test_the_density_of_targets_is_that_of_their_conditional_law(model: TableModel) -> None:
    """Of a word by Bayes, of numbers Gaussian, of both their product; a hole is a value."""
    x, y = [0.2, -0.7, 1.3, 0.1], [-0.1, 1.5, math.nan, math.nan]
    table = rows(["a", "b", "a", "b"], x, y)
    code, held = np.array([0, 1, 0, 1]), np.array([True, True, False, False])
    holes = np.where(held, 1 - HOLES.numpy()[code], HOLES.numpy()[code])
    of_y = [
        of_y_given_x(k, at).logpdf(value) if there else 0.0
        for k, at, value, there in zip(code, x, y, held, strict=True)
    ]
    # p(word, the rest), of either word.
    joint = np.zeros((2, 4))
    for k in (0, 1):
        share = math.log((1 - SHARE_B, SHARE_B)[k])
        of_x = stats.norm(float(MEANS[k, 0]), math.sqrt(0.5)).logpdf(x)
        state = np.log(np.where(held, 1 - HOLES.numpy()[k], HOLES.numpy()[k]))
        given = [of_y_given_x(k, a).logpdf(b) if t else 0.0 for a, b, t in zip(x, y, held)]  # noqa: B905
        joint[k] = share + of_x + state + given
    of_word = joint[code, range(4)] - np.logaddexp(*joint)
    np.testing.assert_allclose(log_prob(model, table, target="word"), of_word, atol=1e-6)
    found = log_prob(model, table, target="y", steps=30)
    np.testing.assert_allclose(found, np.log(holes) + of_y, atol=0.015)
    found = log_prob(model, table, target=["y", "x"], steps=30)
    of_x_given_word = stats.norm(MEANS[code, 0].numpy(), math.sqrt(0.5)).logpdf(x)
    np.testing.assert_allclose(found, np.log(holes) + of_y + of_x_given_word, atol=0.015)


def test_densities_of_targets_are_factors_of_the_density_of_a_row(model: TableModel) -> None:
    """Log p(row) = log p(word) + log p(x, y | word) = log p(every column)."""
    table = rows(["a", "b", "a"], [0.2, -0.7, 1.3], [-0.1, 1.5, math.nan])
    whole = log_prob(model, table)
    np.testing.assert_allclose(log_prob(model, table, target=["word", "x", "y"]), whole, atol=1e-9)
    share = np.log([1 - SHARE_B, SHARE_B, 1 - SHARE_B])
    numbers = log_prob(model, table, target=("x", "y"))
    np.testing.assert_allclose(share + numbers, whole, atol=1e-6)
    few = replace(model, codec=replace(model.codec, rows=99))
    seen = log_prob(few, table, target="word") - log_prob(model, table, target="word")
    np.testing.assert_allclose(seen, math.log(0.99), atol=1e-7)
    other = rows(["c"], [0.2], [-0.1])
    # All words that were never seen have 1/(n + 1) together, whatever stands beside them.
    np.testing.assert_allclose(log_prob(few, other, target="word"), math.log(0.01), atol=1e-12)
    # As a condition such a word is not known: the network takes it for b.
    found = log_prob(few, other, target="x")
    same = log_prob(few, rows(["b"], [0.2], [-0.1]), target="x")
    np.testing.assert_allclose(found, same, atol=1e-9)
    for none, reason in (("z", "unknown column that varies 'z'"), ((), "name a column at least")):
        with pytest.raises(ArgumentError, match=reason):
            log_prob(model, table, target=none)


def test_an_estimated_divergence_is_a_row_s_own_and_right_in_the_mean(model: TableModel) -> None:
    table = rows(["a", "b", "a"], [0.2, -0.7, 1.3], [-0.1, 1.5, 0.4])
    exact = log_prob(model, table, steps=3)
    one = log_prob(model, table, steps=3, probes=64)
    turned = log_prob(model, table.take(np.array([2, 0])), steps=3, probes=64)
    assert turned.tolist() == pytest.approx(one[[2, 0]].tolist(), abs=1e-9)
    other = log_prob(model, table, steps=3, probes=64, seed=1)
    assert (other != one).any()  # as many of +1 and -1 give the same
    # Two numbers: 64 directions are +1 and -1 as often as not, give or take an eighth.
    np.testing.assert_allclose(one, exact, atol=0.5)
    more = [log_prob(model, table, steps=3, probes=64, seed=k) for k in range(2, 9)]
    many = np.mean([one, other, *more], axis=0)
    np.testing.assert_allclose(many, exact, atol=0.15)


def seven(seed: int = 0) -> TableModel:
    """Seven correlated numbers and two words, with a network of any weights."""
    mixed = np.random.default_rng(seed).normal(size=(7, 3))
    matrix = mixed @ mixed.T + np.eye(7)
    scale = np.sqrt(np.diag(matrix))
    words = [
        CategoricalCodec(name, "categorical", ("a", "b", "c"), has_missing=False, dtype="object")
        for name in ("one", "two")
    ]
    numbers = [wide(f"x{k}", missing=k < 3) for k in range(7)]
    codec = TableCodec(
        (*words, *numbers), 10**9, ("one", "two", *(each.name for each in numbers)),
        correlations=tuple(map(tuple, (matrix / scale / scale[:, None]).tolist())),
    )  # fmt: skip
    built = build_model(config.resolve(recipes.table(1000, 9)), codec)
    assert isinstance(built, TableModel)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for weights in built.denoiser.network.parameters():
            weights.data.add_(0.05 * torch.randn_like(weights))
    return built


def any_rows(count: int) -> DataTable:
    """Some of the numbers are missing, in no order."""
    rng = np.random.default_rng(1)
    none = np.zeros(count, bool)
    words = [Column(name, rng.choice(["a", "b"], count).astype(object), none)
             for name in ("one", "two")]  # fmt: skip
    numbers = [
        Column(f"x{k}", rng.normal(size=count), rng.random(count) < 0.3 * (k < 3)) for k in range(7)
    ]
    return DataTable((*words, *numbers))


@pytest.mark.parametrize("target", [None, ["x1", "x5"], "two"])
def test_a_row_is_scored_to_the_last_bit_alike_whatever_stands_beside_it(
    target: str | list[str] | None,
) -> None:
    model, table = seven(), any_rows(140)
    turned = np.random.default_rng(2).permutation(140)
    found = log_prob(model, table, target=target, steps=3)
    assert len(set(found.tolist())) > (120 if target != "two" else 6)
    assert log_prob(model, table.take(turned), target=target, steps=3).tolist() == (
        found[turned].tolist()
    )
    for k in (3, 136):
        alone = log_prob(model, table.take(np.array([k])), target=target, steps=3)
        assert alone.tolist() == [found[k]]


def test_rows_of_many_numbers_are_scored_fewer_at_once_and_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, table, sizes = seven(), any_rows(140), []

    def counted(denoise: Any, x_0: torch.Tensor, *args: Any, **options: Any) -> Any:
        sizes.append(len(x_0))
        return flow.log_prob(denoise, x_0, *args, **options)

    monkeypatch.setattr("sfumato.models.table.log_prob", counted)
    found = log_prob(model, table, steps=2)
    monkeypatch.setattr("sfumato.models.table._MANY_NUMBERS", 6)
    many = log_prob(model, table, steps=2)
    assert sizes == [128, 128, 64, 64, 64]
    np.testing.assert_allclose(many, found, rtol=0, atol=1e-4)
    for k in (3, 136):
        assert log_prob(model, table.take(np.array([k])), steps=2).tolist() == [many[k]]
    # Of one number, it is few.
    log_prob(model, table.take(np.array([0])), target="x1", steps=2)
    assert sizes[5:] == [64, 64, 128]


def test_rows_are_encoded_and_scored_a_chunk_at_a_time_and_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, table, encoded = seven(), any_rows(1090), []

    def counted(codec: TableCodec, rows: DataTable, **options: Any) -> Any:
        encoded.append(len(rows))
        return encode(codec, rows, **options)

    encode = TableCodec.encode
    monkeypatch.setattr(TableCodec, "encode", counted)
    found = log_prob(model, table, steps=1)
    assert encoded == [1024, 66]
    last = np.arange(1020, 1090)
    assert found[last].tolist() == log_prob(model, table.take(last), steps=1).tolist()


def test_rows_that_do_not_fit_are_refused_before_any_is_scored() -> None:
    model, table = seven(), any_rows(1090)
    wrong = Column("x4", np.full(1090, "far", object), np.arange(1090) != 1080)
    table = DataTable(tuple(wrong if each.name == "x4" else each for each in table))
    with pytest.raises(DataError, match="column 'x4' holds text, such as 'far' in row 1081"):
        next(model.log_prob_chunks(table))


def test_the_divergence_is_as_by_backward_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = seven(), any_rows(5)
    model.denoiser.network.double()
    found = log_prob(model, table, steps=4)
    monkeypatch.setattr("sfumato.models.table.TracedNumbers", SomeNumbers)
    np.testing.assert_allclose(found, log_prob(model, table, steps=4), rtol=0, atol=1e-9)


class Doubled(TableMLP):
    """A network of a user's own, made from the package's; it does not know that logits may go."""

    def forward(  # type: ignore[override]
        self, x: torch.Tensor, noise: torch.Tensor, condition: TableCondition, *beside: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        numbers, logits = super().forward(x, noise, condition, *beside)
        return 2 * numbers, logits


def test_a_network_s_own_answers_are_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = seven(), any_rows(5)
    own = Doubled(7, model.codec.sizes, width=16, depth=1, beside=7).double()
    for weights in own.parameters():
        torch.nn.init.normal_(weights, std=0.3, generator=torch.Generator().manual_seed(0))
    model = model.with_network(own)
    found = log_prob(model, table, steps=4)
    monkeypatch.setattr("sfumato.models.table.TracedNumbers", SomeNumbers)
    np.testing.assert_allclose(found, log_prob(model, table, steps=4), rtol=0, atol=1e-9)


def test_what_rows_and_orders_have_seen_is_asked_about_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two words, three numbers that may be missing: at most 3^5 - 2^5 kinds of what is seen."""
    model, asked = seven(), []
    logits = TableDenoiser.logits

    def counted(self: TableDenoiser, *args: torch.Tensor) -> torch.Tensor:
        asked.append(args[1])
        return logits(self, *args)

    of_different, held = table_models._logits_of_different, []

    def measured(denoise: TableDenoiser, numbers: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        held.append(len(numbers))
        return of_different(denoise, numbers, seen)

    monkeypatch.setattr(TableDenoiser, "logits", counted)
    monkeypatch.setattr(table_models, "_logits_of_different", measured)
    list(model.log_prob_chunks(any_rows(300), steps=1))
    assert held == [1]  # numbers that are not known stand in memory once
    (seen,) = asked
    assert len(seen) == 256
    assert 90 < len(seen.unique(dim=0)) <= 211
    asked.clear()
    list(model.log_prob_chunks(any_rows(1), steps=1))
    assert [len(each) for each in asked] == [256]


def test_a_row_filled_or_edited_is_to_the_last_bit_alike_whatever_stands_beside_it() -> None:
    model, table, rng = seven(), any_rows(100), np.random.default_rng(3)
    holes = DataTable(
        tuple(replace(each, missing=each.missing | (rng.random(100) < 0.4)) for each in table)
    )
    others, alone = np.r_[0:5, 5 + rng.permutation(90), 95:100], np.arange(5)

    def found(known: DataTable, places: Any) -> list[Any]:
        filled = concatenate(list(model.complete_chunks(known, draws=2, steps=2)))
        edited = concatenate(list(model.edit_chunks(known, 0.5)))
        two = np.repeat(places, 2) * 2 + np.tile([0, 1], len(places))
        both = (*filled.take(two), *edited.take(np.asarray(places)))
        return [(each.values.tolist(), each.missing.tolist()) for each in both]

    kept = [*range(5), *range(95, 100)]
    whole = str(found(holes, kept))
    assert str(found(holes.take(others), kept)) == whole
    assert str(found(holes.take(alone), range(5))) == str(found(holes, range(5)))


def test_frames_of_no_rows_or_of_several_parts_end_with_the_samples() -> None:
    model = seven()
    for n in (0, 70):
        frames = [rows for _, rows in model.frames(n, seed=1, steps=2)]
        assert [len(each) for each in frames] == [n] * 3
        for one, other in zip(frames[-1], model.sample(n, seed=1, steps=2), strict=True):
            assert str(one.values.tolist()) == str(other.values.tolist())


def test_rows_drawn_ask_about_what_is_the_same_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is known, all rows are alike in the first round."""
    model, asked = seven(), []
    logits = TableDenoiser.logits

    def counted(self: TableDenoiser, *args: torch.Tensor) -> torch.Tensor:
        asked.append(args)
        return logits(self, *args)

    monkeypatch.setattr(TableDenoiser, "logits", counted)
    drawn = model.sample(300)
    rounds = len(model.codec.sizes)
    assert [len(seen) for _, seen in asked] == [256] * rounds * 3  # of 64, 192 and 768 rows
    assert [len(asked[k * rounds][1].unique(dim=0)) for k in range(3)] == [1] * 3
    # Of rows that differ in a number alone, each is asked about; what is there twice, once.
    asked.clear()
    known = drawn.take(np.arange(300) // 2)
    emptied = DataTable(
        tuple(replace(each, missing=np.ones(300, bool)) if each.name == "two" else each
              for each in known)
    )  # fmt: skip
    list(model.complete_chunks(emptied, draws=1))
    ((numbers, seen), *_) = asked
    rows = torch.cat([numbers.nan_to_num(nan=9.0), seen], 1)
    assert len(rows.unique(dim=0)) == 32  # of the first 64


def test_what_was_never_seen_has_laplace_s_probability(model: TableModel) -> None:
    few = replace(model, codec=replace(model.codec, rows=99))
    table = rows(["a", "c"], [0.2, 0.2], [-0.1, -0.1])
    seen, found = log_prob(model, table.take(np.array([0]))), log_prob(few, table)
    # Of the second number nothing can be strange, as it has holes.
    assert found[0] == pytest.approx(seen[0] + 2 * math.log(0.99), abs=1e-7)
    # This network takes a word that it does not know for b, but its holes for those of either.
    law = stats.multivariate_normal(MEANS[1].numpy(), COVARIANCE.numpy())
    expected = math.log(0.01 * 0.99) + math.log(0.7 * 0.9 + 0.3 * 0.4) + law.logpdf([0.2, -0.1])
    assert found[1] == pytest.approx(expected, abs=0.06)


@pytest.fixture(scope="module")
def drawn(model: TableModel) -> DataTable:
    return model.sample(2048, seed=1)


def follows_the_law(table: DataTable) -> None:
    """Shares of words and holes, means and covariances: within chance."""
    word, x, y = table
    b = word.values == "b"
    n = len(b)
    assert stats.binomtest(int(b.sum()), n, SHARE_B).pvalue > 1e-3
    for k, of_word in enumerate((~b, b)):
        assert stats.binomtest(int(y.missing[of_word].sum()), int(of_word.sum()),
                               float(HOLES[k])).pvalue > 1e-3  # fmt: skip
        both = of_word & ~y.missing
        pairs = np.stack([x.values[both], y.values[both]])
        tolerance = 4 / math.sqrt(both.sum())
        np.testing.assert_allclose(pairs.mean(1), MEANS[k].numpy(), atol=tolerance)
        np.testing.assert_allclose(np.cov(pairs), COVARIANCE.numpy(), atol=tolerance)
    assert not x.missing.any()


def test_rows_drawn_follow_the_law(drawn: DataTable) -> None:
    follows_the_law(drawn)


def test_along_another_schedule_rows_follow_the_law_too(model: TableModel) -> None:
    follows_the_law(model.sample(3072, seed=4, schedule="ve", grid="karras"))


def test_a_start_part_way_is_a_time_of_the_own_schedule(model: TableModel) -> None:
    with pytest.raises(ArgumentError, match="a start is a time of the run's own schedule"):
        list(model.edit_chunks(model.sample(3), 0.5, schedule="ve"))
    (rows,) = model.edit_chunks(model.sample(3), 1.0, schedule="ve", grid="karras")
    assert len(rows) == 3


def test_a_row_is_the_same_however_many_are_drawn(model: TableModel, drawn: DataTable) -> None:
    few = model.sample(5, seed=1, first=1020)
    for one, all_of_them in zip(few, drawn, strict=True):
        assert (one.values == all_of_them.values[1020:1025]).all()
    for n in (1, 64, 65, 300):
        for one, all_of_them in zip(model.sample(n, seed=1), drawn, strict=True):
            assert (one.values == all_of_them.values[:n]).all()
    # The second chunk draws levels and numbers of its own.
    for name in ("word", "x"):
        assert (drawn[name].values[:1024] != drawn[name].values[1024:]).any()
    other = model.sample(5, seed=2)
    assert not (other["x"].values == drawn["x"].values[:5]).any()


def test_given_a_number_the_rest_follows_the_conditional_law(model: TableModel) -> None:
    table = model.sample(1024, given={"x": 0.4})
    assert (table["x"].values == 0.4).all()
    weights = np.array([0.7, 0.3]) * [
        stats.norm(float(MEANS[k, 0]), math.sqrt(0.5)).pdf(0.4) for k in (0, 1)
    ]
    share_b = float(weights[1] / weights.sum())
    b = table["word"].values == "b"
    assert stats.binomtest(int(b.sum()), 1024, share_b).pvalue > 1e-3
    for k, of_word in enumerate((~b, b)):
        y = table["y"].take(of_word).present
        slope = 0.3 / 0.5
        mean = float(MEANS[k, 1]) + slope * (0.4 - float(MEANS[k, 0]))
        std = math.sqrt(0.4 - slope * 0.3)
        assert abs(y.mean() - mean) < 4 * std / math.sqrt(len(y))
        assert y.std() == pytest.approx(std, abs=4 * std / math.sqrt(2 * len(y)))


def test_given_a_hole_its_column_is_empty_and_words_follow(model: TableModel) -> None:
    table = model.sample(1024, given={"y": None})
    assert table["y"].missing.all()
    share_b = 0.3 * 0.6 / (0.3 * 0.6 + 0.7 * 0.1)
    count = int((table["word"].values == "b").sum())
    assert stats.binomtest(count, 1024, share_b).pvalue > 1e-3


def test_holes_are_filled_by_the_conditional_law_and_the_rest_stays(model: TableModel) -> None:
    holes = rows(["b", "?", "a"], [-0.5, 0.4, 0.3], [math.nan, 0.2, 0.7])
    draws = Run(model, None).complete(holes, draws=600, seed=3)
    for table in draws[:5]:
        assert (table["x"].values == holes["x"].values).all()
        assert table["y"].values[1:].tolist() == [0.2, 0.7]
        assert table["word"].values[[0, 2]].tolist() == ["b", "a"]
        assert not any(column.missing.any() for column in table)
    y = np.array([table["y"].values[0] for table in draws])
    mean, std = 1.0 + 0.6 * (-0.5 + 1.0), math.sqrt(0.4 - 0.18)
    assert abs(y.mean() - mean) < 4 * std / math.sqrt(600)
    assert y.std() == pytest.approx(std, abs=4 * std / math.sqrt(1200))
    # A hole is filled as a value that was there: holes' own odds tell of the word.
    weights = np.array([0.7 * 0.9, 0.3 * 0.4]) * [
        stats.multivariate_normal(MEANS[k].numpy(), COVARIANCE.numpy()).pdf([0.4, 0.2])
        for k in (0, 1)
    ]
    count = sum(table["word"].values[1] == "b" for table in draws)
    assert stats.binomtest(count, 600, float(weights[1] / weights.sum())).pvalue > 1e-3


def test_the_best_guess_is_the_mean_of_numbers_and_the_likeliest_word(model: TableModel) -> None:
    holes = rows(["b", "?"], [-0.5, 0.4], [math.nan, -0.9])
    run = Run(model, None)
    guess = run.complete(holes)
    mean = np.mean([each["y"].values[0] for each in run.complete(holes, draws=run.kind.guesses)])
    assert guess["y"].values[0] == pytest.approx(mean, abs=1e-9)
    std = math.sqrt(0.4 - 0.18)
    assert abs(guess["y"].values[0] - 1.3) < 4 * std / math.sqrt(run.kind.guesses)
    assert guess["word"].values[1] == "a"
    assert guess["x"].values.tolist() == [-0.5, 0.4]


def test_a_table_without_holes_is_given_back(model: TableModel) -> None:
    whole = rows(["b"], [0.5], [1.0])
    (filled,) = Run(model, None).complete(whole, draws=1)
    for found in (Run(model, None).complete(whole), filled):
        assert found.names == whole.names
        for column, known in zip(found, whole, strict=True):
            assert column.values.tolist() == known.values.tolist()
            assert not column.missing.any()


@pytest.mark.parametrize(
    ("given", "error", "fault"),
    [
        ({"z": 1}, ArgumentError, "unknown column 'z'"),
        ({"word": "c"}, ArgumentError, "never was 'c' .*give one of 'a', 'b'"),
        ({"x": "much"}, ArgumentError, "holds a number; got 'much'"),
        ({"x": None}, ArgumentError, "is never empty"),
        ({"x": math.inf}, ArgumentError, "holds a number"),
        ({"x": 1e300}, ArgumentError, "holds a number"),
    ],
)
def test_what_cannot_be_given_is_refused(
    model: TableModel, given: dict[str, object], error: type[Exception], fault: str
) -> None:
    with pytest.raises(error, match=fault):
        model.sample(1, given=given)


@pytest.mark.parametrize(
    "sampling",
    [{"steps": "auto"}, {"guidance": 2.0}, {"clip": 1.0}, {"sampler": "ddmi"}, {"grid": "leading"}],
)
def test_sampling_settings_that_are_not_for_tables_are_refused(
    model: TableModel, sampling: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError):
        model.sample(1, **sampling)


def test_negative_numbers_and_no_draws_are_refused(model: TableModel) -> None:
    for name in ("seed", "first"):
        wrong: dict[str, Any] = {name: -1}
        with pytest.raises(ArgumentError, match=f"`{name}` must not be negative"):
            model.sample(1, **wrong)
    with pytest.raises(ArgumentError, match="`draws` must be at least 1"):
        model.complete_chunks(rows(["b"], [0.5], [1.0]), draws=0)


def edited(model: TableModel, table: DataTable, start: float, **options: Any) -> DataTable:
    return concatenate(list(model.edit_chunks(table, start, **options)))


def test_editing_from_near_clean_keeps_the_rows(model: TableModel, drawn: DataTable) -> None:
    kept = edited(model, drawn, 1e-6)
    for own, before in zip(kept, drawn, strict=True):
        assert own.missing.tolist() == before.missing.tolist()
        if own.values.dtype == object:
            assert own.values.tolist() == before.values.tolist()
        else:  # the least noise of the process is e^-5
            np.testing.assert_allclose(own.present, before.present, rtol=0, atol=0.04)


def test_editing_from_noise_keeps_nothing(model: TableModel) -> None:
    """From one row again and again: what comes out has the law of samples."""
    same = rows(["b"], [-3.0], [3.0]).take(np.zeros(2048, np.int64))
    follows_the_law(edited(model, same, 1.0, seed=5))


def test_rows_of_the_law_that_are_edited_are_rows_of_the_law(model: TableModel) -> None:
    """Words and holes are drawn given what is kept, which leaves their joint law as it is."""
    begun = model.sample(2048, seed=11)
    word, _, y = edited(model, begun, 0.5, seed=5)
    b, n = word.values == "b", len(begun)
    # Half are drawn anew: 0.21 would differ if nothing that is kept told of them.
    assert 0.05 < (word.values != begun["word"].values).mean() < 0.21
    assert stats.binomtest(int(b.sum()), n, SHARE_B).pvalue > 1e-3
    for k, of_word in enumerate((~b, b)):
        found = int(y.missing[of_word].sum()), int(of_word.sum())
        assert stats.binomtest(*found, float(HOLES[k])).pvalue > 1e-3


def test_the_more_noise_the_less_is_kept(model: TableModel, drawn: DataTable) -> None:
    few = drawn.take(np.arange(512))
    moved, changed = [], []
    for start in (0.1, 0.4, 0.8):
        found = edited(model, few, start)
        moved.append(float(np.abs(found["x"].values - few["x"].values).mean()))
        changed.append(float((found["word"].values != few["word"].values).mean()))
    assert moved == sorted(moved)
    assert changed == sorted(changed)


def test_an_edited_row_is_its_own_whatever_follows_it(model: TableModel, drawn: DataTable) -> None:
    whole = edited(model, drawn, 0.6, seed=3)
    some, other = (edited(model, drawn.take(np.arange(7)), 0.6, seed=k) for k in (3, 4))
    for name in drawn.names:
        for part in ("values", "missing"):
            own = getattr(some[name], part).tolist()
            assert own == getattr(whole[name], part).tolist()[:7], name
    assert some["x"].values.tolist() != other["x"].values.tolist()
    # The same row in the next chunk has noise of its own.
    again = edited(model, drawn.take(np.zeros(1030, np.int64)), 0.6)["x"].values
    assert not np.isin(again[1024:], again[:1024]).any()


@pytest.mark.parametrize("start", [0.0, -0.5, 1.01])
def test_a_start_that_is_no_time_is_refused(model: TableModel, start: float) -> None:
    with pytest.raises(ArgumentError, match="the start must be above 0"):
        model.edit_chunks(rows(["b"], [0.5], [1.0]), start)


def test_no_rows_are_edited_to_none(model: TableModel) -> None:
    none = rows(["b"], [0.5], [1.0]).take(np.arange(0))
    assert list(model.edit_chunks(none, 0.5)) == []
    assert len(Run(model, None).edit(none, 0.5)) == 0


def correlated(matrix: np.ndarray) -> TableModel:
    """A model that has learned nothing but correlations: its network answers 0."""
    names = [f"x{k}" for k in range(len(matrix))]
    codec = TableCodec(
        tuple(wide(name, missing=False) for name in names),
        10**9,
        tuple(names),
        correlations=tuple(map(tuple, matrix.tolist())),
    )
    settings = config.resolve(recipes.table(1000, 3))
    built = build_model(settings, codec)
    assert isinstance(built, TableModel)
    return built


TIED = np.array([[1, 0.9999, 0.5], [0.9999, 1, 0.5], [0.5, 0.5, 1]])


def test_without_a_network_the_law_is_the_normal_one_of_its_correlations() -> None:
    """Density, draws and conditional draws of N(0, S), two numbers nearly the same.

    The density is that of rows blurred at the flow's least noise.
    """
    model = correlated(TIED)
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal(np.zeros(3), TIED, 20)
    blurred = TIED + np.eye(3) * float(model.process.at(torch.zeros(1).double()).sigma_ve) ** 2
    table = DataTable(tuple(Column(f"x{k}", own, np.zeros(20, bool)) for k, own in enumerate(z.T)))
    expected = stats.multivariate_normal(np.zeros(3), blurred).logpdf(z)
    np.testing.assert_allclose(log_prob(model, table, steps=30), expected, atol=0.02)

    drawn = np.stack([each.values for each in model.sample(2048)], 1)
    error = 4 * np.sqrt(2 / 2048)
    np.testing.assert_allclose(np.cov(drawn.T), TIED, atol=error + 0.01)
    between = (drawn[:, 1] - drawn[:, 0]).std()
    assert between == pytest.approx(math.sqrt(2 - 2 * 0.9999), rel=0.1)

    given = np.stack([each.values for each in model.sample(2048, given={"x0": 1.5})], 1)
    assert given[:, 1].mean() == pytest.approx(0.9999 * 1.5, abs=0.001)
    assert given[:, 1].std() == pytest.approx(math.sqrt(1 - 0.9999**2), rel=0.1)
    assert given[:, 2].mean() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 / 2048) + 0.01)
    assert given[:, 2].std() == pytest.approx(math.sqrt(0.75), rel=0.05)
