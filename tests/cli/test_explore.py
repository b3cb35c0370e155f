"""sfumato explore: how it begins, how it ends, and the file that needs no server."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sfumato as package
from command_line import Command
from explorer_pages import FINDS_PROCESSES, drawn, get, is_running, page, workers
from forked_worker import forked_workers
from sfumato.runs.explorer import server
from sfumato.runs.run import Run

__all__ = ["forked_workers"]


@contextmanager
def explored(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The command in a process of its own, and the address that it prints."""
    command = [sys.executable, "-m", "sfumato", "explore", "--no-browser"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


@FINDS_PROCESSES
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_however_it_ends_the_fit_is_saved_and_no_process_stays(
    tmp_path: Path, signum: int, code: int
) -> None:
    with explored(tmp_path) as (running, address):
        assert address.startswith("http://127.0.0.1:")
        with page(address) as opened:
            opened.send(drawn(100_000, rows=100))
            opened.until_step(1)
            (worker,) = workers(running.pid)
            running.send_signal(signum)
            out, err = running.communicate(timeout=30)
    assert running.returncode == code
    deadline = time.monotonic() + 10
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run = package.open(tmp_path / "runs" / "drawn-001")
    step = run.records()[-1]["step"]
    assert step % 50 == 0
    checkpoint = tmp_path / "runs" / "drawn-001" / "checkpoint" / f"state-{step}.safetensors"
    assert checkpoint.is_file()
    if signum != signal.SIGKILL:
        go_on = f"sfumato fit --resume --out {Path('runs', 'drawn-001')}"
        assert out == f"stopped at step {step}; saved. Go on with: {go_on}\n"
        assert err == ""


def test_the_browser_is_opened_and_ctrl_c_ends_it(
    sfumato: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server whose worker cannot start: it would take seconds, and have nothing to do."""
    opened: list[str] = []

    async def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    def look(address: str) -> None:
        opened.append(address)
        assert get(address, f"/?{address.partition('?')[2]}")[0] == 200
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    monkeypatch.setattr(webbrowser, "open", look)
    monkeypatch.setattr(server, "is_loopback", lambda host: False)  # as if others reached it
    before = signal.getsignal(signal.SIGINT)
    code, out, err = sfumato("explore --host 127.0.0.1")
    assert (code, [out]) == (0, [f"{address}\n" for address in opened])
    assert err == "note: whoever has this address can fit models on this machine.\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_file_is_written_without_a_server(sfumato: Command, moons: Run) -> None:
    code, out, err = sfumato(f"explore {moons.folder} --to page.html")
    assert (code, err) == (0, "")
    size = Path("page.html").stat().st_size
    assert out == f"Page: page.html ({size / 1e6:.2f} MB); it needs no server and no network.\n"


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("explore --to page.html", 2, "which run?"),
        ("explore {run} --to page.png", 2, "ends in .html"),
        ("explore {run} --to page.html --port 80", 2, "leave --port out"),
        ("explore {run} --to page.html --host 0.0.0.0", 2, "leave --host out"),
        ("explore {run} --to page.html --no-browser", 2, "leave --no-browser out"),
        ("explore none --to page.html", 4, "no run folder or model file none"),
        ("explore none --no-browser", 4, "no run folder or model file none"),
        ("explore --no-browser --port {taken}", 2, "in use; choose another --port"),
        ("explore --no-browser --port 65536", 2, "65535"),
        ("explore --no-browser --host 192.0.2.1", 2, "cannot listen on 192.0.2.1"),
    ],
)
def test_what_cannot_be_is_one_line(
    sfumato: Command, moons: Run, line: str, code: int, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        found, out, err = sfumato(line.format(run=moons.folder, taken=taken))
    assert (found, out) == (code, "")
    assert err.startswith("sfumato: ")
    assert err.count("\n") == 1
    assert reason in err
    assert not list(Path.cwd().iterdir())


def test_the_server_needs_an_extra_and_the_file_does_not(
    sfumato: Command, moons: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sfumato.runs.explorer.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = sfumato("explore --no-browser")
    assert code == 5
    assert err == "sfumato: the explorer's server needs uvicorn: pip install 'sfumato[explore]'.\n"
    assert sfumato(f"explore {moons.folder} --to page.html")[0] == 0
