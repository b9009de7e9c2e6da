"""Spans sent to an OpenTelemetry collector (OTLP over HTTP). Imported only where one is configured.

A provider of our own, not the process's: what libraries would tell of themselves holds texts from outside.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import metadata
from urllib.parse import unquote

import anyio.to_thread
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from shared.errors import SwarmError
from shared.telemetry import correlation, redact
from shared.tracing import Attributes, Kind, Tell, Tracing

CLOSING_SECONDS = 2.0  # for the collector to take what is left
KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}


class _Ids(RandomIdGenerator):
    """What belongs to one call or run is one trace, whichever process does it."""

    def generate_trace_id(self) -> int:
        known = correlation()
        if not known:
            return super().generate_trace_id()
        return int.from_bytes(hashlib.sha256(known.encode()).digest()[:16], "big")


class _Told(Tracing):
    """Spans that go to a collector."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: str, attributes: Attributes, kind: Kind = "internal") -> Iterator[Tell]:
        started = self._tracer.start_as_current_span(
            name, kind=KINDS[kind], record_exception=False, set_status_on_exception=False
        )
        with started as span:
            _tell(span, {"swarm.correlation_id": correlation(), **attributes})
            try:
                yield partial(_tell, span)
            except BaseException as error:
                _tell(span, _of(error, kind))
                span.set_status(Status(StatusCode.ERROR))
                raise


def _of(error: BaseException, kind: Kind) -> Attributes:
    """What is told of a failure: our own word for it, never its message."""
    if not isinstance(error, SwarmError):
        return {"error.type": type(error).__name__}
    status = {"http.response.status_code": error.status} if kind == "client" and error.status else {}
    return {"error.type": error.code or type(error).__name__, **status}


def _tell(span: Span, attributes: Attributes) -> None:
    """These words should be our own; whatever looks like an address or a secret is left out all the same."""
    for name, value in attributes.items():
        span.set_attribute(name, redact(value) if isinstance(value, str) else value)


@asynccontextmanager
async def exporting(url: str, headers: str, role: str) -> AsyncIterator[Tracing]:
    """Spans of this process, as `role`; `headers`: `name=value` by commas, as the variable has them."""
    exporter = OTLPSpanExporter(endpoint=url, headers=read_headers(headers))
    version = metadata.version("alpha-swarm")
    named = Resource.create({"service.version": version, "swarm.role": role})
    if str(named.attributes["service.name"]).startswith("unknown_service"):  # no variable says otherwise
        named = named.merge(Resource({"service.name": "alpha-swarm"}))
    provider = TracerProvider(resource=named, id_generator=_Ids(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield _Told(provider.get_tracer("alpha-swarm", version))
    finally:
        with anyio.move_on_after(CLOSING_SECONDS, shield=True) as late:
            await anyio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)
        if late.cancelled_caught:  # the thread still waits for the collector
            exporter.shutdown()  # type: ignore[no-untyped-call]  # the library has no types there


def read_headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, percent-encoded, as the variable has them."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}
