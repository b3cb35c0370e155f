"""Draw docs/images/explorer-pictures.png: the page of the digits, half way out of noise.

    python docs/draw_explorer_pictures.py

It needs Playwright for Python, and Chromium; the fit takes some minutes.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import sfumato

WIDTH, HEIGHT = 1080, 740
TARGET = Path(__file__).parent / "images" / "explorer-pictures.png"


def main() -> None:
    """Use the page as its user would, and keep what is seen."""
    settings = {"data.labels": True, "training.steps": 1000, "training.snapshots": 0}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = sfumato.fit("digits", settings=settings, out=Path(folder) / "digits")
        sfumato.explore(run, to=Path(folder) / "digits.html")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en")
        page.goto((Path(folder) / "digits.html").as_uri())
        page.get_by_label("Pictures", exact=True).select_option("16")
        page.get_by_test_id("slider").fill("9")
        page.mouse.click(WIDTH / 2, 40)  # nothing has the focus
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    picture.quantize(64, method=Image.Quantize.MEDIANCUT).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
