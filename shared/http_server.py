"""How uvicorn is run here: no banner, no access log, and what isn't a body within a cap.

Requests are read by httptools, which takes a third of what the pure Python reader costs a webhook, and knows no
bounds: a head that never ends would fill the memory.
"""

from typing import Literal

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 64 * 1024  # bytes of a request that are no body: its head, trailers and the frames of chunks


class Capped(HttpToolsProtocol):
    """Answers 400 and hangs up on more than that."""

    beside = 0  # bytes of this request so far that were no body

    def data_received(self, data: bytes) -> None:
        """Take bytes in as they come; those of its body are taken off again while they are read."""
        self.beside += len(data)
        super().data_received(data)
        if self.beside > MOST and not self.transport.is_closing():
            self.send_400_response("Too much that is no body.")

    def on_body(self, body: bytes) -> None:
        """A part of a body: bounded by who reads it."""
        self.beside -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next request begins."""
        self.beside = 0
        super().on_message_complete()


def configured(
    app: ASGIApp,
    *,
    lifespan: Literal["on", "off"] = "off",
    proxy_headers: bool = True,
    closing_seconds: int | None = None,
) -> uvicorn.Config:
    """The configuration to serve this application on a socket that is bound already."""
    return uvicorn.Config(
        app,
        http=Capped,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=proxy_headers,
        lifespan=lifespan,
        timeout_graceful_shutdown=closing_seconds,
    )
