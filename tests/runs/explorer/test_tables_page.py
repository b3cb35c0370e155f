"""The page of a table in a real browser, served and as a file: Python's rows, usable by anyone."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from browser import browser
from command_line import leave
from fitted import NOT_IN_THE_PAGE, SHORT, sampled_by
from forked_worker import ForkedWorkers, forked_workers
from sfumato import Run, fit
from sfumato.runs.explorer.page import page_html
from sfumato.runs.explorer.server import Explorer
from sfumato.runs.explorer.tables import carried
from table_tab import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

__all__ = ["browser", "forked_workers"]

# Places of the columns of `fitted.orders_csv` on the page.
ORDERED, SHIPPED, CITY, PRICE, GIFT = range(5)


@pytest.fixture(scope="module")
def orders(of_orders: Run) -> Run:
    return replace(of_orders, data=of_orders.known_data())


@pytest.fixture(scope="module")
def beforehand(orders: Run) -> Run:
    return sampled_by(orders, NOT_IN_THE_PAGE)


@pytest.fixture(scope="module")
def served(browser: "Browser", of_orders: Run, forked_workers: ForkedWorkers) -> Iterator[Tab]:
    assert of_orders.folder is not None
    with Explorer(of_orders.folder) as explorer:
        tab = Tab(browser, explorer.address)
        yield tab
        tab.close()
        home = explorer.address.partition("/?")[0]
        outside = [url for url in tab.asked if not url.startswith((home, "blob:", "data:"))]
        assert outside == []


@pytest.fixture
def fresh(served: Tab) -> Tab:
    """The page as it opens."""
    served.page.set_viewport_size({"width": 1280, "height": 900})
    served.open(served.page.url)
    return served


@pytest.fixture(scope="module")
def file(
    browser: "Browser", beforehand: Run, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tab]:
    path = tmp_path_factory.mktemp("page") / "orders.html"
    beforehand.explore(path)
    tab = Tab(browser, path.as_uri())
    tab.context.set_offline(True)
    yield tab
    tab.close()
    assert all(url.startswith(("file:", "blob:", "data:")) for url in tab.asked)


def prices(rows: Any) -> list[float]:
    found: list[float] = rows.to_pandas()["price"].tolist()
    return found


def test_a_condition_is_drawn_as_sample_and_its_command_draw(
    fresh: Tab, orders: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh.rows("begun", PRICE) == prices(orders.sample(1000))
    fresh.condition(CITY).locator("select").select_option("=上海")
    fresh.page.get_by_label("Rows", exact=True).select_option("500")
    fresh.page.get_by_label("Seed").fill("41")
    fresh.page.get_by_label("Seed").press("Enter")
    fresh.wait()
    assert fresh.condition(CITY).get_by_role("checkbox").is_checked()
    expected = orders.sample(500, seed=41, given={"city": "上海"})
    assert fresh.rows("drawn", PRICE) == prices(expected)
    assert fresh.said("speed").startswith("500 rows in ")
    command = shlex.split(fresh.said("command"))
    assert command[0] == "sfumato"
    assert orders.folder is not None
    monkeypatch.chdir(orders.folder.parent)
    words = [str(tmp_path / word) if word == "rows.csv" else word for word in command[1:]]
    assert leave(shlex.join([*words, "-q"])) == 0
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert rows["price"].tolist() == prices(expected)
    assert set(rows["city"]) == {"上海"}
    # Switched off again, the rows are those it began with.
    fresh.page.get_by_test_id("clear").click()
    fresh.page.get_by_label("Rows", exact=True).select_option("1000")
    fresh.page.get_by_label("Seed").fill("0")
    fresh.page.get_by_label("Seed").press("Enter")
    fresh.page.wait_for_function("() => window.sfumato.tables.drawn.value === null")


@pytest.mark.usefixtures("forked_workers")
def test_a_command_quotes_names_and_texts_that_are_hard_to_give(
    browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    texts = ["", "plain", '"quoted"']
    frame = pd.DataFrame({"a=b": rng.choice(texts, 200), "x": rng.normal(size=200)})
    run = fit(frame, out=tmp_path / "run", settings=SHORT, quiet=True)
    monkeypatch.chdir(tmp_path)
    with Explorer(tmp_path / "run") as explorer:
        tab = Tab(browser, explorer.address)
        for text in texts:
            tab.condition(0).locator("select").select_option(f"={text}")
            tab.wait()
            words = shlex.split(tab.said("command"))[1:]
            words = ["rows.parquet" if word == "rows.csv" else word for word in words]
            assert leave(shlex.join([*words, "-q"])) == 0
            rows = pd.read_parquet("rows.parquet")
            assert set(rows["a=b"]) == {text}
            expected = run.sample(1000, given={"a=b": text})
            assert rows["x"].tolist() == expected["x"].tolist()
        tab.close()


def test_the_keyboard_alone_moves_a_slider(fresh: Tab, orders: Run) -> None:
    slider = fresh.condition(ORDERED).get_by_label("Value of ordered")
    slider.focus()
    fresh.page.keyboard.press("End")
    fresh.page.wait_for_function("() => window.sfumato.tables.drawn.value !== null")
    fresh.wait()
    days = orders.load_data().train.to_pandas()["ordered"]
    assert slider.get_attribute("aria-valuetext") == str(days.max().date())
    expected = orders.sample(1000, given={"ordered": days.max()}).to_pandas()
    assert fresh.rows("drawn", PRICE) == expected["price"].tolist()
    shipped = [value for value in fresh.rows("drawn", SHIPPED) if value is not None]
    assert min(shipped) >= days.max().timestamp() * 1000  # the rule
    fresh.page.keyboard.press("Shift+Tab")
    fresh.page.keyboard.press("Space")
    assert not fresh.condition(ORDERED).get_by_role("checkbox").is_checked()


def test_what_contradicts_a_rule_is_said_and_can_be_undone(fresh: Tab) -> None:
    for column, key in ((ORDERED, "End"), (SHIPPED, "Home")):
        fresh.condition(column).locator("input[type=range]").focus()
        fresh.page.keyboard.press(key)
    refusal = fresh.page.get_by_test_id("refusal")
    refusal.wait_for()
    assert "break the rule 'shipped >= ordered'" in refusal.inner_text()
    assert "Drawn under the conditions" not in fresh.said("legend")  # they are of no conditions
    fresh.page.get_by_test_id("language").click()
    assert "所给的值违反规则 shipped >= ordered" in refusal.inner_text()
    fresh.page.get_by_test_id("language").click()
    assert "break the rule" in refusal.inner_text()
    fresh.page.get_by_test_id("clear").click()
    fresh.wait()
    assert refusal.count() == 0


def test_a_missing_value_is_a_condition_too(fresh: Tab) -> None:
    fresh.condition(SHIPPED).get_by_label("shipped: missing").check()
    fresh.page.wait_for_function("() => window.sfumato.tables.drawn.value !== null")
    assert set(fresh.rows("drawn", SHIPPED)) == {None}
    assert "--given shipped=" in fresh.said("command")


def test_a_row_is_filled_in_many_ways(
    fresh: Tab, orders: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.mode("Fill in a row")
    row = 1
    fresh.page.get_by_test_id("row").fill(str(row + 1))
    fresh.page.get_by_test_id("row").press("Enter")
    cells = fresh.page.get_by_test_id("cells")
    cells.get_by_label("city").check()
    cells.get_by_label("price").check()
    fresh.page.wait_for_function("() => window.sfumato.tables.filled.value?.empty.length === 2")
    assert fresh.page.get_by_test_id("truth").count() == 2
    assert fresh.said("speed").startswith("filled 100 times in ")
    table = fresh.download("row-csv", tmp_path)
    again = orders.complete(table, draws=100)
    assert fresh.rows("filled", PRICE) == [each.to_pandas()["price"][0] for each in again]
    heldout = orders.load_data().heldout
    assert heldout is not None
    assert set(fresh.rows("filled", GIFT)) == {int(heldout.to_pandas()["gift"][row])}
    assert orders.folder is not None
    monkeypatch.chdir(orders.folder.parent)
    words = [
        str(tmp_path / word) if word.endswith(".csv") else word
        for word in shlex.split(fresh.said("command"))[1:]
    ]
    assert leave(shlex.join([*words, "-q"])) == 0
    written = [pd.read_csv(tmp_path / f"filled-{k}.csv")["price"][0] for k in range(1, 101)]
    assert written == fresh.rows("filled", PRICE)
    cells.get_by_label("city").uncheck()
    cells.get_by_label("price").uncheck()
    assert "Tick a cell" in fresh.page.locator(".look").inner_text()


def test_a_row_that_is_none_is_refused_beside_its_field(fresh: Tab) -> None:
    rows = fresh.page.evaluate("() => window.sfumato.tables.real.value.n")
    fresh.mode("Fill in a row")
    box, said = fresh.page.get_by_test_id("row"), fresh.page.locator(".controls [role=alert]")
    box.fill("3")
    box.press("Enter")
    assert said.count() == 0
    for typed in ("0", str(rows + 1), "2.5", ""):
        box.fill(typed)
        box.press("Enter")
        begins = typed or "An empty field"
        assert said.inner_text() == f"{begins} is not a whole number from 1 to {rows}: 3 is kept."
        assert box.input_value() == "3"
    fresh.page.get_by_label("Next row").click()
    assert said.count() == 0
    assert box.input_value() == "4"


def _inked(path: Path) -> float:
    """The share of a picture that is not its paper."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    return float((np.abs(pixels - pixels[0]).sum(1) > 30).mean())


def test_one_column_or_two_are_plotted_as_they_are(fresh: Tab, tmp_path: Path) -> None:
    assert fresh.page.locator("svg.plot").count() == 5
    fresh.condition(GIFT).get_by_role("checkbox").check()
    fresh.page.wait_for_function("() => window.sfumato.tables.drawn.value !== null")
    first, second = (fresh.page.get_by_label(name, exact=True) for name in ("Column", "and"))
    first.select_option(str(PRICE))
    assert fresh.page.get_by_test_id("numbers").locator("tbody tr").count() == 3
    for other, plots in (
        (ORDERED, ["scatter-real", "scatter-drawn"]),
        (CITY, ["strips"]),
    ):
        second.select_option(str(other))
        assert all(fresh.page.get_by_test_id(each).count() == 1 for each in plots)
        assert fresh.page.locator("svg.plot").count() == len(plots)
    first.select_option(str(GIFT))
    # The shares of the cells are those of the rows.
    cells = fresh.page.get_by_test_id("heat-drawn").locator("g > title").all_text_contents()
    share = np.mean(np.array(fresh.rows("drawn", CITY)) == 2)
    assert f"False, 上海: {100 * share:.0f}%" in cells
    assert share > 0.1  # such shares are written without decimals
    picture = fresh.download("png", tmp_path)
    assert picture.name == "orders-csv.png"
    assert 0.01 < _inked(picture) < 0.5


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(width: int, fresh: Tab) -> None:
    fresh.page.set_viewport_size({"width": width, "height": 844})
    for language in ("en", "zh"):
        fresh.page.evaluate(f"() => {{ window.sfumato.language.value = '{language}'; }}")
        for first, second in ((-1, -1), (PRICE, -1), (PRICE, ORDERED), (CITY, PRICE), (CITY, GIFT)):
            fresh.page.evaluate(
                "([first, second]) => { const t = window.sfumato.tables;"
                " t.first.value = first; t.second.value = second; }",
                [first, second],
            )
            wide = fresh.page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= width, (language, first, second)


def test_on_a_phone_a_slider_moves_under_the_plots_that_it_changes(fresh: Tab) -> None:
    height = 844
    fresh.page.set_viewport_size({"width": 390, "height": height})
    plot, slider = fresh.page.locator("svg.plot").first, fresh.condition(PRICE)

    def ends(what: "Locator") -> tuple[float, float]:
        box = what.bounding_box()
        assert box is not None
        return box["y"], box["y"] + box["height"]

    # The plots come first; the conditions are one touch away, at the lower edge.
    assert not slider.is_visible()
    button = fresh.page.get_by_test_id("sheet")
    assert ends(plot)[1] < ends(button)[0] < ends(button)[1] <= height
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    slider.get_by_role("checkbox").first.check()
    fresh.page.wait_for_function("() => window.sfumato.tables.drawn.value !== null")
    plot.evaluate("(each) => each.scrollIntoView()")
    slider.evaluate("(each) => each.closest('.sheet').scrollTo(0, each.offsetTop)")
    assert -1 <= ends(plot)[0] < ends(plot)[1] < ends(button)[0] < ends(slider)[1] <= height
    assert button.inner_text().startswith("Conditions (1)")
    assert fresh.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    button.click()
    assert not slider.is_visible()


def test_both_languages_have_every_sentence(fresh: Tab) -> None:
    fresh.condition(CITY).get_by_role("checkbox").check()
    fresh.page.wait_for_function("() => window.sfumato.tables.drawn.value !== null")
    for mode in (0, 1):
        fresh.page.locator("input[name=mode]").nth(mode).check()
        before = fresh.page.inner_text("body")
        fresh.page.get_by_test_id("language").click()
        after = fresh.page.inner_text("body")
        fresh.page.get_by_test_id("language").click()
        names = ("sfumato ", "runs/", "shipped >= ordered")
        kept = [line for line in before.splitlines() if len(line.split()) > 2 and line in after]
        assert [line for line in kept if not any(name in line for name in names)] == []


def test_every_control_and_plot_has_a_name(fresh: Tab) -> None:
    for mode in (0, 1):
        fresh.page.locator("input[name=mode]").nth(mode).check()
        nameless = fresh.page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, canvas, svg.plot")]
              .filter((each) => !(each.ariaLabel || each.labels?.length || each.textContent.trim()))
              .map((each) => each.outerHTML)"""
        )
        assert nameless == []


# ----------------------------------------------------------------------------- without a server


def test_a_file_says_that_its_rows_were_drawn_beforehand(file: Tab, beforehand: Run) -> None:
    text = file.page.inner_text("body")
    assert "No internet and no server: all rows of this page were drawn beforehand." in text
    assert file.rows("begun", PRICE) == prices(beforehand.sample(5000))
    assert file.page.get_by_test_id("draw").count() == 0


def test_what_a_file_does_without_is_said_in_both_languages(
    browser: "Browser", beforehand: Run, tmp_path: Path
) -> None:
    content, (own, conditions, fillings) = carried(beforehand, 32 * (400 + 5000 + 900 + 100))
    assert own == "drawing by itself (the page does not have the sampler predictor-corrector)"
    path = tmp_path / "small.html"
    path.write_text(page_html(content), encoding="utf-8")
    tab = Tab(browser, path.as_uri())
    assert tab.said("left").strip() == f"This file does without {conditions}, {fillings}."
    tab.page.get_by_test_id("language").click()
    less, of = conditions.split()[0], conditions.split()[2]
    assert tab.said("left").startswith(f"此文件未包含：{of} 个条件中的 {less} 个，")
    tab.close()


def test_a_file_has_one_condition_at_a_time(file: Tab) -> None:
    file.condition(CITY).locator("select").select_option("=Paris")
    assert set(file.rows("drawn", CITY)) == {1}
    assert len(file.rows("drawn", CITY)) == 300
    slider = file.condition(PRICE).get_by_label("Value of price")
    slider.focus()
    file.page.keyboard.press("End")
    assert not file.condition(CITY).get_by_role("checkbox").is_checked()
    (price,) = set(file.rows("drawn", PRICE))
    assert slider.get_attribute("aria-valuetext") == f"{price:g}"
    assert f"--given price={price:g}" in file.said("command")
    file.page.get_by_test_id("clear").click()
    assert file.page.evaluate("() => window.sfumato.tables.drawn.value") is None


def test_a_file_has_rows_that_are_filled_in(file: Tab) -> None:
    file.mode("Fill in a row")
    cells = file.page.get_by_test_id("cells")
    cells.get_by_label("city").check()
    assert len(file.rows("filled", CITY)) == 100
    assert file.page.get_by_test_id("truth").count() == 1
    cells.get_by_label("price").check()
    assert not cells.get_by_label("city").is_checked()
    assert len(set(file.rows("filled", PRICE))) > 10
    assert len(set(file.rows("filled", CITY))) == 1
    file.page.get_by_label("Next row").click()
    assert len(file.rows("filled", PRICE)) == 100
    file.mode("Draw rows")
