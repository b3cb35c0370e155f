"""Draw docs/images/explorer-table.png: a table's page, with rows drawn for one species of penguins.

    python docs/draw_explorer_table.py

It needs Playwright for Python, and Chromium.
"""

import io
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import sfumato

WIDTH, HEIGHT = 1080, 600
TARGET = Path(__file__).parent / "images" / "explorer-table.png"


def main() -> None:
    """Use the page as its user would, and keep what is seen."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        rows = files("sfumato.data").joinpath("penguins.csv").read_bytes()
        (Path(folder) / "penguins.csv").write_bytes(rows)
        run = sfumato.fit(Path(folder) / "penguins.csv", out=Path(folder) / "penguins")
        sfumato.explore(run, to=Path(folder) / "penguins.html")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en")
        page.goto((Path(folder) / "penguins.html").as_uri())
        page.get_by_label("Value of species").select_option("=Gentoo")
        page.mouse.click(WIDTH / 2, 40)  # nothing has the focus
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    picture.quantize(64, method=Image.Quantize.MEDIANCUT).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
