"""The explorer's server with many pages open beside a running fit, and sockets that stall."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin

from bench.measure import Page, table

_PAGES, _STALLED = 32, 8
_ALONE, _BESIDE = 10, 60  # seconds
_POINTS = 5000

_LOAD, _BARE, _OPEN, _ASK, _PING, _STOP, _NOTHING = (
    "load the page",
    "as many bytes from a server that does nothing else",
    "open its WebSocket, until the state",
    "a message, until its answer",
    "a ping, until its pong",
    "a stop of the fit, until it is saved (afterwards)",
    "nothing: how late the pages' own process is",
)


_WHAT = (_LOAD, _BARE, _OPEN, _ASK, _PING, _STOP, _NOTHING)

# In a process of its own, too: what the machine, on which others work, does to any server.
_BARE_SERVER = r"""
import asyncio, sys

async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(int(sys.argv[1])))
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass
class _Served:
    """Where the server is, and how long it took to answer."""

    port: int
    token: str
    bare: int = 0
    size: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: {what: [] for what in _WHAT})
    failed: dict[str, int] = field(default_factory=lambda: dict.fromkeys((_LOAD, _OPEN), 0))
    steps: list[tuple[float, int]] = field(default_factory=list)

    @property
    def origin(self) -> Origin:
        return Origin(f"http://127.0.0.1:{self.port}")

    @property
    def path(self) -> str:
        return f"/ws?token={self.token}"

    def opened(self) -> connect:
        url = f"ws://127.0.0.1:{self.port}{self.path}"
        return connect(url, origin=self.origin, max_size=None, compression=None)

    async def timed(self, what: str, call: Callable[[], Awaitable[object]]) -> None:
        began = time.perf_counter()
        await call()
        self.seconds[what].append(time.perf_counter() - began)

    async def load(self, port: int) -> None:
        """As a browser: a connection, a request, and all of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /?token={self.token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        self.failed[_LOAD] += not answer.startswith(b"HTTP/1.1 200")
        self.size = len(answer)


def measure() -> Page:
    """The server is a process of its own, as its worker is; all pages are this one."""
    command = [sys.executable, "-m", "sfumato", "explore", "--no-browser"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            origin, _, token = server.stdout.readline().strip().partition("/?token=")
            served = _Served(int(origin.rpartition(":")[2]), token)
            asyncio.run(served.load(served.port))
            with _bare(served.size) as served.bare:
                alone, beside, stalled = asyncio.run(_measured(served))
        finally:
            server.terminate()
            server.wait()
    rows = [
        [
            what,
            f"{len(seconds):,}",
            *(f"{1000 * np.quantile(seconds, q):.1f}" for q in (0.5, 0.99, 1)),
            served.failed.get(what, "-"),
        ]
        for what, seconds in served.seconds.items()
    ]
    text = (
        f"{_PAGES} pages open for {_BESIDE} s while {_POINTS:,} drawn points are fitted: each loads "
        f"the page ({served.size / 1000:.0f} kB) anew, sends a message and a ping every second, "
        "and opens its WebSocket anew every ten; all receive every word of progress and every "
        f"payload. Beside them {_STALLED} sockets do not read what they are sent, and {_STALLED} "
        "do not finish their request."
    )
    heading = ["request", "times", "median, ms", "99 %, ms", "longest, ms", "failed"]
    steps = (
        f"The fit takes {alone:.0f} steps a second with one page and {beside:.0f} with all of them; "
        f"the pages and the server share the machine with it. Of the {2 * _STALLED} sockets that "
        f"stall the server has closed {stalled}. Load of the machine over the last minute: "
        f"{os.getloadavg()[0]:.1f} processes on {os.cpu_count()} cores."
    )
    return Page("The explorer's server", [text, table(heading, rows), steps])


@contextmanager
def _bare(size: int) -> Iterator[int]:
    command = [sys.executable, "-c", _BARE_SERVER, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


async def _measured(served: _Served) -> tuple[float, float, int]:
    """Steps a second alone and beside the pages, and how many stalled sockets were closed."""
    async with served.opened() as first:
        angle = np.random.default_rng(0).uniform(0, 2 * np.pi, _POINTS)
        points = np.stack([np.cos(angle), np.sin(angle)], 1).tolist()
        await first.send(
            json.dumps({"type": "fit", "source": "drawn", "points": points, "steps": 100_000})
        )
        following = asyncio.create_task(_follow(first, served))
        while not served.steps:
            await asyncio.sleep(0.1)
        alone = await _rate(served, _ALONE)
        stalling = [_stall(served, k < _STALLED) for k in range(2 * _STALLED)]
        until = time.monotonic() + _BESIDE
        being_late = asyncio.create_task(_late(served))
        pages = [asyncio.create_task(_page(served, k, until)) for k in range(_PAGES)]
        beside = await _rate(served, _BESIDE)
        await asyncio.gather(*pages)
        closed = sum(await asyncio.gather(*(asyncio.to_thread(_ended, each) for each in stalling)))
        following.cancel()
        await _stops(served)
        being_late.cancel()
    return alone, beside, closed


async def _rate(served: _Served, seconds: float) -> float:
    began, first = served.steps[-1]
    await asyncio.sleep(seconds)
    ended, last = served.steps[-1]
    return (last - first) / (ended - began)


async def _late(served: _Served) -> None:
    """What of the times below is none of the server's."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.05)
        served.seconds[_NOTHING].append(time.perf_counter() - began - 0.05)


async def _follow(page: ClientConnection, served: _Served) -> None:
    async for content in page:
        if isinstance(content, str) and (step := json.loads(content).get("step")):
            served.steps.append((time.monotonic(), step))


async def _page(served: _Served, number: int, until: float) -> None:
    await asyncio.sleep(number / _PAGES)  # not all at the same moment
    while time.monotonic() < until:
        try:
            await _ten_seconds(served, until)
        except (OSError, WebSocketException):
            served.failed[_OPEN] += 1


async def _ten_seconds(served: _Served, until: float) -> None:
    began = time.perf_counter()
    async with served.opened() as page:
        await _until(page, '"state"')
        served.seconds[_OPEN].append(time.perf_counter() - began)
        answers: asyncio.Queue[str] = asyncio.Queue()
        reading = asyncio.create_task(_read(page, answers))
        for _ in range(10):
            if time.monotonic() >= until:
                break
            next_turn = asyncio.create_task(asyncio.sleep(1))
            await served.timed(_LOAD, lambda: served.load(served.port))
            await served.timed(_BARE, lambda: served.load(served.bare))
            await served.timed(_ASK, lambda: _ask(page, answers))
            await served.timed(_PING, lambda: _ping(page))
            await next_turn
        reading.cancel()


async def _read(page: ClientConnection, answers: "asyncio.Queue[str]") -> None:
    async for content in page:
        if isinstance(content, str) and '"error"' in content:
            answers.put_nowait(content)


async def _ask(page: ClientConnection, answers: "asyncio.Queue[str]") -> None:
    await page.send('{"type":"go_on"}')  # while a fit runs, there is none to go on with
    assert "no stopped fit" in await answers.get()


async def _ping(page: ClientConnection) -> None:
    await (await page.ping())


async def _stops(served: _Served) -> None:
    """Stop the fit at some moment or other, and go on with it."""
    async with served.opened() as page:
        for k in range(10):
            await _until(page, '"progress"')
            await asyncio.sleep(0.37 * k % 1)
            began = time.perf_counter()
            await page.send('{"type":"stop"}')
            await _until(page, '"state":"stopped"')
            served.seconds[_STOP].append(time.perf_counter() - began)
            await page.send('{"type":"go_on"}')


async def _until(page: ClientConnection, wanted: str) -> None:
    while isinstance(content := await page.recv(), bytes) or wanted not in content:
        pass


def _stall(served: _Served, upgraded: bool) -> socket.socket:
    """A socket that has become a WebSocket and then reads nothing; or half a request."""
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.connect(("127.0.0.1", served.port))
    request = (
        f"GET {served.path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nOrigin: {served.origin}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    stalled.sendall(request if upgraded else request[:40])
    return stalled


def _ended(stalled: socket.socket) -> bool:
    """Whether the server has closed it: what it had sent before is followed by an end."""
    stalled.settimeout(2)
    try:
        began = time.monotonic()
        while stalled.recv(2**16):
            if time.monotonic() - began > 10:  # it is still being sent to
                return False
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True
