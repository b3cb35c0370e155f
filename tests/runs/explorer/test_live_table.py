"""A file that draws a table's rows by itself: those of Python, one by one, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

import sfumato
from browser import browser
from explorer_pages import read
from fitted import NOT_IN_THE_PAGE, SHORT, sampled_by
from sfumato import Run
from sfumato.data.table import concatenate
from sfumato.errors import ArgumentError
from sfumato.runs import distill
from sfumato.runs.explorer import tables
from sfumato.runs.explorer.live import refuse_live
from sfumato.runs.explorer.page import MOST_CONTENT
from table_tab import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

# The rows on the screen: texts of categories, numbers, milliseconds of dates, null where missing.
ROWS = """(name) => {
  const { columns, [name]: { value } } = window.sfumato.tables;
  return columns.value.map(({ categories }, k) => Array.from(value.rows.columns[k], (each) =>
    categories ? categories[each] ?? null : Number.isNaN(each) ? null : each));
}"""


def frame(n: int = 400) -> pd.DataFrame:
    """Numbers with and without a grid, with missing and frequent values and a gap; dates; words."""
    rng = np.random.default_rng(7)
    size = rng.gamma(2, 3, n)
    days = rng.integers(0, 900, n)
    return pd.DataFrame(
        {
            "size": size,
            "price": np.where(
                rng.random(n) < 0.2, np.nan, (9 * size + rng.normal(0, 4, n)).round(2)
            ),
            "stock": np.where(rng.random(n) < 0.3, 0, rng.poisson(900, n)),
            "code": np.where(rng.random(n) < 0.1, -999, rng.normal(5, 1, n).round(1)),
            "when": pd.Timestamp("2023-01-05") + pd.to_timedelta(days, unit="D"),
            "grade": rng.integers(1, 5, n),
            "city": np.where(size > 7, "Oslo", rng.choice(["上海", "Paris"], n)),
            "open": rng.random(n) < 0.7,
            "note": [None if share < 0.4 else "late" for share in rng.random(n)],
        }
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("shop")
    frame().to_csv(folder / "shop.csv", index=False)
    settings = SHORT | {"network.width": 24, "network.depth": 2, "sampling.steps": 9}
    run = sfumato.fit(folder / "shop.csv", settings=settings, out=folder / "run", quiet=True)
    assert not run.model.codec.rules
    assert not run.model.codec.repeats
    kinds = {part.name: (part.kind, bool(part.sizes)) for part in run.model.codec.parts}
    assert kinds["price"] == ("continuous", True)  # a number or missing
    assert kinds["stock"] == ("integer", True)  # a number or 0
    assert run.model.codec.parts[3].point_masses == (-999.0,)
    assert kinds["when"][0] == "date"
    return run


class File(Tab):
    """A file, open without a network."""

    def __init__(self, browser: "Browser", path: Path) -> None:
        super().__init__(browser, path.as_uri())
        self.context.set_offline(True)

    def set(self, **values: Any) -> None:
        """Signals of the page, and until what they ask for is drawn."""
        for name, value in values.items():
            self.page.evaluate(
                "([name, value]) => { window.sfumato.tables[name].value = value; }", [name, value]
            )
        self.page.wait_for_timeout(100)  # a change waits for the next one
        self.wait()

    def given(self, **values: Any) -> None:
        self.page.evaluate(
            """(values) => {
              const { columns, conditions } = window.sfumato.tables;
              conditions.value = new Map(Object.entries(values).map(([name, value]) =>
                [columns.value.findIndex((each) => each.name === name), { on: true, value }]));
            }""",
            values,
        )
        self.set()

    def shown(self, name: str, run: Run) -> pd.DataFrame:
        found = self.page.evaluate(ROWS, name)
        return pd.DataFrame(dict(zip(run.model.codec.columns, found, strict=True)))


def opened(browser: "Browser", run: Run, path: Path) -> Iterator[File]:
    """The run's file, of which nothing is left out, and which asks for nothing from elsewhere."""
    assert run.explore(path).left == ()
    tab = File(browser, path)
    yield tab
    assert all(url.startswith(("file:", "blob:", "data:")) for url in tab.asked)
    tab.close()


@pytest.fixture(scope="module")
def tab(browser: "Browser", shop: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    yield from opened(browser, shop, tmp_path_factory.mktemp("page") / "shop.html")


def assert_same(found: pd.DataFrame, rows: Any) -> None:
    """The same rows: words exactly; numbers to 1e-4 of their spread, as 32 bits may differ so."""
    expected = (rows if isinstance(rows, pd.DataFrame) else rows.to_pandas())[list(found)]
    assert len(found) == len(expected)
    for name in found:
        ours, theirs = found[name], expected[name]
        np.testing.assert_array_equal(ours.isna(), theirs.isna(), err_msg=name)
        there = ~ours.isna()
        if theirs.dtype.kind == "M":
            theirs = theirs.astype("datetime64[ms]").astype(np.int64)
        if pd.api.types.is_bool_dtype(theirs) or not pd.api.types.is_numeric_dtype(theirs):
            np.testing.assert_array_equal(
                ours[there].astype(str), theirs[there].astype(str), err_msg=name
            )
        elif name == "grade":  # a few whole numbers are categories
            np.testing.assert_array_equal(ours[there].astype(int), theirs[there].astype(int))
        elif there.any():
            off = np.abs(ours[there].astype(float) - theirs[there].astype(float))
            # A value on a grid is the next one where 32 bits round the other way.
            spread = float(theirs[there].astype(float).std()) or 1.0
            assert (off < 1e-4 * spread).mean() > 0.995, name


def test_the_file_draws_the_rows_of_sample(tab: File, shop: Run) -> None:
    text = tab.page.inner_text("body")
    assert "No internet and no server: everything here is computed in this page." in text
    tab.set(seed=41, count=1500)
    assert_same(tab.shown("drawn", shop), shop.sample(1500, seed=41))


@pytest.mark.parametrize(
    "given",
    [
        {"city": "Paris", "price": 44.37},
        {"stock": 0, "code": -999, "open": "false"},
        {"stock": 905, "code": 5.3, "grade": "2"},
        {"price": None, "note": None, "size": 6.25},
    ],
)
def test_under_any_conditions_too(given: dict[str, Any], tab: File, shop: Run) -> None:
    texts = {
        each["name"]: each for each in read(tables.carried(shop, MOST_CONTENT)[0])[0]["columns"]
    }
    shown = {
        name: next(text for text in texts[name]["categories"] if text.lower() == value.lower())
        if isinstance(value, str) else value
        for name, value in given.items()
    }  # fmt: skip
    tab.set(seed=5, count=500)
    tab.given(**shown)
    asked = {name: int(value) if name == "grade" else value for name, value in given.items()}
    assert_same(tab.shown("drawn", shop), shop.sample(500, seed=5, given=asked))
    assert tab.page.get_by_test_id("speed").inner_text().startswith("500 rows in")
    tab.given()


def test_of_a_value_in_a_gap_the_nearest_stands_for_it_and_it_is_said(tab: File, shop: Run) -> None:
    tab.set(seed=5, count=200)
    tab.given(code=-400)
    assert_same(tab.shown("drawn", shop), shop.sample(200, seed=5, given={"code": -400}))
    condition = shop.model.condition({"code": -400})
    assert "between known values" in shop.kind.unseen(shop.model, condition)[0]
    assert "Nothing near this value of code" in tab.page.inner_text("body")
    tab.page.get_by_test_id("language").click()
    assert "训练中没有出现过接近此值的 code" in tab.page.inner_text("body")
    tab.page.get_by_test_id("language").click()
    tab.given(code=5)
    assert "Nothing near this value" not in tab.page.inner_text("body")
    tab.given()


def test_a_date_is_a_condition(tab: File, shop: Run) -> None:
    tab.set(seed=5, count=300)
    tab.given(when=pd.Timestamp("2024-02-29").timestamp() * 1000)
    rows = shop.sample(300, seed=5, given={"when": "2024-02-29"})
    assert_same(tab.shown("drawn", shop), rows)
    tab.given()


def test_a_row_is_filled_in_as_complete_fills_it(tab: File, shop: Run) -> None:
    real, _ = tables.real_rows(shop)
    columns = shop.model.codec.columns
    place = int(np.flatnonzero(~np.stack([each.missing for each in real]).any(0))[0])
    tab.set(mode="fill", row=place, seed=8)
    names = ["price", "city", "when"]
    tab.page.evaluate(
        "(at) => { window.sfumato.tables.emptied.value = new Set(at); }",
        [columns.index(name) for name in names],
    )
    tab.set()
    row = tables.emptied(real.take(np.array([place])), names)
    filled = concatenate(shop.filled(row, 100, seed=8))
    found = tab.shown("filled", shop)
    expected = pd.DataFrame({each.name: each.values for each in filled})
    assert_same(found[names], expected[names])
    tab.set(mode="draw")


def test_a_few_step_map_draws_in_the_page(
    browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(distill._RECIPES, "table", (200, 6, 0.5, 1))  # little is learned
    settings = SHORT | {"network.width": 24, "network.depth": 1, "sampling.few": 2}
    few = sfumato.fit(frame(), settings=settings, out=tmp_path / "run", quiet=True)
    assert few.model.settings.sampling.few == 2
    few.explore(tmp_path / "few.html")
    tab = File(browser, tmp_path / "few.html")
    tab.set(seed=3, count=400)
    assert_same(tab.shown("drawn", few), few.sample(400, seed=3))
    calls = len(few.model.codec.sizes) + 2
    assert f"{calls} network calls" in tab.page.get_by_test_id("speed").inner_text()
    tab.close()


@pytest.mark.parametrize("sampler", ["heun", "ddim", "ancestral", "unipc", "dpm++3m-sde"])
def test_other_samplers_draw_so_too(
    sampler: str, shop: Run, browser: "Browser", tmp_path: Path
) -> None:
    run = sampled_by(shop, sampler)
    run.explore(tmp_path / "shop.html")
    tab = File(browser, tmp_path / "shop.html")
    tab.set(seed=6, count=200)
    assert_same(tab.shown("drawn", run), run.sample(200, seed=6))
    tab.close()


def test_categories_that_may_stand_together_do(browser: "Browser", tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    towns = pd.DataFrame(
        [("Oslo", "NO", "nok"), ("Bergen", "NO", "nok"), ("Lyon", "FR", "eur"),
         ("Bonn", "DE", "eur"), ("Paris", "FR", "eur")], columns=["town", "land", "coin"],
    )  # fmt: skip
    table = towns.iloc[rng.integers(0, 5, 300)].reset_index(drop=True)
    table["size"] = rng.normal(size=300)
    settings = SHORT | {"network.width": 16, "data.rules": ["town, land", "land, coin"]}
    run = sfumato.fit(table, settings=settings, out=tmp_path / "run", quiet=True)
    run.explore(tmp_path / "towns.html")
    tab = File(browser, tmp_path / "towns.html")
    tab.set(seed=3, count=500)
    assert_same(tab.shown("drawn", run), run.sample(500, seed=3))
    tab.given(coin="eur")
    found = tab.shown("drawn", run)
    assert_same(found, run.sample(500, seed=3, given={"coin": "eur"}))
    assert set(found["land"]) == {"FR", "DE"}
    tab.given(town="Oslo", coin="eur")
    said = "No row of training has these values of town, coin together; change one of them."
    assert tab.page.get_by_test_id("refusal").inner_text() == said
    tab.close()


def payments(n: int = 3400) -> pd.DataFrame:
    """Amounts of one unit, with frequent and missing ones, and an age."""
    rng = np.random.default_rng(3)
    limit = rng.lognormal(9, 1, n)
    bill = limit * np.where(rng.random(n) < 0.4, rng.normal(0.98, 0.01, n), rng.random(n))
    paid = bill * np.where(rng.random(n) < 0.6, rng.normal(1, 0.01, n), rng.random(n))
    paid = np.where(rng.random(n) < 0.1, bill, paid)
    return pd.DataFrame(
        {
            "limit": np.where(rng.random(n) < 0.05, np.nan, limit),
            "bill": np.where(rng.random(n) < 0.1, 0, bill),
            "paid": np.where(rng.random(n) < 0.2, 0, paid),
            "age": rng.normal(40, 9, n),
        }
    )


def test_numbers_of_one_unit_are_compared_in_the_page(browser: "Browser", tmp_path: Path) -> None:
    settings = SHORT | {"network.width": 24, "network.depth": 2, "sampling.steps": 9}
    run = sfumato.fit(payments(), settings=settings, out=tmp_path / "run", quiet=True)
    assert run.data is not None
    told = run.kind.describe(run.data, run.model)
    assert told[-1] == "Of one unit, as their values are often close: limit, bill, paid"
    (unit,) = run.model.codec.units
    assert unit.names == ("limit", "bill", "paid")
    assert run.model.codec.repeats
    with contextmanager(opened)(browser, run, tmp_path / "page.html") as tab:
        tab.set(seed=41, count=1000)
        assert_same(tab.shown("drawn", run), run.sample(1000, seed=41))
        given = {"limit": run.sample(1)["limit"][0]}
        tab.given(**given)
        assert_same(tab.shown("drawn", run), run.sample(1000, seed=41, given=given))


def bound_frame(n: int = 700) -> pd.DataFrame:
    """Sums, scales and orders of numbers and dates, some missing; numbers that repeat others."""
    rng = np.random.default_rng(11)
    net, tax = rng.gamma(2, 30, n).round(2), rng.gamma(1, 9, n).round(2)
    warm = rng.normal(12, 8, n).round(1)
    days = pd.Timestamp("2023-03-01") + pd.to_timedelta(rng.integers(0, 500, n), unit="D")
    sent = days + pd.to_timedelta(rng.integers(0, 9, n), unit="D")
    here = sent + pd.to_timedelta(rng.integers(0, 5, n), unit="D")
    low = rng.normal(0, 1, n)
    price = rng.lognormal(7, 1, n).round(2)
    paid = np.where(rng.random(n) < 0.3, price, rng.lognormal(6, 1, n).round(2))
    back = np.where(rng.random(n) < 0.3, paid, rng.lognormal(5, 1, n).round(2))
    offer = np.where(rng.random(n) < 0.3, price, rng.lognormal(6, 1, n).round(2))
    small, load = rng.integers(0, 40, n), rng.gamma(3, 20, n)
    return pd.DataFrame(
        {
            "net": net,
            "tax": tax,
            "total": (net + tax).round(2),
            "tip": np.where(rng.random(n) < 0.25, np.nan, (tax * rng.random(n)).round(2)),
            "warm": warm,
            "fahrenheit": (1.8 * warm + 32).round(2),
            "ordered": days,
            "sent": sent.where(rng.random(n) < 0.8),
            "here": here,
            "low": low,
            "high": low + rng.gamma(1, 1, n) * (rng.random(n) < 0.8),
            "price": price,
            "paid": paid,
            "back": np.where(rng.random(n) < 0.1, np.nan, back),
            "offer": offer,
            "small": small,
            "large": 2 * small - 3 + rng.poisson(6, n),
            "load": load,
            "boxes": np.ceil(0.7 * load).astype(int) + rng.poisson(0.5, n),
            "city": np.where(net > 50, "Oslo", rng.choice(["Bonn", "Paris"], n)),
        }
    )


RULES = ["total = net + tax", "0 <= tip <= tax", "fahrenheit = 1.8 warm + 32",
         "ordered <= sent", "sent <= here", "low <= high", "2 small <= large + 3",
         "boxes >= 0.7 load"]  # fmt: skip


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("bound")
    bound_frame().to_csv(folder / "bound.csv", index=False)
    settings = SHORT | {"network.width": 24, "network.depth": 2, "sampling.steps": 9}
    run = sfumato.fit(
        folder / "bound.csv", settings=settings | {"data.rules": RULES}, out=folder / "run",
        quiet=True,
    )  # fmt: skip
    codec = run.model.codec
    # Where `sent` is missing its neighbours are bound to each other.
    assert [rule.text for rule in codec.relations.rules if rule.unless] == ["here >= ordered"]
    assert len(codec.relations.slacks) == 7
    assert {part.name: part.repeats for part in codec.parts if part.is_numeric and part.repeats} \
        == {"paid": "price", "back": "paid", "offer": "price"}  # fmt: skip
    return run


@pytest.fixture(scope="module")
def of_bound(
    browser: "Browser", bound: Run, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[File]:
    yield from opened(browser, bound, tmp_path_factory.mktemp("page") / "bound.html")


def asked_of_page(value: Any) -> Any:
    return pd.Timestamp(value).timestamp() * 1000 if isinstance(value, str) else value


def assert_kept(rows: pd.DataFrame) -> None:
    """The rules hold on the screen, as far as floats do."""
    np.testing.assert_allclose(rows["total"], rows["net"] + rows["tax"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(rows["fahrenheit"], 1.8 * rows["warm"] + 32, rtol=0, atol=1e-9)
    for low, high in ("tip", "tax"), ("ordered", "sent"), ("sent", "here"), ("ordered", "here"):
        assert not (rows[low].astype(float) > rows[high].astype(float)).any(), (low, high)
    assert (rows["low"] <= rows["high"] + 1e-12).all()
    assert (2 * rows["small"] <= rows["large"] + 3).all()
    assert (rows["boxes"] >= 0.7 * rows["load"]).all()


def test_rules_of_numbers_and_repeats_are_kept_in_the_page(of_bound: File, bound: Run) -> None:
    of_bound.set(seed=4, count=1100)
    found, rows = of_bound.shown("drawn", bound), bound.sample(1100, seed=4)
    assert_same(found, rows)
    assert_kept(found)
    repeated = found["paid"] == found["price"]
    np.testing.assert_array_equal(repeated, rows.to_pandas()["paid"] == rows.to_pandas()["price"])
    assert repeated.mean() > 0.1


@pytest.mark.parametrize(
    "given",
    [
        {"total": 50.25},
        {"total": 50.25, "tax": 8.5},
        {"tip": 3.2, "net": 20},
        {"fahrenheit": 55.4},
        {"here": "2023-03-03"},
        {"ordered": "2023-05-01", "here": "2023-05-01"},
        {"sent": None, "here": "2023-05-01"},
        {"low": 0.1 + 0.2, "high": 0.3},  # as equal as floats are
        {"large": 20},
        {"boxes": 30, "small": 7},
        {"price": 1000.5, "paid": 1000.5},
        {"paid": 612.4},
        {"paid": 612.4, "offer": 612.4},
        {"offer": 30.5},  # less than any price
        {"back": 612.4},
        {"back": 612.4, "price": 612.4},
    ],
)
def test_rules_and_repeats_hold_under_conditions_too(
    given: dict[str, Any], of_bound: File, bound: Run
) -> None:
    of_bound.set(seed=5, count=300)
    of_bound.given(**{name: asked_of_page(value) for name, value in given.items()})
    found = of_bound.shown("drawn", bound)
    assert_same(found, bound.sample(300, seed=5, given=given))
    assert_kept(found)
    of_bound.given()


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"total": 50, "tax": 8, "net": 40}, "total = net + tax"),
        ({"ordered": "2023-05-02", "here": "2023-05-01"}, "here >= ordered"),
        ({"tip": 7.5, "tax": 7.25}, "0 <= tip <= tax"),
        ({"tip": -1}, "0 <= tip <= tax"),
    ],
)
def test_conditions_that_break_a_rule_of_numbers_are_refused(
    given: dict[str, Any], rule: str, of_bound: File, bound: Run
) -> None:
    with pytest.raises(ArgumentError, match="the values given break") as refused:
        bound.sample(1, given=given)
    assert refused.value.values["rule"] == rule
    of_bound.given(**{name: asked_of_page(value) for name, value in given.items()})
    said = of_bound.page.get_by_test_id("refusal")
    assert said.inner_text() == f"These values break the rule {rule}; change one of them."
    of_bound.page.get_by_test_id("language").click()
    assert said.inner_text() == f"这些值违反规则 {rule}；请改动其中之一。"
    of_bound.page.get_by_test_id("language").click()
    of_bound.given()


@pytest.mark.parametrize(
    "names",
    [["total", "net"], ["tax"], ["sent", "low"], ["here", "ordered", "fahrenheit"], ["price"],
     ["paid", "back", "high"], ["price", "paid", "tip", "large"]],
)  # fmt: skip
def test_rows_of_bound_columns_are_filled_in_as_complete_fills_them(
    names: list[str], of_bound: File, bound: Run
) -> None:
    real, _ = tables.real_rows(bound)
    columns, frame = bound.model.codec.columns, real.to_pandas()
    equal = frame["back"].eq(frame["paid"]) & frame["paid"].eq(frame["price"])
    place = int(np.flatnonzero(frame.notna().all(axis=1) & equal)[0])
    of_bound.set(mode="fill", row=place, seed=8)
    of_bound.page.evaluate(
        "(at) => { window.sfumato.tables.emptied.value = new Set(at); }",
        [columns.index(name) for name in names],
    )
    of_bound.set()
    filled = concatenate(
        bound.filled(tables.emptied(real.take(np.array([place])), names), 100, seed=8)
    )
    expected = pd.DataFrame({each.name: each.values for each in filled})
    assert_same(of_bound.shown("filled", bound)[names], expected[names])
    of_bound.set(mode="draw")


def test_of_another_sampler_rows_are_drawn_beforehand(of_orders: Run) -> None:
    run = sampled_by(of_orders, NOT_IN_THE_PAGE)
    header, _ = read(tables.carried(run, MOST_CONTENT)[0])
    assert header["live"] is None
    assert header["stored"]["draws"] == 100
    assert header["stored"]["why"]["code"] == "page-sampler"


def test_why_rows_are_drawn_beforehand_is_on_the_page(
    browser: "Browser", of_orders: Run, tmp_path: Path
) -> None:
    sampled_by(of_orders, NOT_IN_THE_PAGE).explore(tmp_path / "orders.html")
    tab = File(browser, tmp_path / "orders.html")
    said = tab.page.get_by_test_id("why")
    assert said.inner_text().strip() == (
        "The page does not draw by itself: the page does not have the sampler predictor-corrector."
    )
    tab.page.get_by_test_id("language").click()
    assert said.inner_text().strip() == "本页不自行生成：页面没有采样器 predictor-corrector。"
    tab.close()


def test_another_sampler_or_network_is_a_reason(shop: Run) -> None:
    model: Any = shop.model
    other: Any = sampled_by(shop, "runge-kutta").model
    with pytest.raises(ArgumentError, match="does not have the sampler runge-kutta") as refused:
        refuse_live(other)
    assert refused.value.code == "page-sampler"
    own = replace(model, denoiser=replace(model.denoiser, network=nn.Linear(2, 2)))
    with pytest.raises(ArgumentError, match="does not have the network Linear"):
        refuse_live(own)


def test_what_has_no_place_is_drawn_beforehand(shop: Run) -> None:
    whole = tables.carried(shop, MOST_CONTENT)[0]
    assert read(whole)[0]["stored"] is None
    header, _ = read(tables.carried(shop, len(whole) - 1)[0])
    assert header["live"] is None
    assert header["stored"]["why"]["code"] == "page-weights"
