"""Tables with rules whose law is known: what is drawn, filled and scored keeps both.

`start` is N(0, 1) and `end` is `start` + d with d from N(9, 1), never negative here; `total` is
`first` + `second`, two of N(0, 1). All are Gaussian, so that the network's answers are worked out,
whatever is known.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ndtr
from torch import Tensor, nn

from quick import few_guesses, small_chunks
from sfumato import config
from sfumato.config import recipes
from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.codecs.rules import Combination, Relation, stated
from sfumato.data.codecs.table import TableCells, TableCodec, TableRows
from sfumato.data.io.forms import writer
from sfumato.data.table import Column, ColumnType, DataTable, concatenate
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, DataError, RunError
from sfumato.models.build import build_model
from sfumato.models.table import TableModel
from sfumato.networks.table_mlp import TableCondition
from sfumato.process.noise import NoiseLevel
from sfumato.process.parameterisations import edm
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import Cosine
from sfumato.runs.run import Run
from sfumato.training.masking import Masking

# Of start, end, first, second, total and the slack end - start, in units of z.
MIX = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1],
                    [0, 1, 0, 0]]).double()  # fmt: skip
COVARIANCE = MIX @ MIX.T
NAMES = ("start", "end", "first", "second", "total")


class Exact(nn.Module):
    """The answers of a network that has learned the Gaussian law, which is singular."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("one", nn.Parameter(torch.ones(1)))

    def forward(
        self, x: Tensor, number: Tensor, condition: TableCondition
    ) -> tuple[Tensor, Tensor]:
        level = NoiseLevel.from_log_snr(number.expand(len(x)))
        scalings = edm(level)
        alpha, sigma = level.alpha[:, None], level.sigma[:, None]
        known, noisy = condition.is_known, condition.is_noisy
        gain = torch.where(known, 1.0, alpha * noisy)
        noise = torch.where(known, 1e-9, torch.where(noisy, sigma**2, 1.0))
        seen = torch.where(known, condition.known.to(x), x * noisy)
        within = gain[:, :, None] * COVARIANCE * gain[:, None] + torch.diag_embed(noise)
        x_0 = (COVARIANCE * gain[:, None] @ torch.linalg.solve(within, seen[..., None]))[..., 0]
        answer = (x_0 - scalings.c_skip[:, None] * x) / scalings.c_out[:, None]
        return answer * noisy, torch.zeros(len(x), 0).double()


def wide(name: str, middle: float) -> NumericCodec:
    """Its map is x - middle, from -9 to 9."""
    ends = (middle - 9.0, middle + 9.0)
    return NumericCodec(
        name, "continuous", (), False, 0.0, *ends, (0.0, 18.0), (-9.0, 9.0), "float64"
    )  # fmt: skip


ORDER = Relation("end >= start", ("end", "start"), (1.0, -1.0), 0.0, equal=False, derived="end",
                 slack=wide("end >= start", 9.0))  # fmt: skip
SUM = Relation("total = first + second", ("total", "first", "second"), (1.0, -1.0, -1.0), 0.0,
               equal=True, derived="total")  # fmt: skip


@pytest.fixture(scope="module")
def model() -> TableModel:
    middles = (0.0, 9.0, 0.0, 0.0, 0.0)
    parts = tuple(wide(name, middle) for name, middle in zip(NAMES, middles, strict=True))
    codec = TableCodec(parts, 10**9, NAMES, rules=(ORDER, SUM))
    settings = config.resolve(recipes.table(1000, 3))
    process = ContinuousProcess(Cosine(shift=1.0))
    return TableModel(settings, codec, process, TableDenoiser(Exact().double(), edm))


def rows(**columns: list[float]) -> DataTable:
    """NaN is a missing value."""
    return DataTable(
        tuple(Column(n, np.nan_to_num(np.array(v)), np.isnan(v)) for n, v in columns.items())
    )


def values(table: DataTable) -> dict[str, np.ndarray]:
    return {column.name: column.values for column in table}


def keeps_the_rules(table: DataTable) -> None:
    x = values(table)
    assert (x["end"] >= x["start"]).all()
    np.testing.assert_allclose(x["total"], x["first"] + x["second"], rtol=0, atol=1e-12)


def is_normal(found: np.ndarray, mean: float, std: float) -> None:
    n = len(found)
    assert abs(found.mean() - mean) < 4 * std / math.sqrt(n)
    assert found.std() == pytest.approx(std, abs=4 * std / math.sqrt(2 * n))
    assert stats.kstest((found - mean) / std, "norm").pvalue > 1e-4


def test_rows_drawn_keep_the_rules_and_the_law(model: TableModel) -> None:
    drawn = model.sample(2048, seed=1)
    keeps_the_rules(drawn)
    x = values(drawn)
    found = np.cov(np.stack([x[name] for name in NAMES]))
    np.testing.assert_allclose(found, COVARIANCE[:5, :5].numpy(), atol=0.2)
    is_normal(x["start"], 0, 1)
    is_normal(x["end"], 9, math.sqrt(2))
    is_normal(x["total"], 0, math.sqrt(2))


def test_what_a_rule_computes_has_the_digits_of_its_column_s_cells(model: TableModel) -> None:
    of_form = {"start": "1.0D+00", "end": "1.0D+00"}
    parts = tuple(replace(part, form=of_form.get(part.name, "")) for part in model.codec.parts)
    codec = replace(model.codec, parts=parts)
    drawn = TableModel(model.settings, codec, model.process, model.denoiser).sample(512, seed=1)
    keeps_the_rules(drawn)
    for name in of_form:
        cells = map(writer(of_form[name]), drawn[name].values.tolist())
        assert all(re.fullmatch(r"-?[0-9]\.[0-9]D[+-][0-9]{2}", cell) for cell in cells)


def test_a_column_is_rounded_to_where_its_rule_holds(model: TableModel) -> None:
    first, end, *others = model.codec.parts
    codec = replace(model.codec, parts=(first, replace(end, form="1.0D+00"), *others))
    z = torch.zeros(3, 6)
    z[:, 0], z[:, 5] = torch.tensor([1.24, 1.26, 3.01]), 0.001 - 9  # ends just after the start
    found = codec.decode(z, torch.zeros(3, 0, dtype=torch.int64))
    assert found["end"].values.tolist() == [1.3, 1.3, 3.1]


def test_given_the_end_the_start_has_its_conditional_law(model: TableModel) -> None:
    drawn = model.sample(1024, given={"end": 10.5}, seed=2)
    keeps_the_rules(drawn)
    assert (drawn["end"].values == 10.5).all()
    is_normal(drawn["start"].values, 0.75, math.sqrt(0.5))


def test_given_a_total_its_parts_have_their_conditional_law(model: TableModel) -> None:
    drawn = model.sample(1024, given={"total": -1.0}, seed=3)
    keeps_the_rules(drawn)
    for name in ("first", "second"):
        is_normal(drawn[name].values, -0.5, math.sqrt(0.5))


def test_what_is_known_determines_the_rest(model: TableModel) -> None:
    nan = math.nan
    holes = rows(start=[0.1, nan], end=[8.0, 9.5], first=[nan, 0.25], second=[1.5, nan],
                 total=[0.75, -1.75])  # fmt: skip
    for filled in (*Run(model, None).complete(holes, draws=3), Run(model, None).complete(holes)):
        assert filled["first"].values[0] == -0.75
        assert filled["second"].values[1] == -2.0
        keeps_the_rules(filled)


def test_a_best_guess_keeps_the_rules(model: TableModel) -> None:
    nan = math.nan
    holes = rows(start=[0.1, nan, nan], end=[nan, 9.5, nan], first=[nan, 0.25, nan],
                 second=[nan, nan, nan], total=[0.75, nan, nan])  # fmt: skip
    guess = Run(model, None).complete(holes)
    keeps_the_rules(guess)
    assert not any(column.missing.any() for column in guess)
    assert guess["total"].values[0] == 0.75
    assert guess["start"].values[1] == pytest.approx(0.25, abs=4 * math.sqrt(0.5 / 40))


def test_the_density_of_a_row_is_that_of_its_free_coordinates(model: TableModel) -> None:
    table = rows(start=[0.3, -1.0], end=[9.9, 7.5], first=[1.0, -0.4], second=[0.2, 2.0],
                 total=[1.2, 1.6])  # fmt: skip
    found = np.concatenate([each.nats.numpy() for each in model.log_prob_chunks(table, steps=60)])
    x = values(table)
    normal = stats.norm().logpdf
    expected = normal(x["start"]) + normal(x["end"] - x["start"] - 9)
    expected += normal(x["first"]) + normal(x["second"])
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_the_density_of_targets_counts_the_slack_as_the_column(model: TableModel) -> None:
    """What follows from the rest with certainty adds nothing; else it is the free one's density."""
    table = rows(start=[0.3, -1.0], end=[9.9, 7.5], first=[1.0, -0.4], second=[0.2, 2.0],
                 total=[1.2, 1.6])  # fmt: skip
    x, normal = values(table), stats.norm().logpdf

    def given(*target: str) -> np.ndarray:
        chunks = model.log_prob_chunks(table, target=target, steps=20)
        return np.concatenate([each.nats.numpy() for each in chunks])

    between = x["end"] - x["start"] - 9
    np.testing.assert_allclose(given("end"), normal(between), atol=0.02)
    # Of the start given the end: both are normal, and the end is start + N(9, 1).
    of_start = stats.norm((x["end"] - 9) / 2, math.sqrt(0.5)).logpdf(x["start"])
    np.testing.assert_allclose(given("start"), of_start, atol=0.02)
    for certain in ("total", "first", "second"):
        np.testing.assert_allclose(given(certain), 0, atol=2e-4)
    np.testing.assert_allclose(given("total", "first"), normal(x["first"]), atol=0.02)
    of_first = stats.norm(x["total"] / 2, math.sqrt(0.5)).logpdf(x["first"])
    np.testing.assert_allclose(given("second", "first"), of_first, atol=0.02)
    (whole,) = (each.nats.numpy() for each in model.log_prob_chunks(table, steps=20))
    np.testing.assert_allclose(given(*NAMES), whole, atol=1e-3)


def test_a_target_that_breaks_a_rule_has_laplace_s_probability(model: TableModel) -> None:
    few = replace(model, codec=replace(model.codec, rows=99))
    table = rows(start=[0.3], end=[0.2], first=[1.0], second=[0.2], total=[1.3])
    sound = {"start": 0.3, "end": 9.9, "first": 1.0, "second": 0.2, "total": 1.2}
    for target, value in (("end", 0.2), ("start", 12.0), ("total", 1.3)):
        spoiled = rows(**{name: [each] for name, each in {**sound, target: value}.items()})
        (found,) = (e.nats.numpy() for e in few.log_prob_chunks(spoiled, target=target))
        # No column of its own has gaps, but each might be missing, and never was.
        assert found == pytest.approx(math.log(0.01) + math.log(0.99), abs=2e-4)
    with pytest.raises(DataError, match="break the rule 'end >= start'"):
        next(few.log_prob_chunks(table, target="total"))


def test_a_row_that_breaks_a_rule_has_laplace_s_probability(model: TableModel) -> None:
    few = replace(model, codec=replace(model.codec, rows=99))
    sound = rows(start=[0.3], end=[9.9], first=[1.0], second=[0.2], total=[1.2])
    broken = rows(start=[0.3], end=[0.2], first=[1.0], second=[0.2], total=[1.2])
    (found,), (kept,) = (
        np.concatenate([each.nats.numpy() for each in few.log_prob_chunks(t, steps=30)])
        for t in (broken, sound)
    )
    # Of the broken rule is left the density of the start alone.
    assert found - kept == pytest.approx(math.log(0.01 / 0.99) - stats.norm().logpdf(0.6), abs=0.01)


def test_edited_rows_keep_the_rules(model: TableModel) -> None:
    same = rows(start=[0.3], end=[9.9], first=[1.0], second=[0.2], total=[1.2])
    edited = concatenate(list(model.edit_chunks(same.take(np.zeros(500, int)), 0.4, seed=4)))
    keeps_the_rules(edited)
    near = concatenate(list(model.edit_chunks(same, 1e-6)))
    for name in NAMES:
        assert near[name].values[0] == pytest.approx(same[name].values[0], abs=0.05)


def test_frames_end_with_the_samples_and_keep_the_rules(model: TableModel) -> None:
    frames = [table for _, table in model.frames(20, seed=1)]
    for table in frames:
        keeps_the_rules(table)
    assert values(frames[-1])["end"].tolist() == model.sample(20, seed=1)["end"].values.tolist()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            {"start": 3.0, "end": 2.0},
            "the values given break the rule 'end >= start', which was stated: end 2, start 3; ",
        ),
        ({"total": 3.0, "first": 2.0, "second": 2.0}, "break the rule 'total = first"),
    ],
)
def test_conditions_that_break_a_rule_are_one_line(
    model: TableModel, given: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ArgumentError, match=fault):
        model.sample(1, given=given)


def test_rows_to_fill_or_edit_that_break_a_rule_are_one_line(model: TableModel) -> None:
    wrong = rows(start=[0.3, 3.0], end=[9.9, 2.0], first=[1.0, 0.0], second=[0.2, math.nan],
                 total=[1.2, math.nan])  # fmt: skip
    with pytest.raises(
        DataError,
        match=r"row 2: its known values break the rule 'end >= start', .*: end 2, start 3;",
    ):
        list(model.complete_chunks(wrong))


def test_rows_that_break_a_found_rule_are_filled_as_they_are(model: TableModel) -> None:
    """A user who never stated it need not mend them."""
    found = tuple(replace(rule, found=True) for rule in (ORDER, SUM))
    codec = TableCodec(model.codec.parts, 10**9, NAMES, rules=found)
    wrong = rows(start=[3.0], end=[2.0], first=[0.5], second=[math.nan], total=[math.nan])
    (filled,) = Run(replace(model, codec=codec), None).complete(wrong, draws=1)
    x = values(filled)
    assert (x["start"][0], x["end"][0], x["first"][0]) == (3.0, 2.0, 0.5)
    assert x["total"][0] == pytest.approx(x["first"][0] + x["second"][0], abs=1e-12)
    said = "the rule 'end >= start', which holds in all rows that were learned: end 2, start 3"
    with pytest.raises(ArgumentError, match=said):
        replace(model, codec=codec).sample(1, given={"start": 3.0, "end": 2.0})


def test_in_training_the_same_numbers_are_left_out_as_when_rows_are_drawn(
    model: TableModel,
) -> None:
    """Never all of a rule's columns are given: the others would give the last one away."""
    codec, n = model.codec, 4000
    mask = Masking(codec.sizes, codec.states, codec.relations)
    source = torch.Generator().manual_seed(0)
    drawn = TableRows(torch.randn(n, 6, generator=source), torch.zeros(n, 0, dtype=torch.int64))
    condition = mask(drawn, torch.rand(n, mask.draws, generator=source)).condition
    used = condition.is_known | condition.is_noisy
    assert (used[:, [0, 1, 5]].sum(1) == 2).all()
    assert (used[:, 2:5].sum(1) == 2).all()
    nothing = ~condition.is_known.any(1)
    assert nothing.float().mean() > 0.4
    assert not used[nothing][:, [1, 4]].any()  # the end and the total
    # What the known ones determine is known.
    both = condition.is_known[:, 0] & condition.is_known[:, 5]
    assert both.any()
    noisy_total = condition.is_noisy[:, 4]
    assert not noisy_total.any()  # it is left out, or known


# ------------------------------------------------------------------- a small discrete table


def small(n: int = 3000) -> tuple[DataTable, dict[str, ColumnType]]:
    """Days with an order, integers with a sum, cities with their countries; some are missing."""
    rng = np.random.default_rng(3)
    start = rng.integers(0, 4, n)
    first, second = rng.integers(0, 3, n), rng.integers(0, 3, n)
    city = rng.choice(["Oslo", "Bergen", "Rome"], n).astype(object)
    land = np.where(city == "Rome", "it", "no").astype(object)
    day = np.datetime64("2024-01-01", "us")
    columns = {
        "start": day + start * np.timedelta64(1, "D"),
        "end": day + (start + rng.integers(0, 3, n)) * np.timedelta64(1, "D"),
        "first": first, "second": second, "total": first + second, "city": city, "land": land,
    }  # fmt: skip
    missing = {"end": rng.random(n) < 0.2, "city": rng.random(n) < 0.1}
    none = np.zeros(n, bool)
    table = DataTable(tuple(Column(k, v, missing.get(k, none)) for k, v in columns.items()))
    kinds: dict[str, ColumnType] = dict.fromkeys(columns, "integer")
    kinds |= {"start": "date", "end": "date", "city": "categorical", "land": "categorical"}
    return table, kinds


RULES = (
    Relation("end >= start", ("end", "start"), (1.0, -1.0), 0.0, equal=False, derived="end"),
    Relation("total = first + second", ("total", "first", "second"), (1.0, -1.0, -1.0), 0.0,
             equal=True, derived="total"),
    Combination("city, land", ("city", "land")),
)  # fmt: skip


@pytest.fixture(scope="module")
def untrained() -> TableModel:
    """Its numbers are normal as the columns' maps have it; its categories depend on each other."""
    table, kinds = small()
    codec = TableCodec.fit(table, kinds, rules=RULES)
    made = build_model(config.resolve(recipes.table(len(table), 7)), codec)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        weight = made.denoiser.network.category_logits.weight
        weight.copy_(0.2 * torch.randn(weight.shape, generator=source))
    return made  # type: ignore[return-value]


def test_the_probabilities_of_all_rows_have_the_sum_1(untrained: TableModel) -> None:
    codec = untrained.codec
    table, _ = small()
    day = np.datetime64("2024-01-01", "us")
    cities = [("Oslo", "no"), ("Bergen", "no"), ("Rome", "it"), (None, "no"), (None, "it")]
    every = [
        (start, span, a, b, city)
        for start, span, a, b, city in product(
            range(4), (None, 0, 1, 2), range(3), range(3), cities
        )
    ]
    n, one = len(every), np.timedelta64(1, "D")
    start = np.array([day + s * one for s, *_ in every])
    span = np.array([s or 0 for _, s, *_ in every])
    a, b = np.array([x[2] for x in every]), np.array([x[3] for x in every])
    city = np.array([x[4][0] or "" for x in every], object)
    land = np.array([x[4][1] for x in every], object)
    made = {"start": start, "end": start + span * one, "first": a, "second": b, "total": a + b,
            "city": city, "land": land}  # fmt: skip
    missing = {"end": np.array([x[1] is None for x in every]), "city": city == ""}
    none = np.zeros(n, bool)
    rows = DataTable(tuple(Column(k, v, missing.get(k, none)) for k, v in made.items()))
    found = np.concatenate([e.nats.numpy() for e in untrained.log_prob_chunks(rows, steps=12)])
    # The flow ends at a little noise, which costs a thousandth.
    # Beyond the ends of each map lies the mass of half a row, which is drawn as the end itself.
    numbers = {part.name: part for part in (*codec.relations.parts, *codec.relations.slacks)}
    inside = {k: float(ndtr(p.heights[-1]) - ndtr(p.heights[0])) for k, p in numbers.items()}
    there = (~rows["end"].missing).astype(float)
    end_mass = np.where(there, inside["end >= start"], 1)
    share = np.exp(found) / end_mass
    seen = math.log(len(table) / (len(table) + 1)) * (codec.can_be_unseen.sum() + len(RULES))
    expected = inside["start"] * inside["first"] * inside["second"] * math.exp(seen)
    assert share.sum() == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("target", ["end", "start", "city", "land", "total"])
def test_the_probabilities_of_a_target_have_the_sum_1(untrained: TableModel, target: str) -> None:
    """Of all that it may be beside the rest of a row, on grids and in days."""
    codec, day = untrained.codec, np.datetime64("2024-01-01", "us")
    start, end = day + np.timedelta64(2, "D"), day + np.timedelta64(3, "D")
    row = {"start": start, "end": end, "first": 1, "second": 0, "total": 1, "city": "Oslo",
           "land": "no"}  # fmt: skip
    every: dict[str, list[Any]] = {
        "end": [start + k * np.timedelta64(1, "D") for k in range(3)] + [None],
        "start": [end - k * np.timedelta64(1, "D") for k in range(3)],
        "city": ["Oslo", "Bergen", None],
        "land": ["no"],
        "total": [1],
    }
    like = {column.name: column.values.dtype for column in small()[0]}
    empty = np.array([each is None for each in every[target]])
    columns = []
    for name, value in row.items():
        own = every[name] if name == target else [value] * len(empty)
        filler = np.zeros(1, like[name])[0] if like[name].kind != "O" else ""
        held = np.array([filler if each is None else each for each in own], like[name])
        columns.append(Column(name, held, empty if name == target else np.zeros(len(own), bool)))
    (found,) = (
        e.nats.numpy() for e in untrained.log_prob_chunks(DataTable(tuple(columns)), target=target)
    )
    place = codec.columns.index(target)
    rules = sum(target in rule.names for rule in codec.rules)
    seen = math.log(codec.rows / (codec.rows + 1)) * (codec.can_be_unseen[place] + rules)
    # As of whole rows: beyond the map's ends lies a little, which is drawn as the end itself.
    slack = codec.relations.slacks[0]
    inside = float(ndtr(slack.heights[-1]) - ndtr(slack.heights[0]))
    share = np.exp(found - seen)
    share /= np.where(empty, 1, inside) if target in ("end", "start") else 1
    assert share.sum() == pytest.approx(1, rel=3e-3)


def test_rows_drawn_by_any_network_keep_all_rules(untrained: TableModel) -> None:
    drawn = untrained.sample(600, seed=2)
    x = values(drawn)
    there = ~drawn["end"].missing
    assert 0 < there.mean() < 1
    assert (x["end"] >= x["start"])[there].all()
    assert (x["total"] == x["first"] + x["second"]).all()
    city = np.where(drawn["city"].missing, "?", x["city"])
    assert set(zip(city, x["land"], strict=True)) == {
        ("Oslo", "no"), ("Bergen", "no"), ("Rome", "it"), ("?", "no"), ("?", "it")
    }  # fmt: skip
    guess = Run(untrained, None).complete(
        DataTable(
            tuple(
                Column(c.name, c.values, np.random.default_rng(k).random(600) < 0.5)
                for k, c in enumerate(drawn)
            )
        ).take(np.flatnonzero(there & ~drawn["city"].missing)[:100])
    )
    g = values(guess)
    assert (g["end"] >= g["start"]).all()
    assert (g["total"] == g["first"] + g["second"]).all()
    assert set(zip(g["city"], g["land"], strict=True)) <= {
        ("Oslo", "no"), ("Bergen", "no"), ("Rome", "it")
    }  # fmt: skip


def test_a_pair_that_was_not_seen_has_laplace_s_probability(untrained: TableModel) -> None:
    table = small()[0].take(np.array([0]))
    city = "Rome" if table["land"].values[0] == "no" else "Oslo"
    pair = np.array([city], object)
    other = DataTable(
        tuple(Column(c.name, pair, np.zeros(1, bool)) if c.name == "city" else c for c in table)
    )
    (found,) = (each.nats.numpy()[0] for each in untrained.log_prob_chunks(other))
    hidden = [each.nats for each in untrained.log_prob_chunks(table)]
    assert np.isfinite(found)
    assert found < float(hidden[0][0]) - math.log(3000) / 2
    said = "'city, land', of which only the combinations .*: city 'Rome', land 'no'; change one"
    with pytest.raises(ArgumentError, match=said):
        untrained.sample(1, given={"city": "Rome", "land": "no"})


def test_an_unseen_category_beside_what_no_seen_one_goes_with_has_laplace_s_probability() -> None:
    def rows(keys: list[str], *others: list[str]) -> DataTable:
        named = zip(("key", "a", "b"), (keys, *others), strict=True)
        none = np.zeros(len(keys), bool)
        return DataTable(tuple(Column(k, np.array(v, object), none) for k, v in named))

    kinds: dict[str, ColumnType] = dict.fromkeys(("key", "a", "b"), "categorical")
    train = rows(["k0", "k1"] * 20, ["a0", "a1"] * 20, ["b0", "b1"] * 20)
    kept = rows(["k2", "k2"], ["a0", "a0"], ["b1", "b1"])
    rules = Combination("key, a", ("key", "a")), Combination("key, b", ("key", "b"))
    codec = TableCodec.fit(train, kinds, kept, rules)
    model = build_model(config.resolve(recipes.table(len(train), 3)), codec)
    assert isinstance(model, TableModel)
    (nats,) = (each.nats.numpy() for each in model.log_prob_chunks(kept))
    seen = math.log(40 / 41)
    np.testing.assert_allclose(nats, -3 * math.log(41) + 2 * seen, rtol=1e-6)


def test_a_codec_with_rules_goes_through_its_description(untrained: TableModel) -> None:
    import json

    codec = untrained.codec
    plain = json.loads(json.dumps(codec.to_dict()))
    again = TableCodec.from_dict(plain)
    assert again == codec
    table, _ = small()
    back = again.decode(*_pair(again, table))
    for name in ("start", "end", "first", "second", "total"):
        there = ~table[name].missing
        assert (back[name].values[there] == table[name].values[there]).all()
    assert TableCodec.from_dict({k: v for k, v in plain.items() if k != "rules"}).rules == ()


def _pair(codec: TableCodec, table: DataTable) -> tuple[Tensor, Tensor]:
    encoded = codec.encode(table)
    cells = codec.to_learn(table)
    assert isinstance(cells, TableCells)
    assert cells.low.shape == encoded.numeric.shape == (len(table), 6)
    return encoded.numeric, encoded.categories


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"names": ["end", "nobody"]}),
        (0, {"names": ["end", "city"]}),
        (0, {"coefficients": [1.0, 0.0]}),
        (0, {"coefficients": [1.0, math.inf]}),
        (0, {"coefficients": [1.0]}),
        (0, {"derived": "first"}),
        (0, {"slack": None}),
        (0, {"unless": ["city"]}),
        (0, {"constant": "0"}),
        (1, {"equal": False}),
        (1, {"text": 3}),
        (2, {"codes": []}),
        (2, {"codes": [[0, 9]]}),
        (2, {"codes": [[0]]}),
        (2, {"names": ["city", "city"]}),
        (2, {"names": ["city", "start"]}),
    ],
)
def test_a_rule_that_is_not_sound_is_refused(
    untrained: TableModel, place: int, change: dict[str, Any]
) -> None:
    import json

    plain = json.loads(json.dumps(untrained.codec.to_dict()))
    (fields,) = plain["rules"][place].values()
    fields.update(change)
    with pytest.raises(RunError, match="damaged"):
        TableCodec.from_dict(plain)


# ------------------------------------------------------ grids, weights, chains and what is known

RNG = np.random.default_rng(7)
M = 500
SECONDS = RNG.integers(0, 86400 * 300, M)
A, B, P = RNG.integers(0, 50, M), RNG.integers(0, 30, M), RNG.gamma(3, 20, M).round(2)
CHAIN = np.cumsum(RNG.poisson(2, (M, 5)), 1)
LOW = RNG.normal(0, 10, M).round(2)


def moments(seconds: np.ndarray) -> np.ndarray:
    return np.datetime64("2023-01-01", "us") + seconds.astype("timedelta64[s]")


def days(x: np.ndarray) -> np.ndarray:
    return np.asarray(x == x.astype("datetime64[D]"))


CASES: dict[str, tuple[dict[str, np.ndarray], list[str], Any]] = {
    "a moment, then a day": (
        {"t": moments(SECONDS), "due": moments((SECONDS // 86400 + 1 + B) * 86400)},
        ["due >= t"],
        lambda x: (x["due"] >= x["t"]) & days(x["due"]),
    ),
    "a day, then a moment": (
        {"day": moments(SECONDS // 86400 * 86400), "t": moments(SECONDS + 9 * B)},
        ["t >= day"],
        lambda x: (x["t"] >= x["day"]) & days(x["day"]),
    ),
    "weights": (
        {"t": 2 * A + B - 3, "a": A, "b": B},
        ["t = 2 a + b - 3"],
        lambda x: x["t"] == 2 * x["a"] + x["b"] - 3,
    ),
    "an order of multiples": (
        {"a": A, "b": (2 * A + 2) // 3 + B},
        ["2 a <= 3 b"],
        lambda x: 2 * x["a"] <= 3 * x["b"],
    ),
    "a sum of what is in order": (
        {"a": A, "b": A + B, "t": 2 * A + B},
        ["t = a + b", "a <= b"],
        lambda x: (x["t"] == x["a"] + x["b"]) & (x["a"] <= x["b"]),
    ),
    "a chain": (
        dict(zip("abcde", CHAIN.T, strict=True)),
        ["a <= b <= c <= d <= e"],
        lambda x: np.all([x[p] <= x[q] for p, q in zip("abcd", "bcde", strict=True)], axis=0),
    ),
    "one below two": (
        {"a": LOW, "b": (LOW + P).round(2), "c": (LOW + B).round(2)},
        ["a <= b", "a <= c"],
        lambda x: (x["a"] <= x["b"]) & (x["a"] <= x["c"]),
    ),
    "two below one": (
        {"a": A, "b": B, "c": np.maximum(A, B) + CHAIN[:, 0]},
        ["a <= c", "b <= c"],
        lambda x: (x["a"] <= x["c"]) & (x["b"] <= x["c"]),
    ),
    "a sum with a bound": (
        {"a": A, "b": B, "t": A + B, "least": A + B - CHAIN[:, 0], "most": A + B + CHAIN[:, 1]},
        ["t = a + b", "least <= t <= most"],
        lambda x: (x["t"] == x["a"] + x["b"]) & (x["least"] <= x["t"]) & (x["t"] <= x["most"]),
    ),
    "an integer above decimals": (
        {"p": P, "cap": np.ceil(P).astype(np.int64) + B},
        ["cap >= p"],
        lambda x: x["cap"] >= x["p"],
    ),
    "numbers without a grid": (
        {"a": P * math.pi, "b": P * math.pi + B, "f": 1.8 * P * math.pi + 32},
        ["b >= a", "f = 1.8 a + 32"],
        lambda x: (x["b"] >= x["a"]) & (np.abs(x["f"] - 1.8 * x["a"] - 32) < 1e-9),
    ),
    "a sum that is rounded": (
        {"a": P, "b": LOW, "t": np.round(P + LOW)},
        ["t = a + b"],
        lambda x: np.abs(x["t"] - x["a"] - x["b"]) <= 0.5 + 1e-9,
    ),
    "always a week": (
        {"s": moments(86400 * A), "e": moments(86400 * (A + 7))},
        ["e >= s"],
        lambda x: x["e"] - x["s"] == np.timedelta64(7, "D"),
    ),
}


@pytest.fixture
def of_ten_draws() -> Iterator[None]:
    """Whether a best guess keeps the rules does not depend on how many draws it is the mean of."""
    with few_guesses(), small_chunks():
        yield


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("of_ten_draws")
def test_rules_hold_whatever_is_known_and_whatever_the_network_answers(name: str) -> None:
    """Its answers are noise, which leaves ranges and crosses bounds wherever it can."""
    columns, texts, holds = CASES[name]
    none = np.zeros(M, bool)
    table = DataTable(tuple(Column(k, v, none) for k, v in columns.items()))
    kinds: dict[str, ColumnType] = {
        k: {"M": "date", "i": "integer"}.get(v.dtype.kind, "continuous")  # type: ignore[misc]
        for k, v in columns.items()
    }
    # Some values are missing in training, so that they may be when rows are drawn.
    some = RNG.random((len(columns), M)) < 0.15
    torn = DataTable(
        tuple(Column(c.name, c.values, gone) for c, gone in zip(table, some, strict=True))
    )
    for learned in (table, torn):
        codec = TableCodec.fit(learned, kinds, rules=stated(texts, learned, kinds))
        settings = config.resolve(recipes.table(M, 3), {"sampling": {"steps": 4}})
        run = Run(build_model(settings, codec), None)
        for each in (run.draw(300), run.edit(table.take(np.arange(200)), 0.5)):
            full = ~np.any([column.missing for column in each], axis=0)
            assert full.any()
            assert holds({c.name: c.values[full] for c in each}).all()
        few = table.take(np.arange(60))
        holes = RNG.random((len(columns), len(few))) < 0.5
        open_ = DataTable(
            tuple(Column(c.name, c.values, gone) for c, gone in zip(few, holes, strict=True))
        )
        for filled in (*run.complete(open_, draws=2), run.complete(open_)):
            assert holds(values(filled)).all()
            for column, gone in zip(filled, holes, strict=True):
                assert (column.values[~gone] == few[column.name].values[~gone]).all()
