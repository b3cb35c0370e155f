"""The page in a real browser, offline: the same numbers as Python, and usable by anyone."""

import csv
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

import sfumato
from browser import Shown, browser
from command_line import leave
from fitted import TINY
from sfumato import Run
from sfumato.config.recipes import preset
from sfumato.denoisers.empirical import empirical
from sfumato.models.registry import build_stepper
from sfumato.networks.branches import Branches
from sfumato.process.discrete import sigmoid
from sfumato.process.noise import NoiseLevel
from sfumato.process.process import AnyProcess, as_process
from sfumato.process.schedules import VE, Linear, RectifiedFlow
from sfumato.runs.exact import errors_by_level, exact_denoiser, regrets_by_level
from sfumato.samplers.driver import sample_chunks

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

# Of standard deviations: what float32 networks of two makers may differ by after all steps.
CLOSE = 1e-4
WINDOW: Any = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def moons_html(moons: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run, as a file."""
    path = tmp_path_factory.mktemp("page") / "moons.html"
    moons.explore(path)
    return path


@pytest.fixture(scope="module")
def shown(browser: "Browser", moons_html: Path) -> Iterator[Shown]:
    page = Shown(browser, moons_html, viewport=WINDOW)
    yield page
    page.close()


@pytest.fixture(scope="module")
def reopened(browser: "Browser", moons_html: Path) -> Iterator[Shown]:
    """A page for one file after another, as another page takes longer than what it shows."""
    page = Shown(browser, moons_html, viewport=WINDOW)
    yield page
    page.close()


# All that is chosen on the page, and what its controls then show.
_CHOICES = """() => Object.fromEntries([
  "language", "direction", "together", "showPaths", "showField", "background", "schedule", "grid",
  "steps", "sampler", "eta", "lateNoise", "count", "seed", "calls", "startTooClean",
  "noiseAtTheEnd", "withoutAverage", "playing", "stop",
].map((name) => [name, window.sfumato[name].value]))"""
_CONTROLS = """() => [...document.querySelectorAll("input, select, button, [role]")]
  .map((each) => [each.textContent, each.value, each.checked, each.disabled])"""
_PUT_BACK = """(choices) => {
  for (const [name, value] of Object.entries(choices)) window.sfumato[name].value = value;
}"""


@pytest.fixture(scope="module")
def first_choices() -> list[Any]:
    """The choices and the controls of the page as it opened, once it has."""
    return []


@pytest.fixture
def fresh(reopened: Shown, moons_html: Path, first_choices: list[Any]) -> Iterator[Shown]:
    """The page as it opens, for what changes it; its choices are put back, which is sooner."""
    page = reopened.page
    page.set_viewport_size(WINDOW)
    page.mouse.move(0, 0)
    if first_choices and page.url == moons_html.as_uri():
        page.evaluate(_PUT_BACK, first_choices[0])
        reopened.wait()
    if [page.evaluate(each) for each in (_CHOICES, _CONTROLS)] != first_choices:
        reopened.open(moons_html)
        first_choices[:] = [page.evaluate(each) for each in (_CHOICES, _CONTROLS)]
    yield reopened
    errors = [*reopened.errors]
    reopened.errors.clear()  # of this test alone
    assert not errors, errors


@pytest.fixture(scope="module")
def chosen(browser: "Browser", moons_html: Path) -> Iterator[Shown]:
    """A page for tests that choose all that they rest on, whatever was chosen before."""
    page = Shown(browser, moons_html, viewport=WINDOW)
    yield page
    page.close()


def _in_units(run: Run, drawn: list[float]) -> np.ndarray:
    codec: Any = run.model.codec
    return np.asarray(codec.decode(torch.tensor(drawn).reshape(-1, codec.dimension)))


def _apart(run: Run, drawn: list[float], rows: Any) -> float:
    codec: Any = run.model.codec
    off = (_in_units(run, drawn) - np.asarray(rows)) / np.array(codec.scale)
    return float(np.abs(off).max())


def test_as_it_opens_it_shows_the_samples_of_run_sample(shown: Shown, moons: Run) -> None:
    assert _apart(moons, shown.drawn("learned"), moons.sample(2000)) < CLOSE


def test_a_browser_without_relaxed_simd_draws_the_same(
    reopened: Shown, moons: Run, moons_html: Path, tmp_path: Path
) -> None:
    """The kernel is compiled without its instructions, too."""
    page = moons_html.read_text("utf-8")
    asked = "WebAssembly.validate("
    assert page.count(asked) == 1
    (tmp_path / "page.html").write_text(page.replace(asked, "(() => false)("), "utf-8")
    reopened.open(tmp_path / "page.html")
    assert _apart(moons, reopened.drawn("learned"), moons.sample(2000)) < CLOSE


def test_the_exact_denoiser_draws_as_pythons_does(shown: Shown, moons: Run) -> None:
    exact = exact_denoiser(moons)
    assert exact is not None
    model: Any = moons.model
    sampling = moons.settings.sampling
    levels = model.process.grid(sampling.grid, sampling.steps)
    stepper = build_stepper(sampling)
    chunks = sample_chunks(exact, (2,), levels, stepper, n=2000, seed=moons.settings.seed)
    expected = torch.cat(list(chunks)).numpy()
    drawn = np.array(shown.drawn("exact")).reshape(-1, 2)
    assert np.abs(drawn - expected).max() < 2e-3
    assert np.quantile(np.abs(drawn - expected), 0.99) < CLOSE


def test_what_a_notebook_shows_draws_in_its_frame(
    browser: "Browser", moons: Run, tmp_path: Path
) -> None:
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html>{moons.explore()._repr_html_()}", encoding="utf-8")
    page = browser.new_page()
    page.goto(notebook.as_uri())
    frame = page.frames[1]
    frame.wait_for_function("() => window.sfumato?.frames.learned.value?.rows === 2000")
    frame.wait_for_function("() => !window.sfumato.busy.value")
    last = "s.stateAt(s.frames.learned.value, s.frames.learned.value.levels.length - 1)"
    drawn = frame.evaluate(f"() => {{ const s = window.sfumato; return Array.from({last}); }}")
    assert _apart(moons, drawn, moons.sample(2000)) < CLOSE
    page.close()


def test_it_asks_nothing_of_any_network(shown: Shown) -> None:
    outside = [url for url in shown.requests if not url.startswith(("file:", "blob:", "data:"))]
    assert outside == []


def test_it_could_not_ask_either(browser: "Browser", moons_html: Path) -> None:
    page = Shown(browser, moons_html)
    page.context.set_offline(False)
    refused = page.page.evaluate(
        "() => fetch('http://127.0.0.1:9/').then(() => 'asked', (error) => String(error))"
    )
    assert "Failed to fetch" in refused
    blocked = page.page.evaluate(
        """() => new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) =>
            resolve(effectiveDirective));
          fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => resolve("none"), 500));
        })"""
    )
    assert blocked == "connect-src"
    page.close()


def _commanded(shown: Shown, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the command on the page draws."""
    command = shlex.split(shown.page.get_by_test_id("command").inner_text())
    assert command[0] == "sfumato"
    assert run.folder is not None
    monkeypatch.chdir(run.folder.parent)
    to = folder / "points.csv"
    words = [str(to) if word == "points.csv" else word for word in command[1:]]
    assert leave(shlex.join([*words, "-q"])) == 0
    with to.open() as file:
        return np.array([[float(cell) for cell in row] for row in [*csv.reader(file)][1:]])


@pytest.mark.parametrize("sampler", ["dpm++2m", "dpm++3m", "unipc", "heun", "ddim", "ancestral"])
def test_each_sampler_draws_what_the_command_beside_it_draws(
    sampler: str, chosen: Shown, moons: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen.choose("Points", "500")
    chosen.choose("Steps", "12")
    chosen.choose("Sampler", sampler)
    chosen.page.get_by_label("Seed").fill("41")
    chosen.page.get_by_label("Seed").press("Enter")
    chosen.wait()
    rows = _commanded(chosen, moons, tmp_path, monkeypatch)
    assert rows.shape == (500, 2)
    assert _apart(moons, chosen.drawn("learned"), rows) < CLOSE


def test_noise_in_the_last_step_is_ancestral_samplings(fresh: Shown, moons: Run) -> None:
    fresh.check("Noise in the last step too")
    rows = moons.sample(
        2000, sampler="ancestral", options={"variance": "beta", "last_step_noise": True}
    )
    assert _apart(moons, fresh.drawn("learned"), rows) < CLOSE


def test_weights_of_the_last_step_are_the_trainings_own(
    fresh: Shown, moons: Run, tmp_path: Path
) -> None:
    fresh.check("Weights of the last step")
    last = sfumato.fit(
        "moons", settings={**TINY, "sampling.weights": "last"}, out=tmp_path / "last", quiet=True
    )
    assert _apart(moons, fresh.drawn("learned"), last.sample(2000)) < CLOSE


def test_to_begin_too_clean_leaves_the_noisier_levels_out(fresh: Shown, moons: Run) -> None:
    fresh.check("Begin at")
    model: Any = moons.model
    sampling = moons.settings.sampling
    levels = model.process.grid(sampling.grid, sampling.steps)
    kept = levels[(levels.alpha**2 / (levels.alpha**2 + levels.sigma**2) >= 0.778).nonzero()[:, 0]]
    assert 1 < len(kept) < len(levels)
    # The menu still names all of them.
    left = fresh.page.get_by_test_id("steps-left").inner_text()
    all_steps, taken = len(levels) - 1, len(kept) - 1
    assert left.startswith(f"Of the {all_steps} steps")
    assert f"left out: {taken} " in left
    assert fresh.page.get_by_text(f"· {taken} steps").count() == 1
    chunks = sample_chunks(model.denoiser, (2,), kept, build_stepper(sampling), n=2000, seed=0)
    drawn = np.array(fresh.drawn("learned")).reshape(-1, 2)
    assert np.abs(drawn - torch.cat(list(chunks)).numpy()).max() < CLOSE


@pytest.mark.parametrize(
    ("name", "process", "grid", "steps"),
    [
        ("ve", VE(), "uniform-time", 16),
        ("rectified-flow", RectifiedFlow(), "uniform-log-snr", 50),
        ("linear", Linear(), "karras", 8),
        ("sigmoid-100", sigmoid(), "trailing", 32),
    ],
)
def test_along_another_schedule_points_are_those_of_its_process(
    name: str,
    process: AnyProcess,
    grid: str,
    steps: int,
    chosen: Shown,
    moons: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen.choose("Schedule", name)
    chosen.choose("Noise levels", grid)
    chosen.choose("Steps", str(steps))
    count, seed = chosen.value("[s.count.value, s.seed.value]")
    chosen.choose("Sampler", "dpm++2m")
    model: Any = moons.model
    along = replace(model, process=as_process(process))
    rows = along.sample(count, seed=seed, sampler="dpm++2m", grid=grid, steps=steps)
    assert _apart(moons, chosen.drawn("learned"), rows) < CLOSE
    # So does the command beside it.
    commanded = _commanded(chosen, moons, tmp_path, monkeypatch)
    assert _apart(moons, chosen.drawn("learned"), commanded) < CLOSE


def test_of_a_schedule_it_is_said_where_it_begins_and_what_was_not_learned(chosen: Shown) -> None:
    note = chosen.page.get_by_test_id("schedule-note")
    chosen.choose("Schedule", "sigmoid-100")
    assert "begins at ᾱ = 0.778," in note.inner_text()  # the tutorial's
    assert "learned nothing" in note.inner_text()  # at its clean end: 10.7 is above 10
    chosen.choose("Schedule", "scaled-linear-1000")
    assert "−5.4 … 7.1" in note.inner_text()
    assert "learned nothing" not in note.inner_text()
    chosen.choose("Schedule", "")
    assert note.count() == 0


def test_another_schedule_keeps_the_grid_and_the_steps_that_it_has(fresh: Shown) -> None:
    fresh.choose("Points", "500")  # how many are drawn meanwhile is all the same
    fresh.choose("Noise levels", "uniform-time")
    fresh.choose("Steps", "40")
    fresh.choose("Schedule", "laplace")
    assert fresh.value("[s.grid.value, s.steps.value]") == ["uniform-time", 32]
    fresh.choose("Schedule", "linear-1000")  # in levels, where even in time is called otherwise
    assert fresh.value("[s.grid.value, s.steps.value]") == ["trailing", 32]
    fresh.choose("Noise levels", "karras")
    fresh.choose("Schedule", "")
    assert fresh.value("[s.grid.value, s.steps.value]") == ["karras", 32]


@pytest.mark.parametrize("network", ["vector-mlp", "step-mlp", "with a variance"])
def test_a_few_step_map_draws_as_sample_calls_does(
    network: str, own_moons: Run, reopened: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sfumato.runs import distill

    monkeypatch.setitem(distill._RECIPES, "points", (200, 6, 0.5, 1))  # little is learned
    run = own_moons
    if network != "vector-mlp":
        steps = {"process.schedule": "cosine", "process.options": {}, "process.num_levels": 100}
        if network == "step-mlp":
            steps |= {"network.name": "step-mlp", "network.parameterisation": "v"}
        else:
            steps |= {"network.learned_variance": True}
        own = {"training.reference": 0, "sampling.grid": "trailing"}
        run = sfumato.fit(
            "moons", settings={**TINY, **steps, **own}, out=tmp_path / "run", quiet=True
        )
    run = distill.learn_map(run, [1, 4], seed=0, measure=False, quiet=True).run
    assert run.model.few is not None
    assert isinstance(run.model.few.network, Branches)
    run.explore(tmp_path / "few.html")
    reopened.open(tmp_path / "few.html")
    for calls in (1, 4):
        reopened.choose("Drawn by", str(calls))
        assert _apart(run, reopened.drawn("learned"), run.sample(2000, few=calls)) < CLOSE
        note = reopened.page.get_by_test_id("map-note").inner_text()
        sampler, steps = reopened.value("[s.sampler.value, s.steps.value]")
        assert "neither sampler, schedule, steps nor noise" in note
        assert note.endswith(f"no map: its points are drawn by {sampler}, in {steps} steps.")
        assert reopened.page.get_by_label("Sampler", exact=True).is_disabled()
    # Where the tour has one change the sampler, it can be changed; a network of steps has no flow.
    reopened.page.get_by_test_id("begin-tour").click()
    tour = reopened.page.get_by_test_id("tour")
    while tour.locator(".number").inner_text() != "(4-4)":
        tour.get_by_role("button", name="›").click()
    reopened.page.wait_for_function(
        "(name) => !document.querySelector(`select[aria-label=${name}]`).disabled", arg="Sampler"
    )
    count = 7 if network == "step-mlp" else 8
    assert tour.locator(".count").inner_text() == f"6 / {count}"
    tour.locator(".close").click()
    reopened.wait()
    reopened.choose("Drawn by", "0")
    assert reopened.page.get_by_test_id("map-note").count() == 0


@pytest.mark.parametrize("zero_terminal", [False, True])
def test_a_discrete_process_and_the_networks_of_steps(
    zero_terminal: bool, reopened: Shown, tmp_path: Path
) -> None:
    run = sfumato.fit(
        "s-curve",
        settings={
            **TINY,
            "process.schedule": "linear",
            "process.options": {},
            "process.num_levels": 20,
            "process.zero_terminal_snr": zero_terminal,
            "network.name": "step-mlp",
            "network.parameterisation": "v",
            "training.reference": 0,
            "sampling.sampler": "ancestral",
            "sampling.options": {},
            "sampling.grid": "trailing",
            "sampling.steps": 20,
        },
        out=tmp_path / "steps",
        quiet=True,
    )
    run.explore(tmp_path / "steps.html")
    reopened.open(tmp_path / "steps.html")
    assert _apart(run, reopened.drawn("learned"), run.sample(2000)) < CLOSE
    # From a level without signal, too, where there is no log-SNR.
    reopened.choose("Sampler", "dpm++2m")
    again = run.sample(2000, sampler="dpm++2m", grid="trailing")
    assert _apart(run, reopened.drawn("learned"), again) < CLOSE
    menu = reopened.page.get_by_label("Sampler", exact=True).inner_text()
    assert ("heun" in menu) is not zero_terminal
    assert reopened.page.get_by_label("Schedule", exact=True).count() == 0
    assert "step-mlp knows only" in reopened.page.inner_text(".controls")


@pytest.mark.parametrize("columns", [1, 3])
def test_a_line_and_a_cloud_in_space(columns: int, reopened: Shown, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(600, columns)) * [1, 5, 0.1][:columns]
    run = sfumato.fit(rows, settings=TINY, out=tmp_path / "run", quiet=True)
    run.explore(tmp_path / "page.html")
    reopened.open(tmp_path / "page.html")
    assert _apart(run, reopened.drawn("learned"), run.sample(2000)) < CLOSE


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_at_every_noise_the_exact_denoiser_answers_as_pythons_does(
    columns: int, reopened: Shown, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(1001, columns)) * [1, 5, 0.1][:columns]
    run = sfumato.fit(rows, settings=TINY, out=tmp_path / "run", quiet=True)
    run.explore(tmp_path / "page.html")
    reopened.open(tmp_path / "page.html")
    codec: Any = run.model.codec
    train = codec.encode(run.load_data().train.values)
    exact = empirical(train)
    worst = 0.0
    for at in range(0, 256, 15):
        level = reopened.value(f"s.axis.value[{at}]")
        alpha, sigma = level["alpha"], level["sigma"]
        eps = torch.randn(200, columns, generator=torch.Generator().manual_seed(at)).double()
        x_t = alpha * train[:200] + sigma * eps
        found = reopened.page.evaluate(
            """async ([level, x]) => {
              const { engine, axis } = window.sfumato, next = axis.value[axis.value.length - 1];
              const ask = { source: "exact", x: Float64Array.from(x), level, next };
              return Array.from((await engine.ask("test", "field", ask)).moved);
            }""",
            [level, x_t.flatten().tolist()],
        )
        noise = NoiseLevel(torch.tensor(alpha).double(), torch.tensor(sigma).double())
        expected = exact(x_t, noise).x_0.flatten().numpy()
        worst = max(worst, np.abs(np.array(found) - expected).max())
    assert worst < 5e-6


def test_the_tutorials_own_sampling_is_what_the_page_opens_with(
    reopened: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Last weights, variance beta and noise in the last step are settings of the run."""
    monkeypatch.chdir(tmp_path)
    sampling = preset("tutorial")["sampling"]
    run = sfumato.fit(
        "s-curve",
        settings={
            **TINY,
            "process.schedule": "sigmoid",
            "process.num_levels": 20,
            "process.options": {},
            "network.name": "step-mlp",
            "network.parameterisation": "v",
            "training.reference": 0,
            **{f"sampling.{name}": value for name, value in sampling.items()},
            "sampling.steps": 20,
        },
        out=tmp_path / "tutorial",
        quiet=True,
    )
    run.explore(tmp_path / "page.html")
    reopened.open(tmp_path / "page.html")
    assert _apart(run, reopened.drawn("learned"), run.sample(2000)) < CLOSE
    command = shlex.split(reopened.page.get_by_test_id("command").inner_text())
    assert leave(shlex.join([*command[1:], "-q"])) == 0
    with Path("points.csv").open() as file:
        rows = np.array([[float(cell) for cell in row] for row in [*csv.reader(file)][1:]])
    assert _apart(run, reopened.drawn("learned"), rows) < CLOSE


def test_one_step_from_too_clean_a_level_is_a_step(fresh: Shown) -> None:
    fresh.choose("Steps", "1")
    fresh.check("Begin at")
    fresh.page.evaluate("() => { window.sfumato.stop.value = 3; }")
    assert fresh.value("s.walk.value.levels.length") == 2
    assert fresh.value("s.mixAt('learned').n") == 2000


def test_log_densities_between_uneven_levels_too(reopened: Shown, tmp_path: Path) -> None:
    run = sfumato.fit(
        "moons",
        settings={
            **TINY,
            "process.schedule": "linear",
            "process.options": {},
            "process.num_levels": 100,
        },
        out=tmp_path / "run",
        quiet=True,
    )
    run.explore(tmp_path / "page.html")
    reopened.open(tmp_path / "page.html")
    codec: Any = run.model.codec
    rows = run.sample(100)
    found = _ask_density(reopened, "averaged", codec.encode(np.asarray(rows)).numpy())
    expected = run.log_prob(rows) + np.log(codec.scale).sum()
    assert np.median(np.abs(found - expected)) < 0.02


def _ask_density(shown: Shown, source: str, x: np.ndarray) -> np.ndarray:
    """Log densities of rows at the least noise, as the network sees them."""
    found = shown.page.evaluate(
        """async ([source, x]) => {
          const { engine, axis } = window.sfumato;
          const levels = axis.value.slice(0, -1);
          const ask = { source, x: Float64Array.from(x), levels, steps: 64 };
          return Array.from((await engine.ask("test", "density", ask)).logs);
        }""",
        [source, x.flatten().tolist()],
    )
    return np.array(found)


def test_log_densities_are_those_of_log_prob(shown: Shown, moons: Run) -> None:
    codec: Any = moons.model.codec
    rows = moons.sample(200)
    found = _ask_density(shown, "averaged", codec.encode(np.asarray(rows)).numpy())
    expected = moons.log_prob(rows) + np.log(codec.scale).sum()
    assert np.abs(found - expected).max() < 0.02


def test_the_exact_log_density_is_the_mixtures(shown: Shown, moons: Run) -> None:
    exact = exact_denoiser(moons)
    assert exact is not None
    level = shown.value("s.axis.value[s.axis.value.length - 2]")
    at = NoiseLevel(torch.tensor(level["alpha"]).double(), torch.tensor(level["sigma"]).double())
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)).double()
    found = _ask_density(shown, "exact", x.numpy())
    expected = exact.log_density(x, at).numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-3)


def test_errors_by_noise_level_are_the_reports(shown: Shown, moons: Run) -> None:
    exact = exact_denoiser(moons)
    assert exact is not None
    shown.page.wait_for_function("() => window.sfumato.errors.value !== null")
    found = shown.value("s.errors.value")
    real = np.array(shown.value("Array.from(s.payload.value.floats('rows/real'))")).reshape(-1, 2)
    x_0 = torch.from_numpy(real[:1000]).double()

    def root(squares: torch.Tensor) -> np.ndarray:
        return np.asarray((squares.mean(1) / 2).sqrt())

    network = root(errors_by_level(moons, moons.model.numeric_denoiser(), x_0))
    np.testing.assert_allclose(found["network"], network, rtol=1e-4)
    unlearned = root(regrets_by_level(moons, exact, x_0))
    np.testing.assert_allclose(found["unlearned"], unlearned, rtol=1e-3)
    least = root(errors_by_level(moons, exact, x_0))
    np.testing.assert_allclose(found["least"], least, rtol=1e-3)


def test_the_energy_distance_is_ours(shown: Shown, moons: Run) -> None:
    from sfumato.metrics.distances import energy_distance

    shown.page.wait_for_function(_MEASURED)
    drawn = np.array(shown.drawn("learned")).reshape(-1, 2)
    real = np.array(shown.value("Array.from(s.payload.value.floats('rows/real'))")).reshape(-1, 2)
    expected = energy_distance(drawn, real)
    assert shown.value("s.energies.learned.value") == pytest.approx(expected, abs=1e-5)


def test_what_chance_reaches_is_the_evaluations_limit(shown: Shown) -> None:
    from sfumato.metrics.distances import energy_distance
    from sfumato.metrics.evaluation import judged

    shown.page.wait_for_function("() => window.sfumato.energyLimit.value !== null")
    read = "Array.from(s.payload.value.floats('rows/{}'))"
    real = np.array(shown.value(read.format("real"))).reshape(-1, 2)
    floor = [
        energy_distance(np.array(shown.value(read.format(f"other/{k}"))).reshape(-1, 2), real)
        for k in range(6)
    ]
    limit = judged("", "", 0.0, floor, 0.0, len(real)).limit
    assert shown.value("s.energyLimit.value") == pytest.approx(limit, abs=1e-5)


# -------------------------------------------------------------------------- what a person does


_TICKS = """() => [...document.querySelectorAll('.panel')].flatMap((panel) => {
  const box = panel.querySelector('.stage').getBoundingClientRect();
  const heading = panel.querySelector('figcaption').getBoundingClientRect();
  return [...panel.querySelectorAll('.axis span')].map((label) => {
    const own = label.getBoundingClientRect(), across = label.style.left !== '';
    const at = across ? (own.left + own.width / 2 - box.left) / box.width
      : (box.bottom - own.top - own.height / 2) / box.height;
    return [100 * at, parseFloat(across ? label.style.left : label.style.bottom), heading.height];
  });
})"""


def test_labels_stand_at_their_ticks_however_many_lines_a_heading_has(reopened: Shown) -> None:
    narrow = (
        "(width) => { document.querySelector('[data-side=exact] figcaption').style.width = width; }"
    )
    reopened.page.evaluate(narrow, "6rem")
    found = reopened.page.evaluate(_TICKS)
    reopened.page.evaluate(narrow, "")
    heights = {round(height) for _, _, height in found}
    assert len(heights) > 1, "one heading is to have more lines than the other"
    assert len(found) >= 8
    for at, meant, _ in found:
        assert at == pytest.approx(meant, abs=1)


# Of a panel's two axes: how many of its widths, or heights, one unit of the data takes.
_SCALES = """() => [".across", ".up"].map((axis) => {
  const [first, last] = [...document.querySelectorAll(`[data-side=learned] ${axis} span`)]
    .map((each) => [parseFloat(each.textContent), parseFloat(each.style.left || each.style.bottom)])
    .filter((_, k, all) => k === 0 || k === all.length - 1);
  return (last[1] - first[1]) / (last[0] - first[0]);
})"""


@pytest.mark.parametrize(
    ("columns", "spread", "is_one_scale"),
    [
        (("x", "y"), (2.0, 0.5), True),
        (("pc1", "pc2"), (0.5, 2.0), True),
        (("width", "price"), (2.0, 0.5), False),
        (("x", "y"), (2000.0, 0.5), False),  # at one scale it would be a line
    ],
)
def test_places_in_a_plane_keep_their_shape_and_other_columns_have_their_own_scales(
    columns: tuple[str, str],
    spread: tuple[float, float],
    is_one_scale: bool,
    reopened: Shown,
    tmp_path: Path,
) -> None:
    rows = np.random.default_rng(3).normal(size=(400, 2)) * spread
    lines = [",".join(columns), *(f"{a},{b}" for a, b in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    run = sfumato.fit(tmp_path / "rows.csv", settings=TINY, out=tmp_path / "run", quiet=True)
    run.explore(tmp_path / "page.html")
    reopened.open(tmp_path / "page.html")
    across, up = reopened.page.evaluate(_SCALES)
    assert (across == pytest.approx(up, rel=0.02)) is is_one_scale
    if not is_one_scale:
        assert across / up == pytest.approx(spread[1] / spread[0], rel=0.5)
    said = "Each axis has a scale of its own" in reopened.page.inner_text(".look")
    assert said is not is_one_scale


_MEASURED = """() => {
  const { energies, energyLimit } = window.sfumato;
  return energies.learned.value !== null && energyLimit.value !== null;
}"""


def test_the_tour_says_where_too_few_real_points_cannot_tell(
    fresh: Shown, reopened: Shown, tmp_path: Path
) -> None:
    def blind_steps(shown: Shown) -> list[int]:
        shown.page.get_by_test_id("begin-tour").click()
        tour, found = shown.page.get_by_test_id("tour"), []
        for step in range(1, 9):
            shown.page.wait_for_function(_MEASURED)
            if tour.get_by_test_id("without-power").count():
                found.append(step)
                text = tour.get_by_test_id("without-power").inner_text()
                assert "only 20 real points" in text
                assert "with so few chance reaches 0." in text
            if step < 8:
                tour.get_by_role("button", name="Next").click()
        tour.get_by_role("button", name="Previous").click()
        assert tour.locator(".count").inner_text() == "7 / 8"
        shown.page.evaluate("() => { window.sfumato.language.value = 'zh'; }")
        tour.get_by_role("button", name="下一步").click()
        tour.get_by_role("button", name="上一步").click()
        shown.page.evaluate("() => { window.sfumato.language.value = 'en'; }")
        tour.locator(".close").click()
        return found

    fresh.choose("Points", "500")
    assert blind_steps(fresh) == []  # of a toy set there are as many as are drawn
    rows = np.random.default_rng(0).normal(size=(155, 2))
    run = sfumato.fit(rows, settings=TINY, out=tmp_path / "few", quiet=True)
    run.explore(tmp_path / "few.html")
    reopened.open(tmp_path / "few.html")
    assert blind_steps(reopened) == [6, 8]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(width: int, reopened: Shown, moons_html: Path) -> None:
    reopened.page.set_viewport_size({"width": width, "height": 844})
    reopened.open(moons_html)
    reopened.choose("Points", "500")  # whose number has no width
    for language in ("en", "zh"):
        reopened.page.evaluate(f"() => {{ window.sfumato.language.value = '{language}'; }}")
        reopened.page.get_by_test_id("begin-tour").click()
        for _ in range(7):
            assert reopened.value("document.documentElement.scrollWidth") <= width
            reopened.page.get_by_test_id("tour").get_by_role("button", name="›").click()
        reopened.page.get_by_test_id("tour").locator(".close").click()


def test_a_narrow_screen_shows_the_errors_where_the_tour_speaks_of_them(fresh: Shown) -> None:
    fresh.page.set_viewport_size({"width": 390, "height": 844})
    curves, tour = fresh.page.locator(".errors"), fresh.page.get_by_test_id("tour")
    curves.wait_for(state="attached")
    fresh.page.get_by_test_id("begin-tour").click()
    seen = []
    for _ in range(8):
        seen.append(curves.is_visible())
        if (following := tour.get_by_role("button", name="›")).is_enabled():
            following.click()
    assert seen == [False] * 3 + [True] + [False] * 4
    tour.locator(".close").click()
    fresh.wait()


def test_the_keyboard_alone_is_enough(fresh: Shown) -> None:
    page = fresh.page
    last = fresh.value("s.lastStop.value")
    page.get_by_test_id("slider").focus()
    page.keyboard.press("ArrowLeft")
    assert fresh.value("s.stop.value") == last - 1
    page.keyboard.press("Home")
    assert fresh.value("s.stop.value") == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Play"
    page.keyboard.press("Enter")
    page.wait_for_function("() => window.sfumato.stop.value > 3")
    page.keyboard.press("Enter")
    assert fresh.value("s.playing.value") is False


def test_every_control_has_a_name(shown: Shown) -> None:
    nameless = shown.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, canvas")].filter((each) =>
          !(each.ariaLabel || each.labels?.length || each.textContent.trim()))
          .map((each) => each.outerHTML)"""
    )
    assert nameless == []


def test_where_nothing_may_be_copied_the_command_is_selected(fresh: Shown) -> None:
    # As over HTTP from another machine.
    fresh.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    button, command = (fresh.page.get_by_test_id(each) for each in ("copy", "command"))
    button.click()
    assert button.inner_text() == "Selected: press Ctrl+C"
    assert fresh.page.evaluate("() => String(getSelection())") == command.inner_text()
    fresh.page.wait_for_function(
        "() => document.querySelector('[data-testid=copy]').textContent === 'Copy'"
    )
    fresh.page.reload()  # with what may be copied again
    fresh.wait()


def test_large_numbers_have_commas(shown: Shown) -> None:
    counts = shown.page.get_by_label("Points", exact=True).locator("option").all_inner_texts()
    assert counts == [f"{count:,}" for count in (500, 2000, 10_000)]


def test_the_slider_shows_the_forward_process(fresh: Shown, moons: Run) -> None:
    fresh.page.get_by_label("Forward: data to noise").check()
    fresh.page.evaluate("() => { window.sfumato.stop.value = 0; }")
    mix = fresh.value("Array.from(s.mixAt('learned').weights)")
    level = fresh.value("s.axis.value[0]")
    scale = np.hypot(level["alpha"], level["sigma"])
    assert mix == pytest.approx([level["alpha"] / scale, level["sigma"] / scale], rel=0.01)
    # At the data end the points are the real rows.
    fresh.page.evaluate("() => { window.sfumato.stop.value = window.sfumato.lastStop.value; }")
    assert fresh.value("Array.from(s.mixAt('learned').weights)") == [1, 0]


def test_both_languages_have_every_sentence(fresh: Shown) -> None:
    before = fresh.page.inner_text("body")
    fresh.page.get_by_test_id("language").click()
    after = fresh.page.inner_text("body")
    assert fresh.page.evaluate("() => document.documentElement.lang") == "zh-CN"
    names = {"dpm++2m-sde", "uniform-log-snr", "sfumato sample", " × 10"}
    kept = [line for line in before.splitlines() if len(line.split()) > 2 and line in after]
    assert [line for line in kept if not any(name in line for name in names)] == []


def test_what_is_under_the_pointer_is_said(fresh: Shown) -> None:
    # Half way, where points lie near the middle of the panel.
    fresh.page.evaluate("() => { window.sfumato.stop.value = window.sfumato.lastStop.value >> 1; }")
    box = fresh.page.get_by_test_id("stage-learned").bounding_box()
    assert box is not None
    for part in np.linspace(0.3, 0.7, 9):
        fresh.page.mouse.move(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        if fresh.page.get_by_test_id("pointed").count():
            break
    said = fresh.page.get_by_test_id("pointed")
    fresh.page.wait_for_function(
        "() => !document.querySelector('[data-testid=pointed]').textContent.includes('…')"
    )
    text = said.inner_text()
    assert "log density" in text
    assert "spread over about" in text
    assert "–" not in text
    # In pure noise there is none to wait for.
    fresh.page.get_by_test_id("slider").fill("0")
    fresh.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 1)
    assert "network's flow –, exact –" in said.inner_text()


def _inked(path: Path) -> float:
    """The share of a picture that is not its paper."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    paper = pixels[0]
    return float((np.abs(pixels.astype(int) - paper).sum(1) > 30).mean())


def test_picture_and_animation_are_of_what_is_shown(fresh: Shown, tmp_path: Path) -> None:
    with fresh.page.expect_download() as png:
        fresh.page.get_by_test_id("png").click()
    png.value.save_as(tmp_path / "moons.png")
    assert png.value.suggested_filename == "moons.png"
    assert 0.01 < _inked(tmp_path / "moons.png") < 0.5
    fresh.choose("Points", "500")  # each of the frames is drawn anew
    with fresh.page.expect_download() as gif:
        fresh.page.get_by_test_id("gif").click()
    gif.value.save_as(tmp_path / "moons.gif")
    with Image.open(tmp_path / "moons.gif") as frames:
        assert frames.n_frames == 49  # type: ignore[attr-defined]
        first = np.asarray(frames.convert("RGB")).astype(int)
        frames.seek(48)
        last = np.asarray(frames.convert("RGB")).astype(int)
    assert np.abs(first - last).mean() > 1


def test_the_tour_ends_as_it_began(fresh: Shown) -> None:
    fresh.choose("Points", "500")
    fresh.page.get_by_test_id("begin-tour").click()
    tour = fresh.page.get_by_test_id("tour")
    numbers = []
    for _ in range(8):
        numbers.append(tour.locator(".number").inner_text())
        following = tour.get_by_role("button", name="›")
        if following.is_enabled():
            following.click()
    assert len(set(numbers)) == 8
    tour.locator(".close").click()
    assert tour.count() == 0
    assert fresh.value("s.startTooClean.value") is False
    fresh.wait()


def test_after_the_tour_everything_is_as_before(fresh: Shown) -> None:
    names = "sampler", "showPaths", "background", "direction", "stop", "startTooClean"
    before = {name: fresh.value(f"s.{name}.value") for name in names}
    fresh.choose("Points", "500")
    fresh.page.get_by_test_id("begin-tour").click()
    tour = fresh.page.get_by_test_id("tour")
    for _ in range(6):
        tour.get_by_role("button", name="›").click()
    assert fresh.value("s.sampler.value") == "unipc"
    tour.locator(".close").click()
    assert {name: fresh.value(f"s.{name}.value") for name in names} == before
    fresh.wait()


def test_a_shade_is_of_the_level_that_is_shown_or_not_there(fresh: Shown) -> None:
    idle = "() => window.sfumato.shade.pending.value === false"
    fresh.page.get_by_label("Background").select_option("model")
    fresh.page.wait_for_function(idle)
    assert fresh.value("s.shade.density('learned').stop") == fresh.value("s.lastStop.value") - 1
    assert fresh.value("s.shade.density('exact')") is None  # it is the network's own flow
    # What belongs to another level is gone at once, and then there anew.
    at_once = (
        "() => { const s = window.sfumato; s.stop.value = 30; return s.shade.density('learned'); }"
    )
    assert fresh.page.evaluate(at_once) is None
    fresh.page.wait_for_function(idle)
    assert fresh.value("s.shade.density('learned').stop") == 30


def test_of_what_is_not_there_the_page_says_why_or_greys_it(fresh: Shown) -> None:
    arrows, none = fresh.page.get_by_label("Arrows of the flow"), "no-arrows"
    arrows.check()
    assert "move the slider towards noise" in fresh.page.get_by_test_id(none).inner_text()
    fresh.page.get_by_test_id("slider").fill("40")
    assert fresh.page.get_by_test_id(none).count() == 0
    fresh.page.wait_for_function("() => !window.sfumato.shade.pending.value")
    arrows.uncheck()
    paths = fresh.page.get_by_label("Paths of 40 points")
    assert paths.is_enabled()
    fresh.page.get_by_label("Forward: data to noise").check()
    assert paths.is_disabled()


def test_ddim_is_without_noise_until_one_asks_for_it(chosen: Shown) -> None:
    chosen.choose("Sampler", "ddim")
    assert chosen.value("s.eta.value") == 0
    chosen.choose("Sampler", "dpm++3m-sde")
    assert chosen.value("s.eta.value") == 1.5  # the run's own


def test_a_seed_that_is_none_is_refused_beside_its_field_and_the_last_is_kept(
    chosen: Shown,
) -> None:
    box = chosen.page.get_by_label("Seed")
    said = chosen.page.locator(".controls [role=alert]")
    for right in (str(2**53 - 1), "7"):
        box.fill(right)
        box.press("Enter")
        assert chosen.value("s.seed.value") == int(right)
        assert said.count() == 0
    for typed in ("1.5", "", "-5", "99999999999999999999"):
        box.fill(typed)
        box.press("Enter")
        assert chosen.value("s.seed.value") == 7
        assert box.input_value() == "7"
        begins = typed or "An empty field"
        text = f"{begins} is not a whole number from 0 to {2**53 - 1:,}: 7 is kept."
        assert said.inner_text() == text
        assert said.get_attribute("id") == box.get_attribute("aria-describedby")
        assert box.get_attribute("aria-invalid") == "true"
    chosen.value("void (s.language.value = 'zh')")
    assert said.inner_text().endswith("之间的整数：仍用 7。")
    chosen.value("void (s.language.value = 'en')")
    box.fill("8")
    box.press("Enter")
    assert said.count() == 0
    assert chosen.value("s.seed.value") == 8


def test_a_finger_points_too(browser: "Browser", moons_html: Path) -> None:
    page = Shown(browser, moons_html, viewport={"width": 390, "height": 844}, has_touch=True)
    at = page.page.evaluate(
        """() => {
          const { frames, stateAt } = window.sfumato, held = frames.learned.value;
          return Array.from(stateAt(held, held.levels.length - 1).slice(0, 2));
        }"""
    )
    reach = page.value("s.view.reach.value")
    box = page.page.get_by_test_id("stage-learned").bounding_box()
    assert box is not None
    page.page.touchscreen.tap(
        box["x"] + box["width"] * (1 + at[0] / reach[0]) / 2,
        box["y"] + box["height"] * (1 - at[1] / reach[1]) / 2,
    )
    assert "log density" in page.page.get_by_test_id("pointed").inner_text()
    page.close()


def test_equations_of_the_tour_are_numbered_in_the_docs() -> None:
    source = Path("explorer/src/tour.tsx").read_text("utf-8")
    numbers = [
        line.split('"')[1] for line in source.splitlines() if line.startswith("    number: ")
    ]
    assert len(numbers) == 8
    equations = "".join(page.read_text("utf-8") for page in Path("docs").glob("*.md"))
    for number in numbers:
        assert f"\\tag{{{number}}}" in equations
