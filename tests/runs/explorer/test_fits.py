"""Fits that a page asks for: ordinary runs, whatever becomes of pages, server and worker."""

import asyncio
import itertools
import json
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin

import sfumato
from command_line import leave
from explorer_pages import (
    FINDS_PROCESSES,
    Page,
    drawn,
    is_running,
    page,
    place,
    ring,
    socket_of,
)
from forked_worker import ForkedWorkers, forked_workers
from sfumato.data.io.rows import read_points
from sfumato.data.toy import draw
from sfumato.runs.explorer.server import Explorer
from sfumato.runs.fit import begin, fit, resolve
from sfumato.runs.job import fitting, sampling_model
from sfumato.runs.run import Run

__all__ = ["forked_workers"]

# Rows enough to be fitted; and steps of a fit that is not over before it is stopped or killed.
FEW, LONG = 100, 100_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the worker's runs lie; commands are typed there, too."""
    made = tmp_path_factory.mktemp("explored")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


@pytest.fixture(scope="module")
def explorer(folder: Path, forked_workers: ForkedWorkers) -> Iterator[Explorer]:
    with Explorer() as served:
        yield served


@pytest.fixture
def opened(explorer: Explorer) -> Iterator[Page]:
    with page(explorer.address) as opened:
        opened.until_state("empty", "done", "stopped")
        yield opened


def weights(run: Run) -> dict[str, np.ndarray]:
    return {name: each.numpy() for name, each in run.model.denoiser.network.state_dict().items()}


def assert_same(one: Run, other: Run) -> None:
    """The same weights, bit for bit."""
    own, others = weights(one), weights(other)
    assert own.keys() == others.keys()
    for name, values in own.items():
        np.testing.assert_array_equal(values, others[name])


def stopped_at(source: str, step: int, out: str) -> Run:
    """A fit of so many steps that nothing interrupts, as it is after some."""
    settings, data = resolve(source, {"training.steps": LONG})
    with begin(settings, data, Path(out)) as job:
        for record in fitting(job):
            if record.step == step:
                break
        return Run(sampling_model(job), job.folder, job.data)


def last_step(run: Path) -> int:
    return int(sfumato.open(run).records()[-1]["step"])


def files(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*")}


def test_what_is_drawn_is_fitted_from_start_to_end(opened: Page, folder: Path) -> None:
    opened.send(drawn(200, FEW))
    begun = opened.until(lambda text: text.get("folder") is not None)
    assert begun["state"] == "fitting"
    opened.until_payload()
    assert not [text for text in opened.texts if text["type"] == "progress"]
    done = opened.until_state("done")

    progress = [text for text in opened.texts if text["type"] == "progress"]
    assert [each["steps"] for each in progress] == [200] * len(progress)
    steps = [each["step"] for each in progress]
    assert steps == sorted(set(steps))
    assert progress[-1]["step"] == 200
    assert progress[-1]["left"] == 0
    assert all(each["rate"] > 0 and each["loss"] > 0 for each in progress)
    opened.until_payload()
    assert len(opened.payloads) >= 2
    assert len(set(opened.payloads)) == len(opened.payloads)

    run = sfumato.open(folder / done["folder"])
    assert [record["step"] for record in run.records()] == [50, 100, 150, 200]
    np.testing.assert_array_equal(read_points(folder / f"{done['folder']}.csv").values, ring(FEW))
    assert leave(f"{_line(done['command'])} --out again --quiet") == 0
    assert_same(run, sfumato.open("again"))
    assert files(folder / done["folder"]) == files(folder / "again")


def _line(command: str) -> str:
    """What is typed after `sfumato`."""
    name, _, line = command.partition(" ")
    assert name == "sfumato"
    return line


def test_a_stop_is_heard_at_once_and_what_goes_on_is_as_if_it_had_not(
    opened: Page, folder: Path
) -> None:
    opened.send(drawn(LONG, FEW))
    opened.until_step(1)
    opened.send({"type": "stop"})
    stopped = opened.until_state("stopped")  # how soon: bench/results/explorer.md
    run = folder / stopped["folder"]
    step = last_step(run)
    assert step < LONG
    assert stopped["reached"] == {"step": step, "steps": LONG}

    opened.send({"type": "go_on"})
    assert opened.until_step(step + 1)["step"] <= step + 50
    opened.send({"type": "stop"})
    again = opened.until_state("stopped")
    assert again["folder"] == stopped["folder"]
    assert again["command"] == stopped["command"]
    assert again["reached"] == {"step": last_step(run), "steps": LONG}
    straight = stopped_at(f"{stopped['folder']}.csv", last_step(run), "s")
    assert_same(sfumato.open(run), straight)


def test_the_run_that_is_stopped_is_gone_on_with_by_the_command_line(
    opened: Page, folder: Path
) -> None:
    opened.send(drawn(150, FEW))
    opened.send({"type": "stop"})  # before it has begun
    stopped = opened.until_state("stopped", "done")
    assert stopped["state"] == "stopped"
    assert leave(f"fit --resume --out {stopped['folder']} --quiet") == 0
    straight = fit(
        f"{stopped['folder']}.csv", settings={"training.steps": 150}, out="t", quiet=True
    )
    assert_same(sfumato.open(folder / stopped["folder"]), straight)


def test_a_toy_set_is_fitted_with_the_noise_that_is_asked_for(opened: Page, folder: Path) -> None:
    opened.send({"type": "fit", "source": "toy", "name": "moons", "noise": 0.01, "steps": 50})
    done = opened.until_state("done")
    assert done["folder"] == str(Path("runs", "moons-001"))
    run = sfumato.open(folder / done["folder"])
    data = run.load_data()
    np.testing.assert_array_equal(
        data.train.values, draw("moons", 10_000, seed=0, noise=0.01).values
    )
    assert leave(f"{_line(done['command'])} --out moons-again --quiet") == 0
    assert_same(run, sfumato.open("moons-again"))


def test_a_fit_takes_the_steps_of_its_rows_where_none_are_asked_for(
    opened: Page, folder: Path
) -> None:
    opened.send({"type": "fit", "source": "toy", "name": "moons", "noise": None, "steps": None})
    done = opened.until_state("done")
    run = sfumato.open(folder / done["folder"])
    assert run.settings.training == resolve("moons", {})[0].training
    assert "steps" not in done["command"]


@pytest.mark.parametrize("columns", [1, 3])
def test_points_are_of_one_to_three_columns(opened: Page, folder: Path, columns: int) -> None:
    points = np.random.default_rng(1).integers(0, 600, (150, columns))  # pixels of a canvas
    opened.send({"type": "fit", "source": "drawn", "points": points.tolist(), "steps": 20})
    run = sfumato.open(folder / opened.until_state("done")["folder"])
    assert run.sample(5).shape == (5, columns)


def csv(text: str, name: str = "mine.csv") -> dict[str, object]:
    return {"type": "fit", "source": "csv", "name": name, "text": text, "steps": 20}


ROWS = "a,b\n" + "".join(f"{k / 7},{k * k / 11}\n" for k in range(1, 200))


@pytest.mark.parametrize(
    "name",
    [
        "mine.csv",
        "../../mine.csv",
        "/etc/mine.csv",
        "C:\\mine.csv",
        "数据.CSV",
        ".csv",
        "a b;c.txt",
    ],
)
def test_a_file_is_fitted_under_runs_whatever_its_name(
    opened: Page, folder: Path, name: str
) -> None:
    before = {path for path in folder.rglob("*") if path.parent.name != "runs"}
    opened.send(csv(ROWS, name))
    done = opened.until_state("done")
    made = folder / done["folder"]
    assert made.parent == folder / "runs"
    assert sfumato.open(made).model.codec.columns == ("a", "b")
    new = {path for path in folder.rglob("*") if path.parent.name != "runs"} - before
    assert all(made in path.parents for path in new)
    assert Path(shlex.split(done["command"])[2]).with_suffix("") == Path("runs", made.name)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (csv(""), "mine.csv"),
        (csv("a,b\n" + "1.5,2.5\n2.5,inf\n" * 40), "mine.csv"),
        (csv("a,b\n1.5,2.5\n1.5\n"), "mine.csv"),
        (csv("a,b\n" + "1.5,2.5\n" * 40), "mine.csv"),
        (csv("a,b\n1.5,2.5\n2.5,1.5\n"), "at least 3 rows"),
        (csv(ROWS, "mine.xlsx"), "mine.xlsx is not a file of rows"),
        (csv(ROWS, "mine"), "mine is not a file of rows"),
        ({"type": "fit", "source": "drawn", "points": [[1, 1]] * 100, "steps": 9}, "the points"),
    ],
)
def test_what_cannot_be_learned_from_is_one_message_and_leaves_nothing(
    opened: Page, folder: Path, message: dict[str, object], reason: str
) -> None:
    before, state = set(folder.rglob("*")), opened.texts[-1]
    opened.send(message)
    said = opened.until_error()
    assert reason in said
    assert "runs" not in said
    assert "Traceback" not in said
    assert set(folder.rglob("*")) - {folder / "runs"} == before - {folder / "runs"}
    *_, after = (text for text in opened.texts if text["type"] == "state")
    assert after == state


@pytest.mark.parametrize(
    ("text", "code", "values"),
    [
        ("a,b\n1.5,2.5\n1.5\n", "row-length", {"line": 3, "cells": 1, "expected": 2}),
        ("a,a\n1.5,2.5\n", "repeated-name", {"column": "a"}),
        (ROWS + "1.5,green\n", "odd-cell", {"line": 201, "column": "b", "cell": "green"}),
        ("a,b\n" + "1.5,2.5\n" * 40, "constant", {}),
        ("a,b\n1.5,2.5\n", "few-rows", {"rows": 1}),
    ],
)
def test_a_page_is_told_what_to_say_in_its_own_language(
    opened: Page, text: str, code: str, values: dict[str, object]
) -> None:
    opened.send(csv(text))
    reason = opened.until(lambda text: text["type"] == "error")["reason"]
    assert reason["code"] == code
    assert reason["values"] == {"file": "mine.csv", **values}


def test_one_fit_runs_at_a_time_and_every_page_sees_it(explorer: Explorer, opened: Page) -> None:
    opened.send(drawn(LONG))
    opened.until_step(1)
    with page(explorer.address) as other:
        seen = other.until_state("fitting")
        assert seen["folder"] is not None
        other.until_payload()
        other.send(drawn(100))
        assert "a fit is running" in other.until_error()
        other.send({"type": "go_on"})
        assert "no stopped fit" in other.until_error()
        other.send({"type": "stop"})
        assert other.until_state("stopped") == opened.until_state("stopped")
        other.send({"type": "stop"})
        assert "nothing is being fitted" in other.until_error()


def the_only(workers: ForkedWorkers) -> int:
    (pid,) = workers.running()
    return pid


@FINDS_PROCESSES
def test_a_worker_that_dies_is_replaced_and_the_fit_gone_on_with(
    opened: Page, folder: Path, forked_workers: ForkedWorkers
) -> None:
    opened.send(drawn(LONG, FEW))
    opened.until_step(1)
    killed = the_only(forked_workers)
    os.kill(killed, signal.SIGKILL)
    assert "ended unexpectedly (signal 9)" in opened.until_error()
    stopped = [text for text in opened.texts if text["type"] == "state"][-1]
    assert stopped["state"] == "stopped"
    opened.send({"type": "go_on"})
    opened.until_step(1)
    opened.send({"type": "stop"})
    assert opened.until_state("stopped")["folder"] == stopped["folder"]
    assert the_only(forked_workers) != killed
    run = folder / stopped["folder"]
    straight = stopped_at(f"{stopped['folder']}.csv", last_step(run), "k")
    assert_same(sfumato.open(run), straight)


@FINDS_PROCESSES
def test_a_worker_that_dies_idle_is_replaced_too(
    opened: Page, forked_workers: ForkedWorkers
) -> None:
    os.kill(the_only(forked_workers), signal.SIGTERM)
    assert "signal 15" in opened.until_error()
    opened.send(drawn(50, FEW))
    opened.until_state("done")


def test_many_pages_beside_a_fit_all_see_it_end(explorer: Explorer) -> None:
    pages = 32

    async def watch(
        url: str, origin: Origin, joined: asyncio.Barrier, stopped: asyncio.Barrier
    ) -> tuple[list[str], int, int]:
        """What one sees until the last payload, which comes after the end."""
        states: list[str] = []
        steps = payloads = 0
        async with connect(url, origin=origin, max_size=None) as socket:
            async for content in socket:
                if isinstance(content, bytes):
                    payloads += 1
                    if states[-1] == "done":
                        break
                    if payloads == 1:
                        await joined.wait()
                    continue
                text = json.loads(content)
                assert text["type"] != "error"
                if text["type"] == "state":
                    states.append(text["state"])
                    if text["state"] == "stopped":
                        await stopped.wait()
                steps = text.get("step", steps)
        return states, steps, payloads

    async def together() -> list[tuple[list[str], int, int]]:
        """Stop a fit when all have joined, and fit anew when all have seen the stop."""
        origin, url = place(explorer.address)[0], socket_of(explorer.address)
        joined, stopped = asyncio.Barrier(pages + 1), asyncio.Barrier(pages + 1)
        async with connect(url, origin=origin, max_size=None) as socket:
            await socket.send(json.dumps(drawn(LONG, FEW)))
            async for content in socket:
                if isinstance(content, str) and json.loads(content)["type"] == "progress":
                    break
            watching = asyncio.gather(*(watch(url, origin, joined, stopped) for _ in range(pages)))
            await joined.wait()
            await socket.send(json.dumps({"type": "stop"}))
            await stopped.wait()
            await socket.send(json.dumps(drawn(50, FEW)))
            return await watching

    for states, steps, payloads in asyncio.run(asyncio.wait_for(together(), 60)):
        seen = [state for state, _ in itertools.groupby(states)]
        # A state that comes while the one before was not sent yet takes its place.
        assert seen in (["fitting", "stopped", "fitting", "done"], ["fitting", "stopped", "done"])
        assert steps == 50
        assert payloads >= 2


@pytest.mark.usefixtures("forked_workers")
def test_an_explorer_begins_with_a_run(moons: Run) -> None:
    assert moons.folder is not None
    with Explorer(moons.folder) as served, page(served.address) as opened:
        state = opened.until_state("empty", "stopped", "done")
        assert state["state"] == "done"
        assert state["folder"] == str(moons.folder)
        opened.until_payload()
    assert served.parting == ""
    assert leave(f"{_line(state['command'])} --out moons-anew --quiet") == 0
    assert_same(moons, sfumato.open("moons-anew"))


@FINDS_PROCESSES
def test_a_run_that_was_stopped_is_gone_on_with_and_a_fit_is_saved_when_the_server_ends(
    opened: Page, folder: Path, forked_workers: ForkedWorkers
) -> None:
    opened.send(drawn(150, FEW))
    opened.send({"type": "stop"})
    stopped = opened.until_state("stopped", "done")
    assert stopped["state"] == "stopped"
    before = {*forked_workers.running()}
    with Explorer(folder / stopped["folder"]) as ending, page(ending.address) as again:
        (worker,) = {*forked_workers.running()} - before
        reached = {"step": last_step(folder / stopped["folder"]), "steps": 150}
        assert again.until_state("stopped")["reached"] == reached
        again.send({"type": "go_on"})
        assert again.until_state("done")["reached"] == {"step": 150, "steps": 150}
        again.send(drawn(LONG))
        again.until_step(1)
    assert last_step(folder / stopped["folder"]) == 150
    assert ending.parting.startswith("stopped at step ")
    step = int(ending.parting.split()[3].rstrip(";"))
    made = ending.parting.rsplit(" ", 1)[1]
    assert last_step(folder / made) == step
    assert not is_running(worker)
