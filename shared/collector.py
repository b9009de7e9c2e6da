"""Where traces go: to the OpenTelemetry collector that the standard variables name, or nowhere."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from shared.errors import ConfigError
from shared.settings import Settings
from shared.tracing import Tracing

BASE, EXACT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
SPOKEN = "http/protobuf"


@asynccontextmanager
async def open_tracing(settings: Settings, role: str) -> AsyncIterator[Tracing]:
    """Spans of this process, sent on by a thread beside it. Raises `ConfigError` for a collector that can't be one."""
    url = address(settings.variables)
    if not url:
        yield Tracing()
        return
    try:
        from shared.otlp import exporting  # noqa: PLC0415 - optional, and slow to import
    except ImportError as error:
        raise ConfigError(f"{BASE} is set, and what traces need isn't installed: make setup-otel") from error
    async with exporting(url, settings.variables.get(HEADERS, ""), role) as tracing:
        yield tracing


def address(variables: Mapping[str, str]) -> str:
    """Where traces are posted to, or "" for nowhere."""
    base, exact = variables.get(BASE, ""), variables.get(EXACT, "")
    if not (base or exact):
        return ""
    if (variables.get(PROTOCOL) or SPOKEN) != SPOKEN:
        raise ConfigError(f"{PROTOCOL}: only {SPOKEN} is spoken here")
    url = exact or f"{base.rstrip('/')}/v1/traces"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{EXACT if exact else BASE} must be an http:// or https:// address")
    return url
