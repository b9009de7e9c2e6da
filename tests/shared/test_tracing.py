"""Traces at an OpenTelemetry collector, over real HTTP: what is inside of what, and nobody in any."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from mcp import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.app import App
from orchestrator.pipeline import _told
from shared import collector
from shared.effect import Outcome, Receipt
from shared.errors import ConfigError, Retryable
from shared.gate import Permit
from shared.kernel import Kernel
from shared.otlp import exporting, read_headers
from shared.sandbox import serve
from shared.server import Offer, build
from shared.settings import Settings
from shared.suite import InProcessPort, Opened, Server
from shared.telemetry import correlated
from shared.tool import reads, writes
from tests.shared.world import contact, json_answer, opened

Make = Callable[..., Settings]
EMAIL = "jane.roe@corp.example"
LIVE = {"SAFE_MODE": "false", "GHL_API_KEY": "pit-12345678", "GHL_BASE_URL": "https://vendor.example"}
RUN = "feedfacecafebeef"


@writes("Write somebody")
async def write_one(kernel: Kernel, email: str) -> Outcome:
    """Write one contact."""

    async def perform(permit: Permit) -> Receipt:
        await kernel.client("ghl").write(permit, "POST", "/contacts/", json={"email": email})
        return Receipt("r")

    return await kernel.gate.submit(contact(email), perform)


@reads("Read somebody")
async def read_one(kernel: Kernel, email: str) -> Outcome:
    """Read one contact, in vain."""
    answer = await kernel.client("ghl").read("GET", f"/contacts/{email}")
    return Outcome("applied", message=str(answer.status))


SERVER = Server("little", "Little", "", lambda kernel: opened(kernel.settings), (write_one, read_one))


@dataclass
class Span:
    """One as the collector got it."""

    id: bytes
    trace: bytes
    parent: bytes
    name: str
    kind: int
    failed: bool
    told: dict[str, Any]


@dataclass
class Collector:
    """Takes what is posted to it."""

    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.headers.append(dict(request.headers))
        for of_one in ExportTraceServiceRequest.FromString(self.bodies[-1]).resource_spans:
            self.resources.append(_attributes(of_one.resource.attributes))
            for scope in of_one.scope_spans:
                self.spans += [
                    Span(s.span_id, s.trace_id, s.parent_span_id, s.name, s.kind, s.status.code == 2,
                         _attributes(s.attributes))
                    for s in scope.spans
                ]  # fmt: skip
        return Response(media_type="application/x-protobuf")

    def named(self, name: str) -> Span:
        [found] = [span for span in self.spans if span.name == name]
        return found

    def inside(self, name: str) -> list[str]:
        """The names from a span outwards."""
        by_id, names, span = {s.id: s for s in self.spans}, [], self.named(name)
        while span := by_id.get(span.parent):  # type: ignore[assignment]  # None ends it
            names.append(span.name)
        return names


def _attributes(given: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in given}


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Collector, str]]:
    taken = Collector()
    async with serve(Starlette(routes=[Route("/v1/traces", taken.take, methods=["POST"])])) as url:
        yield taken, url


async def vendor(request: httpx.Request) -> httpx.Response:
    """Takes what is written and has lost what is read."""
    return json_answer({"id": "x", "words": EMAIL}, 200 if request.method == "POST" else 404)


@pytest.fixture
async def told(settings_for: Make) -> Collector:
    """All that a tool call over MCP, a step of a run and a read that failed tell."""
    async with listening() as (taken, url):
        headers = "authorization=Bearer%20s3cret"
        settings = settings_for(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_HEADERS=headers, **LIVE)
        assert headers in settings.secret_values
        async with opened(settings, answer=vendor) as kernel:
            async with Client(build(SERVER, kernel, Offer(), kernel.tracing), cache=None) as client:
                answer = await client.call_tool("little_write_one", {"email": EMAIL})
                assert answer.structured_content["status"] == "applied"
            port = InProcessPort(Opened(SERVER, kernel), kernel.tracing)
            app = App(kernel, None, None, {})  # type: ignore[arg-type]  # the step asks for the kernel only

            async def stage(_: App) -> None:
                await port.read_one(EMAIL)

            with correlated(RUN):
                assert "failed" in await _told(app, stage)
        return taken


@pytest.mark.requirement("I7")
async def test_calls_steps_effects_and_requests_are_told_one_inside_the_other_and_nobody_is_in_them(
    told: Collector,
) -> None:
    assert told.inside("POST /contacts") == ["effect ghl create_contact", "tool little_write_one"]
    assert told.inside("GET /contacts/{id}") == ["tool little_read_one", "step stage"]
    effect = told.named("effect ghl create_contact").told
    assert (effect["swarm.vendor"], effect["swarm.operation"]) == ("ghl", "create_contact")
    assert (effect["swarm.outcome"], effect["swarm.effects"]) == ("applied", 1)
    request = told.named("POST /contacts").told
    assert (request["http.request.method"], request["http.response.status_code"]) == ("POST", 200)
    # One trace for what belongs together, by the id that log, ledger and vendor have as well.
    written = [told.named(name) for name in ("POST /contacts", "tool little_write_one")]
    assert len({span.trace for span in written} | {told.named("effect ghl create_contact").trace}) == 1
    assert len({span.told["swarm.correlation_id"] for span in written}) == 1
    assert told.named("step stage").told["swarm.correlation_id"] == RUN
    failed = told.named("GET /contacts/{id}")
    assert (failed.failed, failed.told["error.type"]) == (True, "not_found")
    assert failed.told["http.response.status_code"] == 404
    assert not told.named("tool little_write_one").failed
    assert told.resources[0]["service.name"] == "alpha-swarm"
    assert told.headers[0]["authorization"] == "Bearer s3cret"
    everything = b"".join(told.bodies)
    assert not [
        word for word in (b"jane", b"roe@", b"corp.example", b"pit-", b"s3cret") if word in everything
    ]


@pytest.mark.requirement("I7")
async def test_what_looks_like_an_address_is_left_out_whoever_tells_it() -> None:
    async with listening() as (taken, url), exporting(f"{url}/v1/traces", "", "test") as tracing:
        with tracing.span("one", {"swarm.reason": f"by {EMAIL}"}):
            pass
        closed = partial(len, taken.spans)
        assert closed() == 0  # sent by and by, not while somebody waits for it
    assert EMAIL.encode() not in b"".join(taken.bodies)
    assert taken.named("one").told["swarm.reason"].startswith("by j***@")


async def test_one_run_is_one_trace_whichever_process_does_its_steps() -> None:
    async with listening() as (taken, url):
        for role in ("one", "other"):
            async with exporting(f"{url}/v1/traces", "", role) as tracing:
                with correlated(RUN), tracing.span("step", {}):
                    pass
    assert len(taken.spans) == 2
    assert len({span.trace for span in taken.spans}) == 1


async def test_a_collector_that_is_away_costs_nothing_but_the_spans(settings_for: Make) -> None:
    settings = settings_for(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **LIVE)
    async with opened(settings, answer=vendor) as kernel:
        assert (await write_one.function(kernel, EMAIL)).status == "applied"


async def test_without_a_collector_nothing_is_kept(settings_for: Make) -> None:
    async with opened(settings_for(**LIVE), answer=vendor) as kernel:
        assert type(kernel.tracing).__name__ == "Tracing"
        with pytest.raises(Retryable), kernel.tracing.span("x", {}):
            raise Retryable("goes through")


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c/x"}, "https://c/x"),
    ],
)
def test_the_standard_variables_name_the_collector(variables: dict[str, str], url: str) -> None:
    assert collector.address(variables) == url


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_a_collector_that_can_not_be_one_is_refused_at_the_start(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP"):
        collector.address(variables)


def test_headers_are_read_as_the_variable_has_them() -> None:
    assert read_headers("Authorization=Bearer%20x, b=1=2,,c") == {"authorization": "Bearer x", "b": "1=2"}
