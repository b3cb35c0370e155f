"""A file that draws pictures by itself: those of Python, one by one, in a real browser."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import sfumato
from browser import browser
from explorer_pages import read
from fitted import SHORT, squares
from sfumato import Run
from sfumato.errors import ArgumentError
from sfumato.networks.unet import UNet
from sfumato.runs import distill
from sfumato.runs.explorer import live_pictures
from sfumato.runs.explorer.page import MOST_CONTENT
from sfumato.runs.explorer.pictures import Pictures, carried

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

DONE = """() => {
  const { run, walk, busy, stale } = window.sfumato.pictures;
  return run.value && walk.value && !busy.value && !stale.value;
}"""

# Some are there, and not all.
PARTLY = """() => {
  const { walk, busy, draws, count, mode } = window.sfumato.pictures;
  const all = mode.value === "fill" ? draws.value : count.value;
  return busy.value && walk.value && !walk.value.isWhole && walk.value.held < all;
}"""

# Until something holds while the page draws; in the page itself, as a draw may soon be over.
MEANWHILE = """async (holds) => {
  const { busy } = window.sfumato.pictures;
  const a_while = () => new Promise((next) => setTimeout(next, 1));
  while (!busy.value) await a_while();
  while (!holds()) {
    if (!busy.value) throw Error("all was drawn before it was seen");
    await a_while();
  }
}"""

# The bytes of the pictures on the screen at a stop.
SHOWN = """([view, stop]) => {
  const { walk, pixels } = window.sfumato.pictures, found = walk.value;
  const at = stop < 0 ? found.stops.length + stop : stop;
  return found.places.map((place) => Array.from(pixels(found, view, at, place)));
}"""

# The same before they are bytes, of the first pictures.
STATES = """async ({ rows, label, ...asked }) => {
  const labels = new Int32Array(rows).fill(label);
  const found = await window.sfumato.engine.ask("test", "pictures",
    { seed: 0, sheet: 0, first: 0, guidance: 1, byMap: false, ...asked, labels });
  return { noisy: Array.from(found.noisy), clean: Array.from(found.clean) };
}"""


class File:
    """A file, open without a network."""

    def __init__(self, browser: "Browser", path: Path) -> None:
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function(DONE)

    def set(self, **values: Any) -> None:
        """Signals of the page, and until what they ask for is drawn."""
        for name, value in values.items():
            self.page.evaluate(
                "([name, value]) => { window.sfumato.pictures[name].value = value; }", [name, value]
            )
        self.page.wait_for_function(DONE)

    def shown(self, view: str = "noisy", stop: int = -1) -> np.ndarray:
        return np.array(self.page.evaluate(SHOWN, [view, stop]))

    def states(self, **asked: Any) -> dict[str, np.ndarray]:
        found = self.page.evaluate(STATES, asked)
        return {name: np.array(each, np.float64) for name, each in found.items()}

    def close(self) -> None:
        self.context.close()
        assert not self.errors, self.errors
        assert all(url.startswith(("file:", "blob:", "data:")) for url in self.asked)


@pytest.fixture(scope="module")
def file(
    browser: "Browser", of_classes: Run, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[File]:
    path = tmp_path_factory.mktemp("page") / "halves.html"
    assert of_classes.explore(path).left == ()
    file = File(browser, path)
    yield file
    file.close()


def assert_same(found: np.ndarray, pictures: np.ndarray) -> None:
    """The same bytes, but for one in a hundred that 32 bits round to the next."""
    off = np.abs(found - pictures.reshape(found.shape).astype(int))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01


def test_the_file_draws_the_pictures_of_sample(file: File, of_classes: Run) -> None:
    said = file.page.get_by_test_id("offline").inner_text()
    assert said.strip() == ("No internet and no server: everything here is computed in this page.")
    assert_same(file.shown(), of_classes.sample(16))
    assert "16 pictures in" in file.page.get_by_test_id("state").inner_text()
    file.set(seed=2**40 + 3, count=64)
    assert_same(file.shown(), of_classes.sample(64, seed=2**40 + 3))
    labels = file.page.evaluate("() => window.sfumato.pictures.walk.value.labels")
    model: Any = of_classes.model
    assert labels == [model.codec.classes[k] for k in model.labels(64, seed=2**40 + 3)]
    file.set(seed=0, count=16)


def test_by_class_guidance_and_steps_too(file: File, of_classes: Run) -> None:
    page = file.page
    page.get_by_label("Class", exact=True).select_option("below")
    page.get_by_role("slider", name="Guidance").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_label("Steps", exact=True).select_option("10")
    page.get_by_label("Pictures", exact=True).select_option("4")
    page.wait_for_function(DONE)
    drawn = of_classes.sample(4, given={"class": "below"}, guidance=1.3, steps=10)
    assert_same(file.shown(), drawn)
    assert "20 network calls" in page.get_by_test_id("state").inner_text()
    page.get_by_test_id("others").click()
    page.wait_for_function(DONE)
    drawn = of_classes.sample(4, seed=1, given={"class": "below"}, guidance=1.3, steps=10)
    assert_same(file.shown(), drawn)
    command = page.get_by_test_id("command").inner_text()
    assert "--given class=below --guidance 1.3 --steps 10" in command
    file.set(label=None, guidance=1, steps=4, count=16, seed=0)


def test_every_stop_is_that_of_python(file: File, of_classes: Run) -> None:
    model: Any = of_classes.model
    frames = [pixels for _, pixels in model.frames(16)]
    assert_same(file.shown(stop=0), frames[0])
    assert_same(file.shown(stop=1), frames[1])
    _, walk = model.walk(16)
    predicted = [frame.prediction.x_0[:16] for frame in walk if frame.prediction is not None]
    assert_same(file.shown("clean", 1), model.codec.decode(predicted[1]))
    assert_same(file.shown("clean"), frames[4])


def test_before_they_are_bytes_they_are_the_same_to_a_thousandth(
    file: File, of_classes: Run
) -> None:
    model: Any = of_classes.model
    levels, walk = model.walk(4, given={"class": "above"}, guidance=3.0, steps=50)
    frames = list(walk)
    above = model.codec.classes.index("above")
    found = file.states(rows=4, label=above, guidance=3, steps=50)
    last = found["noisy"].reshape(17, 4, 1, 4, 4)[-1]
    assert np.abs(last - frames[-1].x_t[:4].numpy()).max() < 1e-3
    assert len(levels) == 51


def test_a_draw_is_given_up(file: File) -> None:
    before = file.shown()
    file.page.evaluate(f"""async () => {{
      const p = window.sfumato.pictures;
      const at = (id) => document.querySelector(`[data-testid=${{id}}]`);
      const told = () => /step [1-9]\\d* of 100, \\d+ s left/.test(at("progress")?.innerText ?? "");
      p.count.value = 64;
      p.steps.value = 100;
      await ({MEANWHILE})(told);
      at("cancel").click();
    }}""")
    file.page.get_by_text("This is not drawn yet.").wait_for()
    file.set(count=16, steps=4)
    np.testing.assert_array_equal(file.shown(), before)


def test_a_part_is_filled_in_as_complete_fills_it(file: File, of_classes: Run) -> None:
    page = file.page
    page.get_by_label("Fill in a part of one").check()
    page.get_by_role("button", name="real picture 3,").click()
    page.get_by_role("button", name="Upper half").click()
    page.get_by_test_id("fill").click()
    page.get_by_text("4 fillings in").wait_for()
    picture = np.array(
        page.evaluate("() => Array.from(window.sfumato.pictures.real(2))"), np.uint8
    ).reshape(1, 4, 4, 1)
    known = np.zeros(picture.shape, bool)
    known[:, 2:] = True
    label = page.get_by_label("Class", exact=True).input_value().removeprefix("=")
    own = of_classes.complete(picture, known, draws=4, given={"class": label})
    found = file.shown()
    assert_same(found, np.concatenate(own))
    assert (found.reshape(4, 4, 4)[:, 2:] == picture[0, 2:, :, 0]).all()
    page.get_by_label("New pictures").check()


def test_a_part_of_the_pictures_does_not_pass_for_all(file: File) -> None:
    """Drawing is stopped while another part of the page is looked at."""
    page = file.page
    waiting = page.evaluate(f"""async () => {{
      const p = window.sfumato.pictures;
      p.count.value = 64;
      p.steps.value = 64;
      await ({MEANWHILE})({PARTLY});
      const waiting = document.querySelectorAll(".thumbs.waiting").length;
      p.mode.value = "fill";
      document.querySelector("[data-testid=cancel]").click();
      return waiting;
    }}""")
    assert waiting == 0  # what is there already is not shown as old
    assert page.evaluate("() => window.sfumato.pictures.walks.new.value.held") < 64
    page.get_by_label("New pictures").check()
    page.wait_for_function(DONE)
    assert len(file.shown()) == 64
    file.set(count=16, steps=4)


def test_a_part_of_the_fillings_does_not_pass_for_all(file: File) -> None:
    """New pictures are asked for meanwhile."""
    page = file.page
    page.get_by_label("Fill in a part of one").check()
    page.get_by_text("Left half").click()
    page.evaluate(f"""async () => {{
      const p = window.sfumato.pictures;
      p.draws.value = 16;
      p.steps.value = 50;
      document.querySelector("[data-testid=fill]").click();
      await ({MEANWHILE})({PARTLY});
      p.mode.value = "new";
      p.count.value = 4;
    }}""")
    file.set(count=4, steps=4)
    page.get_by_label("Fill in a part of one").check()
    page.get_by_text("This is not filled in yet").wait_for()
    page.get_by_label("New pictures").check()
    file.set(count=16)


def test_a_change_that_is_taken_back_draws_nothing(file: File) -> None:
    before = file.shown()
    file.page.evaluate("""async () => {
      const { steps, busy } = window.sfumato.pictures;
      steps.value = 100;
      while (!busy.value) await new Promise((next) => setTimeout(next, 1));
      steps.value = 4;
    }""")
    assert file.page.evaluate(DONE)
    file.page.wait_for_timeout(400)
    assert file.page.evaluate(DONE)
    np.testing.assert_array_equal(file.shown(), before)


def test_a_few_step_map_draws_in_the_page(
    browser: "Browser", of_classes: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(distill._RECIPES, "images", (64, 4, 0.5, 1))  # little is learned
    settings = of_classes.settings.to_dict()
    few = sfumato.fit(
        of_classes.settings.data.source,
        settings=settings | {"sampling": settings["sampling"] | {"few": 2}},
        out=tmp_path / "run",
        quiet=True,
    )
    few.explore(tmp_path / "few.html")
    file = File(browser, tmp_path / "few.html")
    assert_same(file.shown(), few.sample(16))
    assert "2 network calls" in file.page.get_by_test_id("state").inner_text()
    file.set(few=0)
    assert_same(file.shown(), few.sample(16, few=0))
    file.close()


def test_other_samplers_clipping_and_a_guidance_interval(
    browser: "Browser", of_classes: Run, tmp_path: Path
) -> None:
    changes = {"sampler": "heun", "options": {}, "clip": 0.5, "guidance": 2.0, "steps": 6}
    run = of_settings(of_classes, **changes, guidance_interval=(-1.0, 3.0))
    run.explore(tmp_path / "page.html")
    file = File(browser, tmp_path / "page.html")
    assert_same(file.shown(), run.sample(16))
    file.close()


# ------------------------------------------------------------------------ what it cannot draw with


def of_settings(run: Run, **changes: Any) -> Run:
    """The same run with other settings for sampling."""
    model: Any = run.model
    sampling = model.settings.sampling.model_copy(update=changes)
    settings = model.settings.model_copy(update={"sampling": sampling})
    return replace(run, model=replace(model, settings=settings))


def why(run: Run, room: int = MOST_CONTENT) -> ArgumentError:
    with pytest.raises(ArgumentError) as refused:
        Pictures(run).live(room)
    return refused.value


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sampler": "runge-kutta", "options": {}}, "page-sampler"),
        ({"sampler": "heun", "options": {"churn": 0.1}}, "page-option"),
        ({"threshold": 0.9}, "page-threshold"),
    ],
)
def test_another_sampler_is_a_reason(changes: dict[str, Any], code: str, of_classes: Run) -> None:
    assert why(of_settings(of_classes, **changes)).code == code


def test_what_is_too_large_or_too_slow_is_said_with_its_numbers(
    of_classes: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = of_classes.model
    weights = sum(each.numel() for each in model.denoiser.network.state_dict().values())
    frequencies = model.denoiser.network.time_proj.frequencies.numel()
    header, _ = read(carried(of_classes, 200_000)[0])
    assert header.get("live") is None
    assert header["walks"]
    assert header["why"]["code"] == "page-weights"
    assert header["why"]["values"]["weights"] == f"{weights + frequencies:,}"
    assert f"its networks have {weights + frequencies:,} numbers" in header["why"]["message"]
    monkeypatch.setattr(live_pictures, "MOST_PRODUCTS", 1000)
    assert why(of_classes).code == "page-products"


@pytest.mark.parametrize(
    ("sampler", "guidance"), [("heun", 1.0), ("heun", 2.5), ("unipc", 2.5), ("ddim", 1.0)]
)
def test_calls_are_those_that_a_draw_makes(sampler: str, guidance: float, of_classes: Run) -> None:
    run = of_settings(of_classes, sampler=sampler, options={}, steps=5, guidance=guidance)
    model: Any = run.model
    header, _ = Pictures(run).draw(1, seed=0)
    assert live_pictures.own_calls(model, 5) == header["calls"]


def test_products_are_those_of_convolutions_and_matrices() -> None:
    # By hand: 16 x 16 channels at 4 x 4 pixels and the like; 8 channels, one resolution, no skip.
    network = UNet(1, 8, [1], 1, [False], mid_attention=False)
    at_each_pixel = 9 * (1 * 8 + 8 * 1)  # in and out
    at_each_pixel += 3 * 9 * 2 * 8 * 8  # the way down, and two in the middle
    at_each_pixel += 2 * (9 * (16 * 8 + 8 * 8) + 16 * 8)  # the way up, which sees both ways
    once = 8 * 32 + 32 * 32 + 5 * 32 * 16  # the embedding of the time, in five blocks
    assert live_pictures._products(network, (1, 4, 4)) == 16 * at_each_pixel + once


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"network.name": "dit", "network.options": {}}, "page-network"),
        ({"network.width": 12}, "page-unet"),
        (
            {"network.options": {"multipliers": [1, 1], "attention": [4], "residual_down": True}},
            "page-unet",
        ),
    ],
)
def test_another_network_is_a_reason(change: dict[str, Any], code: str, tmp_path: Path) -> None:
    small = {"network.width": 16, "network.options": {"multipliers": [1], "attention": []}}
    settings = SHORT | {"training.steps": 1} | small | change
    run = sfumato.fit(squares(), settings=settings, out=tmp_path / "run", quiet=True)
    assert why(run).code == code


def test_the_reason_is_on_the_page_in_both_languages(
    browser: "Browser", of_classes: Run, tmp_path: Path
) -> None:
    of_settings(of_classes, threshold=0.9).explore(tmp_path / "page.html")
    file = File(browser, tmp_path / "page.html")
    said = file.page.get_by_test_id("offline")
    assert "The page does not draw by itself: the page clips predictions" in said.inner_text()
    file.page.get_by_test_id("language").click()
    assert "本页不自行生成：页面会截断预测值，但不按分位数截断" in said.inner_text()
    file.close()


# ---------------------------------------------------------------------------- the network's options

COLOURS = np.random.default_rng(1).integers(0, 256, (40, 5, 7, 3)).astype(np.uint8)

OPTIONS: Mapping[str, dict[str, Any]] = {
    # Odd sizes in three resolutions, of which two have attention, in two blocks each.
    "deep": {
        "network.depth": 2,
        "network.options": {"multipliers": [1, 2, 2], "attention": [4, 2], "head_width": 8},
    },
    # DDPM's own form.
    "steps": {
        "process.schedule": "linear",
        "process.num_levels": 100,
        "sampling.grid": "trailing",
        "training.flip": True,
        "network.options": {
            "multipliers": [1, 2],
            "time_embedding": "step",
            "step_shift": 1,
            "cosine_first": True,
            "scale_shift": False,
            "head_width": 0,
            "one_sided": True,
            "groups": 4,
            "time_width": 24,
        },
    },
    "learned": {
        "process.schedule": "linear",
        "process.num_levels": 100,
        "sampling.grid": "trailing",
        "network.learned_variance": True,
        "network.options": {
            "multipliers": [1],
            "time_embedding": "learned-step",
            "mid_groups": -1,
        },
    },
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_network_answers_as_torch_does(name: str, browser: "Browser", tmp_path: Path) -> None:
    small = SHORT | {"training.steps": 1, "training.batch_size": 4, "network.width": 16}
    run = sfumato.fit(COLOURS, settings=small | OPTIONS[name], out=tmp_path / "run", quiet=True)
    model: Any = run.model
    with torch.no_grad():  # every layer says something
        for weight in model.denoiser.network.parameters():
            weight.normal_(0, 0.15)
    run.save(tmp_path / "model.safetensors")
    alone = sfumato.open(tmp_path / "model.safetensors")  # of which there are no real pictures
    alone.explore(tmp_path / "page.html")
    file = File(browser, tmp_path / "page.html")
    assert_same(file.shown(), alone.sample(16))
    # One step to the clean level: x_0 as it is predicted from noise, and from less of it.
    for steps in (1, 4):
        _, walk = model.walk(4, steps=steps)
        expected = [frame.x_t[:4].numpy() for frame in walk][-1]
        label = model.class_labels.any if model.class_labels.count else 0
        found = file.states(rows=4, label=label, steps=steps)["noisy"]
        last = found.reshape(steps + 1, *expected.shape)[-1]
        assert np.abs(last - expected).max() < 1e-3 * np.abs(expected).max()
    file.close()
