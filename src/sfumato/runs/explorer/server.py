"""The explorer's server: one page and one WebSocket, for whoever has the address with its token.

It listens on this machine alone unless told otherwise. A name that another site has pointed here
(DNS rebinding) is refused by the Host header, another site's script by the Origin, anyone else by
the token. No path comes from a page, and nothing of what it sends is evaluated.
"""

import asyncio
import hmac
import ipaddress
import re
import secrets
import socket
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sfumato.errors import ArgumentError, MissingDependencyError
from sfumato.runs.explorer.messages import Reason, Refusal
from sfumato.runs.explorer.page import page_html
from sfumato.runs.explorer.session import Outbox, Session

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.datastructures import MutableHeaders
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket, WebSocketDisconnect
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
except ImportError as error:
    raise MissingDependencyError(
        f"the explorer's server needs {error.name}: pip install 'sfumato[explore]'."
    ) from error

MOST_PAGES = 64
MOST_BYTES = 8 * 2**20  # of a message
# Seconds: for a request and its answer, between two pings, until a ping must be answered.
PATIENCE, PING, PONG = 20.0, 10.0, 20.0

_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
_EVERY = {"0.0.0.0", "::"}  # noqa: S104 - all addresses of this machine, if the user asks for them
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]\s]+)(:\d{1,5})?")


class _Http(H11Protocol):
    """A connection that has not asked and read its answer within `PATIENCE` is cut off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        if self.transport.get_protocol() is self:  # neither over nor a WebSocket by now
            self.transport.abort()


class _WebSocket(WebSocketsSansIOProtocol):
    """A page that does not answer a ping is cut off, and what it has not read is dropped."""

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


class Explorer:
    """The explorer while it is served, as a context: in a thread of its own.

    Args:
        run: a run folder or model file to begin with; an empty page where not given.
        host: the address to listen on.
        port: 0 for one that is free.

    Attributes:
        address: where the page is, with its token; once entered.
        parting: what became of a fit that ran when the context was left; empty if none did.
    """

    def __init__(self, run: Path | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.run, self.host, self.port = run, host, port
        self.address = self.parting = ""
        self._token = secrets.token_urlsafe(32)
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            ArgumentError: if the address cannot be listened on.
            SfumatoError: if the run cannot be opened or shown.
        """
        listener = listening(self.host, self.port)
        name = socket.gethostname() if self.host in _EVERY else self.host
        name = f"[{name}]" if ":" in name else name
        self.address = f"http://{name}:{listener.getsockname()[1]}/?token={self._token}"
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), daemon=True
        )
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, when a fit that is running is saved."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    async def _serve(self, listener: socket.socket, ready: Future[None]) -> None:
        session = Session()
        try:
            with listener:
                await session.start(self.run)
                app = application(session, self._token, self.host, page_html(None))
                self._server = configured(app)
                serving = asyncio.create_task(self._server.serve([listener]))
                while not (self._server.started or serving.done()):
                    await asyncio.sleep(0.01)
                ready.set_result(None)
                await serving
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)
        finally:
            self.parting = await session.close()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ArgumentError: if there is no such address, or the port is in use.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise ArgumentError(
            f"cannot listen on {host}, port {port}: {reason}; choose another --port, or 0 for one "
            "that is free."
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def application(session: Session, token: str, host: str, html: str) -> ASGIApp:
    """The page at `/`, the WebSocket at `/ws`, and nothing else."""

    async def page(request: Request) -> Response:
        if (reason := refusal(request, token, host)) is not None:
            return PlainTextResponse(f"{reason}\n{_ZH[reason]}\n", 403)
        policy = _POLICY.format(socket=f"ws://{request.headers['host']}")
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    async def talk(websocket: WebSocket) -> None:
        if refusal(websocket, token, host) is not None or _foreign(websocket):
            await websocket.close()
            return
        await websocket.accept()
        if len(session.pages) >= MOST_PAGES:
            reason = Reason(
                message=f"{MOST_PAGES} pages are open already; close one.",
                code="most-pages",
                values={"most": MOST_PAGES},
            )
            await websocket.send_text(Refusal(reason=reason).model_dump_json())
            await websocket.close(1013)
            return
        outbox = session.join()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_send(websocket, outbox))
                both.create_task(_receive(websocket, outbox, session))
        except* WebSocketDisconnect:
            pass
        finally:
            session.leave(outbox)

    return _with_headers(Starlette(routes=[Route("/", page), WebSocketRoute("/ws", talk)]))


async def _send(websocket: WebSocket, outbox: Outbox) -> None:
    while True:
        content = await outbox.next()
        if isinstance(content, bytes):
            await websocket.send_bytes(content)
        else:
            await websocket.send_text(content)


async def _receive(websocket: WebSocket, outbox: Outbox, session: Session) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        try:
            if message.get("text") is None:
                raise ArgumentError("a message is JSON text; this one is binary.")
            await session.hear(message["text"], outbox)
        except ArgumentError as error:
            outbox.refuse(error)
        await asyncio.sleep(0)  # who sends much at once does not hold up the others


_ELSEWHERE = "This page has another address."
_INCOMPLETE = "The address lacks its token: take the whole of what `sfumato explore` printed."
_ZH = {  # beside the English, as no page is there to choose a language on
    _ELSEWHERE: "此页面的地址不是这一个。",
    _INCOMPLETE: "地址缺少令牌：请使用 `sfumato explore` 打印的完整地址。",
}


def refusal(connection: HTTPConnection, token: str, host: str) -> str | None:
    """Why a connection is not answered, if it is not."""
    parsed = _HOST.fullmatch(connection.headers.get("host", "").lower())
    if parsed is None or not _is_ours(parsed[1], host):
        return _ELSEWHERE
    given = connection.query_params.get("token", "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
        return _INCOMPLETE
    return None


def _is_ours(name: str, host: str) -> bool:
    """Whether a Host header names the address that is listened on; of any port, for tunnels."""
    if is_loopback(host):
        return name in _LOOPBACK or name.strip("[]") == host.lower()
    plain = name.strip("[]")
    if host not in _EVERY:
        return plain == host.lower()
    try:  # of all addresses, one written in numbers: no other site's name leads to those
        ipaddress.ip_address(plain)
    except ValueError:
        return plain in (socket.gethostname().lower(), "localhost")
    return True


def _foreign(websocket: WebSocket) -> bool:
    return websocket.headers.get("origin") != f"http://{websocket.headers['host']}"


_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; worker-src blob:; connect-src {socket}; "
    "base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Connection": "close",  # one request each; what is slow after it does not stay
}


def _with_headers(app: ASGIApp) -> ASGIApp:
    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await app(scope, receive, sent)

    return answered


def configured(app: ASGIApp) -> uvicorn.Server:
    """The server of the application: what stalls is cut off, what is too large is refused."""
    options: dict[str, Any] = {
        "http": _Http,
        "ws": _WebSocket,
        "ws_max_size": MOST_BYTES,
        "ws_ping_interval": PING,
        "ws_ping_timeout": PONG,
        "ws_per_message_deflate": False,
        "limit_concurrency": 4 * MOST_PAGES,
        "timeout_graceful_shutdown": 2,
    }
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            **options,
        )
    )
