"""The explorer's page in a browser without a graphics card, beside `run.sample` in PyTorch."""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

import sfumato
from bench.measure import Page, table

_TIMES = 7

# Milliseconds until a change is drawn whole: for the 2,000 points of both panels.
_CHANGED = """async ([name, value]) => {
  const { sfumato } = window;
  const before = performance.now();
  sfumato[name].value = value;
  let first = null;
  while (sfumato.drawing.learned.value || sfumato.drawing.exact.value) {
    await new Promise((next) => setTimeout(next, 1));
    if (first === null && sfumato.frames.learned.value.rows < 2000) first = performance.now() - before;
  }
  return [first ?? performance.now() - before, performance.now() - before];
}"""

# Milliseconds of each of many frames, the slider on its way: state to screen.
_PLAYED = """async () => {
  const { sfumato } = window, times = [];
  let last = performance.now();
  for (let k = 0; k < 120; k++) {
    sfumato.stop.value = (2 * k) % sfumato.lastStop.value;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  return times.slice(20);
}"""


def measure() -> Page:
    """Open the page of the S-curve and use it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = sfumato.fit("s-curve", out=Path(folder) / "run", quiet=True)
        path = Path(folder) / "page.html"
        run.explore(path)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--use-angle=swiftshader",
                "--enable-unsafe-swiftshader",
            ],
        )
        rows: list[list[Any]] = [["the file", f"{path.stat().st_size / 1e6:.2f} MB", "2 MB"]]
        opened = [_opened(browser.new_page(), path) for _ in range(_TIMES)]
        rows.append(["opened, until the first samples", _shown([a for a, _ in opened]), "300 ms"])
        rows.append(["opened, until 2,000 in both panels", _shown([b for _, b in opened]), "-"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        _opened(tab, path)
        for label, name, values in (
            ("another seed, 50 steps", "seed", range(1, 1 + _TIMES)),
            ("another number of steps, about 10", "steps", (8, 10, 12, 8, 10, 12, 10)),
        ):
            found = [tab.evaluate(_CHANGED, [name, value]) for value in values]
            first, whole = ([each[k] for each in found] for k in (0, 1))
            rows.append([f"{label}: the first points", _shown(first), "100 ms"])
            rows.append([f"{label}: 2,000 in both panels", _shown(whole), "100 ms"])
        tab.evaluate("() => { window.sfumato.steps.value = 50; }")
        _wait(tab)
        alone = [_alone(tab, seed) for seed in range(20, 20 + _TIMES)]
        rows.append(["2,000 points by the default sampler, network alone", _shown(alone), "500 ms"])
        rows.append(["the same in PyTorch, one thread", _shown(_in_python(run)), "-"])
        for count in (2000, 10_000):
            tab.evaluate(f"() => {{ window.sfumato.count.value = {count}; }}")
            _wait(tab)
            times = tab.evaluate(_PLAYED)
            rate = 1000 / statistics.mean(times)
            goal = "50 a second" if count == 10_000 else "-"
            rows.append(
                [f"frames with {count:,} points in each panel", f"{rate:.0f} a second", goal]
            )
            rows.append([f"a step of the slider, {count:,} points", _shown(times), "16 ms"])
        browser.close()
    said = (
        "The S-curve by the default recipe, in headless Chromium with its software renderer: medians "
        f"of {_TIMES}, and the longest in brackets."
    )
    return Page("The explorer's page", [said, table(["what", "measured", "goal"], rows)])


def _shown(times: list[float]) -> str:
    return f"{statistics.median(times):.0f} ms ({max(times):.0f})"


def _wait(tab: Tab) -> None:
    tab.wait_for_function(
        "() => !window.sfumato.busy.value && window.sfumato.frames.learned.value !== null"
    )


def _opened(tab: Tab, path: Path) -> tuple[float, float]:
    began = time.perf_counter()
    tab.goto(path.as_uri())
    tab.wait_for_function("() => window.sfumato?.frames.learned.value")
    first = time.perf_counter() - began
    tab.wait_for_function(
        "() => ['learned', 'exact'].every((side) => !window.sfumato.drawing[side].value)"
    )
    return 1000 * first, 1000 * (time.perf_counter() - began)


def _alone(tab: Tab, seed: int) -> float:
    """Milliseconds of 2,000 samples, in as many workers as the page has."""
    found: float = tab.evaluate(
        """async (seed) => {
          const { sfumato } = window, { engine } = sfumato, began = performance.now();
          const { levels, method } = sfumato.walk.value, options = sfumato.options();
          const parts = Array.from({ length: 8 }, (_, k) => k * 256);
          await Promise.all(parts.map((first) => engine.ask("bench", "walk", {
            source: "averaged", method, options, levels, seed, chunk: Math.floor(first / 1024),
            first: first % 1024, rows: Math.min(256, 2000 - first),
          })));
          return performance.now() - began;
        }""",
        seed,
    )
    return found


def _in_python(run: sfumato.Run) -> list[float]:
    times = []
    for seed in range(_TIMES):
        began = time.perf_counter()
        run.sample(2000, seed=seed)
        times.append(1000 * (time.perf_counter() - began))
    return times
