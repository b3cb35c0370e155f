"""The figures of a run: what they show is the process's own law, the model's own samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.data.points import Points
from sfumato.errors import RunError
from sfumato.runs.figures.common import errors_figure, loss_figure
from sfumato.runs.figures.points import FIGURES, forward_frames
from sfumato.runs.fit import fit
from sfumato.runs.run import Run, open_run

TINY: dict[str, Any] = {
    "training.steps": 40,
    "training.batch_size": 64,
    "training.log_every": 10,
    "training.snapshots": 2,
    "network.width": 16,
    "sampling.steps": 12,
}


def _run(folder: Path, name: str) -> Run:
    rng = np.random.default_rng(0)
    sources = {
        "plane": rng.normal([3, -1], [2, 0.1], (3000, 2)),
        "line": rng.normal(5, 2, (300, 1)),
        "space": rng.normal(0, 1, (300, 5)),
    }
    return fit(
        sources[name], out=folder / name, settings=TINY | {"data.kind": "points"}, quiet=True
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: _run(folder, name) for name in ("plane", "line", "space")}


@pytest.mark.parametrize("name", ["plane", "line", "space"])
@pytest.mark.parametrize("what", [name for name in FIGURES if name != "distances"])
def test_every_figure_draws_in_any_dimension(runs: dict[str, Run], name: str, what: str) -> None:
    figure = FIGURES[what](runs[name])
    figure.canvas.draw()
    assert figure.axes


def test_forward_frames_follow_q_of_x_t_given_x_0(runs: dict[str, Run]) -> None:
    """Mean and deviation at every level: alpha and sqrt(alpha² + sigma²) in encoded units."""
    run = runs["plane"]
    frames, shown = forward_frames(run, 15, 10_000)
    np.testing.assert_allclose(frames[0][1], shown.values, rtol=0, atol=1e-6)
    assert len(frames) == 15
    noise = [float(level.sigma_ve) for level, _ in frames]
    assert noise == sorted(noise)
    assert noise[0] == 0
    for level, x in frames:
        encoded = run.model.codec.encode(x).double()
        alpha, sigma = float(level.alpha), float(level.sigma)
        np.testing.assert_allclose(encoded.mean(0), 0, atol=4 * sigma / 2700**0.5 + 1e-4)
        np.testing.assert_allclose(encoded.std(0), (alpha**2 + sigma**2) ** 0.5, rtol=0.06)


def test_frames_are_labelled_by_time_from_one_to_zero(runs: dict[str, Run]) -> None:
    run = runs["plane"]
    frames = run.model.pictured_frames(5, 10)
    times = [float(run.model.process.coordinate(level).removeprefix("t = ")) for level, _ in frames]
    assert times[0] == 1
    assert times[-1] == 0
    assert times == sorted(times, reverse=True)
    np.testing.assert_allclose(-np.diff(times), 1 / 9, atol=0.06)


def test_a_lone_model_draws_its_reverse_process_but_has_no_loss(runs: dict[str, Run]) -> None:
    folder = runs["space"].folder
    assert folder is not None
    alone = open_run(folder / "model.safetensors")
    assert len(FIGURES["reverse"](alone).axes) == 10
    with pytest.raises(RunError, match="give the run folder"):
        loss_figure(alone)
    with pytest.raises(RunError, match="rows in memory"):
        FIGURES["forward"](alone)


def test_the_reverse_figure_has_a_row_for_each_snapshot(runs: dict[str, Run]) -> None:
    run = runs["plane"]
    axes = FIGURES["reverse"](run).axes
    assert len(axes) == 10 * len(run.snapshots())
    # A snapshot's steps are as many between two of its moments, and the labels are theirs.
    times = [float(each.get_title().removeprefix("t = ")) for each in axes[:10]]
    np.testing.assert_allclose(times, 1 - np.arange(10) / 9, atol=0.005001)


def test_a_users_dollars_begin_no_mathematics(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2))
    named = Points(rows, ("$x_{$", "price in $"))
    run = fit(named, out=tmp_path / "run", settings=TINY, quiet=True)
    for what in ("data", "samples", "trajectories"):
        figure = FIGURES[what](run)
        figure.canvas.draw()
        assert any(r"\$x_{\$" in axes.get_xlabel() for axes in figure.axes)


def test_errors_are_drawn_beside_the_least_possible(tmp_path: Path) -> None:
    run = fit("eight-gaussians", out=tmp_path / "run", settings=TINY, quiet=True)
    errors, cost = errors_figure(run).axes
    seen, unseen, least = (line.get_ydata() for line in errors.lines)
    # But for chance, where there is next to nothing to know.
    assert (np.asarray(least) < 1.005 * np.asarray(unseen)).all()
    assert np.asarray(least)[-5:].sum() < 0.99 * np.asarray(unseen)[-5:].sum()
    # With no signal left every answer costs the data's own variance, 1 for each of 2 columns.
    assert float(np.asarray(least)[0]) == pytest.approx(2, rel=0.05)
    assert len(np.asarray(seen)) == len(np.asarray(unseen))
    # The price is half the SNR times what is over the least, but for chance.
    log_snr, price = (np.asarray(each) for each in cost.lines[1].get_data())
    over = (np.asarray(unseen) - np.asarray(least)) * np.exp(log_snr) / 2
    assert np.trapezoid(price, log_snr) == pytest.approx(np.trapezoid(over, log_snr), rel=0.1)
