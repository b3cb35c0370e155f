"""Command lines in processes of their own that import nothing: one has, and forks for each.

To import the package takes longer than most of what is tested so. The process that forks computes
nothing itself, and so it has no threads that a fork could lose.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Forked:
    """A process that was forked, whose output goes to files."""

    forks: "Forks"
    pid: int
    output: Path

    def code(self) -> int:
        """What it exits with, as of `subprocess`, once it does."""
        return self.forks.ask(wait=self.pid)

    def said(self, stream: str = "err") -> str:
        """What it wrote to standard error or, "out", to standard output."""
        return self.output.with_suffix(f".{stream}").read_text(encoding="utf-8")


class Forks:
    """The process that forks."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.lock = threading.Lock()

    def ask(self, **request: Any) -> int:
        """The answer to one request."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            return int(self.process.stdout.readline())

    def start(
        self,
        *lines: str,
        output: Path,
        restarts: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Forked:
        """Command lines one after another in one process.

        Args:
            lines: of the command, without its name.
            output: files of what is said, but for their endings.
            restarts: not 0: in two processes, which torchrun's agent starts anew so many times.
            environment: variables that it has besides.
        """
        job = {"lines": lines, "output": str(output), "restarts": restarts}
        return Forked(self, self.ask(**job, environment=dict(environment or {})), output)

    def start_two(self, *lines: str, output: Path) -> list[Forked]:
        """Command lines in two processes that do them together, as torchrun would start them."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        return [
            self.start(
                *lines,
                output=output.with_name(f"{output.name}-{k}"),
                environment={"RANK": str(k), "LOCAL_RANK": str(k), **shared},
            )
            for k in range(2)
        ]


@contextmanager
def forking() -> Iterator[Forks]:
    """One for all tests of a session."""
    forks = Forks()
    with forks.process as process:
        yield forks
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts command lines in processes of their own."""
    with forking() as found:
        yield found


def _serve() -> None:
    # What a fit imports sooner or later.
    import torch._dynamo
    import torch.distributed.fsdp  # noqa: F401
    from torch.distributed.launcher import api  # noqa: F401

    import sfumato.runs.explorer.worker
    import sfumato.runs.fit  # noqa: F401

    for request in sys.stdin:
        job = json.loads(request)
        if "wait" in job:
            print(os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1]), flush=True)
        elif pid := os.fork():
            print(pid, flush=True)
        else:
            _become(job)
    os._exit(0)  # Python would take a second to forget all that was imported


def _become(job: dict[str, Any]) -> None:
    """The rest of the life of a process that was forked."""
    code = 1
    try:
        if "orders" in job:
            _work(**job)
            os._exit(0)
        for number, ending in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{job['output']}.{ending}", os.O_WRONLY | os.O_CREAT), number)
        os.environ |= job["environment"]
        if job["restarts"]:
            _launch(job["lines"], job["restarts"])
        else:
            _run(job["lines"])
        code = 0
    except SystemExit as left:
        code = left.code  # type: ignore[assignment]
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _work(orders: str, events: str, folder: str) -> None:
    """As `python -m sfumato.runs.explorer.worker` in a session of its own."""
    from sfumato.runs.explorer import worker

    os.setsid()
    os.chdir(folder)
    os.dup2(os.open(orders, os.O_RDONLY), 0)
    os.dup2(os.open(events, os.O_WRONLY), 1)
    worker.main()


def _run(lines: list[str]) -> None:
    import shlex

    from sfumato import distributed
    from sfumato.cli import main

    # Several lines are of one meeting, and a single one meets by itself, as a user's does.
    with distributed.joined() if len(lines) > 1 else nullcontext():
        for line in lines:
            sys.argv = ["sfumato", *shlex.split(line)]
            try:
                main()
            except SystemExit as left:
                if left.code:
                    raise


def _launch(lines: list[str], restarts: int) -> None:
    """As torchrun does it, but that the processes are forked."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=2, max_restarts=restarts, start_method="fork",
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", run_id=str(os.getpid()),
    )  # fmt: skip
    elastic_launch(config, _run)(lines)


if __name__ == "__main__":
    _serve()
