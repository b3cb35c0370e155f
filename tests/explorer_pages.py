"""A page of the explorer, as far as its server can tell; nothing beyond this machine is called."""

import http.client
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

FINDS_PROCESSES = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="processes are found in /proc, which is not there"
)


def ring(rows: int = 400) -> list[list[float]]:
    """Points that someone may have drawn."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, rows)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    points: list[list[float]] = (circle + rng.normal(0, 0.1, circle.shape)).tolist()
    return points


def drawn(steps: int, rows: int = 400) -> dict[str, Any]:
    """The message that has such points fitted."""
    return {"type": "fit", "source": "drawn", "points": ring(rows), "steps": steps}


def place(address: str) -> tuple[Origin, str]:
    """`http://127.0.0.1:PORT` and the token."""
    origin, _, token = address.partition("/?token=")
    return Origin(origin), token


def socket_of(address: str) -> str:
    """Where the page's WebSocket is."""
    origin, token = place(address)
    return f"{origin.replace('http', 'ws')}/ws?token={token}"


def get(address: str, path: str, *, method: str = "GET", **headers: str) -> tuple[int, Any, str]:
    """Status, headers and body."""
    origin, _ = place(address)
    connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read().decode()


def open_socket(address: str, origin: str | None = "its own") -> ClientConnection:
    """The page's WebSocket, with its own Origin unless told otherwise."""
    given = place(address)[0] if origin == "its own" else origin and Origin(origin)
    return connect(socket_of(address), origin=given or None, max_size=None)


class Page:
    """A page that keeps all that it is sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []
        self.payloads: list[bytes] = []

    def send(self, message: dict[str, Any]) -> None:
        self.socket.send(json.dumps(message))

    def until(
        self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60
    ) -> dict[str, Any]:
        """Read until such a text comes."""
        while True:
            content = self.socket.recv(timeout=seconds)
            if isinstance(content, bytes):
                self.payloads.append(content)
                continue
            self.texts.append(json.loads(content))
            if wanted(self.texts[-1]):
                return self.texts[-1]

    def until_state(self, *states: str) -> dict[str, Any]:
        return self.until(lambda text: text.get("state") in states)

    def until_error(self) -> str:
        return str(self.until(lambda text: text["type"] == "error")["reason"]["message"])

    def until_step(self, least: int) -> dict[str, Any]:
        return self.until(lambda text: text["type"] == "progress" and text["step"] >= least)

    def until_payload(self) -> bytes:
        before = len(self.payloads)
        while len(self.payloads) == before:
            content = self.socket.recv(timeout=60)
            if isinstance(content, bytes):
                self.payloads.append(content)
            else:
                self.texts.append(json.loads(content))
        return self.payloads[-1]


@contextmanager
def page(address: str) -> Iterator[Page]:
    """Open one, which sees the state at once."""
    with open_socket(address) as socket:
        yield Page(socket)


def workers(pid: int) -> list[int]:
    """Fitting workers that a process has started; it may have started a browser as well."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(each) for file in found for each in file.read_text().split()]
    return [each for each in children if _is_worker(each)]


def _is_worker(pid: int) -> bool:
    try:
        return b"sfumato.runs.explorer.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # it has ended meanwhile
        return False


def is_running(pid: int) -> bool:
    """Whether a process is there, and not only waits to be forgotten."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


# ---------------------------------------------------------------------------- what it is given


def read(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of what a page is given."""
    (length,) = struct.unpack("<I", content[:4])
    header = json.loads(content[4 : 4 + length])
    arrays = {
        name: np.frombuffer(
            content, each["dtype"], int(np.prod(each["shape"])), 4 + length + each["offset"]
        )
        for name, each in header["arrays"].items()
    }
    return header, arrays


def frame(arrays: dict[str, np.ndarray], prefix: str, columns: list[dict[str, Any]]) -> Any:
    """Rows as the page reads them: numbers, moments, and text."""
    import pandas as pd

    found = {}
    for k, column in enumerate(columns):
        values = arrays[f"{prefix}/{k}"]
        if column["kind"] == "date":
            found[column["name"]] = pd.to_datetime(pd.Series(values), unit="ms")
        elif "categories" in column:
            text = [*column["categories"], None]
            found[column["name"]] = pd.Series([text[code] for code in values], dtype=object)
        else:
            found[column["name"]] = pd.Series(values)
    return pd.DataFrame(found)
