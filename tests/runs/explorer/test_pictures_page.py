"""The page of a run of pictures in a real browser, served and as a file."""

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import sfumato
from browser import browser
from command_line import leave
from explorer_pages import page as opened
from fitted import SHORT
from forked_worker import ForkedWorkers, forked_workers
from sfumato import Run
from sfumato.runs.explorer import live_pictures
from sfumato.runs.explorer.binary import header_of, written
from sfumato.runs.explorer.page import page_html
from sfumato.runs.explorer.pictures import Pictures
from sfumato.runs.explorer.server import Explorer
from sfumato.runs.fit import begin, resolve
from sfumato.runs.job import Stopped, fitting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "forked_workers"]

DESK: Any = {"width": 1280, "height": 900}
HAND: Any = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def folder(of_classes: Run) -> Iterator[Path]:
    """Where the run lies; commands are typed there."""
    assert of_classes.folder is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(of_classes.folder.parent)
        yield of_classes.folder


@pytest.fixture(scope="module")
def explorer(folder: Path, forked_workers: ForkedWorkers) -> Iterator[Explorer]:
    with Explorer(folder) as running:
        yield running


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Addresses that the pages ask for."""
    return []


@pytest.fixture(scope="module")
def tab(browser: "Browser", asked: list[str]) -> Iterator["Page"]:
    """One tab for all, and nothing may go wrong in it."""
    errors: list[str] = []
    context = browser.new_context(viewport=DESK, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert not errors, errors


@pytest.fixture
def page(tab: "Page", explorer: Explorer, asked: list[str]) -> "Page":
    """The served page as it opens, with its first pictures."""
    asked.clear()
    tab.set_viewport_size(DESK)
    tab.goto(explorer.address)
    until_drawn(tab)
    return tab


def until_drawn(page: "Page") -> None:
    page.get_by_test_id("others").wait_for()


def seen(page: "Page", where: str = "drawn") -> np.ndarray:
    """The grey values of the pictures on the screen, `(n, 4, 4)`."""
    found = page.evaluate(
        """(where) => [...document.querySelectorAll(`[data-testid=${where}] canvas`)].map((each) =>
          Array.from(each.getContext("2d").getImageData(0, 0, each.width, each.height).data))""",
        where,
    )
    rgba = np.array(found).reshape(-1, 4, 4, 4)
    assert (rgba[..., 3] == 255).all()
    assert (rgba[..., 0] == rgba[..., 1]).all()
    assert (rgba[..., 0] == rgba[..., 2]).all()
    return rgba[..., 0]


def steps(page: "Page", number: str) -> None:
    page.get_by_label("Steps", exact=True).fill(number)
    page.keyboard.press("Tab")


def to_fills(page: "Page") -> None:
    page.get_by_label("Fill in a part of one").check()


def mask(page: "Page") -> np.ndarray:
    found: list[int] = page.evaluate("() => Array.from(window.sfumato.pictures.mask.value)")
    return np.array(found).reshape(4, 4)


def typed(page: "Page", to: Path) -> np.ndarray:
    """What the command on the page writes."""
    words = shlex.split(page.get_by_test_id("command").inner_text())
    assert words[0] == "sfumato"
    assert words[-2] == "--to"
    assert leave(shlex.join([*words[1:-1], str(to), "--quiet"])) == 0
    return np.asarray(np.load(to)[..., 0])


def test_the_run_has_the_width_until_a_fit_is_wanted(page: "Page") -> None:
    look = page.locator(".look")
    wide = look.bounding_box()
    page.get_by_test_id("draw-button").click()
    narrow = look.bounding_box()
    assert wide is not None
    assert narrow is not None
    assert wide["width"] > narrow["width"] + 250
    assert page.get_by_test_id("paper").is_visible()
    page.get_by_test_id("draw-button").click()
    assert look.bounding_box() == wide


def _stopped_at_once(of: Run, steps: int, out: Path) -> int:
    """Fit to the same pictures, and stop; the step that was reached."""
    small = {"network.width": 16, "network.options": {"multipliers": [1], "attention": []}}
    changes = {**SHORT, **small, "data.labels": True, "training.steps": steps}
    settings, data = resolve(of.settings.data.source, changes)
    with begin(settings, data, out) as job, suppress(Stopped):
        for _ in fitting(job):
            signal.raise_signal(signal.SIGTERM)
    return job.training.step


@pytest.mark.usefixtures("forked_workers")
def test_a_fit_of_pictures_is_gone_on_with_and_drawn_from_anew(
    tab: "Page", of_classes: Run, tmp_path: Path
) -> None:
    step = _stopped_at_once(of_classes, 60, tmp_path / "half")
    assert 0 < step < 60
    with Explorer(tmp_path / "half") as running:
        tab.goto(running.address)
        until_drawn(tab)
        before = seen(tab)
        assert tab.get_by_test_id("stopped-at").inner_text() == f"Stopped at step {step} of 60."
        tab.get_by_test_id("go-on").click()
        tab.wait_for_function("() => window.sfumato.pictures.walk.value === null")
        until_drawn(tab)
        run = sfumato.open(tmp_path / "half")
        assert run.is_finished()
        np.testing.assert_array_equal(seen(tab), run.sample(16)[..., 0])
        assert (seen(tab) != before).any()


# ------------------------------------------------------------------------------------ new pictures


def test_what_is_seen_is_what_run_sample_draws(
    page: "Page", of_classes: Run, asked: list[str], explorer: Explorer
) -> None:
    np.testing.assert_array_equal(seen(page), of_classes.sample(16)[..., 0])
    heldout = of_classes.load_data().heldout
    assert heldout is not None
    real = {each.tobytes() for each in seen(page, "real").astype(np.uint8)}
    assert len(real) > 4
    assert real <= {each.tobytes() for each in heldout.pixels}
    home = explorer.address.partition("/?")[0]
    assert [url for url in asked if not url.startswith((home, "blob:", "data:", "file:"))] == []


def test_class_guidance_steps_and_seed_are_those_of_python_and_of_the_command(
    page: "Page", of_classes: Run, tmp_path: Path
) -> None:
    page.get_by_label("Class", exact=True).select_option("below")
    guidance = page.get_by_role("slider", name="Guidance")
    guidance.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    steps(page, "7")
    page.get_by_label("Pictures", exact=True).select_option("4")
    page.get_by_test_id("state").get_by_text("14 network calls").wait_for()
    page.get_by_test_id("others").click()  # the next seed
    page.wait_for_function(
        "() => { const p = window.sfumato.pictures; return p.seed.value === 1 && !p.stale.value; }"
    )
    drawn = of_classes.sample(4, seed=1, given={"class": "below"}, guidance=1.3, steps=7)
    np.testing.assert_array_equal(seen(page), drawn[..., 0])
    np.testing.assert_array_equal(typed(page, tmp_path / "typed.npy"), drawn[..., 0])


def test_the_slider_goes_from_noise_to_the_picture(page: "Page", of_classes: Run) -> None:
    model: Any = of_classes.model
    frames = [pixels[..., 0] for _, pixels in model.frames(16)]
    page.get_by_test_id("slider").focus()
    page.keyboard.press("Home")
    np.testing.assert_array_equal(seen(page), frames[0])
    assert "0 of 4 steps" in page.get_by_test_id("level").inner_text()
    page.get_by_role("button", name="One stop on").click()
    assert abs(seen(page) - frames[1].astype(int)).max() <= 1
    page.get_by_label("what the network predicts").check()
    assert abs(seen(page) - frames[1].astype(int)).max() > 1
    page.keyboard.press("Tab")
    page.get_by_test_id("play").click()
    page.get_by_text("after 4 of 4 steps").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # it stops at the end
    np.testing.assert_array_equal(seen(page), frames[4])


def test_a_draw_is_stopped_and_what_is_out_of_reach_is_refused(page: "Page") -> None:
    before = seen(page)
    for wrong in ("5000", "-3", "1.5"):
        steps(page, wrong)
        said = page.get_by_text(f"{wrong} is not a whole number from 1 to 1,000: 4 is kept.")
        said.wait_for()
        assert page.get_by_label("Steps", exact=True).input_value() == "4"
    assert page.get_by_test_id("progress").count() == 0
    steps(page, "1000")
    assert said.count() == 0
    page.get_by_test_id("progress").get_by_text(re.compile("of 1000")).wait_for()
    page.get_by_test_id("cancel").click()
    page.get_by_text("This is not drawn yet.").wait_for()
    np.testing.assert_array_equal(seen(page), before)
    steps(page, "1")
    until_drawn(page)
    assert "1 network call" in page.get_by_test_id("state").inner_text()


def test_pictures_and_animation_are_taken_along(page: "Page", tmp_path: Path) -> None:
    with page.expect_download() as png:
        page.get_by_test_id("png").click()
    png.value.save_as(tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    side = (len(sheet) - 4) // 4  # four in a row, each with the gap after it
    drawn = seen(page)
    for k in range(16):
        down, across = 4 + side * (k // 4), 4 + side * (k % 4)
        cell = sheet[down : down + side - 4, across : across + side - 4]
        np.testing.assert_array_equal(cell[:: len(cell) // 4, :: len(cell) // 4], drawn[k])
    with page.expect_download() as gif:
        page.get_by_test_id("gif").click()
    gif.value.save_as(tmp_path / "walk.gif")
    with Image.open(tmp_path / "walk.gif") as frames:
        assert frames.n_frames == 5  # type: ignore[attr-defined]


def test_what_is_cancelled_is_not_waited_for(explorer: Explorer) -> None:
    plain = {
        "type": "draw_pictures",
        "seed": 0,
        "pictures": 1,
        "label": None,
        "guidance": None,
        "calls": None,
    }
    with opened(explorer.address) as one, opened(explorer.address) as other:
        one.until_payload()
        one.send(plain | {"request": 1, "steps": 1000})
        progress = one.until(lambda text: text["type"] == "drawing")
        assert progress["request"] == 1
        assert 0 < progress["done"] < progress["of"] == 1000
        assert progress["left"] > 0
        one.send({"type": "cancel"})
        other.until_payload()
        other.send(plain | {"request": 7, "steps": 2})
        other.until_payload()  # not after a thousand steps, whose answer would be there
        with pytest.raises(TimeoutError):
            one.until(lambda text: text["type"] not in ("drawing", "state"), seconds=0.3)
        assert len(one.payloads) == 1  # the run itself


# -------------------------------------------------------------------------------------- in-painting


def test_the_brush_paints_with_the_mouse_a_finger_and_the_keyboard(page: "Page") -> None:
    to_fills(page)
    assert page.get_by_test_id("fill").is_disabled()
    canvas = page.get_by_test_id("painter")

    def middle(down: int, across: int) -> tuple[float, float]:
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        pixel = box["width"] / 4
        return box["x"] + (across + 0.5) * pixel, box["y"] + (down + 0.5) * pixel

    page.mouse.move(*middle(1, 0))
    page.mouse.down()
    page.mouse.move(*middle(1, 3))
    page.mouse.up()
    page.mouse.move(*middle(3, 3))  # lifted, it paints nothing
    assert mask(page).tolist() == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]
    page.touchscreen.tap(*middle(3, 0))
    assert mask(page).sum() == 5
    assert mask(page)[3, 0] == 1
    page.get_by_label("Erase instead").check()
    page.mouse.click(*middle(1, 2))
    assert mask(page)[1].tolist() == [1, 1, 0, 1]

    page.get_by_label("Erase instead").uncheck()
    page.get_by_test_id("clear").click()
    assert mask(page).sum() == 0
    canvas.focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowLeft", "Space"):
        page.keyboard.press(key)
    assert np.argwhere(mask(page)).tolist() == [[0, 1]]
    for name, part in (("Left half", np.s_[:, :2]), ("Lower half", np.s_[2:]), ("Centre", 0)):
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
        assert mask(page).sum() == (4 if part == 0 else 8)
        assert mask(page)[np.s_[1:3, 1:3] if part == 0 else part].all()
    assert "4 of 16 pixels" in page.get_by_test_id("painted").inner_text()


def test_fillings_keep_what_is_known_and_are_those_of_the_command(
    page: "Page", of_classes: Run, tmp_path: Path, folder: Path
) -> None:
    to_fills(page)
    page.get_by_role("button", name="real picture 3,").click()
    page.get_by_role("button", name="Upper half").click()
    page.get_by_test_id("fill").click()
    page.get_by_text("4 fillings in").wait_for()
    filled = seen(page)
    original = page.evaluate("() => Array.from(window.sfumato.pictures.real(2))")
    picture = np.array(original, np.uint8).reshape(1, 4, 4, 1)
    known = np.zeros(picture.shape, bool)
    known[:, 2:] = True
    label = page.get_by_label("Class", exact=True).input_value().removeprefix("=")
    assert label == "above"  # that of the picture, until another is chosen
    own = of_classes.complete(picture, known, draws=4, given={"class": label})
    np.testing.assert_array_equal(filled, np.concatenate(own)[..., 0])
    assert (filled[:, 2:] == picture[0, 2:, :, 0]).all()
    assert (filled[:, :2] != picture[0, :2, :, 0]).any()

    for name, test_id in (("picture.png", "original"), ("mask.png", "mask")):
        with page.expect_download() as file:
            page.get_by_test_id(test_id).click()
        file.value.save_as(folder.parent / name)
    np.testing.assert_array_equal(typed(page, tmp_path / "typed.npy"), filled)
    page.get_by_role("button", name="Centre").click()
    page.get_by_text("This is not filled in yet").wait_for()
    assert page.get_by_test_id("command").count() == 0  # it would not make what is seen


# ------------------------------------------------------------------------------------- for everyone


def all_is_chinese(page: "Page") -> None:
    """Every sentence changes with the language."""
    before = page.locator("body").inner_text()
    page.get_by_test_id("language").click()
    after = page.locator("body").inner_text()
    assert page.evaluate("() => document.documentElement.lang") == "zh-CN"
    kept = {line for line in before.splitlines() if len(line.split()) > 1 and line in after}
    assert {line for line in kept if not line.startswith("sfumato ")} == set()


@pytest.mark.parametrize("filling", [False, True])
def test_in_chinese_and_on_a_telephone(page: "Page", filling: bool) -> None:
    if filling:
        to_fills(page)
        page.get_by_role("button", name="Centre").click()
        page.get_by_test_id("fill").click()
        page.get_by_text("4 fillings in").wait_for()
    page.set_viewport_size(HAND)
    for _ in range(2):
        assert page.evaluate("() => document.documentElement.scrollWidth") <= HAND["width"]
        if page.evaluate("() => document.documentElement.lang") == "en":
            all_is_chinese(page)


def test_the_file_shows_what_python_drew_and_asks_nothing(
    tab: "Page",
    of_classes: Run,
    tmp_path: Path,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_pictures, "MOST_PRODUCTS", 0)  # too slow to draw in the page
    of_classes.explore(tmp_path / "halves.html")
    asked.clear()
    tab.context.set_offline(True)
    tab.set_viewport_size(DESK)
    tab.goto((tmp_path / "halves.html").as_uri())
    np.testing.assert_array_equal(seen(tab), of_classes.sample(64)[..., 0])
    said = tab.get_by_test_id("offline").inner_text()
    assert "drawn beforehand" in said
    assert "The page does not draw by itself: a picture takes 1 billion multiplications" in said
    tab.get_by_role("slider", name="Guidance").focus()
    tab.keyboard.press("End")
    tab.get_by_label("Class", exact=True).select_option("above")
    model: Any = of_classes.model
    above = model.labels(64) == model.codec.classes.index("above")
    led = of_classes.sample(64, guidance=4.0)[above][..., 0]
    np.testing.assert_array_equal(seen(tab), led)

    to_fills(tab)
    tab.get_by_label("Part", exact=True).select_option("Lower half")
    tab.get_by_role("button", name="real picture 2,").click()
    filled, picture = seen(tab), tab.evaluate("() => Array.from(window.sfumato.pictures.real(1))")
    kept = np.array(picture).reshape(4, 4)[:2]
    assert len(filled) == 5
    assert (filled[:, :2] == kept).all()
    all_is_chinese(tab)
    tab.set_viewport_size(HAND)
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= HAND["width"]
    tab.context.set_offline(False)
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


def test_colours_are_red_green_and_blue(tab: "Page", of_classes: Run, tmp_path: Path) -> None:
    header, arrays = Pictures(of_classes).drawn_beforehand(200_000)[0]

    def coloured(grey: np.ndarray) -> np.ndarray:
        return np.concatenate([grey, 255 - grey, grey // 2], axis=-1)

    shown = {name: each if name == "masks" else coloured(each) for name, each in arrays.items()}
    page = page_html(written(header_of(of_classes) | header, shown))
    (tmp_path / "coloured.html").write_text(page, "utf-8")
    tab.goto((tmp_path / "coloured.html").as_uri())
    pixels = tab.evaluate(
        """() => {
          const first = document.querySelector("[data-testid=drawn] canvas");
          return Array.from(first.getContext("2d").getImageData(0, 0, 4, 4).data);
        }"""
    )
    found = np.array(pixels).reshape(4, 4, 4)
    np.testing.assert_array_equal(found[..., :3], coloured(of_classes.sample(1)[0]))
    assert (found[..., 3] == 255).all()
