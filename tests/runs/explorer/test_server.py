"""The explorer's server: whom it answers, what it refuses, whom it cuts off."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from explorer_pages import Page, get, open_socket, page, place
from sfumato.errors import ArgumentError
from sfumato.runs.explorer import server
from sfumato.runs.explorer.server import (
    MOST_BYTES,
    MOST_PAGES,
    application,
    configured,
    is_loopback,
    listening,
)
from sfumato.runs.explorer.session import Session

TOKEN = "a-token"
HTML = "<!doctype html><title>the page</title>"


class _Silent(Session):
    """A session whose worker is never asked for anything."""

    loop: asyncio.AbstractEventLoop

    def send_payload(self, content: bytes) -> None:
        self.loop.call_soon_threadsafe(self._to_all, "payload", content)


@contextmanager
def served(html: str = HTML) -> Iterator[tuple[str, _Silent]]:
    """The application without a worker: its address and its session."""
    host = "127.0.0.1"
    session, started = _Silent(), threading.Event()

    async def serve() -> None:
        session.loop = asyncio.get_running_loop()
        started.set()
        await serving.serve([listener])

    serving = configured(application(session, TOKEN, host, html))
    with listening(host, 0) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        started.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/?token={TOKEN}", session
        finally:
            serving.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as (address, _):
        yield address


def test_the_page_is_for_those_who_have_its_address(address: str) -> None:
    status, headers, body = get(address, f"/?token={TOKEN}")
    assert (status, body) == (200, HTML)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == place(address)[0].replace("http", "ws")
    assert "server" not in {name.lower() for name in headers}


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=b-token", "/?token=a-toke%C3%A9", "/?Token=a-token"]
)
def test_without_the_token_there_is_one_line_in_each_language(address: str, path: str) -> None:
    status, headers, body = get(address, path)
    assert status == 403
    assert headers["Content-Type"].startswith("text/plain")
    assert body.count("\n") == 2
    assert "token" in body.splitlines()[0]
    assert "令牌" in body.splitlines()[1]
    assert TOKEN not in body


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (f"/index.html?token={TOKEN}", "GET", 404),
        (f"/../../etc/passwd?token={TOKEN}", "GET", 404),
        (f"/%2e%2e/%2e%2e/etc/passwd?token={TOKEN}", "GET", 404),
        (f"/ws?token={TOKEN}", "GET", 404),
        (f"/?token={TOKEN}", "POST", 405),
        (f"/?token={TOKEN}", "DELETE", 405),
    ],
)
def test_there_is_nothing_else(address: str, path: str, method: str, status: int) -> None:
    found, headers, body = get(address, path, method=method)
    assert found == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "root:" not in body


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "a@127.0.0.1", "", "::1"],
)
def test_another_name_for_this_machine_is_refused(address: str, host: str) -> None:
    port = place(address)[0].rpartition(":")[2]
    assert get(address, f"/?token={TOKEN}", Host=host.format(port=port))[0] == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9999", "LOCALHOST:80", "[::1]:80"])
def test_a_tunnel_to_this_machine_is_not(address: str, host: str) -> None:
    status, headers, _ = get(address, f"/?token={TOKEN}", Host=host)
    assert status == 200
    assert f"connect-src ws://{host};" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("bound", "host", "is_ours"),
    [
        ("192.0.2.1", "192.0.2.1:80", True),
        ("192.0.2.1", "127.0.0.1:80", False),
        ("lab.example", "LAB.example", True),
        ("lab.example", "evil.example", False),
        ("0.0.0.0", "192.0.2.7:80", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("::", "[2001:db8::7]:80", True),
        ("::1", "[::1]:80", True),
        ("::1", "evil.example", False),
    ],
)
def test_a_host_is_compared_with_what_is_listened_on(bound: str, host: str, is_ours: bool) -> None:
    parsed = server._HOST.fullmatch(host.lower())
    assert parsed is not None
    assert server._is_ours(parsed[1], bound) == is_ours


def test_loopback_is_told_from_addresses_that_others_reach() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "localhost.example", "lab")))


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1"],
)
def test_the_script_of_another_site_is_refused(address: str, origin: str | None) -> None:
    port = place(address)[0].rpartition(":")[2]
    given = None if origin is None else origin.format(port=port)
    with pytest.raises(InvalidStatus) as refused, open_socket(address, origin=given):
        pass
    assert refused.value.response.status_code == 403


def test_a_socket_without_the_token_is_refused(address: str) -> None:
    with pytest.raises(InvalidStatus) as refused, open_socket(address + "x"):
        pass
    assert refused.value.response.status_code == 403


def test_the_state_is_the_first_that_a_page_sees(address: str) -> None:
    with page(address) as opened:
        state = opened.until_state("empty")
    assert state["folder"] is state["command"] is None
    assert {"moons", "s-curve"} <= set(state["toys"])
    assert "s-curve-3d" not in state["toys"]


def test_what_is_not_understood_is_answered_and_nobody_is_cut_off(address: str) -> None:
    with page(address) as opened:
        wrongs: dict[str | bytes, str] = {
            "nonsense": "Invalid JSON",
            '{"type":"sample"}': "sample",
            '{"type":"stop"}': "nothing is being fitted",
            '{"type":"go_on"}': "no stopped fit",
            b"\x00\x01": "JSON text",
        }
        for wrong, reason in wrongs.items():
            opened.socket.send(wrong)
            assert reason in opened.until_error()


def test_a_message_that_is_too_large_is_not_read(address: str) -> None:
    with open_socket(address) as opened:
        Page(opened).until_state("empty")
        with suppress(ConnectionClosed):
            opened.send("x" * (MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(timeout=10)
    said = closed.value.rcvd  # none, if it is cut off before it has read why
    assert said is None or said.code == 1009
    with page(address) as still:
        still.until_state("empty")


def test_pages_are_counted(address: str) -> None:
    with ExitStack() as opened:
        for _ in range(MOST_PAGES):
            Page(opened.enter_context(open_socket(address))).until_state("empty")
        with open_socket(address) as late:
            assert f"{MOST_PAGES} pages" in Page(late).until_error()
            with pytest.raises(ConnectionClosed):
                late.recv(timeout=10)
    deadline = time.monotonic() + 10
    while True:  # the server hears of it a moment later
        with open_socket(address) as again:
            first = json.loads(again.recv(timeout=10))
        if first["type"] == "state":
            break
        assert time.monotonic() < deadline


def test_who_does_not_finish_a_request_or_read_its_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    with served("x" * 2**25) as (address, _), page(address) as opened:
        opened.until_state("empty")
        port = int(place(address)[0].rpartition(":")[2])
        whole = f"GET /?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        for begun in (b"", whole[:20], whole):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
                slow.sendall(begun)
                time.sleep(1)
                assert _ends(slow) < 2**25
        opened.send({"type": "stop"})  # a WebSocket stays
        assert "nothing" in opened.until_error()


def test_who_does_not_read_is_cut_off_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PING", 0.3)
    monkeypatch.setattr(server, "PONG", 0.5)
    with served() as (address, session), page(address) as reader:
        reader.until_state("empty")
        origin, _ = place(address)
        port = int(origin.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stalled:
            stalled.sendall(
                f"GET /ws?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            _wait(lambda: len(session.pages) == 2)
            content = bytes(2**24)  # more than the system takes for a reader that does not read
            for _ in range(20):
                session.send_payload(content)
                assert len(reader.until_payload()) == len(content)
            _wait(lambda: len(session.pages) == 1)
            assert _ends(stalled) < 20 * len(content)


def test_a_port_in_use_is_one_line(address: str) -> None:
    port = int(place(address)[0].rpartition(":")[2])
    with pytest.raises(ArgumentError, match=rf"port {port}.*in use.*--port"):
        listening("127.0.0.1", port)
    with pytest.raises(ArgumentError, match=r"cannot listen on 192\.0\.2\.1"):
        listening("192.0.2.1", 0)  # of no machine: RFC 5737


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ends(connection: socket.socket) -> int:
    """What the other side had sent before it closed the connection, in bytes."""
    connection.settimeout(20)
    size = 0
    try:
        while content := connection.recv(2**20):
            size += len(content)
    except ConnectionResetError:
        pass
    return size


def test_the_server_does_without_pytorch() -> None:
    """Which takes seconds to import; the worker has it."""
    code = "import sys, sfumato.runs.explorer.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
