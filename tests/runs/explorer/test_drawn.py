"""The served page in a real browser: painted, fitted, stopped and gone on with, all by hand."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import sfumato
from browser import browser
from forked_worker import ForkedWorkers, forked_workers
from sfumato.runs.explorer.server import Explorer
from sfumato.runs.run import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "forked_workers"]

LONG = 100_000  # steps: such a fit is not over before it is stopped
WHOLE = "() => !window.sfumato.busy.value && window.sfumato.frames.learned.value !== null"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the runs lie."""
    made = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


@pytest.fixture(scope="module")
def explorer(folder: Path, forked_workers: ForkedWorkers) -> Iterator[Explorer]:
    with Explorer() as running:
        yield running


@pytest.fixture
def served(browser: "Browser", explorer: Explorer) -> Iterator["Page"]:
    errors: list[str] = []
    outside: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda asked: outside.append(asked.url))
    page.goto(explorer.address)
    page.evaluate("() => { window.sfumato.count.value = 500; }")  # the fewest that it offers
    yield page
    context.close()
    home = explorer.address.partition("/?")[0]
    assert not errors, errors
    assert all(url.startswith((home, "blob:", "data:")) for url in outside), outside


def _steps(page: "Page", steps: int) -> None:
    page.get_by_label("Training steps").fill(str(steps))
    page.get_by_label("Training steps").press("Tab")


def _stop(page: "Page", folder: Path) -> int:
    """Stop the fit; the step that it had reached."""
    page.get_by_test_id("stop").click()
    page.get_by_test_id("go-on").wait_for()
    return int(sfumato.open(folder).records()[-1]["step"])


def _shown(page: "Page", run: Run) -> np.ndarray:
    """The samples on the page, in the units of the data."""
    page.wait_for_function(WHOLE)
    drawn = page.evaluate(
        """() => {
          const { frames, stateAt } = window.sfumato, held = frames.learned.value;
          return Array.from(stateAt(held, held.levels.length - 1));
        }"""
    )
    return np.asarray(run.model.codec.decode(torch.tensor(drawn).reshape(-1, 2)))


def _until_known(page: "Page") -> None:
    """Until the page has been told how things stand."""
    page.locator("option", has_text="moons").wait_for(state="attached")


def _open_panel(page: "Page") -> None:
    """Where one fits, if a run has its place."""
    _until_known(page)
    if not page.get_by_test_id("paper").is_visible():
        page.get_by_test_id("draw-button").click()


def _paint_a_ring(page: "Page") -> None:
    box = page.get_by_test_id("paper").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + 70, y)
    page.mouse.down()
    for k in range(61):
        angle = 2 * math.pi * k / 60
        page.mouse.move(x + 70 * math.cos(angle), y - 70 * math.sin(angle))
    page.mouse.up()


def test_a_file_with_faults_is_answered_with_what_is_wrong(served: "Page", tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("x,y\n1.5,2.5\n1.5,green\n")
    served.locator("input[type=file]").set_input_files(bad)
    said = served.get_by_test_id("complaint")
    said.wait_for()
    assert said.inner_text().startswith("bad.csv has 2 rows of data; at least 3")
    served.get_by_test_id("language").click()
    assert said.inner_text() == "bad.csv 只有 2 行数据；至少需要 3 行。"


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    served: "Page", tmp_path: Path
) -> None:
    large = tmp_path / "large.csv"
    large.write_text("x,y\n" + "1.5,2.5\n" * 900_000)
    served.locator("input[type=file]").set_input_files(large)
    said = served.get_by_test_id("complaint")
    said.wait_for()
    assert "large.csv is larger than 6 MiB" in said.inner_text()
    served.get_by_test_id("language").click()
    assert "large.csv 超过 6 MiB" in said.inner_text()
    served.get_by_test_id("language").click()
    assert served.get_by_text("connection").count() == 0


def test_a_ring_is_painted_fitted_stopped_gone_on_with_and_drawn(
    served: "Page", folder: Path
) -> None:
    assert served.get_by_test_id("fit").is_disabled()  # nothing is painted yet
    served.get_by_test_id("language").click()
    named = served.get_by_test_id("fit").inner_text().partition("（")[0]
    assert f"点击“{named}”" in served.locator("main > p").inner_text()
    served.get_by_test_id("language").click()
    _paint_a_ring(served)
    _steps(served, LONG)
    served.get_by_test_id("fit").click()
    # The half-fitted model is seen before it is whole, and the fit can be stopped.
    served.wait_for_function("() => window.sfumato.frames.learned.value !== null")
    fitted = folder / "runs" / "drawn-001"
    step = _stop(served, fitted)
    assert 0 < step < LONG
    said = served.get_by_test_id("stopped-at")
    assert said.inner_text() == f"Stopped at step {step} of {LONG}."
    served.get_by_test_id("language").click()
    assert said.inner_text() == f"停在第 {step} 步，共 {LONG} 步。"
    served.get_by_test_id("language").click()
    served.get_by_test_id("go-on").click()
    served.wait_for_function(
        "(step) => document.querySelector('progress')?.value >= step", arg=step + 200
    )
    assert step + 200 <= _stop(served, fitted) < LONG

    # What the page shows is what the run draws, and it is a ring.
    run = sfumato.open(fitted)
    expected, scale = run.sample(500), np.array(run.model.codec.scale)
    deadline = time.monotonic() + 30
    while np.abs(((rows := _shown(served, run)) - expected) / scale).max() >= 1e-4:
        assert time.monotonic() < deadline  # the newest weights come a moment after the stop
        time.sleep(0.05)
    radius = np.hypot(rows[:, 0], rows[:, 1])
    box = served.get_by_test_id("paper").bounding_box()
    assert box is not None
    outer = 3 * 70 / (box["width"] / 2)
    assert np.median(radius) == pytest.approx(outer, rel=0.05)
    assert radius.std() < 0.25 * outer

    served.reload()
    step = int(run.records()[-1]["step"])
    assert said.inner_text() == f"Stopped at step {step} of {LONG}."


def test_a_keyboard_paints_too_and_a_toy_set_is_fitted(served: "Page") -> None:
    _open_panel(served)
    paper = served.get_by_test_id("paper")
    paper.focus()
    for key in ("Space", "ArrowRight", "Space", "ArrowUp", "Space", "ArrowLeft", "Space"):
        served.keyboard.press(key)
    assert "100" in served.get_by_test_id("fit").inner_text()
    assert served.get_by_test_id("fit").is_enabled()
    served.get_by_label("or take a set").select_option("moons")
    _steps(served, 50)
    served.get_by_test_id("fit-toy").click()
    served.get_by_text("The run is in runs/moons-001").wait_for()
    served.wait_for_function("() => window.sfumato.payload.value?.header.name === 'moons'")
    served.wait_for_function(WHOLE)
    assert "100" in served.get_by_test_id("fit").inner_text()  # painted on while one watches
    served.get_by_test_id("draw-button").click()
    assert not paper.is_visible()
    served.reload()
    _until_known(served)
    assert not paper.is_visible()  # a run that there is has the width


def test_a_noise_that_is_none_is_refused_beside_its_field(served: "Page", folder: Path) -> None:
    _open_panel(served)
    served.get_by_label("or take a set").select_option("rings")
    box, said = served.locator(".toys input"), served.locator(".toys [role=alert]")
    box.press_sequentially("e")  # which a browser shows, and has no value of
    box.press("Tab")
    wrong = "is not a number from 0 to 1,000,000"
    assert said.inner_text() == f"What was typed {wrong}: the set's own is kept."
    box.fill("0.0625")
    box.press("Tab")
    assert said.count() == 0
    for typed in ("-1", "1000001"):
        box.fill(typed)
        box.press("Tab")
        assert said.inner_text() == f"{typed} {wrong}: 0.0625 is kept."
        assert box.input_value() == "0.0625"
    served.get_by_test_id("language").click()
    assert said.inner_text() == "1000001 不是 0 到 1,000,000 之间的数：仍用 0.0625。"
    served.get_by_test_id("language").click()
    _steps(served, 20)
    served.get_by_test_id("fit-toy").click()
    served.get_by_text("The run is in runs/rings-001").wait_for()
    settings = sfumato.open(folder / "runs" / "rings-001").model.settings
    assert settings.data.noise == 0.0625


def test_a_table_is_dropped_fitted_and_its_rows_appear(served: "Page", folder: Path) -> None:
    city = ["Oslo", "Rome", "Paris"]
    lines = "".join(
        f"{city[k % 3]},{20 + 10 * (k % 3) + k / 64},{k % 2 == 0}\n" for k in range(150)
    )
    _open_panel(served)
    _steps(served, 60)
    # As a hand drops it: anywhere on the page.
    served.evaluate(
        """([name, text]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], name, { type: "text/csv" }));
          document.body.dispatchEvent(
            new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        ["towns.csv", f"city,warmth,paid\n{lines}"],
    )
    served.get_by_text("The run is in runs/towns-001").wait_for()
    assert not served.get_by_test_id("paper").is_visible()  # the table has the width
    rows = sfumato.open(folder / "runs" / "towns-001").sample(1000).to_pandas()
    # The newest rows come a moment after the end of the fit.
    served.wait_for_function(
        """([cities, warmths]) => {
          const { begun, columns } = window.sfumato.tables, { categories } = columns.value[0];
          const [city, warmth] = begun.value.columns;
          return cities.every((name, k) => categories[city[k]] === name)
            && warmths.every((value, k) => warmth[k] === value);
        }""",
        arg=[rows["city"].tolist(), rows["warmth"].tolist()],
    )
    assert served.get_by_test_id("plot-0").is_visible()


def test_on_a_narrow_screen_the_run_takes_the_place_of_what_was_painted(served: "Page") -> None:
    served.set_viewport_size({"width": 390, "height": 844})
    _open_panel(served)
    served.get_by_label("or take a set").select_option("circles")
    _steps(served, 20)
    served.get_by_test_id("fit-toy").click()
    served.wait_for_function("() => window.sfumato.payload.value?.header.name === 'circles'")
    assert not served.get_by_test_id("paper").is_visible()
    assert served.evaluate("() => document.documentElement.scrollWidth") == 390
