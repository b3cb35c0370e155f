"""Draw docs/images/explorer.gif: a shape is painted, fitted, and emerges out of noise.

    python docs/draw_explorer.py

It needs the extra `explore`, Playwright for Python, and Chromium.
"""

import io
import math
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from sfumato.runs.explorer.server import Explorer

WIDTH, HEIGHT, SHOWN = 1180, 640, 900
TARGET = Path(__file__).parent / "images" / "explorer.gif"


def shot(page: Page) -> Image.Image:
    """The screen as it is."""
    picture = Image.open(io.BytesIO(page.screenshot()))
    return picture.convert("RGB").resize((SHOWN, SHOWN * HEIGHT // WIDTH), Image.Resampling.LANCZOS)


def paint(page: Page) -> list[Image.Image]:
    """A spiral, by the mouse."""
    box = page.get_by_test_id("paper").bounding_box()
    assert box is not None
    x, y, reach = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, 0.4 * box["width"]
    frames = []
    page.mouse.move(x + reach, y)
    page.mouse.down()
    for k in range(121):
        angle, radius = 4 * math.pi * k / 120, reach * (1 - 0.7 * k / 120)
        page.mouse.move(x + radius * math.cos(angle), y - radius * math.sin(angle))
        if k % 12 == 0:
            frames.append(shot(page))
    page.mouse.up()
    return frames


def learn(page: Page) -> list[Image.Image]:
    """The fit, as it goes."""
    page.get_by_test_id("fit").click()
    frames = []
    while page.get_by_text("The run is in").count() == 0:
        frames.append(shot(page))
        page.wait_for_timeout(400)
    page.wait_for_function("() => !window.sfumato.busy.value")
    return [frames[k * len(frames) // 16] for k in range(16)]


def emerge(page: Page) -> list[Image.Image]:
    """Noise to data."""
    page.evaluate("() => { window.sfumato.showPaths.value = false; }")
    last = page.evaluate("() => window.sfumato.lastStop.value")
    frames = []
    for k in range(25):
        page.evaluate(f"() => {{ window.sfumato.stop.value = {k * last // 24}; }}")
        page.wait_for_timeout(50)
        frames.append(shot(page))
    return frames


def main() -> None:
    """Use the page as its user would, and keep what is seen."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with Explorer() as explorer, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
            )
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(explorer.address)
            frames = [*paint(page), *learn(page), *emerge(page)]
            browser.close()
    # One palette for all, from two frames that have every colour: a button may be pale.
    both = Image.new("RGB", (2 * frames[0].width, frames[0].height))
    for k, frame in enumerate((frames[0], frames[-1])):
        both.paste(frame, (k * frame.width, 0))
    palette = both.quantize(64, method=Image.Quantize.MAXCOVERAGE)
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [120] * (len(drawn) - 1) + [2500]
    drawn[0].save(TARGET, save_all=True, append_images=drawn[1:], duration=times, loop=0)


if __name__ == "__main__":
    main()
