"""Workers of the explorer that are forked, as command lines are in `forked.py`.

A worker that is started as a server starts it takes seconds until it has imported PyTorch; that one
starts and ends so is tested in `cli/test_explore.py`.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer_pages import is_running
from forked import Forks


class ForkedWorker:
    """What a session asks of its worker's process."""

    def __init__(
        self, forks: Forks, pid: int, stdin: asyncio.WriteTransport, stdout: asyncio.StreamReader
    ) -> None:
        self.forks, self.pid, self.stdin, self.stdout = forks, pid, stdin, stdout
        self._code: int | None = None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        if self._code is None:
            process = os.pidfd_open(self.pid)
            try:
                loop.add_reader(process, ended.set)
                await ended.wait()
            finally:
                loop.remove_reader(process)
                os.close(process)
        if self._code is None:  # nobody else has waited meanwhile
            self._code = self.forks.ask(wait=self.pid)
        return self._code


class ForkedWorkers:
    """Forks a worker wherever a session would start one."""

    def __init__(self, forks: Forks, folder: Path) -> None:
        self.forks, self.folder = forks, folder
        self._numbers = itertools.count()
        self._started: list[int] = []
        self._start_any = asyncio.create_subprocess_exec

    def running(self) -> list[int]:
        """The processes that have not ended."""
        return [pid for pid in self._started if is_running(pid)]

    async def start(self, *command: Any, **options: Any) -> Any:
        """In the place of `asyncio.create_subprocess_exec`."""
        if "sfumato.runs.explorer.worker" not in command:
            return await self._start_any(*command, **options)
        number, loop = next(self._numbers), asyncio.get_running_loop()
        orders, events = (self.folder / f"{name}-{number}" for name in ("orders", "events"))
        for pipe in (orders, events):
            os.mkfifo(pipe)
        pid = self.forks.ask(orders=str(orders), events=str(events), folder=str(Path.cwd()))
        self._started.append(pid)
        # Opened in the order in which it opens them: each waits for the other.
        told, said = orders.open("wb", 0), events.open("rb", 0)
        stdout = asyncio.StreamReader()
        stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, told)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), said)
        return ForkedWorker(self.forks, pid, stdin, stdout)


@pytest.fixture(scope="module")
def forked_workers(
    forks: Forks, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ForkedWorkers | None]:
    """For all explorers of a module; where processes cannot be waited for so, they are started."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    workers = ForkedWorkers(forks, tmp_path_factory.mktemp("workers"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", workers.start)
        yield workers
