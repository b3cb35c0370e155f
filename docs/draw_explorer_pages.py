"""Draw docs/images/explorer-table.png and explorer-pictures.png: pages as their users see them.

    python docs/draw_explorer_pages.py

It needs Playwright for Python, and Chromium; the fit of the pictures takes some minutes.
"""

import io
import shutil
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import sfumato

WIDTH = 1080
IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Rows drawn for one species of penguins; digits half way out of noise."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = files("sfumato.data").joinpath("penguins.csv").read_bytes()
        (folder / "penguins.csv").write_bytes(rows)
        run = sfumato.fit(folder / "penguins.csv", out=folder / "penguins")
        draw(run, folder, IMAGES / "explorer-table.png", 600, of_gentoo)

        settings = {"data.labels": True, "training.steps": 1000, "training.snapshots": 0}
        run = sfumato.fit("digits", settings=settings, out=folder / "digits")
        draw(run, folder, IMAGES / "explorer-pictures.png", 740, half_way)


def of_gentoo(page: Page) -> None:
    """Set the condition."""
    page.get_by_label("Value of species").select_option("=Gentoo")


def half_way(page: Page) -> None:
    """Move the slider."""
    page.get_by_label("Pictures", exact=True).select_option("16")
    page.get_by_test_id("slider").fill("9")


def draw(
    run: sfumato.Run, folder: Path, to: Path, height: int, use: Callable[[Page], None]
) -> None:
    """Use a run's page, and keep what is seen."""
    html = folder / f"{to.stem}.html"
    run.explore(html)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": height}, locale="en")
        page.goto(html.as_uri())
        use(page)
        page.mouse.click(WIDTH / 2, 40)  # nothing has the focus
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    picture.quantize(64, method=Image.Quantize.MEDIANCUT).save(to, optimize=True)


if __name__ == "__main__":
    main()
