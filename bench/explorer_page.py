"""The explorer's page in a browser without a graphics card, beside `run.sample` in PyTorch."""

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

import sfumato
from bench.measure import Page, table

_TIMES = 7
_FRAME = 1000 / 60
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]

# Milliseconds since the navigation at which points of the network's panel are in its pixels and their
# frame is done, and at which both panels have all of theirs; said in the title, which a browser tells
# without a debugger.
_WATCH = """<script type="module">
function pixels(side) {
  const canvas = document.querySelector(`[data-side=${side}] canvas`);
  // A canvas is 300 wide until the page has drawn on it.
  if (!canvas || canvas.width === 300) return [];
  const gl = canvas.getContext("webgl2"), { drawingBufferWidth: w, drawingBufferHeight: h } = gl;
  const found = new Uint8Array(4 * w * h);
  gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, found);
  return found;
}
const afterFrame = (then) => requestAnimationFrame(() => setTimeout(then));
let first = null;
function seen() {
  if (!pixels("learned").some(Boolean)) return afterFrame(seen);
  first = performance.now();
  const { learned, exact } = window.sfumato.drawing, look = () => learned.value || exact.value || all();
  for (const each of [learned, exact]) each.subscribe(look);
}
function all() {
  document.title = JSON.stringify([first, performance.now()]);
}
window.sfumato.frames.learned.subscribe((found) => {
  if (!found || first !== null) return;
  first = 0;
  afterFrame(seen);
});
</script>"""

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

# Of many steps of the slider, each at the beginning of a frame: milliseconds from the input to the end
# of that frame, with the last pixel of both panels; and from one frame to the next.
_STEPPED = """async () => {
  const { sfumato } = window, { port1, port2 } = new MessageChannel(), work = [], frames = [];
  const slider = document.querySelector("[data-testid=slider]");
  const panels = [...document.querySelectorAll(".panel canvas")].map((each) => each.getContext("webgl2"));
  let last = await new Promise(requestAnimationFrame);
  for (let k = 0; k < 120; k++) {
    const frame = await new Promise(requestAnimationFrame), before = performance.now();
    slider.value = (2 * k) % sfumato.lastStop.value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const done = new Promise((resolve) => (port1.onmessage = resolve));
    port2.postMessage(null);
    await done;
    for (const gl of panels) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    work.push(performance.now() - before);
    frames.push(frame - last);
    last = frame;
  }
  return [work.slice(20), frames.slice(20)];
}"""


def measure() -> Page:
    """Open the page of the S-curve and use it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = sfumato.fit("s-curve", out=Path(folder) / "run", quiet=True)
        path = Path(folder) / "page.html"
        run.explore(path)
        rows: list[list[Any]] = [["the file", f"{path.stat().st_size / 1e6:.2f} MB", "2 MB"]]
        opened = _opened(path, Path(folder))
        first_seen, all_seen = ([each[k] for each in opened] for k in (0, 1))
        rows.append(
            ["opened, until the first samples are on the screen", _shown(first_seen), "300 ms"]
        )
        rows.append(["opened, until 2,000 in both panels", _shown(all_seen), "-"])
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(path.as_uri())
        _wait(tab)
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
            work, frames = tab.evaluate(_STEPPED)
            rate = 1000 / statistics.mean(frames)
            goal = "50 a second" if count == 10_000 else "-"
            rows.append(
                [f"frames with {count:,} points in each panel", f"{rate:.0f} a second", goal]
            )
            rows.append([f"a step of the slider, {count:,} points", _shown(work), "16 ms"])
            kept = sum(each < 1.5 * _FRAME for each in frames)
            shown = f"steps shown on the next frame, {count:,} points"
            rows.append([shown, f"{kept} of {len(frames)}", "-"])
        browser.close()
    said = (
        "The S-curve by the default recipe, in headless Chromium with its software renderer: medians "
        f"of {_TIMES} (of {len(work)} steps of the slider), and the longest in brackets."
    )
    how = (
        "The page is opened in a tab without a debugger, as a user opens it (Playwright attaches one to "
        "every worker, which then starts later), and the time is the page's own, from the start of its "
        "navigation until points are in the panel's pixels and their frame is done. A step of the "
        "slider is all of the page's work for it, from the input to the end of the frame: scripts, "
        "style, layout, painting, and the last pixel of both panels. The screen changes 60 times a "
        f"second, so that at least {_FRAME:.1f} ms lie between one step and the next, however short "
        "the work is."
    )
    return Page("The explorer's page", [said, how, table(["what", "measured", "goal"], rows)])


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        raise FileNotFoundError("chromium is not installed")
    return found


def _shown(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.0f} ms ({max(times):.0f})"


def _wait(tab: Tab) -> None:
    tab.wait_for_function(
        "() => !window.sfumato.busy.value && window.sfumato.frames.learned.value !== null"
    )


def _opened(path: Path, folder: Path) -> list[tuple[float, float]]:
    """Milliseconds until the first samples are seen, and until all are, of one opening after another."""
    watched = folder / "watched.html"
    watched.write_text(path.read_text("utf-8") + _WATCH, "utf-8")
    with _browser(folder / "profile") as asked:
        return [_times(asked, watched) for _ in range(1 + _TIMES)][1:]


def _times(asked: Callable[..., Any], path: Path) -> tuple[float, float]:
    tab = asked(f"new?{quote(path.as_uri())}", "PUT")
    for _ in range(60):
        time.sleep(0.5)
        title = next(each["title"] for each in asked("list") if each["id"] == tab["id"])
        if title.startswith("["):
            asked(f"close/{tab['id']}")
            first, whole = json.loads(title)
            return first, whole
    raise TimeoutError("the page has drawn nothing in 30 seconds")


@contextmanager
def _browser(profile: Path) -> Iterator[Callable[..., Any]]:
    """A browser that is asked for its tabs by HTTP, so that no debugger is attached to them."""
    options = [f"--user-data-dir={profile}", "--remote-debugging-port=0", "--window-size=1280,900"]
    command = [_chromium(), "--headless", *_ARGUMENTS, *options]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        port = profile / "DevToolsActivePort"
        try:
            while not port.exists() or not port.read_text():
                time.sleep(0.1)
            address = f"http://127.0.0.1:{port.read_text().split()[0]}/json/"

            def asked(what: str, method: str = "GET") -> Any:
                with urlopen(Request(address + what, method=method)) as answer:
                    text = answer.read().decode()
                return json.loads(text) if text.startswith(("{", "[")) else text

            yield asked
        finally:
            process.terminate()


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
